"""Training samples: labelled patches in batches of one shape each, the same for the same seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saliency_stats.classifier.augmentation import Augmentation, turn, vary_stain
from saliency_stats.cohort.patch import Cohort
from saliency_stats.typing import Int64Array, UInt8Array
from saliency_stats.vocabulary import LABELS

Batch = tuple[tuple[Tensor, ...], Tensor]


class Samples(Protocol):
    """Something a module can be trained on: its inputs and targets, in batches."""

    targets: Int64Array
    seed: int

    def batches(self, size: int, epoch: int | None) -> Iterator[Batch]:
        """Yield ``(inputs, targets)``; shuffled and augmented in a training epoch, plain where it is None."""
        ...

    def n_batches(self, size: int) -> int:
        """Count the batches of an epoch."""
        ...


def equal_batches(
    shapes: Sequence[tuple[int, int]], size: int, rng: np.random.Generator | None = None
) -> list[Int64Array]:
    """Divide samples into batches of one image shape and nearly equal size.

    The last batch is never a small remainder: batch normalisation would estimate its statistics from it.

    Parameters
    ----------
    shapes
        Image shape (H, W) of every sample.
    size
        Largest number of samples in a batch.
    rng
        Shuffles samples and batches; without it the order is kept.
    """
    order = np.arange(len(shapes)) if rng is None else rng.permutation(len(shapes))
    by_shape: dict[tuple[int, int], list[int]] = {}
    for index in order:
        by_shape.setdefault(shapes[index], []).append(int(index))
    parts = [
        part
        for _, members in sorted(by_shape.items())
        for part in np.array_split(np.array(members, dtype=np.int64), -(-len(members) // size))
    ]
    if rng is None:
        return parts
    return [parts[position] for position in rng.permutation(len(parts))]


def shapes_of(table: pd.DataFrame) -> list[tuple[int, int]]:
    """Give the image shape (H, W) of every row of an inspected patch table."""
    return list(zip(table["height_px"].astype(int), table["width_px"].astype(int), strict=True))


def targets_of(table: pd.DataFrame) -> Int64Array:
    """Give the class index of every row, in the order of ``LABELS``."""
    index = {label: number for number, label in enumerate(LABELS)}
    return np.array([index[label] for label in table["label"]], dtype=np.int64)


def to_tensor(images: UInt8Array, device: torch.device) -> Tensor:
    """Turn images (N, H, W, 3) uint8 into (N, 3, H, W) float32 in [0, 1], channels last in memory."""
    pixels = torch.from_numpy(images)
    if device.type == "cuda":  # from pinned memory the copy does not wait for what the GPU computes
        pixels = pixels.pin_memory().to(device, non_blocking=True)
    batch = pixels.to(device).permute(0, 3, 1, 2)
    return batch.to(torch.float32, memory_format=torch.channels_last) / 255.0


@dataclass
class ImageSamples:
    """Patches of a cohort as training samples.

    Parameters
    ----------
    cohort, table
        The cohort and the rows of its table that are used (index = row in the cohort).
    augmentation
        How training epochs vary them.
    seed
        Root of the order and the augmentation: epoch e uses ``[seed, e]``.
    """

    cohort: Cohort
    table: pd.DataFrame
    augmentation: Augmentation
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        self.targets = targets_of(self.table)
        self._shapes = shapes_of(self.table)

    def n_batches(self, size: int) -> int:
        """Count the batches of an epoch."""
        return len(equal_batches(self._shapes, size))

    def members(self, size: int) -> list[Int64Array]:
        """List the positions of the samples in each batch that is not shuffled."""
        return equal_batches(self._shapes, size)

    def batches(self, size: int, epoch: int | None) -> Iterator[Batch]:
        """Yield batches of images (N, 3, H, W) and class indices (N,)."""
        rng = None if epoch is None else np.random.default_rng([self.seed, epoch])
        rows = self.table.index.to_numpy()
        for members in equal_batches(self._shapes, size, rng):
            images = [self.cohort.read(int(rows[member])).image for member in members]
            if rng is not None and self.augmentation.dihedral:
                images = [turn(image, rng) for image in images]
            batch = to_tensor(np.stack(images), self.device)
            if rng is not None and self.augmentation.stain > 0:
                batch = vary_stain(batch, self.augmentation.stain, rng)
            yield (batch,), torch.from_numpy(self.targets[members]).to(self.device)
