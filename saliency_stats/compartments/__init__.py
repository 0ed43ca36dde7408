"""What is there: every pixel of an H&E image as nucleus, cytoplasm, stroma and background."""

from saliency_stats.compartments.fibre import FibreParameters
from saliency_stats.compartments.finders import nucleus_finder
from saliency_stats.compartments.membership import downsample, from_codes, to_codes
from saliency_stats.compartments.nuclei import NucleusParameters
from saliency_stats.compartments.segmentation import (
    Segmentation,
    find_nuclei,
    from_truth,
    segment,
    segment_batch,
    with_tissues,
)
from saliency_stats.compartments.stain import Stains, concentrations, estimate_stains
from saliency_stats.compartments.stain_table import stain_table, stains_from
from saliency_stats.compartments.table import nuclei_table
from saliency_stats.compartments.tissue.finder import finder_for
from saliency_stats.compartments.view import (
    CompartmentParameters,
    Found,
    NucleusFinder,
    TissueFinder,
    View,
    nothing_found,
    view_of,
)

__all__ = [
    "CompartmentParameters",
    "FibreParameters",
    "Found",
    "NucleusFinder",
    "NucleusParameters",
    "Segmentation",
    "Stains",
    "TissueFinder",
    "View",
    "concentrations",
    "downsample",
    "estimate_stains",
    "find_nuclei",
    "finder_for",
    "from_codes",
    "from_truth",
    "nothing_found",
    "nuclei_table",
    "nucleus_finder",
    "segment",
    "segment_batch",
    "stain_table",
    "stains_from",
    "to_codes",
    "view_of",
    "with_tissues",
]
