"""What the networks really use of a phantom, beside where their saliency lies and what replacing takes away."""

from typing import Any

from saliency_stats.report.population import points
from saliency_stats.report.run import Run, records
from saliency_stats.report.tables.table import Table
from saliency_stats.report.words import NONE, interval, magnification_words, number, ratio, whole
from saliency_stats.statistics.importance import importance_table
from saliency_stats.vocabulary import TRAINED


def importance_tables(run: Run) -> tuple[Table, ...]:
    """Return the table of importance, of a run that drew phantoms again."""
    return () if run.importance.empty else (_importance(run),)


def _importance(run: Run) -> Table:
    found = importance_table(run.importance, run.settings.statistics_parameters(run.unit), run.tests)
    replaced = run.settings.causal.replacements
    cells = []
    for row in records(found):
        where = {"label": row.label, "magnification": row.magnification, "model": TRAINED}
        cells.append(
            (
                *importance_cells(run, row),
                _density(run, where | {"compartment": row.compartment}),
                *(_drop(run, where | {"contrast": f"drop:{row.compartment}", "replacement": by}) for by in replaced),
                whole(row.n_units) if row.n_units else NONE,
                whole(row.n_patches),
            )
        )
    return Table(
        "importance",
        "What the networks really use",
        "The same phantom drawn again with one compartment as in the other class, and nothing else changed. Importance:"
        " by how much the log-odds of the patch’s class fall, also in patches that are not judged: a choice of those"
        " that the network gets right would favour what it uses in vain. Each interval is for itself, not simultaneous."
        " Size: the mean change whatever its sign; chance decides as which class a compartment without a signal is"
        " drawn, so that what a network makes of it cancels in the importance. Beside it, in the judged patches: the"
        " density ratio of the saliency, and by how much the logit of the class falls by replacing the compartment.",
        (
            *("Magnification", "Class", "Compartment", "Importance", f"{run.confidence_percent} interval", "Size"),
            *("Density ratio", *(f"Drop ({by})" for by in replaced), f"{run.unit.capitalize()}s", "Patches"),
        ),
        tuple(cells),
        n_text=3,
    )


def importance_cells(run: Run, row: Any) -> tuple[str, ...]:
    """Say where a row of :func:`importance_table` is, its importance with the interval, and its size."""
    return (
        magnification_words(row.magnification),
        run.classes.name(row.label),
        row.compartment,
        number(row.estimate),
        interval(row.ci_low, row.ci_high),
        number(row.size),
    )


def _density(run: Run, where: dict[str, object]) -> str:
    ledger = run.judged_ledger
    rows = ledger[(ledger[list(where)] == list(where.values())).all(axis=1)]
    return ratio(points(run, rows, "density_ratio", log2=True).mean)


def _drop(run: Run, where: dict[str, object]) -> str:
    """Return the mean drop of the logit by one replacement, which is the same for every test."""
    rows = run.causal[(run.causal[list(where)] == list(where.values())).all(axis=1)]
    return number(rows["drop"].iloc[0]) if len(rows) else NONE
