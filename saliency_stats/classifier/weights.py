"""Weights from files: read without running the code in them, and refused by name where they do not fit."""

import pickle
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from saliency_stats.classifier.weight_files import EXPECTED, refuse_others
from saliency_stats.errors import ClassifierError, shortened, shown

#: Under these names checkpoints keep the state_dict.
WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "network", "net")
#: What wrapped networks put before every name.
PREFIXES: Final = ("module.", "_orig_mod.", "model.", "network.", "net.", "backbone.")


@dataclass(frozen=True)
class Weights:
    """What a file holds.

    Parameters
    ----------
    tensors
        By name, without what wrapped networks put before all names.
    notes
        How the file was understood where it is more than a state_dict, in words.
    labels
        Its two classes in their order, where it names them.
    """

    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()
    labels: str | None = None


def read_state(path: Path) -> Weights:
    """Read a state_dict; one inside a checkpoint (under one of :data:`WRAPPERS`) is found.

    Parameters
    ----------
    path
        A ``.safetensors``, ``.pt`` or ``.pth`` file.

    Raises
    ------
    ClassifierError
        If there is no such file, or it is anything but names and tensors.
    """
    refuse_others(path)
    labels = None
    try:
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, framework="pt") as file:
                labels = (file.metadata() or {}).get("labels")
            content = load_file(path)
        else:
            # weights_only refuses everything but tensors and plain containers: no code in the file is run
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ClassifierError(
            f"classifier.weights: {path} is no torch file, or holds more than tensors; code in a weights file is never "
            f"run. Save the state_dict alone, best as .safetensors"
        ) from error
    except Exception as error:
        # a damaged file makes torch's reader raise anything; its second sentence advises to load without protection
        reason = shortened(str(error).strip().partition("\n")[0].partition(". ")[0], 150) or type(error).__name__
        raise ClassifierError(
            f"classifier.weights: {path} cannot be read ({reason}); {EXPECTED}. Is the file complete?"
        ) from error
    content, notes = _unwrapped(content, path)
    return Weights(*_without_prefix(tensors_of(content, path), notes), labels)


def load_state(
    network: nn.Module, state: Mapping[str, Tensor], *, source: str, architecture: str, keys: str = "torchvision's"
) -> None:
    """Load a state_dict into a network that has the same names and shapes.

    The counters of batch normalisation, which older files lack, are not needed in evaluation.

    Raises
    ------
    ClassifierError
        If a tensor is missing, unknown, of another shape, or holds what a network cannot compute with.
    """
    own = network.state_dict()
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in own]
    shapes = [key for key in own if key in state and own[key].shape != state[key].shape]
    if missing or unknown or shapes:
        raise ClassifierError(
            f"classifier.weights: {source} does not fit {architecture}: {len(missing)} tensors missing"
            f"{_some(missing)}, {len(unknown)} unknown{_some(unknown)}, {len(shapes)} of another shape{_some(shapes)}. "
            f"Expected a state_dict with {keys} keys; is classifier.architecture right?"
        )
    reasons = {key: _unusable(key, state[key], own[key]) for key in own if key in state}
    unusable = [f"{shortened(key, 80)} {reason}" for key, reason in reasons.items() if reason]
    if unusable:
        raise ClassifierError(
            f"classifier.weights: {source} cannot be used: {len(unusable)} of {len(reasons)} tensors"
            f"{_some(unusable)}. Expected finite floating-point numbers; did training diverge?"
        )
    # safetensors keep no versions of modules, and what has none is taken for the oldest: MNASNet would then put its
    # first layers of then in. Names and shapes are those of this network, so its versions are meant.
    fitting = OrderedDict(state)
    fitting._metadata = own._metadata  # type: ignore[attr-defined]  # noqa: SLF001 - torch has no other way
    network.load_state_dict(fitting, strict=False)


def _unwrapped(content: Any, path: Path) -> tuple[Any, list[str]]:
    notes: list[str] = []
    for _ in WRAPPERS:
        if not isinstance(content, Mapping):
            break
        found = [name for name in WRAPPERS if isinstance(content.get(name), Mapping)]
        if len(found) > 1:
            raise ClassifierError(
                f"classifier.weights: {path} holds several networks ({', '.join(found)}); save the one that is meant"
            )
        if not found:
            break
        content = content[found[0]]
        notes.append(f"the state_dict is that under {found[0]!r} in the file")
    return content, notes


def tensors_of(content: Any, path: Path) -> Mapping[str, Tensor]:
    """Return what was read from a file if it is tensors by name.

    Raises
    ------
    ClassifierError
        Naming what else it holds.
    """
    if not isinstance(content, Mapping):
        found = f"a {type(content).__name__}"
    elif not content:
        found = "nothing"
    else:
        others = [
            f"{shown(key)}: {type(value).__name__}"
            for key, value in content.items()
            if not isinstance(value, Tensor) or value.is_nested or not isinstance(key, str)
        ]
        if not others:
            return content
        found = f"besides tensors by name {len(others)} other entries{_some(others)}"
    raise ClassifierError(
        f"classifier.weights: {path} does not hold a state_dict (names to tensors): it holds {found}. Save the "
        f"state_dict alone, best as .safetensors"
    )


def _without_prefix(tensors: Mapping[str, Tensor], notes: list[str]) -> tuple[Mapping[str, Tensor], tuple[str, ...]]:
    removed = wrapping(tensors)
    tensors = {key.removeprefix(removed): value for key, value in tensors.items()}
    return tensors, (*notes, *([f"{removed!r} before every name is left out"] if removed else []))


def wrapping(names: Iterable[str]) -> str:
    """Return what wrapped networks put before all of these names."""
    removed, left = "", list(names)
    while left and (prefix := next((one for one in PREFIXES if all(name.startswith(one) for name in left)), "")):
        left = [name.removeprefix(prefix) for name in left]
        removed += prefix
    return removed


def _unusable(key: str, values: Tensor, own: Tensor) -> str:
    """Say why a network cannot compute with a tensor in the place of its own; empty where it can."""
    if values.layout != torch.strided or values.is_quantized or values.is_meta:
        what = "quantised" if values.is_quantized else "without values" if values.is_meta else "sparse"
        return f"is {what}"
    if key.endswith("num_batches_tracked"):
        return "" if not (values.is_floating_point() or values.is_complex()) else f"is of the type {values.dtype}"
    if not own.is_floating_point():
        # counters and tables of places, which have no other values
        return "" if values.dtype == own.dtype else f"is of the type {values.dtype}"
    if not values.is_floating_point():
        return f"is of the type {values.dtype}"
    numbers = values.float()
    wrong = int((~torch.isfinite(numbers)).sum())
    if wrong:
        return f"has {wrong:,} of {numbers.numel():,} values that are not finite"
    # its root is divided by
    return "has a negative variance" if key.endswith("running_var") and bool((numbers < 0).any()) else ""


def _some(keys: list[str]) -> str:
    named = [shortened(key, 120) for key in keys[:3]]
    return f" ({', '.join(named)}{', …' if len(keys) > len(named) else ''})" if keys else ""
