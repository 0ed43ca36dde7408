import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import FAMILIES, HYPOTHESES, StatisticsParameters


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("unit", "patch"),
        ("alpha", 0.0),
        ("alpha", 0.5),
        ("alpha", float("nan")),
        ("correction", "bonferroni"),
        ("primary_test", "wilcoxon"),
        ("bootstrap_draws", 1_999),
        ("min_confidence", 1.0),
        ("min_confidence", -0.1),
        ("evaluation_split", "testing"),
        ("equivalence_margin", 0.0),
        ("min_slides", 1),
        ("seed", -1),
        ("reference_magnification", 0.0),
        ("families", {}),
    ],
)
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(StatisticsError, match=f"{key} is"):
        StatisticsParameters(**{key: value})


@pytest.mark.parametrize(
    ("families", "message"),
    [
        ({"a": "cytoplasm_vs_nucleus"}, "family a is the text 'cytoplasm_vs_nucleus', expected a list"),
        (
            {"a": ["cytoplasm_vs_nuclei"]},
            "a hypothesis of a is 'cytoplasm_vs_nuclei', expected one of cytoplasm_vs_nucl",
        ),
        ({"a": ["stroma_vs_rest"], "b": ["stroma_vs_rest"]}, "stroma_vs_rest stands in a and in b"),
    ],
)
def test_families_that_cannot_be_are_named(families, message):
    with pytest.raises(StatisticsError, match=message):
        StatisticsParameters(families=families)


def test_the_default_families_hold_every_hypothesis_once():
    named = [name for members in FAMILIES.values() for name in members]
    assert sorted(named) == sorted(HYPOTHESES)
    assert len(set(named)) == len(named)
    settings = StatisticsParameters(families={"mine": ["stroma_vs_rest"]})
    assert settings.family_of("stroma_vs_rest") == "mine"
    assert settings.family_of("cytoplasm_vs_nucleus") == "exploratory"
    assert settings.family_order == ("mine", "exploratory")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("unit", "patient"),
        ("alpha", 1e-9),
        ("alpha", 0.4999),
        ("correction", "bh"),
        ("primary_test", "t_slide_means"),
        ("bootstrap_draws", 2_000),
        ("min_confidence", 0.0),
        ("min_confidence", 0.999),
        ("evaluation_split", "train"),
        ("equivalence_margin", 1e-9),
        ("min_slides", 2),
        ("seed", 0),
        ("reference_magnification", 1e-9),
    ],
)
def test_closed_ends_belong_to_their_range(key, value):
    assert getattr(StatisticsParameters(**{key: value}), key) == value


def test_the_defaults_are_those_of_a_study():
    found = StatisticsParameters()
    assert (found.unit, found.alpha, found.correction, found.primary_test) == ("slide", 0.05, "holm", "sign_flip")
    assert (found.bootstrap_draws, found.min_confidence, found.evaluation_split) == (9_999, 0.8, "test")
    assert (found.equivalence_margin, found.min_slides, found.seed) == (0.1, 3, 0)
    assert (found.assume_independent, found.reference_magnification) == (False, 20.0)
    assert dict(found.families) == dict(FAMILIES)


def test_the_family_of_what_is_left_out_stands_last_unless_it_is_declared():
    declared = StatisticsParameters(families={"exploratory": ["stroma_vs_rest"], "mine": ["cytoplasm_vs_rest"]})
    assert declared.family_order == ("exploratory", "mine")
    assert declared.family_of("nucleus_vs_rest") == "exploratory"
