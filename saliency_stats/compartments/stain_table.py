"""The stains of a study's slides as a table, and back."""

from collections.abc import Mapping
from typing import Final

import pandas as pd

from saliency_stats.compartments.stain import Stains

_CHANNELS: Final = ("red", "green", "blue")
_STAINS: Final = ("haematoxylin", "eosin")


def stain_table(stains: Mapping[str, Stains]) -> pd.DataFrame:
    """Write one row per slide (or other group of patches whose stains were estimated together).

    Columns: stain_group, source, the unit OD vectors ``haematoxylin_red`` … ``eosin_blue``, ``white_red`` …, the 99th
    percentiles ``haematoxylin_max``, ``eosin_max``, ``nuclear_od``, and the intensities ``level_low``, ``level_high``.
    """
    rows = []
    for group, found in stains.items():
        row: dict[str, object] = {"stain_group": group, "source": found.source}
        for stain, vector in zip(_STAINS, found.vectors, strict=True):
            row |= {f"{stain}_{channel}": value for channel, value in zip(_CHANNELS, vector, strict=True)}
        row |= {f"white_{channel}": value for channel, value in zip(_CHANNELS, found.white, strict=True)}
        row |= {f"{stain}_max": value for stain, value in zip(_STAINS, found.maxima, strict=True)}
        low, high = found.levels
        rows.append(row | {"nuclear_od": found.nuclear_od, "level_low": low, "level_high": high})
    return pd.DataFrame(rows)


def stains_from(table: pd.DataFrame) -> dict[str, Stains]:
    """Read the stains of every group back from :func:`stain_table`."""
    found = {}
    for row in table.to_dict("records"):
        haematoxylin, eosin, white = (
            (float(row[f"{name}_red"]), float(row[f"{name}_green"]), float(row[f"{name}_blue"]))
            for name in (*_STAINS, "white")
        )
        found[str(row["stain_group"])] = Stains(
            vectors=(haematoxylin, eosin),
            source=str(row["source"]),
            white=white,
            maxima=(float(row["haematoxylin_max"]), float(row["eosin_max"])),
            nuclear_od=float(row["nuclear_od"]),
            levels=(float(row["level_low"]), float(row["level_high"])),
        )
    return found
