import numpy as np
import pytest

from saliency_stats.compartments.cell_rule import CellRule, fitted_rule
from saliency_stats.errors import CompartmentError

#: log-odds = 2 max(a, 0) - 3 max(b, 0) + 0.5, with a and b standardised
RULE = CellRule(
    names=("a", "b"),
    mean=np.array([1.0, 0.0]),
    deviation=np.array([2.0, 1.0]),
    hidden=np.eye(2),
    hidden_bias=np.zeros(2),
    output=np.array([2.0, -3.0]),
    output_bias=0.5,
)


def test_the_rule_by_hand():
    evidence = {"b": np.array([[0.0, 1.0, 100.0]]), "a": np.array([[3.0, -5.0, 1.0]])}
    odds = RULE.log_odds(evidence, np.ones((1, 3), bool))
    # the last is limited to four standard deviations
    np.testing.assert_allclose(odds, [[2.5, -2.5, -11.5]])


def test_nothing_is_said_about_pixels_that_are_not_asked_about():
    evidence = {name: np.zeros((2, 2)) for name in "ab"}
    odds = RULE.log_odds(evidence, np.eye(2, dtype=bool))
    assert np.isneginf(odds[0, 1])
    assert np.isfinite(np.diag(odds)).all()


def test_a_part_of_the_pixels_at_a_time_is_all_of_them(monkeypatch):
    rng = np.random.default_rng(0)
    evidence = {name: rng.standard_normal((9, 11)) for name in "ab"}
    where = rng.random((9, 11)) < 0.7
    whole = RULE.log_odds(evidence, where)
    monkeypatch.setattr("saliency_stats.compartments.cell_rule._AT_ONCE", 10)
    np.testing.assert_allclose(RULE.log_odds(evidence, where), whole, rtol=1e-6)
    assert np.isneginf(RULE.log_odds(evidence, np.zeros((9, 11), bool))).all()


@pytest.mark.parametrize("names", ["a", "abc"])
def test_evidence_that_does_not_fit_is_named(names):
    with pytest.raises(CompartmentError, match=r"differ in [bc]; fit the rule again"):
        RULE.log_odds({name: np.zeros((1, 1)) for name in names}, np.ones((1, 1), bool))


def test_the_rule_in_the_box_is_whole():
    rule = fitted_rule()
    assert rule.hidden.shape == (len(rule.output), len(rule.names))
    assert (rule.deviation > 0).all()
