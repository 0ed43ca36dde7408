"""What is known about the patches of one batch while they are measured."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from saliency_stats.attribution import Maps, Memberships, checked_memberships
from saliency_stats.cohort.patch import Patch
from saliency_stats.compartments import Found, Segmentation, View
from saliency_stats.saliency.maps import MapKey, MapPlan
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.saliency.reductions import SIGNED
from saliency_stats.typing import Float32Array, Float64Array, Int64Array

_IDENTITY = ["patch_id", "slide_id", "patient_id", "label", "split", "magnification"]


@dataclass(frozen=True)
class Examination:
    """Everything known about the patches of one batch.

    Parameters
    ----------
    table
        Their rows of the patch table.
    patches
        As read.
    logits
        Per network (N, 2).
    p_malignant
        (N,) where a table gives it, else None.
    targets
        By the trained networks' names, (N,) classes whose logits are explained; empty where nothing is.
    maps
        Raw saliency (N, H, W), float32, checked.
    signed
        Of maps whose values add up to a change of the logit, their sums over the channels (N, H, W); under
        ``SIGNED`` for a reduction, where the plan asks for them.
    unmixed
        Per patch, haematoxylin and eosin (2, H, W).
    views, found
        Per patch, what nuclei were sought in, and those that were found; empty where the compartments are known.
    segmentations
        Per patch.
    """

    table: pd.DataFrame
    patches: list[Patch]
    logits: dict[NetworkKey, Float64Array]
    p_malignant: Float64Array | None = None
    targets: dict[str, Int64Array] = field(default_factory=dict)
    maps: dict[MapKey, Maps] = field(default_factory=dict)
    unmixed: list[Float32Array] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    segmentations: list[Segmentation] = field(default_factory=list)
    signed: dict[MapKey, Float32Array] = field(default_factory=dict)

    @cached_property
    def identity(self) -> pd.DataFrame:
        """The columns by which rows of tables say whose they are, N rows."""
        return self.table[_IDENTITY].reset_index(drop=True)

    @cached_property
    def memberships(self) -> Memberships:
        """Of all patches, checked."""
        stack = np.stack([segmentation.memberships for segmentation in self.segmentations])
        return checked_memberships(stack, list(self.identity["patch_id"]))

    def own(self, plan: MapPlan) -> dict[NetworkKey, Float32Array]:
        """Return the maps that the study judges by, of every network."""
        return {key: self.maps[plan.own(*key)].raw for key in self.logits}

    def attributed(self, key: MapKey) -> Float64Array:
        """Return the sum of a map's signed values over each compartment of each patch, (N K,); NaN if it has none."""
        values, weights = self.signed.get(key._replace(reduction=SIGNED)), self.memberships.weights
        if values is None:
            return np.full(weights.shape[0] * weights.shape[1], np.nan)
        return np.asarray(np.einsum("nkhw,nhw->nk", weights, values.astype(np.float64)).ravel())
