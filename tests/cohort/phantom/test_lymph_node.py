"""Lymph node: small cells with a thin rim, few larger ones, trabeculae, and a sinus that is mostly open."""

import numpy as np
import pytest
from scipy import ndimage

from saliency_stats.cohort.phantom.cells import CENTROBLAST, HISTIOCYTE, LYMPHOCYTE, PLASMA, SPINDLE
from saliency_stats.cohort.phantom.lymph_node import build
from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.vocabulary import COMPARTMENT_CODES

NUCLEUS, CYTOPLASM = COMPARTMENT_CODES["nucleus"], COMPARTMENT_CODES["cytoplasm"]


@pytest.fixture(scope="module")
def drawn():
    return [build(np.random.default_rng(seed), (160, 160), 0.5, 1.25) for seed in range(10)]


def test_most_cells_are_small_and_their_rim_is_one_to_two_micrometres():
    diameter, rim = [], []
    for seed in range(6):
        phantom = Phantom("none", size_px=256, mpp=0.25, architecture="lymph_node")
        patch = phantom.render(np.random.default_rng(seed), "benign")
        area = np.bincount(patch.instances.ravel())[1:]
        diameter += list(2 * np.sqrt(area / np.pi) * 0.25)
        away = ndimage.distance_transform_edt(patch.truth != NUCLEUS) * 0.25
        cell = (patch.truth == NUCLEUS) | (patch.truth == CYTOPLASM)
        outer = cell & ~ndimage.binary_erosion(cell, border_value=1) & (patch.truth == CYTOPLASM)
        rim += list(away[outer])
    assert 4.5 < np.median(diameter) < 7.5
    assert 0.5 < np.median(rim) < 2.5


def test_lymphocytes_are_most_and_larger_cells_are_among_them(drawn):
    kinds = np.concatenate([each.cells.kind for each in drawn])
    share = {kind: (kinds == kind).mean() for kind in (LYMPHOCYTE, CENTROBLAST, HISTIOCYTE, PLASMA, SPINDLE)}
    assert sum(share.values()) == pytest.approx(1)
    assert share[LYMPHOCYTE] > 0.5
    assert 0.05 < share[CENTROBLAST] < 0.35
    for few in (HISTIOCYTE, PLASMA, SPINDLE):
        assert 0.01 < share[few] < 0.15


def test_germinal_centres_hold_the_large_cells(drawn):
    per_field = np.array([(each.cells.kind == CENTROBLAST).mean() for each in drawn])
    assert per_field.max() > 3 * per_field.min()


def test_spindle_nuclei_lie_in_trabeculae_along_them(drawn):
    tilt, inside = [], []
    for each in drawn:
        spindle = each.cells.spindle
        tilt.append(np.cos(each.cells.angle[spindle] - each.fibre_angle))
        middle = np.floor(each.cells.centre_um[spindle] / 0.5).astype(int)
        here = ((middle >= 0) & (middle < 160)).all(axis=1)
        inside.append(each.stroma[tuple(middle[here].T)])
    assert np.concatenate(tilt).min() > 0.5
    assert np.concatenate(inside).mean() > 0.8


def test_trabeculae_are_dense_and_reticulum_is_pale(drawn):
    for each in drawn:
        assert each.stroma_tint.shape == (2, *each.stroma.shape)
        eosin = np.unique(each.stroma_tint[1])
        assert len(eosin) == 2
        assert 0.55 <= eosin[0] <= 0.85 < eosin[1] == 1
        trabecula = each.stroma_tint[1] == 1
        assert 0.07 < trabecula.mean() < 0.23
        assert each.stroma[trabecula].all()
        assert (each.stroma_tint[0][~trabecula] > 0.6).all()


def test_a_sinus_is_open_and_crossed_by_threads(drawn):
    """The largest open spaces hold few cells and thin threads of reticulum."""
    for each in drawn:
        open_ = each.gap & ~each.body & (each.distance_um > 0)
        assert 0.05 < open_.mean() < 0.4
    widest = max(ndimage.distance_transform_edt(each.gap & ~each.body).max() * 0.5 for each in drawn)
    assert widest > 3


def test_what_fills_the_gaps_is_a_film_or_blood(drawn):
    eosin = np.array([np.quantile(each.matter[1], [0.5, 0.99]) for each in drawn])
    assert eosin[:, 0].max() < 0.1
    assert eosin[:, 1].max() > 0.4  # a field with blood
    assert eosin[:, 1].min() < 0.1  # and one without
    assert all(each.matter.min() >= 0 for each in drawn)


def test_gap_and_stroma_part_the_ground(drawn):
    for each in drawn:
        np.testing.assert_array_equal(each.gap, ~each.stroma)
        assert each.body[each.distance_um < -1][
            each.cells.kind[each.nearest][each.distance_um < -1] == LYMPHOCYTE
        ].all()
