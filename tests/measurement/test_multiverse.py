"""The crossing: every map of the trained network, under every segmentation, in rows that say which."""

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest

from saliency_stats.attribution import checked_saliency
from saliency_stats.compartments import Segmentation
from saliency_stats.compartments.variants import VARIANTS, Variant
from saliency_stats.errors import AttributionError
from saliency_stats.measurement import multiverse as module
from saliency_stats.measurement.multiverse import Multiverse
from saliency_stats.saliency.maps import MapKey
from saliency_stats.vocabulary import COMPARTMENTS

GROWN, NEAR = Variant("grown", grow_um=1.0), Variant("near", cytoplasm_um=3.0)
IDENTITY = pd.DataFrame({"patch_id": ["a", "b", "c"], "magnification": 20.0})
KEYS = [MapKey("trained", "1", "gradient", "l2"), MapKey("trained", "1", "occlusion", "none")]


def division(nucleus, cytoplasm):
    """Give the first columns of ten to the nucleus, the next ones to the cytoplasm, the others to the stroma."""
    codes = np.full((4, 10), COMPARTMENTS.index("stroma"))
    codes[:, : nucleus + cytoplasm] = COMPARTMENTS.index("cytoplasm")
    codes[:, :nucleus] = COMPARTMENTS.index("nucleus")
    members = (np.arange(len(COMPARTMENTS))[:, None, None] == codes).astype(np.float32)
    return Segmentation(np.zeros((4, 10), np.int32), members)


USUAL = [division(patch + 1, 2) for patch in range(3)]
#: Columns of nucleus and cytoplasm by variant, for patch 0; each further patch has a nucleus one wider.
WIDE = {"usual": (1, 2), "grown": (3, 1), "near": (1, 4)}


@pytest.fixture
def asked(monkeypatch):
    seen = []

    def variations(view, found, variants):
        seen.append((view, found, [variant.name for variant in variants]))
        return [division(view + WIDE[variant.name][0], WIDE[variant.name][1]) for variant in variants]

    monkeypatch.setattr(module, "variations", variations)
    return seen


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    others = [MapKey("randomised", "1", "gradient", "l2"), MapKey("sobel", "", "sobel", "none")]
    return {key: checked_saliency(rng.random((3, 4, 10)).astype(np.float32)) for key in [*KEYS, *others]}


@pytest.mark.parametrize("variants", [(VARIANTS[0], GROWN, NEAR), (NEAR, VARIANTS[0], GROWN), (GROWN,)])
def test_each_row_has_the_shares_of_its_patch_map_and_segmentation(asked, maps, variants):
    rows = Multiverse(variants, 15.0).rows(IDENTITY, [0, 1, 2], ["x", "y", "z"], USUAL, maps)
    assert rows.index.tolist() == list(range(3 * len(KEYS) * len(variants)))
    expected = [(variant.name, key, patch) for variant in variants for key in KEYS for patch in range(3)]
    for row, (name, key, patch) in zip(rows.to_dict("records"), expected, strict=True):
        assert (row["segmentation"], row["patch_id"], row["magnification"]) == (name, "abc"[patch], 20.0)
        assert MapKey(*(row[name] for name in MapKey._fields)) == key
        assert row["cytoplasm_um"] == (3.0 if name == "near" else 15.0)
        nucleus, cytoplasm = WIDE[name][0] + patch, WIDE[name][1]
        values = maps[key].raw[patch].astype(float)
        assert row["area_nucleus"] == pytest.approx(nucleus / 10)
        assert row["area_cytoplasm"] == pytest.approx(cytoplasm / 10)
        assert row["mass_nucleus"] == pytest.approx(values[:, :nucleus].sum() / values.sum())
        part = values[:, nucleus : nucleus + cytoplasm]
        assert row["mass_cytoplasm"] == pytest.approx(part.sum() / values.sum())
    # the usual segmentation is there already
    others = [variant.name for variant in variants if variant.name != "usual"]
    assert asked == [(patch, found, others) for patch, found in enumerate("xyz")]


def test_methods_from_several_baselines_are_one_method(asked, maps):
    crossed = {"occlusion": ("gradient", "blur"), "gradient": ("gradient", "white")}
    rows = Multiverse((VARIANTS[0],), 15.0, crossed).rows(IDENTITY, [0, 1, 2], ["x", "y", "z"], USUAL, maps)
    plain = Multiverse((VARIANTS[0],), 15.0).rows(IDENTITY, [0, 1, 2], ["x", "y", "z"], USUAL, maps)
    assert rows["method"].tolist() == ["gradient"] * 6
    assert rows["baseline"].tolist() == ["white"] * 3 + ["blur"] * 3
    pd.testing.assert_frame_equal(rows.drop(columns=["method", "baseline"]), plain.drop(columns="method"))
    one = Multiverse((VARIANTS[0],), 15.0, {"occlusion": ("occlusion", "blur")})
    rows = one.rows(IDENTITY, [0, 1, 2], ["x", "y", "z"], USUAL, maps)
    assert rows[["method", "baseline"]].to_numpy().tolist() == [["gradient", ""]] * 3 + [["occlusion", "blur"]] * 3


def test_a_crossing_does_not_change():
    with pytest.raises(FrozenInstanceError):
        Multiverse((GROWN,), 15.0).cytoplasm_um = 2.0


def test_a_division_that_is_none_is_named_by_patch_and_variant(monkeypatch, maps):
    broken = division(1, 2)
    broken.memberships[0] += 0.5
    monkeypatch.setattr(module, "variations", lambda *_: [broken])
    with pytest.raises(AttributionError, match=r"a \(grown\)"):
        Multiverse((VARIANTS[0], GROWN), 15.0).rows(IDENTITY, [0, 1, 2], ["x", "y", "z"], USUAL, maps)
