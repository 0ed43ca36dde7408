"""One patch of a run, drawn again: which one, of which network, and where the picture goes."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from saliency_stats.commands import explain as module
from saliency_stats.commands.explain import explain_patch, picture_of
from saliency_stats.errors import CohortError, StorageError
from saliency_stats.execution.schema import TABLES
from saliency_stats.execution.store import Store
from saliency_stats.measurement.batch import Batch
from saliency_stats.saliency.maps import MapKey, MapPlan

PLAN = MapPlan(("gradient", "occlusion"), ("l2", "max"), ("randomised", "sobel"))
IMAGE = np.zeros((2, 2, 3), np.uint8)
PATCHES = [("a/1", 10.0, 1.0, "used"), ("b", 20.0, 0.5, "excluded: blurred"), ("a/1", 20.0, 0.5, "used")]


@dataclass(frozen=True)
class Measuring:
    """Stands for what measures a batch; notes what it was asked."""

    plan: MapPlan
    models: dict
    asked: list

    def examine(self, batch):
        self.asked.append((batch, self.plan, {scale: list(models) for scale, models in self.models.items()}))
        assert torch.get_num_threads() == 1
        return SimpleNamespace(
            patches=[SimpleNamespace(image=IMAGE)],
            segmentations=[SimpleNamespace(memberships="memberships")],
            own=lambda plan: {
                model: [f"{model}'s {plan.own(model).method}"] for model in self.models[batch.magnification]
            },
        )

    def ledger_rows(self, _):
        keys = [self.plan.own(model) for models in self.models.values() for model in models]
        keys += [MapKey("trained", "occlusion", "none"), MapKey("trained", "gradient", "max")]
        return pd.DataFrame([key._asdict() for key in keys for _ in range(2)])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of three patches, and what was asked and drawn."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "study.yaml").write_text("name: mine\n")
    table = pd.DataFrame(PATCHES, columns=["patch_id", "magnification", "mpp", "status"]).assign(label="benign")
    blank = dict.fromkeys(TABLES["patches"].text, "") | dict.fromkeys(TABLES["patches"].numbers, 1.0)
    Store(folder).write("patches", table.assign(**{name: value for name, value in blank.items() if name not in table}))
    seen = SimpleNamespace(folder=folder, asked=[], drawn=[], rows=[], deterministic=[])
    seen.measuring = Measuring(
        PLAN, {scale: dict.fromkeys(("trained", "randomised")) for scale in (10.0, 20.0)}, seen.asked
    )

    class Stages:
        def __init__(self, settings, store, device, progress):
            assert (settings.name, store.folder, device, progress.show) == ("mine", folder, torch.device("cpu"), False)

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
    assert path.parent.is_dir()
    assert run.rows == [(3, 2)]
    assert run.deterministic == [torch.device("cpu")]
    alone = MapPlan(("gradient",), ("l2",))
    assert run.asked == [(Batch("explain", (2,), 20.0, measured=True), alone, {20.0: ["trained"]})]
    ((image, saliency, members, rows), named) = run.drawn[0]
    assert image is IMAGE
    assert (saliency, members) == ("trained's gradient", "memberships")
    assert rows.to_dict("records") == [MapKey("trained", "gradient", "l2")._asdict()] * 2
    assert named == {"title": "a/1 · benign · 20× · trained", "path": path, "mpp": 0.5}


def test_another_magnification_network_and_place(run, tmp_path):
    out = tmp_path / "deep" / "p.png"
    assert explained(run, "a/1", model="randomised", magnification=10.0, out=out) == out
    assert out.parent.is_dir()
    assert run.rows == [(3, 0)]
    # the trained network may choose which logit is explained
    batch, _, models = run.asked[0]
    assert (batch.rows, batch.magnification, models) == ((0,), 10.0, {10.0: ["trained", "randomised"]})
    ((_, saliency, _, rows), named) = run.drawn[0]
    assert saliency == "randomised's gradient"
    assert rows.to_dict("records") == [MapKey("randomised", "gradient", "l2")._asdict()] * 2
    assert named == {"title": "a/1 · benign · 10× · randomised", "path": out, "mpp": 1.0}


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


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(
        StorageError, match=r"holds no run \(there is no study\.yaml in it\); expected the folder a run"
    ):
        explain_patch(tmp_path, "a")


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
