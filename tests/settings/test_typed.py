"""A number is a number, a switch is a switch."""

from typing import Annotated

import pytest
from pydantic import Field

from saliency_stats.settings.typed import as_typed, once


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (3, int),
        (2.5, int),  # which pydantic refuses
        (3, float),
        (0.5, Annotated[float, Field(gt=0)]),
        (None, float | None),
        (0.5, float | None),
        ([1, 2.5], list[float]),
        ({"a": 1}, dict[str, float]),
        ("text", str),
        (True, bool),
        ("a", list[float]),  # which pydantic refuses
        (3, dict[str, float]),
        (None, int),
    ],
)
def test_what_is_of_its_type_stays_as_it_is(value, annotation):
    assert as_typed(value, annotation) == value


@pytest.mark.parametrize("value", [True, False, "yes", "3", "0123", "", "many"])
@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (int, "integer"),
        (float, "number"),
        (float | None, "number"),
        (Annotated[int, Field(gt=0)], "integer"),
        (Annotated[float, Field(gt=0)] | None, "number"),
    ],
)
def test_words_and_switches_are_no_numbers(value, annotation, kind):
    with pytest.raises(ValueError, match=f"Input should be a valid {kind} ") as caught:
        as_typed(value, annotation)
    assert f"(found {value!r})" in str(caught.value)
    assert ("in plain digits" in str(caught.value)) == (isinstance(value, str) and value != "")


@pytest.mark.parametrize(
    ("word", "means"), [("yes", True), ("ON", True), ("true", True), ("no", False), ("Off", False), ("False", False)]
)
def test_words_for_a_switch(word, means):
    assert as_typed(word, bool) is means


@pytest.mark.parametrize("value", [0, 1, 1.0, "1", "t", "y", "", None, [True]])
def test_what_is_no_switch(value):
    with pytest.raises(ValueError, match="a valid boolean, true or false"):
        as_typed(value, bool)


def test_in_lists_and_mappings_every_wrong_value_is_named():
    with pytest.raises(ValueError, match=r"0: Input.*\(found 'a'\).*; 2: Input.*\(found True\)") as caught:
        as_typed(["a", 1.0, True], list[float])
    assert "1.0" not in str(caught.value)
    with pytest.raises(ValueError, match=r"001: Input should be a valid number \(found 'yes'\)"):
        as_typed({"001": "yes", "b": 2.0}, dict[str, Annotated[float, Field(gt=0)]])
    with pytest.raises(ValueError, match=r"9: Input[^;]*; and 2 more$"):
        as_typed(["a"] * 12, list[float])
    with pytest.raises(ValueError, match=r"9: Input[^;]*$"):
        as_typed(["a"] * 10, list[float])


def test_each_value_once():
    assert once(["a", "b"]) == ["a", "b"]
    with pytest.raises(ValueError, match=r"'b' stands there twice; expected each once"):
        once(["a", "b", "b", "c", "c"])
    many = [str(number) for number in range(200_000)]  # within moments
    assert once(many) is many
