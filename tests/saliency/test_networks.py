"""Networks of one magnification at a time."""

import pickle
from pathlib import Path

import pytest
import torch

from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.building import initialise
from saliency_stats.classifier.saved import save_weights
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.saliency.networks import Networks, weights_path
from saliency_stats.seeds import derive

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small_densenets):
    folder = tmp_path_factory.mktemp("weights")
    for seed, (magnification, name) in enumerate([(5.0, "trained"), (20.0, "trained"), (20.0, "shuffled")]):
        save_weights(initialise("densenet121", seed), weights_path(folder, magnification, name))
    return folder


def networks(folder, *controls, magnifications=(5.0, 20.0)):
    return Networks(Architecture("densenet121"), controls, 0, folder, magnifications, CPU)


def test_the_trained_one_and_its_controls_ready_to_be_explained(folder):
    found = networks(folder, "randomised", "cascading", "shuffled", "sobel")[20.0, 0]
    assert {key.network for key in found} == {"1"}
    found = {key.model: model for key, model in found.items()}
    assert list(found) == ["trained", "randomised", *(f"cascading_{depth}" for depth in range(1, 7)), "shuffled"]
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    logits = {name: model(image) for name, model in found.items()}
    # re-initialised to the bottom is re-initialised
    assert len({tuple(row.flatten().tolist()) for row in logits.values()}) >= len(found) - 1
    torch.testing.assert_close(logits["trained"], initialise("densenet121", 1).eval()(image).detach())
    torch.testing.assert_close(logits["shuffled"], initialise("densenet121", 2).eval()(image).detach())
    for model in found.values():
        assert not model.training
        assert not any(parameter.requires_grad for parameter in model.parameters())


def test_those_of_the_last_magnification_are_kept(folder):
    found = networks(folder)
    first = found[5.0, 0]["trained", "1"]
    assert found[5.0, 0]["trained", "1"] is first
    other = found[20.0, 0]["trained", "1"]
    assert other is not first
    again = found[5.0, 0]["trained", "1"]
    assert again is not first
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_a_randomised_network_is_the_same_each_time(folder):
    found = networks(folder, "randomised")
    first = found[5.0, 0]["randomised", "1"]
    assert found[20.0, 0]["randomised", "1"] is not first
    again = found[5.0, 0]["randomised", "1"]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_in_another_process_they_are_loaded_anew(folder):
    found = networks(folder, "randomised")
    _ = found[20.0, 0]
    sent = pickle.dumps(found)
    assert len(sent) < 2_000
    other = pickle.loads(sent)  # noqa: S301  (our own bytes)
    first, again = found[20.0, 0]["randomised", "1"], other[20.0, 0]["randomised", "1"]
    assert again is not first
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_each_has_a_file_of_its_own():
    assert weights_path(Path("w"), 20.0) == Path("w/trained-20x.safetensors")
    assert weights_path(Path("w"), 2.5, "shuffled") == Path("w/shuffled-2.5x.safetensors")
    assert weights_path(Path("w"), 2.5, "shuffled", "2") == Path("w/shuffled-2-2.5x.safetensors")
    assert weights_path(Path("w"), 20.0, "trained", "fold1-1") == Path("w/trained-fold1-1-20x.safetensors")


def test_what_is_kept_is_nobodys_business(folder):
    found = networks(folder)
    _ = found[5.0, 0]
    assert "_kept" not in repr(found)
    assert "_lock" not in repr(found)
    for extra in ("_kept", "_lock"):
        with pytest.raises(TypeError, match=extra):
            Networks(Architecture("densenet121"), (), 0, folder, (5.0,), CPU, **{extra: None})


def test_it_is_a_mapping(folder):
    found = networks(folder)
    assert (list(found), len(found)) == ([(5.0, 0), (20.0, 0)], 2)
    assert [place in found for place in ((20.0, 0), (40.0, 0), (20.0, 1))] == [True, False, False]
    with pytest.raises(KeyError):
        found[40.0, 0]


def test_several_networks_of_several_folds_each_with_controls_of_its_own(tmp_path, small_densenets):
    seeds = {(fold, name): 10 * fold + name for fold in (1, 2) for name in (1, 2)}
    for (fold, name), seed in seeds.items():
        path = weights_path(tmp_path, 20.0, "trained", f"fold{fold}-{name}")
        save_weights(initialise("densenet121", seed), path)
    found = Networks(Architecture("densenet121"), ("randomised",), 3, tmp_path, (20.0,), CPU, 2, 2)
    assert (list(found), len(found)) == ([(20.0, 1), (20.0, 2)], 2)
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    randomised = {}
    for fold in (1, 2):
        made = found[20.0, fold]
        names = [f"fold{fold}-{name}" for name in (1, 2)]
        assert list(made) == [NetworkKey(model, name) for name in names for model in ("trained", "randomised")]
        for number, name in enumerate(names, start=1):
            expected = initialise("densenet121", seeds[fold, number]).eval()(image).detach()
            torch.testing.assert_close(made[NetworkKey("trained", name)](image), expected)
            randomised[name] = made[NetworkKey("randomised", name)]
            seed = derive(3, "randomised", 20.0, name)
            torch.testing.assert_close(randomised[name](image), initialise("densenet121", seed).eval()(image).detach())
    first, again = (one[20.0, 2] for one in (found, pickle.loads(pickle.dumps(found))))  # noqa: S301  (our own bytes)
    assert list(first) == list(again)


def test_networks_that_learned_their_heads_alone_share_the_rest(tmp_path, small_densenets, heads_of):
    for name, made in zip(("trained", "shuffled"), heads_of(initialise("densenet121", 7), 2), strict=True):
        save_weights(made, weights_path(tmp_path, 20.0, name))
    found = Networks(Architecture("densenet121"), ("randomised", "shuffled"), 0, tmp_path, (20.0,), CPU)[20.0, 0]
    assert [list(family) for family in found.families()] == [[("trained", "1"), ("shuffled", "1")]]
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for key, logits in found.logits(image).items():
        torch.testing.assert_close(logits, found[key](image).detach(), rtol=1e-5, atol=1e-6)
