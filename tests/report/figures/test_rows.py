"""What every forest plot has: heights of rows, headings, an axis about no preference, its columns of numbers."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from saliency_stats.report.figures.marks import Look
from saliency_stats.report.figures.rows import (
    draw_rows,
    missing_reasons,
    name_rows,
    number_columns,
    row_places,
    write_headings,
)
from saliency_stats.report.figures.style import QUIET, house_style, new_figure

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


def test_words_and_numbers_look_as_they_should() -> None:
    with house_style():
        columns = {"head": (0.25, list("xyz"))}
        figure, axes, places = draw_rows(ROWS, list("abc"), dict.fromkeys("abc", Look("red", "s")), columns, 2.0, [0.5])
    numbers = figure.axes[1]
    assert numbers.get_subplotspec().get_gridspec().get_width_ratios() == [1.0, 1.06]
    head, *texts = numbers.texts
    assert head.get_color() == QUIET != texts[0].get_color()
    assert {(text.get_ha(), text.get_va(), text.get_fontsize()) for text in numbers.texts} == {("right", "center", 6.6)}
    assert dict(zip([text.get_text() for text in axes.get_yticklabels()], axes.get_yticks(), strict=True)) == {
        name: pytest.approx(place) for name, place in zip("abc", places, strict=True)
    }
    assert numbers.get_ylim() == axes.get_ylim()
    assert axes.get_xlabel() == "saliency density, cytoplasm ÷ nuclei  (log axis)"
    sides = {text.get_text(): text for text in axes.texts if "denser" in text.get_text()}
    for words, shift, side in (("← nuclei denser", -3, "right"), ("cytoplasm denser →", 3, "left")):
        text = sides[words]
        assert (text.xy, text.xyann, text.get_ha(), text.get_va()) == ((0.0, 1.0), (shift, 0), side, "bottom")
        assert (text.get_color(), text.get_fontsize()) == (QUIET, 6.6)
    assert (figure._supxlabel.get_color(), figure._supxlabel.get_fontsize()) == (QUIET, 6.5)
    whole = ROWS.assign(ci_low=0.1)
    none = draw_rows(whole, list("abc"), dict.fromkeys("abc", Look("red", "s")), {}, 2.0, [0.5])[0]
    assert none._supxlabel is None


def test_a_new_heading_needs_more_room_than_a_row() -> None:
    rows = pd.DataFrame({"magnification": [5.0], "label": ["b"]})
    assert row_places(rows) == pytest.approx([1.2])
    same = pd.DataFrame({"magnification": [5.0, 20.0, 20.0], "label": ["b", "b", "b"]})
    np.testing.assert_allclose(row_places(same), [1.2, 3.4, 4.4])


def test_names_stand_beside_the_first_column_alone_and_take_a_size() -> None:
    left, right = new_figure(1.0).subplots(1, 2)
    for axes in (left, right):
        name_rows(axes, [(0.5, "one"), (1.5, "two")], {"two"}, fontsize=5.0)
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["one", "two"]
    assert list(left.get_yticks()) == [0.5, 1.5]
    assert [tick.get_fontweight() for tick in left.get_yticklabels()] == ["normal", "bold"]
    assert {tick.get_fontsize() for tick in left.get_yticklabels()} == {5.0}
    assert "one" not in [tick.get_text() for tick in right.get_yticklabels()]
