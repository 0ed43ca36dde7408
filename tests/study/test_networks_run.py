"""Whole studies of several networks and of folds: every table says whose a row is, and a resumed run is the same."""

import pandas as pd
import pytest

from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.measurement.stored import StoredMeasurement
from saliency_stats.saliency.naming import network_names
from saliency_stats.settings.study import parse
from saliency_stats.study.study import Study

pytestmark = pytest.mark.usefixtures("small_densenets", "undrawn")
CONTENT = {
    "name": "several",
    "cohort": {"kind": "phantom", "slides": 9, "patches_per_slide": 4, "size_px": 64},
    "classifier": {"architecture": "densenet121", "epochs": 2, "batch_size": 8, "min_balanced_accuracy": 0.5},
    "saliency": {"min_confidence": 0.5, "batch_size": 2, "keep": True},
    "compartments": {"nuclei": "truth"},
    "causal": {"replacements": ["mean"], "curve_steps": 2},
    "controls": ["randomised", "sobel", "shift"],
    "statistics": {"bootstrap_draws": 2000, "min_slides": 2},
    "report": {"examples": 1},
}
#: Tables with a row per network.
OF_NETWORKS = ("training", "predictions", "ledger", "shift", "ablation", "ablation_curves", "importance", "metrics")


def run(folder, *, networks=1, folds=0, **changes):
    content = CONTENT | {"classifier": CONTENT["classifier"] | {"networks": networks, **changes}}
    content |= {"cohort": CONTENT["cohort"] | {"folds": folds}}
    Study(parse(content, "a test")).run(folder, workers=1, progress=Progress(show=False))
    store = Store(folder)
    return {name: store.table(name) for name in (*OF_NETWORKS, "patches", "profile", "contrasts", "examples")}


def csvs(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def names(table, *, of_images=False):
    return sorted(set(table["network"]) - {"all"} - ({""} if of_images else set()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("several")


def test_two_networks_are_judged_side_by_side_and_the_first_is_that_of_a_study_of_one(folder):
    two, one = run(folder / "two", networks=2), run(folder / "one")
    for name in OF_NETWORKS:
        first = two[name][two[name]["network"].isin(["1", ""])].reset_index(drop=True)
        pd.testing.assert_frame_equal(first, one[name], check_categorical=False)
        assert names(two[name], of_images=True) == ["1", "2"]
        assert list(two[name].columns)[list(two[name].columns).index("model") + 1] == "network"
    assert set(two["ledger"].loc[two["ledger"]["network"] == "", "model"]) == {"sobel"}
    trained = two["metrics"].query("model == 'trained' and split == 'test'")
    assert trained["network"].tolist() == ["1", "2", "all"]
    # averaged over networks, so that a patch counts once
    assert two["profile"]["n_patches"].max() <= len(two["patches"].query("split == 'test'"))
    assert "network" not in two["profile"]
    assert two["patches"]["fold"].isna().all()
    assert two["examples"]["model"].value_counts().to_dict() == one["examples"]["model"].value_counts().to_dict()
    assert csvs(folder / "one")["patches.csv"] == csvs(folder / "two")["patches.csv"]


def test_each_patch_is_judged_by_the_networks_of_its_fold_and_by_no_others(folder):
    found = run(folder / "folds", networks=2, folds=3)
    fold = found["patches"].set_index("patch_id")["fold"].astype(int)
    assert found["patches"]["split"].eq("test").all()
    assert fold.groupby(found["patches"].set_index("patch_id")["patient_id"]).nunique().eq(1).all()
    for name in OF_NETWORKS:
        assert names(found[name], of_images=True) == sorted(n for f in (1, 2, 3) for n in network_names(2, f))
        if "patch_id" in found[name]:
            judged = found[name][found[name]["network"] != ""]
            assert (judged["network"].str.extract(r"fold(\d+)-")[0].astype(int) == judged["patch_id"].map(fold)).all()
    trained = found["predictions"].query("model == 'trained'")
    assert trained.groupby("patch_id").size().eq(2).all()
    assert trained["patch_id"].nunique() == 36
    assert found["metrics"].query("model == 'trained' and network == 'all'")["n_patches"].tolist() == [36]


def test_interrupted_between_folds_it_goes_on_to_the_same_bytes(folder, monkeypatch):
    whole = folder / "folds"
    run(whole, networks=2, folds=3)  # finished before, or now
    calls, store_batch = [], StoredMeasurement.__call__

    class Interrupted(Exception):  # noqa: N818  (a stand-in for a killed process)
        pass

    def interrupted(self, batch):
        calls.append(batch)
        if len(calls) == 8:
            raise Interrupted
        return store_batch(self, batch)

    monkeypatch.setattr(StoredMeasurement, "__call__", interrupted)
    out = folder / "interrupted"
    with pytest.raises(Interrupted):
        run(out, networks=2, folds=3)
    run(out, networks=2, folds=3)
    assert csvs(out) == csvs(whole)
    for kind in ("weights", "maps", "examples"):
        assert {path.name: path.read_bytes() for path in (out / kind).iterdir()} == {
            path.name: path.read_bytes() for path in (whole / kind).iterdir()
        }


def test_networks_have_a_seed_of_their_own_and_the_cohort_keeps_its(folder):
    one, other = run(folder / "one"), run(folder / "seed", seed=5)
    assert csvs(folder / "seed")["patches.csv"] == csvs(folder / "one")["patches.csv"]
    assert (other["predictions"]["logit_benign"] != one["predictions"]["logit_benign"]).all()
