"""Which patches have pictures, of which maps, and in what order they are kept."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saliency_stats.attribution import checked_saliency
from saliency_stats.cohort.patch import Patch
from saliency_stats.imaging.thumbnail import code_thumbnail, image_thumbnail, map_thumbnail
from saliency_stats.measurement import thumbnails
from saliency_stats.measurement.examination import Examination
from saliency_stats.measurement.thumbnails import MOST_PATCHES, Thumbnails, write_thumbnails
from saliency_stats.saliency.maps import MapKey, MapPlan
from saliency_stats.saliency.naming import NetworkKey


def measured(n, magnifications=(20.0,)):
    rows = [(f"p{k}", magnification) for magnification in magnifications for k in range(n)]
    return pd.DataFrame(rows, columns=["patch_id", "magnification"]).set_axis(range(100, 100 + len(rows)))


def test_all_patches_are_drawn_where_there_are_few():
    table = measured(7)
    drawn = Thumbnails.drawn(table, seed=3)
    assert set(drawn.rank) == set(table.index)
    assert sorted(drawn.rank.values()) == list(range(7))
    assert drawn.side_px == 256


def test_more_are_drawn_at_random_and_the_order_of_rows_does_not_matter(monkeypatch):
    monkeypatch.setattr(thumbnails, "MOST_PATCHES", 5)
    table = measured(9, (10.0, 20.0))
    drawn = Thumbnails.drawn(table, seed=3)
    # five rows hold two patches of two magnifications, and no half of a third
    assert sorted(drawn.rank.values()) == [0, 0, 1, 1]
    assert table.loc[list(drawn.rank), "patch_id"].value_counts().tolist() == [2, 2]
    shuffled = table.sample(frac=1, random_state=1)
    assert Thumbnails.drawn(shuffled, seed=3).rank == drawn.rank
    first = [table.loc[next(iter(Thumbnails.drawn(table, seed).rank)), "patch_id"] for seed in range(30)]
    assert len(set(first)) > 4
    assert drawn.side_px == int(128 * (5 / 4) ** 0.5)


@pytest.mark.parametrize(("n", "side"), [(500, 256), (501, 255), (2_000, 128), (2_001, 128)])
def test_fewer_patches_have_larger_pictures(n, side):
    drawn = Thumbnails.drawn(measured(n), seed=0)
    assert len(drawn.rank) == min(n, MOST_PATCHES)
    assert drawn.side_px == side


PLAN = MapPlan(methods=("gradient",), reductions=("l2",), controls=("sobel", "cascading", "randomised"))
OWN = MapKey("trained", "2", "gradient", "l2")
BESIDE = {
    "randomised": MapKey("randomised", "2", "gradient", "l2"),
    "another network's": MapKey("randomised", "3", "gradient", "l2"),
    "another method's": MapKey("randomised", "2", "gradcam", "none"),
    "cascading_1": MapKey("cascading_1", "2", "gradient", "l2"),
    "sobel": MapKey("sobel", "", "sobel", "none"),
}


def examined(*keys):
    rng = np.random.default_rng(0)
    patches = [Patch(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)) for _ in range(2)]
    codes = [np.eye(4, dtype=np.float32)[rng.integers(0, 4, (8, 8))].transpose(2, 0, 1) for _ in range(2)]
    return Examination(
        table=pd.DataFrame({"patch_id": ["a", "b"], "magnification": 20.0}, index=[4, 9]),
        patches=patches,
        logits={NetworkKey("trained", "2"): np.zeros((2, 2)), NetworkKey("trained", "3"): np.zeros((2, 2))},
        maps={key: checked_saliency(rng.random((2, 8, 8), np.float32), ["a", "b"]) for key in keys},
        segmentations=[SimpleNamespace(memberships=memberships) for memberships in codes],
    )


def test_a_row_holds_pictures_of_the_first_network_and_a_control():
    batch = examined(OWN, MapKey("trained", "3", "gradient", "l2"), *BESIDE.values())
    (row,) = Thumbnails({9: 5}, 8).rows(batch, PLAN).to_dict("records")
    assert row == {
        "patch_id": "b",
        "magnification": 20.0,
        "rank": 5,
        "network": "2",
        "control": "randomised",
        "image": image_thumbnail(batch.patches[1].image, 8),
        "compartments": code_thumbnail(
            np.array([1, 2, 3, 0], np.uint8)[batch.segmentations[1].memberships.argmax(axis=0)], 8
        ),
        "saliency": map_thumbnail(batch.maps[OWN].raw[1], 8),
        "control_saliency": map_thumbnail(batch.maps[BESIDE["randomised"]].raw[1], 8),
    }


@pytest.mark.parametrize(
    ("there", "control"),
    [
        (("another network's", "another method's", "cascading_1", "sobel"), "cascading_1"),
        (("another network's", "sobel"), "sobel"),
        (("another method's",), ""),
        ((), ""),
    ],
)
def test_the_control_is_of_the_same_network_and_method_or_of_the_image(there, control):
    batch = examined(OWN, *(BESIDE[name] for name in there))
    (row,) = Thumbnails({4: 0}, 8).rows(batch, PLAN).to_dict("records")
    assert row["control"] == control
    assert (row["control_saliency"] == b"") == (control == "")


def test_they_are_kept_in_the_order_of_drawing(tmp_path):
    parts = [
        pd.DataFrame({"patch_id": ["a", "b"], "magnification": 20.0, "rank": [1, 0]}),
        pd.DataFrame(),
        pd.DataFrame({"patch_id": ["a", "b"], "magnification": 10.0, "rank": [1, 0]}),
    ]
    write_thumbnails(tmp_path / "t.parquet", parts)
    found = pd.read_parquet(tmp_path / "t.parquet")
    assert list(zip(found["patch_id"], found["magnification"], strict=True)) == [
        ("b", 10.0),
        ("b", 20.0),
        ("a", 10.0),
        ("a", 20.0),
    ]
