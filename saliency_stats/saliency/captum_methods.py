"""Methods that Captum computes, on the same pixels and the same logit as ours.

Captum is imported when a method is used, not before: it takes seconds, and the rest of the package needs none of it.
"""

import importlib
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from saliency_stats.classifier.grids import grid_of
from saliency_stats.classifier.layers import calls_of, sizes_of
from saliency_stats.errors import AttributionError, shortened
from saliency_stats.saliency.baselines import BASELINES, FromBaseline
from saliency_stats.saliency.batched import Batched, at_least
from saliency_stats.saliency.gradient import fitting
from saliency_stats.saliency.unfolded import shared_copy, unfolded, without_pooling


@dataclass(frozen=True, kw_only=True)
class IntegratedGradients(FromBaseline):
    """The gradient integrated along the straight line from a baseline to the image (Sundararajan et al. 2017, eq. 1).

    With enough steps the attributions of an image sum to z_c(image) - z_c(baseline).

    Parameters
    ----------
    n_steps
        Points of the Gauss-Legendre quadrature.

    Raises
    ------
    AttributionError
        For less than one step.
    """

    _name: ClassVar[str] = "integrated_gradients"
    _words: ClassVar[str] = "integrated gradients"
    cost: ClassVar[float] = 25.0
    n_steps: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("n_steps", self.n_steps, 1)

    def _explain(self, model: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        found: Tensor = (
            _captum()
            .IntegratedGradients(model)
            .attribute(
                images,
                baselines=self.start(images),
                target=target,
                n_steps=self.n_steps,
                method="gausslegendre",
                internal_batch_size=min(self.in_flight, fitting(model, images)),
            )
        )
        return found


@dataclass(frozen=True, kw_only=True)
class GuidedBackprop(Batched):
    """The gradient with its negative part cut off at every ReLU on the way back (Springenberg et al. 2015).

    Known to depend little on the weights (Adebayo et al. 2018): of use only beside the randomised networks.
    """

    name: ClassVar[str] = "guided_backprop"
    words: ClassVar[str] = "guided backprop"
    cost: ClassVar[float] = 1.2

    def refusal(self, model: nn.Module, images: Tensor) -> str:
        """Say why it cannot explain a network; see :func:`~saliency_stats.saliency.methods.refusal_of`."""
        reason = _not_unfolded(model, images)
        if reason or any(isinstance(module, nn.ReLU) for module in unfolded(model).modules()):
            return reason
        return "it changes what ReLUs hand back, and the network has none, so that it would be the plain gradient"

    def _explain(self, model: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        _expect("Setting backward hooks on ReLU activations")
        found: Tensor = (
            _captum().GuidedBackprop(unfolded(model)).attribute(images.clone().requires_grad_(), target=target)
        )
        return found


@dataclass(frozen=True, kw_only=True)
class DeepLift(FromBaseline):
    """DeepLIFT with the rescale rule (Shrikumar et al. 2017, section 3.5.1) from a baseline.

    The attributions of an image sum to z_c(image) - z_c(baseline). Captum's rule for max pooling breaks this
    where windows overlap, as DenseNet's do: it keeps one of the shares that a pixel has in several windows. The
    pooling is therefore written with ReLUs (:class:`~saliency_stats.saliency.unfolded.PoolOfReLUs`).
    """

    _name: ClassVar[str] = "deeplift"
    _words: ClassVar[str] = "DeepLIFT"
    cost: ClassVar[float] = 6.0
    # the baseline travels with its image, and each ReLU keeps a copy of its input and output beside autograd's own
    _seen_each: ClassVar[int] = 4
    #: Share of the sum of magnitudes by which attributions may miss the difference of the logits.
    _off: ClassVar[float] = 0.01

    def refusal(self, model: nn.Module, images: Tensor) -> str:
        """Say why it cannot explain a network: there is no rule for its products, normalisations or non-linearities."""
        reason = _not_unfolded(model, images)
        if reason:
            return reason
        target = torch.zeros(len(images), dtype=torch.long, device=images.device)
        try:
            found = self.attribute(model, images, target, [0] * len(images)).flatten(1)
        except Exception as error:  # noqa: BLE001  (Captum raises anything where it has no rule)
            return shortened(f"Captum says {type(error).__name__}: {error}", 200)
        with torch.no_grad():
            expected = (model(images) - model(self.start(images)))[:, 0]
        off = (found.sum(dim=1) - expected).abs() / found.abs().sum(dim=1).clamp(min=1e-12)
        worst = int(off.argmax())
        if off[worst] <= self._off:
            return ""
        return (
            f"its attributions add up to {float(found[worst].sum()):.3g} where the logit differs by "
            f"{float(expected[worst]):.3g} from that of {BASELINES[self.baseline].words}; it has rules for "
            "convolutions, dense layers, ReLUs and pooling alone. Use integrated_gradients, which adds up for any "
            "network"
        )

    def _explain(self, model: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        _expect("Setting forward, backward hooks and attributes on non-linear")
        found: Tensor = (
            _captum()
            .DeepLift(without_pooling(unfolded(model)))
            .attribute(images.clone().requires_grad_(), baselines=self.start(images), target=target)
        )
        return found


@dataclass(frozen=True, kw_only=True)
class GradCam(Batched):
    """Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2): a layer's channels, weighted by their mean gradient, and ReLU.

    Parameters
    ----------
    layer
        Name of the layer in the network; None for the one that the network names itself
        (:attr:`~saliency_stats.classifier.protocol.Classifier.cam_layer`).

    Raises
    ------
    AttributionError
        If the network has no such layer, or its output is no image.
    """

    name: ClassVar[str] = "grad_cam"
    words: ClassVar[str] = "Grad-CAM"
    cost: ClassVar[float] = 0.6
    one_channel: ClassVar[bool] = True
    layer: str | None = None

    def refusal(self, model: nn.Module, images: Tensor) -> str:
        """Say why it cannot explain a network: no layer, or one whose output is no grid for such images."""
        try:
            self._explain(model, images, torch.zeros(len(images), dtype=torch.long, device=images.device))
        except AttributionError as error:
            return str(error).removeprefix("grad_cam: ")
        return ""

    def _explain(self, model: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        network = shared_copy(model)
        name = getattr(model, "cam_layer", None) if self.layer is None else self.layer
        layer = dict(network.named_modules()).get(name) if name else None
        if layer is None:
            raise AttributionError(
                f"grad_cam: the network has no layer {name!r}; expected the name of one whose output is an image, "
                "before the pooling. A classifier names it as its cam_layer, a study file as classifier.layers.gradcam"
            )
        seen: list[Tensor] = []

        def noted(_: nn.Module, __: Any, output: Any) -> Any:
            if not isinstance(output, Tensor):
                seen.append(output)
                return output
            # the gradient ends here: nothing of the layers below is kept
            seen.append(output.detach().requires_grad_())
            # what follows may work in place
            return seen[-1].clone()

        layer.register_forward_hook(noted)
        with torch.enable_grad():
            chosen = network(images.detach()).gather(1, target.view(-1, 1)).sum()
        grid = grid_of(seen[-1], images, _sizes(model, images) if seen[-1].dim() == 3 else ()) if seen else None  # noqa: PLR2004
        if grid is None:
            shape = f" (its shape is {tuple(seen[-1].shape)})" if seen and isinstance(seen[-1], Tensor) else ""
            raise AttributionError(
                f"grad_cam: layer {name!r} returns no image for a patch of {images.shape[-2]} × {images.shape[-1]} px"
                f"{shape}; choose a layer before the pooling, whose tokens form a grid"
            )
        (gradient,) = torch.autograd.grad(chosen, seen[-1])
        weights = grid.image(gradient).mean(dim=(2, 3), keepdim=True)
        found = functional.relu((weights * grid.image(seen[-1]).detach()).sum(dim=1, keepdim=True))
        # bilinear, align_corners=False: each value stands for the middle of its cell
        return functional.interpolate(found, tuple(images.shape[-2:]), mode="bilinear")


@dataclass(frozen=True, kw_only=True)
class Occlusion(Batched):
    """How far the logit drops when a square is painted over (Zeiler & Fergus 2014), mean over the squares of a pixel.

    The paint is the image's own mean colour, which takes the structure away but leaves the stain and brightness
    of the slide. Channels are painted together, so there is one map (N, 1, H, W).

    Parameters
    ----------
    window_px
        Side of the square.
    stride_px
        Step between squares, at most ``window_px``: every pixel is covered.

    Raises
    ------
    AttributionError
        If the stride is not in 1 to ``window_px``, or an image is smaller than a window.
    """

    name: ClassVar[str] = "occlusion"
    words: ClassVar[str] = "occlusion"
    cost: ClassVar[float] = 87.0
    one_channel: ClassVar[bool] = True
    window_px: int = 16
    stride_px: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("stride_px", self.stride_px, 1)
        at_least("window_px", self.window_px, self.stride_px)

    def _explain(self, model: nn.Module, images: Tensor, target: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if self.window_px > min(height, width):
            raise AttributionError(
                f"occlusion: the window of {self.window_px} px does not fit into images of {height} × {width} px; "
                f"choose a smaller window_px"
            )
        drop: Tensor = (
            _captum()
            .Occlusion(model)
            .attribute(
                images,
                sliding_window_shapes=(3, self.window_px, self.window_px),
                strides=(3, self.stride_px, self.stride_px),
                baselines=images.mean(dim=(2, 3), keepdim=True).expand_as(images),
                target=target,
                perturbations_per_eval=max(1, self.in_flight // len(images)),
            )
        )
        return drop[:, :1]


def _sizes(model: nn.Module, images: Tensor) -> frozenset[tuple[int, int]]:
    """Name the sizes of all images inside a network: one of them is that of its grid of tokens."""
    with torch.no_grad():
        return sizes_of(calls_of(shared_copy(model), images[:1])[0])


def _not_unfolded(model: nn.Module, images: Tensor) -> str:
    """Say why rules for non-linearities cannot be set on a network; empty where they can."""
    try:
        with torch.no_grad():
            same = torch.allclose(unfolded(model)(images), model(images), rtol=1e-3, atol=1e-4)
    except AttributionError as error:
        return str(error)
    return "" if same else "taken apart into layers it computes other logits (does it change tensors in place?)"


def _captum() -> Any:
    try:
        return importlib.import_module("captum.attr")
    except ImportError as error:
        raise AttributionError(
            "this attribution method is computed by Captum, which is not installed; pip install captum, or choose "
            "among gradient, gradient_x_input, shifted_gradient and smoothgrad"
        ) from error


def _expect(message: str) -> None:
    """Silence Captum's announcement, one a call, that it sets hooks: they are set on a copy that is thrown away.

    For good: to silence it for a while is not safe where several threads explain.
    """
    warnings.filterwarnings("ignore", message=message, category=UserWarning)
