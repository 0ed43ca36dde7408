"""Differences of two groups of patches, paired within the units that have both wherever there are enough of these."""

from typing import Any

import numpy as np
import pandas as pd

from saliency_stats.classes import Classes
from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.averaged import over_networks
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.models.networks import NetworkCells
from saliency_stats.statistics.units import Sample, Units, sample_of
from saliency_stats.statistics.variance import Clustering, clustering
from saliency_stats.typing import BoolArray, Float64Array


def group_difference(
    table: pd.DataFrame,
    value: str,
    group: str,
    pair: tuple[str, str],
    *,
    slide: str = "slide_id",
    patient: str | None = None,
    assume_independent: bool = False,
    network: str | None = None,
) -> Units:
    """Reduce patches of two groups to what their units say about the difference, first minus second.

    Units that have patches of both groups each give one difference of means. Where fewer units have both than have
    one, the units with one form two independent samples. Nothing is paired by the order of rows. The patches
    themselves all go into ``sums``, for the models.

    Parameters
    ----------
    value : str
        Column with the values; NaN where the patch has none.
    pair : (str, str)
        The two groups that are compared; rows of others are left out.
    slide, patient, network : str
        As of :func:`~saliency_stats.statistics.units.independent_units`.

    Returns
    -------
    Units
        ``reason`` says whether units are compared with themselves and which are left out.

    Raises
    ------
    StatisticsError
        As there, and if the two groups are the same.
    """
    require_columns("table", table.columns, (group,))
    first, second = pair
    if first == second:
        raise StatisticsError(f"the group {first!r} cannot be compared with itself; name two groups of {group!r}")
    rows = table[table[group].isin(pair)]
    how: dict[str, Any] = {"slide": slide, "patient": patient, "assume_independent": assume_independent}
    n_networks = 0 if network is None else max(1, rows[network].nunique())
    cells = _cells(rows, value, group, first, network, how) if network is not None and n_networks > 1 else None
    if n_networks > 1:
        rows = over_networks(rows, ["patch_id", group], [value], str(network))
    sample = sample_of(rows, value, **how)
    is_first = (rows[group].iloc[sample.order] == first).to_numpy(dtype=bool)
    counts: dict[str, Any] = {
        "n_slides": sample.n_slides,
        "n_patches": sample.numbers.size,
        "n_missing": sample.n_missing,
        "n_networks": n_networks,
    }
    if not sample.unit or not is_first.any() or is_first.all():
        both = is_first.any() and not is_first.all()
        estimate = float(sample.numbers[is_first].mean() - sample.numbers[~is_first].mean()) if both else NAN
        absent = second if is_first.any() else first
        reason = sample.reason if both else f"no patch of {absent} has a value in this contrast"
        return Units("", np.empty(0), estimate, clustering=Clustering(NAN, NAN, NAN, NAN), reason=reason, **counts)
    means, others, said = _compare(sample, is_first, pair)
    if others is not None:
        cells = None  # networks see both groups of a unit, or there is no difference within it
    centred = sample.numbers - np.where(is_first, sample.numbers[is_first].mean(), sample.numbers[~is_first].mean())
    order = np.argsort(centred, kind="stable")
    sums, owners = sample.sums(np.column_stack([np.ones(is_first.size), is_first]))
    return Units(
        unit=sample.unit,
        means=means,
        others=others,
        estimate=float(means.mean()) - (0.0 if others is None else float(others.mean())),
        clustering=clustering(centred[order], sample.codes[order]),
        reason="; ".join(text for text in (sample.reason, said) if text),
        sums=sums,
        owners=owners,
        weights=(0.0, 1.0),
        cells=cells,
        **counts,
    )


def called(
    rows: pd.DataFrame, group: str, pair: tuple[str, str], classes: Classes
) -> tuple[pd.DataFrame, tuple[str, str]]:
    """Call groups that are classes as people do, in a column of rows and in the pair: reasons name them."""
    names = {label: classes.name(label) for label in rows[group].unique()}
    first, second = pair
    return rows.assign(**{group: rows[group].map(names)}), (classes.name(first), classes.name(second))


def _cells(
    rows: pd.DataFrame, value: str, group: str, first: str, network: str, how: dict[str, Any]
) -> NetworkCells | None:
    """Take the difference of the two groups' means of every network in every unit that has both."""
    sample = sample_of(rows, value, **how)
    is_first = (rows[group].iloc[sample.order] == first).to_numpy(dtype=bool)
    names = pd.factorize(rows[network].iloc[sample.order], sort=True)[0]
    found: list[tuple[float, int, int]] = []
    for name in np.unique(names):
        one, two = (sample.unit_means((names == name) & side) for side in (is_first, ~is_first))
        found += [(one[unit] - two[unit], int(name), unit) for unit in sorted(one.keys() & two.keys())]
    if not sample.unit or not found:
        return None
    differences, networks, units = (np.array(column) for column in zip(*found, strict=True))
    return NetworkCells.from_rows(differences, networks, units, np.arange(len(found)))


def _compare(
    sample: Sample, is_first: BoolArray, pair: tuple[str, str]
) -> tuple[Float64Array, Float64Array | None, str]:
    """Return differences of the units with both groups, or the means of those with one; and say which."""
    one, two = sample.unit_means(is_first), sample.unit_means(~is_first)
    shared = one.keys() & two.keys()
    only_one, only_two = sorted(one.keys() - shared), sorted(two.keys() - shared)
    unit = sample.unit
    if len(shared) >= len(only_one) + len(only_two) or not only_one or not only_two:
        left_out = len(only_one) + len(only_two)
        said = f"each {unit} compared with itself"
        said += f"; {left_out} with patches of one group only left out of the tests on means" if left_out else ""
        return np.sort(np.array([one[key] - two[key] for key in shared])), None, said
    said = f"{len(only_one)} {unit}s of {pair[0]} compared with {len(only_two)} others of {pair[1]}"
    said += f"; {len(shared)} with both left out of the tests on means" if shared else ""
    means, others = ([side[key] for key in keys] for side, keys in ((one, only_one), (two, only_two)))
    return np.sort(np.array(means)), np.sort(np.array(others)), said
