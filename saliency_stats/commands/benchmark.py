"""The benchmark: phantom studies of several signals and magnifications, and which maps tell what networks use."""

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Final

import pandas as pd

from saliency_stats import settings as study_file
from saliency_stats.attribution.replacement import REPLACEMENTS
from saliency_stats.errors import StorageError, StudyError
from saliency_stats.execution.device import choose, make_deterministic
from saliency_stats.execution.files import write_table
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.measurement.batch import batches_of
from saliency_stats.measurement.costs import seconds_per_patch
from saliency_stats.report.benchmark import Benchmarked, write_benchmark
from saliency_stats.report.run import Run
from saliency_stats.saliency.methods import METHODS, method_of
from saliency_stats.settings import StudySettings
from saliency_stats.settings.cohort import PhantomSection
from saliency_stats.study import parameters
from saliency_stats.study.stages import Stages
from saliency_stats.study.study import Study

#: The study that is repeated, unless another one is given.
USUAL: Final = Path(__file__).parent / "templates" / "benchmark.yaml"
#: Patches on which methods are timed.
_TIMED: Final = 4
#: Columns of ``costs.csv``.
_COSTS: Final = ("method", "baseline", "seconds_per_patch")


def benchmark(
    study: Path | None,
    out: Path,
    *,
    assignments: Sequence[str] = (),
    signals: Sequence[str],
    magnifications: Sequence[float],
    methods: Sequence[str] = (),
    device: str = "auto",
    workers: int | None = None,
    fresh: bool = False,
    command: str,
) -> Benchmarked:
    """Run the study of every signal and magnification in ``runs/`` of a folder, and judge their maps together.

    Parameters
    ----------
    study
        Study file of phantoms; None is :data:`USUAL`.
    out
        Folder to write into. What is finished there is not computed again.
    assignments
        ``section.key=value`` over it.
    signals, magnifications
        Of the cohorts.
    methods
        Benchmarked beside those of the study, or beside all where it names none.
    device, workers, fresh, command
        As of :meth:`~saliency_stats.study.study.Study.run`.

    Raises
    ------
    SaliencyStatsError
        With one message that names what was found, what was expected and the remedy.
    """
    studies = studies_of(study, assignments, signals, magnifications, methods)
    progress, runs = Progress(), []
    for at, one in enumerate(studies, start=1):
        progress.say(f"{one.settings.name}: study {at} of {len(studies)}")
        folder = out / "runs" / one.settings.name
        runs.append(one.run(folder, device=device, workers=workers, fresh=fresh, command=command, judge=False))
    costs = _costs(out / "costs.csv", runs[0], device, progress, fresh=fresh)
    with progress.stage("scores", 1, "table") as bar:
        written = write_benchmark(runs, costs, out)
        bar.update(1)
    return written


def studies_of(
    study: Path | None,
    assignments: Sequence[str],
    signals: Sequence[str],
    magnifications: Sequence[float],
    methods: Sequence[str],
) -> list[Study]:
    """Make the studies, one of each signal and magnification; all of them are checked before the first is run.

    Raises
    ------
    StudyError
        If the study is none of phantoms, replaces nothing, or names what there is not.
    """
    where, path = ("the benchmark's study", USUAL) if study is None else (str(study), study)
    settings = _with_all(path, tuple(assignments), methods)
    if not isinstance(settings.cohort, PhantomSection):
        raise StudyError(
            f"{where}: cohort.kind is {settings.cohort.kind}; expected phantom, the only tissue of which what networks "
            "use can be known. Leave the file out for the usual study"
        )
    if not settings.causal.replacements:
        raise StudyError(
            f"{where}: causal.replacements is empty, and where nothing is replaced nothing is drawn again either; name "
            f"some of {', '.join(REPLACEMENTS)}, or leave the key out for all"
        )
    content, made = settings.model_dump(mode="json"), []
    for signal, magnification in product(dict.fromkeys(signals), dict.fromkeys(magnifications)):
        cohort = content["cohort"] | {"signal": signal, "mpp": 10 / magnification}
        name = f"{settings.name}-{signal}-{magnification:g}x"
        made.append(Study(study_file.parse(content | {"name": name, "cohort": cohort}, where), where))
    return made


def _with_all(path: Path, assignments: tuple[str, ...], methods: Sequence[str]) -> StudySettings:
    """Load the study with all methods and replacements that there are, where it names none."""
    named = study_file.load(path, assignments)
    saliency, causal = named.saliency, named.causal
    chosen = {
        "saliency.methods": [*(saliency.methods if "methods" in saliency.model_fields_set else METHODS), *methods],
        "causal.replacements": causal.replacements if "replacements" in causal.model_fields_set else REPLACEMENTS,
    }
    more = (f"{key}={json.dumps(list(dict.fromkeys(value)))}" for key, value in chosen.items())
    return study_file.load(path, (*assignments, *more, "saliency.scores=true"))


def _costs(path: Path, run: Run, device: str, progress: Progress, *, fresh: bool) -> pd.DataFrame:
    """Time the methods of a run, or read how long they took: time is measured once, all else is computed."""
    plan = parameters.plan_of(run.settings)
    methods = {name: method_of(name) for name in plan.methods}
    if path.is_file() and not fresh:
        table = _read_costs(path)
        if table["method"].tolist() == [method.name for method in methods.values()]:
            return table
    chosen = choose(device)
    make_deterministic(chosen)
    patches = run.patches
    batch = next(one for one in batches_of(patches, run.evaluation_split, _TIMED) if one.measured)
    stages = Stages(run.settings, Store(run.folder), chosen, Progress(show=False))
    measurement = stages.measurement_of(patches, batch.rows[0])
    with progress.stage("time of each method", len(methods), "method") as bar:
        seconds = seconds_per_patch(measurement, batch, bar.update)
    rows = [(method.name, getattr(method, "baseline", ""), seconds[name]) for name, method in methods.items()]
    table = pd.DataFrame(rows, columns=list(_COSTS))
    write_table(path, table)
    return table


def _read_costs(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, keep_default_na=False, usecols=list(_COSTS), dtype={"seconds_per_patch": float})
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{path} cannot be read as the benchmark wrote it ({error}); expected a CSV with the columns "
            f"{', '.join(_COSTS)}. Delete it, and the methods are timed again"
        ) from error
