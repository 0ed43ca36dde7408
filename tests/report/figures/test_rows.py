"""What every forest plot has: heights of rows, headings, an axis about no preference, its columns of numbers."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from saliency_stats.report.figures.marks import Look
from saliency_stats.report.figures.rows import draw_rows, missing_reasons, number_columns, row_places, write_headings
from saliency_stats.report.figures.style import house_style, new_figure

ROWS = pd.DataFrame(
    {
        "magnification": [5.0, 20.0, 20.0],
        "label": ["benign", "benign", "malignant"],
        "estimate": [1.0, -1.0, 0.5],
        "ci_low": [0.5, np.nan, 0.1],
        "ci_high": [1.5, np.nan, 0.9],
        "p_adjusted": [0.012, np.nan, 1e-9],
        "n_slides": [12.0, 0.0, 3.0],
        "n_patches": [1234.0, 5.0, 7.0],
        "status": ["tested", "not_interpretable", "tested"],
        "reason": ["", "too few slides", ""],
        "look": ["a", "b", "c"],
    }
)


def test_a_small_effect_does_not_fill_the_axis() -> None:
    def drawn(reach: list[object]) -> Axes:
        return draw_rows(ROWS, list("abc"), dict.fromkeys("abc", Look("red", "s")), {}, 2.0, reach)[1]

    assert drawn([[0.01, np.nan], [-0.02, 0.02]]).get_xlim() == pytest.approx((-0.348, 0.348))
    assert drawn([0.5, np.nan]).get_xlim() == pytest.approx((-0.364, 0.564))
    assert len(drawn([-5.0, 5.0]).get_xticks()) == 11


def test_rows_of_one_class_and_magnification_stand_together() -> None:
    rows = pd.DataFrame({"magnification": [5.0, 5.0, 20.0, 20.0], "label": ["b", "b", "b", "m"]})
    np.testing.assert_allclose(row_places(rows), [1.2, 2.2, 4.4, 6.6])


def test_each_reason_is_said_once() -> None:
    rows = pd.DataFrame({"ci_low": [np.nan, 0.1, np.nan, np.nan, np.nan], "reason": ["b", "c", "a", "b", ""]})
    assert missing_reasons(rows) == ["a", "b"]


def test_headings_stand_above_the_first_row_of_their_class() -> None:
    axes = new_figure(1.0).subplots()
    write_headings(axes, ROWS, [1.0, 3.0, 6.0])
    assert {text.get_text(): text.xy for text in axes.texts} == {
        "benign, 5×": (0.0, pytest.approx(0.05)),
        "benign, 20×": (0.0, pytest.approx(2.05)),
        "malignant, 20×": (0.0, pytest.approx(5.05)),
    }
    assert {(text.get_ha(), text.get_fontweight(), text.xyann) for text in axes.texts} == {("right", "bold", (-4, 0))}


def test_the_columns_of_numbers() -> None:
    columns = number_columns(ROWS, "90 % interval", (0.1, 0.2, 0.3, 0.4, 0.5))
    assert columns == {
        "ratio": (0.1, ["2.00", "0.50", "1.41"]),
        "90 % interval": (0.2, ["1.41–2.83", "—", "1.07–1.87"]),
        "adjusted p": (0.3, ["0.012", "—", "< 0.0001"]),
        "slides": (0.4, ["12", "—", "3"]),
        "patches": (0.5, ["1,234", "5", "7"]),
    }


def test_rows_are_drawn_as_they_are_told(seen) -> None:
    with house_style():
        looks = {"a": Look("red", "s", 25.0), "b": Look("blue", "D", 16.0), "c": Look("red", "o", 25.0, 0.7)}
        figure, axes, places = draw_rows(ROWS, list("abc"), looks, {"head": (0.25, list("xyz"))}, 2.0, [0.5])
    assert places == pytest.approx([1.2, 3.4, 5.6])
    assert figure.get_size_inches()[1] == pytest.approx(2.0 + 0.23 * 6.6)
    marks = seen.marks(axes)
    assert marks[["x", "shape", "size", "edge", "face"]].to_numpy().tolist() == [
        [1.0, "s", 25.0, "#FF0000", "#FF0000"],
        [-1.0, "D", 16.0, "#0000FF", "#FFFFFF"],  # no finding
        [0.5, "o", 25.0, "#FF0000", "#FF0000"],
    ]
    assert marks["y"].tolist() == pytest.approx(places)
    intervals = seen.intervals(axes)
    assert intervals[["low", "high", "width"]].to_numpy().tolist() == [[0.5, 1.5, 1.3], [0.1, 0.9, 0.7]]
    assert axes.get_ylim() == pytest.approx((places[-1] + 0.7, -1.1))
    numbers = figure.axes[1]
    assert [(*text.get_position(), text.get_text()) for text in numbers.texts] == [
        (0.25, -0.8, "head"),
        *((0.25, pytest.approx(place), word) for place, word in zip(places, "xyz", strict=True)),
    ]
    assert numbers.get_xlim() == (0.0, 1.0)
    assert not numbers.axison
    assert figure._supxlabel.get_text() == "— no interval: too few slides"
    assert not axes.spines["left"].get_visible()
