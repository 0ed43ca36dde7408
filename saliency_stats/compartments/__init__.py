"""What is there: every pixel of an H&E image as nucleus, cytoplasm, stroma and background."""

from saliency_stats.compartments.cells import FibreParameters
from saliency_stats.compartments.membership import downsample, from_codes, to_codes
from saliency_stats.compartments.nuclei import NucleusParameters
from saliency_stats.compartments.segmentation import (
    NUCLEUS_ROUTES,
    CompartmentParameters,
    Segmentation,
    from_truth,
    segment,
)
from saliency_stats.compartments.stain import Stains, concentrations, estimate_stains, optical_density
from saliency_stats.compartments.stain_table import stain_table, stains_from
from saliency_stats.compartments.table import nuclei_table

__all__ = [
    "NUCLEUS_ROUTES",
    "CompartmentParameters",
    "FibreParameters",
    "NucleusParameters",
    "Segmentation",
    "Stains",
    "concentrations",
    "downsample",
    "estimate_stains",
    "from_codes",
    "from_truth",
    "nuclei_table",
    "optical_density",
    "segment",
    "stain_table",
    "stains_from",
    "to_codes",
]
