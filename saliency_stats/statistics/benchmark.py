"""The benchmark of maps and replacements: their mean scores over slides and networks, and how stable their order is."""

from collections.abc import Iterator
from itertools import combinations, islice
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.statistics.agreement import ATTRIBUTION, ITEM, KINDS, SCORES
from saliency_stats.statistics.contrasts import obstacle_of
from saliency_stats.statistics.crossing import CROSSED
from saliency_stats.statistics.parameters import StatisticsParameters
from saliency_stats.statistics.ranks import rank_correlations
from saliency_stats.statistics.registry import infer
from saliency_stats.statistics.units import independent_units
from saliency_stats.vocabulary import ALL_NETWORKS, NETWORK

#: Stands in the column ``signal`` where the scores of several are averaged.
ALL_SIGNALS: Final = "all"
#: By how much a map's rank correlation is above that of the edges of the picture.
BEYOND_EDGES: Final = "beyond_edges"
#: The control that every map is compared with.
EDGES: Final = "sobel"
#: What has an interval.
SCORED: Final = {**SCORES, BEYOND_EDGES: (-2.0, 2.0)}
_STRATUM: Final = ("signal", "magnification")
_KEY: Final = [*ITEM, NETWORK, "slide_id", "patient_id"]
#: Columns of :func:`benchmark_table`.
COLUMNS: Final = (
    *(NETWORK, *_STRATUM, *ITEM),
    *(f"{name}{end}" for name in SCORED for end in ("", "_low", "_high")),
    *("learned", "balanced_accuracy", "n_networks", "n_slides", "n_patches"),
)
#: The test whose interval is shown: the second where there is one network, or the first cannot be had.
_TESTS: Final = (CROSSED, "t_slide_means")
#: So many ways to halve the networks are looked at: all of them up to 12 networks.
_HALVINGS: Final = 1_000


def benchmark_table(scores: pd.DataFrame, settings: StatisticsParameters) -> pd.DataFrame:
    """Average the scores of maps and replacements, with intervals over slides and networks.

    Parameters
    ----------
    scores : DataFrame
        Rows of :func:`~saliency_stats.statistics.agreement.map_scores` and
        :func:`~saliency_stats.statistics.agreement.replacement_scores` of several cohorts, with the columns signal,
        magnification, balanced_accuracy and learned of each network.
    settings : StatisticsParameters
        The unit of inference, the level and the resampling.

    Returns
    -------
    DataFrame
        :data:`COLUMNS`. A row per network of each signal and magnification and item, with intervals over slides; and of
        all networks that learned something (``network`` "all") with intervals over networks and slides, both being
        samples. These are also given over all signals at each magnification, and over all magnifications
        (``magnification`` empty): of each network and slide the mean over cohorts is then taken first, as networks of
        one name have one seed, and slides of one name the same tissue. ``beyond_edges`` is the rank correlation less
        that of the Sobel map of the same patches. An interval is empty where there is no spread or there are too few
        slides.
    """
    scores = _beyond_edges(scores)
    found = []
    for (signal, magnification), part in scores.groupby(list(_STRATUM), sort=True):
        where = {"signal": signal, "magnification": magnification}
        found += [where | row for row in _rows(part, [*ITEM, NETWORK], settings)]
        found += [where | row for row in _rows(part[part["learned"]], list(ITEM), settings)]
    for where, part in _over_strata(scores):
        found += [where | row for row in _rows(part, list(ITEM), settings)]
    return pd.DataFrame(found, columns=list(COLUMNS))


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows over everything that was asked: all networks, and all signals and magnifications if several are."""
    rows = table[table["network"] == ALL_NETWORKS]
    last = rows[list(_STRATUM)].iloc[-1:].merge(rows, on=list(_STRATUM))
    return last[list(table.columns)]


def stability(scores: pd.DataFrame) -> pd.DataFrame:
    """Ask whether other networks would order the attribution methods alike.

    Returns
    -------
    DataFrame
        A row per signal and magnification, and over them as in :func:`benchmark_table`: n_networks, n_methods, and
        Spearman's correlation of the methods' mean rank correlations in one half of the networks with those in the
        other: ``rank_correlation``, the mean over the ways to halve them, and ``lowest``. Both are NaN for fewer than
        two networks or four methods.
    """
    scores = scores[scores["kind"] == ATTRIBUTION]
    strata = [
        (dict(zip(_STRATUM, where, strict=True)), part) for where, part in scores.groupby(list(_STRATUM), sort=True)
    ]
    found = []
    for where, part in [*strata, *_over_strata(scores)]:
        learned = part[part["learned"]]
        table = learned.pivot_table("rank_correlation", ["method", "reduction"], NETWORK).dropna()
        found.append(where | {"n_networks": table.shape[1], "n_methods": len(table)} | _halved(table))
    columns = [*_STRATUM, "n_networks", "n_methods", "rank_correlation", "lowest"]
    return pd.DataFrame(found, columns=columns)


def _halved(table: pd.DataFrame) -> dict[str, float]:
    """Correlate methods (rows) between halves of the networks (columns)."""
    n, codes = table.shape[1], np.zeros(len(table), dtype=np.intp)
    if n < 2 or table.empty:  # noqa: PLR2004  (halves)
        return {}
    found = []
    for half in islice(combinations(range(n), n // 2), _HALVINGS):
        rest = [at for at in range(n) if at not in half]
        means = (table.iloc[:, list(each)].mean(axis=1) for each in (half, rest))
        found.append(float(rank_correlations(codes, *means)[0]))
    return {"rank_correlation": float(np.mean(found)), "lowest": min(found)}


def _beyond_edges(scores: pd.DataFrame) -> pd.DataFrame:
    """Add how far each map is above the edges of the same picture, network by network and slide by slide."""
    on = [*_STRATUM, NETWORK, "slide_id"]
    edges = scores.loc[scores["model"] == EDGES, [*on, "rank_correlation"]]
    beside = scores[on].merge(edges, on=on, how="left", validate="many_to_one")["rank_correlation"].to_numpy()
    own = scores["rank_correlation"].where(scores["relative_error"].isna() & (scores["model"] != EDGES))
    return scores.assign(**{BEYOND_EDGES: own - beside})


def _over_strata(scores: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Average each network and slide over the signals at a magnification, and over all, where there are several."""
    scores = scores[scores["learned"]]
    parts = [(at, own) for at, own in scores.groupby("magnification") if len(own["signal"].unique()) > 1]
    if len(scores["magnification"].unique()) > 1:
        parts.append((np.nan, scores))
    means = [name for name in (*SCORED, "balanced_accuracy") if name in scores]
    how = {"n_patches": "sum", "learned": "all"} | dict.fromkeys(means, "mean")
    for at, part in parts:
        where = {"signal": ALL_SIGNALS, "magnification": at}
        yield where, part.groupby(_KEY, sort=True).agg(how).reset_index()


def _rows(part: pd.DataFrame, key: list[str], settings: StatisticsParameters) -> Iterator[dict[str, Any]]:
    """Average the scores of each item, kind by kind."""
    for kind in KINDS:
        for names, rows in part[part["kind"] == kind].groupby(key, sort=True):
            yield {NETWORK: ALL_NETWORKS} | dict(zip(key, names, strict=True)) | _averaged(rows, settings)


def _averaged(rows: pd.DataFrame, settings: StatisticsParameters) -> dict[str, Any]:
    """Average one item's scores over the slides (and networks) of these rows."""
    found: dict[str, Any] = {
        "learned": bool(rows["learned"].all()),
        "balanced_accuracy": rows.drop_duplicates(NETWORK)["balanced_accuracy"].mean(),
        "n_networks": rows[NETWORK].nunique(),
        "n_slides": rows["slide_id"].nunique(),
        "n_patches": int(rows.groupby("slide_id")["n_patches"].max().sum()),
    }
    for name, limits in SCORED.items():
        if rows[name].isna().all():
            continue
        found |= dict(zip((name, f"{name}_low", f"{name}_high"), _interval(rows, name, limits, settings), strict=True))
    return found


def _interval(
    rows: pd.DataFrame, value: str, limits: tuple[float, float], settings: StatisticsParameters
) -> tuple[float, float, float]:
    """Average a score, and say between which limits its mean lies; each is empty where it cannot be known."""
    units = independent_units(
        # one value of each slide and network: a slide stands for its patches
        rows.assign(patch_id=rows["slide_id"]),
        value,
        patient="patient_id" if settings.unit == "patient" else None,
        network=NETWORK,
        assume_independent=settings.assume_independent,
    )
    how: dict[str, Any] = {"alpha": settings.alpha, "draws": settings.bootstrap_draws, "seed": settings.seed}
    obstacle = obstacle_of(units, settings.min_slides)
    answers = [infer(test, units, obstacle, **how) for test in _TESTS]
    low, high = next(((one.ci_low, one.ci_high) for one in answers if np.isfinite(one.p_value)), (np.nan, np.nan))
    return units.estimate, max(low, limits[0]), min(high, limits[1])
