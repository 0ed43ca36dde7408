"""What a TIFF says of its pixel size, and when it says nothing that can be believed."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from saliency_stats.commands import pixel_size as module
from saliency_stats.commands import segment
from saliency_stats.commands.pixel_size import pixel_size
from saliency_stats.errors import PatchError


def tiff(path, **options):
    tifffile.imwrite(path, np.zeros((4, 5, 3), np.uint8), photometric="rgb", **options)
    return path


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}, 0.5),
        ({"resolution": (1e4 / 0.346, 1e4 / 0.346), "resolutionunit": 3}, 0.346),
        ({"resolution": (101_600, 101_600), "resolutionunit": "INCH"}, 0.25),
        ({"imagej": True, "resolution": (4, 4), "metadata": {"unit": "um"}}, 0.25),
        ({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "micron"}}, 0.5),
        ({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "\\u00B5m"}}, 0.5),
    ],
)
def test_a_tiff_tells_its_pixel_size(tmp_path, options, mpp):
    assert pixel_size(tiff(tmp_path / "a.TIF", **options)) == mpp


@pytest.mark.parametrize(("mpp", "sound"), [(0.05, True), (0.0499, False), (10.0, True), (10.01, False)], ids=str)
def test_the_ends_of_what_a_microscope_gives(tmp_path, mpp, sound):
    path = tiff(tmp_path / "a.tif", resolution=(10_000 / mpp, 10_000 / mpp), resolutionunit="CENTIMETER")
    if sound:
        assert pixel_size(path) == mpp
        segment._check_mpp(mpp)
    else:
        with pytest.raises(PatchError, match=f"say {mpp:.4g} µm per pixel, which no microscope gives"):
            pixel_size(path)


@pytest.mark.parametrize(("x", "square"), [(20_150, True), (19_850, True), (20_300, False), (19_700, False)])
def test_sides_may_differ_by_a_hundredth(tmp_path, x, square):
    path = tiff(tmp_path / "a.tif", resolution=(x, 20_000), resolutionunit="CENTIMETER")
    if square:
        assert pixel_size(path) == pytest.approx(10_000 / x, rel=1e-5)
    else:
        with pytest.raises(PatchError, match="not square"):
            pixel_size(path)


class Tags(dict):
    """Stands for the tags of a TIFF."""

    def valueof(self, code, default=None):
        return self.get(code, default)


@pytest.mark.parametrize(
    ("tags", "mpp"),
    [
        ({282: (20_000, 1), 283: (20_000, 1), 296: 3}, 0.5),
        ({282: (40_000, 2), 283: (40_000, 2), 296: 3}, 0.5),
        # inches unless it says otherwise
        ({282: (101_600, 1), 283: (101_600, 1)}, 0.25),
        ({296: 3}, None),
        ({282: (20_000, 1), 296: 3}, None),
        ({282: (0, 1), 283: (0, 1), 296: 3}, None),
        ({282: (20_000, 0), 283: (20_000, 0), 296: 3}, None),
        ({282: (20_000, 1, 1), 283: (20_000, 1, 1), 296: 3}, None),
        ({282: 20_000, 283: 20_000, 296: 3}, None),
        ({282: (20_000, 1), 283: (20_000, 1), 296: 1}, None),
    ],
)
def test_a_resolution_is_two_fractions_and_a_length(monkeypatch, tmp_path, tags, mpp):
    class File:
        pages = SimpleNamespace(first=SimpleNamespace(tags=Tags(tags)))
        imagej_metadata = None

    monkeypatch.setattr(module.tifffile, "TiffFile", lambda _: nullcontext(File))
    if mpp is None:
        with pytest.raises(PatchError, match="the TIFF has no resolution in inches, centimetres or µm"):
            pixel_size(tmp_path / "a.tiff")
    else:
        assert pixel_size(tmp_path / "a.tiff") == mpp
