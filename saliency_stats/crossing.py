"""The crossing of maps and segmentations behind the multiverse: each unique thing computed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saliency_stats.attribution import shares
from saliency_stats.compartments import NucleusFinder, View, nothing_found
from saliency_stats.compartments.variants import Variant, varied
from saliency_stats.mapping import FloatMaps, MapKey
from saliency_stats.vocabulary import COMPARTMENTS, TRAINED

_NUCLEUS, _CYTOPLASM = COMPARTMENTS.index("nucleus"), COMPARTMENTS.index("cytoplasm")


@dataclass(frozen=True)
class Crossing:
    """Every map of the trained network against every segmentation.

    Parameters
    ----------
    finder
        Finds nuclei down to the lowest threshold that a variant asks for.
    variants
        Segmentations.
    cytoplasm_um
        The study's own.
    """

    finder: NucleusFinder
    variants: tuple[Variant, ...]
    cytoplasm_um: float

    def rows(self, identity: pd.DataFrame, views: Sequence[View], maps: Mapping[MapKey, FloatMaps]) -> pd.DataFrame:
        """Cross one batch.

        Parameters
        ----------
        identity
            N rows.
        views
            N prepared images.
        maps
            (N, H, W) of every network, method and reduction; those of the trained network count.

        Returns
        -------
        DataFrame
            One row per patch, method, reduction and segmentation: the shares of area and saliency of nucleus and
            cytoplasm.
        """
        sought = iter(self.finder([view for view in views if view.structure]))
        found = [next(sought) if view.structure else nothing_found(view) for view in views]
        parts = []
        for variant in self.variants:
            members = np.stack(
                [varied(view, nuclei, variant).memberships for view, nuclei in zip(views, found, strict=True)]
            )
            reach = self.cytoplasm_um if variant.cytoplasm_um is None else variant.cytoplasm_um
            for key, saliency in maps.items():
                if key.model == TRAINED:
                    area, mass, _ = shares(saliency, members, list(identity["patch_id"]))
                    parts.append(
                        identity.assign(
                            model=TRAINED,
                            method=key.method,
                            reduction=key.reduction,
                            segmentation=variant.name,
                            cytoplasm_um=reach,
                            area_nucleus=area[:, _NUCLEUS],
                            area_cytoplasm=area[:, _CYTOPLASM],
                            mass_nucleus=mass[:, _NUCLEUS],
                            mass_cytoplasm=mass[:, _CYTOPLASM],
                        )
                    )
        return pd.concat(parts, ignore_index=True)
