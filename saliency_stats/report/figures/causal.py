"""The causal companion: what replacing a compartment does to the decision, and whether saliency predicts it."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saliency_stats.report.figures import style
from saliency_stats.report.figures.facets import in_order, of_stratum, strata
from saliency_stats.report.figures.marks import (
    Look,
    compartment_looks,
    handle,
    mark_points,
    reference,
    scatter,
    summaries,
    units_known,
)
from saliency_stats.report.population import stratum_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import count, interval, number, p_sign
from saliency_stats.statistics.drops import effects
from saliency_stats.vocabulary import PATCH_KEY, TISSUE, TRAINED

#: Said where there is nothing to draw.
NOTHING: Final = "no judged patch had a compartment replaced"
_REPLACEMENT_WORDS: Final = {
    "mean": "local mean colour",
    "blur": "blur",
    "stain": "constant stain",
    "inpaint": "inpainted from itself",
    "resynthesis": "its texture drawn anew",
}
_RHO: Final = "\N{GREEK SMALL LETTER RHO}"
_DROP_WORDS: Final = "drop of the logit ÷ area share"
_ROW_IN: Final = 2.3
#: The drop of a compartment stands to the left of its place, that of a random region to the right.
_MEANS: Final = {
    "drop_per_area": (-0.16, Look(style.TRAINED_COLOUR, "D", 17.6, 1.6)),
    "random_drop_per_area": (0.26, Look(style.CONTROL_COLOUR, "D", 17.6, 1.6)),
}
#: Room between two replacements, and width that the dots of a compartment take.
_BETWEEN, _DOTS = 0.8, 0.34
#: Up to this many dots the axis reaches each of them; of more it spans the bulk.
_FEW: Final = 30
#: Points of the scatter are thinned to about this many a panel: more only hide each other. Its axes span these.
_MOST_POINTS, _SCATTER_BULK = 1_500, (0.5, 99.5)
_AGAINST: Final = ("density", "drop_per_area")
_PAD: Final = 0.06


def shown_effects(run: Run) -> pd.DataFrame:
    """Return the effects of replacements in the judged patches, of the trained network."""
    found = effects(run.of_judged(run.ablation[run.ablation["model"] == TRAINED]))
    style.some(found.dropna(subset="drop"), NOTHING)
    return found


def draw_causal(run: Run) -> Figure:
    """Draw drops of the logit per area, with random controls, and saliency against them, a row per stratum."""
    found = shown_effects(run)
    kinds, rows = replacements(found), strata(run, found)
    figure = style.new_figure(0.7 + _ROW_IN * len(rows))
    grid = figure.subplots(len(rows), 2, squeeze=False, width_ratios=[1.45, 1.0])
    both = _with_density(run, found[found["replacement"] == kinds[0]])
    for (drops, against), (stratum, own) in zip(grid, rows.items(), strict=True):
        _draw_drops(drops, run, own, kinds)
        drops.set_title(stratum_words(run, *stratum), loc="left")
        _draw_scatter(against, run, of_stratum(both, stratum))
        title = _correlations(run, of_stratum(run.causal, stratum), kinds)
        against.set_title(title, fontsize=6.5, fontweight="normal", loc="left")
        if len(both):
            style.ratio_axis(against, "x", *np.percentile(both["density"], _SCATTER_BULK).tolist())
    grid[-1, 1].set_xlabel("saliency density ratio (log axis)")
    (_, mean), (_, control) = _MEANS.values()
    dot = f"one {run.unit}" if units_known(run, found) else "one patch"
    handles = [
        *style.compartment_handles(TISSUE),
        handle("mean and interval", mean, linestyle="-"),
        handle("random region of the same area", control, linestyle="-"),
        handle(dot, Look(style.QUIET, "o", 12.0)),
    ]
    return style.with_legend(figure, handles, 6)


def caption_causal(run: Run) -> str:
    """Say what was replaced, what is drawn, and what the correlations are."""
    found = shown_effects(run)
    means = (
        f"Dots are {run.unit}s, diamonds their means with {run.confidence_percent} intervals (Student's t)"
        if units_known(run, found)
        else f"Dots are patches, because their {run.unit}s are unknown, diamonds their means, without intervals"
    )
    text = (
        "What the decision loses when one compartment is replaced. Left: the drop of the logit of the patch's own"
        " class, divided by the share of the patch that was replaced. The compartment was replaced by the local mean"
        " colour of the tissue, by a blur that keeps its colour, or by one constant stain that keeps its structure."
        " Below zero the patch looks more like its class than before. Grey: the same operation on a random region of"
        f" equal area and shape; only what exceeds it speaks for the compartment. {means}. Right: how densely the"
        " saliency lies in a compartment against what replacing it does"
        f" ({replacement_words(replacements(found)[0])}); a pale dot is a compartment of one patch."
        f" {found['patch_id'].nunique():,} judged patches are shown."
    )
    if np.isfinite(run.causal.loc[run.causal["contrast"] == "prediction", "rho_low"]).any():
        text += (
            f" {_RHO} is the rank correlation within a slide, as a mean over slides with its {run.confidence_percent}"
            " interval. Above zero, replacing a compartment does more where the saliency is denser."
        )
    return text


def replacements(table: pd.DataFrame) -> list[str]:
    """Return the replacements of a table, known ones first."""
    return in_order(_REPLACEMENT_WORDS, table["replacement"])


def replacement_words(replacement: str) -> str:
    """Say what stands in the place of a compartment."""
    return _REPLACEMENT_WORDS.get(replacement, replacement)


def _with_density(run: Run, found: pd.DataFrame) -> pd.DataFrame:
    """Give effects the log2 density of the saliency in their compartment, where both are known."""
    ledger = run.judged_ledger
    ledger = ledger[(ledger["model"] == TRAINED) & (ledger["status"] == "measured") & (ledger["density_ratio"] > 0)]
    key = [*PATCH_KEY, "compartment"]
    rows = found.merge(ledger[[*key, "density_ratio"]], on=key).dropna(subset="drop_per_area")
    rows = rows.assign(density=np.log2(rows["density_ratio"]), look=rows["compartment"])
    return rows.sort_values([*PATCH_KEY], kind="stable")


def _draw_drops(axes: Axes, run: Run, rows: pd.DataFrame, kinds: list[str]) -> None:
    reference(axes)
    group, reach, known = len(TISSUE) + _BETWEEN, [0.0], units_known(run, rows)
    for column, (aside, look) in _MEANS.items():
        found = summaries(run, rows, ["replacement", "compartment"], column)
        at = found["compartment"].map(TISSUE.index) + group * found["replacement"].map(kinds.index)
        found = found.assign(place=at + aside, look="mean")
        if column == "random_drop_per_area":  # its mean alone
            found["each"] = [[]] * len(found)
        reach += mark_points(axes, found, {"mean": look}, _DOTS, known=known, most=_FEW).tolist()
    _fit(axes, np.nanmin(reach), np.nanmax(reach))
    axes.set_xticks(group * np.arange(len(kinds)) + (len(TISSUE) - 1) / 2, [replacement_words(kind) for kind in kinds])
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel(_DROP_WORDS)


def _draw_scatter(axes: Axes, run: Run, rows: pd.DataFrame) -> None:
    if len(rows):
        step = max(1, len(rows) // _MOST_POINTS)
        thin = rows[rows.groupby("compartment").cumcount() % step == 0]
        scatter(axes, thin, _AGAINST, compartment_looks(size=3.0), alpha=0.25, linewidth=0)
        if units_known(run, rows):
            means = rows.groupby(["look", run.unit_column])[[*_AGAINST]].mean().reset_index()
            scatter(axes, means, _AGAINST, compartment_looks(size=13.0), edgecolor="white", linewidth=0.4)
        low, high = np.percentile(rows["drop_per_area"], _SCATTER_BULK)
        _fit(axes, min(low, 0.0), max(high, 0.0))
    reference(axes, which="x")
    reference(axes)
    axes.set_ylabel(_DROP_WORDS)


def _fit(axes: Axes, low: float, high: float) -> None:
    pad = _PAD * (high - low or 1.0)
    axes.set_ylim(low - pad, high + pad)


def _correlations(run: Run, causal: pd.DataFrame, kinds: list[str]) -> str:
    """Say in how many slides, and by replacement how far, saliency predicts the drop."""
    rows = run.of_own_map(causal[(causal["contrast"] == "prediction") & (causal["model"] == TRAINED)])
    # of a study whose primary test is absent the first one, as in the forest
    rows = rows.assign(other=[test not in run.tests for test in rows["test"]]).sort_values("other", kind="stable")
    lines = []
    for kind in kinds:
        for _, row in rows[rows["replacement"] == kind].head(1).iterrows():
            words = f"{replacement_words(kind)}: {_RHO} {number(row['rho'])}"
            if np.isfinite(row["rho_low"]):
                words += f" ({interval(row['rho_low'], row['rho_high'])})"
            lines.append(", ".join(filter(None, [words, p_sign(row["p_adjusted"])])))
    counted = rows["n_slides"].max() if len(rows) else 0
    return "\n".join([f"within {count(counted, 'slide')}" if counted else "slides unknown", *lines])
