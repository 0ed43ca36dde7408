"""What a study asks: which samples, of which patches, in which family."""

import pandas as pd
import pytest

from saliency_stats.statistics import FAMILIES, HYPOTHESES, primary_population, restrict
from saliency_stats.statistics.pictures import CENTRED, centred_values, matched_values
from saliency_stats.statistics.questions import BOTH_LABELS, Samples, questions
from saliency_stats.statistics.selection import with_network
from saliency_stats.statistics.values import CONTRASTS, wide_values


@pytest.fixture
def ask(make_study, make_beside):
    def asked(*, unsure=0, image=False, beside=True, reference=20.0, **options):
        ledger, predictions = make_study(**{"n_slides": 3, "n_per_slide": 4, **options})
        if unsure:
            hesitant = predictions["patch_id"].isin([f"benign-{k}" for k in range(unsure)])
            predictions.loc[hesitant, "p_malignant"] = 0.3
        tables = make_beside(ledger) if beside else {}
        if image:
            own = ledger[(ledger["model"] == "randomised")]
            own = own.assign(model="sobel", method="sobel", reduction="none", network="")
            own = own.drop_duplicates(["patch_id", "magnification", "compartment"])
            ledger = pd.concat([with_network(ledger), own], ignore_index=True)
        population = primary_population(predictions, min_confidence=0.8)
        samples = Samples(restrict(wide_values(ledger), population.evaluated))
        further = {}
        if beside:
            wide = [centred_values(tables["shift"]), *matched_values(tables["matched"]).values()]
            for values in (restrict(one, population.patches).assign(chosen="judged") for one in wide):
                names = [name for name in values if f"missing {name}" in values]
                further |= dict.fromkeys(names, Samples(values))
        strata = ledger[["magnification", "model", "method", "reduction"]].drop_duplicates()
        return questions(samples, further, strata, population, reference)

    return asked


def named(asked, **where):
    return [one for one in asked if all(getattr(one, name) == value for name, value in where.items())]


def test_every_question_has_a_hypothesis_that_families_know(ask):
    asked = ask(magnifications=(10.0, 20.0), image=True)
    assert {one.hypothesis for one in asked} == set(HYPOTHESES)
    assert {one.population for one in asked} == {"judged", "all test patches"}


def test_the_trained_networks_contrasts_stand_beside_the_ledgers(ask):
    own = named(ask(), model="trained", label="benign", population="judged")
    assert [one.contrast for one in own][: len(CONTRASTS)] == list(CONTRASTS)
    assert {one.contrast: one.hypothesis for one in own if one.contrast not in CONTRASTS} == {
        CENTRED: CENTRED,
        **dict.fromkeys(["matched_eosin", "matched_eosin_excess", "matched_sobel", "matched_sobel_excess"], "matched"),
        "confident_vs_unsure": "confident_vs_unsure",
    }
    assert FAMILIES["picture"] == ("matched",)
    without = named(ask(beside=False), model="trained", label="benign", population="judged")
    assert [one.contrast for one in without] == [*CONTRASTS, "confident_vs_unsure"]


def test_a_controls_contrasts_are_a_family_of_their_own(ask):
    asked = named(ask(), model="randomised")
    assert {one.hypothesis for one in asked} == {"control_contrasts"}
    assert {one.contrast for one in asked} >= set(CONTRASTS)
    # nothing was shifted or matched of the control: the question is there, and its sample is empty
    assert all(one.patches.empty for one in asked if one.contrast not in CONTRASTS)


def test_selected_patches_are_counted_by_class(ask):
    asked = ask(unsure=2)
    own = named(asked, contrast="cytoplasm_vs_nucleus", model="trained", population="judged")
    assert {one.label: (one.n_selected, len(one.patches)) for one in own} == {"benign": (10, 10), "malignant": (12, 12)}
    every = named(asked, contrast="cytoplasm_vs_nucleus", model="trained", population="all test patches")
    assert {one.label: (one.n_selected, len(one.patches)) for one in every} == {
        "benign": (12, 12),
        "malignant": (12, 12),
    }
    unsure = named(asked, contrast="confident_vs_unsure")
    assert {one.label: one.n_selected for one in unsure} == {"benign": 12, "malignant": 12}
    (classes,) = named(asked, contrast="malignant_vs_benign")
    assert (classes.label, classes.n_selected, classes.group) == (BOTH_LABELS, 22, ("label", ("malignant", "benign")))
    differences = named(asked, model="trained-randomised")
    assert {one.hypothesis: one.n_selected for one in differences if one.label == "benign"} == {
        "trained_vs_control": 10,
        "all_test_patches": 12,
    }


def test_a_patch_that_several_networks_judge_is_one_patch(ask):
    asked = ask(n_networks=3, unsure=2)
    own = named(asked, contrast="cytoplasm_vs_nucleus", model="trained", population="judged", label="benign")
    assert (own[0].n_selected, len(own[0].patches)) == (10, 30)


def test_a_map_of_the_image_is_compared_with_every_network(ask):
    asked = ask(image=True, n_networks=3)
    for population, n in (("judged", 12), ("all test patches", 12)):
        (one,) = named(asked, model="trained-sobel", label="benign", population=population)
        assert (one.method, one.reduction) == ("gradient", "l2")  # those that it is compared with
        assert (one.n_selected, len(one.patches), one.patches["network"].nunique()) == (n, 3 * n, 3)
        assert one.patches["value"].notna().all()
    own = named(asked, model="sobel", label="benign", contrast="cytoplasm_vs_nucleus")
    assert [(one.method, one.reduction, one.hypothesis) for one in own] == [("sobel", "none", "control_contrasts")]


def test_with_several_methods_a_map_of_the_image_has_none_to_be_compared_with(ask):
    asked = ask(image=True, methods=("gradient", "other"), beside=False)
    assert named(asked, model="trained-sobel") == []
    assert len(named(asked, model="trained-randomised", label="benign", population="judged")) == 2


def test_a_family_belongs_to_one_map_and_population(ask):
    asked = ask(methods=("gradient", "other"), beside=False)
    together = {one.together for one in asked if one.model == "trained"}
    assert together == {(m, "l2", p) for m in ("gradient", "other") for p in ("judged", "all test patches")}


def test_magnifications_are_compared_with_the_reference(ask):
    asked = named(ask(magnifications=(10.0, 20.0, 40.0)), contrast="magnification_vs_reference")
    assert {(one.magnification, one.versus, one.label) for one in asked} == {
        (mag, 20.0, label) for mag in (10.0, 40.0) for label in ("benign", "malignant")
    }
    assert all(len(one.patches) == 12 and one.patches["value"].notna().all() for one in asked)
    assert named(ask(), contrast="magnification_vs_reference") == []


def test_without_controls_there_are_no_differences(ask):
    asked = ask(models=("trained",))
    assert {one.model for one in asked} == {"trained"}
