"""Batches: one slide each, every usable patch once, a function of the table alone."""

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliency_stats.measurement.batch import Batch, batches_of

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "b"]),
        st.sampled_from(["train", "test"]),
        st.sampled_from([32, 64]),
        st.sampled_from(["used", "excluded: torn"]),
        st.sampled_from([10.0, 20.0]),
    ),
    max_size=40,
)


@given(rows=ROWS, size=st.integers(1, 7))
def test_batches_hold_each_usable_patch_once_and_one_of_everything(rows, size):
    table = pd.DataFrame(rows, columns=["slide_id", "split", "height_px", "status", "magnification"])
    table = table.assign(width_px=32, fold=np.nan)
    batches = batches_of(table, "test", size)
    assert sorted(row for batch in batches for row in batch.rows) == list(table.index[table["status"] == "used"])
    assert len({batch.name for batch in batches}) == len(batches)
    for batch in batches:
        part = table.loc[list(batch.rows)]
        assert len(part) <= size
        assert (part.nunique()[["slide_id", "split", "height_px", "magnification"]] == 1).all()
        assert batch.measured == (part["split"].iloc[0] == "test")
        assert batch.magnification == part["magnification"].iloc[0]


def test_they_come_by_magnification_split_slide_and_size():
    rows = [("b", "test", 20.0), ("a", "test", 20.0), *[("a", "test", 10.0)] * 5, ("a", "train", 10.0)]
    table = pd.DataFrame(rows, columns=["slide_id", "split", "magnification"])
    table = table.assign(height_px=32, width_px=[32] * 7 + [64], status="used", fold=np.nan)
    assert batches_of(table, "test", 2) == [
        Batch("000000", (2, 3), 10.0, measured=True),
        Batch("000001", (4, 5), 10.0, measured=True),
        Batch("000002", (6,), 10.0, measured=True),
        Batch("000003", (7,), 10.0, measured=False),
        Batch("000004", (1,), 20.0, measured=True),
        Batch("000005", (0,), 20.0, measured=True),
    ]
    assert [batch.measured for batch in batches_of(table, "train", 99)] == [False, True, False, False]
    assert len(batches_of(table.assign(width_px=range(8)), "test", 99)) == 8


def test_folds_are_not_mixed():
    rows = [(2, "a"), (1, "b"), (2, "a"), (1, "b"), (None, "")]
    table = pd.DataFrame(rows, columns=["fold", "slide_id"]).assign(split="test", magnification=20.0, height_px=32)
    table = table.astype({"fold": "Int64"}).assign(width_px=32, status=["used"] * 4 + ["excluded: torn"])
    batches = batches_of(table, "test", 9)
    assert batches == [
        Batch("000000", (1, 3), 20.0, measured=True, fold=1),
        Batch("000001", (0, 2), 20.0, measured=True, fold=2),
    ]
    assert batches[1].place == (20.0, 2)
    assert Batch("x", (0,), 5.0, measured=False).place == (5.0, 0)


def test_a_batch_does_not_change():
    with pytest.raises(FrozenInstanceError):
        Batch("000000", (0,), 20.0, measured=True).rows = (1,)
