"""The stages of a study, each from the tables of the one before to the next."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
import torch

from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.saved import weight_notes
from saliency_stats.cohort.cache import CachedCohort
from saliency_stats.cohort.patch import USED
from saliency_stats.cohort.slides.cohort import SlideCohort
from saliency_stats.compartments import NucleusFinder, Stains, TissueFinder, estimate_stains, stain_table, stains_from
from saliency_stats.execution.device import release_memory, usual_workers
from saliency_stats.execution.engine import Engine, Threads
from saliency_stats.execution.files import atomic
from saliency_stats.execution.inputs import fingerprints
from saliency_stats.execution.manifest import sha256
from saliency_stats.execution.names import file_name
from saliency_stats.execution.parts import Parts
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.measurement.batch import Batch, batches_of
from saliency_stats.measurement.measure import Measurement
from saliency_stats.measurement.multiscale import MultiscaleCompartments
from saliency_stats.measurement.precision import with_precision
from saliency_stats.measurement.stored import StoredMeasurement, write_maps
from saliency_stats.measurement.thumbnails import Thumbnails, write_thumbnails
from saliency_stats.report.run import Run
from saliency_stats.saliency.naming import NetworkKey, first_networks
from saliency_stats.saliency.networks import Networks
from saliency_stats.seeds import derive
from saliency_stats.settings.cohort import SlidesSection
from saliency_stats.settings.study import StudySettings
from saliency_stats.study import estimates, parameters
from saliency_stats.study.conclusions import conclude, keep_metrics
from saliency_stats.study.elsewhere import given_of
from saliency_stats.study.examples import choose_examples, write_examples
from saliency_stats.study.inputs import input_files
from saliency_stats.study.look import found_lines, look_at, obstacles, refuse, remarks
from saliency_stats.study.registration import note_results
from saliency_stats.study.training import train_networks
from saliency_stats.vocabulary import PATCH_KEY, TRAINED

#: So many slides' profiles are in memory at a time.
_SLIDES: Final = 20
#: Long tables that no statistics ask for: written, and read again by what shows them.
_NOT_JUDGED: Final = ("nuclei", "importance")


class Stages:
    """The stages of one study in one folder.

    Parameters
    ----------
    settings
        The study.
    store
        The run's folder.
    device
        Where the networks compute.
    progress
        Where progress is shown.
    cohort
        The study's, where it is open already.
    """

    def __init__(
        self,
        settings: StudySettings,
        store: Store,
        device: torch.device,
        progress: Progress,
        cohort: CachedCohort | None = None,
    ) -> None:
        self.settings, self.store, self.device = settings, store, device
        # workers elsewhere have other working folders
        self._shared = Store(store.folder.absolute())
        self._progress = progress
        self._cohort = parameters.cohort_of(settings) if cohort is None else cohort
        self._given = given_of(settings, self._cohort)
        self._tables: dict[str, pd.DataFrame] = {}
        #: The slide of each batch of which saliency was measured.
        self._measured: dict[str, str] = {}

    @property
    def table(self) -> pd.DataFrame:
        """The cohort's table as it is now, before anything is looked at."""
        return self._cohort.table

    @property
    def digests(self) -> dict[str, str]:
        """Hashes of the files that define the cohort."""
        return dict(self._cohort.digests)

    def inputs(self) -> pd.DataFrame:
        """Describe every file that the study reads: ``inputs.csv``."""
        files = input_files(self.settings, self._cohort)
        with self._progress.stage("read inputs", len(files), "file") as bar:
            return fingerprints(files, bar.update)

    def run(self, record: dict[str, Any], engine: Engine | None = None, *, judge: bool = True) -> Run:
        """Compute everything that the report is drawn from, or what is measured alone.

        Parameters
        ----------
        record
            The manifest as far as it is known.
        engine
            Maps the batches of work, and the trainings if it can; None for as many threads as is usual.
        judge
            Draw conclusions, too.
        """
        table = self.patches(judge=judge)
        used = table[table["status"] == USED]
        log = train_networks(self.settings, self._shared, self._cohort, self.device, self._progress, used, engine)
        self._keep("training", log)
        measurement = self.measurement(table)
        if engine is None:
            engine = Threads(usual_workers(self.device, estimates.batch_bytes(self.settings, used)))
        measurement, flags = with_precision(measurement, self._batches(measurement))
        record["determinism"] = record.get("determinism", {}) | flags
        note_results(self.store.folder)
        self.measure(measurement, engine)
        run = Run(self.store.folder, self._tables, record)
        keep_metrics(run, self.store)
        return self.conclude(run, measurement, engine) if judge else run

    def patches(self, *, judge: bool = True) -> pd.DataFrame:
        """Look at every patch, assign the splits, write ``patches.csv``; returns the inspected table.

        Where nothing is to be judged, what a verdict could not say is not said.
        """
        table = look_at(self._cohort, self.settings, self._progress)
        slides = self._cohort.inner.slides if isinstance(self._cohort.inner, SlideCohort) else None
        if isinstance(self._cohort.inner, SlideCohort):
            self._write_slides(self._cohort.inner)
        self._tables["patches"] = self.store.write_once("patches", table)
        for line in [*found_lines(table, slides), *(remarks(self.settings, table) if judge else [])]:
            self._progress.say(line)
        refuse(obstacles(self.settings, table, slides, self.device, given=self._given))
        self.store.check_space(estimates.needed_bytes(self.settings, table[table["status"] == USED]))
        table["stain_group"] = parameters.stain_groups(table)
        return table

    def measurement(self, table: pd.DataFrame, among: pd.DataFrame | None = None) -> Measurement:
        """Estimate the stains of every measured slide, write ``stains.csv``; returns what measures a batch.

        Training patches that explain others are ``among`` these, if the table is a part of them.
        """
        measured = table[(table["status"] == USED) & (table["split"] == self.settings.cohort.evaluation_split)]
        groups = dict(list(measured.groupby("stain_group", sort=True)))
        stains: dict[str, Stains] = {}
        with self._progress.stage("estimate stains", len(groups), "group") as bar:
            for name, part in groups.items():
                stains[str(name)] = self._estimate(part)
                bar.update(1)
        self._keep("stains", stain_table(stains))
        replaced = parameters.replaced_of(self.settings, measured)
        table = table.assign(replaced=replaced.reindex(table.index, fill_value=False))
        at = sorted(table.loc[table["status"] == USED, "magnification"].unique())
        thumbnails = Thumbnails.drawn(measured, derive(self.settings.seed, "thumbnails"))
        return replace(self._measurement(table, at, stains, among), thumbnails=thumbnails)

    def measurement_of(self, table: pd.DataFrame, row: int) -> Measurement:
        """Make what measures one row of a finished run's table again, from what the run has stored."""
        table = table.assign(stain_group=parameters.stain_groups(table))
        stains = stains_from(self.store.table("stains"))
        group, magnification = str(table.loc[row, "stain_group"]), float(str(table.loc[row, "magnification"]))
        if group not in stains:  # a patch of another split, whose slide was not measured
            stains[group] = self._estimate(table[(table["stain_group"] == group) & (table["status"] == USED)])
        return self._measurement(table, [magnification], stains)

    def measure(self, measurement: Measurement, engine: Engine) -> None:
        """Measure every batch that is not stored yet, and put the tables together."""
        batches = self._batches(measurement)
        slides = measurement.table["slide_id"]
        self._measured = {batch.name: str(slides[batch.rows[0]]) for batch in batches if batch.measured}
        work = StoredMeasurement(self._shared.folder, measurement)
        parts: dict[str, Parts] = {}
        thumbnails: list[pd.DataFrame] = []
        with (
            self._progress.stage("saliency, compartments", sum(len(batch.rows) for batch in batches)) as bar,
            # closed whatever happens: else workers would go on with all other batches though the run has ended
            closing(engine.map(work, batches)) as results,
        ):
            for batch, _ in zip(batches, results, strict=True):
                for name, table in self.store.read_batch(batch.name, lambda name: name != "profile").items():
                    if name == "maps":
                        write_maps(self.store.folder / "maps" / f"{batch.name}.npz", table.to_pandas())
                    elif name == "thumbnails":
                        thumbnails.append(table.to_pandas())
                    else:
                        parts.setdefault(name, Parts()).add(table)
                bar.update(len(batch.rows))
        write_thumbnails(self.store.folder / "thumbnails.parquet", thumbnails)
        while parts:
            name, collected = parts.popitem()
            if name in _NOT_JUDGED:
                self.store.write(name, collected.together())
            else:
                self._keep(name, collected.together())
        release_memory()

    def _batches(self, measurement: Measurement) -> list[Batch]:
        settings = self.settings
        return batches_of(measurement.table, settings.cohort.evaluation_split, settings.saliency.batch_size)

    def profile_rows(self) -> Iterator[pd.DataFrame]:
        """Read the profile rows of every measured patch, the longest table of all: those of some slides at a time."""
        slides = sorted(set(self._measured.values()))
        for start in range(0, len(slides), _SLIDES):
            parts = Parts()
            for name in (name for name, slide in self._measured.items() if slide in slides[start : start + _SLIDES]):
                parts.add(self.store.read_batch(name, "profile".__eq__)["profile"])
            yield parts.together()

    def conclude(self, run: Run, measurement: Measurement, engine: Engine) -> Run:
        """Judge, and write the examples that are shown; returns the run with its tables."""
        with self._progress.stage("statistics", 1, "study") as bar:
            judged = conclude(run, self.store, self.profile_rows())
            release_memory()
            bar.update(1)
        trained = first_networks(run.predictions[run.predictions["model"] == TRAINED])
        # of several networks the first one of each fold, and what it judged itself
        own = first_networks(run.population.patches)[list(PATCH_KEY)]
        judged = judged.merge(own, on=list(PATCH_KEY))
        shown = choose_examples(measurement.table, judged, trained, self.settings.report.examples)
        alone = replace(measurement, models=self._networks(list(run.magnifications), networks=1))
        examples = write_examples(self.store, alone, shown, self._progress, engine)
        run.tables["examples"] = self.store.write("examples", examples)
        return run

    def weight_hashes(self) -> dict[str, str]:
        """Hashes of the trained networks."""
        return {path.name: sha256(path) for path in sorted((self.store.folder / "weights").glob("*.safetensors"))}

    def weight_notes(self) -> dict[str, list[str]]:
        """Say in what respects files of weights, from which the networks started, were not used as they are."""
        notes = {
            path.name: weight_notes(path) for path in sorted((self.store.folder / "weights").glob("*.safetensors"))
        }
        return {name: lines for name, lines in notes.items() if lines}

    def _measurement(
        self, table: pd.DataFrame, at: list[float], stains: dict[str, Stains], among: pd.DataFrame | None = None
    ) -> Measurement:
        """Put together what measures a batch of patches at these magnifications."""
        finder = parameters.finder_of(self.settings, self.device)
        tissue = parameters.tissue_of(self.settings, self.device)
        return Measurement(
            cohort=self._cohort,
            table=table,
            models=self._networks(at),
            stains=stains,
            device=self.device,
            finder=finder,
            tissue=tissue,
            multiscale=self._carried(finder, tissue, stains),
            rerendering=parameters.rerendering_of(self.settings, self._cohort.inner),
            references=parameters.references_of(self.settings, self._cohort, table if among is None else among),
            multiverse=parameters.multiverse_of(self.settings),
            given=self._given,
            **parameters.measurement_parameters(self.settings),
        )

    def _carried(
        self, finder: NucleusFinder | None, tissue: TissueFinder | None, stains: dict[str, Stains]
    ) -> MultiscaleCompartments | None:
        section = self.settings.cohort
        if finder is None or not isinstance(section, SlidesSection) or section.carry == "native":
            return None
        cohort = self._cohort.inner
        assert isinstance(cohort, SlideCohort)
        compartments = parameters.measurement_parameters(self.settings)["compartments"]
        return MultiscaleCompartments(cohort, self._shared.work / "compartments", finder, compartments, stains, tissue)

    def _estimate(self, part: pd.DataFrame) -> Stains:
        # evenly spaced patches stand for the slide; the choice depends on the table alone
        n = min(len(part), self.settings.compartments.stain_patches)
        rows = part.index.to_numpy()[np.linspace(0, len(part) - 1, n).round().astype(int)]
        return estimate_stains([self._cohort.read(int(row)).image for row in rows])

    def _networks(
        self, magnifications: list[float], networks: int | None = None
    ) -> Mapping[tuple[float, int], Mapping[NetworkKey, Classifier]]:
        if not self.settings.classifier.is_network:
            return {(magnification, 0): {} for magnification in magnifications}
        return Networks(
            parameters.architecture_of(self.settings),
            tuple(self.settings.controls),
            self.settings.network_seed,
            self._shared.folder / "weights",
            tuple(magnifications),
            self.device,
            self.settings.classifier.networks if networks is None else networks,
            self.settings.cohort.folds,
        )

    def _keep(self, name: str, table: pd.DataFrame) -> None:
        self._tables[name] = self.store.write(name, table)

    def _write_slides(self, cohort: SlideCohort) -> None:
        """Write ``slides.csv`` and small pictures of the slides."""
        self._tables["slides"] = self.store.write_once("slides", cohort.slides)
        folder = self.store.folder / "slide_pictures"
        for slide_id, arrays in cohort.pictures.items():
            with atomic(folder / file_name(slide_id, ".npz")) as partial, partial.open("wb") as file:
                np.savez_compressed(file, **arrays)
