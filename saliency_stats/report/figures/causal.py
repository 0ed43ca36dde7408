"""The causal companion: what replacing a compartment does to the decision, and whether saliency foretells it."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    compartment_handles,
    empty_figure,
    new_figure,
    ratio_axis,
    spread,
)
from saliency_stats.report.population import points, stratum_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import count, interval, number, p_sign
from saliency_stats.statistics.drops import effects
from saliency_stats.vocabulary import PATCH_KEY, TISSUE, TRAINED

#: Said where there is nothing to draw.
NOTHING: Final = "no judged patch had a compartment replaced"
#: What each replacement takes away.
REPLACEMENT_WORDS: Final = {"mean": "local mean colour", "blur": "blur", "stain": "constant stain"}
_RHO: Final = "\N{GREEK SMALL LETTER RHO}"
_ROW_IN: Final = 2.3
#: Points of the scatter are thinned to about this many a panel: more only hide each other.
_MOST_POINTS: Final = 3_000


def has_ablation(ablation: pd.DataFrame) -> bool:
    """Tell whether a run replaced compartments at all."""
    return not ablation.empty


def shown_effects(run: Run, ablation: pd.DataFrame) -> pd.DataFrame:
    """Return the effects of replacements in the judged patches, of the trained network."""
    rows = ablation[ablation["model"] == TRAINED]
    return effects(rows.merge(run.population.patches, on=[*PATCH_KEY, "label"], how="inner"))


def draw_causal(run: Run, ablation: pd.DataFrame, causal: pd.DataFrame) -> Figure:
    """Draw the drop of the logit per area, with its random control, and saliency density against it.

    Parameters
    ----------
    run
        Tells the judged patches, the unit, the method and reduction shown, and the ledger.
    ablation, causal
        ``ablation.csv`` and ``causal.csv``, magnifications spelt as in the run's other tables.

    Returns
    -------
    Figure
        A row of two panels for every magnification and class.
    """
    found = shown_effects(run, ablation)
    if found["drop"].notna().sum() == 0:
        return empty_figure(NOTHING)
    kinds = _kinds(found)
    strata = strata_of(run, found)
    figure = new_figure(0.7 + _ROW_IN * len(strata))
    grid = figure.subplots(len(strata), 2, squeeze=False, width_ratios=[1.45, 1.0])
    ledger = run.judged_ledger
    ledger = ledger[(ledger["model"] == TRAINED) & (ledger["status"] == "measured")]
    key = [*PATCH_KEY, "compartment"]
    both = found[found["replacement"] == kinds[0]].merge(ledger[[*key, "density_ratio"]], on=key)
    densities = np.log2(both.loc[both["density_ratio"] > 0, "density_ratio"])
    for (drops, scatter), (magnification, label) in zip(grid, strata, strict=True):
        own, pairs, said = (
            table[(table["magnification"] == magnification) & (table["label"] == label)]
            for table in (found, both, causal)
        )
        _draw_drops(drops, run, own, kinds)
        drops.set_title(stratum_words(run, magnification, label), loc="left")
        _draw_scatter(scatter, run, pairs)
        _write_correlations(scatter, run, said, kinds)
        if densities.size:
            ratio_axis(scatter, "x", *np.percentile(densities, [0.5, 99.5]).tolist())
    grid[-1, 1].set_xlabel("saliency density ratio (log axis)")
    dot = "one patch" if not units_known(run, found) else f"one {run.unit}"
    figure.legend(
        handles=[
            *compartment_handles(TISSUE),
            Line2D([], [], marker="D", color=TRAINED_COLOUR, markersize=4.2, label="mean and interval"),
            Line2D([], [], marker="D", color=CONTROL_COLOUR, markersize=4.2, label="random region of the same area"),
            Line2D([], [], marker="o", color=QUIET, markersize=3.5, linestyle="", label=dot),
        ],
        loc="outside lower center",
        ncols=6,
    )
    return figure


def caption_causal(run: Run, ablation: pd.DataFrame, causal: pd.DataFrame) -> str:
    """Say what was replaced, what is drawn, and what the correlations are."""
    found = shown_effects(run, ablation)
    if found["drop"].notna().sum() == 0:
        return "Nothing could be drawn: no judged patch had a compartment replaced."
    known = units_known(run, found)
    means = (
        f"Dots are {run.unit}s, diamonds their means with {run.confidence_percent} intervals (Student's t)"
        if known
        else f"Dots are patches, because their {run.unit}s are unknown, diamonds their means, without intervals"
    )
    kind = _kinds(found)[0]
    text = (
        "What the decision loses when one compartment is replaced. Left: the drop of the logit of the patch's own"
        " class, divided by the share of the patch that was replaced: by the local mean colour of the tissue, by a blur"
        " that keeps the compartment's colour, or by one constant stain that keeps its structure. Below zero the patch"
        " looks more like its class than before. Grey: the same operation on a random region of equal area and shape;"
        f" only what exceeds it speaks for the compartment. {means}. Right: how densely the saliency lies in a"
        f" compartment against what replacing it does ({REPLACEMENT_WORDS.get(kind, kind)}); a pale dot is a"
        " compartment of one patch."
        f" {found['patch_id'].nunique():,} judged patches were asked."
    )
    tested = causal[(causal["contrast"] == "prediction") & np.isfinite(causal["rho_low"])]
    if not tested.empty:
        text += (
            f" {_RHO} is the rank correlation within a slide, as a mean over slides with its {run.confidence_percent}"
            " interval: above zero, saliency tells what matters."
        )
    return text


def _kinds(found: pd.DataFrame) -> list[str]:
    present = set(found["replacement"])
    return [kind for kind in REPLACEMENT_WORDS if kind in present] or sorted(present)


def strata_of(run: Run, table: pd.DataFrame) -> list[tuple[float, str]]:
    """Return the magnifications and classes of a table, coarse to fine, malignant first."""
    present = set(zip(table["magnification"], table["label"], strict=True))
    return [(mag, label) for mag in run.magnifications for label in reversed(run.labels) if (mag, label) in present]


def units_known(run: Run, table: pd.DataFrame) -> bool:
    """Tell whether every row names its unit of inference."""
    return bool((table[run.unit_column] != "").all())


def _draw_drops(axes: Any, run: Run, rows: pd.DataFrame, kinds: list[str]) -> None:
    axes.axhline(0.0, color=QUIET, linestyle="--", linewidth=0.8, zorder=0)
    centres = []
    extremes = [0.0]
    for group, kind in enumerate(kinds):
        for place, compartment in enumerate(TISSUE):
            centre = group * (len(TISSUE) + 0.8) + place
            part = rows[(rows["replacement"] == kind) & (rows["compartment"] == compartment)]
            colour = COMPARTMENT_COLOURS[compartment]
            extremes += _mark(axes, run, part, "drop_per_area", centre - 0.16, colour, TRAINED_COLOUR)
            extremes += _mark(axes, run, part, "random_drop_per_area", centre + 0.26, "none", CONTROL_COLOUR)
        centres.append(group * (len(TISSUE) + 0.8) + (len(TISSUE) - 1) / 2)
    low, high = min(extremes), max(extremes)
    axes.set_ylim(low - 0.06 * (high - low or 1.0), high + 0.06 * (high - low or 1.0))
    axes.set_xticks(centres, [REPLACEMENT_WORDS.get(kind, kind) for kind in kinds])
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("drop of the logit ÷ area share")


def _mark(axes: Any, run: Run, rows: pd.DataFrame, column: str, at: float, colour: str, ink: str) -> list[float]:
    """Draw one mean with its interval, and its units unless they have no colour; return what the axis must reach."""
    found = points(run, rows, column)
    if not found.each.size:
        return []
    if colour != "none":
        axes.scatter(
            at + spread(found.each.size, 0.34),
            found.each,
            s=11 if found.by_unit else 2.5,
            color=colour,
            alpha=0.75 if found.by_unit else 0.35,
            linewidth=0,
            rasterized=not found.by_unit,
            zorder=1,
        )
    if np.isfinite(found.low):
        axes.plot([at, at], [found.low, found.high], color=ink, linewidth=1.6, zorder=2)
    axes.plot([at], [found.mean], marker="D", color=ink, markersize=4.2, markeredgecolor="white", zorder=3)
    # a few wild patches must not squeeze the rest: the axis spans the bulk of them
    bulk = found.each if found.by_unit and found.each.size < 30 else np.percentile(found.each, [1.0, 99.0])  # noqa: PLR2004 - few enough to show each
    reach = [float(bulk.min()), float(bulk.max())] if colour != "none" else []
    return [*reach, found.mean, *filter(np.isfinite, (found.low, found.high))]


def _draw_scatter(axes: Any, run: Run, rows: pd.DataFrame) -> None:
    axes.axhline(0.0, color=QUIET, linestyle="--", linewidth=0.8, zorder=0)
    axes.axvline(0.0, color=QUIET, linestyle="--", linewidth=0.8, zorder=0)
    axes.set_ylabel("drop of the logit ÷ area share")
    drawn = rows[(rows["density_ratio"] > 0) & rows["drop_per_area"].notna()].sort_values([*PATCH_KEY])
    if drawn.empty:
        return
    drawn = drawn.assign(density=np.log2(drawn["density_ratio"]))
    for compartment in TISSUE:
        part = drawn[drawn["compartment"] == compartment]
        colour = COMPARTMENT_COLOURS[compartment]
        thin = part.iloc[:: max(1, len(TISSUE) * len(part) // _MOST_POINTS)]
        axes.scatter(
            thin["density"], thin["drop_per_area"], s=3, color=colour, alpha=0.25, linewidth=0, rasterized=True
        )
        if units_known(run, part):
            means = part.groupby(run.unit_column)[["density", "drop_per_area"]].mean()
            axes.scatter(means["density"], means["drop_per_area"], s=13, color=colour, edgecolor="white", linewidth=0.4)
    low, high = np.percentile(drawn["drop_per_area"], [0.5, 99.5])
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def _write_correlations(axes: Any, run: Run, causal: pd.DataFrame, kinds: list[str]) -> None:
    rows = causal[
        (causal["contrast"] == "prediction")
        & (causal["model"] == TRAINED)
        & (causal["method"] == run.method)
        & (causal["reduction"] == run.reduction)
    ]
    # of a study whose primary test is absent the first one, as in the forest
    rows = rows.assign(other=rows["test"] != run.primary_test).sort_values("other", kind="stable")
    lines = []
    for kind in kinds:
        own = rows[rows["replacement"] == kind]
        if own.empty:
            continue
        row = own.iloc[0]
        words = f"{REPLACEMENT_WORDS.get(kind, kind)}: {_RHO} {number(row['rho'])}"
        if np.isfinite(row["rho_low"]):
            words += f" ({interval(row['rho_low'], row['rho_high'])})"
        sign = p_sign(row["p_adjusted"])
        lines.append(", ".join([words, *([sign] if sign else [])]))
    counted = rows["n_slides"].max() if len(rows) else 0
    title = f"within {count(counted, 'slide')}" if counted else "slides unknown"
    axes.set_title("\n".join([title, *lines]), fontsize=6.5, fontweight="normal", loc="left")
