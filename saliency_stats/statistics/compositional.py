"""The compositional view: nucleus, cytoplasm and stroma at once, saliency against area.

A patch's saliency m and its tissue's area a are compositions of three parts. Their difference in the sense of
compositions is ``m / a`` closed to 1, the densities relative to one another, and (1/3, 1/3, 1/3) means that saliency
falls on the three as their area does (Aitchison 1986, *The Statistical Analysis of Compositional Data*). Two isometric
log-ratio (ilr) coordinates hold it without loss (Egozcue et al. 2003, *Mathematical Geology* 35, 279-300); both are 0
where saliency goes with area.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.averaged import ledger_over_networks
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.multiplicity import adjust
from saliency_stats.statistics.multivariate import hotelling, sign_flip_rows
from saliency_stats.statistics.parameters import PRIMARY, StatisticsParameters
from saliency_stats.statistics.resampling import MAX_RESAMPLED_UNITS
from saliency_stats.statistics.selection import AT_CHANCE, primary_population, restrict, unlearned_of, with_network
from saliency_stats.statistics.units import independent_units
from saliency_stats.statistics.values import IDENTITY, VALUE_KEY, why_missing, wide_values
from saliency_stats.typing import Float64Array
from saliency_stats.vocabulary import LABELS, TISSUE, TRAINED

#: The coordinates' columns.
ILR: Final = ("ilr_1", "ilr_2")
#: Back-transformed means, which sum to 1.
DENSITIES: Final = tuple(f"density_{compartment}" for compartment in TISSUE)
#: Columns of ``compositional.csv``; new ones are only ever added at the end.
COMPOSITIONAL_COLUMNS: Final = (
    *("label", "magnification", "model", "method", "reduction", "family"),
    *(*ILR, *DENSITIES, "statistic", "f", "df1", "df2", "p_value", "p_adjusted", "p_sign_flip", "effect_size"),
    *("status", "reason", "unit", "n_units", "n_slides", "n_patches", "n_missing"),
)
#: Orthonormal contrasts of the sequential binary partition, columns in the order of ``TISSUE``: cytoplasm against
#: nucleus, then the two against stroma.
_BASIS: Final = np.array([[-1.0, 1.0, 0.0], [1.0, 1.0, -2.0]]) / np.sqrt([[2.0], [6.0]])
_STRATUM: Final = ["label", "magnification", "model", "method", "reduction"]
_NO_FINDING: Final = ["statistic", "f", "df1", "df2", "p_value", "p_sign_flip", "effect_size"]


@dataclass(frozen=True, eq=False)
class Composition:
    """One sample of patches, reduced to its independent units.

    ``unit`` is "slide", "patient", "patch" or, where no unit is known, "". ``means`` (n, 2) are the units' mean
    coordinates in ascending order (none where no unit is known), ``estimate`` (2,) their mean, or the mean over patches
    where no unit is known. ``n_missing`` counts the patches without coordinates; ``reason`` says what is unusual about
    the unit.
    """

    unit: str
    means: Float64Array
    estimate: Float64Array
    n_slides: int
    n_patches: int
    n_missing: int
    reason: str


def ilr(shares: ArrayLike) -> Float64Array:
    """Return the two ilr coordinates of compositions of nucleus, cytoplasm and stroma.

    Parameters
    ----------
    shares : array (..., 3)
        Positive parts in the order of ``TISSUE``, of any sum; NaN where unknown.

    Returns
    -------
    array (..., 2)
        ``z1 = sqrt(1/2) ln(cytoplasm / nucleus)``, which is ``ln 2 / sqrt 2`` times the primary contrast of densities,
        and ``z2 = sqrt(2/3) ln(sqrt(cytoplasm nucleus) / stroma)`` (Egozcue et al. 2003; the balances of Egozcue &
        Pawlowsky-Glahn 2005, *Mathematical Geology* 37, 795-828). NaN where a part is unknown.

    Raises
    ------
    StatisticsError
        If there are not three parts, or one is zero, negative or infinite.
    """
    parts = _last_axis("shares", shares, len(TISSUE))
    if np.any(parts <= 0) or np.any(np.isinf(parts)):
        raise StatisticsError(
            "shares: a part is zero, negative or infinite and has no logarithm, expected positive numbers; set the "
            "parts of such a patch to NaN, and it is counted as missing"
        )
    return np.asarray(np.log(parts) @ _BASIS.T)


def inverse_ilr(coordinates: ArrayLike) -> Float64Array:
    """Return the compositions (..., 3), closed to 1, of ilr coordinates (..., 2)."""
    return np.asarray(special.softmax(_last_axis("coordinates", coordinates, len(ILR)) @ _BASIS, axis=-1))


def ilr_values(ledger: pd.DataFrame) -> pd.DataFrame:
    """Compute the ilr coordinates of saliency against area for every patch of a ledger.

    The ledger is read, and refused, as by :func:`~saliency_stats.statistics.patch_values`.

    Returns
    -------
    DataFrame
        One row per model, patch_id, magnification, method and reduction with slide_id, patient_id, label, ilr_1, ilr_2
        and missing. A patch in which one of the three is missing or without saliency has NaN, and ``missing`` names
        the cause; no small number is put in its place.
    """
    wide, (cytoplasm, stroma) = wide_values(ledger), (PRIMARY, "stroma_vs_nucleus")
    # Densities with the nuclei's as the unit: a common factor has no part in a composition.
    log2_density = np.stack([np.zeros(len(wide)), wide[cytoplasm], wide[stroma]], axis=-1)
    known = np.isfinite(log2_density).all(axis=-1, keepdims=True)
    coordinates = ilr(np.exp2(np.where(known, log2_density, NAN)))
    missing, of_stroma = (wide[why_missing(contrast)].astype("str") for contrast in (cytoplasm, stroma))
    columns = dict(zip(ILR, coordinates.T, strict=True))
    return wide[[*VALUE_KEY, *IDENTITY]].assign(**columns, missing=missing.mask(missing == "", of_stroma))


def composition(values: pd.DataFrame, *, patient: str | None = None, assume_independent: bool = False) -> Composition:
    """Reduce patches to the mean coordinates of their units, by the rules of ``independent_units``.

    Both coordinates are averaged over the same patches. Neither the order of the rows nor the names of the units
    changes any bit of the result.

    Parameters
    ----------
    values : DataFrame
        One row per patch with the columns slide_id, ilr_1 and ilr_2, as :func:`ilr_values` returns them.
    patient : str, optional
        Column with the patients' ids; where given, the patient is the unit.
    assume_independent : bool
        Where a unit is unknown, let the next smaller one take its place.

    Raises
    ------
    StatisticsError
        If a column is missing, a value is infinite, or a slide belongs to two patients.
    """
    require_columns("values", values.columns, ("slide_id", *ILR))
    kept = values.dropna(subset=list(ILR))
    units = independent_units(kept, ILR[0], patient=patient, assume_independent=assume_independent)
    slide, owner = (
        kept[column].astype("string").str.strip().fillna("") for column in ("slide_id", patient or "slide_id")
    )
    rows = kept[[*ILR]].astype(np.float64).assign(slide=slide, owner=owner)
    if units.unit in {"slide", "patient"}:
        by_slide = ["owner", "slide"] if units.unit == "patient" else ["slide"]
        rows = _ordered(rows).groupby(by_slide)[[*ILR]].mean()
    if units.unit == "patient":
        rows = _ordered(rows).groupby("owner")[[*ILR]].mean()
    means = _ordered(rows)[[*ILR]].to_numpy(np.float64)
    return Composition(
        unit=units.unit,
        means=means if units.unit else np.empty((0, len(ILR))),
        estimate=means.mean(axis=0) if means.size else np.full(len(ILR), NAN),
        n_slides=units.n_slides,
        n_patches=units.n_patches,
        n_missing=len(values) - len(kept),
        reason=units.reason,
    )


def compositional_table(
    ledger: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    settings: StatisticsParameters,
    learned: Mapping[Hashable, bool] | None = None,
) -> pd.DataFrame:
    """Build the whole of ``compositional.csv``: whether saliency falls on the three tissues as their area does.

    Tables and settings are as :func:`~saliency_stats.statistics.study_contrasts` reads them.

    Returns
    -------
    DataFrame
        Columns :data:`COMPOSITIONAL_COLUMNS`, one row per label, magnification, model, method and reduction, on the
        patches that the trained model classified correctly and confidently. ``ilr_1`` and ``ilr_2`` are the mean over
        units, ``density_…`` the same as a composition. ``statistic`` is T², ``p_sign_flip`` its p-value under sign
        flips, ``effect_size`` is ``sqrt(T² / n_units)``, the distance of the mean from 0 in standard deviations of
        units (Mahalanobis). The trained model's rows are the family "composition" of ``p_adjusted``, the controls' are
        "composition_reference". ``status`` is "tested", "no_inference" or "not_interpretable", the last two with a
        ``reason`` and without p-values.

    Raises
    ------
    StatisticsError
        If a table does not have the form described, the ledger has no trained model, or ``learned`` lacks a
        magnification.
    """
    population = primary_population(
        predictions, min_confidence=settings.min_confidence, evaluation_split=settings.evaluation_split
    )
    values = ilr_values(ledger_over_networks(restrict(with_network(ledger), population.patches)))
    present = ledger[_STRATUM[1:]].drop_duplicates()
    if TRAINED not in set(present["model"]):
        raise StatisticsError(f"ledger: no rows of model {TRAINED!r}; found {sorted(present['model'].unique())}")
    unlearned = unlearned_of(present["magnification"].unique(), learned)
    samples: dict[Hashable, pd.DataFrame] = dict(iter(values.groupby(_STRATUM, sort=False)))
    selected = population.of_any_network.groupby(["label", "magnification"]).size().to_dict()
    strata = [(label, *row) for label in reversed(LABELS) for row in present.sort_values(_STRATUM[1:]).to_numpy()]
    rows = []
    for stratum in sorted(strata, key=lambda stratum: stratum[2] != TRAINED):
        row = _row(samples.get(stratum, values.iloc[:0]), settings)
        row["n_missing"] = selected.get(stratum[:2], 0) - row["n_patches"]
        if stratum[2] == TRAINED and stratum[1] in unlearned:
            row |= dict.fromkeys(_NO_FINDING, NAN) | {"status": "not_interpretable", "reason": AT_CHANCE}
        family = "composition" if stratum[2] == TRAINED else "composition_reference"
        rows.append({**dict(zip(_STRATUM, stratum, strict=True)), "family": family, **row})
    table = pd.DataFrame(rows)
    table["p_adjusted"] = adjust(table, correction=settings.correction, family=("family",))
    return table[list(COMPOSITIONAL_COLUMNS)]


def _row(sample: pd.DataFrame, settings: StatisticsParameters) -> dict[str, Any]:
    patient = "patient_id" if settings.unit == "patient" else None
    units = composition(sample, patient=patient, assume_independent=settings.assume_independent)
    n = len(units.means)
    if units.n_patches == 0:
        obstacle = "no judged patch has saliency in all three tissues"
    elif not units.unit:
        obstacle = units.reason
    else:
        obstacle = ""
    test = hotelling(units.means, min_units=settings.min_slides, unit=units.unit or "unit")
    obstacle = obstacle or test.reason
    resampled = not obstacle and n <= MAX_RESAMPLED_UNITS
    return {
        **dict(zip(ILR, units.estimate.tolist(), strict=True)),
        **dict(zip(DENSITIES, inverse_ilr(units.estimate).tolist(), strict=True)),
        "statistic": test.statistic,
        "f": test.f,
        "df1": test.df1,
        "df2": test.df2,
        "p_value": test.p_value,
        "p_sign_flip": (
            sign_flip_rows(units.means, draws=settings.bootstrap_draws, seed=settings.seed) if resampled else NAN
        ),
        "effect_size": float(np.sqrt(test.statistic / n)) if not obstacle else NAN,
        "status": "no_inference" if obstacle else "tested",
        "reason": obstacle or units.reason,
        "unit": units.unit,
        "n_units": n,
        "n_slides": units.n_slides,
        "n_patches": units.n_patches,
    }


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort by the coordinates, so that no sum depends on names or on the order of the rows."""
    return rows.sort_values([*ILR])


def _last_axis(name: str, values: ArrayLike, length: int) -> Float64Array:
    array = np.asarray(values, dtype=np.float64)
    if array.shape[-1:] != (length,):
        raise StatisticsError(f"{name}: shape {array.shape}, expected {length} along the last axis")
    return array
