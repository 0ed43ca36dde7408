"""The spatial null is what rolling the map by hand gives, and its p-values are uniform under it."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft
from scipy.ndimage import gaussian_filter

from saliency_stats.attribution.checked import checked_saliency
from saliency_stats.attribution.ledger import ledger
from saliency_stats.attribution.nulls import _masses, shift_table

seeds = st.integers(0, 2**32 - 1)
COLUMNS = [
    *("patch", "map", "delta", "null_mean", "null_sd", "centred", "z", "p_greater", "p_less", "p_two_sided"),
    *("n_shifts", "status"),
]


def soft(rng, k=4, h=6, w=7):
    return rng.dirichlet(np.ones(k), (h, w)).transpose(2, 0, 1)


def hard(rng, k=4, h=6, w=7):
    labels = rng.permutation(np.arange(h * w) % k).reshape(h, w)
    return (labels == np.arange(k)[:, None, None]).astype(np.float64)


def smooth(rng, h, w):
    return np.exp(2 * gaussian_filter(rng.normal(size=(h, w)), 1.5, mode="wrap"))


def nulls(maps, memberships, **options):
    """Rows of the table for maps (M, H, W) of one patch with memberships (K, H, W), which need not be four."""
    rest = np.zeros((4 - len(memberships), *memberships.shape[1:]))
    return shift_table(
        [checked_saliency(one[None]) for one in maps], np.concatenate([memberships, rest])[None], **options
    )


def null(saliency, memberships, **options):
    return SimpleNamespace(**nulls(saliency[None], memberships, **options).iloc[0])


def masses_of(maps, memberships):
    return _masses(maps, memberships, fft.rfft2(memberships))


def every_shift(saliency):
    height, width = saliency.shape
    return np.stack([np.roll(saliency, (y, x), axis=(0, 1)) for y in range(height) for x in range(width)])


def rolled(saliency, memberships):
    """Deltas (H, W) by moving the map, one shift after the other."""
    height, width = saliency.shape
    deltas = np.empty((height, width))
    with np.errstate(divide="ignore", invalid="ignore"):
        for y in range(height):
            for x in range(width):
                moved = np.roll(saliency, (y, x), axis=(0, 1))
                a, b = ((memberships[k] * moved).sum() / memberships[k].sum() for k in (1, 0))
                deltas[y, x] = np.log2(a / b)
    return deltas


def shares_of(deltas):
    """The three p-values by counting."""
    observed = deltas[0, 0]
    return (
        (deltas >= observed - 1e-9).mean(),
        (deltas <= observed + 1e-9).mean(),
        (abs(deltas) >= abs(observed) - 1e-9).mean(),
    )


@settings(deadline=None, max_examples=40)
@given(seeds, st.booleans(), st.permutations(range(4)), st.floats(-200, 200))
def test_it_is_what_rolling_by_hand_gives(seed, masks, order, exponent):
    rng = np.random.default_rng(seed)
    maps, memberships = rng.exponential(size=(6, 7)) ** 3, (hard if masks else soft)(rng)
    memberships = memberships[list(order)]
    found = null(maps * 10.0**exponent, memberships)
    deltas = rolled(maps, memberships)
    assert found.delta == pytest.approx(deltas[0, 0], abs=1e-9)
    assert found.null_mean == pytest.approx(deltas.mean(), abs=1e-9)
    assert found.null_sd == pytest.approx(deltas.std(), abs=1e-9)
    assert found.centred == found.delta - found.null_mean
    assert found.z == pytest.approx((deltas[0, 0] - deltas.mean()) / deltas.std(), abs=1e-6)
    assert (found.p_greater, found.p_less, found.p_two_sided) == shares_of(deltas)
    assert found.n_shifts == 42
    assert found.status == "measured"


def test_odd_even_and_prime_sizes():
    rng = np.random.default_rng(0)
    for size in [(1, 8), (8, 1), (13, 11), (16, 5)]:
        maps, memberships = rng.exponential(size=size), soft(rng, 2, *size)
        found, deltas = null(maps, memberships), rolled(maps, memberships)
        assert found.null_mean == pytest.approx(deltas.mean(), abs=1e-9)
        assert (found.p_greater, found.p_less, found.p_two_sided) == shares_of(deltas)


def test_the_mass_under_each_shift():
    rng = np.random.default_rng(0)
    maps, memberships = rng.exponential(size=(6, 7)), soft(rng)
    masses = masses_of(maps, memberships)
    for y, x in [(0, 0), (1, 0), (0, 1), (4, 5)]:
        moved = np.roll(maps, (y, x), axis=(0, 1))
        np.testing.assert_allclose(masses[:, y, x], (memberships * moved).sum(axis=(1, 2)), rtol=1e-12)


@settings(deadline=None)
@given(seeds)
def test_on_average_over_the_shifts_mass_goes_by_area(seed):
    rng = np.random.default_rng(seed)
    maps, memberships = rng.exponential(size=(6, 7)) ** 3, soft(rng)
    average = masses_of(maps, memberships).mean(axis=(1, 2))
    np.testing.assert_allclose(average, memberships.mean(axis=(1, 2)) * maps.sum(), rtol=1e-12)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_the_contrast_is_that_of_the_ledger(seed):
    rng = np.random.default_rng(seed)
    maps, memberships = rng.exponential(size=(6, 7)) ** 3, soft(rng).astype(np.float32)
    densities = ledger(maps[None], memberships[None]).set_index("compartment")["density_ratio"]
    assert null(maps, memberships).delta == pytest.approx(
        np.log2(densities["cytoplasm"] / densities["nucleus"]), abs=1e-12
    )


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_under_the_null_the_p_values_are_uniform(seed):
    """Every shift of one map taken as the observed one: the share with p <= i / n is i / n at most, by counting."""
    rng = np.random.default_rng(seed)
    maps, memberships = smooth(rng, 5, 6), hard(rng, 4, 5, 6)
    shifts = nulls(every_shift(maps), memberships)
    levels = np.arange(1, 31) / 30
    for name in ("p_greater", "p_less", "p_two_sided"):
        assert (np.sort(shifts[name]) >= levels - 1e-12).all(), name
    # nothing ties here, so the one-sided ones are exactly uniform
    np.testing.assert_allclose(np.sort(shifts["p_greater"]), levels)


def test_tied_shifts_make_the_test_conservative_and_never_liberal():
    rng = np.random.default_rng(1)
    maps, memberships = np.tile(smooth(rng, 6, 4), (1, 2)), hard(rng, 2, 6, 8)
    p = np.sort(nulls(every_shift(maps), memberships)["p_greater"])
    assert (p >= np.arange(1, 49) / 48 - 1e-12).all()
    assert p[0] == pytest.approx(2 / 48)  # two shifts give the same map, and both count


def test_random_shifts_of_smooth_maps_reject_at_the_level():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(400):
        memberships = (smooth(rng, 24, 20) > 1).astype(float)
        p.append(null(smooth(rng, 24, 20), np.stack([memberships, 1 - memberships])).p_two_sided)
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.03)  # 0.011 is one standard error
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)


def test_a_planted_preference_is_found():
    rng = np.random.default_rng(0)
    nucleus = (smooth(rng, 64, 64) > 1.2).astype(float)
    memberships = np.stack([nucleus, 1 - nucleus])
    found = null(smooth(rng, 64, 64) * (1 + nucleus), memberships)
    assert found.delta < -0.8
    assert found.p_less == found.p_two_sided == 1 / 4096
    assert found.p_greater == 1
    assert found.z < -5
    other = null(smooth(rng, 64, 64) * (2 - nucleus), memberships)
    assert other.p_greater == 1 / 4096
    assert other.z > 5


@pytest.mark.parametrize("value", [1e-300, 1.0, 1e300])
def test_a_constant_map_prefers_nothing(value):
    found = null(np.full((6, 7), value), soft(np.random.default_rng(0)))
    assert found.delta == pytest.approx(0, abs=1e-12)
    assert found.null_mean == pytest.approx(0, abs=1e-12)
    assert found.p_greater == found.p_less == found.p_two_sided == 1
    assert np.isnan(found.z)  # every shift is a tie: there is no scale to measure it by
    assert found.status == "measured"


def test_exchanging_the_two_compartments_turns_the_test_around():
    rng = np.random.default_rng(0)
    maps, memberships = rng.exponential(size=(6, 7)), soft(rng)
    one, other = null(maps, memberships), null(maps, memberships[[1, 0, 2, 3]])
    assert one.delta == pytest.approx(-other.delta)
    assert (one.p_greater, one.p_less, one.p_two_sided) == (other.p_less, other.p_greater, other.p_two_sided)


def test_where_there_is_nothing_to_compare():
    rng = np.random.default_rng(0)
    maps, memberships = rng.exponential(size=(6, 7)), hard(rng)
    no_nucleus = memberships.copy()
    no_nucleus[2] += no_nucleus[0]
    no_nucleus[0] = 0
    neither = no_nucleus.copy()
    neither[2] += neither[1]
    neither[1] = 0
    for found, status in [
        (null(maps, no_nucleus), "missing: area share 0 of nucleus"),
        (null(maps, neither), "missing: area share 0 of cytoplasm and 0 of nucleus"),
        (null(maps * 0, memberships), "no saliency: the map is zero everywhere"),
        (null(maps * (1 - memberships[0]), memberships), "no saliency: the map is zero in nucleus"),
        (null(maps * memberships[2], memberships), "no saliency: the map is zero in cytoplasm and nucleus"),
    ]:
        assert found.status == status
        assert np.isnan([found.delta, found.null_mean, found.null_sd, found.centred, found.z]).all()
        assert np.isnan([found.p_greater, found.p_less, found.p_two_sided]).all()
        assert found.n_shifts == 42


def test_shifts_that_leave_a_compartment_dark_are_counted_as_extreme():
    """A map of three pixels: most shifts miss the nucleus, the cytoplasm or both; zeros are zeros, not rounding."""
    memberships = np.zeros((2, 5, 5))
    memberships[0, :2, :3] = 1
    memberships[1] = 1 - memberships[0]
    maps = np.zeros((5, 5))
    maps[1, 1:4] = [1.0, 2.0, 3.0]
    deltas = rolled(maps, memberships)
    assert np.isposinf(deltas).any()
    assert np.isneginf(deltas).any()
    found = null(maps, memberships)
    assert (found.p_greater, found.p_less, found.p_two_sided) == shares_of(deltas)
    infinite = np.isinf(deltas).sum()
    assert found.status == (
        f"measured: {infinite} of 25 shifts leave a compartment without saliency, and are not in the mean"
    )
    kept = deltas[np.isfinite(deltas)]
    assert found.null_mean == pytest.approx(kept.mean())
    assert found.null_sd == pytest.approx(kept.std())
    assert found.centred == found.delta - found.null_mean
    assert found.z == pytest.approx(found.centred / kept.std())


@settings(deadline=None, max_examples=25)
@given(seeds, st.booleans())
def test_centred_is_zero_on_average_over_the_shifts_in_which_delta_is_defined(seed, sparse):
    """Also where most of the map is zero, so that some shifts have no delta: their patches would be missing."""
    rng = np.random.default_rng(seed)
    maps, memberships = rng.exponential(size=(5, 6)) ** 2, hard(rng, 4, 5, 6)
    maps[rng.random((5, 6)) < 0.7 * sparse] = 0
    found = nulls(every_shift(maps), memberships)
    measured = found[found["status"].str.startswith("measured")]
    assert measured["delta"].notna().tolist() == [True] * len(measured)
    assert found["centred"].notna().sum() == len(measured)
    if len(measured):
        assert measured["centred"].mean() == pytest.approx(0, abs=1e-9)


def test_where_only_one_shift_has_a_contrast_it_is_its_own_mean():
    memberships = np.zeros((3, 3, 3))
    memberships[0, 0, 0] = memberships[1, 1, 2] = 1
    memberships[2] = 1 - memberships[:2].sum(axis=0)
    maps = np.zeros((3, 3))
    maps[0, 0], maps[1, 2] = 1.0, 4.0
    found = null(maps, memberships)
    assert found.null_mean == found.delta == pytest.approx(2)
    assert (found.null_sd, found.centred) == (0, 0)
    assert np.isnan(found.z)
    assert found.status.startswith("measured: 8 of 9 shifts")


def test_maps_that_know_nothing_of_a_small_nucleus_have_a_delta_but_none_that_is_centred():
    """E[log2 of a mean] falls with its variance; 0.03 is three standard errors of the mean over 120 patches."""
    rng = np.random.default_rng(0)
    raw, centred = [], []
    for _ in range(120):
        nucleus = np.zeros((32, 32))
        nucleus[8:14, 8:14] = 1.0  # 3.5 % of the area
        found = null(rng.pareto(1.5, size=(32, 32)), np.stack([nucleus, 1 - nucleus]))
        raw.append(found.delta)
        centred.append(found.centred)
    assert np.mean(raw) > 0.1
    assert abs(np.mean(centred)) < 3 * np.std(centred) / np.sqrt(120)


@pytest.mark.parametrize(("min_area", "measured"), [(0.0, True), (0.24, True), (0.25, True), (0.26, False)])
def test_a_small_compartment_is_missing_as_in_the_ledger(min_area, measured):
    rng = np.random.default_rng(0)
    memberships = np.zeros((3, 4, 4))
    memberships[0, :1], memberships[1, 1:2], memberships[2, 2:] = 1, 1, 1
    found = null(rng.exponential(size=(4, 4)), memberships, min_area=min_area)
    expected = "measured" if measured else "missing: area share 0.25 of cytoplasm and 0.25 of nucleus below 0.26"
    assert found.status == expected
    assert np.isnan([found.delta, found.centred, found.p_two_sided]).all() == (not measured)


def test_shifts_without_a_contrast_count_against_a_finding():
    memberships = np.zeros((3, 4, 4))
    memberships[0, 0, 0] = memberships[1, 0, 1] = 1
    memberships[2] = 1 - memberships[:2].sum(axis=0)
    maps = np.zeros((4, 4))
    maps[0, :2] = [1.0, 3.0]
    found = null(maps, memberships)
    deltas = rolled(maps, memberships)
    assert np.isnan(deltas).sum() == 13
    assert found.delta == pytest.approx(np.log2(3))
    assert found.p_greater == (13 + 1 + 1) / 16  # no contrast, the nucleus dark, and the map where it is
    assert found.p_less == (13 + 1 + 1) / 16
    assert found.p_two_sided == 1


def test_the_table_holds_every_map_of_every_patch():
    rng = np.random.default_rng(0)
    maps = rng.exponential(size=(2, 3, 6, 7)).astype(np.float32)
    memberships = np.stack([soft(rng) for _ in range(3)]).astype(np.float32)
    maps[1, 1] = 0
    table = shift_table([checked_saliency(one) for one in maps], memberships)
    assert list(table) == COLUMNS
    assert list(zip(table["patch"], table["map"], strict=True)) == [(p, m) for p in range(3) for m in range(2)]
    for row in table.to_dict("records"):
        alone = null(maps[row["map"], row["patch"]], memberships[row["patch"]])
        for name in COLUMNS[2:]:
            np.testing.assert_equal(row[name], getattr(alone, name))
    assert table["p_greater"].isna().tolist() == [False, False, False, True, False, False]


def test_ties_are_relative_to_the_observed_contrast_where_it_is_large():
    """Half a patch further the map is the same, but brighter by 4e-9: a tie for a contrast of 10, none for one of 1.

    For a contrast of 1 the limit is 1e-9 in log2, so 6.9e-10 in brightness.
    """
    memberships = np.zeros((3, 2, 4))
    memberships[1, :, 0] = memberships[0, :, 1] = 1
    memberships[2, :, 2:] = 1
    for exponent, brighter, p_less in (
        (10, 4e-9, 1.0),
        (1, 4e-9, 0.75),
        (-10, 4e-9, 0.5),
        (1, 8.7e-10, 0.75),
        (1, 6e-10, 1.0),
    ):
        maps = np.ones((2, 4))
        maps[:, 0] = 2.0**exponent
        maps[:, 2] = maps[:, 0] * (1 + brighter)
        found = null(maps, memberships)
        assert found.delta == pytest.approx(exponent, abs=1e-12)
        assert found.p_less == p_less
        assert found.p_two_sided == 1
