"""The script that writes a cohort of phantom slides: a study can read its list."""

import importlib.util
import sys
from pathlib import Path

import pandas as pd
from click.testing import CliRunner
from openslide import OpenSlide

from saliency_stats.cohort.slides.listing import read_slide_list

PATH = Path(__file__).parents[2] / "analyses" / "phantom_slides.py"


def test_the_list_names_slides_and_annotations_that_are_there(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("analyses_phantom_slides", PATH)
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, script)  # worker processes look it up there
    spec.loader.exec_module(script)
    arguments = ["--out", tmp_path / "cohort", "--slides", 4, "--side", 512, "--mpp", 0.5, "--signal", "nucleus"]
    result = CliRunner().invoke(script.main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    table = pd.read_csv(tmp_path / "cohort" / "slides.csv")
    assert list(table.columns) == ["path", "slide_id", "patient_id", "annotation", "mpp", "split"]
    slides, _ = read_slide_list(tmp_path / "cohort" / "slides.csv", {})
    assert [slide.annotation is None for slide in slides] == [False, True, False, True]
    assert all(slide.annotation is None or slide.annotation.is_file() for slide in slides)
    assert len({slide.patient_id for slide in slides}) == 4
    for slide in slides:
        with OpenSlide(slide.path) as handle:
            assert handle.dimensions == (512, 512)
    # each kind of slide comes in each compression
    sizes = [slide.path.stat().st_size for slide in slides]
    assert max(sizes[:2]) < 0.5 * min(sizes[2:])
