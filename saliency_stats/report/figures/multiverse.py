"""The specification curve, and the primary contrast over the segmentations: what a choice of analysis decides."""

import re
from typing import Any, Final

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch as ColourPatch

from saliency_stats.compartments.variants import VARIANTS, impossible
from saliency_stats.report.figures import style
from saliency_stats.report.figures.facets import facets, in_order, place_words, strata
from saliency_stats.report.figures.marks import ESTIMATE, Look, fit_ratios, handle, mark_estimates, scatter
from saliency_stats.report.figures.rows import name_rows
from saliency_stats.report.population import stratum_words
from saliency_stats.report.run import Run
from saliency_stats.report.words import (
    MINUS,
    count,
    p_sign,
    p_words,
    percent,
    ratio,
    ratio_interval,
    whole,
)
from saliency_stats.statistics.multiverse import STRATUM, choices_that_matter, dimensions_of

_DIMENSION_WORDS: Final = {"reduction": "reduction of colours", "min_confidence": "least confidence"}
_VARIANT_WORDS: Final = (
    (r"nuclei([+-][\d.]+)um", r"nuclei \1 µm"),
    (r"band([\d.]+)um", r"borders ±\1 µm left out"),
    (r"probability([+-][\d.]+)", r"threshold \1"),
    (r"cytoplasm([\d.]+)um", r"cells up to \1 µm"),
    (r"cells-(\w+)", r"cells by \1"),
)
#: By what an estimate says; the order is that of the dashboard's colours.
_LOOKS: Final = {
    "unsure": Look(style.CONTROL_COLOUR, "o"),
    "below": Look(style.COMPARTMENT_COLOURS["nucleus"], "o"),
    "above": Look(style.COMPARTMENT_COLOURS["cytoplasm"], "o"),
}
_OWN: Final = {"own": Look(style.TRAINED_COLOUR, "D", 36.0)}
_LOOK_WORDS: Final = {
    "above": "denser in cytoplasm, significant",
    "below": "denser in nuclei, significant",
    "unsure": "not significant or not tested",
}
#: Height (in) of a row of the dashboard, of a curve with its title, and of a segmentation.
_ROW_IN, _CURVE_IN, _SEGMENTATION_IN = 0.125, 1.45, 0.17


def draw_multiverse(run: Run) -> Figure:
    """Draw a curve for each method, all in the order of the study's own, and below them the choices of each point."""
    table = style.some(_shown(run.multiverse), "no specification has an estimate")
    lines, methods = _dashboard_lines(run, table), _levels(run, table, "method")
    below = _ROW_IN * (len(lines) + 1)
    grid: dict[str, Any] = {"beside": "cytoplasm ÷ nuclei\n(ratio of densities, log axis)", "sharex": "col"}
    heights = [*[_CURVE_IN] * len(methods), *([below] if lines else [])]
    figure, panels = facets(run, table, sum(heights), height_ratios=heights, **grid)
    for axes_of, stratum, rows, beside in panels:
        placed = _placed(rows, methods[0])
        of_methods = {method: placed[placed["method"] == method] for method in methods}
        for dashboard in axes_of[len(methods) :]:
            made = pd.concat(of_methods.values()).drop_duplicates("place")  # by the first method that makes a choice
            _draw_dashboard(dashboard, made, lines)
        for axes, (method, own) in zip(axes_of, of_methods.items(), strict=False):
            _draw_curve(axes, own, placed["place"].max() + 0.5)
            fit_ratios(axes, beside[[*ESTIMATE]], "y")
            of_whom = f"{stratum_words(run, *stratum)}: {_words(run, 'method', method)}"
            axes.set_title(f"{of_whom}\n{_together(own)}", fontsize=7.0)
    return style.with_legend(figure, _handles(), 4, "upper")


def caption_multiverse(run: Run) -> str:
    """Say what a point is, and what the specifications of each method say together."""
    rows = run.multiverse
    table = _drawable(rows)
    text = (
        "Specification curves: the primary contrast of the trained network under every combination of choices, a curve"
        f" for each method. Each point is one analysis, its line the {run.confidence_percent} interval over"
        f" {run.unit}s, not corrected for their number. All curves are in the order of the first, that of the study's"
        " own method; below are the choices that each point makes, in the colours of the first curve that makes them."
        " The black diamond and line are this study's own analysis. p is that of all analyses of a curve together"
    )
    if rows["p_attainable"].notna().any():
        text += f", from the signs of whole {run.unit}s flipped in all of them at once"
    elif rows["p_global"].notna().any():
        text += f", with networks and {run.unit}s as two samples"
    text += (
        '. "At least" counts analyses with an effect in the direction of most'
        f" ({run.confidence_percent} bound for all together)."
    )
    matter = choices_that_matter(rows)
    for name in dimensions_of(table, "method"):
        levels = _levels(run, table, name)
        if len(levels) == 1:
            text += f" The same in all: {_dimension_words(name)} {_words(run, name, levels[0])}."
        elif levels and name not in matter:
            words = ", ".join(_words(run, name, level) for level in levels)
            text += f" Changes nothing within a curve: {_dimension_words(name)} ({words})."
    for stratum, of_stratum in strata(run, table).items():
        for method in _levels(run, table, "method"):
            own = of_stratum[of_stratum["method"] == method].drop_duplicates("sample")
            if len(own):
                text += f" {place_words(run, stratum)}, {_words(run, 'method', method)}: {_agreement(own)}."
    if len(table) < len(rows):
        text += f" {count(len(rows) - len(table), 'specification')} without an estimate left out."
    return text + " Specifications share patches and slides and are not independent tests."


def _agreement(own: pd.DataFrame) -> str:
    """Say how many distinct specifications of a curve agree."""
    tested = own[own["status"] == "tested"]
    text = f"{count(len(own), 'specification')} with values of {'its' if len(own) == 1 else 'their'} own,"
    text += f" denser in the cytoplasm in {percent((own['estimate'] > 0).mean(), 0)}"
    if len(tested):
        above, below = (percent((_says(tested) == what).mean(), 0) for what in ("above", "below"))
        text += f", significantly so in {above}, significantly denser in the nuclei in {below}"
    reason = own["curve_reason"].iloc[0]
    if not np.isfinite(own["n_true_low"].iloc[0]):
        return f"{text}; {reason}"
    return f"{text}; {_together(own)}{f' ({reason})' if reason else ''}"


def _together(rows: pd.DataFrame) -> str:
    """Say what the specifications of a curve say together."""
    if rows.empty:
        return "no estimate"
    curve = rows.iloc[0]
    if not np.isfinite(curve["p_global"]):
        return "not tested together"
    if not np.isfinite(curve["n_true_low"]):
        return f"could not have been found (p ≥ {p_words(curve['p_attainable'])})"
    n = rows.loc[rows["status"] == "tested", "sample"].nunique()
    return f"{p_sign(curve['p_global'])}, at least {whole(curve['n_true_low'])} of {count(n, 'specification')}"


def draw_segmentation(run: Run) -> Figure:
    """Draw the study's own contrast under every segmentation, with the range over them as a band."""
    table = style.some(_segmentations(run.multiverse), "no segmentation has an estimate")
    names = _levels(run, table, "segmentation")
    table = table.assign(place=table["segmentation"].map(names.index).astype(float), look=_says(table))
    height, words = _SEGMENTATION_IN * len(names) + 0.45, "cytoplasm ÷ nuclei (ratio of densities, log axis)"
    figure, panels = facets(run, table, height, around_in=0.5, below=(words,), sharey=True)
    for (axes,), stratum, own, beside in panels:
        low, high = own["estimate"].min(), own["estimate"].max()
        axes.axvspan(low, high, color=style.CONTROL_COLOUR, alpha=0.2, linewidth=0)
        mark_estimates(axes, own, _LOOKS, linewidth=0)
        _mark_own(axes, own, "estimate", "place")
        fit_ratios(axes, beside[[*ESTIMATE]])
        axes.set_title(f"{stratum_words(run, *stratum)}: {ratio_interval(low, high)}")
        name_rows(axes, enumerate(_words(run, "segmentation", name) for name in names))
        axes.set_ylim(len(names) - 0.4, -0.6)
    band = ColourPatch(facecolor=style.CONTROL_COLOUR, alpha=0.2, label="range over segmentations")
    return style.with_legend(figure, [*_handles(), band], 3, "upper")


def caption_segmentation(run: Run) -> str:
    """Say what the band is."""
    table = _segmentations(run.multiverse)
    fixed = impossible(run.settings.compartments.nuclei)
    threshold = "as it is, for it gives no probabilities" if fixed else "moved"
    text = (
        "The primary contrast of the trained network under other segmentations, all else being this study's own: nuclei"
        f" grown or shrunk, their borders left out, the finder's threshold {threshold}, cells of another size or told"
        " in another way. The band is the range of the estimates. Black diamond: the segmentation of this study. Lines"
        f" are {run.confidence_percent} intervals over {run.unit}s."
    )
    for stratum, own in strata(run, table).items():
        span = ratio_interval(own["estimate"].min(), own["estimate"].max())
        for usual in own.loc[own["usual"], "estimate"]:
            text += f" {place_words(run, stratum)}: {ratio(usual)}, over {count(len(own), 'segmentation')} {span}."
    return text


def _drawable(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(table[np.isfinite(table["estimate"])]).reset_index(drop=True)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Keep one level, the study's own where it is there, of a choice that changes nothing, and call it by that."""
    shown = _drawable(table)
    for name in set(dimensions_of(table, "method")) - set(choices_that_matter(table)) if len(shown) else ():
        own = [*shown.loc[shown["usual"], name], shown[name].iloc[0]][0]
        others = [*STRATUM, *dimensions_of(table, name)]
        first = pd.concat([shown[shown[name] == own], shown[shown[name] != own]])
        shown = first.drop_duplicates(others).assign(**{name: own})
    return shown


def _placed(rows: pd.DataFrame, first: str) -> pd.DataFrame:
    """Give every combination of choices its place, the middle of a column: in the order of the first method."""
    order = rows[rows["method"] == first].sort_values("estimate", kind="stable")
    choices = [*dimensions_of(rows, "method")]
    places = pd.concat([order, rows.sort_values(choices)])[choices].drop_duplicates(ignore_index=True)
    return rows.merge(places.assign(place=np.arange(len(places)) + 0.5), on=choices).sort_values("place")


def _segmentations(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows that differ from the study's own in the segmentation alone."""
    others = [*dimensions_of(table, "segmentation")]
    return _drawable(table.merge(table.loc[table["usual"], others].drop_duplicates(), on=others))


def _says(rows: pd.DataFrame) -> Any:
    """Name what each estimate says."""
    sign = np.where(rows["estimate"] > 0, "above", "below")
    return np.where(rows["significant"], sign, "unsure")


def _levels(run: Run, table: pd.DataFrame, dimension: str) -> list[Any]:
    """Return the levels of a dimension, the study's own first; numbers rise, others are as listed elsewhere."""
    levels = table[dimension].unique()
    if pd.api.types.is_numeric_dtype(table[dimension]):
        return sorted(levels)
    listed = [variant.name for variant in VARIANTS] if dimension == "segmentation" else run.recorded("methods", {})
    # of a method without a baseline there is no level to show
    return in_order([*table.loc[table["usual"], dimension], *listed], [level for level in levels if level != ""])


def _dashboard_lines(run: Run, table: pd.DataFrame) -> list[tuple[str, Any, str]]:
    """Return a line, with words, for each dimension that varies (None for a level) and for each of its levels."""
    return [
        (name, level, _dimension_words(name) if level is None else _words(run, name, level))
        for name in dimensions_of(table, "method")
        if len(table[name].unique()) > 1
        for level in (None, *_levels(run, table, name))
    ]


def _dimension_words(dimension: str) -> str:
    return _DIMENSION_WORDS.get(dimension, dimension.replace("_", " "))


def _words(run: Run, dimension: str, level: Any) -> str:
    if dimension == "method":
        return run.words("methods", level)
    if dimension == "segmentation":
        for pattern, spelt in _VARIANT_WORDS:
            level = re.sub(f"^{pattern}$", spelt, level)
        return str(level).replace(" -", f" {MINUS}")
    return level if isinstance(level, str) else f"{level:g}"


def _mark_own(axes: Axes, rows: pd.DataFrame, x: str, y: str) -> None:
    scatter(axes, rows[rows["usual"]].assign(look="own"), (x, y), _OWN, linewidth=0, zorder=4)


def _draw_curve(axes: Axes, rows: pd.DataFrame, n: float) -> None:
    # marks and lines of many specifications would be one area without a gap between them
    width, size = min(1.2, 90.0 / n), min(14.0, 1200.0 / n) + 2
    looks = {says: look._replace(line=width, size=size) for says, look in _LOOKS.items()}
    mark_estimates(axes, rows.assign(look=_says(rows)), looks, upright=True, opacity=0.45, linewidth=0)
    _mark_own(axes, rows, "place", "estimate")
    axes.tick_params(axis="x", bottom=False, labelbottom=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xlim(-0.02 * n, 1.02 * n)


def _draw_dashboard(axes: Axes, rows: pd.DataFrame, lines: list[tuple[str, Any, str]]) -> None:
    """Draw a cell for each choice of each specification, in the colour of what the estimate says."""
    n = len(rows)
    cells = np.full((len(lines), n), np.nan)
    says = pd.Series(_says(rows)).map(list(_LOOKS).index)
    for row, (name, level, _) in zip(cells, lines, strict=True):
        chosen = (rows[name] == level).to_numpy() if level is not None else np.zeros(len(rows), dtype=bool)
        row[(rows["place"].to_numpy() - 0.5).astype(int)[chosen]] = says[chosen]
    colours = ListedColormap([look.colour for look in _LOOKS.values()])
    ground: dict[str, Any] = {"cbar": False, "xticklabels": False, "yticklabels": False, "rasterized": True}
    sns.heatmap(cells, mask=np.isnan(cells), cmap=colours, vmin=-0.5, vmax=len(_LOOKS) - 0.5, ax=axes, **ground)
    axes.hlines(range(len(lines) + 1), 0, n, color="white", linewidth=1.8)  # sets the rows apart
    for usual in rows.loc[rows["usual"], "place"]:
        axes.axvline(usual, color=style.TRAINED_COLOUR, linewidth=0.7)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="both", length=0)
    names = [(place + 0.5, words) for place, (*_, words) in enumerate(lines)]
    name_rows(axes, names, {words for _, level, words in lines if level is None}, fontsize=6.0)


def _handles() -> list[Line2D]:
    own = handle("this study's own", _OWN["own"]._replace(size=16.0))
    return [*(handle(words, _LOOKS[says]._replace(size=16.0)) for says, words in _LOOK_WORDS.items()), own]
