"""Nuclei by a TorchScript file of the user's own, such as an export of InstanSeg (Goldsborough et al., 2024).

A study file names it as ``compartments.nuclei: torchscript:PATH`` or ``torchscript:PATH@UM_PER_PX``. The contract is
what InstanSeg's exports take and give:

- *Scale.* The model is shown images of one µm per pixel; views of another are resampled. Its attribute ``pixel_size``
  (of the scripted module, as InstanSeg writes it) says how many; 0 and NaN say nothing. What stands after the last
  ``@``, if it is a number, says it for files that do not. If both say it, they must agree.
- *Input.* One image at a time, float32 (1, 3, H, W), RGB. In each channel the 0.1th and 99.9th percentile of the image
  are 0 and 1; what lies beyond is not clipped.
- *Output.* One tensor (1, 1, H, W) or (1, 2, H, W) of whole numbers, 0 outside nuclei and one number for each nucleus.
  **Channel 0 holds the nuclei**; a second channel, the cells of InstanSeg, is not read. Numbers may have gaps.

The model must be a function of the image alone, without chance or memory. It is put into evaluation mode, and run
without the optimisations that torch makes after the first images, which may round otherwise. It gives no
probabilities. Its nuclei are taken as they are.

A TorchScript file is a program. Loading it runs no Python, but its own code runs on every image: use files that you
trust. Its licence is between you and its author. Only the path and the SHA-256 of the file enter a run's folder.
"""

import io
import math
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from skimage.measure import label
from skimage.segmentation import relabel_sequential
from torch import Tensor

from saliency_stats.compartments.stain import estimate_stains
from saliency_stats.compartments.view import CompartmentParameters, Found, View, resampled, view_of
from saliency_stats.errors import CompartmentError, listed, shortened, shown
from saliency_stats.typing import Float32Array, Instances, UInt8Array
from saliency_stats.vocabulary import TORCHSCRIPT

#: Of the µm per pixel of a model, as of ``compartments.segmentation_mpp``.
MPP_RANGE: Final = (0.1, 2.0)
#: Two statements of µm per pixel are one if they differ by no more than this share.
_ROUNDING: Final = 1e-3
#: Percentiles of an image that become 0 and 1, and the least difference (grey levels) that is stretched: InstanSeg's.
_PERCENTILES: Final = (0.1, 99.9)
_LEAST_RANGE: Final = 1e-3


class TorchScriptNuclei:
    """Finds nuclei one view at a time: a ``NucleusFinder`` that can travel to another process.

    Parameters
    ----------
    content
        Bytes of the file.
    name
        Its path, for messages.
    mpp
        µm per pixel that the study states; None leaves it to the file.
    device
        Where the model computes, in torch's words.

    Raises
    ------
    CompartmentError
        If the content is no TorchScript program, or the µm per pixel it works at are unknown, contradictory or out of
        range.
    """

    def __init__(self, content: bytes, name: str, mpp: float | None, device: str) -> None:
        self._made_of = (content, name, mpp, device)
        self.name, self.device = name, device
        try:
            with warnings.catch_warnings():
                # torch would have new programs exported in another way; there are many of this kind
                warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
                self._model = torch.jit.load(io.BytesIO(content), map_location=device).eval()  # type: ignore[no-untyped-call]
        except Exception as error:
            # a damaged archive makes its readers raise anything
            raise CompartmentError(
                f"{name}: torch cannot load this TorchScript file on {device} ({_reason(error)}). Is it complete? "
                "Export it anew with this version of torch, or use another --device."
            ) from error
        self.mpp = _scale(getattr(self._model, "pixel_size", 0.0), mpp, name)

    def __reduce__(self) -> tuple[Any, ...]:
        # a ScriptModule cannot be pickled; the file may not be there where this is unpickled, so it travels along
        return TorchScriptNuclei, self._made_of

    def __call__(self, views: Sequence[View]) -> list[Found]:
        """Find the nuclei of every view, at the size of the view.

        Raises
        ------
        CompartmentError
            If the model raises, or what it returns breaks the contract.
        """
        return [self._found(view) for view in views]

    def _found(self, view: View) -> Found:
        pixels = torch.from_numpy(_normalised(resampled(view.image, view.mpp, self.mpp)))[None].to(self.device)
        shape = tuple(pixels.shape)
        try:
            # each view alone, so that nothing depends on which others are measured beside it
            with torch.no_grad(), torch.jit.optimized_execution(should_optimize=False):  # type: ignore[attr-defined]
                output = self._model(pixels)
        except Exception as error:
            raise CompartmentError(
                f"{self.name}: the model stopped at an image of the shape {shape}: {_reason(error)}. Expected a model "
                "of float32 images (1, 3, H, W) of any size, on any device; export it so, or try --device cpu."
            ) from error
        labels, faults = _labels(output, shape)
        if labels is not None and not faults:
            instances = _numbered(labels, view.image.shape[:2])
            faults = _of_a_class(instances, view)
        if labels is None or faults:
            raise CompartmentError(
                f"{self.name}: {listed(faults)}. Of an image {shape}, expected labels (1, 1 or 2, {shape[2]}, "
                f"{shape[3]}): whole numbers, 0 outside nuclei, one number for each nucleus, nuclei in channel 0. "
                "Export the model with the steps that make labels of what the network gives."
            )
        return Found(instances, np.full(int(instances.max(initial=0)), np.nan))


def read_torchscript(path: Path, mpp: float | None, device: str) -> TorchScriptNuclei:
    """Read a TorchScript file that finds nuclei.

    Raises
    ------
    CompartmentError
        If it cannot be read, is something else, or :class:`TorchScriptNuclei` refuses it.
    """
    remedy = "expected a TorchScript file, as torch.jit.save writes it, of a model that makes labels of RGB images."
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "no file" if not path.exists() else "a pipe or a device"
            raise CompartmentError(f"{path} is {found}; {remedy}")
        other = _other(path)
        if other:
            raise CompartmentError(f"{path} is {other}; {remedy}")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = shortened(str(getattr(error, "strerror", None) or error))
        raise CompartmentError(f"{shown(str(path))} cannot be read ({reason}); {remedy}") from error
    return TorchScriptNuclei(content, str(path), mpp, device)


def trial_view(shape: tuple[int, int], mpp: float, parameters: CompartmentParameters) -> View:
    """Draw dark discs 8 µm wide on pink, to see before a study whether a model keeps the contract at this size."""
    y, x = (np.abs(np.arange(n) * mpp % 20 - 10) for n in shape)
    image = np.where((y[:, None, None] ** 2 + x[None, :, None] ** 2) < 4**2, (90, 60, 140), (235, 190, 215))
    drawn = image.astype(np.uint8)
    return view_of(drawn, mpp, parameters, estimate_stains([drawn]))


def _other(path: Path) -> str:
    """Say what a file is that is no TorchScript archive."""
    with path.open("rb") as file:
        start = file.read(9)
    if not start:
        return "empty (0 bytes)"
    if start[8:] == b"{":
        return "a safetensors file, weights without the program that uses them"
    if not start.startswith(b"PK"):
        return "no TorchScript archive"
    try:
        with zipfile.ZipFile(path) as archive:
            inner = {name.partition("/")[2] for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        return f"a damaged archive ({error})"
    if "constants.pkl" in inner:
        return ""
    return "weights of torch.save without a program" if "data.pkl" in inner else "an archive of something else"


def _scale(stated: Any, wanted: float | None, name: str) -> float:
    """Decide on the µm per pixel from what the file and the study say."""
    own = stated.item() if isinstance(stated, Tensor) and stated.numel() == 1 else stated
    if isinstance(own, bool) or not isinstance(own, (int, float)):
        raise CompartmentError(
            f"{name}: its pixel_size is {shown(own)}; expected µm per pixel as a number, or 0 where it is not known."
        )
    says_nothing = own == 0 or math.isnan(own)
    found = {"the file": None if says_nothing else float(own), "the study": wanted}
    said = {who: mpp for who, mpp in found.items() if mpp is not None}
    if not said:
        raise CompartmentError(
            f"{name} does not say at how many µm per pixel it works (no attribute pixel_size). Say it after an @: "
            f"{TORCHSCRIPT}{name}@0.5"
        )
    low, high = MPP_RANGE
    faults = [
        f"{who} says {mpp:g} µm per pixel; expected {low:g} to {high:g}"
        for who, mpp in said.items()
        if not low <= mpp <= high
    ]
    if len(said) == len(found) and not math.isclose(*said.values(), rel_tol=_ROUNDING):
        faults.append(
            f"the study says {wanted:g} µm per pixel, the file {own:g} (its pixel_size); leave @{wanted:g} out, or use "
            "another file"
        )
    if faults:
        raise CompartmentError(f"{name}: {listed(faults)}.")
    return said.get("the study", float(own))


def _normalised(image: UInt8Array) -> Float32Array:
    """(H, W, 3) uint8 to (3, H, W), each channel between its own percentiles."""
    low, high = np.percentile(image, _PERCENTILES, axis=(0, 1))
    scaled = (image - low) / np.maximum(high - low, _LEAST_RANGE)
    return np.ascontiguousarray(np.moveaxis(scaled, -1, 0), dtype=np.float32)


def _labels(output: object, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.int64] | None, list[str]]:
    """Take the labels (H, W) out of what a model gave for an image of this shape, or say what is wrong with it."""
    if not isinstance(output, Tensor):
        return None, [f"the model returns a {type(output).__name__}, no tensor"]
    if output.layout != torch.strided or output.is_quantized or output.is_complex() or output.dtype == torch.bool:
        masks = ", a mask that does not tell nuclei apart" if output.dtype == torch.bool else ""
        return None, [f"the model returns {output.dtype} ({output.layout}){masks}"]
    faults, found = [], tuple(output.shape)
    if found not in {(1, channels, *shape[2:]) for channels in (1, 2)}:
        faults.append(f"the model returns the shape {found}")
    values = output.cpu() if faults else output[0, 0].cpu()
    if values.is_floating_point():
        exact = 2 / torch.finfo(values.dtype).eps  # from here on neighbouring whole numbers are one
        values = values.double()
        infinite = ~torch.isfinite(values)
        fractional = ~infinite & (values != values.round())
        beyond = ~infinite & (values.abs() > exact)
        wrong = {"NaN or infinite": infinite, "no whole numbers": fractional, f"too large for {output.dtype}": beyond}
    else:
        wrong = {}
    for what, where in (wrong | {"negative": values < 0}).items():
        if where.any():
            faults.append(f"{int(where.sum()):,} labels are {what}, such as {values[where][0].item():g}")
    return (None if faults else values.to(torch.int64).numpy()), faults


def _numbered(labels: npt.NDArray[np.int64], shape: tuple[int, ...]) -> Instances:
    """Read labels at the pixels of a view (nearest), and number those that are left from 1 upwards."""
    at = (((np.arange(n) + 0.5) * own / n).astype(np.intp) for n, own in zip(shape, labels.shape, strict=True))
    instances, _, _ = relabel_sequential(labels[np.ix_(*at)])  # type: ignore[no-untyped-call]
    return np.asarray(instances, dtype=np.int32)


def _of_a_class(instances: Instances, view: View) -> list[str]:
    """Notice a map of classes: no label is in one piece, and one covers more than any nucleus."""
    pieces = label(instances, connectivity=2)  # type: ignore[no-untyped-call]
    _, first = np.unique(pieces, return_index=True)
    n_pieces, areas = np.bincount(instances.ravel()[first])[1:], np.bincount(instances.ravel())[1:] * view.mpp**2
    if not n_pieces.size or n_pieces.min() == 1 or areas.max() <= view.parameters.nucleus.max_area_um2:
        return []
    largest = int(areas.argmax())
    covered = f"{areas[largest]:.0f} µm² in {n_pieces[largest]}"
    return [f"every label is in several pieces, one of them covers {covered}: a map of classes, not of nuclei"]


def _reason(error: Exception) -> str:
    """Say in one line why torch stopped: what the program said stands below the trace through it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return shortened(lines[-1] if any("Traceback of TorchScript" in line for line in lines) else " ".join(lines))
