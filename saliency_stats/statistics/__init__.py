"""Statistics judge: patch values from the ledger, tested over slides or patients, put into words."""

from saliency_stats.statistics.components import Components, variance_components
from saliency_stats.statistics.compositional import (
    COMPOSITIONAL_COLUMNS,
    Composition,
    composition,
    compositional_table,
    ilr,
    ilr_values,
    inverse_ilr,
)
from saliency_stats.statistics.contrasts import COLUMNS, contrast_table
from saliency_stats.statistics.effects import EffectSizes, effect_sizes
from saliency_stats.statistics.families import BOTH_LABELS, study_contrasts
from saliency_stats.statistics.flow import STEPS, study_flow
from saliency_stats.statistics.formula import FormulaFit, random_intercept
from saliency_stats.statistics.models.crossed import CrossedFit, crossed_intercepts
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.mixed import RandomIntercept, fit_random_intercept
from saliency_stats.statistics.models.nested import NestedIntercepts, nested_intercepts
from saliency_stats.statistics.models.robust import ClusterRobust, cluster_robust
from saliency_stats.statistics.multiplicity import adjust
from saliency_stats.statistics.multivariate import Hotelling, confidence_region, hotelling, sign_flip_rows
from saliency_stats.statistics.parameters import (
    DIFFERENCES,
    FAMILIES,
    HYPOTHESES,
    PRIMARY,
    StatisticsParameters,
    check_families,
)
from saliency_stats.statistics.power import Aim, Plan, plan_study
from saliency_stats.statistics.registry import TESTS, Test, infer, primary_tests, register
from saliency_stats.statistics.resampling import sign_flip_p
from saliency_stats.statistics.selection import Population, learned_flags, primary_population, restrict
from saliency_stats.statistics.units import Units
from saliency_stats.statistics.values import CONTRASTS, model_difference, patch_values
from saliency_stats.statistics.variance import Clustering, clustering
from saliency_stats.statistics.verdict import headline, verdicts

__all__ = [
    "BOTH_LABELS",
    "COLUMNS",
    "COMPOSITIONAL_COLUMNS",
    "CONTRASTS",
    "DIFFERENCES",
    "FAMILIES",
    "HYPOTHESES",
    "PRIMARY",
    "STEPS",
    "TESTS",
    "Aim",
    "ClusterRobust",
    "Clustering",
    "Components",
    "Composition",
    "CrossedFit",
    "EffectSizes",
    "FormulaFit",
    "GroupedSums",
    "Hotelling",
    "NestedIntercepts",
    "Plan",
    "Population",
    "RandomIntercept",
    "StatisticsParameters",
    "Test",
    "Units",
    "adjust",
    "check_families",
    "cluster_robust",
    "clustering",
    "composition",
    "compositional_table",
    "confidence_region",
    "contrast_table",
    "crossed_intercepts",
    "effect_sizes",
    "fit_random_intercept",
    "headline",
    "hotelling",
    "ilr",
    "ilr_values",
    "infer",
    "inverse_ilr",
    "learned_flags",
    "model_difference",
    "nested_intercepts",
    "patch_values",
    "plan_study",
    "primary_population",
    "primary_tests",
    "random_intercept",
    "register",
    "restrict",
    "sign_flip_p",
    "sign_flip_rows",
    "study_contrasts",
    "study_flow",
    "variance_components",
    "verdicts",
]
