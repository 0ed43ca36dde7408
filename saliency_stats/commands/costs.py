"""What a study will cost: a few steps and a few patches are timed, and multiplied (nothing of it is kept)."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pandas as pd
import torch

from saliency_stats.classifier.building import initialise
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.together import together
from saliency_stats.classifier.training import uses_bfloat16
from saliency_stats.cohort.cache import CachedCohort
from saliency_stats.execution.device import reused_memory, usual_workers, wait_for
from saliency_stats.execution.engine import Threads
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.measurement.batch import batches_of
from saliency_stats.settings.study import StudySettings
from saliency_stats.study import estimates, parameters
from saliency_stats.study.stages import Stages
from saliency_stats.vocabulary import TRAINED

#: Images of a timed step, and patches of each magnification that are measured for a trial.
_TRIAL: Final = 8
_MEASURED: Final = 3
#: Workers of one thread each, elsewhere, for which times are told too.
_ELSEWHERE: Final = (8, 32)


def costs(
    settings: StudySettings, cohort: CachedCohort, used: pd.DataFrame, device: torch.device, reading: float
) -> list[str]:
    """Estimate time, memory and disk of a study on this machine, and its time on others.

    Parameters
    ----------
    cohort
        Where the patches are read.
    used
        Rows of the inspected table that can be used.
    device
        Where the networks compute.
    reading
        Seconds in which every patch was read once.

    Returns
    -------
    list of str
        Lines for a person.
    """
    size = used[["height_px", "width_px"]].max()
    images = torch.from_numpy(np.zeros((_TRIAL, 3, int(size["height_px"]), int(size["width_px"])), np.float32))
    images = images.to(device, memory_format=torch.channels_last)
    model = initialise(parameters.architecture_of(settings), 0).to(device).to(memory_format=torch.channels_last)
    with reused_memory():  # as a run trains
        step = _seconds(lambda: _train_step(settings, model, images), device) / _TRIAL
    model.eval()
    batch = estimates.batch_bytes(settings, used)
    at_a_time = usual_workers(device, batch)
    # batches are measured each on one thread, side by side; on a GPU they share it
    workers = at_a_time if device.type == "cpu" else 1
    timed = partial(_seconds, device=device)
    forward = next(iter(Threads(1).map(timed, [torch.no_grad()(lambda: model(images))]))) / _TRIAL / workers
    splits, each = parameters.folding_of(settings).tables(used).values(), settings.classifier.networks
    n_train = each * sum(int((table["split"] == "train").sum()) for table in splits)
    # a frozen backbone is of all networks, unless each has its own random one
    once = len(used) if len(splits) > 1 else n_train // each
    shares = settings.classifier.trainable == "head" and settings.classifier.weights != "none"
    n_frozen = once if shares else n_train
    measured = used[used["split"] == settings.cohort.evaluation_split]
    n_replaced = int(parameters.replaced_of(settings, measured).sum())
    by_layers = {"all": settings.classifier.epochs * n_train * step, "head": n_frozen * forward, "none": 0.0}
    training = by_layers[settings.classifier.trainable]
    if settings.classifier.trainable == "all":
        training *= 1 + len(parameters.trained_controls(settings))
    of_patch = measuring_seconds(settings, cohort, used, model, device, shares=shares)
    passes = 1 if shares else each
    measuring = (
        sum(seconds * int((measured["magnification"] == at).sum()) / workers for at, seconds in of_patch.items())
        + n_replaced * estimates.altered_images(settings) * passes * forward
        + (len(used) - len(measured)) * passes * forward
    )
    pixels = float((used["height_px"] * used["width_px"]).max())
    trained = estimates.training_bytes(settings, used, bfloat16=uses_bfloat16(settings.classifier.precision, device))
    at_once = at_a_time * batch + estimates.network_bytes(settings)
    memory = 1.5e9 + max(trained, at_once) + min(settings.cohort.cache_mb * 2**20, 8 * pixels * len(used))
    n_trained = len(splits) * each * used["magnification"].nunique() * (1 + len(parameters.trained_controls(settings)))
    alone = training * torch.get_num_threads(), measuring * workers
    elsewhere = [f"{n} workers {duration(reading + alone[0] / min(n, n_trained) + alone[1] / n)}" for n in _ELSEWHERE]
    return [
        (
            f"estimated on this machine ({device.type}): {duration(reading + training + measuring)}, of which training "
            f"{duration(training)}; statistics and figures come on top"
        ),
        *([] if device.type != "cpu" else [f"elsewhere, each worker with a core like these: {', '.join(elsewhere)}"]),
        f"memory about {memory / 1e9:.1f} GB, disk at most {estimates.needed_bytes(settings, used) / 1e9:.1f} GB",
    ]


def measuring_seconds(
    settings: StudySettings,
    cohort: CachedCohort,
    used: pd.DataFrame,
    model: Classifier,
    device: torch.device,
    *,
    shares: bool,
) -> dict[float, float]:
    """Return how long a patch of each magnification takes on one thread: read, explained, segmented, attributed.

    A few are measured, by one network in place of all, or of those that share its backbone. It has learned nothing, so
    that no compartment is replaced.
    """
    learned = (TRAINED, *(control.name for control in parameters.trained_controls(settings)))
    other = model.fresh(1).to(device).to(memory_format=torch.channels_last).eval() if shares else model
    found, timed = {}, partial(_seconds, device=device)
    measured = used[used["split"] == settings.cohort.evaluation_split]
    for magnification, part in measured.groupby("magnification"):
        batches = batches_of(part, settings.cohort.evaluation_split, _MEASURED)
        trial = max(batches, key=lambda batch: len(batch.rows))
        with TemporaryDirectory() as folder:
            stages = Stages(settings, Store(Path(folder)), device, Progress(show=False), cohort)
            rows = part.loc[list(trial.rows)]
            made = stages.measurement(rows.assign(stain_group=parameters.stain_groups(rows)), among=used)
            keys = parameters.networks_of(settings, trial.fold)
            networks = {key: model if key.model in learned else other for key in keys}
            table = made.table.assign(replaced=False)
            made = replace(made, table=table, models={trial.place: together(networks) if shares else networks})
            work = [lambda made=made, trial=trial: made(trial)]
            found[float(str(magnification))] = next(iter(Threads(1).map(timed, work))) / len(rows)
    return found


def duration(seconds: float) -> str:
    """Say how long something takes, to two digits."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{max(seconds, 1.0):.0f} s"


def _train_step(settings: StudySettings, model: Classifier, images: torch.Tensor) -> None:
    model.train()
    bfloat16 = uses_bfloat16(settings.classifier.precision, images.device)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
        loss = model(images).float().sum()
    loss.backward()
    model.zero_grad(set_to_none=True)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the second of two calls; the first one pays for allocation and kernel selection."""
    for _ in range(2):
        began = time.perf_counter()
        work()
        wait_for(device)
        elapsed = time.perf_counter() - began
    return elapsed
