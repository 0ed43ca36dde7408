"""What was typed is what is taken: no word or switch is a number, and no number is a switch."""

from collections import Counter
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from saliency_stats.errors import shortened, shown

_NUMBERS: Final = {int: "integer", float: "number"}
_SWITCHES: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
Values = TypeVar("Values", list[str], list[float], list[str] | list[float])


def as_typed(value: Any, annotation: Any) -> Any:
    """Refuse what pydantic would turn into a number or a switch though it is none.

    Parameters
    ----------
    value
        What stands in the study file.
    annotation
        The key's type; of lists and mappings each value is looked at.

    Returns
    -------
    object
        The value; a word for a switch (``yes``, ``off``) is one.

    Raises
    ------
    ValueError
        With what was found.
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return as_typed(value, parts[0])
    if origin is list and isinstance(value, list):
        return list(_each(dict(enumerate(value)), parts[0]).values())
    if origin is dict and isinstance(value, dict):
        return _each(value, parts[1])
    if origin in (UnionType, Union):
        kinds = [kind for kind in parts if kind is not NoneType]
        return as_typed(value, kinds[0]) if len(kinds) == 1 else value
    if annotation is bool:
        return _switch(value)
    if annotation in _NUMBERS and isinstance(value, (bool, str)):
        remedy = ". Write it in plain digits, without quotes" if isinstance(value, str) and value.strip() else ""
        raise ValueError(f"Input should be a valid {_NUMBERS[annotation]} (found {shown(value)}){remedy}")
    return value


def once(values: Values) -> Values:
    """Refuse a list that holds a value twice.

    Raises
    ------
    ValueError
        Naming the value.
    """
    twice = [value for value, times in Counter[str | float](values).items() if times > 1]
    if twice:
        raise ValueError(f"{shown(twice[0])} stands there twice; expected each once")
    return values


def _each(values: dict[Any, Any], annotation: Any) -> dict[Any, Any]:
    typed, wrong = {}, []
    for key, value in values.items():
        try:
            typed[key] = as_typed(value, annotation)
        except ValueError as error:
            wrong.append(f"{shortened(str(key), 60)}: {error}")
    if wrong:
        raise ValueError("; ".join(wrong[:10]) + (f"; and {len(wrong) - 10} more" if len(wrong) > 10 else ""))  # noqa: PLR2004
    return typed


def _switch(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else ""
    if word not in _SWITCHES:
        raise ValueError(f"Input should be a valid boolean, true or false (found {shown(value)})")
    return _SWITCHES[word]
