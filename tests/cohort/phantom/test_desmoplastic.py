"""Desmoplastic stroma: many long nuclei that lie in fibres, along them, without cytoplasm."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import regionprops

from saliency_stats.cohort.phantom import nests
from saliency_stats.cohort.phantom.cells import EPITHELIAL, LYMPHOCYTE, PLASMA, SPINDLE
from saliency_stats.cohort.phantom.desmoplastic import _stream, build
from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.cohort.phantom.texture import PlaneWaves
from saliency_stats.vocabulary import COMPARTMENT_CODES

STROMA, CYTOPLASM = COMPARTMENT_CODES["stroma"], COMPARTMENT_CODES["cytoplasm"]


@pytest.fixture(scope="module")
def drawn():
    return [build(np.random.default_rng(seed), (160, 160), 0.5, 1.25) for seed in range(8)]


def test_most_nuclei_in_stroma_are_long_and_have_no_cytoplasm():
    elongation, beside = [], []
    for seed in range(6):
        patch = Phantom("none", size_px=160, architecture="desmoplastic").render(np.random.default_rng(seed), "benign")
        for one in regionprops(patch.instances):
            inner = one.bbox[0] > 0 and one.bbox[1] > 0 and one.bbox[2] < 160 and one.bbox[3] < 160
            ring = ndimage.binary_dilation(patch.instances == one.label, iterations=2) & (patch.instances == 0)
            if inner and (patch.truth[ring] == STROMA).mean() > 0.7:
                elongation.append(one.axis_major_length / one.axis_minor_length)
                beside.append((patch.truth[ring] == CYTOPLASM).mean())
    assert len(elongation) > 100
    assert np.median(elongation) > 2.3
    assert np.median(beside) < 0.1


def test_fibroblasts_are_more_than_in_nests(drawn):
    usual = [nests.build(np.random.default_rng(seed), (160, 160), 0.5, 1.25) for seed in range(8)]
    per_area = [
        sum(each.cells.spindle.sum() for each in many) / sum(each.stroma.mean() for each in many)
        for many in (drawn, usual)
    ]
    assert per_area[0] > 1.6 * per_area[1]


def test_epithelium_lies_in_nests_and_spindles_in_stroma(drawn):
    for each in drawn:
        for kind, stroma in ((EPITHELIAL, False), (SPINDLE, True)):
            middle = np.floor(each.cells.centre_um[each.cells.kind == kind] / 0.5).astype(int)
            inside = ((middle >= 0) & (middle < 160)).all(axis=1)
            here = each.stroma[tuple(middle[inside].T)]
            assert (here == stroma).mean() > 0.75


def test_only_inflammatory_cells_have_a_rim(drawn):
    owners = np.concatenate([each.cells.kind[each.nearest[each.body & (each.distance_um > 0)]] for each in drawn])
    assert set(np.unique(owners)) == {LYMPHOCYTE, PLASMA}


def test_the_ground_is_as_dense_or_denser_than_usual(drawn):
    tint = np.array([each.stroma_tint.ravel() for each in drawn])
    assert tint.shape == (8, 2)
    assert ((tint[:, 0] >= 1) & (tint[:, 0] <= 2.6)).all()
    assert ((tint[:, 1] >= 0.95) & (tint[:, 1] <= 1.3)).all()


def test_fibroblasts_follow_the_bent_fibres(drawn):
    cosines = []
    for each in drawn:
        y, x = np.indices((160, 160)) * 0.5
        # the coordinate whose level lines are the fibres
        across = y * np.cos(each.fibre_angle) - x * np.sin(each.fibre_angle) + each.bend_um
        slope = np.stack(np.gradient(across), axis=-1)
        middle = np.floor(each.cells.centre_um / 0.5).astype(int)
        chosen = each.cells.spindle & ((middle > 1) & (middle < 158)).all(axis=1)
        here = slope[tuple(middle[chosen].T)]
        angle = each.cells.angle[chosen]
        along = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        cosines.append(np.abs((here * along).sum(axis=1)) / np.linalg.norm(here, axis=1))
    assert np.median(np.concatenate(cosines)) < 0.15  # the cosine to the direction across: nuclei lie along


def test_straight_fibres_have_one_direction():
    wave = PlaneWaves.draw(np.random.default_rng(0), 30.0, 30.0, 0.0)
    at = np.random.default_rng(1).uniform(0, 50, (9, 2))
    assert _stream(wave, 0.0, 0.7, at) == pytest.approx(np.full(9, 0.7))
    assert np.ptp(_stream(wave, 8.0, 0.7, at)) > 0.1
