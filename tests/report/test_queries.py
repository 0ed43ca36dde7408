"""What is asked of tables again and again: one test a contrast, reasons counted by their cause."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from saliency_stats.report.queries import doubt, of_image, one_test, patches_per_unit
from saliency_stats.report.run import Run

Blank = Callable[..., Run]
Rows = Callable[..., pd.DataFrame]


def test_exclusions_are_counted_by_their_cause(blank_run: Blank, rows_of: Rows) -> None:
    rows = [
        {"patch_id": "a", "source": "a.png", "status": "excluded: a.png: ends early"},
        {"patch_id": "b", "source": "b.png", "status": "excluded: b.png: ends early"},
        {"patch_id": "c", "source": "c.png", "status": "excluded: blurred (c), 98 %"},
        {"patch_id": "9", "source": "9.png", "status": "excluded: 9.png: blurred (9), 98 %"},
        {"patch_id": "d", "source": "", "status": "excluded"},
        {"patch_id": "e", "source": "e.png", "status": "excluded: e"},
        {"patch_id": "f", "source": "f.png", "status": "used"},
    ]
    table = blank_run(patches=rows_of("patches", *rows, magnification=20.0, label="benign")).exclusions
    assert table.to_dict("list") == {
        "magnification": [20.0, 20.0, 20.0],
        "label": ["benign"] * 3,
        "reason": ["blurred (…), 98 %", "ends early", "no reason recorded"],
        "n_patches": [2, 2, 2],
    }


def test_the_primary_test_is_kept_and_the_first_where_it_is_absent():
    rows = pd.DataFrame(
        {
            "magnification": [20.0, 20.0, 5.0, 20.0],
            "label": "benign",
            "contrast": "cytoplasm_vs_nucleus",
            "model": ["randomised", "trained", "trained", "trained"],
            "method": "gradient",
            "reduction": "l2",
            "test": ["wilcoxon", "t_slide_means", "wilcoxon", "sign_flip"],
        }
    )
    kept = one_test(rows, "sign_flip")
    assert kept[["magnification", "model", "test"]].to_numpy().tolist() == [
        [5.0, "trained", "wilcoxon"],
        [20.0, "trained", "sign_flip"],
        [20.0, "randomised", "wilcoxon"],
    ]


def test_the_fewest_and_the_most_patches_of_a_unit():
    judged = pd.DataFrame(
        {"magnification": 20.0, "label": "benign", "slide_id": ["a", "a", "a", "b"], "patient_id": ["p"] * 4}
    )
    assert patches_per_unit(judged, "slide_id") == {(20.0, "benign"): (1, 3)}
    assert patches_per_unit(judged, "patient_id") == {(20.0, "benign"): (4, 4)}


def test_doubt_is_that_of_the_median_patch_of_each_class():
    rows = [
        (label, magnification, f"{label}{patch}", compartment, share)
        for label, magnification, shares in (("benign", 10.0, (0.1, 0.2, 0.9)), ("malignant", 20.0, (0.5, np.nan)))
        for patch, share in enumerate(shares)
        for compartment in ("nucleus", "cytoplasm", "stroma")[: 1 + patch]
    ]
    ledger = pd.DataFrame(rows, columns=["label", "magnification", "patch_id", "compartment", "doubtful_share"])
    assert doubt(ledger) == {(10.0, "benign"): 0.2, (20.0, "malignant"): 0.5}
    assert doubt(ledger.assign(doubtful_share=np.nan)) == {}
    assert doubt(ledger.drop(columns="doubtful_share")) == {}


@pytest.mark.parametrize("kind", ["str", "category"])
def test_maps_of_the_image_bear_the_name_of_their_model(kind: str) -> None:
    table = pd.DataFrame(
        {
            "model": ["trained", "sobel", "trained", "randomised", "eosin", "sobel"],
            "method": ["gradient", "sobel", "sobel", "gradient", "eosin", "gradient"],
        },
        index=[3, 1, 4, 0, 5, 9],
        dtype=kind,
    )
    found = of_image(table)
    assert found.tolist() == [False, True, False, False, True, False]
    assert found.index.equals(table.index)
    assert of_image(table.iloc[:0]).tolist() == []
    assert not of_image(table.iloc[:1]).any()
