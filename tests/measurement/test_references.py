"""Baselines are training patches of the network that is explained, and no others."""

import pickle

import numpy as np
import pandas as pd
import pytest

from saliency_stats.measurement.references import MOST, Place, References, draw_references, without_references


def table(n=60, seed=0):
    """Two magnifications and two sizes, in splits that have nothing to do with either."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "split": rng.choice(["train", "valid", "test"], n),
            "magnification": rng.choice([10.0, 20.0], n),
            "height_px": rng.choice([64, 96], n),
            "width_px": 64,
        },
        index=rng.permutation(10 * n)[:n],
    )


@pytest.mark.parametrize("seed", range(5))
def test_only_training_patches_of_the_place_are_drawn(seed):
    folds = {1: table(seed=seed), 2: table(seed=seed + 100)}
    drawn = draw_references(folds, seed, 5)
    assert len(drawn) == 8
    for place, rows in drawn.items():
        found = folds[place.fold].loc[list(rows)]
        assert set(found["split"]) == {"train"}
        assert set(found["magnification"]) == {place.magnification}
        assert set(found["height_px"]) == {place.height_px}
        assert len(rows) == len(set(rows)) == min(5, _there(folds, place))
        assert list(rows) == sorted(rows)
    assert draw_references(folds, seed, 5) == drawn
    assert draw_references(folds, seed + 1, 5) != drawn


def _there(folds, place):
    like = folds[place.fold][["magnification", "height_px", "width_px"]] == [place.magnification, *place[2:]]
    return int((like.all(axis=1) & (folds[place.fold]["split"] == "train")).sum())


def test_by_default_there_are_at_most_so_many_of_all_that_are_there():
    many = table(400).assign(split="train", magnification=20.0, height_px=64)
    ((place, rows),) = draw_references({0: many}, 0).items()
    assert place == Place(20.0, 0, 64, 64)
    assert len(rows) == MOST == 64
    assert set(rows) < set(many.index)


def test_judged_patches_without_a_training_patch_like_them_are_named():
    rows = pd.DataFrame(
        {
            "split": ["train", "train", "test", "test", "test", "valid"],
            "magnification": [20.0, 10.0, 20.0, 20.0, 40.0, 5.0],
            "height_px": [64, 96, 96, 96, 64, 64],
            "width_px": 64,
        }
    )
    assert list(without_references({0: rows}, "test")) == [
        "there is no training patch of 96 × 64 px at 20×, of which baselines could be drawn for 2 judged ones",
        "there is no training patch of 64 × 64 px at 40×, of which baselines could be drawn for 1 judged ones",
    ]
    assert [*without_references({3: rows}, "valid")] == [
        "there is no training patch of fold 3 of 64 × 64 px at 5×, of which baselines could be drawn for 1 judged ones"
    ]
    assert not [*without_references({0: rows.iloc[:2]}, "test")]


class Reading:
    def __init__(self):
        self.rows = []

    def read(self, row):
        self.rows.append(row)
        return type("Patch", (), {"image": np.full((4, 4, 3), row, np.uint8)})


def test_the_patches_of_a_place_are_read_once_and_those_of_the_last_are_kept():
    here, there = Place(20.0, 0, 4, 4), Place(10.0, 0, 4, 4)
    cohort = Reading()
    references = References(cohort, {here: (3, 5), there: (8,)})
    assert references.at(here)[:, 0, 0, 0].tolist() == [3, 5]
    assert references.at(here).shape == (2, 4, 4, 3)
    assert cohort.rows == [3, 5]
    references.at(there)
    references.at(here)
    assert cohort.rows == [3, 5, 8, 3, 5]
    again = pickle.loads(pickle.dumps(references))  # noqa: S301  (our own bytes)
    assert again.at(there)[:, 0, 0, 0].tolist() == [8]
    assert again.cohort.rows == [3, 5, 8, 3, 5, 8]  # it read anew
