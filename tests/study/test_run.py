"""A whole run: every artefact, the same bytes again, through interruptions and kills."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from saliency_stats import Study
from saliency_stats.cli.app import main
from saliency_stats.commands.preregister import preregister
from saliency_stats.errors import StorageError
from saliency_stats.execution.engine import Threads
from saliency_stats.execution.schema import artefacts
from saliency_stats.report.registration import registered
from saliency_stats.report.run import Run
from saliency_stats.study.planned import planned
from saliency_stats.study.registration import results_since

pytestmark = pytest.mark.usefixtures("small_densenets")
TABLES = {
    "patches": [
        "patch_id",
        "slide_id",
        "patient_id",
        "label",
        "split",
        "magnification",
        "mpp",
        "x_um",
        "y_um",
        "source",
        "status",
    ],
    "predictions": [
        "patch_id",
        "magnification",
        "model",
        "logit_benign",
        "logit_malignant",
        "p_malignant",
        "predicted",
        "correct",
    ],
    "metrics": [
        *("magnification", "model", "split", "n_patches", "n_slides", "balanced_accuracy", "balanced_accuracy_low"),
        *("balanced_accuracy_high", "sensitivity", "specificity", "auc", "brier"),
    ],
    "nuclei": [
        *("patch_id", "nucleus_id", "y_um", "x_um", "area_um2", "probability", "haematoxylin_od", "eosin_od"),
        "cytoplasm_area_um2",
    ],
    "ledger": [
        *("patch_id", "slide_id", "label", "split", "magnification", "model", "method", "reduction", "compartment"),
        *("area_share", "mass_share", "density_ratio"),
    ],
    "profile": [
        "slide_id",
        "label",
        "magnification",
        "model",
        "method",
        "distance_um",
        "mean_saliency_ratio",
        "n_pixels",
    ],
    "contrasts": [
        *(
            "contrast",
            "label",
            "magnification",
            "model",
            "method",
            "reduction",
            "estimate",
            "ci_low",
            "ci_high",
            "ratio",
            "test",
        ),
        *("statistic", "df", "p_value", "p_adjusted", "family", "effect_size", "icc", "n_slides", "n_patches"),
    ],
}


def csv_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


@pytest.fixture(scope="module")
def finished(tiny, small_densenets, tmp_path_factory):
    return Study(tiny).run(tmp_path_factory.mktemp("run") / "tiny")


def test_every_artefact_is_there_with_its_columns(finished):
    for name, columns in TABLES.items():
        table = finished.table(name)
        assert len(table), name
        assert set(columns) <= set(table.columns), name
    for name in (
        "report.html",
        "explore.html",
        "verdict.json",
        "manifest.json",
        "study.yaml",
        "figures/density_ratio.png",
        "paper/methods.tex",
    ):
        assert (finished.folder / name).stat().st_size > 0, name
    record = json.loads((finished.folder / "manifest.json").read_text(encoding="utf-8"))
    assert {"study", "seed", "versions", "device", "determinism", "inputs", "weights", "seconds", "artefacts"} <= set(
        record
    )
    assert "ledger.csv" in record["artefacts"]
    assert not list(finished.folder.rglob("*.partial"))


def test_a_fresh_start_would_delete_all_that_was_written(finished):
    written = {path.name for path in finished.folder.iterdir() if not path.name.startswith(".")}
    assert written <= set(artefacts())


def test_every_measured_patch_has_its_pictures(finished):
    measured = finished.patches[finished.patches["split"] == "test"]
    pictures = finished.thumbnails
    assert sorted(pictures["patch_id"]) == sorted(measured["patch_id"])
    assert set(pictures["control"]) == {"randomised"}
    page = (finished.folder / "explore.html").read_text(encoding="utf-8")
    assert f"All {len(measured)} patches of the test split are shown." in page


def test_the_ledger_adds_up_and_covers_trained_and_control(finished):
    ledger = finished.ledger
    keys = ["patch_id", "magnification", "model", "method", "reduction"]
    sums = ledger.groupby(keys)[["area_share", "mass_share"]].sum()
    np.testing.assert_allclose(sums, 1.0, atol=1e-9)
    assert set(ledger["model"]) == {"trained", "randomised", "sobel", "haematoxylin", "eosin", "shift"}
    assert set(ledger["split"]) == {"test"}
    areas = ledger.pivot_table(index=["patch_id", "compartment"], columns="model", values="area_share")
    assert (areas["trained"] == areas["randomised"]).all()
    maps = ledger.pivot_table(index=["patch_id", "compartment"], columns="model", values="mass_share")
    assert not np.allclose(maps["trained"], maps["randomised"])


def test_no_slide_is_in_two_splits(finished):
    assert finished.patches.groupby("slide_id")["split"].nunique().max() == 1
    assert set(finished.patches["split"]) == {"train", "valid", "test"}


def test_a_finished_run_is_not_computed_again(finished, tiny):
    before = (finished.folder / "manifest.json").stat().st_mtime_ns
    Study(tiny).run(finished.folder)
    assert (finished.folder / "manifest.json").stat().st_mtime_ns == before


def test_what_was_planned_is_what_was_asked(finished):
    names = ["contrast", "label", "magnification", "model", "method", "reduction", "population"]
    rows = finished.contrasts[["family", *names]].drop_duplicates()
    chosen = finished.settings.statistics_parameters(finished.unit)
    expected = [
        (chosen.family_of(one.hypothesis), *(getattr(one, name) for name in names))
        for one in planned(finished.settings, finished.magnifications)
    ]
    assert sorted(rows.itertuples(index=False, name=None)) == sorted(expected)


def test_the_report_is_redrawn_from_the_tables_alone(finished):
    html = (finished.folder / "report.html").read_bytes()
    (finished.folder / "report.html").unlink()
    result = CliRunner().invoke(main, ["report", str(finished.folder)])
    assert result.exit_code == 0, result.output
    again = (finished.folder / "report.html").read_bytes()
    assert len(again) == pytest.approx(len(html), rel=0.05)


def test_explain_draws_one_patch_whose_rows_are_those_of_the_ledger(finished, monkeypatch):
    drawn = {}

    def keep(image, saliency, compartments, rows, title, path, mpp):
        drawn.update(rows=rows, title=title, mpp=mpp)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"picture")

    monkeypatch.setattr("saliency_stats.report.explain.explain_figure", keep)
    patch = finished.ledger["patch_id"].iloc[0]
    result = CliRunner().invoke(main, ["explain", str(finished.folder), patch])
    assert result.exit_code == 0, result.output
    expected = finished.ledger.query("patch_id == @patch and model == 'trained'")
    expected = expected.astype(dict.fromkeys(expected.select_dtypes("category"), "str")).reset_index(drop=True)
    pd.testing.assert_frame_equal(drawn["rows"].reset_index(drop=True), expected, rtol=1e-3, check_dtype=False)
    assert patch in drawn["title"]


def test_explain_draws_patches_of_other_splits_too(finished):
    patch = finished.patches.query("split == 'train'")["patch_id"].iloc[0]
    result = CliRunner().invoke(main, ["explain", str(finished.folder), patch])
    assert result.exit_code == 0, result.output
    assert (finished.folder / "explain" / f"{patch}.png").stat().st_size > 10_000


def test_explain_suggests_the_nearest_patch(finished):
    result = CliRunner().invoke(main, ["explain", str(finished.folder), "phantom-01-00l"])
    assert result.exit_code == 1
    assert "Did you mean phantom-01-00" in result.output


def test_another_study_does_not_overwrite_a_run(finished, tiny):
    other = tiny.model_copy(update={"seed": 7})
    with pytest.raises(StorageError, match=r"study.seed was 0 and is now 7.*--fresh"):
        Study(other).run(finished.folder)


class _Interrupted(Exception):  # noqa: N818  (stands for a process that ends)
    pass


class _StopsAfter(Threads):
    def __init__(self, units: int) -> None:
        super().__init__(1)
        self.left = units

    def map(self, function, units):
        yield from super().map(function, units[: self.left])
        raise _Interrupted


def test_an_interrupted_run_ends_with_the_same_bytes(finished, undrawn, tiny, tmp_path):
    for units in (1, 4):
        with pytest.raises(_Interrupted):
            Study(tiny).run(tmp_path / "run", engine=_StopsAfter(units))
    # whatever the number of workers, before and after
    resumed = Study(tiny).run(tmp_path / "run", workers=3)
    assert csv_bytes(resumed.folder) == csv_bytes(finished.folder)


def test_what_is_registered_later_is_told_by_the_report(finished, undrawn, study_file, tmp_path, monkeypatch):
    monkeypatch.setattr("saliency_stats.commands.preregister.now", lambda: "2999-01-01T00:00:00+00:00")
    preregister(Path(shutil.copy(study_file, tmp_path)))
    run = Study.from_yaml(tmp_path / study_file.name).run(shutil.copytree(finished.folder, tmp_path / "run"))
    found = registered(Run.read(run.folder))
    assert found["results_since"] == results_since(finished.folder)
    assert not found["differences"]


#: The command line, with the small network of these tests under the name of the large one.
PROGRAM = """
import sys
from torchvision import models
from saliency_stats.cli.app import main

small = lambda weights=None, num_classes=2: models.DenseNet(4, (1, 1, 1, 1), 8, 2, num_classes=num_classes)
models.densenet121 = small
main(sys.argv[1:])
"""


@pytest.mark.posix("signals")
def test_a_run_stopped_by_hand_ends_with_the_same_bytes(finished, undrawn, tiny, study_file, tmp_path):
    """Ctrl-C among the units, in a process of its own; what ``kill -9`` leaves is tested by test_kills.py."""
    out = tmp_path / "run"
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, "run", str(study_file), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 180
        while not (out / "work/batches/000002").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert process.poll() is None, f"ended before: {process.stderr.read().decode()}"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert "nothing finished is lost" in process.stderr.read().decode()
    Study(tiny).run(out)
    assert csv_bytes(out) == csv_bytes(finished.folder)
