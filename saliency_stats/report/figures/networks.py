"""Networks are a sample: what each trained network shows, all together, and those that learned nothing."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from saliency_stats.report.figures import marks, style
from saliency_stats.report.figures.controls import control_rows
from saliency_stats.report.figures.facets import facets, in_order, of_stratum, place_words, strata
from saliency_stats.report.figures.rows import WIDE_IN, name_rows
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import listing, number, percent, ratio, ratio_interval
from saliency_stats.vocabulary import TRAINED

_TOGETHER = "together"
_EACH = marks.Look(style.QUIET, "o", 5.0)


def has_networks(run: Run) -> bool:
    """Tell whether several networks were trained."""
    return run.n_networks > 1


def network_estimates(run: Run) -> pd.DataFrame:
    """Return the primary contrast of each network as :func:`~.marks.summaries` does, by class and magnification."""
    return marks.summaries(run, run.network_values, ["magnification", "label", "model", "network"], "value")


def draw_networks(run: Run) -> Figure:
    """Draw a row for each trained network with its slides, one for all of them, and one for each kind of control."""
    found = style.some(network_estimates(run).dropna(subset="estimate"), marks.NOT_BOTH)
    models = in_order([TRAINED], found["model"])
    places = {name: float(k) for k, name in enumerate([*run.networks, _TOGETHER, *models[1:]])}
    at = found["network"].where(found["model"] == TRAINED, found["model"])
    found = found.assign(place=at.map(places), look=found["model"])
    looks = {model: marks.look(model)._replace(size=16.0) for model in models}
    together = {_TOGETHER: marks.Look(style.DIFFERENCE_COLOUR, "D", 25.0, 1.6)}
    words, height = ("saliency density, cytoplasm ÷ nuclei  (log axis)",), 0.19 * len(places) + 0.45
    figure, panels = facets(run, found, height, around_in=0.5, width_in=WIDE_IN, below=words, sharey=True)
    pooled = _pooled(run, models)
    pooled = pooled.assign(place=pooled["model"].replace(TRAINED, _TOGETHER).map(places), look=_TOGETHER)
    words_of = {name: f"network {name}" for name in run.networks}
    words_of |= {name: run.words("controls", name).split(":")[0] for name in (_TOGETHER, *models[1:])}
    names = [(place, words_of[name]) for name, place in places.items()]
    for (axes,), stratum, own, beside in panels:
        dots = own[own["model"] == TRAINED].explode("each").astype({"each": float}).assign(look="each")
        marks.mark_estimates(axes, dots, {"each": _EACH}, columns=("each",), alpha=0.4, zorder=1)
        marks.mark_estimates(axes, own, looks, columns=("estimate",), hollow=own["model"] != TRAINED)
        shown = of_stratum(pooled, stratum)
        marks.mark_estimates(axes, shown.assign(place=shown["place"] + 0.3 * (shown["model"] != TRAINED)), together)
        axes.axhspan(places[_TOGETHER] - 0.5, places[_TOGETHER] + 0.5, color=style.CONTROL_COLOUR, alpha=0.12)
        limits = pooled.loc[pooled["magnification"] == stratum[0], [*marks.ESTIMATE]].to_numpy(np.float64).ravel()
        marks.fit_ratios(axes, [*limits, *np.concatenate(beside["each"].to_list())])
        name_rows(axes, names, {_TOGETHER})
        axes.set_ylim(max(places.values()) + 0.7, -0.6)
    handles = [marks.handle(f"one {run.unit} of a network", _EACH), marks.handle("one network", looks[TRAINED])]
    handles += [marks.handle("one control network", looks[name], hollow=True) for name in models[1:2]]
    handles.append(marks.handle("together, with interval", together[_TOGETHER], linestyle="-"))
    return style.with_legend(figure, handles, 4, "upper")


def caption_networks(run: Run) -> str:
    """Say what varies, and how much of it between networks."""
    text = (
        f"The primary contrast of each of {run.n_networks} trained networks, which differ in nothing but their"
        f" seeds{' and folds' if any('-' in name for name in run.networks) else ''}. Small dots: {run.unit}s; circles:"
        f" the networks' means. Diamonds: all together, with {run.confidence_percent} intervals in which networks and"
        f" {run.unit}s both are samples, so that they speak of other networks too."
    )
    controls = listing(marks.control_meaning(run, name) for name in _pooled(run)["model"].unique() if name != TRAINED)
    text += f" Below, for comparison: the {controls}." if controls else ""
    every = network_estimates(run)
    for stratum, own in strata(run, _pooled(run, [TRAINED])).items():
        found = of_stratum(every, stratum)
        each = found.loc[found["model"] == TRAINED, "estimate"].to_numpy(np.float64)
        for row in records(own):
            share = f"; {percent(row.network_share, 0)} of the variance of the estimate lies between networks"
            text += (
                f" {place_words(run, stratum)}: networks {ratio(each.min())} to {ratio(each.max())} (standard deviation"
                f" {number(each.std(ddof=1))} log2), together {ratio(row.estimate)}"
                f" ({ratio_interval(row.ci_low, row.ci_high)}){share if np.isfinite(row.network_share) else ''}."
            )
    return text


def _pooled(run: Run, models: list[str] | None = None) -> pd.DataFrame:
    """Return the contrasts of all networks of a model together: of these models, else of all that have networks."""
    rows = control_rows(run)
    shown = rows["model"].isin(models or set(run.network_values["model"])) & np.isfinite(rows["estimate"])
    return pd.DataFrame(rows[shown])
