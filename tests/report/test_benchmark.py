"""What is said of a benchmark, and what its table holds beside the scores."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.report.benchmark import BENCHMARK_COLUMNS, said, scores_of, with_costs
from saliency_stats.report.benchmark_page import Words

WORDS = Words({"gradient": "gradient", "sobel": "edges (Sobel)", "gradient_x_input": "gradient × input"}, "95 %")
STABLE = pd.DataFrame([{"signal": "all", "magnification": np.nan, "rank_correlation": 0.91}])


def test_costs_stand_with_the_methods_and_nowhere_else(benchmark_rows):
    table = benchmark_rows(
        {"method": "gradient"},
        {"method": "gradient_x_input"},
        {"kind": "control", "model": "randomised", "method": "gradient"},
        {"kind": "replacement", "method": "mean"},
    )
    costs = pd.DataFrame(
        {"method": ["gradient", "gradient_x_input"], "baseline": ["", "white"], "seconds_per_patch": [0.2, 0.5]}
    )
    found = with_costs(table.drop(columns=["baseline", "seconds_per_patch", "gradients"]), costs)
    assert list(found.columns) == list(BENCHMARK_COLUMNS)
    assert found["gradients"].tolist()[:2] == [1.0, 2.5]
    assert found["baseline"].tolist() == ["", "white", "", ""]
    assert found["seconds_per_patch"].isna().tolist() == [False, False, True, True]
    alone = with_costs(table.iloc[1:2].drop(columns=["baseline", "seconds_per_patch", "gradients"]), costs.iloc[1:])
    assert alone["seconds_per_patch"].tolist() == [0.5]
    assert alone["gradients"].isna().all()


def test_the_best_map_and_replacement_are_named_with_their_intervals(benchmark_rows):
    table = benchmark_rows(
        {"method": "gradient", "rank_correlation": 0.2},
        {"method": "gradient_x_input", "rank_correlation": 0.5},
        {"method": "none", "rank_correlation": np.nan},
        {"kind": "control", "model": "sobel", "method": "sobel", "rank_correlation": 0.9},
        {"kind": "reference", "model": "truth", "method": "truth", "rank_correlation": 1.0},
        {"kind": "replacement", "method": "mean", "rank_correlation": 0.6, "relative_error": 1.2},
        {"kind": "replacement", "method": "blur", "rank_correlation": -0.6, "relative_error": 0.2},
    )
    assert "\n".join(said(table, STABLE, WORDS)) == (
        "Of 2 methods, the maps that rank compartments most as the networks use them are those of gradient × input: "
        "rank correlation 0.50 (95 % interval 0.10 to 0.90); the edges of the picture alone get 0.90.\n"
        "Of 2 replacements, the one that comes closest to drawing the compartment again is mean: "
        "rank correlation 0.60 (95 % interval 0.10 to 0.90).\n"
        "The order of the methods is stable: rank correlation 0.91 between halves of the networks."
    )


@pytest.mark.parametrize(("order", "words"), [(0.8, "is stable:"), (0.79, "is not stable (below 0.8):")])
def test_an_order_is_stable_or_said_not_to_be(benchmark_rows, order, words):
    table = benchmark_rows({"method": "gradient"})
    (sentence,) = [one for one in said(table, STABLE.assign(rank_correlation=order), WORDS) if "order" in one]
    assert words in sentence
    assert not [one for one in said(table, STABLE.assign(rank_correlation=np.nan), WORDS) if "order" in one]
    assert not [one for one in said(table, STABLE.iloc[:0], WORDS) if "order" in one]


def test_without_a_network_that_learned_only_that_is_said(benchmark_rows):
    table = benchmark_rows({"method": "gradient", "network": "1", "learned": False})
    assert list(said(table, STABLE.iloc[:0], WORDS)) == [
        "Of 1 network these learned nothing and are left out: nucleus 20×, network 1."
    ]


def test_without_edges_they_are_not_spoken_of(benchmark_rows):
    (sentence, _) = said(benchmark_rows({"method": "gradient"}), STABLE, WORDS)
    assert "edges" not in sentence


def test_scores_of_a_run_know_its_cohort_and_how_well_each_network_does(blank_run, rows_of, monkeypatch):
    metrics = [
        {"model": model, "network": network, "split": split, "learned": network == "1", "balanced_accuracy": accuracy}
        for model, network, split, accuracy in (
            ("trained", "1", "test", 0.9), ("trained", "2", "test", 0.5), ("trained", "all", "test", 0.7),
            ("trained", "1", "train", 1.0), ("randomised", "1", "test", 0.4),
        )
    ]  # fmt: skip
    patches = rows_of("patches", {"patch_id": "a", "magnification": 10.0})
    run = blank_run(record={}, metrics=rows_of("metrics", *metrics), patches=patches)
    made = pd.DataFrame({"network": ["1", "2"], "method": "gradient"})
    monkeypatch.setattr("saliency_stats.report.benchmark.map_scores", lambda *_: made)
    monkeypatch.setattr("saliency_stats.report.benchmark.replacement_scores", lambda *_: made.assign(method="mean"))
    found = scores_of(run)
    assert found["balanced_accuracy"].tolist() == [0.9, 0.5] * 2
    assert found["learned"].tolist() == [True, False] * 2
    assert set(found["signal"]) == {"cytoplasm"}
    assert set(found["magnification"]) == {10.0}
