"""From values of patches to means of the units that are independent of each other."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.averaged import group_means
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.networks import NetworkCells
from saliency_stats.statistics.variance import Clustering, clustering
from saliency_stats.typing import BoolArray, Float64Array, IndexArray


@dataclass(frozen=True, eq=False)
class Units:
    """One sample of values, reduced to its independent units.

    ``unit`` is "slide", "patient", "patch" or, where no unit is known, "". ``means`` are the units' means in
    ascending order (none where no unit is known), ``estimate`` their mean, or the mean over patches where no
    unit is known. ``n_slides`` counts the slides that are known by name, ``n_missing`` the patches without a
    value. ``reason`` says in plain words what is unusual about the unit.

    ``sums`` are those of the patches in their slides (in their units where these are not patients), None where no unit
    is known; ``owners`` (G,) the patients of those slides, None where the slides are the units; ``weights`` the
    contrast of the models' coefficients. Where two samples of *different* units are compared, ``means`` are those of
    the first and ``others`` those of the second. ``n_networks`` counts networks, 0 where they are not told apart; where
    there are several, ``cells`` are the means of each in every unit, and everything else is of the patches' means over
    networks.
    """

    unit: str
    means: Float64Array
    estimate: float
    n_slides: int
    n_patches: int
    n_missing: int
    clustering: Clustering
    reason: str
    sums: GroupedSums | None = None
    owners: IndexArray | None = None
    weights: tuple[float, ...] = (1.0,)
    others: Float64Array | None = None
    cells: NetworkCells | None = None
    n_networks: int = 0

    @property
    def n(self) -> int:
        """Independent units in all."""
        return self.means.size + (0 if self.others is None else self.others.size)


@dataclass(frozen=True, eq=False)
class Sample:
    """Values with their slides and units, in ascending order of the values.

    ``codes`` (n,) are the independent units' and ``slides`` (n,) the slides' numbers, ``owners`` the unit of each slide
    where patients are the units.
    """

    numbers: Float64Array
    unit: str
    codes: IndexArray
    slides: IndexArray
    owners: IndexArray | None
    order: IndexArray
    n_slides: int
    n_missing: int
    reason: str

    def unit_means(self, where: BoolArray | None = None) -> dict[int, float]:
        """Return the mean of each unit, of some values alone if asked; patients' are the means of their slides'."""
        values, slides = (self.numbers, self.slides) if where is None else (self.numbers[where], self.slides[where])
        found, codes = np.unique(slides, return_inverse=True)
        means = _group_means(values, codes) if values.size else np.empty(0)
        if self.owners is not None:
            owners = self.owners[found]
            by_size = np.argsort(means, kind="stable")
            found, codes = np.unique(owners[by_size], return_inverse=True)
            means = _group_means(means[by_size], codes) if means.size else means
        return dict(zip(found.tolist(), means.tolist(), strict=True))

    def sums(self, x: Float64Array) -> tuple[GroupedSums, IndexArray | None]:
        """Sum the values up by slide for a model with the design x (n, p), and name each slide's patient.

        Slides come in an order that their names do not decide, so that renaming them changes no bit.
        """
        sums = GroupedSums.from_rows(self.numbers, x, self.slides.astype("U12"))
        numbers = sums.groups.astype(np.intp)
        order = np.lexsort((*sums.means.T, sums.within[:, -1, -1], sums.sizes))
        names = np.array([f"{place:09d}" for place in range(len(order))])
        ordered = GroupedSums(names, sums.sizes[order], sums.means[order], sums.within[order])
        if self.owners is None:
            return ordered, None
        return ordered, pd.factorize(self.owners[numbers[order]])[0]


def unit_of(patches: pd.DataFrame, split: str) -> Literal["slide", "patient"]:
    """Choose the unit of inference of a cohort: the patient where one has several slides, else the slide.

    Slides of one patient resemble each other. Tested as if they were independent, eight patients with three slides
    each gave 27 % false findings at a level of 5 %, tested by patient 5.5 %.

    Parameters
    ----------
    patches : DataFrame
        Columns slide_id and patient_id (empty where unknown), split and status.
    split : str
        The split that is judged; what it does not use is not looked at.

    Returns
    -------
    {"slide", "patient"}
    """
    named = patches[(patches["status"] == "used") & (patches["split"] == split) & (patches["patient_id"] != "")]
    # patches whose slide is unknown count as one slide of their patient
    several = named.drop_duplicates(["patient_id", "slide_id"])["patient_id"].duplicated().any()
    return "patient" if several else "slide"


def independent_units(
    table: pd.DataFrame,
    value: str,
    *,
    slide: str = "slide_id",
    patient: str | None = None,
    assume_independent: bool = False,
    network: str | None = None,
) -> Units:
    """Reduce patches to unit means.

    A slide's mean is the mean of its patches; a patient's mean is the mean of the patient's slide means, so
    that a slide does not count more for having more patches (patches of a patient whose slide is unknown
    count as one slide). Neither the order of the rows nor the names of the units changes any bit of the
    result.

    Parameters
    ----------
    value : str
        Column with the values; NaN where the patch has none.
    slide : str
        Column with the slides' ids, empty where unknown.
    patient : str, optional
        Column with the patients' ids; where given, the patient is the unit.
    assume_independent : bool
        Where a patient is unknown, let the slides be the units, and where a slide is unknown, the patches.
        Units that are known are used in any case.
    network : str, optional
        Column with the networks that gave the values; a patch (patch_id) then has one row per network.

    Raises
    ------
    StatisticsError
        If a column is missing, a value is not a number or is infinite, or a slide belongs to two patients.
    """
    how: dict[str, Any] = {"slide": slide, "patient": patient, "assume_independent": assume_independent}
    cells, n_networks = None, 0
    if network is not None:
        names, different = pd.factorize(table[network], sort=True)
        n_networks = max(1, len(different))  # a sample without patches is of networks too: its tests have their rows
        if n_networks > 1:
            require_columns("table", table.columns, ("patch_id",))
            rows = sample_of(table, value, **how)
            patches = pd.factorize(table["patch_id"], use_na_sentinel=False)[0]
            cells = _cells(names[rows.order], patches[rows.order], rows)
            first, means = group_means(patches, table[value].to_numpy(dtype=np.float64, na_value=np.nan), rows.order)
            ids = list(dict.fromkeys(filter(None, (slide, patient))))
            table = table[ids].iloc[first].assign(**{value: means})
    sample = sample_of(table, value, **how)
    means = np.sort(np.array(list(sample.unit_means().values()))) if sample.unit else np.empty(0)
    averaged = means if sample.unit else sample.numbers
    known = bool(sample.unit and sample.numbers.size)
    sums, owners = sample.sums(np.ones((sample.numbers.size, 1))) if known else (None, None)
    return Units(
        unit=sample.unit,
        means=means,
        estimate=float(np.mean(averaged)) if averaged.size else NAN,
        n_slides=sample.n_slides,
        n_patches=int(sample.numbers.size),
        n_missing=sample.n_missing,
        clustering=clustering(sample.numbers, sample.codes) if known else Clustering(NAN, NAN, NAN, NAN),
        reason=sample.reason,
        sums=sums,
        owners=owners,
        cells=cells,
        n_networks=n_networks,
    )


def _cells(networks: IndexArray, patches: IndexArray, sample: Sample) -> NetworkCells | None:
    """Sum the values of a sample up by network and unit; None where no unit is known."""
    if not sample.unit or not sample.numbers.size:
        return None
    # a patch that is a unit of its own is the same one for all networks
    codes, slides = (patches, patches) if sample.unit == "patch" else (sample.codes, sample.slides)
    return NetworkCells.from_rows(sample.numbers, networks, codes, patches, slides)


def sample_of(table: pd.DataFrame, value: str, *, slide: str, patient: str | None, assume_independent: bool) -> Sample:
    """Read values, slides and units out of a table; parameters and errors as of :func:`independent_units`."""
    require_columns("table", table.columns, (value, slide, *([patient] if patient else [])))
    numbers = _numbers(table[value], value)
    order = np.argsort(numbers, kind="stable")[: int(np.count_nonzero(~np.isnan(numbers)))]
    values = numbers[order]
    slides = _codes(table[slide], order)
    n_slides = int(np.unique(slides[slides >= 0]).size)
    patients = None if patient is None else _codes(table[patient], order)
    if patients is not None:
        _refuse_shared_slides(slides, patients, table[slide], order)
    unit, reason = _choose_unit(slides, patients, assume_independent=assume_independent)
    owners = None
    codes = slides
    if unit == "patient" and patients is not None:
        (owners, _), slides = _pairs(patients, slides)
        codes = patients
    elif unit != "slide":
        codes = slides = np.arange(values.size) if unit == "patch" else np.zeros(values.size, dtype=np.intp)
    return Sample(values, unit, codes, slides, owners, order, n_slides, int(len(table) - values.size), reason)


def _numbers(column: pd.Series, value: str) -> Float64Array:
    try:
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise StatisticsError(f"table: column {value} holds {column.dtype}, expected numbers ({error})") from error
    n_infinite = int(np.count_nonzero(np.isinf(numbers)))
    if n_infinite:
        raise StatisticsError(
            f"table: {n_infinite} of {numbers.size} values in column {value} are infinite; a ratio with a "
            "zero in it has no logarithm: set such a patch's value to NaN, and it is counted as missing"
        )
    return numbers


def _codes(ids: pd.Series, order: IndexArray) -> IndexArray:
    """Return codes ``0 … k-1`` of the ids in an order, by which comes first; -1 where an id is empty.

    Only different ids are looked at as text.
    """
    # 1 and 1.0 are equal but different texts
    places, names = pd.factorize(ids.astype("string") if ids.dtype == object else ids)
    seen, found = pd.factorize(places[order])
    text = pd.Series(names).astype("string").str.strip().reindex(found)  # a missing id has the place -1
    return pd.factorize(text.where(text != ""))[0][seen]


def _refuse_shared_slides(slides: IndexArray, patients: IndexArray, names: pd.Series, order: IndexArray) -> None:
    known = (slides >= 0) & (patients >= 0)
    owners = _pairs(slides[known], patients[known])[0][0]
    shared = owners[1:][owners[1:] == owners[:-1]]
    if shared.size:
        name = names.iloc[int(order[np.flatnonzero(slides == shared[0])[0]])]
        raise StatisticsError(f"table: slide {name} belongs to more than one patient; correct its patient ids")


def _pairs(first: IndexArray, second: IndexArray) -> tuple[tuple[IndexArray, IndexArray], IndexArray]:
    """Return the pairs of codes (from -1 on) that occur, in ascending order, and the number of each row's."""
    width = int(second.max(initial=0)) + 2
    found, rows = np.unique((first + 1) * width + second + 1, return_inverse=True)
    return (found // width - 1, found % width - 1), rows


def _choose_unit(slides: IndexArray, patients: IndexArray | None, *, assume_independent: bool) -> tuple[str, str]:
    """Return the unit of inference ("" for none) and what is to be said about it."""
    n = slides.size
    no_slide, no_patient = int(np.count_nonzero(slides < 0)), 0
    if patients is not None:
        no_patient = int(np.count_nonzero(patients < 0))
        if not no_patient:
            return "patient", ""
        if not assume_independent:
            return "", f"{_unknown('patient', no_patient, n)}, and patches of one patient are not independent"
    if not no_slide:
        return ("slide", "slides are assumed to be independent: their patients are unknown" if no_patient else "")
    if assume_independent:
        return "patch", "patches are assumed to be independent: their slides are unknown"
    return "", f"{_unknown('slide', no_slide, n)}, and patches of one slide are not independent"


def _unknown(unit: str, k: int, n: int) -> str:
    if k == n:
        return f"the {unit}s of the patches are unknown"
    return f"the {unit} of {k} of {n} patches is unknown"


def _group_means(values: Float64Array, codes: IndexArray) -> Float64Array:
    """Return each group's mean, summed in the order of the values, which are sorted."""
    return np.bincount(codes, weights=values) / np.bincount(codes)
