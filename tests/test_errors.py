"""Values in messages: named, and never at length."""

import pytest

from saliency_stats.errors import listed, shortened, shown


@pytest.mark.parametrize("value", ["a", 3, 2.5, None, True, ["a", 1], {"a": {"b": 1}}, ()])
def test_short_values_are_shown_as_python_writes_them(value):
    assert shown(value) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        10**400,
        ["x" * 1_000] * 1_000,
        {str(n): "y" * 500 for n in range(99)},
        [[[[[[1]]]]]] * 99,
    ],
    ids=range(5),
)
def test_long_values_are_shown_shortly(value):
    assert 0 < len(shown(value)) <= 400


def test_of_a_long_text_both_ends_and_the_length_are_shown():
    text = shown("a" * 500 + "b" * 500)
    assert text.startswith("'aaa")
    assert text.endswith("bbb', 1,000 characters")
    assert shown("x" * 118) == repr("x" * 118)
    assert "characters" not in shown("x" * 120)
    assert shown("x" * 121).endswith("', 121 characters")


def test_what_cannot_be_written_is_named_by_its_type():
    assert shown(10**5_000) == "a value of the type int"


def test_the_middle_is_left_out():
    assert shortened("abc", 3) == "abc"
    assert shortened("abcdefghij", 9) == "abc...hij"
    assert len(shortened("x" * 1_000)) <= 300


def test_one_fault_is_a_line_and_several_are_a_list():
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "2 faults:\n  a\n  b"
    assert listed([str(n) for n in range(10)]).endswith("\n  9")
    assert listed([str(n) for n in range(12)]).endswith("\n  9\n  and 2 more")
    assert listed([str(n) for n in range(12)]).startswith("12 faults:\n  0\n")
