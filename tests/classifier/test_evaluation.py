"""Accuracy, its interval over slides, and the judgement whether anything was learned."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.classifier.evaluation import METRIC_COLUMNS, EvaluationParameters, metrics_table, predictions_table
from saliency_stats.errors import StudyError


def predictions(n_slides=8, n=20, flip=0.1, seed=0):
    rng = np.random.default_rng(seed)
    slide = np.repeat(np.arange(n_slides), n)
    label = np.arange(n_slides * n) % 2
    wrong = rng.uniform(size=len(label)) < flip
    margin = np.where(label ^ wrong, 1, -1) * rng.uniform(0.2, 3, len(label))
    keys = pd.DataFrame(
        {
            "patch_id": [f"p{i:04d}" for i in range(len(label))],
            "slide_id": [f"s{s}" for s in slide],
            "patient_id": "",
            "label": np.array(["benign", "malignant"])[label],
            "split": "test",
            "magnification": 20.0,
        }
    )
    return predictions_table(keys, np.stack([np.zeros(len(label)), margin], axis=1), "trained")


def test_predictions_follow_from_the_logits():
    table = predictions()
    np.testing.assert_allclose(table["p_malignant"], 1 / (1 + np.exp(-table["logit_malignant"])))
    assert ((table["p_malignant"] > 0.5) == (table["predicted"] == "malignant")).all()
    assert (table["correct"] == (table["predicted"] == table["label"])).all()


def test_metrics_against_their_definitions():
    table = predictions(flip=0.2)
    row = metrics_table(table, EvaluationParameters()).iloc[0]
    malignant = table["label"] == "malignant"
    assert list(metrics_table(table, EvaluationParameters()).columns) == list(METRIC_COLUMNS)
    assert row["sensitivity"] == table.loc[malignant, "correct"].mean()
    assert row["specificity"] == table.loc[~malignant, "correct"].mean()
    assert row["balanced_accuracy"] == pytest.approx((row["sensitivity"] + row["specificity"]) / 2)
    p, q = table.loc[malignant, "p_malignant"].to_numpy(), table.loc[~malignant, "p_malignant"].to_numpy()
    assert row["auc"] == pytest.approx((p[:, None] > q).mean() + (p[:, None] == q).mean() / 2)
    assert row["brier"] == pytest.approx(((table["p_malignant"] - malignant) ** 2).mean())
    assert (row["n_patches"], row["n_slides"]) == (160, 8)
    assert row["balanced_accuracy_low"] < row["balanced_accuracy"] < row["balanced_accuracy_high"]
    assert row["learned"]


def test_order_of_rows_does_not_matter():
    table = predictions(flip=0.3)
    shuffled = table.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(
        metrics_table(table, EvaluationParameters()), metrics_table(shuffled, EvaluationParameters())
    )


def test_slides_that_differ_widen_the_interval():
    table = predictions(n_slides=8, flip=0.0)
    bad = table["slide_id"].isin(["s0", "s1", "s2"])
    table.loc[bad, "correct"] = False
    over_slides = metrics_table(table, EvaluationParameters()).iloc[0]
    over_patches = metrics_table(table.assign(slide_id=""), EvaluationParameters()).iloc[0]
    width = {
        row["interval"]: row["balanced_accuracy_high"] - row["balanced_accuracy_low"]
        for row in (over_slides, over_patches)
    }
    assert width[over_slides["interval"]] > 2 * width[over_patches["interval"]]
    assert over_slides["interval"] == "bootstrap over slides"
    assert "unknown" in over_patches["interval"]
    assert over_patches["n_slides"] == 0


def test_a_classifier_at_chance_has_not_learned():
    # of 40 classifiers at chance none may pass; one that passes by luck would be a finding about nothing
    rows = pd.concat([metrics_table(predictions(flip=0.5, seed=seed), EvaluationParameters()) for seed in range(40)])
    assert not rows["learned"].any()
    assert rows["learned_reason"].str.contains("chance").all()


def test_high_accuracy_on_two_slides_that_disagree_includes_chance():
    table = predictions(n_slides=2, n=10, flip=0.0)
    # one slide all right, the other at chance: a resample may hold the second alone
    second = table.index[table["slide_id"] == "s1"]
    table.loc[second[:6], "correct"] = False
    row = metrics_table(table, EvaluationParameters(min_balanced_accuracy=0.6)).iloc[0]
    assert row["balanced_accuracy"] == pytest.approx(0.7)
    assert not row["learned"]
    assert "includes chance" in row["learned_reason"]


def test_one_class_only_has_no_balanced_accuracy():
    table = predictions()
    row = metrics_table(table[table["label"] == "benign"], EvaluationParameters()).iloc[0]
    assert np.isnan(row["balanced_accuracy"])
    assert np.isnan(row["auc"])
    assert not row["learned"]


def test_range_is_checked():
    with pytest.raises(StudyError, match=r"min_balanced_accuracy is 0.4"):
        EvaluationParameters(min_balanced_accuracy=0.4)
