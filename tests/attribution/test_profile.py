from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.attribution import (
    PROFILE_KEY,
    DistanceBins,
    checked_saliency,
    combine,
    over_networks,
    profiles,
    signed_distance_um,
)
from saliency_stats.errors import AttributionError

seeds = st.integers(0, 2**32 - 1)


def profile(saliency, distance, bins=None):
    """The profile of one map of one patch."""
    found = profiles([checked_saliency(saliency[None])], [distance], bins)
    assert (found[["patch", "map"]] == 0).all(axis=None)
    return found.drop(columns=["patch", "map"])


def blobs(rng, size=24):
    mask = np.zeros((size, size), bool)
    for y, x in rng.integers(2, size - 4, (3, 2)):
        mask[y : y + 3, x : x + 4] = True
    return mask


def test_the_border_lies_between_pixels():
    mask = np.zeros((1, 9), bool)
    mask[0, 3:6] = True
    np.testing.assert_array_equal(
        signed_distance_um(mask, 0.5)[0], [1.25, 0.75, 0.25, -0.25, -0.75, -0.25, 0.25, 0.75, 1.25]
    )


@settings(deadline=None, max_examples=25)
@given(seeds, st.sampled_from([0.25, 0.5, 2.0]))
def test_distance_against_all_pairs(seed, mpp):
    mask = blobs(np.random.default_rng(seed))
    points = np.argwhere(np.ones_like(mask))
    between = np.linalg.norm(points[:, None] - points[None], axis=-1)
    other = mask.ravel()[:, None] != mask.ravel()[None]
    nearest = np.where(other, between, np.inf).min(axis=1) - 0.5
    expected = np.where(mask.ravel(), -nearest, nearest) * mpp
    np.testing.assert_allclose(signed_distance_um(mask, mpp).ravel(), expected, rtol=1e-12)


@settings(deadline=None)
@given(seeds)
def test_swapping_inside_and_outside_changes_the_sign(seed):
    mask = blobs(np.random.default_rng(seed))
    np.testing.assert_array_equal(signed_distance_um(~mask, 0.5), -signed_distance_um(mask, 0.5))


def test_distance_without_a_border():
    assert (signed_distance_um(np.zeros((4, 4), bool), 0.5) == np.inf).all()
    assert (signed_distance_um(np.ones((4, 4), bool), 0.5) == -np.inf).all()


@settings(deadline=None)
@given(seeds, st.floats(1e-200, 1e200))
def test_a_constant_map_has_ratio_one_in_every_bin(seed, value):
    distance = signed_distance_um(blobs(np.random.default_rng(seed)), 0.5)
    found = profile(np.full(distance.shape, value), distance)
    np.testing.assert_allclose(found["ratio_sum"], found["n_pixels"], rtol=1e-12)
    assert found["n_pixels"].sum() == distance.size  # nothing lies beyond -6 to 20 µm here


@settings(deadline=None, max_examples=25)
@given(seeds, st.floats(1e-6, 1e6))
def test_turning_and_scaling_change_nothing(seed, factor):
    rng = np.random.default_rng(seed)
    mask, saliency = blobs(rng), rng.exponential(size=(24, 24))
    plain = profile(saliency, signed_distance_um(mask, 0.5))
    for turn in (np.fliplr, np.flipud, np.rot90, np.transpose):
        turned = profile(turn(saliency) * factor, signed_distance_um(turn(mask), 0.5))
        pd.testing.assert_frame_equal(plain, turned, rtol=1e-9)


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_renumbering_nuclei_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    instances = blobs(rng) * rng.integers(1, 9, (24, 24))
    other = np.concatenate([[0], rng.permutation(9) + 1])[instances]
    saliency = rng.exponential(size=(24, 24))
    pd.testing.assert_frame_equal(
        profile(saliency, signed_distance_um(instances > 0, 0.5)),
        profile(saliency, signed_distance_um(other > 0, 0.5)),
    )


def test_bins_by_hand():
    distance = np.array([[-1.0, -0.5, 0.0], [0.99, 1.0, 2.0]])
    saliency = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]])  # mean 4
    found = profile(saliency, distance, DistanceBins(-1, 2, 1))
    assert list(found) == ["distance_um", "ratio_sum", "n_pixels"]
    np.testing.assert_array_equal(found["distance_um"], [-0.5, 0.5, 1.5])
    np.testing.assert_allclose(found["ratio_sum"], [3 / 4, 7 / 4, 5 / 4])  # the last edge is open
    np.testing.assert_array_equal(found["n_pixels"], [2, 2, 1])


@pytest.mark.parametrize("distance", [np.inf, -np.inf])
def test_patches_without_nuclei_contribute_nothing(distance):
    found = profile(np.ones((5, 5)), np.full((5, 5), distance))
    assert found["n_pixels"].sum() == 0
    assert found["ratio_sum"].sum() == 0


def test_maps_of_zeros_contribute_nothing():
    assert profile(np.zeros((5, 5)), np.zeros((5, 5)))["n_pixels"].sum() == 0


def test_profiles_are_those_of_every_map_alone():
    rng = np.random.default_rng(1)
    maps = [rng.exponential(size=(2, 12, 12)).astype(np.float32) for _ in range(3)]
    maps[1][0] = 0
    distances = rng.uniform(-7, 21, (2, 12, 12))
    distances[1, 0] = np.inf
    found = profiles([checked_saliency(one) for one in maps], iter(distances))
    assert found["n_pixels"].sum() > 0
    for patch in range(2):
        for which in range(3):
            rows = found[(found["patch"] == patch) & (found["map"] == which)]
            alone = profile(maps[which][patch], distances[patch])
            pd.testing.assert_frame_equal(rows[list(alone)].reset_index(drop=True), alone, check_exact=True)


def test_default_bins():
    bins = DistanceBins()
    assert len(bins.centres_um) == len(bins.edges_um) - 1 == 26
    assert (bins.edges_um[0], bins.edges_um[-1]) == (-6, 20)
    np.testing.assert_array_equal(DistanceBins(-1, 1, 0.5).edges_um, [-1, -0.5, 0, 0.5, 1])


@pytest.mark.parametrize("bins", [(1, 1, 1), (0, np.inf, 1), (0, 1, 0.3), (0, 1, 0), (0, 1, -1), (0, 1, 2)])
def test_impossible_bins_are_refused(bins):
    with pytest.raises(AttributionError):
        DistanceBins(*bins)


def rows(rng, n_patches=12):
    """Profiles of patches of three slides, one of them unnamed."""
    parts = []
    for i in range(n_patches):
        part = profile(rng.exponential(size=(24, 24)), signed_distance_um(blobs(rng), 0.5))
        slide = ["s1", "s2", np.nan][i % 3]
        parts.append(
            part.assign(
                patch_id=f"p{i}",
                slide_id=slide,
                label=["benign", "malignant"][i % 2],
                magnification=20.0,
                model="trained",
                method="gradient",
                reduction="l2",
            )
        )
    return pd.concat(parts, ignore_index=True)


@settings(deadline=None, max_examples=8)
@given(seeds)
def test_the_order_of_rows_changes_no_bit(seed):
    rng = np.random.default_rng(seed)
    table = rows(rng)
    shuffled = table.sample(frac=1, random_state=np.random.RandomState(seed % 2**31))
    pd.testing.assert_frame_equal(combine(table), combine(shuffled), check_exact=True)


def test_every_pixel_counts_once():
    table = rows(np.random.default_rng(0))
    found = combine(table)
    assert list(found) == [*PROFILE_KEY, "distance_um", "mean_saliency_ratio", "n_pixels", "n_patches"]
    assert found["n_pixels"].sum() == table["n_pixels"].sum()
    assert found["slide_id"].isna().sum() == 2 * 26  # patches without a slide are kept, for both labels
    chosen = table[(table["slide_id"] == "s1") & (table["label"] == "benign") & (table["distance_um"] == 1.5)]
    row = found[(found["slide_id"] == "s1") & (found["label"] == "benign") & (found["distance_um"] == 1.5)].iloc[0]
    assert row["mean_saliency_ratio"] == pytest.approx(chosen["ratio_sum"].sum() / chosen["n_pixels"].sum())
    assert row["n_patches"] == len(chosen) == 2


def test_empty_bins_are_nan():
    found = combine(rows(np.random.default_rng(0)))
    empty = found["n_pixels"] == 0
    assert empty.any()
    np.testing.assert_array_equal(found["mean_saliency_ratio"].isna(), empty)
    np.testing.assert_array_equal(found["n_patches"] == 0, empty)


def test_a_constant_map_combines_to_one():
    table = rows(np.random.default_rng(0)).assign(ratio_sum=lambda t: t["n_pixels"] * 1.0)
    assert (combine(table)["mean_saliency_ratio"].dropna() == 1).all()


def test_bad_input_is_refused():
    with pytest.raises(AttributionError, match="reduction"):
        combine(rows(np.random.default_rng(0)).drop(columns="reduction"))
    with pytest.raises(AttributionError, match=r"Patch 0 .*\(5, 5\).*\(4, 4\)"):
        profile(np.ones((4, 4)), np.ones((5, 5)))
    with pytest.raises(AttributionError, match="bool"):
        signed_distance_um(np.ones((4, 4)), 0.5)
    with pytest.raises(AttributionError, match="mpp"):
        signed_distance_um(np.ones((4, 4), bool), 0.0)


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ((1, 1, 1), "finite low_um < high_um, found 1 and 1"),
        ((2, 1, 1), "finite low_um < high_um"),
        ((-np.inf, 1, 1), "finite low_um < high_um"),
        ((0, 1, np.nan), "finite low_um < high_um"),
        ((0, 1, 0), "width_um must be positive and divide the range 0 to 1, found 0"),
        ((0, 1, 1.5), "width_um must be positive and divide"),
        ((0, 1, 0.3), "width_um must be positive and divide"),
        ((0, 1000, 1.00001), "width_um must be positive and divide"),
    ],
)
def test_the_message_says_what_is_wrong_with_bins(bins, message):
    with pytest.raises(AttributionError, match=message):
        DistanceBins(*bins)


def test_one_bin_is_enough_and_rounding_is_no_fault():
    np.testing.assert_array_equal(DistanceBins(0, 1, 1).centres_um, [0.5])
    np.testing.assert_allclose(DistanceBins(-0.1, 0.2, 0.1).centres_um, [-0.05, 0.05, 0.15], atol=1e-12)


@pytest.mark.parametrize("mpp", [0.0, -0.5, np.inf, np.nan])
def test_a_pixel_has_a_size(mpp):
    with pytest.raises(AttributionError, match="mpp must be a positive number"):
        signed_distance_um(np.ones((4, 4), bool), mpp)
    with pytest.raises(AttributionError, match=r"shape \(2, 4, 4\) and type bool, expected \(H, W\) bool"):
        signed_distance_um(np.ones((2, 4, 4), bool), 0.5)


def test_bins_cannot_be_changed_after_they_were_checked():
    with pytest.raises(FrozenInstanceError):
        DistanceBins().width_um = 0.0


def test_the_mean_over_networks_counts_a_pixel_once_and_leaves_out_maps_that_are_zero():
    keys = {"slide_id": "s", "label": "benign", "magnification": 20.0, "method": "gradient", "reduction": "l2"}
    rows = pd.DataFrame(
        [
            *(("p", network, "trained", 0.5, ratio, 4) for network, ratio in (("1", 2.0), ("2", 5.0))),
            # the second network's map of this patch is zero
            *(("q", network, "trained", 0.5, ratio, n) for network, ratio, n in (("1", 3.0, 6), ("2", 0.0, 0))),
            *(("p", network, "trained", 1.5, 0.0, 0) for network in ("1", "2")),
            ("p", "1", "randomised", 0.5, 7.0, 4),
        ],
        columns=["patch_id", "network", "model", "distance_um", "ratio_sum", "n_pixels"],
    ).assign(**keys)
    found = over_networks(rows)
    assert found[["patch_id", "model", "distance_um", "ratio_sum", "n_pixels"]].to_numpy().tolist() == [
        ["p", "trained", 0.5, 3.5, 4],
        ["q", "trained", 0.5, 3.0, 6],
        ["p", "trained", 1.5, 0.0, 0],
        ["p", "randomised", 0.5, 7.0, 4],
    ]
    combined = combine(found).set_index(["model", "distance_um"])
    assert combined.loc[("trained", 0.5), ["n_pixels", "n_patches"]].tolist() == [10, 2]
    assert combined.loc[("trained", 0.5), "mean_saliency_ratio"] == 6.5 / 10
    # of one network nothing changes
    alone = rows[rows["network"] == "1"]
    pd.testing.assert_frame_equal(combine(over_networks(alone)), combine(alone))
