import numpy as np
import pytest

from saliency_stats.compartments import FibreParameters
from saliency_stats.compartments.cells import coherence, cytoplasm, fibre
from saliency_stats.errors import CompartmentError

SHAPE = (64, 64)
EVERYWHERE = np.ones(SHAPE, bool)
#: Cytoplasm is as blue as pink: never fibre.
CYTOPLASM = np.stack([np.full(SHAPE, 0.2), np.full(SHAPE, 0.2)])


def stripes(angle=0.0):
    y, x = np.indices(SHAPE)
    return np.sin((x * np.cos(angle) + y * np.sin(angle)) * 0.9)


def fibres():
    return np.stack([np.full(SHAPE, 0.05), 0.3 + 0.1 * stripes(0.6)])


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
    cells = cytoplasm(instances, EVERYWHERE, CYTOPLASM, mpp, reach)
    assert set(np.unique(cells)) == {0, 7}
    # the border lies at x = 20 px; a pixel belongs if its centre is within reach
    expected = np.flatnonzero((np.arange(64) + 0.5 - 20) * mpp <= reach)
    np.testing.assert_array_equal(np.flatnonzero(cells[0]), expected[expected >= 20])


def test_cytoplasm_belongs_to_the_nearest_nucleus_and_lies_outside_nuclei():
    instances = two_nuclei()
    cells = cytoplasm(instances, EVERYWHERE, CYTOPLASM, 0.5, 10.0)
    assert not cells[instances > 0].any()
    assert (cells[20:28, 28:32] == 1).all()
    assert (cells[20:28, 32:36] == 2).all()


def test_cytoplasm_is_tissue():
    tissue = EVERYWHERE.copy()
    tissue[:24] = False
    cells = cytoplasm(two_nuclei(), tissue, CYTOPLASM, 0.5)
    assert not cells[:24].any()
    assert cells[24:].any()


def test_no_nuclei_no_cytoplasm():
    assert not cytoplasm(np.zeros(SHAPE, np.int32), EVERYWHERE, CYTOPLASM, 0.5).any()


def test_distance_alone_does_not_decide():
    instances = two_nuclei()
    near = cytoplasm(instances, EVERYWHERE, CYTOPLASM, 0.5) > 0
    stained = np.where(np.arange(64) < 32, CYTOPLASM, fibres())
    cells = cytoplasm(instances, EVERYWHERE, stained, 0.5)
    assert (cells[:, :28] > 0).sum() == near[:, :28].sum()
    assert (cells[:, 36:] > 0).sum() < 0.1 * near[:, 36:].sum()


def test_collagen_needs_less_pink_the_clearer_its_direction():
    rng = np.random.default_rng(0)
    pink = 0.3 + 0.05 * rng.standard_normal(SHAPE)
    lines = 0.3 + 0.1 * stripes()
    for h, no_direction, direction in ((0.005, True, True), (0.09, False, True), (0.3, False, False)):
        blue = np.full(SHAPE, h)
        plain, drawn = (fibre(np.stack([blue, e]), EVERYWHERE, 0.5)[16:48, 16:48] for e in (pink, lines))
        assert plain.mean() == pytest.approx(float(no_direction), abs=0.1)
        assert drawn.mean() == pytest.approx(float(direction), abs=0.1)


def test_coherence():
    rng = np.random.default_rng(0)
    assert coherence(stripes(0.4), EVERYWHERE, 6.0)[16:48, 16:48].min() > 0.95
    assert np.median(coherence(rng.standard_normal(SHAPE), EVERYWHERE, 6.0)) < 0.3
    assert (coherence(np.ones(SHAPE), EVERYWHERE, 6.0) == 0).all()
    assert (coherence(stripes(), ~EVERYWHERE, 6.0) == 0).all()


def test_coherence_turns_with_the_image():
    image = np.random.default_rng(1).standard_normal(SHAPE)
    turned = coherence(np.rot90(image), EVERYWHERE, 4.0)
    np.testing.assert_allclose(turned, np.rot90(coherence(image, EVERYWHERE, 4.0)), atol=1e-6)


def test_parameters_are_checked():
    with pytest.raises(CompartmentError, match="direction_um"):
        FibreParameters(direction_um=0)
    with pytest.raises(CompartmentError, match="fibre_ratio"):
        FibreParameters(fibre_ratio=-0.1)
