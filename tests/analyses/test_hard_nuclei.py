"""Red cells and pale nuclei are painted where they are said to be, and counted there alone."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "analyses" / "nuclei"


@pytest.fixture
def hard(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("analyses_hard_nuclei", FOLDER / "hard_nuclei.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_a_vessel_is_red_in_the_middle_and_nowhere_else(hard):
    image = np.full((256, 256, 3), 130, dtype=np.uint8)
    painted = hard.vessel(image, hard.REDS["brick"], np.random.default_rng(0))
    y, x = np.mgrid[:256, :256]
    outside = np.hypot(y - 127.5, x - 127.5) * 0.25 >= 20
    assert (painted[outside] == 130).all()
    inside = painted[~outside].astype(float)
    reddish = inside[:, 0] - inside[:, 1] > 60
    assert 0.4 < reddish.mean() < 0.9


def test_nuclei_are_blended_with_the_cytoplasm(hard):
    image = np.full((40, 40, 3), 200, dtype=np.uint8)
    codes, nuclei = np.full((40, 40), 2, dtype=np.uint8), np.zeros((40, 40), dtype=np.int32)
    nuclei[10:30, 10:30], codes[10:30, 10:30], image[10:30, 10:30] = 1, 1, 100
    assert (hard.pale(image, nuclei, codes, 0.5)[15:25, 15:25] == 150).all()
    np.testing.assert_array_equal(hard.pale(image, nuclei, codes, 0.0), image)
    assert (hard.pale(image, nuclei, codes, 1.0)[:4] == 200).all()


def test_colours_are_averaged_over_blocks(hard):
    image = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    assert hard.averaged(image, 2).shape == (2, 2, 3)
    assert hard.averaged(image, 2)[0, 0, 0] == round((0 + 3 + 12 + 15) / 4)


def test_nuclei_of_the_vessel_alone_are_false(hard, monkeypatch):
    def segment(image, mpp, parameters):
        assert parameters.nuclei == "classical"
        found = np.zeros(image.shape[:2], dtype=np.int32)
        middle = found.shape[0] // 2
        found[middle, middle], found[middle, middle + round(16 / mpp)], found[middle, middle + round(18 / mpp)] = (
            1,
            2,
            3,
        )
        return SimpleNamespace(instances=found)

    monkeypatch.setattr(hard, "segment", segment)
    monkeypatch.setattr(hard, "IMAGES", 1)
    rows = list(hard.red_cells("classical"))
    assert [row["mpp"] for row in rows] == [0.25, 0.5, 1.0] * 3
    assert all(row["false_per_vessel"] == 2 for row in rows)
