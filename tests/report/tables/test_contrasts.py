"""Cells of the tables of contrasts are the numbers of their rows, in the words of a report."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saliency_stats.report.run import Run
from saliency_stats.report.tables.contrasts import (
    calibration_of,
    compartments_table,
    contrast_tables,
    contrasts_table,
    differences_table,
    effects_table,
)
from saliency_stats.report.tables.contrasts import (
    tests_table as every_test_table,
)
from saliency_stats.statistics import BOTH_LABELS

Blank = Callable[..., Run]
Rows = Callable[..., pd.DataFrame]

MODELS = ("trained", "randomised")
STRATUM: dict[str, Any] = {"label": "benign", "magnification": 20.0, "method": "gradient", "reduction": "l2"}
NUMBERS: dict[str, Any] = {
    "estimate": 1.0,
    "ci_low": 0.0,
    "ci_high": 2.0,
    "p_value": 0.012,
    "p_adjusted": 0.024,
    "effect_size": 1.234,
    "icc": 0.2,
    "design_effect": 2.34,
    "n_effective": 12.6,
    "n_slides": 7,
    "n_patches": 1234,
    "n_units": 8,
    "effect_size_low": -0.5,
    "effect_size_high": 3.0,
    "superiority": 0.875,
    "superiority_low": 0.47,
    "superiority_high": 0.99,
    "p_equivalence": 0.8,
    "ci_low_simultaneous": -1.0,
    "ci_high_simultaneous": 3.0,
    "n_tests": 8,
    "n_agree": 5,
    "skewness": 0.46,
    "status": "tested",
    "test": "sign_flip",
}


@pytest.fixture
def make(blank_run: Blank, rows_of: Rows) -> Callable[..., Run]:
    def made(
        *rows: dict[str, Any], study: Any = None, sizes: tuple[int, ...] = (4, 4), patient: str = "p", **common: Any
    ) -> Run:
        names = [f"{slide}-{k}" for slide, size in enumerate(sizes) for k in range(size)]
        strata = dict.fromkeys((row.get("label", "benign"), row.get("magnification", 20.0)) for row in rows)
        cohort = [
            {"patch_id": f"{at}{label}{name}", "slide_id": name.split("-")[0], "label": label, "magnification": at}
            for label, at in strata
            if label != BOTH_LABELS
            for name in names
        ]
        patches = rows_of("patches", *cohort, split="test", status="used")
        keys = patches[["patch_id", "label", "magnification", "split"]].to_dict("records")
        predictions = rows_of("predictions", *keys, model="trained", correct=True)
        predictions["predicted"] = predictions["label"]
        predictions["p_malignant"] = (predictions["label"] == "malignant").astype(float)
        known = {"method": "gradient", "reduction": "l2", "patient_id": patient}
        ledger = rows_of(
            "ledger", *({**row, **known, "model": model} for row in cohort for model in MODELS), split="test"
        )
        merged = [
            {**STRATUM, **NUMBERS, "contrast": "cytoplasm_vs_nucleus", "model": "trained", **common, **r} for r in rows
        ]
        contrasts = rows_of("contrasts", *merged)
        return blank_run(study, patches=patches, predictions=predictions, contrasts=contrasts, ledger=ledger)

    return made


def test_every_number_of_the_primary_contrast(make: Callable[..., Run]) -> None:
    empty = {"estimate": -0.5, "ci_low": np.nan, "p_value": np.nan, "p_adjusted": np.nan, "n_slides": 0}
    run = make(
        {"model": "trained-randomised", **empty, "status": "no_inference", "reason": "too few"},
        {"model": "randomised"},
        {},
        {"test": "wilcoxon", "estimate": 9.0},
    )
    table = contrasts_table(run)
    assert table.columns == (
        *("Magnification", "Class", "Network", "Ratio", "95 % interval", "log2", "p", "Adjusted p", "Least p"),
        *("dz", "ICC", "Design effect", "n eff", "Slides", "Patches", "Status"),
    )
    numbers = ("2.00", "1.00–4.00", "1.00", "0.012", "0.024", "—", "1.23", "0.20", "2.3", "13", "7", "1,234", "tested")
    assert table.rows == (
        ("20×", "benign", "trained", *numbers),
        ("20×", "benign", "randomised control", *numbers),
        (
            *(
                "20×",
                "benign",
                "trained − randomised",
                "0.71",
                "—",
                "−0.50",
                "—",
                "—",
                "—",
                "1.23",
                "0.20",
                "2.3",
                "13",
                "—",
            ),
            *("1,234", "not tested"),
        ),
    )
    assert table.n_text == 3
    assert table.note == (
        "Ratios are geometric means over slides of the slides' means. dz: mean ÷ standard deviation of those means."
        " ICC: intraclass correlation of the patches of one slide; the design effect is how many times fewer"
        " independent patches (n eff) they are worth. Trained − control: the ratio of the two ratios. Adjusted p:"
        " corrected by Holm within the family. —: too few."
    )


@pytest.mark.parametrize(("correction", "words"), [("bh", "Benjamini–Hochberg"), ("holm", "Holm")])
def test_the_note_names_unit_and_correction(make: Callable[..., Run], correction: str, words: str) -> None:
    study = {"statistics": {"unit": "patient", "correction": correction}}
    note = contrasts_table(make({}, study=study)).note
    assert "over patients of the patients' means" in note
    assert f"corrected by {words} within" in note
    assert "—:" not in note
    unknown = contrasts_table(make({}, study=study, patient="")).note
    assert unknown.startswith("Ratios are geometric means over patches, because their patients are unknown.")
    # a contrast without a value has no patients either, and they are known all the same
    empty = contrasts_table(make({"n_units": 0}, study=study)).note
    assert "over patients of the patients' means" in empty


def test_a_class_that_the_cohort_lacks_has_no_row(make: Callable[..., Run]) -> None:
    run = make({})
    more = pd.concat([run.contrasts, run.contrasts.assign(label="malignant")])
    assert [row[1] for row in contrasts_table(run.changed(contrasts=more)).rows] == ["benign"]


def test_effects_in_every_measure(make: Callable[..., Run]) -> None:
    run = make({}, {"model": "randomised", "effect_size": np.nan}, study={"statistics": {"equivalence_margin": 0.5}})
    table = effects_table(run)
    assert table.rows == (
        (
            *("20×", "benign", "trained", "2.00", "1.00–4.00", "0.50–8.00", "1.23", "−0.50 to 3.00", "88 %"),
            *("47–99 %", "0.8"),
        ),
    )
    assert table.columns[3:] == (
        *("Ratio", "95 % interval", "Simultaneous", "dz", "Interval of dz", "Denser in", "Interval", "Equivalence p"),
    )
    assert table.n_text == 3
    assert "against a ratio outside 0.71–1.41." in table.note


def test_other_compartments_are_those_of_the_trained_network(make: Callable[..., Run]) -> None:
    run = make(
        {"contrast": "stroma_vs_rest"},
        {"contrast": "stroma_vs_rest", "model": "randomised"},
        {"contrast": "malignant_vs_benign"},
        {},
    )
    table = compartments_table(run)
    assert [row[:5] for row in table.rows] == [("20×", "benign", "stroma : other tissue", "2.00", "1.00–4.00")]
    assert table.columns[2] == "Contrast"
    assert "Trained − control" not in table.note


PERMUTED = "permutation of slides between classes (studentised)"


def test_differences_and_the_test_that_allows_them(make: Callable[..., Run]) -> None:
    unpaired = {"p_value": np.nan, "p_adjusted": np.nan, "ci_low": np.nan, "reason": "other slides"}
    classes = {"contrast": "malignant_vs_benign", "label": BOTH_LABELS}
    finer = {"contrast": "magnification_vs_reference", "magnification": 10.0, "versus": "20"}
    run = make(
        {**finer},
        {**classes, **unpaired},
        {**classes, "test": "permutation", "estimate": -1.0},
        {"contrast": "confident_vs_unsure", **unpaired, "status": "no_inference"},
        {"contrast": "confident_vs_unsure", **unpaired, "n_patches": 0, "label": "malignant"},
        {"label": "malignant"},
    )
    table = differences_table(run)
    assert table.rows == (
        ("20×", "both", "malignant against benign", "0.50", "1.00–4.00", "0.012", "0.024", PERMUTED),
        ("20×", "benign", "confident against unsure", "2.00", "—", "—", "—", "not tested"),
        (
            *(
                "10× against 20×",
                "benign",
                "against the reference magnification",
                "2.00",
                "1.00–4.00",
                "0.012",
                "0.024",
            ),
            "sign-flip over slides",
        ),
    )
    assert table.columns == (
        *("Magnification", "Class", "Difference", "Ratio", "95 % interval", "p", "Adjusted p", "Test"),
    )
    assert "Unpaired slides: a test that allows them is shown." in table.note
    assert table.note.endswith(" Confident against unsure, benign, 20×: other slides.")


def test_one_class_has_no_difference_of_classes(make: Callable[..., Run]) -> None:
    run = make({}, {"contrast": "malignant_vs_benign", "label": BOTH_LABELS, "reason": "why"})
    assert differences_table(run).rows == ()
    both = make({"label": "malignant"}, {}, {"contrast": "malignant_vs_benign", "label": BOTH_LABELS, "reason": "why"})
    assert len(differences_table(both).rows) == 1
    assert differences_table(both).note.endswith(" All rows: why.")


def test_every_test_with_its_errors(make: Callable[..., Run]) -> None:
    run = make(
        {"magnification": 20.0, "label": "malignant", "p_value": np.nan, "n_agree": 0},
        {"magnification": 10.0, "n_units": 10, "test": "t_slide_means"},
        {"magnification": 10.0, "n_units": 10},
        {"magnification": 10.0, "n_units": 10, "test": "cluster_bootstrap"},
        {"magnification": 10.0, "model": "randomised"},
    )
    table = every_test_table(run)
    errs = calibration_of(next(run.own_contrasts.iloc[[2]].itertuples()), {(10.0, "benign"): (4, 4)})
    assert errs is not None
    rates = f"{100 * errs.normal:.1f} / {100 * errs.heavy_tailed:.1f} / {100 * errs.skewed:.1f} %"
    assert len({errs.normal, errs.heavy_tailed, errs.skewed}) == 3
    assert [row[2] for row in table.rows] == [
        *("t over slide means", "sign-flip over slides", "cluster bootstrap (percentile-t)", "sign-flip over slides"),
    ]
    numbers = ("2.00", "1.00–4.00", "0.012", "0.024", rates, "confirmatory", "5 of 8")
    assert table.rows[1] == ("10×", "benign", "sign-flip over slides", *numbers)
    assert table.rows[2][-2] == "supporting"
    assert table.rows[3] == (
        *("20×", "malignant", "sign-flip over slides", "2.00", "1.00–4.00", "—", "0.024", "—", "—", "—"),
    )
    assert f"nearest design (10 slides, ICC {errs.icc:g}, balanced), for normal" in table.note
    assert table.note.endswith("means: benign, 10×: 0.5; malignant, 20×: 0.5.")
    assert table.columns[-3:] == ("Errs in", "Role", "Agree")


def test_calibration_needs_a_p_value_and_judged_patches(make: Callable[..., Run]) -> None:
    run = make({"n_units": 20})
    row = next(run.own_contrasts.itertuples())
    assert calibration_of(row, {}) is None
    balanced, unbalanced = (calibration_of(row, {(20.0, "benign"): sizes}) for sizes in ((1, 10), (1, 11)))
    assert balanced is not None
    assert unbalanced is not None
    assert (balanced.slides, balanced.balance, unbalanced.balance) == (20, "balanced", "unbalanced")
    untested = make({"p_value": np.nan})
    assert calibration_of(next(untested.own_contrasts.itertuples()), {(20.0, "benign"): (4, 4)}) is None
    assert every_test_table(untested).note == "A finding should not depend on the choice of the test."


def test_image_maps_are_named_by_their_method(make: Callable[..., Run]) -> None:
    run = make({}, {"model": "bark", "method": "bark", "reduction": "none"})
    table = contrasts_table(run)
    assert [row[:5] for row in table.rows] == [
        ("20×", "benign", "gradient", "l2", "trained"),
        ("20×", "benign", "bark", "none", "bark control"),
    ]
    assert (table.n_text, table.columns[2:4]) == (5, ("Method", "Reduction"))


def test_tables_without_rows_are_left_out(make: Callable[..., Run]) -> None:
    assert [table.name for table in contrast_tables(make({}))] == ["contrasts", "effects", "tests"]
    rows = [{"contrast": name, "label": label} for name, label in (("stroma_vs_rest", "benign"),)]
    names = [table.name for table in contrast_tables(make({}, *rows, {"contrast": "confident_vs_unsure"}))]
    assert names == ["contrasts", "effects", "compartments", "differences", "tests"]
