"""The specification curve shows the numbers of its table, in order, and marks the study's own."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saliency_stats.compartments.variants import VARIANTS
from saliency_stats.errors import StorageError
from saliency_stats.execution.schema import TABLES
from saliency_stats.report.figures.multiverse import (
    _words,
    caption_multiverse,
    caption_segmentation,
    draw_multiverse,
    draw_segmentation,
)
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, CONTROL_COLOUR, TRAINED_COLOUR, house_style, save
from saliency_stats.report.run import Run
from saliency_stats.report.words import ratio, ratio_interval
from saliency_stats.settings import load
from saliency_stats.statistics.multiverse import DIMENSIONS, MULTIVERSE_COLUMNS
from saliency_stats.vocabulary import CELLS

#: Levels of each dimension by name, the study's own first; a dimension without one here has a single level.
LEVELS = {
    "method": ("gradient", "occlusion"),
    "reduction": ("l2",),
    "segmentation": tuple(variant.name for variant in VARIANTS if variant.cells is None),
    "min_confidence": (0.9, 0.99),
}
USUAL = {name: LEVELS.get(name, ("same",))[0] for name in DIMENSIONS if name != "baseline"}
LABELS = ("benign", "malignant")
USUAL_FIRST = LEVELS["method"]
_CURVE = ("p_global", "p_attainable", "direction", "n_true_low", "curve_reason")
CURVES = {
    ("benign", "gradient"): dict(zip(_CURVE, (0.0078125, 2.0**-7, "above", 13, ""), strict=True)),
    ("benign", "occlusion"): dict(zip(_CURVE, (0.4, 2.0**-7, "above", 0, "given these networks"), strict=True)),
    ("malignant", "gradient"): dict(zip(_CURVE, (0.0625, 2.0**-4, "above", np.nan, "few"), strict=True)),
    ("malignant", "occlusion"): dict(zip(_CURVE, (np.nan, np.nan, "", np.nan, "too many"), strict=True)),
}
UNTESTED = dict(zip(_CURVE, (np.nan, np.nan, "", np.nan, "no slide"), strict=True))
ABOVE, BELOW = COMPARTMENT_COLOURS["cytoplasm"], COMPARTMENT_COLOURS["nucleus"]
ROWS = [
    *("segmentation", "usual", "nuclei −1 µm", "nuclei −0.5 µm"),
    *("nuclei +0.5 µm", "nuclei +1 µm", "borders ±0.5 µm left out", "borders ±1 µm left out", "threshold −0.1"),
    *("threshold +0.1", "cells up to 2 µm", "cells up to 3 µm", "cells up to 8 µm"),
    *("least confidence", "0.9", "0.99"),
]


def _table(*, tested: bool = True, magnifications: tuple[float, ...] = (20.0,)) -> pd.DataFrame:
    """Every variant, two methods and two confidences, in random order; two of them without an estimate."""
    rng = np.random.default_rng(0)
    rows = []
    levels = (LEVELS.get(name, ("same",)) for name in USUAL)
    for values in product(LABELS, magnifications, *levels):
        row = dict(
            zip(("label", "magnification", *USUAL), values, strict=True),
            cytoplasm_um=5.0,
            estimate=rng.normal(0.1, 0.3),
            test="sign_flip",
            n_slides=8,
            n_patches=60,
            n_missing=1,
            status="tested" if tested else "no_inference",
            reason="",
        )
        p_value = rng.uniform(0, 0.1) if tested else np.nan
        half = 0.2 if tested else np.nan
        row |= {"ci_low": row["estimate"] - half, "ci_high": row["estimate"] + 2 * half, "p_value": p_value}
        row |= {"significant": bool(p_value <= 0.05), "sample": len(rows), "p_max_t": p_value}
        row |= CURVES[row["label"], row["method"]] if tested else UNTESTED
        rows.append(row | {"usual": all(row[name] == level for name, level in USUAL.items())})
    table = pd.DataFrame(rows)[list(MULTIVERSE_COLUMNS)]
    unknown = ~table["usual"] & (table["segmentation"] == "band1um") & (table["method"] == "occlusion")
    table.loc[unknown, "estimate"] = np.nan
    return table.sample(frac=1, random_state=0)


def _run(run_folder: Path, table: pd.DataFrame) -> Run:
    missing = [name for name in TABLES["multiverse"].required if name not in table]
    run = Run.read(run_folder)
    at = sorted(set(table["magnification"]))
    patches = pd.concat([run.patches.assign(magnification=value) for value in at])
    metrics = pd.concat([run.metrics.assign(magnification=value) for value in at])
    found = run.changed(multiverse=table.assign(**dict.fromkeys(missing, "")), patches=patches, metrics=metrics)
    words = {"gradient": {"words": "gradient"}, "occlusion": {"words": "occlusion"}}
    return replace(found, record={**run.manifest, "methods": words})


def _own(table: pd.DataFrame, label: str, at: float = 20.0) -> pd.DataFrame:
    return table[(table["label"] == label) & (table["magnification"] == at) & table["estimate"].notna()]


def _says(rows: pd.DataFrame) -> list[str]:
    above = (ABOVE if estimate > 0 else BELOW for estimate in rows["estimate"])
    return [(c if sure else CONTROL_COLOUR).upper() for c, sure in zip(above, rows["significant"], strict=True)]


def _placed(table: pd.DataFrame, label: str, method: str) -> pd.DataFrame:
    """Rows of a class and method with their place in the order of the gradient's estimates."""
    own = _own(table, label)
    order = own[own["method"] == "gradient"].sort_values("estimate")[["segmentation", "min_confidence"]]
    order["place"] = np.arange(24) + 0.5
    return own[own["method"] == method].merge(order, how="left").sort_values("place", ignore_index=True)


def test_curves_are_in_the_order_of_the_study_s_method_and_the_study_is_marked(run_folder: Path, seen) -> None:
    table = _table()
    figure = seen.drawn(draw_multiverse(_run(run_folder, table)))
    together = {
        ("benign", "gradient"): "p = 0.0078, at least 13 of 24 specifications",
        ("benign", "occlusion"): "p = 0.4, at least 0 of 22 specifications",
        ("malignant", "gradient"): "could not have been found (p ≥ 0.062)",
        ("malignant", "occlusion"): "not tested together",
    }
    assert len(figure.axes) == 6
    for k, ((method, label), curve) in enumerate(zip(product(USUAL_FIRST, LABELS), figure.axes[:4], strict=True)):
        own = _placed(table, label, method)
        assert len(own) == {"gradient": 24, "occlusion": 22}[method]
        marks = seen.marks(curve)
        points, usual = marks[marks["shape"] == "o"], marks[marks["shape"] == "D"]
        points = points.sort_values("x")
        np.testing.assert_allclose(points[["x", "y"]], own[["place", "estimate"]])
        assert points["face"].tolist() == _says(own)
        assert set(_says(own)) == {ABOVE.upper(), BELOW.upper(), CONTROL_COLOUR.upper()}
        marked = own.loc[own["usual"], ["place", "estimate"]].assign(face=TRAINED_COLOUR.upper())
        assert usual[["x", "y", "face"]].to_numpy().tolist() == marked.to_numpy().tolist()
        assert len(marked) == (method == "gradient")
        ends = sorted((x, low, high) for (x, low), (_, high) in seen.segments(curve))
        np.testing.assert_allclose(ends, own[["place", "ci_low", "ci_high"]])
        low, high = table["ci_low"][table["estimate"].notna()].min(), table["ci_high"].max()
        pad = 0.08 * (high - low)
        assert curve.get_ylim() == pytest.approx((low - pad, high + pad), abs=0.05)
        assert curve.get_xlim() == pytest.approx((-0.48, 24.48))
        assert [line.get_ydata()[0] for line in curve.lines] == [0.0]
        assert curve.get_title() == f"{label}, 20×: {method}\n{together[label, method]}"
        assert curve.title.get_fontsize() == 7.0
        assert curve.get_ylabel() == ("" if k else "cytoplasm ÷ nuclei\n(ratio of densities, log axis)")
    gradient = seen.marks(figure.axes[0]).query("shape == 'o'").sort_values("x")
    assert gradient["y"].is_monotonic_increasing


def test_the_dashboard_has_a_cell_for_every_choice_in_the_first_curve_s_colour(run_folder: Path, seen) -> None:
    table = _table()
    figure = seen.drawn(draw_multiverse(_run(run_folder, table)))
    first = figure.axes[4]
    below = 0.125 * (len(ROWS) + 1)
    assert tuple(figure.get_size_inches()) == (7.0, pytest.approx(2 * 1.45 + below + 0.55))
    ratios = first.get_subplotspec().get_gridspec().get_height_ratios()
    assert ratios == pytest.approx([1.45, 1.45, below])
    assert list(seen.rows(first)) == ROWS
    assert seen.bold(first) == ["segmentation", "least confidence"]
    assert np.diff(list(seen.rows(first).values())) == pytest.approx(1.0)
    for label, curve, axes in zip(LABELS, figure.axes[:2], figure.axes[4:], strict=True):
        own = _placed(table, label, "gradient")
        assert axes.get_xlim() == curve.get_xlim()
        (mesh,) = [of for of in axes.collections if type(of).__name__ == "QuadMesh"]
        cells = np.ma.filled(np.ma.asarray(mesh.get_array()).astype(float), np.nan).reshape(len(ROWS), 24)
        level = {**dict(zip(ROWS[1:13], LEVELS["segmentation"], strict=True)), "0.9": 0.9, "0.99": 0.99}
        for row, words in zip(cells, ROWS, strict=True):
            value = level.get(words, words)
            chosen = (own[list(USUAL)] == value).any(axis=1).to_numpy()
            assert np.isfinite(row).tolist() == chosen.tolist()
            faces = [seen.hexed(mesh.cmap(mesh.norm(one))) for one in row[chosen]]
            assert faces == [says for says, has in zip(_says(own), chosen, strict=True) if has]
        place = int(np.flatnonzero(own["usual"])[0]) + 0.5
        (mark,) = axes.lines
        assert (list(mark.get_xdata()), mark.get_color()) == ([place, place], TRAINED_COLOUR)
        low, high = axes.get_ylim()
        assert (high, low) == (0.0, len(ROWS))


def test_a_baseline_is_a_line_of_the_dashboard_for_the_methods_that_have_one(run_folder: Path, seen) -> None:
    table = _table()
    of_one = table["method"] == "occlusion"
    white = table.assign(baseline=np.where(of_one, "white", ""))
    blurred = white[of_one].assign(baseline="blur", estimate=table["estimate"] + 0.1, sample=table["sample"] + 1000)
    figure = seen.drawn(draw_multiverse(_run(run_folder, pd.concat([white, blurred]))))
    lines = ["baseline", "blur", "white", *ROWS]
    assert list(seen.rows(figure.axes[4])) == lines
    assert len(figure.axes) == 6  # no curve of its own
    assert len(seen.marks(figure.axes[2]).query("shape == 'o'")) == 2 * 22
    (mesh,) = [of for of in figure.axes[4].collections if type(of).__name__ == "QuadMesh"]
    cells = np.ma.asarray(mesh.get_array()).reshape(len(lines), -1)
    # the gradient's places, which come first, have none
    assert np.ma.count(cells[:3], axis=1).tolist() == [0, 22, 22]
    assert np.ma.count(cells[:3, :24]) == 0


def test_a_place_that_the_study_s_method_lacks_comes_last(run_folder: Path, seen) -> None:
    table = _table()
    gone = (table["method"] == "gradient") & (table["segmentation"] == "nuclei+1um")
    figure = seen.drawn(draw_multiverse(_run(run_folder, table[~gone])))
    marks = seen.marks(figure.axes[2]).sort_values("x")
    others = _own(table, "benign").query("method == 'occlusion' and segmentation == 'nuclei+1um'")
    assert marks["x"].tolist()[-2:] == [22.5, 23.5]
    assert marks["y"].tolist()[-2:] == others.sort_values("min_confidence")["estimate"].tolist()
    assert seen.marks(figure.axes[0])["x"].max() == 21.5
    # the choices of these are shown in the colours of the method that has them
    (mesh,) = [of for of in figure.axes[4].collections if type(of).__name__ == "QuadMesh"]
    cells = np.ma.asarray(mesh.get_array()).reshape(len(ROWS), 24)
    assert (np.ma.count(cells, axis=0) == 2).all()
    row = cells[ROWS.index("nuclei +1 µm")]
    assert np.flatnonzero(~np.ma.getmaskarray(row)).tolist() == [22, 23]
    assert [seen.hexed(mesh.cmap(mesh.norm(one))) for one in row[22:]] == _says(others.sort_values("min_confidence"))
    assert figure.axes[0].get_xlim() == figure.axes[2].get_xlim() == pytest.approx((-0.48, 24.48))


def test_a_class_without_the_study_s_method_has_the_others(run_folder: Path, seen) -> None:
    table = _table()
    gone = (table["method"] == "gradient") & (table["label"] == "malignant")
    run = _run(run_folder, table.assign(estimate=table["estimate"].mask(gone)))
    figure = seen.drawn(draw_multiverse(run))
    assert figure.axes[1].get_title() == "malignant, 20×: gradient\nno estimate"
    assert not len(seen.marks(figure.axes[1]))
    own = _own(table, "malignant").query("method == 'occlusion'")
    (mesh,) = [of for of in figure.axes[5].collections if type(of).__name__ == "QuadMesh"]
    assert np.ma.asarray(mesh.get_array()).count() == 2 * len(own)
    assert "Malignant, 20×, gradient" not in caption_multiverse(run)


def test_a_choice_that_changes_nothing_is_left_out(run_folder: Path, seen) -> None:
    table = _table()
    same = table.assign(sample=table.groupby(["label", "method", "segmentation"])["sample"].transform("min"))
    run = _run(run_folder, same)
    figure = seen.drawn(draw_multiverse(run))
    assert list(seen.rows(figure.axes[4])) == ROWS[:13]
    own = _own(table, "benign").query("method == 'gradient' and min_confidence == 0.9").sort_values("estimate")
    marks = seen.marks(figure.axes[0]).query("shape == 'o'").sort_values("x")
    assert marks["y"].tolist() == own["estimate"].tolist()
    caption = caption_multiverse(run)
    assert " Changes nothing within a curve: least confidence (0.9, 0.99)." in caption
    assert " Benign, 20×, gradient: 12 specifications with values of their own, " in caption
    # the study's own level is the one that is kept
    late = same.assign(usual=(same["min_confidence"] == 0.99) & (same["method"] == "gradient"))
    shown = seen.marks(draw_multiverse(_run(run_folder, late)).axes[0])
    kept = _own(late, "benign").query("method == 'gradient' and min_confidence == 0.99")["estimate"]
    assert sorted(shown.query("shape == 'o'")["y"]) == sorted(kept)
    # what goes with the method is no choice, and leaves no method out
    other = table.assign(reduction=table["reduction"].mask(table["method"] == "occlusion", "none"))
    figure = seen.drawn(draw_multiverse(_run(run_folder, other)))
    assert list(seen.rows(figure.axes[4])) == ROWS
    assert seen.marks(figure.axes[2])["x"].max() < 24
    assert len(seen.marks(figure.axes[2])) == 22
    assert "within a curve: reduction of colours (l2, none)." in caption_multiverse(_run(run_folder, other))
    # where nothing but the method is chosen there is no dashboard
    one = _table().query("segmentation == 'usual' and min_confidence == 0.9")
    figure = draw_multiverse(_run(run_folder, one))
    assert len(figure.axes) == 4
    assert tuple(figure.get_size_inches()) == (7.0, pytest.approx(2 * 1.45 + 0.55))
    assert "gradient: 1 specification with values of its own" in caption_multiverse(_run(run_folder, one))


def test_the_legend_says_what_colours_mean(run_folder: Path, seen) -> None:
    run = _run(run_folder, _table())
    meaning = {
        "denser in cytoplasm, significant": (ABOVE.upper(),) * 2,
        "denser in nuclei, significant": (BELOW.upper(),) * 2,
        "not significant or not tested": (CONTROL_COLOUR.upper(),) * 2,
        "this study's own": (TRAINED_COLOUR.upper(),) * 2,
    }
    assert seen.legend(draw_multiverse(run)) == meaning
    band = {"range over segmentations": (CONTROL_COLOUR.upper(),) * 2}
    assert seen.legend(draw_segmentation(run)) == {**meaning, **band}


def test_a_method_has_the_words_that_were_recorded(run_folder: Path, seen) -> None:
    run = _run(run_folder, _table())
    named = replace(run, record={"methods": {"occlusion": {"words": "Grey squares"}, "gradient": {"words": "G"}}})
    # the study's own stands first, whatever the record's order
    titles = [axes.get_title().split("\n")[0] for axes in draw_multiverse(named).axes[:4:2]]
    assert titles == ["benign, 20×: G", "benign, 20×: Grey squares"]
    assert " Benign, 20×, Grey squares: 22 specifications" in caption_multiverse(named)


def test_the_caption_counts_what_agrees(run_folder: Path) -> None:
    table = _table()
    caption = caption_multiverse(_run(run_folder, table))
    ends = {
        ("benign", "gradient"): "p = 0.0078, at least 13 of 24 specifications.",
        ("benign", "occlusion"): "p = 0.4, at least 0 of 22 specifications (given these networks).",
        ("malignant", "gradient"): "few.",
        ("malignant", "occlusion"): "too many.",
    }
    for label, method in product(LABELS, USUAL_FIRST):
        own = _own(table, label).query(f"method == '{method}'")
        tested = own["significant"]
        above, sure, below = (
            f"{100 * share.mean():.0f} %"
            for share in (own["estimate"] > 0, tested & (own["estimate"] > 0), tested & (own["estimate"] < 0))
        )
        start = f" {label.capitalize()}, 20×, {method}: {len(own)} specifications with values of their own, denser in"
        said = f"{start} the cytoplasm in {above}, significantly so in {sure}, significantly denser in the nuclei in"
        assert f"{said} {below}; {ends[label, method]}" in caption
    assert "The same in all: reduction of colours l2" in caption
    assert caption.count("4 specifications without an estimate left out") == 1
    assert "95 % interval over slides" in caption
    assert 'of a curve together, from the signs of whole slides flipped in all of them at once. "At least"' in caption
    assert "(95 % bound for all together)" in caption
    networks = _run(run_folder, table.assign(p_attainable=np.nan))
    assert "of a curve together, with networks and slides as two samples. " in caption_multiverse(networks)
    untested = _run(run_folder, table.assign(p_attainable=np.nan, p_global=np.nan))
    assert "p is that of all analyses of a curve together. " in caption_multiverse(untested)


def test_untested_specifications_are_no_part_of_the_share_that_is_significant(run_folder: Path) -> None:
    table = _table()
    half = table["min_confidence"] == 0.99
    table.loc[half, ["status", "significant"]] = ["no_inference", False]
    own = _own(table, "benign").query("method == 'gradient'")
    tested = own[own["status"] == "tested"]
    sure = 100 * (tested["significant"] & (tested["estimate"] > 0)).mean()
    run = _run(run_folder, table)
    assert f"significantly so in {sure:.0f} %" in caption_multiverse(run)
    assert draw_multiverse(run).axes[0].get_title().endswith("at least 13 of 12 specifications")


def test_segmentations_are_those_of_the_study_and_the_band_is_their_range(run_folder: Path, seen) -> None:
    table = _table()
    run = _run(run_folder, table)
    figure = seen.drawn(draw_segmentation(run))
    names = seen.rows(figure.axes[0])
    assert tuple(figure.get_size_inches()) == (7.0, pytest.approx(12 * 0.17 + 0.45 + 0.5))
    assert list(names) == ROWS[1:13]
    assert not seen.bold(figure.axes[0])
    usual = table[(table["method"] == "gradient") & (table["min_confidence"] == 0.9)]
    for label, axes in zip(LABELS, figure.axes, strict=True):
        own = usual[usual["label"] == label].set_index("segmentation").loc[[*LEVELS["segmentation"]]]
        band = axes.patches[0].get_window_extent().transformed(axes.transData.inverted())
        assert (band.x0, band.x1) == pytest.approx((own["estimate"].min(), own["estimate"].max()))
        marks = seen.marks(axes).sort_values("y", kind="stable")
        points = marks[marks["shape"] == "o"]
        np.testing.assert_allclose(points[["x", "y"]], np.column_stack([own["estimate"], list(names.values())]))
        assert points["face"].tolist() == _says(own)
        assert marks.loc[marks["shape"] == "D", ["x", "y"]].to_numpy().tolist() == [[own["estimate"].iloc[0], 0.0]]
        assert seen.lines(axes) == set(zip(names.values(), own["ci_low"], own["ci_high"], strict=True))
        low, high = usual["ci_low"].min(), usual["ci_high"].max()
        pad = 0.08 * (high - low)
        assert axes.get_xlim() == pytest.approx((low - pad, high + pad))
        span = ratio_interval(own["estimate"].min(), own["estimate"].max())
        assert axes.get_title() == f"{label}, 20×: {span}"
        assert axes.get_xlabel() == "cytoplasm ÷ nuclei (ratio of densities, log axis)"
        own_words = f" {label.capitalize()}, 20×: {ratio(own['estimate'].iloc[0])}, over 12 segmentations {span}."
        assert own_words in caption_segmentation(run)
    assert figure.axes[0].get_ylim() == (11.6, -0.6)


def test_without_intervals_and_at_several_magnifications_it_is_drawn_too(
    run_folder: Path, tmp_path: Path, seen
) -> None:
    table = _table(tested=False, magnifications=(10.0, 20.0))
    run = _run(run_folder, table)
    with house_style():
        for name, draw in (("curve", draw_multiverse), ("segmentation", draw_segmentation)):
            figure = draw(run)
            titles = [axes.get_title().split(":")[0] for axes in figure.axes if axes.get_title()]
            times = {"curve": 2, "segmentation": 1}[name]  # a title for each method
            assert titles == [f"{label}, {at}×" for at in (10, 20) for label in LABELS * times]
            assert len(figure.axes) == {"curve": 12, "segmentation": 4}[name]
            assert save(figure, tmp_path / f"{name}.png").stat().st_size > 10_000
    curve = draw_multiverse(run).axes[6]
    own = _own(table, "benign").query("method == 'gradient'")["estimate"]
    np.testing.assert_allclose(seen.marks(curve)["y"][:24], np.sort(own))
    assert curve.get_title().endswith("not tested together")
    assert "significantly" not in caption_multiverse(run)


def test_marks_of_many_specifications_stay_apart(run_folder: Path, seen) -> None:
    few = _table()
    table = pd.concat(
        [
            few.assign(min_confidence=value, usual=False, sample=few["sample"] + 1e4 * value)
            for value in np.linspace(0.5, 0.89, 10)
        ]
    )
    curve = draw_multiverse(_run(run_folder, pd.concat([few, table]))).axes[0]
    n = 12 * 12
    assert seen.marks(curve)["size"].iloc[0] == pytest.approx(1200 / n + 2)
    (lines, *_) = [of for of in curve.collections if type(of).__name__ == "LineCollection"]
    assert lines.get_linewidths()[0] == pytest.approx(90 / n)
    small = draw_multiverse(_run(run_folder, few)).axes[0]
    assert seen.marks(small)["size"].iloc[0] == pytest.approx(16.0)


def test_nothing_to_draw_says_so(run_folder: Path, seen) -> None:
    run = _run(run_folder, _table().assign(estimate=np.nan))
    assert seen.nothing(draw_multiverse, run) == "no specification has an estimate"
    assert seen.nothing(draw_segmentation, run) == "no segmentation has an estimate"
    assert "96 specifications without an estimate left out" in caption_multiverse(run)
    assert caption_segmentation(run).startswith("The primary contrast")


@pytest.mark.parametrize(
    ("nuclei", "words"),
    [
        ("builtin", "the finder's threshold moved, cells"),
        ("classical", "the finder's threshold as it is, for it gives no probabilities, cells"),
    ],
)
def test_the_caption_says_whether_a_threshold_was_moved(run_folder: Path, nuclei: str, words: str) -> None:
    run = _run(run_folder, _table())
    vars(run)["settings"] = load(None, (f"compartments.nuclei={nuclei}",))
    assert words in caption_segmentation(run)


def test_a_table_that_lacks_a_column_or_numbers_is_refused(tmp_path: Path) -> None:
    _table().drop(columns="usual").to_csv(tmp_path / "multiverse.csv", index=False)
    with pytest.raises(StorageError, match=r"the columns .*usual.* are missing"):
        _ = Run(tmp_path, record={}).multiverse
    missing = [name for name in TABLES["multiverse"].required if name not in _table()]
    full = _table().assign(**dict.fromkeys(missing, ""), estimate="much")
    full.to_csv(tmp_path / "multiverse.csv", index=False)
    with pytest.raises(StorageError, match="no number"):
        _ = Run(tmp_path, record={}).multiverse


def test_drawn_twice_it_is_the_same_file(run_folder: Path, equal_bytes) -> None:
    run = _run(run_folder, _table())
    assert equal_bytes(lambda: draw_multiverse(run))
    assert equal_bytes(lambda: draw_segmentation(run))


def test_what_is_drawn_looks_as_it_means(run_folder: Path, seen) -> None:
    table = _table()
    figure = seen.drawn(draw_multiverse(_run(run_folder, table)))
    for curve, dashboard in zip(figure.axes[:2], figure.axes[4:], strict=True):
        lines = seen.intervals(curve)
        assert set(lines["opacity"]) == {0.45}
        assert set(lines["width"]) == {1.2}
        own = seen.marks(curve)
        own = own[own["shape"] == "D"]
        assert own["size"].tolist() == [36.0]
        points, usual = (found for found in curve.collections if type(found).__name__ == "PathCollection")
        assert usual.get_zorder() == 4 > points.get_zorder()
        assert points.get_linewidths()[0] == usual.get_linewidths()[0] == 0.0
        assert not curve.spines["bottom"].get_visible()
        assert not any(tick.label1.get_visible() for tick in curve.xaxis.get_major_ticks())
        (mesh,) = (found for found in dashboard.collections if type(found).__name__ == "QuadMesh")
        assert mesh.get_rasterized()
        (apart,) = (found for found in dashboard.collections if type(found).__name__ == "LineCollection")
        assert [line[0][1] for line in apart.get_segments()] == list(range(len(ROWS) + 1))
        assert {(line[0][0], line[1][0]) for line in apart.get_segments()} == {(0.0, 24.0)}
        assert (seen.hexed(apart.get_colors()[0]), apart.get_linewidths()[0]) == ("#FFFFFF", 1.8)
        assert dashboard.lines[0].get_linewidth() == 0.7
        assert not dashboard.spines["left"].get_visible()
        assert not dashboard.spines["bottom"].get_visible()
    assert {tick.get_fontsize() for tick in figure.axes[4].get_yticklabels()} == {6.0}
    # the middle of a row's name is the middle of its cells
    assert list(seen.rows(figure.axes[4]).values()) == [k + 0.5 for k in range(len(ROWS))]
    sizes = [handle.get_markersize() for handle in figure.legends[0].legend_handles]
    assert sizes == [4.0] * 4
    assert [handle.get_marker() for handle in figure.legends[0].legend_handles] == ["o", "o", "o", "D"]


def test_the_band_is_pale_and_the_study_s_own_stands_in_front(run_folder: Path, seen) -> None:
    figure = seen.drawn(draw_segmentation(_run(run_folder, _table())))
    for axes in figure.axes:
        (band,) = axes.patches
        assert (band.get_alpha(), seen.hexed(band.get_facecolor())) == (0.2, CONTROL_COLOUR.upper())
        points, usual = (found for found in axes.collections if type(found).__name__ == "PathCollection")
        assert usual.get_zorder() > points.get_zorder()
        assert set(seen.marks(axes)["size"]) == {21.0, 36.0}
        assert set(seen.intervals(axes)["width"]) == {1.3}
        assert points.get_linewidths()[0] == usual.get_linewidths()[0] == 0.0
    assert figure.legends[0].legend_handles[-1].get_alpha() == 0.2


def test_numbers_rise_and_what_a_choice_is_called(run_folder: Path, seen) -> None:
    table = _table().assign(min_confidence=lambda found: found["min_confidence"].replace({0.9: 0.95}))
    table = pd.concat([table, table.assign(min_confidence=0.5, usual=False, sample=table["sample"] + 1000)])
    names = list(seen.rows(seen.drawn(draw_multiverse(_run(run_folder, table))).axes[4]))
    assert names[-4:] == ["least confidence", "0.5", "0.95", "0.99"]
    reduced = pd.concat([_table(), _table().assign(reduction="l1", usual=False, sample=lambda t: t["sample"] + 1000)])
    names = list(seen.rows(seen.drawn(draw_multiverse(_run(run_folder, reduced))).axes[4]))
    # the study's own first
    assert names[:3] == ["reduction of colours", "l2", "l1"]


def test_a_classifier_at_chance_is_named_in_the_titles(run_folder: Path) -> None:
    run = _run(run_folder, _table())
    run = run.changed(metrics=run.metrics.assign(learned=False))
    for figure in (draw_multiverse(run), draw_segmentation(run)):
        assert [axes.get_title().split(":")[0] for axes in figure.axes[:2]] == [
            f"{label}, 20× (not shown to have learned)" for label in LABELS
        ]


@pytest.mark.parametrize("cells", CELLS)
def test_other_cells_have_words(run_folder: Path, cells: str) -> None:
    assert _words(Run.read(run_folder), "segmentation", f"cells-{cells}") == f"cells by {cells}"
