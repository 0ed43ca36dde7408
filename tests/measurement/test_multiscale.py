"""Compartments carried down: areas are kept, memberships sum to 1, the middle is the middle."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.compartments import CompartmentParameters, Segmentation, downsample
from saliency_stats.execution.names import file_name
from saliency_stats.measurement import multiscale as module
from saliency_stats.measurement.multiscale import MultiscaleCompartments, downscaled


def field(seed, side):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (side, side))
    shares = (np.arange(4)[:, None, None] == codes).astype(np.uint8) * 255
    return shares, rng.integers(0, 9, (side, side)).astype(np.int32)


@settings(deadline=None)
@given(st.integers(0, 99), st.sampled_from([1, 2, 4, 8]))
def test_every_compartment_keeps_its_area_and_memberships_sum_to_one(seed, factor):
    shares, instances = field(seed, 128)
    found = downscaled(shares, instances, np.zeros(9), factor, 16)
    assert found.memberships.shape == (4, 16, 16)
    np.testing.assert_allclose(found.memberships.sum(axis=0), 1, atol=1e-6)
    start = (128 - 16 * factor) // 2
    middle = shares[:, start : start + 16 * factor, start : start + 16 * factor] / 255
    area = found.memberships.astype(np.float64).sum(axis=(1, 2)) * factor**2
    np.testing.assert_allclose(area, middle.sum(axis=(1, 2)), rtol=1e-6)


def test_two_magnifications_see_the_same_tissue_in_their_common_field():
    shares, instances = field(3, 64)
    fine = downscaled(shares, instances, np.zeros(9), 2, 16).memberships
    coarse = downscaled(shares, instances, np.zeros(9), 4, 16).memberships
    blocks = fine.reshape(4, 8, 2, 8, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(coarse[:, 4:12, 4:12], blocks, atol=1e-6)


def test_nuclei_are_those_at_the_middle_of_the_coarse_pixels():
    instances = np.zeros((8, 8), dtype=np.int32)
    instances[2:4, 2:6] = 7
    shares = np.zeros((4, 8, 8), dtype=np.uint8)
    shares[0] = 255
    found = downscaled(shares, instances, np.array([np.nan] * 6 + [0.9]), 2, 4)
    assert found.instances.tolist() == [[0, 0, 0, 0], [0, 7, 7, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert found.probabilities[6] == 0.9


def test_shares_of_enlarged_pixels_are_kept():
    shares = np.zeros((4, 2, 2), dtype=np.uint8)
    shares[1], shares[2] = 128, 127
    found = downscaled(shares, np.zeros((2, 2), dtype=np.int32), np.zeros(0), 1, 2)
    assert found.memberships[1, 0, 0] == pytest.approx(128 / 255)


def test_a_place_that_two_workers_want_at_once_is_segmented_once(tmp_path, monkeypatch):
    begun = []

    def slowly(self, index, row, path):
        begun.append(index)
        time.sleep(0.05)
        shares, instances = field(1, 32)
        np.savez(path, shares=shares, instances=instances, probabilities=np.zeros(9), doubt=[])

    monkeypatch.setattr(MultiscaleCompartments, "_segment", slowly)
    tiling = SimpleNamespace(mpps=(0.5, 1.0), size_px=16)
    carried = MultiscaleCompartments(SimpleNamespace(tiling=tiling), tmp_path, None, CompartmentParameters(), {})
    rows = [pd.DataFrame({"patch_id": ["p1"], "mpp": [mpp]}, index=[place]) for place, mpp in enumerate(tiling.mpps)]
    with ThreadPoolExecutor(2) as pool:
        fine, coarse = pool.map(carried.segmentations, rows)
    assert len(begun) == 1
    assert fine[0].memberships.shape == coarse[0].memberships.shape == (4, 16, 16)


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:-50]), lambda path: path.unlink()])
def test_compartments_that_were_damaged_are_found_anew(tmp_path, monkeypatch, damage):
    begun = []

    def again(self, index, row, path):
        begun.append(path.name)
        shares, instances = field(1, 32)
        np.savez(path, shares=shares, instances=instances, probabilities=np.zeros(9), doubt=[])

    monkeypatch.setattr(MultiscaleCompartments, "_segment", again)
    cohort = SimpleNamespace(tiling=SimpleNamespace(mpps=(0.5, 1.0), size_px=16))
    carried = MultiscaleCompartments(cohort, tmp_path, None, CompartmentParameters(), {})
    rows = pd.DataFrame({"patch_id": ["p1"], "mpp": [1.0]})
    (first,) = carried.segmentations(rows)
    damage(tmp_path / "p1.npz")
    (second,) = carried.segmentations(rows)
    assert begun == ["p1.npz", "p1.npz"]
    np.testing.assert_array_equal(first.memberships, second.memberships)


TILING = SimpleNamespace(mpps=(2.0, 0.5), size_px=8, widest_um=16.0)


class Slides:
    """Stands for a cohort of slides; remembers which fields were read."""

    tiling = TILING

    def __init__(self):
        self.asked = []

    def field(self, index, side, mpp):
        self.asked.append((index, side, mpp))
        return np.full((side, side, 3), index, np.uint8)


@pytest.mark.parametrize("soft", [True, False])
def test_doubt_is_kept_for_the_part_that_a_patch_shows(tmp_path, monkeypatch, soft):
    shares, instances = field(2, 32)
    doubt = np.zeros((2, 32, 32), np.float32)
    doubt[0, :, 8:] = 1
    doubt[1, 12:16, 8:] = 1  # four of the eight rows in the middle
    seen = []

    def segment_batch(views, finder, tissue):
        seen.append(tissue)
        members = (shares / shares.sum(axis=0)).astype(np.float32)
        return [Segmentation(instances, members, np.zeros(0), doubt if soft else None)]

    monkeypatch.setattr(module, "view_of", lambda *_: "view")
    monkeypatch.setattr(module, "segment_batch", segment_batch)
    carried = MultiscaleCompartments(Slides(), tmp_path, "finder", CompartmentParameters(), {"g": "stains"}, "tissue")
    rows = pd.DataFrame({"patch_id": ["p", "p"], "mpp": [2.0, 0.5], "stain_group": "g"}, index=[4, 5])
    coarse, fine = pickle.loads(pickle.dumps(carried)).segmentations(rows)  # noqa: S301  (our own bytes)
    assert seen == ["tissue"]
    if not soft:
        assert coarse.doubt is fine.doubt is None
        return
    assert fine.doubtful_share == 0.5
    assert coarse.doubtful_share == 4 / 32
    assert coarse.doubt.shape == (2, 8, 8)
    assert coarse.doubt.dtype == np.float32
    np.testing.assert_array_equal(coarse.doubt[0], np.arange(8)[None] >= np.full((8, 1), 2))


def test_the_widest_field_is_segmented_at_the_finest_resolution_and_kept(tmp_path, monkeypatch):
    shares, instances = field(2, 32)
    members = (shares / 255 * np.linspace(0.5, 0.9, 32) + 0.05).astype(np.float32)
    seen = []

    def view_of(image, mpp, parameters, stains):
        seen.append((image.shape, mpp, parameters, stains))
        return "view"

    def segment_batch(views, finder, tissue):
        assert (views, finder, tissue) == (["view"], "finder", None)
        return [Segmentation(instances, members, np.arange(9.0))]

    monkeypatch.setattr(module, "view_of", view_of)
    monkeypatch.setattr(module, "segment_batch", segment_batch)
    slides, parameters = Slides(), CompartmentParameters(cytoplasm_um=7.0)
    carried = MultiscaleCompartments(slides, tmp_path, "finder", parameters, {"g": "stains of g"})
    rows = pd.DataFrame({"patch_id": ["../../p", "../../p"], "mpp": [2.0, 0.5], "stain_group": "g"}, index=[4, 5])
    coarse, fine = carried.segmentations(rows)
    assert slides.asked == [(4, 32, 0.5)]
    assert seen == [((32, 32, 3), 0.5, parameters, "stains of g")]
    kept = np.rint(members * 255)
    whole = kept / kept.sum(axis=0)
    np.testing.assert_allclose(coarse.memberships, downsample(whole, 4), atol=1e-6)
    np.testing.assert_allclose(fine.memberships, whole[:, 12:20, 12:20], atol=1e-6)
    np.testing.assert_array_equal(coarse.instances, instances[2::4, 2::4])
    np.testing.assert_array_equal(fine.instances, instances[12:20, 12:20])
    for found in (coarse, fine):
        assert found.memberships.dtype == np.float32
        assert found.probabilities.tolist() == list(range(9))
    assert [path.name for path in tmp_path.iterdir()] == [file_name("../../p", ".npz")]
    with pytest.raises(FrozenInstanceError):
        carried.folder = tmp_path / "other"
    assert "_locks" not in repr(carried)
    with pytest.raises(ValueError, match="init=False"):
        replace(carried, _locks={})
    # another process finds what is there
    other = pickle.loads(pickle.dumps(replace(carried, stains={})))  # noqa: S301  (our own bytes)
    np.testing.assert_array_equal(other.segmentations(rows)[0].memberships, coarse.memberships)
    assert other.cohort.asked == slides.asked
