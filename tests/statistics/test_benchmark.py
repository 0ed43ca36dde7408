"""Scores that are known come back as means with intervals; those at chance stand apart; an order is stable or not."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.statistics import StatisticsParameters, contrast_table
from saliency_stats.statistics.agreement import SCORES
from saliency_stats.statistics.benchmark import BEYOND_EDGES, COLUMNS, benchmark_table, overall, stability

SETTINGS = StatisticsParameters()


def scores_of(methods, strata=(("cytoplasm", 20.0),), networks=5, slides=6, noise=0.05, seed=0, **more):
    """Scores by method (a mean, or one for each network), with noise by network and slide."""
    rng = np.random.default_rng(seed)
    rows = []
    for signal, magnification in strata:
        for method, mean in methods.items():
            kind, model = ("control", method) if method == "sobel" else ("attribution", "trained")
            for network in range(networks):
                for slide in range(slides):
                    value = (mean[network] if isinstance(mean, list) else mean) + noise * rng.normal()
                    identity = (
                        signal,
                        magnification,
                        kind,
                        model,
                        method,
                        "l2",
                        str(network),
                        f"s{slide}",
                        f"q{slide}",
                    )
                    rows.append((*identity, value))
    names = ["signal", "magnification", "kind", "model", "method", "reduction", "network", "slide_id", "patient_id"]
    table = pd.DataFrame(rows, columns=[*names, "rank_correlation"])
    rest = dict.fromkeys([name for name in SCORES if name != "rank_correlation"], np.nan)
    return table.assign(**rest | {"n_patches": 4, "learned": True, "balanced_accuracy": 0.9} | more)


def rows_of(table, network="all", **where):
    for name, value in where.items():
        table = table[table[name] == value]
    return table[table["network"] == network]


def test_the_mean_over_networks_and_slides_has_the_interval_of_the_crossed_test():
    scores = scores_of({"gradient": 0.6})
    table = benchmark_table(scores, SETTINGS)
    assert list(table.columns) == list(COLUMNS)
    assert table["network"].tolist() == ["0", "1", "2", "3", "4", "all"]
    (row,) = rows_of(table).to_dict("records")
    expected = contrast_table(
        scores.assign(patch_id=scores["slide_id"]), "rank_correlation", network="network", tests="crossed"
    ).iloc[0]
    for name, of in (("rank_correlation", "estimate"), ("rank_correlation_low", "ci_low")):
        assert row[name] == pytest.approx(expected[of])
    assert row["rank_correlation_high"] == pytest.approx(expected["ci_high"])
    assert (row["n_networks"], row["n_slides"], row["n_patches"]) == (5, 6, 24)
    (one,) = rows_of(table, "3").to_dict("records")
    own = scores[scores["network"] == "3"]
    alone = contrast_table(own, "rank_correlation", tests="t_slide_means").iloc[0]
    assert (one["rank_correlation_low"], one["n_networks"]) == (pytest.approx(alone["ci_low"]), 1)
    # the other scores are not there, and neither are their intervals
    assert np.isnan([row["mass_correlation"], row["sign_errors_low"]]).all()


def test_of_one_network_the_interval_is_that_of_its_slides():
    scores = scores_of({"gradient": 0.6}, networks=1)
    one, every = benchmark_table(scores, SETTINGS).to_dict("records")
    assert (one.pop("network"), every.pop("network")) == ("0", "all")
    np.testing.assert_equal(one, every)
    assert one["rank_correlation_low"] < one["rank_correlation"]


def test_limits_stay_where_a_score_can_lie_and_without_spread_there_are_none():
    (wide,) = rows_of(benchmark_table(scores_of({"gradient": 0.9}, noise=0.6), SETTINGS)).to_dict("records")
    assert wide["rank_correlation_high"] == 1.0
    (truth,) = rows_of(benchmark_table(scores_of({"gradient": 1.0}, noise=0.0), SETTINGS)).to_dict("records")
    assert truth["rank_correlation"] == 1.0
    assert np.isnan([truth["rank_correlation_low"], truth["rank_correlation_high"]]).all()


def test_two_slides_are_too_few_for_an_interval():
    few = rows_of(benchmark_table(scores_of({"gradient": 0.5}, slides=2), SETTINGS)).iloc[0]
    assert np.isfinite(few["rank_correlation"])
    assert np.isnan(few["rank_correlation_low"])


def test_networks_at_chance_stand_apart():
    scores = scores_of({"gradient": [0.9, 0.9, 0.9, -0.9, -0.9]})
    chance = scores["network"].isin(["3", "4"])
    scores = scores.assign(learned=~chance, balanced_accuracy=np.where(chance, 0.5, 0.9))
    table = benchmark_table(scores, SETTINGS)
    (every,) = rows_of(table).to_dict("records")
    assert every["rank_correlation"] == pytest.approx(0.9, abs=0.1)
    assert (every["n_networks"], every["balanced_accuracy"], every["learned"]) == (3, pytest.approx(0.9), True)
    assert table.set_index("network")["learned"].to_dict() == dict(zip("012", [True] * 3, strict=True)) | {
        "3": False, "4": False, "all": True,
    }  # fmt: skip
    none = benchmark_table(scores.assign(learned=False), SETTINGS)
    assert "all" not in set(none["network"])


def test_beyond_the_edges_is_a_difference_on_the_same_slide_and_network():
    shared = np.random.default_rng(2).normal(0, 0.3, 30)
    scores = scores_of({"gradient": 0.5, "sobel": 0.2}, noise=0.0)
    scores["rank_correlation"] += np.tile(shared, 2)
    scores.loc[:29, "rank_correlation"] += np.random.default_rng(3).normal(0, 0.01, 30)
    table = benchmark_table(scores, SETTINGS)
    (row,) = rows_of(table, method="gradient").to_dict("records")
    assert row[BEYOND_EDGES] == pytest.approx(0.3, abs=0.01)
    # what networks and slides have in common is not in its interval
    assert row[f"{BEYOND_EDGES}_high"] - row[f"{BEYOND_EDGES}_low"] < 0.05
    assert row["rank_correlation_high"] - row["rank_correlation_low"] > 0.1
    assert rows_of(table, method="sobel")[BEYOND_EDGES].isna().all()
    replaced = benchmark_table(scores.assign(relative_error=0.5), SETTINGS)
    assert replaced[BEYOND_EDGES].isna().all()
    alone = benchmark_table(scores[scores["model"] != "sobel"], SETTINGS)
    assert alone[BEYOND_EDGES].isna().all()


def test_over_signals_and_magnifications_each_network_and_slide_is_averaged_first():
    strata = (("cytoplasm", 10.0), ("nucleus", 10.0), ("cytoplasm", 20.0), ("nucleus", 20.0))
    scores = scores_of({"gradient": 0.4}, strata)
    scores.loc[(scores["signal"] == "nucleus") & (scores["magnification"] == 20), "rank_correlation"] += 0.4
    table = rows_of(benchmark_table(scores, SETTINGS))
    found = {(row.signal, row.magnification): row for row in table.itertuples()}
    assert len(found) == 4 + 2 + 1
    assert found["all", 10.0].rank_correlation == pytest.approx(0.4, abs=0.03)
    assert found["all", 20.0].rank_correlation == pytest.approx(0.6, abs=0.03)
    over = table[table["magnification"].isna()].iloc[0]
    assert over["rank_correlation"] == pytest.approx(0.5, abs=0.03)
    assert (over["signal"], over["n_networks"], over["n_slides"], over["n_patches"]) == ("all", 5, 6, 4 * 24)
    one = benchmark_table(scores_of({"gradient": 0.4}, strata[:2]), SETTINGS)
    assert one["magnification"].notna().all()
    assert set(one["signal"]) == {"cytoplasm", "nucleus", "all"}
    same = benchmark_table(scores_of({"gradient": 0.4}, strata[::2]), SETTINGS)
    assert same.loc[same["signal"] == "all", "magnification"].isna().tolist() == [True]


def test_over_everything_means_what_was_averaged_last():
    strata = (("cytoplasm", 20.0), ("nucleus", 20.0))
    scores = scores_of({"gradient": 0.4, "sobel": 0.1}, strata, networks=2, slides=3)
    for signal, part in (("all", scores), ("nucleus", scores[scores["signal"] == "nucleus"])):
        found = overall(benchmark_table(part, SETTINGS))
        assert found["method"].tolist() == ["gradient", "sobel"]
        assert set(found["signal"]) == {signal}
        assert set(found["network"]) == {"all"}
    table = benchmark_table(scores.assign(magnification=np.repeat([10.0, 20.0], len(scores) // 2)), SETTINGS)
    assert overall(table)["magnification"].isna().tolist() == [True, True]
    assert overall(benchmark_table(scores.assign(learned=False), SETTINGS)).empty


def test_kinds_come_in_their_order():
    table = benchmark_table(scores_of({"sobel": 0.2, "gradient": 0.5}), SETTINGS)
    assert rows_of(table)["kind"].tolist() == ["attribution", "control"]


def test_a_stable_order_is_the_same_in_both_halves_of_the_networks():
    methods = {f"m{k}": 0.1 * k for k in range(6)}
    (row,) = stability(scores_of(methods | {"sobel": 0.9}, noise=0.001)).to_dict("records")
    assert row == {
        "signal": "cytoplasm", "magnification": 20.0, "n_networks": 5, "n_methods": 6, "rank_correlation": 1.0,
        "lowest": 1.0,
    }  # fmt: skip
    turned = {f"m{k}": [0.1 * k, 0.1 * k, -0.1 * k, -0.1 * k] for k in range(6)}
    (row,) = stability(scores_of(turned, networks=4, noise=0.001)).to_dict("records")
    assert row["lowest"] == pytest.approx(-1.0)
    assert -1 < row["rank_correlation"] < 1


def test_chance_has_no_stable_order():
    found = [
        stability(scores_of(dict.fromkeys("abcdefgh", 0.5), networks=4, seed=seed))["rank_correlation"].iloc[0]
        for seed in range(20)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(20)


def test_of_one_network_or_three_methods_stability_is_unknown_and_networks_at_chance_do_not_count():
    methods = dict.fromkeys("abcde", 0.5)
    assert stability(scores_of(methods, networks=1))["rank_correlation"].isna().all()
    assert stability(scores_of(dict.fromkeys("abc", 0.5)))["rank_correlation"].isna().all()
    scores = scores_of(methods, (("cytoplasm", 20.0), ("nucleus", 20.0)))
    scores["learned"] = scores["network"].isin(["0", "1"]) | (scores["signal"] == "nucleus")
    assert stability(scores)["n_networks"].tolist() == [2, 5, 5]
    none = stability(scores.assign(learned=False))
    assert none[["n_networks", "n_methods"]].to_numpy().tolist() == [[0, 0], [0, 0]]
