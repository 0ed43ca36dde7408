"""Which patches have their compartments replaced."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.measurement.ablation import draw_replaced


@pytest.fixture
def table():
    """Four slides of 5 benign and 9 malignant places, each seen at two magnifications; the last slide is unknown."""
    rows = [
        (f"{slide}-{label}-{place}", slide, label, magnification)
        for slide in ("A", "B", "C", "")
        for label, n in (("benign", 5), ("malignant", 9))
        for place in range(n)
        for magnification in (10.0, 20.0)
    ]
    return pd.DataFrame(rows, columns=["patch_id", "slide_id", "label", "magnification"])


def test_of_each_slide_and_class_as_many_as_asked_for(table):
    chosen = table[draw_replaced(table, 6, seed=3)]
    counts = chosen[chosen["slide_id"] != ""].groupby(["label", "slide_id", "magnification"]).size()
    assert (counts["benign"] == 5).all()
    assert (counts["malignant"] == 6).all()


def test_all_where_slides_are_unknown_or_all_are_wanted(table):
    assert draw_replaced(table, 2, seed=3)[table["slide_id"] == ""].all()
    assert draw_replaced(table, 0, seed=3).all()


def test_a_place_is_drawn_at_every_magnification_or_at_none(table):
    times = table.assign(drawn=draw_replaced(table, 3, seed=3)).groupby("patch_id")["drawn"].sum()
    assert set(times) == {0, 2}


def test_the_draw_hangs_on_names_and_seed_alone(table):
    first = draw_replaced(table, 3, seed=3)
    turned = table.sample(frac=1, random_state=0)
    pd.testing.assert_series_equal(draw_replaced(turned, 3, seed=3).sort_index(), first, check_names=False)
    assert not first.equals(draw_replaced(table, 3, seed=4))


def test_every_patch_has_the_same_chance(table):
    taken = np.mean([draw_replaced(table, 3, seed=seed)[table["slide_id"] == "A"] for seed in range(600)], axis=0)
    expected = np.where(table.loc[table["slide_id"] == "A", "label"] == "benign", 3 / 5, 3 / 9)
    assert np.abs(taken - expected).max() < 0.09  # more than four standard errors
