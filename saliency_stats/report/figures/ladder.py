"""What the finding survives: eight questions, each with its answer and the numbers that decide it."""

import textwrap
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saliency_stats.report.figures import style
from saliency_stats.report.figures.facets import facets
from saliency_stats.report.figures.rows import name_rows
from saliency_stats.report.ladder import Ladder, climbed, questions
from saliency_stats.report.population import stratum_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import begun

#: The shape of each answer's mark; what was not tested has an open one.
_SHAPES: Final = {"yes": "o", "no": "s", "untested": "o", "unreachable": "D"}
_OPEN: Final = "untested"
_ROW_IN: Final = 0.35
_TEXT: Final[Any] = {"fontsize": 6.2, "linespacing": 1.1}
#: Width (in) of the panels together, and where in each the mark, the answer and its numbers begin.
_PANELS_IN, _MARK_IN, _ANSWER_IN, _NUMBERS_IN = 5.0, 0.12, 0.26, 0.83
#: Letters in a line of a question and of an answer, letters of numbers and of a title in an inch, lines in a row.
_QUESTION, _ANSWER, _PER_IN, _TITLE_PER_IN, _LINES = 41, 12, 19.5, 13.0, 3


def has_ladder(run: Run) -> bool:
    """Tell whether a verdict of the study's own method was asked what it survives."""
    return bool(_asked(run))


def draw_ladder(run: Run) -> Figure:
    """Draw a panel for each class and magnification, a row for each question."""
    rows = [(one["magnification"], one["label"], climbed(run, one)) for one in _asked(run)]
    found = pd.DataFrame(rows, columns=["magnification", "label", "ladder"])
    height, width = _ROW_IN * len(rows[0][-1].rungs), _PANELS_IN / found["label"].nunique()
    figure, panels = facets(run, found, height + 0.4, around_in=0.1)
    for (axes,), stratum, own, beside in panels:
        texts = [f"{k}. {text}" for k, text in enumerate(questions(beside["ladder"]), 1)]
        axes.set(xlim=(0.0, width), ylim=(len(texts) - 0.5, -0.5), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.tick_params(axis="y", length=0)
        name_rows(axes, [(float(k), textwrap.fill(text, _QUESTION)) for k, text in enumerate(texts)], **_TEXT)
        for k in range(0, len(texts), 2):
            axes.axhspan(k - 0.5, k + 0.5, color=style.CONTROL_COLOUR, alpha=0.1, linewidth=0)
        for ladder in own["ladder"]:
            _climb(axes, ladder, width)
        verdict = ", ".join(ladder.words for ladder in own["ladder"]) or "nothing was asked"
        where = textwrap.fill(begun(stratum_words(run, *stratum)), int(width * _TITLE_PER_IN))
        axes.set_title(f"{where}\n{verdict}", x=0.0, ha="left")
    return figure


def caption_ladder(_run: Run) -> str:
    """Say what is asked, and what an answer does not mean."""
    return (
        "Eight questions that a finding has to answer, from the maps themselves to other analyses, each with its answer"
        " and the numbers that decide it. “Could not have been found” means that this study is too small to find it,"
        " not that it is absent."
    )


def _asked(run: Run) -> list[Mapping[str, Any]]:
    return [one for one in run.verdict if one.get("survives") and one["method"] == run.method]


def _climb(axes: Axes, ladder: Ladder, width: float) -> None:
    """Write the answers of a ladder: a mark, a word, and the numbers, or why there are none."""
    for k, rung in enumerate(ladder.rungs):
        face, ink = ("white", rung.colour) if rung.kind == _OPEN else (rung.colour, "white")
        axes.plot(_MARK_IN, k, _SHAPES[rung.kind], color=rung.colour, markerfacecolor=face, markersize=8.5)
        text = {"va": "center"} | _TEXT
        axes.text(_MARK_IN, k, rung.mark, color=ink, ha="center", fontweight="bold", **text)
        axes.text(_ANSWER_IN, k, textwrap.fill(rung.answer, _ANSWER), color=rung.colour, fontweight="bold", **text)
        said = _lines(rung.numbers or rung.why, int((width - _NUMBERS_IN) * _PER_IN))
        axes.text(_NUMBERS_IN, k, said, **text)


def _lines(text: str, letters: int) -> str:
    """Break what is said into lines, an estimate's brackets into lines of their own; what is left over is cut off."""
    lines = [line for part in "\n(".join(text.rsplit(" (", 1)).splitlines() for line in textwrap.wrap(part, letters)]
    if len(lines) > _LINES:
        return textwrap.fill(text, letters, max_lines=_LINES, placeholder=" …")
    return "\n".join(lines)
