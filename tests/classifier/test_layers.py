"""The inside of a network, found by running it once."""

import pytest
import torch
from torch import nn
from torchvision import models

from saliency_stats.classifier.layers import MOST_PARTS, Layers, NamedLayers, calls_of, find_layers, with_named
from saliency_stats.classifier.probing import noise
from saliency_stats.errors import ClassifierError


def found(network, size=64, **named):
    images = noise(size).requires_grad_()
    calls, logits = calls_of(network.eval(), images)
    return find_layers(network, calls, logits, images, NamedLayers(**named))


def plain(*between):
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1)),
        *(nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout()),
        *(*between, nn.Linear(6, 2)),
    )


def test_the_head_is_the_last_convolution_and_the_layer_of_classes():
    layers = found(plain())
    assert layers.head == ("2", "8")
    assert layers.class_layer == "8"


def test_it_is_the_layer_of_classes_alone_where_another_layer_stands_between():
    assert found(plain(nn.Linear(6, 6))).head == ("9",)
    # a normalisation is none
    assert found(plain(nn.LayerNorm(6))).head == ("2", "9")


def test_a_layer_that_is_never_called_is_not_found():
    class Partly(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = plain(), nn.Linear(3, 3)

        def forward(self, images):
            return self.used(images)

    network = Partly()
    layers = found(network)
    assert layers.head == ("used.2", "used.8")
    assert "unused." in next(reversed(layers.parts.values()))


def test_grad_cams_layer_is_the_last_whose_stride_is_at_most_16():
    torch.manual_seed(0)
    resnet = models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=2)
    assert found(resnet).gradcam == "layer3"
    # where all are coarser the last that has places at all
    coarse = nn.Sequential(nn.Conv2d(3, 4, 32, 32), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    assert found(coarse).gradcam == "1"
    one_place = nn.Sequential(nn.Conv2d(3, 4, 64, 64), nn.Flatten(), nn.Linear(4, 2))
    assert found(one_place).gradcam is None


class Attending(nn.Module):
    """A block of a transformer as timm has it: queries, keys and values of one layer; a class token is read."""

    def __init__(self):
        super().__init__()
        self.norm, self.qkv, self.softmax, self.proj = (
            nn.LayerNorm(8),
            nn.Linear(8, 24),
            nn.Softmax(-1),
            nn.Linear(8, 8),
        )

    def forward(self, tokens):
        query, key, value = self.qkv(self.norm(tokens)).chunk(3, dim=2)
        return tokens + self.proj(self.softmax(query @ key.transpose(1, 2)) @ value)


def test_of_tokens_the_last_of_the_usual_width_is_explained():
    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.embed, self.blocks, self.head = nn.Conv2d(3, 8, 16, 16), nn.Sequential(Attending()), nn.Linear(8, 2)

        def forward(self, images):
            tokens = self.embed(images).flatten(2).transpose(1, 2)
            return self.head(self.blocks(torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1))[:, 0])

    assert found(Transformer()).gradcam == "blocks.0.norm"
    # what is wider is taken where nothing else is there
    network = Transformer()
    network.blocks[0].norm = nn.Identity()
    network.blocks[0].forward = lambda tokens: Attending.forward(network.blocks[0], tokens)
    assert found(network).gradcam == "blocks.0.norm"


def test_a_branch_that_the_logits_do_not_depend_on_is_not_explained():
    class Branched(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.lost, self.fc = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(3, 4, 4, 4), nn.Linear(4, 2)

        def forward(self, images):
            features = self.used(images)
            self.lost(images)
            return self.fc(features.mean((2, 3)))

    torch.manual_seed(0)
    assert found(Branched()).gradcam == "used"


@pytest.mark.parametrize(
    "make", [plain, lambda: models.resnet18(num_classes=2), lambda: models.mobilenet_v2(num_classes=2)]
)
def test_the_parts_hold_every_tensor_once_with_the_layer_of_classes_at_the_top(make):
    torch.manual_seed(0)
    network = make()
    layers = found(network)
    assert 2 <= len(layers.parts) <= MOST_PARTS
    assert next(iter(layers.parts.values())) == (f"{layers.class_layer}.",)
    for key in network.state_dict():
        assert sum(key.startswith(prefixes) for prefixes in layers.parts.values()) == 1, key
    # from the top: the first layer of the network is in the last part
    first = next(iter(network.state_dict()))
    assert first.startswith(list(layers.parts.values())[-1])


def test_stages_are_parts_in_the_order_in_which_they_compute():
    torch.manual_seed(0)
    layers = found(models.resnet18(num_classes=2))
    assert list(layers.parts) == ["fc", "layer4.1 to layer4.0", "layer3", "layer2", "layer1", "bn1 to conv1"]


def test_tokens_that_belong_to_no_layer_are_at_the_bottom():
    torch.manual_seed(0)
    network = models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=2)
    nn.init.normal_(network.heads.head.weight)
    layers = found(network, 32)
    assert layers.head == ("heads.head",)
    # of the last block only the class token is read: its first normalisation is the last that all tokens go through
    assert layers.gradcam == "encoder.layers.encoder_layer_1.ln_1"
    assert {"class_token", "encoder.pos_embedding"} <= set(list(layers.parts.values())[-1])


def test_named_layers_are_taken_as_they_are():
    layers = found(plain(), head=("0", "8"), gradcam="1", parts=("8", "3", "2", "0"))
    assert layers.head == ("0", "8")
    assert layers.gradcam == "1"
    assert layers.parts == {"8": ("8.",), "3": ("3.",), "2": ("2.",), "0": ("0.",)}


def test_every_layer_that_is_not_there_is_told():
    with pytest.raises(ClassifierError) as caught:
        found(plain(), head=("fc",), gradcam="layer4", parts=("8", "conv"))
    message = str(caught.value)
    assert message.startswith("4 faults:")
    assert "classifier.layers.head: the network has no layer 'fc'; its last are 3, 4, 5, 6, 7, 8" in message
    assert "classifier.layers.gradcam: the network has no layer 'layer4'" in message
    assert "classifier.layers.parts: the network has no layer 'conv'" in message
    assert "classifier.layers.parts: 9 of 11 tensors are in no part (0.weight, 0.bias, 2.weight, …)" in message


def test_parts_leave_nothing_out_and_a_name_is_no_beginning_of_another():
    network = nn.Sequential(*[nn.Linear(2, 2) for _ in range(11)])
    known = Layers(("10",), None, {})
    with pytest.raises(ClassifierError, match=r"2 of 22 tensors are in no part \(10.weight, 10.bias\)"):
        with_named(network, known, NamedLayers(parts=tuple(map(str, range(10)))))
    assert with_named(network, known, NamedLayers()) == known
    assert list(with_named(network, known, NamedLayers(parts=tuple(map(str, range(11))))).parts) == list(
        map(str, range(11))
    )


def test_a_network_without_layers_says_so():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 2))

        def forward(self, images):
            return images.mean((2, 3)) @ self.weight

    with pytest.raises(ClassifierError, match=r"name it in classifier\.layers\.head"):
        found(Bare())


def test_hooks_are_taken_away_also_after_an_error():
    network = plain()
    with pytest.raises(RuntimeError):
        calls_of(network, torch.zeros(1, 5, 8, 8))
    calls_of(network, noise(16))
    assert not any(module._forward_hooks for module in network.modules())
