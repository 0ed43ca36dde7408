"""A batch is measured once, and its maps are kept by model."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest

from saliency_stats.execution.store import Store
from saliency_stats.measurement.batch import Batch
from saliency_stats.measurement.stored import StoredMeasurement, write_maps

BATCH = Batch("000001", (0, 1), 20.0, measured=True)


class Counting:
    """Stands for a measurement."""

    calls = 0

    def __call__(self, batch):
        Counting.calls += 1
        return {"ledger": pd.DataFrame({"rows": list(batch.rows)})}


def test_what_is_stored_is_not_measured_again(tmp_path):
    Counting.calls = 0
    work = pickle.loads(pickle.dumps(StoredMeasurement(tmp_path, Counting())))  # noqa: S301  (our own bytes)
    work(BATCH)
    work(BATCH)
    assert Counting.calls == 1
    with pytest.raises(FrozenInstanceError):
        work.folder = tmp_path / "other"
    assert Store(tmp_path).read_batch(BATCH.name)["ledger"]["rows"].to_pylist() == [0, 1]


def test_maps_are_kept_by_model_with_the_names_of_their_patches(tmp_path):
    maps = np.arange(2 * 2 * 2 * 3, dtype=np.float32).reshape(2, 2, 2, 3)
    rows = [
        {
            "patch_id": patch,
            "magnification": 20.0,
            "model": model,
            "network": network,
            "height_px": 2,
            "width_px": 3,
            "saliency": maps[m, p].astype("<f4").tobytes(),
        }
        for m, (model, network) in enumerate([("trained", "1"), ("randomised", "fold1-2")])
        for p, patch in enumerate(("007", "b"))
    ]
    path = tmp_path / "maps" / "000001.npz"
    write_maps(path, pd.DataFrame(rows))
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file.files) == ["patch_id", "randomised-fold1-2", "trained"]
        assert file["patch_id"].tolist() == ["007", "b"]
        np.testing.assert_array_equal(file["trained"], maps[0])
        np.testing.assert_array_equal(file["randomised-fold1-2"], maps[1])
