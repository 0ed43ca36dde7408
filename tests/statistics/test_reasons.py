"""What supports a verdict or limits it, sentence by sentence, from rows written by hand."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.statistics import StatisticsParameters
from saliency_stats.statistics.densest import Densest
from saliency_stats.statistics.ladder import Ladder
from saliency_stats.statistics.reasons import Judged, estimand_of, reasons

SETTINGS = StatisticsParameters()
NOBODY = Densest(None, (), tested=True, rows=pd.DataFrame())
DASH = "\N{EN DASH}"
NUMBERS = ["icc", "design_effect", "n_effective", "bound_low", "bound_high", "n_effective_units", "weighted_estimate"]


def by_hand(**changes):
    row = {"contrast": "cytoplasm_vs_nucleus", "model": "trained", "population": "judged", "test": "sign_flip"}
    row |= {"estimate": 1.0, "ci_low": 0.5, "ci_high": 2.0, "p_value": 0.01, "p_adjusted": 0.02, "status": "tested"}
    row |= {"reason": "", "unit": "slide", "n_units": 10, "n_patches": 1_200, "n_missing": 0, "p_attainable": 0.004}
    return dict.fromkeys(NUMBERS, np.nan) | {"n_networks": 1} | row | changes


def said(*rows, densest=NOBODY, within=False, learned=True):
    sample = pd.DataFrame(rows)
    metric = {"learned": learned, "learned_reason": "at chance"}
    judged = Judged(sample.iloc[0], sample, metric, Ladder({}, 1.0), 1.0, 1.0)
    return list(reasons(judged, SETTINGS, densest, within=within))


def test_nothing_odd_says_nothing_and_chance_says_that_alone():
    assert said(by_hand()) == []
    assert said(by_hand(reason="odd", n_missing=3), learned=False) == ["at chance"]
    assert said(by_hand(reason="odd")) == ["odd"]


def test_an_untested_row_is_not_set_beside_other_tests():
    rows = [by_hand(status="no_inference", p_adjusted=np.nan, reason="few", p_attainable=0.5, n_missing=1)]
    rows.append(by_hand(test="t_slide_means"))
    found = said(*rows, within=True, densest=Densest("nucleus", ("nucleus",), tested=False, rows=pd.DataFrame()))
    assert found == [
        "few",
        "1 patch of 1,201 selected left out: nucleus or cytoplasm is missing there or holds no saliency",
    ]


def crossed(**changes):
    return by_hand(**{"test": "crossed", "n_networks": 5, "var_network": 0.0064, "var_unit": 0.04, **changes})


@pytest.mark.parametrize(
    ("var_network", "share", "words"),
    [
        (0.0064, 0.424, "0.08 log2, between slides 0.2; networks make 42 %"),
        (0.0, 0.0, "0, between slides 0.2; networks make 0 %"),
    ],
)
def test_several_networks_have_their_spread(var_network, share, words):
    row = crossed(var_network=var_network, network_share=share)
    assert said(row) == [
        f"5 networks of other seeds: standard deviation between networks {words} of the variance of the estimate"
    ]
    assert said(row | {"test": "sign_flip"}) == []


def test_only_tests_of_the_same_mean_agree_or_disagree():
    others = [by_hand(test=name, p_adjusted=0.9) for name in ("t_slide_means", "wilcoxon", "cluster_robust", "mine")]
    assert said(by_hand(), *others) == [
        "1 of the 1 other tests of this mean disagrees: t over slide means (p = 0.9 after Holm)"
    ]
    # two tests of networks and units, and none of units alone
    assert [estimand_of(name) for name in ("sign_flip", "crossed", "mine")] == [
        "mean of unit means",
        "mean over networks and units",
        "mine",
    ]
    assert not any("other tests" in one for one in said(crossed(network_share=0.1), *others))


@pytest.mark.parametrize(
    ("changes", "agrees"),
    [
        ({"p_adjusted": 0.0499}, True),
        ({"p_adjusted": 0.05}, False),
        ({"p_adjusted": 0.01, "estimate": -1.0}, False),
        ({"p_adjusted": 0.01, "estimate": 0.0}, False),
    ],
)
def test_agreement_with_a_significant_test(changes, agrees):
    (found,) = said(by_hand(), by_hand(**{"test": "t_slide_means", **changes}))
    assert found.startswith(f"1 of the 1 other tests of this mean {'agrees' if agrees else 'disagrees'}: t over")


def test_agreement_with_one_that_is_not_significant_has_no_side():
    own = by_hand(p_adjusted=0.05)
    for changes, agrees in (({"p_adjusted": 0.05, "estimate": -1.0}, True), ({"p_adjusted": 0.04}, False)):
        (found,) = said(own, by_hand(**{"test": "t_slide_means", **changes}))
        assert (" agrees: " in found) == agrees


CENTRED = {"contrast": "cytoplasm_vs_nucleus_centred"}


@pytest.mark.parametrize(
    ("changes", "disagrees"),
    [
        ({}, False),
        ({"p_value": 0.0499}, False),
        ({"p_value": 0.05}, True),
        ({"estimate": -1.0}, True),
    ],
)
def test_the_centred_ratio_stands_beside(changes, disagrees):
    (found,) = said(by_hand(), by_hand(**CENTRED | changes))
    assert found.startswith("minus its own mean over all shifts of the map the ratio is ")
    assert found.endswith(": this disagrees with the ratio as it is") == disagrees
    calm = by_hand(p_value=0.05)
    (both,) = said(calm, by_hand(**CENTRED | {"p_value": 0.06, "estimate": -1.0}))
    assert "disagrees" not in both


def test_the_centred_ratio_in_numbers():
    (found,) = said(by_hand(), by_hand(**CENTRED))
    assert found == f"minus its own mean over all shifts of the map the ratio is 2 (95 % CI 1.41{DASH}4; p = 0.01)"
    (found,) = said(by_hand(), by_hand(**CENTRED, status="no_inference", reason="few"))
    assert found == "minus its own mean over all shifts of the map the ratio is 2, not tested, because few"
    assert said(by_hand(), by_hand(**CENTRED, estimate=np.nan)) == []
    for other in ({"test": "wilcoxon"}, {"model": "randomised"}, {"population": "all test patches"}):
        assert said(by_hand(), by_hand(**CENTRED, **other)) == []


def test_all_test_patches_stand_beside():
    every = {"population": "all test patches", "n_patches": 2_000}
    words = "over all 2,000 patches of the split, however they were classified, the ratio is 2"
    assert said(by_hand(), by_hand(**every)) == [f"{words} (95 % CI 1.41{DASH}4; p = 0.01)"]
    assert said(by_hand(), by_hand(**every, status="no_inference")) == [words]
    assert said(by_hand(), by_hand(**every, estimate=np.nan)) == []
    # a control on all patches is not one on the judged ones
    assert said(by_hand(), by_hand(**every, model="trained-randomised")) == []


MISSING = "2 patches of 1,202 selected left out: nucleus or cytoplasm is missing there or holds no saliency"


@pytest.mark.parametrize(
    ("low", "high", "rest"),
    [
        (np.nan, 1.0, ""),
        (1.0, np.nan, ""),
        (0.5, 1.0, "the ratio would be 1.41 to 2"),
        (-0.5, 1.0, "the ratio would be 0.707 to 2, so that they could turn its direction"),
        (0.0, 1.0, "the ratio would be 1 to 2, so that they could turn its direction"),
        (-1.0, -0.5, "the ratio would be 0.5 to 0.707"),
    ],
)
def test_patches_without_a_value_have_bounds(low, high, rest):
    (found,) = said(by_hand(n_missing=2, bound_low=low, bound_high=high))
    between = "; were they like the lowest or the highest that was seen, " if rest else ""
    assert found == f"{MISSING}{between}{rest}"
    assert said(by_hand(bound_low=low, bound_high=high)) == []


def test_units_of_very_different_sizes_count_as_fewer():
    row = {"weighted_estimate": 0.5, "unit": "patient"}
    words = "patients have very different numbers of patches: 10 count as 8.0; weighted by what they tell, the ratio is"
    assert said(by_hand(**row, n_effective_units=7.99)) == [f"{words} 1.41"]
    assert said(by_hand(**row, n_effective_units=8.0)) == said(by_hand(**row, n_effective_units=np.nan)) == []


def test_a_densest_compartment_without_a_significant_difference_is_said():
    words = "cytoplasm and nuclei do not differ significantly, although one of them is named as the densest"
    for name, p_adjusted, expected in (
        ("nucleus", 0.05, [words]),
        ("cytoplasm", 0.05, [words]),
        ("stroma", 0.05, []),
        ("nucleus", 0.0499, []),
    ):
        densest = Densest(name, (name,), tested=True, rows=pd.DataFrame())
        assert said(by_hand(p_adjusted=p_adjusted), densest=densest) == expected
