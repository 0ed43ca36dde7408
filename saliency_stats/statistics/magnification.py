"""One model of all magnifications of a study: how each differs from the reference."""

from dataclasses import asdict
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.models.checks import check_alpha, in_range, one_of, require_columns
from saliency_stats.statistics.models.crossed import crossed_intercepts
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.linear import LinearTest
from saliency_stats.statistics.models.robust import cluster_robust
from saliency_stats.statistics.parameters import MIN_UNITS
from saliency_stats.statistics.sentences import counted

#: Variance components by the name of their column: between slides, locations of a slide, magnifications of a slide, and
#: of the rows about these.
COMPONENTS: Final = {
    "var_slide": "slide",
    "var_location": "location",
    "var_slide_magnification": "slide and magnification",
    "var_rows": "rows",
}
_TEST: Final = ("estimate", "se", "df", "statistic", "p_value", "ci_low", "ci_high")
#: Columns of the table: one row per class and magnification other than the reference.
MODEL_COLUMNS: Final = (
    *("label", "magnification", "versus", *_TEST, *COMPONENTS),
    *("route", "reason", "n_slides", "n_locations", "n_patches"),
)
#: Column of the networks, where values have one, and of the variance between the networks of a magnification.
NETWORK: Final = "network"
VAR_NETWORK: Final = "var_network"
#: Route of a class to which no model can be fitted.
NO_MODEL: Final = "none"


def magnification_model(
    values: pd.DataFrame, reference: float, *, unit: str = "slide_id", alpha: float = 0.05, min_units: int = 3
) -> pd.DataFrame:
    """Fit, per class, one mixed model to the values of all magnifications, and compare each with the reference.

    The model is ``value ~ C(magnification) + (1 | slide) + (1 | slide:location) + (1 | slide:magnification)``, see
    :func:`~saliency_stats.statistics.crossed_intercepts`, with Kenward and Roger's degrees of freedom. Other than the
    paired differences it uses locations that lack a magnification too. Where a magnification has several networks it
    has ``(1 | magnification:network)`` too: networks are a sample.

    Parameters
    ----------
    values : DataFrame
        One row per location and magnification, of one contrast, model, method and reduction, as
        :func:`~saliency_stats.statistics.patch_values` returns them: label, magnification, patch_id (the location),
        slide_id, patient_id and value (log2; NaN is left out). With a column network, one row per network of these.
    reference : float
        The magnification that the others are compared with.
    unit : {"slide_id", "patient_id"}
        The unit of inference. Where patients have several slides, which this model does not know, it is least squares
        with the variance CR2 over patients; with several networks the model of the slides' means, whose locations are
        the slides of a patient.

    Returns
    -------
    DataFrame
        Columns :data:`MODEL_COLUMNS`, by label and magnification. ``estimate`` (log2) is the mean at the magnification
        minus that at the reference (``versus``). ``route`` is "mixed", "cluster_robust" (``reason`` says why; there are
        no variance components) or "none", where no model can be fitted (``reason`` says why; there are no numbers).
        With several networks the last column is ``var_network``.

    Raises
    ------
    StatisticsError
        If a column is missing, ``unit``, ``alpha`` or ``min_units`` is out of range, or a location has two rows at one
        magnification (of one network), as where several models or contrasts are mixed.
    """
    columns = ("label", "magnification", "patch_id", "slide_id", "patient_id", "value")
    require_columns("values", values.columns, columns)
    one_of("unit", unit, ("slide_id", "patient_id"))
    check_alpha(alpha)
    in_range("min_units", min_units, min_units >= MIN_UNITS, f"at least {MIN_UNITS}")
    keys = [name for name in ("patch_id", "magnification", NETWORK) if name in values]
    twice = int(values.duplicated(keys).sum())
    if twice:
        words = "location, magnification and network" if NETWORK in keys else "location and magnification"
        raise StatisticsError(
            f"values: {twice} rows repeat the {words} of another; keep one contrast, model, method and reduction"
        )
    found = values.loc[values["value"].notna(), [*columns, *keys[2:]]]
    parts = [
        _of_label(rows, reference, unit, alpha, min_units).assign(label=label)
        for label, rows in found.groupby("label", sort=True)
    ]
    names = [*MODEL_COLUMNS, *([VAR_NETWORK] if _several(found) else [])]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def _several(rows: pd.DataFrame) -> bool:
    """Return whether a magnification has several networks."""
    if NETWORK not in rows:
        return False
    return bool(rows[["magnification", NETWORK]].drop_duplicates()["magnification"].duplicated().any())


def _of_label(rows: pd.DataFrame, reference: float, unit: str, alpha: float, min_units: int) -> pd.DataFrame:
    levels = sorted(set(rows["magnification"]))
    empty = dict.fromkeys((*_TEST, *COMPONENTS), NAN)
    sizes = {
        "n_slides": int(rows.loc[rows["slide_id"] != "", "slide_id"].nunique()),
        "n_locations": int(rows["patch_id"].nunique()),
        "n_patches": len(rows[["patch_id", "magnification"]].drop_duplicates()),  # whichever networks judge one
    }
    reason = _obstacle(rows, reference, unit, min_units)
    facts: dict[str, Any] = {"route": NO_MODEL, "reason": reason}
    tests: dict[float, LinearTest] = {}
    if not reason:
        try:
            tests, facts = _fit(rows, levels, reference, unit, alpha)
        except StatisticsError as error:
            facts["reason"] = str(error)
    return pd.DataFrame(
        [
            {"magnification": level, "versus": reference, **empty, **sizes, **facts}
            | (asdict(tests[level]) if level in tests else {})
            for level in levels
            if level != reference
        ],
        columns=[*MODEL_COLUMNS, VAR_NETWORK],
    )


def _obstacle(rows: pd.DataFrame, reference: float, unit: str, min_units: int) -> str:
    """Say why no model can be fitted; nothing where one can."""
    if reference not in set(rows["magnification"]):
        return f"there is no value at the reference {reference:g}×"
    word = unit.removesuffix("_id")
    unknown = int((rows[unit] == "").sum())
    if unknown:
        every = unknown == len(rows)
        what = f"the {word}s of the patches are unknown" if every else f"the {word} of {unknown} patches is unknown"
        return f"{what}, and patches of one {word} are not independent"
    n = rows[unit].nunique()
    return f"{counted(n, word)}, and a model takes at least {min_units}" if n < min_units else ""


def _fit(
    rows: pd.DataFrame, levels: list[float], reference: float, unit: str, alpha: float
) -> tuple[dict[float, LinearTest], dict[str, Any]]:
    """Return the test of each magnification against the reference, and what is to be said of the model."""
    # one coefficient per magnification: a comparison is then a difference of two of them, whatever they are called
    identity = np.eye(len(levels))
    weights = dict(zip(levels, identity - identity[levels.index(reference)], strict=True))
    del weights[reference]
    several = _several(rows)
    location, parents = "patch_id", rows[[unit, "slide_id"]].drop_duplicates()
    if parents.duplicated(unit).any() and several:
        location = "slide_id"
        keys = [unit, location, "magnification", NETWORK]
        rows = rows.groupby(keys, as_index=False).agg({"value": "mean"})
    elif parents.duplicated(unit).any():
        ordered = rows.sort_values("value", kind="stable")
        indicators = (ordered["magnification"].to_numpy()[:, None] == np.array(levels)).astype(np.float64)
        robust = cluster_robust(
            GroupedSums.from_rows(ordered["value"].to_numpy(np.float64), indicators, ordered[unit].to_numpy())
        )
        reason = "patients with several slides are not in the mixed model; tests are cluster-robust over patients"
        tests = {level: robust.test(each, alpha=alpha) for level, each in weights.items()}
        return tests, {"route": "cluster_robust", "reason": reason}
    kinds = rows["magnification"].astype(pd.CategoricalDtype(levels))
    fit = crossed_intercepts(
        rows.assign(magnification=kinds),
        "value ~ 0 + magnification",
        unit,
        location,
        network=NETWORK if several else None,
        alpha=alpha,
    )
    names = COMPONENTS | ({VAR_NETWORK: NETWORK} if several else {})
    components = {column: fit.variances.get(name, NAN) for column, name in names.items()}
    tests = {level: fit.test(each) for level, each in weights.items()}
    return tests, {"route": fit.route, "reason": fit.reason, **components}
