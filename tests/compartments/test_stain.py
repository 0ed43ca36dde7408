import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import separate_stains

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import Stains, concentrations, estimate_stains
from saliency_stats.compartments import stain as room
from saliency_stats.compartments.stain import nuclear_threshold, unmixing_matrix
from saliency_stats.errors import CompartmentError
from saliency_stats.imaging.density import DARKEST


def unit(rows):
    rows = np.asarray(rows, dtype=float)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def paint(vectors, amounts, white=255.0):
    """Beer-Lambert: (H, W, 2) amounts to (H, W, 3) uint8."""
    return np.clip(np.round(white * 10.0 ** -(amounts @ np.asarray(vectors))), 0, 255).astype(np.uint8)


def tissue(rng, n=96):
    """A quarter mostly haematoxylin, the rest mostly eosin."""
    nuclear = rng.uniform(size=(n, n)) < 0.25
    h = np.where(nuclear, rng.uniform(0.5, 0.9, (n, n)), rng.uniform(0.0, 0.15, (n, n)))
    e = np.where(nuclear, rng.uniform(0.0, 0.1, (n, n)), rng.uniform(0.2, 0.5, (n, n)))
    return np.stack([h, e], axis=-1)


def angle(a, b):
    return float(np.rad2deg(np.arccos(np.clip(np.dot(a, b), -1, 1))))


PLANTED = [
    unit([[0.60, 0.72, 0.35], [0.20, 0.91, 0.36]]),
    unit([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]]),
    unit([[0.56, 0.72, 0.41], [0.22, 0.80, 0.56]]),
]


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_vectors_are_recovered(planted, seed):
    image = paint(planted, tissue(np.random.default_rng(seed)))
    found = estimate_stains([image])
    assert found.source == "macenko"
    assert angle(found.vectors[0], planted[0]) < 5
    assert angle(found.vectors[1], planted[1]) < 5


def test_concentrations_invert_the_painting():
    rng = np.random.default_rng(3)
    amounts = tissue(rng)
    stains = Stains(tuple(map(tuple, PLANTED[0].tolist())), "planted")
    found = concentrations(paint(PLANTED[0], amounts), stains)
    assert found.shape == (2, 96, 96)
    assert found.dtype == np.float32
    # 8-bit rounding of the darkest channel is the only error
    assert np.abs(np.moveaxis(found, 0, -1) - amounts).mean() < 0.01


def test_unmixing_agrees_with_scikit_image():
    rng = np.random.default_rng(0)
    image = rng.integers(DARKEST, 256, (20, 20, 3), dtype=np.uint8)
    matrix = unmixing_matrix(PLANTED[0])
    mine = concentrations(image, Stains(tuple(map(tuple, PLANTED[0].tolist())), "planted"))
    # scikit-image works on floats in [0, 1] and divides by -log(1e-6)
    theirs = separate_stains(image / 255.0, matrix * (np.log(1e6) / np.log(10)))
    np.testing.assert_allclose(mine, np.moveaxis(theirs, -1, 0)[:2], atol=2e-5)


def test_least_squares():
    od = np.random.default_rng(0).uniform(0, 1, (50, 3))
    expected = np.linalg.lstsq(PLANTED[2].T, od.T, rcond=None)[0].T
    np.testing.assert_allclose((od @ unmixing_matrix(PLANTED[2]))[:, :2], expected, atol=1e-12)


def test_white_is_the_glass_where_glass_is_in_view():
    amounts = tissue(np.random.default_rng(0))
    amounts[:, :30] = 0
    assert estimate_stains([paint(PLANTED[0], amounts, white=np.array([232.0, 228.0, 235.0]))]).white == (
        232.0,
        228.0,
        235.0,
    )
    assert estimate_stains([paint(PLANTED[0], tissue(np.random.default_rng(0)))]).white == (255.0, 255.0, 255.0)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.full((64, 64, 3), 255, np.uint8), "stained pixels"),
        (np.full((64, 64, 3), (200, 110, 160), np.uint8), "degrees apart"),
        (np.repeat(np.random.default_rng(0).integers(0, 256, (64, 64, 1), np.uint8), 3, axis=2), "apart"),
        (np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "vectors found are"),
        # green and blue ink
        (paint(unit([[0.1, 0.7, 0.7], [0.8, 0.1, 0.6]]), tissue(np.random.default_rng(0))), "not haematoxylin"),
    ],
)
def test_fallback_states_its_reason(image, reason):
    found = estimate_stains([image])
    assert found.source.startswith("ruifrok_johnston: ")
    assert reason in found.source
    np.testing.assert_allclose(found.vectors, unit(room.RUIFROK_JOHNSTON))


def test_memory_is_bounded_and_thinning_is_deterministic(monkeypatch):
    monkeypatch.setattr(room, "PIXELS_PER_SLIDE", 6000)
    images = [paint(PLANTED[0], tissue(np.random.default_rng(i))) for i in range(8)]
    assert len(room._pooled_pixels(images)) <= 6000
    first, second = estimate_stains(iter(images)), estimate_stains(images)
    assert first == second
    assert angle(first.vectors[0], PLANTED[0][0]) < 5


def test_as_many_pixels_as_may_be_are_all_kept(monkeypatch):
    image = paint(PLANTED[0], tissue(np.random.default_rng(0)))
    n = len(room._pooled_pixels([image]))
    for most, kept in ((n, n), (n - 1, -(-n // 2))):
        monkeypatch.setattr(room, "PIXELS_PER_SLIDE", most)
        assert len(room._pooled_pixels([image])) == kept


def test_the_slides_images_are_pooled():
    rng = np.random.default_rng(0)
    eosin_only = np.stack([np.full((64, 64), 0.02), rng.uniform(0.2, 0.5, (64, 64))], axis=-1)
    alone = estimate_stains([paint(PLANTED[0], eosin_only)])
    together = estimate_stains([paint(PLANTED[0], eosin_only), paint(PLANTED[0], tissue(rng))])
    assert alone.source != "macenko"
    assert together.source == "macenko"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 3, width=32), min_size=1, max_size=200))
def test_nuclear_threshold_stays_in_range(values):
    low, high = room.NUCLEAR_OD_RANGE
    assert low <= nuclear_threshold(np.array(values)) <= high


def test_nuclear_threshold_parts_two_groups():
    values = np.r_[np.full(300, 0.1), np.full(100, 0.5)]
    assert 0.1 <= nuclear_threshold(values) < 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vectors": ((0.6, 0.7, 0.3), (0.2, 0.9, 0.3))}, "length 1"),
        ({"vectors": ((1.0, 0.0, 0.0), (-1.0, 0.0, 0.0))}, "non-negative"),
        ({"vectors": ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0))}, "1 degree"),
        ({"white": (0.0, 255.0, 255.0)}, "white"),
        ({"nuclear_od": 0.0}, "nuclear_od"),
    ],
)
def test_impossible_stains_are_refused(change, message):
    good = {"vectors": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), "source": "planted"}
    Stains(**good)
    with pytest.raises(CompartmentError, match=message):
        Stains(**(good | change))


def test_bad_images_are_refused():
    with pytest.raises(CompartmentError, match="at least one"):
        estimate_stains([])
    with pytest.raises(CompartmentError, match="float64"):
        estimate_stains([np.zeros((40, 40, 3))])


def test_the_stains_of_a_phantom():
    image = Phantom().render(np.random.default_rng(21), "malignant").image
    found = estimate_stains([image])
    assert found.source == "macenko"
    expected = [[0.60677, 0.76002, 0.23280], [0.31958, 0.89730, 0.30451]]
    np.testing.assert_allclose(found.vectors, expected, atol=1e-3)
    assert found.white == (246.0, 248.0, 248.0)
    assert found.maxima == pytest.approx((1.65472, 0.77789), rel=2e-3)
    assert found.nuclear_od == pytest.approx(0.52301, rel=5e-3)
    assert found.levels == (9.0, 255.0)


def test_the_nuclear_threshold_is_held_at_the_stated_ends():
    assert nuclear_threshold(np.array([0.01, 0.02, 0.01, 0.02])) == 0.15
    assert nuclear_threshold(np.array([1.0, 2.0, 1.0, 2.0])) == 0.60
    assert nuclear_threshold(np.array([0.3, 0.3])) == 0.60


def test_levels_are_the_stated_percentiles_and_a_least_contrast_apart():
    ramp = np.repeat(np.arange(250, dtype=np.uint8), 48).reshape(40, 100, 3)
    low, high = estimate_stains([ramp]).levels
    assert (low, high) == pytest.approx(tuple(np.percentile(np.arange(250), (1.0, 99.8))), abs=1)
    narrow = np.clip(np.random.default_rng(0).normal(230, 3, (64, 64, 3)), 0, 255).astype(np.uint8)
    low, high = estimate_stains([narrow]).levels
    assert high - low == 100.0
    assert high > 235


def test_of_a_large_image_every_nth_pixel_counts():
    large = np.arange(3 * 10_000).reshape(100, 100, 3).astype(np.uint8)
    np.testing.assert_array_equal(room._pooled_pixels([large]), large.reshape(-1, 3)[1::3])
    small = large[:64, :64]
    np.testing.assert_array_equal(room._pooled_pixels([small]), small.reshape(-1, 3))


@pytest.mark.parametrize(("angle", "fits"), [(0.5, False), (1.5, True)])
def test_vectors_closer_than_a_degree_cannot_be_unmixed(angle, fits):
    first = np.array([0.6, 0.8, 0.0])
    second = np.cos(np.deg2rad(angle)) * first + np.sin(np.deg2rad(angle)) * np.array([0.0, 0.0, 1.0])
    vectors = (tuple(first.tolist()), tuple(second.tolist()))
    if fits:
        assert Stains(vectors, "given").white == (255.0, 255.0, 255.0)
    else:
        with pytest.raises(CompartmentError, match="less than 1 degree"):
            Stains(vectors, "given")


def test_the_usual_stains():
    made = Stains(((0.6, 0.8, 0.0), (0.0, 0.8, 0.6)), "given")
    assert (made.white, made.maxima, made.nuclear_od, made.levels) == ((255.0,) * 3, (1.0, 0.5), 0.25, (0.0, 255.0))
