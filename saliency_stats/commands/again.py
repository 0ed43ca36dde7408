"""Patches of a finished run, measured again: only if they, and their maps, are what the run read."""

import pandas as pd

from saliency_stats.cohort.given import GivenMaps
from saliency_stats.cohort.inspection import pixel_hash
from saliency_stats.errors import CohortError
from saliency_stats.execution.inputs import fingerprint
from saliency_stats.typing import Image


def check_listed(now: pd.DataFrame, at: int, row: pd.Series) -> None:
    """Refuse a cohort that lists another patch where the run's table has this one.

    Raises
    ------
    CohortError
        If it does.
    """
    keys = ["patch_id", "magnification", "source"]
    if at >= len(now) or (now.loc[at, keys] != row[keys]).any():
        raise _changed(row, "the study's table lists other patches")


def check_map(given: GivenMaps, at: int, row: pd.Series, inputs: pd.DataFrame) -> None:
    """Refuse a map that is not the file that the run read.

    Raises
    ------
    CohortError
        If it is another.
    """
    name = given.names[at]
    if inputs.loc[inputs["name"] == name, "sha256"].tolist() != [fingerprint(name, given.files[name]).sha256]:
        raise _changed(row, f"its map {name} is not the file that was read")


def check_image(image: Image, row: pd.Series) -> None:
    """Refuse an image that is not the one that the run read.

    Raises
    ------
    CohortError
        If it has other pixels.
    """
    if pixel_hash(image) != row["sha256"]:
        raise _changed(row, "its image has other pixels")


def _changed(row: pd.Series, what: str) -> CohortError:
    return CohortError(
        f"patch {row['patch_id']!r} ({row['source']}) has changed since the run: {what}, and a picture of it would not "
        f"be of what was measured. Put back what the run read, or give the command of the run with --fresh"
    )
