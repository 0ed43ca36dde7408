"""Glands: a palisade of nuclei on the outline, goblets above, a lumen within, plasma cells and lymphocytes around."""

import numpy as np
import pytest
from scipy import ndimage

from saliency_stats.cohort.phantom.cells import COLUMNAR, HISTIOCYTE, LYMPHOCYTE, PLASMA, SPINDLE, Cells
from saliency_stats.cohort.phantom.gland import _epithelium, _Glands, _propria, build
from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.cohort.phantom.texture import PlaneWaves
from saliency_stats.vocabulary import COMPARTMENT_CODES

FLAT = PlaneWaves(np.zeros((1, 2)), np.full(1, np.pi / 2))


def glands(bays=FLAT, growth=0.0, radius=30.0):
    one = Cells(np.array([[50.0, 50.0]]), np.full((1, 2), radius), np.zeros(1), np.zeros(1), np.zeros(1, dtype=int))
    return _Glands(one, bays, growth)


@pytest.fixture(scope="module")
def drawn():
    return [build(np.random.default_rng(seed), (200, 200), 0.5, 1.25) for seed in range(8)]


def test_the_depth_of_a_round_gland_is_the_distance_to_its_outline():
    at = np.array([[50.0, 50.0 + r] for r in (10, 30, 45)])
    assert glands().depth(at, np.zeros(3, dtype=int)) == pytest.approx([-20, 0, 15], abs=0.01)
    assert glands(growth=4.0).depth(at, np.zeros(3, dtype=int)) == pytest.approx([-24, -4, 11], abs=0.01)
    assert glands(growth=4.0).above(at) == pytest.approx([-24, -4, 11], abs=0.01)


def test_points_move_to_the_depth_asked_for_also_where_the_outline_has_bays():
    bent = glands(PlaneWaves.draw(np.random.default_rng(1), 13.0, 13.0, 0.0), growth=-3.0)
    turn = np.linspace(0, 6, 40)
    point = np.stack([50 + 30 * np.sin(turn), 50 + 30 * np.cos(turn)], axis=1)
    owner = np.zeros(40, dtype=int)
    moved, left = bent.inwards(owner, point, np.full(40, -8.0))
    assert bent.depth(moved, owner) == pytest.approx(np.full(40, -8.0), abs=0.3)
    assert left == pytest.approx(np.hypot(*(moved - 50).T), abs=1e-9)
    # no further than the middle
    middle, left = bent.inwards(owner, point, np.full(40, -80.0))
    assert (left == 0).all()
    np.testing.assert_allclose(middle, 50)


def test_columnar_nuclei_stand_upright_on_the_outline_and_goblets_above_them():
    lining, vacuoles = _epithelium(np.random.default_rng(2), glands(), 1.25, 20.0, 1.0)
    away = lining.centre_um - 50
    depth = 30 - np.linalg.norm(away, axis=1)
    assert len(depth) > 15
    assert (lining.kind == COLUMNAR).all()
    assert (depth > lining.axes_um[:, 0] + 0.9).all()
    assert np.median(depth) < 11
    along = np.stack([np.sin(lining.angle), np.cos(lining.angle)], axis=1)
    assert np.median(np.abs((along * away).sum(axis=1)) / np.linalg.norm(away, axis=1)) > 0.95
    middle = 30 - np.linalg.norm(vacuoles.centre_um - 50, axis=1)
    assert middle == pytest.approx(np.full(len(middle), 13.0), abs=0.1)
    assert len(middle) > 10
    assert not len(_epithelium(np.random.default_rng(2), glands(), 1.25, 20.0, 0.0)[1].kind)


def test_a_small_gland_has_no_nuclei_in_its_middle():
    lining, vacuoles = _epithelium(np.random.default_rng(2), glands(radius=9.0), 1.25, 20.0, 1.0)
    assert (np.linalg.norm(lining.centre_um - 50, axis=1) > 4.0).all()
    assert not len(vacuoles.kind)


def test_cells_of_the_lamina_propria_keep_out_of_the_epithelium():
    cells = _propria(np.random.default_rng(3), glands(), (100.0, 100.0), 0.4, 1.2)
    away = np.linalg.norm(cells.centre_um - 50, axis=1) - 30
    assert (away > np.sqrt(cells.axes_um.prod(axis=1)) + 0.75).all()
    share = {kind: (cells.kind == kind).mean() for kind in (PLASMA, LYMPHOCYTE, SPINDLE, HISTIOCYTE)}
    assert sum(share.values()) == pytest.approx(1)
    assert min(share[PLASMA], share[LYMPHOCYTE]) > 0.25
    assert 0.1 < share[SPINDLE] < 0.35
    assert 0.45 < np.cos(cells.angle[cells.kind == SPINDLE] - 0.4).mean() <= 1
    assert cells.angle[cells.kind == PLASMA].max() > np.pi  # to all sides
    sparse = _propria(np.random.default_rng(3), glands(), (100.0, 100.0), 0.4, 1.7)
    assert len(sparse.kind) < 0.75 * len(cells.kind)


def test_stroma_holds_its_drawn_share_of_the_patch(drawn):
    for each in drawn:
        beyond = each.stroma | (each.body & (each.cells.kind[each.nearest] != COLUMNAR))
        assert 0.2 < beyond.mean() < 0.56


def test_lumens_and_vacuoles_lie_inside_the_epithelium():
    found = enclosed = 0
    for seed in range(8):
        truth = Phantom("none", size_px=200, architecture="gland").render(np.random.default_rng(seed), "benign").truth
        parts, n = ndimage.label(truth == COMPARTMENT_CODES["background"])
        for part in range(1, n + 1):
            hole = parts == part
            if hole.sum() < 400 or hole[[0, -1]].any() or hole[:, [0, -1]].any():
                continue
            ring = truth[ndimage.binary_dilation(hole, iterations=2) & ~hole]
            found += 1
            enclosed += (ring == COMPARTMENT_CODES["stroma"]).mean() < 0.05
    assert found >= 6
    assert enclosed >= 0.8 * found


def test_mucin_is_pale_and_fills_the_vacuoles(drawn):
    for each in drawn:
        assert each.matter.shape == (2, *each.gap.shape)
        assert each.matter.min() >= 0
        assert each.matter[:, each.gap].max() < 0.35
    assert np.mean([each.matter[0][each.gap].mean() for each in drawn]) > 0.005


def test_nuclei_of_epithelium_and_stroma_do_not_lie_on_each_other(drawn):
    for each in drawn:
        nucleus = each.distance_um < -0.3
        columnar = each.cells.kind[each.nearest] == COLUMNAR
        assert (each.body[nucleus & columnar]).mean() < 0.02
        assert not (each.stroma & each.gap).any()
        assert each.distance_um.max() < 8
