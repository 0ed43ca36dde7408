"""A study and its stages in order. The only module that knows every room."""

from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

from saliency_stats import settings as study_file
from saliency_stats.errors import StudyError
from saliency_stats.execution import manifest
from saliency_stats.execution.device import choose, make_deterministic
from saliency_stats.execution.engine import Engine, Threads
from saliency_stats.execution.files import some, write_text
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.recorded import MANIFEST, Recorded, write_manifest
from saliency_stats.execution.store import Store
from saliency_stats.report.registration import registration_words
from saliency_stats.report.run import Run
from saliency_stats.settings import StudySettings
from saliency_stats.study import parameters
from saliency_stats.study.elsewhere import resolved
from saliency_stats.study.names import check_names
from saliency_stats.study.registration import FILE, Registration, carry, note_results, results_since
from saliency_stats.study.stages import Stages


class Study:
    """A study: what is asked, of which patches, with which classifier, judged how.

    Parameters
    ----------
    settings
        The validated content of a study file.
    where
        Where it comes from, for messages.
    registration
        What was registered before; a run is compared with it.

    Raises
    ------
    StudyError
        If it names a method, a control, a reduction, a test or a model of nuclei that there is not.
    """

    def __init__(
        self,
        settings: StudySettings | None = None,
        where: str = "the study",
        registration: Registration | None = None,
    ) -> None:
        self.settings = resolved(StudySettings() if settings is None else settings)
        self._registration = registration
        check_names(self.settings, where)

    @classmethod
    def from_yaml(cls, path: str | Path | None, assignments: tuple[str, ...] = ()) -> "Study":
        """Read a study file (None: the built-in study), and what was registered of it.

        ``assignments`` are ``section.key=value`` texts over it.
        """
        path = None if path is None else Path(path)
        where = "the built-in study" if path is None else str(path)
        return cls(study_file.load(path, assignments), where, Registration.beside(path))

    def run(
        self,
        out: str | Path | None = None,
        *,
        device: str = "auto",
        fresh: bool = False,
        workers: int | None = None,
        scheduler: str | None = None,
        progress: Progress | None = None,
        engine: Engine | None = None,
        command: str = "saliency_stats.Study.run",
        judge: bool = True,
    ) -> Run:
        """Run the study, or go on with it where it was interrupted.

        Parameters
        ----------
        out
            Folder of the run, by default ``reports/<name>``.
        device
            ``auto``, ``cpu``, ``cuda`` or ``mps``.
        fresh
            Delete what an earlier run left in the folder first.
        workers
            Units of patches that are measured at a time, each on one thread; any number gives the same results. By
            default as many as torch has threads, where memory allows it, and 1 on a GPU.
        scheduler
            ``local:N``, N processes of this machine, or the address of a Dask scheduler: its workers measure, and train
            the networks, in place of this process, with the same results.
        progress
            Where progress is shown; by default on stderr if it is a terminal.
        engine
            Maps the units of work instead of these.
        command
            What the user typed, for the record.
        judge
            Draw conclusions and the report. Without, the run ends with what was measured and how well the networks do;
            run again with them, it goes on from there.

        Returns
        -------
        Run
            The finished run, or what was measured.

        Raises
        ------
        SaliencyStatsError
            With one message that names what was found, what was expected and the remedy.
        """
        if scheduler is not None and workers is not None:
            raise StudyError(
                f"--workers {workers} counts threads of this process, which leaves the work to those of --scheduler "
                f"{scheduler}; expected one of the two"
            )
        if workers is not None:
            engine = Threads(workers)
        folder = Path("reports") / self.settings.name if out is None else Path(out)
        progress = Progress() if progress is None else progress
        chosen = choose(device)
        flags = make_deterministic(chosen)
        stages = Stages(self.settings, Store(folder), chosen, progress)
        identity = {
            "study": self.settings.model_dump(mode="json"),
            "device": chosen.type,
            "threads": flags["cpu_threads"],
            "versions": {name: manifest.versions()[name] for name in manifest.DECISIVE},
        }
        record: dict[str, Any] = {
            "command": command,
            "study": identity["study"],
            "seed": self.settings.seed,
            "versions": manifest.versions(),
            "device": str(chosen),
            "determinism": flags,
            "machine": manifest.machine(),
            **parameters.described(self.settings),
        }
        since = results_since(folder)  # --fresh would delete it
        with ExitStack() as stack:
            # a scheduler that there is not must not be the end of an earlier run
            client = None if scheduler is None else stack.enter_context(_dask().connected(scheduler, chosen))
            stack.enter_context(stages.store.opened(identity, fresh=fresh))
            if since is not None:
                note_results(folder, since)
            files = stages.inputs()
            record["inputs"] = {**stages.digests, "inputs.csv": stages.store.check_inputs(files)}
            carry(self._registration, folder)
            if self._registration is not None:
                record["registration"] = self._registration.compared(self.settings, since)
                progress.say(registration_words(record["registration"]))
            finished = _finished(folder, progress, record.get("registration"))
            if finished is not None:
                return finished
            write_text(folder / "study.yaml", study_file.dump(self.settings))
            if client is not None:
                engine = _dask().Cluster(client, folder, chosen, progress.say)
            run = stages.run(record, engine, judge=judge)
            if not judge:
                return run
            record |= {
                "weights": stages.weight_hashes(),
                "weight_notes": stages.weight_notes(),
                "seconds": progress.seconds,
            }
            record["artefacts"] = manifest.artefact_hashes(folder, drawn=False)
            # a report that cannot be drawn can be asked for again, with all that it quotes
            write_manifest(folder, record)
            _draw(run, progress)
            record["seconds"] = {name: round(value, 3) for name, value in progress.seconds.items()}
            record["artefacts"] |= manifest.artefact_hashes(folder, drawn=True)
            write_manifest(folder, record)
            stages.store.forget_batches()
        return run


def _dask() -> ModuleType:
    """Import what needs the extra ``cluster``."""
    try:
        from saliency_stats.execution import cluster  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise StudyError(
            f"--scheduler needs Dask, which is not installed ({error}): pip install 'saliency-stats[cluster]'"
        ) from error
    return cluster


def _finished(folder: Path, progress: Progress, registration: dict[str, Any] | None) -> Run | None:
    """Return the run that a folder holds, if it is whole; one that lacks files is from now on one that goes on.

    What was registered only since is told by its report.

    Raises
    ------
    StorageError
        If a file is there and is not as the run left it.
    """
    recorded = Recorded(folder)
    if not recorded.exists or not recorded.finished:
        return None
    missing = recorded.missing()
    if registration not in (None, recorded.manifest.get("registration")):
        artefacts = {**recorded.hashes, FILE: manifest.sha256(folder / FILE)}
        write_manifest(folder, {**recorded.manifest, "registration": registration, "artefacts": artefacts})
    elif not missing:
        progress.say(f"{folder} holds this study, finished; --fresh would compute it again")
        return Run(folder)
    why = f"lacks what its run wrote ({some(missing)})" if missing else "was registered after it was finished"
    progress.say(f"{folder} {why}; it is written again")
    if all(map(manifest.is_drawn, missing)):
        run = Run.read(folder)
        _draw(run, progress)
        return run
    # without it the run is as one that was stopped; what it finished is known by its seals
    (folder / MANIFEST).unlink()
    return None


def _draw(run: Run, progress: Progress) -> None:
    with progress.stage("report", 1, "page") as bar:
        # imported here: drawing needs matplotlib, computing does not
        from saliency_stats.report.write import write_report  # noqa: PLC0415

        write_report(run)
        bar.update(1)
