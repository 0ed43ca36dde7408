"""Parts of a table become one, as pandas would put them together, with texts as sorted categories."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from saliency_stats.execution.parts import coded, together


def part(**columns):
    return coded(pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False))


def test_parts_follow_each_other_and_texts_are_sorted_categories():
    parts = [
        part(model=["trained", "sobel"], label=["benign", "benign"], value=[0.5, np.nan], n=[2**53 + 1, 3]),
        part(model=["a,b", "trained"], label=["benign", "benign"], value=[np.inf, -0.0], n=[-1, 0]),
    ]
    found = together(parts)
    assert parts == []
    wanted = pd.DataFrame(
        {
            "model": pd.Categorical(
                ["trained", "sobel", "a,b", "trained"], pd.Index(["a,b", "sobel", "trained"], dtype="str")
            ),
            "label": pd.Categorical(["benign"] * 4, pd.Index(["benign"], dtype="str")),
            "value": [0.5, np.nan, np.inf, -0.0],
            "n": [2**53 + 1, 3, -1, 0],
        }
    )
    pd.testing.assert_frame_equal(found, wanted)
    assert found["model"].cat.codes.dtype == np.int8


def test_texts_of_a_part_are_numbered_and_the_rest_stays():
    found = part(model=["b", "b"], value=[1.0, 2.0], flag=[True, False], n=[1, 2])
    assert [str(kind) for kind in found.schema.types[1:]] == ["double", "bool", "int64"]
    assert pa.types.is_dictionary(found.schema.types[0])
    assert found["model"].chunk(0).dictionary.to_pylist() == ["b"]


@pytest.mark.parametrize(("n", "width"), [(127, 8), (128, 32)])
def test_a_few_texts_take_a_byte_a_row(n, width):
    patches = part(patch_id=[f"p{number:03d}" for number in range(n)] * 2)
    assert patches["patch_id"].type.index_type.bit_width == width
    found = together([part(patch_id=["a", None]), patches])["patch_id"]
    assert found.isna().tolist() == [False, True] + [False] * 2 * n
    assert found[found.notna()].tolist() == ["a"] + [f"p{number:03d}" for number in range(n)] * 2


@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_part_without_rows_has_no_say_in_types(where):
    parts = [part(model=["b"], n=[1]), part(model=["a"], n=[2])]
    parts.insert(where, coded(pa.table({"model": pa.array([], pa.null()), "n": pa.array([], pa.float64())})))
    found = together(parts)
    assert found["model"].tolist() == ["b", "a"]
    assert found["n"].dtype == np.int64


def test_parts_that_are_all_empty_keep_their_columns():
    found = together([part(model=np.array([], dtype="str"), value=np.array([], dtype=float)) for _ in range(2)])
    assert found.shape == (0, 2)
    assert found["value"].dtype == float


def test_what_a_part_lacks_is_missing():
    found = together([part(model=["b"], n=[1]), part(model=[None], value=[0.5]), part(n=[7], value=[0.25])])
    assert found["model"].tolist() == ["b", np.nan, np.nan]
    assert found["n"].fillna(-1).tolist() == [1, -1, 7]
    assert found["value"].fillna(-1).tolist() == [-1, 0.5, 0.25]


def test_whole_numbers_and_others_become_numbers():
    assert together([part(n=[1]), part(n=[0.5])])["n"].tolist() == [1.0, 0.5]
