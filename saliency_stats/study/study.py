"""A study and its stages in order. The only module that knows every room."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from saliency_stats import settings as study_file
from saliency_stats.execution import manifest
from saliency_stats.execution.device import choose, make_deterministic
from saliency_stats.execution.engine import Engine
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store, write_json, write_text
from saliency_stats.settings.study import StudySettings
from saliency_stats.study.stages import Stages


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and its tables.

    Parameters
    ----------
    folder
        The run's folder.
    """

    folder: Path

    def table(self, name: str) -> pd.DataFrame:
        """Read one of the run's tables by the name of its CSV, for example ``ledger``."""
        return Store(self.folder).table(name)

    @cached_property
    def patches(self) -> pd.DataFrame:
        """One row per patch and magnification: identity and status."""
        return self.table("patches")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Logits per patch and model."""
        return self.table("predictions")

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Accuracy per model and split."""
        return self.table("metrics")

    @cached_property
    def nuclei(self) -> pd.DataFrame:
        """One row per nucleus."""
        return self.table("nuclei")

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """Area share, mass share and density ratio per patch, model and compartment."""
        return self.table("ledger")

    @cached_property
    def profile(self) -> pd.DataFrame:
        """Saliency against the distance to the nearest nuclear border."""
        return self.table("profile")

    @cached_property
    def contrasts(self) -> pd.DataFrame:
        """Contrasts and their tests."""
        return self.table("contrasts")

    @cached_property
    def verdict(self) -> list[dict[str, Any]]:
        """One object per primary hypothesis."""
        content: list[dict[str, Any]] = json.loads((self.folder / "verdict.json").read_text(encoding="utf-8"))
        return content


class Study:
    """A study: what is asked, of which patches, with which classifier, judged how.

    Parameters
    ----------
    settings
        The validated content of a study file.
    """

    def __init__(self, settings: StudySettings | None = None) -> None:
        self.settings = StudySettings() if settings is None else settings

    @classmethod
    def from_yaml(cls, path: str | Path, assignments: tuple[str, ...] = ()) -> "Study":
        """Read a study file; ``assignments`` are ``section.key=value`` texts that override it."""
        return cls(study_file.load(Path(path), assignments))

    def run(
        self,
        out: str | Path | None = None,
        *,
        device: str = "auto",
        fresh: bool = False,
        workers: int | None = None,
        progress: Progress | None = None,
        engine: Engine | None = None,
    ) -> Run:
        """Run the study, or go on with it where it was interrupted.

        Parameters
        ----------
        out
            Folder of the run, by default ``reports/<name>``.
        device
            ``auto``, ``cpu`` or ``cuda``.
        fresh
            Delete what an earlier run left in the folder first.
        workers
            Units of patches that are measured at a time, each on one thread; any number gives the same results. By
            default as many as torch has threads, where memory allows it, and 1 on a GPU.
        progress
            Where progress is shown; by default on stderr if it is a terminal.
        engine
            Maps the units of work instead of these workers.

        Returns
        -------
        Run
            The finished run.

        Raises
        ------
        SaliencyStatsError
            With one message that names what was found, what was expected and the remedy.
        """
        folder = Path("reports") / self.settings.name if out is None else Path(out)
        progress = Progress() if progress is None else progress
        chosen = choose(device)
        flags = make_deterministic(chosen)
        stages = Stages(self.settings, Store(folder), chosen, progress, workers if engine is None else engine)
        identity = {
            "study": self.settings.model_dump(mode="json"),
            "inputs": stages.inputs(),
            "device": chosen.type,
            "threads": flags["cpu_threads"],
            "versions": {name: manifest.versions()[name] for name in ("saliency-stats", "torch", "numpy")},
        }
        with stages.store.opened(identity, fresh=fresh, needed_bytes=stages.needed_bytes()):
            if _is_finished(folder):
                progress.say(f"{folder} holds this study, finished; --fresh would compute it again")
                return Run(folder)
            write_text(folder / "study.yaml", study_file.dump(self.settings))
            stages.run()
            with progress.stage("report", 1, "page") as bar:
                # imported here: drawing needs matplotlib, computing does not
                from saliency_stats.report import write_report  # noqa: PLC0415

                record = {
                    "study": identity["study"],
                    "seed": self.settings.seed,
                    "versions": manifest.versions(),
                    "device": str(chosen),
                    "determinism": flags,
                    "machine": manifest.machine(),
                    "inputs": identity["inputs"],
                    "weights": stages.weight_hashes(),
                    "seconds": progress.seconds,
                }
                # the report quotes the manifest, so it comes first; with the artefacts' hashes it is complete
                write_json(folder / "manifest.json", record)
                write_report(folder)
                bar.update(1)
            record["seconds"] = {name: round(value, 3) for name, value in progress.seconds.items()}
            write_json(folder / "manifest.json", record | {"artefacts": manifest.artefact_hashes(folder)})
            stages.store.forget_units()
        return Run(folder)


def _is_finished(folder: Path) -> bool:
    path = folder / "manifest.json"
    return path.is_file() and "artefacts" in json.loads(path.read_text(encoding="utf-8"))
