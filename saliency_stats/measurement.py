"""The unit of work: a batch of patches of one slide, from pixels to the rows of the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from saliency_stats.attribution import DistanceBins, ledger, profile, signed_distance_um
from saliency_stats.carrying import Carried
from saliency_stats.classifier.densenet import PatchClassifier
from saliency_stats.classifier.evaluation import predictions_table
from saliency_stats.classifier.samples import targets_of, to_tensor
from saliency_stats.cohort.patch import USED, Cohort, Patch
from saliency_stats.compartments import (
    CompartmentParameters,
    NucleusFinder,
    Segmentation,
    Stains,
    concentrations,
    from_truth,
    nuclei_table,
    segment_batch,
    view_of,
)
from saliency_stats.saliency import logits_and_gradient, reduce_channels
from saliency_stats.vocabulary import COMPARTMENTS

TRAINED = "trained"
_IDENTITY = ["patch_id", "slide_id", "patient_id", "label", "split", "magnification"]


@dataclass(frozen=True)
class Unit:
    """A batch of patches of one slide, one split, one magnification and one image size.

    Parameters
    ----------
    name
        Name under which its tables are stored.
    rows
        Rows of the cohort's table.
    magnification
        Which network looks at them.
    measured
        Whether saliency is measured, or only the trained network's predictions.
    """

    name: str
    rows: tuple[int, ...]
    magnification: float
    measured: bool


@dataclass(frozen=True)
class Examined:
    """Everything known about the patches of one unit.

    Parameters
    ----------
    table
        Their rows of the patch table.
    patches
        As read.
    logits
        Per model (N, 2).
    maps
        Per model, raw saliency (N, H, W), float32.
    segmentations
        Per patch.
    """

    table: pd.DataFrame
    patches: list[Patch]
    logits: dict[str, NDArray[np.float64]]
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    segmentations: list[Segmentation] = field(default_factory=list)


@dataclass(frozen=True)
class Measurement:
    """A pure function of patches to tables.

    Parameters
    ----------
    cohort, table
        The cohort, and its inspected table.
    models
        Per magnification, the networks by name; ``trained`` is always there.
    stains
        Per stain group of the table (column ``stain_group``).
    device
        Where the networks are.
    reduction
        Of the colour channels.
    target
        ``correct``: the logit of the label; ``predicted``: the logit the trained network chose.
    finder
        Finds nuclei; None takes the phantoms' own compartments.
    compartments
        Parameters of the segmentation.
    min_area
        Area share below which a compartment counts as missing from a patch.
    bins
        Distance bins of the profile.
    keep
        Return the maps as well.
    carried
        Compartments of slides, segmented once per location; None segments every patch by itself.
    """

    cohort: Cohort
    table: pd.DataFrame
    models: Mapping[float, Mapping[str, PatchClassifier]]
    stains: Mapping[str, Stains]
    device: torch.device
    reduction: str
    target: str
    finder: NucleusFinder | None
    compartments: CompartmentParameters
    min_area: float
    bins: DistanceBins
    keep: bool = False
    carried: Carried | None = None

    def __call__(self, unit: Unit) -> dict[str, pd.DataFrame]:
        """Measure one unit: its rows of predictions, and of ledger, profile and nuclei where it is measured."""
        examined = self.examine(unit)
        tables = {
            "predictions": pd.concat(
                [predictions_table(examined.table, logits, model) for model, logits in examined.logits.items()],
                ignore_index=True,
            )
        }
        if unit.measured:
            tables["ledger"] = self.ledger_rows(examined)
            tables["profile"] = self._profile_rows(examined)
            tables["nuclei"] = self._nucleus_rows(examined)
            if self.keep:
                tables["maps"] = _map_rows(examined)
        return tables

    def examine(self, unit: Unit) -> Examined:
        """Read, classify, explain and segment the patches of a unit."""
        rows = self.table.loc[list(unit.rows)]
        patches = [self.cohort.read(row) for row in unit.rows]
        images = to_tensor(np.stack([patch.image for patch in patches]), self.device)
        models = self.models[unit.magnification]
        if not unit.measured:
            with torch.no_grad():
                return Examined(rows, patches, {TRAINED: _numpy(models[TRAINED](images))})
        target = torch.from_numpy(targets_of(rows)).to(self.device)
        if self.target == "predicted":
            with torch.no_grad():
                target = models[TRAINED](images).argmax(dim=1)
        logits, maps = {}, {}
        for name, model in models.items():
            scores, gradient = logits_and_gradient(model, images, target)
            logits[name] = _numpy(scores)
            maps[name] = reduce_channels(gradient, self.reduction).cpu().numpy()
        return Examined(rows, patches, logits, maps, self._segmentations(rows, patches))

    def ledger_rows(self, examined: Examined) -> pd.DataFrame:
        """Attribute the saliency of examined patches to their compartments, per model."""
        memberships = np.stack([segmentation.memberships for segmentation in examined.segmentations])
        identity = examined.table[_IDENTITY].reset_index(drop=True)
        parts = []
        for model, maps in examined.maps.items():
            rows = ledger(maps, memberships, patch_ids=list(identity["patch_id"]), min_area=self.min_area)
            rows = (
                identity.loc[np.repeat(identity.index, len(COMPARTMENTS))]
                .reset_index(drop=True)
                .join(rows.drop(columns="patch"))
            )
            rows.insert(len(_IDENTITY), "model", model)
            rows.insert(len(_IDENTITY) + 1, "method", "gradient")
            rows.insert(len(_IDENTITY) + 2, "reduction", self.reduction)
            parts.append(rows)
        return pd.concat(parts, ignore_index=True)

    def _segmentations(self, rows: pd.DataFrame, patches: list[Patch]) -> list[Segmentation]:
        if self.finder is None:
            return [_true_segmentation(patch) for patch in patches]
        if self.carried is not None:
            return self.carried.segmentations(rows)
        views = [
            view_of(patch.image, float(mpp), self.compartments, self.stains[str(group)])
            for patch, mpp, group in zip(patches, rows["mpp"], rows["stain_group"], strict=True)
        ]
        return segment_batch(views, self.finder)

    def _profile_rows(self, examined: Examined) -> pd.DataFrame:
        parts = []
        for position, (row, segmentation) in enumerate(
            zip(examined.table.to_dict("records"), examined.segmentations, strict=True)
        ):
            distance = signed_distance_um(segmentation.instances > 0, float(row["mpp"]))
            identity = {name: row[name] for name in _IDENTITY}
            for model, maps in examined.maps.items():
                bins = profile(maps[position], distance, self.bins)
                parts.append(bins.assign(**identity, model=model, method="gradient", reduction=self.reduction))
        return pd.concat(parts, ignore_index=True)

    def _nucleus_rows(self, examined: Examined) -> pd.DataFrame:
        parts = []
        for row, patch, segmentation in zip(
            examined.table.to_dict("records"), examined.patches, examined.segmentations, strict=True
        ):
            od = concentrations(patch.image, self.stains[row["stain_group"]])
            nuclei = nuclei_table(segmentation, od, float(row["mpp"]))
            nuclei.insert(0, "patch_id", row["patch_id"])
            nuclei.insert(1, "magnification", row["magnification"])
            parts.append(nuclei)
        return pd.concat(parts, ignore_index=True)


def units_of(table: pd.DataFrame, evaluation_split: str, size: int) -> list[Unit]:
    """Divide the usable patches into units: one magnification, split, slide and image size each.

    The division depends on the table alone, so that every run of a study computes the same batches.
    """
    used = table[table["status"] == USED]
    keys = ["magnification", "split", "slide_id", "height_px", "width_px"]
    units: list[Unit] = []
    for (magnification, split, *_), part in used.groupby(keys, sort=True):
        scale = float(str(magnification))
        rows = [int(row) for row in part.index]
        for start in range(0, len(rows), size):
            units.append(
                Unit(
                    name=f"{len(units):06d}",
                    rows=tuple(rows[start : start + size]),
                    magnification=scale,
                    measured=split == evaluation_split,
                )
            )
    return units


def _true_segmentation(patch: Patch) -> Segmentation:
    assert patch.truth is not None  # the study's settings allow `truth` for phantoms only
    assert patch.instances is not None
    return from_truth(patch.truth, patch.instances)


def _map_rows(examined: Examined) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for model, maps in examined.maps.items():
        rows.extend(
            {
                "patch_id": patch_id,
                "magnification": magnification,
                "model": model,
                "height_px": values.shape[0],
                "width_px": values.shape[1],
                "saliency": values.astype("<f4").tobytes(),
            }
            for patch_id, magnification, values in zip(
                examined.table["patch_id"], examined.table["magnification"], maps, strict=True
            )
        )
    return pd.DataFrame(rows)


def _numpy(tensor: torch.Tensor) -> NDArray[np.float64]:
    return tensor.double().cpu().numpy()
