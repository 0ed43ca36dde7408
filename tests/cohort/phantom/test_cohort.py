import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.cohort.inspection import inspect
from saliency_stats.cohort.patch import PATCH_COLUMNS, USED
from saliency_stats.cohort.phantom.cohort import PhantomCohort, PhantomCohortSize
from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.errors import StudyError
from saliency_stats.vocabulary import COMPARTMENT_CODES, LABELS

PHANTOM = Phantom(size_px=32)


def made(slides=3, patches=4, seed=1, phantom=PHANTOM):
    return PhantomCohort(phantom, PhantomCohortSize(slides, patches), seed)


def same(first, second):
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ("image", "truth", "instances"))


def test_the_table():
    cohort = made(slides=12, patches=6)
    table = cohort.table
    assert tuple(table.columns) == PATCH_COLUMNS
    assert list(table.index) == list(range(72))
    assert table["patch_id"].is_unique
    assert (table["patch_id"].iloc[0], table["patch_id"].iloc[-1]) == ("phantom-01-001", "phantom-12-006")
    assert (table["status"] == USED).all()
    assert (table["split"] == "").all()
    assert (table["magnification"] == 20).all()
    # one patient to a slide, both classes in equal parts on each
    slides = table.groupby("slide_id")
    assert slides["patient_id"].nunique().eq(1).all()
    assert table.groupby("patient_id")["slide_id"].nunique().eq(1).all()
    assert slides["label"].value_counts().eq(3).all()
    assert set(table["label"]) == set(LABELS)
    assert cohort.digests == {}


def test_ids_sort_in_their_order_whatever_their_number():
    table = made(slides=101, patches=2).table
    assert table["patch_id"].is_monotonic_increasing
    assert table["slide_id"].is_monotonic_increasing


def test_a_patch_has_its_truth():
    patch = made().read(0)
    assert patch.image.shape == (32, 32, 3)
    assert patch.truth.shape == patch.instances.shape == (32, 32)
    np.testing.assert_array_equal(patch.instances > 0, patch.truth == COMPARTMENT_CODES["nucleus"])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), order=st.permutations(range(6)))
def test_a_patch_does_not_depend_on_what_was_read_before(seed, order):
    cohort = made(patches=2, seed=seed)
    again = made(patches=2, seed=seed)
    assert all(same(cohort.read(row), again.read(row)) for row in order)


def test_a_larger_cohort_holds_the_smaller_one():
    small, large = made(slides=3, patches=2), made(slides=5, patches=6)
    for row in small.table.index:
        slide, number = divmod(row, 2)
        assert same(small.read(row), large.read(6 * slide + number))


def test_no_two_patches_are_the_same_nor_those_of_another_seed():
    images = [made(seed=seed).read(row).image.tobytes() for seed in (1, 2) for row in range(12)]
    assert len(set(images)) == 24


def test_patches_of_one_slide_share_its_stain():
    cohort = made(slides=6, patches=8, phantom=Phantom(size_px=64, stain_variation=3.0))
    rows = cohort.table.assign(red=[cohort.read(row).image[..., 0].mean() for row in cohort.table.index])
    within = rows.groupby("slide_id")["red"].var().mean()
    between = rows.groupby("slide_id")["red"].mean().var()
    assert between > 2 * within / 8  # the means of slides vary by more than their patches explain


def test_every_phantom_can_be_used():
    table = inspect(made(phantom=Phantom(size_px=64)), min_tissue=0.05)
    assert (table["status"] == USED).all()
    assert isinstance(table, pd.DataFrame)


@pytest.mark.parametrize(
    ("slides", "patches", "message"),
    [
        (2, 4, r"cohort\.slides is 2; expected 3 to 100000"),
        (100_001, 4, r"cohort\.slides is 100001"),
        (3, 1, r"cohort\.patches_per_slide is 1; expected 2 to 100000"),
        (3, 100_001, r"cohort\.patches_per_slide is 100001"),
    ],
)
def test_sizes_out_of_range(slides, patches, message):
    with pytest.raises(StudyError, match=message):
        PhantomCohortSize(slides, patches)


def test_a_pickled_cohort_draws_the_same():
    cohort = made()
    again = pickle.loads(pickle.dumps(cohort))  # noqa: S301  (our own)
    assert again.table.equals(cohort.table)
    assert same(again.read(5), cohort.read(5))


#: Means and deviations of the colours, areas of the compartments and number of nuclei, as every study has seen them.
GOLDEN = {
    0: ([144.451, 93.784, 154.505, 54.604, 57.587, 39.605], [301, 873, 1864, 1058], 9),
    1: ([165.48, 115.857, 170.198, 51.792, 59.907, 38.427], [309, 569, 2093, 1125], 8),
    47: ([170.268, 134.004, 166.992, 45.772, 49.351, 39.011], [407, 843, 1914, 932], 9),
}


def assert_patch(patch, colours, areas, nuclei):
    assert [*patch.image.mean(axis=(0, 1)), *patch.image.std(axis=(0, 1))] == pytest.approx(colours, abs=0.02)
    assert np.bincount(patch.truth.ravel(), minlength=4).tolist() == areas
    assert patch.instances.max() == nuclei


@pytest.mark.parametrize("row", GOLDEN)
def test_patches_are_those_that_every_study_has_seen(row):
    assert_patch(PhantomCohort(Phantom(size_px=64), PhantomCohortSize(12, 4), 3).read(row), *GOLDEN[row])


def test_a_coarse_patch_of_a_weaker_signal_is_that_too():
    cohort = PhantomCohort(Phantom(size_px=48, mpp=1.0, signal="stroma", strength=0.6), PhantomCohortSize(3, 2), 4)
    assert_patch(cohort.read(3), [159.281, 98.305, 150.148, 41.576, 50.908, 38.963], [137, 517, 988, 662], 13)


def test_the_usual_cohort():
    assert PhantomCohortSize() == PhantomCohortSize(24, 12)
    assert Phantom() == Phantom("cytoplasm", 128, 0.5, 1.0, 1.0)


@pytest.mark.parametrize(("slides", "width"), [(9, 2), (10, 2), (99, 2), (100, 3)])
def test_ids_count_from_1_and_have_as_many_digits_as_the_last(slides, width):
    table = made(slides, 2).table
    assert table["patch_id"].iloc[0] == f"phantom-{1:0{width}d}-001"
    assert table["patch_id"].iloc[-1] == f"phantom-{slides:0{width}d}-002"
    assert table["slide_id"].iloc[-1] == f"slide-{slides:0{width}d}"
    assert table["patient_id"].iloc[-1] == f"patient-{slides:0{width}d}"


def test_the_ends_of_the_sizes_are_allowed():
    for slides, patches in ((3, 2), (100_000, 2), (3, 100_000)):
        assert PhantomCohortSize(slides, patches).slides == slides
    for slides, patches in ((2, 2), (100_001, 2), (3, 1), (3, 100_001)):
        with pytest.raises(StudyError, match="expected"):
            PhantomCohortSize(slides, patches)
