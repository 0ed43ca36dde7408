"""TF32 is used where it leaves the ratios of the study's own maps as they are, and nowhere else."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from saliency_stats.measurement.batch import Batch
from saliency_stats.measurement.precision import MOST_CHANGE, with_precision

BATCHES = [
    Batch("000000", (0, 1), 20.0, measured=False),
    Batch("000001", (2, 3, 4, 5, 6, 7), 20.0, measured=True),
    Batch("000002", (8, 9), 20.0, measured=True),
    Batch("000003", (10,), 40.0, measured=True),
    Batch("000004", (11,), 20.0, measured=True, fold=2),
]


@dataclass(frozen=True)
class Fake:
    """Stands for a measurement: its ratios change by some in TF32 where the network is that of 40x."""

    change: float
    exact: tuple[float, ...] = (1.5, np.nan, 0.2, 0.0)
    device: torch.device = field(default_factory=lambda: torch.device("cuda"))
    given: Any = None
    keep: bool = True
    ablations: Any = "some"
    rerendering: Any = "some"
    multiverse: Any = "some"
    thumbnails: Any = "some"
    tf32: bool = False
    asked: list[tuple[str, tuple[int, ...], bool]] = field(default_factory=list)

    def __call__(self, batch):
        assert not any((self.keep, self.ablations, self.rerendering, self.multiverse, self.thumbnails))
        self.asked.append((batch.name, batch.rows, self.tf32))
        ratios = np.array(self.exact)
        if self.tf32 and batch.magnification == 40.0:
            ratios = ratios + self.change
        return {"ledger": pd.DataFrame({"density_ratio": ratios})}


@pytest.mark.parametrize(("change", "used"), [(0.0, True), (0.9 * MOST_CHANGE, True), (1.1 * MOST_CHANGE, False)])
def test_it_is_used_where_the_ratios_stay(change, used):
    fake = Fake(change)
    found, flags = with_precision(fake, BATCHES)
    assert found == Fake(change, tf32=used, asked=fake.asked)
    assert flags == {"tf32": used, "tf32_change": pytest.approx(change)}
    # the first measured batch of every magnification and fold, four patches of it, in both ways
    names = [("000001", (2, 3, 4, 5)), ("000003", (10,)), ("000004", (11,))]
    assert fake.asked == [(*name, tf32) for name in names for tf32 in (False, True)]


def test_a_large_ratio_may_change_by_as_much_of_itself():
    assert with_precision(Fake(1.5 * MOST_CHANGE, exact=(2.0,)), BATCHES)[1]["tf32"]
    assert not with_precision(Fake(1.5 * MOST_CHANGE, exact=(0.5,)), BATCHES)[1]["tf32"]


def test_a_ratio_that_is_lost_is_no_small_change():
    found, flags = with_precision(Fake(np.nan, exact=(1.0,)), BATCHES)
    assert (found.tf32, flags) == (False, {"tf32": False, "tf32_change": None})


@pytest.mark.parametrize("fake", [Fake(0.0, device=torch.device("cpu")), Fake(0.0, given="maps")])
def test_where_there_is_nothing_to_decide_nothing_is_measured(fake):
    assert with_precision(fake, BATCHES) == (fake, {})
    assert fake.asked == []
