"""Segment images one by one and write what a pathologist, QuPath and Fiji can open."""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import filelock
import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray
from openslide import OpenSlide
from PIL import Image as PillowImage

from saliency_stats.cohort.image import contradicts, read_image
from saliency_stats.commands.pixel_size import MPP_RANGE, pixel_size
from saliency_stats.compartments import (
    CompartmentParameters,
    NucleusFinder,
    Segmentation,
    TissueFinder,
    concentrations,
    estimate_stains,
    finder_for,
    nuclei_table,
    nucleus_finder,
    segment_batch,
    to_codes,
    view_of,
)
from saliency_stats.compartments.finders import EXPECTED, there_is
from saliency_stats.compartments.table import NUCLEUS_COLUMNS
from saliency_stats.errors import CompartmentError, PatchError, StorageError, StudyError, shown
from saliency_stats.execution.device import choose
from saliency_stats.execution.files import atomic, write_table, write_text
from saliency_stats.execution.progress import Progress
from saliency_stats.report.geojson import feature_collection
from saliency_stats.report.overlay import overlay
from saliency_stats.vocabulary import COMPARTMENTS

#: What is written for an image, after the stem of its name.
ENDINGS: Final = ("_nuclei.tif", "_compartments.tif", ".geojson", "_overlay.png")
TABLE: Final = "nuclei.csv"


class _Job(NamedTuple):
    """An image, µm per pixel, and what its outputs are called before their endings."""

    image: Path
    mpp: float
    stem: Path

    def path(self, ending: str) -> Path:
        return self.stem.with_name(self.stem.name + ending)


def segment_images(
    images: Sequence[Path],
    out: Path,
    *,
    mpp: float | None = None,
    parameters: CompartmentParameters | None = None,
    device: str = "auto",
    note: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> Path:
    """Divide images into nuclei, cytoplasm, stroma and background, and write the results.

    Per image, at its own size: ``STEM_nuclei.tif`` (int32, 0 outside nuclei), ``STEM_compartments.tif`` (uint8, codes
    of ``COMPARTMENT_CODES``; where several compartments share a pixel, the largest), ``STEM.geojson`` and
    ``STEM_overlay.png``; for all of them ``nuclei.csv``. Stains are estimated from each image alone.

    Parameters
    ----------
    images
        8-bit RGB images: PNG, JPEG or TIFF.
    out
        Folder, made if it is not there. Files of the same names are overwritten, others stay, and so do the rows of
        ``nuclei.csv`` of other images: one call per image gives the same table as one call for all.
    mpp
        µm per pixel of all images; without it, what each TIFF says of itself.
    parameters
        Defaults to ``CompartmentParameters()``.
    device
        Where networks that find nuclei and cells compute: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    note
        Called with what a person must know, such as a pixel size that was taken from a file.
    progress
        Where the bar is drawn.

    Returns
    -------
    Path
        ``nuclei.csv``: one row per nucleus, with the columns ``image`` (file name) and ``mpp`` before those of
        ``nuclei_table``.

    Raises
    ------
    StudyError
        Before anything is computed: if two images would be written under one name, an output would replace an image,
        one is a whole slide, or µm per pixel of an image is unknown or impossible; or if there is no such device.
    CompartmentError
        Before anything is computed: if a model that the parameters name cannot be loaded.
    PatchError
        After everything else is done: if images could not be segmented; the message lists them.
    StorageError
        If a file cannot be written, or ``nuclei.csv`` is there and none of this version.
    """
    _check_names(images, out)
    _check_slides(images)
    _read_rows(out / TABLE)
    if mpp is not None:
        _check_mpp(mpp)
    jobs = [_Job(image, size, out / image.stem) for image, size in zip(images, _sizes(images, mpp, note), strict=True)]
    parameters = parameters or CompartmentParameters()
    try:
        finder = nucleus_finder(parameters.nuclei, str(choose(device)))
    except CompartmentError as error:
        raise CompartmentError(f"--nuclei: {error}") from error
    tissue = finder_for([parameters.cells], str(choose(device)))
    progress = progress or Progress()
    tables: list[pd.DataFrame] = []
    failed: list[str] = []
    try:
        with progress.stage("segment", len(jobs), unit="image") as bar:
            for job in jobs:
                try:
                    segmentation, table = _segmented(job, parameters, finder, tissue, note)
                except (PatchError, CompartmentError) as error:
                    failed.append(f"{job.image}: {error}")
                    progress.say(failed[-1])
                else:
                    tables.append(table)
                    if progress.bars:  # a log would hold a line for each of thousands
                        progress.say(_line(job, segmentation))
                bar.update(1)
    finally:
        # also if the disk is full or the user has had enough: the images that are done have their rows
        if tables:
            _write_rows(out / TABLE, pd.concat(tables, ignore_index=True), [job.image.name for job in jobs])
    if failed:
        raise PatchError(
            f"{len(failed)} of {len(jobs)} images could not be segmented"
            f"{f'; the other {len(tables)} are in {out}' if tables else ''}:\n  " + "\n  ".join(failed)
        )
    return out / TABLE


def parameters_of(**chosen: Any) -> CompartmentParameters:
    """Make parameters of what was chosen on the command line, the package's defaults for the rest.

    Raises
    ------
    StudyError
        If a value is none that it can have.
    """
    try:
        parameters = CompartmentParameters(**chosen)
    except CompartmentError as error:
        raise StudyError(f"{error} Give another value to --{', --'.join(chosen).replace('_', '-')}") from error
    if not there_is(parameters.nuclei):
        raise StudyError(f"--nuclei is {shown(parameters.nuclei)}, and there is no such model; expected {EXPECTED}")
    return parameters


def _check_names(images: Sequence[Path], out: Path) -> None:
    stems: dict[str, Path] = {}
    for image in images:
        before = stems.setdefault(image.stem.casefold(), image)
        if before is not image:
            raise StudyError(
                f"{before} and {image} would both be written as {out / image.stem}…; expected images of different "
                "names. Rename one, or segment them into different folders with --out"
            )
    # unlike Path.resolve, these take a link to itself and a name that no system takes: reading the image says so
    given = {os.path.realpath(image): image for image in images}
    for image in images:
        for ending in ENDINGS:
            replaced = given.get(os.path.realpath(out / f"{image.stem}{ending}"))
            if replaced is not None:
                raise StudyError(
                    f"the result of {image} would overwrite the image {replaced}; choose another folder with --out, "
                    "or leave out what is no image of tissue"
                )


def _check_slides(images: Sequence[Path]) -> None:
    for image in images:
        vendor = OpenSlide.detect_format(image) if there_is(str(image)) else None
        # a tiled TIFF without a vendor may well be a field that somebody exported
        if vendor not in {None, "generic-tiff"}:
            raise StudyError(
                f"{image} is a whole-slide image ({vendor}), too large to be segmented at once. Export a region of it "
                f"as TIFF or PNG (in QuPath: File > Export images), or list the slide in a study: "
                f"saliency-stats init FOLDER --kind slides"
            )


def _read_rows(path: Path) -> pd.DataFrame:
    """Read the rows that earlier calls left, every field as it is written; none where there is no table."""
    columns = ["image", "mpp", *NUCLEUS_COLUMNS]
    if not path.exists():
        return pd.DataFrame(columns=columns)
    try:
        found = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{path} cannot be read as a table ({error}); move it away, or choose another --out"
        ) from error
    if list(found.columns) != columns:
        raise StorageError(
            f"{path} is there and has other columns ({', '.join(map(str, found.columns[:5]))}, …) than the table of "
            f"nuclei, to which rows are added; move it away, or choose another --out"
        )
    return found


def _write_rows(path: Path, rows: pd.DataFrame, images: Sequence[str]) -> None:
    """Put the rows of these images in the place of their old ones; the rows of others stay."""
    # several calls may write into one folder at a time; the lock lies elsewhere, the folder holds results alone
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    with filelock.FileLock(Path(tempfile.gettempdir()) / f"saliency-stats-{name}.lock"):
        before = _read_rows(path)
        write_table(path, pd.concat([before[~before["image"].isin(images)], rows.astype(object)], ignore_index=True))


def _check_mpp(mpp: float) -> None:
    low, high = MPP_RANGE
    if not low <= mpp <= high:
        raise StudyError(
            f"--mpp is {mpp:g}; expected µm per pixel, {low:g} to {high:g}. A 40x scan has about 0.25, a 20x scan 0.5"
        )


def _sizes(images: Sequence[Path], mpp: float | None, note: Callable[[str], None]) -> list[float]:
    """µm per pixel of every image; NaN for a file that is missing or broken, which reading it will name."""
    if mpp is not None:
        return [mpp] * len(images)
    sizes, unknown = [], []
    for image in images:
        try:
            sizes.append(pixel_size(image) if there_is(str(image)) else math.nan)
        except PatchError as error:
            unknown.append(f"{image}: {error}")
    if unknown:
        raise StudyError(
            f"µm per pixel is unknown for {len(unknown)} of {len(images)} images; give it with --mpp "
            "(images of different scales one scale at a time):\n  " + "\n  ".join(unknown)
        )
    for size in sorted({size for size in sizes if not math.isnan(size)}):
        named = [str(image) for image, its in zip(images, sizes, strict=True) if its == size]
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        note(f"{size:g} µm per pixel, as the resolution of {named[0]}{more} says")
    return sizes


def _segmented(
    job: _Job,
    parameters: CompartmentParameters,
    finder: NucleusFinder,
    tissue: TissueFinder | None,
    note: Callable[[str], None],
) -> tuple[Segmentation, pd.DataFrame]:
    """Segment one image and write its files; returns also its rows of the table."""
    image, stated_mpp = read_image(job.image)
    if math.isnan(job.mpp):
        raise PatchError("µm per pixel cannot be read from the file, which is no sound TIFF; give it with --mpp")
    if contradicts(stated_mpp, job.mpp):
        note(f"{job.image} says of itself {stated_mpp:.3g} µm per pixel; it is taken for {job.mpp:.3g}, as --mpp says")
    stains = estimate_stains([image])
    (segmentation,) = segment_batch([view_of(image, job.mpp, parameters, stains)], finder, tissue)
    table = nuclei_table(segmentation, concentrations(image, stains), job.mpp)
    nuclei, compartments, geojson, picture = (job.path(ending) for ending in ENDINGS)
    _write_tiff(nuclei, segmentation.instances, job.mpp)
    _write_tiff(compartments, to_codes(segmentation.memberships), job.mpp)
    objects = feature_collection(segmentation, table)
    write_text(geojson, json.dumps(objects, separators=(",", ":"), allow_nan=False) + "\n")
    with atomic(picture) as partial:
        PillowImage.fromarray(overlay(image, segmentation)).save(partial, format="PNG")
    table.insert(0, "image", job.image.name)
    table.insert(1, "mpp", job.mpp)
    return segmentation, table


def _write_tiff(path: Path, labels: NDArray[Any], mpp: float) -> None:
    """Write a label image with its scale in pixels per cm, the finest unit of the standard; Fiji shows µm.

    No predictor: ImageJ undoes one for LZW only.
    """
    per_cm = 10_000 / mpp
    with atomic(path) as partial:
        tifffile.imwrite(
            partial,
            labels,
            photometric="minisblack",
            compression="zlib",
            resolution=(per_cm, per_cm),
            resolutionunit="CENTIMETER",
            software=False,
            metadata=None,
        )


def _line(job: _Job, segmentation: Segmentation) -> str:
    shares = segmentation.memberships.mean(axis=(1, 2), dtype=np.float64)
    named = ", ".join(f"{name} {share:.0%}" for name, share in zip(COMPARTMENTS, shares, strict=True))
    count = len(np.unique(segmentation.instances[segmentation.instances > 0]))
    doubt = segmentation.doubtful_share
    doubtful = "" if math.isnan(doubt) else f"; {doubt:.0%} of the tissue outside nuclei doubtful"
    return f"{job.image.name}: {count} nuclei; {named}{doubtful}"
