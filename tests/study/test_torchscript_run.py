"""A whole study with nuclei by a TorchScript file: any number of workers, other segmentations, a file that changes."""

import pytest
import torch

from saliency_stats.errors import StorageError
from saliency_stats.execution.manifest import sha256
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.settings.study import parse
from saliency_stats.study.study import Study

pytestmark = [pytest.mark.usefixtures("small_densenets"), pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")]


class Tiles(torch.nn.Module):
    """Labels a quarter of each tile of some size, by its place."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.pixel_size, self.size = 0.5, size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, across = torch.arange(x.shape[2])[:, None], torch.arange(x.shape[3])[None]
        inside = (y % self.size < self.size // 2) & (across % self.size < self.size // 2)
        return (inside * (1 + y // self.size * 1000 + across // self.size))[None, None]


def content(model):
    return {
        "name": "brought",
        "cohort": {"kind": "phantom", "slides": 6, "patches_per_slide": 2, "size_px": 64},
        "classifier": {"architecture": "densenet121", "epochs": 1, "batch_size": 8, "min_balanced_accuracy": 0.5},
        "saliency": {"min_confidence": 0.5, "batch_size": 2},
        "compartments": {"nuclei": f"torchscript:{model}"},
        "causal": {"replacements": []},
        "controls": ["sobel"],
        "statistics": {"bootstrap_draws": 2000, "min_slides": 2},
        "multiverse": {"enabled": True, "segmentations": ["nuclei+1um"]},
        "report": {"examples": 1},
    }


def run(model, out, workers=1):
    Study(parse(content(model), "a test")).run(out, workers=workers, progress=Progress(show=False))
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.csv"))}


def test_a_study_with_a_model_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("saliency_stats.report.write.write_report", lambda _: None)
    model, out = tmp_path / "m.pt", tmp_path / "out"
    torch.jit.script(Tiles(16)).save(model)
    tables, store = run(model, out), Store(out)
    assert run(model, tmp_path / "two", workers=2) == tables
    nuclei = store.table("nuclei")
    assert (nuclei.groupby("patch_id").size() == 16).all()
    assert nuclei["probability"].isna().all()
    assert nuclei["area_um2"].eq(16.0).all()
    assert set(store.table("crossed")["segmentation"]) == {"usual", "nuclei+1um"}
    inputs = store.table("inputs").set_index("name")
    assert inputs.loc[f"compartments.nuclei: {model}", "sha256"] == sha256(model)
    torch.jit.script(Tiles(32)).save(model)
    with pytest.raises(StorageError, match=r"compartments\.nuclei: \S+m\.pt has changed"):
        run(model, out)
