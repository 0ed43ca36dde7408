"""One batch of patches of a slide, from pixels to the rows of the tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from saliency_stats.attribution import (
    DistanceBins,
    checked_saliency,
    ledger,
    profiles,
    relevance,
    signed_distance_um,
)
from saliency_stats.classifier.evaluation import predictions_table
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.samples import targets_of, to_tensor
from saliency_stats.classifier.together import Together
from saliency_stats.cohort.given import GivenMaps
from saliency_stats.cohort.patch import Cohort, Patch
from saliency_stats.compartments import (
    CompartmentParameters,
    Found,
    NucleusFinder,
    Segmentation,
    Stains,
    TissueFinder,
    View,
    concentrations,
    find_nuclei,
    from_truth,
    nuclei_table,
    view_of,
    with_tissues,
)
from saliency_stats.compartments.variants import VARIANTS, varied
from saliency_stats.execution.device import allow_tf32
from saliency_stats.measurement.ablation import Ablations
from saliency_stats.measurement.batch import Batch
from saliency_stats.measurement.examination import Examination
from saliency_stats.measurement.importance import Rerendering
from saliency_stats.measurement.multiscale import MultiscaleCompartments
from saliency_stats.measurement.multiverse import Multiverse
from saliency_stats.measurement.pictures import picture_tables
from saliency_stats.measurement.references import Place, References
from saliency_stats.measurement.thumbnails import Thumbnails
from saliency_stats.saliency.maps import MapKey, MapPlan, control_maps, given_maps, network_maps
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.saliency.reductions import SIGNED
from saliency_stats.typing import Float32Array, Float64Array, Int64Array, UInt8Array
from saliency_stats.vocabulary import COMPARTMENTS, TRAINED


@dataclass(frozen=True)
class Measurement:
    """A pure function of a batch of patches to tables.

    Parameters
    ----------
    cohort, table
        The cohort, and its inspected table.
    models
        Per magnification and fold, the networks, ``trained`` ones among them; no network where maps are given.
    stains
        Per stain group of the table (column ``stain_group``).
    device
        Where the networks are.
    plan
        Which maps are made.
    target
        ``correct``: the logit of the label; ``predicted``: the logit that each trained network chose.
    finder
        Finds nuclei, as far down as the multiverse wants them; None takes the phantoms' own compartments.
    compartments
        Parameters of the segmentation.
    given
        Maps and probabilities that were made elsewhere; None asks the networks.
    tissue
        Says how probable each tissue is, where a way to tell cells asks for it; None asks nothing.
    min_area
        Area share below which a compartment counts as missing from a patch.
    bins
        Distance bins of the profile.
    keep
        Return the networks' own maps as well.
    scores
        Whether the ledger also holds relevance rank, top share, pointing game and AUC, and of maps whose values add up
        to a change of the logit their sum over each compartment.
    multiscale
        Compartments of slides, segmented once per location; None segments every patch by itself.
    ablations
        Replaces compartments; None replaces nothing.
    rerendering
        Draws compartments of phantoms as the other class; None draws nothing again.
    references
        Training patches for methods that explain a patch by others; None where no method does.
    multiverse
        Crosses maps and segmentations; None crosses nothing.
    thumbnails
        Makes small pictures of some patches; None makes none.
    tf32
        Let CUDA compute in TF32, see :mod:`~saliency_stats.measurement.precision`.
    """

    cohort: Cohort
    table: pd.DataFrame
    models: Mapping[tuple[float, int], Mapping[NetworkKey, Classifier]]
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
    multiscale: MultiscaleCompartments | None = None
    ablations: Ablations | None = None
    rerendering: Rerendering | None = None
    references: References | None = None
    multiverse: Multiverse | None = None
    tissue: TissueFinder | None = None
    given: GivenMaps | None = None
    thumbnails: Thumbnails | None = None
    tf32: bool = False

    def __call__(self, batch: Batch) -> dict[str, pd.DataFrame]:
        """Measure one batch: its rows of predictions, and of ledger, profile and nuclei where it is measured."""
        # held until the end, though other workers may have gone on to the next magnification
        trained = _trained(self.models[batch.place])
        examined = self.examine(batch)
        tables = {
            "predictions": pd.concat(
                [
                    predictions_table(examined.table, logits, *key, examined.p_malignant)
                    for key, logits in examined.logits.items()
                ],
                ignore_index=True,
            )
        }
        if batch.measured:
            tables["ledger"] = self.ledger_rows(examined)
            tables["profile"] = self._profile_rows(examined)
            tables["nuclei"] = self._nucleus_rows(examined)
            tables |= self._further(examined, trained)
            if self.keep:
                tables["maps"] = _map_rows(examined, self.plan)
            if self.thumbnails is not None:
                tables["thumbnails"] = self.thumbnails.rows(examined, self.plan)
        return tables

    def _further(self, examined: Examination, trained: Together[str]) -> dict[str, pd.DataFrame]:
        """Measure what the picture explains; and where a study asks, compartments altered, other segmentations."""
        tables = picture_tables(examined, self.plan, self.min_area)
        identity = examined.identity
        if self.ablations is not None:
            tables |= self.ablations.tables(
                identity.assign(**{name: examined.table[name].to_numpy() for name in ("mpp", "replaced")}),
                examined.patches,
                examined.segmentations,
                {network: examined.logits[NetworkKey(TRAINED, network)] for network in trained},
                examined.targets,
                trained,
                self.device,
            )
        if self.rerendering is not None:
            tables["importance"] = self.rerendering.table(examined, trained, self.device)
        if self.multiverse is not None:
            tables["crossed"] = self.multiverse.rows(
                identity, examined.views, examined.found, examined.segmentations, examined.maps
            )
        return tables

    def examine(self, batch: Batch) -> Examination:
        """Read, classify, explain and segment the patches of a batch."""
        rows = self.table.loc[list(batch.rows)]
        patches = [self.cohort.read(row) for row in batch.rows]
        images_rgb = [patch.image for patch in patches]
        logits, targets, maps = self.explain(batch, rows, images_rgb)
        p_malignant = None if self.given is None else self.given.p_malignant[list(batch.rows)]
        if not batch.measured:
            return Examination(rows, patches, logits, p_malignant)
        patch_ids = [str(name) for name in rows["patch_id"]]
        unmixed = [
            concentrations(patch.image, self.stains[str(group)])
            for patch, group in zip(patches, rows["stain_group"], strict=True)
        ]
        signed = {key: maps.pop(key) for key in [*maps] if key.reduction == SIGNED}
        own = {key.network: maps[self.plan.own(*key)] for key in logits if key.model == TRAINED}
        maps |= control_maps(own, images_rgb, unmixed, patch_ids, self.plan)
        checked = {key: checked_saliency(values, patch_ids) for key, values in maps.items()}
        seen = self._seen(rows, patches, unmixed)
        return Examination(rows, patches, logits, p_malignant, targets, checked, unmixed, *seen, signed)

    def explain(
        self, batch: Batch, rows: pd.DataFrame, images_rgb: list[UInt8Array]
    ) -> tuple[dict[NetworkKey, Float64Array], dict[str, Int64Array], dict[MapKey, Float32Array]]:
        """Return logits, and where they are measured the explained classes and the maps: of the networks, or given."""
        if self.given is not None:
            shapes = [image.shape[:2] for image in images_rgb] if batch.measured else []
            logits, maps = given_maps(self.given, batch.rows, shapes, self.plan)
            return logits, {}, maps
        if self.device.type == "cuda":
            allow_tf32(allowed=self.tf32)
        images = to_tensor(np.stack(images_rgb), self.device)
        models = self.models[batch.place]
        trained = _trained(models)
        if not batch.measured:
            scores = trained.logits(images)
            return {NetworkKey(TRAINED, name): made.cpu().double().numpy() for name, made in scores.items()}, {}, {}
        targets = dict.fromkeys(trained, torch.from_numpy(targets_of(rows)).to(self.device))
        if self.target == "predicted":
            targets = {name: logits.argmax(dim=1) for name, logits in trained.logits(images).items()}
        patch_ids = [str(name) for name in rows["patch_id"]]
        references = None
        if self.references is not None:
            place = Place(*batch.place, *images.shape[-2:])
            references = to_tensor(self.references.at(place), self.device)
        logits, maps = network_maps(models, images, targets, patch_ids, self.plan, references)
        return logits, {network: target.cpu().numpy() for network, target in targets.items()}, maps

    def ledger_rows(self, examined: Examination) -> pd.DataFrame:
        """Attribute the saliency of examined patches to their compartments, per model."""
        parts = []
        for key, maps in examined.maps.items():
            rows = ledger(maps, examined.memberships, min_area=self.min_area)
            if self.scores:
                rows = rows.join(relevance(maps, examined.memberships).drop(columns=["patch", "compartment"]))
                rows["attributed"] = examined.attributed(key)
            parts.append(rows.drop(columns="patch").assign(**key._asdict()))
        rows, named = pd.concat(parts, ignore_index=True), list(MapKey._fields)
        each = np.tile(np.repeat(examined.identity.index, len(COMPARTMENTS)), len(parts))
        identity = examined.identity.loc[each].reset_index(drop=True)
        doubtful = [segmentation.doubtful_share for segmentation in examined.segmentations]
        return pd.concat([identity, rows[named], rows.drop(columns=named)], axis=1).assign(
            doubtful_share=np.asarray(doubtful)[each]
        )

    def _seen(
        self, rows: pd.DataFrame, patches: list[Patch], unmixed: list[Float32Array]
    ) -> tuple[list[View], list[Found], list[Segmentation]]:
        """Find nuclei, once, and divide the patches."""
        if self.finder is None:
            return [], [], [_true_segmentation(patch) for patch in patches]
        if self.multiscale is not None:
            return [], [], self.multiscale.segmentations(rows)
        views = [
            view_of(patch.image, float(mpp), self.compartments, self.stains[str(group)], stained)
            for patch, mpp, group, stained in zip(patches, rows["mpp"], rows["stain_group"], unmixed, strict=True)
        ]
        views = with_tissues(views, self.tissue)
        found = find_nuclei(views, self.finder)
        # the multiverse also wants nuclei below the usual threshold, which do not count here
        usual = [varied(view, nuclei, VARIANTS[0]) for view, nuclei in zip(views, found, strict=True)]
        return views, found, usual

    def _profile_rows(self, examined: Examination) -> pd.DataFrame:
        own = {key: examined.maps[key] for key in (self.plan.own(*network) for network in examined.logits)}
        distances = (
            signed_distance_um(segmentation.instances > 0, float(mpp))
            for segmentation, mpp in zip(examined.segmentations, examined.table["mpp"], strict=True)
        )
        rows = profiles(list(own.values()), distances, self.bins)
        identity = examined.identity.loc[rows["patch"]].reset_index(drop=True)
        keys = pd.DataFrame(list(own), columns=list(MapKey._fields)).loc[rows["map"]].reset_index(drop=True)
        return pd.concat([rows.drop(columns=["patch", "map"]), identity, keys], axis=1)

    def _nucleus_rows(self, examined: Examination) -> pd.DataFrame:
        parts = []
        for row, unmixed, segmentation in zip(
            examined.table.to_dict("records"), examined.unmixed, examined.segmentations, strict=True
        ):
            nuclei = nuclei_table(segmentation, unmixed, float(row["mpp"]))
            nuclei.insert(0, "patch_id", row["patch_id"])
            nuclei.insert(1, "magnification", row["magnification"])
            parts.append(nuclei)
        return pd.concat(parts, ignore_index=True)


def _trained(models: Mapping[NetworkKey, Classifier]) -> Together[str]:
    """Return the trained networks by their names."""
    return Together.of(models).named({key.network: key for key in models if key.model == TRAINED})


def _true_segmentation(patch: Patch) -> Segmentation:
    assert patch.truth is not None  # the study's settings allow `truth` for phantoms only
    assert patch.instances is not None
    return from_truth(patch.truth, patch.instances)


def _map_rows(examined: Examination, plan: MapPlan) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for key, maps in examined.own(plan).items():
        rows.extend(
            {
                "patch_id": patch_id,
                "magnification": magnification,
                **key._asdict(),
                "height_px": values.shape[0],
                "width_px": values.shape[1],
                "saliency": values.astype("<f4").tobytes(),
            }
            for patch_id, magnification, values in zip(
                examined.table["patch_id"], examined.table["magnification"], maps, strict=True
            )
        )
    return pd.DataFrame(rows)
