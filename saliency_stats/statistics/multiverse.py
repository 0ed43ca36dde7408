"""The primary contrast under every defensible choice of analysis: the rows behind a specification curve."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.contrasts import obstacle_of, row_of_test
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.models.checks import in_range, require_columns
from saliency_stats.statistics.parameters import StatisticsParameters
from saliency_stats.statistics.registry import infer
from saliency_stats.statistics.selection import AT_CHANCE, primary_population, restrict, unlearned_of
from saliency_stats.statistics.specification import CurveTest, curve_test
from saliency_stats.statistics.units import independent_units
from saliency_stats.typing import Float64Array
from saliency_stats.vocabulary import NETWORK, PATCH_KEY, TRAINED

#: What a method starts from, where a study crosses it; "" of a method that starts from nothing.
BASELINE: Final = "baseline"
#: What may be chosen otherwise; ``cytoplasm_um`` goes with the segmentation. All but the method are choices of
#: principled equivalence (Del Giudice & Gangestad 2021, *AMPPS* 4, 1): they measure the same, and share a curve. The
#: baseline is among them because no rule names the right one (Sturmfels et al. 2020, *Distill*).
DIMENSIONS: Final = ("method", BASELINE, "reduction", "segmentation", "min_confidence")
#: Where the estimates of different choices may be compared.
STRATUM: Final = ("label", "magnification")
#: What has a specification curve of its own.
CURVE: Final = (*STRATUM, "method")
_CHOICES: Final = ("method", "reduction", "segmentation", "cytoplasm_um")
_KEY: Final = [*STRATUM, *_CHOICES, BASELINE]
_IDENTITY: Final = ("patch_id", "slide_id", "patient_id", *STRATUM)
_AREAS: Final = ("area_nucleus", "area_cytoplasm")
_MASSES: Final = ("mass_nucleus", "mass_cytoplasm")
_FINDING: Final = ("ci_low", "ci_high", "p_value")
_ANSWER: Final = ("estimate", *_FINDING, "test", "status", "reason", "n_slides", "n_patches")
#: What the test of a curve says of it as a whole.
CURVE_COLUMNS: Final = ("p_global", "p_attainable", "direction", "n_true_low", "curve_reason")
#: Columns of ``multiverse.csv``; :data:`BASELINE` comes last, where there is any.
MULTIVERSE_COLUMNS: Final = (
    *(*STRATUM, *_CHOICES, "min_confidence"),
    *(*_ANSWER, "n_missing", "significant", "sample", "usual", "p_max_t", *CURVE_COLUMNS),
)
#: Columns of ``multiverse_summary.csv``.
SUMMARY_COLUMNS: Final = (
    *(*STRATUM, "dimension", "level", "n_specifications", "n_distinct", "n_tested"),
    *("share_above", "share_above_significant", "share_below_significant", "median", "minimum", "maximum"),
    *("method", *CURVE_COLUMNS),
)
#: Name in the summary of all specifications, and of all methods, together.
ALL: Final = "all"


@dataclass(frozen=True)
class Specification:
    """The choices that a study made itself; its confidence is that of its :class:`StatisticsParameters`.

    ``segmentation`` is a name among the variants.
    """

    method: str
    reduction: str
    segmentation: str = "usual"
    baseline: str = ""


def multiverse_table(
    shares: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    settings: StatisticsParameters,
    min_confidences: Sequence[float],
    min_area: float,
    usual: Specification,
    learned: Mapping[Hashable, bool] | None = None,
) -> pd.DataFrame:
    """Test the primary contrast under every specification, by the study's primary test.

    Parameters
    ----------
    shares : DataFrame
        One row per patch, magnification and choice of map and segmentation: columns patch_id, slide_id, patient_id,
        label, split, magnification, model ("trained"), method, reduction, segmentation, cytoplasm_um, area_nucleus,
        area_cytoplasm, mass_nucleus, mass_cytoplasm (shares of the patch and of its saliency; NaN for the mass of a map
        without saliency). With a column network, one row for each of these: a patch's value is then the mean over the
        networks that judged it well. With a column baseline, one for each of these.
    predictions : DataFrame
        As :func:`~saliency_stats.statistics.primary_population` reads it.
    min_confidences : sequence of float
        Least probabilities of the true class; that of ``settings`` is added where it is not among them.
    min_area : float
        Area share below which a compartment is missing from a patch.
    learned : mapping, optional
        As for :func:`~saliency_stats.statistics.study_contrasts`: without a finding where the classifier learned
        nothing.

    Returns
    -------
    DataFrame
        Columns :data:`MULTIVERSE_COLUMNS`, one row per label, magnification and specification, sorted. ``estimate`` is
        log2 of the density ratio of cytoplasm and nucleus, the mean over slides (or patients) as for the study's own
        contrast, with its interval and p-value where ``status`` is "tested"; otherwise ``reason`` says why not.
        p-values are not corrected. ``significant`` is whether the p-value is at most ``settings.alpha``, ``usual``
        whether the row is the study's own. Rows of one ``sample`` have the same values of the same patches and are one
        test, as where no patch lies between two confidences. Which class is explained is no choice: only patches that
        are classified correctly are judged, and there the correct and the predicted class are one logit.

        Every label, magnification and method has a curve: its samples that are tested, whose unit means go through
        :func:`~saliency_stats.statistics.specification.curve_test` together. ``p_max_t`` is a row's p-value corrected
        for its curve. The same in all rows of a curve are ``p_global`` (no specification has an effect),
        ``p_attainable`` (the smallest that it could be), ``direction`` ("above" or "below" 0, by the median score),
        ``n_true_low`` (the lower ``1 - alpha`` bound on how many samples have an effect in that direction) and
        ``curve_reason``.

    Raises
    ------
    StatisticsError
        If a column is missing, a patch has two rows in a specification, a share is negative, a row is of another model,
        the usual choices are not among the rows, or a parameter is out of range.
    """
    require_columns("shares", shares.columns, (*_IDENTITY, "model", *_CHOICES, *_AREAS, *_MASSES))
    columns = [*MULTIVERSE_COLUMNS, *shares.columns.intersection([BASELINE])]
    shares = shares.assign(**{name: "" for name in ("network", BASELINE) if name not in shares.columns})
    _check(shares, usual, min_area)
    unlearned = unlearned_of(shares["magnification"].unique(), learned)
    values = shares[[*_IDENTITY, *_CHOICES, BASELINE, "network"]].assign(value=_values(shares, min_area))
    values = values.sort_values(["patch_id", "network"])
    samples: dict[float, tuple[dict[Any, int], dict[Any, pd.DataFrame]]] = {}
    for least in sorted({*map(float, min_confidences), settings.min_confidence}):
        judged = primary_population(predictions, min_confidence=least, evaluation_split=settings.evaluation_split)
        counts = judged.patches.drop_duplicates(list(PATCH_KEY)).groupby(list(STRATUM)).size().to_dict()
        samples[least] = counts, dict(iter(restrict(values, judged.patches).groupby(_KEY)))
    rows: list[dict[str, Any]] = []
    known: dict[Hashable, tuple[int, dict[str, Any], pd.Series]] = {}
    keys: list[Any] = sorted(values[_KEY].drop_duplicates().itertuples(index=False, name=None))
    for key in keys:
        for least, (counts, by_key) in samples.items():
            maps = by_key.get(key, values.iloc[:0])
            name = (*key[:2], tuple(maps["patch_id"]), tuple(maps["network"]), maps["value"].to_numpy().tobytes())
            if name not in known:
                known[name] = len(known), *_answer(maps, settings)
            sample, answer, _ = known[name]
            row = {**dict(zip(_KEY, key, strict=True)), "min_confidence": least, "sample": sample, **answer}
            rows.append({**row, "n_missing": counts.get(key[:2], 0) - answer["n_patches"]})
    table = pd.DataFrame(rows)
    muted = table["magnification"].isin(list(unlearned))
    table.loc[muted, list(_FINDING)] = np.nan
    table.loc[muted, "status"] = "not_interpretable"
    table.loc[muted, "reason"] = AT_CHANCE
    own = (table[list(asdict(usual))] == pd.Series(asdict(usual))).all(axis=1)
    table["usual"] = own & (table["min_confidence"] == settings.min_confidence)
    table["significant"] = table["p_value"] <= settings.alpha
    means = {sample: of_units for sample, _, of_units in known.values()}
    curves = [_with_curve(rows, means, settings) for _, rows in table.groupby(list(CURVE), sort=False)]
    return pd.concat(curves).sort_index()[columns]


def _with_curve(rows: pd.DataFrame, means: Mapping[int, pd.Series], settings: StatisticsParameters) -> pd.DataFrame:
    """Add what the specifications of one curve say together."""
    tested = rows[rows["status"] == "tested"].drop_duplicates("sample")
    units = sorted({str(means[sample].name) for sample in tested["sample"]})
    if len(units) == 1:
        by_network = pd.DataFrame({sample: means[sample] for sample in tested["sample"]}).unstack()  # noqa: PD010 - a level
        values = by_network.to_numpy().reshape(len(by_network), len(tested), -1).swapaxes(0, 1)
        found = curve_test(
            values, alpha=settings.alpha, draws=settings.bootstrap_draws, seed=settings.seed, unit=units[0]
        )
    else:
        reason = f"specifications have different units ({', '.join(units)})" if units else rows["reason"].iloc[0]
        found = CurveTest(NAN, NAN, np.full(len(tested), NAN), NAN, NAN, reason)
    return rows.assign(
        p_max_t=rows["sample"].map(dict(zip(tested["sample"], found.p_max_t, strict=True))),
        p_global=found.p_global,
        p_attainable=found.p_attainable,
        direction={1.0: "above", -1.0: "below"}.get(found.direction, ""),
        n_true_low=found.n_true_low,
        curve_reason=found.reason,
    )


def multiverse_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Count how many specifications agree, over all, by each choice and for each curve.

    Specifications are not independent tests: they share patches, slides and most of their choices, so the shares are
    no probabilities. They say how much a conclusion hangs on a choice: a share near 1 that none decides it, a share in
    between that one does, which the medians by level then name. What may be concluded from a whole curve its own test
    says.

    Returns
    -------
    DataFrame
        Columns :data:`SUMMARY_COLUMNS`. Per label and magnification, a row with the dimension "all" for all methods
        together (method "all") and one for each method, with the test of its curve, as in :func:`multiverse_table`;
        and one per level of every other dimension that changes anything. ``n_specifications`` counts rows;
        all else is of the ``n_distinct`` specifications with values of their own: ``share_above`` is, of those with an
        estimate, the share whose estimate is above 0, the other shares are, of those tested, that
        of significant estimates above and below 0; ``median``, ``minimum`` and ``maximum`` are of the estimates (log2).

    Raises
    ------
    StatisticsError
        If a column is missing.

    Notes
    -----
    Specification curve: Simonsohn, Simmons & Nelson (2020), *Nature Human Behaviour* 4, 1208-1214; multiverse: Steegen
    et al. (2016), *Perspectives on Psychological Science* 11, 702-712.
    """
    require_columns("multiverse", table.columns, MULTIVERSE_COLUMNS)
    rows: list[dict[str, Any]] = []
    for (label, magnification), part in table.groupby(list(STRATUM), sort=True):
        groups: list[tuple[str, Any, str, pd.DataFrame]] = [(ALL, "", ALL, part)]
        groups += [(ALL, "", str(method), own) for method, own in part.groupby("method", sort=True)]
        groups += [
            (name, level, ALL, own)
            for name in choices_that_matter(part)
            for level, own in part.groupby(name, sort=True)
            if level != ""
        ]
        for name, level, method, own in groups:
            place = {"label": label, "magnification": magnification, "dimension": name, "level": str(level)}
            curve: dict[Any, Any] = {} if method == ALL else own.iloc[0].to_dict()
            rows.append({**curve, **place, **_agreement(own), "method": method})
    summary = pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))
    return summary.fillna({"direction": "", "curve_reason": ""})


def choices_that_matter(table: pd.DataFrame) -> tuple[str, ...]:
    """Name the dimensions beside the method that change the values of any specification."""
    found = {name: [*STRATUM, *dimensions_of(table, name)] for name in dimensions_of(table, "method")}
    counts = {name: len(table[others].drop_duplicates()) for name, others in found.items()}
    return tuple(name for name in found if len(table[[*found[name], "sample"]].drop_duplicates()) > counts[name])


def dimensions_of(table: pd.DataFrame, but: str = "") -> tuple[str, ...]:
    """Name the dimensions that a table has, but for one."""
    return tuple(name for name in DIMENSIONS if name in table.columns and name != but)


def _agreement(rows: pd.DataFrame) -> dict[str, Any]:
    own = rows.drop_duplicates("sample")
    estimate = own["estimate"].dropna()
    tested = own[own["status"] == "tested"]
    significant = tested["significant"].astype(bool)
    return {
        "n_specifications": len(rows),
        "n_distinct": len(own),
        "n_tested": len(tested),
        # the mean of nothing is NaN
        "share_above": (estimate > 0).mean(),
        "share_above_significant": (significant & (tested["estimate"] > 0)).mean(),
        "share_below_significant": (significant & (tested["estimate"] < 0)).mean(),
        "median": estimate.median(),
        "minimum": estimate.min(),
        "maximum": estimate.max(),
    }


def _check(shares: pd.DataFrame, usual: Specification, min_area: float) -> None:
    in_range("min_area", min_area, 0 <= min_area < 1, "from 0 up to, not including, 1")
    others = sorted(set(shares["model"].astype(str)) - {TRAINED})
    if others:
        raise StatisticsError(f"shares: rows of model {others[0]!r}, expected {TRAINED!r} alone; leave the others out")
    for name in (*_KEY, "network"):
        if shares[name].isna().any():
            raise StatisticsError(f"shares: column {name} is empty in {shares[name].isna().sum()} rows; fill it in")
    twice = shares.duplicated(["patch_id", *_KEY, "network"])
    if twice.any():
        row = shares[twice].iloc[0]
        where = ", ".join(f"{name} {row[name]}" for name in ("patch_id", *_KEY, "network"))
        raise StatisticsError(f"shares: {where} occurs twice; remove the duplicates")
    for name in (*_AREAS, *_MASSES):
        if (shares[name] < 0).any():
            raise StatisticsError(f"shares: column {name} has negative values, expected shares of zero or more")
    for name, level in asdict(usual).items():
        if level not in set(shares[name]):
            found = ", ".join(sorted(map(str, shares[name].unique()))) or "nothing"
            raise StatisticsError(f"shares: the usual {name} is {level!r}, but there are only {found}; add its rows")


def _values(shares: pd.DataFrame, min_area: float) -> Float64Array:
    """Compute log2(d_cytoplasm / d_nucleus), NaN where either is missing or holds no saliency."""
    area, mass = (shares[list(names)].to_numpy(dtype=np.float64) for names in (_AREAS, _MASSES))
    density = np.divide(mass, area, out=np.full_like(mass, np.nan), where=(area >= min_area) & (area > 0) & (mass > 0))
    return np.asarray(np.log2(density[:, 1] / density[:, 0]))


def _answer(maps: pd.DataFrame, settings: StatisticsParameters) -> tuple[dict[str, Any], pd.Series]:
    """Return what ``contrast_table`` says by the deciding test, without the rest of its columns, and the units' means.

    The means are by network and unit; their name says what a unit is.
    """
    units = independent_units(
        maps,
        "value",
        patient="patient_id" if settings.unit == "patient" else None,
        network=NETWORK,
        assume_independent=settings.assume_independent,
    )
    test = settings.deciding_test(units.n_networks)
    result = infer(
        test,
        units,
        obstacle_of(units, settings.min_slides),
        alpha=settings.alpha,
        draws=settings.bootstrap_draws,
        seed=settings.seed,
    )
    row = row_of_test(units, test, result) | {"n_slides": units.n_slides, "n_patches": units.n_patches}
    return {name: row[name] for name in _ANSWER}, _unit_means(maps, units.unit)


def _unit_means(maps: pd.DataFrame, unit: str) -> pd.Series:
    """Average each network's values over the patches of every unit, a patient's over its slides."""
    known = maps[maps["value"].notna()]
    if unit == "patient":
        known = known.groupby(["network", "patient_id", "slide_id"], dropna=False)["value"].mean().reset_index()
    return known.groupby(["network", f"{unit or 'patch'}_id"])["value"].mean().rename(unit)
