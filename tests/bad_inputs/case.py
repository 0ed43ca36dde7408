"""What a bad input is, and how a command that is given one is judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

#: What a command may do with a bad input, the good one first.
OUTCOMES: Final = ("well", "traceback", "silent", "hang", "outside", "message")
#: Characters of a message that somebody reads.
LONGEST: Final = 3_000
#: How one message begins: the package's own, or click's.
_BEGINS: Final = ("saliency-stats: ", "Error: ")
#: What an error that nobody foresaw looks like, whoever reports it.
_UNFORESEEN: Final = ("Traceback (most recent call last)", "not foreseen", "Exception ignored in", "Fatal Python error")

Make = Callable[[Path, Random], Sequence[str]]


@dataclass(frozen=True)
class Bad:
    """One bad input.

    Parameters
    ----------
    name
        What is wrong, in a few words.
    make
        Makes it in a fresh copy of the base folder and returns the arguments of the command, which runs there.
    names
        Words of which the message must hold at least one: the key, file, slide, line or value.
    base
        Which sound folder it is made in, see ``base.py``.
    goes_on
        The thing is left out by its name and the rest goes on: exit 0 is right where the output names it.
    as_sound
        What was meant can be told, so reading it is as right as refusing it: exit 0 is right where the command finds
        the same as in the sound folder.
    untouched
        Nothing can be read out of it that is wrong, so exit 0 is right where nothing outside has changed.
    writes
        Besides ``out``, what the command may write in its folder.
    """

    name: str
    make: Make
    names: tuple[str, ...]
    base: str = "patches"
    goes_on: bool = False
    as_sound: bool = False
    untouched: bool = False
    writes: tuple[str, ...] = ()


@dataclass
class Ended:
    """How a command ended.

    Parameters
    ----------
    status
        Exit status; negative for a signal, None where it had to be killed after the time limit.
    same
        Whether it found, or wrote, what the sound input gives.
    news
        Where something may be named: stderr, and of stdout what it does not say of any input.
    outside
        Paths that it changed outside its own ``out``.
    """

    status: int | None
    stdout: str
    stderr: str
    seconds: float = 0.0
    same: bool = False
    news: str = ""
    outside: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Judged:
    """A case, how it ended, and what that is: one of ``OUTCOMES``, and why."""

    bad: Bad
    args: Sequence[str]
    ended: Ended
    outcome: str
    why: str = ""


def judge(bad: Bad, args: Sequence[str], ended: Ended) -> Judged:
    """Say how a bad input was taken; the worst comes first."""
    outcome, why = _judged(bad, ended)
    return Judged(bad, args, ended, outcome, why)


def _judged(bad: Bad, ended: Ended) -> tuple[str, str]:
    told = ended.stdout + ended.stderr
    named = any(name in ended.news for name in bad.names)
    if ended.status is None:
        return "hang", f"killed after {ended.seconds:.0f} s"
    if ended.outside:
        return "outside", f"changed {', '.join(ended.outside[:3])}"
    if ended.status < 0 or any(words in told for words in _UNFORESEEN):
        return "traceback", f"ended by signal {-ended.status}" if ended.status < 0 else ""
    if ended.status == 0:
        fine = (bad.goes_on and named) or (bad.as_sound and ended.same) or bad.untouched
        return ("well", "") if fine else ("silent", "exit 0, and nothing is said of it")
    return _message(bad, ended, named=named)


def _message(bad: Bad, ended: Ended, *, named: bool) -> tuple[str, str]:
    if ended.status not in {1, 2}:
        return "message", f"exit status {ended.status}; expected 1 or 2"
    begun = [line for line in ended.stderr.splitlines() if line.startswith(_BEGINS)]
    if len(begun) != 1:
        return "message", f"{len(begun)} messages on stderr; expected one"
    message = ended.stderr[ended.stderr.index(begun[0]) :]
    if len(message) > LONGEST:
        return "message", f"the message has {len(message)} characters"
    if not named:
        return "message", f"none of {', '.join(map(repr, bad.names))} is named"
    return "well", ""


@dataclass(frozen=True)
class Area:
    """Bad inputs of one kind: groups of which equally many are drawn.

    Parameters
    ----------
    groups
        Each a list of makers of cases; what a maker leaves open it draws itself.
    """

    name: str
    groups: Sequence[Sequence[Callable[[Random], Bad]]]

    def draw(self, rng: Random, n: int) -> list[Bad]:
        """Draw so many cases, no maker a second time before all of its group had a turn."""
        drawn: list[Bad] = []
        orders: list[list[Callable[[Random], Bad]]] = [[] for _ in self.groups]
        for at in range(n):
            group = at % len(self.groups)
            if not orders[group]:
                orders[group] = rng.sample(list(self.groups[group]), len(self.groups[group]))
            drawn.append(orders[group].pop()(rng))
        return drawn


def given(name: str, make: Make, *names: str, **more: object) -> Callable[[Random], Bad]:
    """Make a maker of a case that leaves nothing open but what ``make`` draws."""
    bad = Bad(name, make, tuple(names), **more)  # type: ignore[arg-type]
    return lambda _: bad
