"""The report's tables as text, ready for a page or for a paper."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from saliency_stats.report.figures_contrasts import missing_reasons, one_test
from saliency_stats.report.population import exclusions, points, selected_ledger
from saliency_stats.report.run import PRIMARY, TRAINED, Run
from saliency_stats.report.wording import (
    CONTRAST_WORDS,
    MINUS,
    NONE,
    STEP_WORDS,
    TEST_WORDS,
    interval,
    magnification_words,
    model_words,
    number,
    p_words,
    percent,
    ratio,
    ratio_interval,
    whole,
)
from saliency_stats.vocabulary import COMPARTMENTS, SPLITS

_STATUS: Final = {"tested": "tested", "no_inference": "not tested", "not_interpretable": "not interpretable"}


@dataclass(frozen=True)
class Table:
    """A table of text.

    Parameters
    ----------
    name
        Stem of its file.
    title, note
        What stands above and below it.
    columns
        Headings.
    rows
        Cells, one text per column.
    n_text
        How many of the first columns are text; the others are numbers and stand to the right.
    """

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_text: int


def contrasts_table(run: Run) -> Table:
    """Return the primary contrast of the trained network, the controls, and their difference."""
    return _contrast_rows(
        run,
        "contrasts",
        "Saliency density in the cytoplasm against the nuclei",
        one_test(run, run.contrasts[run.contrasts["contrast"] == PRIMARY]),
        first="network",
    )


def compartments_table(run: Run) -> Table:
    """Return the contrasts of the trained network other than the primary one."""
    rows = run.contrasts[(run.contrasts["contrast"] != PRIMARY) & (run.contrasts["model"] == TRAINED)]
    return _contrast_rows(
        run,
        "compartments",
        "Saliency density of the other compartments, trained network",
        one_test(run, rows),
        "contrast",
    )


def tests_table(run: Run) -> Table:
    """Return every test of the primary hypotheses side by side."""
    rows = run.contrasts[(run.contrasts["contrast"] == PRIMARY) & (run.contrasts["model"] == TRAINED)]
    rows = _of_labels(run, rows)
    rows = rows.assign(order=[_order(run, value) for value in rows["magnification"]])
    rows = rows.sort_values(["order", "label", "method", "reduction"], kind="stable")
    several = _several_methods(rows)
    cells = [
        (
            *_stratum(row, several=several),
            TEST_WORDS.get(row.test, row.test),
            ratio(row.estimate),
            ratio_interval(row.ci_low, row.ci_high),
            p_words(row.p_value),
            p_words(row.p_adjusted),
        )
        for row in records(rows)
    ]
    return Table(
        "tests",
        "The same hypotheses by every test",
        "A finding that depends on the choice of the test is no finding.",
        (*_stratum_heads(several), "Test", "Ratio", f"{run.confidence_percent} interval", "p", "Adjusted p"),
        tuple(cells),
        n_text=3 + 2 * several,
    )


def metrics_table(run: Run) -> Table:
    """Return how well each network classifies, by split."""
    place = {split: k for k, split in enumerate(SPLITS)}
    rows = run.metrics.assign(
        place=[place.get(value, len(place)) for value in run.metrics["split"]],
        control=run.metrics["model"] != TRAINED,
        order=[_order(run, value) for value in run.metrics["magnification"]],
    ).sort_values(["order", "control", "model", "place"])
    cells = [
        (
            magnification_words(row.magnification),
            model_words(row.model),
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
        f"Intervals: {'; '.join(made)}." if made else "",
        (
            *(
                "Magnification",
                "Network",
                "Split",
                "Balanced accuracy",
                "Interval",
                "Sensitivity",
                "Specificity",
            ),
            *("AUC", "Brier score", "Slides", "Patches"),
        ),
        tuple(cells),
        n_text=3,
    )


def composition_table(run: Run) -> Table:
    """Return each compartment's share of area and saliency in the judged patches, and its density ratio."""
    ledger = selected_ledger(run)
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
                            label,
                            model_words(model),
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
        " “Too small” counts the patches in which the compartment is too small to be measured.",
        (
            *("Magnification", "Class", "Network", "Compartment", "Area", "Saliency", "Density ratio"),
            *(f"{run.confidence_percent} interval", "Patches", "Too small"),
        ),
        tuple(cells),
        n_text=4,
    )


def selection_table(run: Run) -> Table:
    """Return the flow diagram as a table."""
    cells = [
        (
            magnification_words(row.magnification),
            row.label,
            STEP_WORDS.get(row.step, row.step),
            whole(row.n_slides) if row.n_slides else NONE,
            whole(row.n_patches),
        )
        for row in records(_of_labels(run, run.selection))
    ]
    return Table(
        "selection",
        "From listed to judged patches",
        "",
        ("Magnification", "Class", "Step", "Slides", "Patches"),
        tuple(cells),
        n_text=3,
    )


def exclusions_table(run: Run) -> Table:
    """Return why patches could not be used."""
    cells = [
        (magnification_words(row.magnification), row.label, row.reason, whole(row.n_patches))
        for row in records(exclusions(run))
    ]
    return Table(
        "exclusions",
        "Patches that could not be used",
        "patches.csv names each of them.",
        ("Magnification", "Class", "Reason", "Patches"),
        tuple(cells),
        n_text=3,
    )


def all_tables(run: Run) -> tuple[Table, ...]:
    """Return every table that has rows, the most important first."""
    made: Iterable[Table] = (
        contrasts_table(run),
        compartments_table(run),
        tests_table(run),
        composition_table(run),
        metrics_table(run),
        selection_table(run),
        exclusions_table(run),
    )
    return tuple(table for table in made if table.rows)


def _contrast_rows(run: Run, name: str, title: str, rows: pd.DataFrame, first: str) -> Table:
    rows = _of_labels(run, rows)
    several = _several_methods(rows)
    cells = [
        (
            *_stratum(row, several=several),
            model_words(row.model) if first == "network" else CONTRAST_WORDS.get(row.contrast, row.contrast),
            ratio(row.estimate),
            ratio_interval(row.ci_low, row.ci_high),
            number(row.estimate),
            p_words(row.p_value),
            p_words(row.p_adjusted),
            number(row.effect_size),
            number(row.icc),
            number(row.design_effect, 1),
            number(row.n_effective, 0),
            whole(row.n_slides) if row.n_slides else NONE,
            whole(row.n_patches),
            _STATUS.get(row.status, row.status),
        )
        for row in records(rows)
    ]
    correction = {"holm": "Holm", "bh": "Benjamini–Hochberg"}.get(
        str(run.setting("statistics.correction", "")), ""
    )
    corrected = f" Adjusted p: corrected by {correction} within the family." if correction else ""
    reasons = missing_reasons(rows)
    difference = (
        f" Trained {MINUS} control: the ratio of the two ratios."
        if first == "network" and run.controls
        else ""
    )
    missing = f" {NONE}: {'; '.join(reasons)}." if reasons else ""
    return Table(
        name,
        title,
        f"{_means_words(run, rows)}{difference}{corrected}{missing}",
        (
            *_stratum_heads(several),
            "Network" if first == "network" else "Contrast",
            *("Ratio", f"{run.confidence_percent} interval", "log2", "p", "Adjusted p", "dz", "ICC"),
            *("Design effect", "n eff", "Slides", "Patches", "Status"),
        ),
        tuple(cells),
        n_text=3 + 2 * several,
    )


def _means_words(run: Run, rows: pd.DataFrame) -> str:
    """Say what the numbers are means of, and what the columns on the design mean."""
    if not (rows["n_slides"] > 0).any():
        return "Ratios are geometric means over patches, because their slides are unknown."
    return (
        f"Ratios are geometric means over {run.unit}s of the {run.unit}s’ means. dz: mean ÷ standard"
        f" deviation of those means. ICC: intraclass correlation of the patches of one {run.unit}; the design"
        " effect is how many times fewer independent patches (n eff) they are worth."
    )


def _of_labels(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["label"].isin(run.labels)]


def _several_methods(rows: pd.DataFrame) -> bool:
    return len(rows[["method", "reduction"]].drop_duplicates()) > 1


def _stratum(row: Any, *, several: bool) -> tuple[str, ...]:
    methods = (row.method, row.reduction) if several else ()
    return (magnification_words(row.magnification), row.label, *methods)


def _stratum_heads(several: bool) -> tuple[str, ...]:  # noqa: FBT001 - the one thing it depends on
    return ("Magnification", "Class", *(("Method", "Reduction") if several else ()))


def _order(run: Run, magnification: str) -> int:
    known = list(run.magnifications)
    return known.index(magnification) if magnification in known else len(known)
