"""What a replacement did to a patch's logit, by hand."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.drops import effects
from saliency_stats.vocabulary import TISSUE


def one_patch(**changes):
    who = {"patch_id": "p", "slide_id": "s", "patient_id": "", "label": "benign", "split": "test"}
    rows = pd.DataFrame(
        {
            **who,
            "magnification": 20.0,
            "model": "trained",
            "replacement": "mean",
            "logit": 3.0,
            "compartment": ["nucleus", "nucleus", "cytoplasm"],
            "region": ["compartment", "random", "compartment"],
            "area_share": [0.2, 0.2, 0.5],
            "logit_ablated": [2.0, 2.5, 4.0],
        }
    )
    return rows.assign(**changes)


def test_effects_by_hand():
    found = effects(one_patch()).set_index("compartment")
    assert list(found.index) == list(TISSUE)
    nucleus = found.loc["nucleus"]
    assert nucleus[["drop", "drop_per_area", "random_drop", "random_drop_per_area", "value"]].tolist() == pytest.approx(
        [1.0, 5.0, 0.5, 2.5, 2.5]
    )
    assert found.loc["cytoplasm", "drop_per_area"] == pytest.approx(-2)  # the logit may rise
    assert np.isnan(found.loc["cytoplasm", "value"])
    assert found["missing"].tolist() == ["", "no random region", "no stroma"]
    assert found.loc["stroma", ["area_share", "drop", "drop_per_area", "value"]].isna().all()
    assert (found["slide_id"] == "s").all()


def test_effects_of_nothing_are_nothing():
    assert effects(one_patch().iloc[:0]).empty


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compartment": "background"}, "compartment 'background' is unknown, expected nucleus"),
        ({"region": "elsewhere"}, "region 'elsewhere' is unknown"),
        ({"compartment": "nucleus"}, "patch_id p, .*region compartment occurs twice"),
        ({"logit_ablated": [np.nan, 0, 0]}, "missing or infinite"),
        ({"area_share": [0.0, 0.1, 0.1]}, "area share outside"),
        ({"slide_id": ["a", "b", "b"]}, "more than one slide"),
    ],
)
def test_impossible_ablations_name_the_patch(changes, message):
    with pytest.raises(StatisticsError, match=message):
        effects(one_patch(**changes))
    with pytest.raises(StatisticsError, match="no column region"):
        effects(one_patch().drop(columns="region"))
