"""What the stages do when one of them cannot go on."""

import time

import pandas as pd
import pytest
import torch

from saliency_stats.errors import StorageError
from saliency_stats.execution.engine import Threads
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.settings.study import load
from saliency_stats.study.stages import Stages


def test_no_unit_is_begun_for_a_table_that_cannot_be_written(cohort_of, tmp_path, monkeypatch):
    """While the error is passed on, its traceback holds the workers' results: they must be told to stop."""

    class Measured:
        table = cohort_of([(32, 32)] * 400).table.assign(split="test", fold=float("nan"))
        seen = 0

        def __call__(self, unit):
            Measured.seen += 1
            return {"maps": pd.DataFrame({"patch_id": [unit.name]})}

    def full(*_):
        raise StorageError("no disk space left")

    monkeypatch.setattr("saliency_stats.study.stages.write_maps", full)
    settings = load(None, ("saliency.batch_size=1",))
    stages = Stages(settings, Store(tmp_path), torch.device("cpu"), Progress(show=False))
    with pytest.raises(StorageError) as caught:
        stages.measure(Measured(), Threads(1))
    seen = Measured.seen
    assert seen < 100
    assert caught.tb is not None
    time.sleep(0.3)
    assert Measured.seen == seen


def test_profiles_are_read_from_the_batches_some_slides_at_a_time(cohort_of, tmp_path, monkeypatch):
    slides = ["c", "a", "b", "c", "unmeasured"]

    class Measured:
        table = cohort_of([(32, 32)] * 5).table.assign(
            split=["test"] * 4 + ["train"], fold=float("nan"), slide_id=slides, magnification=[5.0, 5.0, 5.0, 10.0, 5.0]
        )

        def __call__(self, batch):
            thumbnails = pd.DataFrame({"rank": list(batch.rows), "magnification": 1.0})
            return {"thumbnails": thumbnails} | (
                {"profile": pd.DataFrame({"patch_id": [f"p{row}" for row in batch.rows]})} if batch.measured else {}
            )

    monkeypatch.setattr("saliency_stats.study.stages._SLIDES", 2)
    stages = Stages(load(None), Store(tmp_path), torch.device("cpu"), Progress(show=False))
    stages.measure(Measured(), Threads(1))
    assert not (tmp_path / "profile.csv").exists()
    assert [rows["patch_id"].tolist() for rows in stages.profile_rows()] == [["p1", "p2"], ["p0", "p3"]]


@pytest.mark.parametrize("method", ["expected_gradients", "gradient"])
def test_training_patches_are_at_hand_for_the_methods_that_ask_for_them(tmp_path, method):
    tiny = ("cohort.slides=6", "cohort.patches_per_slide=2", "cohort.size_px=64", "compartments.nuclei=truth")
    settings = load(None, (*tiny, "compartments.stain_patches=1", f"saliency.methods=[{method}]"))
    stages = Stages(settings, Store(tmp_path), torch.device("cpu"), Progress(show=False))
    table = stages.patches()
    references = stages.measurement(table).references
    if method == "gradient":
        assert references is None
        return
    ((place, rows),) = references.drawn.items()
    assert place == (20.0, 0, 64, 64)
    assert list(rows) == table.index[table["split"] == "train"].tolist()
    assert references.at(place).shape == (len(rows), 64, 64, 3)
