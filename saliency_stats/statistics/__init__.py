"""Statistics judge: patch values from the ledger, tested over slides or patients, put into words."""

from saliency_stats.statistics.contrasts import COLUMNS, contrast_table
from saliency_stats.statistics.families import FAMILIES, study_contrasts
from saliency_stats.statistics.flow import STEPS, study_flow
from saliency_stats.statistics.multiplicity import adjust
from saliency_stats.statistics.selection import (
    Population,
    learned_flags,
    primary_population,
    restrict,
)
from saliency_stats.statistics.settings import TESTS, StatisticsSettings
from saliency_stats.statistics.values import CONTRASTS, PRIMARY, model_difference, patch_values
from saliency_stats.statistics.variance import Clustering, clustering
from saliency_stats.statistics.verdict import headline, verdicts

__all__ = [
    "COLUMNS",
    "CONTRASTS",
    "FAMILIES",
    "PRIMARY",
    "STEPS",
    "TESTS",
    "Clustering",
    "Population",
    "StatisticsSettings",
    "adjust",
    "clustering",
    "contrast_table",
    "headline",
    "learned_flags",
    "model_difference",
    "patch_values",
    "primary_population",
    "restrict",
    "study_contrasts",
    "study_flow",
    "verdicts",
]
