"""Patches as rows of a matrix, each number where its names say, and as an AnnData object."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StudyError
from saliency_stats.vocabulary import COMPARTMENTS

MAPS = [("trained", "1", "gradient"), ("trained", "2", "gradient"), ("sobel", "", "sobel")]


@pytest.fixture
def run(blank_run, rows_of):
    """Two patches, two networks, and a map of the image."""
    at = {"magnification": 20.0, "split": "test", "label": "malignant"}
    patches = rows_of("patches", {"patch_id": "b"}, {"patch_id": "a"}, **at, slide_id="s", status="used")
    ledger = [
        {"patch_id": patch, "model": model, "network": network, "method": method, "compartment": compartment}
        | {"density_ratio": 100 * k + 10 * ord(patch) + place, "mass_share": 0.5, "area_share": 0.25}
        for patch in "ab"
        for k, (model, network, method) in enumerate(MAPS)
        for place, compartment in enumerate(COMPARTMENTS)
    ]
    decided = [
        {"patch_id": patch, "model": model, "network": network, "p_malignant": p, "correct": p > 0.5}
        | {"predicted": "malignant" if p > 0.5 else "benign"}
        for model in ("trained", "randomised")
        for patch, network, p in (("a", "1", 0.95), ("a", "2", 0.6), ("b", "1", 0.2), ("b", "2", 0.99))
    ]
    return blank_run(
        patches=patches,
        ledger=rows_of("ledger", *ledger, **at, reduction="l2", status="measured"),
        predictions=rows_of("predictions", *decided, **at),
        verdict=[{"status": "supported"}],
    )


class AnnData(SimpleNamespace):
    """Stands for anndata's own: keeps what it is given."""


@pytest.fixture
def made(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "anndata", SimpleNamespace(AnnData=AnnData))
    return run.to_anndata()


def test_a_row_per_patch_and_network(made):
    assert made.obs.index.tolist() == ["a 20x 1", "a 20x 2", "b 20x 1", "b 20x 2"]
    assert made.obs["p_malignant"].tolist() == [0.95, 0.6, 0.2, 0.99]
    assert made.obs["correct"].tolist() == [True, True, False, True]
    assert made.obs["chosen"].tolist() == ["judged", "unsure", "", "judged"]
    assert set(made.obs["slide_id"]) == {"s"}


def test_each_number_stands_where_its_names_say(made):
    assert made.X.shape == (4, 2 * 3 * len(COMPARTMENTS))
    table = pd.DataFrame(made.X, made.obs.index, made.var.index)
    assert table["density_ratio trained gradient l2 stroma"].tolist() == [972.0, 1072.0, 982.0, 1082.0]
    # of no network: the same beside each
    assert table["density_ratio sobel sobel l2 nucleus"].tolist() == [1170.0, 1170.0, 1180.0, 1180.0]
    assert (table["area_share trained gradient l2 nucleus"] == 0.25).all()
    assert made.var.loc["mass_share sobel sobel l2 background"].to_dict() == {
        "number": "mass_share",
        "model": "sobel",
        "method": "sobel",
        "reduction": "l2",
        "compartment": "background",
    }


def test_what_the_run_found_goes_along(made):
    assert json.loads(made.uns["verdict"]) == [{"status": "supported"}]
    assert "name: simulated_study.and-co" in made.uns["study"]


def test_without_anndata_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(StudyError, match=r"anndata, which is not installed .*saliency-stats\[anndata\]"):
        run.to_anndata()


def test_anndata_itself_takes_it_and_writes_it(run, tmp_path):
    anndata = pytest.importorskip("anndata", reason="anndata is not installed: what it makes of a run is not tested")
    run.to_anndata().write_h5ad(tmp_path / "run.h5ad")
    np.testing.assert_array_equal(anndata.read_h5ad(tmp_path / "run.h5ad").X, run.to_anndata().X)
