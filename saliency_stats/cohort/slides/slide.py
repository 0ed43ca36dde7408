"""Whole-slide images, read in µm: from the nearest finer level, area-averaged down, never up-sampled.

Positions are (y, x) in µm from the upper left corner of the slide: the centre of the level-0 pixel in row r and
column c lies at ((r + 0.5) mpp_y, (c + 0.5) mpp_x).
"""

import math
import os
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Final, Self

import numpy as np
from openslide import OpenSlide, OpenSlideCache, OpenSlideError
from PIL import Image as PillowImage

from saliency_stats.cohort.slides.averaging import ROUNDING_PX, area_average
from saliency_stats.cohort.slides.depth import check_samples
from saliency_stats.cohort.slides.geometry import SlideInfo, checked_override, describe
from saliency_stats.errors import SlideError
from saliency_stats.typing import Image

__all__ = ["Slide", "SlideInfo"]

#: Decoded tiles that OpenSlide keeps, for all open slides of a process together.
CACHE_BYTES: Final = 64 * 2**20

#: A large field is read in squares of this side of its level: 16 MiB as read, 48 MiB while it is averaged.
_BLOCK_PX = 2048


class Slide:
    """One whole-slide image in any format that OpenSlide reads.

    The file is opened at the first use, once per process; a pickled slide carries its path, not its handle. Threads
    read one after the other.

    Parameters
    ----------
    mpp
        µm per pixel at level 0, for a slide that does not know it or is wrong about it; overrides the file.

    Raises
    ------
    SlideError
        If ``mpp`` is not plausible. A file that cannot be used is refused when it is first used.
    """

    def __init__(self, path: Path, slide_id: str, mpp: float | None = None) -> None:
        self.path, self.slide_id = Path(path), slide_id
        self._mpp = checked_override(mpp, slide_id)
        self._handle: OpenSlide | None = None
        self._pid = 0
        self._lock = Lock()
        self._info: SlideInfo | None = None

    def __reduce__(self) -> tuple[type["Slide"], tuple[Path, str, float | None]]:
        return type(self), (self.path, self.slide_id, self._mpp)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()

    @property
    def info(self) -> SlideInfo:
        """Size, levels and µm per pixel.

        Raises
        ------
        SlideError
            If the file cannot be opened, is not 8-bit colour, or has no usable µm per pixel.
        """
        if self._info is None:
            handle = self._open()
            check_samples(self.path, self.slide_id)
            try:
                self._info = describe(handle, self.path, self.slide_id, self._mpp)
            except OpenSlideError as error:
                self.close()
                raise self._failed("cannot be read", error) from error
        return self._info

    def snap(self, centre_um: tuple[float, float], mpp: float) -> tuple[float, float]:
        """Find the nearest corner between pixels of the level that serves ``mpp``.

        There an even patch at the level's own µm/px is made of whole pixels, and so it is at every finer level that
        divides it. Anywhere else area-averaging mixes neighbours, which softens a patch that needs no downscaling.

        Returns
        -------
        tuple
            (y, x) in µm, at most half a pixel of that level away along each axis.
        """
        height_um, width_um = self.info.pixel_um(self.info.level_for(mpp))
        return round(centre_um[0] / height_um) * height_um, round(centre_um[1] / width_um) * width_um

    def read(self, centre_um: tuple[float, float], size_px: int | tuple[int, int], mpp: float) -> Image:
        """Read a field around a point at exactly ``mpp`` µm per pixel.

        Parameters
        ----------
        centre_um
            (y, x) of the middle of the image, to a fraction of a pixel; may lie outside the slide.
        size_px
            Side of the image, or (height, width).
        mpp
            µm per pixel of the image.

        Returns
        -------
        ndarray
            (H, W, 3) uint8. Each pixel is the mean over its own square of tissue. White outside the slide, and
            where the scanner took no picture.

        Raises
        ------
        SlideError
            If the slide is not so fine, or its file cannot be read.
        """
        shape = (size_px, size_px) if isinstance(size_px, int) else size_px
        if min(shape) < 1 or not all(map(math.isfinite, centre_um)):
            raise SlideError(
                f"slide {self.slide_id!r}: asked for {shape[0]} × {shape[1]} px around {centre_um}; expected at least "
                f"1 px, and a centre in µm"
            )
        level = self.info.level_for(mpp)
        pixel_um = self.info.pixel_um(level)
        step = (mpp / pixel_um[0], mpp / pixel_um[1])
        start = (
            centre_um[0] / pixel_um[0] - shape[0] * step[0] / 2,
            centre_um[1] / pixel_um[1] - shape[1] * step[1] / 2,
        )
        return self._average(level, start, step, shape)

    def read_overview(self, max_px: int = 2048) -> tuple[Image, float, float]:
        """Read the whole slide, small.

        Returns
        -------
        image : ndarray
            (H, W, 3) uint8, its upper left corner that of the slide.
        mpp_y, mpp_x : float
            µm per pixel of the overview.

        Raises
        ------
        SlideError
            If the file cannot be read.
        """
        info = self.info
        reduction = max(1.0, max(info.height_px, info.width_px) / max_px)
        shape = (max(1, round(info.height_px / reduction)), max(1, round(info.width_px / reduction)))
        level = info.coarsest_level(reduction)
        downsample = info.downsamples[level]
        step = (info.height_px / shape[0] / downsample, info.width_px / shape[1] / downsample)
        image = self._average(level, (0.0, 0.0), step, shape)
        return image, info.height_um / shape[0], info.width_um / shape[1]

    def _average(
        self, level: int, start: tuple[float, float], step: tuple[float, float], shape: tuple[int, int]
    ) -> Image:
        """Average squares of ``step`` pixels of a level, from ``start`` on, in blocks that bound the memory."""
        image = np.empty((*shape, 3), np.uint8)
        rows, columns = (max(1, int(_BLOCK_PX / max(length, 1.0))) for length in step)
        for top in range(0, shape[0], rows):
            for left in range(0, shape[1], columns):
                block = image[top : top + rows, left : left + columns]
                block[:] = self._block(
                    level, (start[0] + top * step[0], start[1] + left * step[1]), step, block.shape[:2]
                )
        return image

    def _block(
        self, level: int, start: tuple[float, float], step: tuple[float, float], shape: tuple[int, int]
    ) -> Image:
        # an error closes the file, which another thread must not be reading then
        with self._lock:
            region, origin = self._region(level, start, step, shape)
        begin = (start[0] - origin[0], start[1] - origin[1])
        averaged: Image = np.rint(area_average(_on_white(region), begin, step, shape)).astype(np.uint8)
        return averaged

    def _region(
        self, level: int, start: tuple[float, float], step: tuple[float, float], shape: tuple[int, int]
    ) -> tuple[PillowImage.Image, list[float]]:
        """Read the pixels of a level that a block is averaged from; also returns where they begin."""
        handle = self._open()
        try:
            factor = handle.level_downsamples[level]
            corner = [_corner(first, factor) for first in start]
            origin = [position / factor for position in corner]
            size = [
                math.ceil(first + n * length - begin - ROUNDING_PX)
                for first, n, length, begin in zip(start, shape, step, origin, strict=True)
            ]
            return handle.read_region((corner[1], corner[0]), level, (size[1], size[0])), origin
        except OpenSlideError as error:
            # OpenSlide refuses everything after an error; the next read starts afresh
            self.close()
            raise self._failed(f"cannot be read at level {level}", error) from error

    def _open(self) -> OpenSlide:
        if self._handle is None or self._pid != os.getpid():
            missing = _missing(self.path)
            if missing:
                raise SlideError(
                    f"slide {self.slide_id!r}: {missing}; expected a whole-slide image. Correct the path, or leave the "
                    f"slide out"
                )
            try:
                self._handle, self._pid = OpenSlide(self.path), os.getpid()
                self._handle.set_cache(_cache(self._pid))
            except OpenSlideError as error:
                self._handle = None
                raise self._failed("cannot be opened", error) from error
        return self._handle

    def _failed(self, what: str, error: OpenSlideError) -> SlideError:
        return SlideError(
            f"slide {self.slide_id!r} ({self.path.name}) {what} ({error}); expected an intact whole-slide image in a "
            f"format of OpenSlide (Aperio, Hamamatsu, Philips TIFF, tiled pyramidal TIFF, …). Copy the file again from "
            f"its source (with the folder that belongs to it), or leave the slide out"
        )


def _missing(path: Path) -> str:
    """Say why there is no file at a path; empty if there is one."""
    try:
        if path.is_file():
            return ""
        if path.is_dir():
            return f"{path} is a folder"
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        pass
    return f"there is no file {path}"


def _corner(start_px: float, factor: float) -> int:
    """Level-0 pixel from which to read so that nothing after ``start_px`` of the level is missed.

    OpenSlide takes whole level-0 pixels and divides them by its own factor; between two pixels of the level it
    interpolates. The region therefore begins at corner / factor, as near to a whole pixel as can be.
    """
    pixel = math.floor(start_px + ROUNDING_PX)
    corner = round(pixel * factor)
    return corner if corner / factor <= start_px + ROUNDING_PX else round((pixel - 1) * factor)


@lru_cache(maxsize=1)
def _cache(_pid: int) -> OpenSlideCache:
    """Make one cache per process: a forked child must not share the lock of its parent's."""
    return OpenSlideCache(CACHE_BYTES)


def _on_white(region: PillowImage.Image) -> Image:
    """Lay an RGBA region on white glass: (H, W, 3) uint8."""
    if region.getchannel("A").getextrema() != (255, 255):
        region = PillowImage.alpha_composite(PillowImage.new("RGBA", region.size, "white"), region)
    return np.asarray(region)[..., :3]
