"""What a study would do: its patches and slides counted, its time, memory and disk estimated on this machine."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch

from saliency_stats.classes import Classes
from saliency_stats.classifier.building import initialise
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.training import uses_bfloat16
from saliency_stats.cohort.patch import USED
from saliency_stats.cohort.slides.cohort import SlideCohort
from saliency_stats.compartments.ways import cell_words
from saliency_stats.execution.device import choose, usual_workers
from saliency_stats.execution.engine import Threads
from saliency_stats.execution.progress import Progress
from saliency_stats.saliency import logits_and_gradient
from saliency_stats.saliency.methods import cost_of, method_of
from saliency_stats.settings.study import StudySettings
from saliency_stats.study import estimates, parameters
from saliency_stats.study.elsewhere import given_of
from saliency_stats.study.look import found_lines, look_at, obstacles, refuse, remarks
from saliency_stats.vocabulary import LABELS

_TRIAL = 8


def preview(settings: StudySettings, device: str = "auto") -> Iterator[str]:
    """Describe a study without computing a result.

    Every patch is looked at; then a network of the study's architecture, if it has one, takes a few timed steps on
    images of the study's size, from which the times are extrapolated.

    Yields
    ------
    str
        Lines for a person, as they are found.

    Raises
    ------
    SaliencyStatsError
        As the run itself would, after everything that was found.
    """
    chosen = choose(device)
    progress = Progress()
    cohort = parameters.cohort_of(settings)
    began = time.perf_counter()
    table = look_at(cohort, settings, progress)
    reading = time.perf_counter() - began
    of_slides = cohort.inner if isinstance(cohort.inner, SlideCohort) else None
    slides = None if of_slides is None else of_slides.slides
    names = () if of_slides is None else of_slides.names.lines()
    used = table[table["status"] == USED]
    section = settings.compartments
    yield f"study {settings.name}: {len(used)} of {len(table)} patches can be used"
    yield from _roles(settings.cohort.two_classes)
    yield from ["", _counts(used, settings.cohort.two_classes)] if len(used) else []
    cells = (
        []
        if section.nuclei == "truth"
        else [f"cells by {section.cells}: {cell_words(section.cells, section.cytoplasm_um)}"]
    )
    for lines in (found_lines(table, slides, names), remarks(settings, table), cells):
        yield from ["", *lines] if lines else []
    notes: list[str] = []
    given = given_of(settings, cohort)
    found = obstacles(settings, table, slides, chosen, notes.append, given=given)
    yield from ["", *notes] if notes else []
    refuse(found)
    yield from ["", *(_costs(settings, used, chosen, reading) if given is None else [_reading(settings, used)])]


def _roles(classes: Classes) -> Iterator[str]:
    """Say what stands for the classes that a study file states, and what the run's tables call them."""
    for label, name, words in zip(LABELS, classes.names, classes.stated_words, strict=True):
        if words:
            yield f"class {name} ({label} in the tables of a run): {', '.join(words)}"


def _counts(used: pd.DataFrame, classes: Classes) -> str:
    groups = used.groupby(["magnification", "split", "label"])
    counts = groups.agg(patches=("patch_id", "size"), slides=("slide_id", lambda ids: ids[ids != ""].nunique()))
    named = counts.reset_index()
    return named.assign(label=named["label"].map(classes.name)).to_string(index=False)


def _reading(settings: StudySettings, used: pd.DataFrame) -> str:
    """Say what a study without a network takes."""
    return (
        f"no network is run: the time is that of segmentation and figures; disk at most "
        f"{estimates.needed_bytes(settings, used) / 1e9:.1f} GB"
    )


def _costs(settings: StudySettings, used: pd.DataFrame, device: torch.device, reading: float) -> list[str]:
    size = used[["height_px", "width_px"]].max()
    images = torch.from_numpy(np.zeros((_TRIAL, 3, int(size["height_px"]), int(size["width_px"])), np.float32))
    images = images.to(device, memory_format=torch.channels_last)
    model = initialise(parameters.architecture_of(settings), 0).to(device).to(memory_format=torch.channels_last)
    step = _seconds(lambda: _train_step(settings, model, images), device) / _TRIAL
    model.eval()
    target = torch.zeros(_TRIAL, dtype=torch.long, device=device)
    batch = estimates.batch_bytes(settings, used)
    workers = usual_workers(device, batch)
    # batches are measured each on one thread, side by side
    alone = Threads(1).map(
        lambda work: _seconds(work, device) / _TRIAL / workers,
        [lambda: logits_and_gradient(model, images, target), torch.no_grad()(lambda: model(images))],
    )
    explained, forward = alone
    networks = parameters.networks_of(settings)
    splits, each = parameters.folding_of(settings).tables(used).values(), settings.classifier.networks
    n_train = each * sum(int((table["split"] == "train").sum()) for table in splits)
    # a frozen backbone is of all networks, unless each has its own random one
    shared = len(used) if len(splits) > 1 else n_train // each
    n_frozen = n_train if settings.classifier.weights == "none" else shared
    measured = used[used["split"] == settings.cohort.evaluation_split]
    n_measured, n_replaced = len(measured), int(parameters.replaced_of(settings, measured).sum())
    by_layers = {"all": settings.classifier.epochs * n_train * step, "head": n_frozen * forward, "none": 0.0}
    training = by_layers[settings.classifier.trainable]
    if settings.classifier.trainable == "all":
        training *= 1 + len(parameters.trained_controls(settings))
    plan = parameters.plan_of(settings)
    maps = sum(cost_of(method_of(name)) for key in networks for name in plan.methods_of(key.model))
    seconds = (
        reading
        + training
        + n_measured * maps * explained
        + n_replaced * estimates.altered_images(settings) * each * forward
        + (len(used) - n_measured) * each * forward
    )
    pixels = float((used["height_px"] * used["width_px"]).max())
    trained = estimates.training_bytes(settings, used, bfloat16=uses_bfloat16(settings.classifier.precision, device))
    measuring = workers * batch + estimates.network_bytes(settings)
    memory = 1.5e9 + max(trained, measuring) + min(settings.cohort.cache_mb * 2**20, 8 * pixels * len(used))
    return [
        (
            f"estimated on this machine ({device.type}): {duration(seconds)}, of which training {duration(training)}; "
            f"segmentation and figures come on top"
        ),
        f"memory about {memory / 1e9:.1f} GB, disk at most {estimates.needed_bytes(settings, used) / 1e9:.1f} GB",
    ]


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
        if device.type == "cuda":
            torch.cuda.synchronize()
        elapsed = time.perf_counter() - began
    return elapsed
