"""Patch images listed in a CSV."""

import difflib
import hashlib
import posixpath
import warnings
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import Final, TypeVar

import numpy as np
import pandas as pd

from saliency_stats.cohort.image import read_rgb
from saliency_stats.cohort.patch import PATCH_COLUMNS, USED, Patch, nominal_magnification
from saliency_stats.errors import CohortError, StudyError
from saliency_stats.vocabulary import LABELS, SPLITS

REQUIRED: Final = ("path", "label")
OPTIONAL: Final = ("mpp", "split", "slide_id", "patient_id", "patch_id")
#: Pixel sizes outside this range are a slip of unit (nm, mm), not a microscope.
_PLAUSIBLE_MPP: Final = (0.05, 20.0)
#: How other programs write a missing id.
_UNKNOWN: Final = ("na", "n/a", "nan", "none", "null", "unknown")

Result = TypeVar("Result")


class PatchFolder:
    """A cohort of patch images listed in a CSV.

    Parameters
    ----------
    path
        CSV (UTF-8) with the columns ``path`` (relative to the CSV), ``label`` (benign | malignant) and ``mpp``
        (µm per pixel); optionally ``split`` (train | valid | test), ``slide_id``, ``patient_id``, ``patch_id``.
    mpp
        µm per pixel of patches whose ``mpp`` is empty.

    Raises
    ------
    StudyError
        If the CSV does not exist.
    CohortError
        If the table is wrong: the message names the line, what was found, what was expected and the remedy.
        Images that cannot be used are no error here: ``read`` refuses them one by one.
    """

    kind = "patches"

    def __init__(self, path: Path, mpp: float | None = None) -> None:
        if not path.is_file():
            found = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
            raise StudyError(
                f"cohort.table: {found}; expected a CSV of patches (paths in a study file are relative to it)"
            )
        self.path = path
        self.digests = {path.name: hashlib.sha256(self._read(path.read_bytes)).hexdigest()}
        self.table = self._parse(mpp)
        self._files = [path.parent / source for source in self.table["source"]]

    @property
    def files(self) -> dict[str, Path]:
        """The table and every image that it lists, by their names in it."""
        return {self.path.name: self.path, **dict(zip(self.table["source"], self._files, strict=True))}

    def read(self, row: int) -> Patch:
        """Read one image; raises ``PatchError`` with the reason if it is missing, broken or not RGB."""
        return Patch(read_rgb(self._files[row]))

    def _parse(self, mpp: float | None) -> pd.DataFrame:
        # the header comes first: with other separators the lines below would be blamed
        header = [str(name).strip() for name in self._read(lambda: self._csv(nrows=0)).columns]
        self._check_header(header)
        table = self._read(self._csv).set_axis(header, axis="columns")
        # blank lines are no patches, but they count where a message names a line
        table = pd.DataFrame({name: table[name].str.strip() for name in table.columns})
        table = table[(table != "").any(axis=1)].copy()
        if table.empty:
            raise CohortError(f"{self.path} lists no patch; expected one line per patch below the header")
        for name in OPTIONAL:
            table[name] = table.get(name, "")
        self._check_paths(table["path"])
        table["path"] = table["path"].map(_normalised)
        self._check_words(table["label"], "label", LABELS)
        self._check_words(table.loc[table["split"] != "", "split"], "split", SPLITS)
        self._check_groups(table)
        table["patch_id"] = table["patch_id"].where(table["patch_id"] != "", table["path"])
        table["mpp"] = self._pixel_sizes(table, mpp)
        table["magnification"] = table["mpp"].map(nominal_magnification)
        table["source"] = table["path"]
        table["x_um"] = table["y_um"] = np.nan
        table["status"] = USED
        self._check_once(table, ["path"])
        self._check_once(table, ["patch_id", "magnification"])
        return table[list(PATCH_COLUMNS)].reset_index(drop=True)

    def _csv(self, nrows: int | None = None) -> pd.DataFrame:
        with warnings.catch_warnings():
            # a line with more fields than the header would be cut short with a warning
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table: pd.DataFrame = pd.read_csv(
                self.path,
                dtype="str",
                keep_default_na=False,
                skip_blank_lines=False,
                index_col=False,
                nrows=nrows,
                encoding="utf-8-sig",
            )
        return table

    def _read(self, read: Callable[[], Result]) -> Result:
        try:
            return read()
        except pd.errors.EmptyDataError as error:
            raise CohortError(f"{self.path} is empty; expected a header line and one line per patch") from error
        except UnicodeDecodeError as error:
            raise CohortError(
                f"{self.path} is not UTF-8 ({error.reason} at byte {error.start}); save it as CSV UTF-8"
            ) from error
        except pd.errors.ParserWarning as error:
            raise CohortError(
                f"{self.path}, line 2: more fields than the header has columns; put text with commas in quotes"
            ) from error
        except (pd.errors.ParserError, OSError) as error:
            reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
            raise CohortError(
                f"{self.path} is not a readable CSV ({reason}); expected UTF-8 with a header line"
            ) from error

    def _check_header(self, header: list[str]) -> None:
        listed = ", ".join(name for name in header if not name.startswith("Unnamed: "))
        for name in REQUIRED:
            if name not in header:
                separator = next((found for found in (";", "\t") if found in listed), "")
                remedy = (
                    f". The columns are separated by {separator!r}: save the table with commas" if separator else ""
                )
                raise CohortError(
                    f"{self.path}: column {name!r} is missing; found {listed or 'an empty line'}; expected at least "
                    f"path, label, mpp{remedy}"
                )
        for name in (*REQUIRED, *OPTIONAL):
            if header.count(name) > 1 or f"{name}.1" in header:
                raise CohortError(f"{self.path}: column {name!r} stands twice; delete one of them")
        # a misnamed slide_id would pass for unknown slides
        for name in OPTIONAL:
            others = [other for other in header if other not in (*REQUIRED, *OPTIONAL)]
            near = [other for other in others if difflib.get_close_matches(other.lower(), [name], cutoff=0.75)]
            if near and name not in header:
                raise CohortError(f"{self.path}: column {near[0]!r} is unknown; did you mean {name!r}? Rename it")

    def _check_paths(self, paths: "pd.Series[str]") -> None:
        for index, path in paths.items():
            if not path:
                raise CohortError(
                    f"{self.path}, line {_line(index)}: the path is empty; expected an image file, relative to the CSV"
                )
            inside = _normalised(path)
            if inside.startswith("/") or PureWindowsPath(path).drive or inside.split("/")[0] == "..":
                raise CohortError(
                    f"{self.path}, line {_line(index)}: {path!r} lies outside the CSV's folder {self.path.parent}; "
                    f"expected a path below it. Move the images there, or the CSV above them"
                )

    def _check_words(self, words: "pd.Series[str]", column: str, allowed: tuple[str, ...]) -> None:
        wrong = words[~words.isin(allowed)]
        if len(wrong):
            word = wrong.iloc[0]
            near = difflib.get_close_matches(word.lower(), allowed, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise CohortError(
                f"{self.path}, line {_line(wrong.index[0])}: {column} is {word!r}; expected "
                f"{' or '.join(allowed)}.{hint} {len(wrong)} line(s) have such a {column}"
            )

    def _check_groups(self, table: pd.DataFrame) -> None:
        unsplit = table["split"] == ""
        if unsplit.any() and not unsplit.all():
            line = _line(table.index[unsplit][0])
            raise CohortError(
                f"{self.path}, line {line}: no split, while other patches have one; give all of them one, or none"
            )
        for name in ("slide_id", "patient_id"):
            unknown = table[name].str.lower().isin(_UNKNOWN)
            if unknown.any():
                line = table.index[unknown][0]
                raise CohortError(
                    f"{self.path}, line {_line(line)}: {name} is {table.loc[line, name]!r}; leave it empty where it is "
                    f"unknown, or these {int(unknown.sum())} patches would count as one"
                )
        named = table[(table["slide_id"] != "") & (table["patient_id"] != "")]
        first = named.groupby("slide_id")["patient_id"].transform("first")
        other = named.index[named["patient_id"] != first]
        if len(other):
            row = named.loc[other[0]]
            raise CohortError(
                f"{self.path}, line {_line(other[0])}: slide {row['slide_id']!r} is of patient {row['patient_id']!r}, "
                f"but of patient {first[other[0]]!r} on an earlier line; no two patients share a slide id"
            )

    def _check_once(self, table: pd.DataFrame, key: list[str]) -> None:
        twice = table.index[table.duplicated(key)]
        if len(twice):
            again = table.loc[twice[0], key]
            first = table.index[(table[key] == again).all(axis=1)][0]
            raise CohortError(
                f"{self.path}: patch {again[key[0]]!r} is listed twice (lines {_line(first)} and {_line(twice[0])}); "
                f"every patch counts once. Delete one of the lines"
            )

    def _pixel_sizes(self, table: pd.DataFrame, default: float | None) -> "pd.Series[float]":
        text = table["mpp"]
        sizes = pd.to_numeric(text, errors="coerce").astype(float)
        if default is not None:
            sizes = sizes.where(text != "", default)
        low, high = _PLAUSIBLE_MPP
        wrong = sizes.index[~((sizes >= low) & (sizes <= high))]
        if len(wrong):
            row = table.loc[wrong[0]]
            slide = f" of slide {row['slide_id']!r}" if row["slide_id"] else ""
            found = f"is {row['mpp']!r}" if row["mpp"] else f"is {default:g} (cohort.mpp)" if default else "is missing"
            raise CohortError(
                f"{self.path}, line {_line(wrong[0])}: mpp of patch {row['patch_id']!r}{slide} {found}; expected µm "
                f"per pixel between {low:g} and {high:g} (0.25 at 40×, 0.5 at 20×, 1 at 10×). {len(wrong)} patch(es) "
                f"lack it. Fill in the column mpp, or set cohort.mpp in the study file for all of them"
            )
        return sizes


def _normalised(path: str) -> str:
    """Write a path in one way, so that a file that is listed twice is found out."""
    return posixpath.normpath(path.replace("\\", "/"))


def _line(index: object) -> int:
    """Line of a table row in the CSV, counting the header as line 1."""
    return int(str(index)) + 2
