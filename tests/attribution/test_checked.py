"""What was looked at is not looked at again, and gives the same numbers as if it had been."""

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest

from saliency_stats.attribution import (
    Maps,
    Memberships,
    checked_memberships,
    checked_saliency,
    ledger,
    relevance,
    shares,
)
from saliency_stats.errors import AttributionError

IDS = ["a", "b", "c"]


def raw():
    rng = np.random.default_rng(3)
    maps = rng.exponential(size=(3, 6, 7)).astype(np.float32)
    return maps, rng.dirichlet(np.ones(4), (3, 6, 7)).transpose(0, 3, 1, 2).astype(np.float32)


@pytest.mark.parametrize("function", [ledger, relevance])
def test_checked_values_give_the_same_table(function):
    maps, memberships = raw()
    expected = function(maps, memberships, patch_ids=IDS)
    found = function(checked_saliency(maps, IDS), checked_memberships(memberships))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    renamed = function(checked_saliency(maps), memberships, patch_ids=IDS)
    pd.testing.assert_frame_equal(renamed, expected, check_exact=True)


def test_what_was_checked_is_returned_as_it_is_and_keeps_its_type():
    maps, memberships = raw()
    checked, members = checked_saliency(maps, IDS), checked_memberships(memberships)
    assert checked_saliency(checked) is checked
    assert checked.names == tuple(IDS)
    assert checked.raw is maps
    assert checked.exact.dtype == np.float64
    assert checked_memberships(members) is members
    assert checked_saliency(maps.astype(np.float16)).raw.dtype == np.float64
    np.testing.assert_allclose(members.weights.sum(axis=1), 1, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(members.area, members.weights.mean(axis=(2, 3)))


def test_nothing_is_looked_at_twice():
    maps, memberships = raw()
    impossible = Maps(-maps, tuple(IDS))
    for function in (shares, ledger, relevance):
        function(impossible, Memberships(memberships / 2.0))
        with pytest.raises(AttributionError, match="negative"):
            function(-maps, memberships)
        with pytest.raises(AttributionError, match="sum to 1"):
            function(maps, memberships / 2)


def test_checked_values_of_other_shapes_are_refused():
    maps, memberships = raw()
    members = checked_memberships(memberships)
    with pytest.raises(AttributionError, match=r"\(3, 4, 6, 7\).*\(3, 6, 6\)"):
        shares(checked_saliency(maps[:, :, :6]), members)
    with pytest.raises(AttributionError, match=r"\(3, 4, 6, 7\).*\(2, 6, 7\)"):
        shares(maps[:2], members)
    with pytest.raises(AttributionError, match="2 patch ids for 3"):
        checked_saliency(checked_saliency(maps), ["a", "b"])
    with pytest.raises(AttributionError, match=r"\(N, K, H, W\)"):
        checked_memberships(memberships[0])
    with pytest.raises(AttributionError, match=r"\(3, K, 6, 7\)"):
        shares(maps, memberships[:, :0])


@pytest.mark.parametrize("sign", [1, -1])
def test_memberships_sum_to_one_within_a_millionth(sign):
    memberships = np.full((2, 4, 3, 5), 0.25)
    memberships[1, 2, 1, 3] += sign * 0.9e-6
    np.testing.assert_allclose(checked_memberships(memberships).weights.sum(axis=1), 1, rtol=0, atol=1e-15)
    memberships[1, 2, 1, 3] += sign * 0.2e-6
    with pytest.raises(AttributionError, match=r"patch 'b' .* at pixel \(1, 3\).* \(1 pixels are wrong\)"):
        checked_memberships(memberships, ["a", "b"])


def test_a_membership_of_zero_is_fine_and_a_negative_one_is_not():
    memberships = np.zeros((1, 2, 2, 2))
    memberships[:, 0] = 1
    assert checked_memberships(memberships).area.tolist() == [[1, 0]]
    assert checked_memberships(memberships).pixels.tolist() == [[4, 0]]
    memberships[0, :, 1, 0] = [1 + 1e-9, -1e-9]
    with pytest.raises(AttributionError, match=r"at pixel \(1, 0\)"):
        checked_memberships(memberships)


def test_what_is_wrong_is_counted_and_the_first_is_named():
    maps, _ = raw()
    maps[1, 2, 3] = maps[1, 4, 5] = maps[2, 0, 0] = np.nan
    with pytest.raises(AttributionError, match=r"patch 'b' has 2 NaN or infinite values \(2 of 3 patches have such\)"):
        checked_saliency(maps, IDS)
    with pytest.raises(AttributionError, match=r"patch 1 has 2 NaN"):
        checked_saliency(maps)


@pytest.mark.parametrize("shape", [(4, 5), (0, 4, 5), (2, 0, 5), (2, 3, 4, 5)])
def test_maps_have_three_dimensions_and_a_pixel(shape):
    with pytest.raises(AttributionError, match=r"\(N, H, W\) with N >= 1, found"):
        checked_saliency(np.ones(shape))


@pytest.mark.parametrize("shape", [(4, 5, 6), (0, 4, 5, 6), (2, 4, 0, 6)])
def test_memberships_have_four_dimensions_and_a_pixel(shape):
    with pytest.raises(AttributionError, match=r"\(N, K, H, W\) with N >= 1, found"):
        checked_memberships(np.ones(shape))


def test_memberships_fit_in_every_dimension():
    maps, memberships = raw()
    for wrong in (memberships[:2], memberships[..., :5, :], memberships[..., :6], memberships[0]):
        with pytest.raises(AttributionError, match=r"expected \(3, K, 6, 7\)"):
            shares(maps, wrong)


def test_what_was_checked_cannot_be_changed_and_is_compared_by_identity():
    maps, memberships = raw()
    for one, other, name in (
        (checked_saliency(maps), checked_saliency(maps), "raw"),
        (checked_memberships(memberships), checked_memberships(memberships), "weights"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(one, name, None)
        assert one != other
