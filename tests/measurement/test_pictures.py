"""Which maps are matched and shifted, on which pictures; rows say whose they are."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.attribution import checked_saliency, matched, shift_table
from saliency_stats.compartments import Segmentation
from saliency_stats.execution.schema import TABLES
from saliency_stats.measurement.examination import Examination
from saliency_stats.measurement.pictures import picture_tables
from saliency_stats.saliency.maps import MapKey, MapPlan
from saliency_stats.saliency.naming import NetworkKey

IDENTITY = ["patch_id", "slide_id", "patient_id", "label", "split", "magnification"]
WHOSE = [*IDENTITY, *MapKey._fields]
PLAN = MapPlan(("gradient", "grad_cam"), ("l1", "l2"), ("randomised", "eosin", "shift", "sobel"))
NETWORKS = [NetworkKey(model, network) for network in "12" for model in ("trained", "randomised")]
#: The study's own map of every network, the moved one, and those of the image: in the order of the maps.
NAMES = [*NETWORKS, ("eosin", ""), ("sobel", ""), ("shift", "1"), ("shift", "2")]


@pytest.fixture
def examined():
    rng = np.random.default_rng(0)
    members = rng.dirichlet((1, 6, 6, 6), (2, 24, 24)).transpose(0, 3, 1, 2).astype(np.float32)
    table = pd.DataFrame({name: [f"{name}-{row}" for row in (7, 3)] for name in IDENTITY}, index=[7, 3])
    keys = PLAN.keys(NETWORKS)
    maps = {key: checked_saliency(rng.exponential(size=(2, 24, 24)).astype(np.float32)) for key in keys}
    logits = dict.fromkeys(NETWORKS, np.zeros((2, 2)))
    found = [Segmentation(np.zeros((24, 24), np.int32), one) for one in members]
    return Examination(table, [], logits, maps=maps, segmentations=found)


def own(examined):
    keys = [key for key in examined.maps if key.method != "grad_cam" and key.reduction != "l2"]
    assert [(key.model, key.network) for key in keys] == NAMES
    return keys


def test_every_map_that_is_judged_is_shifted(examined):
    found = picture_tables(examined, PLAN, 0.0)["shift"]
    assert list(found.columns[: len(WHOSE)]) == WHOSE
    assert set(TABLES["shift"].required) == set(found.columns)
    keys = own(examined)
    expected = shift_table([examined.maps[key] for key in keys], examined.memberships)
    pd.testing.assert_frame_equal(found[list(expected.columns[2:])], expected.drop(columns=["patch", "map"]))
    for name in IDENTITY:
        assert found[name].tolist() == [f"{name}-{row}" for row in (7, 3) for _ in keys]
    assert [MapKey(*row) for row in found[list(MapKey._fields)].itertuples(index=False)] == keys * 2


def test_every_map_that_is_judged_is_matched_on_every_picture(examined):
    found = picture_tables(examined, PLAN, 0.0)["matched"]
    assert list(found.columns[: len(WHOSE) + 1]) == [*WHOSE, "picture"]
    assert set(TABLES["matched"].required) == set(found.columns)
    keys = own(examined)
    pictures = [key for key in keys if key.model in {"eosin", "sobel"}]
    expected = matched(
        [examined.maps[key] for key in keys], [examined.maps[key] for key in pictures], examined.memberships
    )
    values = list(expected.columns[3:])
    pd.testing.assert_frame_equal(found[values], expected[values])
    each = [(row, key, name) for row in (7, 3) for key in keys for name in ("eosin", "sobel")]
    assert found["patch_id"].tolist() == [f"patch_id-{row}" for row, _, _ in each]
    assert [MapKey(*row) for row in found[list(MapKey._fields)].itertuples(index=False)] == [key for _, key, _ in each]
    assert found["picture"].tolist() == [name for _, _, name in each]


def test_without_maps_of_the_image_nothing_is_matched(examined):
    plan = MapPlan(PLAN.methods, PLAN.reductions, ("randomised",))
    maps = {key: examined.maps[key] for key in plan.keys(NETWORKS)}
    tables = picture_tables(
        Examination(examined.table, [], examined.logits, maps=maps, segmentations=examined.segmentations), plan, 0.0
    )
    assert list(tables) == ["shift"]
    assert tables["shift"]["model"].tolist() == ["trained", "randomised"] * 4


def test_small_compartments_are_missing_from_both(examined):
    area = examined.memberships.area[:, 0]
    for name, table in picture_tables(examined, PLAN, float(area.mean())).items():
        missing = table["status"].str.contains("of nucleus below").groupby(table["patch_id"], sort=False).all()
        assert missing.tolist() == (area < area.mean()).tolist(), name
        assert missing.nunique() == 2
