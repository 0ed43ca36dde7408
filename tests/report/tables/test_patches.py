"""Cells of the tables of patches: shares and densities by unit, accuracy, and who was left out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saliency_stats.report.run import Run
from saliency_stats.report.tables.patches import (
    composition_table,
    exclusions_table,
    metrics_table,
    patch_tables,
    selection_table,
)

Blank = Callable[..., Run]
Rows = Callable[..., pd.DataFrame]

#: Patient 1 has a slide of three patches and one of one; the mean of patches is not the mean of patients.
SLIDES = {"a": ("1", "A"), "b": ("1", "A"), "c": ("1", "A"), "d": ("1", "B"), "e": ("2", "C"), "f": ("3", "D")}
MASS = {"a": 0.1, "b": 0.1, "c": 0.1, "d": 0.5, "e": 0.2, "f": 0.4}


@pytest.fixture
def cohort(rows_of: Rows) -> dict[str, Any]:
    at: dict[str, Any] = {"magnification": 20.0, "label": "benign", "split": "test"}
    identity = [{"patch_id": name, "patient_id": who, "slide_id": slide} for name, (who, slide) in SLIDES.items()]
    predictions = rows_of("predictions", *identity, **at, model="trained", predicted="benign", correct=True)
    ledger = [
        {**row, "model": model, "compartment": "nucleus", "mass_share": MASS[row["patch_id"]], "density_ratio": density}
        for model in ("trained", "randomised")
        for row, density in zip(identity, (1.0, 4.0, 2.0, 8.0, 1.0, np.nan), strict=True)
    ]
    common = {**at, "method": "gradient", "reduction": "l2", "area_share": 0.125}
    return {
        "patches": rows_of("patches", *identity, **at),
        "predictions": predictions.assign(p_malignant=0.0),
        "ledger": rows_of("ledger", *ledger, **common),
    }


@pytest.mark.parametrize(
    ("unit", "mass", "density"),
    [
        ("slide", "30.0 %", "2.52"),  # means of 0.1, 0.5, 0.2, 0.4 and of log2 1, 3, 0
        ("patient", "30.0 %", "2.00"),  # means of (0.1 + 0.5) / 2, 0.2, 0.4 and of log2 (1 + 3) / 2, 0
    ],
)
def test_composition_by_unit(blank_run: Blank, cohort: Any, unit: str, mass: str, density: str) -> None:
    table = composition_table(blank_run({"statistics": {"unit": unit}}, **cohort))
    nuclei = [row for row in table.rows if row[3] == "nucleus"]
    assert [row[:7] for row in nuclei] == [
        ("20×", "benign", "trained", "nucleus", "12.5 %", mass, density),
        ("20×", "benign", "randomised control", "nucleus", "12.5 %", mass, density),
    ]
    assert [row[8:] for row in nuclei] == [("5", "1")] * 2
    assert (nuclei[0][7] == "—") == (unit == "patient")  # two patients with a density are fewer than three
    assert [row[3] for row in table.rows[:4]] == ["nucleus", "cytoplasm", "stroma", "background"]
    assert table.rows[1][4:] == ("—", "—", "—", "—", "0", "0")
    assert table.columns == (
        *("Magnification", "Class", "Network", "Compartment", "Area", "Saliency", "Density ratio", "95 % interval"),
        *("Patches", "Too small"),
    )
    assert f"Means over {unit}s where they are known" in table.note
    assert table.n_text == 4


def test_metrics_in_reading_order(blank_run: Blank, rows_of: Rows) -> None:
    keys = [
        ("randomised", "test", 10.0),
        ("trained", "test", 20.0),
        ("trained", "test", 10.0),
        ("trained", "train", 10.0),
    ]
    numbers = {"balanced_accuracy": 0.91234, "balanced_accuracy_low": 0.8, "balanced_accuracy_high": 1.0}
    more = {"sensitivity": 0.5, "specificity": 0.25, "auc": 0.975, "brier": 0.0625, "n_slides": 0, "n_patches": 1500}
    rows = [{"model": model, "split": split, "magnification": at} for model, split, at in keys]
    metrics = rows_of("metrics", *rows, **numbers, **more, interval="Wilson")
    patches = rows_of("patches", {"magnification": 10.0}, {"magnification": 20.0})
    table = metrics_table(blank_run(metrics=metrics, patches=patches))
    assert [row[:3] for row in table.rows] == [
        ("10×", "trained", "train"),
        ("10×", "trained", "test"),
        ("10×", "randomised control", "test"),
        ("20×", "trained", "test"),
    ]
    assert table.rows[0][3:] == (*("0.912", "0.800 to 1.000", "0.500", "0.250", "0.975", "0.062", "—", "1,500"),)
    assert table.columns == (
        *("Magnification", "Network", "Split", "Balanced accuracy", "Interval", "Sensitivity", "Specificity", "AUC"),
        *("Brier score", "Slides", "Patches"),
    )
    assert (table.note, table.n_text) == ("Intervals: Wilson.", 3)
    assert metrics_table(blank_run(metrics=metrics.assign(interval=""), patches=patches)).note == ""


def test_selection_and_exclusions(blank_run: Blank, rows_of: Rows) -> None:
    at: dict[str, Any] = {"magnification": 20.0, "label": "benign"}
    steps = [
        {"step": "listed", "n_slides": 2, "n_patches": 1000},
        {"step": "used", "n_slides": 2, "n_patches": 999},
        {"step": "my step", "n_slides": 0, "n_patches": 3},
    ]
    selection = rows_of("selection", *steps, {**steps[0], "label": "malignant"}, **at)
    patches = rows_of("patches", {"patch_id": "a", "status": "excluded: no tissue"}, **at)
    run = blank_run(selection=selection, patches=patches)
    assert selection_table(run).rows == (
        ("20×", "benign", "Listed", "", "—", "2", "1,000"),
        ("20×", "benign", "Readable and used", "1: no tissue", "1", "2", "999"),
        ("20×", "benign", "my step", "", "996", "—", "3"),
    )
    assert exclusions_table(run).rows == (("20×", "benign", "no tissue", "1"),)
    assert selection_table(run).columns == (
        *("Magnification", "Class", "Step", "Left out because", "Left out", "Slides", "Patches"),
    )
    assert exclusions_table(run).columns == ("Magnification", "Class", "Reason", "Patches")
    assert (selection_table(run).n_text, exclusions_table(run).n_text) == (4, 3)


def test_tables_without_rows_are_left_out(blank_run: Blank, cohort: Any) -> None:
    names = [table.name for table in patch_tables(blank_run(**cohort))]
    assert names == ["composition"]
