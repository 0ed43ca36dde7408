import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.attribution import checked_memberships, checked_saliency, crossed_shares, ledger, shares
from saliency_stats.errors import AttributionError
from saliency_stats.vocabulary import COMPARTMENTS

seeds = st.integers(0, 2**32 - 1)


def soft(rng, n=3, k=4, h=6, w=7):
    return rng.dirichlet(np.ones(k), (n, h, w)).transpose(0, 3, 1, 2)


def saliency(rng, n=3, h=6, w=7):
    return rng.exponential(size=(n, h, w)) ** 3


def hard(rng, n=3, k=4, h=6, w=7):
    return (rng.integers(0, k, (n, 1, h, w)) == np.arange(k)[:, None, None]).astype(np.float32)


@settings(deadline=None)
@given(seeds, st.floats(-30, 30))
def test_shares_sum_to_one_at_any_scale_and_precision(seed, exponent):
    rng = np.random.default_rng(seed)
    memberships = soft(rng).astype(np.float32)
    found = shares((saliency(rng) * 10.0**exponent).astype(np.float32), memberships)
    np.testing.assert_allclose(found.area.sum(axis=1), 1, atol=1e-9, rtol=0)
    np.testing.assert_allclose(found.mass.sum(axis=1), 1, atol=1e-9, rtol=0)


@settings(deadline=None)
@given(seeds, st.floats(1e-6, 1e6))
def test_scale_changes_nothing(seed, factor):
    rng = np.random.default_rng(seed)
    maps, memberships = saliency(rng), soft(rng)
    np.testing.assert_allclose(shares(maps * factor, memberships).mass, shares(maps, memberships).mass, rtol=1e-12)


@pytest.mark.parametrize("value", [1e-300, 1e-30, 1.0, 1e300])
def test_a_constant_map_gives_density_one(value):
    memberships = soft(np.random.default_rng(0))
    found = shares(np.full((3, 6, 7), value), memberships)
    np.testing.assert_allclose(found.density, 1, rtol=1e-12)
    np.testing.assert_allclose(found.mass, found.area, rtol=1e-12)


@settings(deadline=None)
@given(seeds)
def test_turning_map_and_memberships_together_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    maps, memberships = saliency(rng), soft(rng)
    plain = shares(maps, memberships)
    for turn in (
        lambda a: np.flip(a, -1),
        lambda a: np.flip(a, -2),
        lambda a: np.rot90(a, axes=(-2, -1)),
        lambda a: np.swapaxes(a, -2, -1),
    ):
        for one, other in zip(plain, shares(turn(maps), turn(memberships)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


@settings(deadline=None)
@given(seeds)
def test_patches_do_not_touch_each_other(seed):
    rng = np.random.default_rng(seed)
    maps, memberships = saliency(rng), soft(rng)
    together = shares(maps, memberships)
    alone = [shares(maps[i : i + 1], memberships[i : i + 1]) for i in range(3)]
    np.testing.assert_array_equal(together.mass, np.concatenate([one.mass for one in alone]))


@settings(deadline=None)
@given(seeds)
def test_hard_masks_give_the_share_of_the_sum_inside(seed):
    rng = np.random.default_rng(seed)
    maps, memberships = saliency(rng), hard(rng)
    found = shares(maps, memberships)
    for n in range(3):
        for k in range(4):
            inside = memberships[n, k] == 1
            assert found.mass[n, k] == pytest.approx(maps[n][inside].sum() / maps[n].sum(), abs=1e-12)
            assert found.area[n, k] == pytest.approx(inside.mean(), abs=1e-12)


def test_one_patch_by_hand():
    maps = np.array([[[1.0, 3.0], [0.0, 4.0]]])
    memberships = np.array([[[[1, 0.5], [0, 0]], [[0, 0.5], [1, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 1]]]])
    table = ledger(maps, memberships)
    assert list(table) == ["patch", "compartment", "area_share", "mass_share", "density_ratio", "status"]
    assert list(table["patch"]) == [0] * 4
    assert list(table["compartment"]) == list(COMPARTMENTS)
    np.testing.assert_allclose(table["area_share"], [0.375, 0.375, 0, 0.25])
    np.testing.assert_allclose(table["mass_share"], [2.5 / 8, 1.5 / 8, 0, 0.5])
    np.testing.assert_allclose(table["density_ratio"], [2.5 / 3, 0.5, np.nan, 2])
    assert list(table["status"]) == ["measured", "measured", "missing: area share 0 below 0.02", "measured"]


def test_small_compartments_are_missing_not_zero():
    memberships = np.zeros((1, 4, 10, 10))
    memberships[0, 2] = 1
    memberships[0, :, 0, 0] = [1, 0, 0, 0]
    memberships[0, :, 0, 1:3] = np.array([0, 1, 0, 0])[:, None]
    table = ledger(np.ones((1, 10, 10)), memberships).set_index("compartment")
    assert table.loc["nucleus", "status"] == "missing: area share 0.01 below 0.02"
    assert np.isnan(table.loc["nucleus", "density_ratio"])
    assert table.loc["nucleus", "mass_share"] == pytest.approx(0.01)  # the shares still sum to 1
    assert table.loc["cytoplasm", "status"] == "measured"  # at the limit
    assert table.loc["cytoplasm", "density_ratio"] == pytest.approx(1)
    all_kept = ledger(np.ones((1, 10, 10)), memberships, min_area=0).set_index("compartment")
    assert all_kept.loc["nucleus", "density_ratio"] == pytest.approx(1)
    assert all_kept.loc["background", "status"].startswith("missing")


def test_a_map_of_zeros_says_so():
    rng = np.random.default_rng(0)
    maps = saliency(rng)
    maps[1] = 0
    table = ledger(maps, soft(rng), patch_ids=["a", "b", "c"])
    silent = table[table["patch"] == "b"]
    assert silent["mass_share"].isna().all()
    assert silent["density_ratio"].isna().all()
    assert silent["status"].eq("no saliency: the map is zero everywhere").all()
    assert silent["area_share"].sum() == pytest.approx(1)
    assert table.loc[table["patch"] != "b", "status"].eq("measured").all()


def test_names_of_patches_and_compartments():
    rng = np.random.default_rng(0)
    table = ledger(saliency(rng), soft(rng, k=2), patch_ids=pd.Series(["x", "y", "z"]), compartments=("in", "out"))
    assert list(table["patch"]) == ["x", "x", "y", "y", "z", "z"]
    assert list(table["compartment"]) == ["in", "out"] * 3


@pytest.mark.parametrize(("bad", "message"), [(np.nan, "NaN"), (np.inf, "NaN or inf"), (-1e-9, "negative")])
def test_impossible_saliency_names_the_patch(bad, message):
    rng = np.random.default_rng(0)
    maps, memberships = saliency(rng), soft(rng)
    maps[1, 2, 3] = bad
    with pytest.raises(AttributionError, match=f"patch 'second' has 1 {message}"):
        ledger(maps, memberships, patch_ids=["first", "second", "third"])


@pytest.mark.parametrize("change", [1e-4, -1e-4, np.nan])
def test_memberships_that_do_not_sum_to_one_are_refused(change):
    rng = np.random.default_rng(0)
    maps, memberships = saliency(rng), soft(rng)
    memberships[2, 0, 4, 5] += change
    with pytest.raises(AttributionError, match=r"patch 2 .* pixel \(4, 5\)"):
        shares(maps, memberships)


def test_negative_memberships_are_refused():
    memberships = np.zeros((1, 4, 2, 2))
    memberships[:, 0] = 1.5
    memberships[:, 1] = -0.5
    with pytest.raises(AttributionError, match="values >= 0"):
        shares(np.ones((1, 2, 2)), memberships)


def test_shapes_are_named():
    rng = np.random.default_rng(0)
    with pytest.raises(AttributionError, match=r"\(3, 4, 6, 7\).*\(3, 6, 8\)"):
        ledger(saliency(rng, w=8), soft(rng))
    with pytest.raises(AttributionError, match=r"\(6, 7\)"):
        ledger(saliency(rng)[0], soft(rng))
    with pytest.raises(AttributionError, match=r"\(0, 6, 7\)"):
        ledger(saliency(rng)[:0], soft(rng)[:0])
    with pytest.raises(AttributionError, match="2 patch ids for 3"):
        ledger(saliency(rng), soft(rng), patch_ids=["a", "b"])
    with pytest.raises(AttributionError, match="4 names"):
        ledger(saliency(rng), soft(rng, k=3))
    with pytest.raises(AttributionError, match="min_area"):
        ledger(saliency(rng), soft(rng), min_area=1.0)


@settings(deadline=None, max_examples=20)
@given(seeds, st.sampled_from([7, 101]))
def test_crossed_shares_are_those_of_every_map_with_every_division(seed, side):
    rng = np.random.default_rng(seed)
    maps = [checked_saliency(saliency(rng, h=side, w=side).astype(np.float32)) for _ in range(3)]
    maps[1].raw[0] = 0
    divisions = [soft(rng, h=side, w=side).astype(np.float32) for _ in range(2)]
    by_patch = (checked_memberships(np.stack([one[patch] for one in divisions])) for patch in range(3))
    found = crossed_shares(maps, by_patch, ("cytoplasm", "nucleus"))
    assert found.area.shape == (3, 2, 2)
    assert found.mass.shape == (3, 2, 3, 2)
    for way, members in enumerate(divisions):
        for which, one in enumerate(maps):
            area, mass, _ = shares(one, members)
            # to the last bit: the usual segmentation stands in the ledger too
            np.testing.assert_array_equal(found.area[:, way], area[:, [1, 0]])
            np.testing.assert_array_equal(found.mass[:, way, which], mass[:, [1, 0]])


def test_a_compartment_of_no_area_is_missing_whatever_the_limit():
    memberships = np.zeros((1, 4, 2, 5))
    memberships[0, 0] = 1
    table = ledger(np.ones((1, 2, 5)), memberships, min_area=0)
    assert table["status"].tolist() == ["measured", *["missing: area share 0 below 0"] * 3]
    with pytest.raises(AttributionError, match=r"must lie in \[0, 1\), found -0.1"):
        ledger(np.ones((1, 2, 5)), memberships, min_area=-0.1)
