"""Statistics judge: patch values from the ledger, tested over slides or patients, put into words."""

from saliency_stats.statistics.compositional import compositional_table
from saliency_stats.statistics.contrasts import COLUMNS, contrast_table
from saliency_stats.statistics.families import study_contrasts
from saliency_stats.statistics.flow import STEPS, study_flow
from saliency_stats.statistics.formula import random_intercept
from saliency_stats.statistics.models.crossed import crossed_intercepts
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.multiplicity import adjust
from saliency_stats.statistics.parameters import (
    DIFFERENCES,
    FAMILIES,
    HYPOTHESES,
    PRIMARY,
    StatisticsParameters,
    check_families,
)
from saliency_stats.statistics.questions import BOTH_LABELS
from saliency_stats.statistics.registry import TESTS, Test, infer, primary_tests, register
from saliency_stats.statistics.resampling import sign_flip_p
from saliency_stats.statistics.selection import Population, learned_flags, primary_population, restrict
from saliency_stats.statistics.units import Units, unit_of
from saliency_stats.statistics.values import CONTRASTS, model_difference, patch_values
from saliency_stats.statistics.variance import clustering
from saliency_stats.statistics.verdict import headline, verdicts

__all__ = [
    "BOTH_LABELS",
    "COLUMNS",
    "CONTRASTS",
    "DIFFERENCES",
    "FAMILIES",
    "HYPOTHESES",
    "PRIMARY",
    "STEPS",
    "TESTS",
    "GroupedSums",
    "Population",
    "StatisticsParameters",
    "Test",
    "Units",
    "adjust",
    "check_families",
    "clustering",
    "compositional_table",
    "contrast_table",
    "crossed_intercepts",
    "headline",
    "infer",
    "learned_flags",
    "model_difference",
    "patch_values",
    "primary_population",
    "primary_tests",
    "random_intercept",
    "register",
    "restrict",
    "sign_flip_p",
    "study_contrasts",
    "study_flow",
    "unit_of",
    "verdicts",
]
