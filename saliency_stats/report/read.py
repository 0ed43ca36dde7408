"""Reading a finished run's folder: every table is checked once, here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml

from saliency_stats.errors import ReportError
from saliency_stats.report.run import RunTables, canonical_magnification
from saliency_stats.vocabulary import TRAINED

_TRUE: Final = frozenset({"true", "1", "1.0"})
_FALSE: Final = frozenset({"false", "0", "0.0", ""})


@dataclass(frozen=True)
class _TableSpec:
    """The columns a table must have, by how they are read; more columns may stand beside them."""

    text: tuple[str, ...]
    numbers: tuple[str, ...]
    flags: tuple[str, ...] = ()
    optional: bool = False


_TABLES: Final[Mapping[str, _TableSpec]] = {
    "patches": _TableSpec(
        ("patch_id", "slide_id", "patient_id", "label", "split", "magnification", "source", "status"),
        ("mpp",),
    ),
    "predictions": _TableSpec(
        ("patch_id", "magnification", "model", "split", "label", "predicted"), ("p_malignant",), ("correct",)
    ),
    "metrics": _TableSpec(
        ("magnification", "model", "split", "learned_reason", "interval"),
        (
            *(
                "n_patches",
                "n_slides",
                "balanced_accuracy",
                "balanced_accuracy_low",
                "balanced_accuracy_high",
            ),
            *("sensitivity", "specificity", "auc", "brier"),
        ),
        ("learned",),
    ),
    "training": _TableSpec(
        ("magnification", "model"),
        (
            *("epoch", "loss_train", "loss_valid", "balanced_accuracy_train", "balanced_accuracy_valid"),
            "learning_rate",
        ),
        ("chosen",),
        optional=True,
    ),
    "ledger": _TableSpec(
        (
            *("patch_id", "slide_id", "patient_id", "label", "split", "magnification"),
            *("model", "method", "reduction", "compartment", "status"),
        ),
        ("area_share", "mass_share", "density_ratio"),
    ),
    "profile": _TableSpec(
        ("slide_id", "label", "magnification", "model", "method", "reduction"),
        ("distance_um", "mean_saliency_ratio", "n_pixels", "n_patches"),
    ),
    "contrasts": _TableSpec(
        (
            *("contrast", "label", "magnification", "model", "method", "reduction"),
            *("test", "family", "status", "reason", "versus"),
        ),
        (
            *("estimate", "ci_low", "ci_high", "ratio", "p_value", "p_adjusted", "effect_size", "icc"),
            *("n_slides", "n_patches", "design_effect", "n_effective", "n_units", "n_tests", "n_agree", "skewness"),
            *("effect_size_low", "effect_size_high", "superiority", "superiority_low", "superiority_high"),
            *("p_equivalence", "ci_low_simultaneous", "ci_high_simultaneous"),
        ),
    ),
    "ablation": _TableSpec(
        (
            *("patch_id", "slide_id", "patient_id", "label", "split", "magnification"),
            *("model", "compartment", "replacement", "region"),
        ),
        ("area_share", "logit", "logit_ablated"),
        optional=True,
    ),
    "ablation_curves": _TableSpec(
        (
            *("patch_id", "slide_id", "patient_id", "label", "split", "magnification"),
            *("model", "compartment", "direction"),
        ),
        ("share", "logit"),
        optional=True,
    ),
    "causal": _TableSpec(
        (
            *("contrast", "label", "magnification", "model", "method", "reduction", "replacement"),
            *("test", "family", "status", "reason"),
        ),
        (
            *("estimate", "ci_low", "ci_high", "p_value", "p_adjusted", "n_slides", "n_patches", "n_units"),
            *("ci_low_simultaneous", "ci_high_simultaneous"),
            *("drop_per_area", "random_drop_per_area", "rho", "rho_low", "rho_high", "drop", "random_drop"),
        ),
        optional=True,
    ),
    "selection": _TableSpec(("magnification", "label", "step"), ("n_patches", "n_slides")),
    "examples": _TableSpec(
        ("file", "patch_id", "slide_id", "label", "magnification", "model", "method"),
        ("mpp", "p_true", "rank"),
        optional=True,
    ),
}


def read_run(folder: Path) -> RunTables:
    """Read and check a finished run's folder.

    Parameters
    ----------
    folder
        The run's folder, as ``saliency-stats run`` leaves it.

    Returns
    -------
    RunTables
        The run's tables; optional ones are empty where their file is absent.

    Raises
    ------
    ReportError
        If the folder, one of its files or a column is missing, or a file cannot be parsed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ReportError(f"{folder}: no such folder; give the folder that `saliency-stats run` wrote")
    tables = {name: _read_table(folder, name, spec) for name, spec in _TABLES.items()}
    everything = RunTables(
        folder=folder,
        study=_read_mapping(folder / "study.yaml", required=True),
        manifest=_read_manifest(folder),
        verdicts=_read_verdicts(folder / "verdict.json"),
        all_contrasts=tables["contrasts"],
        **tables,
    )
    return replace(
        everything,
        ledger=_shown(everything.ledger, everything),
        contrasts=_shown(everything.contrasts, everything),
        profile=_of_shown_models(everything.profile),
        predictions=_of_shown_models(everything.predictions),
        metrics=_of_shown_models(everything.metrics),
        training=_of_shown_models(everything.training),
    )


def _shown(table: pd.DataFrame, run: RunTables) -> pd.DataFrame:
    """Keep the study's own method and reduction; what stands beside them has figures of its own."""
    own = (table["method"] == run.method) & (table["reduction"] == run.reduction)
    return _of_shown_models(table[own])


def _of_shown_models(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out what has the figure of all controls: half re-initialised networks, images alone, shifted maps."""
    beside = (
        table["model"].str.removeprefix(f"{TRAINED}-").str.fullmatch(r"cascading_\d+|shift|sobel|haematoxylin|eosin")
    )
    return table[~beside].reset_index(drop=True)


def _read_table(folder: Path, name: str, spec: _TableSpec) -> pd.DataFrame:
    path = folder / f"{name}.csv"
    if name == "examples" and not path.exists():
        path = folder / "examples" / "examples.csv"
    columns = (*spec.text, *spec.numbers, *spec.flags)
    if not path.exists():
        if not spec.optional:
            raise ReportError(f"{path}: missing; a finished run has it. Run the study to the end, then report again.")
        table = pd.DataFrame({column: pd.Series(dtype=str) for column in columns})
    else:
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        except (OSError, ValueError, pd.errors.ParserError) as error:
            raise ReportError(f"{path}: cannot be read as CSV: {error}") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ReportError(
            f"{path}: the columns {', '.join(missing)} are missing (found {', '.join(table.columns)}); "
            "the folder was written by another version or edited. Run the study again."
        )
    for column in spec.numbers:
        try:
            table[column] = pd.to_numeric(table[column].replace({"": None}), errors="raise").astype(float)
        except (ValueError, TypeError) as error:
            raise ReportError(f"{path}: column {column} holds something that is no number: {error}") from error
    for column in spec.flags:
        table[column] = _flags(table[column], f"{path}: column {column}")
    table["magnification"] = [canonical_magnification(value) for value in table["magnification"]]
    return table


def _flags(values: pd.Series, where: str) -> list[bool]:
    lowered = [str(value).strip().lower() for value in values]
    odd = sorted(set(lowered) - _TRUE - _FALSE)
    if odd:
        raise ReportError(f"{where} holds {odd[0]!r}; expected True, False or nothing")
    return [value in _TRUE for value in lowered]


def _read_mapping(path: Path, *, required: bool) -> Mapping[str, Any]:
    if not path.exists() and not required:
        return {}
    try:
        # JSON is read by its own parser: YAML's would take a long one apart a hundred times more slowly.
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ReportError(f"{path}: cannot be read: {error}. A finished run has it; run the study again.") from error
    if not isinstance(content, dict):
        raise ReportError(f"{path}: holds {type(content).__name__}, expected named entries")
    return content


def _read_manifest(folder: Path) -> Mapping[str, Any]:
    # While a run writes its first report the manifest is not yet in its place: it is the sign of a finished run.
    return _read_mapping(folder / "manifest.json", required=False) or _read_mapping(
        folder / "work" / "manifest.json", required=False
    )


def _read_verdicts(path: Path) -> tuple[Mapping[str, Any], ...]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: cannot be read: {error}. A finished run has it; run the study again.") from error
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise ReportError(f"{path}: expected a list with one object per hypothesis")
    return tuple(content)
