from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from skimage.color import rgb2hed
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.segmentation import watershed

from saliency_stats.cohort.phantom.phantom import Phantom, PhantomPatch
from saliency_stats.errors import CohortError, StudyError
from saliency_stats.vocabulary import COMPARTMENT_CODES, COMPARTMENTS, LABELS, TISSUE

SIGNALS = (*TISSUE, "none")
NUCLEUS = COMPARTMENT_CODES["nucleus"]


def rng(*seed):
    return np.random.default_rng(seed)


def shares(truth):
    return np.array([(truth == COMPARTMENT_CODES[name]).mean() for name in COMPARTMENTS])


def density(image):
    return -np.log10(np.maximum(image, 1) / 255).astype(np.float32)


@cache
def cohort(signal: str, n: int = 96) -> tuple[PhantomPatch, ...]:
    """Patches of alternating label, eight to a slide."""
    phantom = Phantom(signal=signal)
    return tuple(phantom.render(rng(4, i), LABELS[i % 2], phantom.slide(rng(4, i // 8, 0))) for i in range(n))


def appearance(patch):
    """Density, and strength and sign of the fine texture, well inside each compartment, where no neighbour mixes in.

    The sign (skewness of the optical density) tells dark grains on a pale ground from pale holes in a dark one.
    """
    grey = density(patch.image).mean(axis=2)
    fine = grey - ndimage.gaussian_filter(grey, 2)
    row = {}
    for name in TISSUE:
        inside = ndimage.binary_erosion(patch.truth == COMPARTMENT_CODES[name])
        row[f"{name} density"], row[f"{name} texture"] = grey[inside].mean(), fine[inside].std()
        row[f"{name} sign"] = stats.skew(fine[inside])
    return row


def effects(rows):
    """Cohen's d, malignant minus benign, of every column."""
    table = pd.DataFrame(rows)
    benign, malignant = table[0::2], table[1::2]
    return (malignant.mean() - benign.mean()) / np.sqrt((malignant.var() + benign.var()) / 2)


# --- shape and truth --------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    signal=st.sampled_from(SIGNALS),
    label=st.sampled_from(LABELS),
    size_px=st.integers(32, 70),
    mpp=st.floats(0.2, 2.5),
)
def test_every_pixel_has_one_compartment_and_every_nucleus_one_number(seed, signal, label, size_px, mpp):
    made = Phantom(signal=signal, size_px=size_px, mpp=mpp).render(rng(seed), label)
    assert made.image.shape == (size_px, size_px, 3)
    assert made.image.dtype == made.truth.dtype == np.uint8
    assert made.instances.dtype == np.int32
    assert np.isin(made.truth, list(COMPARTMENT_CODES.values())).all()
    np.testing.assert_array_equal(made.instances > 0, made.truth == NUCLEUS)
    present = np.unique(made.instances[made.instances > 0])
    np.testing.assert_array_equal(present, np.arange(1, len(present) + 1))


def test_patch_is_the_image_and_truth_of_render():
    image, truth = Phantom().patch(rng(1), "benign")
    made = Phantom().render(rng(1), "benign")
    np.testing.assert_array_equal(image, made.image)
    np.testing.assert_array_equal(truth, made.truth)


def test_composition_is_that_of_the_tissue_and_no_patch_lacks_a_compartment():
    rows = np.array([shares(patch.truth) for signal in SIGNALS for patch in cohort(signal)])
    low, high = np.array([[0.15, 0.35, 0.20, 0.03], [0.25, 0.50, 0.35, 0.12]])
    assert (low <= rows.mean(axis=0)).all()
    assert (rows.mean(axis=0) <= high).all()
    assert rows[:, :3].min() >= 0.05
    assert rows[:, 3].min() > 0


def test_nuclei_have_the_size_of_nuclei():
    area_px = np.concatenate([np.bincount(patch.instances.ravel())[1:] for patch in cohort("none")])
    diameter_um = 2 * np.sqrt(np.median(area_px) * 0.25 / np.pi)
    assert 6 < diameter_um < 9


def test_background_is_the_brightest_and_nuclei_are_the_darkest_compartment():
    for patch in cohort("none")[:24]:
        grey = density(patch.image).mean(axis=2)
        means = [grey[patch.truth == COMPARTMENT_CODES[name]].mean() for name in COMPARTMENTS]
        assert np.argmax(means) == COMPARTMENTS.index("nucleus")
        assert np.argmin(means) == COMPARTMENTS.index("background")


# --- randomness -------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", SIGNALS)
def test_same_generator_state_gives_the_same_patch(signal):
    first, second = (Phantom(signal=signal).render(rng(7), "malignant") for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.instances, second.instances)


def test_another_generator_gives_another_patch():
    slide = Phantom().slide(rng(0))
    first, second = (Phantom().render(rng(seed), "benign", slide) for seed in (1, 2))
    assert (first.image != second.image).mean() > 0.5
    assert (first.truth != second.truth).mean() > 0.2


def test_a_label_consumes_as_many_random_numbers_as_the_other():
    after = []
    for label in LABELS:
        generator = rng(3)
        Phantom().render(generator, label)
        after.append(generator.random())
    assert after[0] == after[1]


@pytest.mark.parametrize("silent", [Phantom(signal="none"), Phantom(signal="nucleus", strength=0)])
def test_without_a_signal_the_label_changes_nothing(silent):
    benign, malignant = (silent.render(rng(5), label) for label in LABELS)
    np.testing.assert_array_equal(benign.image, malignant.image)
    np.testing.assert_array_equal(benign.truth, malignant.truth)


@pytest.mark.parametrize("signal", ["cytoplasm", "stroma"])
def test_the_label_changes_no_compartment_but_the_one_that_carries_the_signal(signal):
    benign, malignant = (Phantom(signal=signal).render(rng(6), label) for label in LABELS)
    np.testing.assert_array_equal(benign.instances, malignant.instances)
    np.testing.assert_array_equal(benign.truth, malignant.truth)
    # The camera carries light over the border: at 0.5 µm per px, blur and sharpening reach less than 8 px.
    planted = benign.truth == COMPARTMENT_CODES[signal]
    away = ndimage.distance_transform_edt(~planted)
    changed = (benign.image != malignant.image).any(axis=2)
    assert not changed[away > 8].any()
    assert changed[planted].mean() > 0.7


def test_a_nuclear_signal_keeps_the_layout():
    benign, malignant = (Phantom(signal="nucleus").render(rng(6), label) for label in LABELS)
    for name in ("stroma", "background"):
        code = COMPARTMENT_CODES[name]
        moved = (benign.truth == code) != (malignant.truth == code)
        assert (malignant.truth[moved & (benign.truth == code)] == NUCLEUS).all()
        assert (benign.truth[moved & (malignant.truth == code)] == NUCLEUS).all()
    assert (malignant.truth == NUCLEUS).sum() > 1.1 * (benign.truth == NUCLEUS).sum()


# --- the planted signal -----------------------------------------------------------------------------


@pytest.mark.parametrize("signal", TISSUE)
def test_the_planted_compartment_differs_between_the_classes_and_the_others_do_not(signal):
    d = effects([appearance(patch) for patch in cohort(signal)]).abs()
    planted = d[[f"{signal} {what}" for what in ("density", "texture", "sign")]]
    assert planted.max() > 1.5
    # 48 patches a class: the standard error of d is 0.2.
    others = d[[column for column in d.index if not column.startswith(signal)]]
    assert others.max() < 0.6


def test_nothing_differs_between_the_classes_without_a_signal():
    rows = [
        {**appearance(patch), "nuclei": patch.instances.max()}
        | dict(zip(COMPARTMENTS, shares(patch.truth), strict=True))
        for patch in cohort("none")
    ]
    assert effects(rows).abs().max() < 0.6


def test_strength_sets_the_separation():
    def separation(strength):
        phantom = Phantom(signal="cytoplasm", strength=strength)
        pair = [phantom.render(rng(8), label).image.astype(float) for label in LABELS]
        return np.abs(pair[0] - pair[1]).mean()

    assert 0 == separation(0) < separation(0.3) < separation(0.6) < separation(1)


@pytest.mark.parametrize("label", LABELS)
def test_classical_segmentation_finds_most_nuclei_of_both_phenotypes(label):
    found = total = 0
    for patch in cohort("nucleus")[LABELS.index(label) :: 2][:16]:
        haematoxylin = gaussian(rgb2hed(patch.image)[..., 0], 0.8)
        mask = ndimage.binary_fill_holes(ndimage.binary_opening(haematoxylin > threshold_otsu(haematoxylin)))
        depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1)
        seeds = np.zeros(mask.shape, int)
        peaks = peak_local_max(depth, min_distance=5, labels=ndimage.label(mask)[0])
        seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
        segmented = watershed(-depth, seeds, mask=mask)
        for nucleus in range(1, patch.instances.max() + 1):
            own = patch.instances == nucleus
            if own.sum() < 60:  # cut off by the border of the patch
                continue
            overlap = np.bincount(segmented[own], minlength=2)[1:]
            best = overlap.argmax() + 1
            union = own.sum() + (segmented == best).sum() - overlap.max()
            found, total = found + (overlap.max() / union > 0.5), total + 1
    assert total > 200
    assert found / total > 0.85


# --- magnification ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("mpp", "size_px"), [(0.25, 256), (1.0, 64), (2.0, 32)])
def test_area_shares_do_not_depend_on_the_pixel_size(mpp, size_px):
    for seed in range(5):
        fine = Phantom(signal="none").patch(rng(seed), "benign")[1]
        other = Phantom(signal="none", mpp=mpp, size_px=size_px).patch(rng(seed), "benign")[1]
        # The same 64 µm of tissue; at 2 µm per px a gap may be narrower than a pixel.
        np.testing.assert_allclose(shares(other), shares(fine), atol={0.25: 0.005, 1.0: 0.01, 2.0: 0.035}[mpp])


def test_a_lower_magnification_shows_the_same_tissue():
    fine = Phantom(signal="none").patch(rng(2), "benign")[0].astype(float)
    coarse = Phantom(signal="none", mpp=1.0, size_px=64).patch(rng(2), "benign")[0].astype(float)
    averaged = fine.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.corrcoef(averaged.ravel(), coarse.ravel())[0, 1] > 0.97


# --- slides -----------------------------------------------------------------------------------------


def colour(phantom, n_slides, n_patches):
    """Mean density (slide, patch, channel)."""
    looks = [phantom.slide(rng(s, 11)) for s in range(n_slides)]
    return np.array(
        [
            [density(phantom.patch(rng(s, i), "benign", look)[0]).mean(axis=(0, 1)) for i in range(n_patches)]
            for s, look in enumerate(looks)
        ]
    )


def test_slides_differ_more_than_patches_of_a_slide():
    # Hue (channel shares of the density) tells stains apart from how much tissue there is.
    mean = colour(Phantom(signal="none", size_px=64), n_slides=8, n_patches=8)
    hue = mean / mean.sum(axis=2, keepdims=True)
    between, within = hue.mean(axis=1).var(axis=0, ddof=1), hue.var(axis=1, ddof=1).mean(axis=0)
    assert (between[[0, 2]] > 2 * within[[0, 2]]).all()


def test_no_variation_gives_one_look():
    phantom = Phantom(stain_variation=0)
    first, second = phantom.slide(rng(1)), phantom.slide(rng(2))
    np.testing.assert_array_equal(first.stain_vectors, second.stain_vectors)
    np.testing.assert_array_equal(first.concentration, [1, 1])
    assert (first.spacing, first.blur_um) == (second.spacing, second.blur_um)


def test_a_look_colours_the_patch_by_its_stain_vectors():
    look = Phantom(stain_variation=0).slide(rng(0))
    blue = replace(look, stain_vectors=look.stain_vectors[:, ::-1].copy())
    plain, swapped = (Phantom().patch(rng(1), "benign", slide)[0].mean(axis=(0, 1)) for slide in (look, blue))
    assert plain[2] - plain[0] == pytest.approx(swapped[0] - swapped[2], abs=5)


def test_without_a_slide_one_is_drawn_from_the_generator():
    generator = rng(9)
    slide = Phantom().slide(generator)
    expected = Phantom().render(generator, "benign", slide)
    np.testing.assert_array_equal(Phantom().render(rng(9), "benign").image, expected.image)


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("signal", "membrane", "cytoplasm, nucleus, stroma, none, redundant, xor, suppressor, background. "),
        ("size_px", 31, "32 to"),
        ("size_px", 64.0, "whole number"),
        ("size_px", True, "whole number"),
        ("mpp", 0.1, "0.2 to 2.5"),
        ("mpp", 3.0, "0.2 to 2.5"),
        ("mpp", float("nan"), "0.2 to 2.5"),
        ("strength", -0.1, "0 to 1"),
        ("strength", 1.1, "0 to 1"),
        ("stain_variation", -1, "0 to 3"),
    ],
)
def test_a_value_out_of_range_is_refused_by_key_value_and_range(key, value, accepted):
    with pytest.raises(StudyError) as error:
        Phantom(**{key: value})
    message = str(error.value)
    assert f"phantom.{key}" in message
    assert str(value) in message
    assert accepted in message


def test_a_field_that_would_take_gigabytes_is_refused():
    assert Phantom(size_px=1024, mpp=2.0).size_px == 1024
    with pytest.raises(StudyError, match=r"size_px is 1025 at 2\.0 .* expected 32 to 1024 px"):
        Phantom(size_px=1025, mpp=2.0)


def test_a_misspelt_label_is_refused():
    with pytest.raises(StudyError, match="'malign', expected benign or malignant"):
        Phantom().patch(rng(0), "malign")


@pytest.mark.parametrize(
    ("field", "value"),
    [("stain_vectors", np.ones((3, 3))), ("concentration", np.array([1.0, 0.0])), ("blur_um", 0.0)],
)
def test_an_impossible_look_is_refused(field, value):
    look = Phantom().slide(rng(0))
    with pytest.raises(CohortError, match=field):
        replace(look, **{field: value})
