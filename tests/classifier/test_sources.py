"""Where architectures come from: torchvision, timm, this package, a user's own factory."""

import importlib.util
import sys
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from saliency_stats.classifier import sources
from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.building import build, examined, initialise
from saliency_stats.classifier.outputs import Outputs
from saliency_stats.classifier.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from saliency_stats.classifier.sources import SOURCES, source_of
from saliency_stats.errors import ClassifierError, StudyError
from saliency_stats.saliency import gradient
from saliency_stats.vocabulary import ARCHITECTURE_SOURCES, ARCHITECTURES


def test_the_registry_is_what_a_study_file_may_say():
    assert tuple(SOURCES) == ARCHITECTURE_SOURCES
    assert [source_of(name)[1] for name in ARCHITECTURES] == list(ARCHITECTURES)
    assert source_of("torchvision:resnet18") == (SOURCES["torchvision"], "resnet18")
    assert source_of("timm:hf-hub:owner/name") == (SOURCES["timm"], "hf-hub:owner/name")
    assert source_of("python:/folder/mine.py:build")[1] == "/folder/mine.py:build"


@pytest.mark.parametrize("name", ["resnet18", "keras:resnet", "timm:", ":x", ""])
def test_an_unknown_source_is_refused_with_those_there_are(name):
    with pytest.raises(StudyError, match=r"is unknown; choose one of densenet121, .*torchvision:NAME, timm:NAME"):
        source_of(name)


def test_torchvisions_networks_come_with_its_preprocessing():
    found = SOURCES["torchvision"].preprocessing("mobilenet_v3_small")
    assert found == Preprocessing(IMAGENET_MEAN, IMAGENET_STD, 224)
    assert SOURCES["torchvision"].preprocessing("efficientnet_b1").size_px == 240
    model = initialise("torchvision:mobilenet_v3_small", 1)
    assert model.n_outputs == 2
    assert model.normalise.mean.flatten().tolist() == pytest.approx(IMAGENET_MEAN)
    assert model(torch.rand(2, 3, 64, 96)).shape == (2, 2)
    assert (
        model.notes[0] == "its head (trainable: head) is classifier.3 alone: no convolution stands directly before it"
    )


def test_torchvisions_unknown_names_and_auxiliary_classifiers_are_refused():
    with pytest.raises(StudyError, match=r"torchvision has no classifier 'resnet19'; it has resnet101, .*resnet18"):
        build("torchvision:resnet19", "none", 0)
    with (
        pytest.raises(StudyError, match="has auxiliary classifiers"),
        pytest.warns(FutureWarning),
    ):
        SOURCES["torchvision"].network("googlenet", 2)


class Timm(nn.Module):
    """As timm's: a configuration, and a class layer of as many outputs as asked for."""

    def __init__(self, num_classes):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, 4, 4, 4)
        self.head = nn.Linear(4, num_classes) if num_classes else nn.Identity()
        self.pretrained_cfg = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "input_size": (3, 16, 16)}

    def forward(self, images):
        return self.head(torch.relu(self.patch_embed(images)).mean((2, 3)))


@pytest.fixture
def timm(monkeypatch):
    """A module of timm's name, and what it was asked for."""
    asked = []

    def create_model(name, *, pretrained=False, num_classes=None):
        num_classes = (0 if "features" in name else 7) if num_classes is None else num_classes
        asked.append((name, pretrained, num_classes))
        if name.startswith("hf-hub:") and pretrained is not None and "gone" in name:
            raise ConnectionError("no route to host")
        if name == "offline" and pretrained:
            raise ConnectionError("no route to host")
        if name == "unknown":
            raise RuntimeError("Unknown model (unknown)")
        made = Timm(num_classes)
        if pretrained:
            with torch.no_grad():
                made.patch_embed.weight.fill_(0.25)
        return made

    module = ModuleType("timm")
    module.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", module)
    examined.cache_clear()
    yield asked
    examined.cache_clear()


def test_timms_networks_come_with_its_configuration(timm):
    model = build("timm:small", "none", 1)
    assert {name for name, *_ in timm} == {"small"}
    assert model.normalise.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert model.normalise.std.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert model.head == ("backbone.patch_embed.", "backbone.head.")
    assert model(torch.rand(1, 3, 32, 32)).shape == (1, 2)
    assert not any(pretrained for _, pretrained, _ in timm)


@pytest.mark.parametrize("name", ["small", "hf-hub:owner/small"])
@pytest.mark.parametrize("weights", ["imagenet", "own"])
def test_timms_weights_are_loaded_and_their_classes_left_out(timm, name, weights):
    said = []
    model = build(f"timm:{name}", weights, 1, say=said.append)
    assert model.backbone.patch_embed.weight.eq(0.25).all()
    assert model.backbone.head.out_features == 2
    left = (
        f"classifier.weights: {weights}: its layer of 7 classes is left out; the layer of two classes starts at random"
    )
    assert said[-1] == left
    with pytest.raises(ClassifierError, match=r"needs a file with two classes \(found 7\)"):
        build(f"timm:{name}", weights, 1, trained=False)


def test_features_without_a_layer_of_classes_get_one(timm):
    said = []
    model = build("timm:hf-hub:owner/features", "own", 1, say=said.append)
    assert model.backbone.patch_embed.weight.eq(0.25).all()
    assert said[-1] == "classifier.weights: own: it has no layer of classes; the layer of two classes starts at random"
    fresh = model.fresh(1)
    assert torch.equal(model.backbone.head.weight, fresh.backbone.head.weight)
    with pytest.raises(ClassifierError, match=r"needs a file with two classes \(found 0\)"):
        build("timm:hf-hub:owner/features", "own", 1, trained=False)


def test_classes_of_a_study_keep_the_outputs_of_published_weights(timm):
    architecture = Architecture("timm:small", outputs=Outputs((0, 1, 2), (3, 4, 5, 6)))
    model = build(architecture, "own", 1, trained=False)
    assert model.n_outputs == 7
    images = torch.rand(2, 3, 16, 16)
    raw = model.backbone(model.normalise(images))
    expected = torch.stack([raw[:, :3].logsumexp(dim=1), raw[:, 3:].logsumexp(dim=1)], dim=1)
    torch.testing.assert_close(model(images), expected)
    assert model.fresh(3).n_outputs == 7
    with pytest.raises(ClassifierError, match=r"has 7 outputs, numbered from 0; cohort\.classes names output 8"):
        build(Architecture("timm:small", outputs=Outputs((0,), (8,))), "own", 1)


def test_a_hubs_model_that_cannot_be_had_says_what_to_fetch_and_where_to_put_it(timm):
    with pytest.raises(ClassifierError) as caught:
        build("timm:hf-hub:owner/gone", "own", 1)
    message = str(caught.value)
    assert "timm:hf-hub:owner/gone cannot be loaded (ConnectionError: no route to host)" in message
    assert "`hf download owner/gone`" in message
    assert "$HF_HOME/hub" in message


def test_timms_missing_weights_and_names_are_told(timm):
    with pytest.raises(ClassifierError, match=r"could not load the weights of offline .*or give the path of a file"):
        build("timm:offline", "imagenet", 1)
    with pytest.raises(StudyError, match=r"timm has no network 'unknown' .*\(RuntimeError: Unknown model"):
        build("timm:unknown", "none", 1)


def test_without_timm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(StudyError, match=r"timm is not installed; `pip install 'saliency-stats\[timm\]'`"):
        build("timm:resnet18", "none", 0)


needs_timm = pytest.mark.skipif(
    importlib.util.find_spec("timm") is None, reason="SKIPPED: timm, an extra, is not installed here"
)


@needs_timm
@pytest.mark.parametrize(
    ("name", "head", "gradcam"),
    [
        ("test_resnet", ("layer4.0.downsample.1", "fc"), "layer3"),
        ("test_efficientnet", ("conv_head", "classifier"), "blocks.3"),
        ("test_convnext", ("head.fc",), "stages.2"),
        ("test_vit", ("head",), "blocks.5.norm1"),
        ("vit_tiny_patch16_224", ("head",), "blocks.11.norm1"),
        ("tf_efficientnet_lite0", ("conv_head", "classifier"), "blocks.4"),
    ],
)
def test_timms_own_networks_are_found_their_way_in(name, head, gradcam):
    model = build(f"timm:{name}", "none", 0).eval()
    images = torch.rand(2, 3, 64, 64)
    assert model(images).shape == (2, 2)
    assert (model.layers.head, model.layers.gradcam) == (head, gradcam)
    # two calls of one seed are the same network
    again = build(f"timm:{name}", "none", 0).eval()
    assert torch.equal(again(images), model(images))
    (expected,) = torch.autograd.grad(model(pixels := images.clone().requires_grad_())[:, 1].sum(), pixels)
    found = gradient(model, images, torch.ones(2, dtype=torch.long), reduction="l2")
    torch.testing.assert_close(found, expected.norm(dim=1))


@needs_timm
def test_timm_itself_does_not_fetch_what_is_not_there(monkeypatch, tmp_path):
    hub = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ClassifierError) as caught:
        build("timm:hf-hub:owner/none", "own", 0)
    assert "timm:hf-hub:owner/none cannot be loaded (LocalEntryNotFoundError: " in str(caught.value)
    assert "run `hf download owner/none`" in str(caught.value)
    with pytest.raises(ClassifierError, match="timm could not load the weights of test_resnet"):
        build("timm:test_resnet", "imagenet", 0)
    with pytest.raises(StudyError, match="timm has no network 'nonsense' that can be built"):
        build("timm:nonsense", "none", 0)


FACTORIES = """\
import torch
from torch import nn


def build():
    network = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(2.0)
    return network


def fails():
    raise RuntimeError("no such file")


def number():
    return 3
"""


@pytest.fixture
def own(tmp_path):
    """A factory in a file, whose weights have learned something: all are 2."""
    path = tmp_path / "mine.py"
    path.write_text(FACTORIES, encoding="utf-8")
    return f"python:{path}"


def test_a_factorys_own_weights_are_used_or_forgotten(own):
    network = build(f"{own}:build", "own", 0, trained=False)
    assert all(parameter.eq(2).all() for parameter in network.parameters())
    assert network.notes[-1] == "its two classes are taken as benign and malignant, in this order"
    assert isinstance(network.normalise, nn.Identity)
    for forgotten in (build(f"{own}:build", "none", 1), network.fresh(1)):
        assert not any(parameter.eq(2).any() for parameter in forgotten.parameters())
    one, same, other = (network.fresh(seed).backbone[0].weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_factorys_weights_may_be_those_of_a_file(own, tmp_path):
    state = {
        key: torch.ones_like(value) for key, value in build(f"{own}:build", "own", 0).backbone.state_dict().items()
    }
    save_file(state, tmp_path / "w.safetensors")
    network = build(f"{own}:build", str(tmp_path / "w.safetensors"), 0)
    assert all(parameter.eq(1).all() for parameter in network.parameters())
    save_file({"0.weight": state["0.weight"]}, tmp_path / "part.safetensors")
    with pytest.raises(ClassifierError, match="Expected a state_dict with the network's own keys"):
        build(f"{own}:build", str(tmp_path / "part.safetensors"), 0)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("fails", r"fails\(\) fails \(RuntimeError: no such file\)"),
        ("number", r"returns 3; expected a torch\.nn\.Module from images \(N, 3, H, W\) in \[0, 1\] to logits"),
        ("missing", r"has no missing; it has build, fails, number"),
    ],
)
def test_a_factory_that_gives_no_network_is_told(own, factory, message):
    with pytest.raises(StudyError, match=message):
        build(f"{own}:{factory}", "own", 0)


def test_a_module_that_is_not_there_is_told(tmp_path):
    with pytest.raises(StudyError, match=r"the module cannot be imported .*or a file beside the study file"):
        build(f"python:{tmp_path / 'none.py'}:build", "own", 0)
    with pytest.raises(
        StudyError, match=r"expected python:package\.module:factory, for example python:my_network:build"
    ):
        build("python:alone", "own", 0)


def test_weights_that_a_source_does_not_have_are_told(own, tiny_networks):
    with pytest.raises(StudyError, match=r"has no weights called 'imagenet'; expected own, none or the path of a file"):
        build(f"{own}:build", "imagenet", 0)
    with pytest.raises(StudyError, match=r"densenet121 has no weights called 'own'; expected imagenet, none"):
        build("densenet121", "own", 0)


def test_lites_weights_are_read_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCY_STATS_CACHE", str(tmp_path))
    with pytest.raises(ClassifierError, match=r"are not at .*Fetch them with `saliency-stats fetch imagenet-lite`"):
        build("efficientnet_lite0", "imagenet", 0)
    network = sources.Lite().network("efficientnet_lite0", 1000)
    path = sources.Lite().file("efficientnet_lite0")
    path.parent.mkdir()
    save_file(network.state_dict(), path)
    model = build("efficientnet_lite0", "imagenet", 0)
    assert torch.equal(model.backbone.conv_head.weight, network.conv_head.weight)
    assert model.backbone.classifier.out_features == 2
    assert model.normalise.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    assert model.head == ("backbone.conv_head.", "backbone.classifier.")
    assert model.cam_layer == "backbone.blocks.4"
