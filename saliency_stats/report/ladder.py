"""What a verdict survives: eight questions with answers and numbers, for the page, a paper and a comparison."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from saliency_stats.report.run import Run
from saliency_stats.report.tables.table import Table
from saliency_stats.report.words import (
    NONE,
    STATUS_WORDS,
    begun,
    interval,
    magnification_words,
    number,
    p_sign,
    ratio,
    ratio_interval,
)


class Answer(NamedTuple):
    """How an answer looks: the mark by which it is told apart without its colour, its class in pages, its colour."""

    mark: str
    kind: str
    colour: str


ANSWERS: Final = {
    "yes": Answer("✓", "yes", "#005f46"),
    "no": Answer("✗", "no", "#963b00"),
    "not tested": Answer(NONE, "untested", "#5f6b76"),
    "could not have been found": Answer("?", "unreachable", "#795400"),
}
#: The questions in two words, for headings, in their order.
RUNG_WORDS: Final = {
    "maps": "The maps",
    "training": "Training",
    "picture": "The picture",
    "place": "The place",
    "method": "The method",
    "decision": "The decision",
    "networks": "Other networks",
    "analyses": "Other analyses",
}
#: How the answers and the verdict belong together.
READING: Final = (
    "A claim is supported where the first three are answered with yes and the fourth is not answered against it; the"
    " others say how far it reaches."
)
#: The same where the maps were made elsewhere, which leaves the second unanswered.
READING_OF_MAPS: Final = (
    "A claim is supported where the questions of the maps and of the picture are answered with yes and that of the"
    " place is not answered against it. Training, the decision and other networks cannot be asked of maps made"
    " elsewhere; the others say how far the claim reaches."
)
#: Rungs whose estimates are no ratios on a log2 scale, but differences of logits.
_PLAIN: Final = ("decision",)


@dataclass(frozen=True)
class Rung:
    """One question with its answer; ``parts`` are the single comparisons behind it, each as cells of text."""

    rung: str
    question: str
    answer: str
    mark: str
    kind: str
    colour: str
    numbers: str
    why: str
    parts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Ladder:
    """The rungs of one hypothesis, and what they lead to."""

    where: str
    status: str
    words: str
    rungs: tuple[Rung, ...]


def ladders(run: Run) -> tuple[Ladder, ...]:
    """Return the ladder of every hypothesis of a run that was asked what it survives."""
    return tuple(climbed(run, verdict) for verdict in run.verdict if verdict.get("survives"))


def climbed(run: Run, verdict: Mapping[str, Any]) -> Ladder:
    """Return the ladder of one verdict."""
    status = str(verdict["status"])
    rungs = tuple(_rung(run, found) for found in verdict["survives"])
    return Ladder(hypothesis_words(run, verdict), status, STATUS_WORDS.get(status, status), rungs)


def questions(found: Iterable[Ladder]) -> list[str]:
    """Return what ladders ask, rung by rung; they may be asked in different directions, of which all are named."""
    together = zip(*(ladder.rungs for ladder in found), strict=True)
    return [" / ".join(dict.fromkeys(rung.question for rung in rungs)) for rungs in together]


def reading(run: Run) -> str:
    """Say how the answers and the verdict of a run belong together."""
    return READING if run.settings.classifier.is_network else READING_OF_MAPS


def hypothesis_words(run: Run, verdict: Mapping[str, Any]) -> str:
    """Return "Benign patches, 20×", with the method where it is not the study's own."""
    own = verdict["method"] == run.method
    method = "" if own else f" ({run.words('methods', verdict['method'])}, {verdict['reduction']})"
    label = begun(run.classes.name(verdict["label"]))
    return f"{label} patches, {magnification_words(verdict['magnification'])}{method}"


def ladder_tables(run: Run) -> tuple[Table, ...]:
    """Return the answers, a column per hypothesis, and their numbers, a row per answer, as tables for a paper."""
    found = ladders(run)
    if not found:
        return ()
    answers = [(text, *(ladder.rungs[k].answer for ladder in found)) for k, text in enumerate(questions(found))]
    verdicts = ("Verdict", *(ladder.words for ladder in found))
    numbers = [
        (ladder.where, rung.question, rung.answer, said(rung) or NONE) for ladder in found for rung in ladder.rungs
    ]
    heads = ("Patches", "Question", "Answer", "Numbers")
    where = ("Question", *(ladder.where for ladder in found))
    return (
        Table("ladder", "What the finding survives", reading(run), where, (*answers, verdicts), n_text=len(where)),
        Table("ladder_numbers", "The numbers behind each answer", "", heads, tuple(numbers), n_text=len(heads)),
    )


def ladder_rows(verdicts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...]]]:
    """Yield each verdict that was asked what it survives, with its answers in the order of :data:`RUNG_WORDS`."""
    for verdict in verdicts:
        answers = {str(rung["rung"]): str(rung["answer"]) for rung in verdict.get("survives", ())}
        if answers:
            yield verdict, tuple(answers.get(rung, NONE) for rung in RUNG_WORDS)


def said(rung: Rung) -> str:
    """Put what a rung says in numbers and in words one after the other."""
    return ". ".join(begun(text.rstrip(".")) for text in (rung.numbers, rung.why) if text)


def _rung(run: Run, found: Mapping[str, Any]) -> Rung:
    answer, rung = str(found["answer"]), str(found["rung"])
    look = ANSWERS.get(answer, ANSWERS["not tested"])
    parts = tuple(_part(run, rung, part) for part in found["parts"])
    numbers, why = run.typeset(found["numbers"]), run.typeset(found["why"])
    return Rung(rung, found["question"], answer, *look, numbers, why, parts)


def _part(run: Run, rung: str, part: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the name, the estimate, its interval, its p-value and the answer of one comparison."""
    estimate, low, high, p_value = (
        float("nan") if part.get(key) is None else float(part[key])
        for key in ("estimate", "ci_low", "ci_high", "p_value")
    )
    plain = rung in _PLAIN
    return (
        _part_words(run, str(part["name"])),
        number(estimate) if plain else ratio(estimate),
        interval(low, high) if plain else ratio_interval(low, high),
        p_sign(p_value) or NONE,
        str(part["answer"]),
    )


def _part_words(run: Run, name: str) -> str:
    """Call a control or a method as the run's record does, another part by its own name."""
    for kind in ("controls", "methods"):
        if name in run.recorded(kind, {}):
            return run.words(kind, name)
    return name.replace("_", " ")
