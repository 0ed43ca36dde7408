"""Networks crossed with units: against lme4, lmerTest and dense matrices, and what does not matter."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.network_sums import COMPONENTS
from saliency_stats.statistics.models.networks import NetworkCells, network_intercepts
from saliency_stats.statistics.models.two_way import two_way

GOLDEN = Path(__file__).parents[1] / "golden"
DATA = pd.read_csv(GOLDEN / "networks_data.csv")
EXPECTED = pd.read_csv(GOLDEN / "networks.csv").set_index("case")


def study(seed=0, n_networks=4, sizes=(5, 3, 6, 4, 7, 5), sds=(0.3, 0.4, 0.3, 0.2, 0.5), drop=0.0):
    """Rows (value, network, unit, patch) with the components' standard deviations in their order."""
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    unit = np.tile(np.repeat(np.arange(len(sizes)), sizes), n_networks)
    network, patch = np.repeat(np.arange(n_networks), n), np.tile(np.arange(n), n_networks)
    codes = (network, unit, patch, network * len(sizes) + unit, np.arange(network.size))
    value = sum(sd * rng.normal(size=code.max() + 1)[code] for sd, code in zip(sds, codes, strict=True))
    keep = rng.random(network.size) >= drop
    return tuple(each[keep] for each in (value, network, unit, patch))


def folds(seed=0, n_folds=4, sizes=(5, 3, 6, 4, 7, 5, 4, 6), sds=(0.3, 0.4, 0.0, 0.0, 0.5)):
    value, network, unit, patch = study(seed, n_folds, sizes, sds)
    keep = unit % n_folds == network
    return tuple(each[keep] for each in (value, network, unit, patch))


@pytest.mark.parametrize("case", EXPECTED.index)
def test_it_agrees_with_r(case):
    rows, expected = DATA[DATA["case"] == case], EXPECTED.loc[case]
    codes = [pd.factorize(rows[name])[0] for name in ("network", "slide", "patch")]
    fit = network_intercepts(NetworkCells.from_rows(rows["y"].to_numpy(), *codes))
    variances = expected[["network", "unit", "patch", "cell", "residual"]].astype(float)
    of_model = variances.notna().to_numpy()
    assert fit.data.names == tuple(name for name, there in zip(COMPONENTS, of_model, strict=True) if there)
    np.testing.assert_allclose(fit.variances, variances[of_model], rtol=1e-6, atol=1e-8)
    assert fit.deviance == pytest.approx(expected["deviance"], rel=1e-9)
    found = fit.test(np.ones(1))
    assert found.estimate == pytest.approx(expected["estimate"], rel=1e-6)
    assert found.se == pytest.approx(expected["se"], rel=1e-6)
    assert found.df == pytest.approx(expected["df"], rel=1e-6)
    assert found.p_value == pytest.approx(expected["p"], abs=1e-6)


def test_the_golden_cases_are_what_they_are_called():
    assert EXPECTED.loc["no network", "network"] == 0
    assert EXPECTED.loc["balanced", ["network", "unit", "cell"]].min() > 0
    sizes = {case: pd.crosstab(rows["network"], rows["slide"]).to_numpy() for case, rows in DATA.groupby("case")}
    assert np.ptp(sizes["balanced"]) == 0
    assert np.ptp(sizes["unbalanced"]) > 5
    assert np.count_nonzero(sizes["empty cells"] == 0) == 4
    assert (np.count_nonzero(sizes["folds"], axis=0) == 1).all()


def test_a_balanced_table_gives_the_closed_form():
    rows = study(sizes=(6,) * 8, sds=(0.5, 0.5, 0.0, 0.4, 0.3))
    cells = NetworkCells.from_rows(*rows)
    found, expected = cells.fit.test(np.ones(1)), two_way(cells.means)
    assert cells.fit is cells.fit  # fitted once
    assert found.estimate == pytest.approx(float(expected.estimate))
    assert found.se**2 == pytest.approx(float(expected.variance), rel=1e-6)
    assert found.df == pytest.approx(float(expected.df), rel=1e-6)


def test_cells_hold_means_and_counts():
    value, network, unit, patch = study(drop=0.5, sizes=(2, 1, 3, 2))
    cells = NetworkCells.from_rows(value, network, unit, patch)
    by_cell = pd.DataFrame({"v": value, "k": network, "s": unit}).groupby(["k", "s"])["v"]
    assert (cells.n_networks, cells.n_units, cells.n_patches) == (4, 4, len(set(patch)))
    assert sorted(cells.means[cells.counts > 0]) == pytest.approx(sorted(by_cell.mean()))
    assert sorted(cells.counts[cells.counts > 0]) == sorted(by_cell.size())
    assert np.isnan(cells.means[cells.counts == 0]).all()
    assert sorted(cells.counts.sum(axis=0)) == sorted(np.bincount(unit))
    assert not cells.complete
    assert NetworkCells.from_rows(*study()).complete


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3]), st.booleans())
def test_neither_order_nor_names_change_a_bit(seed, drop, patients):
    rows = study(drop=drop)
    value, network, unit, patch = rows
    owners = np.array([0, 1, 1, 2, 3, 3]) if patients else np.arange(6)
    rng = np.random.default_rng(seed)
    order = rng.permutation(value.size)
    names = [rng.permutation(200)[codes][order] for codes in (network, owners[unit], patch, unit)]
    one, two = (
        NetworkCells.from_rows(value, network, owners[unit], patch, unit),
        NetworkCells.from_rows(value[order], *names),
    )
    assert np.array_equal(one.means, two.means, equal_nan=True)
    assert np.array_equal(one.counts, two.counts)
    for name in ("local", "totals", "repeats", "counts", "squares", "centre"):
        assert np.array_equal(getattr(one.sums, name), getattr(two.sums, name)), name


def test_a_patient_of_several_slides_is_the_mean_of_its_slides():
    value, network, slide, patch = study(drop=0.2)
    owners = np.array([0, 0, 1, 2, 2, 2])
    cells = NetworkCells.from_rows(value, network, owners[slide], patch, slide)
    by_slide = pd.DataFrame({"v": value, "k": network, "s": slide}).groupby(["k", "s"])["v"].mean()
    expected = by_slide.groupby([by_slide.index.get_level_values("k"), owners[by_slide.index.get_level_values("s")]])
    assert sorted(cells.means.ravel()) == pytest.approx(sorted(expected.mean()))
    assert cells.counts.sum() == value.size  # patches, not slides
    assert cells.n_patches == len(set(patch))
    # the model then sees the means of slides, each shared by the networks
    again = NetworkCells.from_rows(
        by_slide.to_numpy(),
        *(np.array(by_slide.index.get_level_values(level)) for level in "k"),
        owners[by_slide.index.get_level_values("s")],
        np.array(by_slide.index.get_level_values("s")),
    )
    np.testing.assert_allclose(cells.sums.totals, again.sums.totals, atol=1e-12)
    np.testing.assert_allclose(cells.sums.squares, again.sums.squares, atol=1e-12)


def test_patients_of_one_slide_are_their_slides():
    value, network, slide, patch = study(drop=0.2)
    plain, named = (
        NetworkCells.from_rows(value, network, slide, patch),
        NetworkCells.from_rows(value, network, slide + 3, patch, slide),
    )
    assert np.array_equal(plain.means, named.means)
    assert np.array_equal(plain.sums.squares, named.sums.squares)


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (study(sds=(0.5, 0.5, 0.4, 0.5, 0.5)), COMPONENTS),
        (study(sizes=(1,) * 8), ("network", "unit", "residual")),
        (folds(), ("network", "unit", "residual")),
        (folds(sizes=(2,) * 8), ("network", "unit", "residual")),
        (folds(sizes=(1,) * 8), ("network", "residual")),
    ],
    ids=["all", "one patch a unit", "folds", "folds, two patches a unit", "folds, one patch a unit"],
)
def test_what_the_design_hides_is_left_out(rows, names):
    assert network_intercepts(NetworkCells.from_rows(*rows)).data.names == names


def test_patches_that_no_two_networks_share_are_no_component():
    value, network, unit, patch = study()
    fit = network_intercepts(NetworkCells.from_rows(value, network, unit, patch * 10 + network))
    assert fit.data.names == ("network", "unit", "network and unit", "residual")


def test_a_design_that_hides_more_says_what():
    value, network, unit, patch = study(sizes=(4, 4, 4, 4))
    keep = network == unit  # each network has a unit of its own
    with pytest.raises(StatisticsError, match="does not tell the variances of network and unit apart"):
        network_intercepts(NetworkCells.from_rows(value[keep], network[keep], unit[keep], patch[keep]))


ROWS = study(sizes=(2, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: ROWS[0][:3]}, r"shapes \[\(3,\), \(16,\)\], expected one length"),
        (dict(enumerate([np.empty(0), *[np.empty(0, dtype=int)] * 3])), "there is no value"),
        ({0: np.where(np.arange(16) < 2, np.nan, ROWS[0])}, "2 of 16 values are not finite"),
        ({1: ROWS[1] - 1}, "a code is negative"),
        ({3: ROWS[3] % 2}, "2 patch codes stand in more than one unit"),
        ({3: ROWS[3] // 2}, "a network has two values of one patch"),
        ({4: np.zeros(16, dtype=int)}, "1 slide codes stand in more than one unit"),
    ],
)
def test_what_is_refused(change, message):
    given_rows = dict(enumerate(ROWS)) | change
    with pytest.raises(StatisticsError, match=message):
        NetworkCells.from_rows(*given_rows.values())


def test_codes_need_not_be_without_gaps():
    value, network, unit, patch = study()
    plain, gaps = (
        NetworkCells.from_rows(value, network, unit, patch),
        NetworkCells.from_rows(value, 3 * network + 2, 5 * unit, 2 * patch + 1),
    )
    assert np.array_equal(plain.means, gaps.means)
    assert plain.n_patches == gaps.n_patches
