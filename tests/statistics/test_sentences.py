"""Numbers, names and whole sentences, word for word."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.statistics import StatisticsParameters
from saliency_stats.statistics.densest import Densest
from saliency_stats.statistics.sentences import (
    counted,
    densest_sentence,
    density_words,
    headline,
    interval_words,
    listed,
    magnification_words,
    missing_words,
    p_number,
    p_words,
    patches_words,
    ratio_words,
    reach_words,
    saliency_words,
    sizes_words,
    unlearned_words,
    untested_sentence,
)
from saliency_stats.statistics.sentences import (
    tested_sentence as sentence_if_tested,
)

SETTINGS = StatisticsParameters()
BH = StatisticsParameters(correction="bh", evaluation_split="valid", alpha=0.1)
ROW = pd.Series(
    {
        "label": "malignant",
        "magnification": 20.0,
        "estimate": 1.0,
        "ci_low": 0.5,
        "ci_high": 2.0,
        "p_adjusted": 0.002,
        "unit": "slide",
        "n_units": 10,
        "n_slides": 10,
        "n_patches": 1234,
        "reason": "too few",
    }
)
METRIC = {"balanced_accuracy": 0.51, "balanced_accuracy_low": 0.46, "balanced_accuracy_high": 0.55, "magnification": 20}
NOBODY = Densest(None, (), tested=True, rows=pd.DataFrame())


def dense(text):
    """Write signs that look like others as they are meant."""
    return text.replace("*", "\N{MULTIPLICATION SIGN}").replace("~", "\N{EN DASH}")


@pytest.mark.parametrize(
    ("magnification", "words"),
    [(20, "20*"), (np.float64(2.5), "2.5*"), ("20x", "20*"), ("overview", "overview"), ("max", "max")],
)
def test_magnifications_in_words(magnification, words):
    assert magnification_words(magnification) == words.replace("*", "\N{MULTIPLICATION SIGN}")


def test_numbers_in_words():
    assert ratio_words(np.log2(1.9)) == "1.9"
    assert ratio_words(np.log2(1234.0)) == "1230"
    assert p_words(0.00004, SETTINGS) == "p < 0.0001 after Holm"
    assert p_words(0.01234, SETTINGS) == "p = 0.012 after Holm"
    assert headline([]) == "No hypothesis was tested."


def test_a_magnification_that_is_a_truth_value_or_half_a_number_stays_as_it_is():
    assert [magnification_words(flag) for flag in (True, False)] == ["True", "False"]
    assert magnification_words("2.5X") == dense("2.5*")
    assert magnification_words("1.2.3x") == "1.2.3x"


def test_p_values_change_their_form_at_one_in_ten_thousand():
    assert p_words(0.0001, SETTINGS) == "p = 0.0001 after Holm"
    assert p_words(0.00009999, SETTINGS) == "p < 0.0001 after Holm"
    assert p_words(0.5, BH) == dense("p = 0.5 after Benjamini~Hochberg")


def test_intervals_are_of_ratios_and_may_be_turned():
    assert interval_words(-1.0, 2.0, 0.05) == dense("95 % CI 0.5~4")
    assert interval_words(-1.0, 2.0, 0.1, flip=True) == dense("90 % CI 0.25~2")
    assert interval_words(np.nan, 0.0, 0.05) == dense("95 % CI no limit~1")


def test_counts_and_lists():
    assert [counted(1, "slide"), counted(0, "slide"), counted(2000, "patch")] == [
        "1 slide",
        "0 slides",
        "2,000 patches",
    ]
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_sizes_name_the_unit_of_inference_first():
    assert sizes_words(ROW) == "10 slides, 1,234 patches"
    patients = ROW.copy()
    patients[["unit", "n_units"]] = ["patient", 4]
    assert sizes_words(patients) == "4 patients, 10 slides, 1,234 patches"
    unknown = ROW.copy()
    unknown[["unit", "n_slides"]] = ["patch", 0]
    assert sizes_words(unknown) == "1,234 patches taken as independent"


def test_a_sample_has_its_class_split_and_magnification():
    assert patches_words("benign", 5, BH) == dense(
        "correctly and confidently classified benign validation patches at 5*"
    )


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (1.0, "2 times as dense in the cytoplasm as in the nuclei"),
        (-1.0, "2 times as dense in the nuclei as in the cytoplasm"),
        (0.0, "about as dense in the cytoplasm as in the nuclei"),
    ],
)
def test_the_denser_compartment_comes_first(estimate, words):
    assert density_words(estimate) == words


def test_a_classifier_is_at_chance_or_below_what_is_required():
    assert unlearned_words(METRIC, SETTINGS) == dense(
        "the classifier is not shown to beat chance on the test patches at 20* (balanced accuracy 0.51, interval "
        "0.46~0.55)"
    )
    touching = METRIC | {"balanced_accuracy_low": 0.5}
    assert "is not shown to beat chance on" in unlearned_words(touching, SETTINGS)
    above = METRIC | {"balanced_accuracy": 0.6, "balanced_accuracy_low": 0.501}
    assert unlearned_words(above, BH) == dense(
        "the classifier is above chance, but below the required accuracy, on the validation patches at 20* "
        "(balanced accuracy 0.60, interval 0.50~0.55)"
    )
    tested = above | {"p_learned": 0.0613}  # the test decides, not the interval
    assert "is not shown to beat chance on" in unlearned_words(tested, SETTINGS)
    assert unlearned_words(tested, SETTINGS).endswith(dense("interval 0.50~0.55, p = 0.061)"))
    assert "is above chance, but below" in unlearned_words(touching | {"p_learned": 0.05}, SETTINGS)
    for end in ("balanced_accuracy_low", "balanced_accuracy_high"):
        assert "interval unknown" in unlearned_words(METRIC | {end: np.nan}, SETTINGS)
    unknown = METRIC | {"balanced_accuracy": np.nan}
    assert unlearned_words(unknown, SETTINGS) == dense(
        "the accuracy of the classifier is unknown on the test patches at 20*"
    )


@pytest.mark.parametrize(
    ("status", "conclusion"),
    [
        ("supported", "the claim is supported"),
        ("contradicted", "the claim is contradicted"),
        ("equivalent", "the two are equally dense within the declared margin; the claim is not supported"),
        ("inconclusive", "the claim is neither supported nor contradicted"),
        (
            "present_without_training",
            (
                "the claim is not supported, because it is not detectably more than in networks that learned nothing "
                "(a map)"
            ),
        ),
        (
            "explained_by_the_picture",
            "the claim is not supported, because it is not detectably more than the picture alone (a map) explains",
        ),
    ],
)
def test_a_tested_hypothesis_in_a_sentence(status, conclusion):
    assert sentence_if_tested(ROW, status, "a map", NOBODY, SETTINGS, "saliency") == dense(
        "In correctly and confidently classified malignant test patches at 20*, saliency was 2 times as dense in the "
        "cytoplasm as in the nuclei (95 % CI 1.41~4; p = 0.002 after Holm; 10 slides, 1,234 patches): "
        f"{conclusion}. No tissue compartment can be named as the densest."
    )


def test_the_interval_is_turned_with_the_ratio():
    turned = ROW.copy()
    turned[["estimate", "ci_low", "ci_high"]] = [-1.0, -2.0, -0.5]
    assert dense("2 times as dense in the nuclei as in the cytoplasm (95 % CI 1.41~4;") in sentence_if_tested(
        turned, "contradicted", "", NOBODY, SETTINGS, "saliency"
    )


def test_an_untested_hypothesis_says_why():
    assert untested_sentence(ROW, NOBODY, SETTINGS, "saliency (gradient, l2)") == dense(
        "In correctly and confidently classified malignant test patches at 20*, saliency (gradient, l2) was 2 times as "
        "dense in the cytoplasm as in the nuclei (mean over 10 slides, 1,234 patches). No p-value and no interval is "
        "given, because too few: the claim cannot be tested here. No tissue compartment can be named as the densest."
    )
    nothing = ROW.copy()
    nothing["estimate"] = np.nan
    assert untested_sentence(nothing, NOBODY, SETTINGS, "saliency") == dense(
        "No correctly and confidently classified malignant test patch at 20* has saliency in both the nuclei and the "
        "cytoplasm, so nothing can be tested."
    )


def test_the_densest_compartment_in_a_sentence():
    rows = pd.DataFrame({"other": ["cytoplasm", "stroma"], "estimate": [1.0, 2.0], "p_value": [0.002, 0.0412]})
    assert densest_sentence(Densest("nucleus", ("nucleus",), tested=True, rows=rows)) == (
        "Of the tissue compartments, the nuclei were the densest (2 times the cytoplasm, p = 0.002; 4 times the "
        "stroma, p = 0.041)."
    )
    assert densest_sentence(Densest(None, ("stroma", "nucleus"), tested=True, rows=rows)) == (
        "Which tissue compartment is the densest cannot be told: the stroma and the nuclei cannot be told apart."
    )
    assert densest_sentence(Densest("nucleus", ("nucleus",), tested=False, rows=rows)) == (
        "In these patches the nuclei were the densest tissue compartment by estimate (2 times the cytoplasm; 4 times "
        "the stroma; not tested)."
    )
    assert densest_sentence(NOBODY) == "No tissue compartment can be named as the densest."


def verdict(label, status, **changes):
    found = {"label": label, "magnification": 20, "method": "gradient", "reduction": "l2", "status": status}
    found |= {"estimate": -1.0 if status == "contradicted" else 1.0, "p_words": "p = 0.01", "learned": True}
    return found | {"obstacle": "", "densest_compartment": None} | changes


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        (
            [verdict("malignant", "supported"), verdict("benign", "supported", densest_compartment="cytoplasm")],
            (
                "As claimed, saliency was denser in the cytoplasm than in the nuclei in malignant patches at 20* (2"
                " times, p = 0.01) and benign patches at 20* (2 times, p = 0.01); the densest tissue compartment "
                "was the cytoplasm in benign patches at 20*."
            ),
        ),
        (
            [verdict("benign", "contradicted", densest_compartment="nucleus")],
            (
                "Against the claim, saliency was denser in the nuclei than in the cytoplasm in benign patches at "
                "20* (2 times, p = 0.01); the densest tissue compartment was the nuclei."
            ),
        ),
        (
            [verdict("malignant", "equivalent"), verdict("benign", "inconclusive", method="other")],
            (
                "Saliency was equally dense in cytoplasm and nuclei, within the declared margin, in malignant "
                "patches at 20* (gradient, l2) (2 times, p = 0.01); the data do not decide whether saliency is "
                "denser in the cytoplasm or in the nuclei in benign patches at 20* (other, l2) (2 times, p = 0.01)."
            ),
        ),
        (
            [verdict("benign", "present_without_training"), verdict("malignant", "explained_by_the_picture")],
            (
                "Saliency was denser in the cytoplasm, but not detectably more than in networks that learned nothing, "
                "in benign patches at 20* (2 times, p = 0.01); saliency was denser in the cytoplasm, but not "
                "detectably more than edges or stain explain, in malignant patches at 20* (2 times, p = 0.01)."
            ),
        ),
        (
            [
                verdict("malignant", "not_testable", obstacle="it is dark", densest_compartment="stroma"),
                verdict("benign", "not_testable", obstacle="it is dark", estimate=None, densest_compartment="nucleus"),
                verdict("benign", "not_testable", obstacle="of chance", learned=False, reduction="max"),
            ],
            (
                "No test is possible in malignant patches at 20* (gradient, l2) (2 times as dense in the cytoplasm "
                "as in the nuclei) and benign patches at 20* (gradient, l2), because it is dark; nothing can be "
                "concluded about saliency in benign patches at 20* (gradient, max), because of chance; by estimate "
                "alone, the densest tissue compartment was the stroma in malignant patches at 20* (gradient, l2) "
                "and the nuclei in benign patches at 20* (gradient, l2)."
            ),
        ),
    ],
)
def test_all_hypotheses_in_one_sentence(verdicts, words):
    assert headline(verdicts) == dense(words)


def test_whose_saliency_is_meant():
    row = {"n_networks": 1, "method": "gradient", "reduction": "l2"}
    assert saliency_words(row, several=False) == "saliency of this network"
    assert saliency_words(row | {"n_networks": 2.0}, several=True) == "saliency of 2 networks (gradient, l2)"


def test_a_p_value_alone_and_one_that_was_out_of_reach():
    assert [p_number(p) for p in (0.0001, 0.00009, 0.0416)] == ["p = 0.0001", "p < 0.0001", "p = 0.042"]
    assert reach_words({"n_units": 1.0, "unit": "patient", "p_attainable": 0.125}) == (
        "nothing could have been found here: the smallest p-value that 1 patient can give, after the correction, is "
        "0.12"
    )


def test_patches_left_out_in_words():
    assert missing_words(2, 998) == (
        "2 patches of 1,000 selected left out: nucleus or cytoplasm is missing there or holds no saliency"
    )
