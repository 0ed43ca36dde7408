"""One patch of a run, drawn again: which one, of which network, and where the picture goes."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from saliency_stats.cohort.inspection import pixel_hash
from saliency_stats.commands import explain as module
from saliency_stats.commands.explain import explain_patch, picture_of
from saliency_stats.errors import CohortError, StorageError
from saliency_stats.execution.files import write_text
from saliency_stats.execution.manifest import artefact_hashes
from saliency_stats.execution.recorded import write_manifest
from saliency_stats.execution.schema import TABLES
from saliency_stats.execution.store import Store
from saliency_stats.measurement.batch import Batch
from saliency_stats.report.explain import explain_figure
from saliency_stats.saliency.maps import MapKey, MapPlan
from saliency_stats.saliency.naming import NetworkKey, network_names

PLAN = MapPlan(("gradient", "occlusion"), ("l2", "max"), ("randomised", "sobel"))
IMAGE = np.zeros((2, 2, 3), np.uint8)
PATCHES = [("a/1", 10.0, 1.0, "used"), ("b", 20.0, 0.5, "excluded: blurred"), ("a/1", 20.0, 0.5, "used")]
WEIGHTS = ("trained-10x", "trained-20x", "shuffled-20x", "trained-5x", "trained-120x")


@dataclass(frozen=True)
class Measuring:
    """Stands for what measures a batch; notes what it was asked."""

    plan: MapPlan
    models: dict
    asked: list
    given: None = None

    def examine(self, batch):
        self.asked.append(
            (batch, self.plan, {place: [key.model for key in models] for place, models in self.models.items()})
        )
        assert torch.get_num_threads() == 1
        return SimpleNamespace(
            patches=[SimpleNamespace(image=IMAGE)],
            segmentations=[SimpleNamespace(memberships="memberships")],
            own=lambda plan: {key: [f"{key.model}'s {plan.own(*key).method}"] for key in self.models[batch.place]},
        )

    def ledger_rows(self, _):
        keys = [self.plan.own(*key) for models in self.models.values() for key in models]
        keys += [MapKey("trained", "1", "occlusion", "none"), MapKey("trained", "1", "gradient", "max")]
        return pd.DataFrame([key._asdict() for key in keys for _ in range(2)])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of three patches, and what was asked and drawn."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "study.yaml").write_text("name: mine\n", encoding="utf-8")
    table = pd.DataFrame(PATCHES, columns=["patch_id", "magnification", "mpp", "status"])
    table = table.assign(label="benign", sha256=pixel_hash(IMAGE), source=["a.png", "b.png", "a.png"])
    blank = dict.fromkeys(TABLES["patches"].text, "") | dict.fromkeys(TABLES["patches"].numbers, 1.0) | {"fold": np.nan}
    table = table.assign(**{name: value for name, value in blank.items() if name not in table})
    Store(folder).write("patches", table)
    Store(folder).write("stains", TABLES["stains"].empty())
    for name in WEIGHTS:
        write_text(folder / "weights" / f"{name}.safetensors", name)
    write_manifest(folder, {"artefacts": artefact_hashes(folder)})
    seen = SimpleNamespace(listed=table, folder=folder, asked=[], drawn=[], rows=[], deterministic=[])
    seen.measuring = Measuring(
        PLAN,
        {
            (scale, fold): {
                NetworkKey(model, name): None for name in network_names(2, fold) for model in ("trained", "randomised")
            }
            for scale in (10.0, 20.0)
            for fold in (0, 3)
        },
        seen.asked,
    )

    class Stages:
        def __init__(self, settings, store, device, progress):
            assert (settings.name, store.folder, device, progress.show) == ("mine", folder, torch.device("cpu"), False)

            self.table = seen.listed

        def measurement_of(self, table, row):
            seen.rows.append((len(table), row))
            return seen.measuring

    monkeypatch.setattr(module, "Stages", Stages)
    monkeypatch.setattr(module, "make_deterministic", seen.deterministic.append)
    monkeypatch.setattr(
        "saliency_stats.report.explain.explain_figure", lambda *parts, **named: seen.drawn.append((parts, named))
    )
    return seen


def explained(run, *arguments, **options):
    return explain_patch(run.folder, *arguments, device="cpu", **options)


def test_the_finest_one_is_drawn_under_the_trained_networks_own_map(run):
    path = explained(run, "a/1")
    assert path == run.folder / "explain" / "a_1-773232abe934.png"
    assert run.rows == [(3, 2)]
    assert run.deterministic == [torch.device("cpu")]
    alone = MapPlan(("gradient",), ("l2",))
    assert run.asked == [(Batch("explain", (2,), 20.0, measured=True), alone, {(20.0, 0): ["trained"]})]
    ((image, saliency, members, rows), named) = run.drawn[0]
    assert image is IMAGE
    assert (saliency, members) == ("trained's gradient", "memberships")
    assert rows.to_dict("records") == [MapKey("trained", "1", "gradient", "l2")._asdict()] * 2
    assert named == {"title": "a/1 · benign · 20× · trained", "path": path, "mpp": 0.5}


def test_another_magnification_network_and_place(run, tmp_path):
    out = tmp_path / "deep" / "p.png"
    assert explained(run, "a/1", model="randomised", magnification=10.0, out=out) == out
    assert run.rows == [(3, 0)]
    # the trained network may choose which logit is explained
    batch, _, models = run.asked[0]
    assert (batch.rows, batch.magnification, models) == ((0,), 10.0, {(10.0, 0): ["trained", "randomised"]})
    ((_, saliency, _, rows), named) = run.drawn[0]
    assert saliency == "randomised's gradient"
    assert rows.to_dict("records") == [MapKey("randomised", "1", "gradient", "l2")._asdict()] * 2
    assert named == {"title": "a/1 · benign · 10× · randomised", "path": out, "mpp": 1.0}


def test_a_patch_of_a_fold_is_explained_by_the_first_network_of_its_own_fold(run):
    table = Store(run.folder).table("patches").assign(fold=3.0)
    Store(run.folder).write("patches", table)
    write_manifest(run.folder, {"artefacts": artefact_hashes(run.folder)})
    explained(run, "a/1", model="randomised")
    ((batch, _, models),) = run.asked
    assert batch == Batch("explain", (2,), 20.0, measured=True, fold=3)
    assert models == {(20.0, 3): ["trained", "randomised"]}
    ((_, _, _, rows), _) = run.drawn[0]
    assert set(rows["network"]) == {"fold3-1"}


@pytest.mark.parametrize(
    ("patch", "options", "message"),
    [
        ("a/2", {}, r"has no patch 'a/2'\. Did you mean a/1"),
        ("xyz", {}, r"has no patch 'xyz'\. patches\.csv lists them, for example a/1$"),
        ("b", {"magnification": 10.0}, r"has no patch 'b' at 10×\. Did you mean b\?"),
        ("b", {}, r"patch 'b' was not used in .*run: excluded: blurred"),
        ("a/1", {"model": "shuffled"}, r"no model 'shuffled' in .*run; it has trained, randomised$"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(run, patch, options, message):
    with pytest.raises(CohortError, match=message):
        explained(run, patch, **options)
    assert run.drawn == []
    assert not (run.folder / "explain").exists()


def test_a_picture_below_a_file_is_refused_in_one_message(tmp_path):
    (tmp_path / "afile").write_text("", encoding="utf-8")
    rows = pd.DataFrame(
        {"compartment": ["nucleus"], "area_share": [1.0], "mass_share": [1.0], "density_ratio": [1.0], "status": ["x"]}
    )
    image, blank = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.float32)
    with pytest.raises(StorageError, match=r"afile/x\.png cannot be written \((File exists|Not a directory)\)"):
        explain_figure(image, blank, blank.astype(np.uint8), rows, "a", tmp_path / "afile" / "x.png")


def test_a_folder_without_a_run(tmp_path):
    """One with a study file and a table of patches is not one either."""
    for name in (None, "study.yaml", "patches.csv"):
        if name is not None:
            (tmp_path / name).write_text("name: mine\n", encoding="utf-8")
        with pytest.raises(StorageError, match=r"holds no finished run \(there is no manifest\.json in it\); expected"):
            explain_patch(tmp_path, "a")


def semicolons(path):
    path.write_text(path.read_text(encoding="utf-8").replace(",", ";"), encoding="utf-8")


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("patches.csv", semicolons, r"patches\.csv has its columns separated by ';', and had commas"),
        ("patches.csv", cut, r"patches\.csv ends in the middle of a line"),
        ("study.yaml", Path.unlink, r"study\.yaml is missing"),
        ("stains.csv", cut, r"stains\.csv ends in the middle"),
        ("weights/trained-20x.safetensors", cut, r"weights/trained-20x\.safetensors has changed"),
        ("weights/shuffled-20x.safetensors", Path.unlink, r"weights/shuffled-20x\.safetensors is missing"),
    ],
)
def test_what_is_not_as_the_run_left_it_is_not_drawn(run, name, damage, message):
    damage(run.folder / name)
    with pytest.raises(StorageError, match=message):
        explained(run, "a/1")
    assert run.drawn == []


def test_networks_of_other_magnifications_are_not_read(run):
    for name in ("trained-10x", "trained-5x", "trained-120x"):
        cut(run.folder / "weights" / f"{name}.safetensors")
    explained(run, "a/1", magnification=20.0)
    with pytest.raises(StorageError, match=r"weights/trained-10x\.safetensors has changed"):
        explained(run, "a/1", magnification=10.0)


def test_an_image_that_has_changed_since_is_not_drawn(run, monkeypatch):
    monkeypatch.setattr("saliency_stats.commands.again.pixel_hash", lambda image: f"other {image.shape}")
    with pytest.raises(
        CohortError, match=r"patch 'a/1' \(a\.png\) has changed since the run: its image has other pixels"
    ):
        explained(run, "a/1")
    assert run.drawn == []


@pytest.mark.parametrize(
    "listed",
    [
        lambda table: table.head(2),
        lambda table: table.assign(source="moved.png"),
        lambda table: table.assign(patch_id="a/2"),
        lambda table: table.assign(magnification=40.0),
    ],
)
def test_a_table_that_lists_other_patches_now_is_refused(run, listed):
    run.listed = listed(run.listed)
    with pytest.raises(CohortError, match=r"has changed since the run: the study's table lists other patches.*--fresh"):
        explained(run, "a/1")
    assert run.rows == run.drawn == []


def test_an_empty_run_knows_no_patch(run):
    Store(run.folder).write("patches", TABLES["patches"].empty())
    write_manifest(run.folder, {"artefacts": artefact_hashes(run.folder)})
    with pytest.raises(CohortError, match=r"has no patch 'a'\. patches\.csv lists them, for example none"):
        explained(run, "a")


@pytest.mark.posix("symbolic links")
def test_a_link_that_leads_out_of_the_run_is_not_followed(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (run.folder / "explain").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"explain is a link to .*elsewhere, expected a folder of its own"):
        explained(run, "a/1")
    assert run.drawn == []


@pytest.mark.parametrize(
    ("patch_id", "name"),
    [
        ("b00-01", "b00-01.png"),
        ("tumour/b00.png", "tumour_b00-145abb63bf53.png"),  # not b00.png.png
        ("b00.PNG", "b00-09afff6fd07e.png"),
        ("b00.png.tif", "b00.png.tif.png"),
    ],
)
def test_a_picture_has_one_ending(patch_id: str, name: str) -> None:
    assert picture_of(Path("run"), patch_id) == Path("run/explain") / name
