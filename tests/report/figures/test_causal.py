"""What replacing a compartment does, drawn from simulated tables."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.report.figures.causal import (
    caption_causal,
    draw_causal,
    replacement_words,
    replacements,
    shown_effects,
)
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, CONTROL_COLOUR, QUIET, TRAINED_COLOUR
from saliency_stats.report.population import points
from saliency_stats.report.run import Run
from saliency_stats.report.words import interval, number, p_sign
from saliency_stats.vocabulary import TISSUE

KINDS = {"mean": "local mean colour", "blur": "blur", "stain": "constant stain"}
LABELS = ("benign", "malignant")


@pytest.fixture(scope="module")
def run(replaced) -> Run:
    return replaced(slides=4, patches=6)


def _of(table: pd.DataFrame, label: str, kind: str, compartment: str) -> pd.DataFrame:
    rows = table[(table["label"] == label) & (table["replacement"] == kind)]
    return rows[rows["compartment"] == compartment]


def _sorted(table: pd.DataFrame) -> list[tuple[float, ...]]:
    return sorted(table.itertuples(index=False, name=None))


def test_the_diamonds_are_means_over_slides_and_the_dots_are_slides(run: Run, seen) -> None:
    figure = draw_causal(run)
    assert tuple(figure.get_size_inches()) == (7.0, pytest.approx(0.7 + 2 * 2.3))
    assert [axes.get_title(loc="left") for axes in figure.axes[::2]] == [f"{label}, 20×" for label in LABELS]
    found = shown_effects(run)
    for label, drops in zip(LABELS, figure.axes[::2], strict=True):
        marks = seen.marks(drops)
        assert [tick.get_text() for tick in drops.get_xticklabels()] == list(KINDS.values())
        assert list(drops.get_xticks()) == pytest.approx([1.0, 4.8, 8.6])
        assert drops.get_ylabel() == "drop of the logit ÷ area share"
        lines = {(round(x, 3), low, high) for (x, low), (_, high) in seen.segments(drops)}
        diamonds = marks[marks["shape"] == "D"]
        assert len(diamonds) == 18
        assert set(diamonds["edge"]) == {"#FFFFFF"}
        expected_lines, reach = set(), [0.0]
        for k, kind in enumerate(KINDS):
            for j, compartment in enumerate(TISSUE):
                rows = _of(found, label, kind, compartment)
                for column, aside, colour in (
                    ("drop_per_area", -0.16, TRAINED_COLOUR),
                    ("random_drop_per_area", 0.26, CONTROL_COLOUR),
                ):
                    at = 3.8 * k + j + aside
                    (one,) = diamonds[np.isclose(diamonds["x"], at)].itertuples()
                    mean = rows.groupby("slide_id")[column].mean().mean()
                    assert (one.y, one.face) == (pytest.approx(mean), colour.upper())
                    own = points(run, rows, column)
                    if np.isfinite(own.low):
                        expected_lines.add((round(at, 3), own.low, own.high))
                    reach += [own.mean, own.low, own.high]
                dots = marks[(marks["shape"] == "o") & ((marks["x"] - (3.8 * k + j - 0.16)).abs() < 0.17)]
                each = rows.groupby("slide_id")["drop_per_area"].mean().dropna()
                np.testing.assert_allclose(dots["y"], each)
                assert set(dots["face"]) == {COMPARTMENT_COLOURS[compartment].upper()}
                assert dots["x"].nunique() == len(dots)
                assert set(dots["size"]) == {11.0}
                assert 0.05 < (dots["x"] - (3.8 * k + j - 0.16)).abs().max() <= 0.17
                reach += each.tolist()
        assert lines == expected_lines
        low, high = np.nanmin(reach), np.nanmax(reach)
        pad = 0.06 * (high - low)
        assert drops.get_ylim() == pytest.approx((low - pad, high + pad))
        assert [line.get_ydata()[0] for line in drops.lines] == [0.0]


def test_the_scatter_shows_patches_and_their_slides(run: Run, seen) -> None:
    figure = draw_causal(run)
    found = shown_effects(run)
    found = found[found["replacement"] == "mean"]
    ledger = run.judged_ledger[run.judged_ledger["model"] == "trained"]
    both = found.merge(ledger[["patch_id", "compartment", "density_ratio"]], on=["patch_id", "compartment"])
    both = both.dropna(subset=["density_ratio", "drop_per_area"])
    both["density"] = np.log2(both["density_ratio"])
    for label, axes in zip(LABELS, figure.axes[1::2], strict=True):
        own = both[both["label"] == label]
        marks = seen.marks(axes)
        small, large = marks[marks["size"] < 5], marks[marks["size"] > 5]
        np.testing.assert_allclose(_sorted(small[["x", "y"]]), _sorted(own[["density", "drop_per_area"]]))
        means = own.groupby(["compartment", "slide_id"])[["density", "drop_per_area"]].mean()
        np.testing.assert_allclose(_sorted(large[["x", "y"]]), _sorted(means))
        colours = {COMPARTMENT_COLOURS[name].upper() for name in TISSUE}
        assert set(small["face"]) == set(large["face"]) == colours
        assert set(large["edge"]) == {"#FFFFFF"}
        low, high = np.percentile(own["drop_per_area"], [0.5, 99.5])
        low, high = min(low, 0.0), max(high, 0.0)
        assert axes.get_ylim() == pytest.approx((low - 0.06 * (high - low), high + 0.06 * (high - low)))
        low, high = np.percentile(both["density"], [0.5, 99.5])
        assert axes.get_xlim() == pytest.approx((low - 0.08 * (high - low), high + 0.08 * (high - low)))
        assert len(axes.lines) == 2
    assert [axes.get_xlabel() for axes in figure.axes[1::2]] == ["", "saliency density ratio (log axis)"]


def test_no_effect_is_inside_the_axes_where_every_drop_is_negative(run: Run) -> None:
    does = (run.ablation["logit"] - run.ablation["logit_ablated"]).abs()
    below = run.changed(ablation=run.ablation.assign(logit_ablated=run.ablation["logit"] + does))
    for axes in draw_causal(below).axes[1::2]:
        low, high = axes.get_ylim()
        assert high == pytest.approx(0.06 / 1.12 * (high - low))


def test_many_patches_are_thinned_alike_in_every_compartment(run: Run, seen, monkeypatch) -> None:
    full = seen.marks(draw_causal(run).axes[1])
    monkeypatch.setattr("saliency_stats.report.figures.causal._MOST_POINTS", 10)
    thin = seen.marks(draw_causal(run).axes[1])
    counts, before = (marks.loc[marks["size"] < 5, "face"].value_counts() for marks in (thin, full))
    step = before.sum() // 10
    assert step > 1
    assert (counts == -(-before // step)).all()
    assert (thin["size"] > 5).sum() == (full["size"] > 5).sum()


def test_wild_values_among_many_do_not_squeeze_the_rest(replaced, seen) -> None:
    run = replaced(slides=2, patches=12, known_slides=False)
    ablation = run.ablation.copy()
    first = ablation["patch_id"] == shown_effects(run)["patch_id"].iloc[0]
    ablation.loc[first, "logit_ablated"] = -1000.0
    axes = draw_causal(run.changed(ablation=ablation)).axes[0]
    assert seen.marks(axes)["y"].max() > 1000
    found = shown_effects(run.changed(ablation=ablation))
    found = found[found["label"] == "benign"]
    bulk = found.groupby(["replacement", "compartment"])["drop_per_area"].quantile(0.99).max()
    means = found.groupby(["replacement", "compartment"])[["drop_per_area", "random_drop_per_area"]].mean().max().max()
    assert axes.get_ylim()[1] == pytest.approx(max(bulk, means), rel=0.08)


def test_the_correlations_are_those_of_the_table(run: Run) -> None:
    rows = run.causal[(run.causal["contrast"] == "prediction") & (run.causal["model"] == "trained")]
    rows = rows[rows["test"] == "sign_flip"].set_index(["label", "replacement"])
    for label, axes in zip(LABELS, draw_causal(run).axes[1::2], strict=True):
        first, *lines = axes.get_title(loc="left").split("\n")
        assert first == f"within {int(rows.loc[label, 'n_slides'].max())} slides"
        for line, (kind, words) in zip(lines, KINDS.items(), strict=True):
            row = rows.loc[(label, kind)]
            assert line.startswith(f"{words}: ρ {number(row['rho'])}")  # noqa: RUF001 - rho
            assert line.endswith(f", {p_sign(row['p_adjusted'])}")
            assert (interval(row["rho_low"], row["rho_high"]) in line) == np.isfinite(row["rho_low"])


def test_without_the_primary_test_the_first_one_is_quoted(run: Run) -> None:
    other = run.causal[run.causal["test"] != "sign_flip"].assign(rho=0.123, rho_low=0.1, rho_high=0.2)
    text = draw_causal(run.changed(causal=other)).axes[1].get_title(loc="left")
    assert "ρ 0.12 (0.10 to 0.20)" in text  # noqa: RUF001 - rho
    both = run.changed(causal=pd.concat([other, run.causal]))
    assert "0.12" not in draw_causal(both).axes[1].get_title(loc="left")
    none = run.changed(causal=run.causal.iloc[:0])
    assert draw_causal(none).axes[1].get_title(loc="left") == "slides unknown"
    assert "rank correlation" not in caption_causal(none)
    assert "rank correlation within a slide, as a mean over slides with its 95 %" in caption_causal(
        run.changed(causal=other)
    )


def test_only_judged_patches_of_the_trained_network_are_shown(run: Run) -> None:
    judged = set(run.population.patches["patch_id"])
    shown = shown_effects(run)
    assert set(shown["patch_id"]) <= judged
    assert set(shown["model"]) == {"trained"}
    assert set(run.ablation["patch_id"]) - judged


def test_replacements_stand_in_order_and_one_of_ones_own_under_its_name() -> None:
    assert replacements(pd.DataFrame({"replacement": ["zero", "stain", "mean", "own", "mean"]})) == [
        *("mean", "stain", "own", "zero")
    ]
    assert [replacement_words(name) for name in (*KINDS, "own")] == [*KINDS.values(), "own"]


def test_the_legend_names_compartments_and_marks(run: Run, seen) -> None:
    assert seen.legend(draw_causal(run)) == {
        **{name: (COMPARTMENT_COLOURS[name].upper(),) * 2 for name in TISSUE},
        "mean and interval": (TRAINED_COLOUR.upper(),) * 2,
        "random region of the same area": (CONTROL_COLOUR.upper(),) * 2,
        "one slide": (QUIET.upper(),) * 2,
    }


def test_the_caption_says_what_is_replaced_and_how_sure_it_is(run: Run) -> None:
    text = caption_causal(run)
    assert "Dots are slides, diamonds their means with 95 % intervals (Student's t)." in text
    assert "against what replacing it does (local mean colour)" in text
    assert f" {shown_effects(run)['patch_id'].nunique()} judged patches are shown." in text


def test_nothing_replaced_is_said(run: Run, seen) -> None:
    words = "no judged patch had a compartment replaced"
    for ablation in (run.ablation.iloc[:0], run.ablation[run.ablation["model"] != "trained"]):
        bare = run.changed(ablation=ablation)
        assert [seen.nothing(of, bare) for of in (draw_causal, caption_causal)] == [words] * 2


def test_without_slides_there_are_no_intervals(replaced, seen) -> None:
    run = replaced(slides=2, patches=3, known_slides=False)
    figure = draw_causal(run)
    assert figure.axes[1].get_title(loc="left").startswith("slides unknown\n")
    assert not seen.segments(figure.axes[0])
    dots = seen.marks(figure.axes[0])
    assert set(dots.loc[dots["shape"] == "o", "size"]) == {2.5}
    assert (seen.marks(figure.axes[1])["size"] < 5).all()
    assert list(seen.legend(figure))[-1] == "one patch"
    text = caption_causal(run)
    assert "Dots are patches, because their slides are unknown, diamonds their means, without intervals" in text


def test_drawn_twice_it_is_the_same_file(run: Run, equal_bytes) -> None:
    assert equal_bytes(lambda: draw_causal(run))


def test_every_mark_has_its_size_and_every_panel_its_width(run: Run, seen) -> None:
    figure = draw_causal(run)
    ratios = figure.axes[0].get_subplotspec().get_gridspec().get_width_ratios()
    assert ratios == [1.45, 1.0]
    for drops, against in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        marks, lines = seen.marks(drops), seen.intervals(drops)
        assert set(marks.loc[marks["shape"] == "D", "size"]) == {17.6}
        assert set(lines["width"]) == {1.6}
        assert set(lines["colour"]) == {TRAINED_COLOUR.upper(), CONTROL_COLOUR.upper()}
        small, large = seen.marks(against).groupby("size").groups
        assert (small, large) == (3.0, 13.0)
        pale, full = against.collections
        assert (pale.get_alpha(), pale.get_rasterized(), full.get_alpha()) == (0.25, False, None)
        assert (pale.get_linewidths()[0], full.get_linewidths()[0]) == (0.0, 0.4)
        upright, level = against.lines
        assert (list(upright.get_xdata()), list(level.get_ydata())) == ([0.0, 0.0], [0.0, 0.0])
        assert against.get_ylabel() == drops.get_ylabel() == "drop of the logit ÷ area share"
        assert {tick.tick1line.get_markersize() for tick in drops.xaxis.get_major_ticks()} == {0.0}
        assert against.title.get_text() == drops.title.get_text() == ""
    mean, control, dot = figure.legends[0].legend_handles[3:]
    assert [(one.get_marker(), one.get_linestyle()) for one in (mean, control, dot)] == [
        *[("D", "-")] * 2,
        ("o", "None"),
    ]


def test_the_axis_reaches_each_of_few_slides(replaced, seen) -> None:
    run = replaced(slides=4, patches=6)
    ablation = run.ablation.copy()
    slide = ablation["slide_id"] == shown_effects(run)["slide_id"].iloc[0]
    ablation.loc[slide & (ablation["region"] == "compartment"), "logit_ablated"] = -60.0
    axes = draw_causal(run.changed(ablation=ablation)).axes[0]
    assert axes.get_ylim()[1] > seen.marks(axes)["y"].max() > 60


def test_a_panel_of_densities_spans_all_strata(replaced) -> None:
    run = replaced(slides=4, patches=5, magnifications=(10.0, 20.0))
    figure = draw_causal(run)
    assert figure.get_size_inches()[1] == pytest.approx(0.7 + 4 * 2.3)
    assert len({axes.get_xlim() for axes in figure.axes[1::2]}) == 1
    titles = [axes.get_title(loc="left") for axes in figure.axes[::2]]
    assert titles == [f"{label}, {at}×" for at in (10, 20) for label in LABELS]
    assert [bool(axes.get_xlabel()) for axes in figure.axes[1::2]] == [False] * 3 + [True]
