"""The patches that are shown are chosen by rule."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd

from saliency_stats.cohort.patch import Patch
from saliency_stats.execution.engine import Threads
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.saliency.maps import MapPlan
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.study.examples import choose_examples, write_examples


def cohort():
    rows = [
        ("p1", "s1", "benign", -9.0),
        ("p2", "s1", "benign", -8.0),
        ("p3", "s2", "benign", -5.0),
        ("p4", "s2", "malignant", 2.0),
        ("p5", "s3", "malignant", 7.0),
        ("p6", "s4", "malignant", 40.0),
        ("p7", "s5", "malignant", 41.0),
    ]
    table = pd.DataFrame(rows, columns=["patch_id", "slide_id", "label", "logit_malignant"])
    table = table.assign(logit_benign=0.0, magnification=20.0, status="used", mpp=0.5)
    table["p_malignant"] = 1 / (1 + 2.718281828 ** -table["logit_malignant"])
    return table.assign(contrasted=True)


def chosen(table, n, seed=None):
    keys = table[["patch_id", "magnification", "label", "contrasted"]]
    predictions = table[["patch_id", "magnification", "p_malignant", "logit_malignant", "logit_benign"]]
    if seed is not None:
        keys, predictions = keys.sample(frac=1, random_state=seed), predictions.sample(frac=1, random_state=seed + 1)
    patches = table.drop(columns=["p_malignant", "logit_malignant", "logit_benign", "contrasted"])
    return choose_examples(patches, keys, predictions, n)


def test_most_confident_first_and_one_a_slide():
    found = chosen(cohort(), 2)
    assert found.groupby("label")["patch_id"].apply(list).to_dict() == {
        "benign": ["p1", "p3"],
        # both have a probability of 1 in double precision: the margin between the logits decides
        "malignant": ["p7", "p6"],
    }
    assert list(found["rank"]) == [1, 2, 1, 2]
    assert (found["p_true"] > 0.99).all()


def test_the_order_of_rows_does_not_matter():
    pd.testing.assert_frame_equal(chosen(cohort(), 2), chosen(cohort(), 2, seed=3))


def test_patches_of_unknown_slides_may_all_be_shown():
    found = chosen(cohort().assign(slide_id=""), 3)
    assert list(found.loc[found["label"] == "benign", "patch_id"]) == ["p1", "p2", "p3"]


def test_a_patch_without_the_contrast_is_shown_only_where_no_other_is_left():
    table = cohort().assign(slide_id="", contrasted=[False, True, True, True, True, True, False])
    found = chosen(table, 3).groupby("label")["patch_id"].apply(list).to_dict()
    assert found == {"benign": ["p2", "p3", "p1"], "malignant": ["p6", "p5", "p4"]}


def test_a_slide_shows_a_patch_with_the_contrast_before_a_more_confident_one():
    table = cohort().assign(contrasted=[False, True, True, True, True, True, True])
    found = chosen(table, 2)
    assert list(found.loc[found["label"] == "benign", "patch_id"]) == ["p2", "p3"]


PLAN = MapPlan(methods=("gradient",), reductions=("l2",), controls=(), seed=0)


@dataclass(frozen=True)
class OfMaps:
    """A measurement whose maps are of models with these names."""

    models: tuple[str, ...]
    table: pd.DataFrame
    plan: MapPlan = PLAN

    def examine(self, batch):
        memberships = np.stack([np.full((4, 4), k == 1, np.float32) for k in range(4)])
        return SimpleNamespace(
            own=lambda _: {
                NetworkKey(model, f"fold{batch.fold}-1"): [np.full((4, 4), batch.rows[0], np.float32)]
                for model in self.models
            },
            patches=[Patch(np.zeros((4, 4, 3), np.uint8))],
            segmentations=[SimpleNamespace(memberships=memberships)],
        )


def test_the_name_of_a_users_control_leads_no_file_out_of_the_runs_folder(tmp_path):
    store = Store(tmp_path / "deep" / "run")
    measurement = OfMaps(("trained", "../../../escaped", "../../../Escaped"), cohort().assign(fold=np.nan))
    table = write_examples(store, measurement, chosen(cohort(), 1), Progress(show=False), Threads(1))
    assert len(set(table["file"])) == len(table) == 6
    assert "examples/20x-benign-1-trained.npz" in set(table["file"])
    written = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {store.folder / file for file in table["file"]}
    assert {path.parent for path in written} == {store.folder / "examples"}


def test_each_example_is_shown_by_a_network_of_its_own_fold(tmp_path, monkeypatch):
    asked = []
    examine = OfMaps.examine
    monkeypatch.setattr(OfMaps, "examine", lambda self, batch: asked.append(batch) or examine(self, batch))
    table = cohort().assign(fold=pd.array([3, 3, 1, 1, 2, 2, None], dtype="Int64"))
    shown = chosen(cohort(), 2)
    found = write_examples(Store(tmp_path), OfMaps(("trained",), table), shown, Progress(show=False), Threads(1))
    assert [(batch.rows, batch.fold) for batch in asked] == [((0,), 3), ((2,), 1), ((6,), 0), ((5,), 2)]
    assert found["model"].tolist() == ["trained"] * 4
