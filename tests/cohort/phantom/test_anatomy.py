"""What every architecture shares: shares of pixels chosen by a score, and bodies drawn on demand."""

import numpy as np

from saliency_stats.cohort.phantom.anatomy import Anatomy, highest
from saliency_stats.cohort.phantom.cells import LYMPHOCYTE, Cells, bodies, nearest_cell


def test_the_highest_eligible_scores_are_chosen_and_no_more_than_there_are():
    score = np.array([[5, 1, 4], [2, 9, 3]], dtype=np.float32)
    eligible = np.array([[True, True, True], [True, False, True]])
    assert highest(score, eligible, 2).tolist() == [[True, False, True], [False, False, False]]
    assert highest(score, eligible, 9).sum() == 5
    assert not highest(score, eligible, 0).any()
    assert not highest(score, ~eligible & False, 3).any()


def test_bodies_are_those_of_the_cells():
    one = Cells(np.array([[10.0, 10.0]]), np.array([[3.0, 3.0]]), np.zeros(1), np.zeros(1), np.array([LYMPHOCYTE]))
    nearest, distance = nearest_cell(one, (40, 40), 0.5)
    nothing = np.zeros((40, 40), dtype=bool)
    anatomy = Anatomy(one, nearest, distance, nothing, ~nothing, 0.0, 0.5)
    assert anatomy.body is None
    assert anatomy.matter is None
    assert anatomy.bend_um is None
    np.testing.assert_array_equal(anatomy.stroma_tint, np.ones((2, 1, 1)))
    drawn = anatomy.with_bodies()
    np.testing.assert_array_equal(drawn.body, bodies(one, nearest, distance, 0.5))
    assert drawn.body.any()
    assert drawn.gap is anatomy.gap
