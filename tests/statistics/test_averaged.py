"""Means over networks: by hand, and the same whatever the order and the names."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.statistics import patch_values
from saliency_stats.statistics.averaged import ledger_over_networks, over_networks

TABLE = pd.DataFrame(
    {
        "patch_id": ["a", "b", "a", "b", "a", "c"],
        "network": ["1", "1", "2", "2", "3", "3"],
        "value": [1.0, 2.0, 3.0, np.nan, 5.0, np.nan],
        "other": ["x", "y", "z", "y", "z", "w"],
    }
)


def test_a_patch_has_the_mean_of_the_networks_that_have_a_number():
    found = over_networks(TABLE, ["patch_id"], ["value"])
    assert list(found) == ["patch_id", "value", "other"]
    assert found["patch_id"].tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(found["value"], [3.0, 2.0, np.nan])
    assert found["other"].tolist() == ["x", "y", "w"]  # of the first row
    assert found.index.tolist() == [0, 1, 2]


def test_a_key_may_be_several_columns_and_empty():
    table = TABLE.assign(group=["p", "p", "q", "q", None, None])
    found = over_networks(table, ["patch_id", "group"], ["value"])
    assert len(found) == 6
    assert over_networks(table.assign(group=None), ["patch_id", "group"], ["value"])["value"].iloc[0] == 3.0


def test_one_network_stays_as_it_is():
    alone = TABLE[TABLE["network"] == "2"]
    pd.testing.assert_frame_equal(over_networks(alone, ["patch_id"], ["value"]), alone.drop(columns="network"))
    without = TABLE.drop(columns="network")
    assert over_networks(without, ["patch_id"], ["value"]) is not TABLE
    pd.testing.assert_frame_equal(over_networks(without, ["patch_id"], ["value"]), without)
    assert over_networks(TABLE.iloc[:0], ["patch_id"], ["value"]).empty


@pytest.mark.parametrize("seed", range(5))
def test_no_order_and_no_name_changes_a_bit(seed):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "patch_id": np.repeat(list("abcd"), 7),
            "network": [str(k) for k in range(7)] * 4,
            "value": rng.normal(size=28),
        }
    )
    expected = over_networks(table, ["patch_id"], ["value"]).set_index("patch_id")["value"]
    renamed = table.assign(network=table["network"].map(dict(zip("0123456", "bdagcfe", strict=True))))
    found = over_networks(renamed.sample(frac=1, random_state=seed), ["patch_id"], ["value"])
    pd.testing.assert_series_equal(
        found.set_index("patch_id")["value"].loc[list("abcd")], expected.loc[list("abcd")], check_exact=True
    )


def test_a_compartment_is_measured_where_any_network_sees_it(make_study):
    ledger, _ = make_study(n_slides=2, n_per_slide=2, models=("trained",), n_networks=3)
    gone = (ledger["patch_id"] == "benign-0") & (ledger["compartment"] == "nucleus")
    ledger.loc[gone & (ledger["network"] == "1"), ["density_ratio", "mass_share", "status"]] = [np.nan, np.nan, "dark"]
    never = (ledger["patch_id"] == "benign-1") & (ledger["compartment"] == "nucleus")
    ledger.loc[never, ["density_ratio", "status"]] = [np.nan, "dark"]
    found = ledger_over_networks(ledger)
    assert len(found) * 3 == len(ledger)
    key = ["patch_id", "compartment"]
    row = found.set_index(key).loc[("benign-0", "nucleus")]
    seen = ledger[gone & (ledger["network"] != "1")]
    assert row["status"] == "measured"
    assert row["density_ratio"] == pytest.approx(np.sqrt(seen["density_ratio"].prod()), rel=1e-14)
    assert row["mass_share"] == pytest.approx(seen["mass_share"].mean(), abs=1e-15)
    assert found.set_index(key).loc[("benign-1", "nucleus"), "status"] == "dark"
    alone = ledger.drop(columns="network").drop_duplicates([*key, "model", "magnification"])
    pd.testing.assert_frame_equal(ledger_over_networks(alone), alone)


def test_the_ratio_of_averaged_densities_is_the_mean_ratio_that_is_tested(make_study):
    ledger, _ = make_study(n_slides=2, n_per_slide=2, models=("trained",), n_networks=3, network_sd=0.5)
    values = patch_values(ledger)
    tested = values[values["contrast"] == "cytoplasm_vs_nucleus"].groupby("patch_id")["value"].mean()
    averaged = patch_values(ledger_over_networks(ledger))
    found = averaged[averaged["contrast"] == "cytoplasm_vs_nucleus"].set_index("patch_id")["value"]
    np.testing.assert_allclose(found, tested.loc[found.index], rtol=1e-12)


@pytest.mark.parametrize(("densities", "mean"), [((0.0, 0.0), 0.0), ((0.0, 4.0), 4.0), ((1.0, 4.0), 2.0)])
def test_a_density_of_zero_has_no_say_unless_all_are(make_study, densities, mean):
    ledger, _ = make_study(n_slides=2, n_per_slide=2, models=("trained",), n_networks=2)
    one = (ledger["patch_id"] == "benign-0") & (ledger["compartment"] == "stroma")
    for network, density in zip(("1", "2"), densities, strict=True):
        ledger.loc[one & (ledger["network"] == network), "density_ratio"] = density
    found = ledger_over_networks(ledger)
    assert list(found) == list(ledger.drop(columns="network"))
    rows = found[(found["patch_id"] == "benign-0") & (found["compartment"] == "stroma")]
    assert rows["density_ratio"].tolist() == [pytest.approx(mean, rel=1e-15)]
