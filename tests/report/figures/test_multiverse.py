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
    caption_multiverse,
    caption_segmentation,
    draw_multiverse,
    draw_segmentation,
)
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, CONTROL_COLOUR, TRAINED_COLOUR, house_style, save
from saliency_stats.report.run import Run
from saliency_stats.report.words import ratio, ratio_interval
from saliency_stats.statistics.multiverse import DIMENSIONS, MULTIVERSE_COLUMNS

#: Levels of each dimension by name, the study's own first; a dimension without one here has a single level.
LEVELS = {
    "method": ("gradient", "occlusion"),
    "reduction": ("l2",),
    "segmentation": tuple(variant.name for variant in VARIANTS),
    "min_confidence": (0.9, 0.99),
}
USUAL = {name: LEVELS.get(name, ("same",))[0] for name in DIMENSIONS}
LABELS = ("benign", "malignant")
ABOVE, BELOW = COMPARTMENT_COLOURS["cytoplasm"], COMPARTMENT_COLOURS["nucleus"]
ROWS = [
    *("method", "gradient", "occlusion", "segmentation", "usual", "nuclei −1 µm", "nuclei −0.5 µm"),
    *("nuclei +0.5 µm", "nuclei +1 µm", "borders ±0.5 µm left out", "borders ±1 µm left out", "threshold −0.1"),
    *("threshold +0.1", "cells up to 2 µm", "cells up to 3 µm", "cells up to 8 µm"),
    *("least confidence", "0.9", "0.99"),
]


def _table(*, tested: bool = True, magnifications: tuple[float, ...] = (20.0,)) -> pd.DataFrame:
    """Every variant, two methods and two confidences, in random order; two of them without an estimate."""
    rng = np.random.default_rng(0)
    rows = []
    levels = (LEVELS.get(name, ("same",)) for name in DIMENSIONS)
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
        row |= {"significant": bool(p_value <= 0.05), "sample": len(rows) // 2}
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


def test_the_curve_is_sorted_and_the_study_is_marked(run_folder: Path, seen) -> None:
    table = _table()
    figure = seen.drawn(draw_multiverse(_run(run_folder, table)))
    for k, (label, curve) in enumerate(zip(LABELS, figure.axes[:2], strict=True)):
        own = _own(table, label).sort_values("estimate")
        marks = seen.marks(curve)
        points, usual = marks[marks["shape"] == "o"], marks[marks["shape"] == "D"]
        np.testing.assert_allclose(points[["x", "y"]], np.column_stack([np.arange(46) + 0.5, own["estimate"]]))
        assert points["face"].tolist() == _says(own)
        assert set(_says(own)) == {ABOVE.upper(), BELOW.upper(), CONTROL_COLOUR.upper()}
        place = int(np.flatnonzero(own["usual"])[0])
        assert usual[["x", "y", "face"]].to_numpy().tolist() == [
            [place + 0.5, own["estimate"].iloc[place], TRAINED_COLOUR.upper()]
        ]
        ends = sorted((x, low, high) for (x, low), (_, high) in seen.segments(curve))
        np.testing.assert_allclose(ends, np.column_stack([np.arange(46) + 0.5, own["ci_low"], own["ci_high"]]))
        low, high = table["ci_low"][table["estimate"].notna()].min(), table["ci_high"].max()
        pad = 0.08 * (high - low)
        assert curve.get_ylim() == pytest.approx((low - pad, high + pad), abs=0.05)
        assert curve.get_xlim() == pytest.approx((-0.92, 46.92))
        assert [line.get_ydata()[0] for line in curve.lines] == [0.0]
        assert curve.get_title() == f"{label}, 20×"
        assert curve.get_ylabel() == ("" if k else "cytoplasm ÷ nuclei\n(ratio of densities, log axis)")


def test_the_dashboard_has_a_cell_for_every_choice_in_the_curve_s_colour(run_folder: Path, seen) -> None:
    table = _table()
    figure = seen.drawn(draw_multiverse(_run(run_folder, table)))
    first = figure.axes[2]
    below = 0.125 * (len(ROWS) + 1)
    assert tuple(figure.get_size_inches()) == (7.0, pytest.approx(1.75 + below + 0.55))
    ratios = first.get_subplotspec().get_gridspec().get_height_ratios()
    assert ratios == pytest.approx([1.75, below])
    assert list(seen.rows(first)) == ROWS
    assert seen.bold(first) == ["method", "segmentation", "least confidence"]
    assert np.diff(list(seen.rows(first).values())) == pytest.approx(1.0)
    for label, curve, axes in zip(LABELS, figure.axes[:2], figure.axes[2:], strict=True):
        own = _own(table, label).sort_values("estimate")
        assert axes.get_xlim() == curve.get_xlim()
        (mesh,) = [of for of in axes.collections if type(of).__name__ == "QuadMesh"]
        cells = np.ma.filled(np.ma.asarray(mesh.get_array()).astype(float), np.nan).reshape(len(ROWS), 46)
        level = {**dict(zip(ROWS[4:16], LEVELS["segmentation"], strict=True)), "0.9": 0.9, "0.99": 0.99}
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
    names = list(seen.rows(seen.drawn(draw_multiverse(named)).axes[2]))
    assert names[:3] == ["method", "G", "Grey squares"]


def test_the_caption_counts_what_agrees(run_folder: Path) -> None:
    table = _table()
    caption = caption_multiverse(_run(run_folder, table))
    for label in LABELS:
        own = _own(table, label)
        tested = own["significant"]
        above, sure, below = (
            f"{100 * share.mean():.0f} %"
            for share in (own["estimate"] > 0, tested & (own["estimate"] > 0), tested & (own["estimate"] < 0))
        )
        assert f" {label.capitalize()}, 20×: 46 specifications ({own['sample'].nunique()} with values of" in caption
        assert f"their own), denser in the cytoplasm in {above}, significantly so in {sure}," in caption
        assert f"{sure}, significantly denser in the nuclei in {below}." in caption
    assert "The same in all: reduction of colours l2" in caption
    assert caption.count("4 specifications without an estimate left out") == 1
    assert "95 % interval over slides" in caption


def test_untested_specifications_are_no_part_of_the_share_that_is_significant(run_folder: Path) -> None:
    table = _table()
    half = table["min_confidence"] == 0.99
    table.loc[half, ["status", "significant"]] = ["no_inference", False]
    own = _own(table, "benign")
    tested = own[own["status"] == "tested"]
    sure = 100 * (tested["significant"] & (tested["estimate"] > 0)).mean()
    assert f"significantly so in {sure:.0f} %" in caption_multiverse(_run(run_folder, table))


def test_segmentations_are_those_of_the_study_and_the_band_is_their_range(run_folder: Path, seen) -> None:
    table = _table()
    run = _run(run_folder, table)
    figure = seen.drawn(draw_segmentation(run))
    names = seen.rows(figure.axes[0])
    assert tuple(figure.get_size_inches()) == (7.0, pytest.approx(12 * 0.17 + 0.45 + 0.5))
    assert list(names) == ROWS[4:16]
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
            assert titles == [f"{label}, {at}×" for at in (10, 20) for label in LABELS]
            assert len(figure.axes) == {"curve": 8, "segmentation": 4}[name]
            assert save(figure, tmp_path / f"{name}.png").stat().st_size > 10_000
    curve = draw_multiverse(run).axes[4]
    np.testing.assert_allclose(seen.marks(curve)["y"][:46], np.sort(_own(table, "benign")["estimate"]))
    assert "significantly" not in caption_multiverse(run)


def test_marks_of_many_specifications_stay_apart(run_folder: Path, seen) -> None:
    few = _table()
    table = pd.concat([few.assign(min_confidence=value, usual=False) for value in np.linspace(0.5, 0.89, 10)])
    curve = draw_multiverse(_run(run_folder, pd.concat([few, table]))).axes[0]
    n = 11 * 46
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
    for curve, dashboard in zip(figure.axes[:2], figure.axes[2:], strict=True):
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
        assert {(line[0][0], line[1][0]) for line in apart.get_segments()} == {(0.0, 46.0)}
        assert (seen.hexed(apart.get_colors()[0]), apart.get_linewidths()[0]) == ("#FFFFFF", 1.8)
        assert dashboard.lines[0].get_linewidth() == 0.7
        assert not dashboard.spines["left"].get_visible()
        assert not dashboard.spines["bottom"].get_visible()
    assert {tick.get_fontsize() for tick in figure.axes[2].get_yticklabels()} == {6.0}
    # the middle of a row's name is the middle of its cells
    assert list(seen.rows(figure.axes[2]).values()) == [k + 0.5 for k in range(len(ROWS))]
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
    table = pd.concat([table, table.assign(min_confidence=0.5, usual=False)])
    names = list(seen.rows(seen.drawn(draw_multiverse(_run(run_folder, table))).axes[2]))
    assert names[-4:] == ["least confidence", "0.5", "0.95", "0.99"]
    reduced = pd.concat([_table(), _table().assign(reduction="l1", usual=False)])
    names = list(seen.rows(seen.drawn(draw_multiverse(_run(run_folder, reduced))).axes[2]))
    # the study's own first
    assert names[3:6] == ["reduction of colours", "l2", "l1"]


def test_a_classifier_at_chance_is_named_in_the_titles(run_folder: Path) -> None:
    run = _run(run_folder, _table())
    run = run.changed(metrics=run.metrics.assign(learned=False))
    for figure in (draw_multiverse(run), draw_segmentation(run)):
        assert [axes.get_title().split(":")[0] for axes in figure.axes[:2]] == [
            f"{label}, 20× (classifier at chance)" for label in LABELS
        ]
