"""The magnification figures and table show the numbers of the run's own tables, and say where there is no finding."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saliency_stats.report.figures.magnification import (
    caption_compartments,
    caption_magnification,
    draw_compartments,
    draw_magnification,
    has_magnifications,
)
from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    house_style,
)
from saliency_stats.report.population import points, unit_means
from saliency_stats.report.run import Run
from saliency_stats.report.tables.contrasts import differences_table
from saliency_stats.report.tables.magnification import magnification_tables, model_rows, model_table
from saliency_stats.report.words import ratio

MAGNIFICATIONS = (5.0, 10.0, 20.0, 40.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Run:
    """Four magnifications, of which the classifier learned nothing at the coarsest."""
    folder = tmp_path_factory.mktemp("magnifications") / "run"
    return Run.read(make_run(folder, magnifications=(5.0, 10.0, 20.0, 40.0), chance=(5.0,), slides=7, patches=6))


def _drawn(run: Run, draw: Callable[[Run], Figure] = draw_magnification) -> Figure:
    with house_style():
        figure = draw(run)
        figure.draw_without_rendering()
    return figure


def _marks(seen, axes: Axes, colour: str, marker: str = "o") -> pd.DataFrame:
    """Return the marks of means, by their place."""
    found = seen.marks(axes)
    return found[(found["edge"] == colour.upper()) & (found["shape"] == marker)].set_index("x").sort_index()


def _unknown(run: Run) -> Run:
    tables = {name: getattr(run, name).assign(slide_id="") for name in ("patches", "ledger")}
    contrasts = run.own_contrasts.assign(ci_low=np.nan, ci_high=np.nan, reason="the slides of the patches are unknown")
    return run.changed(**tables, contrasts=contrasts)


def _with_statistics(run: Run, **changes: object) -> Run:
    other = run.changed()
    statistics = run.settings.statistics.model_copy(update=changes)
    vars(other)["settings"] = run.settings.model_copy(update={"statistics": statistics})
    return other


def _words(figure: Figure) -> str:
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return " | ".join([*texts, *(text.get_text() for axes in figure.axes for text in axes.texts)])


def test_the_means_are_those_of_the_contrasts_and_the_accuracy_that_of_the_metrics(run: Run, seen) -> None:
    figure = _drawn(run)
    rows = run.primary_contrasts
    rows = rows[rows["model"] == "trained"].set_index(["label", "magnification"])
    scores = run.own_metrics[(run.own_metrics["model"] == "trained") & (run.own_metrics["split"] == "test")]
    scores = scores.set_index("magnification")["balanced_accuracy"]
    assert [axes.get_title() for axes in figure.axes] == ["benign", "malignant", "the classifier"]
    for axes in figure.axes:
        marks = _marks(seen, axes, TRAINED_COLOUR)
        np.testing.assert_allclose(marks.index, np.log2([5, 10, 20, 40]))
        label = axes.get_title()
        expected = scores if label == "the classifier" else rows["estimate"][label]
        assert marks["y"].tolist() == expected[list(MAGNIFICATIONS)].tolist()
        assert (marks["face"] == "#FFFFFF").tolist() == [True, False, False, False]
        assert marks["size"].tolist() == pytest.approx([5.5**2] * 4)
        ticks = [text.get_text() for text in axes.get_xticklabels()]
        assert ticks == ["5×\n(hollow)", "10×", "20×", "40×"]


def test_intervals_are_drawn_where_there_is_a_finding(run: Run, seen) -> None:
    rows = run.primary_contrasts
    for axes in _drawn(run).axes[:2]:
        drawn = seen.intervals(axes)
        own = rows[(rows["model"] == "trained") & (rows["label"] == axes.get_title()) & np.isfinite(rows["ci_low"])]
        own = own.sort_values("magnification")
        assert drawn["place"].tolist() == pytest.approx(np.log2([10, 20, 40]))
        assert drawn[["low", "high"]].to_numpy().tolist() == own[["ci_low", "ci_high"]].to_numpy().tolist()
        assert set(drawn["colour"]) == {TRAINED_COLOUR.upper()}
        assert set(drawn["width"]) == {1.5}
    accuracy = seen.intervals(_drawn(run).axes[2])
    scores = run.scored.sort_values("magnification")[["balanced_accuracy_low", "balanced_accuracy_high"]]
    assert accuracy[["low", "high"]].to_numpy().tolist() == scores.to_numpy().tolist()


def test_a_thin_line_joins_each_slide_over_its_magnifications(run: Run) -> None:
    values = run.primary_values
    for axes in _drawn(run).axes[:2]:
        own = values[(values["label"] == axes.get_title()) & values["value"].notna()]
        means = own.pivot_table(index="slide_id", columns="magnification", values="value")[list(MAGNIFICATIONS)]
        lines = [line for line in axes.lines if line.get_marker() == "."]
        assert len(lines) == len(means) > 4
        for line, (_, each) in zip(lines, means.iterrows(), strict=True):
            np.testing.assert_allclose(line.get_ydata(), each.dropna())
            np.testing.assert_allclose(line.get_xdata(), np.log2(each.dropna().index.astype(float)))


def test_the_mean_of_the_thin_lines_is_the_thick_one(run: Run) -> None:
    values = run.primary_values
    rows = run.primary_contrasts
    for label in run.labels:
        means = unit_means(run, values[values["label"] == label])
        own = rows[(rows["model"] == "trained") & (rows["label"] == label)].set_index("magnification")["estimate"]
        np.testing.assert_allclose(means.mean(), own[means.columns], atol=1e-12)


def test_a_patients_mean_is_that_of_the_patients_slides(run: Run) -> None:
    values = pd.DataFrame(
        {"patch_id": list("abcd"), "magnification": 20.0, "value": [1.0, 2.0, 3.0, 9.0], "slide_id": list("ssst")}
    ).assign(patient_id="q")
    assert (
        unit_means(_with_statistics(run, unit="patient"), values).loc["q", 20.0] == 5.5
    )  # of 2 and 9, not of four patches


def test_the_control_is_a_grey_broken_line(run: Run) -> None:
    rows = run.primary_contrasts
    for axes in _drawn(run).axes[:2]:
        own = rows[(rows["model"] == "randomised") & (rows["label"] == axes.get_title())].set_index("magnification")
        pieces = [line for line in axes.lines if line.get_color() == CONTROL_COLOUR]
        assert [line.get_linestyle() for line in pieces] == ["--"]
        assert pieces[0].get_ydata().tolist() == own["estimate"][list(MAGNIFICATIONS)].tolist()
        np.testing.assert_allclose(pieces[0].get_xdata(), np.log2(MAGNIFICATIONS))
        assert pieces[0].get_linewidth() == 1.3
    bare = run.changed(
        ledger=run.own_ledger[run.own_ledger["model"] == "trained"],
        contrasts=run.contrasts[run.contrasts["model"] == "trained"],
    )
    assert "control" not in _words(_drawn(bare))
    assert "control" not in caption_magnification(bare)


def test_every_compartment_class_and_magnification_is_in_one_picture(run: Run, seen) -> None:
    ledger = run.judged_ledger
    ledger = ledger[ledger["model"] == "trained"]
    figure = _drawn(run, draw_compartments)
    assert [axes.get_title() for axes in figure.axes] == ["benign", "malignant"]
    for axes in figure.axes:
        for compartment, marker in (("nucleus", "o"), ("cytoplasm", "s"), ("stroma", "D")):
            marks = _marks(seen, axes, COMPARTMENT_COLOURS[compartment], marker)
            assert len(marks) == 4
            for magnification, mark in zip(MAGNIFICATIONS, marks.itertuples(), strict=True):
                rows = ledger[
                    (ledger["label"] == axes.get_title())
                    & (ledger["magnification"] == magnification)
                    & (ledger["compartment"] == compartment)
                ]
                assert mark.y == points(run, rows, "density_ratio", log2=True).mean
                assert (mark.face == "#FFFFFF") is (magnification == 5.0)
        assert len(seen.marks(axes)) == 12


def test_chance_is_said(run: Run) -> None:
    for draw, caption in ((draw_magnification, caption_magnification), (draw_compartments, caption_compartments)):
        assert "hollow: not shown to have learned, no finding" in _words(_drawn(run, draw))
        assert "Hollow marks, at 5×: the classifier is not shown to have learned the classes here" in caption(run)
        sure = run.changed(metrics=run.own_metrics.assign(learned=True))
        assert "hollow" not in _words(_drawn(sure, draw))
        assert "Hollow" not in caption(sure)


def _segments(axes: Axes, colour: str) -> list[tuple[float, float, str, float]]:
    """Pieces of a line of means: from where to where, their style and width."""
    pieces = [line for line in axes.lines if line.get_color() == colour and len(line.get_xdata()) == 2]
    level = [line for line in pieces if np.ptp(line.get_xdata()) > 0 and line.get_marker() in {"None", ""}]
    return [(*line.get_xdata(), line.get_linestyle(), line.get_linewidth()) for line in level]


def test_what_leads_to_a_magnification_at_chance_is_dotted(run: Run) -> None:
    places = np.log2(MAGNIFICATIONS)
    for axes, width in zip(_drawn(run).axes, (2.0, 2.0, 1.2), strict=True):
        assert _segments(axes, TRAINED_COLOUR) == [
            (places[0], places[1], ":", 0.9),
            (places[1], places[2], "-", width),
            (places[2], places[3], "-", width),
        ]
    for axes in _drawn(run, draw_compartments).axes:
        for k, compartment in enumerate(("nucleus", "cytoplasm", "stroma")):
            found = _segments(axes, COMPARTMENT_COLOURS[compartment])
            assert [(style, width) for *_, style, width in found] == [(":", 0.9), ("-", 2.0), ("-", 2.0)]
            np.testing.assert_allclose([start for start, *_ in found], places[:3] + 0.07 * (k - 1))
            np.testing.assert_allclose([end for _, end, *_ in found], places[1:] + 0.07 * (k - 1))
    middle = run.changed(metrics=run.metrics.assign(learned=run.metrics["magnification"] != 10.0))
    assert [style for *_, style, _ in _segments(_drawn(middle).axes[0], TRAINED_COLOUR)] == [":", ":", "-"]


def test_the_axes_are_named_and_span_what_is_drawn(run: Run) -> None:
    figure = _drawn(run)
    benign, malignant, classifier = figure.axes
    rows = run.primary_contrasts
    rows = rows[rows["model"].isin(["trained", "randomised"])]
    shown = rows[["estimate", "ci_low", "ci_high"]].to_numpy().ravel().tolist()
    for label in run.labels:
        values = run.primary_values
        shown += unit_means(run, values[values["label"] == label]).to_numpy().ravel().tolist()
    low, high = np.nanmin([*shown, -0.3]), np.nanmax([*shown, 0.3])
    pad = 0.08 * (high - low)
    for axes in (benign, malignant):
        assert axes.get_ylim() == pytest.approx((low - pad, high + pad))
        reference = next(line for line in axes.lines if line.get_color() == QUIET)
        assert list(reference.get_ydata()) == [0.0, 0.0]
        texts = {text.get_text(): (text.get_position(), text.get_va()) for text in axes.texts}
        assert texts == {
            "↑ denser in cytoplasm": ((0.02, 1.0), "top"),
            "↓ denser in nuclei": ((0.02, 0.0), "bottom"),
        }
    assert benign.get_ylabel() == "saliency density, cytoplasm ÷ nuclei"
    assert malignant.get_ylabel() == ""
    assert [any(text.get_text() for text in axes.get_yticklabels()) for axes in (benign, malignant)] == [True, False]
    for axes in figure.axes:
        assert axes.get_xlim() == pytest.approx((np.log2(5) - 0.35, np.log2(40) + 0.35))
        assert axes.get_xlabel() == "magnification"
    assert classifier.get_ylabel() == "balanced accuracy"
    assert classifier.get_ylim() == (0.45, 1.02)
    chance = next(line for line in classifier.lines if line.get_color() == QUIET)
    assert list(chance.get_ydata()) == [0.5, 0.5]
    assert [text.get_text() for text in classifier.texts] == ["chance"]
    assert classifier.texts[0].get_window_extent().y1 < classifier.transData.transform((0.0, 0.5))[1]  # below its line
    assert tuple(figure.get_size_inches()) == (7.0, 3.0)
    low = run.changed(metrics=run.metrics.assign(balanced_accuracy_low=0.42))
    assert _drawn(low).axes[2].get_ylim() == pytest.approx((0.39, 1.02))


def test_the_density_panels_span_what_is_drawn(run: Run, seen) -> None:
    figure = _drawn(run, draw_compartments)
    parts = [(seen.marks(axes)["y"], *(seen.intervals(axes)[end] for end in ("low", "high"))) for axes in figure.axes]
    shown = np.concatenate([np.concatenate(part) for part in parts])
    low, high = min(shown.min(), -0.3), max(shown.max(), 0.3)
    pad = 0.08 * (high - low)
    for axes in figure.axes:
        assert axes.get_ylim() == pytest.approx((low - pad, high + pad))
        assert not axes.texts
    assert [axes.get_ylabel() for axes in figure.axes] == ["density ratio (1 = like the whole patch)", ""]
    assert tuple(figure.get_size_inches()) == (7.0, 3.0)


def test_compartments_have_intervals_where_there_is_a_finding(run: Run, seen) -> None:
    ledger = run.judged_ledger
    for axes in _drawn(run, draw_compartments).axes:
        for k, compartment in enumerate(("nucleus", "cytoplasm", "stroma")):
            drawn = seen.intervals(axes)
            drawn = drawn[drawn["colour"] == COMPARTMENT_COLOURS[compartment].upper()]
            assert len(drawn) == 3
            for magnification, line in zip(MAGNIFICATIONS[1:], drawn.itertuples(), strict=True):
                assert line.place == pytest.approx(np.log2(magnification) + 0.07 * (k - 1))
                rows = ledger[(ledger["magnification"] == magnification) & (ledger["label"] == axes.get_title())]
                rows = rows[(rows["model"] == "trained") & (rows["compartment"] == compartment)]
                found = points(run, rows, "density_ratio", log2=True)
                assert (line.low, line.high) == (found.low, found.high)


def test_the_legends_name_every_mark(run: Run) -> None:
    handles = _drawn(run).legends[0].legend_handles
    assert [(handle.get_label(), handle.get_linestyle(), handle.get_marker()) for handle in handles] == [
        ("trained: mean over slides with 95 % interval", "-", "o"),
        ("one slide", "-", "None"),
        ("randomised control", "--", "None"),
        ("hollow: not shown to have learned, no finding", ":", "o"),
    ]
    assert [handle.get_linewidth() for handle in handles] == [2.0, 0.5, 1.3, 0.9]
    assert [handle.get_color() for handle in handles] == [
        TRAINED_COLOUR,
        TRAINED_COLOUR,
        CONTROL_COLOUR,
        TRAINED_COLOUR,
    ]
    assert handles[-1].get_markerfacecolor() == "white"
    handles = _drawn(run, draw_compartments).legends[0].legend_handles[:3]
    assert [(handle.get_label(), handle.get_marker(), handle.get_color()) for handle in handles] == [
        (name, marker, COMPARTMENT_COLOURS[name])
        for name, marker in (("nucleus", "o"), ("cytoplasm", "s"), ("stroma", "D"))
    ]


def test_unknown_slides_have_neither_lines_nor_intervals(run: Run, seen) -> None:
    unknown = _unknown(run)
    figure = _drawn(unknown)
    assert not [line for axes in figure.axes for line in axes.lines if line.get_marker() == "."]
    assert "mean over patches" in _words(figure)
    assert "slides are unknown; it has no interval" in caption_magnification(unknown)
    assert "slides are unknown; they have no interval" in caption_compartments(unknown)
    for axes in figure.axes[:2]:
        assert len(_marks(seen, axes, TRAINED_COLOUR)) == 4
        assert seen.intervals(axes).empty


def test_a_mean_without_an_interval_says_why(run: Run) -> None:
    reason = "sign flips over 5 units set no finite interval at this level"
    few = run.changed(contrasts=run.contrasts.assign(ci_low=np.nan, ci_high=np.nan, reason=reason, status="tested"))
    assert f"Means without an interval: {reason}." in caption_magnification(few)
    assert "interval" not in _words(_drawn(few))
    assert "trained: mean over slides with 95 % interval" in _words(_drawn(run))


def test_one_class_and_nothing_judged(run: Run, seen) -> None:
    benign = {name: getattr(run, name).query("label == 'benign'") for name in ("patches", "ledger", "contrasts")}
    assert [axes.get_title() for axes in _drawn(run.changed(**benign)).axes] == ["benign", "the classifier"]
    assert [axes.get_title() for axes in _drawn(run.changed(**benign), draw_compartments).axes] == ["benign"]
    nothing = run.changed(
        predictions=run.own_predictions.assign(p_malignant=0.5),
        contrasts=run.contrasts.assign(estimate=np.nan),
    )
    assert seen.nothing(draw_magnification, nothing) == "no judged patch has both nuclei and cytoplasm"
    words = "no patch of the evaluation split was classified correctly and confidently"
    assert seen.nothing(draw_compartments, nothing) == words
    assert magnification_tables(nothing) == ()


def test_one_magnification_is_no_comparison(run: Run, run_folder: Path) -> None:
    assert has_magnifications(run)
    one = Run.read(run_folder)
    assert not has_magnifications(one)
    assert magnification_tables(one) == ()


def test_no_words_cover_one_another_and_nothing_lies_outside(run: Run) -> None:
    for draw in (draw_magnification, draw_compartments):
        figure = _drawn(run, draw)
        parts = [axes.get_tightbbox() for axes in figure.axes] + [
            legend.get_window_extent() for legend in figure.legends
        ]
        for k, one in enumerate(parts):
            assert min(one.x0, one.y0) >= 0
            assert one.x1 <= figure.bbox.x1
            assert not any(one.overlaps(other) for other in parts[:k])


def test_the_model_leaves_out_what_did_not_learn(run: Run) -> None:
    rows = model_rows(run)
    assert sorted(set(rows["magnification"])) == [10.0, 40.0]
    table = model_table(run)
    assert "Left out, because the classifier is not shown to have learned there: 5×." in table.note
    assert [cells[:3] for cells in table.rows] == [
        (f"{mag}× against 20×", label, "mixed model") for label in ("benign", "malignant") for mag in (10, 40)
    ]
    assert [cells[3] for cells in table.rows] == [ratio(value) for value in rows["estimate"]]
    assert all(len(cells) == len(table.columns) for cells in table.rows)


def test_a_model_that_cannot_be_fitted_says_why(run: Run) -> None:
    table = model_table(_unknown(run))
    assert {cells[2] for cells in table.rows} == {"no model"}
    assert {cells[3] for cells in table.rows} == {"—"}
    assert "Benign and malignant, no model: the slides of the patches are unknown" in table.note
    assert "no value at the reference 5×" in model_table(_with_statistics(run, reference_magnification=5.0)).note


def test_differences_stand_by_question_class_and_magnification(run: Run) -> None:
    table = differences_table(run)
    against = [(cells[0], cells[1]) for cells in table.rows if cells[2] == "against the reference magnification"]
    assert against == [(f"{mag}× against 20×", label) for label in ("benign", "malignant") for mag in (5, 10, 40)]
    # a reason that many rows share is said once
    assert table.note.count("is not shown to have learned the classes") == 1
    one = run.changed(patches=run.patches.query("label == 'benign'"))
    assert "both" not in {cells[1] for cells in differences_table(one).rows}
