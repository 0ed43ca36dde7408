"""Each method is timed by itself on one network, per patch, and the fastest of several tries counts."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pandas as pd

from saliency_stats.measurement import costs
from saliency_stats.measurement.batch import Batch
from saliency_stats.measurement.costs import seconds_per_patch
from saliency_stats.saliency.maps import MapPlan
from saliency_stats.saliency.naming import NetworkKey

BATCH = Batch("timed", (3, 4), 20.0, measured=True)
NETWORKS = {NetworkKey("trained", "1"): "first", NetworkKey("trained", "2"): "second"}
ASKED: list[Any] = []


@dataclass(frozen=True)
class Recorded:
    """Stands in for a measurement, whose maps are tested elsewhere."""

    plan: MapPlan
    models: Any
    table: Any
    cohort: Any

    def explain(self, batch, rows, images):
        ASKED.append((self.plan, self.models, batch, list(rows.index), images))


def test_the_fastest_of_the_tries_is_divided_by_the_patches(monkeypatch):
    clock, ticks = iter([0, 8, 10, 14, 20, 30, *[100, 101] * 3]), []
    monkeypatch.setattr(costs, "perf_counter", lambda: next(clock))
    plan = MapPlan(("gradient", "gradient_x_input"), controls=("sobel",), signed=True)
    cohort = SimpleNamespace(read=lambda row: SimpleNamespace(image=row))
    made = Recorded(plan, {BATCH.place: NETWORKS}, pd.DataFrame(index=range(9)), cohort)
    assert seconds_per_patch(made, BATCH, ticks.append) == {"gradient": 2.0, "gradient_x_input": 0.5}
    assert ticks == [1, 1]
    assert [plan.methods for plan, *_ in ASKED] == [("gradient",)] * 3 + [("gradient_x_input",)] * 3
    for plan, models, batch, rows, images in ASKED:
        assert (plan.controls, plan.signed) == ((), False)
        assert models == {BATCH.place: {NetworkKey("trained", "1"): "first"}}
        assert (batch, rows, images) == (BATCH, [3, 4], [3, 4])
