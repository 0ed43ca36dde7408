"""What a study of the size of CAMELYON16 needs beside its pixels: time, memory and disk of everything after the maps.

    OMP_NUM_THREADS=1 python analyses/benchmarks/camelyon_scale.py

400 slides, four magnifications, 50 patches of each slide and magnification, five networks, and the controls and
replacements of a default study. A few phantoms are measured for real, by networks of one epoch. Their tables are then
drawn again for every slide, with other names, other shares and confident predictions, and stored as workers would leave
them. From there on all is as in any run: batches are read and put together, CSVs written, all tests made, the report
drawn. Prints the seconds, the highest memory so far and the bytes on disk after each stage.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from saliency_stats.cohort.patch import USED
from saliency_stats.execution import manifest
from saliency_stats.execution.device import release_memory
from saliency_stats.execution.engine import Threads
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.recorded import write_manifest
from saliency_stats.execution.store import Store
from saliency_stats.measurement.batch import Batch, batches_of
from saliency_stats.measurement.thumbnails import Thumbnails
from saliency_stats.report.run import Run
from saliency_stats.report.write import write_report
from saliency_stats.settings import StudySettings, dump, load
from saliency_stats.study import parameters
from saliency_stats.study.conclusions import conclude, keep_metrics
from saliency_stats.study.elsewhere import resolved
from saliency_stats.study.stages import Stages
from saliency_stats.study.training import train_networks
from saliency_stats.vocabulary import COMPARTMENTS, TISSUE, TRAINED

MAGNIFICATIONS = (5.0, 10.0, 20.0, 40.0)
#: Patches that are measured for real, half of either class.
TEMPLATES = 16
IDENTITY = ("patch_id", "slide_id", "patient_id", "label", "split", "magnification", "rank")


def settings_of(slides: int, patches: int, networks: int) -> StudySettings:
    """Return the study: the built-in one, judged on every slide."""
    chosen = (
        "name=camelyon_scale",
        f"cohort.slides={slides}",
        f"cohort.patches_per_slide={patches}",
        "cohort.fractions={train: 0.34, valid: 0.0, test: 0.66}",
        f"classifier.networks={networks}",
        "classifier.epochs=1",
        "classifier.architecture=densenet121",
    )
    return resolved(load(None, chosen))


class Templates:
    """Tables of a few patches that were measured."""

    def __init__(self, folder: Path, networks: int) -> None:
        settings = settings_of(3, TEMPLATES, networks)
        stages = Stages(settings, Store(folder), torch.device("cpu"), Progress(show=False))
        with stages.store.opened({}, fresh=False):
            table = stages.patches()
            used = table[table["status"] == USED]
            train_networks(settings, stages.store, stages._cohort, stages.device, Progress(show=False), used)  # noqa: SLF001
            measurement = stages.measurement(table)
        rows = used.index[used["split"] == "test"][:TEMPLATES]
        batch = Batch("000000", tuple(map(int, rows)), float(used["magnification"].iloc[0]), measured=True)
        self.stains, self.patches = stages._tables["stains"], table.loc[rows]  # noqa: SLF001
        self.tables = measurement(batch)
        places = {name: number for number, name in enumerate(self.patches["patch_id"])}
        self.rows: dict[str, list[Any]] = {}
        for name, found in self.tables.items():
            of = found["patch_id"].map(places).to_numpy()
            self.rows[name] = [np.flatnonzero(of == number) for number in range(TEMPLATES)]

    def drawn(self, patches: pd.DataFrame, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
        """Draw the tables of a batch of patches."""
        made = {}
        for name, found in self.tables.items():
            # pictures are of the patches that a study would draw
            of = patches[patches["rank"].notna()] if name == "thumbnails" else patches
            rows = [self.rows[name][number] for number in of["template"]]
            each = np.repeat(np.arange(len(of)), [len(one) for one in rows])
            table = found.iloc[[at for one in rows for at in one]].reset_index(drop=True)
            identity = {key: of[key].to_numpy()[each] for key in IDENTITY if key in table}
            made[name] = _ALTERED.get(name, _as_it_is)(table.assign(**identity), rng)
        return made


def _as_it_is(table: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return table


def _other_shares(ledger: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Give each map other shares, of each slide and each patch, more of them to the cytoplasm."""
    mass = ledger["mass_share"].to_numpy().reshape(-1, len(COMPARTMENTS))
    change = rng.normal(0, 0.15, len(COMPARTMENTS)) + rng.normal(0, 0.4, mass.shape)
    change[:, COMPARTMENTS.index(TISSUE[1])] += 0.3
    mass = mass * np.exp(change)
    mass = (mass / mass.sum(axis=1, keepdims=True)).ravel()
    area = ledger["area_share"].to_numpy()
    density = np.divide(mass, area, out=np.full_like(mass, np.nan), where=area > 0)
    return ledger.assign(mass_share=mass, density_ratio=density)


def _sure(predictions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Let the trained networks be right, and sure of it."""
    right = np.where(predictions["label"] == "malignant", 1.0, -1.0)
    margin = right * np.abs(rng.normal(3.0, 0.8, len(predictions)))
    margin = np.where(predictions["model"] == TRAINED, margin, 0.0)
    return predictions.assign(
        logit_benign=0.0,
        logit_malignant=margin,
        p_malignant=1 / (1 + np.exp(-margin)),
        predicted=np.where(margin > 0, "malignant", "benign"),
        correct=margin * right > 0,
    )


_ALTERED = {"ledger": _other_shares, "predictions": _sure}


def cohort(templates: Templates, slides: int, patches: int) -> pd.DataFrame:
    """Make the inspected table of all patches."""
    rng = np.random.default_rng(0)
    labels = templates.patches["label"].to_numpy()
    parts = []
    for number in range(slides):
        for magnification in MAGNIFICATIONS:
            drawn = rng.integers(0, TEMPLATES // 2, patches)
            chosen = [np.flatnonzero(labels == labels[at % 2])[one] for at, one in enumerate(drawn)]
            part = templates.patches.iloc[chosen].assign(
                template=chosen,
                slide_id=f"slide-{number:03d}",
                patient_id=f"patient-{number:03d}",
                patch_id=[f"slide-{number:03d}-{magnification:g}x-{at:03d}" for at in range(patches)],
                magnification=magnification,
                mpp=10 / magnification,
                stain_group=f"slide-{number:03d}",
            )
            parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    return table.assign(rank=table.index.map(Thumbnails.drawn(table, seed=0).rank))


@contextmanager
def stage(name: str, folder: Path) -> Iterator[None]:
    """Say what a stage took."""
    began, cpu = time.perf_counter(), time.process_time()
    yield
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    seconds, worked = time.perf_counter() - began, time.process_time() - cpu
    print(
        f"{name}: {seconds:.0f} s ({worked:.0f} s of the processor), {peak:.2f} GB, {size / 1e9:.2f} GB on disk",
        flush=True,
    )


def main() -> None:
    """Run everything but pixels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=400)
    parser.add_argument("--patches", type=int, default=50, help="Of a slide at one magnification.")
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--out", type=Path, help="Keep the run here.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary) / "run"
        with stage("draw (not part of a run)", folder):
            templates = Templates(Path(temporary) / "templates", arguments.networks)
            settings = settings_of(arguments.slides, arguments.patches * len(MAGNIFICATIONS), arguments.networks)
            table = cohort(templates, arguments.slides, arguments.patches)
            stages = Stages(settings, Store(folder), torch.device("cpu"), Progress(show=False))
            batches = batches_of(table, settings.cohort.evaluation_split, settings.saliency.batch_size)
            rng = np.random.default_rng(1)
            for batch in batches:
                part = table.loc[list(batch.rows)]
                stages.store.compute_once(batch.name, partial(templates.drawn, part, rng))
        print(f"{len(table):,} patches in {len(batches):,} batches")
        record = {
            "command": "camelyon_scale",
            "study": settings.model_dump(mode="json"),
            "seed": settings.seed,
            "versions": manifest.versions(),
            "machine": manifest.machine(),
            **parameters.described(settings),
        }
        (folder / "study.yaml").write_text(dump(settings), encoding="utf-8")
        patches = table.drop(columns=["template", "stain_group", "rank"])
        stages._tables |= {"patches": stages.store.write_once("patches", patches), "stains": templates.stains}  # noqa: SLF001
        with stage("put together", folder):
            stages.measure(cast("Any", SimpleNamespace(table=table)), Threads(2))
        run = Run(folder, stages._tables, record)  # noqa: SLF001
        with stage("statistics", folder):
            keep_metrics(run, stages.store)
            conclude(run, stages.store, stages.profile_rows())
            release_memory()
        print(", ".join(f"{name} {len(found):,} rows" for name, found in run.tables.items()))
        with stage("report", folder):
            record |= {"weights": {}, "weight_notes": {}, "seconds": {}, "artefacts": manifest.artefact_hashes(folder)}
            write_manifest(folder, record)
            write_report(run)
        print(json.dumps({one["label"]: one["status"] for one in run.verdict}))


if __name__ == "__main__":
    main()
