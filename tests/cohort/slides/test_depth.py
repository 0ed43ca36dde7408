"""What a TIFF says of its samples, where OpenSlide would make something else of it."""

import numpy as np
import pytest
import tifffile

from saliency_stats.cohort.slides.depth import check_samples
from saliency_stats.cohort.slides.slide import Slide
from saliency_stats.errors import SlideError

PIXELS = np.random.default_rng(0).integers(0, 255, (256, 256, 3)).astype(np.uint8)


def tiff(folder, pixels, photometric="rgb", **options):
    path = folder / "x.tif"
    scale = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric=photometric, metadata=None, **scale, **options)
    return path


def orientation(value):
    return {"extratags": [(274, 3, 1, value, True)]}


@pytest.mark.parametrize("options", [{}, orientation(1)])
def test_eight_bits_of_colour_upright_are_read(tmp_path, options):
    assert Slide(tiff(tmp_path, PIXELS, **options), "s7").info.mpp == 0.5


@pytest.mark.parametrize(
    ("pixels", "options", "found"),
    [
        (PIXELS.astype(np.uint16) * 16, {}, "16 bits per sample; expected 8. Convert it with the white point"),
        (PIXELS[..., 0], {"photometric": "minisblack"}, "1 sample(s) per pixel, a grey image; expected RGB"),
        (PIXELS, orientation(6), "orientation 6; expected 1 (upright)"),
    ],
)
def test_what_openslide_would_make_something_else_of_is_refused(tmp_path, pixels, options, found):
    with pytest.raises(SlideError) as error:
        Slide(tiff(tmp_path, pixels, **options), "s7").info  # noqa: B018
    assert "slide 's7' (x.tif) has " in str(error.value)
    assert found in str(error.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    path = tiff(tmp_path, PIXELS[..., 0].astype(np.uint16), "minisblack", **orientation(3))
    with pytest.raises(SlideError, match=r"16 bits .*; 1 sample.*; orientation 3"):
        check_samples(path, "s7")


@pytest.mark.parametrize("content", [b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"P6 1 1 255 abc"])
def test_what_is_no_tiff_is_left_to_openslide(tmp_path, content):
    (tmp_path / "x.tif").write_bytes(content)
    check_samples(tmp_path / "x.tif", "s7")
