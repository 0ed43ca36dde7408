import numpy as np
import pytest
from scipy import ndimage

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import NucleusParameters, concentrations, estimate_stains
from saliency_stats.compartments.nuclei import classical_nuclei, has_structure
from saliency_stats.errors import CompartmentError


def discs(shape, centres, radius_px, value=0.7, ground=0.05):
    y, x = np.indices(shape)
    h = np.full(shape, ground)
    for cy, cx in centres:
        h[np.hypot(y - cy, x - cx) <= radius_px] = value
    return ndimage.gaussian_filter(h, 0.7).astype(np.float32)


EVERYWHERE = np.ones((96, 96), bool)
GRID = [(y, x) for y in (20, 48, 76) for x in (20, 48, 76)]


@pytest.mark.parametrize("mpp", [0.25, 0.5])
def test_separate_discs_are_found_with_their_area(mpp):
    radius = 3.5 / mpp
    centres = GRID if mpp == 0.5 else [(28, 28), (28, 68), (68, 28), (68, 68)]
    found = classical_nuclei(discs((96, 96), centres, radius), EVERYWHERE, mpp, 0.35)
    assert found.dtype == np.int32
    assert sorted(np.unique(found)) == list(range(len(centres) + 1))
    assert len({found[c] for c in centres}) == len(centres)
    areas = np.bincount(found.ravel())[1:] * mpp**2
    assert np.abs(areas / (np.pi * 3.5**2) - 1).max() < 0.2


def test_touching_discs_are_parted():
    h = discs((96, 96), [(48, 40), (48, 53)], 7)
    found = classical_nuclei(h, EVERYWHERE, 0.5, 0.35)
    assert found.max() == 2
    assert found[48, 40] != found[48, 53]


def test_a_vesicular_nucleus_is_one_and_whole():
    h = discs((96, 96), [(48, 48)], 10) - discs((96, 96), [(48, 48)], 3, value=0.6, ground=0.0)
    assert h[48, 48] < 0.2  # pale centre, below the threshold
    found = classical_nuclei(h, EVERYWHERE, 0.5, 0.35)
    assert found.max() == 1
    assert found[48, 48] == 1


def test_specks_and_folds_are_not_nuclei():
    specks = discs((96, 96), GRID, 1.5)
    assert classical_nuclei(specks, EVERYWHERE, 0.5, 0.35).max() == 0
    fold = discs((96, 96), [(48, 48)], 30)
    assert classical_nuclei(fold, EVERYWHERE, 0.5, 0.35, NucleusParameters(local_weight=0)).max() == 0


def test_nuclei_lie_in_tissue():
    mask = EVERYWHERE.copy()
    mask[:, :34] = False
    found = classical_nuclei(discs((96, 96), GRID, 7), mask, 0.5, 0.35)
    assert found.max() == 6
    assert not found[:, :34].any()


def test_pale_stroma_has_no_nuclei():
    rng = np.random.default_rng(0)
    h = (0.08 + 0.04 * ndimage.gaussian_filter(rng.standard_normal((96, 96)), 2) * 7).astype(np.float32)
    assert has_structure(h)
    assert classical_nuclei(h, EVERYWHERE, 0.5, 0.35).max() == 0


def test_structure():
    rng = np.random.default_rng(0)
    noise = rng.uniform(0, 1, (64, 64)).astype(np.float32)
    assert not has_structure(noise)
    assert not has_structure(np.full((64, 64), 0.4, np.float32))
    assert has_structure(ndimage.gaussian_filter(noise, 1))
    assert has_structure(discs((96, 96), GRID, 7))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_area_um2": 0}, "min_area_um2"),
        ({"local_weight": 1.5}, "local_weight"),
        ({"depth_um": float("nan")}, "depth_um"),
        ({"max_area_um2": 5.0}, "must exceed"),
    ],
)
def test_parameters_are_checked(change, message):
    with pytest.raises(CompartmentError, match=message):
        NucleusParameters(**change)


@pytest.mark.parametrize(("mpp", "expected"), [(0.5, (26, 4183, 34, 324)), (0.25, (16, 3459, 138, 340))])
def test_the_nuclei_of_a_phantom(mpp, expected):
    patch = Phantom().render(np.random.default_rng(21), "malignant")
    stains = estimate_stains([patch.image])
    found = classical_nuclei(concentrations(patch.image, stains)[0], patch.truth > 0, mpp, stains.nuclear_od)
    area = np.bincount(found.ravel())[1:]
    assert (len(area), area.sum(), area.min(), area.max()) == pytest.approx(expected, rel=0.004)


def test_the_usual_parameters():
    assert NucleusParameters() == NucleusParameters(0.3, 0.75, 0.5, 6.0, 0.7, 0.5, 15.0, 0.3, 3.0, 8.0, 400.0)


def test_nuclei_of_exactly_the_least_and_the_largest_area_count():
    # a filled square of 12 x 12 px is found with 144 px at most; what it has is asked of the limits
    h = np.zeros((64, 64), np.float32)
    h[20:32, 20:32] = 1.0
    everywhere = np.ones((64, 64), bool)
    area = float((classical_nuclei(h, everywhere, 1.0, 0.5) > 0).sum())
    assert 100 < area < 200
    for low, high, n in ((area, 400.0, 1), (area + 1, 400.0, 0), (8.0, area, 1), (8.0, area - 1, 0)):
        limits = NucleusParameters(min_area_um2=low, max_area_um2=high)
        assert classical_nuclei(h, everywhere, 1.0, 0.5, limits).max() == n


@pytest.mark.parametrize(
    "key", ["smoothing_um", "opening_um", "hole_um2", "darkness_um", "local_weight", "lowest_factor"]
)
def test_these_may_be_0_and_no_less(key):
    assert getattr(NucleusParameters(**{key: 0.0}), key) == 0.0
    with pytest.raises(CompartmentError, match=key):
        NucleusParameters(**{key: -0.01})


@pytest.mark.parametrize("key", ["local_weight", "lowest_factor"])
def test_shares_may_be_1_and_no_more(key):
    assert getattr(NucleusParameters(**{key: 1.0}), key) == 1.0
    with pytest.raises(CompartmentError, match=r"\[0, 1\]"):
        NucleusParameters(**{key: 1.01})


def test_structure_varies_by_more_than_a_hundredth_and_neighbours_resemble_each_other():
    wave = np.sin(np.arange(64) / 3)[None] * np.ones((64, 1))
    wave = wave / wave.std()
    assert has_structure((0.4 + 0.0101 * wave).astype(np.float64))
    assert not has_structure((0.4 + 0.0099 * wave).astype(np.float64))
    rng = np.random.default_rng(1)
    noise, blobs = rng.standard_normal((256, 256)), ndimage.gaussian_filter(rng.standard_normal((256, 256)), 2)
    blobs *= 1 / blobs.std()
    resemblance = (blobs[:, 1:] * blobs[:, :-1]).mean() / (blobs**2).mean()
    # mixed with noise, neighbours correlate by the share of the variance that is not noise
    for wanted, expected in ((0.13, True), (0.07, False)):
        share = wanted / resemblance
        assert has_structure(np.sqrt(share) * blobs + np.sqrt(1 - share) * noise) is expected
