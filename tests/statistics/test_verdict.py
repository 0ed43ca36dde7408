import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import StatisticsParameters, headline, study_contrasts, verdicts
from saliency_stats.statistics.sentences import ratio_words
from saliency_stats.vocabulary import LABELS

SETTINGS = StatisticsParameters(bootstrap_draws=2_000)
CONTRACT = (
    *("claim", "status", "sentence", "contrast", "label", "magnification", "estimate", "ci_low", "ci_high"),
    *("p_adjusted", "n_slides", "reasons"),
)


@pytest.fixture
def judge(make_study, make_beside, make_metrics):
    def judged(settings=SETTINGS, *, learned=True, change=lambda ledger: ledger, **study):
        ledger, predictions = make_study(**{"n_slides": 10, **study})
        ledger = change(ledger)
        magnifications = tuple(study.get("magnifications", (20.0,)))
        flags = dict.fromkeys(magnifications, learned)
        beside = make_beside(ledger)
        contrasts = study_contrasts(ledger, predictions, settings=settings, learned=flags, **beside)
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
        assert v["sentence"].startswith("The classifier is not shown to beat chance on the test patches at 20")
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
    wrong = predictions.assign(
        correct=False, predicted=predictions["predicted"].map(dict(zip(LABELS, LABELS[::-1], strict=True)))
    )
    contrasts = study_contrasts(ledger, wrong, settings=SETTINGS)
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
    said = [reason.split(" (p =")[0].split(" (p <")[0] for reason in reasons if "other tests" in reason]
    assert said == [
        "1 of the 2 other tests of this mean agrees: cluster bootstrap (percentile-t)",
        "1 of the 2 other tests of this mean disagrees: t over slide means",
    ]


def test_a_significant_test_in_the_other_direction_disagrees(judge):
    _, contrasts, metrics = judge(planted="cytoplasm")
    changed = (contrasts["test"] == "t_slide_means") & (contrasts["family"] == "primary")
    contrasts.loc[changed, "estimate"] *= -1
    reasons = verdicts(contrasts, metrics, SETTINGS)[0]["reasons"]
    assert any("other tests of this mean disagrees: t over slide means" in reason for reason in reasons)


@pytest.mark.parametrize(("n_slides", "least"), [(5, "0.12"), (6, "0.062"), (7, None)])
def test_too_few_slides_for_any_significance_are_named(judge, n_slides, least):
    found, _, _ = judge(planted="cytoplasm", effect=3.0, slide_sd=0.0, n_slides=n_slides)
    said = f"nothing could have been found here: the smallest p-value that {n_slides} slides can give, after the "
    reasons = [reason for v in found for reason in v["reasons"] if reason.startswith("nothing could have been found")]
    assert reasons == ([] if least is None else [f"{said}correction, is {least}"] * 2)
    assert {v["status"] for v in found} == {"supported" if least is None else "inconclusive"}
    for v in found:
        answers = {rung["rung"]: rung["answer"] for rung in v["survives"]}
        asked = ["maps", "training", "picture", "place"]
        assert {answers[rung] for rung in asked} == {"yes" if least is None else "could not have been found"}
        assert not any("no detectable difference" in reason for reason in v["reasons"])


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


# --- rows written by hand ---------------------------------------------------------------------------


def by_hand(**changes):
    """Return a row of ``contrasts.csv`` of the primary contrast of ten slides, with a ratio of two."""
    row = {"contrast": "cytoplasm_vs_nucleus", "label": "benign", "magnification": 20.0, "model": "trained"}
    row |= {"method": "gradient", "reduction": "l2", "estimate": 1.0, "ci_low": 0.5, "ci_high": 2.0, "se": 0.2}
    row |= {"test": "sign_flip", "p_adjusted": 0.01, "family": "primary", "icc": np.nan, "design_effect": np.nan}
    row |= {"n_slides": 10, "n_patches": 1_200, "n_effective": np.nan, "status": "tested", "reason": ""}
    row |= {"n_networks": 1, "population": "judged", "p_attainable": 0.004}
    row |= dict.fromkeys(
        ["p_equivalence_adjusted", "least_margin", "bound_low", "bound_high", "n_effective_units"], np.nan
    )
    # nothing is named as the densest
    return row | {"unit": "slide", "n_units": 10, "n_missing": 0, "p_value": 0.06} | changes


def standing(**changes):
    """Return rows with all that "supported" needs, ``changes`` in that of the primary contrast."""
    own = by_hand(**{"p_value": 0.01, **changes})
    control = by_hand(model="trained-randomised", family="control", p_value=0.01)
    return own, control, by_hand(contrast="matched_sobel_excess", family="picture", p_value=0.01)


def verdict_of(*rows, settings=SETTINGS, metrics=None):
    accuracy = {"balanced_accuracy": 0.9, "balanced_accuracy_low": 0.8, "balanced_accuracy_high": 0.95}
    learned = {"magnification": 20.0, "model": "trained", "split": "test", "learned": True, "learned_reason": ""}
    table = pd.DataFrame([learned | accuracy]) if metrics is None else metrics
    return verdicts(pd.DataFrame(rows), table, settings)[0]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "supported"),
        ({"p_adjusted": 0.0499}, "supported"),
        ({"p_adjusted": 0.0499, "estimate": -1.0}, "contradicted"),
        ({"p_adjusted": 0.05}, "inconclusive"),
        ({"p_adjusted": 0.05, "p_equivalence_adjusted": 0.05}, "equivalent"),
        ({"p_adjusted": 0.05, "p_equivalence_adjusted": 0.0501}, "inconclusive"),
        ({"p_adjusted": 0.05, "p_equivalence_adjusted": 0.01, "p_attainable": 0.05}, "equivalent"),
        ({"p_adjusted": 0.05, "p_equivalence_adjusted": 0.01, "p_attainable": 0.0501}, "inconclusive"),
        ({"p_adjusted": 0.01, "p_equivalence_adjusted": 0.01}, "supported"),
        ({"p_value": 0.05}, "inconclusive"),
        ({"status": "no_inference"}, "not_testable"),
        ({"status": "not_interpretable"}, "not_testable"),
    ],
)
def test_the_status_of_a_row(changes, status):
    assert verdict_of(*standing(**changes))["status"] == status


def test_within_the_margin_and_significant_says_both():
    said = "significant, but within the equivalence margin (±0.1 log2)"
    assert verdict_of(by_hand(p_equivalence_adjusted=0.01))["reasons"] == [said]
    assert verdict_of(by_hand(p_adjusted=0.05, p_equivalence_adjusted=0.01))["reasons"] == []
    assert verdict_of(by_hand(p_equivalence_adjusted=0.06))["reasons"] == []


def test_what_could_not_have_been_found_is_said():
    said = (
        "nothing could have been found here: the smallest p-value that 5 slides can give, after the correction, is 0.05"
    )
    row = {"n_units": 5, "p_adjusted": 0.3}
    assert verdict_of(by_hand(**row, p_attainable=0.05))["reasons"] == [said]
    assert verdict_of(by_hand(**row, p_attainable=0.049))["reasons"] == []
    untested = by_hand(**row, p_attainable=np.nan, status="no_inference", reason="few")
    assert verdict_of(untested)["reasons"] == ["few"]


def test_the_other_tests_of_the_same_mean_agree_or_not_in_words():
    rows = [
        by_hand(reason="odd"),
        by_hand(test="t_slide_means", p_adjusted=0.0499, reason="odd; wide"),
        by_hand(test="cluster_bootstrap", p_adjusted=0.05),
        by_hand(test="permutation", p_adjusted=0.001, estimate=-1.0),
        by_hand(test="wilcoxon", p_adjusted=0.9),  # of another mean
        by_hand(test="mixed_satterthwaite", status="no_inference", reason="one row each"),
        by_hand(test="t_slide_means", contrast="stroma_vs_rest", p_adjusted=0.9),
        by_hand(test="t_slide_means", model="shuffled", p_adjusted=0.9),
        by_hand(test="t_slide_means", population="all test patches", p_adjusted=0.9),
    ]
    assert verdict_of(*rows)["reasons"] == [
        "odd",
        "t over slide means: wide",
        "random intercept (Satterthwaite): no test, because one row each",
        "1 of the 3 other tests of this mean agrees: t over slide means (p = 0.05 after Holm)",
        (
            "2 of the 3 other tests of this mean disagree: cluster bootstrap (percentile-t) (p = 0.05 after Holm), "
            "permutation of slides between classes (studentised) (p = 0.001 after Holm)"
        ),
    ]
    calm = [by_hand(p_adjusted=0.5), by_hand(test="t_slide_means", p_adjusted=0.6, estimate=-0.1)]
    assert verdict_of(*calm)["reasons"] == [
        "1 of the 1 other tests of this mean agrees: t over slide means (p = 0.6 after Holm)"
    ]
    calm.append(by_hand(test="cluster_bootstrap", p_adjusted=0.05))
    assert verdict_of(*calm)["reasons"][0].startswith("all 2 other tests of this mean agree: t over")


def test_controls_in_words():
    control = by_hand(model="trained-sobel", family="control")
    dash = "\N{EN DASH}"
    change = f"trained minus sobel is +1.00 log2 (a factor of 2; 95 % CI 1.41{dash}4; p = "
    out_of_reach = "nothing could have been found here: the smallest p-value that 10 slides can give, after the "
    out_of_reach += "correction, is 0.05"
    for changes, said in (
        ({}, f"{change}0.01 after Holm): the trained model's saliency is shifted towards the cytoplasm"),
        ({"p_adjusted": 0.05}, f"{change}0.05 after Holm): no detectable difference from the control sobel"),
        ({"p_adjusted": 0.05, "p_attainable": 0.05}, f"{change}0.05 after Holm): {out_of_reach}"),
        ({"status": "no_inference", "reason": "few"}, "trained minus sobel is +1.00 log2, not tested, because few"),
        ({"estimate": np.nan}, "no patch can be compared with the control sobel"),
    ):
        assert verdict_of(by_hand(), control | changes)["reasons"] == [said]
    turned = verdict_of(by_hand(), control | {"estimate": -1.0})["reasons"][0]
    assert turned.endswith("shifted towards the nuclei")
    assert verdict_of(by_hand(), control | {"test": "wilcoxon"})["reasons"] == []
    assert verdict_of(by_hand(), control | {"label": "malignant"})["reasons"] == []


def test_what_limits_a_verdict_is_said():
    found = verdict_of(by_hand(n_missing=1, icc=0.256, design_effect=6.04, n_effective=198.6))
    assert found["reasons"] == [
        "1 patch of 1,201 selected left out: nucleus or cytoplasm is missing there or holds no saliency",
        "intraclass correlation 0.26, design effect 6.0: 1,200 patches tell as much as 199 independent ones",
    ]
    named = "cytoplasm and nuclei do not differ significantly, although one of them is named as the densest"
    for p_adjusted, p_value, said in ((0.05, 0.05, True), (0.049, 0.05, False), (0.05, 0.06, False)):
        found = verdict_of(by_hand(p_adjusted=p_adjusted, p_value=p_value))
        assert (named in found["reasons"]) == said
        assert found["densest_compartment"] == (None if p_value > 0.05 else "cytoplasm")
    stroma = by_hand(contrast="stroma_vs_cytoplasm", p_value=0.01)
    assert named not in verdict_of(by_hand(p_adjusted=0.05, p_value=0.01), stroma)["reasons"]


def test_a_verdict_carries_its_numbers_and_names():
    found = verdict_of(by_hand(p_adjusted=np.nan, ci_low=np.nan, ci_high=np.inf, status="no_inference", reason="few"))
    assert (found["estimate"], found["ci_low"], found["ci_high"], found["p_adjusted"]) == (1.0, None, None, None)
    assert (found["p_words"], found["obstacle"], found["learned"]) == ("", "few", True)
    assert found["claim"] == "In benign patches at 20×, saliency is denser in the cytoplasm than in the nuclei."
    assert verdict_of(by_hand())["p_words"] == "p = 0.01 after Holm"
    assert "saliency of this network was 2 times" in verdict_of(by_hand())["sentence"]
    both = verdict_of(by_hand(), by_hand(method="other"))["sentence"]
    assert "saliency of this network (gradient, l2) was" in both


# --- several networks, and what is corrected together -----------------------------------------------


def test_several_networks_are_decided_by_the_crossed_test():
    rows = [row | {"test": "crossed", "n_networks": 3, "var_network": 0.01, "var_unit": 0.04} for row in standing()]
    rows = [row | {"network_share": 0.4} for row in rows]
    alone = [row | {"n_networks": 3, "p_value": 0.9, "p_adjusted": 0.9} for row in standing()]
    found = verdict_of(*rows, *alone)
    assert (found["status"], found["test"], found["n_networks"]) == ("supported", "crossed", 3)
    assert found["survives"][6]["answer"] == "yes"
    assert found["survives"][6]["parts"][0]["name"] == "3 networks"


def test_all_networks_together_say_whether_the_classes_were_learned(make_metrics):
    one, two, together = (make_metrics(learned=learned) for learned in (True, True, False))
    metrics = pd.concat([one.assign(network="1"), two.assign(network="2"), together.assign(network="all")])
    found = verdict_of(*standing(), metrics=metrics)
    assert (found["status"], found["learned"], found["survives"], found["p_supported"]) == (
        *("not_testable", False, []),
        None,
    )
    assert "balanced accuracy 0.51" in found["sentence"]


def p_supported(*samples):
    rows = [row | {"label": label} for label, sample in zip("ab", samples, strict=False) for row in sample]
    metric = {"balanced_accuracy": 0.9, "balanced_accuracy_low": 0.8, "balanced_accuracy_high": 0.95, "learned": True}
    table = pd.DataFrame([metric | {"magnification": 20.0, "model": "trained", "split": "test", "learned_reason": ""}])
    return verdicts(pd.DataFrame(rows), table, SETTINGS)


def statuses(found):
    return [(v["status"], v["p_supported"]) for v in found]


def test_the_p_value_of_supported_is_the_largest_of_its_parts_after_holm():
    assert statuses(p_supported(standing())) == [("supported", 0.01)]
    own, control, picture = standing()
    weak = (own, control | {"p_value": 0.04}, picture)
    assert statuses(p_supported(weak)) == [("supported", 0.04)]
    # the first is tested at half the level, and once it is rejected the second at the level
    assert statuses(p_supported(standing(), weak)) == [("supported", 0.02), ("supported", 0.04)]
    kept = (own, control | {"p_value": 0.03}, picture)
    assert statuses(p_supported(kept, weak)) == [
        ("present_without_training", 0.06),
        ("present_without_training", 0.06),
    ]
    assert [v["explained_by"] for v in p_supported(kept, weak)] == ["randomised"] * 2


def test_what_was_not_tested_costs_the_others_nothing_and_has_no_p_value():
    untested = standing(status="no_inference", reason="few")
    assert statuses(p_supported(untested, standing())) == [("not_testable", None), ("supported", 0.01)]


def test_the_rungs_of_an_untested_hypothesis_are_not_corrected():
    own, control, picture = standing(status="no_inference", reason="few")
    found = verdict_of(own, control | {"p_value": 0.3}, picture | {"p_value": 0.0499})
    assert [rung["answer"] for rung in found["survives"]][:3] == ["not tested", "no", "yes"]


def test_a_rung_is_corrected_no_less_than_its_own_family():
    # neither is supported, so that nothing was rejected before the second
    own, control, picture = standing(p_value=0.03, p_adjusted=0.06)
    found = p_supported((own, control | {"p_value": 0.3}, picture), (own, control | {"p_value": 0.4}, picture))
    assert [v["status"] for v in found] == ["inconclusive"] * 2
    assert [v["survives"][0]["answer"] for v in found] == ["no"] * 2


@pytest.mark.parametrize(
    ("place", "status"),
    [
        ([], "supported"),
        ([{}], "supported"),
        ([{"p_value": 0.2}], "inconclusive"),
        ([{"estimate": -1.0}], "inconclusive"),
        ([{"status": "no_inference", "reason": "few"}], "supported"),
        ([{"status": "no_inference", "reason": "few", "estimate": 0.0}], "inconclusive"),
    ],
)
def test_the_place_may_be_unknown_but_not_wrong(place, status):
    rows = [by_hand(contrast="cytoplasm_vs_nucleus_centred", **{"p_value": 0.01, **changes}) for changes in place]
    assert verdict_of(*standing(), *rows)["status"] == status


@pytest.mark.parametrize(
    ("at", "changes", "status", "control"),
    [
        (1, {"p_value": 0.05}, "present_without_training", "randomised"),
        (1, {"estimate": -1.0}, "present_without_training", "randomised"),
        (1, {"n_units": 5, "p_value": 0.0625}, "inconclusive", ""),  # could not have been found
        (1, {"status": "no_inference", "reason": "few"}, "inconclusive", ""),
        (2, {"p_value": 0.05}, "explained_by_the_picture", "sobel"),
        (2, {"n_units": 5, "p_value": 0.0625}, "inconclusive", ""),
        (2, {"n_patches": 10, "n_missing": 11}, "inconclusive", ""),  # nothing can be compared
        (2, {"n_patches": 10, "n_missing": 10}, "supported", ""),
    ],
)
def test_what_is_needed_fails_by_an_answer_and_not_by_silence(at, changes, status, control):
    rows = list(standing())
    rows[at] = rows[at] | changes
    found = verdict_of(*rows)
    assert (found["status"], found["explained_by"]) == (status, control)


def test_a_second_picture_that_cannot_be_compared_does_not_stand_in_the_way():
    other = by_hand(contrast="matched_haematoxylin_excess", n_patches=1, n_missing=1_199, p_value=0.9)
    found = verdict_of(*standing(), other)
    assert found["status"] == "supported"
    assert [part["answer"] for part in found["survives"][2]["parts"]] == ["yes", "not tested"]
