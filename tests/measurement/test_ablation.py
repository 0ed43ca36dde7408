"""Which patches have their compartments replaced, and what the network says of them then."""

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from saliency_stats.attribution.ablation import ablated, curves
from saliency_stats.cohort.patch import Patch
from saliency_stats.compartments import Segmentation
from saliency_stats.measurement.ablation import Ablations, draw_replaced
from saliency_stats.seeds import derive


@pytest.fixture
def table():
    """Four slides of 5 benign and 9 malignant places, each seen at two magnifications; the last slide is unknown."""
    rows = [
        (f"{slide}-{label}-{place}", slide, label, magnification)
        for slide in ("A", "B", "C", "")
        for label, n in (("benign", 5), ("malignant", 9))
        for place in range(n)
        for magnification in (10.0, 20.0)
    ]
    return pd.DataFrame(rows, columns=["patch_id", "slide_id", "label", "magnification"])


def test_of_each_slide_and_class_as_many_as_asked_for(table):
    chosen = table[draw_replaced(table, 6, seed=3)]
    counts = chosen[chosen["slide_id"] != ""].groupby(["label", "slide_id", "magnification"]).size()
    assert (counts["benign"] == 5).all()
    assert (counts["malignant"] == 6).all()


def test_all_where_slides_are_unknown_or_all_are_wanted(table):
    assert draw_replaced(table, 2, seed=3)[table["slide_id"] == ""].all()
    assert draw_replaced(table, 0, seed=3).all()


def test_a_place_is_drawn_at_every_magnification_or_at_none(table):
    times = table.assign(drawn=draw_replaced(table, 3, seed=3)).groupby("patch_id")["drawn"].sum()
    assert set(times) == {0, 2}


def test_the_draw_hangs_on_names_and_seed_alone(table):
    first = draw_replaced(table, 3, seed=3)
    turned = table.sample(frac=1, random_state=0)
    pd.testing.assert_series_equal(draw_replaced(turned, 3, seed=3).sort_index(), first, check_names=False)
    assert not first.equals(draw_replaced(table, 3, seed=4))


def test_every_patch_has_the_same_chance(table):
    taken = np.mean([draw_replaced(table, 3, seed=seed)[table["slide_id"] == "A"] for seed in range(600)], axis=0)
    expected = np.where(table.loc[table["slide_id"] == "A", "label"] == "benign", 3 / 5, 3 / 9)
    assert np.abs(taken - expected).max() < 0.09  # more than four standard errors


# --- what the network says ---

MPP = 2.0
KINDS = ("mean", "stain")
IDENTITY = ["patch_id", "slide_id", "patient_id", "label", "split", "magnification"]


class Counted(nn.Module):
    """A linear classifier that remembers how many images it saw at once, and how they lay in memory."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weights", torch.randn(2, 3, 24, 20, generator=torch.Generator().manual_seed(0)))
        self.seen = []

    def forward(self, images):
        self.seen.append(len(images))
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert not torch.is_grad_enabled()
        return torch.einsum("nchw,kchw->nk", images, self.weights)

    def logit(self, image, target):
        return float((np.moveaxis(image.astype(np.float64), -1, 0) * self.weights[target].numpy()).sum())


@pytest.fixture
def batch():
    """Four patches: confident, not enough, confident of the other class, and confident but not drawn."""
    rng = np.random.default_rng(1)
    members = np.zeros((4, 24, 20), np.float32)
    members[0, :8], members[1, 8:14], members[2, 14:20], members[3, 20:] = 1, 1, 1, 1
    rows = pd.DataFrame({name: [f"{name}{patch}" for patch in range(4)] for name in IDENTITY[:-1]})
    rows = rows.assign(magnification=20.0, mpp=MPP, replaced=[True, True, True, False])
    patches = [Patch(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)) for _ in range(4)]
    segmentations = [Segmentation(np.zeros((24, 20), np.int32), members)] * 4
    logits = np.array([[0.1, 1.5], [0.1, 1.48], [2.0, -3.0], [0.0, 9.0]])
    return rows, patches, segmentations, logits, np.array([1, 1, 0, 1])


def measured(batch, network, **changes):
    usual = {"replacements": KINDS, "curve_steps": 0, "min_confidence": 0.8, "min_area": 0.02, "seed": 5}
    rows, patches, segmentations, logits, target = batch
    of = {"1": logits}, {"1": target}, {"1": network}
    return Ablations(**(usual | changes)).tables(rows, patches, segmentations, *of, torch.device("cpu"))


def test_each_row_holds_the_logits_with_and_without_the_compartment(batch):
    network = Counted()
    tables = measured(batch, network, curve_steps=6)
    rows, patches, segmentations, logits, target = batch
    table, drawn = tables["ablation"], tables["ablation_curves"]
    assert list(table.columns) == [
        *IDENTITY, "model", "network", "compartment", "replacement", "region", "area_share", "logit", "logit_ablated",
    ]  # fmt: skip
    assert list(drawn.columns) == [*IDENTITY, "model", "network", "compartment", "direction", "share", "logit"]
    # log(0.8 / 0.2) = 1.386: a lead of 1.4 is enough, one of 1.38 is not
    assert table["patch_id"].unique().tolist() == ["patch_id0", "patch_id2"]
    assert drawn["patch_id"].unique().tolist() == ["patch_id0", "patch_id2"]
    areas = {"nucleus": 8 / 24, "cytoplasm": 6 / 24, "stroma": 6 / 24}
    for patch in (0, 2):
        image, members, name = patches[patch].image, segmentations[patch].memberships, f"patch_id{patch}"
        rng = np.random.default_rng(derive(5, "ablation", name, 20.0))
        expected = ablated(image, members, MPP, rng, KINDS, 0.02)
        found = table[table["patch_id"] == name]
        assert len(found) == len(expected) == 3 * 2 * 2
        for row, one in zip(found.to_dict("records"), expected, strict=True):
            assert (row["compartment"], row["replacement"], row["region"]) == one[:3]
            assert {key: row[key] for key in IDENTITY} == rows.loc[patch, IDENTITY].to_dict()
            assert (row["model"], row["network"], row["logit"]) == ("trained", "1", logits[patch, target[patch]])
            assert row["area_share"] == pytest.approx(areas[one.compartment])
            assert row["logit_ablated"] == pytest.approx(network.logit(one.image, target[patch]), rel=1e-4)
        rng = np.random.default_rng(derive(5, "curves", name, 20.0))
        steps = curves(image, members, MPP, rng, 6, "mean", 0.02)
        found = drawn[drawn["patch_id"] == name]
        assert len(found) == len(steps) == 3 * 2 * 6
        for row, step in zip(found.to_dict("records"), steps, strict=True):
            assert (row["compartment"], row["direction"], row["share"]) == step[:3]
            assert row["logit"] == pytest.approx(network.logit(step.image, target[patch]), rel=1e-4)
    # few at a time, and of each patch as few calls as that allows
    assert network.seen == [12, 32, 4] * 2


def test_what_is_replaced_does_not_change():
    with pytest.raises(FrozenInstanceError):
        Ablations(KINDS, 0, 0.8, 0.02, 5).seed = 6


def test_without_curves_there_is_no_table_of_them(batch):
    assert list(measured(batch, Counted())) == ["ablation"]


def test_a_patch_exactly_at_the_wanted_confidence_is_judged(batch):
    *_, logits, _ = batch
    logits[:] = [[1.0, 1.0], [2.0, 2.0], [0.0, 3.0], [0.0, 9.0]]
    found = measured(batch, Counted(), min_confidence=0.5)["ablation"]
    assert found["patch_id"].unique().tolist() == ["patch_id0", "patch_id1"]


def test_a_small_compartment_is_missing(batch):
    found = measured(batch, Counted(), min_area=0.3)["ablation"]
    assert found["compartment"].unique().tolist() == ["nucleus"]


def test_where_nothing_is_judged_the_columns_are_there(batch):
    tables = measured(batch, Counted(), min_confidence=0.9999, curve_steps=2)
    assert {name: len(table) for name, table in tables.items()} == {"ablation": 0, "ablation_curves": 0}
    full = measured(batch, Counted(), curve_steps=2)
    for name, table in tables.items():
        assert list(table.columns) == list(full[name].columns)


def test_every_network_is_shown_the_same_images_of_the_patches_that_it_judges(batch):
    rows, patches, segmentations, logits, target = batch
    networks = {"1": Counted(), "2": Counted()}
    networks["2"].weights = -networks["2"].weights
    # the second one is sure of the second patch alone, and of the other class
    other = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 0.0], [9.0, 0.0]])
    of = {"1": logits, "2": other}, {"1": target, "2": 1 - target}, networks
    asked = Ablations(KINDS, 4, 0.8, 0.02, 5)
    tables = asked.tables(rows, patches, segmentations, *of, torch.device("cpu"))
    for name, table in tables.items():
        pairs = table[["patch_id", "network"]].drop_duplicates().to_numpy().tolist()
        assert pairs == [["patch_id0", "1"], ["patch_id1", "2"], ["patch_id2", "1"]]
        alone = measured(batch, Counted(), curve_steps=4)[name]
        pd.testing.assert_frame_equal(table[table["network"] == "1"].reset_index(drop=True), alone)
    found = tables["ablation"].query("network == '2'")
    rng = np.random.default_rng(derive(5, "ablation", "patch_id1", 20.0))
    altered = ablated(patches[1].image, segmentations[1].memberships, MPP, rng, KINDS, 0.02)
    assert found["logit"].tolist() == [3.0] * 12
    for row, one in zip(found.to_dict("records"), altered, strict=True):
        assert row["logit_ablated"] == pytest.approx(networks["2"].logit(one.image, 0), rel=1e-4)
