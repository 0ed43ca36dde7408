"""Tests for saliency_stats.compartments.tissue.network."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from saliency_stats.compartments.tissue.network import (
    BLOCKS,
    STRIDE,
    TissueNetwork,
    encoder_from_imagenet,
)
from saliency_stats.compartments.ways import TISSUES

#: TensorFlow's epsilon, which the published weights were trained with.
_EPSILON = 1e-3


def _published(seed: int) -> dict[str, torch.Tensor]:
    """Weights with the names and shapes of the package that holds them."""
    torch.manual_seed(seed)
    state: dict[str, torch.Tensor] = {}

    def layer(conv: str, norm: str, shape: tuple[int, ...]) -> None:
        state[f"{conv}.weight"] = torch.randn(shape) / (shape[1] * shape[2] * shape[3]) ** 0.5
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            state[f"{norm}.{name}"] = value + 0.2 * torch.rand(shape[0])

    layer("_conv_stem", "_bn0", (32, 3, 3, 3))
    width = 32
    for number, (kernel, _, expansion, outputs) in enumerate(BLOCKS):
        prefix, inner = f"_blocks.{number}", width * expansion
        if expansion > 1:
            layer(f"{prefix}._expand_conv", f"{prefix}._bn0", (inner, width, 1, 1))
        layer(f"{prefix}._depthwise_conv", f"{prefix}._bn1", (inner, 1, kernel, kernel))
        layer(f"{prefix}._project_conv", f"{prefix}._bn2", (outputs, inner, 1, 1))
        width = outputs
    state["_fc.weight"] = torch.zeros(10, 10)
    return state


def _normal(state: dict[str, torch.Tensor], norm: str, x: torch.Tensor) -> torch.Tensor:
    parts = (state[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
    return functional.batch_norm(x, *parts, training=False, eps=_EPSILON)


def _reference(state: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """EfficientNet-Lite0 up to a stride of 16, written out with its batch normalisation apart."""

    def convolved(name: str, x: torch.Tensor, stride: int, groups: int) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        # TensorFlow's "same": of an even side and a stride of 2, the odd pixel is padded at the end
        total = weight.shape[-1] - 1 if stride == 1 else weight.shape[-1] - 2
        before = total // 2
        return functional.conv2d(functional.pad(x, [before, total - before] * 2), weight, None, stride, groups=groups)

    x = _normal(state, "_bn0", convolved("_conv_stem", (x * 255 - 127) / 128, 2, 1)).clamp(0, 6)
    for number, (_, stride, expansion, outputs) in enumerate(BLOCKS):
        prefix, inner = f"_blocks.{number}", x
        if expansion > 1:
            inner = _normal(state, f"{prefix}._bn0", convolved(f"{prefix}._expand_conv", x, 1, 1)).clamp(0, 6)
        inner = convolved(f"{prefix}._depthwise_conv", inner, stride, inner.shape[1])
        inner = _normal(state, f"{prefix}._bn1", inner).clamp(0, 6)
        inner = _normal(state, f"{prefix}._bn2", convolved(f"{prefix}._project_conv", inner, 1, 1))
        x = inner + x if stride == 1 and x.shape[1] == outputs else inner
    return x


def test_the_encoder_with_folded_normalisation_is_the_published_one() -> None:
    state, network = _published(0), TissueNetwork().eval()
    loaded = network.load_state_dict(encoder_from_imagenet(state), strict=False)
    assert not loaded.unexpected_keys
    assert {key.partition(".")[0] for key in loaded.missing_keys} == {"context", "decoder", "last"}
    seen: list[torch.Tensor] = []
    network.blocks[-1].register_forward_hook(lambda _, __, out: seen.append(out))  # type: ignore[arg-type]
    images = torch.rand(2, 3, 64, 48)
    with torch.no_grad():
        network(images)
        expected = _reference(state, images)
    assert seen[0].shape == (2, 112, 4, 3)
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(16, 16), (32, 80)])
def test_logits_have_the_size_of_the_image(size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert TissueNetwork()(torch.rand(1, 3, *size)).shape == (1, len(TISSUES), *size)


def test_a_picture_does_not_depend_on_those_beside_it() -> None:
    network, images = TissueNetwork().train(), torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(images)[1:2], network(images[1:2]), rtol=1e-4, atol=1e-5)


def test_the_last_layer_reaches_single_pixels() -> None:
    """Sub-pixel outputs: of one position each of its 2 x 2 pixels has its own channel."""
    network = TissueNetwork()
    with torch.no_grad():
        network.last.weight.zero_()
        network.last.bias.copy_(torch.arange(12.0))
        found = network(torch.rand(1, 3, 16, 16))[0]
    assert found[0, :2, :2].tolist() == [[0, 1], [2, 3]]
    assert found[2, 14:, 14:].tolist() == [[8, 9], [10, 11]]


def test_every_layer_learns() -> None:
    network = TissueNetwork()
    network(torch.rand(1, 3, 32, 32)).square().mean().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


def test_sides_are_multiples_of_the_stride() -> None:
    strides: Any = [block[1] for block in BLOCKS]
    assert 2 * int(torch.tensor(strides).prod()) == STRIDE
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in TissueNetwork().modules())
