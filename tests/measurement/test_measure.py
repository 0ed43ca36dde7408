"""A unit of work: nothing is computed twice, and what is shared changes no number."""

from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from saliency_stats.attribution import DistanceBins, Maps, Memberships
from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.compartments import CompartmentParameters, estimate_stains, nucleus_finder, segmentation, view
from saliency_stats.compartments.variants import VARIANTS
from saliency_stats.execution.engine import Threads
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.measurement import measure as unit_of_work
from saliency_stats.measurement.batch import Batch
from saliency_stats.measurement.measure import Measurement
from saliency_stats.measurement.multiverse import Multiverse
from saliency_stats.saliency.maps import MapKey, MapPlan
from saliency_stats.study.examples import write_examples

UNIT = Batch("000000", (0, 1, 2), 20.0, measured=True)
PLAN = MapPlan(
    ("gradient", "gradient_x_input"), ("l2", "l1"), ("randomised", "sobel", "haematoxylin", "eosin", "shift")
)
CHOSEN = ("usual", "nuclei+1um", "band1um", "probability-0.1", "cytoplasm3um")
CROSSING = Multiverse(tuple(variant for variant in VARIANTS if variant.name in CHOSEN), 15.0)


def network(seed):
    torch.manual_seed(seed)
    layers = nn.Conv2d(3, 4, 5, padding=2), nn.Softplus(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    return nn.Sequential(*layers).eval().requires_grad_(requires_grad=False)


def measurement(mpp=0.5, *, multiverse=None, finder=None):
    cohort = PhantomCohort(Phantom(size_px=96, mpp=mpp), PhantomCohortSize(slides=3, patches_per_slide=2), seed=5)
    table = cohort.table.assign(stain_group=cohort.table["slide_id"])
    return Measurement(
        cohort=cohort,
        table=table,
        models={20.0: {"trained": network(0), "randomised": network(1)}},
        stains={name: estimate_stains([cohort.read(row).image]) for row, name in enumerate(table["stain_group"])},
        device=torch.device("cpu"),
        plan=PLAN,
        target="correct",
        finder=finder or nucleus_finder("builtin"),
        compartments=CompartmentParameters(),
        min_area=0.02,
        bins=DistanceBins(),
        scores=True,
        multiverse=multiverse,
    )


@pytest.fixture
def counted(monkeypatch):
    """How often each function is called, by its name."""
    calls = Counter()

    def count(module, name):
        function = getattr(module, name)

        def counting(*args, **options):
            calls[name] += 1
            return function(*args, **options)

        monkeypatch.setattr(module, name, counting)

    for module, name in (
        (unit_of_work, "concentrations"),
        (view, "concentrations"),
        (unit_of_work, "view_of"),
        (segmentation, "weighed"),
    ):
        count(module, name)
    return calls


@pytest.mark.parametrize("mpp", [0.5, 1.0])
def test_nuclei_views_stains_and_cells_are_computed_once(counted, mpp):
    usual = nucleus_finder("builtin", probability_offset=-0.1)
    asked = []

    def finder(views):
        asked.extend(views)
        return usual(views)

    tables = measurement(mpp, multiverse=CROSSING, finder=finder)(UNIT)
    assert tables["crossed"]["segmentation"].nunique() == len(CHOSEN)
    assert len(asked) == len(UNIT.rows)
    assert counted["view_of"] == len(UNIT.rows)
    # an enlarged view has stains of its own
    assert counted["concentrations"] == len(UNIT.rows) * (1 if mpp == 0.5 else 2)
    # once for the study and once for each way to have other nuclei
    others = {(variant.probability, variant.grow_um) for variant in CROSSING.variants if variant != VARIANTS[0]}
    assert counted["weighed"] == len(UNIT.rows) * (1 + len(others))


def test_each_map_and_the_memberships_are_looked_at_once(monkeypatch):
    made = Counter()
    for kind in (Maps, Memberships):

        def remembered(self, *args, usual=kind.__init__, **options):
            made[type(self)] += 1
            usual(self, *args, **options)

        monkeypatch.setattr(kind, "__init__", remembered)
    tables = measurement()(UNIT)
    maps = tables["ledger"][["model", "method", "reduction"]].drop_duplicates()
    assert made == {Maps: len(maps), Memberships: 1}
    assert len(maps) == 2 * 2 * 2 + 3 + 1


@pytest.mark.parametrize("mpp", [0.5, 1.0])
def test_a_crossing_changes_no_other_table(mpp):
    plain = measurement(mpp)(UNIT)
    finder = nucleus_finder("builtin", probability_offset=-0.1)
    crossed = measurement(mpp, multiverse=CROSSING, finder=finder)(UNIT)
    assert set(crossed) - set(plain) == {"crossed"}
    assert len(plain["nuclei"]) > 3
    for name, table in plain.items():
        pd.testing.assert_frame_equal(crossed[name], table, check_exact=True)


def test_the_usual_segmentation_has_the_shares_of_the_ledger():
    tables = measurement(multiverse=CROSSING, finder=nucleus_finder("builtin", probability_offset=-0.1))(UNIT)
    key = ["patch_id", *MapKey._fields]
    crossed = tables["crossed"]
    assert crossed.groupby(["segmentation", *MapKey._fields]).ngroups == len(CHOSEN) * 4
    usual = crossed[crossed["segmentation"] == "usual"].set_index(key).sort_index()
    ledger = tables["ledger"]
    for compartment in ("nucleus", "cytoplasm"):
        rows = ledger[ledger["compartment"] == compartment].set_index(key).loc[usual.index]
        np.testing.assert_array_equal(usual[f"area_{compartment}"], rows["area_share"])
        np.testing.assert_array_equal(usual[f"mass_{compartment}"], rows["mass_share"])
    others = crossed[crossed["segmentation"] == "nuclei+1um"].set_index(key).loc[usual.index]
    assert (others["area_nucleus"] > usual["area_nucleus"]).all()


def test_examples_are_shown_under_the_studys_own_map_alone(tmp_path, monkeypatch):
    measured = measurement()
    made = []
    examine = Measurement.examine

    def remembered(self, unit):
        found = examine(self, unit)
        made.append(found.maps)
        return found

    monkeypatch.setattr(Measurement, "examine", remembered)
    chosen = measured.table.iloc[:1].assign(row=0, rank=1, p_true=0.9)
    write_examples(Store(tmp_path), measured, chosen, Progress(show=False), Threads(1))
    (maps,) = made
    assert set(maps) == {MapKey(model, "gradient", "l2") for model in ("trained", "randomised")}
    (whole,) = Threads(1).map(partial(examine, measured), [replace(UNIT, rows=(0,))])
    assert set(whole.maps) == set(PLAN.keys(["trained", "randomised"]))
    for key, one in maps.items():
        np.testing.assert_array_equal(one.raw, whole.maps[key].raw)
