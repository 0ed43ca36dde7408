"""Patch images listed in a CSV."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.cohort import fields, identity
from saliency_stats.cohort.given import GivenMaps
from saliency_stats.cohort.image import read_image
from saliency_stats.cohort.listing import Columns, Listing, by_line, read_listing
from saliency_stats.cohort.location import locate, root_of
from saliency_stats.cohort.patch import PATCH_COLUMNS, USED, Patch, nominal_magnification
from saliency_stats.vocabulary import SPLITS

COLUMNS: Final = Columns(
    row="patch",
    required=("path", "label"),
    optional=("mpp", "split", "slide_id", "patient_id", "patch_id"),
    closed=False,
)
#: What a table must have as well if its maps were made elsewhere.
MAP_COLUMNS: Final = ("map", "p_malignant")


class PatchFolder:
    """A cohort of patch images listed in a CSV.

    Parameters
    ----------
    path
        CSV (UTF-8) with the columns ``path``, ``label`` (a word of one of the `classes`) and ``mpp`` (µm per pixel);
        optionally ``split`` (train | valid | test), ``slide_id``, ``patient_id``, ``patch_id``.
    mpp
        µm per pixel of patches whose ``mpp`` is empty.
    root
        Folder that the paths are relative to and must lie below; by default the CSV's own.
    maps
        Whether the table gives a saliency map and a probability for every patch, in the columns ``map`` (a path) and
        ``p_malignant``: they are then :attr:`given`.
    classes
        What the words of the column ``label`` stand for.

    Raises
    ------
    StudyError
        If the CSV or the root does not exist.
    CohortError
        If the table is wrong: the message lists all that is wrong with its line, what was expected and the remedy.
        Images that cannot be used are no error here: ``read`` refuses them one by one.
    """

    kind = "patches"

    def __init__(
        self,
        path: Path,
        mpp: float | None = None,
        root: Path | None = None,
        classes: Classes = USUAL_CLASSES,
        *,
        maps: bool = False,
    ) -> None:
        columns = replace(COLUMNS, required=(*COLUMNS.required, *MAP_COLUMNS)) if maps else COLUMNS
        listing = read_listing(path, columns)
        self.path = path
        self.digests = {path.name: listing.digest}
        self.unread = listing.unread
        folder = root_of(path, root)
        self.given = _given(listing, path, folder) if maps else None
        self.table = _checked(listing, mpp, folder, classes)
        self._files = [folder / source for source in self.table["source"]]

    @property
    def files(self) -> dict[str, Path]:
        """The table and every image and map that it lists, by their names in it."""
        maps = {} if self.given is None else self.given.files
        return {self.path.name: self.path, **dict(zip(self.table["source"], self._files, strict=True)), **maps}

    def read(self, row: int) -> Patch:
        """Read one image; raises ``PatchError`` with the reason if it is missing, broken or not RGB."""
        image, stated_mpp = read_image(self._files[row])
        return Patch(image, stated_mpp=stated_mpp)


def _given(listing: Listing, table: Path, root: Path) -> GivenMaps:
    """Take the maps and probabilities of a listing; what is wrong with the columns is added to its problems."""
    paths = locate(listing, "map", root, what="the file of a saliency map")
    patches = listing.table["path"]
    p_malignant = fields.probabilities(listing, "p_malignant", patches)
    remedy = "every patch has a map of its own. Correct one of the lines"
    identity.check_one_file(listing, by_line(paths), by_line(patches), root, remedy)
    lines = tuple(int(line) for line in paths.index)
    return GivenMaps(table, lines, tuple(paths), root, np.asarray(p_malignant, dtype=np.float64))


def _checked(listing: Listing, mpp: float | None, root: Path, classes: Classes) -> pd.DataFrame:
    """Make the cohort's table of a listing; raises ``CohortError`` with all that is wrong."""
    written = listing.table
    paths = locate(listing, "path", root, what="an image file")
    slides, patients, names = (fields.ids(listing, column) for column in ("slide_id", "patient_id", "patch_id"))
    names = names.where(names != "", fields.one_form(paths.where(paths != "", written["path"])))
    labels = fields.labels(listing, classes, may_be_empty=False)
    fields.check_words(listing, "split", SPLITS)
    fields.check_all_or_none(listing, "split")
    fields.check_one_patient(listing, slides, patients)
    sizes = fields.pixel_sizes(listing, names, mpp, needed=True)
    identity.check_one_file(listing, by_line(paths), by_line(names), root)
    table = pd.DataFrame(
        {
            "patch_id": names,
            "slide_id": slides,
            "patient_id": patients,
            "label": labels,
            "split": written["split"],
            "magnification": sizes.map(nominal_magnification, na_action="ignore"),
            "mpp": sizes,
            "x_um": np.nan,
            "y_um": np.nan,
            "source": paths,
            "status": USED,
        }
    )
    # of a file that is listed twice that was said
    apart = table[(paths == "") | ~paths.duplicated()]
    fields.check_once(listing, apart, ["patch_id", "magnification"], "every patch counts once. Delete the others")
    listing.problems.stop()
    return table[list(PATCH_COLUMNS)].reset_index(drop=True)
