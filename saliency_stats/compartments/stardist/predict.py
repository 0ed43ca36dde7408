"""From images to star-convex polygons: batches, overlapping blocks of large images, non-maximum suppression."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from stardist.nms import non_maximum_suppression_sparse

from saliency_stats.compartments.stardist.files import StarDistModel
from saliency_stats.errors import CompartmentError
from saliency_stats.typing import Float32Array, Float64Array, IndexArray

#: Images larger than this many pixels are predicted in blocks of at most that many, margins not counted.
BLOCK_PX: Final = 1024 * 1024
#: Pixels predicted at once. On a CPU few: the activations of one layer should stay in the cache (measured at 1 to 16
#: patches of 256 px, with their mirrored margins: 2 take 0.94 times the time of 1 and 0.87 times that of 8). Elsewhere
#: the memory of the activations is the bound.
BATCH_PX: Final = 2 * (256 + 32) ** 2
BATCH_PX_DEVICE: Final = 32 * 256 * 256
#: Grid points this close to the image's border propose no polygon, as in stardist.
_BORDER: Final = 2
#: Smallest distance, as in stardist.
_SMALLEST: Final = 1e-3


class Polygons(NamedTuple):
    """Star-convex polygons of one image, the most probable first.

    ``points`` (n, 2) and ``distances`` (n, rays) are in pixels of the image, ``probabilities`` (n,) in [0, 1].
    """

    points: Float64Array
    distances: Float32Array
    probabilities: Float32Array


class _Dense(NamedTuple):
    prob: Float32Array
    dist: Float32Array


def predict(model: StarDistModel, image: Float32Array) -> _Dense:
    """Object probability and distances of every grid point of (H, W, C), as ``StarDist2D.predict`` gives them.

    Returns
    -------
    prob
        (h, w) in [0, 1].
    dist
        (h, w, rays), at least 0.001 px.
    """
    padded = _padded(model, image)
    gy, gx = model.network.config.grid
    prob, dist = _forward(model, padded[None])
    keep = tuple(
        slice(0, size - (full - shown) // grid)
        for size, full, shown, grid in zip(prob.shape[1:], padded.shape[:2], image.shape[:2], (gy, gx), strict=True)
    )
    return _Dense(prob[0][keep], dist[0][keep])


def find_polygons(model: StarDistModel, images: Sequence[Float32Array]) -> list[Polygons]:
    """Polygons of every image (H, W, C): those that ``StarDist2D.predict_instances`` would find in each by itself.

    Images of one size are predicted together; large ones in blocks that overlap by more than the network sees, so
    that the result is that of the whole image.

    Raises
    ------
    CompartmentError
        If an image does not have the model's channels.
    """
    wanted = model.network.config.n_channel_in
    for image in images:
        if image.ndim != 3 or image.shape[-1] != wanted:  # noqa: PLR2004 - (H, W, C)
            raise CompartmentError(
                f"The StarDist model {model.name} takes images (H, W, {wanted}), found the shape {image.shape}."
            )
    found: list[Polygons | None] = [None] * len(images)
    sizes: dict[tuple[int, ...], list[int]] = {}
    for position, image in enumerate(images):
        sizes.setdefault(image.shape, []).append(position)
    device = next(model.network.parameters()).device.type
    for shape, positions in sizes.items():
        together = max(1, (BATCH_PX if device == "cpu" else BATCH_PX_DEVICE) // (shape[0] * shape[1]))
        for start in range(0, len(positions), together):
            batch = positions[start : start + together]
            candidates = _candidates(model, [_padded(model, images[position]) for position in batch])
            for position, (points, dist, prob) in zip(batch, candidates, strict=True):
                inside = np.all(points < np.asarray(shape[:2]), axis=1)
                found[position] = _suppressed(model, points[inside], dist[inside], prob[inside])
    return [polygons for polygons in found if polygons is not None]


def _suppressed(model: StarDistModel, points: IndexArray, dist: Float32Array, prob: Float32Array) -> Polygons:
    kept = non_maximum_suppression_sparse(dist, prob, points, nms_thresh=model.nms_threshold)
    return Polygons(kept[0].astype(np.float64), kept[2], kept[1])


def _padded(model: StarDistModel, image: Float32Array) -> Float32Array:
    """Reflect at the far ends to a multiple of what the network divides by, as stardist does."""
    divisor = model.network.config.divisor
    pad = [(0, -size % d) for size, d in zip(image.shape[:2], divisor, strict=True)]
    return np.pad(image, [*pad, (0, 0)], mode="reflect")


def _candidates(
    model: StarDistModel, images: list[Float32Array]
) -> list[tuple[IndexArray, Float32Array, Float32Array]]:
    """Points (n, 2) in pixels, distances and probabilities above the threshold, of images of one size."""
    height, width = images[0].shape[:2]
    grid = np.asarray(model.network.config.grid)
    last = np.asarray((height, width)) // grid - _BORDER
    parts: list[list[tuple[IndexArray, Float32Array, Float32Array]]] = [[] for _ in images]
    for rows, columns, inner in _blocks(model, height, width):
        prob, dist = _forward(model, np.stack([image[rows, columns] for image in images]))
        offset = np.asarray((rows.start, columns.start)) // grid
        start = np.asarray((inner[0].start, inner[1].start))
        for part, p, d in zip(parts, prob, dist, strict=True):
            points = np.argwhere(p[inner] > model.prob_threshold) + start
            at = points + offset
            points = points[np.all((at >= _BORDER) & (at < last), axis=1)]
            chosen = tuple(points.T)
            part.append(((points + offset) * grid, d[chosen], p[chosen]))
    return [
        (np.concatenate(points), np.concatenate(dist), np.concatenate(prob))
        for points, dist, prob in (zip(*part, strict=True) for part in parts)
    ]


def _blocks(model: StarDistModel, height: int, width: int) -> Iterator[tuple[slice, slice, tuple[slice, slice]]]:
    """Rows and columns to look at, and the part of the prediction (in grid points) that no cut edge reaches."""
    config = model.network.config
    whole = height * width <= BLOCK_PX
    side = int(BLOCK_PX**0.5)
    spans = []
    for size, divisor, margin, grid in zip((height, width), config.divisor, config.margin, config.grid, strict=True):
        step = size if whole else max(divisor, side // divisor * divisor)
        around = -(-margin // divisor) * divisor
        spans.append(
            [
                (max(0, start - around), min(size, start + step + around), start, min(size, start + step), grid)
                for start in range(0, size, step)
            ]
        )
    for top, bottom, y0, y1, gy in spans[0]:
        for left, right, x0, x1, gx in spans[1]:
            inner = slice((y0 - top) // gy, (y1 - top) // gy), slice((x0 - left) // gx, (x1 - left) // gx)
            yield slice(top, bottom), slice(left, right), inner


def _forward(model: StarDistModel, images: Float32Array) -> _Dense:
    """Probabilities (N, h, w) and distances (N, h, w, rays) of padded images (N, H, W, C)."""
    device = next(model.network.parameters()).device
    # a channels-last tensor is a transposed view of the batch: nothing is copied
    batch = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).permute(0, 3, 1, 2).to(device)
    with torch.inference_mode():
        logits, dist = model.network(batch)
        prob = torch.sigmoid(logits).cpu().numpy()
        distances = dist.clamp_min(_SMALLEST).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return _Dense(prob, distances)
