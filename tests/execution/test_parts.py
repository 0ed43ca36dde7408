"""Parts of a table become one, as pandas would put them together, with texts as sorted categories."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from saliency_stats.execution import parts
from saliency_stats.execution.parts import Parts


def part(**columns):
    return pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)


def together(several):
    collected = Parts()
    for one in several:
        collected.add(one)
    return collected.together()


@pytest.fixture(params=[1, 2, 1000], autouse=True)
def _some_at_a_time(request, monkeypatch):
    monkeypatch.setattr(parts, "AT_A_TIME", request.param)


def test_parts_follow_each_other_and_texts_are_sorted_categories():
    several = [
        part(model=["trained", "sobel"], label=["benign", "benign"], value=[0.5, np.nan], n=[2**53 + 1, 3]),
        part(model=["a,b", "trained"], label=["benign", "benign"], value=[np.inf, -0.0], n=[-1, 0]),
    ]
    found = together(several)
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


@pytest.mark.parametrize(("n", "width"), [(126, 1), (127, 2), (70_000, 4)])
def test_a_few_texts_take_a_byte_a_row(n, width):
    patches = part(patch_id=[f"p{number:05d}" for number in range(n)] * 2)
    found = together([part(patch_id=["p00000", None]), patches, part(patch_id=["p00001"])])["patch_id"]
    assert found.cat.codes.dtype.itemsize == width
    assert found.isna().tolist() == [False, True] + [False] * (2 * n + 1)
    assert found[found.notna()].tolist() == ["p00000", *[f"p{number:05d}" for number in range(n)] * 2, "p00001"]


def test_nothing_is_left_of_the_parts():
    collected = Parts()
    collected.add(part(n=[1]))
    assert len(collected.together()) == 1
    collected.add(part(n=[2]))
    assert collected.together()["n"].tolist() == [2]


@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_part_without_rows_has_no_say_in_types(where):
    several = [part(model=["b"], n=[1]), part(model=["a"], n=[2])]
    several.insert(where, pa.table({"model": pa.array([], pa.null()), "n": pa.array([], pa.float64())}))
    found = together(several)
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
