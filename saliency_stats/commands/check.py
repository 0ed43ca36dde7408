"""What a study would do: its patches and slides counted, its time, memory and disk estimated on this machine."""

import time
from collections.abc import Iterator

import pandas as pd

from saliency_stats.classes import Classes
from saliency_stats.cohort.patch import USED
from saliency_stats.cohort.slides.cohort import SlideCohort
from saliency_stats.commands.costs import costs
from saliency_stats.compartments.ways import cell_words
from saliency_stats.execution.device import choose
from saliency_stats.execution.progress import Progress
from saliency_stats.report.registration import kept_words, time_words
from saliency_stats.settings.study import StudySettings
from saliency_stats.study import estimates, parameters
from saliency_stats.study.elsewhere import given_of
from saliency_stats.study.look import found_lines, look_at, obstacles, refuse, remarks
from saliency_stats.study.registration import Registration
from saliency_stats.vocabulary import LABELS


def preview(settings: StudySettings, device: str = "auto", registration: Registration | None = None) -> Iterator[str]:
    """Describe a study without computing a result.

    Every patch is looked at; then a network of the study's architecture, if it has one, takes a few timed steps, and a
    few patches are measured, from which the times are extrapolated. Of a study that was registered it is said whether
    a run would keep to that.

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
    if registration is not None:
        yield _registered(registration, settings)
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
    yield from ["", *(costs(settings, cohort, used, chosen, reading) if given is None else [_reading(settings, used)])]


def _registered(registration: Registration, settings: StudySettings) -> str:
    """Say when the study was registered, and whether a run would keep to it."""
    kept = kept_words(registration.compared(settings, None), "a run would keep", "a run would differ")
    return f"registered on {time_words(registration.registered)}: {kept}"


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
