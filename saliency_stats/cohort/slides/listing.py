"""The CSV that lists whole-slide images."""

import fnmatch
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import pandas as pd

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.cohort import fields, identity
from saliency_stats.cohort.listing import Columns, Listing, by_line, read_listing
from saliency_stats.cohort.location import locate, root_of
from saliency_stats.errors import shown
from saliency_stats.vocabulary import LABELS, SPLITS

COLUMNS: Final = Columns(
    row="slide",
    required=("path",),
    optional=("slide_id", "patient_id", "annotation", "label", "mpp", "split"),
    closed=True,
)


@dataclass(frozen=True)
class ListedSlide:
    """One line of the list.

    Parameters
    ----------
    path, annotation
        Files; ``annotation`` is None on a slide without tumour.
    slide_id, patient_id, label, split
        As listed; all but ``slide_id`` may be empty.
    mpp
        µm per pixel at level 0 that overrides the file's, if any.
    """

    path: Path
    annotation: Path | None
    slide_id: str
    patient_id: str
    split: str
    mpp: float | None
    label: str = ""


def read_slide_list(
    path: Path, mpp_override: Mapping[str, float], root: Path | None = None, classes: Classes = USUAL_CLASSES
) -> tuple[list[ListedSlide], dict[str, str]]:
    """Read the list of slides.

    Parameters
    ----------
    path
        CSV (UTF-8) with the column ``path`` and, where known, ``slide_id`` (else the file's stem), ``patient_id``,
        ``annotation`` (ASAP XML or GeoJSON), ``label``, ``mpp``, ``split``.
    mpp_override
        µm per pixel by slide id or pattern (``tumor_*``), for slides whose line names none; the first that fits.
    root
        Folder that the paths of slides and annotations are relative to and must lie below; by default the CSV's own.
    classes
        What the words of the column ``label`` stand for.

    Returns
    -------
    (list of ListedSlide, dict)
        In the order of their ids, and the list's sha256 by its name.

    Raises
    ------
    StudyError
        If there is no such file or root.
    CohortError
        If the list is wrong: the message lists all that is wrong with its line, what was expected and the remedy.
    """
    listing = read_listing(path, COLUMNS)
    folder = root_of(path, root)
    table = _checked(listing, folder, classes)
    found = [
        ListedSlide(
            path=folder / str(row.path),
            annotation=folder / str(row.annotation) if row.annotation else None,
            slide_id=str(row.slide_id),
            patient_id=str(row.patient_id),
            split=str(row.split),
            mpp=_override(str(row.slide_id), mpp_override) if math.isnan(mpp := float(str(row.mpp))) else mpp,
            label=str(row.label),
        )
        for row in table.sort_values("slide_id").itertuples()
    ]
    return found, {path.name: listing.digest}


def _checked(listing: Listing, root: Path, classes: Classes) -> pd.DataFrame:
    """Bring a listing into one form; raises ``CohortError`` with all that is wrong."""
    paths = locate(listing, "path", root, what="a slide's file")
    annotations = locate(listing, "annotation", root, what="an annotation's file", may_be_empty=True)
    names, patients = fields.ids(listing, "slide_id"), fields.ids(listing, "patient_id")
    stems = listing.table["path"].map(lambda written: PurePosixPath(written.replace("\\", "/")).stem)
    names = names.where(names != "", fields.one_form(stems))
    labels = fields.labels(listing, classes, may_be_empty=True)
    fields.check_words(listing, "split", SPLITS)
    fields.check_all_or_none(listing, "split")
    found = {"path": paths, "annotation": annotations, "slide_id": names, "patient_id": patients, "label": labels}
    table = listing.table.assign(**found)
    table["mpp"] = fields.pixel_sizes(listing, names, None, needed=False)
    for line in table.index[(table["label"] == LABELS[1]) & (table["annotation"] == "")]:
        listing.problems.add(
            f"slide {shown(names[line])} is {classes.names[1]} and has no annotation; without one all its tissue would "
            f"count as {classes.names[0]}. Name its annotation, or leave the slide out",
            [int(line)],
        )
    identity.check_one_file(listing, by_line(paths), by_line(names), root)
    # of a file that is listed twice that was said
    apart = table[(names != "") & ((paths == "") | ~paths.duplicated())]
    fields.check_once(
        listing, apart, ["slide_id"], "every slide counts once. Give other slides a slide_id of their own"
    )
    # copies are looked for last: where something is wrong already, nobody waits for it
    listing.problems.stop()
    identity.check_one_content(listing, by_line(paths), by_line(names), root)
    listing.problems.stop()
    return table


def _override(slide_id: str, patterns: Mapping[str, float]) -> float | None:
    return next((mpp for pattern, mpp in patterns.items() if fnmatch.fnmatchcase(slide_id, pattern)), None)
