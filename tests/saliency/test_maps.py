"""Which maps are made of a batch: of every network, by every method, and of the controls."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from saliency_stats.classifier.building import initialise
from saliency_stats.cohort.given import GivenMaps
from saliency_stats.errors import AttributionError
from saliency_stats.saliency.maps import MapKey, MapPlan, control_maps, given_maps, network_maps
from saliency_stats.saliency.methods import GIVEN, METHODS, cost_of, is_one_channel, method_of, words_of
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.seeds import derive

CONTROLS = ("randomised", "cascading", "shuffled", "sobel", "eosin", "shift")


def of(*models, network="1"):
    return [NetworkKey(model, network) for model in models]


PLAN = MapPlan(("gradient", "grad_cam"), ("l2", "max"), CONTROLS, seed=3)


def test_the_study_judges_by_its_first_method_and_reduction():
    assert PLAN.own() == MapKey("trained", "1", "gradient", "l2")
    assert MapPlan(("grad_cam", "gradient"), ("l2",)).own("x") == MapKey("x", "1", "grad_cam", "none")


def test_every_map_is_named():
    keys = PLAN.keys(of("trained", "randomised", "cascading_1", "shuffled"))
    both = [("gradient", "l2"), ("gradient", "max"), ("grad_cam", "none")]
    assert keys == [
        *(MapKey(model, "1", *how) for model in ("trained", "randomised") for how in both),
        *(MapKey(model, "1", *how) for model in ("cascading_1", "shuffled") for how in both[:2]),
        *(
            MapKey("sobel", "", "sobel", "none"),
            MapKey("eosin", "", "eosin", "none"),
            MapKey("shift", "1", "gradient", "l2"),
        ),
    ]
    assert PLAN.moved == ("shift",)
    assert MapPlan().moved == ()


def test_alone_it_makes_what_the_study_judges_by():
    alone = PLAN.alone()
    assert alone.keys(of("trained", "randomised")) == [PLAN.own("trained"), PLAN.own("randomised")]
    assert alone.seed == PLAN.seed


def test_by_default_there_is_the_gradient_and_its_length():
    assert MapPlan() == MapPlan(("gradient",), ("l2",), (), 0)
    assert MapPlan().keys(of("trained")) == [MapKey("trained", "1", "gradient", "l2")]
    with pytest.raises(FrozenInstanceError):
        MapPlan().seed = 1


def test_noise_is_drawn_from_the_studys_seed_the_method_and_the_patch(batch, monkeypatch):
    models, images, target = batch
    seen = []

    class Noise:
        name = "noise"

        def attribute(self, _, images, target, seeds):
            seen.append((len(images), target.tolist(), seeds))
            return images * torch.tensor([-1.0, 2.0, 0.0]).view(1, 3, 1, 1)

    monkeypatch.setitem(METHODS, "noise", Noise())
    plan = MapPlan(("noise", "gradient"), ("l1", "max"), seed=8)
    logits, maps = network_maps(models, images, {"1": target}, ["a", "b"], plan)
    assert seen == [(2, [0, 1], [derive(8, "noise", name) for name in ("a", "b")])] * 2
    # a network that only its own map explains has no gradient from which logits could be taken
    assert list(maps) == [
        *(MapKey("trained", "1", method, reduction) for method in ("noise", "gradient") for reduction in ("l1", "max")),
        *(MapKey("shuffled", "1", "noise", reduction) for reduction in ("l1", "max")),
    ]
    for name, model in models.items():
        np.testing.assert_allclose(logits[name], model(images).detach().numpy(), rtol=1e-4, atol=1e-6)
        assert logits[name].dtype == np.float64
    expected = images[:, 0] + 2 * images[:, 1]
    np.testing.assert_allclose(maps[MapKey("shuffled", "1", "noise", "l1")], expected, rtol=1e-6)
    np.testing.assert_allclose(
        maps[MapKey("shuffled", "1", "noise", "max")], torch.maximum(images[:, 0], 2 * images[:, 1]), rtol=1e-6
    )


def test_a_plan_travels():
    assert pickle.loads(pickle.dumps(PLAN)) == PLAN  # noqa: S301  (our own bytes)


@pytest.fixture
def batch(small_densenets):
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    models = {key: initialise("densenet121", seed).eval() for seed, key in enumerate(of("trained", "shuffled"))}
    return models, images, torch.tensor([0, 1])


def test_maps_are_those_of_the_plan_and_logits_those_of_the_networks(batch):
    models, images, target = batch
    logits, maps = network_maps(models, images, {"1": target}, ["a", "b"], PLAN)
    assert list(maps) == MapPlan(PLAN.methods, PLAN.reductions).keys(of("trained")) + [
        MapKey("shuffled", "1", "gradient", reduction) for reduction in PLAN.reductions
    ]
    for name, model in models.items():
        np.testing.assert_allclose(logits[name], model(images).detach().numpy(), rtol=1e-4, atol=1e-6)
    for values in maps.values():
        assert values.shape == (2, 32, 32)
        assert values.dtype == np.float32
        assert (values >= 0).all()
    assert (maps[MapKey("trained", "1", "gradient", "max")] <= maps[PLAN.own()] + 1e-7).all()


def test_the_gradient_is_computed_once_for_all_methods_that_follow_from_it(batch):
    """The same bytes as of each method alone, from one forward and one backward pass."""
    models, images, target = batch
    trained, passes = models["trained", "1"], []
    trained.register_forward_hook(lambda *_: passes.append(1))
    plan = MapPlan(("gradient_x_input", "gradient"), ("l2",))
    logits, maps = network_maps(models, images, {"1": target}, ["a", "b"], plan)
    assert len(passes) == 1
    for name in plan.methods:
        alone, same = network_maps(models, images, {"1": target}, ["a", "b"], MapPlan((name,)))
        key = MapKey("trained", "1", name, "l2")
        np.testing.assert_array_equal(maps[key], same[key])
        np.testing.assert_allclose(logits["trained", "1"], alone["trained", "1"], rtol=1e-6)


def test_without_the_gradient_the_logits_are_there_too(batch):
    models, images, target = batch
    logits, maps = network_maps(models, images, {"1": target}, ["a", "b"], MapPlan(("grad_cam",)))
    np.testing.assert_allclose(
        logits["trained", "1"], models["trained", "1"](images).detach().numpy(), rtol=1e-4, atol=1e-6
    )
    assert {key.method for key in maps} == {"grad_cam"}


def test_controls_of_the_image_and_of_the_place():
    rng = np.random.default_rng(0)
    trained = rng.random((2, 8, 8)).astype(np.float32)
    images = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    stained = rng.random((2, 2, 8, 8)).astype(np.float32)
    maps = control_maps({"1": trained}, list(images), list(stained), ["a", "b"], PLAN)
    assert list(maps) == [MapKey("sobel", "", "sobel", "none"), MapKey("eosin", "", "eosin", "none"), PLAN.own("shift")]
    np.testing.assert_array_equal(maps[MapKey("eosin", "", "eosin", "none")], stained[:, 1])
    moved = maps[PLAN.own("shift")]
    np.testing.assert_array_equal(np.sort(moved.ravel()), np.sort(trained.ravel()))
    again = control_maps({"1": trained[1:]}, list(images[1:]), list(stained[1:]), ["b"], PLAN)
    # a patch is moved by its own name, whatever its batch
    np.testing.assert_array_equal(again[PLAN.own("shift")][0], moved[1])
    other = control_maps({"1": trained}, list(images), list(stained), ["a", "b"], MapPlan(controls=CONTROLS, seed=4))
    assert (other[PLAN.own("shift")] != moved).any()


def test_the_maps_of_every_network_are_moved_alike_and_those_of_the_image_are_made_once():
    rng = np.random.default_rng(0)
    own = {name: rng.random((2, 8, 8)).astype(np.float32) for name in ("fold2-1", "fold2-2")}
    images = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    stained = rng.random((2, 2, 8, 8)).astype(np.float32)
    maps = control_maps(own, list(images), list(stained), ["a", "b"], PLAN)
    names = [NetworkKey("trained", name) for name in own]
    assert list(maps) == [key for key in PLAN.keys(names) if key.model in {"sobel", "eosin", "shift"}]
    assert [key.network for key in maps] == ["", "", *own]
    both = control_maps({"x": own["fold2-1"] - own["fold2-2"]}, list(images), list(stained), ["a", "b"], PLAN)
    difference = maps[PLAN.own("shift", "fold2-1")] - maps[PLAN.own("shift", "fold2-2")]
    np.testing.assert_array_equal(both[PLAN.own("shift", "x")], difference)


def test_each_network_explains_the_class_that_is_asked_of_it(batch):
    models, images, _ = batch
    trained = models["trained", "1"]
    asked = {"1": torch.tensor([0, 0]), "2": torch.tensor([1, 1])}
    pair = {NetworkKey("trained", name): trained for name in asked}
    logits, maps = network_maps(pair, images, asked, ["a", "b"], MapPlan())
    assert list(logits) == list(pair)
    assert list(maps) == MapPlan().keys(list(pair))
    for name, target in asked.items():
        alone = network_maps({NetworkKey("trained", "1"): trained}, images, {"1": target}, ["a", "b"], MapPlan())[1]
        np.testing.assert_array_equal(maps[MapPlan().own("trained", name)], alone[MapPlan().own()])
    assert (maps[MapPlan().own("trained", "1")] != maps[MapPlan().own("trained", "2")]).any()


def test_given_maps_and_probabilities_stand_in_a_networks_place(tmp_path):
    maps = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    for number, values in enumerate(maps):
        np.save(tmp_path / f"{number}.npy", values)
    names = tuple(f"{number}.npy" for number in range(3))
    given = GivenMaps(tmp_path / "t.csv", (2, 3, 4), names, tmp_path, np.array([0.0, 0.25, 1.0]))
    plan = MapPlan(("map",), controls=("shift",))
    logits, found = given_maps(given, (2, 1), [(8, 8), (8, 8)], plan)
    assert list(found) == [plan.own()] == [MapKey("trained", "1", "map", "none")]
    np.testing.assert_array_equal(found[plan.own()], maps[[2, 1]])
    assert list(logits) == of("trained")
    np.testing.assert_allclose(logits[NetworkKey("trained", "1")], [[0, np.inf], [0, -np.log(3)]])
    logits, found = given_maps(given, (0,), [], plan)
    assert (list(found), logits[NetworkKey("trained", "1")].tolist()) == ([], [[0, -np.inf]])


def test_no_network_is_explained_by_the_map_of_a_table():
    assert method_of("map") is GIVEN
    assert "map" not in METHODS
    assert (words_of(GIVEN), cost_of(GIVEN), is_one_channel(GIVEN)) == ("map made elsewhere", 0.0, True)
    with pytest.raises(AttributionError, match="map comes from a file, and explains no network"):
        GIVEN.attribute(torch.nn.Identity(), torch.zeros(1, 3, 4, 4), torch.zeros(1, dtype=torch.long), [0])


def test_methods_that_add_up_to_a_change_of_the_logit_give_their_signed_sums_too_where_asked():
    plan = MapPlan(("gradient", "gradient_x_input"), ("l2", "max"), signed=True)
    assert plan.reductions_of("gradient") == ("l2", "max")
    assert plan.reductions_of("gradient_x_input") == ("l2", "max", "sum")
    assert plan.own().reduction == "l2"
    assert not plan.alone().signed
    assert MapPlan(("gradient_x_input",)).reductions_of("gradient_x_input") == ("l2",)
