"""From views to the probability of each tissue in every pixel, whatever their µm per pixel (torch)."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from saliency_stats.compartments.tissue.files import TissueModel
from saliency_stats.compartments.tissue.network import STRIDE
from saliency_stats.compartments.view import View, resampled
from saliency_stats.compartments.ways import TISSUES
from saliency_stats.typing import Float32Array, UInt8Array

#: The network looks at this many pixels around one (its receptive field is some 530 pixels wide), rounded up to its
#: stride: a block that is cut out with as much around it is as it would be in the whole image.
MARGIN_PX: Final = 17 * STRIDE
#: Images of more pixels on a side are looked at in blocks of this size, margins not counted.
BLOCK_PX: Final = 64 * STRIDE
#: Pixels predicted at once on a device; on a CPU one image after the other is as fast.
BATCH_PX_DEVICE: Final = 32 * 256 * 256


class Tissues:
    """Says how probable each of ``TISSUES`` is in every pixel of views: a ``TissueFinder``.

    Parameters
    ----------
    model
        Network, its scale and temperature.
    device
        Where it computes, in torch's words.
    """

    def __init__(self, model: TissueModel, device: str = "cpu") -> None:
        self._mpp, self._temperature = model.mpp, model.temperature
        # models are read once: another device must not take this one's network along
        self._network = deepcopy(model.network).to(device)
        self._device = torch.device(device)

    def __call__(self, views: Sequence[View]) -> list[Float32Array]:
        """Give (3, H, W) float32 of every view, at the size of the view; they sum to 1."""
        found: list[Float32Array | None] = [None] * len(views)
        shown = [self._shown(view) for view in views]
        sizes: dict[tuple[int, ...], list[int]] = {}
        for position, image in enumerate(shown):
            sizes.setdefault(image.shape, []).append(position)
        for (height, width, _), positions in sizes.items():
            together = _together(self._device.type, height * width)
            for start in range(0, len(positions), together):
                batch = positions[start : start + together]
                probabilities = self._probabilities(np.stack([shown[position] for position in batch]))
                for position, one in zip(batch, probabilities, strict=True):
                    found[position] = _resized(one, views[position].image.shape[:2])
        return [one for one in found if one is not None]

    def _shown(self, view: View) -> UInt8Array:
        """Scale a view to the model's µm per pixel: an average over area, or bilinear where it grows."""
        how = {"smaller": Image.Resampling.BOX, "larger": Image.Resampling.BILINEAR}
        return resampled(view.image, view.mpp, self._mpp, **how)

    def _probabilities(self, images: UInt8Array) -> Tensor:
        """(N, 3, H, W) of images (N, H, W, 3) of the model's scale, on the CPU."""
        _, height, width, _ = images.shape
        pads = [(0, -side % STRIDE) for side in (height, width)]
        # a mirror image reaches as far as the image does
        mode = "reflect" if all(pad < side for (_, pad), side in zip(pads, (height, width), strict=True)) else "edge"
        padded = np.pad(images, [(0, 0), *pads, (0, 0)], mode=mode)  # type: ignore[call-overload]
        made = torch.empty(len(images), len(TISSUES), *padded.shape[1:3])
        with torch.inference_mode():
            for rows, columns, inner, outer in _blocks(*padded.shape[1:3]):
                block = np.ascontiguousarray(padded[:, rows, columns])
                # channels-last: nothing is copied
                seen = torch.from_numpy(block).permute(0, 3, 1, 2).to(self._device).float() / 255
                logits = self._network(seen)[(..., *inner)] / self._temperature
                made[(..., *outer)] = logits.softmax(dim=1).cpu()
        return made[..., :height, :width]


def _together(device: str, pixels: int) -> int:
    """Say how many images of so many pixels the network looks at together."""
    return 1 if device == "cpu" else max(1, BATCH_PX_DEVICE // pixels)


def _blocks(height: int, width: int) -> Iterator[tuple[slice, slice, tuple[slice, slice], tuple[slice, slice]]]:
    """Rows and columns to look at, the part of the result that no cut edge reaches, and its place in the image."""
    spans = [
        [
            (max(0, start - MARGIN_PX), min(side, start + BLOCK_PX + MARGIN_PX), start, min(side, start + BLOCK_PX))
            for start in range(0, side, BLOCK_PX)
        ]
        for side in (height, width)
    ]
    for top, bottom, y0, y1 in spans[0]:
        for left, right, x0, x1 in spans[1]:
            inner = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
            yield slice(top, bottom), slice(left, right), inner, (slice(y0, y1), slice(x0, x1))


def _resized(probabilities: Tensor, size: tuple[int, ...]) -> Float32Array:
    """Bring (3, h, w) to another size; linear interpolation keeps the sum of 1 but for its rounding."""
    if probabilities.shape[1:] != size:
        probabilities = functional.interpolate(probabilities[None], size, mode="bilinear", antialias=True)[0]
    return np.ascontiguousarray((probabilities / probabilities.sum(dim=0)).numpy())
