"""What finders look at: checked, enlarged by whole factors, with its tissue, stains and structure."""

import numpy as np
import pytest

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import CompartmentParameters, concentrations, estimate_stains, nothing_found, view_of
from saliency_stats.compartments.view import Found
from saliency_stats.errors import CompartmentError
from saliency_stats.imaging.tissue import tissue_mask, tissue_share

IMAGE = Phantom(size_px=64).render(np.random.default_rng(2), "malignant").image
STAINS = estimate_stains([IMAGE])


def seen(mpp=0.5, image=IMAGE, **parameters):
    return view_of(image, mpp, CompartmentParameters(**parameters), STAINS)


@pytest.mark.parametrize(
    ("mpp", "factor"), [(0.25, 1), (0.5, 1), (0.525, 1), (0.53, 2), (1.0, 2), (1.025, 2), (1.03, 3), (2.0, 4)]
)
def test_an_image_is_enlarged_by_the_smallest_factor_that_makes_it_fine_enough(mpp, factor):
    view = seen(mpp)
    assert view.factor == factor
    assert view.mpp == pytest.approx(mpp / factor)
    assert view.image.shape == (64 * factor, 64 * factor, 3)
    assert view.tissue.shape == view.stained.shape[1:] == view.image.shape[:2]


def test_the_wanted_resolution_is_the_parameters():
    assert seen(0.5, segmentation_mpp=0.25).factor == 2
    assert seen(2.0, segmentation_mpp=2.0).factor == 1


def test_enlargement_keeps_pixel_edges_where_they_are():
    image = np.full((32, 32, 3), 60, np.uint8)
    image[:, 16:] = 220
    fine = seen(1.0, image).image
    assert fine[:, :30].max() <= 64
    assert fine[:, 34:].min() >= 216
    assert fine[10, 31, 0] < 140 < fine[10, 32, 0]


def test_tissue_is_what_it_is_for_cohorts_relative_to_the_slides_glass():
    np.testing.assert_array_equal(seen().tissue, tissue_mask(IMAGE, 0.5, STAINS.white))
    own = view_of(IMAGE, 0.5, CompartmentParameters(), estimate_stains([IMAGE]))
    assert own.tissue.mean() == tissue_share(IMAGE, 0.5)
    more, less = seen(background_od=0.0, tissue_smoothing_um=0.0), seen(background_od=0.4)
    np.testing.assert_array_equal(more.tissue, tissue_mask(IMAGE, 0.5, STAINS.white, 0.0, 0.0))
    assert less.tissue.sum() < seen().tissue.sum() < more.tissue.sum()


def test_stains_are_unmixed_at_the_size_of_the_view_or_taken_as_given():
    np.testing.assert_array_equal(seen().stained, concentrations(IMAGE, STAINS))
    np.testing.assert_array_equal(seen(1.0).stained, concentrations(seen(1.0).image, STAINS))
    given = np.random.default_rng(0).uniform(0, 1, (2, 64, 64))
    assert view_of(IMAGE, 0.5, CompartmentParameters(), STAINS, given).stained is given
    with pytest.raises(CompartmentError, match=r"unmixed has the shape \(2, 9, 64\)"):
        view_of(IMAGE, 0.5, CompartmentParameters(), STAINS, given[:, :9])


def test_structure_needs_tissue_and_more_than_noise():
    assert seen().structure
    noise = np.random.default_rng(0).integers(80, 200, (64, 64, 3)).astype(np.uint8)
    for mpp in (0.5, 1.0):
        assert not seen(mpp, np.full((64, 64, 3), 250, np.uint8)).structure
        assert not seen(mpp, noise).structure


def test_kept_nuclei_are_numbered_anew_with_their_probabilities():
    found = Found(np.array([[0, 1, 2], [3, 3, 1]], np.int32), np.array([0.9, 0.8, 0.7]), 0.5, 0.4)
    kept = found.kept(np.array([True, False, True]))
    assert kept.instances.tolist() == [[0, 1, 0], [2, 2, 1]]
    assert kept.probabilities.tolist() == [0.9, 0.7]
    assert (kept.threshold, kept.lowest) == (0.5, 0.4)
    unknown = found._replace(probabilities=np.zeros(0)).kept(np.array([False, True, True]))
    assert unknown.instances.tolist() == [[0, 0, 1], [2, 2, 0]]
    assert len(unknown.probabilities) == 0


def test_nothing_found_has_the_size_of_the_view():
    found = nothing_found(seen(1.0))
    assert found.instances.shape == (128, 128)
    assert not found.instances.any()
    assert len(found.probabilities) == 0


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("segmentation_mpp", 0.1, 2.0),
        ("cytoplasm_um", 0.5, 50.0),
        ("background_od", 0.0, 0.5),
        ("tissue_smoothing_um", 0.0, 10.0),
    ],
)
def test_the_ends_of_the_ranges_are_allowed_and_nothing_beyond(key, low, high):
    for value in (low, high):
        assert getattr(CompartmentParameters(**{key: value}), key) == value
    for value in (np.nextafter(low, -1), np.nextafter(high, 99)):
        with pytest.raises(CompartmentError, match=f"{key} is .*, expected {low:g} to {high:g}"):
            CompartmentParameters(**{key: value})


def test_the_smallest_usable_image_has_32_pixels():
    assert view_of(IMAGE[:32, :33], 0.5, CompartmentParameters(), STAINS).image.shape == (32, 33, 3)


@pytest.mark.parametrize(
    ("image", "mpp", "message"),
    [
        (np.zeros((64, 64), np.uint8), 0.5, "grey"),
        (np.zeros((64, 64, 4), np.uint8), 0.5, "alpha"),
        (np.zeros((64, 64, 2), np.uint8), 0.5, r"\(64, 64, 2\)\. Convert"),
        (np.ones((64, 64, 3)), 0.5, r"float in \[0, 1\]"),
        (np.full((64, 64, 3), 300, np.uint16), 0.5, "uint16"),
        (np.zeros((31, 64, 3), np.uint8), 0.5, "32 x 32"),
        (np.zeros((64, 64, 3), np.uint8), 0.0, "positive"),
        (np.zeros((64, 64, 3), np.uint8), float("nan"), "positive"),
        (np.zeros((64, 64, 3), np.uint8), float("inf"), "positive"),
    ],
)
def test_unusable_input_is_refused(image, mpp, message):
    with pytest.raises(CompartmentError, match=message):
        view_of(image, mpp, CompartmentParameters(), STAINS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segmentation_mpp": 0}, "segmentation_mpp"),
        ({"cytoplasm_um": float("nan")}, "cytoplasm_um"),
        ({"background_od": 2}, "background_od"),
    ],
)
def test_parameters_are_checked(change, message):
    with pytest.raises(CompartmentError, match=message):
        CompartmentParameters(**change)


def test_the_usual_parameters():
    usual = CompartmentParameters("builtin", 0.5, 15.0, 0.05, 0.5)
    assert CompartmentParameters() == usual


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((64, 64), r"\(64, 64\) \(a grey image\)"),
        ((64, 64, 1), r"\(64, 64, 1\) \(a grey image\)"),
        ((64, 64, 4), r"\(64, 64, 4\) \(an image with an alpha channel\)"),
        ((64,), r"\(64,\)\. Convert"),
        ((1, 64, 64, 3), r"\(1, 64, 64, 3\)\. Convert"),
    ],
)
def test_the_message_says_what_kind_of_image_it_is(shape, found):
    with pytest.raises(CompartmentError, match=found):
        seen(image=np.zeros(shape, np.uint8))


def test_only_floats_up_to_1_are_told_to_be_multiplied():
    for image, told in ((np.full((64, 64, 3), 1.0), True), (np.full((64, 64, 3), 1.1), False)):
        with pytest.raises(CompartmentError, match="float64") as caught:
            seen(image=image)
        assert ("multiply by 255" in str(caught.value)) is told
