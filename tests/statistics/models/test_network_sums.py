"""The sums of networks crossed with units stand for the dense covariance of their rows."""

from dataclasses import replace

import numpy as np
import pytest

from saliency_stats.statistics.models.networks import NetworkCells

UNITS = np.repeat(np.arange(6), (5, 3, 6, 4, 7, 5))


def judged(share):
    """Values of four networks on a share of the patches of six units: value, network, unit, patch."""
    rng = np.random.default_rng(1)
    network, patch = np.divmod(np.flatnonzero(rng.random(4 * UNITS.size) < share), UNITS.size)
    return rng.normal(size=network.size), network, UNITS[patch], patch


def in_folds():
    """Values of which every unit has one network's."""
    rows = judged(1.0)
    own = rows[2] % 4 == rows[1]
    return tuple(each[own] for each in rows)


@pytest.mark.parametrize("variances", [(0.3, 0.5, 0.2, 0.4, 0.7), (0.0, 0.2, 0.0, 0.6, 0.3), (1.2, 0.0, 0.9, 0.0, 0.1)])
@pytest.mark.parametrize("rows", [judged(1.0), judged(0.6), in_folds()], ids=["complete", "incomplete", "folds"])
def test_the_sums_stand_for_the_dense_covariance(rows, variances):
    value, network, unit, patch = rows
    sums = NetworkCells.from_rows(*rows).sums
    same = [codes[:, None] == codes for codes in (network, unit, patch, network * 99 + unit, np.arange(value.size))]
    dense = sum(variance * alike for variance, alike in zip(variances, same, strict=True))
    both = np.column_stack([np.ones_like(value), value - sums.centre])
    at = np.array(variances)
    np.testing.assert_allclose(sums.products(at), both.T @ np.linalg.solve(dense, both), rtol=1e-9, atol=1e-11)
    assert sums.log_determinant(at) == pytest.approx(np.linalg.slogdet(dense)[1], rel=1e-11)
    assert sums.n == value.size
    without = replace(sums, names=("network", "unit", "network and unit", "residual"))
    kept = at[[0, 1, 3, 4]]
    dense = dense - variances[2] * same[2]
    np.testing.assert_allclose(without.products(kept), both.T @ np.linalg.solve(dense, both), rtol=1e-9, atol=1e-11)
