"""All that is wrong with a table in one message."""

from pathlib import Path

import pytest

from saliency_stats.cohort.problems import LISTED, Problems
from saliency_stats.errors import CohortError

TABLE = Path("folder/patches.csv")


def told(*found):
    problems = Problems(TABLE)
    for text, lines in found:
        problems.add(text, lines)
    with pytest.raises(CohortError) as caught:
        problems.stop()
    return str(caught.value)


def test_nothing_wrong_raises_nothing():
    assert Problems(TABLE).stop() is None


def test_one_problem_is_one_line():
    assert told(("empty", [])) == "folder/patches.csv: empty"
    assert told(("no label", [3])) == "folder/patches.csv, line 3: no label"


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ([2, 5], "line 2 (and 5)"),
        ([2, 5, 7], "line 2 (and 5, 7)"),
        ([2, 5, 7, 9], "line 2 (and 5, 7 and 1 more)"),
        (range(2, 102), "line 2 (and 3, 4 and 97 more)"),
    ],
)
def test_many_lines_are_counted(lines, where):
    assert told(("wrong", lines)) == f"folder/patches.csv, {where}: wrong"


def test_several_problems_are_listed_by_line():
    found = told(("d", [9, 1]), ("b", [2]), ("a", []), ("c", [2]))
    assert found == "folder/patches.csv: 4 things are wrong\n  a\n  line 2: b\n  line 2: c\n  line 9 (and 1): d"


def test_what_is_said_of_several_lines_is_one_problem():
    assert told(("same", [4]), ("same", [2, 7])) == "folder/patches.csv, line 4 (and 2, 7): same"


def test_the_first_ten_are_listed_and_the_others_counted():
    ten = told(*((f"p{n}", [n]) for n in range(LISTED)))
    assert ten.splitlines() == ["folder/patches.csv: 10 things are wrong", *(f"  line {n}: p{n}" for n in range(10))]
    twelve = told(*((f"p{n}", [n]) for n in range(LISTED + 2))).splitlines()
    assert twelve[0] == "folder/patches.csv: 12 things are wrong"
    assert twelve[-2:] == ["  line 9: p9", "  and 2 more"]
