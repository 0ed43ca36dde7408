from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from saliency_stats.cohort.folder import PatchFolder
from saliency_stats.cohort.inspection import inspect
from saliency_stats.cohort.patch import USED, Patch
from saliency_stats.cohort.tissue import GLASS_OD, tissue_share
from saliency_stats.errors import PatchError


class Given:
    """Patches as given; an error in place of one is raised when it is read."""

    kind = "patches"

    def __init__(self, images, magnifications=None):
        n = len(images)
        self._images = images
        self.digests = {}
        self.table = pd.DataFrame(
            {
                "patch_id": [f"p{row}" for row in range(n)],
                "label": "benign",
                "magnification": magnifications or [20.0] * n,
                "status": USED,
            }
        )

    def read(self, row):
        if isinstance(self._images[row], Exception):
            raise self._images[row]
        return Patch(self._images[row])


def tissue(seed=0, height=32, width=32):
    noise = np.random.default_rng(seed).integers(-30, 30, (height, width, 3))
    return (np.array([200, 120, 180]) + noise).astype(np.uint8)


def flat(*colour, size=32):
    return np.full((size, size, 3), colour, np.uint8)


def status(image, min_tissue=0.05):
    return inspect(Given([image]), min_tissue).loc[0, "status"]


# --- single patches ---------------------------------------------------------------------------------


def test_a_good_patch_is_used_and_measured():
    image = tissue(height=40, width=33)
    image[:10] = 255
    row = inspect(Given([image]), 0.05).loc[0]
    assert (row["status"], row["height_px"], row["width_px"], row["tissue_share"]) == (USED, 40, 33, 0.75)
    assert len(row["sha256"]) == 64


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (flat(255, 255, 255), "no tissue: every pixel is white"),
        (flat(251, 251, 251), "no tissue: every pixel is white"),
        (flat(250, 248, 252), "too little tissue; expected at least 5% of the pixels (cohort.min_tissue)"),
        (flat(90, 90, 90), "a grey image: all three channels are equal; stains can only be separated in colour"),
        (tissue(height=31), "too small; expected at least 32 px on each side"),
        (tissue(width=8), "too small; expected at least 32 px on each side"),
        (PatchError("the image file is missing"), "the image file is missing"),
    ],
    ids=["white", "nearly white", "glass", "grey", "low", "narrow", "unreadable"],
)
def test_a_bad_patch_is_excluded_with_its_reason(image, reason):
    assert status(image) == f"excluded: {reason}"


def test_the_least_share_of_tissue_is_the_studys():
    half = tissue()
    half[:16] = 255
    assert status(half, 0.5) == USED
    assert status(half, 0.51) == "excluded: too little tissue; expected at least 51% of the pixels (cohort.min_tissue)"
    assert status(half, 0.0) == USED


def test_other_errors_are_no_reason_to_exclude():
    with pytest.raises(ZeroDivisionError):
        inspect(Given([ZeroDivisionError()]), 0.05)


def test_one_cause_is_one_reason_so_that_causes_can_be_counted():
    images = [tissue(seed) for seed in range(6)]
    for rows, image in enumerate(images[:3]):
        image[rows + 1 :] = 255
    copies = images[3:]
    small = [tissue(height=height) for height in (8, 16, 31)]
    table = inspect(Given([*images, *copies, *small]), 0.5)
    assert sorted(table["status"].value_counts()) == [3, 3, 3, 3]


# --- the same patch twice ---------------------------------------------------------------------------


def test_the_same_pixels_under_two_names_count_once():
    table = inspect(Given([tissue(1), tissue(2), tissue(1), tissue(1)]), 0.05)
    assert table["status"].tolist() == [
        USED,
        USED,
        "excluded: the same pixels (sha256) as an earlier patch; a patch counts once",
        "excluded: the same pixels (sha256) as an earlier patch; a patch counts once",
    ]
    assert table["sha256"].eq(table.loc[0, "sha256"]).tolist() == [True, False, True, True]


def test_the_same_bytes_in_another_shape_are_another_patch():
    image = tissue(height=32, width=64)
    table = inspect(Given([image, image.reshape(64, 32, 3)]), 0.05)
    assert (table["status"] == USED).all()
    assert table["sha256"].nunique() == 2


def test_the_same_pixels_at_two_magnifications_are_two_patches():
    table = inspect(Given([tissue(1), tissue(1)], [20.0, 10.0]), 0.05)
    assert (table["status"] == USED).all()


def test_white_patches_are_excluded_for_being_white():
    table = inspect(Given([flat(255, 255, 255)] * 2), 0.05)
    assert (table["status"] == "excluded: no tissue: every pixel is white").all()


# --- the table --------------------------------------------------------------------------------------


def test_the_cohorts_own_table_is_left_alone_and_the_order_kept():
    cohort = Given([tissue(1), PatchError("broken"), tissue(2)])
    before = cohort.table.copy()
    ticks = []
    table = inspect(cohort, 0.05, ticks.append)
    pd.testing.assert_frame_equal(cohort.table, before)
    assert table["patch_id"].tolist() == ["p0", "p1", "p2"]
    assert list(table.columns) == [
        "patch_id",
        "label",
        "magnification",
        "status",
        "height_px",
        "width_px",
        "tissue_share",
        "sha256",
    ]
    assert table.loc[1, ["height_px", "width_px", "sha256"]].tolist() == [0, 0, ""]
    assert table["tissue_share"].isna().tolist() == [False, True, False]
    assert ticks == [1, 1, 1]


PCAM = Path(__file__).parents[2] / "../shared/data/pcam-10x/patches.csv"


@pytest.mark.skipif(not PCAM.is_file(), reason="NOT TESTED: the real patches of ../shared/data are not here")
def test_real_patches_can_be_used():
    cohort = PatchFolder(PCAM)
    cohort.table = cohort.table.iloc[::600]
    table = inspect(cohort, 0.05)
    assert (table["status"] == USED).mean() > 0.9
    assert table["tissue_share"].median() > 0.5
    assert (table[["height_px", "width_px"]] == 96).all(axis=None)


# --- the share of tissue ----------------------------------------------------------------------------

IMAGES = arrays(np.uint8, (4, 5, 3))


@settings(deadline=None)
@given(IMAGES)
def test_the_share_is_a_share_and_does_not_depend_on_where_pixels_are(image):
    share = tissue_share(image)
    assert 0 <= share <= 1
    assert share == tissue_share(image[::-1, ::-1]) == tissue_share(image.transpose(1, 0, 2))


@settings(deadline=None)
@given(IMAGES, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_finds_less_tissue(image, first, second):
    low, high = sorted((first, second))
    assert tissue_share(image, low) >= tissue_share(image, high)


def test_the_threshold_is_an_optical_density():
    grey = round(255 * 10**-GLASS_OD)
    assert tissue_share(flat(grey + 1, grey + 1, grey + 1)) == 0.0
    assert tissue_share(flat(grey - 1, grey - 1, grey - 1)) == 1.0
    assert tissue_share(flat(0, 0, 0)) == 1.0
