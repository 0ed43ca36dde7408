"""Densities and shares: each dot a slide's value, each diamond the mean, each piece of a bar a share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from saliency_stats.report.figures.density import (
    caption_area_vs_mass,
    caption_density_ratio,
    draw_area_vs_mass,
    draw_density_ratio,
)
from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    house_style,
    spread,
)
from saliency_stats.report.population import Points, points
from saliency_stats.report.run import Run
from saliency_stats.vocabulary import COMPARTMENTS

MODELS = ("trained", "randomised")


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


@pytest.fixture(scope="module")
def unknown(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Run:
    folder = tmp_path_factory.mktemp("density") / "run"
    return Run.read(make_run(folder, known_slides=False, slides=4, patches=6, magnifications=(10.0, 20.0)))


def _drawn(draw: Callable[[Run], Figure], run: Run) -> Figure:
    with house_style():
        figure = draw(run)
        figure.draw_without_rendering()
    return figure


def _points(run: Run, label: str, compartment: str, model: str, column: str, *, log2: bool) -> Points:
    rows = run.judged_ledger
    own = (rows["label"] == label) & (rows["compartment"] == compartment) & (rows["model"] == model)
    return points(run, rows[own & (rows["magnification"] == 20.0)], column, log2=log2)


@pytest.mark.parametrize("label", ["benign", "malignant"])
def test_dots_are_slides_and_diamonds_their_mean_with_its_interval(run: Run, label: str, seen) -> None:
    figure = _drawn(draw_density_ratio, run)
    axes = figure.axes[label == "malignant"]
    marks, intervals = seen.marks(axes), seen.intervals(axes)
    n = 0
    for k, model in enumerate(MODELS):
        ink = seen.hexed(TRAINED_COLOUR if model == "trained" else CONTROL_COLOUR)
        for place, compartment in enumerate(COMPARTMENTS):
            found = _points(run, label, compartment, model, "density_ratio", log2=True)
            centre = place + (k - 0.5) * 0.4
            n += found.each.size
            own = marks[(marks["x"] - centre).abs() < 0.12]
            dots, (mean,) = own[own["shape"] == "o"], own[own["shape"] == "D"].itertuples()
            np.testing.assert_allclose(dots["y"], found.each)
            np.testing.assert_allclose(dots["x"], centre + spread(found.each.size, 0.22))
            colour = COMPARTMENT_COLOURS[compartment].upper()
            assert set(dots["edge"]) == {colour}
            assert set(dots["face"]) == {colour if model == "trained" else "#FFFFFF"}  # a control's dots are open
            assert set(dots["size"]) == {11.0}
            assert (mean.x, mean.y) == pytest.approx((centre, found.mean))
            assert (mean.face, mean.edge, mean.size) == (ink, "#FFFFFF", pytest.approx(4.2**2))
            (limits,) = intervals[np.isclose(intervals["place"], centre)].itertuples()
            assert (limits.low, limits.high, limits.colour) == (found.low, found.high, ink)
            assert (limits.width, limits.opacity) == (1.5, 1.0)
    assert len(marks) == n + 8
    assert len(intervals) == 8
    dots = axes.collections[0]
    assert dots.get_alpha() == 0.75
    assert not dots.get_rasterized()
    assert dots.get_zorder() < axes.collections[-1].get_zorder()  # means stand before dots


def test_the_axis_of_densities_spans_everything_and_marks_one(run: Run, seen) -> None:
    figure = _drawn(draw_density_ratio, run)
    for axes in figure.axes:
        low, high = axes.get_ylim()
        values = pd.concat([seen.marks(each)["y"] for each in figure.axes])
        limits = pd.concat([seen.intervals(each) for each in figure.axes])
        top, bottom = max(values.max(), limits["high"].max()), min(values.min(), limits["low"].min())
        assert (low, high) == pytest.approx((bottom - 0.08 * (top - bottom), top + 0.08 * (top - bottom)))
        (one,) = (line for line in axes.lines if line.get_color() == QUIET)
        assert list(one.get_ydata()) == [0.0, 0.0]
        assert axes.get_legend() is None
        assert axes.get_xlim() == (-0.6, 3.6)
        assert list(axes.get_xticks()) == [0, 1, 2, 3]
        assert [text.get_text() for text in axes.get_xticklabels()] == list(COMPARTMENTS)
        assert axes.get_xlabel() == ""
    assert [axes.get_ylabel() for axes in figure.axes] == ["density ratio (1 = like the whole patch)", ""]
    n = run.population.patches["label"].value_counts()
    assert [axes.get_title() for axes in figure.axes] == [
        f"benign, 20×: {n['benign']} patches, 8 slides",
        f"malignant, 20×: {n['malignant']} patches, 8 slides",
    ]
    assert figure.get_size_inches()[1] == 3.1


def test_the_legend_of_densities(run: Run, unknown: Run) -> None:
    handles = _drawn(draw_density_ratio, run).legends[0].legend_handles
    labels = [handle.get_label() for handle in handles]
    assert labels == ["trained", "randomised control", "one slide", "as dense as the whole patch"]
    assert [handle.get_marker() for handle in handles] == ["D", "D", "o", "None"]
    assert [handle.get_color() for handle in handles] == [TRAINED_COLOUR, CONTROL_COLOUR, QUIET, QUIET]
    assert [handle.get_linestyle() for handle in handles] == ["-", "-", "None", "--"]
    dot = _drawn(draw_density_ratio, unknown).legends[0].legend_handles[2]
    assert dot.get_label() == "one patch (slides unknown: no interval)"


def test_without_slides_dots_are_patches_and_the_axis_spans_their_bulk(unknown: Run, seen) -> None:
    figure = _drawn(draw_density_ratio, unknown)
    assert len(figure.axes) == 4
    assert figure.get_size_inches()[1] == 5.6
    for axes in figure.axes:
        assert seen.intervals(axes).empty
        marks = seen.marks(axes)
        assert set(marks.loc[marks["shape"] == "o", "size"]) == {2.5}
        assert (marks["shape"] == "D").sum() == 8
        assert axes.collections[0].get_rasterized()
        assert axes.collections[0].get_alpha() == 0.35
        assert axes.get_title().endswith("patches, slides unknown")
    bulk: list[float] = []
    for label in ("benign", "malignant"):
        for magnification in (10.0, 20.0):
            for model in MODELS:
                for compartment in COMPARTMENTS:
                    rows = unknown.judged_ledger
                    own = (rows["label"] == label) & (rows["magnification"] == magnification) & (rows["model"] == model)
                    each = points(unknown, rows[own & (rows["compartment"] == compartment)], "density_ratio", log2=True)
                    bulk += np.percentile(each.each, [1.0, 99.0]).tolist()
    low, high = min(bulk), max(bulk)
    assert figure.axes[0].get_ylim() == pytest.approx((low - 0.08 * (high - low), high + 0.08 * (high - low)))
    assert "Each small dot is one patch" in caption_density_ratio(unknown)
    assert "No interval is drawn" in caption_density_ratio(unknown)
    assert "means over patches" in caption_area_vs_mass(unknown)


def test_shares_stack_to_one_in_the_order_of_compartments(run: Run) -> None:
    figure = _drawn(draw_area_vs_mass, run)
    for axes, label in zip(figure.axes, ("benign", "malignant"), strict=True):
        bars = [("trained", "area_share"), ("trained", "mass_share"), ("randomised", "mass_share")]
        left = np.zeros(3)
        for drawn, compartment in zip(axes.containers, COMPARTMENTS, strict=True):
            expected = [_points(run, label, compartment, model, column, log2=False).mean for model, column in bars]
            np.testing.assert_allclose([bar.get_width() for bar in drawn], expected)
            np.testing.assert_allclose([bar.get_x() for bar in drawn], left)
            np.testing.assert_allclose([bar.get_y() + bar.get_height() / 2 for bar in drawn], range(3))
            assert {bar.get_height() for bar in drawn} == {0.72}
            assert {bar.get_facecolor() for bar in drawn} == {to_rgba(COMPARTMENT_COLOURS[compartment])}
            left += expected
        np.testing.assert_allclose(left, 1.0)
        widths = [bar.get_width() for drawn in axes.containers for bar in drawn]
        said = [text.get_text() for text in axes.texts]
        assert said == [f"{100 * width:.0f}" if width >= 0.04 else "" for width in widths]
        assert "" in said or min(widths) >= 0.04
        inks = [text.get_color() for text in axes.texts[::3]]
        assert inks == ["white", "black", "white", "white"]
        assert axes.get_xlim() == (0.0, 1.0)
        assert axes.get_ylim() == (2.5, -0.5)
        np.testing.assert_allclose(axes.get_xticks(), [0, 0.25, 0.5, 0.75, 1])
        assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "25", "50", "75", "100 %"]
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["area", "saliency, trained", "saliency, randomised control"]
    assert list(figure.axes[0].get_yticks()) == [0, 1, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(COMPARTMENTS)
    assert [axes.get_title() for axes in figure.axes] == ["benign, 20×", "malignant, 20×"]
    assert figure.get_size_inches()[1] == pytest.approx(0.5 + 0.45 + 0.34 * 3)
    assert "means over slides" in caption_area_vs_mass(run)


def test_a_share_that_is_narrow_carries_no_number(run: Run) -> None:
    for share, words in ((0.04, "4"), (0.0399, "")):
        rows = run.ledger.assign(
            area_share=run.ledger["compartment"].map(lambda name, s=share: s if name == "stroma" else 0.3)
        )
        axes = _drawn(draw_area_vs_mass, run.changed(ledger=rows)).axes[0]
        assert axes.texts[6].get_text() == words
        assert axes.containers[2][0].get_width() == pytest.approx(share)


def test_the_captions_say_what_dots_and_lines_are(run: Run) -> None:
    text = caption_density_ratio(run)
    assert "Each small dot is one slide (the geometric mean of its patches)" in text
    assert "geometric mean over slides with its 95 % interval (Student's t over slides)" in text


def test_nothing_judged_is_said(run: Run, seen) -> None:
    nothing = run.changed(predictions=run.predictions.assign(p_malignant=0.5))
    for draw in (draw_density_ratio, draw_area_vs_mass):
        words = "no patch of the evaluation split was classified correctly and confidently"
        assert seen.nothing(draw, nothing) == words
