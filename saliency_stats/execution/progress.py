"""Progress on stderr: bars with rate and remaining time in a terminal, otherwise nothing."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm


class Progress:
    """Announces stages, shows their progress, and keeps how long each took.

    Parameters
    ----------
    show
        Draw bars and write lines; by default only if stderr is a terminal.
    """

    def __init__(self, *, show: bool | None = None) -> None:
        self.show = sys.stderr.isatty() if show is None else show
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int, unit: str = "patch") -> Iterator["tqdm[Any]"]:
        """Time a stage and draw its bar; ``update(n)`` on the result moves it."""
        began = time.perf_counter()
        with tqdm(
            total=total,
            desc=f"{name:<22}",
            unit=f" {unit}",
            file=sys.stderr,
            disable=not self.show,
            dynamic_ncols=True,
            smoothing=0.1,
        ) as bar:
            yield bar
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def say(self, text: str) -> None:
        """Write a line for a person."""
        if self.show:
            tqdm.write(text, file=sys.stderr)
