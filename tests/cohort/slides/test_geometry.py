"""Pixel size and levels: what a slide says, and what is made of it."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliency_stats.cohort.slides import geometry
from saliency_stats.cohort.slides.geometry import MPP_TOLERANCE, SlideInfo
from saliency_stats.errors import CohortError, SlideError

PATH = Path("slide.svs")


def info(mpp=0.25, downsamples=(1.0, 2.0, 4.0, 8.0)):
    return SlideInfo("s", PATH, "aperio", 4000, 3000, mpp, mpp, downsamples)


@pytest.mark.parametrize(
    ("finest", "requested", "level"),
    [
        (0.25, 0.25, 0),
        (0.25, 0.48, 0),
        (0.25, 0.5, 1),
        (0.25, 2.0, 3),
        (0.25, 9.0, 3),
        (0.2527, 0.25, 0),
        (0.2527, 0.5, 1),
        (0.2431, 0.25, 0),
        (0.2431, 2.0, 3),
    ],
)
def test_the_coarsest_level_that_is_fine_enough_serves(finest, requested, level):
    assert info(finest).level_for(requested) == level


@given(st.floats(0.05, 20), st.floats(0.05, 20))
def test_nothing_is_up_sampled_beyond_the_tolerance(finest, requested):
    if finest > requested * (1 + MPP_TOLERANCE):
        with pytest.raises(SlideError, match="never up-sampled"):
            info(finest).level_for(requested)
    else:
        level = info(finest).level_for(requested)
        assert finest * 2**level <= requested * (1 + MPP_TOLERANCE) * (1 + 1e-12)


def test_a_magnification_that_is_not_there_is_refused_with_both_numbers():
    message = r"slide 's' \(slide.svs\): 40× needs 0.25 µm/px, the slide's finest is 0.499"
    with pytest.raises(SlideError, match=message) as error:
        info(0.499).level_for(0.25)
    assert isinstance(error.value, CohortError)


@pytest.mark.parametrize("mpp", [0.0, -1.0, 0.04, 21.0, float("nan")])
def test_absurd_requests_are_refused(mpp):
    with pytest.raises(SlideError, match=r"expected µm per pixel between 0\.05 and 20"):
        info().level_for(mpp)


def test_sizes_in_um():
    slide = SlideInfo("s", PATH, "", 4000, 3000, 0.5, 0.505, (1.0, 4.0))
    assert (slide.height_um, slide.width_um, slide.mpp) == (1500, 2020, 0.5025)
    assert slide.pixel_um(1) == (2.0, 2.02)


# --- µm per pixel -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"openslide.mpp-y": "0.25", "openslide.mpp-x": "0.252"}, (0.25, 0.252)),
        ({"tiff.XResolution": "20000", "tiff.YResolution": "40000"}, None),
        (
            {"tiff.XResolution": "40000", "tiff.YResolution": "40000", "tiff.ResolutionUnit": "centimeter"},
            (0.25, 0.25),
        ),
        ({"tiff.XResolution": "50800", "tiff.YResolution": "50800", "tiff.ResolutionUnit": "inch"}, (0.5, 0.5)),
        ({"tiff.XResolution": "0", "tiff.YResolution": "0", "tiff.ResolutionUnit": "inch"}, None),
        ({"openslide.mpp-y": "352.78", "openslide.mpp-x": "352.78"}, None),
        ({"openslide.mpp-y": "0,25", "openslide.mpp-x": "0,25"}, None),
        ({"openslide.mpp-x": "0.25"}, None),
        ({"openslide.mpp-y": "0.25", "openslide.mpp-x": "352.78"}, None),
        ({"openslide.mpp-y": "352.78", "openslide.mpp-x": "0.25"}, None),
        ({"openslide.mpp-y": "0.05", "openslide.mpp-x": "0.05"}, (0.05, 0.05)),
        ({"openslide.mpp-y": "20", "openslide.mpp-x": "20"}, (20.0, 20.0)),
        ({"openslide.mpp-y": "1", "openslide.mpp-x": "1.02"}, (1.0, 1.02)),
        ({}, None),
    ],
)
def test_the_pixel_size_is_the_files_or_none(properties, expected):
    if expected is None:
        with pytest.raises(SlideError, match=r"no µm per pixel.*cohort\.mpp_override"):
            geometry._pixel_size(properties, PATH, "s")
    else:
        assert geometry._pixel_size(properties, PATH, "s") == pytest.approx(expected)


def test_a_refusal_tells_what_the_file_says():
    with pytest.raises(SlideError, match=r"found openslide.mpp-y = 352.78, openslide.mpp-x = 352.78"):
        geometry._pixel_size({"openslide.mpp-y": "352.78", "openslide.mpp-x": "352.78"}, PATH, "s")


def test_pixels_that_are_no_squares_are_refused_with_both_sides():
    with pytest.raises(SlideError, match=r"0.3 µm \(y\) by 0.25 µm \(x\)"):
        geometry._pixel_size({"openslide.mpp-y": "0.3", "openslide.mpp-x": "0.25"}, PATH, "s")
    with pytest.raises(SlideError, match="expected squares, to within 2%"):
        geometry._pixel_size({"openslide.mpp-y": "1", "openslide.mpp-x": "1.0201"}, PATH, "s")


@pytest.mark.parametrize("mpp", [0.0, 250.0, float("nan")])
def test_an_absurd_override_is_refused(mpp):
    with pytest.raises(SlideError, match=rf"is given as {mpp:g} \(column mpp, or cohort\.mpp_override\)"):
        geometry.checked_override(mpp, "s")


# --- levels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("full", "reduced", "expected"),
    [
        ((1501, 1003), (375, 250), 4.0),
        ((1501, 1003), (376, 251), 4.0),
        ((46000, 32914), (2875, 2057), 16.0),
        ((1000, 1000), (400, 400), 2.5),
        ((1000, 1000), (260, 250), 3.923),
    ],
)
def test_rounded_level_sizes_hide_a_whole_factor(full, reduced, expected):
    factor = (full[0] / reduced[0] + full[1] / reduced[1]) / 2
    assert geometry._downsample(full, reduced, factor) == pytest.approx(expected, abs=1e-3)


# --- magnifications ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mpp", "asked", "words"),
    [
        (
            0.263,
            [5, 10, 20, 40],
            ("40× needs 0.25 µm/px", "0.263 (38×)", "[4.75, 9.5, 19, 38] or [5, 10, 20] (without [40])"),
        ),
        (0.263, [40], ("[38] it can be used",)),
        (0.499, [5, 10, 20, 40], ("0.499 (20×)", "cohort.magnifications [5, 10, 20] (without [40]) it can")),
        (1 / 3, [10, 40], ("0.3333 (30×)", "With cohort.magnifications [10] (without [40]) it can")),
        (0.499, [40], ("cohort.magnifications [20] it can be used",)),
        (0.499, [20, 40, 80], ("40× needs 0.25 µm/px, 80× needs 0.125", "[20] (without [40, 80])")),
        (1.1, [10, 40], ("10× needs 1 µm/px, 40× needs 0.25", "1.1 (9×)", "[9]")),
        (0.0998, [200], ("200× needs 0.05", "[100]")),
    ],
)
def test_magnifications_that_a_slide_lacks_are_named_with_what_works(mpp, asked, words):
    with pytest.raises(SlideError) as error:
        info(mpp).check_magnifications(asked)
    for word in ("slide 's' (slide.svs)", "never up-sampled", *words):
        assert word in str(error.value)
    for proposed in re.findall(r"\[([\d., ]+)\](?! \(|\))", str(error.value).partition(" With ")[2]):
        info(mpp).check_magnifications([float(one) for one in proposed.split(",")])


def test_a_magnification_within_tolerance_is_had():
    info(0.25 * 1.0299).check_magnifications([5, 10, 20, 40])
    with pytest.raises(SlideError, match=r"tolerance 3%"):
        info(0.25 * 1.0301).check_magnifications([40])


class Handle:
    dimensions = (1000, 800)
    level_dimensions = ((1000, 800),)
    level_downsamples = (1.0,)

    def __init__(self, **properties):
        self.properties = {f"openslide.{name.replace('_', '-')}": text for name, text in properties.items()}


def test_bounds_are_y_then_x_and_may_be_missing():
    assert geometry.describe(Handle(bounds_x="400", bounds_y="300"), PATH, "s", 0.5).bounds_px == (300, 400)
    assert geometry.describe(Handle(), PATH, "s", 0.5).bounds_px == (0, 0)
