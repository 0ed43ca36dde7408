"""From the study file to what is made of it: networks, maps."""

import pandas as pd
import pytest

from saliency_stats.cohort.cache import CachedCohort
from saliency_stats.cohort.patch import USED
from saliency_stats.measurement.importance import Rerendering
from saliency_stats.saliency.maps import MapKey
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.seeds import derive
from saliency_stats.settings.study import load
from saliency_stats.study import parameters
from saliency_stats.study.parameters import (
    CPU,
    all_networks,
    cells_of,
    folding_of,
    measurement_parameters,
    multiverse_of,
    networks_of,
    plan_of,
    recipe_of,
    references_of,
    rerendering_of,
    tissue_of,
)
from saliency_stats.vocabulary import CELLS


def test_phantoms_are_drawn_again_wherever_compartments_are_replaced():
    settings = load(None, ("compartments.min_area=0.07", "cohort.signal=xor"))
    cohort = settings.cohort.open(5)
    assert rerendering_of(settings, cohort) == Rerendering(cohort, 0.07)
    assert rerendering_of(load(None, ("causal.replacements=[]",)), cohort) is None
    assert rerendering_of(settings, CachedCohort(cohort, 0)) is None  # as of any other cohort


def test_networks_and_maps_are_named_as_they_are_made():
    settings = load(None, ("controls=[cascading, sobel, shift, randomised]", "saliency.methods=[gradient, grad_cam]"))
    networks = networks_of(settings)
    assert [key.model for key in networks] == [
        "trained",
        *(f"cascading_{depth}" for depth in range(1, 7)),
        "randomised",
    ]
    assert {key.network for key in networks} == {"1"}
    plan = plan_of(settings)
    keys = plan.keys(networks)
    assert len(set(keys)) == len(keys) == len(networks) + 2 + 2
    assert MapKey("randomised", "1", "grad_cam", "none") in keys
    assert MapKey("cascading_1", "1", "grad_cam", "none") not in keys
    alone = plan.alone()
    assert alone.keys(networks) == [plan.own(*key) for key in networks]
    assert alone.own() == plan.own()


@pytest.mark.parametrize("method", ["gradient", "grad_cam"])
def test_the_own_map_is_one_of_those_made(method):
    plan = plan_of(load(None, (f"saliency.methods=[{method}]", "saliency.more_reductions=[max]")))
    assert plan.own() in plan.keys(networks_of(load(None)))


def test_methods_start_from_the_studys_baseline_unless_they_name_their_own():
    methods = "saliency.methods=[integrated_gradients, gradient, deeplift@mean, integrated_gradients@blur]"
    plan = plan_of(load(None, (methods, "saliency.baseline=blur")))
    assert plan.methods == ("integrated_gradients@blur", "gradient", "deeplift@mean")
    assert plan.own().method == "integrated_gradients@blur"
    assert plan_of(load(None, (methods,))).methods[0] == "integrated_gradients"


def test_training_patches_of_each_fold_are_at_hand_where_a_method_asks_for_them():
    settings = load(None, ("saliency.methods=[gradient, expected_gradients]", "cohort.folds=3"))
    n = 36
    table = pd.DataFrame(
        {
            "patch_id": [f"p{row}" for row in range(n)],
            "slide_id": [f"s{row // 3}" for row in range(n)],
            "patient_id": "",
            "label": ["benign", "malignant", "benign"] * 12,
            "split": "",
            "status": USED,
            "magnification": 20.0,
            "height_px": 64,
            "width_px": 64,
        }
    )
    table.loc[35, "status"] = "excluded: blank"
    dealt = folding_of(settings).dealt(table)
    references = references_of(settings, "cohort", dealt)
    assert references.cohort == "cohort"
    assert [place.fold for place in references.drawn] == [1, 2, 3]
    for place, rows in references.drawn.items():
        judged = set(dealt.loc[dealt["fold"] == place.fold, "slide_id"])
        assert len(rows) > 10
        assert judged.isdisjoint(dealt.loc[list(rows), "slide_id"])
        assert 35 not in rows
    assert references_of(load(None, ("saliency.methods=[smoothgrad, 'deeplift@blur']",)), "cohort", table) is None


def test_networks_of_a_fold_and_of_all():
    settings = load(None, ("classifier.networks=2", "cohort.folds=3", "controls=[randomised, sobel]"))
    named = [NetworkKey(model, name) for name in ("fold3-1", "fold3-2") for model in ("trained", "randomised")]
    assert list(networks_of(settings, 3)) == named
    assert all_networks(settings) == tuple(f"fold{fold}-{name}" for fold in (1, 2, 3) for name in (1, 2))
    assert all_networks(load(None, ("classifier.networks=3",))) == ("1", "2", "3")


def test_networks_have_seeds_of_their_own_and_the_first_one_that_of_before():
    settings, other = load(None, ()), load(None, ("classifier.seed=9",))
    assert recipe_of(settings, 20.0).seed == recipe_of(settings, 20.0, "1").seed == derive(0, "classifier", 20.0)
    assert recipe_of(settings, 20.0, "fold1-1").seed == derive(0, "classifier", 20.0, "fold1-1")
    assert recipe_of(other, 20.0, "2").seed == derive(9, "classifier", 20.0, "2")


MULTIVERSE = "multiverse.enabled=true"


def test_baselines_are_crossed_of_the_methods_whose_name_does_not_say_theirs():
    methods = ("saliency.methods=[deeplift@mean, integrated_gradients]", "multiverse.methods=[gradient]")
    asked = (*methods, "saliency.baseline=blur", "multiverse.baselines=[white, blur, stain]")
    assert plan_of(load(None, asked)).methods == ("deeplift@mean", "integrated_gradients@blur")
    assert multiverse_of(load(None, asked)) is None
    settings = load(None, (*asked, MULTIVERSE))
    assert plan_of(settings).methods == (
        *("deeplift@mean", "integrated_gradients@blur", "integrated_gradients", "integrated_gradients@stain"),
        "gradient",
    )
    assert multiverse_of(settings).baselines == {
        "integrated_gradients@blur": ("integrated_gradients", "blur"),
        "integrated_gradients": ("integrated_gradients", "white"),
        "integrated_gradients@stain": ("integrated_gradients", "stain"),
    }
    # a multiverse as it is without being asked crosses none
    assert multiverse_of(load(None, (MULTIVERSE, "saliency.methods=[deeplift]"))).baselines == {}


@pytest.mark.parametrize("cells", CELLS)
def test_a_study_has_its_own_cells_and_crosses_the_others(cells):
    settings = load(None, (f"compartments.cells={cells}", MULTIVERSE))
    assert measurement_parameters(settings)["compartments"].cells == cells
    names = [variant.name for variant in multiverse_of(settings).variants]
    assert names[0] == "usual"
    assert [name for name in names if name.startswith("cells-")] == [f"cells-{one}" for one in CELLS if one != cells]
    assert cells_of(settings) == (cells, *(one for one in CELLS if one != cells))


@pytest.mark.parametrize(("nuclei", "moved"), [("builtin", 2), ("classical", 0), ("torchscript:nuclei.pt", 0)])
def test_a_threshold_is_moved_where_the_finder_has_one(nuclei, moved):
    variants = multiverse_of(load(None, (f"compartments.nuclei={nuclei}", MULTIVERSE))).variants
    assert sum(variant.probability != 0 for variant in variants) == moved
    assert len(variants) == 12 + moved


def test_the_network_is_loaded_where_a_study_asks_it(monkeypatch):
    asked = []
    monkeypatch.setattr(parameters, "finder_for", lambda cells, device: asked.append((tuple(cells), device)) or "made")
    assert tissue_of(load(None, ("compartments.cells=distance",)), CPU) == "made"
    assert tissue_of(load(None, ("compartments.cells=rule", MULTIVERSE)), CPU) == "made"
    some = ("compartments.cells=rule", MULTIVERSE, "multiverse.segmentations=[cells-distance]")
    assert tissue_of(load(None, some), CPU) == "made"
    assert asked == [(("distance",), "cpu"), (("rule", "network", "distance"), "cpu"), (("rule", "distance"), "cpu")]


def test_the_phantoms_own_map_needs_no_cells():
    assert cells_of(load(None, ("compartments.nuclei=truth", "compartments.cells=network"))) == ()
