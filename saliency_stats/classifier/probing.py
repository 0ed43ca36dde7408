"""Try a network before a study relies on it: everything that is wrong with it, each with its remedy."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from saliency_stats.classifier.outputs import Outputs
from saliency_stats.errors import ClassifierError, listed, shortened

#: Sides of images that are tried, in this order: most networks were made for the first.
SIZES: Final = (224, 256, 96, 384, 512, 64, 32)
#: Another size that any network with whole strides takes, if it takes several at all.
_STEP: Final = 32
#: Images do not influence each other, and sums are 1, up to this.
_TOLERANCE: Final = 1e-3

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Probe:
    """What a network did with two images of noise.

    Parameters
    ----------
    size_px
        Their side.
    fixed
        Whether it takes no other size.
    n_outputs
        Outputs for an image.
    """

    size_px: int
    fixed: bool
    n_outputs: int


def noise(size_px: int, n: int = 2) -> Tensor:
    """Return images (n, 3, S, S) of noise in [0, 1], always the same."""
    return torch.rand(n, 3, size_px, size_px, generator=torch.Generator().manual_seed(0))


def probe(network: nn.Module, outputs: Outputs, name: str, size_px: int | None, usual: int | None = None) -> Probe:
    """Try a network on the CPU: from images (normalised as it wants them) to logits (N, K).

    Parameters
    ----------
    network
        Any; left in evaluation mode.
    outputs
        Which of its outputs stand for which class.
    name
        What messages call it.
    size_px
        Side of the images that it is given, if a study file says so.
    usual
        Side of those that it was made for, if a library says so: tried first.

    Raises
    ------
    ClassifierError
        With everything that is wrong.
    """
    faults = [*_before(network)]
    _refuse(name, faults)
    sizes = (size_px,) if size_px else tuple(dict.fromkeys([*([usual] if usual else []), *SIZES]))
    found, size, error = _first_size(network, sizes)
    if size is None:
        stated = f"any of {', '.join(map(str, sizes))} px" if len(sizes) > 1 else f"{sizes[0]} × {sizes[0]} px"
        remedy = "Say the size it takes in classifier.preprocess.size_px"
        _refuse(
            name, [f"raises when it classifies images of {stated} ({_words(error)}). {remedy}, or mend its forward"]
        )
        raise AssertionError
    faults = list(_of_output(found, outputs)) or [*_of_values(network, found, size)]
    if any(module.training for module in network.modules()):
        faults.append(
            "switches itself back to training mode when it classifies; expected forward to leave the mode alone"
        )
    _refuse(name, faults)
    fixed = size_px is not None or not _takes(network, size + _STEP)
    return Probe(size, fixed, int(found.shape[1]))


def kept_of(network: nn.Module, run: Callable[[], _Made]) -> tuple[_Made, int]:
    """Run a network, and count the bytes that it keeps until its gradient is computed, beside its weights.

    ``run`` returns what holds the graph: else it would be freed, and its memory counted again.
    """
    weights = {one.untyped_storage().data_ptr() for one in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def seen(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.enable_grad(), saved_tensors_hooks(seen, lambda value: value):
        return run(), sum(kept.values())


def _refuse(name: str, faults: list[str]) -> None:
    if faults:
        raise ClassifierError(listed([f"classifier.architecture: {name} {fault}" for fault in faults]))


def _before(network: nn.Module) -> Iterator[str]:
    tensors = [*network.named_parameters(), *network.named_buffers()]
    empty = [key for key, value in tensors if value.is_meta]
    if empty:
        yield (
            f"has {len(empty)} of {len(tensors)} tensors on the device 'meta', without values ({empty[0]}); build "
            "it on the CPU"
        )
        return
    network.cpu().float().eval()
    still = [key or "the network itself" for key, module in network.named_modules() if module.training]
    if still:
        yield (
            f"stays in training mode after eval() ({', '.join(still[:3])}): images would influence each other, or "
            "results be drawn at random. Let train(mode) hand the mode on"
        )


def _first_size(network: nn.Module, sizes: tuple[int, ...]) -> tuple[Any, int | None, Exception | None]:
    first: Exception | None = None
    for size in sizes:
        try:
            with torch.no_grad():
                return network(noise(size)), size, None
        except Exception as error:  # noqa: BLE001  (whatever a network of the user's raises, it is told)
            first = first or error
    return None, None, first


def _takes(network: nn.Module, size: int) -> bool:
    try:
        with torch.no_grad():
            network(noise(size, 1))
    except Exception:  # noqa: BLE001  (a network says in its own way that it takes no such image)
        return False
    return True


def _of_output(found: Any, outputs: Outputs) -> Iterator[str]:
    if not isinstance(found, Tensor):
        yield f"returns a {type(found).__name__}; expected logits, a tensor (N, K)"
    elif found.device.type != "cpu":
        yield (
            f"answers on the device {found.device} for images on the CPU; expected no device of its own: leave "
            "out .to() and .cuda() in forward, so that it computes where the study does"
        )
    elif found.dim() != 2 or len(found) != 2:  # noqa: PLR2004  (two images)
        yield f"returns the shape {tuple(found.shape)} for 2 images; expected logits (2, K)"
    elif not found.is_floating_point():
        yield f"returns numbers of the type {found.dtype}; expected floating-point logits"
    elif fault := outputs.fault(found.shape[1]):
        yield fault


def _of_values(network: nn.Module, found: Tensor, size: int) -> Iterator[str]:
    wrong = int((~torch.isfinite(found)).sum())
    if wrong:
        n = found.numel()
        yield f"returns {wrong} of {n} logits that are not finite for images in [0, 1]; are its weights sound?"
        return
    if bool((found >= 0).all()) and torch.allclose(found.sum(dim=1), torch.ones(len(found)), atol=_TOLERANCE):
        yield "returns probabilities (they add up to 1); expected logits: leave out the softmax at its end"
    images = noise(size)
    tensors = [*network.parameters(), *network.buffers()]
    versions = [tensor._version for tensor in tensors]  # noqa: SLF001  (torch counts changes in place here)
    with torch.no_grad():
        again, alone = network(images), network(images[:1])
    if versions != [tensor._version for tensor in tensors]:  # noqa: SLF001
        yield "changes its own weights or statistics when it classifies; expected none to change in evaluation mode"
    if not torch.allclose(again, found, atol=_TOLERANCE, rtol=_TOLERANCE):
        yield "returns other logits for the same images each time; expected no chance in evaluation mode (dropout?)"
    elif not torch.allclose(alone, found[:1], atol=_TOLERANCE, rtol=_TOLERANCE):
        yield "returns other logits for an image when others are in the batch; expected each image by itself"
    yield from _without_gradient(network, images)


def _without_gradient(network: nn.Module, images: Tensor) -> Iterator[str]:
    network.train().eval()  # what forward kept without a graph is kept no longer
    pixels = images.clone().requires_grad_()
    remedy = "leave out no_grad, detach and NumPy in forward"
    try:
        with torch.enable_grad():
            logits = network(pixels)
            (gradient,) = torch.autograd.grad(logits.sum(), pixels)
    except Exception as error:  # noqa: BLE001  (whatever autograd or the network raises)
        yield f"gives no gradient with respect to the pixels ({_words(error)}); {remedy}"
        return
    if not bool(torch.isfinite(gradient).all()):
        yield "has a gradient with respect to the pixels that is not finite"
    try:
        copy.deepcopy(network)
    except Exception as error:  # noqa: BLE001  (whatever a part of a network raises)
        yield (
            f"cannot be copied after it classified ({_words(error)}), which controls and methods need; let forward "
            "keep no tensor in the network, or keep it detached"
        )


def _words(error: Exception | None) -> str:
    return shortened(f"{type(error).__name__}: {error}".strip().replace("\n", " "), 200)
