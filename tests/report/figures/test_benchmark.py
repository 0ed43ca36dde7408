"""The benchmark's figures: a row per item in its order, marks where the numbers are."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from saliency_stats.report.figures.benchmark import draw_maps, draw_replacements
from saliency_stats.report.figures.style import house_style

ROWS = (
    {"method": "occlusion", "rank_correlation": 0.2},
    {"method": "gradient", "rank_correlation": 0.6, "sign_errors": 0.4},
    {"kind": "reference", "model": "truth", "method": "truth", "rank_correlation": 1.0},
    {"kind": "control", "model": "sobel", "method": "sobel", "rank_correlation": 0.9},
    {"kind": "replacement", "method": "mean", "relative_error": 1.5},
    {"kind": "replacement", "method": "blur", "relative_error": 0.5, "rank_correlation": 0.8},
    {"kind": "control", "model": "random region", "method": "mean", "relative_error": 1.0},
)


def drawn(draw, table):
    with house_style():
        figure = draw(table, lambda row: f"{row.model} {row.method}")
        figure.draw_without_rendering()
    return figure


def marks(axes):
    """Places and values of all marks, whatever their look."""
    found = [point for one in axes.collections if isinstance(one, PathCollection) for point in one.get_offsets()]
    return sorted((round(float(y), 3), round(float(x), 3)) for x, y in found if np.isfinite([x, y]).all())


def names(figure):
    return [tick.get_text() for tick in figure.axes[0].get_yticklabels()]


@pytest.fixture
def table(benchmark_rows):
    return benchmark_rows(*ROWS)


def test_maps_stand_best_first_then_controls_then_references(table):
    figure = drawn(draw_maps, table)
    assert names(figure) == ["trained gradient", "trained occlusion", "sobel sobel", "truth truth"]
    assert marks(figure.axes[0]) == [(0, 0.6), (1, 0.2), (2.6, 0.9), (4.2, 1.0)]
    assert marks(figure.axes[2]) == [(0, 0.4)]
    assert len(figure.axes) == 3


def test_replacements_are_drawn_beside_random_regions(table):
    figure = drawn(draw_replacements, table)
    assert names(figure) == ["trained blur", "trained mean", "random region mean"]
    assert marks(figure.axes[2]) == [(0, 0.5), (1, 1.5), (2.6, 1.0)]


def test_of_several_cohorts_each_has_a_small_mark_and_a_place_in_the_legend(benchmark_rows):
    cohorts = (("nucleus", 10.0, 0.1), ("xor", 10.0, 0.2), ("xor", 20.0, 0.4), ("all", np.nan, 0.25))
    table = benchmark_rows(
        *(
            {"method": "gradient", "signal": signal, "magnification": at, "rank_correlation": value}
            for signal, at, value in cohorts
        )
    )
    figure = drawn(draw_maps, table)
    assert [x for _, x in marks(figure.axes[0])] == [0.1, 0.2, 0.25, 0.4]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["all cohorts", "nucleus 10×", "nucleus 20×", "xor 10×", "xor 20×"]


def test_of_one_cohort_only_that_is_drawn(table):
    assert [text.get_text() for text in drawn(draw_maps, table).legends[0].get_texts()] == ["all cohorts"]


def test_without_a_network_that_learned_it_says_so(table):
    figure = drawn(draw_maps, table.assign(network="1"))
    assert "no network learned" in figure.texts[0].get_text()
