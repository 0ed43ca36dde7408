"""Mixed fields: fat, vessels, necrosis and keratin stand in nests, and leave room for them."""

import numpy as np
import pytest
from scipy import ndimage

from saliency_stats.cohort.phantom.cells import SPINDLE, Cells
from saliency_stats.cohort.phantom.ellipses import ellipse_distance
from saliency_stats.cohort.phantom.mixed import _FAT, _KERATIN, _NECROSIS, _VESSEL, _islands, _not_too_many, build

SIDE = 100.0


def islands(seed):
    """As ``build`` draws them first."""
    rng = np.random.default_rng(seed)
    return _islands(rng, (SIDE, SIDE), 0.3)


@pytest.fixture(scope="module")
def drawn():
    return [build(np.random.default_rng(seed), (200, 200), 0.5, 1.25) for seed in range(16)]


def coverage(some):
    y, x = np.indices((50, 50)) * 2.0 + 1
    grid = np.stack([y, x], axis=-1).reshape(-1, 1, 2)
    return (ellipse_distance(grid, some.centre_um, some.axes_um, some.angle) < 0).any(axis=1).mean()


def test_islands_of_every_kind_cover_at_most_half():
    many = [islands(seed) for seed in range(40)]
    assert {int(kind) for each in many for kind in each.kind} == {_FAT, _VESSEL, _NECROSIS, _KERATIN}
    covered = np.array([coverage(each) for each in many])
    assert covered.max() < 0.55
    assert covered.max() > 0.4
    with_fat = np.array([(each.kind == _FAT).any() for each in many])
    assert 0.2 < with_fat.mean() < 0.95


def test_of_islands_that_cover_too_much_the_earlier_stay():
    def row(*radii):
        n = len(radii)
        return Cells(
            np.array([[25.0, 50.0], [75.0, 50.0], [50.0, 50.0]][:n]),
            np.array([[r, r] for r in radii], dtype=float),
            np.zeros(n),
            np.zeros(n),
            np.arange(n),
        )

    # circles of 13, 28 and 31 per cent of the field
    assert _not_too_many(row(20, 30), (SIDE, SIDE)).kind.tolist() == [0, 1]
    assert _not_too_many(row(20, 45), (SIDE, SIDE)).kind.tolist() == [0]
    assert _not_too_many(row(60, 20), (SIDE, SIDE)).kind.tolist() == [1]
    # one within another covers no more
    assert _not_too_many(row(30, 20, 8), (SIDE, SIDE)).kind.tolist() == [0, 1, 2]
    none = _not_too_many(row(300), (SIDE, SIDE))
    assert len(none.kind) == 1
    assert none.centre_um.max() < -900


def test_adipocytes_are_empty_and_large_and_their_walls_thin(drawn):
    widths = []
    for each in drawn:
        empty = each.gap & (each.matter.sum(axis=0) == 0)
        parts, n = ndimage.label(ndimage.binary_opening(empty, iterations=6))
        widths += [2 * ndimage.distance_transform_edt(parts == part).max() * 0.5 for part in range(1, n + 1)]
    assert len(widths) > 10
    assert max(widths) > 25
    # two vacuoles that meet: what lies between them is stroma, about 1 µm
    thin = sum((~ndimage.binary_closing(~each.stroma, iterations=2) ^ each.stroma).sum() for each in drawn)
    assert thin > 50


def test_blood_necrosis_and_keratin_fill_their_gaps(drawn):
    filled = [each.gap & (each.matter[1] > 0.1) for each in drawn]
    assert sum(each.any() for each in filled) > 12
    dust = [each.matter[0][mask] > 0.4 for each, mask in zip(drawn, filled, strict=True)]
    assert sum(each.sum() for each in dust) > 50
    for each in drawn:
        assert each.matter.shape == (2, 200, 200)
        assert each.matter.dtype == np.float32
        assert not each.matter[:, ~each.gap].any()


def test_no_nucleus_lies_in_an_island_but_endothelium_lines_vessels(drawn):
    for each in drawn:
        hollow = ndimage.binary_opening(each.gap, iterations=8)
        nucleus = (each.distance_um < -0.5) & hollow
        assert nucleus.sum() < 0.02 * max(hollow.sum(), 1)
    flat = [(each.cells.axes_um[each.cells.kind == SPINDLE].prod(axis=1) ** 0.5 < 2.9).sum() for each in drawn]
    assert sum(count > 3 for count in flat) >= 5


def test_gaps_are_no_stroma(drawn):
    for each in drawn:
        assert not (each.stroma & each.gap).any()
        assert each.stroma.mean() > 0.08
        assert (~each.stroma & ~each.gap).mean() > 0.1


def test_a_field_too_small_for_anything_still_has_a_cell():
    for seed in range(60):
        assert len(build(np.random.default_rng(seed), (20, 20), 0.25, 1.25).cells.kind) > 0
