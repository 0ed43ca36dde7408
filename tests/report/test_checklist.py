"""The checklist says what the run knows, and leaves the rest to the author."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from saliency_stats.report.checklist import TO_FILL, checklist_table
from saliency_stats.report.run import Run

Blank = Callable[..., Run]


def _answers(run: Run) -> dict[str, str]:
    return {item: answer for _, item, answer in checklist_table(run).rows}


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


def test_what_only_the_author_knows_is_left_to_them(run: Run) -> None:
    answers = _answers(run)
    assert len(answers) == len(checklist_table(run).rows)
    for item in ("Source and licence", "Ethics approval and consent", "How well they were found in this tissue"):
        assert answers[item] == TO_FILL == "to be filled by the author"
    assert all(answer == TO_FILL or answer.startswith("reported: ") for answer in answers.values())


def test_answers_hold_the_numbers_of_the_tables(run: Run) -> None:
    answers = _answers(run)
    used = (run.patches["status"] == "used").sum()
    assert answers["Patches (the table of the flow has each step)"] == (
        f"reported: {len(run.patches)} listed, {used} used, {len(run.judged)} judged"
    )
    assert answers["Kind of cohort, classes"] == "reported: phantom; classes benign and malignant"
    assert answers["Magnification and size of a pixel"] == "reported: 20×, 0.5 µm per pixel"
    assert answers["Split"] == "reported: the test split is judged"
    assert answers["Architecture and training"] == "reported: DenseNet-201; weights none; trained part: all"
    assert answers["Number of networks"] == "reported: 1 network"
    score = run.scored.iloc[0]
    assert f"balanced accuracy {score['balanced_accuracy']:.3f} (" in answers["Performance"]
    units = run.judged.groupby("label")["slide_id"].nunique()
    assert answers["Unit of inference, and number of units"] == (
        f"reported: {units['benign']} slides (benign, 20×); {units['malignant']} slides (malignant, 20×)"
    )
    assert answers["Deciding test"] == "reported: sign-flip over slides, two-sided at 0.05"
    families = run.contrasts["family"].nunique()
    assert answers["Multiplicity"] == f"reported: Holm within each family of hypotheses (families: {families})"
    own = run.primary_contrasts
    first = own[(own["model"] == "trained") & (own["label"] == "benign")].iloc[0]
    assert f"{2 ** first['estimate']:.2f} (95 % interval" in answers["Cytoplasm against nuclei: ratios with intervals"]
    assert answers["Cytoplasm against nuclei: ratios with intervals"].count("interval") == 2
    assert answers["Margin of equivalence"] == "reported: ±0.1 log2"
    assert answers["Seed"] == "reported: 7"
    assert answers["Hashes"] == "reported: SHA-256 of b00.png; 1 file of weights (manifest.json)"
    assert answers["Versions of the code and its libraries"] == (
        "reported: saliency-stats 0.1.0, python 3.11.9, torch 2.4.0"
    )
    assert answers["Command"] == "reported: saliency-stats run study.yaml"
    assert answers["Controls"] == "reported: randomised"
    assert answers["Method"] == "reported: gradient, reduction l2, target: correct class"


def test_what_a_run_did_not_do_is_said_and_what_it_does_not_know_is_left(blank_run: Blank, tables: Any) -> None:
    tables["patches"]["slide_id"] = ""
    answers = _answers(blank_run(None, {"controls": {}}, **tables))
    for item in ("Controls", "How often the deciding test errs", "Other choices of analysis"):
        assert answers[item] == "reported: none in this run"
    for item in ("Device", "Command", "Hashes", "Primary outcome", "Unit of inference, and number of units"):
        assert answers[item] == TO_FILL


def test_maps_made_elsewhere_leave_the_network_to_the_author(blank_run: Blank, tables: Any) -> None:
    study = {"classifier": dict.fromkeys(("weights", "trainable", "epochs")) | {"architecture": "none"}}
    study |= {"cohort": {"kind": "patches", "table": "patches.csv", "signal": None}, "controls": {}}
    study |= {"saliency": {"methods": None, "target": None}}
    run = blank_run(study, {"methods": {"mine": {"words": "my maps"}}}, **tables)
    study_file = run.folder / "study.yaml"
    study_file.write_text(
        study_file.read_text(encoding="utf-8").replace("controls: {}", "controls: []"), encoding="utf-8"
    )
    answers = _answers(run)
    assert (answers["Architecture and training"], answers["Number of networks"]) == (TO_FILL, TO_FILL)
    assert answers["Method"] == f"reported: my maps, reduction {run.reduction}"


def test_folds_other_methods_and_listed_files_are_told(blank_run: Blank, rows_of: Any, tables: Any) -> None:
    more = rows_of("patches", {"patch_id": "x", "magnification": 5.0, "mpp": 2.0, "label": "benign"})
    tables["patches"] = pd.concat([tables["patches"].assign(mpp=0.5), more])
    tables["inputs"] = rows_of("inputs", {"name": "a", "sha256": "ab"}, {"name": "b", "sha256": "cd"}, {"name": "c"})
    tables["multiverse"] = rows_of("multiverse", {}, {})
    record = {"methods": {name: {"words": name} for name in ("gradient", "lrp")}}
    claims = [{"claim": "One."}, {"claim": "Two."}, {"claim": "One."}]
    answers = _answers(blank_run({"cohort": {"folds": 4}, "classifier": {"seed": 5}}, record, claims, **tables))
    assert answers["Primary outcome"] == "reported: One; Two"
    assert answers["Split"] == "reported: the test split is judged; 4 folds"
    assert answers["Seed"] == "reported: 7; of the classifier: 5"
    assert answers["Method"] == "reported: gradient, reduction l2, target: correct class; also lrp"
    assert answers["Hashes"] == "reported: SHA-256 of 2 files of inputs.csv (manifest.json)"
    assert answers["Other choices of analysis"] == "reported: 2 specifications (multiverse.csv)"
    assert answers["Magnification and size of a pixel"] == "reported: 5×, 2 µm per pixel; 20×, 0.5 µm per pixel"
    assert answers["Patches (the table of the flow has each step)"] == (
        "reported: 11 listed, 10 used, 10 judged (a patch counts once per magnification)"
    )
