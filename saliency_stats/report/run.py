"""A finished run: its tables, and the questions that every part of the report asks of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from saliency_stats.errors import ReportError
from saliency_stats.vocabulary import LABELS, NO_REDUCTION, ONE_CHANNEL, SPLITS, TRAINED

NOT_RECORDED: Final = "not recorded"
PRIMARY: Final = "cytoplasm_vs_nucleus"


def canonical_magnification(value: object) -> str:
    """Spell a magnification one way ("20", "2.5") however a table spells it (20, "20.0", "20x")."""
    text = str(value).strip().rstrip("xX\N{MULTIPLICATION SIGN}")
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


@dataclass(frozen=True)
class RunTables:
    """The tables of a finished run, with what the report needs to ask of them again and again.

    Parameters
    ----------
    folder
        The run's folder.
    study
        ``study.yaml``, resolved.
    manifest
        ``manifest.json``; empty where the run left none.
    verdicts
        ``verdict.json``: one mapping per primary hypothesis.
    patches, predictions, metrics, training, ledger, profile, contrasts, selection, examples
        The tables of the same names. ``magnification`` is spelt canonically in all of them. ``ledger`` and
        ``contrasts`` hold the study's own method and reduction, of the trained network and of the control networks
        that it is shown beside.
    all_contrasts
        ``contrasts`` of every method and control.
    ablation, ablation_curves, causal
        Tables of the causal companion; empty where the study replaced nothing.
    """

    folder: Path
    study: Mapping[str, Any]
    manifest: Mapping[str, Any]
    verdicts: tuple[Mapping[str, Any], ...]
    patches: pd.DataFrame
    predictions: pd.DataFrame
    metrics: pd.DataFrame
    training: pd.DataFrame
    ledger: pd.DataFrame
    profile: pd.DataFrame
    contrasts: pd.DataFrame
    all_contrasts: pd.DataFrame
    ablation: pd.DataFrame
    ablation_curves: pd.DataFrame
    causal: pd.DataFrame
    selection: pd.DataFrame
    examples: pd.DataFrame

    def setting(self, key: str, default: Any = NOT_RECORDED) -> Any:
        """Return one setting of the study by its dotted key, or `default` where the study has none."""
        return _lookup(self.study, key, default)

    def recorded(self, key: str, default: Any = NOT_RECORDED) -> Any:
        """Return one entry of the manifest by its dotted key, or `default` where it was not recorded."""
        return _lookup(self.manifest, key, default)

    @property
    def name(self) -> str:
        """The study's name; the folder's where the study has none."""
        return str(self.setting("name", self.folder.resolve().name))

    @cached_property
    def magnifications(self) -> tuple[str, ...]:
        """Every magnification of the cohort, coarse to fine."""
        return tuple(sorted(self.patches["magnification"].unique(), key=_magnification_order))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes that occur in the cohort, in the vocabulary's order."""
        return tuple(label for label in LABELS if (self.patches["label"] == label).any())

    @cached_property
    def controls(self) -> tuple[str, ...]:
        """The control networks of the ledger, by name."""
        return tuple(sorted(set(self.ledger["model"]) - {TRAINED}))

    @cached_property
    def method(self) -> str:
        """The saliency method that the figures show: the study's first."""
        methods = self.setting("saliency.methods", None) or sorted(set(self.ledger["method"])) or [NOT_RECORDED]
        return str(methods[0])

    @cached_property
    def reduction(self) -> str:
        """The channel reduction that the figures show: the study's, else the ledger's first."""
        found = sorted(set(self.ledger["reduction"])) or [NOT_RECORDED]
        return NO_REDUCTION if self.method in ONE_CHANNEL else str(self.setting("saliency.reduction", found[0]))

    @cached_property
    def evaluation_split(self) -> str:
        """The split on which the classifier is scored and the saliency judged.

        The study names it; where it does not, it is the last split that was scored.
        """
        named = self.setting("cohort.evaluation_split", None)
        if named in SPLITS:
            return str(named)
        scored = [split for split in SPLITS if (self.metrics["split"] == split).any()]
        return scored[-1] if scored else SPLITS[-1]

    @cached_property
    def primary_test(self) -> str:
        """The test whose rows the figures and the verdict quote."""
        return str(self.setting("statistics.primary_test", "t_slide_means"))

    @property
    def alpha(self) -> float:
        """The significance level of the study."""
        return float(self.setting("statistics.alpha", 0.05))

    @property
    def confidence_percent(self) -> str:
        """The confidence level of the intervals, as in "95 %"."""
        return f"{100 * (1 - self.alpha):g} %"

    @property
    def unit(self) -> str:
        """The unit of inference: ``slide`` or ``patient``."""
        return "patient" if self.setting("statistics.unit", "slide") == "patient" else "slide"

    @property
    def unit_column(self) -> str:
        """The column that names the unit of inference."""
        return f"{self.unit}_id"

    def example(self, file: str) -> dict[str, NDArray[Any]]:
        """Read one example's arrays: ``image`` (H, W, 3), ``saliency`` (H, W), ``compartments`` (H, W).

        Raises
        ------
        ReportError
            If the file is missing, lies outside the run's folder, or lacks an array.
        """
        path = self.folder / "examples" / Path(file).name
        wanted = ("image", "saliency", "compartments")
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: np.asarray(arrays[name]) for name in wanted}
        except (OSError, ValueError, KeyError) as error:
            raise ReportError(
                f"{path}: this example cannot be read ({error}); expected an .npz with the arrays "
                f"{', '.join(wanted)}. Run the study again with the same folder to write it anew."
            ) from error


def records(table: pd.DataFrame) -> list[Any]:
    """Return the rows of a table as named tuples; what a column holds was checked when it was read."""
    return list(table.itertuples(index=False))


def _lookup(content: Mapping[str, Any], key: str, default: Any) -> Any:
    found: Any = content
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return default
        found = found[part]
    return default if found is None else found


def _magnification_order(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value
