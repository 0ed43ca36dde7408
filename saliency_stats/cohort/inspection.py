"""Every patch is looked at once before anything is computed: what cannot be used is excluded, with its reason."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from saliency_stats.cohort.patch import MIN_SIZE_PX, USED, Cohort, Image
from saliency_stats.cohort.tissue import tissue_share
from saliency_stats.errors import PatchError


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
        The cohort's table with ``status`` (``used`` or ``excluded: reason``), ``height_px``, ``width_px``
        and ``sha256`` (of the decoded pixels).
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
    return table[[*front, "status", "height_px", "width_px", "sha256"]]


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
        return {"status": f"excluded: {error}", "height_px": 0, "width_px": 0, "sha256": ""}
    height, width = image.shape[:2]
    digest = hashlib.sha256(f"{height}x{width}".encode() + image.tobytes()).hexdigest()
    status = USED
    try:
        _check_pixels(image, min_tissue)
        first = seen.setdefault((digest, magnification), patch_id)
        if first != patch_id:
            raise PatchError(f"its pixels are those of {first}; a patch counts once")
    except PatchError as error:
        status = f"excluded: {error}"
    return {"status": status, "height_px": height, "width_px": width, "sha256": digest}


def _check_pixels(image: Image, min_tissue: float) -> None:
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIZE_PX:
        raise PatchError(f"{width} × {height} px; expected at least {MIN_SIZE_PX} px on each side")
    if np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2]):
        if int(image.min()) >= 250:  # noqa: PLR2004  (glass, allowing for compression)
            raise PatchError("no tissue: every pixel is white")
        raise PatchError("a grey image: all three channels are equal; stains can only be separated in colour")
    share = tissue_share(image)
    if share < min_tissue:
        raise PatchError(
            f"no tissue: {share:.1%} of the pixels; expected at least {min_tissue:.0%} (cohort.min_tissue)"
        )
