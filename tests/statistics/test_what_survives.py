"""Whole made studies, from ledger to verdict: what is planted is found, and what else explains it is named."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from saliency_stats.statistics import StatisticsParameters, headline, study_contrasts, verdicts
from saliency_stats.statistics.ladder import RUNGS, Part

SETTINGS = StatisticsParameters(bootstrap_draws=2_000)
#: Five networks on ten slides, with a signal in the cytoplasm.
USUAL = {"n_slides": 10, "n_per_slide": 4, "planted": "cytoplasm", "n_networks": 5}


@pytest.fixture(scope="module")
def made():
    """The contrasts of studies that have been made; many tests ask the same."""
    return {}


@pytest.fixture
def contrasts_of(made, make_study, make_beside):
    def contrasts(beside=None, **options):
        key = repr((beside, options))
        if key not in made:
            ledger, predictions = make_study(**USUAL | options)
            tables = make_beside(ledger, **beside or {})
            made[key] = study_contrasts(ledger, predictions, settings=SETTINGS, **tables)
        return made[key]

    return contrasts


@pytest.fixture
def judge(contrasts_of, make_metrics):
    def judged(further=None, **options):
        return verdicts(contrasts_of(**options), make_metrics(), SETTINGS, further=further)

    return judged


def answers(verdict):
    return {rung["rung"]: rung["answer"] for rung in verdict["survives"]}


def rung_of(verdict, name):
    return next(rung for rung in verdict["survives"] if rung["rung"] == name)


def test_a_planted_cytoplasm_is_supported_and_stands_on_eight_rungs(judge):
    part = Part("blur", {"estimate": 0.5, "ci_low": 0.2, "ci_high": 0.8, "p_value": 0.01, "status": "tested"})
    part.row.update({"reason": "", "test": "sign_flip", "n_units": 10})
    found = judge({("malignant", 20.0): {"decision": [part]}})
    assert [v["status"] for v in found] == ["supported"] * 2
    for v in found:
        assert [rung["rung"] for rung in v["survives"]] == list(RUNGS)
        assert {
            name: answers(v)[name] for name in ("maps", "training", "picture", "place", "networks")
        } == dict.fromkeys(["maps", "training", "picture", "place", "networks"], "yes")
        assert {answers(v)[name] for name in ("method", "analyses")} == {"not tested"}
        assert [part["name"] for part in rung_of(v, "training")["parts"]] == ["randomised"]
        assert [part["name"] for part in rung_of(v, "picture")["parts"]] == ["eosin", "sobel"]
        assert (v["test"], v["n_networks"], v["explained_by"]) == ("crossed", 5, "")
        assert v["p_supported"] < 0.001
        assert "saliency of 5 networks was" in v["sentence"]
        assert any(
            reason.startswith("5 networks of other seeds: standard deviation between") for reason in v["reasons"]
        )
    assert [answers(v)["decision"] for v in found] == ["yes", "not tested"]
    assert rung_of(found[0], "decision")["numbers"] == "+0.5 logits per area by blur (0.2 to 0.8; p = 0.01)"
    assert headline(found).startswith("As claimed, saliency was denser in the cytoplasm")


def test_a_control_that_does_as_much_is_named(judge):
    for v in judge(untrained_effect=1.0):
        assert (v["status"], v["explained_by"]) == ("present_without_training", "randomised")
        assert (answers(v)["maps"], answers(v)["training"]) == ("yes", "no")
        assert v["p_supported"] > 0.05
        assert "not detectably more than in networks that learned nothing (randomised)" in v["sentence"]


def test_of_two_controls_the_one_that_does_as_much_is_named(judge, contrasts_of, make_metrics):
    contrasts = contrasts_of(models=("trained", "randomised", "shuffled"))
    assert {v["status"] for v in verdicts(contrasts, make_metrics(), SETTINGS)} == {"supported"}
    weak = contrasts.copy()
    weak.loc[(weak["model"] == "trained-shuffled") & (weak["test"] == "crossed"), "p_value"] = 0.4
    found = verdicts(weak, make_metrics(), SETTINGS)
    assert {(v["status"], v["explained_by"]) for v in found} == {("present_without_training", "shuffled")}
    named = verdicts(weak, make_metrics(), SETTINGS, untrained=["randomised"])
    assert {v["status"] for v in named} == {"supported"}


@pytest.mark.parametrize("picture", ["sobel", "eosin"])
def test_a_picture_that_explains_it_is_named(judge, picture):
    for v in judge(beside={"explained": 1.0, "explained_by": picture}):
        assert (v["status"], v["explained_by"]) == ("explained_by_the_picture", picture)
        assert (answers(v)["training"], answers(v)["picture"]) == ("yes", "no")
        assert f"not detectably more than the picture alone ({picture}) explains" in v["sentence"]


def test_what_learned_nothing_comes_before_the_picture(judge):
    found = judge(untrained_effect=1.0, beside={"explained": 1.0})
    assert {v["status"] for v in found} == {"present_without_training"}
    assert {answers(v)["picture"] for v in found} == {"no"}


def test_without_untrained_networks_nothing_is_supported(judge):
    for v in judge(models=("trained",)):
        assert (v["status"], v["explained_by"], v["p_supported"]) == ("inconclusive", "", 1.0)
        rung = rung_of(v, "training")
        assert (rung["answer"], rung["numbers"], rung["parts"]) == ("not tested", "", [])
        assert rung["why"] == "the study has no network that learned nothing: add randomised to its controls"
        assert answers(v)["maps"] == answers(v)["picture"] == "yes"


def test_without_a_map_of_the_picture_nothing_is_supported(judge):
    for v in judge(beside={"pictures": ()}):
        assert v["status"] == "inconclusive"
        assert rung_of(v, "picture")["why"] == (
            "the study has no map of the image alone: add sobel and eosin to its controls"
        )


def test_a_map_that_prefers_the_cytoplasm_wherever_it_lies_supports_nothing(judge):
    for v in judge(beside={"placed": 1.0}):
        assert (v["status"], v["explained_by"]) == ("inconclusive", "")
        assert answers(v) == answers(v) | {"maps": "yes", "training": "yes", "picture": "yes", "place": "no"}
        assert any(reason.endswith("this disagrees with the ratio as it is") for reason in v["reasons"])


def test_a_planted_nucleus_contradicts_the_claim_and_is_asked_in_its_direction(judge):
    for v in judge(planted="nucleus"):
        assert (v["status"], v["explained_by"], v["p_supported"]) == ("contradicted", "", 1.0)
        assert answers(v)["maps"] == answers(v)["training"] == answers(v)["place"] == "yes"
        assert rung_of(v, "maps")["numbers"].startswith("2")
        assert rung_of(v, "maps")["parts"][0]["estimate"] < -0.5


def test_of_one_network_every_sentence_says_so(judge, contrasts_of):
    found = judge(n_networks=1)
    for v in found:
        assert (v["status"], v["test"], v["n_networks"]) == ("supported", "sign_flip", 1)
        assert "saliency of this network was" in v["sentence"]
        rung = rung_of(v, "networks")
        assert (rung["answer"], rung["why"]) == (
            "not tested",
            "one network: how much others would differ is unknown; raise classifier.networks",
        )
        assert any("networks crossed with slides" in reason and "one network" in reason for reason in v["reasons"])
    crossed = contrasts_of(n_networks=1).query("test == 'crossed'")
    assert crossed["reason"].str.contains("one network").any()
    assert crossed["p_value"].isna().all()


@pytest.mark.parametrize("n_networks", [1, 2])
def test_two_slides_are_too_few_and_five_could_not_have_found_it(judge, n_networks):
    assert {v["status"] for v in judge(n_slides=2, n_networks=n_networks)} == {"not_testable"}
    if n_networks == 1:
        for v in judge(n_slides=5, n_networks=1):
            assert v["status"] == "inconclusive"
            assert answers(v) == answers(v) | dict.fromkeys(
                ["maps", "training", "picture", "place"], "could not have been found"
            )


def test_a_picture_judged_as_if_it_were_the_networks_is_explained_by_itself(make_study, make_beside, make_metrics):
    ledger, predictions = make_study(**USUAL | {"n_networks": 1})
    tables = make_beside(ledger)
    matched = tables["matched"]
    same = matched["picture"] == "sobel"
    matched.loc[same, "matched_of_picture"] = matched.loc[same, "matched"]
    contrasts = study_contrasts(ledger, predictions, settings=SETTINGS, **tables)
    excess = contrasts.query("contrast == 'matched_sobel_excess' and test == 'sign_flip'")
    assert (excess["status"] == "no_inference").all()
    for v in verdicts(contrasts, make_metrics(), SETTINGS):
        assert (v["status"], v["explained_by"]) == ("explained_by_the_picture", "sobel")
        assert rung_of(v, "picture")["answer"] == "no"
        assert rung_of(v, "picture")["numbers"].startswith("1 times what the sobel map explains; not tested: ")


# --- what may not matter ---------------------------------------------------------------------------

NUMBERS = ["estimate", "ci_low", "ci_high", "p_value", "p_adjusted", "p_attainable", "p_equivalence_adjusted"]


def test_order_of_rows_names_of_networks_and_shards_change_no_bit(make_study, make_beside):
    ledger, predictions = make_study(**USUAL | {"n_networks": 3, "n_slides": 5})
    tables = make_beside(ledger)
    expected = study_contrasts(ledger, predictions, settings=SETTINGS, **tables)
    names = {"1": "fold2-1", "2": "b", "3": "a"}
    other = {"ledger": ledger, "predictions": predictions, **tables}
    for name, table in other.items():
        shuffled = table.assign(network=table["network"].map(names)).sample(frac=1, random_state=len(name))
        other[name] = pd.concat([shuffled.iloc[::2], shuffled.iloc[1::2]])
    found = study_contrasts(other.pop("ledger"), other.pop("predictions"), settings=SETTINGS, **other)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_identical_networks_have_the_estimates_of_one(make_study, make_beside):
    ledger, predictions = make_study(**USUAL | {"n_networks": 1, "n_slides": 5})
    tables = make_beside(ledger)
    one = study_contrasts(ledger, predictions, settings=SETTINGS, **tables)

    def copied(table):
        return pd.concat([table.assign(network=name) for name in ("1", "2", "3")], ignore_index=True)

    several = {name: copied(table) for name, table in tables.items()}
    three = study_contrasts(copied(ledger), copied(predictions), settings=SETTINGS, **several)
    alone = one["test"] != "crossed"
    np.testing.assert_allclose(three.loc[alone, NUMBERS], one.loc[alone, NUMBERS], rtol=1e-9, atol=1e-12)
    assert (three.loc[three["n_patches"] > 0, "n_networks"] == 3).all()
    crossed = three[~alone & (three["status"] == "tested")]
    by_t = three.loc[crossed.index + 1]
    assert (by_t["test"] == "t_slide_means").all()
    np.testing.assert_allclose(crossed["estimate"], by_t["estimate"], atol=1e-12)
    assert (crossed["var_network"] < 1e-24).all()
    assert (crossed["p_value"].to_numpy() >= by_t["p_value"].to_numpy() * (1 - 1e-9)).all()


def test_methods_to_compare_with_change_no_p_value_of_the_studys_own(make_study):
    options = USUAL | {"n_networks": 1, "n_slides": 7}
    both, predictions = make_study(**options, methods=("gradient", "other"))
    alone = study_contrasts(both[both["method"] == "gradient"], predictions, settings=SETTINGS)
    found = study_contrasts(both, predictions, settings=SETTINGS)
    own = found[found["method"] == "gradient"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone, check_exact=True)
    assert len(found) == 2 * len(own)


def test_the_verdict_is_read_back_from_the_files(contrasts_of, make_metrics, tmp_path):
    contrasts = contrasts_of()
    contrasts.to_csv(tmp_path / "contrasts.csv", index=False)
    again = pd.read_csv(tmp_path / "contrasts.csv")
    assert verdicts(again, make_metrics(), SETTINGS) == verdicts(contrasts, make_metrics(), SETTINGS)


def test_a_verdict_at_another_level_asks_more(contrasts_of, make_metrics):
    strict = replace(SETTINGS, alpha=1e-12)
    assert {v["status"] for v in verdicts(contrasts_of(), make_metrics(), strict)} == {"inconclusive"}


# --- other designs ---------------------------------------------------------------------------------


def fold_of(table):
    """Name the network of a patch: every second slide is another fold's, and is judged by its networks alone."""
    return table["patch_id"].map(lambda name: f"fold{1 + int(name.split('-')[1]) // 4 % 2}-")


def test_networks_of_folds_judge_slides_of_their_own(make_study, make_beside, make_metrics):
    ledger, predictions = make_study(**USUAL | {"n_networks": 2, "n_slides": 6, "n_per_slide": 4, "effect": 2.0})
    ledger = ledger[ledger["label"] == "benign"]
    tables = {"ledger": ledger, "predictions": predictions, **make_beside(ledger)}
    tables["predictions"] = predictions[predictions["predicted"] == "benign"]
    rows = {name: table.assign(network=fold_of(table) + table["network"]) for name, table in tables.items()}
    contrasts = study_contrasts(rows.pop("ledger"), rows.pop("predictions"), settings=SETTINGS, **rows)
    benign = contrasts[contrasts["label"] == "benign"]
    row = benign.query("contrast == 'cytoplasm_vs_nucleus' and test == 'crossed' and model == 'trained'").iloc[0]
    assert (row["n_networks"], row["n_units"], row["n_patches"]) == (4, 6, 24)
    assert row["reason"].startswith("REML")
    found = {v["label"]: v for v in verdicts(contrasts, make_metrics(), SETTINGS)}
    v = found["benign"]
    assert (v["status"], v["n_networks"], v["n_slides"]) == ("supported", 4, 6)
    assert found["malignant"]["status"] == "not_testable"


@pytest.mark.parametrize("networks", [1, 3])
def test_a_class_of_which_no_network_judges_a_patch_has_its_verdict(make_study, make_beside, make_metrics, networks):
    ledger, predictions = make_study(**USUAL | {"n_networks": networks})
    predictions.loc[predictions["predicted"] == "malignant", "p_malignant"] = 0.6
    contrasts = study_contrasts(ledger, predictions, settings=SETTINGS, **make_beside(ledger))
    found = {v["label"]: v for v in verdicts(contrasts, make_metrics(), SETTINGS)}
    assert found["benign"]["status"] == "supported"
    assert (found["malignant"]["status"], found["malignant"]["n_patches"]) == ("not_testable", 0)
    assert found["malignant"]["sentence"].startswith("No correctly and confidently classified malignant test patch")
    assert set(contrasts.groupby(["label", "test"]).groups) >= {("malignant", "crossed"), ("benign", "crossed")}


@pytest.mark.parametrize("assumed", [False, True])
def test_several_networks_on_unknown_slides(make_study, make_beside, make_metrics, assumed):
    ledger, predictions = make_study(**USUAL | {"n_networks": 3})
    unknown = {"slide_id": "", "patient_id": ""}
    tables = {name: table.assign(**unknown) for name, table in make_beside(ledger).items()}
    settings = replace(SETTINGS, assume_independent=assumed)
    contrasts = study_contrasts(ledger.assign(**unknown), predictions, settings=settings, **tables)
    for v in verdicts(contrasts, make_metrics(), settings):
        assert v["status"] == ("supported" if assumed else "not_testable")
        assert ("40 patches taken as independent" in v["sentence"]) == assumed
        assert ("because the slides of the patches are unknown, and" in v["sentence"]) != assumed


def test_a_map_of_the_image_is_a_control_of_every_network(make_study, make_beside, make_metrics):
    ledger, predictions = make_study(**USUAL | {"n_networks": 3})
    image = ledger[(ledger["model"] == "randomised") & (ledger["network"] == "1")]
    image = image.assign(model="sobel", method="sobel", reduction="none", network="")
    contrasts = study_contrasts(pd.concat([ledger, image]), predictions, settings=SETTINGS, **make_beside(ledger))
    row = contrasts.query("model == 'trained-sobel' and test == 'crossed' and population == 'judged'").iloc[0]
    assert (row["status"], row["n_networks"], row["n_patches"]) == ("tested", 3, 40)
    own = contrasts.query("model == 'sobel' and contrast == 'cytoplasm_vs_nucleus' and test == 'crossed'").iloc[0]
    assert own["n_networks"] == 3  # one map on the patches of three networks
    for v in verdicts(contrasts, make_metrics(), SETTINGS):
        # a picture is no null by itself: it is matched on, and not climbed over
        assert [part["name"] for part in rung_of(v, "training")["parts"]] == ["randomised"]
        assert any(reason.startswith("trained minus sobel is") for reason in v["reasons"])
