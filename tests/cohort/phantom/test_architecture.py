"""Every architecture: complete truth, a planted signal that stays in its compartment, the same tissue at each scale."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.cohort.phantom.cohort import PhantomCohort, PhantomCohortSize
from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.cohort.phantom.slide import PhantomSlideSpec
from saliency_stats.errors import StudyError
from saliency_stats.vocabulary import COMPARTMENT_CODES, COMPARTMENTS, LABELS, TISSUE

CODES = [COMPARTMENT_CODES[name] for name in COMPARTMENTS]
NUCLEUS = COMPARTMENT_CODES["nucleus"]


def rng(*seed):
    return np.random.default_rng(seed)


def shares(truth):
    return np.array([(truth == code).mean() for code in CODES])


@cache
def patches(architecture, n=16):
    phantom = Phantom(signal="none", architecture=architecture)
    return tuple(phantom.render(rng(3, i), LABELS[i % 2]) for i in range(n))


def test_the_usual_one_is_nests_and_is_what_a_phantom_of_no_architecture_is():
    assert next(iter(ARCHITECTURES)) == Phantom().architecture == PhantomSlideSpec("a").architecture == "nests"
    assert PhantomSlideSpec("a", architecture="gland").phantom().architecture == "gland"
    plain, named = (made.render(rng(1), "benign") for made in (Phantom(), Phantom(architecture="nests")))
    np.testing.assert_array_equal(plain.image, named.image)


@pytest.mark.parametrize("architecture", ["gland", "mixed"])
def test_a_cohort_draws_the_architecture_it_is_asked_for(architecture):
    phantom = Phantom(size_px=64, architecture=architecture)
    cohort = PhantomCohort(phantom, PhantomCohortSize(3, 2), 5)
    slide = phantom.slide(np.random.default_rng([5, 1, 1]))
    expected = phantom.render(np.random.default_rng([5, 2, 1, 0]), "benign", slide)
    np.testing.assert_array_equal(cohort.read(2).image, expected.image)
    np.testing.assert_array_equal(cohort.read(2).truth, expected.truth)
    plain = PhantomCohort(Phantom(size_px=64), PhantomCohortSize(3, 2), 5).read(2)
    assert (cohort.read(2).truth != plain.truth).mean() > 0.2


def test_an_unknown_one_is_refused_with_the_choices():
    with pytest.raises(StudyError, match=r"phantom\.architecture is 'lymphnode', expected one of nests, desmopl"):
        Phantom(architecture="lymphnode")
    with pytest.raises(StudyError, match=r"gland, lymph_node, mixed\. Name how the tissue"):
        PhantomSlideSpec("a", architecture="Gland")


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    architecture=st.sampled_from(sorted(ARCHITECTURES)),
    size_px=st.integers(32, 70),
    mpp=st.floats(0.2, 2.5),
)
def test_every_pixel_has_one_compartment_and_every_nucleus_one_number(seed, architecture, size_px, mpp):
    made = Phantom(size_px=size_px, mpp=mpp, architecture=architecture).render(rng(seed), "malignant")
    assert made.truth.shape == made.instances.shape == made.image.shape[:2] == (size_px, size_px)
    assert np.isin(made.truth, CODES).all()
    np.testing.assert_array_equal(made.instances > 0, made.truth == NUCLEUS)
    present = np.unique(made.instances[made.instances > 0])
    np.testing.assert_array_equal(present, np.arange(1, len(present) + 1))


#: Least and greatest mean share of nucleus, cytoplasm, stroma and background, and the least share in any patch.
COMPOSITION = {
    "desmoplastic": ([0.22, 0.15, 0.35, 0.005], [0.36, 0.38, 0.55, 0.06], [0.10, 0.05, 0.25, 0.001]),
    "gland": ([0.15, 0.28, 0.18, 0.08], [0.28, 0.45, 0.35, 0.28], [0.10, 0.15, 0.10, 0.01]),
    "lymph_node": ([0.22, 0.20, 0.22, 0.08], [0.36, 0.34, 0.40, 0.25], [0.18, 0.14, 0.15, 0.03]),
    "mixed": ([0.07, 0.2, 0.13, 0.18], [0.20, 0.45, 0.38, 0.50], [0.005, 0.02, 0.02, 0.01]),
}


@pytest.mark.parametrize("architecture", COMPOSITION)
def test_composition_is_that_of_the_tissue_and_no_patch_lacks_a_compartment(architecture):
    rows = np.array([shares(patch.truth) for patch in patches(architecture)])
    low, high, least = np.array(COMPOSITION[architecture])
    assert (low <= rows.mean(axis=0)).all(), rows.mean(axis=0)
    assert (rows.mean(axis=0) <= high).all(), rows.mean(axis=0)
    assert (rows.min(axis=0) >= least).all(), rows.min(axis=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_same_generator_gives_the_same_tissue_and_another_gives_another(architecture):
    phantom = Phantom(size_px=64, architecture=architecture)
    first, again, other = (phantom.render(rng(seed), "benign") for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.image, again.image)
    assert (first.truth != other.truth).mean() > 0.2


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("signal", ["cytoplasm", "stroma"])
def test_the_label_changes_no_compartment_but_the_one_that_carries_the_signal(architecture, signal):
    phantom = Phantom(signal=signal, architecture=architecture)
    benign, malignant = (phantom.render(rng(6), label) for label in LABELS)
    np.testing.assert_array_equal(benign.truth, malignant.truth)
    np.testing.assert_array_equal(benign.instances, malignant.instances)
    planted = benign.truth == COMPARTMENT_CODES[signal]
    changed = (benign.image != malignant.image).any(axis=2)
    # the camera carries light less than 8 px over the border
    assert not changed[ndimage.distance_transform_edt(~planted) > 8].any()
    assert changed[planted].mean() > 0.7


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_nuclear_signal_changes_nuclei_alone_and_keeps_the_layout(architecture):
    phantom = Phantom(signal="nucleus", architecture=architecture)
    benign, malignant = (phantom.render(rng(6), label).truth for label in LABELS)
    moved = benign != malignant
    assert ((benign == NUCLEUS) | (malignant == NUCLEUS))[moved].all()
    assert (malignant == NUCLEUS).sum() > 1.08 * (benign == NUCLEUS).sum()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_without_a_signal_the_label_changes_nothing(architecture):
    phantom = Phantom(signal="none", size_px=64, architecture=architecture)
    benign, malignant = (phantom.render(rng(6), label) for label in LABELS)
    np.testing.assert_array_equal(benign.image, malignant.image)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("signal", TISSUE)
def test_the_planted_compartment_alone_differs_between_the_classes(architecture, signal):
    phantom = Phantom(signal=signal, architecture=architecture)
    n = 12
    rows = {label: [] for label in LABELS}
    for i in range(n):
        for label in LABELS:
            patch = phantom.render(rng(9, i), label, phantom.slide(rng(9, i, 0)))
            grey = -np.log10(np.maximum(patch.image, 1) / 255).mean(axis=2)
            fine = grey - ndimage.gaussian_filter(grey, 2)
            away = {name: patch.truth == COMPARTMENT_CODES[name] for name in TISSUE}
            inside = {name: ndimage.binary_erosion(mask, iterations=1) for name, mask in away.items()}
            rows[label].append([(grey[inside[name]].mean(), fine[inside[name]].std()) for name in TISSUE])
    # (patch, compartment, what): paired, since a patch has the same layout with either label
    step = np.abs(np.array(rows["malignant"]) - np.array(rows["benign"])).mean(axis=0)
    usual = np.array(rows["benign"]).std(axis=0)
    moved = (step / usual).max(axis=1)
    assert np.argmax(moved) == TISSUE.index(signal)


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - {"nests"}))
def test_area_shares_do_not_depend_on_the_pixel_size(architecture):
    for seed in range(3):
        fine, finer, coarse = (
            Phantom(signal="none", mpp=mpp, size_px=size, architecture=architecture).patch(rng(seed), "benign")[1]
            for mpp, size in ((0.5, 128), (0.25, 256), (1.0, 64))
        )
        np.testing.assert_allclose(shares(finer), shares(fine), atol=0.02)
        np.testing.assert_allclose(shares(coarse), shares(fine), atol=0.035)
        assert (finer[::2, ::2] == fine).mean() > 0.9


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nuclei_are_the_darkest_compartment(architecture):
    for patch in patches(architecture)[:8]:
        grey = -np.log10(np.maximum(patch.image, 1) / 255).mean(axis=2)
        means = [grey[patch.truth == code].mean() for code in CODES]
        assert np.argmax(means) == COMPARTMENTS.index("nucleus")


#: Means and deviations of the colours, areas of the compartments and number of nuclei of two patches each; a change
#: here changes every study of that architecture.
GOLDEN = {
    "desmoplastic": [
        ([135.52, 70.84, 130.9, 49.39, 41.19, 35.31], [97, 3142, 1400, 4577], 23),
        ([169.48, 113.61, 165.15, 53.45, 51.21, 37.15], [196, 2245, 2513, 4262], 18),
    ],
    "gland": [
        ([145.5, 81.05, 137.01, 50.92, 56.75, 45.2], [587, 1777, 3753, 3099], 17),
        ([178.58, 141.81, 182.38, 60.59, 65.93, 47.66], [1828, 1953, 2592, 2843], 16),
    ],
    "lymph_node": [
        ([161.32, 111.72, 161.77, 59.1, 61.07, 46.95], [893, 2518, 2480, 3325], 25),
        ([168.82, 127.56, 172.56, 63.14, 64.69, 48.24], [966, 2452, 2571, 3227], 24),
    ],
    "mixed": [
        ([175.93, 102.74, 157.71, 44.29, 47.42, 36.34], [2188, 1050, 4377, 1601], 9),
        ([196.96, 128.09, 176.06, 38.29, 45.71, 32.4], [2809, 680, 3932, 1795], 7),
    ],
}


@pytest.mark.parametrize("architecture", GOLDEN)
def test_patches_are_those_that_studies_have_seen(architecture):
    for seed, (colours, areas, nuclei) in zip((1, 2), GOLDEN[architecture], strict=True):
        patch = Phantom("cytoplasm", size_px=96, architecture=architecture).render(rng(seed), "malignant")
        assert [*patch.image.mean(axis=(0, 1)), *patch.image.std(axis=(0, 1))] == pytest.approx(colours, abs=0.05)
        assert np.bincount(patch.truth.ravel(), minlength=4).tolist() == pytest.approx(areas, abs=3)
        assert patch.instances.max() == nuclei
