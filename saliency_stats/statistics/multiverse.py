"""The primary contrast under every defensible choice of analysis: the rows behind a specification curve."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.contrasts import obstacle_of, row_of_test
from saliency_stats.statistics.models.checks import in_range, require_columns
from saliency_stats.statistics.parameters import StatisticsParameters
from saliency_stats.statistics.registry import infer
from saliency_stats.statistics.selection import AT_CHANCE, primary_population, restrict, unlearned_of
from saliency_stats.statistics.units import independent_units
from saliency_stats.typing import Float64Array
from saliency_stats.vocabulary import TRAINED

#: What may be chosen otherwise; ``cytoplasm_um`` goes with the segmentation.
DIMENSIONS: Final = ("method", "reduction", "segmentation", "min_confidence")
#: Where the estimates of different choices may be compared.
STRATUM: Final = ("label", "magnification")
_CHOICES: Final = ("method", "reduction", "segmentation", "cytoplasm_um")
_KEY: Final = [*STRATUM, *_CHOICES]
_IDENTITY: Final = ("patch_id", "slide_id", "patient_id", *STRATUM)
_AREAS: Final = ("area_nucleus", "area_cytoplasm")
_MASSES: Final = ("mass_nucleus", "mass_cytoplasm")
_FINDING: Final = ("ci_low", "ci_high", "p_value")
_ANSWER: Final = ("estimate", *_FINDING, "test", "status", "reason", "n_slides", "n_patches")
#: Columns of ``multiverse.csv``.
MULTIVERSE_COLUMNS: Final = (
    *(*STRATUM, *_CHOICES, "min_confidence"),
    *(*_ANSWER, "n_missing", "significant", "sample", "usual"),
)
#: Columns of ``multiverse_summary.csv``.
SUMMARY_COLUMNS: Final = (
    *(*STRATUM, "dimension", "level", "n_specifications", "n_distinct", "n_tested"),
    *("share_above", "share_above_significant", "share_below_significant", "median", "minimum", "maximum"),
)
#: Name in the summary of all specifications together.
ALL: Final = "all"


@dataclass(frozen=True)
class Specification:
    """The choices that a study made itself; its confidence is that of its :class:`StatisticsParameters`.

    ``segmentation`` is a name among the variants.
    """

    method: str
    reduction: str
    segmentation: str = "usual"


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
        without saliency).
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

    Raises
    ------
    StatisticsError
        If a column is missing, a patch has two rows in a specification, a share is negative, a row is of another model,
        the usual choices are not among the rows, or a parameter is out of range.
    """
    require_columns("shares", shares.columns, (*_IDENTITY, "model", *_CHOICES, *_AREAS, *_MASSES))
    _check(shares, usual, min_area)
    unlearned = unlearned_of(shares["magnification"].unique(), learned)
    values = shares[[*_IDENTITY, *_CHOICES]].assign(value=_values(shares, min_area)).sort_values("patch_id")
    samples: dict[float, tuple[dict[Any, int], dict[Any, pd.DataFrame]]] = {}
    for least in sorted({*map(float, min_confidences), settings.min_confidence}):
        judged = primary_population(predictions, min_confidence=least, evaluation_split=settings.evaluation_split)
        counts = judged.patches.groupby(list(STRATUM)).size().to_dict()
        samples[least] = counts, dict(iter(restrict(values, judged).groupby(_KEY)))
    rows: list[dict[str, Any]] = []
    known: dict[Hashable, tuple[int, dict[str, Any]]] = {}
    keys: list[Any] = sorted(values[_KEY].drop_duplicates().itertuples(index=False, name=None))
    for key in keys:
        for least, (counts, by_key) in samples.items():
            patches = by_key.get(key, values.iloc[:0])
            name = (*key[:2], tuple(patches["patch_id"]), patches["value"].to_numpy().tobytes())
            if name not in known:
                known[name] = len(known), _answer(patches, settings)
            sample, answer = known[name]
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
    return table[list(MULTIVERSE_COLUMNS)]


def multiverse_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Count how many specifications agree, over all and by each choice.

    Specifications are not independent tests: they share patches, slides and most of their choices, so the shares are
    no probabilities and no p-value follows from them. They say how much a conclusion hangs on a choice: a share near 1
    that none decides it, a share in between that one does, which the medians by level then name.

    Returns
    -------
    DataFrame
        Columns :data:`SUMMARY_COLUMNS`. Per label and magnification, a row with the dimension "all" and one per level
        of each of :data:`DIMENSIONS`. ``n_distinct`` counts specifications with values of their own, ``share_above``
        is, of those with an estimate, the share whose estimate is above 0, the other shares are, of those tested, that
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
        groups: list[tuple[str, Any, pd.DataFrame]] = [(ALL, "", part)]
        groups += [(name, level, own) for name in DIMENSIONS for level, own in part.groupby(name, sort=True)]
        rows += [
            {"label": label, "magnification": magnification, "dimension": name, "level": str(level), **_agreement(own)}
            for name, level, own in groups
        ]
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _agreement(rows: pd.DataFrame) -> dict[str, Any]:
    estimate = rows["estimate"].dropna()
    tested = rows[rows["status"] == "tested"]
    significant = tested["significant"].astype(bool)
    return {
        "n_specifications": len(rows),
        "n_distinct": rows["sample"].nunique(),
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
    for name in _KEY:
        if shares[name].isna().any():
            raise StatisticsError(f"shares: column {name} is empty in {shares[name].isna().sum()} rows; fill it in")
    twice = shares.duplicated(["patch_id", *_KEY])
    if twice.any():
        row = shares[twice].iloc[0]
        where = ", ".join(f"{name} {row[name]}" for name in ("patch_id", *_KEY))
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


def _answer(patches: pd.DataFrame, settings: StatisticsParameters) -> dict[str, Any]:
    """Return what ``contrast_table`` says by the primary test, without the rest of its columns."""
    units = independent_units(
        patches,
        "value",
        patient="patient_id" if settings.unit == "patient" else None,
        assume_independent=settings.assume_independent,
    )
    test = settings.primary_test
    result = infer(
        test,
        units,
        obstacle_of(units, settings.min_slides),
        alpha=settings.alpha,
        draws=settings.bootstrap_draws,
        seed=settings.seed,
    )
    row = row_of_test(units, test, result) | {"n_slides": units.n_slides, "n_patches": units.n_patches}
    return {name: row[name] for name in _ANSWER}
