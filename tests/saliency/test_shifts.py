"""A map at a random place keeps its values, and every place is as likely."""

import numpy as np
import pytest

from saliency_stats.errors import AttributionError
from saliency_stats.saliency.shifts import shifted


def test_a_random_shift_is_a_shift_and_every_one_occurs():
    maps = np.arange(12, dtype=np.float32).reshape(3, 4)
    rng = np.random.default_rng(0)
    found = [shifted(maps, rng) for _ in range(600)]
    corners = [tuple(int(i) for i in np.argwhere(one == 0)[0]) for one in found]
    for one, corner in zip(found, corners, strict=True):
        np.testing.assert_array_equal(one, np.roll(maps, corner, axis=(0, 1)))
        assert one.dtype == np.float32
    counts = np.array([corners.count((y, x)) for y in range(3) for x in range(4)])
    assert counts.min() > 25  # 50 expected of each of the 12
    np.testing.assert_array_equal(shifted(maps, np.random.default_rng(3)), shifted(maps, np.random.default_rng(3)))
    with pytest.raises(AttributionError, match=r"found \(2, 3, 4\)"):
        shifted(np.stack([maps, maps]), rng)
