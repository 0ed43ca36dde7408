import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import StatisticsParameters, headline, study_contrasts, verdicts
from saliency_stats.statistics.sentences import ratio_words

SETTINGS = StatisticsParameters(bootstrap_draws=2_000)
CONTRACT = (
    *("claim", "status", "sentence", "contrast", "label", "magnification", "estimate", "ci_low", "ci_high"),
    *("p_adjusted", "n_slides", "reasons"),
)


@pytest.fixture
def judge(make_study, make_metrics):
    def judged(settings=SETTINGS, *, learned=True, change=lambda ledger: ledger, **study):
        ledger, predictions = make_study(**{"n_slides": 10, **study})
        magnifications = tuple(study.get("magnifications", (20.0,)))
        flags = dict.fromkeys(magnifications, learned)
        contrasts = study_contrasts(change(ledger), predictions, settings=settings, learned=flags)
        metrics = make_metrics(magnifications=magnifications, learned=learned)
        return verdicts(contrasts, metrics, settings), contrasts, metrics

    return judged


@pytest.mark.parametrize(
    ("planted", "status", "words", "named"),
    [
        (
            "cytoplasm",
            "supported",
            "times as dense in the cytoplasm as in the nuclei",
            "the cytoplasm was the densest",
        ),
        (
            "nucleus",
            "contradicted",
            "times as dense in the nuclei as in the cytoplasm",
            "the nuclei were the densest",
        ),
    ],
)
def test_the_planted_compartment_decides_and_is_named(judge, planted, status, words, named):
    found, _, _ = judge(planted=planted)
    assert [v["status"] for v in found] == [status, status]
    assert [v["label"] for v in found] == ["malignant", "benign"]
    for v in found:
        assert v["densest_compartment"] == planted
        assert words in v["sentence"]
        assert named in v["sentence"]
        assert "10 slides, 80 patches" in v["sentence"]
        assert "after Holm" in v["sentence"]
        assert f"classified {v['label']} test patches at 20\N{MULTIPLICATION SIGN}" in v["sentence"]
        towards = {"cytoplasm": "the cytoplasm", "nucleus": "the nuclei"}[planted]
        shifts = [reason for reason in v["reasons"] if reason.startswith("trained minus randomised")]
        assert [reason.endswith(f"shifted towards {towards}") for reason in shifts] == [True]
    assert f"the densest tissue compartment was {named.split(' w')[0]}" in headline(found)


def test_stroma_is_named_although_the_claim_is_about_others(judge):
    found, _, _ = judge(planted="stroma", effect=1.5)
    assert {v["densest_compartment"] for v in found} == {"stroma"}
    assert "the densest tissue compartment was the stroma" in headline(found)
    assert all(v["status"] in {"inconclusive", "equivalent"} for v in found)


def test_the_verdict_of_the_numbers(judge):
    found, contrasts, _ = judge(planted="cytoplasm")
    row = contrasts[(contrasts["family"] == "primary") & (contrasts["test"] == "sign_flip")].iloc[0]
    assert set(CONTRACT) <= set(found[0])
    for key in ("estimate", "ci_low", "ci_high", "p_adjusted", "n_slides", "n_patches"):
        assert found[0][key] == row[key]
    assert ratio_words(row["estimate"]) in found[0]["sentence"]
    json.dumps(found, allow_nan=False)


def test_a_classifier_at_chance_concludes_nothing(judge):
    found, _, _ = judge(learned=False, planted="cytoplasm")
    for v in found:
        assert (v["status"], v["learned"], v["densest_compartment"]) == ("not_testable", False, None)
        assert "at chance" in v["sentence"]
        assert "balanced accuracy 0.51, interval 0.46" in v["sentence"]
        assert "nothing can be concluded" in v["sentence"]
        assert "times as dense" not in v["sentence"]
        assert v["p_adjusted"] is None
        assert v["reasons"] == ["the interval of its balanced accuracy covers 0.5"]
    assert headline(found).startswith("Nothing can be concluded")
    json.dumps(found, allow_nan=False)


def test_an_unknown_interval_of_the_accuracy_is_said_to_be_unknown(judge):
    _, contrasts, metrics = judge(learned=False)
    found = verdicts(contrasts, metrics.assign(balanced_accuracy_low=np.nan), SETTINGS)
    assert "interval unknown" in found[0]["sentence"]


def test_unknown_slides_give_the_estimate_and_the_reason_in_plain_words(judge):
    found, _, _ = judge(planted="nucleus", change=lambda t: t.assign(slide_id="", patient_id=""))
    for v in found:
        assert (v["status"], v["densest_compartment"]) == ("not_testable", "nucleus")
        assert v["estimate"] < -0.5
        assert v["p_adjusted"] is None
        assert "times as dense in the nuclei" in v["sentence"]
        assert "No p-value and no interval is given, because the slides of the patches are unknown" in v["sentence"]
        assert "p =" not in v["sentence"]
        assert "p <" not in v["sentence"]
    assert "No test is possible" in headline(found)
    assert headline(found).endswith("; by estimate alone, the densest tissue compartment was the nuclei.")
    json.dumps(found, allow_nan=False)


def test_patches_assumed_to_be_independent_are_called_so(judge):
    found, _, _ = judge(
        replace(SETTINGS, assume_independent=True),
        planted="nucleus",
        change=lambda t: t.assign(slide_id="", patient_id=""),
    )
    assert {v["status"] for v in found} == {"contradicted"}
    assert "80 patches taken as independent" in found[0]["sentence"]
    assert any("assumed to be independent" in reason for reason in found[0]["reasons"])


def test_too_few_slides_are_not_testable(judge):
    found, _, _ = judge(n_slides=2, planted="cytoplasm")
    assert {v["status"] for v in found} == {"not_testable"}
    assert "there are only 2 slides, and a test needs at least 3" in found[0]["sentence"]


def test_no_patches_are_not_testable(make_study, make_metrics):
    ledger, predictions = make_study()
    contrasts = study_contrasts(ledger, predictions.assign(correct=False), settings=SETTINGS)
    found = verdicts(contrasts, make_metrics(), SETTINGS)
    assert found[0]["estimate"] is None
    assert found[0]["sentence"].startswith("No correctly and confidently classified malignant test patch at 20")
    assert "nothing can be tested" in found[0]["sentence"]
    json.dumps([*found, headline(found)], allow_nan=False)


def test_no_preference_can_be_a_finding(judge):
    study = {"n_slides": 12, "n_per_slide": 40, "slide_sd": 0.0}
    found, _, _ = judge(replace(SETTINGS, equivalence_margin=0.2), **study)
    assert {v["status"] for v in found} == {"equivalent"}
    assert "equally dense" in headline(found)
    found, _, _ = judge(replace(SETTINGS, equivalence_margin=0.001), **study)
    assert {v["status"] for v in found} == {"inconclusive"}


def test_a_significant_but_small_difference_says_both(judge):
    settings = replace(SETTINGS, equivalence_margin=0.3)
    found, _, _ = judge(settings, n_slides=12, n_per_slide=40, slide_sd=0.0, planted="cytoplasm", effect=0.15)
    assert found[0]["status"] == "supported"
    assert any("within the equivalence margin" in reason for reason in found[0]["reasons"])


def test_disagreement_of_the_other_tests_is_reported(judge):
    _, contrasts, metrics = judge(planted="cytoplasm")
    changed = (contrasts["test"] == "t_slide_means") & (contrasts["family"] == "primary")
    contrasts.loc[changed, "p_adjusted"] = 0.2
    reasons = verdicts(contrasts, metrics, SETTINGS)[0]["reasons"]
    assert any(reason.startswith("1 of the 8 other tests disagrees: t over slide means (p = 0.2") for reason in reasons)
    assert any(reason.startswith("7 of the 8 other tests agree: cluster bootstrap") for reason in reasons)


def test_a_significant_test_in_the_other_direction_disagrees(judge):
    _, contrasts, metrics = judge(planted="cytoplasm")
    changed = (contrasts["test"] == "wilcoxon") & (contrasts["family"] == "primary")
    contrasts.loc[changed, "estimate"] *= -1
    reasons = verdicts(contrasts, metrics, SETTINGS)[0]["reasons"]
    assert any("other tests disagrees: Wilcoxon over slides" in reason for reason in reasons)


@pytest.mark.parametrize(("n_slides", "said"), [(5, True), (6, True), (7, False)])
def test_too_few_slides_for_any_significance_are_named(judge, n_slides, said):
    found, _, _ = judge(planted="cytoplasm", effect=3.0, slide_sd=0.0, n_slides=n_slides)
    reasons = [reason for v in found for reason in v["reasons"] if "nothing could have been significant" in reason]
    assert len(reasons) == 2 * said
    assert all("at least 7 slides are needed" in reason for reason in reasons)
    assert {v["status"] for v in found} == {"inconclusive" if said else "supported"}


def test_missing_patches_and_the_design_effect_are_reported(judge):
    def change(ledger):
        gone = ledger["patch_id"].isin(["malignant-1", "malignant-2"]) & (ledger["compartment"] == "nucleus")
        ledger.loc[gone, ["density_ratio", "status"]] = [np.nan, "missing: small"]
        return ledger

    reasons = judge(change=change, slide_sd=0.5)[0][0]["reasons"]
    assert any(reason.startswith("2 patches of 80 selected left out") for reason in reasons)
    assert any("design effect" in reason for reason in reasons)


def test_verdicts_can_be_drawn_from_the_csv_alone(judge):
    for kwargs in (
        {"planted": "cytoplasm"},
        {"n_slides": 2},
        {"change": lambda t: t.assign(slide_id="", patient_id="")},
    ):
        found, contrasts, metrics = judge(**kwargs)
        again = [pd.read_csv(io.StringIO(table.to_csv(index=False))) for table in (contrasts, metrics)]
        assert verdicts(*again, SETTINGS) == found


def test_several_methods_and_magnifications_are_told_apart(judge):
    found, _, _ = judge(planted="cytoplasm", magnifications=(10.0, 20.0), methods=("gradient", "smoothgrad"))
    assert len({v["sentence"] for v in found}) == len(found) == 8
    line = headline(found)
    assert line.count("smoothgrad") == 4
    assert line.endswith(".")
    assert ". " not in line


def test_a_magnification_without_metrics_is_named(judge):
    _, contrasts, metrics = judge()
    with pytest.raises(StatisticsError, match="magnification 20"):
        verdicts(contrasts, metrics.assign(magnification=40.0), SETTINGS)
    with pytest.raises(StatisticsError, match="no column status"):
        verdicts(contrasts.drop(columns="status"), metrics, SETTINGS)
