"""The judged patches of a finished run for QuPath, measured again: a GeoJSON file per slide."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from saliency_stats.cohort.slides.cohort import SlideCohort
from saliency_stats.commands.again import check_image, check_listed, check_map
from saliency_stats.compartments import nuclei_table
from saliency_stats.errors import CohortError
from saliency_stats.execution.device import choose, make_deterministic, usual_workers
from saliency_stats.execution.engine import Threads
from saliency_stats.execution.files import write_text
from saliency_stats.execution.names import file_name
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.recorded import Recorded
from saliency_stats.execution.store import Store
from saliency_stats.measurement.batch import batches_of
from saliency_stats.measurement.measure import Measurement
from saliency_stats.report.qupath import Placement, patch_features
from saliency_stats.report.run import Run
from saliency_stats.saliency.naming import NetworkKey, first_networks, network_names
from saliency_stats.statistics import PRIMARY
from saliency_stats.statistics.values import values_of, wide_values
from saliency_stats.study import estimates
from saliency_stats.study.stages import Stages
from saliency_stats.vocabulary import TRAINED


def export_qupath(
    folder: Path,
    out: Path,
    *,
    magnification: float | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> list[Path]:
    """Write the judged patches of a run as GeoJSON objects that QuPath imports.

    Each patch is a tile with what was measured in it, and each of its nuclei a cell with the density of the saliency in
    the nucleus and in the cell. Of several networks the first is asked (with folds the first of the patch's fold) about
    the patches that it judges. On slides, coordinates are pixels of level 0 from where QuPath counts, a file per slide;
    of patches that are image files, pixels of the image, a file per patch.

    Parameters
    ----------
    out
        Folder of the files, made if it is not there; files of the same names are overwritten.
    magnification
        By default the finest.
    device
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    progress
        Where the bar is drawn.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    StorageError
        If the folder holds no finished run, or is not as the run left it.
    CohortError
        If there is no such magnification or no judged patch, or the patches have changed since.
    """
    run, recorded = Run.read(folder), Recorded(folder)
    at = max(run.magnifications) if magnification is None else magnification
    rows = _judged(run, at)
    ending = f"-{at:g}x.safetensors"
    recorded.check(name for name in recorded.hashes if name.startswith("weights/") and name.endswith(ending))
    progress, chosen = progress or Progress(), choose(device)
    make_deterministic(chosen)
    stages = Stages(run.settings, Store(folder), chosen, progress)
    for row, patch in rows.iterrows():
        check_listed(stages.table, int(str(row)), patch)
    measurement = stages.measurement_of(run.patches, int(str(rows.index[0])))
    if measurement.given is not None:
        for row, patch in rows.iterrows():
            check_map(measurement.given, int(str(row)), patch, run.inputs)
    engine = Threads(usual_workers(chosen, estimates.batch_bytes(run.settings, rows)))
    with progress.stage("export", len(rows)) as bar:
        found = _features(run, measurement, rows, engine, bar.update)
        written = []
        for name, features in groupby(found, key=lambda pair: pair[0]):
            written.append(out / file_name(name, ".geojson"))
            content = {"type": "FeatureCollection", "features": [one for _, of in features for one in of]}
            write_text(written[-1], json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n")
    return written


def _judged(run: Run, magnification: float) -> pd.DataFrame:
    """Return the patches that are exported: rows of the run's table."""
    if magnification not in run.magnifications:
        there = ", ".join(f"{one:g}×" for one in run.magnifications)
        raise CohortError(f"{run.folder} has no patches at {magnification:g}×; it has {there}")
    judged = first_networks(run.population.patches)
    judged = judged[judged["magnification"] == magnification]
    rows = run.patches[
        (run.patches["magnification"] == magnification) & run.patches["patch_id"].isin(judged["patch_id"])
    ]
    if rows.empty:
        raise CohortError(
            f"{run.folder} judges no patch at {magnification:g}×: none is classified correctly and confidently "
            f"(saliency.min_confidence is {run.settings.saliency.min_confidence:g}), so there is nothing to export"
        )
    return rows


def _features(
    run: Run, measurement: Measurement, rows: pd.DataFrame, engine: Threads, tick: Callable[[int], object]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the name of the file and the features of every patch, fold by fold and slide by slide.

    They are measured in the batches of the run: a network's last digits depend on what it sees beside a patch.
    """
    plan, numbers = measurement.plan.alone(), _numbers(run, rows)
    cohort = getattr(measurement.cohort, "inner", measurement.cohort)
    slides = cohort if isinstance(cohort, SlideCohort) else None
    every = batches_of(run.patches, run.evaluation_split, run.settings.saliency.batch_size)
    judged: dict[Any, pd.Series] = dict(rows.iterrows())
    batches = [batch for batch in every if not judged.keys().isdisjoint(batch.rows)]
    for place, part in groupby(batches, key=lambda batch: batch.place):
        first, of_fold = NetworkKey(TRAINED, network_names(1, place[1])[0]), list(part)
        models = {key: made for key, made in measurement.models[place].items() if key == first}
        own = replace(measurement, plan=plan, models={place: models})
        for batch, examined in zip(of_fold, engine.map(own.examine, of_fold), strict=True):
            for k, row in enumerate(batch.rows):
                if row not in judged:
                    continue
                patch, image = judged[row], examined.patches[k].image
                check_image(image, patch)
                nuclei = nuclei_table(examined.segmentations[k], examined.unmixed[k], float(patch["mpp"]))
                features = patch_features(
                    examined.segmentations[k],
                    nuclei,
                    examined.maps[plan.own(*first)].raw[k],
                    Placement() if slides is None else _on_slide(slides, patch, image.shape[:2]),
                    patch_id=str(patch["patch_id"]),
                    label=run.classes.name(str(patch["label"])),
                    measured=numbers[str(patch["patch_id"])],
                )
                yield str(patch["patch_id" if slides is None else "slide_id"]), features
                tick(1)


def _numbers(run: Run, rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return what the run measured in each of these patches, by the patch's id and the number's name."""
    at = float(rows["magnification"].iloc[0])
    ledger, predictions = (
        first_networks(table[(table["model"] == TRAINED) & (table["magnification"] == at)])
        for table in (run.of_own_map(run.ledger), run.predictions)
    )
    ledger = ledger[ledger["patch_id"].isin(rows["patch_id"])]
    values = values_of(wide_values(ledger), PRIMARY)
    found: dict[str, dict[str, float]] = {str(name): {} for name in rows["patch_id"]}
    for row in ledger.to_dict("records"):
        for column in ("area_share", "mass_share", "density_ratio"):
            found[row["patch_id"]][f"{column}_{row['compartment']}"] = row[column]
    for name, table, column in (("delta_log2", values, "value"), ("p_malignant", predictions, "p_malignant")):
        for patch_id, value in zip(table["patch_id"], table[column], strict=True):
            if patch_id in found:
                found[patch_id][name] = value
    return found


def _on_slide(cohort: SlideCohort, patch: pd.Series, shape: tuple[int, int]) -> Placement:
    """Say where a patch lies in pixels of level 0; QuPath counts from the corner of what was scanned."""
    info, (height, width) = cohort.info(str(patch["slide_id"])), shape
    mpp = np.array([info.mpp_x, info.mpp_y])
    middle = np.array([patch["x_um"], patch["y_um"]], dtype=float) / mpp
    scale = float(patch["mpp"]) / mpp
    corner = middle - scale * (width, height) / 2 - info.bounds_px[::-1]
    return Placement((float(corner[0]), float(corner[1])), (float(scale[0]), float(scale[1])))
