"""One patch in one panel: what is shown is the array, the bar's length is a length, borders have their colours."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgba

from saliency_stats.imaging.thumbnail import DISPLAY_PERCENTILE
from saliency_stats.report.figures.panels import outline, show_image, show_saliency, tint
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, new_figure

IMAGE = np.random.default_rng(0).integers(0, 256, (80, 100, 3)).astype(np.uint8)


@pytest.fixture
def axes() -> Axes:
    return new_figure(2.0).subplots()


def _codes() -> np.ndarray:
    codes = np.full((40, 50), 3, np.uint8)  # stroma
    codes[5:25, 5:25] = 2  # cytoplasm around
    codes[10:20, 10:20] = 1  # a nucleus
    codes[:, 45:] = 0  # and glass at the side
    return codes


def test_an_image_is_shown_as_it_is_without_axes(axes: Axes) -> None:
    show_image(axes, IMAGE)
    np.testing.assert_array_equal(axes.images[0].get_array(), IMAGE)
    assert axes.images[0].get_interpolation() == "nearest"
    assert not len(axes.get_xticks())
    assert not len(axes.get_yticks())
    assert not any(spine.get_visible() for spine in axes.spines.values())
    assert not axes.patches


@pytest.mark.parametrize(
    ("mpp", "length"),
    [
        (0.1, 5),
        (0.25, 5),
        (0.31, 10),
        (0.5, 10),
        (0.65, 20),
        (1.0, 25),
        (2.0, 50),
        (4.0, 100),
        (20.0, 500),
        (100, 1000),
    ],
)
def test_the_scale_bar_is_about_a_quarter_of_the_field(axes: Axes, mpp: float, length: int) -> None:
    show_image(axes, IMAGE, mpp)
    (bar,) = axes.patches
    (words,) = axes.texts
    assert words.get_text() == f"{length} µm"
    assert bar.get_width() == pytest.approx(length / mpp)
    assert bar.get_height() == pytest.approx(0.022 * 80)
    assert (bar.get_x(), bar.get_y() + bar.get_height()) == pytest.approx((6.0, 0.94 * 80))
    assert words.get_position() == pytest.approx((6.0 + length / mpp / 2, (0.94 - 1.8 * 0.022) * 80))
    assert (words.get_ha(), words.get_va()) == ("center", "bottom")


@pytest.mark.parametrize("mpp", [None, float("nan"), 0.0, -0.5, float("inf")])
def test_an_unknown_scale_has_no_bar(axes: Axes, mpp: float | None) -> None:
    show_image(axes, IMAGE, mpp)
    assert not axes.patches
    assert not axes.texts


def _borders(axes: Axes) -> dict[str, np.ndarray]:
    names = {colour.lower(): name for name, colour in COMPARTMENT_COLOURS.items()}
    found = [each for each in axes.collections if len(each.get_paths()[0].vertices)]
    return {names[to_hex(each.get_edgecolor()[0])]: each.get_paths()[0].vertices for each in found}


def test_every_border_is_drawn_once_in_the_colour_of_what_is_inside(axes: Axes) -> None:
    outline(axes, _codes())
    borders = _borders(axes)
    assert list(borders) == ["background", "cytoplasm", "nucleus"]
    # half way between the last pixel inside and the first outside
    for name, low, high in (("nucleus", 9.5, 19.5), ("cytoplasm", 4.5, 24.5)):
        assert (borders[name].min(axis=0) == low).all()
        assert (borders[name].max(axis=0) == high).all()
    assert set(borders["background"][:, 0]) == {44.5}


def test_a_map_has_the_outlines_of_nuclei_alone(axes: Axes) -> None:
    outline(axes, _codes(), on_map=True)
    assert list(_borders(axes)) == ["nucleus"]


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_a_patch_of_one_compartment_has_no_border(axes: Axes, code: int) -> None:
    outline(axes, np.full((10, 10), code, np.uint8))
    assert not axes.collections


def test_a_tint_covers_all_but_the_background(axes: Axes) -> None:
    codes = _codes()
    tint(axes, codes, 0.3)
    shown = axes.images[0].get_array()
    for code, name in ((1, "nucleus"), (2, "cytoplasm"), (3, "stroma")):
        np.testing.assert_allclose(
            shown[codes == code], [to_rgba(COMPARTMENT_COLOURS[name], 0.3)] * (codes == code).sum()
        )
    assert (shown[codes == 0][:, 3] == 0).all()
    tint(axes, codes)
    assert axes.images[1].get_array()[0, 0, 3] == 0.45


def test_only_the_display_of_a_map_is_cut(axes: Axes) -> None:
    saliency = np.random.default_rng(1).gamma(1.0, 0.013, (40, 50))
    saliency[0, 0] = np.nan
    show_saliency(axes, saliency)
    top = np.percentile(saliency[np.isfinite(saliency)], DISPLAY_PERCENTILE)
    assert DISPLAY_PERCENTILE == 99.5
    np.testing.assert_array_equal(np.ma.filled(axes.images[0].get_array(), np.nan), saliency)
    assert axes.images[0].get_clim() == (0.0, top)
    assert axes.images[0].get_cmap().name == "inferno"
    (bar,) = axes.child_axes
    labels = bar.get_xticklabels()
    assert [text.get_text() for text in labels] == ["0", f"{top:.2g}"]
    assert [text.get_ha() for text in labels] == ["left", "right"]
    np.testing.assert_allclose(bar.get_xticks(), [0.0, top])
    assert not len(axes.get_xticks())


@pytest.mark.parametrize("saliency", [np.zeros((5, 5)), np.full((5, 5), np.nan)])
def test_a_map_of_nothing_is_dark(axes: Axes, saliency: np.ndarray) -> None:
    show_saliency(axes, saliency)
    assert axes.images[0].get_clim() == (0.0, 1.0)
    assert [text.get_text() for text in axes.child_axes[0].get_xticklabels()] == ["0", "0"]


def test_a_second_view_of_a_map_has_no_bar(axes: Axes) -> None:
    show_saliency(axes, np.ones((5, 5)), bar=False)
    assert not axes.child_axes
