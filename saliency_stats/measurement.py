"""The unit of work: a batch of patches of one slide, from pixels to the rows of the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from saliency_stats.attribution import DistanceBins, ledger, profile, relevance, shift_table, signed_distance_um
from saliency_stats.carrying import Carried
from saliency_stats.classifier.densenet import PatchClassifier
from saliency_stats.classifier.evaluation import predictions_table
from saliency_stats.classifier.samples import targets_of, to_tensor
from saliency_stats.cohort.patch import USED, Cohort, Patch
from saliency_stats.companion import Companion
from saliency_stats.compartments import (
    CompartmentParameters,
    NucleusFinder,
    Segmentation,
    Stains,
    View,
    concentrations,
    from_truth,
    nuclei_table,
    segment_batch,
    view_of,
)
from saliency_stats.crossing import Crossing
from saliency_stats.mapping import SHIFT, FloatMaps, MapKey, MapPlan, control_maps, network_maps
from saliency_stats.vocabulary import COMPARTMENTS, TRAINED

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
    target
        (N,) class whose logit is explained; empty where nothing is.
    maps
        Raw saliency (N, H, W), float32.
    segmentations
        Per patch.
    """

    table: pd.DataFrame
    patches: list[Patch]
    logits: dict[str, NDArray[np.float64]]
    target: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    maps: dict[MapKey, FloatMaps] = field(default_factory=dict)
    segmentations: list[Segmentation] = field(default_factory=list)

    def own(self, plan: MapPlan) -> dict[str, FloatMaps]:
        """Return the maps that the study judges by, of every network."""
        return {model: self.maps[plan.own(model)] for model in self.logits}


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
    plan
        Which maps are made.
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
        Return the networks' own maps as well.
    scores
        Whether the ledger also holds relevance rank, top share, pointing game and AUC.
    carried
        Compartments of slides, segmented once per location; None segments every patch by itself.
    companion
        Replaces compartments; None replaces nothing.
    crossing
        Crosses maps and segmentations; None crosses nothing.
    """

    cohort: Cohort
    table: pd.DataFrame
    models: Mapping[float, Mapping[str, PatchClassifier]]
    stains: Mapping[str, Stains]
    device: torch.device
    plan: MapPlan
    target: str
    finder: NucleusFinder | None
    compartments: CompartmentParameters
    min_area: float
    bins: DistanceBins
    keep: bool = False
    scores: bool = False
    carried: Carried | None = None
    companion: Companion | None = None
    crossing: Crossing | None = None

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
            tables |= self._further(examined, unit.magnification)
            if self.keep:
                tables["maps"] = _map_rows(examined, self.plan)
        return tables

    def _further(self, examined: Examined, magnification: float) -> dict[str, pd.DataFrame]:
        """Measure what only some studies ask for: the spatial null, replaced compartments, other segmentations."""
        tables: dict[str, pd.DataFrame] = {}
        identity = examined.table[_IDENTITY].reset_index(drop=True)
        if self.plan.shift:
            memberships = np.stack([segmentation.memberships for segmentation in examined.segmentations])
            null = shift_table(examined.maps[self.plan.own()], memberships, list(identity["patch_id"]))
            tables[SHIFT] = identity.merge(null, on="patch_id", validate="one_to_one")
        if self.companion is not None:
            tables |= self.companion.tables(
                identity.assign(mpp=examined.table["mpp"].to_numpy()),
                examined.patches,
                examined.segmentations,
                examined.logits[TRAINED],
                examined.target,
                self.models[magnification][TRAINED],
                self.device,
            )
        if self.crossing is not None:
            tables["crossed"] = self.crossing.rows(
                identity, self._views(examined.table, examined.patches), examined.maps
            )
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
        patch_ids = [str(name) for name in rows["patch_id"]]
        logits, maps = network_maps(models, images, target, patch_ids, self.plan)
        own = maps[self.plan.own()]
        stained = [
            concentrations(patch.image, self.stains[str(group)]) if self.plan.images else np.empty(0)
            for patch, group in zip(patches, rows["stain_group"], strict=True)
        ]
        maps |= control_maps(own, [patch.image for patch in patches], stained, patch_ids, self.plan)
        return Examined(rows, patches, logits, target.cpu().numpy(), maps, self._segmentations(rows, patches))

    def ledger_rows(self, examined: Examined) -> pd.DataFrame:
        """Attribute the saliency of examined patches to their compartments, per model."""
        memberships = np.stack([segmentation.memberships for segmentation in examined.segmentations])
        identity = examined.table[_IDENTITY].reset_index(drop=True)
        parts = []
        ids = list(identity["patch_id"])
        for key, maps in examined.maps.items():
            rows = ledger(maps, memberships, patch_ids=ids, min_area=self.min_area)
            if self.scores:
                rows = rows.join(relevance(maps, memberships, ids).drop(columns=["patch", "compartment"]))
            rows = (
                identity.loc[np.repeat(identity.index, len(COMPARTMENTS))]
                .reset_index(drop=True)
                .join(rows.drop(columns="patch"))
            )
            for place, (name, value) in enumerate(key._asdict().items()):
                rows.insert(len(_IDENTITY) + place, name, value)
            parts.append(rows)
        return pd.concat(parts, ignore_index=True)

    def _segmentations(self, rows: pd.DataFrame, patches: list[Patch]) -> list[Segmentation]:
        if self.finder is None:
            return [_true_segmentation(patch) for patch in patches]
        if self.carried is not None:
            return self.carried.segmentations(rows)
        return segment_batch(self._views(rows, patches), self.finder)

    def _views(self, rows: pd.DataFrame, patches: list[Patch]) -> list[View]:
        return [
            view_of(patch.image, float(mpp), self.compartments, self.stains[str(group)])
            for patch, mpp, group in zip(patches, rows["mpp"], rows["stain_group"], strict=True)
        ]

    def _profile_rows(self, examined: Examined) -> pd.DataFrame:
        parts = []
        for position, (row, segmentation) in enumerate(
            zip(examined.table.to_dict("records"), examined.segmentations, strict=True)
        ):
            distance = signed_distance_um(segmentation.instances > 0, float(row["mpp"]))
            identity = {name: row[name] for name in _IDENTITY}
            for model, maps in examined.own(self.plan).items():
                bins = profile(maps[position], distance, self.bins)
                parts.append(bins.assign(**identity, **self.plan.own(model)._asdict()))
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


def _map_rows(examined: Examined, plan: MapPlan) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for model, maps in examined.own(plan).items():
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
