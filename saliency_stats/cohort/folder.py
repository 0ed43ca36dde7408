"""Patch images listed in a CSV."""

import difflib
import hashlib
import posixpath
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from saliency_stats.cohort.patch import PATCH_COLUMNS, USED, Patch, nominal_magnification
from saliency_stats.errors import CohortError, PatchError, StudyError
from saliency_stats.vocabulary import LABELS, SPLITS

REQUIRED: Final = ("path", "label")
_TEXT: Final = ("path", "label", "split", "slide_id", "patient_id", "patch_id")
#: Pixel sizes outside this range are a slip of unit (nm, mm), not a microscope.
_PLAUSIBLE_MPP: Final = (0.05, 20.0)


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
            raise StudyError(f"cohort.table: there is no file {path}; expected a CSV of patches (paths in a study file are relative to it)")
        self.path = path
        raw = path.read_bytes()
        self.digests = {path.name: hashlib.sha256(raw).hexdigest()}
        self.table = self._parse(mpp)
        self._files = [path.parent / source for source in self.table["source"]]

    def read(self, row: int) -> Patch:
        """Read one image; raises ``PatchError`` with the reason if it is missing, broken or not RGB."""
        return Patch(_read_rgb(self._files[row]))

    def _parse(self, mpp: float | None) -> pd.DataFrame:
        try:
            table = pd.read_csv(
                self.path, dtype=dict.fromkeys(_TEXT, "str"), keep_default_na=False, encoding="utf-8-sig"
            )
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise CohortError(f"{self.path} is not a readable CSV ({error}); expected UTF-8 with a header line") from error
        missing = [name for name in REQUIRED if name not in table]
        if missing:
            raise CohortError(
                f"{self.path}: column {missing[0]!r} is missing; found {', '.join(table.columns)}; "
                f"expected at least path, label, mpp"
            )
        if table.empty:
            raise CohortError(f"{self.path} lists no patch; expected one line per patch below the header")
        for name in _TEXT:
            table[name] = table[name].str.strip() if name in table else ""
        table["path"] = table["path"].str.replace("\\", "/", regex=False)
        self._check_paths(table["path"])
        self._check_words(table["label"], "label", LABELS)
        self._check_words(table.loc[table["split"] != "", "split"], "split", SPLITS)
        if (table["split"] == "").any() and (table["split"] != "").any():
            line = _line(table.index[table["split"] == ""][0])
            raise CohortError(f"{self.path}, line {line}: no split, while other patches have one; give all of them one, or none")
        table["patch_id"] = table["patch_id"].where(table["patch_id"] != "", table["path"])
        table["mpp"] = self._pixel_sizes(table, mpp)
        table["magnification"] = table["mpp"].map(nominal_magnification)
        table["source"] = table["path"]
        table["x_um"] = table["y_um"] = np.nan
        table["status"] = USED
        twice = table.duplicated(["patch_id", "magnification"], keep=False)
        if twice.any():
            first, second = table.index[table["patch_id"] == table.loc[twice, "patch_id"].iloc[0]][:2]
            raise CohortError(
                f"{self.path}: patch {table.loc[first, 'patch_id']!r} is listed twice (lines {_line(first)} and "
                f"{_line(second)}); every patch counts once. Delete one of the lines"
            )
        return table[list(PATCH_COLUMNS)]

    def _check_paths(self, paths: "pd.Series[str]") -> None:
        for index, path in paths.items():
            inside = posixpath.normpath(path)
            if not path:
                raise CohortError(f"{self.path}, line {_line(index)}: the path is empty; expected an image file, relative to the CSV")
            if PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute() or inside.split("/")[0] == "..":
                raise CohortError(
                    f"{self.path}, line {_line(index)}: {path!r} lies outside the CSV's folder {self.path.parent}; expected "
                    f"a path below it. Move the images there, or the CSV above them"
                )

    def _check_words(self, words: "pd.Series[str]", column: str, allowed: tuple[str, ...]) -> None:
        wrong = words[~words.isin(allowed)]
        if len(wrong):
            word = wrong.iloc[0]
            near = difflib.get_close_matches(word.lower(), allowed, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise CohortError(
                f"{self.path}, line {_line(wrong.index[0])}: {column} is {word!r}; expected {' or '.join(allowed)}.{hint}"
                f" {len(wrong)} line(s) have such a {column}"
            )

    def _pixel_sizes(self, table: pd.DataFrame, default: float | None) -> "pd.Series[float]":
        text = table["mpp"].astype(str).str.strip() if "mpp" in table else pd.Series("", index=table.index)
        sizes = pd.to_numeric(text, errors="coerce").astype(float)
        if default is not None:
            sizes = sizes.where(text != "", default)
        low, high = _PLAUSIBLE_MPP
        wrong = sizes.index[~((sizes >= low) & (sizes <= high))]
        if len(wrong):
            first = wrong[0]
            slide = f" of slide {table.loc[first, 'slide_id']!r}" if table.loc[first, "slide_id"] else ""
            found = f"is {text[first]!r}" if text[first] else "is missing"
            raise CohortError(
                f"{self.path}, line {_line(first)}: mpp of patch {table.loc[first, 'patch_id']!r}{slide} {found}; expected µm per "
                f"pixel between {low:g} and {high:g} (0.25 at 40×, 0.5 at 20×, 1 at 10×). {len(wrong)} patch(es) lack it. "
                f"Fill in the column mpp, or set cohort.mpp in the study file for all of them"
            )
        return sizes


def _line(index: object) -> int:
    """Line of a table row in the CSV, counting the header as line 1."""
    return int(str(index)) + 2


def _read_rgb(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    if not path.is_file():
        raise PatchError("the image file is missing")
    try:
        with PillowImage.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise PatchError(f"the file holds {getattr(image, 'n_frames', 1)} images; expected one")
            image.load()
            mode = image.mode
            if mode == "RGBA":
                if image.getextrema()[3] != (255, 255):
                    raise PatchError("an RGBA image with transparent pixels; expected opaque RGB")
                image = image.convert("RGB")  # noqa: PLW2901  (opaque: nothing is lost)
            elif mode == "P" and "transparency" not in image.info:
                image = image.convert("RGB")  # noqa: PLW2901  (a palette of RGB colours: nothing is lost)
            elif mode in {"1", "L", "LA", "I", "F"} or mode.startswith("I;16"):
                raise PatchError(f"a grey image (mode {mode}); expected 8-bit RGB, since stains are separated by colour")
            elif mode != "RGB":
                raise PatchError(f"an image of mode {mode}; expected 8-bit RGB")
            return np.asarray(image, dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise PatchError("not a readable image; expected PNG, JPEG or TIFF") from error
    except (OSError, SyntaxError, ValueError, PillowImage.DecompressionBombError) as error:
        raise PatchError(f"the image cannot be decoded ({str(error).split(chr(10))[0]})") from error
