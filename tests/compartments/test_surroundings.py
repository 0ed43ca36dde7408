"""Averages over windows of several cells, and what differs from the neighbourhood."""

import numpy as np
import pytest

from saliency_stats.compartments.surroundings import RELATIVE_UM, WINDOWS_UM, relative, surroundings

SHAPE = (96, 96)


def around(instances, evidence=None, stained=(0.4, 0.6), areas=(0.0, 75.0, 400.0), eccentricities=(0.0, 0.2, 0.9)):
    """Windows in the middle of an image of one colour, with a coherence of 0.3 and a roughness of 0.1."""
    tissue = np.ones(SHAPE, bool)
    evidence = instances == 0 if evidence is None else evidence
    maps = [np.full(SHAPE, value, np.float32) for value in (*stained, 0.3, 0.1)]
    found = surroundings(
        instances, (np.array(areas), np.array(eccentricities)), tissue, evidence, np.stack(maps[:2]), maps[2:], 0.5
    )
    return {name: float(values[48, 48]) for name, values in found.items()}


def two(share_of_second):
    """Nuclei everywhere, the second on a share of the columns in a fine pattern."""
    instances = np.ones(SHAPE, np.int32)
    instances[:, np.arange(96) % 8 < 8 * share_of_second] = 2
    return instances


def test_the_windows_are_named_by_their_deviation():
    names = around(two(0.5))
    assert {name.rsplit("_", 1)[1] for name in names} == {f"{window:g}um" for window in WINDOWS_UM} == {"10um", "20um"}
    assert len(names) == 9 * 2
    assert RELATIVE_UM == 25.0


def test_nuclei_count_by_their_area_and_merged_ones_as_the_largest():
    found = around(two(0.5))
    for window in ("10um", "20um"):
        assert found[f"crowding_{window}"] == pytest.approx(1, abs=1e-5)
        assert found[f"tissue_{window}"] == pytest.approx(1, abs=1e-5)
        # 75 µm² and 400, which counts as 150, in units of 50
        assert found[f"nuclear_area_{window}"] == pytest.approx((75 + 150) / 2 / 50, rel=0.03)
        assert found[f"nuclear_elongation_{window}"] == pytest.approx((0.2 + 0.9) / 2, rel=0.03)
        assert found[f"nuclear_darkness_{window}"] == pytest.approx(0.4, abs=1e-5)


def test_stains_and_texture_are_those_of_the_tissue_away_from_nuclei():
    nothing = np.zeros(SHAPE, np.int32)
    found = around(nothing)
    for window in ("10um", "20um"):
        assert found[f"blue_{window}"] == pytest.approx(0.4, abs=1e-5)
        assert found[f"pink_{window}"] == pytest.approx(0.6, abs=1e-5)
        assert found[f"directed_{window}"] == pytest.approx(0.3, abs=1e-5)
        assert found[f"rough_{window}"] == pytest.approx(0.1, abs=1e-5)
        assert found[f"crowding_{window}"] == found[f"nuclear_area_{window}"] == 0
    assert around(nothing, evidence=np.zeros(SHAPE, bool))["blue_10um"] == 0


def test_relative_evidence_is_what_differs_from_the_neighbourhood_that_is_asked_about():
    rng = np.random.default_rng(5)
    values = rng.standard_normal((96, 96)).astype(np.float32)
    where = rng.random((96, 96)) < 0.7
    told = relative({"stain": values}, where, 0.5)["relative_stain"]
    # a slide stained more all over says nothing, nor does what is not asked about
    np.testing.assert_allclose(
        relative({"stain": values + 3}, where, 0.5)["relative_stain"][where], told[where], atol=1e-4
    )
    hidden = np.where(where, values, 99).astype(np.float32)
    np.testing.assert_array_equal(relative({"stain": hidden}, where, 0.5)["relative_stain"][where], told[where])
    halves = np.where(np.indices((96, 96))[1] < 48, 1.0, 2.0).astype(np.float32)
    left, right = (relative({"stain": halves}, where, 0.5)["relative_stain"][:, side] for side in (47, 48))
    assert (left < -0.3).all()
    assert (right > 0.3).all()
    assert (relative({"stain": halves}, np.zeros_like(where), 0.5)["relative_stain"] == halves).all()
