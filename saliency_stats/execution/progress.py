"""Progress on stderr: bars with rate and remaining time in a terminal, in a log a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tqdm import tqdm

#: Seconds between two lines of a stage in a log; a stage that takes less leaves none.
_BETWEEN: Final = 60.0


class _Line(tqdm):  # type: ignore[type-arg]  # generic in its stubs alone
    """A bar that writes a new line each time instead of moving the cursor back."""

    def display(self, *_: object, **__: object) -> None:
        """Write how far the stage is."""
        self.fp.write(f"{str(self).strip()}\n")
        self.fp.flush()


class Progress:
    """Announces stages, shows their progress, and keeps how long each took.

    Parameters
    ----------
    show
        Draw bars and write lines. By default bars if stderr is a terminal, else (nohup, a cluster's job) a line a
        minute and what else is to be said. False is silent.
    """

    def __init__(self, *, show: bool | None = None) -> None:
        self.show = show is not False
        self.bars = sys.stderr.isatty() if show is None else show
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int, unit: str = "patch") -> Iterator["tqdm[Any]"]:
        """Time a stage and draw its bar; ``update(n)`` on the result moves it."""
        began = time.perf_counter()
        rarely = None if self.bars else _BETWEEN
        with (tqdm if self.bars else _Line)(
            total=total,
            desc=f"{name:<22}" if self.bars else name,
            unit=f" {unit}",
            file=sys.stderr,
            disable=not self.show,
            dynamic_ncols=self.bars,
            smoothing=0.1,
            mininterval=rarely or 0.1,
            maxinterval=rarely or 10.0,
            delay=rarely or 0.0,
            ncols=None if self.bars else 0,
        ) as bar:
            yield bar
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def say(self, text: str) -> None:
        """Write a line for a person."""
        if self.show and self.bars:
            tqdm.write(text, file=sys.stderr)
        elif self.show:  # tqdm would write the bar's line again
            print(text, file=sys.stderr, flush=True)  # noqa: T201
