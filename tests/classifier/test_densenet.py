"""DenseNet: the names in its published files, and its inside, which is known in advance."""

import torch
from torchvision import models

from saliency_stats.classifier import densenet


def test_every_name_in_the_published_files_is_one_of_todays(old_keys):
    """The whole DenseNet-201, whose layers have numbers of two digits; without memory, since names are enough."""
    with torch.device("meta"):
        today = models.DenseNet(32, (6, 12, 48, 32), 64).state_dict()
    old = old_keys(today)
    assert len(set(old) - set(today)) > 900
    assert [densenet.current_key(key) for key in old] == [
        key for key in today if not key.endswith("num_batches_tracked")
    ]


def test_it_is_built_with_as_many_outputs_as_asked_for(small_densenets):
    assert densenet.densenet("densenet121", 5).classifier.out_features == 5


def test_its_inside_is_known_in_advance(small_densenets):
    backbone = densenet.densenet("densenet201", 2)
    layers = densenet.layers_of(backbone)
    assert layers.head == ("features.denseblock4.denselayer2.conv2", "classifier")
    assert layers.class_layer == "classifier"
    assert layers.gradcam == "features.denseblock3"
    assert list(layers.parts) == ["classifier", "denseblock4", "denseblock3", "denseblock2", "denseblock1", "stem"]
