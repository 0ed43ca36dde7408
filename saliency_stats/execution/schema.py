"""The artefacts of a run: what each table is called, what its columns hold, who writes it and what is drawn from it.

The one list of them. What is written, read, checked, hashed and deleted by ``--fresh`` follows from it.
"""

from collections.abc import Mapping
from typing import Final

from saliency_stats.execution.table import Table

_PATCH: Final = ("patch_id", "slide_id", "patient_id", "label", "split")
_MAP: Final = ("model", "method", "reduction")
_NETWORK_MAP: Final = ("model", "network", "method", "reduction")
_TESTED: Final = (
    *("estimate", "ci_low", "ci_high", "ratio", "statistic", "df", "p_value", "p_adjusted", "effect_size", "icc"),
    *("n_slides", "n_patches", "se", "design_effect", "n_effective", "n_units", "n_missing", "effect_size_low"),
    *("effect_size_high", "superiority", "superiority_low", "superiority_high", "p_equivalence"),
    *("ci_low_simultaneous", "ci_high_simultaneous", "n_tests", "n_agree", "skewness"),
    *("n_networks", "var_network", "var_unit", "var_interaction", "network_share", "p_attainable"),
    *("weighted_estimate", "n_effective_units", "bound_low", "bound_high", "p_equivalence_adjusted", "least_margin"),
)
_TEST: Final = ("test", "family", "status", "reason", "unit", "versus", "population")


#: Every table, by the stem of its file, in the order in which a run writes them.
TABLES: Final[Mapping[str, Table]] = {
    "inputs": Table(
        "file that the run reads",
        ("name", "modified", "hashed", "sha256"),
        ("size_bytes",),
        writer="read inputs",
        optional=True,
    ),
    "slides": Table(
        "slide",
        ("slide_id", "patient_id", "source", "vendor", "notes", "status"),
        (
            *("width_px", "height_px", "mpp", "tissue_mm2", "tumour_mm2", "n_tissue", "n_ambiguous", "n_benign"),
            "n_malignant",
        ),
        writer="look at patches",
        readers=("slides",),
        optional=True,
    ),
    "patches": Table(
        "patch × magnification",
        (*_PATCH, "source", "status", "sha256"),
        ("fold", "magnification", "mpp", "x_um", "y_um", "height_px", "width_px", "tissue_share", "light", "focus"),
        writer="look at patches",
        readers=("flow", "slides"),
    ),
    "training": Table(
        "magnification × model × network × epoch",
        ("model", "network"),
        (
            *("magnification", "epoch", "learning_rate", "loss_train", "balanced_accuracy_train"),
            *("loss_valid", "balanced_accuracy_valid"),
        ),
        writer="train",
        readers=("training",),
        flags=("chosen",),
        optional=True,
    ),
    "stains": Table(
        "stain group",
        ("stain_group", "source"),
        (
            *(
                f"{stain}_{colour}"
                for stain in ("haematoxylin", "eosin", "white")
                for colour in ("red", "green", "blue")
            ),
            *("haematoxylin_max", "eosin_max", "nuclear_od", "level_low", "level_high"),
        ),
        writer="estimate stains",
        optional=True,
    ),
    "predictions": Table(
        "patch × magnification × model × network",
        (*_PATCH, "model", "network", "predicted"),
        ("magnification", "logit_benign", "logit_malignant", "p_malignant"),
        writer="saliency, compartments",
        readers=("roc_reliability",),
        flags=("correct",),
        long=True,
    ),
    "ledger": Table(
        "patch × magnification × model × network × method × compartment",
        (*_PATCH, *_NETWORK_MAP, "compartment", "status"),
        ("magnification", "area_share", "mass_share", "density_ratio"),
        writer="saliency, compartments",
        readers=("density_ratio", "area_vs_mass", "ternary"),
        may_have=("relevance_rank", "top_k", "pointing", "auc", "attributed", "doubtful_share"),
        may_have_text=("relevance_status",),
        long=True,
    ),
    "nuclei": Table(
        "nucleus",
        ("patch_id",),
        (
            *("magnification", "nucleus_id", "y_um", "x_um", "area_um2", "probability", "haematoxylin_od", "eosin_od"),
            *("cytoplasm_area_um2", "major_axis_um", "minor_axis_um", "eccentricity"),
        ),
        writer="saliency, compartments",
        optional=True,
        long=True,
    ),
    "shift": Table(
        "patch × magnification × map",
        (*_PATCH, *_NETWORK_MAP, "status"),
        (
            *("magnification", "delta", "null_mean", "null_sd", "centred", "z"),
            *("p_greater", "p_less", "p_two_sided", "n_shifts"),
        ),
        writer="saliency, compartments",
        optional=True,
        long=True,
    ),
    "matched": Table(
        "patch × magnification × map × picture",
        (*_PATCH, *_NETWORK_MAP, "picture", "status"),
        ("magnification", "matched", "matched_of_picture", "share_compared", "overlap"),
        writer="saliency, compartments",
        optional=True,
        long=True,
    ),
    "ablation": Table(
        "patch × network × compartment × replacement × region",
        (*_PATCH, "model", "network", "compartment", "replacement", "region"),
        ("magnification", "area_share", "logit", "logit_ablated"),
        writer="saliency, compartments",
        readers=("causal",),
        optional=True,
        long=True,
    ),
    "ablation_curves": Table(
        "patch × network × compartment × direction × share",
        (*_PATCH, "model", "network", "compartment", "direction"),
        ("magnification", "share", "logit"),
        writer="saliency, compartments",
        readers=("ablation_curves",),
        optional=True,
    ),
    "importance": Table(
        "patch × network × compartment",
        (*_PATCH, "model", "network", "compartment", "drawn"),
        ("magnification", "area_share", "delta_logit", "delta_target"),
        writer="saliency, compartments",
        optional=True,
        long=True,
    ),
    "crossed": Table(
        "patch × network × method × reduction × segmentation",
        (*_PATCH, *_NETWORK_MAP, "segmentation"),
        ("magnification", "cytoplasm_um", "area_nucleus", "area_cytoplasm", "mass_nucleus", "mass_cytoplasm"),
        writer="saliency, compartments",
        may_have_text=("baseline",),
        optional=True,
        long=True,
    ),
    "metrics": Table(
        "magnification × model × network × split",
        ("model", "network", "split", "learned_reason", "interval"),
        (
            *("magnification", "n_patches", "n_slides", "balanced_accuracy", "balanced_accuracy_low"),
            *("balanced_accuracy_high", "sensitivity", "specificity", "auc", "brier", "p_learned"),
        ),
        writer="statistics",
        readers=("roc_reliability",),
        flags=("learned",),
    ),
    "selection": Table(
        "magnification × class × step",
        ("label", "step"),
        ("magnification", "n_patches", "n_slides"),
        writer="statistics",
        readers=("flow",),
    ),
    "profile": Table(
        "slide × class × magnification × model × distance",
        ("slide_id", "label", *_MAP),
        ("magnification", "distance_um", "mean_saliency_ratio", "n_pixels", "n_patches"),
        writer="statistics",
        readers=("profile",),
    ),
    "contrasts": Table(
        "contrast × stratum × test",
        ("contrast", "label", *_MAP, *_TEST),
        ("magnification", *_TESTED),
        writer="statistics",
        readers=("forest", "controls", "methods", "magnification", "magnification_compartments"),
    ),
    "compositional": Table(
        "class × magnification × model",
        ("label", *_MAP, "family", "status", "reason", "unit"),
        (
            *("magnification", "ilr_1", "ilr_2", "density_nucleus", "density_cytoplasm", "density_stroma"),
            *("statistic", "f", "df1", "df2", "p_value", "p_adjusted", "p_sign_flip", "effect_size"),
            *("n_units", "n_slides", "n_patches", "n_missing"),
        ),
        writer="statistics",
        optional=True,
    ),
    "causal": Table(
        "question × stratum × replacement × test",
        ("contrast", "label", *_MAP, *_TEST, "replacement"),
        (
            *("magnification", *_TESTED, "drop_per_area", "random_drop_per_area", "rho", "rho_low", "rho_high"),
            *("drop", "random_drop"),
        ),
        writer="statistics",
        readers=("causal", "separation"),
        optional=True,
    ),
    "multiverse": Table(
        "specification × class × magnification",
        ("label", "method", "reduction", "segmentation", "test", "status", "reason", "direction", "curve_reason"),
        (
            *("magnification", "cytoplasm_um", "min_confidence", "estimate", "ci_low", "ci_high", "p_value"),
            *("n_slides", "n_patches", "n_missing", "sample", "p_max_t", "p_global", "p_attainable", "n_true_low"),
        ),
        writer="statistics",
        readers=("multiverse", "segmentations"),
        flags=("significant", "usual"),
        may_have_text=("baseline",),
        optional=True,
    ),
    "multiverse_summary": Table(
        "class × magnification × choice, or method",
        ("label", "dimension", "level", "method", "direction", "curve_reason"),
        (
            *("magnification", "n_specifications", "n_distinct", "n_tested", "share_above", "share_above_significant"),
            *("share_below_significant", "median", "minimum", "maximum", "p_global", "p_attainable", "n_true_low"),
        ),
        writer="statistics",
        optional=True,
    ),
    "calibration": Table(
        "class × magnification",
        ("label", "test", "design", "reason"),
        (
            *("magnification", "type_1_error", "low", "high", "coverage", "simulations", "supported", "hypotheses"),
            *("family_error", "false_equivalent"),
        ),
        writer="statistics",
        optional=True,
    ),
    "examples": Table(
        "example patch × model",
        ("file", "patch_id", "slide_id", "label", "model", "method"),
        ("magnification", "mpp", "p_true", "rank"),
        writer="example patches",
        readers=("examples",),
        optional=True,
    ),
}
#: What else a run leaves: files, then folders.
FILES: Final = (
    *("study.yaml", "preregistration.md", "verdict.json", "thumbnails.parquet", "report.html", "explore.html"),
    "power.csv",
)
FOLDERS: Final = ("weights", "examples", "figures", "maps", "slide_pictures", "paper")
#: Working files, and pictures made on request: no part of a run's result, so not hashed.
UNHASHED: Final = ("work", "explain", "manifest.json")
#: Drawn from the tables for people to read, and by `report` and `power` again: nothing reads them back.
DRAWN: Final = ("report.html", "explore.html", "power.csv", "figures", "paper")
#: Tables of more rows than this are written as Parquet too.
BIG_TABLE: Final = 100_000


def artefacts() -> tuple[str, ...]:
    """Name everything that a run writes into its folder: ``--fresh`` deletes these and nothing else."""
    return (*FOLDERS, *UNHASHED, *FILES, *(f"{name}.{ending}" for name in TABLES for ending in ("csv", "parquet")))
