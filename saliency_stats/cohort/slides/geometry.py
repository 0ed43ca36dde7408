"""Size, levels and µm per pixel of a whole-slide image: no pixel is read here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openslide import OpenSlide

from saliency_stats.cohort.patch import PLAUSIBLE_MPP
from saliency_stats.errors import SlideError

#: A level may be this much coarser than what is asked for: scanners miss their nominal pixel size by some per cent
#: (0.2527 serves 0.25), and no detail is invented by so small a step.
MPP_TOLERANCE: Final = 0.03
#: Pixels may be this much longer along one axis than along the other; more is a slip, or no light microscope.
MAX_ANISOTROPY: Final = 0.02

#: µm per pixel of 1×: 40× is 0.25 by definition of the study, whatever the scanner called it.
MPP_OF_1X: Final = 10.0
_ROUNDING: Final = 1e-9
#: A magnification may be this many times the slide's own to be what the scanner nearly has.
_NEARLY: Final = 1.25

_UNIT_UM = {"centimeter": 10_000.0, "inch": 25_400.0}


@dataclass(frozen=True)
class SlideInfo:
    """What a slide says about itself.

    Parameters
    ----------
    slide_id, path, vendor
        Name in the study, the file, and the format as OpenSlide calls it.
    width_px, height_px
        Size at level 0.
    mpp_y, mpp_x
        µm per pixel at level 0.
    downsamples
        Level-0 pixels per pixel of each level, finest level first.
    bounds_px
        (y, x) pixel of level 0 at which what was scanned begins (``openslide.bounds-y``, ``-x``): Leica, Mirax and
        Zeiss place it within a larger plane.
    """

    slide_id: str
    path: Path
    vendor: str
    width_px: int
    height_px: int
    mpp_y: float
    mpp_x: float
    downsamples: tuple[float, ...]
    bounds_px: tuple[int, int] = (0, 0)

    @property
    def width_um(self) -> float:
        """Width in µm."""
        return self.width_px * self.mpp_x

    @property
    def height_um(self) -> float:
        """Height in µm."""
        return self.height_px * self.mpp_y

    @property
    def mpp(self) -> float:
        """µm per pixel at level 0, mean of both axes."""
        return (self.mpp_y + self.mpp_x) / 2

    def pixel_um(self, level: int) -> tuple[float, float]:
        """Height and width of a pixel of a level, in µm."""
        return self.mpp_y * self.downsamples[level], self.mpp_x * self.downsamples[level]

    def coarsest_level(self, reduction: float) -> int:
        """Index of the coarsest level within tolerance of ``reduction`` level-0 pixels per pixel, at least 0."""
        limit = reduction * (1 + MPP_TOLERANCE)
        return max(level for level, factor in enumerate(self.downsamples) if level == 0 or factor <= limit)

    def level_for(self, mpp: float) -> int:
        """Index of the coarsest level that is not coarser than ``mpp``, to within :data:`MPP_TOLERANCE`.

        Raises
        ------
        SlideError
            If the slide has no such level, so that it would have to be up-sampled.
        """
        name = f"slide {self.slide_id!r} ({self.path.name})"
        if not plausible(mpp):
            raise SlideError(f"{name}: asked for {mpp:g} µm/px; {_EXPECTED}")
        if self.mpp > mpp * (1 + MPP_TOLERANCE):
            raise SlideError(f"{name}: {self._too_fine([mpp])}")
        return self.coarsest_level(mpp / self.mpp)

    def check_magnifications(self, magnifications: Sequence[float]) -> None:
        """Refuse magnifications that would have to be up-sampled.

        Raises
        ------
        SlideError
            Naming all of them, the slide's own, and those that can be had instead.
        """
        limit = self.mpp / (1 + MPP_TOLERANCE)
        lacking = [one for one in magnifications if MPP_OF_1X / one < limit]
        if not lacking:
            return
        own, finest = _rounded_down(MPP_OF_1X / self.mpp), max(magnifications)
        kept = [one for one in magnifications if one not in lacking]
        values = []
        if kept:
            values.append(f"{_listed(kept)} (without {_listed(lacking)})")
        if finest < _NEARLY * own:
            values.insert(0, _listed([one * own / finest for one in magnifications]))
        elif not kept:
            values.append(_listed([own]))
        raise SlideError(
            f"slide {self.slide_id!r} ({self.path.name}): {self._too_fine([MPP_OF_1X / one for one in lacking])} With "
            f"cohort.magnifications {' or '.join(values)} it can be used"
        )

    def _too_fine(self, mpps: Sequence[float]) -> str:
        asked = ", ".join(f"{MPP_OF_1X / mpp:.4g}× needs {mpp:.4g} µm/px" for mpp in mpps)
        return (
            f"{asked}, the slide's finest is {self.mpp:.4g} ({_rounded_down(MPP_OF_1X / self.mpp):g}×); slides are "
            f"never up-sampled (tolerance {MPP_TOLERANCE:.0%}). Leave out this magnification, or the slide."
        )


def _rounded_down(magnification: float) -> float:
    """Give a magnification two digits, so that it is easily written and no finer."""
    digits = 1 - math.floor(math.log10(magnification))
    return math.floor(magnification * 10.0**digits * (1 + _ROUNDING)) / 10.0**digits


def _listed(magnifications: Sequence[float]) -> str:
    return f"[{', '.join(f'{one:.6g}' for one in magnifications)}]"


def describe(handle: OpenSlide, path: Path, slide_id: str, mpp: float | None) -> SlideInfo:
    """Gather what an open slide says about itself.

    Parameters
    ----------
    mpp
        µm per pixel that overrides what the file says.

    Raises
    ------
    SlideError
        If there is no plausible µm per pixel, or pixels are not square.
    """
    mpp_y, mpp_x = (mpp, mpp) if mpp is not None else _pixel_size(dict(handle.properties), path, slide_id)
    width, height = handle.dimensions
    downsamples = tuple(
        _downsample((width, height), size, factor)
        for size, factor in zip(handle.level_dimensions, handle.level_downsamples, strict=True)
    )
    vendor = handle.properties.get("openslide.vendor", "")
    top, left = (int(handle.properties.get(f"openslide.bounds-{axis}", 0)) for axis in ("y", "x"))
    return SlideInfo(slide_id, path, vendor, width, height, mpp_y, mpp_x, downsamples, (top, left))


def plausible(mpp: float) -> bool:
    """Whether this may be the µm per pixel of a light microscope."""
    return PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1]


_EXPECTED: Final = (
    f"expected µm per pixel between {PLAUSIBLE_MPP[0]:g} and {PLAUSIBLE_MPP[1]:g} (0.25 at 40×, 0.5 at 20×, 1 at 10×)"
)


def checked_override(mpp: float | None, slide_id: str) -> float | None:
    """Refuse an implausible µm per pixel from the study file with ``SlideError``."""
    if mpp is not None and not plausible(mpp):
        raise SlideError(
            f"slide {slide_id!r}: its µm per pixel is given as {mpp:g} (column mpp, or cohort.mpp_override); "
            f"{_EXPECTED}"
        )
    return mpp


def _pixel_size(properties: Mapping[str, str], path: Path, slide_id: str) -> tuple[float, float]:
    names = ("openslide.mpp-y", "openslide.mpp-x")
    if not all(name in properties for name in names):
        names = ("tiff.YResolution", "tiff.XResolution")
    unit = properties.get("tiff.ResolutionUnit", "none")
    mpp_y, mpp_x = (_um_per_pixel(name, properties.get(name, ""), unit) for name in names)
    if not (plausible(mpp_y) and plausible(mpp_x)):
        stated = [f"{name} = {properties[name]}" for name in (*names, "tiff.ResolutionUnit") if name in properties]
        raise SlideError(
            f"slide {slide_id!r} ({path.name}) has no µm per pixel (found {', '.join(stated) or 'nothing'}); "
            f"{_EXPECTED}; set cohort.mpp_override for this slide"
        )
    if max(mpp_y, mpp_x) > (1 + MAX_ANISOTROPY) * min(mpp_y, mpp_x):
        raise SlideError(
            f"slide {slide_id!r} ({path.name}) has pixels of {mpp_y:g} µm (y) by {mpp_x:g} µm (x); expected squares, "
            f"to within {MAX_ANISOTROPY:.0%}; set cohort.mpp_override for this slide"
        )
    return mpp_y, mpp_x


def _um_per_pixel(name: str, text: str, unit: str) -> float:
    """Read a property, µm per pixel or pixels per unit of length; nan if it states neither."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    if name.startswith("openslide."):
        return value
    return _UNIT_UM[unit] / value if unit in _UNIT_UM and value > 0 else math.nan


def _downsample(full: tuple[int, int], reduced: tuple[int, int], factor: float) -> float:
    """Level-0 pixels per pixel of a level.

    OpenSlide divides the sizes, which are rounded. Where they agree with a whole number, the level was made by that
    number; at the far end of a slide the difference is up to a pixel of the level.
    """
    whole = round(factor)
    return float(whole) if all(abs(a / whole - b) < 1 for a, b in zip(full, reduced, strict=True)) else factor
