from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.cohort.folder import PatchFolder
from saliency_stats.cohort.inspection import inspect
from saliency_stats.cohort.patch import USED, Patch
from saliency_stats.cohort.quality import MIN_FOCUS, MIN_LIGHT, focus, light
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
                "mpp": 0.5,
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


def drawn(seed=0):
    return Phantom(size_px=64).render(np.random.default_rng(seed), "benign").image


def blurred(image, sigma_px):
    return np.rint(gaussian_filter(image.astype(float), (sigma_px, sigma_px, 0))).astype(np.uint8)


def status(image, min_tissue=0.05, **least):
    return inspect(Given([image]), min_tissue, **least).loc[0, "status"]


# --- single patches ---------------------------------------------------------------------------------


def test_a_good_patch_is_used_and_measured():
    image = tissue(height=40, width=33)
    image[:10] = 255
    row = inspect(Given([image]), 0.05, smoothing_um=0.0).loc[0]
    assert (row["status"], row["height_px"], row["width_px"], row["tissue_share"]) == (USED, 40, 33, 0.75)
    assert len(row["sha256"]) == 64
    assert (row["light"], row["focus"]) == (light(image), focus(image, 0.5))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (flat(255, 255, 255), "no tissue: every pixel is white"),
        (flat(251, 251, 251), "no tissue: every pixel is white"),
        (flat(250, 248, 252), "too little tissue; expected at least 5% of the pixels (cohort.min_tissue)"),
        (flat(215, 210, 218), "too little tissue; expected at least 5% of the pixels (cohort.min_tissue)"),
        (tissue() // 8, "too dark; expected a brightness of at least 0.18 (cohort.min_light)"),
        (
            blurred(drawn(), 8),
            "out of focus, or without structure; expected a sharpness of at least 0.28 (cohort.min_focus)",
        ),
        (
            flat(200, 120, 180),
            "out of focus, or without structure; expected a sharpness of at least 0.28 (cohort.min_focus)",
        ),
        (flat(249, 249, 249), "a grey image: all three channels are equal; stains can only be separated in colour"),
        (flat(90, 90, 90), "a grey image: all three channels are equal; stains can only be separated in colour"),
        (tissue(height=31), "too small; expected at least 32 px on each side"),
        (tissue(width=8), "too small; expected at least 32 px on each side"),
        (PatchError("the image file is missing"), "the image file is missing"),
    ],
    ids=[
        *("white", "nearly white", "glass", "dark glass", "black", "blurred", "one colour", "light grey"),
        *("grey", "low", "narrow", "unreadable"),
    ],
)
def test_a_bad_patch_is_excluded_with_its_reason(image, reason):
    assert status(image) == f"excluded: {reason}"


def test_the_least_share_of_tissue_is_the_studys():
    half = tissue()
    half[:16] = 255
    assert status(half, 0.5, smoothing_um=0.0) == USED
    excluded = "excluded: too little tissue; expected at least 51% of the pixels (cohort.min_tissue)"
    assert status(half, 0.51, smoothing_um=0.0) == excluded
    assert status(half, 0.0) == USED


def test_what_counts_as_tissue_is_the_studys():
    assert status(tissue(), 0.5, background_od=0.2) == USED
    assert "too little tissue" in status(tissue(), 0.5, background_od=0.6)


def test_the_least_light_and_focus_are_the_studys_and_themselves_enough():
    image = drawn()
    for name, value in (("min_light", light(image)), ("min_focus", focus(image, 0.5))):
        assert status(image, **{name: value}) == USED
        assert f"cohort.{name}" in status(image, **{name: np.nextafter(value, 1)})
    dark, soft = tissue() // 8, blurred(drawn(), 8)
    assert status(dark, min_light=0.0) == status(soft, min_focus=0.0) == USED


def test_of_several_reasons_the_first_is_given_in_a_fixed_order():
    black = tissue(height=20) // 8
    assert "too small" in status(black)
    dark_glass = flat(3, 2, 1)
    assert "too dark" in status(dark_glass)
    assert "too little tissue" in status(flat(250, 248, 252), min_focus=1.0)


def test_no_phantom_of_any_look_is_excluded():
    for mpp in (0.25, 0.5, 1.0, 2.0):
        size = min(128, max(32, round(64 / mpp)))
        cohort = PhantomCohort(Phantom(size_px=size, mpp=mpp, stain_variation=3.0), PhantomCohortSize(12, 2), 1)
        table = inspect(cohort, 0.05)
        assert (table["status"] == USED).all()
        assert table["focus"].min() > MIN_FOCUS
        assert table["light"].min() > 1.5 * MIN_LIGHT


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
        "mpp",
        "status",
        "height_px",
        "width_px",
        "tissue_share",
        "light",
        "focus",
        "sha256",
    ]
    assert table.loc[1, ["height_px", "width_px", "sha256"]].tolist() == [0, 0, ""]
    for name in ("tissue_share", "light", "focus"):
        assert table[name].isna().tolist() == [False, True, False]
    assert ticks == [1, 1, 1]


PCAM = Path(__file__).parents[2] / "../shared/data/pcam-10x/patches.csv"


@pytest.mark.skipif(not PCAM.is_file(), reason="NOT TESTED: the real patches of ../shared/data are not here")
def test_real_patches_can_be_used():
    cohort = PatchFolder(PCAM)
    cohort.table = cohort.table.iloc[::40]
    table = inspect(cohort, 0.05)
    reasons = table["status"].str.split(";").str[0].value_counts(normalize=True)
    assert reasons[USED] > 0.98
    # a few are indeed bare glass, or nearly black
    assert reasons.get("excluded: too dark", 0) + reasons.get("excluded: out of focus, or without structure", 0) < 0.005
    assert table["tissue_share"].median() > 0.5
    assert (table[["height_px", "width_px"]] == 96).all(axis=None)


# --- what files say of their scale ------------------------------------------------------------------


def test_files_that_state_another_scale_are_used_and_told_together():
    cohort = Given([tissue(seed) for seed in range(5)])
    stated = dict(enumerate([0.25, 0.5, None, 0.8, 0.75]))
    read = cohort.read
    cohort.read = lambda row: Patch(read(row).image, stated_mpp=stated[row])
    told = []
    table = inspect(cohort, 0.05, say=told.append)
    assert (table["status"] == USED).all()
    assert told == [
        (
            "the files of 2 of 5 patches say other µm per pixel than the table, by more than a factor of 1.5 (p0: "
            "0.25, listed 0.5). The table's are used; correct them if they are wrong"
        )
    ]
    assert inspect(cohort, 0.05).equals(table)


def test_files_that_agree_are_not_spoken_of():
    told = []
    inspect(Given([tissue()]), 0.05, say=told.append)
    assert told == []
