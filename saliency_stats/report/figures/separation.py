"""What tells the classes apart: by how much they come closer when one compartment is replaced."""

from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saliency_stats.report.figures import style
from saliency_stats.report.figures.causal import replacement_words, replacements
from saliency_stats.report.figures.facets import in_order
from saliency_stats.report.figures.marks import Look, compartment_looks, handle, mark_estimates, reference
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import count, magnification_words, p_sign
from saliency_stats.statistics.causal import SUM_OF_LABELS
from saliency_stats.statistics.largest import largest
from saliency_stats.statistics.registry import words_of
from saliency_stats.statistics.selection import UNLEARNED
from saliency_stats.vocabulary import TISSUE, TRAINED

_NOTHING: Final = "no magnification has judged patches of both classes with a compartment replaced"
#: Asked where the study's own test needs slides that hold both classes and there are none.
_OTHERWISE: Final = "t_slide_means"
_ROW_IN: Final = 2.5
#: Distance between the marks of compartments, and half the width of a random region's.
_APART, _HALF = 0.24, 0.07
_LOOKS: Final = compartment_looks("D", 42.0, 1.8)
_EXCESS: Final = ("estimate", "ci_low_simultaneous", "ci_high_simultaneous")


def has_separation(run: Run) -> bool:
    """Tell whether a run's causal table says anything of both classes together."""
    return bool((run.causal["label"] == SUM_OF_LABELS).any())


def draw_separation(run: Run) -> Figure:
    """Draw what both classes lose together, and how much more than by a random region, a row per magnification."""
    rows, test = _shown(run)
    magnifications = in_order(run.magnifications, rows["magnification"])
    kinds = replacements(rows)
    figure = style.new_figure(0.7 + _ROW_IN * len(magnifications))
    grid = figure.subplots(len(magnifications), 2, squeeze=False)
    for (drops, excess), magnification in zip(grid, magnifications, strict=True):
        own = rows[rows["magnification"] == magnification]
        named = records(largest(own, test=test, alpha=run.alpha))
        marks = _placed(own, kinds)
        for axes, columns in ((drops, ("drop",)), (excess, _EXCESS)):
            mark_estimates(axes, marks, _LOOKS, columns=columns, upright=True, edge="white")
        ends = marks["place"] - _HALF, marks["place"] + _HALF
        drops.hlines(marks["random_drop"], *ends, color=style.CONTROL_COLOUR, linewidth=1.5)
        by_drop = [f"{replacement_words(row.replacement)}: most by {row.largest_drop or 'none'}" for row in named]
        _finish(drops, kinds, "drop of the logits of both classes", by_drop)
        _finish(excess, kinds, "÷ area, more than a random region", [_says(row) for row in named])
        at_chance = "" if run.learned[magnification] else f" ({UNLEARNED})"
        drops.set_title(f"{magnification_words(magnification)}{at_chance}", loc="right")
    random = handle("random region of the same area", Look(style.CONTROL_COLOUR, "_", 36.0))
    return style.with_legend(figure, [*style.compartment_handles(TISSUE), random], 4)


def caption_separation(run: Run) -> str:
    """Say what is added, and why."""
    rows, test = _shown(run)
    benign, malignant = run.classes.names
    text = (
        f"Left: the drop of the logit of the right class when one compartment is replaced, of {malignant} plus that of"
        f" {benign} patches: by so much the classes come closer. We add the two drops; an effect shared by both classes"
        f" (a patch without its nuclei may look {malignant}, whatever it was) cancels. The figure before shows the"
        " classes apart. Right: the same per area, less that of random regions of equal area. Dividing by the area does"
        " not favour large compartments; dividing by a small area amplifies noise."
    )
    if rows["ci_low_simultaneous"].isna().all():
        return f"{text} No intervals here: they are simultaneous, see causal.csv."
    text += f" Lines are {run.confidence_percent} intervals, simultaneous for the family of compartments."
    if test not in run.tests and (rows["status"] == "tested").any():
        text += " Unpaired slides: a test that allows them is shown."
    return f"{text} Test: {words_of(test)}, {count(int(rows['n_units'].max()), run.unit)}."


def _shown(run: Run) -> tuple[pd.DataFrame, str]:
    """Return the trained network's rows of both classes by the study's test, or by the other where it cannot be."""
    both = run.causal[(run.causal["label"] == SUM_OF_LABELS) & (run.causal["model"] == TRAINED)]
    both = both[(both.groupby("magnification")["n_patches"].transform("max") > 0).astype(bool)]
    answered = set(both.loc[both["status"] == "tested", "test"])
    test = next((test for test in run.tests if test in answered), _OTHERWISE)
    return style.some(both[both["test"] == test], _NOTHING), test


def _placed(rows: pd.DataFrame, kinds: list[str]) -> pd.DataFrame:
    """Return the rows of single compartments, each with its place from left to right."""
    of = {f"separation:{name}": name for name in TISSUE}
    rows = rows.assign(look=rows["contrast"].map(of)).dropna(subset="look")
    aside = (rows["look"].map(TISSUE.index) - 1) * _APART
    return rows.assign(place=rows["replacement"].map(kinds.index) + aside)


def _finish(axes: Axes, kinds: list[str], what: str, said: list[str]) -> None:
    reference(axes)
    axes.set_xticks(range(len(kinds)), [replacement_words(kind) for kind in kinds])
    axes.set_xlim(-0.6, len(kinds) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel(what)
    axes.set_title("\n".join(said), fontsize=6.5, fontweight="normal", loc="left")


def _says(row: Any) -> str:
    """Name the compartment whose replacement brings the classes closest, per area."""
    kind, sign = replacement_words(row.replacement), p_sign(row.p_adjusted)
    if not row.compartment:
        return f"{kind}: {row.reason}"
    return ", ".join(filter(None, [f"{kind}: {row.compartment} more than {row.second}", sign]))
