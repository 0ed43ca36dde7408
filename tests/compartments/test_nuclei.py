import numpy as np
import pytest
from scipy import ndimage

from saliency_stats.compartments import NucleusParameters
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
