"""What a map of each method costs: seconds, measured."""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

from saliency_stats.measurement.batch import Batch
from saliency_stats.measurement.measure import Measurement

#: The fastest of so many tries is taken: the first warms up, and others may be disturbed.
_TRIES = 3


def seconds_per_patch(
    measurement: Measurement, batch: Batch, tick: Callable[[int], object] = lambda _: None
) -> dict[str, float]:
    """Time the maps of every method of a plan on one trained network, with the logits that come with them.

    Parameters
    ----------
    measurement
        Its methods are timed, one at a time, on the first of its networks.
    batch
        The patches that are explained.
    tick
        Told of each method that is done.

    Returns
    -------
    dict of float
        Seconds per patch, by the name of the method in the plan.
    """
    rows = measurement.table.loc[list(batch.rows)]
    images = [measurement.cohort.read(row).image for row in batch.rows]
    key, network = next(iter(measurement.models[batch.place].items()))
    found = {}
    for method in measurement.plan.methods:
        plan = replace(measurement.plan, methods=(method,), controls=(), signed=False)
        alone, taken = replace(measurement, plan=plan, models={batch.place: {key: network}}), []
        for _ in range(_TRIES):
            began = perf_counter()
            alone.explain(batch, rows, images)
            taken.append(perf_counter() - began)
        found[method] = min(taken) / len(images)
        tick(1)
    return found
