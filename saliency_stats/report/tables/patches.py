"""The classifier's performance, the judged patches and those left out, as tables."""

from saliency_stats.report.population import left_out_words, points
from saliency_stats.report.run import Run, records
from saliency_stats.report.tables.table import Table, of_labels, place_of
from saliency_stats.report.words import (
    NONE,
    STEP_WORDS,
    interval,
    magnification_words,
    number,
    percent,
    ratio,
    ratio_interval,
    whole,
)
from saliency_stats.statistics.selection import of_all_networks
from saliency_stats.vocabulary import COMPARTMENTS, SPLITS, TRAINED


def patch_tables(run: Run) -> tuple[Table, ...]:
    """Return the tables of patches that have rows."""
    made = (composition_table(run), metrics_table(run), selection_table(run), exclusions_table(run))
    return tuple(table for table in made if table.rows)


def metrics_table(run: Run) -> Table:
    """Return how well each network classifies, by split."""
    place = {split: k for k, split in enumerate(SPLITS)}
    metrics = run.own_metrics
    numbered = run.networks if run.n_networks > 1 else ()
    judged = (metrics["model"] == TRAINED) & (metrics["split"] == run.evaluation_split)
    shown = metrics[judged | metrics.index.isin(of_all_networks(metrics).index)]
    rows = shown.assign(
        place=[place.get(value, len(place)) for value in shown["split"]],
        control=shown["model"] != TRAINED,
        single=[run.networks.index(name) if name in numbered else -1 for name in shown["network"]],
        order=[place_of(run, value) for value in shown["magnification"]],
    ).sort_values(["order", "control", "model", "single", "place"])
    cells = [
        (
            magnification_words(row.magnification),
            run.network(row.model) + ("" if row.single < 0 else f", network {row.network}"),
            row.split,
            number(row.balanced_accuracy, 3),
            interval(row.balanced_accuracy_low, row.balanced_accuracy_high, 3),
            number(row.sensitivity, 3),
            number(row.specificity, 3),
            number(row.auc, 3),
            number(row.brier, 3),
            whole(row.n_slides) if row.n_slides else NONE,
            whole(row.n_patches),
        )
        for row in records(rows)
    ]
    made = sorted({text for text in rows["interval"] if text})
    return Table(
        "metrics",
        "The classifier's performance",
        (f"Intervals: {'; '.join(made)}." if made else "")
        + (f" Rows without a number: all {run.n_networks} networks together." if run.n_networks > 1 else ""),
        (
            *("Magnification", "Network", "Split", "Balanced accuracy", "Interval", "Sensitivity", "Specificity"),
            *("AUC", "Brier score", "Slides", "Patches"),
        ),
        tuple(cells),
        n_text=3,
    )


def composition_table(run: Run) -> Table:
    """Return each compartment's share of area and saliency in the judged patches, and its density ratio."""
    ledger = run.judged_ledger
    cells = []
    for magnification in run.magnifications:
        for label in run.labels:
            stratum = ledger[(ledger["magnification"] == magnification) & (ledger["label"] == label)]
            for model in sorted(set(stratum["model"]), key=lambda name: (name != TRAINED, name)):
                for compartment in COMPARTMENTS:
                    rows = stratum[(stratum["model"] == model) & (stratum["compartment"] == compartment)]
                    density = points(run, rows, "density_ratio", log2=True)
                    cells.append(
                        (
                            magnification_words(magnification),
                            run.classes.name(label),
                            run.network(model),
                            compartment,
                            percent(points(run, rows, "area_share").mean),
                            percent(points(run, rows, "mass_share").mean),
                            ratio(density.mean),
                            ratio_interval(density.low, density.high),
                            whole(density.n_patches),
                            whole(len(rows) - density.n_patches),
                        )
                    )
    return Table(
        "composition",
        "What the judged patches consist of and where the saliency goes",
        f"Means over {run.unit}s where they are known, else over patches; density ratios are geometric means."
        " Too small: patches in which the compartment is too small to be measured.",
        (
            *("Magnification", "Class", "Network", "Compartment", "Area", "Saliency", "Density ratio"),
            *(f"{run.confidence_percent} interval", "Patches", "Too small"),
        ),
        tuple(cells),
        n_text=4,
    )


def selection_table(run: Run) -> Table:
    """Return the flow diagram as a table: what is left after each step, and why others were left out there."""
    cells = []
    rows = of_labels(run, run.selection)
    for _, steps in rows.groupby(["magnification", "label"], sort=False):
        before = steps["n_patches"].shift(fill_value=steps["n_patches"].iloc[0])
        for row, fewer in zip(records(steps), before - steps["n_patches"], strict=True):
            cells.append(
                (
                    magnification_words(row.magnification),
                    run.classes.name(row.label),
                    STEP_WORDS.get(row.step, row.step),
                    "; ".join(left_out_words(run, row.magnification, row.label, row.step)) if fewer > 0 else "",
                    whole(fewer) if fewer > 0 else NONE,
                    whole(row.n_slides) if row.n_slides else NONE,
                    whole(row.n_patches),
                )
            )
    return Table(
        "selection",
        "From listed to judged patches",
        "",
        ("Magnification", "Class", "Step", "Left out because", "Left out", "Slides", "Patches"),
        tuple(cells),
        n_text=4,
    )


def exclusions_table(run: Run) -> Table:
    """Return why patches could not be used."""
    cells = [
        (magnification_words(row.magnification), row.label, row.reason, whole(row.n_patches))
        for row in records(run.named(run.exclusions))
    ]
    return Table(
        "exclusions",
        "Patches that could not be used",
        "patches.csv names each of them.",
        ("Magnification", "Class", "Reason", "Patches"),
        tuple(cells),
        n_text=3,
    )
