"""The two classes of a study: their names for people, and the words of a table and the outputs of a network for each.

Tables of a run and everything that computes know them as ``benign`` and ``malignant``, which are roles: the first and
the second of two classes, whatever a study calls them.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from saliency_stats.errors import StudyError, shown
from saliency_stats.vocabulary import LABELS

#: How a study file states them.
EXAMPLE: Final = "{normal: [normal, 0], tumor: [tumor, 1]}"
#: Longer names do not fit into a figure.
LONGEST_NAME: Final = 40
#: No network has an output of a higher number.
_HIGHEST_OUTPUT: Final = 100_000
_FORMS: Final = ("name", "words", "outputs")


@dataclass(frozen=True)
class Classes:
    """Two classes, in the order of :data:`LABELS`.

    Parameters
    ----------
    names
        What people are shown.
    words
        Words of each in a table beside its name, and names of annotations for it.
    outputs
        Numbers of the outputs of a network, from 0, that stand for each; none where a study names none.

    Examples
    --------
    >>> classes = Classes.stated({"normal": ["healthy", 0], "tumor": ["Carcinoma", 1]})
    >>> classes.label("Carcinoma"), classes.label("0"), classes.name("malignant")
    ('malignant', 'benign', 'tumor')
    """

    names: tuple[str, str] = LABELS
    words: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    outputs: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())

    @classmethod
    def stated(cls, content: Mapping[Any, Any]) -> Self:
        """Read what a study file states: each class by its name, with a list of words and numbers.

        A number without quotes is a word of the table and an output of the network; a class whose table and network
        count differently states ``{words: [...], outputs: [...]}`` instead of a list. The class that is called
        ``benign`` or ``malignant``, or has this among its words, has this role; else their order decides. Below
        ``benign`` and ``malignant`` a ``name`` may be stated too, as :attr:`resolved` does.

        Raises
        ------
        StudyError
            With all that is wrong.
        """
        if not content:
            return cls()
        faults: list[str] = []
        found = [_Stated.read(name, value, faults) for name, value in content.items()]
        faults += _of_all(found)
        if faults:
            raise StudyError("; ".join(dict.fromkeys(faults)))
        first, second = sorted(found, key=lambda one: one.role)
        return cls((first.name, second.name), (first.words, second.words), (first.outputs, second.outputs))

    def label(self, word: str) -> str:
        """Return the class of a word of a table, compared as it is written; nothing for a word of neither."""
        plain = _plain(word)
        return next((label for label, words in zip(LABELS, self.known_words, strict=True) if plain in words), "")

    def name(self, label: str) -> str:
        """Return what people call a class; what is no class is called as it is."""
        return dict(zip(LABELS, self.names, strict=True)).get(label, label)

    @property
    def resolved(self) -> dict[str, dict[str, Any]]:
        """What a study file states of them, by role: whoever reads it need not know the order."""
        return {
            label: {"name": name, "words": list(words), "outputs": list(outputs)}
            for label, name, words, outputs in zip(LABELS, self.names, self.words, self.outputs, strict=True)
        }

    @property
    def are_stated(self) -> bool:
        """Whether a study file states them."""
        return self != USUAL_CLASSES

    @property
    def stated_words(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The words of each class, its name first, where a study file states them."""
        return self.known_words if self.are_stated else ((), ())

    @property
    def known_words(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The words of each class, its name first."""
        (first, second), (of_first, of_second) = self.names, self.words
        return tuple(dict.fromkeys([first, *of_first])), tuple(dict.fromkeys([second, *of_second]))


#: Those of a study file that states none.
USUAL_CLASSES: Final = Classes()


@dataclass(frozen=True)
class _Stated:
    """One class as a study file states it."""

    key: str
    name: str
    words: tuple[str, ...]
    outputs: tuple[int, ...]

    @classmethod
    def read(cls, key: Any, value: Any, faults: list[str]) -> Self:
        """Read one entry; what is wrong with it is added to ``faults``."""
        apart = value if isinstance(value, Mapping) else {"words": value}
        name = apart.get("name", key)
        of = _short(name)
        if unknown := [shown(form) for form in apart if form not in _FORMS]:
            faults.append(f"{of} has the unknown key {', '.join(unknown)}; expected {', '.join(_FORMS)}")
        elif not isinstance(name, str) or not any(map(str.isalpha, name)):
            faults.append(
                f"{shown(name)} is no name of a class; expected the two names, each with its words: {EXAMPLE}"
            )
        elif len(_plain(name)) > LONGEST_NAME or not _plain(name).isprintable():
            faults.append(f"the name {shown(name)} cannot be shown; expected up to {LONGEST_NAME} printable characters")
        elif "name" in apart and key not in LABELS:
            faults.append(f"{_short(key)} has a name; expected it as the key, or below {' and '.join(LABELS)}")
        words = _listed(apart.get("words"))
        outputs = _listed(apart.get("outputs")) if apart is value else [one for one in words if _is_number(one)]
        if not words and not outputs:
            faults.append(f"{of} has no word; expected the words that stand for it, as in {EXAMPLE}")
        faults += (f"{of}: {fault}" for fault in (*_of_words(words), *_of_outputs(outputs)))
        return cls(
            str(key),
            _plain(str(name)),
            tuple(dict.fromkeys(_plain(str(word)) for word in words)),
            tuple(number for number in outputs if _is_number(number)),
        )

    @property
    def role(self) -> int:
        """-1 for the class that is called benign, 1 for malignant, by its key or else its words; 0 for neither."""
        called = {self.key} if self.key in LABELS else set(self.words)
        return (LABELS[1] in called) - (LABELS[0] in called)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _plain(text: str) -> str:
    """Write a word as it is compared: without spaces around it, in one Unicode form (NFC)."""
    return unicodedata.normalize("NFC", text.strip())


def _short(name: Any) -> str:
    return shown(name) if not isinstance(name, str) or len(name) > LONGEST_NAME else name


def _of_words(words: Sequence[Any]) -> Iterator[str]:
    for word in words:
        if not isinstance(word, str) and not _is_number(word):
            yield f"{shown(word)} is neither a word nor a whole number; put it in quotes if the table has it as a word"
        elif not _plain(str(word)):
            yield "a word is empty; expected what stands in the table, or delete it"
    yield from _twice(words)


def _of_outputs(outputs: Sequence[Any]) -> Iterator[str]:
    for number in outputs:
        if not _is_number(number):
            yield f"outputs has {shown(number)}; expected whole numbers, without quotes"
        elif not 0 <= number <= _HIGHEST_OUTPUT:
            yield (
                f"{shown(number)} is no output of a network, which are numbered from 0; put it in quotes if it is a "
                "word of the table alone"
            )
    yield from _twice(outputs)


def _twice(entries: Sequence[Any]) -> Iterator[str]:
    for entry, times in Counter(map(repr, entries)).items():
        if times > 1:
            yield f"{entry} stands there twice; expected each once"


def _of_all(found: Sequence[_Stated]) -> Iterator[str]:
    """Say what is wrong with the classes together."""
    names = ", ".join(_short(one.name) for one in found)
    if len(found) != len(LABELS):
        yield (
            f"found {len(found)} {'class' if len(found) == 1 else 'classes'} ({names}); expected two: {EXAMPLE}. "
            "Several words may stand for one class"
        )
    for name, times in Counter(one.name.casefold() for one in found).items():
        if times > 1:
            yield f"the name {_short(name)} stands for {times} classes; expected two names that people can tell apart"
    for what, parts in (
        ("word", [{one.name, *one.words} for one in found]),
        ("output", [set(one.outputs) for one in found]),
    ):
        shared = sorted(str(part) for part, times in Counter(part for of in parts for part in of).items() if times > 1)
        if shared and not (what == "word" and len({one.name for one in found}) < len(found)):
            yield (
                f"the {what} {', '.join(map(shown, shared))} stands for more than one class; expected each for one. "
                "Where the table and the network count differently, say {words: [...], outputs: [...]} of each class"
            )
    named = [one.name for one in found if one.outputs]
    if 0 < len(named) < len(found):
        yield (
            f"{named[0]} alone has outputs; expected those of every class, or of none: a number in quotes is a word of "
            "the table alone"
        )
