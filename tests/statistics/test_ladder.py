"""Rungs by hand: both sides of every condition, and Holm over the largest p-values against a brute-force reference."""

from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saliency_stats.statistics import StatisticsParameters
from saliency_stats.statistics.crossing import crossed
from saliency_stats.statistics.ladder import (
    NEEDED,
    NO,
    NOT_TESTED,
    OF_MAPS,
    OF_NETWORKS,
    OUT_OF_REACH,
    RUNGS,
    YES,
    Ladder,
    Part,
    climbed,
    holm_factors,
    least_p,
)
from saliency_stats.statistics.models.networks import NetworkCells
from saliency_stats.statistics.multiplicity import holm

SETTINGS = StatisticsParameters()
DASH = "\N{EN DASH}"


def found(estimate=1.0, p_value=0.01, **changes):
    row = {"estimate": estimate, "p_value": p_value, "ci_low": 0.5, "ci_high": 2.0, "status": "tested", "reason": ""}
    return row | {"test": "sign_flip", "n_units": 10, "n_patches": 80, "n_missing": 0} | changes


def part(name="maps", why="", **changes):
    return Part(name, found(**changes), why)


UNTESTED = {"status": "no_inference", "reason": "few", "p_value": np.nan}


@pytest.mark.parametrize(
    ("changes", "sign", "factor", "answer"),
    [
        ({}, 1, 1, YES),
        ({}, -1, 1, NO),  # significant on the other side
        ({"estimate": -1.0}, -1, 1, YES),
        ({"estimate": 0.0, "p_value": 0.0}, 1, 1, NO),
        ({"p_value": 0.05}, 1, 1, NO),
        ({"p_value": 0.0499}, 1, 1, YES),
        ({"p_value": 0.03}, 1, 2, NO),
        ({"p_value": 0.0249}, 1, 2, YES),
        ({"n_units": 5, "p_value": 0.0625}, 1, 1, OUT_OF_REACH),
        ({"n_units": 6, "p_value": 0.03125}, 1, 1, YES),
        ({"n_units": 6, "p_value": 0.03125}, 1, 2, OUT_OF_REACH),
        ({"n_units": 5, "p_value": 0.01, "test": "crossed"}, 1, 10, NO),
        (UNTESTED, 1, 1, NOT_TESTED),
        (UNTESTED | {"estimate": np.nan}, 1, 1, NOT_TESTED),
        (UNTESTED | {"estimate": 0.0}, 1, 1, NO),  # the very same map: no spread, and an answer all the same
        (UNTESTED | {"estimate": -9e-10}, 1, 1, NO),
        (UNTESTED | {"estimate": 1e-9}, 1, 1, NOT_TESTED),
    ],
)
def test_the_answer_of_one_test(changes, sign, factor, answer):
    one = part(**changes)
    assert one.answer(sign, factor, 0.05) == answer
    assert one.as_dict(sign, factor, 0.05)["answer"] == answer


def test_a_smallest_p_value_at_the_level_is_out_of_reach():
    few = part(n_units=5, p_value=0.0625)
    assert [few.answer(1, 1, alpha) for alpha in (0.0625, 0.0626)] == [OUT_OF_REACH, YES]


def test_the_p_value_in_a_direction():
    assert part().p_towards(1) == 0.01
    assert part().p_towards(-1) == part(estimate=0.0).p_towards(1) == part(**UNTESTED).p_towards(1) == 1.0
    assert Part("none", None).p_towards(1) == 1.0


def test_sign_flips_of_few_units_have_a_smallest_p_value():
    assert [least_p(found(n_units=n)) for n in (1, 5, 16, 17)] == [1.0, 2**-4, 2**-15, 0.0]
    assert least_p(found(n_units=5, test="t_slide_means")) == 0.0


def test_a_part_carries_its_numbers_and_why_it_has_none():
    assert part().as_dict(1, 1, 0.05) == {
        "name": "maps",
        "estimate": 1.0,
        "ci_low": 0.5,
        "ci_high": 2.0,
        "p_value": 0.01,
        "answer": "yes",
        "why": "",
    }
    untested = part(**UNTESTED, ci_low=np.inf).as_dict(1, 1, 0.05)
    assert (untested["why"], untested["ci_low"], untested["p_value"]) == ("few", None, None)
    assert part(reason="a note").as_dict(1, 1, 0.05)["why"] == ""
    assert Part("eosin", None, "no overlap").as_dict(1, 1, 0.05) == {
        **dict.fromkeys(["estimate", "ci_low", "ci_high", "p_value"]),
        "name": "eosin",
        "answer": "not tested",
        "why": "no overlap",
    }


def ladder(sign=1.0, **changes):
    parts = {rung: [part(rung)] for rung in NEEDED}
    return Ladder({**parts, **changes}, sign)


def test_the_p_value_of_all_that_is_needed_is_the_largest():
    assert ladder().p_value == 0.01
    assert ladder(picture=[part(), part("eosin", p_value=0.2)]).p_value == 0.2
    assert ladder(place=[part(p_value=0.9)]).p_value == 0.01  # not needed
    assert ladder(picture=[part(), Part("haematoxylin", None)]).p_value == 0.01  # cannot be asked
    for rung in NEEDED:
        assert ladder(**{rung: []}).p_value == ladder(**{rung: [Part("x", None)]}).p_value == 1.0
        assert ladder(**{rung: [part(), part(**UNTESTED)]}).p_value == 1.0
        assert ladder(**{rung: [part(estimate=-1.0)]}).p_value == 1.0


@pytest.mark.parametrize(
    ("parts", "needed", "other"),
    [
        ([], NOT_TESTED, NOT_TESTED),
        ([{}], YES, YES),
        ([{}, {"p_value": 0.2}], NO, NO),
        ([{"n_units": 4, "p_value": 0.125}, {"p_value": 0.2}], NO, NO),
        ([{"n_units": 4, "p_value": 0.125}, {}], OUT_OF_REACH, OUT_OF_REACH),
        ([{"n_units": 4, "p_value": 0.125}, UNTESTED], OUT_OF_REACH, OUT_OF_REACH),
        ([{}, UNTESTED], NOT_TESTED, YES),  # a control that could not be tested supports nothing
        ([UNTESTED], NOT_TESTED, NOT_TESTED),
    ],
)
def test_a_rung_holds_where_all_its_parts_do(parts, needed, other):
    made = [part(f"part {k}", **changes) for k, changes in enumerate(parts)]
    assert ladder(training=made).answer("training", 1, 0.05) == needed
    assert ladder(method=made).answer("method", 1, 0.05) == other
    assert ladder(method=[*made, Part("x", None)]).answer("method", 1, 0.05) == other


def test_the_weakest_part_has_the_largest_p_value():
    parts = [part("a", p_value=0.03), part("b", p_value=0.04), part("c", p_value=0.02), part("d", **UNTESTED)]
    assert ladder(method=parts).weakest("method").name == "b"
    assert ladder(method=[*parts, part("turned", estimate=-1.0)]).weakest("method").name == "turned"
    assert ladder(method=parts[3:]).weakest("method") is ladder().weakest("decision") is None


def test_all_eight_rungs_stand_in_order_and_say_why_nothing_was_asked():
    rungs = Ladder({}, 1.0).as_list(1.0, SETTINGS)
    assert [rung["rung"] for rung in rungs] == list(RUNGS)
    assert list(RUNGS) == ["maps", "training", "picture", "place", "method", "decision", "networks", "analyses"]
    assert {rung["answer"] for rung in rungs} == {NOT_TESTED}
    assert {rung["numbers"] for rung in rungs} == {""}
    why = {rung["rung"]: rung["why"] for rung in rungs}
    assert why == {
        "maps": "no test is possible",
        "training": "the study has no network that learned nothing: add randomised to its controls",
        "picture": "the study has no map of the image alone: add sobel and eosin to its controls",
        "place": "the map was not shifted",
        "method": "the study has one saliency method: name others in saliency.methods",
        "decision": "no compartment was replaced: name causal.replacements",
        "networks": "one network: how much others would differ is unknown; raise classifier.networks",
        "analyses": "the study's choices were not crossed with others: run it with --multiverse",
    }
    assert [rung["question"] for rung in rungs[1:]] == list(RUNGS.values())[1:]


@pytest.mark.parametrize(("sign", "more", "less"), [(1.0, "cytoplasm", "nuclei"), (-1.0, "nuclei", "cytoplasm")])
def test_the_compartments_are_named_in_the_direction_of_the_finding(sign, more, less):
    blur = part("blur", estimate=sign, ci_low=-1.0, ci_high=2.0, p_value=0.4)
    rungs = {one["rung"]: one for one in Ladder({"decision": [blur]}, sign).as_list(1.0, SETTINGS)}
    assert rungs["maps"]["question"] == f"Is saliency denser in the {more} than in the {less}?"
    assert rungs["decision"]["answer"] == NO
    assert rungs["decision"]["why"] == (
        "the verdict is about where saliency lies, this about what the decision needs: replacing the "
        f"{more} is not shown to change the decision more, per area, than replacing the {less}"
    )
    found = part("blur", estimate=sign, p_value=0.001)
    assert Ladder({"decision": [found]}, sign).as_list(1.0, SETTINGS)[5]["why"] == ""
    assert Ladder({"method": [blur]}, sign).as_list(1.0, SETTINGS)[4]["why"] == ""


@pytest.mark.parametrize(("sign", "more", "less"), [(1.0, "cytoplasm", "nuclei"), (-1.0, "nuclei", "cytoplasm")])
def test_a_decision_that_needs_the_other_compartment_says_so(sign, more, less):
    clear, clearer = (
        part(name, estimate=-sign, ci_low=-1.4, ci_high=-0.6, p_value=p) for name, p in (("blur", 0.02), ("mean", 0.01))
    )
    unclear, agreeing = part("stain", estimate=-sign, p_value=0.3), part("white", estimate=sign, p_value=0.001)
    parts = [agreeing, unclear, clear, clearer]

    def asked(factor):
        return Ladder({"decision": parts}, sign).as_list(factor, SETTINGS)[5]

    found = asked(2.0)
    assert found["answer"] == NO
    assert found["numbers"] == f"{-sign:+g} logits per area by mean (-1.4 to -0.6; p = 0.01)"
    assert found["why"] == (
        "the verdict is about where saliency lies, this about what the decision needs: replacing the "
        f"{less} (by mean, blur) changes the decision more, per area, than replacing the {more}"
    )
    assert f"{less} (by mean) changes" in asked(2.5)["why"]  # 0.05 itself is not significant
    assert f"the {more} is not shown to" in asked(5.0)["why"].replace("replacing ", "")
    # other rungs show their weakest part, and say no more
    method = Ladder({"method": parts}, sign).as_list(1.0, SETTINGS)[4]
    assert (method["answer"], method["why"]) == (NO, "")


@pytest.mark.parametrize(
    ("rung", "name", "numbers"),
    [
        ("maps", "x", f"2 times (95 % CI 1.41{DASH}4; p = 0.01)"),
        ("training", "shuffled", f"2 times the shuffled networks (95 % CI 1.41{DASH}4; p = 0.01)"),
        ("picture", "sobel", f"2 times what the sobel map explains (95 % CI 1.41{DASH}4; p = 0.01)"),
        ("place", "x", f"2 times, minus its mean over all shifts of the map (95 % CI 1.41{DASH}4; p = 0.01)"),
        ("method", "lime", f"2 times by lime (95 % CI 1.41{DASH}4; p = 0.01)"),
        ("decision", "blur", "+1 logits per area by blur (0.5 to 2; p = 0.01)"),
        ("networks", "5 networks", f"2 times (95 % CI 1.41{DASH}4; p = 0.01)"),
        ("analyses", "64 specifications", "2 times at the median (p = 0.01; 64 specifications)"),
    ],
)
def test_a_rung_in_numbers(rung, name, numbers):
    asked = Ladder({rung: [part(name)]}, 1.0).as_list(1.0, SETTINGS)[list(RUNGS).index(rung)]
    assert (asked["numbers"], asked["answer"], asked["why"]) == (numbers, YES, "")
    assert [one["name"] for one in asked["parts"]] == [name]
    assert Ladder({rung: [part(name)]}, 1.0, {rung: "said"}).as_list(1.0, SETTINGS)[list(RUNGS).index(rung)][
        "numbers"
    ] == ("said")


def test_against_the_claim_a_ratio_is_turned():
    asked = Ladder({"maps": [part(estimate=-1.0, ci_low=-2.0, ci_high=-0.5)]}, -1.0).as_list(1.0, SETTINGS)[0]
    assert (asked["answer"], asked["numbers"]) == (YES, f"2 times (95 % CI 1.41{DASH}4; p = 0.01)")


def test_an_untested_part_of_a_needed_rung_says_why_beside_the_numbers_of_the_others():
    same = Ladder({"picture": [part("sobel", **UNTESTED | {"estimate": 0.0})]}, 1.0).as_list(1.0, SETTINGS)[2]
    assert (same["answer"], same["numbers"]) == (NO, "1 times what the sobel map explains; not tested: few")
    both = [part("randomised", **UNTESTED), part("shuffled")]
    asked = Ladder({"training": both}, 1.0).as_list(1.0, SETTINGS)[1]
    assert (asked["answer"], asked["why"]) == (NOT_TESTED, "few")
    assert asked["numbers"].startswith("2 times the shuffled networks")


def test_a_corrected_rung_holds_or_not():
    rung = [part(p_value=0.03)]
    alone, one_of_two = (Ladder({"maps": rung}, 1.0).as_list(k, SETTINGS)[0] for k in (1, 2))
    assert [alone["answer"], one_of_two["answer"]] == [YES, NO]
    # a "no" beside "p = 0.03" would be read as a mistake
    assert alone["numbers"].endswith("p = 0.03)")
    assert one_of_two["numbers"].endswith("p = 0.03, 0.06 after Holm)")


# --- Holm ------------------------------------------------------------------------------------------


def rejected_by_closure(p_values, alpha):
    """Reject a hypothesis where Bonferroni's test rejects every intersection that holds it."""
    every = range(len(p_values))
    sets = [set(chosen) for size in every for chosen in combinations(every, size + 1)]
    return [all(min(p_values[k] for k in one) * len(one) < alpha for one in sets if own in one) for own in every]


@pytest.mark.parametrize("seed", range(40))
def test_holms_factors_decide_as_the_closed_test(seed):
    rng = np.random.default_rng(seed)
    p_values = np.round(rng.beta(0.4, 4, rng.integers(1, 6)), 3).tolist()
    factors = np.array(holm_factors(p_values, 0.05))
    decided = factors * p_values < 0.05
    assert decided.tolist() == rejected_by_closure(p_values, 0.05) == (holm(np.array(p_values)) < 0.05).tolist()
    assert ((factors >= 1 - 1e-12) & (factors <= len(p_values) + 1e-12)).all()


def test_a_hypothesis_after_one_that_was_kept_is_corrected_no_less():
    assert holm_factors([], 0.05) == []
    assert holm_factors([0.3], 0.05) == [1.0]
    assert holm_factors([1.0, 1.0], 0.05) == [2.0, 2.0]
    # 0.4 is kept, and Holm stops: parts of the second with 0.03 are not significant at their own level
    assert holm_factors([0.5, 0.4], 0.05) == [2.0, 2.0]
    assert holm_factors([0.5, 0.01, 0.02], 0.05) == [1.0, 3.0, 2.0]
    assert holm_factors([0.0, 0.0, 0.01], 0.05) == [3.0, 2.0, 1.0]
    # one that follows closely has at least the adjusted p-value of the one before
    assert holm_factors([0.02, 0.0201], 0.05) == pytest.approx([2.0, 0.04 / 0.0201])
    assert holm_factors([0.025, 0.03], 0.05) == [2.0, 2.0]  # 0.05 itself is kept
    assert holm_factors([0.0249, 0.03], 0.05) == pytest.approx([2.0, 0.0498 / 0.03])


# --- out of a table --------------------------------------------------------------------------------


def rows(*changes):
    own = {"contrast": "cytoplasm_vs_nucleus", "model": "trained", "population": "judged", "n_networks": 1}
    return pd.DataFrame([found() | own | change for change in changes])


def test_the_rungs_of_a_table():
    table = rows(
        {},
        {"model": "trained-randomised", "p_value": 0.02},
        {"model": "trained-shuffled", "p_value": 0.03},
        {"model": "trained-sobel", "p_value": 0.9},  # no network
        {"model": "trained-randomised", "test": "wilcoxon", "p_value": 0.9},
        {"model": "trained-randomised", "population": "all test patches", "p_value": 0.9},
        {"contrast": "matched_sobel", "p_value": 0.9},
        {"contrast": "matched_sobel_excess", "p_value": 0.04},
        {"contrast": "matched_sobel_excess", "model": "randomised", "p_value": 0.9},
        {"contrast": "cytoplasm_vs_nucleus_centred", "p_value": 0.001},
        {"contrast": "cytoplasm_vs_nucleus_centred", "model": "randomised", "p_value": 0.9},
    )
    made = climbed(table, table.iloc[0], ["shuffled", "randomised", "cascading_1"], {"method": [part("lime")]})
    assert made.sign == 1.0
    named = {rung: [(one.name, one.row["p_value"]) for one in parts] for rung, parts in made.parts.items()}
    assert named == {
        "maps": [("cytoplasm_vs_nucleus", 0.01)],
        "training": [("shuffled", 0.03), ("randomised", 0.02)],
        "picture": [("sobel", 0.04)],
        "place": [("cytoplasm_vs_nucleus_centred", 0.001)],
        "networks": [],
        "method": [("lime", 0.01)],
    }
    bare = climbed(table.iloc[:1], table.iloc[0], [], {})
    assert {rung: len(parts) for rung, parts in bare.parts.items()} == {
        "maps": 1,
        "training": 0,
        "picture": 0,
        "place": 0,
        "networks": 0,
    }


@pytest.mark.parametrize(("estimate", "sign"), [(1.0, 1.0), (0.0, 1.0), (-0.1, -1.0), (np.nan, 1.0)])
def test_a_ladder_is_climbed_in_the_direction_of_the_finding(estimate, sign):
    table = rows({"estimate": estimate})
    assert climbed(table, table.iloc[0], [], {}).sign == sign


def test_several_networks_are_a_rung_of_the_crossed_test_alone():
    table = rows({"test": "crossed", "n_networks": 5.0}, {"n_networks": 5.0})
    assert [one.name for one in climbed(table, table.iloc[0], [], {}).parts["networks"]] == ["5 networks"]
    assert climbed(table, table.iloc[1], [], {}).parts["networks"] == []


@pytest.mark.parametrize(("n", "missing", "asked"), [(40, 40, True), (40, 41, False), (1_200, 0, True)])
def test_a_picture_that_all_but_defines_a_compartment_is_not_asked(n, missing, asked):
    table = rows({}, {"contrast": "matched_haematoxylin_excess", "n_patches": n, "n_missing": missing})
    (one,) = climbed(table, table.iloc[0], [], {}).parts["picture"]
    assert one.name == "haematoxylin"
    assert (one.row is not None) == asked
    why = "at equal haematoxylin the two compartments can be compared in 40 of 81 patches alone"
    assert one.why == ("" if asked else why)


# --- how often "supported" errs ---------------------------------------------------------------------


def crossed_row(rng, network_sd):
    """Test five networks on ten slides that have no preference."""
    cells = rng.normal(0, network_sd, (5, 1)) + rng.normal(0, 0.2, (1, 10)) + rng.normal(0, 0.15, (5, 10))
    network, slide = (codes.ravel() for codes in np.indices(cells.shape))
    units = SimpleNamespace(cells=NetworkCells.from_rows(cells.ravel(), network, slide, slide))
    answer = crossed(units, alpha=0.05)
    return found(answer.estimate, answer.p_value, test="crossed")


@pytest.mark.parametrize(
    ("null", "network_sd"),
    [*(((rung,), 0.11) for rung in NEEDED), *((NEEDED, network_sd) for network_sd in (0.0, 0.34))],
)
def test_supported_errs_in_no_more_than_its_level_whichever_part_is_null(null, network_sd):
    rng = np.random.default_rng((len(null), list(RUNGS).index(null[-1]), int(100 * network_sd)))
    n, wrong = 200, 0
    for _ in range(n):
        # two classes: supported in either is an error; what is no null is as clear as can be
        ladders = [
            Ladder(
                {r: [Part(r, crossed_row(rng, network_sd)) if r in null else part(p_value=0.0)] for r in NEEDED}, 1.0
            )
            for _ in range(2)
        ]
        factors = holm_factors([one.p_value for one in ladders], 0.05)
        wrong += any(
            all(one.answer(rung, factor, 0.05) == YES for rung in NEEDED)
            for one, factor in zip(ladders, factors, strict=True)
        )
    assert wrong / n <= 0.065


def test_maps_made_elsewhere_need_no_training_and_say_so():
    assert OF_MAPS.needed == ("maps", "picture")
    without = replace(ladder(training=[]), reach=OF_MAPS)
    assert without.p_value == 0.01
    assert without.answer("training", 1, 0.05) == NOT_TESTED
    assert replace(without, parts={**without.parts, "picture": []}).p_value == 1.0
    why = {rung["rung"]: rung["why"] for rung in without.as_list(1.0, StatisticsParameters())}
    assert why["training"] == "the maps were made elsewhere: there is no network that learned nothing to compare with"
    assert why["decision"].startswith("the maps were made elsewhere: there is no network to ask")
    assert why["networks"].startswith("the maps were made elsewhere, of one classifier")
    assert why["method"] == "the maps were made elsewhere, one of each patch"
    assert why["analyses"] == OF_NETWORKS.not_asked["analyses"]


def test_of_a_needed_rung_one_part_without_an_answer_is_enough_and_of_others_not():
    parts = [part(), part(**UNTESTED)]
    assert ladder(training=parts).answer("training", 1, 0.05) == NOT_TESTED
    assert replace(ladder(training=parts), reach=OF_MAPS).answer("training", 1, 0.05) == YES
