"""Weights from files: read without running the code in them, and refused by name where they do not fit."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from saliency_stats.errors import ClassifierError


def read_state(path: Path) -> Mapping[str, Tensor]:
    """Read a state_dict; one inside a checkpoint (under ``state_dict`` or ``model``) is found.

    Parameters
    ----------
    path
        A ``.safetensors``, ``.pt`` or ``.pth`` file.

    Raises
    ------
    ClassifierError
        If there is no such file, or it is anything but names and tensors.
    """
    if not path.is_file():
        raise ClassifierError(
            f"classifier.weights: there is no file {path}; expected 'imagenet', 'none' or a "
            f".safetensors, .pt or .pth file"
        )
    if path.suffix not in {".safetensors", ".pt", ".pth"}:
        raise ClassifierError(
            f"classifier.weights: {path} has the ending {path.suffix!r}; expected .safetensors, .pt or .pth"
        )
    try:
        # weights_only refuses everything but tensors and plain containers: no code in the file is run
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError as error:
        raise ClassifierError(
            f"classifier.weights: {path} is no torch file, or holds more than tensors; code in a weights file is never "
            f"run. Save the state_dict alone, best as .safetensors"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise ClassifierError(
            f"classifier.weights: {path} cannot be read ({str(error).splitlines()[0]}); expected a state_dict saved as "
            f"safetensors or by torch.save. Is the file complete?"
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ClassifierError(f"classifier.weights: {path} does not hold a state_dict (names to tensors)")
    return state


def load_state(network: nn.Module, state: Mapping[str, Tensor], *, source: str, architecture: str) -> None:
    """Load a state_dict into a network that has the same names and shapes.

    The counters of batch normalisation, which older files lack, are not needed in evaluation.

    Raises
    ------
    ClassifierError
        If a tensor is missing, unknown, or of another shape.
    """
    own = network.state_dict()
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in own]
    shapes = [key for key in own if key in state and own[key].shape != state[key].shape]
    if missing or unknown or shapes:
        raise ClassifierError(
            f"classifier.weights: {source} does not fit {architecture}: {len(missing)} tensors missing"
            f"{_some(missing)}, {len(unknown)} unknown{_some(unknown)}, {len(shapes)} of another shape{_some(shapes)}. "
            f"Expected a state_dict with torchvision's keys; is classifier.architecture right?"
        )
    network.load_state_dict(state, strict=False)


def _some(keys: list[str]) -> str:
    return f" ({', '.join(keys[:3])}{', …' if len(keys) > len(keys[:3]) else ''})" if keys else ""
