"""All contrasts of a study: its strata, its declared families of hypotheses, and their corrected p-values."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.contrasts import COLUMNS, contrast_table
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.multiplicity import adjust
from saliency_stats.statistics.selection import TRAINED, primary_population, restrict
from saliency_stats.statistics.settings import StatisticsSettings
from saliency_stats.statistics.values import CONTRASTS, PAIRS, PRIMARY, model_difference, patch_values
from saliency_stats.vocabulary import LABELS


class Stratum(NamedTuple):
    """What names one sample of patches."""

    contrast: str
    label: str
    magnification: Any  # a number, or the name a study gives it
    model: str
    method: str
    reduction: str


FAMILIES: Final = ("primary", "compartments", "compartment_pairs", "control", "control_reference")
_NO_FINDING: Final = ["statistic", "df", "p_value", "ci_low", "ci_high", "effect_size"]


def study_contrasts(
    ledger: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    settings: StatisticsSettings,
    learned: Mapping[Hashable, bool] | None = None,
) -> pd.DataFrame:
    """Build the whole of ``contrasts.csv``.

    For every magnification, method, reduction and label: every contrast of every model, and the primary
    contrast of the trained model minus that of each control, all on the patches that the trained model
    classified correctly and confidently (:func:`~saliency_stats.statistics.primary_population`).

    The families, each corrected for itself and test by test:

    - ``primary``: cytoplasm against nucleus, trained model;
    - ``compartments``: one compartment against the rest of the tissue, trained model;
    - ``compartment_pairs``: stroma against nucleus and against cytoplasm, trained model. They order the
      compartments, which the contrasts with the rest do not: the rest of a large compartment is not that of a
      small one;
    - ``control``: trained minus control, primary contrast;
    - ``control_reference``: the controls' own contrasts.

    Parameters
    ----------
    ledger : DataFrame
        As :func:`~saliency_stats.statistics.patch_values` reads it.
    predictions : DataFrame
        As :func:`~saliency_stats.statistics.primary_population` reads it.
    settings : StatisticsSettings
        Unit, level, correction and the rest.
    learned : mapping, optional
        For every magnification whether the trained model beats chance. Where it does not, the rows of the
        trained model and its differences from controls keep their estimates, have the status
        "not_interpretable" and neither p-value nor interval, and leave their family. Without it every model
        is taken to have learned.

    Returns
    -------
    DataFrame
        Columns :data:`~saliency_stats.statistics.COLUMNS`, one row per stratum and test, in a fixed order. A
        stratum without patches has its rows too. ``n_missing`` counts the selected patches that are not in
        the contrast.

    Raises
    ------
    StatisticsError
        If a table does not have the form described, the ledger has no trained model, or ``learned`` lacks a
        magnification.
    """
    population = primary_population(
        predictions, min_confidence=settings.min_confidence, evaluation_split=settings.evaluation_split
    )
    values = patch_values(restrict(ledger, population))
    present = ledger[["magnification", "model", "method", "reduction"]].drop_duplicates()
    if TRAINED not in set(present["model"]):
        raise StatisticsError(f"ledger: no rows of model {TRAINED!r}; found {sorted(present['model'].unique())}")
    unlearned = _unlearned(present["magnification"].unique(), learned)

    own = [tuple(row) for row in present.itertuples(index=False)]
    trained = {(mag, *rest) for mag, model, *rest in own if model == TRAINED}
    controls = sorted({model for _, model, *_ in own if model != TRAINED})
    paired = [row for row in own if row[1] != TRAINED and (row[0], *row[2:]) in trained]
    strata = [Stratum(contrast, label, *row) for contrast in CONTRASTS for label in LABELS for row in own]
    strata += [
        Stratum(PRIMARY, label, mag, f"{TRAINED}-{model}", *rest) for label in LABELS for mag, model, *rest in paired
    ]
    samples = _samples(values, controls)
    nothing = values.iloc[:0]
    selected = population.patches.groupby(["label", "magnification"]).size().to_dict()
    tables = []
    for stratum in sorted(strata, key=_order):
        table = _test(samples.get(stratum, nothing), settings)
        n_selected = selected.get((stratum.label, stratum.magnification), 0)
        fixed = {
            **stratum._asdict(),
            "family": _family(stratum),
            "n_missing": n_selected - table["n_patches"],
        }
        tables.append(table.assign(**fixed))
    contrasts = pd.concat(tables, ignore_index=True)

    of_trained = (contrasts["model"] == TRAINED) | contrasts["model"].str.startswith(f"{TRAINED}-")
    muted = of_trained & contrasts["magnification"].isin(unlearned)
    contrasts.loc[muted, _NO_FINDING] = NAN
    contrasts.loc[muted, "status"] = "not_interpretable"
    contrasts.loc[muted, "reason"] = "the classifier does not beat chance here, so where it looks means nothing"
    contrasts["p_adjusted"] = adjust(contrasts, correction=settings.correction)
    return contrasts[list(COLUMNS)]


def _test(sample: pd.DataFrame, settings: StatisticsSettings) -> pd.DataFrame:
    return contrast_table(
        sample,
        "value",
        patient="patient_id" if settings.unit == "patient" else None,
        alpha=settings.alpha,
        seed=settings.seed,
        assume_independent=settings.assume_independent,
        bootstrap_draws=settings.bootstrap_draws,
        min_units=settings.min_slides,
    )


def _samples(values: pd.DataFrame, controls: list[str]) -> dict[Hashable, pd.DataFrame]:
    """Return the patches of every stratum that has any, those of the differences among them."""
    primary = values[values["contrast"] == PRIMARY]
    have = set(primary["model"])
    tables = [values]
    if TRAINED in have:
        tables += [model_difference(primary, control) for control in controls if control in have]
    samples: dict[Hashable, pd.DataFrame] = {}
    for table in tables:
        samples.update(iter(table.groupby(list(Stratum._fields), sort=False)))
    return samples


def _family(stratum: Stratum) -> str:
    if stratum.model != TRAINED:
        return "control" if stratum.model.startswith(f"{TRAINED}-") else "control_reference"
    if stratum.contrast == PRIMARY:
        return "primary"
    return "compartment_pairs" if stratum.contrast in PAIRS else "compartments"


def _order(stratum: Stratum) -> tuple[Any, ...]:
    """Return the sort key of rows: families, then contrasts, malignant before benign, then by name."""
    return (
        FAMILIES.index(_family(stratum)),
        CONTRASTS.index(stratum.contrast),
        -LABELS.index(stratum.label),
        *stratum[2:],
    )


def _unlearned(magnifications: Iterable[Hashable], learned: Mapping[Hashable, bool] | None) -> list[Hashable]:
    if learned is None:
        return []
    missing = [mag for mag in magnifications if mag not in learned]
    if missing:
        raise StatisticsError(
            f"learned: nothing is said about magnification {missing[0]} (found: {list(learned)}); state for "
            "each magnification whether its classifier beats chance"
        )
    return [mag for mag in magnifications if not learned[mag]]
