"""Every patch is looked at once before anything is computed: what cannot be used is excluded, with its reason."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from saliency_stats.cohort.patch import MIN_SIZE_PX, USED, Cohort
from saliency_stats.cohort.tissue import tissue_share
from saliency_stats.errors import PatchError
from saliency_stats.typing import Image


def inspect(cohort: Cohort, min_tissue: float, tick: Callable[[int], object] = lambda _: None) -> pd.DataFrame:
    """Read every patch of a cohort once.

    Parameters
    ----------
    cohort
        The cohort.
    min_tissue
        Smallest share of tissue pixels of a usable patch.
    tick
        Called with 1 after each patch.

    Returns
    -------
    DataFrame
        The cohort's table with ``status`` (``used`` or ``excluded: reason``, one wording for one cause, so that causes
        can be counted), ``height_px``, ``width_px``, ``tissue_share`` and ``sha256`` (of the decoded pixels; the same
        for patches that are copies of each other).
    """
    seen: dict[tuple[str, float], str] = {}
    found: list[dict[str, Any]] = []
    for row, patch_id, magnification in zip(
        cohort.table.index, cohort.table["patch_id"], cohort.table["magnification"], strict=True
    ):
        found.append(_inspect_one(cohort, int(row), str(patch_id), float(magnification), min_tissue, seen))
        tick(1)
    table = cohort.table.drop(columns=["status"]).join(pd.DataFrame(found, index=cohort.table.index))
    front = [name for name in cohort.table.columns if name != "status"]
    return table[[*front, "status", "height_px", "width_px", "tissue_share", "sha256"]]


def _inspect_one(
    cohort: Cohort,
    row: int,
    patch_id: str,
    magnification: float,
    min_tissue: float,
    seen: dict[tuple[str, float], str],
) -> dict[str, Any]:
    try:
        image = cohort.read(row).image
    except PatchError as error:
        return {"status": f"excluded: {error}", "height_px": 0, "width_px": 0, "tissue_share": np.nan, "sha256": ""}
    height, width = image.shape[:2]
    digest = hashlib.sha256(f"{height}x{width}".encode() + image.tobytes()).hexdigest()
    share = tissue_share(image)
    status = USED
    try:
        _check_pixels(image, share, min_tissue)
        if seen.setdefault((digest, magnification), patch_id) != patch_id:
            raise PatchError("the same pixels (sha256) as an earlier patch; a patch counts once")
    except PatchError as error:
        status = f"excluded: {error}"
    return {"status": status, "height_px": height, "width_px": width, "tissue_share": share, "sha256": digest}


def _check_pixels(image: Image, share: float, min_tissue: float) -> None:
    if min(image.shape[:2]) < MIN_SIZE_PX:
        raise PatchError(f"too small; expected at least {MIN_SIZE_PX} px on each side")
    if np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2]):
        if int(image.min()) >= 250:  # noqa: PLR2004  (glass, allowing for compression)
            raise PatchError("no tissue: every pixel is white")
        raise PatchError("a grey image: all three channels are equal; stains can only be separated in colour")
    if share < min_tissue:
        raise PatchError(f"too little tissue; expected at least {min_tissue:.0%} of the pixels (cohort.min_tissue)")
