"""What was looked at is not looked at again, and gives the same numbers as if it had been."""

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
    shift_table,
)
from saliency_stats.errors import AttributionError

IDS = ["a", "b", "c"]


def raw():
    rng = np.random.default_rng(3)
    maps = rng.exponential(size=(3, 6, 7)).astype(np.float32)
    return maps, rng.dirichlet(np.ones(4), (3, 6, 7)).transpose(0, 3, 1, 2).astype(np.float32)


@pytest.mark.parametrize("function", [ledger, relevance, shift_table])
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
    for function in (shares, ledger, relevance, shift_table):
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
