"""The logit while a compartment is taken away or put back: means over slides, with their intervals."""

import numpy as np
import pytest

from saliency_stats.report.figures.curves import caption_curves, draw_curves, shown_curves
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS
from saliency_stats.report.population import points
from saliency_stats.report.run import Run
from saliency_stats.vocabulary import TISSUE

LABELS = ("benign", "malignant")
DIRECTIONS = {"deletion": "taken away", "insertion": "put back alone"}


@pytest.fixture(scope="module")
def run(replaced) -> Run:
    return replaced(slides=4, patches=6)


def test_curves_are_means_over_slides_with_their_bands(run: Run) -> None:
    figure = draw_curves(run)
    assert tuple(figure.get_size_inches()) == (7.0, pytest.approx(0.7 + 2 * 2.0))
    panels = iter(figure.axes)
    shown = shown_curves(run)
    for label in LABELS:
        for direction, words in DIRECTIONS.items():
            axes = next(panels)
            assert axes.get_title() == f"{label}, 20×: {words}"
            assert axes.get_ylabel() == (f"logit of “{label}”" if direction == "deletion" else "")
            assert axes.get_xlabel() == ("share of the compartment (%)" if label == "malignant" else "")
            assert axes.get_xlim() == (0, 100)
            lines = {line.get_color(): line for line in axes.lines}
            assert len(lines) == 3
            for compartment, band in zip(sorted(TISSUE), axes.collections, strict=True):
                rows = shown[(shown["label"] == label) & (shown["direction"] == direction)]
                rows = rows[rows["compartment"] == compartment]
                expected = rows.groupby(["share", "slide_id"])["logit"].mean().groupby("share").mean()
                line = lines[COMPARTMENT_COLOURS[compartment]]
                np.testing.assert_allclose(line.get_xdata(), 100 * expected.index.to_numpy())
                np.testing.assert_allclose(line.get_ydata(), expected.to_numpy())
                assert line.get_marker() == "o"
                last = points(run, rows[rows["share"] == 1.0], "logit")
                ends = [y for path in band.get_paths() for x, y in path.vertices if x == 100.0]
                assert (min(ends), max(ends)) == pytest.approx((last.low, last.high))


def test_only_judged_patches_of_the_trained_network_are_shown(run: Run) -> None:
    judged = set(run.population.patches["patch_id"])
    shown = shown_curves(run)
    assert set(shown["patch_id"]) <= judged
    assert set(shown["model"]) == {"trained"}
    assert set(run.ablation_curves["patch_id"]) - judged
    assert set(run.ablation_curves["model"]) == {"trained", "randomised"}


def test_one_direction_is_one_panel_and_the_legend_names_compartments(run: Run, seen) -> None:
    one = run.changed(ablation_curves=run.ablation_curves[run.ablation_curves["direction"] == "insertion"])
    assert [axes.get_title() for axes in draw_curves(one).axes] == [f"{label}, 20×: put back alone" for label in LABELS]
    assert seen.legend(draw_curves(run)) == {name: (COMPARTMENT_COLOURS[name].upper(),) * 2 for name in TISSUE}


def test_the_caption_says_what_bands_are(run: Run, replaced) -> None:
    assert "Lines are means over slides; bands are 95 % intervals (Student's t over slides)." in caption_curves(run)
    unknown = replaced(slides=2, patches=3, known_slides=False)
    assert "there are no intervals, because the slides are unknown." in caption_curves(unknown)
    assert len(draw_curves(unknown).axes) == 4


def test_nothing_replaced_is_said(run: Run, seen) -> None:
    bare = run.changed(ablation_curves=run.ablation_curves.iloc[:0])
    words = "no judged patch had a compartment replaced"
    assert [seen.nothing(of, bare) for of in (draw_curves, caption_curves)] == [words] * 2


def test_drawn_twice_it_is_the_same_file(run: Run, equal_bytes) -> None:
    assert equal_bytes(lambda: draw_curves(run))
