"""Equivalence of a study's contrasts: corrected inside each family, by the counterpart of the deciding test."""

from dataclasses import replace

import numpy as np
import pytest

from saliency_stats.statistics import StatisticsParameters, study_contrasts
from saliency_stats.statistics.equivalence import Estimate, equivalences
from saliency_stats.statistics.multiplicity import holm

SETTINGS = StatisticsParameters(bootstrap_draws=2_400, equivalence_margin=0.3)
NAMES = ["p_equivalence", "p_equivalence_adjusted", "least_margin"]


def rows_of(contrasts, **where):
    chosen = contrasts
    for name, value in where.items():
        chosen = chosen[chosen[name] == value]
    return chosen


@pytest.mark.parametrize("n_networks", [1, 3])
def test_every_family_is_corrected_for_itself_and_all_rows_of_a_sample_say_the_same(make_study, n_networks):
    ledger, predictions = make_study(n_slides=8, n_per_slide=4, n_networks=n_networks)
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    sample = ["contrast", "label", "model", "population"]
    assert (found.groupby(sample, dropna=False)[NAMES].nunique(dropna=False) == 1).all(axis=None)
    deciding = found[found["test"] == ("crossed" if n_networks > 1 else "sign_flip")]
    tested = deciding[deciding["status"] == "tested"]
    assert tested[NAMES].notna().all(axis=None)
    assert deciding.loc[deciding["status"] != "tested", NAMES].isna().all(axis=None)
    for _, rows in tested.groupby(["family", "population"]):
        np.testing.assert_allclose(rows["p_equivalence_adjusted"], holm(rows["p_equivalence"].to_numpy()))
    assert len(tested.groupby(["family", "population"])) >= 4


def test_several_networks_are_judged_by_the_estimate_of_the_crossed_test(make_study):
    ledger, predictions = make_study(n_slides=8, n_per_slide=4, n_networks=3)
    found = study_contrasts(ledger, predictions, settings=SETTINGS)
    row = rows_of(found, contrast="stroma_vs_rest", label="benign", model="trained", test="crossed").iloc[0]
    one = Estimate(row["estimate"], row["se"], row["df"], row["skewness"], int(row["n_units"]))
    expected = equivalences([one], [0.0], margin=0.3, alpha=0.05, draws=2_400, seed=0)[0]
    assert (row["p_equivalence"], row["least_margin"]) == (expected.p_value, expected.least_margin)


def test_a_wider_margin_makes_more_equivalent_and_least_margins_stay(make_study):
    ledger, predictions = make_study(n_slides=8, n_per_slide=4, models=("trained",))
    narrow, wide = (
        study_contrasts(ledger, predictions, settings=replace(SETTINGS, equivalence_margin=margin))
        for margin in (0.1, 0.4)
    )
    assert (wide["p_equivalence"].dropna() <= narrow["p_equivalence"].dropna()).all()
    np.testing.assert_array_equal(wide["least_margin"], narrow["least_margin"])


def test_classifiers_at_chance_are_not_equivalent(make_study):
    ledger, predictions = make_study(n_slides=8, n_per_slide=4)
    found = study_contrasts(ledger, predictions, settings=SETTINGS, learned={20.0: False})
    of_control = found["model"] == "randomised"
    assert found.loc[~of_control, NAMES].isna().all(axis=None)
    assert found.loc[of_control, NAMES].notna().all(axis=None)
