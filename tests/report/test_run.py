"""A finished run: its tables in their types, what the figures show of them, and what is judged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StorageError
from saliency_stats.execution.schema import TABLES
from saliency_stats.execution.store import Store
from saliency_stats.report import run as module
from saliency_stats.report.figures import style
from saliency_stats.report.queries import leaves
from saliency_stats.report.run import Run, records
from saliency_stats.report.write import write_report

Blank = Callable[..., Run]
Rows = Callable[..., pd.DataFrame]


@pytest.fixture
def copied(small_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_folder, tmp_path / "run"))


def test_every_table_has_its_declared_types(small_folder: Path) -> None:
    run = Run.read(small_folder)
    for name, spec in TABLES.items():
        table = getattr(run, name)
        assert table is run.table(name)
        assert [table[column].dtype for column in spec.numbers] == [np.float64] * len(spec.numbers)
        assert [table[column].dtype for column in spec.flags] == [np.bool_] * len(spec.flags)
        assert not any(table[column].isna().any() for column in spec.text)
    assert len(run.ledger) == len(pd.read_csv(small_folder / "ledger.csv")) > 0
    assert run.multiverse.empty
    with pytest.raises(AttributeError, match="has no 'heights'; its tables are inputs, slides, patches"):
        _ = run.heights


def test_one_report_selects_once_and_reads_each_table_once(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    selected, read = [], []
    select, table = module.primary_population, Store.table
    monkeypatch.setattr(module, "primary_population", lambda *a, **k: selected.append(1) or select(*a, **k))
    monkeypatch.setattr(Store, "table", lambda store, name: read.append(name) or table(store, name))
    monkeypatch.setattr(style, "save", _blank_picture)
    write_report(copied)
    assert selected == [1]
    assert sorted(read) == sorted(set(read))
    assert {"ledger", "contrasts", "predictions"} <= set(read)


def _blank_picture(_: object, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    return path


def test_tables_that_were_handed_on_are_not_read(copied: Path) -> None:
    ledger = Run.read(copied).ledger
    (copied / "ledger.csv").unlink()
    assert Run(copied, {"ledger": ledger}).ledger is ledger
    with pytest.raises(StorageError, match=r"run is not as the run left it: ledger\.csv is missing\. Put back"):
        _ = Run(copied).ledger
    with pytest.raises(StorageError, match=r"ledger\.csv: missing; a finished run has it"):
        _ = Run(copied, record={}).ledger


def test_a_record_that_is_not_yet_written_is_used(copied: Path) -> None:
    assert Run(copied, {}, {"device": "cuda"}).recorded("device") == "cuda"
    assert Run(copied).recorded("device") == "cpu"
    assert Run(copied).recorded("weather") == "not recorded"
    (copied / "manifest.json").unlink()
    assert Run(copied, record={}).manifest == {}
    with pytest.raises(StorageError, match=r"run holds no finished run \(there is no manifest\.json in it\)"):
        _ = Run(copied).manifest


# --- what figures show ------------------------------------------------------------------------------


def _maps(rows_of: Rows, name: str) -> pd.DataFrame:
    keys = [
        ("trained", "gradient", "l2"),
        ("trained", "gradient", "l1"),
        ("trained", "grad_cam", "none"),
        ("randomised", "gradient", "l2"),
        ("cascading_1", "gradient", "l2"),
        ("trained-cascading_1", "gradient", "l2"),
        ("trained-randomised", "gradient", "l2"),
        ("sobel", "sobel", "none"),
        ("bark", "bark", "none"),
    ]
    return rows_of(name, *({"model": m, "method": k, "reduction": r} for m, k, r in keys))


RECORD: dict[str, Any] = {
    "methods": {"gradient": {"words": "gradient"}, "grad_cam": {"words": "Grad-CAM"}},
    "controls": {
        "randomised": {"words": "random weights", "is": "randomised: the same", "shown": True},
        "cascading_1": {"words": "cascading 1", "is": "cascading: from the top", "shown": False},
        "sobel": {"words": "edges", "is": "images alone", "shown": False},
    },
}


@pytest.mark.parametrize("name", ["ledger", "contrasts", "profile"])
def test_own_rows_are_those_of_the_own_map_and_of_shown_networks(blank_run: Blank, rows_of: Rows, name: str) -> None:
    run = blank_run(record=RECORD, **{name: _maps(rows_of, name)})
    own = getattr(run, f"own_{name}")
    assert own["model"].tolist() == ["trained", "randomised", "trained-randomised", "bark"]
    assert own["reduction"].tolist() == ["l2", "l2", "l2", "none"]
    assert own.index.tolist() == [0, 1, 2, 3]
    assert len(getattr(run, name)) == 9


@pytest.mark.parametrize("name", ["predictions", "metrics", "training"])
def test_own_rows_of_networks(blank_run: Blank, rows_of: Rows, name: str) -> None:
    table = rows_of(name, *({"model": model} for model in ("trained", "cascading_1", "randomised")))
    assert getattr(blank_run(record=RECORD, **{name: table}), f"own_{name}")["model"].tolist() == [
        "trained",
        "randomised",
    ]


def test_showing_keeps_the_columns_of_a_table_without_rows(blank_run: Blank) -> None:
    run = blank_run(record=RECORD)
    assert list(run.own_profile.columns) == list(run.profile.columns)


def test_the_first_recorded_method_is_the_studys_own(blank_run: Blank, rows_of: Rows) -> None:
    ledger = _maps(rows_of, "ledger")
    ledger = ledger[~ledger["model"].str.startswith("trained-")]
    run = blank_run(record=RECORD, ledger=ledger)
    assert (run.method, run.reduction, run.controls) == ("gradient", "l2", ("bark", "randomised"))
    swapped = {**RECORD, "methods": dict(reversed(RECORD["methods"].items()))}
    run = blank_run(record=swapped, ledger=ledger)
    assert (run.method, run.reduction) == ("grad_cam", "none")
    assert blank_run(record={}).method == "gradient"
    assert blank_run({"saliency": {"reduction": "max"}}, record=RECORD).reduction == "max"


def test_words_come_from_the_record(blank_run: Blank) -> None:
    run = blank_run(record=RECORD)
    assert run.words("methods", "grad_cam") == "Grad-CAM"
    assert run.words("methods", "my_method") == "my_method"
    assert run.words("controls", "randomised", "is") == "randomised: the same"
    assert run.network("trained") == "trained"
    said = "by grad_cam (-0.5), not grad_cam_2; against sobel, by my_method"
    assert run.typeset(said) == "by Grad-CAM (−0.5), not grad_cam_2; against edges, by my_method"
    assert run.network("randomised") == "random weights control"
    assert run.network("trained-randomised") == "trained − random weights"
    assert run.network("bark") == "bark control"


# --- what is judged ---------------------------------------------------------------------------------


def _judging(rows_of: Rows) -> dict[str, pd.DataFrame]:
    patches = [
        {"patch_id": "a", "slide_id": "1", "label": "benign", "p_malignant": 0.1},  # exactly sure enough
        {"patch_id": "b", "slide_id": "1", "label": "benign", "p_malignant": 0.11},
        {"patch_id": "c", "slide_id": "2", "label": "malignant", "p_malignant": 0.95},
        {"patch_id": "d", "slide_id": "2", "label": "malignant", "p_malignant": 0.05},
    ]
    common: dict[str, Any] = {"magnification": 20.0, "split": "test"}
    predictions = [
        {
            **{key: row[key] for key in ("patch_id", "label", "p_malignant")},
            "predicted": "malignant" if row["p_malignant"] > 0.5 else "benign",
            "correct": (row["p_malignant"] > 0.5) == (row["label"] == "malignant"),
        }
        for row in patches
    ]
    shares = {"nucleus": (0.25, 0.125), "cytoplasm": (0.25, 0.5), "stroma": (0.25, 0.25), "background": (0.25, 0.125)}
    ledger = [
        {
            **{key: row[key] for key in ("patch_id", "slide_id", "label")},
            "model": model,
            "compartment": name,
            "area_share": area,
            "mass_share": mass,
            "density_ratio": mass / area,
        }
        for row in patches
        for model in ("trained", "randomised")
        for name, (area, mass) in shares.items()
    ]
    kept = [{key: row[key] for key in ("patch_id", "slide_id", "label")} for row in patches]
    return {
        "patches": rows_of("patches", *kept, **common, status="used"),
        "predictions": rows_of("predictions", *predictions, **common, model="trained"),
        "ledger": rows_of("ledger", *ledger, **common, method="gradient", reduction="l2", status="measured"),
    }


def test_judged_are_the_correct_and_confident_patches(blank_run: Blank, rows_of: Rows) -> None:
    run = blank_run(**_judging(rows_of))
    assert run.judged["patch_id"].tolist() == ["a", "c"]
    assert run.judged["slide_id"].tolist() == ["1", "2"]
    assert sorted(set(run.judged_ledger["patch_id"])) == ["a", "c"]
    assert set(run.judged_ledger["model"]) == {"trained", "randomised"}
    values = run.primary_values
    assert values["patch_id"].tolist() == ["a", "c"]
    assert values["value"].tolist() == [2.0, 2.0]  # log2 of (0.5 / 0.25) / (0.125 / 0.25)
    assert set(values["model"]) == {"trained"}
    assert set(values["contrast"]) == {"cytoplasm_vs_nucleus"}


def _of_networks(rows_of: Rows) -> dict[str, pd.DataFrame]:
    """Let network 2 be unsure of patch c, look twice as much at cytoplasm, and network 1 be as before."""
    tables = _judging(rows_of)
    one, two = (tables["predictions"].assign(network=name) for name in ("1", "2"))
    two["p_malignant"] = two["p_malignant"].replace(0.95, 0.6)
    first, second = (tables["ledger"].assign(network=name) for name in ("1", "2"))
    cytoplasm = second["compartment"] == "cytoplasm"
    second.loc[cytoplasm, ["mass_share", "density_ratio"]] *= 4
    return {**tables, "predictions": pd.concat([two, one]), "ledger": pd.concat([second, first])}


def test_of_several_networks_each_judges_its_own_patches(blank_run: Blank, rows_of: Rows) -> None:
    run = blank_run(**_of_networks(rows_of))
    assert (run.networks, run.n_networks) == (("1", "2"), 2)
    judged = run.population.patches
    assert sorted(zip(judged["network"], judged["patch_id"], strict=True)) == [("1", "a"), ("1", "c"), ("2", "a")]
    assert sorted(run.population.unsure["network"]) == ["1", "2", "2"]
    assert run.judged["patch_id"].tolist() == ["a", "c"]
    values = run.primary_values.set_index(["network", "patch_id"])["value"]
    assert values.to_dict() == {("1", "a"): 2.0, ("1", "c"): 2.0, ("2", "a"): 4.0}
    assert run.mean_values.set_index("patch_id")["value"].to_dict() == {"a": 3.0, "c": 2.0}
    assert set(run.network_values["model"]) == {"trained", "randomised"}
    assert len(run.network_ledger) == 3 * 2 * 4
    ledger = run.judged_ledger[run.judged_ledger["compartment"] == "cytoplasm"].set_index(["model", "patch_id"])
    assert len(run.judged_ledger) == 2 * 2 * 4
    assert ledger["mass_share"].to_dict() == {
        **{(model, "a"): 1.25 for model in ("trained", "randomised")},
        **{(model, "c"): 0.5 for model in ("trained", "randomised")},
    }
    assert ledger.loc[("trained", "a"), "density_ratio"] == 4.0  # the geometric mean of 2 and 8
    assert ledger.loc[("trained", "c"), "density_ratio"] == 2.0


def test_relabelled_networks_are_among_the_values_and_maps_of_the_image_are_not(
    blank_run: Blank, rows_of: Rows
) -> None:
    tables = _of_networks(rows_of)
    own = tables["ledger"][tables["ledger"]["model"] == "trained"]
    image = own[own["network"] == "1"].assign(model="bark", method="bark", reduction="none", network="")
    shuffled, cascading = (own.assign(model=name) for name in ("shuffled", "cascading_1"))
    ledger = pd.concat([tables["ledger"], image, shuffled, cascading])
    controls = {
        "shuffled": {"shown": False, "relabelled": True},
        "cascading_1": {"shown": False, "relabelled": False},
    }
    run = blank_run(record={"controls": controls}, **{**tables, "ledger": ledger})
    assert run.controls == ("bark", "randomised")
    assert set(run.network_values["model"]) == {"trained", "randomised", "shuffled"}
    assert set(run.judged_ledger["model"]) == {"trained", "randomised", "bark"}
    assert len(run.judged_ledger[run.judged_ledger["model"] == "bark"]) == 2 * 4


def test_the_crossed_test_decides_between_several_networks(blank_run: Blank, rows_of: Rows) -> None:
    study = {"statistics": {"primary_test": "t_slide_means"}}
    one, several = (blank_run(study, **tables) for tables in (_judging(rows_of), _of_networks(rows_of)))
    assert (one.primary_test, one.tests) == ("t_slide_means", ("t_slide_means",))
    assert several.primary_test == "crossed"
    assert several.tests == ("crossed", "t_slide_means")
    row = {"contrast": "cytoplasm_vs_nucleus", "label": "benign", "magnification": 20.0, "method": "gradient"}
    rows = rows_of(
        "contrasts",
        {"model": "trained", "test": "a", "estimate": 1.0},
        {"model": "trained", "test": "t_slide_means", "estimate": 2.0},
        {"model": "trained", "test": "crossed", "estimate": 3.0},
        {"model": "randomised", "test": "a", "estimate": 4.0},
        {"model": "randomised", "test": "t_slide_means", "estimate": 5.0},
        {"model": "trained-randomised", "test": "z", "estimate": 6.0},
        {"model": "trained", "test": "crossed", "estimate": 9.0, "population": "all test patches"},
        **row,
        reduction="l2",
    )
    assert several.by_deciding_test(rows)["estimate"].tolist() == [3.0, 5.0, 6.0]
    assert one.by_deciding_test(rows)["estimate"].tolist() == [2.0, 5.0, 6.0]
    kept = several.changed(contrasts=rows).own_contrasts
    assert len(kept) == 6
    assert "all test patches" not in set(kept["population"])


def test_scores_of_several_networks_are_those_of_all(blank_run: Blank, rows_of: Rows) -> None:
    rows = [{"network": name, "learned": name == "all", "n_patches": k} for k, name in enumerate(("1", "2", "all"))]
    metrics = rows_of("metrics", *rows, model="trained", split="test", magnification=5.0)
    patches = rows_of("patches", {"magnification": 5.0, "label": "benign"})
    run = blank_run(metrics=metrics, patches=patches)
    assert run.scored["n_patches"].tolist() == [2.0]
    assert run.learned == {5.0: True}


def test_scores_are_those_of_the_trained_network_on_the_evaluation_split(blank_run: Blank, rows_of: Rows) -> None:
    keys = [
        ("trained", "test", 10.0),
        ("trained", "valid", 10.0),
        ("randomised", "test", 10.0),
        ("trained", "test", 5.0),
    ]
    metrics = rows_of("metrics", *({"model": m, "split": s, "magnification": at} for m, s, at in keys))
    metrics["learned"] = [True, True, True, False]
    patches = rows_of("patches", *({"magnification": at, "label": "malignant"} for at in (20.0, 10.0, 5.0)))
    run = blank_run(metrics=metrics, patches=patches)
    assert run.scored["magnification"].tolist() == [10.0, 5.0]
    assert run.magnifications == (5.0, 10.0, 20.0)
    assert run.learned == {5.0: False, 10.0: True, 20.0: False}
    assert run.labels == ("malignant",)


def test_what_the_study_says(blank_run: Blank) -> None:
    run = blank_run({"statistics": {"alpha": 0.01, "unit": "patient", "primary_test": "t_slide_means"}})
    assert (run.alpha, run.confidence_percent, run.primary_test) == (0.01, "99 %", "t_slide_means")
    assert (run.unit, run.unit_column, run.evaluation_split) == ("patient", "patient_id", "test")


def test_helpers() -> None:
    assert [row.a for row in records(pd.DataFrame({"a": [1, 2]}))] == [1, 2]
    assert list(leaves({"a": {"b": 1, "c": {}}, "d": [2]})) == [("a.b", 1), ("a.c", {}), ("d", [2])]
    assert list(leaves({"a": {"b": 1}}, separator=" / ")) == [("a / b", 1)]
    assert json.dumps(list(leaves(3))) == '[["", 3]]'
