"""The look of figures: axes of ratios, entries of legends, and files that are the same bytes again."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgba
from PIL import Image

from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    DIFFERENCE_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    NothingToDrawError,
    compartment_handles,
    empty_figure,
    house_style,
    line_handle,
    new_figure,
    ratio_axis,
    save,
    some,
    spread,
    with_legend,
)
from saliency_stats.vocabulary import COMPARTMENTS


def test_the_house_style_holds_inside_and_is_gone_outside() -> None:
    with mpl.rc_context({"font.size": 30.0, "axes.facecolor": "red", "text.parse_math": True}):
        before = dict(mpl.rcParams)
        black = to_rgba("k")
        with house_style():
            assert mpl.rcParams["font.size"] == pytest.approx(7.5)
            assert mpl.rcParams["axes.labelsize"] == pytest.approx(7.5)
            assert mpl.rcParams["axes.titlesize"] == 8.0
            assert mpl.rcParams["axes.facecolor"] == "white"
            assert mpl.rcParams["font.family"] == ["DejaVu Sans"]
            assert not mpl.rcParams["axes.spines.top"]
            assert not mpl.rcParams["axes.spines.right"]
            assert not mpl.rcParams["axes.grid"]
            assert not mpl.rcParams["text.parse_math"]
            assert not mpl.rcParams["legend.frameon"]
            assert mpl.rcParams["pdf.fonttype"] == 42
            assert mpl.rcParams["lines.solid_capstyle"] == "butt"
        assert dict(mpl.rcParams) == before
        assert to_rgba("k") == black


def test_a_figure_is_as_wide_as_two_columns() -> None:
    assert tuple(new_figure(2.5).get_size_inches()) == (7.0, 2.5)
    assert tuple(new_figure(2.5, 3.0).get_size_inches()) == (3.0, 2.5)
    assert new_figure(1.0).get_layout_engine() is not None


def test_an_empty_figure_says_why() -> None:
    figure = empty_figure("no slide")
    (text,) = figure.texts
    assert text.get_text() == "nothing to draw: no slide"
    assert text.get_position() == (0.5, 0.5)
    assert (text.get_ha(), text.get_va()) == ("center", "center")
    assert tuple(figure.get_size_inches()) == (7.0, 1.1)


def test_a_table_without_rows_is_nothing_to_draw() -> None:
    table = pd.DataFrame({"a": [1.0]})
    assert some(table, "no slide") is table
    with pytest.raises(NothingToDrawError, match=r"^no slide$"):
        some(table.iloc[:0], "no slide")


def test_equal_figures_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "a.pdf"):
        files = [save(empty_figure("no slide"), tmp_path / str(k) / name) for k in (1, 2)]
        assert files == [tmp_path / "1" / name, tmp_path / "2" / name]
        assert files[0].read_bytes() == files[1].read_bytes()
    with Image.open(tmp_path / "1" / "a.png") as picture:
        assert picture.size == (1400, 220)
        assert "Software" not in picture.info
    pdf = (tmp_path / "1" / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert not any(word in pdf for word in (b"CreationDate", b"ModDate", b"Producer", b"Creator"))


def test_spread_is_the_golden_ratio() -> None:
    np.testing.assert_allclose(
        spread(4, 2.0), 2.0 * (np.array([0.6180339887, 0.2360679775, 0.8541019662, 0.4721359550]) - 0.5)
    )


@given(st.integers(0, 200))
def test_spread_stays_inside_and_keeps_points_apart(n: int) -> None:
    offsets = spread(n, 0.4)
    assert (np.abs(offsets) <= 0.2).all()
    assert np.unique(offsets.round(9)).size == n


@pytest.mark.parametrize(
    ("low", "high", "pad", "labels"),
    [
        (-0.1, 0.2, 0.04, ["1", "1.1"]),  # the least pad is that of half an octave
        (-0.5, 0.6, 0.088, ["0.7", "0.8", "0.9", "1", "1.1", "1.2", "1.4", "1.6"]),
        (-0.6, 0.6, 0.096, ["0.7", "1", "1.4"]),
        (-1.0, 1.9, 0.232, ["0.5", "0.7", "1", "1.4", "2", "2.8", "4"]),
        (-1.1, 1.9, 0.24, ["0.5", "1", "2", "4"]),
        (-5.0, 12.0, 1.36, [f"{2.0**k:.4g}" for k in range(-6, 13)]),
        (-12.0, 3.0, 1.2, [f"{2.0**k:.4g}" for k in range(-12, 5)]),
    ],
)
@pytest.mark.parametrize("which", ["x", "y"])
def test_an_axis_of_log2_ratios_has_plain_ratios(
    which: str, low: float, high: float, pad: float, labels: list[str]
) -> None:
    axes = new_figure(2.0).subplots()
    other = axes.get_ylim() if which == "x" else axes.get_xlim()
    ratio_axis(axes, which, low, high)
    limits, rest = (axes.get_xlim(), axes.get_ylim()) if which == "x" else (axes.get_ylim(), axes.get_xlim())
    assert limits == pytest.approx((low - pad, high + pad))
    assert rest == other
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.get_figure().draw_without_rendering()
    assert [text.get_text() for text in axis.get_majorticklabels()] == labels
    np.testing.assert_allclose(axis.get_majorticklocs(), np.log2([float(label) for label in labels]), atol=1e-3)
    assert not len(axis.get_minorticklocs())


def test_colours_are_one_per_compartment() -> None:
    assert tuple(COMPARTMENT_COLOURS) == COMPARTMENTS
    assert len(set(COMPARTMENT_COLOURS.values())) == len(COMPARTMENTS)
    handles = compartment_handles()
    assert [handle.get_label() for handle in handles] == list(COMPARTMENTS)
    assert [handle.get_facecolor() for handle in handles] == [to_rgba(each) for each in COMPARTMENT_COLOURS.values()]
    assert [handle.get_label() for handle in compartment_handles(("stroma",))] == ["stroma"]


def test_entries_of_legends_look_as_told() -> None:
    line = line_handle("a line", "#123456", "--", 0.8)
    assert (line.get_label(), line.get_color(), line.get_linestyle(), line.get_linewidth()) == (
        *("a line", "#123456", "--", 0.8),
    )
    assert line_handle("", "red").get_linewidth() == 1.4


@pytest.mark.parametrize(("where", "below"), [((), True), (("upper",), False)])
def test_a_legend_stands_outside_the_panels(where: tuple[str, ...], *, below: bool) -> None:
    figure = new_figure(2.0)
    axes = figure.subplots()
    assert with_legend(figure, [line_handle("a", "red"), line_handle("b", "red")], 2, *where) is figure
    figure.draw_without_rendering()
    (legend,) = figure.legends
    first, second = (text.get_window_extent() for text in legend.get_texts())
    assert first.x1 < second.x0
    assert first.y0 == pytest.approx(second.y0)
    panel = axes.get_window_extent()
    assert bool(first.y1 < panel.y0) is below
    assert bool(first.y0 > panel.y1) is not below


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [(-3.12, -1.9993103448275862, []), (-4.0, -1.0689655172413794, ["0.25", "0.35", "0.5"])],  # 1.3 and 3.4 octaves
)
def test_at_the_span_itself_ticks_are_still_the_finer_ones(low: float, high: float, labels: list[str]) -> None:
    axes = new_figure(2.0).subplots()
    ratio_axis(axes, "x", low, high)
    assert [f"{2**tick:.4g}" for tick in axes.get_xticks()] == labels


def test_what_differs_in_meaning_differs_in_colour() -> None:
    colours = [*COMPARTMENT_COLOURS.values(), TRAINED_COLOUR, CONTROL_COLOUR, DIFFERENCE_COLOUR, QUIET]
    assert len({to_rgba(colour) for colour in colours}) == len(colours)
