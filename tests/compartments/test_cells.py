from dataclasses import replace

import numpy as np
import pytest
from skimage.transform import resize

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import FibreParameters, concentrations, estimate_stains
from saliency_stats.compartments.cells import (
    ASKED_UM,
    CELL_SCALE,
    _maxima,
    asked_um,
    nuclear_radius_um,
    reach_um,
    weighed,
)
from saliency_stats.errors import CompartmentError

SHAPE = (64, 64)
EVERYWHERE = np.ones(SHAPE, bool)
#: As blue as pink, without a direction.
PLAIN = np.stack([np.full(SHAPE, 0.2), np.full(SHAPE, 0.2)])
#: Everything within reach is cytoplasm: for what is not about fibre.
ALL = FibreParameters(threshold=-1e6)


def cytoplasm(instances, tissue, stained, mpp, reach=15.0, parameters=FibreParameters(), **more):  # noqa: B008 - frozen
    return weighed(instances, tissue, stained, mpp, reach, parameters, **more).within(reach, parameters.threshold)


def disc(radius, centre=(32, 32), number=1, instances=None):
    instances = np.zeros(SHAPE, np.int32) if instances is None else instances
    y, x = np.indices(SHAPE)
    instances[np.hypot(y - centre[0], x - centre[1]) <= radius] = number
    return instances


def two_nuclei():
    instances = np.zeros(SHAPE, np.int32)
    instances[20:28, 20:28] = 1
    instances[20:28, 36:44] = 2
    return instances


@pytest.mark.parametrize("mpp", [0.5, 1.0])
@pytest.mark.parametrize("reach", [2.0, 5.0])
def test_cytoplasm_reaches_as_far_as_asked(mpp, reach):
    instances = np.zeros(SHAPE, np.int32)
    instances[:, :20] = 7
    cells = cytoplasm(instances, EVERYWHERE, PLAIN, mpp, reach, ALL)
    assert set(np.unique(cells)) == {0, 7}
    # the border lies at x = 20 px; a pixel belongs if its centre is within reach
    expected = np.flatnonzero((np.arange(64) + 0.5 - 20) * mpp <= reach)
    np.testing.assert_array_equal(np.flatnonzero(cells[0]), expected[expected >= 20])


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 4])
def test_a_pixel_exactly_at_the_reach_belongs_to_the_cell_and_none_beyond(mpp, n):
    instances = np.zeros(SHAPE, np.int32)
    instances[:, :32] = 1
    # the centre of the n-th pixel beyond the border
    reach = (n - 0.5) * mpp
    for given, expected in ((reach, n), (np.nextafter(reach, 0), n - 1), (np.nextafter(reach, 99), n)):
        found = weighed(instances, EVERYWHERE, PLAIN, mpp, given, ALL).within(given, -1e6)
        assert (found[10] > 0).sum() == expected


@pytest.mark.parametrize("cell_scale", [1.5, 2.0])
def test_a_pixel_exactly_at_so_many_radii_belongs_to_the_cell(cell_scale):
    # a disc of 4 π px² would have the radius 2 px; a square of 4 x 4 has 4 / √π
    instances = np.zeros(SHAPE, np.int32)
    instances[30:34, 30:34] = 1
    radius_px = 4 / np.sqrt(np.pi)
    mpp = 1.0 / ((cell_scale - 1) * radius_px) * 0.5
    reach = (cell_scale - 1) * radius_px * mpp
    assert reach == pytest.approx(0.5)
    found = cytoplasm(instances, EVERYWHERE, PLAIN, mpp, 50.0, ALL, cell_scale=cell_scale)
    steps = np.arange(1, 30) - 0.5
    assert (found[31, 34:] > 0).sum() == (steps * mpp <= reach).sum()


def test_a_reach_beyond_what_is_usually_asked_for_is_asked_for_whole():
    assert (asked_um(2.0), asked_um(15.0), asked_um(20.25)) == (ASKED_UM, ASKED_UM, 20.25)
    instances = np.zeros((64, 160), np.int32)
    instances[:, :60] = 1
    everywhere, plain = np.ones((64, 160), bool), np.full((2, 64, 160), 0.2)
    found = weighed(instances, everywhere, plain, 0.5, 20.25, ALL)
    assert [(found.within(reach, -1e6)[10] > 0).sum() for reach in (20.25, 20.0, 15.0)] == [41, 40, 30]
    assert np.isfinite(found.odds).sum() == 64 * 41


def test_the_threshold_is_exceeded_not_met():
    instances = np.zeros(SHAPE, np.int32)
    instances[:, :32] = 1
    found = weighed(instances, EVERYWHERE, PLAIN, 0.5, 5.0)
    flat = replace(found, odds=np.where(np.isfinite(found.odds), 1.5, -np.inf))
    assert not flat.within(5.0, 1.5).any()
    assert (flat.within(5.0, np.nextafter(1.5, 0)) > 0).any()


def test_odds_of_a_phantom_are_those_of_the_shipped_rule():
    patch = Phantom(size_px=96).render(np.random.default_rng(11), "benign")
    stains = estimate_stains([patch.image])
    found = weighed(patch.instances, patch.truth > 0, concentrations(patch.image, stains), 0.5, maxima=stains.maxima)
    odds = found.odds[np.isfinite(found.odds)]
    assert len(odds) == 6934
    assert (odds.mean(), odds.std()) == pytest.approx((-0.1956, 8.2854), rel=0.01, abs=0.01)
    areas = [(found.within(reach, 0.0) > 0).sum() for reach in (15.0, 3.0)]
    assert areas == pytest.approx([3716, 2532], abs=10)


def test_without_the_slides_maxima_those_of_the_image_stand_in():
    patch = Phantom(size_px=96).render(np.random.default_rng(11), "benign")
    tissue, stained = patch.truth > 0, concentrations(patch.image, estimate_stains([patch.image]))
    own = tuple(np.percentile(stained[:, tissue], 99.0, axis=1).tolist())
    told, left_out = (weighed(patch.instances, tissue, stained, 0.5, maxima=maxima).odds for maxima in (own, None))
    np.testing.assert_array_equal(told, left_out)
    assert _maxima(stained, np.zeros((96, 96), bool)) == (1.0, 0.5)
    assert _maxima(np.zeros((2, 96, 96)), tissue) == (0.05, 0.05)


def test_small_nuclei_get_thin_rims_and_large_ones_wide_ones():
    for radius in (3, 6, 14):
        nucleus = disc(radius)
        cells = cytoplasm(nucleus, EVERYWHERE, PLAIN, 0.5, 5.0, ALL, cell_scale=1.5)
        rim_um = ((cells[32] > 0).sum() / 2) * 0.5
        assert rim_um == pytest.approx(min(0.5 * radius * 0.5, 5.0), abs=0.5)
    wide = cytoplasm(disc(3), EVERYWHERE, PLAIN, 0.5, 5.0, ALL, cell_scale=3.0)
    assert (wide > 0).sum() > (cytoplasm(disc(3), EVERYWHERE, PLAIN, 0.5, 5.0, ALL, cell_scale=1.5) > 0).sum()


def test_reach_is_that_of_the_disc_of_equal_area_and_bounded():
    instances = disc(4, (12, 12), 2, disc(12))
    area_um2 = np.bincount(instances.ravel()) * 0.25
    reach = reach_um(nuclear_radius_um(instances, 0.5), 5.0, 2.0)
    assert reach[0] == 0
    assert reach[1] == 5.0
    assert reach[2] == pytest.approx(np.sqrt(area_um2[2] / np.pi))


def test_cytoplasm_belongs_to_the_nearest_nucleus_and_lies_outside_nuclei():
    instances = two_nuclei()
    cells = cytoplasm(instances, EVERYWHERE, PLAIN, 0.5, 10.0, ALL, cell_scale=10.0)
    assert not cells[instances > 0].any()
    assert (cells[20:28, 28:32] == 1).all()
    assert (cells[20:28, 32:36] == 2).all()


def test_touching_nuclei_keep_their_own_cells():
    instances = np.zeros(SHAPE, np.int32)
    instances[28:36, 24:32] = 5
    instances[28:36, 32:40] = 3
    cells = cytoplasm(instances, EVERYWHERE, PLAIN, 0.5, 3.0, ALL)
    assert set(np.unique(cells)) == {0, 3, 5}
    assert set(np.unique(cells[:, :32])) == {0, 5}
    assert set(np.unique(cells[:, 32:])) == {0, 3}


def test_cytoplasm_is_tissue():
    tissue = EVERYWHERE.copy()
    tissue[:24] = False
    cells = cytoplasm(two_nuclei(), tissue, PLAIN, 0.5, 5.0, ALL)
    assert not cells[:24].any()
    assert cells[24:].any()


def test_a_gap_ends_the_cell():
    tissue = EVERYWHERE.copy()
    tissue[:, 42:44] = False
    cells = cytoplasm(disc(8), tissue, PLAIN, 0.5, 5.0, ALL)
    whole = cytoplasm(disc(8), EVERYWHERE, PLAIN, 0.5, 5.0, ALL)
    assert whole[:, 44:].any()
    assert not cells[:, 42:].any()
    np.testing.assert_array_equal(cells[:, :42], whole[:, :42])


def test_a_nucleus_alone_in_a_gap_gets_nothing_from_the_tissue_around():
    cells = cytoplasm(disc(6), disc(8) == 0, PLAIN, 0.5, 5.0, ALL)
    assert not cells.any()


def test_a_cell_does_not_hang_on_to_another_nucleus():
    # tissue nearest to nucleus 2, cut off from it, though connected to the cell of nucleus 1
    tissue = EVERYWHERE.copy()
    tissue[:, 34:36] = False
    cells = cytoplasm(two_nuclei(), tissue, PLAIN, 0.5, 5.0, ALL)
    assert not (cells[:, :34] == 2).any()
    assert (cells[:, 36:] == 2).any()


def test_no_nuclei_no_cytoplasm():
    assert not cytoplasm(np.zeros(SHAPE, np.int32), EVERYWHERE, PLAIN, 0.5).any()


def test_no_tissue_no_cytoplasm():
    assert not cytoplasm(two_nuclei(), ~EVERYWHERE, PLAIN, 0.5).any()


def test_only_nuclei_no_cytoplasm():
    assert not cytoplasm(np.ones(SHAPE, np.int32), EVERYWHERE, PLAIN, 0.5).any()


def test_a_nucleus_of_one_pixel_at_the_corner():
    instances = np.zeros(SHAPE, np.int32)
    instances[0, 0] = 1
    cells = cytoplasm(instances, EVERYWHERE, PLAIN, 0.5, 5.0, ALL)
    assert 0 < (cells > 0).sum() < 10


def planted():
    """Left: spindle nuclei between pink, drawn-out fibres. Right: round nuclei, crowded, in pale cytoplasm."""
    rng = np.random.default_rng(0)
    shape = (128, 128)
    y, x = np.indices(shape)
    left = x < 64
    eosin = np.where(left, 0.35 + 0.15 * np.sin(y * 1.1), 0.25 + 0.03 * rng.standard_normal(shape))
    haematoxylin = np.where(left, 0.05, 0.15 + 0.02 * rng.standard_normal(shape))
    instances = np.zeros(shape, np.int32)
    number = 0
    for row in range(10, 128, 20):
        for column in (20, 48):
            number += 1
            instances[((y - row) / 2.5) ** 2 + ((x - column) / 9) ** 2 < 1] = number
    for row in range(8, 128, 15):
        for column in range(74, 128, 15):
            number += 1
            instances[(y - row) ** 2 + (x - column) ** 2 < 5.5**2] = number
    stained = np.stack([haematoxylin, eosin])
    stained[0][instances > 0] = 0.6
    return instances, np.ones(shape, bool), stained


def test_a_nucleus_in_fibre_gets_no_cytoplasm_and_one_in_cytoplasm_does():
    instances, tissue, stained = planted()
    near = cytoplasm(instances, tissue, stained, 0.5, 5.0, ALL) > 0
    cells = cytoplasm(instances, tissue, stained, 0.5) > 0
    assert cells[:, :60].sum() < 0.05 * near[:, :60].sum()
    assert cells[:, 68:].sum() > 0.95 * near[:, 68:].sum()


@pytest.mark.parametrize("flip", [np.flipud, np.fliplr, np.rot90])
def test_a_flipped_image_gives_flipped_cells(flip):
    instances, tissue, stained = planted()
    cells = cytoplasm(instances, tissue, stained, 0.5) > 0
    turned = cytoplasm(
        np.ascontiguousarray(flip(instances)), tissue, np.stack([flip(stained[0]), flip(stained[1])]), 0.5
    )
    # a pixel as far from one nucleus as from another goes to either
    assert (flip(cells) != (turned > 0)).mean() < 0.002


def test_phantoms_are_divided_better_than_by_distance():
    rng = np.random.default_rng(5)
    phantom = Phantom()
    decided, distance = [], []
    for _ in range(4):
        patch = phantom.render(rng, "benign")
        stains = estimate_stains([patch.image])
        stained = concentrations(patch.image, stains)
        tissue = patch.truth > 0
        truth = (patch.truth == 2)[tissue & (patch.instances == 0)]
        for found, rule in ((decided, FibreParameters()), (distance, ALL)):
            cells = cytoplasm(patch.instances, tissue, stained, 0.5, 5.0, rule, maxima=stains.maxima)
            found.append(((cells > 0)[tissue & (patch.instances == 0)] == truth).mean())
    assert np.mean(decided) > 0.84
    assert np.mean(decided) > np.mean(distance) + 0.1


def test_cells_that_stream_in_one_direction_are_no_fibre():
    rng = np.random.default_rng(5)
    phantom, right = Phantom(), []
    for _ in range(4):
        patch = phantom.render(rng, "benign")
        height, width = patch.truth.shape
        shape = (round(1.5 * height), round(width / 1.5))
        image = resize(patch.image, (*shape, 3), order=1, preserve_range=True, anti_aliasing=True).astype(np.uint8)
        nuclei, truth = (
            resize(mask, shape, order=0, preserve_range=True, anti_aliasing=False).astype(np.int32)
            for mask in (patch.instances, patch.truth)
        )
        stains = estimate_stains([image])
        cells = cytoplasm(nuclei, truth > 0, concentrations(image, stains), 0.5, maxima=stains.maxima) > 0
        asked = (truth > 0) & (nuclei == 0)
        right.append((cells == (truth == 2))[asked].mean())
    # 0.93; a rule that has seen no stretched tissue finds direction in it and gets 0.86
    assert np.mean(right) > 0.9


@pytest.mark.parametrize("scale", [1.0, 0.0, float("nan"), float("inf")])
def test_a_cell_is_larger_than_its_nucleus(scale):
    assert CELL_SCALE > 1
    with pytest.raises(CompartmentError, match="cell_scale"):
        cytoplasm(two_nuclei(), EVERYWHERE, PLAIN, 0.5, cell_scale=scale)
