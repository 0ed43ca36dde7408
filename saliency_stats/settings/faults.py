"""All that is wrong with a study file, each fault with its key, what was found and what was expected."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from saliency_stats.errors import listed, shortened, shown
from saliency_stats.settings.cohort import COHORT_KINDS
from saliency_stats.settings.typed import as_typed

#: Where the content below a key comes from: ``--set`` assignments by the steps of the key that they set.
Assigned = Mapping[tuple[str, ...], str]
#: More faults than a message shows.
_HINTS: Final = 20
#: What else helps, by pydantic's kind of error.
_REMEDIES: Final = {
    "list_type": ". A list is written [a, b]",
    "string_type": ". Put it in quotes if it is meant as text",
    "model_type": ". Expected keys and values below it",
    "model_attributes_type": ". Expected keys and values below it",
    "dict_type": ". Expected keys and values below it",
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: at which key, and in words that name the key."""

    steps: tuple[str, ...]
    words: str


def said(faults: Iterable[Fault], where: str, assigned: Assigned) -> str:
    """Put faults into one message: what is wrong with the file, each assignment that is to blame by itself."""
    lines = [f"{_source(fault.steps, where, assigned)}: {fault.words}" for fault in faults]
    return listed(list(dict.fromkeys(lines)))


def known_part(content: dict[str, Any], model: type[BaseModel]) -> tuple[dict[str, Any], list[Fault]]:
    """Part the content of a study file into what can be judged, and faults: unknown keys, and words for numbers."""
    faults: list[Fault] = []
    return _known(content, model, model, (), faults), faults


def value_faults(error: ValidationError, unknown: list[Fault]) -> list[Fault]:
    """Say what pydantic found, but for what follows from an unknown key beside it."""
    faults: list[Fault] = []
    for one in error.errors(include_url=False):
        # below "cohort" pydantic names the kind before the key
        steps = tuple(
            str(step)
            for at, step in enumerate(one["loc"])
            if (at, step) not in {(1, kind) for kind in COHORT_KINDS} and step != "[key]"
        )
        if not any(_follows(steps, one["type"], cause) for cause in unknown):
            words = _words(one) if len(faults) < _HINTS else one["msg"]
            faults.append(Fault(steps, f"{_dotted(steps) or 'the study'}: {words}"))
    return faults


def nearest(word: object, known: Iterable[str], otherwise: str, prefix: str = "") -> str:
    """Name the known word that was probably meant, or say something else where none is near."""
    near = difflib.get_close_matches(str(word)[:100], known, n=1, cutoff=0.5)
    return f"Did you mean {prefix}{near[0]}?" if near else otherwise


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """List every key of a study file, whatever its kind of cohort."""
    for name, entry in model.model_fields.items():
        yield f"{prefix}{name}"
        for section in _sections(entry.annotation):
            yield from keys_of(section, f"{prefix}{name}.")


def is_section(model: type[BaseModel], steps: Iterable[str]) -> bool:
    """Tell whether keys stand below a key, in any kind of cohort."""
    models = [model]
    for step in steps:
        models = [
            section
            for one in models
            if step in one.model_fields
            for section in _sections(one.model_fields[step].annotation)
        ]
    return bool(models)


def _source(steps: tuple[str, ...], where: str, assigned: Assigned) -> str:
    # an assignment is to blame for what stands at or below its key, and for a section that it changed
    to_blame = [
        text for at, text in assigned.items() if steps and (at == steps[: len(at)] or steps == at[: len(steps)])
    ]
    return f"--set {shown(to_blame[-1])}" if to_blame else where


def _known(
    content: dict[str, Any], model: type[BaseModel], whole: type[BaseModel], steps: tuple[str, ...], faults: list[Fault]
) -> dict[str, Any]:
    fields, prefix, kept = model.model_fields, _dotted(steps, ends="."), {}
    for key, value in content.items():
        if key not in fields:
            # what is not shown needs no hint, which takes a while to find
            hint = _hint(str(key), model, whole, prefix) if len(faults) < _HINTS else ""
            faults.append(Fault((*steps, str(key)), f"unknown key {prefix}{_dotted((str(key),))}. {hint}"))
            continue
        sections = _sections(fields[key].annotation)
        if sections and isinstance(value, dict):
            nested = sections[0] if len(sections) == 1 else COHORT_KINDS[value["kind"]]
            value = _known(value, nested, whole, (*steps, key), faults)  # noqa: PLW2901
        try:
            kept[key] = as_typed(value, fields[key].annotation)
        except ValueError as error:
            at = (*steps, key)
            faults.append(Fault(at, f"{_dotted(at)}: {shortened(str(error), 1_000)}"))
    return kept


def _hint(key: str, model: type[BaseModel], whole: type[BaseModel], prefix: str) -> str:
    """Name the key that was probably meant: one of the same section, or the same key of another section."""
    fields = model.model_fields
    if difflib.get_close_matches(key[:100], fields, n=1, cutoff=0.9):
        return nearest(key, fields, "", prefix)
    elsewhere = [name for name in keys_of(whole) if name.rpartition(".")[2] == key]
    if f"{prefix}{key}" in elsewhere:
        kind = next(kind for kind, section in COHORT_KINDS.items() if key in section.model_fields)
        return f"It belongs to cohort.kind {kind}: set that kind, or delete the key."
    if elsewhere:
        return f"Did you mean {' or '.join(dict.fromkeys(elsewhere))}?"
    return nearest(key, fields, f"Known keys: {', '.join(fields)}.", prefix)


def _follows(steps: tuple[str, ...], kind: str, cause: Fault) -> bool:
    """Tell whether an error is only that of a key which was misspelt."""
    if kind == "missing":
        # the path that cannot be one, or the key of which this is the right name
        return steps == cause.steps or (steps[:-1] == cause.steps[:-1] and f"{_dotted(steps)}?" in cause.words)
    # what does not fit together, below the section that lacks the key
    return kind == "value_error" and cause.steps[: len(steps)] == steps


def _words(error: Any) -> str:
    message, kind = shortened(error["msg"].removeprefix("Value error, "), 1_000), error["type"]
    if kind in {"missing", "value_error"}:
        return message
    hint = ""
    if kind == "literal_error":
        near = nearest(error["input"], re.findall(r"'([^']*)'", error["ctx"]["expected"]), "")
        hint = f". {near}" if near else ""
    return f"{message} (found {shown(error['input'])}){_REMEDIES.get(kind, hint)}"


def _dotted(steps: tuple[str, ...], ends: str = "") -> str:
    """Write a key; what is no word as Python would, so that a line stays a line."""
    written = [shortened(step, 60) for step in steps]
    return "".join(f"{step if step.isprintable() else ascii(step)}." for step in written)[:-1] + (ends if steps else "")


def _sections(annotation: Any) -> list[type[BaseModel]]:
    kinds = [kind for kind in (get_args(annotation) or (annotation,)) if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, BaseModel)]
