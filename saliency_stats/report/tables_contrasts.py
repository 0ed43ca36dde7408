"""The contrasts as tables: trained network, controls, their difference, and every test."""

from typing import Any, Final

import pandas as pd

from saliency_stats.report.figures_contrasts import missing_reasons, one_test
from saliency_stats.report.run import PRIMARY, TRAINED, RunTables, records
from saliency_stats.report.tables import Table, of_labels, place_of
from saliency_stats.report.wording import (
    CONTRAST_WORDS,
    DASH,
    MINUS,
    NONE,
    TEST_WORDS,
    magnification_words,
    model_words,
    number,
    p_words,
    ratio,
    ratio_interval,
    whole,
)

_STATUS: Final = {"tested": "tested", "no_inference": "not tested", "not_interpretable": "not interpretable"}


def contrast_tables(run: RunTables) -> tuple[Table, ...]:
    """Return the tables of contrasts that have rows, the most important first."""
    made = (contrasts_table(run), compartments_table(run), tests_table(run))
    return tuple(table for table in made if table.rows)


def contrasts_table(run: RunTables) -> Table:
    """Return the primary contrast of the trained network, the controls, and their difference."""
    return _contrast_rows(
        run,
        "contrasts",
        "Saliency density in the cytoplasm against the nuclei",
        one_test(run, run.contrasts[run.contrasts["contrast"] == PRIMARY]),
        first="network",
    )


def compartments_table(run: RunTables) -> Table:
    """Return the contrasts of the trained network other than the primary one."""
    rows = run.contrasts[(run.contrasts["contrast"] != PRIMARY) & (run.contrasts["model"] == TRAINED)]
    return _contrast_rows(
        run,
        "compartments",
        "Saliency density of the other compartments, trained network",
        one_test(run, rows),
        "contrast",
    )


def tests_table(run: RunTables) -> Table:
    """Return every test of the primary hypotheses side by side."""
    rows = run.contrasts[(run.contrasts["contrast"] == PRIMARY) & (run.contrasts["model"] == TRAINED)]
    rows = of_labels(run, rows)
    rows = rows.assign(order=[place_of(run, value) for value in rows["magnification"]])
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


def _contrast_rows(run: RunTables, name: str, title: str, rows: pd.DataFrame, first: str) -> Table:
    rows = of_labels(run, rows)
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
    correction = {"holm": "Holm", "bh": f"Benjamini{DASH}Hochberg"}.get(
        str(run.setting("statistics.correction", "")), ""
    )
    corrected = f" Adjusted p: corrected by {correction} within the family." if correction else ""
    reasons = missing_reasons(rows)
    difference = (
        f" Trained {MINUS} control: the ratio of the two ratios." if first == "network" and run.controls else ""
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


def _means_words(run: RunTables, rows: pd.DataFrame) -> str:
    """Say what the numbers are means of, and what the columns on the design mean."""
    if not (rows["n_slides"] > 0).any():
        return "Ratios are geometric means over patches, because their slides are unknown."
    return (
        f"Ratios are geometric means over {run.unit}s of the {run.unit}s' means. dz: mean ÷ standard"
        f" deviation of those means. ICC: intraclass correlation of the patches of one {run.unit}; the design"
        " effect is how many times fewer independent patches (n eff) they are worth."
    )


def _several_methods(rows: pd.DataFrame) -> bool:
    return len(rows[["method", "reduction"]].drop_duplicates()) > 1


def _stratum(row: Any, *, several: bool) -> tuple[str, ...]:
    methods = (row.method, row.reduction) if several else ()
    return (magnification_words(row.magnification), row.label, *methods)


def _stratum_heads(several: bool) -> tuple[str, ...]:  # noqa: FBT001 - the one thing it depends on
    return ("Magnification", "Class", *(("Method", "Reduction") if several else ()))
