"""A measured patch as objects of QuPath: a tile, and its cells with the density of the saliency in each (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import shapely
from scipy import ndimage

from saliency_stats.compartments import Segmentation
from saliency_stats.report.geojson import cell_instances, feature_collection, finite
from saliency_stats.typing import FloatArray

#: Digits after the point of a coordinate in pixels.
_DIGITS: Final = 2


@dataclass(frozen=True)
class Placement:
    """Where a patch lies in the image that QuPath shows.

    Parameters
    ----------
    corner_px
        (x, y) of its upper left corner, in pixels of that image.
    scale
        (x, y) pixels of that image per pixel of the patch.
    """

    corner_px: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)

    def placed(self, geometry: dict[str, Any]) -> dict[str, Any]:
        """Return a GeoJSON geometry in pixels of the patch in pixels of that image."""
        moved = shapely.transform(
            shapely.geometry.shape(geometry), lambda xy: np.round(xy * self.scale + self.corner_px, _DIGITS)
        )
        return dict(shapely.geometry.mapping(moved))


def patch_features(
    segmentation: Segmentation,
    nuclei: pd.DataFrame,
    saliency: FloatArray,
    placement: Placement,
    *,
    patch_id: str,
    label: str,
    measured: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Return the features of a patch: the tile first, then a cell per nucleus.

    Parameters
    ----------
    nuclei
        One row per nucleus, as ``nuclei_table`` gives it; its numeric columns become measurements of the cell. Places
        within the patch are left out: where a cell lies, its outline says.
    saliency
        The raw map (H, W).
    patch_id, label, measured
        Name of the tile, its class and its measurements; what is not finite is left out, since QuPath reads no null.
    """
    height, width = saliency.shape
    table = nuclei.drop(columns=["y_um", "x_um"]).merge(saliency_densities(segmentation, saliency), on="nucleus_id")
    cells = feature_collection(segmentation, table)["features"]
    for cell in cells:
        for outline in ("geometry", "nucleusGeometry"):
            cell[outline] = placement.placed(cell[outline])
    tile = {
        "type": "Feature",
        "geometry": placement.placed(dict(shapely.geometry.mapping(shapely.box(0, 0, width, height)))),
        "properties": {
            "objectType": "tile",
            "name": patch_id,
            "classification": {"name": label},
            "measurements": finite(measured),
        },
    }
    return [tile, *cells]


def saliency_densities(segmentation: Segmentation, saliency: FloatArray) -> pd.DataFrame:
    """Return how dense the saliency is in every nucleus and every cell, 1 being the mean of the patch.

    Returns
    -------
    DataFrame
        One row per nucleus: ``nucleus_id``, ``saliency_density_nucleus`` and ``saliency_density_cell`` (nucleus and
        cytoplasm), mean saliency over that of the whole patch; NaN where the patch has none.
    """
    instances = segmentation.instances
    numbers = np.unique(instances[instances > 0])
    mean = float(saliency.mean(dtype=np.float64)) or np.nan
    regions = {"nucleus": instances, "cell": cell_instances(segmentation)}
    return pd.DataFrame(
        {
            "nucleus_id": numbers.astype(np.int64),
            **{
                f"saliency_density_{name}": np.atleast_1d(ndimage.mean(saliency, where, numbers)) / mean
                for name, where in regions.items()
            },
        }
    )
