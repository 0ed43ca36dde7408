"""Before anything is computed: what was found in the cohort, and everything that stands in the study's way."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import pandas as pd
import torch

from saliency_stats.classifier.architecture import Architecture
from saliency_stats.classifier.building import build, is_known
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.routes import NO_VALID
from saliency_stats.classifier.samples import shapes_of
from saliency_stats.cohort.folder import MAP_COLUMNS
from saliency_stats.cohort.given import GivenMaps
from saliency_stats.cohort.inspection import inspect
from saliency_stats.cohort.patch import USED, Cohort
from saliency_stats.cohort.splits import with_splits
from saliency_stats.compartments.torchscript import TorchScriptNuclei, trial_view
from saliency_stats.compartments.variants import impossible
from saliency_stats.errors import CohortError, SaliencyStatsError, listed, shortened, shown
from saliency_stats.execution.progress import Progress
from saliency_stats.measurement.references import without_references
from saliency_stats.report.words import count
from saliency_stats.saliency.controls import control_of
from saliency_stats.saliency.methods import refusal_of
from saliency_stats.settings.study import StudySettings
from saliency_stats.statistics.resampling import units_needed
from saliency_stats.study import parameters
from saliency_stats.study.elsewhere import reach_of
from saliency_stats.study.memory import too_large_batches

#: So many names stand in a line, and so many lines below each other; the rest is counted.
_LISTED, _LINES = 10, 40


def look_at(cohort: Cohort, settings: StudySettings, progress: Progress) -> pd.DataFrame:
    """Read every patch once and assign the folds and splits; returns the inspected table."""
    unread = getattr(getattr(cohort, "inner", cohort), "unread", ())
    if unread:
        of_maps = " (classifier.architecture: none reads map and p_malignant)" * (not {*unread}.isdisjoint(MAP_COLUMNS))
        progress.say(f"columns of the table that nothing reads: {', '.join(map(shown, unread[:_LISTED]))}{of_maps}")
    with progress.stage("look at patches", len(cohort.table)) as bar:
        table = inspect(cohort, **parameters.least(settings), tick=bar.update, say=progress.say)
    table = parameters.folding_of(settings).dealt(table)
    return table if settings.cohort.folds else with_splits(table, **parameters.split_fractions(settings))


def found_lines(table: pd.DataFrame, slides: pd.DataFrame | None, names: Sequence[str] = ()) -> list[str]:
    """Say which slides and patches are excluded and why, and what was noted of the others.

    Parameters
    ----------
    table
        The inspected patches.
    slides
        One row per listed slide, see ``cohort.slides.cohort.SLIDE_COLUMNS``; None where patches are listed.
    names
        What the names of annotations mean, a line per role.
    """
    lines: list[str] = []
    if slides is not None:
        excluded = slides[slides["status"] != USED]
        if len(excluded):
            lines += [f"excluded slides, {len(excluded)} of {len(slides)}:", *_lines(excluded, "slide_id", "slides")]
        notes = slides["notes"].astype(object).fillna("")
        noted = slides.assign(status=notes)[notes != ""]
        if len(noted):
            lines += ["names in annotations:", *(f"  {line}" for line in names)] if names else []
            lines += ["notes of slides:", *_lines(noted, "slide_id", "slides")]
    excluded = table[table["status"] != USED]
    if len(excluded):
        lines += [f"excluded patches, {len(excluded)} of {len(table)}:", *_lines(excluded, "patch_id", "patches")]
    return lines


def refuse(obstacles: list[str]) -> None:
    """Refuse to go on where anything stands in the way.

    Raises
    ------
    CohortError
        With all obstacles, causes before what follows from them.
    """
    if obstacles:
        raise CohortError(listed(obstacles))


def obstacles(
    settings: StudySettings,
    table: pd.DataFrame,
    slides: pd.DataFrame | None,
    device: torch.device,
    say: Callable[[str], object] = lambda _: None,
    *,
    given: GivenMaps | None = None,
) -> list[str]:
    """Say everything that would end the run later, causes first; nothing where it can go on.

    ``say`` is called with every respect in which a file of weights is not used as it is; ``given`` are the maps that
    stand in a network's place, if there are any.
    """
    found = parameters.folding_of(settings).obstacles(table, settings.cohort.evaluation_split)
    if found and slides is not None:
        excluded = slides[slides["status"] != USED]
        if len(excluded):
            usable = "none" if len(excluded) == len(slides) else len(slides) - len(excluded)
            reasons = "; ".join(f"{names}: {reason}" for _, names, reason in _by_reason(excluded, "slide_id"))
            because = f"{usable} of the {len(slides)} slides can be used ({reasons})"
            # of patches that no slide gave there is nothing to say beside that
            found = [because, *found] if len(table) else [because]
    used = table[table["status"] == USED]
    return [
        *found,
        *_without_valid(settings, used),
        *_without_references(settings, used),
        *_unnamed(settings, table),
        *(_network(settings, used, say) if given is None else given.faults(used)),
        *_segmenters(settings, used),
        *too_large_batches(settings, used, device),
    ]


def remarks(settings: StudySettings, table: pd.DataFrame) -> list[str]:
    """Say what the study can run without, and its reader should know beforehand."""
    judged, unit = _judged(settings, table), settings.unit_in(table)
    if judged.empty:
        return []
    if (judged[f"{unit}_id"] == "").all():
        return [f"The {unit}s are unknown: the tables will hold estimates without p-values.", *_left_out(settings)]
    return [*_too_few(settings, judged, unit), *limits(settings), *_left_out(settings)]


def least_units(settings: StudySettings, hypotheses: int) -> int:
    """Count the units of a class from which on the deciding test can find anything, of so many hypotheses."""
    section, flips = settings.statistics, parameters.deciding_test(settings) == "sign_flip"
    return max(section.min_slides, units_needed(hypotheses, section.alpha) if flips else 0)


def _too_few(settings: StudySettings, judged: pd.DataFrame, unit: Literal["slide", "patient"]) -> Iterator[str]:
    counts = judged.groupby(["magnification", "label"])[f"{unit}_id"].nunique()
    test, needed = parameters.deciding_test(settings), least_units(settings, len(counts))
    few = [
        f"{count(row['n'], unit)} ({settings.cohort.two_classes.name(row['label'])}, {row['magnification']:g}×)"
        for row in counts[counts < needed].reset_index(name="n").to_dict("records")
    ]
    if few:
        yield (
            f"Nothing could be found, whatever the saliency, with {', '.join(few)}: the test {test} needs "
            f"at least {needed} for {len(counts)} hypotheses."
        )


def limits(settings: StudySettings) -> Iterator[str]:
    """Say what the verdict cannot say, because the study does not ask it."""
    images = [name for name in settings.controls if control_of(name).map is not None]
    reach = reach_of(settings)
    for rung, asked in (("training", parameters.untrained_of(settings)), ("picture", images)):
        if rung in reach.needed and not asked:
            yield f'No verdict can be "supported": {reach.not_asked[rung]}.'
    if not settings.classifier.is_network:
        yield (
            "The maps were made elsewhere: whether training made them so, what the decision needs and what other "
            "networks show is not tested, and the verdict rests on the rest."
        )
        if settings.saliency.signed:
            yield "The maps have a sign (saliency.signed): their absolute values are measured."
    elif len(parameters.all_networks(settings)) == 1:
        yield (
            "The verdict will be about this network alone: how much others would differ stays unknown "
            "(classifier.networks is 1)."
        )


def _left_out(settings: StudySettings) -> Iterator[str]:
    section, nuclei = settings.multiverse, settings.compartments.nuclei
    if section.enabled and not section.segmentations and impossible(nuclei):
        yield (
            f"The multiverse goes without {' and '.join(impossible(nuclei))}: the finder of nuclei, {nuclei}, gives no "
            "probabilities, so it has no threshold to move."
        )


def _judged(settings: StudySettings, table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["status"] == USED) & (table["split"] == settings.cohort.evaluation_split)]


def _without_valid(settings: StudySettings, used: pd.DataFrame) -> Iterator[str]:
    section = settings.classifier
    if section.stopping != "early" or section.trainable == "none":
        return
    if settings.cohort.folds and used["fold"].isna().any():
        return  # what the splits are is not known yet
    tables = parameters.folding_of(settings).tables(used)
    without = [fold for fold, table in tables.items() if not (table["split"] == "valid").any()]
    if without:
        folds = f"fold {', '.join(map(str, without))} of {settings.cohort.folds}: " if settings.cohort.folds else ""
        yield f"{folds}{NO_VALID}"


def _without_references(settings: StudySettings, used: pd.DataFrame) -> Iterator[str]:
    refers, split = parameters.refers(settings), settings.cohort.evaluation_split
    if not refers or (settings.cohort.folds and used["fold"].isna().any()):
        return
    for fault in without_references(parameters.folding_of(settings).tables(used), split):
        yield f"saliency.methods: {' and '.join(refers)}: {fault}; add some, or choose other methods"


def _unnamed(settings: StudySettings, table: pd.DataFrame) -> Iterator[str]:
    """Refuse a cohort of which only a part names its units: what a test then stood for nobody could say."""
    judged, unit = _judged(settings, table), settings.unit_in(table)
    unnamed = judged[judged[f"{unit}_id"] == ""]
    if settings.statistics.assume_independent or not 0 < len(unnamed) < len(judged):
        return
    some = ", ".join(dict.fromkeys(unnamed["patch_id"].head(3)))
    other = " (or set statistics.unit: slide)" if unit == "patient" else ""
    yield (
        f"{len(unnamed)} of {len(judged)} patches of the {settings.cohort.evaluation_split} split name no {unit} "
        f"({some}{', …' if len(unnamed) > 3 else ''}), the others do; expected the {unit} of all, or of none. Fill in "  # noqa: PLR2004
        f"{unit}_id, or leave those patches out{other}"
    )


def _network(settings: StudySettings, used: pd.DataFrame, say: Callable[[str], object]) -> Iterator[str]:
    """Load what training will load: what cannot be had, or cannot be asked of it, is said now."""
    section, architecture = settings.classifier, parameters.architecture_of(settings)
    # a DenseNet with random weights is known to take any patch and every method
    if section.weights != "none" or architecture != Architecture(architecture.name) or not is_known(architecture):
        try:
            model = build(architecture, section.weights, 0, trained=section.trainable != "none", say=say)
            if not is_known(architecture):
                yield from _impossible(settings, model.eval(), used)
        except SaliencyStatsError as error:
            yield str(error)


def _segmenters(settings: StudySettings, used: pd.DataFrame) -> Iterator[str]:
    """Load what segmentation will load, and say what cannot be had.

    A TorchScript file is a program that nobody has tried: it is shown an image of every magnification.
    """
    try:
        finder = parameters.finder_of(settings, parameters.CPU)
        if isinstance(finder, TorchScriptNuclei):
            how = parameters.measurement_parameters(settings)["compartments"]
            sizes = used.groupby("magnification")[["height_px", "width_px", "mpp"]].first()
            finder([trial_view((int(y), int(x)), mpp, how) for y, x, mpp in sizes.itertuples(index=False)])
    except SaliencyStatsError as error:
        yield str(error)
    try:
        parameters.tissue_of(settings, parameters.CPU)
    except SaliencyStatsError as error:
        yield str(error)


def _impossible(settings: StudySettings, model: Classifier, used: pd.DataFrame) -> Iterator[str]:
    """Say which patches a network does not take, and which methods cannot explain it."""
    methods = parameters.plan_of(settings).methods
    for number, (height, width) in enumerate(sorted(set(shapes_of(used)))):
        images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
        try:
            with torch.no_grad():
                logits = model(images)
        except Exception as error:  # noqa: BLE001  (whatever a network raises for a size that it does not take)
            yield (
                f"classifier.architecture: {settings.classifier.architecture} does not take patches of {height} × "
                f"{width} px "
                f"({shortened(f'{type(error).__name__}: {error}', 200)}). Set classifier.preprocess.size_px, to "
                "which square patches are resized, or use patches of another size"
            )
            continue
        if not bool(torch.isfinite(logits).all()):
            yield (
                f"classifier.architecture: {settings.classifier.architecture} returns logits that are not finite "
                f"for patches of {height} × {width} px; are its weights sound?"
            )
            continue
        if not number:  # what a method can do depends on the network, and hardly on the size
            yield from (
                f"saliency.methods: {reason}" for name in methods if (reason := refusal_of(name, model, images))
            )


def _lines(rows: pd.DataFrame, name: str, file: str) -> Iterator[str]:
    found = [f"  {n:>5}  {names}: {reason}" for n, names, reason in _by_reason(rows, name)]
    yield from found[:_LINES]
    if len(found) > _LINES:
        yield f"         and {len(found) - _LINES} more, which {file}.csv of a run lists"


def _by_reason(rows: pd.DataFrame, name: str) -> Iterator[tuple[int, str, str]]:
    """Yield how many rows a reason holds for, their names and the reason, the most frequent one first."""
    grouped = rows.assign(reason=rows["status"].str.removeprefix("excluded: ")).groupby("reason", sort=False)[name]
    for reason, names in sorted(grouped, key=lambda one: -len(one[1])):
        unique = list(dict.fromkeys(names))
        more = f", and {len(unique) - _LISTED} more" if len(unique) > _LISTED else ""
        yield len(names), f"{', '.join(unique[:_LISTED])}{more}", str(reason)
