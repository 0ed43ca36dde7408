"""Weights of a StarDist network from the HDF5 file that Keras writes: nothing outside the file is followed."""

import math
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from saliency_stats.compartments.stardist.network import StarDistNetwork
from saliency_stats.errors import CompartmentError, shortened

_CONFIG: Final = "config.json"
#: A block of numbers is read as a whole, however few of them there are.
_MAX_CHUNK: Final = 10_000_000


def load_keras(network: StarDistNetwork, path: Path) -> None:
    """Copy the weights of a Keras HDF5 file into a network, layer by layer.

    Raises
    ------
    CompartmentError
        If the file cannot be read, leads out of itself, or does not fit the network in every layer.
    """
    try:
        with h5py.File(path, "r") as file:
            _fill(network, _layers(file, path), path)
    except CompartmentError:
        raise
    except Exception as error:
        # a damaged file makes the HDF5 library raise anything
        raise CompartmentError(
            f"{path} cannot be read as Keras weights ({shortened(str(error))}); expected the HDF5 file that stardist's "
            "training writes. Download or save the model again."
        ) from error


def _fill(network: StarDistNetwork, layers: dict[str, list[h5py.Dataset]], path: Path) -> None:
    convolutions, norms = _targets(network)
    named = {name for name, _ in convolutions if name}
    unnamed = iter([key for key, w in layers.items() if key not in named and len(w) == 2 and "class" not in key])  # noqa: PLR2004 - kernel, bias
    normalised = iter([key for key, w in layers.items() if len(w) == 4])  # noqa: PLR2004 - gamma, beta, mean, variance
    # the class head is read and not used
    left = {key for key in layers if "class" not in key}
    for name, conv in convolutions:
        key = name or next(unnamed, "")
        weights = layers.get(key)
        if weights is None:
            raise CompartmentError(
                f"{path} has no layer {name or 'before the U-Net'}: weights and {_CONFIG} belong to different models."
            )
        kernel, bias = weights
        _copy(conv.weight, kernel, path, name, turned=True)
        assert conv.bias is not None  # every convolution of the network has one
        _copy(conv.bias, bias, path, name)
        left.discard(key)
    for norm in norms:
        key = next(normalised, "")
        weights = layers.get(key)
        if weights is None:
            raise CompartmentError(f"{path} lacks a batch normalisation that {_CONFIG} asks for (unet_batch_norm).")
        assert norm.running_mean is not None
        assert norm.running_var is not None
        for target, values in zip((norm.weight, norm.bias, norm.running_mean, norm.running_var), weights, strict=True):
            _copy(target, values, path, "batch_normalization")
        if bool((norm.running_var < 0).any()):
            raise CompartmentError(f"{path}: layer {key} has a negative variance; save the model again.")
        left.discard(key)
    if left:
        some = ", ".join(sorted(left)[:3])
        raise CompartmentError(
            f"{path} has {len(left)} layers that {_CONFIG} does not ask for ({shortened(some)}): weights and {_CONFIG} "
            "belong to different models."
        )


def _layers(file: h5py.File, path: Path) -> dict[str, list[h5py.Dataset]]:
    """Layers that have weights, in the order of execution that Keras notes in ``layer_names``; nothing is read yet."""
    group = file if file.get("model_weights", getlink=True) is None else _inside(file, "model_weights", path)
    layers = {}
    for raw in group.attrs["layer_names"]:
        name = _text(raw)
        layer = _inside(group, name, path)
        weights = [_inside(layer, _text(w), path) for w in layer.attrs["weight_names"]]
        if weights:
            layers[name] = weights
    return layers


def _inside(group: Any, name: str, path: Path) -> Any:
    """Go to a member step by step, over links that stay in the file and point downwards alone."""
    for step in name.split("/"):
        link = group.get(step, getlink=True)
        if link is not None and not isinstance(link, h5py.HardLink):
            raise CompartmentError(
                f"{path}: {shortened(name)} is a link to another place; the weights of a model lie in its own file. "
                "Save the model again."
            )
        group = group[step]
    return group


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)


def _targets(network: StarDistNetwork) -> tuple[list[tuple[str, nn.Conv2d]], list[nn.BatchNorm2d]]:
    """Convolutions with their names in Keras (empty where Keras numbers them), and normalisations, in order."""
    prefix = network.config.unet_prefix
    convolutions: list[tuple[str, nn.Conv2d]] = []
    norms: list[nn.BatchNorm2d] = []
    for key, step in network.steps.items():
        part, level, number = key.split("-")
        names = {
            "pooled": "",
            "down": f"{prefix}down_level_{level}_no_{number}",
            "middle": f"{prefix}middle_{number}",
            "up": f"{prefix}up_level_{level}_no_{number}",
        }
        convolutions.append((names[part], step.get_submodule("conv")))  # type: ignore[arg-type]  # built as Conv2d
        norm = step.get_submodule("norm")
        if isinstance(norm, nn.BatchNorm2d):
            norms.append(norm)
    if network.config.net_conv_after_unet:
        convolutions.append(("features", network.features.conv))
    return [*convolutions, ("prob", network.prob), ("dist", network.dist)], norms


def _copy(target: Tensor, values: h5py.Dataset, path: Path, layer: str, *, turned: bool = False) -> None:
    """Copy numbers of the file; ``turned``: Keras has height, width, inputs, outputs, torch the last two first."""
    where = f"{path}: layer {layer or 'before the U-Net'}"
    if not isinstance(values, h5py.Dataset) or values.is_virtual or values.external or values.dtype.kind != "f":
        raise CompartmentError(f"{where} holds something else than floating-point numbers of its own; save it again.")
    shape = values.shape
    if turned and len(shape) == target.dim():
        shape = (shape[3], shape[2], shape[0], shape[1])
    # compared before anything is read: a file may announce any size
    if shape != tuple(target.shape):
        raise CompartmentError(
            f"{where} has weights of the shape {shape}, expected {tuple(target.shape)}: weights and {_CONFIG} belong "
            "to different models."
        )
    if values.chunks is not None and math.prod(values.chunks) > max(values.size, _MAX_CHUNK):
        raise CompartmentError(f"{where} is stored in blocks of {values.chunks} numbers; save the model again.")
    with np.errstate(over="ignore"):  # what is too large for float32 is not finite, as is said
        numbers = np.asarray(values[()], dtype=np.float32)
    if not np.isfinite(numbers).all():
        raise CompartmentError(f"{where} has weights that are not finite; did training diverge? Use another model.")
    if turned:
        numbers = np.moveaxis(numbers, (0, 1), (2, 3)).swapaxes(0, 1)
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(numbers)))
