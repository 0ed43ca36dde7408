"""StarDist models on disk: the folders that the stardist package writes, and one file without code in it."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from saliency_stats.compartments.stardist.network import StarDistConfig, StarDistNetwork
from saliency_stats.errors import CompartmentError

_CONFIG, _THRESHOLDS, _WEIGHTS = "config.json", "thresholds.json", "weights_best.h5"


@dataclass(frozen=True)
class StarDistModel:
    """A network with the thresholds chosen for it.

    Parameters
    ----------
    name
        Where it came from, for messages.
    network
        In evaluation mode.
    prob_threshold
        Object probability above which a grid point proposes a polygon.
    nms_threshold
        Overlap above which the less probable of two polygons is dropped.
    """

    name: str
    network: StarDistNetwork
    prob_threshold: float
    nms_threshold: float


def read_folder(folder: Path) -> StarDistModel:
    """Read a model folder of the stardist package: ``config.json``, ``thresholds.json``, ``weights_best.h5``.

    The network is on the CPU, in float32.

    Raises
    ------
    CompartmentError
        If a file is missing or cannot be read, or the weights do not fit the configuration.
    """
    missing = [name for name in (_CONFIG, _THRESHOLDS, _WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise CompartmentError(
            f"{folder} is not a StarDist model folder: {', '.join(missing)} missing. Expected {_CONFIG}, {_THRESHOLDS} "
            f"and {_WEIGHTS}, as stardist writes them; give the folder that holds them."
        )
    config = StarDistConfig.from_json(_json(folder / _CONFIG), str(folder / _CONFIG))
    thresholds = _json(folder / _THRESHOLDS)
    network = StarDistNetwork(config)
    _load_keras(network, folder / _WEIGHTS)
    try:
        prob, nms = float(thresholds["prob"]), float(thresholds["nms"])
    except (KeyError, TypeError, ValueError) as error:
        raise CompartmentError(
            f"{folder / _THRESHOLDS}: expected two numbers, prob and nms, found {thresholds!r}."
        ) from error
    return StarDistModel(str(folder), network.eval(), prob, nms)


def read_safetensors(path: Path) -> StarDistModel:
    """Read a model written by :func:`write_safetensors`.

    Raises
    ------
    CompartmentError
        If the file is missing or not such a model.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["stardist"])
        config = StarDistConfig.from_json(about["config"], str(path))
        network = StarDistNetwork(config)
        network.load_state_dict({key: value.float() for key, value in load_file(path).items()})
        return StarDistModel(str(path), network.eval(), float(about["prob"]), float(about["nms"]))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise CompartmentError(
            f"{path} is not a StarDist model of this package ({error}); give the file that training wrote."
        ) from error


def write_safetensors(model: StarDistModel, path: Path) -> None:
    """Write a model in half precision, with its configuration and thresholds in the file's header."""
    about = {"config": asdict(model.network.config), "prob": model.prob_threshold, "nms": model.nms_threshold}
    state = {key: value.detach().half().contiguous() for key, value in model.network.state_dict().items()}
    save_file(state, path, metadata={"stardist": json.dumps(about)})


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CompartmentError(f"{path} cannot be read as JSON ({error}); download the model again.") from error
    if not isinstance(content, dict):
        raise CompartmentError(f"{path}: expected an object of keys and values, found {type(content).__name__}.")
    return content


def _load_keras(network: StarDistNetwork, path: Path) -> None:
    """Copy the weights of a Keras HDF5 file, layer by layer."""
    try:
        with h5py.File(path, "r") as file:
            layers = dict(_keras_layers(file.get("model_weights", file)))
    except (OSError, KeyError) as error:
        raise CompartmentError(
            f"{path} cannot be read as Keras weights ({error}); expected the HDF5 file that stardist's training "
            "writes. Download or save the model again."
        ) from error
    convolutions, norms = _targets(network)
    named = {name for name, _ in convolutions if name}
    unnamed = iter([w for name, w in layers.items() if name not in named and len(w) == 2 and "class" not in name])  # noqa: PLR2004 - kernel, bias
    normalised = iter([w for w in layers.values() if len(w) == 4])  # noqa: PLR2004 - gamma, beta, mean, variance
    for name, conv in convolutions:
        weights = layers.get(name) if name else next(unnamed, None)
        if weights is None:
            raise CompartmentError(
                f"{path} has no layer {name or 'before the U-Net'}: weights and {_CONFIG} belong to different models."
            )
        kernel, bias = weights
        _copy(conv.weight, np.moveaxis(kernel, (0, 1), (2, 3)).swapaxes(0, 1), path, name)
        assert conv.bias is not None  # every convolution of the network has one
        _copy(conv.bias, bias, path, name)
    for norm in norms:
        weights = next(normalised, None)
        if weights is None:
            raise CompartmentError(f"{path} lacks a batch normalisation that {_CONFIG} asks for (unet_batch_norm).")
        assert norm.running_mean is not None
        assert norm.running_var is not None
        for target, values in zip((norm.weight, norm.bias, norm.running_mean, norm.running_var), weights, strict=True):
            _copy(target, values, path, "batch_normalization")


def _keras_layers(group: h5py.Group) -> Iterator[tuple[str, list[np.ndarray[Any, Any]]]]:
    """Layers that have weights, in the order of execution that Keras notes in ``layer_names``."""
    for raw in group.attrs["layer_names"]:
        name = raw.decode() if isinstance(raw, bytes) else str(raw)
        weights = [group[name][w] for w in group[name].attrs["weight_names"]]
        if weights:
            yield name, [np.asarray(w, dtype=np.float32) for w in weights]


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


def _copy(target: Tensor, values: np.ndarray[Any, Any], path: Path, layer: str) -> None:
    if tuple(target.shape) != values.shape:
        raise CompartmentError(
            f"{path}: layer {layer or 'before the U-Net'} has weights of the shape {values.shape}, expected "
            f"{tuple(target.shape)}: weights and {_CONFIG} belong to different models."
        )
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(values)))
