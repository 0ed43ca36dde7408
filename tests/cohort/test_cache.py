import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from saliency_stats.cohort.cache import CachedCohort
from saliency_stats.cohort.patch import Patch
from saliency_stats.errors import PatchError

SIZE = 32 * 32 * 3


class Counting:
    """Counts how often each row is read; row 3 cannot be."""

    kind = "patches"

    def __init__(self, inner, *, truth=False):
        self.table, self.digests = inner.table, {"patches.csv": "abc"}
        self._inner, self._truth = inner, truth
        self.reads = dict.fromkeys(range(len(inner.table)), 0)

    def read(self, row):
        self.reads[row] += 1
        if row == 3:
            raise PatchError("broken")
        image = self._inner.read(row).image
        return Patch(image, image[..., 0], image[..., 0].astype(np.int32)) if self._truth else Patch(image)


@pytest.fixture
def counting(cohort_of):
    return Counting(cohort_of([(32, 32)] * 5))


def read_twice(cached):
    return [cached.read(row).image for _ in range(2) for row in (0, 1, 2)]


@pytest.mark.parametrize("room", [0, 1, 2, 3])
def test_what_fits_is_read_once_and_the_rest_each_time(counting, room):
    cached = CachedCohort(counting, room * SIZE + 100)
    images = read_twice(cached)
    assert [counting.reads[row] for row in (0, 1, 2)] == [1] * room + [2] * (3 - room)
    for image, row in zip(images, (0, 1, 2, 0, 1, 2), strict=True):
        np.testing.assert_array_equal(image, counting.read(row).image)


def test_the_truth_counts_too(cohort_of):
    counting = Counting(cohort_of([(32, 32)] * 5), truth=True)
    cached = CachedCohort(counting, SIZE + 32 * 32 * (1 + 4))
    read_twice(cached)
    assert counting.reads == {0: 1, 1: 2, 2: 2, 3: 0, 4: 0}
    assert cached.read(0).instances.dtype == np.int32


def test_a_patch_that_does_not_fit_leaves_room_for_one_that_does(cohort_of):
    counting = Counting(cohort_of([(64, 64), (32, 32), (32, 32)]))
    cached = CachedCohort(counting, SIZE)
    read_twice(cached)
    assert counting.reads == {0: 2, 1: 1, 2: 2}


def test_a_patch_that_two_threads_read_at_once_takes_its_room_once(cohort_of):
    class Meeting(Counting):
        meeting = Barrier(2, timeout=10)

        def read(self, row):
            if row == 0:
                self.meeting.wait()
            return super().read(row)

    counting = Meeting(cohort_of([(32, 32)] * 5))
    cached = CachedCohort(counting, 2 * SIZE)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(cached.read, [0, 0]))
    for _ in range(2):
        cached.read(1)
    assert counting.reads == {0: 2, 1: 1, 2: 0, 3: 0, 4: 0}


def test_a_broken_patch_is_broken_each_time(counting):
    cached = CachedCohort(counting, 10**6)
    for _ in range(2):
        with pytest.raises(PatchError, match="broken"):
            cached.read(3)
    assert counting.reads[3] == 2


def test_it_says_what_the_cohort_behind_says(counting):
    cached = CachedCohort(counting, 0)
    assert (cached.kind, cached.digests) == ("patches", {"patches.csv": "abc"})
    assert cached.table is counting.table


def test_a_pickled_cohort_carries_no_patches_and_has_all_its_room_again(counting):
    cached = CachedCohort(counting, 2 * SIZE)
    empty = len(pickle.dumps(cached))
    read_twice(cached)
    again = pickle.loads(pickle.dumps(cached))  # noqa: S301  (our own)
    assert len(pickle.dumps(cached)) == empty
    assert again.table.equals(counting.table)
    again.inner.reads = dict.fromkeys(range(5), 0)
    images = read_twice(again)
    assert again.inner.reads == {0: 1, 1: 1, 2: 2, 3: 0, 4: 0}
    for image, row in zip(images, (0, 1, 2, 0, 1, 2), strict=True):
        np.testing.assert_array_equal(image, counting.read(row).image)
