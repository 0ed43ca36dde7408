"""The simulation of maps that know nothing, and the table of maps of the picture."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

PATH = Path(__file__).parents[2] / "analyses" / "matched.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("analyses_matched", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("area", [0.02, 0.1])
def test_nuclei_cover_the_share_that_was_asked_for(script, area):
    for seed in range(5):
        members = script.compartments(np.random.default_rng(seed), area)
        assert (members.sum(axis=0) == 1).all()
        shares = members.mean(axis=(1, 2))
        assert area <= shares[0] < area + 0.013  # one nucleus more at most
        assert shares[1] > 0


def test_only_what_was_cut_out_has_a_seam(script):
    rng = np.random.default_rng(0)

    def seam(name):
        fields = np.log([script.MAPS[name](rng) for _ in range(20)])
        inner = np.abs(np.diff(fields, axis=1)).mean()
        return np.abs(fields[:, 0] - fields[:, -1]).mean() / inner

    assert seam("smooth") < 1.2
    assert seam("smooth, cut out") > 3


def test_sparse_maps_are_mostly_zero(script):
    share = (script.sparse(np.random.default_rng(0)) > 0).mean()
    assert 0.1 < share < 0.35


def test_a_small_nucleus_makes_false_findings_until_the_contrast_is_centred(script, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "AREAS", (0.02,))
    monkeypatch.setattr(script, "MAPS", {"smooth": script.MAPS["smooth"]})
    made = CliRunner().invoke(script.main, ["nothing", str(tmp_path / "a.csv"), "--studies", "6"])
    assert made.exit_code == 0, made.output
    (row,) = pd.read_csv(tmp_path / "a.csv").to_dict("records")
    assert (row["map"], row["area"], row["studies"], row["missing"], row["counted"]) == ("smooth", 0.02, 6, 0, 0)
    assert row["delta_ratio"] > 1.15
    assert 0.93 < row["centred_ratio"] < 1.07
    assert row["delta_false"] >= 0.5 > row["centred_false"]


def test_contrasts_are_means_of_slides(script):
    patches = pd.DataFrame({"slide_id": ["a", "a", "b"], "label": "benign", "model": "sobel"})
    shift = patches.assign(delta=[1.0, 3.0, 4.0], centred=[0.0, np.nan, 2.0])
    matched = patches.assign(
        picture="sobel", matched=[1.0, 1.0, 3.0], matched_of_picture=1.0, overlap=0.5, share_compared=[0.2, 0.4, 0.6]
    )
    tables = {"shift": shift, "matched": matched}
    found = script.contrasts(SimpleNamespace(table=tables.__getitem__)).set_index("contrast")
    assert found["ratio"].to_dict() == pytest.approx(
        {"delta": 8, "centred": 2, "matched: sobel": 4, "matched: sobel, excess": 2}
    )
    assert found["t"].to_dict() == pytest.approx(
        {"delta": 3, "centred": 1, "matched: sobel": 2, "matched: sobel, excess": 1}
    )
    assert (found["n_slides"] == 2).all()
    assert found.loc["centred", "measured"] == pytest.approx(2 / 3)
    assert found.loc["matched: sobel", ["overlap", "share_compared"]].tolist() == pytest.approx([0.5, 0.4])
