"""The CSV that lists whole-slide images."""

import fnmatch
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from saliency_stats.errors import CohortError, StudyError
from saliency_stats.vocabulary import LABELS, SPLITS

COLUMNS: Final = ("path", "slide_id", "patient_id", "annotation", "label", "mpp", "split")


@dataclass(frozen=True)
class ListedSlide:
    """One line of the list.

    Parameters
    ----------
    path, annotation
        Files; ``annotation`` is None on a slide without tumour.
    slide_id, patient_id, split
        As listed; ``patient_id`` and ``split`` may be empty.
    mpp
        µm per pixel at level 0 that overrides the file's, if any.
    label
        As listed; may be empty.
    """

    path: Path
    annotation: Path | None
    slide_id: str
    patient_id: str
    split: str
    mpp: float | None
    label: str = ""


def read_slide_list(path: Path, mpp_override: Mapping[str, float]) -> tuple[list[ListedSlide], dict[str, str]]:
    """Read the list of slides.

    Parameters
    ----------
    path
        CSV (UTF-8) with the column ``path`` (relative to it, or absolute) and, where known, ``slide_id`` (else the
        file's stem), ``patient_id``, ``annotation`` (ASAP XML or GeoJSON), ``label``, ``mpp``, ``split``.
    mpp_override
        µm per pixel by slide id or pattern (``tumor_*``), for slides whose line names none; the first that fits.

    Returns
    -------
    (list of ListedSlide, dict)
        In the order of their ids, and the list's sha256 by its name.

    Raises
    ------
    StudyError
        If there is no such file.
    CohortError
        If the list is wrong: the message names the line, what was found and the remedy.
    """
    if not path.is_file():
        raise StudyError(f"cohort.table: there is no file {path}; expected a CSV of slides with the column path")
    data = path.read_bytes()
    try:
        table = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8-sig", index_col=False)
    except (ValueError, OSError) as error:
        raise CohortError(f"{path} is not a readable CSV ({error}); expected UTF-8 with a header line") from error
    table = table.rename(columns=str.strip).apply(lambda column: column.str.strip())
    if "path" not in table.columns:
        raise CohortError(f"{path}: column 'path' is missing; found {', '.join(table.columns) or 'nothing'}")
    unknown = [name for name in table.columns if name not in COLUMNS]
    if unknown:
        raise CohortError(f"{path}: column {unknown[0]!r} is unknown; expected {', '.join(COLUMNS)}")
    if table.empty:
        raise CohortError(f"{path} lists no slide; expected one line per slide below the header")
    table = table.reindex(columns=list(COLUMNS), fill_value="")
    table["slide_id"] = table["slide_id"].where(
        table["slide_id"] != "", table["path"].map(lambda name: Path(name).stem)
    )
    _check(path, table)
    found = [
        ListedSlide(
            path.parent / row.path,
            path.parent / row.annotation if row.annotation else None,
            row.slide_id,
            row.patient_id,
            row.split,
            float(str(row.mpp)) if row.mpp else _override(row.slide_id, mpp_override),
            row.label,
        )
        for row in table.sort_values("slide_id").itertuples()
    ]
    return found, {path.name: hashlib.sha256(data).hexdigest()}


def _check(path: Path, table: pd.DataFrame) -> None:
    for line, row in enumerate(table.itertuples(), start=2):
        where = f"{path}, line {line}"
        if not row.path:
            raise CohortError(f"{where}: the path is empty; expected a slide's file")
        if row.split and row.split not in SPLITS:
            raise CohortError(f"{where}: split is {row.split!r}; expected {', '.join(SPLITS)}, or nothing on all lines")
        if row.label and row.label not in LABELS:
            raise CohortError(f"{where}: label is {row.label!r}; expected {' or '.join(LABELS)}, or nothing")
        if row.label == LABELS[1] and not row.annotation:
            raise CohortError(
                f"{where}: slide {row.slide_id!r} is malignant and has no annotation; without one all its tissue would "
                f"count as benign. Name its annotation, or leave the slide out"
            )
        try:
            ok = not row.mpp or float(str(row.mpp)) > 0
        except ValueError:
            ok = False
        if not ok:
            raise CohortError(f"{where}: mpp is {row.mpp!r}; expected µm per pixel at full resolution, such as 0.25")
    twice = table["slide_id"][table["slide_id"].duplicated()]
    if len(twice):
        raise CohortError(f"{path}: slide {twice.iloc[0]!r} is listed twice; every slide counts once")
    unsplit = table["split"] == ""
    if unsplit.any() and not unsplit.all():
        raise CohortError(f"{path}: {int(unsplit.sum())} slides have no split, others have; give all one, or none")


def _override(slide_id: str, patterns: Mapping[str, float]) -> float | None:
    return next((mpp for pattern, mpp in patterns.items() if fnmatch.fnmatchcase(slide_id, pattern)), None)
