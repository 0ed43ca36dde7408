"""Each caveat stands where its reason is, and nowhere else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saliency_stats.report.caveats import caveats
from saliency_stats.report.run import Run

Blank = Callable[..., Run]
Rows = Callable[..., pd.DataFrame]

ALWAYS = ["Nuclear borders", "One network, one kind of map"]
USUAL = ["No control network", "The tissue is synthetic", "The compartments are measured, not given", *ALWAYS]
AT: dict[str, Any] = {"magnification": 20.0, "label": "benign", "split": "test"}


def said(run: Run) -> dict[str, str]:
    return {caveat.title: caveat.text for caveat in caveats(run)}


def test_a_run_without_peculiarities_has_only_the_usual_caveats(blank_run: Blank, tables: Any) -> None:
    assert list(said(blank_run(**tables))) == USUAL


# --- classifier -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "p", "title"),
    [
        (0.5, np.nan, "At 20× the classifier is not shown to beat chance"),
        (0.501, np.nan, "At 20× the classifier is below your minimum of 0.7"),
        (np.nan, np.nan, "At 20× the classifier is not shown to beat chance"),
        (0.501, 0.051, "At 20× the classifier is not shown to beat chance"),
        (0.4, 0.05, "At 20× the classifier is below your minimum of 0.7"),
    ],
)
def test_a_classifier_that_learned_too_little(blank_run: Blank, tables: Any, low: float, p: float, title: str) -> None:
    metrics = tables["metrics"].assign(
        learned=False,
        balanced_accuracy=0.604,
        balanced_accuracy_low=low,
        balanced_accuracy_high=0.69,
        learned_reason="it is low.",
        p_learned=p,
    )
    run = blank_run({"classifier": {"min_balanced_accuracy": 0.7}}, **{**tables, "metrics": metrics})
    first = caveats(run)[0]
    bounds = "" if np.isnan(low) else f" ({low:.2f} to 0.69)"
    assert (first.title, first.first) == (title, True)
    assert first.text == (
        f"Its balanced accuracy is 0.60{bounds}. It is low. Where such a classifier looks says nothing about tissue:"
        " its estimates are shown, and are no finding."
    )
    assert [caveat.first for caveat in caveats(run)[1:]] == [False] * len(USUAL)


# --- slides and splits ------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["slide", "patient"])
def test_unknown_units(blank_run: Blank, tables: Any, unit: str) -> None:
    patches = tables["patches"].assign(patient_id="x")
    patches.loc[:2, f"{unit}_id"] = ""
    run = blank_run({"statistics": {"unit": unit}}, **{**tables, "patches": patches})
    first = caveats(run)[0]
    assert (first.title, first.first) == (f"{unit.capitalize()}s are unknown", True)
    assert first.text.startswith(f"3 judged patches of 10 name no {unit}. Patches of one {unit} resemble")
    assert first.text.endswith(f"p-values and intervals need {unit}s.")


@pytest.mark.parametrize(("units", "expected"), [(9, True), (10, False)])
def test_few_units(blank_run: Blank, rows_of: Rows, tables: Any, units: int, expected: Any) -> None:
    row = {"model": "trained", "status": "tested", "n_units": units, "n_slides": 40}
    common: dict[str, Any] = {"contrast": "cytoplasm_vs_nucleus", "test": "sign_flip"}
    contrasts = rows_of(
        "contrasts",
        row,
        {"model": "shuffled", "status": "tested", "n_units": 2},
        {"model": "trained", "status": "no_inference", "n_units": 3, "label": "malignant"},
        **{"magnification": 20.0, "label": "benign", "method": "gradient", "reduction": "l2", **common},
    )
    patches = tables["patches"].assign(patient_id="x")
    run = blank_run({"statistics": {"unit": "patient"}}, **{**tables, "patches": patches}, contrasts=contrasts)
    found = said(run)
    assert ("Few patients" in found) == expected
    if expected:
        assert found["Few patients"].startswith("The smallest group has 9 patients.")


@pytest.mark.parametrize("column", ["slide_id", "patient_id"])
def test_shared_slides_and_patients(blank_run: Blank, tables: Any, column: str) -> None:
    name = column.removesuffix("_id")
    patches = tables["patches"].assign(split=["train"] * 5 + ["test"] * 5, patient_id="")
    patches[column] = ["1", "2", "3", "4", "5", "1", "2", "6", "7", "8"]
    tables = {**tables, "patches": patches}
    assert said(blank_run(**tables))[f"Training and evaluation share {name}s"] == (
        f"2 {name}s gave patches to both, so the accuracy is optimistic."
    )
    patches["status"] = "excluded"
    assert f"Training and evaluation share {name}s" not in said(blank_run(**tables))


def test_a_split_that_cannot_be_checked(blank_run: Blank, tables: Any) -> None:
    patches = tables["patches"].assign(split=["train"] + ["test"] * 9)
    assert "The split cannot be checked" not in said(blank_run(**{**tables, "patches": patches}))
    patches.loc[3, "slide_id"] = ""
    assert "The split cannot be checked" in said(blank_run(**{**tables, "patches": patches}))


# --- controls ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "difference", "words"),
    [
        ((0.5, 0.2), (0.5, 0.2), "Training does not significantly add to it (factor 1.41; 95 % interval 1.00–2.00; "),
        ((0.5, 0.2), (0.5, 0.04), None),
        (
            (0.5, 0.04),
            (0.5, 0.04),
            "Training adds to it (factor 1.41; 95 % interval 1.00–2.00; adjusted p = 0.04), but",
        ),
        ((0.5, 0.2), (-0.5, 0.04), "Training weakens it (factor 0.71; "),
        ((0.5, 0.2), (0.5, np.nan), "The two networks differ by a factor of 1.41, which is not tested here."),
        ((0.5, 0.2), (0.5, 0.05), "Training does not significantly add"),
        ((0.5, 0.05), (0.5, 0.04), None),
        ((-0.5, 0.01), (1.5, 0.2), None),
    ],
)
def test_a_control_that_leans_the_same_way(
    blank_run: Blank, rows_of: Rows, tables: Any, control: Any, difference: Any, words: str | None
) -> None:
    numbers = {"trained": (1.0, 0.01), "randomised": control, "trained-randomised": difference}
    contrasts = rows_of(
        "contrasts",
        *({"model": model, "estimate": value, "p_adjusted": p} for model, (value, p) in numbers.items()),
        magnification=20.0,
        label="benign",
        method="gradient",
        reduction="l2",
        status="tested",
        contrast="cytoplasm_vs_nucleus",
        test="sign_flip",
        ci_low=0.0,
        ci_high=1.0,
        n_units=12,
    )
    ledger = pd.concat([tables["ledger"], tables["ledger"].assign(model="randomised")])
    found = said(blank_run(**{**tables, "ledger": ledger}, contrasts=contrasts))
    assert "No control network" not in found
    title = "The randomised control leans the same way"
    assert (title in found) == (words is not None)
    if words:
        start = (
            "Benign, 20×: the control's saliency is also denser in the cytoplasm (ratio 1.41 against 2.00 when trained)"
        )
        assert found[title].startswith(f"{start}. {words}")
    mirrored = contrasts.assign(estimate=-contrasts["estimate"])
    found = said(blank_run(**{**tables, "ledger": ledger}, contrasts=mirrored))
    assert (title in found) == (words is not None)
    assert words is None or "denser in the nuclei (ratio 0.71 against 0.50" in found[title]
    muted = contrasts.assign(status="not_interpretable")
    assert title not in said(blank_run(**{**tables, "ledger": ledger}, contrasts=muted))


# --- patches ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "expected"), [(49, True), (50, False)])
def test_most_patches_are_not_judged(blank_run: Blank, rows_of: Rows, tables: Any, after: int, expected: Any) -> None:
    steps = {"evaluation split": 100, "correct and confident": after}
    selection = rows_of("selection", *({"step": step, "n_patches": n} for step, n in steps.items()), label="benign")
    found = said(blank_run(**tables, selection=selection.assign(magnification=20.0)))
    title = "Most patches are not judged (benign, 20×)"
    assert (title in found) == expected
    if expected:
        assert found[title].startswith("49 patches of 100 (49 %) were classified correctly with a probability of at")


def test_exclusions_name_the_five_most_frequent_reasons(blank_run: Blank, rows_of: Rows, tables: Any) -> None:
    reasons = [f"reason {k}" for k in range(7) for _ in range(7 - k)]
    rows = ({"patch_id": f"x{k}", "status": f"excluded: {reason}"} for k, reason in enumerate(reasons))
    excluded = rows_of("patches", *rows, label="benign")
    patches = pd.concat([tables["patches"], excluded.assign(magnification=20.0)])
    assert said(blank_run(**{**tables, "patches": patches}))["28 patches could not be used"] == (
        "Reasons: reason 0 (7); reason 1 (6); reason 2 (5); reason 3 (4); reason 4 (3); and 2 other reasons. The run"
        " went on without them."
    )
    five = pd.concat([tables["patches"], excluded.iloc[:25].assign(magnification=20.0)])
    assert "other reason" not in said(blank_run(**{**tables, "patches": five}))["25 patches could not be used"]


def test_compartments_that_are_too_small(blank_run: Blank, tables: Any) -> None:
    ledger = tables["ledger"].assign(density_ratio=[np.nan] * 3 + [1.0] * 7)
    ledger.loc[1, "compartment"], ledger.loc[2, "compartment"] = "stroma", "background"
    assert said(blank_run(**{**tables, "ledger": ledger}))["Compartments too small to be measured"] == (
        "Too small: the nucleus in 1 and the stroma in 1 of the judged patches. There they count as missing, not as"
        " zero."
    )


# --- cohort and segmentation ------------------------------------------------------------------------


# --- networks ---------------------------------------------------------------------------------------


def test_one_network_speaks_for_itself_alone(blank_run: Blank, tables: Any) -> None:
    text = said(blank_run(**tables))["One network, one kind of map"]
    assert text.startswith("Every number is of this network; how much others would differ is unknown.")
    several = pd.concat([tables["predictions"].assign(network=name) for name in ("1", "2")])
    ledger = pd.concat([tables["ledger"].assign(network=name) for name in ("1", "2")])
    found = said(blank_run(**{**tables, "predictions": several, "ledger": ledger}))
    assert found["One architecture, one kind of map"].startswith("Another architecture or saliency method")
    assert "One network, one kind of map" not in found


@pytest.mark.parametrize(("fold", "told"), [(1.0, True), (0.0, False), (np.nan, False)])
def test_folds_share_their_training_slides(blank_run: Blank, tables: Any, *, fold: float, told: bool) -> None:
    found = said(blank_run(**{**tables, "patches": tables["patches"].assign(fold=fold)}))
    assert ("Folds share training slides" in found) == told
    if told:
        assert "Each slide is judged by networks that never saw it" in found["Folds share training slides"]


@pytest.mark.parametrize("status", ["supported", "contradicted", "equivalent", "inconclusive"])
def test_what_a_finding_does_not_survive_is_a_caveat(blank_run: Blank, tables: Any, status: str) -> None:
    answers = [("maps", "yes", ""), ("training", "no", "untrained ones do so."), ("method", "not tested", "")]
    rungs = [
        {"rung": rung, "question": f"{rung}?", "answer": answer, "numbers": "", "why": why, "parts": []}
        for rung, answer, why in answers
    ]
    about = {"label": "benign", "magnification": 20.0, "method": "gradient", "reduction": "l2"}
    found = said(blank_run(**tables, verdict=[{**about, "status": status, "survives": rungs}]))
    words = {"equivalent": "no preference"}.get(status, status)
    title = f"What “{words}” does not cover (Benign patches, 20×)"
    assert (title in found) == (status != "inconclusive")
    if title in found:
        assert found[title] == "“training?” no (untrained ones do so); “method?” not tested."


def test_what_survives_all_has_no_such_caveat(blank_run: Blank, tables: Any) -> None:
    rung = {"rung": "maps", "question": "?", "answer": "yes", "numbers": "", "why": "", "parts": []}
    about = {"label": "benign", "magnification": 20.0, "method": "gradient", "reduction": "l2"}
    run = blank_run(**tables, verdict=[{**about, "status": "supported", "survives": [rung]}])
    assert not [title for title in said(run) if title.startswith("What")]
