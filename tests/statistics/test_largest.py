"""The largest effect of a replacement, read out of rows written by hand."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.largest import largest
from saliency_stats.vocabulary import TISSUE

PER_AREA = {"nucleus": 3.0, "cytoplasm": 5.0, "stroma": 1.0}
#: First minus second, with the sign of the names.
PAIRS = {"cytoplasm_vs_nucleus": 2.0, "stroma_vs_nucleus": -2.0, "stroma_vs_cytoplasm": -4.0}


def table(kind="drop", per_area=PER_AREA, **changes):
    fixed = {"label": "benign", "magnification": 20.0, "model": "trained", "replacement": "mean", "test": "sign_flip"}
    fixed |= {"status": "tested", "reason": "", "ci_low": -9.0, "ci_high": 9.0}
    rows = [
        {
            **fixed,
            "contrast": f"{kind}:{name}",
            "drop_per_area": per_area[name],
            "drop": {"nucleus": 2.0, "cytoplasm": 0.5, "stroma": 0.1}[name],
            "random_drop": {"nucleus": 1.9, "cytoplasm": 0.1, "stroma": 0.1}[name],
            "estimate": {"nucleus": 0.5, "cytoplasm": 0.4, "stroma": -1.0}[name],
            "p_adjusted": 0.05,
        }
        for name in TISSUE
    ]
    nothing = dict.fromkeys(("drop_per_area", "drop", "random_drop"), np.nan)
    rows += [
        {**fixed, **nothing, "contrast": f"{kind}:{name}", "estimate": value, "p_adjusted": 0.05, "ci_low": value - 1}
        | {"ci_high": value + 3}
        for name, value in PAIRS.items()
    ]
    return pd.DataFrame(rows).assign(**changes)


@pytest.mark.parametrize("kind", ["drop", "separation"])
def test_the_first_and_the_second_per_area(kind):
    found = largest(table(kind)).squeeze()
    assert (found["compartment"], found["second"]) == ("cytoplasm", "nucleus")
    assert (found["drop_per_area"], found["drop_per_area_second"]) == (5, 3)
    assert found[["difference", "ci_low", "ci_high", "p_adjusted"]].tolist() == [2, 1, 5, 0.05]
    assert found["significant"]  # at the level itself
    assert (found["excess"], found["excess_p_adjusted"], found["above_random"]) == (0.4, 0.05, True)
    assert found[["largest_excess", "largest_drop", "largest_drop_excess"]].tolist() == [
        "nucleus",
        "nucleus",
        "cytoplasm",
    ]
    assert (found["status"], found["reason"]) == ("tested", "")
    assert found[["label", "magnification", "model", "replacement"]].tolist() == ["benign", 20.0, "trained", "mean"]


def test_a_pair_named_the_other_way_round_is_turned():
    found = largest(table(per_area={"nucleus": 5.0, "cytoplasm": 1.0, "stroma": 3.0})).squeeze()
    assert (found["compartment"], found["second"]) == ("nucleus", "stroma")
    assert found[["difference", "ci_low", "ci_high"]].tolist() == [2, -1, 3]


def test_significance_takes_a_positive_difference_and_a_small_p_value():
    assert not largest(table(p_adjusted=0.051)).squeeze()[["significant", "above_random"]].any()
    assert largest(table(p_adjusted=0.051), alpha=0.06).squeeze()[["significant", "above_random"]].all()
    assert not largest(table(estimate=0.0)).squeeze()[["significant", "above_random"]].any()


def test_one_compartment_alone_is_not_compared():
    one, two = table(), table()
    one.loc[one["contrast"].isin(["drop:nucleus", "drop:stroma"]), "drop_per_area"] = np.nan
    two.loc[two["contrast"] == "drop:stroma", "drop_per_area"] = np.nan
    found = largest(one).squeeze()
    assert found["reason"] == "fewer than two compartments were replaced"
    assert found["status"] == "no_inference"
    names = ["compartment", "second", "largest_excess", "largest_drop", "largest_drop_excess"]
    assert found[names].tolist() == [""] * 5
    assert not found[["significant", "above_random"]].any()
    assert found[["drop_per_area", "difference", "ci_low", "p_adjusted", "excess"]].isna().all()
    assert set(largest(one)) == set(largest(two))
    assert largest(two).squeeze()["compartment"] == "cytoplasm"


def test_strata_stand_in_the_order_of_the_table_and_the_test_is_named():
    both = pd.concat([table(label="malignant"), table(), table(test="t_slide_means")])
    assert largest(both)["label"].tolist() == ["malignant", "benign"]
    assert largest(both, test="t_slide_means")["label"].tolist() == ["benign"]
    with pytest.raises(StatisticsError, match=r"no rows of test 'z' \(found: sign_flip, t_slide_means\)"):
        largest(both, test="z")
    with pytest.raises(StatisticsError, match="causal: no column drop"):
        largest(both.drop(columns="drop"))
