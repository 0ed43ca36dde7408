"""The overlay names every compartment and leaves the tissue to be seen."""

import numpy as np
import pytest

from saliency_stats.compartments import Segmentation, from_codes
from saliency_stats.errors import ReportError
from saliency_stats.report.overlay import NUCLEUS_OUTLINE, overlay
from saliency_stats.vocabulary import COMPARTMENT_CODES

IMAGE = np.random.default_rng(0).integers(60, 240, (15, 22, 3)).astype(np.uint8)


def segmentation():
    """Two touching nuclei, one of them at the image's border; cytoplasm, stroma and background in columns."""
    codes = np.full(IMAGE.shape[:2], COMPARTMENT_CODES["background"])
    codes[:, :12] = COMPARTMENT_CODES["cytoplasm"]
    codes[:, 12:18] = COMPARTMENT_CODES["stroma"]
    instances = np.zeros(codes.shape, dtype=np.int32)
    instances[4:10, 0:5], instances[4:10, 5:10] = 1, 2
    codes[instances > 0] = COMPARTMENT_CODES["nucleus"]
    return Segmentation(instances, from_codes(codes)), codes


def test_each_nucleus_has_its_own_outline_inside_of_itself():
    found, codes = segmentation()
    outlined = (overlay(IMAGE, found) == NUCLEUS_OUTLINE).all(axis=2)
    assert not outlined[codes != COMPARTMENT_CODES["nucleus"]].any()
    assert outlined[4:10, 4:6].all()  # where the two touch
    assert outlined[[4, 9], :10].all()
    assert outlined[4:10, 9].all()
    assert not outlined[5:9, 1:4].any()
    assert not outlined[5:9, 6:9].any()


def test_the_inside_of_nuclei_and_the_background_are_the_image():
    found, _ = segmentation()
    drawn = overlay(IMAGE, found)
    for here in (np.s_[5:9, 1:4], np.s_[5:9, 6:9], np.s_[:, 18:]):
        np.testing.assert_array_equal(drawn[here], IMAGE[here])


@pytest.mark.parametrize(("name", "channel"), [("cytoplasm", 0), ("stroma", 1)])
def test_a_tint_moves_all_pixels_towards_one_colour_and_keeps_three_quarters_of_the_contrast(name, channel):
    found, codes = segmentation()
    here = codes == COMPARTMENT_CODES[name]
    before, after = IMAGE[here].astype(float), overlay(IMAGE, found)[here].astype(float)
    slope, _ = np.polyfit(before.ravel(), after.ravel(), 1)
    assert slope == pytest.approx(0.75, abs=0.05)
    moved = (after - 0.75 * before).mean(axis=0)
    assert moved.argmax() == channel
    assert (after - 0.75 * before).std(axis=0).max() < 0.5  # rounding


def test_the_image_is_not_changed_and_a_fresh_one_is_returned():
    before = IMAGE.copy()
    drawn = overlay(IMAGE, segmentation()[0])
    np.testing.assert_array_equal(IMAGE, before)
    assert drawn.dtype == np.uint8
    assert drawn.shape == IMAGE.shape


def test_no_nuclei_no_outline():
    nothing = Segmentation(np.zeros(IMAGE.shape[:2], np.int32), from_codes(np.zeros(IMAGE.shape[:2], np.uint8)))
    np.testing.assert_array_equal(overlay(IMAGE, nothing), IMAGE)


def test_a_segmentation_of_another_image_is_refused():
    with pytest.raises(ReportError, match="one height and width"):
        overlay(IMAGE[1:], segmentation()[0])
