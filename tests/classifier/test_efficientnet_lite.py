"""EfficientNet-Lite: shapes and counts as published, padding as TensorFlow's, names as timm's."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from saliency_stats.classifier import efficientnet_lite
from saliency_stats.classifier.efficientnet_lite import SCALES, Block, EfficientNetLite, SameConv2d, timm_keys


@pytest.mark.parametrize(
    # parameters of Lite0 to Lite2 as TensorFlow's release states them: 4.7, 5.4 and 6.1 million
    ("name", "n_parameters", "blocks", "channels"),
    [
        ("efficientnet_lite0", 4_652_008, [1, 2, 2, 3, 3, 4, 1], [16, 24, 40, 80, 112, 192, 320]),
        ("efficientnet_lite1", 5_416_680, [1, 3, 3, 4, 4, 5, 1], [16, 24, 40, 80, 112, 192, 320]),
        ("efficientnet_lite2", 6_092_072, [1, 3, 3, 4, 4, 5, 1], [16, 24, 48, 88, 120, 208, 352]),
    ],
)
def test_they_are_as_large_as_published(name, n_parameters, blocks, channels):
    with torch.device("meta"):
        network = EfficientNetLite(SCALES[name], 1000)
    assert sum(parameter.numel() for parameter in network.parameters()) == n_parameters
    assert [len(stage) for stage in network.blocks] == blocks
    assert [
        stage[-1].bn3.num_features if at else stage[-1].bn2.num_features for at, stage in enumerate(network.blocks)
    ] == (channels)
    assert not any(isinstance(module, nn.ReLU | nn.SiLU) for module in network.modules())
    assert {module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-3}
    assert network(torch.empty(2, 3, 96, 64, device="meta")).shape == (2, 1000)


def test_sizes_and_dropout_are_those_of_training():
    found = {name: (scale.size_px, scale.dropout) for name, scale in SCALES.items()}
    assert found == {
        "efficientnet_lite0": (224, 0.2),
        "efficientnet_lite1": (240, 0.2),
        "efficientnet_lite2": (260, 0.3),
    }


@pytest.mark.parametrize(
    # TensorFlow's rule: ceil(size / stride) outputs; what is odd is padded below and to the right
    ("kernel", "stride", "even", "odd"),
    [(3, 2, (0, 1), (1, 1)), (5, 2, (1, 2), (2, 2)), (3, 1, (1, 1), (1, 1)), (1, 1, (0, 0), (0, 0))],
)
def test_padding_is_tensorflows(kernel, stride, even, odd):
    layer = SameConv2d(2, 3, kernel, stride, bias=False)
    for (height, down), (width, across) in (((8, even), (9, odd)), ((9, odd), (8, even))):
        images = torch.randn(1, 2, height, width)
        expected = functional.conv2d(functional.pad(images, (*across, *down)), layer.weight, stride=stride)
        found = layer(images)
        torch.testing.assert_close(found, expected)
        assert found.shape[2:] == (-(-height // stride), -(-width // stride))


def test_a_block_adds_its_input_where_it_fits():
    torch.manual_seed(0)
    images = torch.randn(1, 8, 8, 8)
    for block, residual in (
        (Block(8, 8, 3, 1, 6), True),
        (Block(8, 16, 3, 1, 6), False),
        (Block(8, 8, 3, 2, 6), False),
    ):
        values = images
        for layer in block.eval().children():
            values = layer(values)
        torch.testing.assert_close(block(images), values + images if residual else values)


def test_names_are_timms():
    with torch.device("meta"):
        names = list(EfficientNetLite(SCALES["efficientnet_lite0"], 1000).state_dict())
    for name in (
        *("conv_stem.weight", "bn1.running_var", "blocks.0.0.conv_dw.weight", "blocks.0.0.bn1.weight"),
        *("blocks.0.0.conv_pw.weight", "blocks.0.0.bn2.bias", "blocks.1.0.conv_pw.weight", "blocks.6.0.bn3.weight"),
        *("blocks.1.1.conv_dw.weight", "blocks.5.3.conv_pwl.weight", "conv_head.weight", "bn2.weight"),
        *("classifier.weight", "classifier.bias"),
    ):
        assert name in names
    assert not any("act" in name or "pool" in name for name in names)


def published_names(network):
    """Names in the packages' files, written out from their pattern."""
    inner = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    inner |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    outside = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
    number = {
        f"{stage}.{k}": at
        for at, (stage, k) in enumerate((s, k) for s, blocks in enumerate(network.blocks) for k in range(len(blocks)))
    }
    found = {}
    for name in network.state_dict():
        if name.startswith("blocks."):
            _, stage, k, layer, tensor = name.split(".")
            names = first if stage == "0" else inner
            found[f"_blocks.{number[f'{stage}.{k}']}.{names[layer]}.{tensor}"] = name
        else:
            layer, tensor = name.split(".")
            found[f"{outside[layer]}.{tensor}"] = name
    return found


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1"])
def test_names_of_the_published_files_are_translated(name):
    with torch.device("meta"):
        expected = published_names(EfficientNetLite(SCALES[name], 3))
    assert timm_keys(list(expected)) == expected


def test_a_file_of_another_depth_is_none_of_them():
    with pytest.raises(KeyError):
        timm_keys(["_blocks.0._bn1.weight"])


@pytest.mark.parametrize(
    ("channels", "rounded"),
    # to the nearest multiple of 8, and up where that would take more than a tenth away
    [
        (8, 8),
        (1, 8),
        (11.9, 16),
        (12, 16),
        (17.6, 16),
        (24, 24),
        (26.4, 24),
        (26.7, 32),
        (44, 48),
        (83, 80),
        (123.2, 120),
    ],
)
def test_channels_are_rounded_as_published(channels, rounded):
    assert efficientnet_lite._rounded(channels) == rounded
