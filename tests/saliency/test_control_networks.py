"""Controls keep what they say they keep, and nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saliency_stats.classifier.building import initialise
from saliency_stats.errors import AttributionError
from saliency_stats.saliency.control_networks import cascading, permuted_labels, randomised

SEED = 7
#: Module names by part, written out once more: the top of the network first.
LAYERS = (
    {"classifier"},
    {"denseblock4", "norm5"},
    {"denseblock3", "transition3"},
    {"denseblock2", "transition2"},
    {"denseblock1", "transition1"},
    {"conv0", "norm0"},
)


@pytest.fixture(scope="module")
def trained(small_densenets):
    """A network none of whose tensors is that of a fresh one, running statistics included."""
    model = initialise("densenet121", 1).eval()
    generator = torch.Generator().manual_seed(0)
    for value in model.backbone.state_dict().values():
        value.copy_(value + torch.rand(value.shape, generator=generator) + 1)
    return model


def layer(key):
    return key.split(".")[0 if key.startswith("classifier") else 1]


@pytest.mark.parametrize("depth", range(1, 7))
def test_what_lies_above_is_fresh_and_what_lies_below_is_trained(trained, depth):
    before = {key: value.clone() for key, value in trained.backbone.state_dict().items()}
    fresh = initialise("densenet121", SEED).backbone.state_dict()
    mixed = cascading(trained, depth, SEED)
    above = set().union(*LAYERS[:depth])
    for key, value in mixed.backbone.state_dict().items():
        assert torch.equal(value, (fresh if layer(key) in above else before)[key]), key
    assert not mixed.training
    for key, value in trained.backbone.state_dict().items():
        assert torch.equal(value, before[key]), "the original was touched"


def test_the_deepest_cascade_is_the_randomised_network(trained):
    deepest, fresh = cascading(trained, len(LAYERS), SEED), randomised(trained, SEED)
    assert deepest.state_dict().keys() == fresh.state_dict().keys()
    assert all(torch.equal(value, fresh.state_dict()[key]) for key, value in deepest.state_dict().items())
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(deepest(images), fresh(images))


def test_nothing_is_shared_with_the_trained_network(trained):
    mixed = cascading(trained, 1, SEED)
    own = {value.data_ptr() for value in trained.state_dict().values()}
    assert not own & {value.data_ptr() for value in mixed.state_dict().values()}


def test_the_global_generator_is_left_alone(trained):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    cascading(trained, 2, SEED)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("depth", [0, 7, -1])
def test_depths_that_do_not_exist(trained, depth):
    with pytest.raises(AttributionError, match=rf"the depth is {depth}; expected 1 \(classifier only\) to 6"):
        cascading(trained, depth, SEED)


@given(st.lists(st.integers(0, 1), max_size=50), st.integers(0, 2**32 - 1))
def test_permuted_labels_are_the_same_labels(labels, seed):
    given_labels = np.array(labels, dtype=np.intp)
    found = permuted_labels(given_labels, seed)
    assert sorted(found) == sorted(labels)
    assert found.dtype == given_labels.dtype
    np.testing.assert_array_equal(given_labels, labels)  # not in place
    np.testing.assert_array_equal(found, permuted_labels(given_labels, seed))


def test_permuted_labels_know_nothing_of_the_true_ones():
    labels = np.repeat([0, 1], [600, 400])
    found = np.stack([permuted_labels(labels, seed) for seed in range(50)])
    assert len(np.unique(found, axis=0)) == 50
    # a patch keeps its label as often as two random patches share one: 0.6^2 + 0.4^2
    agreement = (found == labels).mean(axis=1)
    assert agreement.mean() == pytest.approx(0.52, abs=0.01)
    assert agreement.max() < 0.6
