"""The abstract's class-saliency map: the gradient of the correct class's logit with respect to the raw pixels."""

from collections.abc import Hashable, Mapping
from typing import Final, TypeVar

import torch
from torch import Tensor, nn

from saliency_stats.classifier.frozen import Split
from saliency_stats.classifier.together import Together
from saliency_stats.errors import AttributionError
from saliency_stats.saliency.reductions import reduce_channels

#: Pixels that are differentiated at once: half a gigabyte on a CPU, where more at once is no faster and each worker has
#: its own; on a GPU, which less leaves idle, at most eight.
DIFFERENTIATED_PX: Final = {"cpu": 2**17, "cuda": 2**21}
#: What DenseNet-201 keeps of each of them, in bytes.
_KEPT_BYTES: Final = 4096
#: Share of a GPU's memory that one of two workers may fill with it.
_GPU_SHARE: Final = 0.3

Name = TypeVar("Name", bound=Hashable)


def fitting(model: nn.Module, images: Tensor) -> int:
    """Say how many images (N, 3, H, W) are differentiated at once on this device, at least one.

    As the network sees them: a :class:`~saliency_stats.classifier.protocol.Classifier` may resize them.
    """
    pixels = DIFFERENTIATED_PX["cpu"]
    if images.device.type == "cuda":
        # all of it, not what is free: the same pieces each time
        memory = torch.cuda.get_device_properties(images.device).total_memory
        pixels = min(DIFFERENTIATED_PX["cuda"], max(pixels, int(_GPU_SHARE * memory / _KEPT_BYTES)))
    side = getattr(model, "input_px", None)
    return max(1, pixels // (side**2 if side else images.shape[-2] * images.shape[-1]))


def check(model: nn.Module, images: Tensor, target: Tensor) -> None:
    """Refuse what no method can explain.

    Raises
    ------
    AttributionError
        If the model is in training mode (batch statistics would mix the images of a batch), or shapes differ.
    """
    if model.training:
        raise AttributionError(
            "the model is in training mode; saliency needs model.eval(), or images would influence each other"
        )
    if images.ndim != 4 or target.shape != images.shape[:1]:  # noqa: PLR2004  (N, 3, H, W)
        raise AttributionError(
            f"images have shape {tuple(images.shape)} and target {tuple(target.shape)}; expected (N, 3, H, W) and (N,)"
        )


def logits_and_gradient(model: nn.Module, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Classify images and differentiate each one's target logit with respect to its pixels, as many as fit at once.

    Parameters
    ----------
    model
        Classifier in evaluation mode: images (N, 3, H, W) in [0, 1] to logits (N, C). It normalises inside, so
        that the gradient is with respect to the *raw* pixel.
    images
        (N, 3, H, W).
    target
        Class index of the logit per image, (N,).

    Returns
    -------
    tuple of Tensor
        Logits z (N, C) and dz_c / dx (N, 3, H, W) (Simonyan et al. 2014, eq. 4).

    Raises
    ------
    AttributionError
        If the model is in training mode (batch statistics would mix the images of a batch), or shapes differ.
    """
    check(model, images, target)
    size = fitting(model, images)
    parts = [
        _differentiated(model, *part) for part in zip(torch.split(images, size), torch.split(target, size), strict=True)
    ]
    logits, gradients = zip(*parts, strict=True)
    return torch.cat(logits), torch.cat(gradients)


def logits_and_gradients(
    networks: Together[Name], images: Tensor, targets: Mapping[Name, Tensor]
) -> dict[Name, tuple[Tensor, Tensor]]:
    """Do the same with several networks; those that differ in their heads alone share the way to the head.

    Parameters
    ----------
    networks, images
        As in :func:`logits_and_gradient`.
    targets
        (N,) by the networks' names.

    Returns
    -------
    dict of tuple
        Logits (N, C) and gradients (N, 3, H, W) by the networks' names.

    Raises
    ------
    AttributionError
        As in :func:`logits_and_gradient`.
    """
    found: dict[Name, tuple[Tensor, Tensor]] = {}
    for family in networks.families():
        for name in family:
            check(networks[name], images, targets[name])
        size = fitting(networks[next(iter(family))], images)
        parts = [
            _differentiated_together({name: (made, targets[name][some]) for name, made in family.items()}, images[some])
            for some in (slice(start, start + size) for start in range(0, len(images), size))
        ]
        for name in family:
            logits, gradients = zip(*(part[name] for part in parts), strict=True)
            found[name] = torch.cat(logits), torch.cat(gradients)
    return {
        name: found[name] if name in found else logits_and_gradient(network, images, targets[name])
        for name, network in networks.items()
    }


def _differentiated(model: nn.Module, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    pixels = images.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = model(pixels)
        # images do not influence each other in evaluation mode, so the sum's gradient holds each one's own
        chosen = logits.gather(1, target.view(-1, 1)).sum()
        (gradient,) = torch.autograd.grad(chosen, pixels)
    return logits.detach(), gradient


def _differentiated_together(
    asked: Mapping[Name, tuple[Split, Tensor]], images: Tensor
) -> dict[Name, tuple[Tensor, Tensor]]:
    """Differentiate from each head to what flows into it, and from there, on one way for all, to the pixels."""
    pixels = images.detach().clone().requires_grad_()
    found = {}
    with torch.enable_grad():
        between = next(iter(asked.values()))[0].frozen(pixels)
        # what weights alone make, such as a class token, does not depend on the pixels
        flowing = [values for values in between if values.requires_grad]
        for name, (made, target) in asked.items():
            inputs = [values.detach().requires_grad_(values.requires_grad) for values in between]
            logits = made.head(*inputs)
            chosen = logits.gather(1, target.view(-1, 1)).sum()
            slopes = torch.autograd.grad(chosen, [values for values in inputs if values.requires_grad])
            (gradient,) = torch.autograd.grad(flowing, pixels, slopes, retain_graph=True)
            found[name] = logits.detach(), gradient
    return found


def gradient(model: nn.Module, images: Tensor, target: Tensor, reduction: str = "l2") -> Tensor:
    """Class-saliency maps S(p) = || dz_c / dx_p || over the colour channels.

    Parameters
    ----------
    model, images, target
        As in :func:`logits_and_gradient`.
    reduction
        Of :data:`~saliency_stats.saliency.reductions.REDUCTIONS`.

    Returns
    -------
    Tensor
        Raw (never display-normalised) maps (N, H, W).
    """
    return reduce_channels(logits_and_gradient(model, images, target)[1], reduction)
