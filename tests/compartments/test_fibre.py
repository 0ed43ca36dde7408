import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import regionprops_table

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import FibreParameters, concentrations, estimate_stains
from saliency_stats.compartments.cell_rule import fitted_rule
from saliency_stats.compartments.fibre import cell_evidence, coherence, nuclear_shape
from saliency_stats.compartments.fibre import stain_evidence as judged
from saliency_stats.compartments.surroundings import relative
from saliency_stats.errors import CompartmentError

SHAPE = (64, 64)
FAR = np.full(SHAPE, 2.0)
EVERYWHERE = np.ones(SHAPE, bool)


def stripes(angle=0.0):
    y, x = np.indices(SHAPE)
    return np.sin((x * np.cos(angle) + y * np.sin(angle)) * 0.9)


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


def halves(fibre, cytoplasm):
    """Left half: drawn out, of one log ratio; right half: not, of another."""
    left = np.indices(SHAPE)[1] < 32
    return np.where(left, fibre, cytoplasm).astype(float), np.where(left, 0.8, 0.1)


@pytest.mark.parametrize("shift", [-0.8, 0.0, 0.8])
def test_stain_is_judged_by_the_image_itself_not_by_a_colour_fixed_beforehand(shift):
    ratio, direction = halves(-1.6 + shift, -0.8 + shift)
    told = judged(ratio, direction, EVERYWHERE, 1.0)
    assert (told[:, :32] < -1).all()
    assert (told[:, 32:] > 1).all()
    np.testing.assert_allclose(told, judged(*halves(-1.6, -0.8), EVERYWHERE, 1.0), atol=1e-9)


def test_stain_says_nothing_without_two_stains_or_without_both_tissues():
    ratio, direction = halves(-1.6, -0.8)
    assert (judged(*halves(-1.0, -1.0), EVERYWHERE, 1.0) == 0).all()
    assert (judged(*halves(-0.8, -1.6), EVERYWHERE, 1.0) == 0).all()
    assert (judged(ratio, np.full(SHAPE, 0.1), EVERYWHERE, 1.0) == 0).all()
    assert (judged(ratio, np.full(SHAPE, 0.9), EVERYWHERE, 1.0) == 0).all()
    assert (judged(ratio, direction, ~EVERYWHERE, 1.0) == 0).all()


def test_little_tissue_is_trusted_little():
    small = np.abs(judged(*halves(-1.6, -0.8), EVERYWHERE, 0.1)).max()
    assert 0 < small < 0.2 * np.abs(judged(*halves(-1.6, -0.8), EVERYWHERE, 1.0)).max()


def test_shape_agrees_with_scikit_image():
    rng = np.random.default_rng(3)
    y, x = np.indices((80, 80))
    instances = np.zeros((80, 80), np.int32)
    for number, (row, column) in enumerate(((0, 10), (20, 50), (60, 20), (50, 70))):
        a, b, t = rng.uniform(3, 12), rng.uniform(2, 5), rng.uniform(0, np.pi)
        u = (x - column) * np.cos(t) + (y - row) * np.sin(t)
        v = (y - row) * np.cos(t) - (x - column) * np.sin(t)
        instances[(u / a) ** 2 + (v / b) ** 2 < 1] = 2 * number + 1
    instances[79, 0] = 9
    expected = regionprops_table(instances, properties=("label", "area", "axis_minor_length", "axis_major_length"))
    area, minor, eccentricity = nuclear_shape(instances, 0.5)
    assert area.shape == (10,)
    assert area[2] == minor[2] == eccentricity[2] == 0
    index = expected["label"]
    np.testing.assert_allclose(area[index], expected["area"] * 0.25)
    # the variance of a square pixel of side 1
    short, long = ((expected[f"axis_{name}_length"] / 4) ** 2 + 1 / 12 for name in ("minor", "major"))
    np.testing.assert_allclose(minor[index], 4 * np.sqrt(short) * 0.5)
    np.testing.assert_allclose(eccentricity[index], np.sqrt(1 - short / long), atol=1e-6)


def evidence(instances, owner=1):
    stained = np.stack([np.where(instances > 0, 0.8, 0.1), np.full(SHAPE, 0.3)])
    whose = np.full(SHAPE, owner, np.int32)
    return cell_evidence(instances, whose, FAR, EVERYWHERE, instances == 0, stained, (0.8, 0.5), 0.5)


def test_the_fitted_rule_knows_all_evidence_and_what_stain_direction_and_distance_speak_for():
    found = evidence(np.pad(np.ones((8, 8), np.int32), 28))
    rule = fitted_rule()
    assert set(found | relative(found, EVERYWHERE, 0.5)) == set(rule.names)
    middle = {name: np.full(SHAPE, value) for name, value in zip(rule.names, rule.mean, strict=True)}
    deviation = dict(zip(rule.names, rule.deviation, strict=True))
    for name, sign in {"stain": 1, "direction": -1, "distance_um": -1, "crowding_near": 1}.items():
        # a pixel that has more of it has more than its neighbours, too
        both = (name, f"relative_{name}")
        low, high = (
            rule.log_odds(middle | {one: middle[one] + step * deviation[one] for one in both}, EVERYWHERE).mean()
            for step in (-1, 1)
        )
        assert sign * (high - low) > 0, name


def test_evidence_of_the_nucleus():
    instances = np.zeros(SHAPE, np.int32)
    instances[30:36, 10:34] = 1
    instances[44:54, 44:54] = 2
    spindle, round_ = evidence(instances, 1), evidence(instances, 2)
    assert spindle["elongation"].min() > 0.9
    assert round_["elongation"].max() < 1e-6
    assert spindle["breadth_um"].max() < round_["breadth_um"].min()
    assert spindle["darkness"][33, 20] == pytest.approx(1.0)
    assert spindle["crowding"][33, 20] > spindle["crowding"][5, 60]


def test_parameters_are_checked():
    with pytest.raises(CompartmentError, match="direction_um"):
        FibreParameters(direction_um=0)
    with pytest.raises(CompartmentError, match="crowding_um"):
        FibreParameters(crowding_um=-0.1)
    with pytest.raises(CompartmentError, match="threshold"):
        FibreParameters(threshold=float("nan"))
    assert FibreParameters(threshold=-1.0, nuclear_margin_um=0).threshold == -1


def test_streaks_are_rough_and_even_tissue_is_not():
    even = np.stack([np.full(SHAPE, 0.2), np.full(SHAPE, 0.3)])
    streaks = even + 0.1 * (np.indices(SHAPE)[0] % 4 < 2)
    nothing = np.zeros(SHAPE, np.int32)
    rough, smooth = (
        cell_evidence(nothing, nothing, FAR, EVERYWHERE, EVERYWHERE, stained, (0.8, 0.5), 0.5)["texture"]
        for stained in (streaks, even)
    )
    assert smooth.max() < 1e-3
    # twice an amplitude of 0.05, smoothed a little, over maxima that sum to 1.3
    assert 0.03 < rough[16:-16, 16:-16].mean() < 0.1 / 1.3


def test_what_is_near_is_averaged_over_the_tissue_alone():
    stained = np.stack([np.full(SHAPE, 0.4), np.full(SHAPE, 0.25)])
    half = np.zeros(SHAPE, bool)
    half[:, :32] = True
    nothing = np.zeros(SHAPE, np.int32)
    found = cell_evidence(nothing, nothing, FAR, half, half, stained, (0.8, 0.5), 0.5)
    np.testing.assert_allclose(found["haematoxylin"][:, :32], 0.5, rtol=1e-4)
    np.testing.assert_allclose(found["eosin"][:, :32], 0.5, rtol=1e-4)


#: Mean and deviation of the evidence over the tissue outside the nuclei of one phantom: what the shipped rule weighs
#: must not drift.
GOLDEN = {
    "stain": (0.16906, 1.35313),
    "direction": (0.34246, 0.22875),
    "crowding_near": (0.12734, 0.09560),
    "texture": (0.03655, 0.01004),
    "crowding": (0.14464, 0.05817),
    "compactness": (0.95497, 0.09414),
    "haematoxylin": (0.06354, 0.01291),
    "eosin": (0.38973, 0.18692),
    "breadth_um": (5.39230, 2.13803),
    "elongation": (0.66831, 0.23206),
    "darkness": (0.58486, 0.14833),
    "distance_um": (3.61067, 2.45049),
    "radius_um": (3.30289, 0.91255),
    "crowding_10um": (0.14825, 0.03976),
    "tissue_10um": (0.93620, 0.05322),
    "nuclear_area_10um": (0.84463, 0.17274),
    "nuclear_elongation_10um": (0.64422, 0.09936),
    "nuclear_darkness_10um": (0.60634, 0.05269),
    "blue_10um": (0.06310, 0.00629),
    "pink_10um": (0.39537, 0.08301),
    "directed_10um": (0.35119, 0.13525),
    "rough_10um": (0.03690, 0.00289),
    "crowding_20um": (0.15237, 0.01420),
    "tissue_20um": (0.93101, 0.01996),
    "nuclear_area_20um": (0.87445, 0.04288),
    "nuclear_elongation_20um": (0.62420, 0.02610),
    "nuclear_darkness_20um": (0.60925, 0.00754),
    "blue_20um": (0.06300, 0.00205),
    "pink_20um": (0.39662, 0.02905),
    "directed_20um": (0.35397, 0.04712),
    "rough_20um": (0.03694, 0.00104),
    "relative_crowding_10um": (0.00098, 0.02954),
    "relative_stain": (0.02156, 1.20728),
}


def test_all_evidence_of_a_phantom_is_what_the_rule_was_fitted_to():
    patch = Phantom(size_px=96).render(np.random.default_rng(11), "benign")
    stains, tissue, instances = estimate_stains([patch.image]), patch.truth > 0, patch.instances
    steps, nearest = ndimage.distance_transform_edt(instances == 0, return_indices=True)
    owner, distance_um = instances[tuple(nearest)], (steps - 0.5) * 0.5
    stained = concentrations(patch.image, stains)
    away = tissue & (distance_um > 0.75)
    found = cell_evidence(instances, owner, distance_um, tissue, away, stained, stains.maxima, 0.5)
    asked = tissue & (instances == 0)
    found |= relative(found, asked, 0.5)
    for name, (mean, deviation) in GOLDEN.items():
        seen = found[name][asked]
        assert (seen.mean(), seen.std()) == pytest.approx((mean, deviation), rel=2e-3, abs=2e-4), name


def test_the_usual_parameters():
    assert FibreParameters() == FibreParameters(1.0, 5.0, 0.75, 2.0, 4.0, 8.0, 3.0, 0.0)
