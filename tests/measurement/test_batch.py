"""Units of work: one slide each, every usable patch once, a function of the table alone."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from saliency_stats.measurement.batch import batches_of

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
def test_units_hold_each_usable_patch_once_and_one_of_everything(rows, size):
    table = pd.DataFrame(rows, columns=["slide_id", "split", "height_px", "status", "magnification"])
    table["width_px"] = 32
    units = batches_of(table, "test", size)
    assert sorted(row for unit in units for row in unit.rows) == list(table.index[table["status"] == "used"])
    assert len({unit.name for unit in units}) == len(units)
    for unit in units:
        part = table.loc[list(unit.rows)]
        assert len(part) <= size
        assert (part.nunique()[["slide_id", "split", "height_px", "magnification"]] == 1).all()
        assert unit.measured == (part["split"].iloc[0] == "test")
        assert unit.magnification == part["magnification"].iloc[0]
