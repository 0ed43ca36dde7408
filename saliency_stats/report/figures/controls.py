"""The claim against every control: the primary contrast of each, and what the trained network has beyond it."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch as ColourPatch

from saliency_stats.report.figures import style
from saliency_stats.report.figures.facets import facets, in_order, place_words, strata
from saliency_stats.report.figures.marks import ESTIMATE, NOT_BOTH, Look, fit_ratios, handle, mark_estimates
from saliency_stats.report.figures.rows import NOT_INTERPRETABLE, WIDE_IN, missing_reasons, name_rows
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import begun, count, listing, ratio, ratio_interval
from saliency_stats.statistics import PRIMARY
from saliency_stats.statistics.selection import UNLEARNED
from saliency_stats.vocabulary import TRAINED

#: Where the trained network stands, and controls that the run did not record: networks, or maps of the image alone.
_NETWORKS, _OF_IMAGES = "networks", "images alone"
_ROW_IN, _AROUND_IN = 0.235, 0.5
#: Room for the heading of a group.
_GAP: Final = 1.15
_KEY: Final = ["label", "magnification", "model"]
#: What the columns of the difference are called beside those of the control.
_BEYOND: Final = {"estimate": "beyond", "ci_low": "beyond_low", "ci_high": "beyond_high", "p_adjusted": "beyond_p"}
_LOOKS: Final = {
    "trained": Look(style.TRAINED_COLOUR, "o", line=1.4),
    "control": Look(style.CONTROL_COLOUR, "s", line=1.4),
    "difference": Look(style.DIFFERENCE_COLOUR, "D", 16.0, 1.2),
}


def all_primary(run: Run) -> pd.DataFrame:
    """Return the primary contrast of everything that was measured, one row per class, magnification and map."""
    rows = run.contrasts
    return run.by_deciding_test(rows[(rows["contrast"] == PRIMARY) & rows["label"].isin(run.labels)])


def control_rows(run: Run) -> pd.DataFrame:
    """Return the trained network and its controls, each with what the trained network has beyond it.

    They are rows of ``contrasts.csv``, in the order of the groups and of the run's record, with ``group``, and of the
    difference ``beyond``, ``beyond_low``, ``beyond_high``, ``beyond_p`` (adjusted); NaN where there is none.
    """
    rows = run.of_own_map(all_primary(run))
    difference = rows["model"].str.startswith(f"{TRAINED}-")
    beyond = rows[difference].rename(columns=_BEYOND)[[*_KEY, *_BEYOND.values()]]
    beyond["model"] = beyond["model"].str.removeprefix(f"{TRAINED}-")
    found = rows[~difference].merge(beyond, on=_KEY, how="left", validate="one_to_one")
    recorded = {TRAINED: {"group": _NETWORKS}, **run.recorded("controls", {})}
    alone = np.where(found["method"] == found["model"], _OF_IMAGES, _NETWORKS)
    group = [recorded.get(name, {}).get("group", other) for name, other in zip(found["model"], alone, strict=True)]
    groups = list(dict.fromkeys([*(control["group"] for control in recorded.values()), _OF_IMAGES]))
    order = {"group": groups.index, "model": in_order(recorded, found["model"]).index}
    return found.assign(group=group).sort_values(
        ["group", "model"], key=lambda names: names.map(order[str(names.name)]), kind="stable", ignore_index=True
    )


def has_controls(run: Run) -> bool:
    """Tell whether a run has more than the one control that the forest plot shows already."""
    controls = set(control_rows(run)["model"]) - {TRAINED}
    return len(controls) > 1 or not controls <= set(run.controls)


def draw_controls(run: Run) -> Figure:
    """Draw the estimates of the trained network and all controls, and beside each the trained network's difference."""
    rows = control_rows(run)
    rows = style.some(rows[np.isfinite(rows["estimate"])], NOT_BOTH)
    places, groups = _places(rows), set(rows["group"])
    bottom = max(places.values()) + 0.7
    names = [(place, run.words("controls", name)) for name, place in places.items()]
    kind = np.where(rows["model"] == TRAINED, "trained", "control")
    rows = rows.assign(place=rows["model"].map(places), look=kind)
    height, beyond = _ROW_IN * (bottom + 0.7) + _AROUND_IN, ("beyond", "beyond_low", "beyond_high")
    grid: dict[str, Any] = {"below": ("cytoplasm ÷ nuclei", "trained ÷ control"), "width_ratios": [1.5, 1.0]}
    figure, panels = facets(run, rows, height, width_in=WIDE_IN, sharey=True, **grid)
    for (estimates, differences), _, own, beside in panels:
        _mark_trained(estimates, own[own["model"] == TRAINED])
        unlearned, unsure = own["status"] == NOT_INTERPRETABLE, ~(own["beyond_p"] < run.alpha)
        mark_estimates(estimates, own, _LOOKS, hollow=unlearned)
        mark_estimates(differences, own.assign(look="difference"), _LOOKS, hollow=unsure, columns=beyond)
        for axes, columns in ((estimates, ESTIMATE), (differences, beyond)):
            fit_ratios(axes, beside[[*columns]])
            for place in rows["place"].unique():  # leads the eye from the name to the last panel
                axes.axhline(place, color=style.CONTROL_COLOUR, alpha=0.25, linewidth=0.5, zorder=-1)
        name_rows(estimates, names, groups)
        estimates.set_ylim(bottom, -0.7)
    return style.with_legend(figure, _handles(run, rows), 5, "upper")


def caption_controls(run: Run) -> str:
    """Say what each control is, and which of them the trained network differs from."""
    every = control_rows(run)
    rows = every[np.isfinite(every["estimate"])]
    text = (
        "Wide panels: how much denser the saliency is in the cytoplasm than in the nuclei (log axis). Right of the"
        " dashed line the cytoplasm is denser, the claim under test. The vertical line and band are the trained"
        " network’s estimate and interval. Narrow panels: the trained network against the control of that row in the"
        " same patches, as a ratio of the two ratios. Right of the dashed line the trained network looks more at the"
        f" cytoplasm. Filled diamonds differ significantly (adjusted p below {run.alpha:g}); open ones do not, or were"
        " not tested."
    )
    recorded, present = run.recorded("controls", {}), set(rows["model"])
    kinds = "; ".join(dict.fromkeys(control["is"] for name, control in recorded.items() if name in present))
    text += f" {begun(kinds)}." if kinds else ""
    if np.isfinite(rows[["ci_low", "beyond_low"]]).any(axis=None):
        text += f" Lines are {run.confidence_percent} intervals over {run.unit}s."
    for stratum, own in strata(run, rows).items():
        text += f" {place_words(run, stratum)}:{_compared(run, own)}"
    return text + interval_words(rows) + _absent(run, every)


def interval_words(rows: pd.DataFrame) -> str:
    """Say why estimates have no interval; "" where all have one."""
    reasons = missing_reasons(rows)
    unlearned = (rows["model"] == TRAINED) & (rows["status"] == NOT_INTERPRETABLE)
    text = f" Estimates without an interval: {'; '.join(reasons)}." if reasons else ""
    return text + (f" Hollow marks of the trained network: it is {UNLEARNED} there." if unlearned.any() else "")


def _places(rows: pd.DataFrame) -> dict[str, float]:
    """Return the heights of the figure's rows: each group's heading, and its models below it."""
    places: dict[str, float] = {}
    for group, own in rows.groupby("group", sort=False):
        top = max(places.values()) + _GAP if places else 0.0
        places |= {name: top + k for k, name in enumerate([str(group), *own["model"].unique()])}
    return places


def _mark_trained(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the trained network's estimate and interval through all rows."""
    for row in records(rows):
        axes.axvline(row.estimate, color=style.TRAINED_COLOUR, linewidth=0.7, zorder=0)
        if np.isfinite(row.ci_low):
            axes.axvspan(row.ci_low, row.ci_high, color=style.TRAINED_COLOUR, alpha=0.1, linewidth=0, zorder=0)


def _handles(run: Run, rows: pd.DataFrame) -> list[Any]:
    handles: list[Any] = [handle(kind, _LOOKS[kind]) for kind in ("trained", "control")]
    if np.isfinite(rows.loc[rows["model"] == TRAINED, "ci_low"]).any():
        handles.insert(1, ColourPatch(facecolor=style.TRAINED_COLOUR, alpha=0.1, label="its interval"))
    if (rows["beyond_p"] < run.alpha).any():
        handles.append(handle(f"difference, adjusted p < {run.alpha:g}", _LOOKS["difference"]))
    return [*handles, handle("difference, not significant or not tested", _LOOKS["difference"], hollow=True)]


def _compared(run: Run, rows: pd.DataFrame) -> str:
    """Say of one class and magnification which controls the trained network differs from."""
    text = ""
    for row in records(rows[rows["model"] == TRAINED]):
        limits = ratio_interval(row.ci_low, row.ci_high) if np.isfinite(row.ci_low) else "no interval"
        text += f" trained {ratio(row.estimate)} ({limits});"
    tested = rows[np.isfinite(rows["beyond_p"])]
    if tested.empty:
        return f"{text} no difference from a control is tested."
    sure = tested["beyond_p"] < run.alpha
    above, below = sure & (tested["beyond"] > 0), sure & (tested["beyond"] < 0)
    text += f" significantly more in the cytoplasm than {int(above.sum())} of {count(len(tested), 'control')}"
    for words, which in (("significantly less than", below), ("not significantly different from", ~sure)):
        if which.any():
            text += f", {words} {listing(_short(run, name) for name in tested.loc[which, 'model'])}"
    return f"{text}."


def _short(run: Run, model: str) -> str:
    """Return a control's name without what it is, for a list of them."""
    return run.words("controls", model).split(":")[0]


def _absent(run: Run, rows: pd.DataFrame) -> str:
    """Name the controls that have no estimate somewhere, or whose difference is not known."""
    unmeasured = ~np.isfinite(rows["estimate"])
    unknown = ~unmeasured & ~np.isfinite(rows["beyond"]) & (rows["model"] != TRAINED)
    text = ""
    for words, which in (("No estimate", unmeasured), ("No difference", unknown)):
        missing = records(rows[which])
        names = [f"{_short(run, row.model)} ({run.place(row.magnification, row.label)})" for row in missing]
        text += f" {words}: {listing(names)}." if names else ""
    return text
