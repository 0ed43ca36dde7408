from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import adjust


def table(p_values, family="a", test="t"):
    return pd.DataFrame({"p_value": p_values, "family": family, "test": test})


def test_holm_and_benjamini_hochberg_by_hand():
    p = table([0.01, 0.04, 0.03])
    assert adjust(p, correction="holm").tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert adjust(p, correction="bh").tolist() == pytest.approx([0.03, 0.04, 0.04])


def test_families_and_tests_do_not_cost_each_other():
    rows = pd.concat([table([0.02, 0.03]), table([0.02], family="b"), table([0.02], test="s")], ignore_index=True)
    assert adjust(rows).tolist() == pytest.approx([0.04, 0.04, 0.02, 0.02])


def test_an_untested_hypothesis_costs_nothing():
    found = adjust(table([0.02, np.nan]))
    assert found[0] == 0.02
    assert np.isnan(found[1])


def test_a_family_without_any_p_value_stays_empty():
    assert adjust(table([np.nan, np.nan])).isna().all()


def test_an_unknown_correction_and_a_missing_column_are_named():
    with pytest.raises(StatisticsError, match="correction is 'none'"):
        adjust(table([0.1]), correction="none")
    with pytest.raises(StatisticsError, match="no column p_value"):
        adjust(table([0.1]).drop(columns="p_value"))


@pytest.mark.parametrize("correction", ["holm", "bh"])
def test_corrected_p_values_agree_with_r_in_any_order(correction):
    expected = pd.read_csv(Path(__file__).parent / "golden" / "multiplicity.csv").sample(frac=1, random_state=0)
    table = expected.assign(p_value=expected["p"], family="a", test="t")
    assert adjust(table, correction=correction).tolist() == pytest.approx(expected[correction].tolist(), rel=1e-14)
