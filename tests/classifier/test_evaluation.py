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
    return predictions_table(keys, np.stack([np.zeros(len(label)), margin], axis=1), "trained", "1")


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


@pytest.mark.parametrize(("n_slides", "learned"), [(4, False), (5, True)])
def test_few_slides_cannot_show_that_anything_was_learned(n_slides, learned):
    row = metrics_table(predictions(n_slides, flip=0.0), EvaluationParameters()).iloc[0]
    assert row["balanced_accuracy_low"] == 1
    assert (row["learned"], row["p_learned"]) == (learned, 2.0**-n_slides)
    if not learned:
        assert "could not have been told from chance (0.5): with 4 slides" in row["learned_reason"]
    # of patients there may be fewer
    table = predictions(n_slides, flip=0.0).assign(patient_id=lambda t: t["slide_id"].str[1].astype(int) % 2)
    by_patient = metrics_table(table, EvaluationParameters(unit="patient")).iloc[0]
    assert (by_patient["learned"], by_patient["p_learned"]) == (False, 1 / 4)
    assert "with 2 patients" in by_patient["learned_reason"]


def test_slides_of_one_class_exchange_their_labels():
    rows = [(f"s{slide}", ("benign", "malignant")[slide % 2], slide % 2 - 0.5) for slide in range(8) for _ in range(5)]
    row = scored(rows)
    assert (row["learned"], row["p_learned"]) == (True, 1 / 70)
    wrong = [(slide, label, -margin if slide in {"s0", "s1", "s2"} else margin) for slide, label, margin in rows]
    row = scored(wrong, min_balanced_accuracy=0.5)
    assert row["balanced_accuracy"] == 0.625
    assert not row["learned"]
    assert "is not shown to beat chance (0.5): p = " in row["learned_reason"]


def test_of_many_slides_ways_are_drawn_as_many_as_the_level_needs():
    rows = [row for slide in range(20) for row in half_right(4, slide=f"s{slide}")]
    assert scored(rows)["p_learned"] == 1 / 2001
    assert scored(rows, draws=500)["p_learned"] == 1 / 501
    assert scored(rows, draws=300)["p_learned"] == 1 / 401
    assert scored(rows, draws=500, alpha=0.01)["p_learned"] == 1 / 2001
    uneven = [row for slide in range(20) for row in half_right(2 + (slide % 5 == 0), slide=f"s{slide}")]
    assert scored(uneven)["p_learned"] != scored(uneven, seed=1)["p_learned"]


def test_one_class_only_has_no_balanced_accuracy():
    table = predictions()
    row = metrics_table(table[table["label"] == "benign"], EvaluationParameters()).iloc[0]
    assert np.isnan(row["balanced_accuracy"])
    assert np.isnan(row["auc"])
    assert not row["learned"]


def test_range_is_checked():
    with pytest.raises(StudyError, match=r"min_balanced_accuracy is 0.4"):
        EvaluationParameters(min_balanced_accuracy=0.4)


def scored(rows, **parameters):
    """Score patches given as (slide, label, margin)."""
    keys = pd.DataFrame(rows, columns=["slide_id", "label", "margin"]).assign(
        patient_id="", split="test", magnification=20.0, patch_id=[f"p{i:03d}" for i in range(len(rows))]
    )
    logits = np.stack([np.zeros(len(keys)), keys["margin"].to_numpy(dtype=float)], axis=1)
    table = metrics_table(predictions_table(keys, logits, "trained", "1"), EvaluationParameters(**parameters))
    return table.iloc[0]


def half_right(right=3, of=4, slide="s1"):
    """So many of so many right in each class."""
    margins = [1] * right + [-1] * (of - right)
    return [(slide, label, sign * margin) for label, sign in (("malignant", 1), ("benign", -1)) for margin in margins]


def test_equal_logits_are_no_finding():
    keys = pd.DataFrame(
        {"patch_id": ["p"], "slide_id": "s", "patient_id": "", "label": "benign", "split": "test", "magnification": 5.0}
    )
    row = predictions_table(keys, np.array([[1.5, 1.5]]), "trained", "fold2-1").iloc[0]
    assert row[["p_malignant", "predicted", "correct", "model", "network"]].tolist() == [
        *(0.5, "benign", True, "trained", "fold2-1")
    ]


def test_the_interval_is_the_bootstrap_over_slides_written_out():
    rng = np.random.default_rng(1)
    rows = [(f"s{slide}", label, (1 if label == "malignant" else -1) * rng.choice([1, -1], p=[0.8, 0.2]))
            for slide in range(6) for label in ("malignant", "benign") for _ in range(rng.integers(1, 6))]  # fmt: skip
    for alpha, draws, seed in ((0.05, 500, 0), (0.4, 500, 0), (0.05, 2000, 3)):
        found = scored(rows, alpha=alpha, draws=draws, seed=seed)
        weights = np.random.default_rng(seed).multinomial(6, np.full(6, 1 / 6), size=draws)
        accuracies = []
        for counts in weights:
            drawn = [
                (label, margin)
                for slide, n in enumerate(counts)
                for s, label, margin in rows
                if s == f"s{slide}"
                for _ in range(n)
            ]
            recall = [
                np.mean([sign * m > 0 for label, m in drawn if label == name])
                for name, sign in (("malignant", 1), ("benign", -1))
            ]
            accuracies.append(np.mean(recall))
        expected = np.quantile(accuracies, [alpha / 2, 1 - alpha / 2])
        assert [found["balanced_accuracy_low"], found["balanced_accuracy_high"]] == pytest.approx(expected, abs=1e-12)


def test_the_usual_interval_covers_95_percent_by_2000_draws():
    assert EvaluationParameters() == EvaluationParameters(0.65, 0.05, 2000, 0)
    assert [EvaluationParameters(end).min_balanced_accuracy for end in (0.5, 0.99)] == [0.5, 0.99]
    with pytest.raises(StudyError, match=r"expected 0\.5"):
        EvaluationParameters(min_balanced_accuracy=1.0)


def test_one_slide_or_an_unknown_one_means_patches():
    several = [*half_right(slide="s1"), *half_right(slide="s2")]
    assert scored(several)["interval"] == "bootstrap over slides"
    for rows, n_slides in (
        (half_right(), 1),
        ([*half_right(), *half_right(slide="")], 0),
        ([*half_right(), *half_right(slide=None)], 0),
    ):
        found = scored(rows)
        assert found["interval"].startswith("bootstrap over patches, as if independent")
        assert found["n_slides"] == n_slides
        assert found["balanced_accuracy_low"] < 0.75 < found["balanced_accuracy_high"]
    # of one slide the classes can change places: there are two ways
    assert scored(half_right())["p_learned"] == 0.5
    assert np.isnan(found["p_learned"])


def test_at_the_least_accuracy_it_has_learned_and_just_below_it_has_not():
    rows = [row for slide in range(30) for row in half_right(slide=f"s{slide}")]  # 0.75 in each slide: no width
    assert scored(rows, min_balanced_accuracy=0.75)["learned"]
    below = scored(rows, min_balanced_accuracy=0.751)
    assert not below["learned"]
    assert (
        below["learned_reason"]
        == "balanced accuracy 0.750 is below classifier.min_balanced_accuracy 0.751 (chance is 0.5)"
    )
    at_chance = [row for slide in range(30) for row in half_right(2, slide=f"s{slide}")]
    found = scored(at_chance, min_balanced_accuracy=0.5)
    assert (found["learned"], found["p_learned"]) == (False, 1)
    unknown = scored([("", *row[1:]) for row in at_chance], min_balanced_accuracy=0.5)
    assert not unknown["learned"]
    assert np.isnan(unknown["p_learned"])
    assert "includes chance (0.5); no test, because slides are unknown" in unknown["learned_reason"]
    known = scored([("", *row[1:]) for row in rows])
    assert known["learned"]
    assert known["learned_reason"].endswith("no test, because slides are unknown")


@pytest.mark.parametrize(("label", "known"), [("malignant", "sensitivity"), ("benign", "specificity")])
def test_of_one_class_only_its_own_recall_is_known(label, known):
    found = scored([row for row in half_right() if row[1] == label])
    assert found[known] == 0.75
    assert np.isnan(found[[name for name in ("sensitivity", "specificity") if name != known]].astype(float)).all()
    assert np.isnan(found[["balanced_accuracy_low", "balanced_accuracy_high", "auc"]].astype(float)).all()
    assert found["learned_reason"].startswith("one of the classes has no patch")
    assert np.isnan(found["p_learned"])


def test_each_magnification_model_and_split_has_a_row():
    table = predictions()
    several = pd.concat(
        [table, table.assign(magnification=5.0), table.assign(model="shuffled"), table.assign(split="train")]
    )
    found = metrics_table(several, EvaluationParameters())
    assert found[["magnification", "model", "split"]].to_numpy().tolist() == [
        [5.0, "trained", "test"], [20.0, "shuffled", "test"], [20.0, "trained", "test"], [20.0, "trained", "train"],
    ]  # fmt: skip


def test_several_networks_have_a_row_each_and_one_together():
    first, second = predictions(flip=0.1), predictions(flip=0.4, seed=3)
    several = pd.concat([second.assign(network="10"), first.assign(network="9"), first.assign(model="other")])
    found = metrics_table(several, EvaluationParameters())
    assert found[["model", "network"]].to_numpy().tolist() == [
        *(["other", "1"], ["trained", "9"], ["trained", "10"], ["trained", "all"])
    ]
    rows = found.set_index(["model", "network"])
    for name, alone in (("9", first), ("10", second)):
        expected = metrics_table(alone, EvaluationParameters()).iloc[0].drop("network")
        pd.testing.assert_series_equal(rows.loc["trained", name], expected[rows.columns], check_names=False)
    together = rows.loc["trained", "all"]
    assert (together["n_patches"], together["n_slides"]) == (160, 8)
    assert together["sensitivity"] == pytest.approx(rows.loc["trained", ["9", "10"], :]["sensitivity"].mean())
    assert rows.loc[("trained", "10"), "balanced_accuracy"] < together["balanced_accuracy"]


@pytest.mark.parametrize("known", [True, False])
def test_a_slide_or_patch_is_drawn_with_the_rows_of_all_networks(known):
    # the same predictions twice are no more evidence than once
    table = predictions().assign(**({} if known else {"slide_id": ""}))
    twice = pd.concat([table, table.assign(network="2")]).sample(frac=1, random_state=0)
    found = metrics_table(twice, EvaluationParameters()).set_index("network")
    columns = ["balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high", "n_patches", "learned"]
    pd.testing.assert_series_equal(found.loc["all", columns], found.loc["1", columns], check_names=False)


def test_networks_of_folds_together_judge_every_patch_once():
    table = predictions()
    folds = table.assign(network=np.where(table["slide_id"] < "s4", "fold1-1", "fold2-1"))
    found = metrics_table(folds, EvaluationParameters()).set_index("network")
    assert found["n_patches"].to_dict() == {"fold1-1": 80, "fold2-1": 80, "all": 160}
    expected = metrics_table(table, EvaluationParameters()).iloc[0].drop("network")
    pd.testing.assert_series_equal(found.loc["all"], expected[found.columns], check_names=False)


def test_known_probabilities_are_taken_to_the_last_digit():
    keys = pd.DataFrame(
        {"patch_id": ["a", "b"], "slide_id": "s", "patient_id": "", "label": ["benign", "malignant"]}
    ).assign(split="test", magnification=20.0)
    known = np.array([0.0, 0.8])
    with np.errstate(divide="ignore"):
        table = predictions_table(keys, np.stack([np.zeros(2), np.log(known / (1 - known))], 1), "trained", "1", known)
    assert table["p_malignant"].tolist() == [0.0, 0.8]
    assert table["predicted"].tolist() == ["benign", "malignant"]
