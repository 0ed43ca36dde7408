"""Tiled pyramidal TIFF, as OpenSlide reads it (``generic-tiff``), written tile by tile."""

import io
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image as PillowImage

from saliency_stats.errors import CohortError
from saliency_stats.typing import Float32Array, Image

Compression: TypeAlias = Literal["jpeg", "deflate"]
#: ``tiles(row, column)`` gives the part of that tile that lies on the slide, (h, w, 3) uint8.
Tiles: TypeAlias = Callable[[int, int], Image]

COMPRESSIONS: Final = ("jpeg", "deflate")
#: JPEG as value of the tag Compression (TIFF Technical Note 2).
_JPEG: Final = 7
#: One chroma sample per two pixels of a row, as Aperio's scanners store it.
_CHROMA: Final = (2, 1)
#: Beyond this many raw bytes, offsets of 32 bits may not suffice.
_CLASSIC_BYTES: Final = 2**32 - 2**26
_UM_PER_CM: Final = 1e4


def write_pyramid(
    path: Path,
    tiles: Tiles,
    shape: tuple[int, int],
    mpp: float,
    *,
    tile_px: int = 512,
    compression: Compression = "deflate",
    quality: int = 85,
    levels: int | None = None,
) -> None:
    """Write a slide as a tiled pyramidal TIFF.

    Every level is half as large as the one before it. Its pixels are averages of the pixels given, before their
    compression, rounded once. Only some tiles are in memory at a time; the levels to come wait in a file beside the
    slide that takes about as much room as the raw slide and is removed at the end. The file appears under its name
    when it is complete.

    Parameters
    ----------
    path
        File to write; replaced if it exists.
    tiles
        Called once for every tile of the finest level, row by row: ``tiles(row, column)`` returns (h, w, 3) uint8,
        ``tile_px`` squared or, at the right and lower border, what of it lies on the slide.
    shape
        (H, W) of the finest level in pixels.
    mpp
        µm per pixel of the finest level; stored as TIFF resolution, from which OpenSlide derives ``openslide.mpp-x``.
    tile_px
        Side of a tile, a multiple of 16.
    compression
        ``jpeg`` (lossy, one chroma sample per two pixels) or ``deflate`` (lossless).
    quality
        JPEG quality, 1 to 95.
    levels
        Number of levels. Left out, levels are added until the longer side is at most half a tile, or a side is odd.

    Raises
    ------
    CohortError
        If a parameter is out of range, if the sides cannot be halved so often, or if a tile has the wrong shape or
        type.
    """
    shapes = _level_shapes(path, shape, tile_px, levels)
    _check(path, mpp, tile_px, compression, quality)
    jpeg = compression == "jpeg"
    raw = sum(3 * height * width for height, width in shapes)
    partial = path.with_name(f"{path.name}.part")
    try:
        with (
            tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as folder,
            tifffile.TiffWriter(partial, bigtiff=raw > _CLASSIC_BYTES) as tiff,
        ):
            source: Callable[[int, int], NDArray[np.generic]] = _checked(path, tiles, shapes[0], tile_px)
            for level, size in enumerate(shapes):
                following = shapes[level + 1] if level + 1 < len(shapes) else None
                coarser = None if following is None else _Coarser(Path(folder) / f"{level + 1}", following)
                per_cm = _UM_PER_CM / (mpp * 2**level)
                tiff.write(
                    _encoded(source, size, tile_px, compression, quality, coarser),
                    shape=(*size, 3),
                    dtype=np.uint8,
                    tile=(tile_px, tile_px),
                    subfiletype=int(level > 0),
                    resolution=(per_cm, per_cm),
                    resolutionunit="CENTIMETER",
                    software=False,
                    metadata=None,
                    compression="adobe_deflate",
                    photometric="ycbcr" if jpeg else "rgb",
                    predictor=None if jpeg else "horizontal",
                )
                if coarser is not None:
                    source = coarser.tiles(tile_px)
        if jpeg:
            _declare_jpeg(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class _Coarser:
    """The next level, filled tile by tile; float32, so that averages of averages are rounded once."""

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self._path, self._shape = path, (*shape, 3)
        self._pixels("w+")

    def _pixels(self, mode: Literal["r+", "w+"] = "r+") -> Float32Array:
        """Map the file anew for each tile: Windows deletes no file that is mapped."""
        return np.memmap(self._path, dtype=np.float32, mode=mode, shape=self._shape)

    def take(self, tile: NDArray[np.generic], top: int, left: int) -> None:
        """Average 2 x 2 pixels of a tile whose upper left corner has this place in the finer level."""
        height, width = (length // 2 for length in tile.shape[:2])
        total = np.zeros((height, width, 3), dtype=np.float32)
        for row, column in np.ndindex(2, 2):
            total += tile[row::2, column::2]
        self._pixels()[top // 2 : top // 2 + height, left // 2 : left // 2 + width] = total / 4

    def tiles(self, tile_px: int) -> Callable[[int, int], Float32Array]:
        """Tiles of the level, unrounded."""

        def tile(row: int, column: int) -> Float32Array:
            rows, columns = (slice(index * tile_px, (index + 1) * tile_px) for index in (row, column))
            return np.array(self._pixels()[rows, columns])

        return tile


def _encoded(
    tiles: Callable[[int, int], NDArray[np.generic]],
    shape: tuple[int, int],
    tile_px: int,
    compression: Compression,
    quality: int,
    coarser: _Coarser | None,
) -> Iterator[bytes]:
    """Compress the tiles of one level, row by row, and hand their averages to the next."""
    for top in range(0, shape[0], tile_px):
        for left in range(0, shape[1], tile_px):
            tile = tiles(top // tile_px, left // tile_px)
            if coarser is not None:
                coarser.take(tile, top, left)
            whole = np.asarray(tile if tile.dtype == np.uint8 else np.rint(tile), dtype=np.uint8)
            missing = [(0, tile_px - length) for length in tile.shape[:2]]
            # repeated pixels cost nothing and do not ring, as a border of black would in a JPEG
            whole = np.pad(whole, [*missing, (0, 0)], mode="edge")
            yield _jpeg(whole, quality) if compression == "jpeg" else _deflate(whole)


def _declare_jpeg(path: Path) -> None:
    """Name the compression of the tiles.

    Without a further package tifffile refuses to write this tag, even where the tiles come compressed, so the file is
    written with the tag of deflate.
    """
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for page in tiff.pages:
            tags = cast("tifffile.TiffPage", page).tags
            tags["Compression"].overwrite(_JPEG)
            tags["YCbCrSubSampling"].overwrite(_CHROMA)


def _jpeg(tile: Image, quality: int) -> bytes:
    stream = io.BytesIO()
    PillowImage.fromarray(tile).save(stream, "JPEG", quality=quality, subsampling="4:2:2")
    return stream.getvalue()


def _deflate(tile: Image) -> bytes:
    """Horizontal differences (TIFF 6.0, section 14: predictor 2), then deflate."""
    difference = tile.copy()
    difference[:, 1:] -= tile[:, :-1]
    return zlib.compress(difference.tobytes(), 1)


def _checked(path: Path, tiles: Tiles, shape: tuple[int, int], tile_px: int) -> Tiles:
    """Refuse a tile that is not what it should be."""

    def tile(row: int, column: int) -> Image:
        given = tiles(row, column)
        height, width = (
            min(tile_px, length - index * tile_px) for length, index in zip(shape, (row, column), strict=True)
        )
        if given.shape != (height, width, 3) or given.dtype != np.uint8:
            raise CohortError(
                f"{path.name}: tile {row}, {column} is {given.shape} {given.dtype}; expected {(height, width, 3)} "
                "uint8. Return the part of the tile that lies on the slide"
            )
        return given

    return tile


def _level_shapes(path: Path, shape: tuple[int, int], tile_px: int, levels: int | None) -> list[tuple[int, int]]:
    """Sides of all levels, each exactly half the one before, so that a place on one is a place on the other."""
    if min(shape) < 1:
        raise CohortError(f"{path.name}: the slide is {shape[0]} x {shape[1]} px; expected at least one pixel")
    if levels is not None and levels < 1:
        raise CohortError(f"{path.name}: levels is {levels}; expected at least 1, the slide itself")
    shapes = [shape]
    while len(shapes) < levels if levels is not None else 2 * max(shapes[-1]) > tile_px:
        height, width = shapes[-1]
        if height % 2 or width % 2:
            if levels is None:
                break
            raise CohortError(
                f"{path.name}: {levels} levels of {shape[0]} x {shape[1]} px cannot be halved exactly; expected sides "
                f"that are multiples of {2 ** (levels - 1)}. Choose such a size, or {len(shapes)} levels"
            )
        shapes.append((height // 2, width // 2))
    return shapes


def _check(path: Path, mpp: float, tile_px: int, compression: str, quality: int) -> None:
    if not (np.isfinite(mpp) and mpp > 0):
        raise CohortError(f"{path.name}: mpp is {mpp}; expected µm per pixel above 0, 0.25 at 40×")
    if tile_px < 16 or tile_px % 16:  # noqa: PLR2004  (TIFF 6.0, section 15)
        raise CohortError(f"{path.name}: tile_px is {tile_px}; expected a multiple of 16, as TIFF requires")
    if compression not in COMPRESSIONS:
        raise CohortError(f"{path.name}: compression is {compression!r}; expected {' or '.join(COMPRESSIONS)}")
    if not 1 <= quality <= 95:  # noqa: PLR2004  (Pillow's range)
        raise CohortError(f"{path.name}: quality is {quality}; expected 1 to 95")
