"""One model of all magnifications, as a table."""

from typing import Final

import pandas as pd

from saliency_stats.report.figures.magnification import has_magnifications
from saliency_stats.report.run import Run, records
from saliency_stats.report.tables.table import Table, of_labels
from saliency_stats.report.words import (
    NONE,
    TIMES,
    begun,
    listing,
    magnification_words,
    number,
    p_words,
    ratio,
    ratio_interval,
    whole,
)
from saliency_stats.statistics.magnification import COMPONENTS, NO_MODEL, VAR_NETWORK, magnification_model
from saliency_stats.statistics.selection import UNLEARNED

_ROUTES: Final = {"mixed": "mixed model", "cluster_robust": "cluster-robust", NO_MODEL: "no model"}


def magnification_tables(run: Run) -> tuple[Table, ...]:
    """Return the table of the model, where the run has several magnifications and rows for it."""
    if not has_magnifications(run):
        return ()
    made = model_table(run)
    return (made,) if made.rows else ()


def model_table(run: Run) -> Table:
    """Return how each magnification differs from the reference in one model of all of them."""
    rows = of_labels(run, model_rows(run))
    components = [*COMPONENTS, *([VAR_NETWORK] if VAR_NETWORK in rows else [])]
    cells = [
        (
            f"{row.magnification:g}{TIMES} against {row.versus:g}{TIMES}",
            row.label,
            _ROUTES[row.route],
            ratio(row.estimate),
            ratio_interval(row.ci_low, row.ci_high),
            number(row.estimate),
            number(row.se, 3),
            number(row.df, 1),
            p_words(row.p_value),
            *(number(getattr(row, name), 3) for name in components),
            whole(row.n_slides) if row.n_slides else NONE,
            whole(row.n_patches),
        )
        for row in records(run.named(rows))
    ]
    return Table(
        "magnification_model",
        "One model of all magnifications",
        _note(run, rows),
        (
            *("Magnification", "Class", "Route", "Ratio", f"{run.confidence_percent} interval", "log2", "SE", "df"),
            *("p", "Var slides", "Var locations", f"Var slides {TIMES} magn.", "Var rest"),
            *(["Var networks"] if VAR_NETWORK in components else []),
            *("Slides", "Patches"),
        ),
        tuple(cells),
        n_text=3,
    )


def model_rows(run: Run) -> pd.DataFrame:
    """Fit the model to the primary contrast of the trained classifier, where it is shown to have learned."""
    values = run.primary_values
    values = values[values["magnification"].map(run.learned)]
    return magnification_model(
        values,
        run.settings.statistics.reference_magnification,
        unit=run.unit_column,
        alpha=run.alpha,
        min_units=run.settings.statistics.min_slides,
    )


def _note(run: Run, rows: pd.DataFrame) -> str:
    networks = ", and of the networks of each magnification" if VAR_NETWORK in rows else ""
    text = (
        "Ratio of two ratios cytoplasm : nucleus, trained network; 1 is no difference. All judged patches at all"
        f" magnifications (probability of the true class at least {run.settings.saliency.min_confidence:g}) in one"
        f" model per class, with random effects of {run.unit}s, of locations in them, and of {run.unit}s at"
        f" each magnification{networks} (REML, Kenward–Roger); Var: their variances (log2²). A supporting analysis:"
        " p is not corrected for multiplicity, the paired differences against the reference are."
    )
    left_out = [magnification_words(value) for value in run.magnifications if not run.learned[value]]
    if left_out:
        text += f" Left out, because the classifier is {UNLEARNED} there: {listing(left_out)}."
    for reason, of_reason in rows[rows["reason"] != ""].groupby("reason", sort=True):
        route = _ROUTES[of_reason["route"].iloc[0]]
        names = map(run.classes.name, sorted(set(of_reason["label"])))
        text += f" {begun(listing(names))}, {route}: {reason}."
    return text
