"""StarDist models on disk: the folders that the stardist package writes, and one file without code in it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from saliency_stats.compartments.stardist.config import StarDistConfig
from saliency_stats.compartments.stardist.keras import load_keras
from saliency_stats.compartments.stardist.network import StarDistNetwork, count_weights
from saliency_stats.errors import CompartmentError, shortened, shown
from saliency_stats.vocabulary import TORCHSCRIPT

#: The published models have 1.4 million.
MAX_WEIGHTS: Final = 100_000_000
#: Of a configuration, or of a header.
_MAX_BYTES: Final = 10 * 2**20
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
    thresholds = _thresholds(_json(folder / _THRESHOLDS), str(folder / _THRESHOLDS))
    network = _network(config, str(folder / _CONFIG))
    load_keras(network, folder / _WEIGHTS)
    return StarDistModel(str(folder), network.eval(), *thresholds)


def read_safetensors(path: Path) -> StarDistModel:
    """Read a model written by :func:`write_safetensors`.

    Raises
    ------
    CompartmentError
        If the file is missing or not such a model.
    """
    remedy = "give the file that training wrote, or the folder of a model of stardist."
    _refuse_others(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["stardist"], object_pairs_hook=_once)
            parts = {key: file.get_slice(key) for key in list(file.keys())}
            shapes = {key: (tuple(part.get_shape()), part.get_dtype()) for key, part in parts.items()}
        described, thresholds = about["config"], {key: about[key] for key in ("prob", "nms")}
        if not isinstance(described, dict):
            raise TypeError(f"its configuration is {shown(described)}")
    except Exception as error:
        # a damaged header makes its readers raise anything
        raise CompartmentError(
            f"{path} is not a StarDist model of this package ({shortened(repr(error))}); {remedy}"
        ) from error
    network = _network(StarDistConfig.from_json(described, str(path)), str(path))
    faults = _misfits(network, shapes)
    if faults:
        raise CompartmentError(f"{path} does not fit its own configuration: {'; '.join(faults[:3])}; {remedy}")
    state = {key: value.float() for key, value in load_file(path).items()}
    wrong = [key for key, value in state.items() if not _is_usable(key, value)]
    if wrong:
        raise CompartmentError(
            f"{path}: {len(wrong)} of {len(state)} tensors hold numbers that are not finite, or negative variances "
            f"({', '.join(wrong[:3])}); did training diverge? Use another model."
        )
    network.load_state_dict(state)
    return StarDistModel(str(path), network.eval(), *_thresholds(thresholds, str(path)))


def write_safetensors(model: StarDistModel, path: Path) -> None:
    """Write a model in half precision, with its configuration and thresholds in the file's header."""
    about = {"config": asdict(model.network.config), "prob": model.prob_threshold, "nms": model.nms_threshold}
    state = {key: value.detach().half().contiguous() for key, value in model.network.state_dict().items()}
    save_file(state, path, metadata={"stardist": json.dumps(about)})


def _network(config: StarDistConfig, where: str) -> StarDistNetwork:
    weights = count_weights(config)
    if weights > MAX_WEIGHTS:
        raise CompartmentError(
            f"{where}: unet_n_depth {config.unet_n_depth}, unet_n_filter_base {config.unet_n_filter_base}, "
            f"unet_n_conv_per_depth {config.unet_n_conv_per_depth} and unet_kernel_size {config.unet_kernel_size} "
            f"make a network of {weights:,} weights; expected at most {MAX_WEIGHTS:,}."
        )
    return StarDistNetwork(config)


def _thresholds(content: dict[str, Any], where: str) -> tuple[float, float]:
    found = [content.get(name) for name in ("prob", "nms")]
    numbers = [value for value in found if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) != len(found) or not 0 < numbers[0] < 1 or not 0 <= numbers[1] <= 1:
        raise CompartmentError(
            f"{where}: expected two numbers, prob and nms, prob above 0 and below 1 and nms from 0 to 1, found "
            f"{shown(content)}."
        )
    return float(numbers[0]), float(numbers[1])


def _is_usable(key: str, values: Tensor) -> bool:
    return bool(torch.isfinite(values).all()) and not (key.endswith("running_var") and bool((values < 0).any()))


def _misfits(network: StarDistNetwork, shapes: dict[str, tuple[tuple[int, ...], str]]) -> list[str]:
    """Compare the header of a file with a network before its tensors are read."""
    own = network.state_dict()
    faults = [f"no tensor {key}" for key in own if key not in shapes]
    faults += [f"an unknown tensor {shortened(key, 80)}" for key in shapes if key not in own]
    for key, (shape, kind) in shapes.items():
        if key in own and shape != tuple(own[key].shape):
            faults.append(f"{key} has the shape {shape}, expected {tuple(own[key].shape)}")
        elif key in own and kind not in {"F16", "BF16", "F32", "F64"} and own[key].is_floating_point():
            faults.append(f"{key} is of the type {kind}, expected floating-point numbers")
    return faults


def _refuse_others(path: Path) -> None:
    """Say of a file that is no safetensors file what it is, and what to give instead."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise CompartmentError(f"{path} cannot be read ({error.strerror}).") from error
    if start.startswith(b"PK"):
        raise CompartmentError(
            f"{path} is not a StarDist model of this package but a zip archive: unpack it and give the folder that "
            f"holds {_CONFIG}, {_THRESHOLDS} and {_WEIGHTS}. A TorchScript file is named as {TORCHSCRIPT}PATH."
        )
    if start.startswith(b"\x89HDF"):
        raise CompartmentError(
            f"{path} is not a StarDist model of this package but the weights of one: give the folder that holds "
            f"{_CONFIG}, {_THRESHOLDS} and {_WEIGHTS}."
        )
    if int.from_bytes(start, "little") > _MAX_BYTES:
        raise CompartmentError(f"{path} is not a StarDist model of this package, nor a safetensors file.")


def _json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES:,} bytes")
        content = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
    except (OSError, ValueError, RecursionError) as error:
        raise CompartmentError(
            f"{path} cannot be read as JSON ({shortened(str(error))}); download the model again."
        ) from error
    if not isinstance(content, dict):
        raise CompartmentError(f"{path}: expected an object of keys and values, found {type(content).__name__}.")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands twice")
    return content
