"""The nuclei of an image as a table (NumPy, SciPy and pandas)."""

from typing import Final

import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt, mean

from saliency_stats.compartments.fibre import nuclear_shape
from saliency_stats.compartments.segmentation import Segmentation
from saliency_stats.errors import CompartmentError
from saliency_stats.typing import FloatArray
from saliency_stats.vocabulary import COMPARTMENTS

#: Columns of the table of nuclei.
NUCLEUS_COLUMNS: Final = (
    *("nucleus_id", "y_um", "x_um", "area_um2", "probability", "haematoxylin_od", "eosin_od", "cytoplasm_area_um2"),
    *("major_axis_um", "minor_axis_um", "eccentricity"),
)


def nuclei_table(segmentation: Segmentation, concentrations: FloatArray, mpp: float) -> pd.DataFrame:
    """One row per nucleus.

    Every pixel's nuclear and cytoplasmic membership counts for the nearest nucleus, so the areas of all rows
    add up to the areas of the two compartments.

    ``concentrations`` (2, H, W) are haematoxylin and eosin OD of the image.

    Returns
    -------
    DataFrame
        nucleus_id, y_um and x_um (centroid, from the outer corner of the image's first pixel), area_um2,
        probability (NaN where the finder gives none), haematoxylin_od and eosin_od (means over the
        nucleus), cytoplasm_area_um2, and major_axis_um, minor_axis_um and eccentricity of the ellipse with the
        nucleus' second moments; sorted by nucleus_id. No rows without nuclei.

    Raises
    ------
    CompartmentError
        If the sizes differ.
    """
    instances, memberships = segmentation
    known = segmentation.probabilities
    if concentrations.shape != (2, *instances.shape):
        raise CompartmentError(
            f"Concentrations have the shape {concentrations.shape}, expected {(2, *instances.shape)}: "
            "use those of the image that was segmented."
        )
    numbers = np.unique(instances[instances > 0]).astype(np.int64)
    # over all nuclei at once: a hundred times a second, the cost per nucleus of regionprops would be felt
    rows, columns, haematoxylin, eosin = (
        np.atleast_1d(mean(values, instances, numbers))
        for values in (*np.indices(instances.shape, dtype=float), *concentrations.astype(float))
    )
    _, minor_um, eccentricity = (values[numbers] for values in nuclear_shape(instances, mpp))
    area: dict[str, FloatArray] = {name: np.zeros(len(numbers)) for name in ("nucleus", "cytoplasm")}
    if len(numbers):
        nearest = distance_transform_edt(instances == 0, return_distances=False, return_indices=True)
        owner = instances[tuple(nearest)].ravel()
        for name in area:
            weight = memberships[COMPARTMENTS.index(name)].ravel()
            area[name] = np.bincount(owner, weights=weight)[numbers] * mpp**2
    return pd.DataFrame(
        {
            "nucleus_id": numbers,
            "y_um": (rows + 0.5) * mpp,
            "x_um": (columns + 0.5) * mpp,
            "area_um2": area["nucleus"],
            "probability": np.append(known, np.nan)[np.minimum(numbers - 1, len(known))],
            "haematoxylin_od": haematoxylin,
            "eosin_od": eosin,
            "cytoplasm_area_um2": area["cytoplasm"],
            "major_axis_um": minor_um / np.sqrt(1 - eccentricity**2),
            "minor_axis_um": minor_um,
            "eccentricity": eccentricity,
        }
    )
