"""Which patches go to QuPath, and where on a slide they lie; tests/study/test_slides_run.py exports a whole run."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saliency_stats.cohort.slides.geometry import SlideInfo
from saliency_stats.commands.export import _judged, _on_slide
from saliency_stats.errors import CohortError
from saliency_stats.report.qupath import Placement


def run_of(judged):
    rows = [("a", 20.0, "s2", np.nan), ("b", 20.0, "s1", np.nan), ("c", 20.0, "s1", np.nan), ("a", 10.0, "s2", np.nan)]
    return SimpleNamespace(
        folder=Path("runs/mine"),
        magnifications=(10.0, 20.0),
        patches=pd.DataFrame(rows, columns=["patch_id", "magnification", "slide_id", "fold"]),
        population=SimpleNamespace(patches=pd.DataFrame(judged, columns=["patch_id", "magnification", "network"])),
        settings=SimpleNamespace(saliency=SimpleNamespace(min_confidence=0.9)),
    )


def test_the_first_networks_judged_patches_of_one_magnification():
    run = run_of([("a", 20.0, "1"), ("c", 20.0, "1"), ("b", 20.0, "2"), ("b", 10.0, "1")])
    assert _judged(run, 20.0)["patch_id"].to_dict() == {0: "a", 2: "c"}


def test_of_each_fold_the_first_network():
    run = run_of([("a", 20.0, "fold1-1"), ("b", 20.0, "fold2-1"), ("c", 20.0, "fold2-2")])
    assert _judged(run, 20.0)["patch_id"].tolist() == ["a", "b"]


def test_what_is_not_there_is_said():
    with pytest.raises(CohortError, match=r"runs/mine has no patches at 40×; it has 10×, 20×"):
        _judged(run_of([]), 40.0)
    with pytest.raises(CohortError, match=r"judges no patch at 10×: .*min_confidence is 0\.9.* nothing to export"):
        _judged(run_of([("a", 20.0, "1")]), 10.0)


def test_a_patch_lies_where_qupath_counts_from():
    info = SlideInfo("s", Path("s.mrxs"), "mirax", 5_000, 4_000, 0.5, 0.25, (1.0,), bounds_px=(40, 100))
    cohort = SimpleNamespace(info={"s": info}.__getitem__)
    patch = pd.Series({"slide_id": "s", "x_um": 500.0, "y_um": 300.0, "mpp": 1.0})
    # a pixel of the patch is 4 × 2 of the slide; the middle lies at pixel x 2000, y 600 of the whole plane
    assert _on_slide(cohort, patch, (10, 20)) == Placement((2000 - 40 - 100, 600 - 10 - 40), (4.0, 2.0))
