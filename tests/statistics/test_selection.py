import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import learned_flags, primary_population, restrict
from saliency_stats.statistics.selection import (
    AT_CHANCE,
    mute,
    of_all_networks,
    plain,
    unlearned_of,
    with_network,
    without_network,
)


def predictions():
    """Four test patches: confident, hesitant, wrong, benign; one of another split; a control that errs."""
    rows = [
        ("sure", "trained", "test", 0.95, "malignant", True),
        ("hesitant", "trained", "test", 0.7, "malignant", True),
        ("wrong", "trained", "test", 0.97, "malignant", False),
        ("benign", "trained", "test", 0.04, "benign", True),
        ("seen", "trained", "train", 0.99, "malignant", True),
        ("sure", "randomised", "test", 0.4, "benign", False),
    ]
    columns = ["patch_id", "model", "split", "p_malignant", "predicted", "correct"]
    return pd.DataFrame(rows, columns=columns).assign(magnification=20.0)


def test_the_trained_model_selects_correct_and_confident_patches_of_the_split():
    found = primary_population(predictions(), min_confidence=0.9)
    assert found.patches[["patch_id", "label"]].to_numpy().tolist() == [
        ["sure", "malignant"],
        ["benign", "benign"],
    ]
    counts = found.counts.set_index("label")[["evaluated", "correct", "confident"]]
    assert counts.loc["malignant"].tolist() == [2, 2, 1]
    assert counts.loc["benign"].tolist() == [2, 1, 1]


def test_confidence_is_that_of_the_true_class_and_its_bound_counts():
    assert len(primary_population(predictions(), min_confidence=0.95).patches) == 2
    assert len(primary_population(predictions(), min_confidence=0.951).patches) == 1
    assert len(primary_population(predictions(), min_confidence=0.0).patches) == 3


def test_controls_are_read_on_the_same_patches(make_study):
    ledger, made = make_study(n_slides=3, n_per_slide=2)
    made.loc[made["model"] == "randomised", "correct"] = False
    population = primary_population(made, min_confidence=0.9)
    kept = restrict(ledger, population.patches)
    assert kept.groupby("model")["patch_id"].nunique().to_dict() == {"trained": 12, "randomised": 12}


def test_labels_that_disagree_between_tables_are_refused(make_study):
    ledger, made = make_study(n_slides=3, n_per_slide=2)
    population = primary_population(made, min_confidence=0.9)
    with pytest.raises(StatisticsError, match="is benign in the ledger but malignant"):
        restrict(ledger.assign(label="benign"), population.patches)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (predictions().drop(columns="correct"), "no column correct"),
        (predictions().assign(split="valid"), "none of model 'trained' on split 'test' .*trained/valid"),
        (pd.concat([predictions(), predictions()]), "sure occurs twice at 20"),
        (predictions().assign(predicted="Tumour"), "unknown label 'Tumour'"),
        (predictions().assign(p_malignant=1.2), "not probabilities"),
        (predictions().assign(p_malignant=np.nan), "not probabilities"),
        (predictions().assign(correct="yes"), "correct holds 'yes'"),
    ],
)
def test_wrong_predictions_are_named(table, message):
    with pytest.raises(StatisticsError, match=message):
        primary_population(table, min_confidence=0.9)


def test_learned_flags_are_those_of_the_trained_model_on_the_split(make_metrics):
    metrics = pd.concat(
        [
            make_metrics(magnifications=(10.0,), learned=False),
            make_metrics(magnifications=(20.0,)),
            make_metrics(magnifications=(20.0,), learned=False).assign(split="train"),
            make_metrics(magnifications=(20.0,), learned=False).assign(model="randomised"),
        ]
    )
    assert learned_flags(metrics) == {10.0: False, 20.0: True}
    with pytest.raises(StatisticsError, match="two rows"):
        learned_flags(pd.concat([metrics, metrics]))


def test_patches_that_are_correct_and_not_confident_are_unsure(make_study):
    found = primary_population(predictions(), min_confidence=0.9)
    assert found.unsure.to_numpy().tolist() == [["hesitant", 20.0, "1", "malignant"]]
    assert list(found.patches) == list(found.unsure) == ["patch_id", "magnification", "network", "label"]
    ledger = found.unsure.assign(value=1.0)
    assert restrict(ledger, found.patches).empty
    assert restrict(ledger, found.unsure)["value"].tolist() == [1.0]


def test_another_model_and_split_can_decide():
    found = primary_population(predictions().assign(split="valid"), min_confidence=0.5, evaluation_split="valid")
    assert len(found.patches) == 4
    with pytest.raises(StatisticsError, match=r"none of model 'shuffled' on split 'test' \(found: randomised/test, "):
        primary_population(predictions(), min_confidence=0.5, model="shuffled")
    control = predictions().assign(correct=True)
    assert primary_population(control, min_confidence=0.5, model="randomised").patches["label"].tolist() == ["benign"]


@pytest.mark.parametrize("p_malignant", [0.0, 1.0])
def test_certainty_is_a_probability(p_malignant):
    found = primary_population(predictions().assign(p_malignant=p_malignant), min_confidence=0.9)
    assert len(found.patches) == (2 if p_malignant else 1)
    for wrong in (-0.01, 1.01):
        with pytest.raises(StatisticsError, match="not probabilities"):
            primary_population(predictions().assign(p_malignant=wrong), min_confidence=0.9)


def test_what_is_no_truth_value_is_named_wherever_it_stands():
    table = predictions().astype({"correct": object})
    table.loc[2, "correct"] = "maybe"  # after a True and before a False
    with pytest.raises(StatisticsError, match="predictions: column correct holds 'maybe', expected True or False"):
        primary_population(table, min_confidence=0.9)
    table.loc[[0, 2], "correct"] = [False, "maybe"]
    with pytest.raises(StatisticsError, match="holds 'maybe'"):
        primary_population(table, min_confidence=0.9)


def test_magnifications_that_did_not_learn_are_known_or_refused():
    assert unlearned_of([10, 20], None) == set()
    assert unlearned_of([10, 20], {10: True, 20.0: False, 40: False}) == {20}
    with pytest.raises(StatisticsError, match=r"nothing is said about magnification 20 \(found: \[10\]\)"):
        unlearned_of([10, 20], {10: True})
    assert [type(plain(value)) for value in (np.float64(2), 2, "a")] == [float, int, str]


# --- several networks ------------------------------------------------------------------------------


def of_two_networks():
    """Network 1 is sure of two patches, network 2 of one of them and of another."""
    two = predictions().assign(network="2")
    two.loc[two["patch_id"] == "sure", "p_malignant"] = 0.6
    two.loc[two["patch_id"] == "hesitant", "p_malignant"] = 0.99
    return pd.concat([predictions().assign(network="1"), two], ignore_index=True)


def test_each_network_chooses_its_own_patches():
    found = primary_population(of_two_networks(), min_confidence=0.9)
    chosen = found.patches.groupby("network")["patch_id"].agg(set).to_dict()
    assert chosen == {"1": {"sure", "benign"}, "2": {"hesitant", "benign"}}
    assert found.unsure.groupby("network")["patch_id"].agg(set).to_dict() == {"1": {"hesitant"}, "2": {"sure"}}
    assert found.evaluated.groupby("network").size().to_dict() == {"1": 4, "2": 4}
    assert set(found.evaluated["patch_id"]) == {"sure", "hesitant", "wrong", "benign"}
    assert list(found.evaluated) == [*found.patches, "chosen"]
    chosen = found.evaluated.set_index(["network", "patch_id"])["chosen"].to_dict()
    assert chosen == {
        ("1", "sure"): "judged",
        ("1", "hesitant"): "unsure",
        ("1", "wrong"): "",
        ("1", "benign"): "judged",
        ("2", "sure"): "unsure",
        ("2", "hesitant"): "judged",
        ("2", "wrong"): "",
        ("2", "benign"): "judged",
    }
    # the wrong one counts with its true class
    assert found.evaluated.set_index("patch_id").loc["wrong", "label"].tolist() == ["benign", "benign"]
    assert found.counts["evaluated"].sum() == 8
    assert found.of_any_network["patch_id"].tolist() == ["sure", "benign", "hesitant"]
    assert list(found.of_any_network) == ["patch_id", "magnification", "label"]


def test_one_network_may_not_judge_a_patch_twice():
    table = of_two_networks()
    with pytest.raises(StatisticsError, match=r"patch sure occurs twice at 20\.0 for network 1"):
        primary_population(table.assign(network="1"), min_confidence=0.9)


def test_rows_of_a_network_are_those_that_it_selected_and_those_of_an_image_of_all_that_did():
    population = primary_population(of_two_networks(), min_confidence=0.9)
    rows = [("trained", "1"), ("trained", "2"), ("randomised", "1"), ("sobel", "")]
    ledger = pd.DataFrame(
        [
            {"patch_id": patch, "magnification": 20.0, "label": label, "model": model, "network": network}
            for model, network in rows
            for patch, label in (("sure", "malignant"), ("hesitant", "malignant"), ("benign", "benign"))
        ]
    )
    found = restrict(ledger, population.patches)
    assert list(found) == list(ledger)
    chosen = found.groupby(["model", "network"])["patch_id"].agg(set).to_dict()
    one, two = {"sure", "benign"}, {"hesitant", "benign"}
    assert chosen == {
        ("trained", "1"): one,
        ("trained", "2"): two,
        ("randomised", "1"): one,
        ("sobel", "1"): one,
        ("sobel", "2"): two,
    }
    assert len(found) == 10
    without = restrict(ledger[ledger["model"] == "sobel"].drop(columns="network"), population.patches)
    assert without["patch_id"].tolist() == ["sure", "hesitant", "benign"]  # whichever network selected them, once
    alone = restrict(ledger[ledger["model"] == "sobel"], population.patches)
    assert alone["network"].value_counts().to_dict() == {"1": 2, "2": 2}
    wrong = ledger.assign(label=ledger["label"].mask(ledger["network"] == "", "benign"))
    with pytest.raises(StatisticsError, match="patch sure is benign in the ledger but malignant"):
        restrict(wrong, population.patches)


def test_a_table_without_networks_is_of_network_one():
    assert with_network(predictions())["network"].unique().tolist() == ["1"]
    table = of_two_networks()
    assert with_network(table) is table
    assert without_network(table[["patch_id", "network"]])["patch_id"].tolist() == [
        *("sure", "hesitant", "wrong", "benign", "seen")
    ]


def test_networks_are_judged_together_where_there_are_several(make_metrics):
    one, two, together = (make_metrics(learned=learned) for learned in (True, False, True))
    metrics = pd.concat(
        [one.assign(network="1"), two.assign(network="2"), together.assign(network="all", balanced_accuracy=0.7)],
        ignore_index=True,
    )
    assert of_all_networks(metrics)["balanced_accuracy"].tolist() == [0.7]
    assert learned_flags(metrics) == {20.0: True}
    alone = make_metrics(magnifications=(10.0,), learned=False).assign(network="1")
    other_split = one.assign(network="1", split="train")
    found = of_all_networks(pd.concat([metrics, alone, other_split], ignore_index=True))
    assert found[["magnification", "split", "network"]].to_numpy().tolist() == [
        [20.0, "test", "all"],
        [10.0, "test", "1"],
        [20.0, "train", "1"],
    ]
    assert learned_flags(pd.concat([metrics, alone], ignore_index=True)) == {20.0: True, 10.0: False}
    with pytest.raises(StatisticsError, match="two rows"):
        learned_flags(metrics[metrics["network"] != "all"])


def test_what_was_not_learned_has_estimates_and_no_findings():
    table = pd.DataFrame({"estimate": [1.0, 2.0], "status": "tested", "reason": "", "n_tests": 3, "n_agree": 2})
    numbers = ["statistic", "df", "p_value", "ci_low", "ci_high", "effect_size", "effect_size_low", "skewness"]
    numbers += ["effect_size_high", "superiority", "superiority_low", "superiority_high", "p_equivalence"]
    table = table.assign(**dict.fromkeys(numbers, 0.5))
    mute(table, pd.Series([True, False]))
    assert table.loc[0, numbers].isna().all()
    assert table.loc[1, numbers].eq(0.5).all()
    assert table["estimate"].tolist() == [1.0, 2.0]
    assert table[["n_tests", "n_agree"]].to_numpy().tolist() == [[0, 0], [3, 2]]
    assert table["status"].tolist() == ["not_interpretable", "tested"]
    assert table["reason"].tolist() == [AT_CHANCE, ""]
