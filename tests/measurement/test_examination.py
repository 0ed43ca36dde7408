"""What is known of a batch, by the names that tables have for it."""

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest

from saliency_stats.attribution import checked_saliency
from saliency_stats.compartments import Segmentation
from saliency_stats.errors import AttributionError
from saliency_stats.measurement.examination import Examination
from saliency_stats.saliency.maps import MapKey, MapPlan
from saliency_stats.saliency.naming import NetworkKey

IDENTITY = ["patch_id", "slide_id", "patient_id", "label", "split", "magnification"]
TRAINED, RANDOMISED = NetworkKey("trained", "1"), NetworkKey("randomised", "2")
LOGITS = np.zeros((2, 2))


def division(share):
    members = np.zeros((4, 2, 2), np.float32)
    members[1], members[0] = share, 1 - share
    return Segmentation(np.zeros((2, 2), np.int32), members)


@pytest.fixture
def table():
    rows = {name: [f"{name}-{row}" for row in (7, 3)] for name in IDENTITY}
    return pd.DataFrame(rows | {"mpp": [0.5, 0.5]}, index=[7, 3])


def test_rows_say_whose_they_are_in_the_order_of_the_batch(table):
    found = Examination(table, [], {}).identity
    assert list(found.columns) == IDENTITY
    assert found.index.tolist() == [0, 1]
    assert found["patch_id"].tolist() == ["patch_id-7", "patch_id-3"]


def test_memberships_are_stacked_and_checked_by_the_names_of_the_patches(table):
    found = Examination(table, [], {}, segmentations=[division(0.25), division(1.0)]).memberships
    assert found.area.tolist() == [[0.75, 0.25, 0, 0], [0, 1, 0, 0]]
    broken = division(0.25)
    broken.memberships[2] = 0.5
    with pytest.raises(AttributionError, match="patch_id-3"):
        _ = Examination(table, [], {}, segmentations=[division(0.25), broken]).memberships


def test_the_studys_own_maps_of_every_network(table):
    plan = MapPlan(("gradient", "grad_cam"), ("l1", "l2"), ("randomised", "sobel"))
    keys = plan.keys([TRAINED, RANDOMISED])
    maps = {key: checked_saliency(np.full((2, 2, 2), at, np.float32)) for at, key in enumerate(keys)}
    examined = Examination(table, [], {TRAINED: LOGITS, RANDOMISED: LOGITS}, maps=maps)
    own = examined.own(plan)
    assert list(own) == [TRAINED, RANDOMISED]
    for key, values in own.items():
        assert (values == keys.index(MapKey(*key, "gradient", "l1"))).all()


def test_signed_values_are_summed_over_the_compartments(table):
    key = MapKey(*TRAINED, "gradient_x_input", "l2")
    values = np.array([[[1, -2], [3, -8]], [[1, 1], [1, 1]]], np.float32)
    signed = {key._replace(reduction="sum"): values}
    examined = Examination(table, [], {}, segmentations=[division(0.25), division(1.0)], signed=signed)
    assert examined.attributed(key).tolist() == [-4.5, -1.5, 0, 0, 0, 4, 0, 0]
    other = examined.attributed(key._replace(method="gradient"))
    assert other.shape == (8,)
    assert np.isnan(other).all()


def test_what_is_known_does_not_change(table):
    with pytest.raises(FrozenInstanceError):
        Examination(table, [], {}).maps = {}


def test_where_nothing_is_measured_nothing_is_known(table):
    examined = Examination(table, [], {TRAINED: LOGITS})
    assert examined.targets == {}
    assert (examined.maps, examined.unmixed, examined.views, examined.found, examined.segmentations) == ({}, *[[]] * 4)
