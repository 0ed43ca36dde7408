"""Every patch is looked at once before anything is computed: what cannot be used is excluded, with its reason."""

import hashlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.cohort.image import MPP_FACTOR, contradicts
from saliency_stats.cohort.patch import MIN_SIZE_PX, USED, Cohort
from saliency_stats.cohort.quality import MIN_FOCUS, MIN_LIGHT, focus, light
from saliency_stats.errors import PatchError
from saliency_stats.imaging.tissue import BACKGROUND_OD, SMOOTHING_UM, tissue_share
from saliency_stats.typing import Image

#: Glass, allowing for compression.
_WHITE: Final = 250
#: What is written of a patch that cannot be read, in the order of the table's columns.
_UNREAD: Final = {"height_px": 0, "width_px": 0, "tissue_share": np.nan, "light": np.nan, "focus": np.nan, "sha256": ""}


def inspect(
    cohort: Cohort,
    min_tissue: float,
    tick: Callable[[int], object] = lambda _: None,
    *,
    say: Callable[[str], object] = lambda _: None,
    min_light: float = MIN_LIGHT,
    min_focus: float = MIN_FOCUS,
    background_od: float = BACKGROUND_OD,
    smoothing_um: float = SMOOTHING_UM,
) -> pd.DataFrame:
    """Read every patch of a cohort once.

    Parameters
    ----------
    min_tissue
        Smallest share of tissue pixels of a usable patch.
    tick
        Called with 1 after each patch.
    say
        Called with what a person should know of images that are used all the same.
    min_light, min_focus
        Least brightness and sharpness of a usable patch, see ``cohort.quality``; 0 takes any.
    background_od, smoothing_um
        What counts as tissue, see ``imaging.tissue_mask``.

    Returns
    -------
    DataFrame
        The cohort's table with ``status`` (``used`` or ``excluded: reason``, one wording for one cause, so that causes
        can be counted), ``height_px``, ``width_px``, ``tissue_share``, ``light``, ``focus`` and ``sha256`` (of the
        decoded pixels; the same for patches that are copies of each other).
    """
    seen: dict[tuple[str, float], str] = {}
    found: list[dict[str, Any]] = []
    contradicted: list[str] = []
    least = {"light": min_light, "tissue_share": min_tissue, "focus": min_focus}
    for row, patch_id, magnification, mpp in zip(
        cohort.table.index, *(cohort.table[name] for name in ("patch_id", "magnification", "mpp")), strict=True
    ):
        try:
            patch = cohort.read(int(row))
        except PatchError as error:
            found.append(_UNREAD | {"status": f"excluded: {error}"})
        else:
            image = patch.image
            if contradicts(patch.stated_mpp, float(mpp)):
                contradicted.append(f"{patch_id}: {patch.stated_mpp:.3g}, listed {mpp:.3g}")
            measured = {
                "height_px": image.shape[0],
                "width_px": image.shape[1],
                "tissue_share": tissue_share(image, float(mpp), background_od, smoothing_um),
                "light": light(image),
                "focus": focus(image, float(mpp)),
                "sha256": pixel_hash(image),
            }
            reason = _unusable(image, measured, least)
            key = (measured["sha256"], float(magnification))
            if not reason and seen.setdefault(key, str(patch_id)) != str(patch_id):
                reason = "the same pixels (sha256) as an earlier patch; a patch counts once"
            found.append(measured | {"status": f"excluded: {reason}" if reason else USED})
        tick(1)
    if contradicted:
        say(
            f"the files of {len(contradicted)} of {len(found)} patches say other µm per pixel than the table, by more "
            f"than a factor of {MPP_FACTOR:g} ({contradicted[0]}). The table's are used; correct them if they are wrong"
        )
    table = cohort.table.drop(columns=["status"]).join(
        pd.DataFrame(found, index=cohort.table.index, columns=["status", *_UNREAD])
    )
    front = [name for name in cohort.table.columns if name != "status"]
    return table[[*front, "status", *_UNREAD]]


def pixel_hash(image: Image) -> str:
    """Hash the decoded pixels of an image, and its size."""
    return hashlib.sha256(f"{image.shape[0]}x{image.shape[1]}".encode() + image.tobytes()).hexdigest()


def _unusable(image: Image, measured: dict[str, Any], least: dict[str, float]) -> str:
    """Give the first reason against a patch; empty if it can be used."""
    if min(image.shape[:2]) < MIN_SIZE_PX:
        return f"too small; expected at least {MIN_SIZE_PX} px on each side"
    if np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2]):
        if int(image.min()) >= _WHITE:
            return "no tissue: every pixel is white"
        return "a grey image: all three channels are equal; stains can only be separated in colour"
    remedies = {
        "light": f"too dark; expected a brightness of at least {least['light']:g} (cohort.min_light)",
        "tissue_share": f"too little tissue; expected at least {least['tissue_share']:.0%} of the pixels "
        f"(cohort.min_tissue)",
        "focus": f"out of focus, or without structure; expected a sharpness of at least {least['focus']:g} "
        f"(cohort.min_focus)",
    }
    return next((reason for name, reason in remedies.items() if measured[name] < least[name]), "")
