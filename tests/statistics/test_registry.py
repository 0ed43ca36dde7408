"""Every test by its name: what it can be asked, what it answers, and how another one is added."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import (
    TESTS,
    StatisticsParameters,
    Test,
    contrast_table,
    primary_tests,
    register,
    study_contrasts,
    verdicts,
)
from saliency_stats.statistics.inference import NAN, Inference
from saliency_stats.statistics.permutation import permutation
from saliency_stats.statistics.registry import infer, words_of
from saliency_stats.statistics.units import independent_units

#: Where more units are not asked than this.
LIMITS = {"sign_flip": 20_000, "permutation": 2_000, "cluster_bootstrap": 20_000, "wilcoxon": 5_000}
ONE_SAMPLE = ["sign_flip", "cluster_bootstrap", "wilcoxon"]


def patches(seed=0, sizes=(3, 9, 5, 7, 4, 6)):
    rng = np.random.default_rng(seed)
    slide = np.repeat(np.arange(len(sizes)), sizes)
    value = 0.3 + rng.normal(0, 0.5, len(sizes))[slide] + rng.normal(0, 0.5, sum(sizes))
    return pd.DataFrame({"slide_id": pd.Series(slide).map("s{}".format), "value": value})


def signs(units, **_):
    """Answer by the signs of the unit means alone."""
    found = stats.binomtest(int((units.means > 0).sum()), units.n)
    return Inference(found.statistic, NAN, found.pvalue, -9.0, 9.0)


def test_the_primary_tests_are_those_whose_hypothesis_is_the_mean():
    assert primary_tests() == ("t_slide_means", "sign_flip")


def test_a_test_is_added_by_one_function(monkeypatch, make_study, make_beside, make_metrics):
    monkeypatch.setitem(TESTS, "signs", Test("signs", "sign test over slides", signs, may_be_primary=True))
    assert list(TESTS)[-1] == "signs"
    row = contrast_table(patches(), "value").set_index("test").loc["signs"]
    assert row["p_value"] == stats.binomtest(int(row["superiority"] * 6), 6).pvalue
    ledger, predictions = make_study(planted="cytoplasm", n_slides=8, effect=2.0)
    settings = StatisticsParameters(bootstrap_draws=2_000, primary_test="signs")
    contrasts = study_contrasts(ledger, predictions, settings=settings, **make_beside(ledger))
    counts = contrasts["test"].value_counts()
    assert counts["signs"] == counts["sign_flip"] == counts.max()
    rows = contrasts[contrasts["test"] == "signs"]
    assert rows.loc[rows["contrast"] == "malignant_vs_benign", "reason"].str.contains("with themselves").all()
    found = verdicts(contrasts, make_metrics(), settings)
    assert {verdict["status"] for verdict in found} == {"supported"}
    assert [verdict["p_adjusted"] for verdict in found] == [2 * 2 / 2**8] * 2
    by_flips = verdicts(contrasts, make_metrics(), replace(settings, primary_test="sign_flip"))
    assert any("sign test over slides (p = " in reason for reason in by_flips[0]["reasons"])


@pytest.fixture
def registry():
    """Put the registry back afterwards, in its order."""
    before = dict(TESTS)
    yield TESTS
    TESTS.clear()
    TESTS.update(before)


def test_register_adds_last_and_refuses_a_name_that_is_taken(registry):
    del registry["wilcoxon"]
    register(Test("wilcoxon", "again", signs))
    assert list(registry)[-1] == "wilcoxon"
    with pytest.raises(StatisticsError, match="'wilcoxon' is there already"):
        register(Test("wilcoxon", "twice", signs))


def test_a_primary_test_that_may_not_decide_is_refused(monkeypatch):
    monkeypatch.setitem(TESTS, "signs", Test("signs", "sign test over slides", signs))
    with pytest.raises(StatisticsError, match="primary_test is 'signs', expected one of t_slide_means, sign_flip"):
        StatisticsParameters(primary_test="signs")


def test_tests_of_one_sample_refuse_two():
    table = patches().assign(group=lambda t: np.where(t["slide_id"] < "s3", "a", "b"))
    found = contrast_table(table, "value", group="group", pair=("a", "b")).set_index("test")
    assert found.index[found["status"] == "no_inference"].tolist() == [name for name in TESTS if name in ONE_SAMPLE]
    assert (
        found.loc[ONE_SAMPLE, "reason"] == "this test compares slides with themselves: 3 slides of a compared"
        " with 3 others of b"
    ).all()
    one, two = (rows.groupby("slide_id")["value"].mean() for _, rows in table.groupby("group"))
    reference = stats.ttest_ind(one, two, equal_var=False)
    assert found.loc["t_slide_means", "p_value"] == pytest.approx(reference.pvalue)


def test_a_permutation_needs_two_samples_and_then_answers():
    units = independent_units(patches(), "value")
    assert TESTS["permutation"].obstacle(units) == (
        "this test compares two samples of different slides, and here there is one"
    )
    two = replace(units, others=np.array([0.1, 0.2, 0.4]))
    assert TESTS["permutation"].obstacle(two) == ""
    for test in ("permutation", "sign_flip"):
        found = infer(test, two, alpha=0.05, draws=2_000, seed=0)
        assert np.isfinite(found.p_value) == (test == "permutation")
    expected = permutation(two.means, two.others, alpha=0.1, draws=2_000, seed=0)
    assert infer("permutation", two, alpha=0.1, draws=2_000, seed=0) == expected


def test_the_least_p_value_is_what_the_best_of_data_gives():
    units = independent_units(patches(), "value")
    best = replace(units, means=np.abs(units.means) + 5)
    two = replace(units, means=np.array([50.0, 51.0, 53.0]), others=np.arange(4.0))
    for name, sample in (("sign_flip", best), ("wilcoxon", best), ("permutation", two), ("cluster_bootstrap", best)):
        found = infer(name, sample, alpha=0.05, draws=2_000, seed=0)
        assert TESTS[name].least_p(sample, 2_000) == pytest.approx(found.p_value)
    assert TESTS["wilcoxon"].least_p(units, 2_000) == 2 / 2**6
    assert {TESTS[name].least_p(units, 2_000) for name in ("t_slide_means", "cluster_jackknife")} == {0.0}
    with pytest.raises(StatisticsError, match="there is one sample"):
        TESTS["permutation"].least_p(units, 2_000)


def test_more_units_than_a_test_takes_leave_the_t_test():
    assert {name: test.most_units for name, test in TESTS.items() if np.isfinite(test.most_units)} == LIMITS
    units = independent_units(patches(), "value")
    test = replace(TESTS["sign_flip"], most_units=6)
    assert test.obstacle(units) == ""
    assert replace(test, most_units=5).obstacle(units) == (
        "6 slides are too many for this test and enough for the t test"
    )


def test_what_hinders_is_the_note_and_there_is_no_number():
    units = independent_units(patches(), "value")
    found = infer("t_slide_means", units, "too few", alpha=0.05, draws=10, seed=0)
    assert found.note == "too few"
    assert np.isnan([found.statistic, found.df, found.p_value, found.ci_low, found.ci_high, found.estimate]).all()


def test_a_test_that_cannot_answer_says_why(monkeypatch):
    def stubborn(units, **_):
        raise StatisticsError("not today")

    monkeypatch.setitem(TESTS, "stubborn", Test("stubborn", "none", stubborn))
    found = infer("stubborn", independent_units(patches(), "value"), alpha=0.05, draws=10, seed=0)
    assert (found.note, np.isnan(found.p_value)) == ("not today", True)


def test_a_test_of_another_table_keeps_its_name():
    assert words_of("sign_flip") == "sign-flip over slides"
    assert words_of("my_own_test") == "my own test"


def test_agreement_counts_the_tests_that_decide_alike():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"slide_id": np.repeat(list("abcdefghij"), 20), "value": 5 + rng.normal(size=200)})
    found = contrast_table(table, "value")
    about = {name: test.estimand for name, test in TESTS.items()}
    assert "permutation" not in set(found["test"])  # one sample cannot be permuted
    alike = [list(map(about.get, found["test"])).count(about[test]) for test in found["test"]]
    assert found["n_tests"].tolist() == found["n_agree"].tolist() == alike
    assert max(alike) > min(alike) == 1
    few = contrast_table(table[table["slide_id"] < "f"], "value").set_index("test")
    assert few.loc["sign_flip", "p_value"] == 2 / 2**5
    decisions = few["p_value"] <= 0.05
    for test, own in decisions.items():
        same = decisions[decisions.index.map(about) == about[test]]
        assert few.loc[test, "n_agree"] == (same == own).sum()
