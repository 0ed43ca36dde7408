"""The crossing of maps and segmentations behind the multiverse: each unique thing computed once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from saliency_stats.attribution import Maps, Memberships, checked_memberships, crossed_shares
from saliency_stats.compartments import Found, Segmentation, View
from saliency_stats.compartments.variants import VARIANTS, Variant, variations
from saliency_stats.saliency.maps import MapKey
from saliency_stats.vocabulary import TRAINED


@dataclass(frozen=True)
class Multiverse:
    """Every map of the trained networks against every segmentation.

    Parameters
    ----------
    variants
        The segmentations.
    cytoplasm_um
        How far cytoplasm reaches where a variant does not say.
    baselines
        By the name of a map's method: as which method, and from which baseline, it is crossed.
    """

    variants: tuple[Variant, ...]
    cytoplasm_um: float
    baselines: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def rows(
        self,
        identity: pd.DataFrame,
        views: Sequence[View],
        found: Sequence[Found],
        usual: Sequence[Segmentation],
        maps: Mapping[MapKey, Maps],
    ) -> pd.DataFrame:
        """Cross one batch.

        Parameters
        ----------
        views, found
            N prepared images, and their nuclei down to the lowest threshold that a variant asks for.
        maps
            (N, H, W) of every network, method and reduction; those of the trained networks count.

        Returns
        -------
        DataFrame
            One row per patch, network, method, reduction and segmentation: the shares of area and saliency of nucleus
            and cytoplasm. The column baseline is there where baselines are crossed, "" for a method without.
        """
        own = {key: checked for key, checked in maps.items() if key.model == TRAINED}
        area, mass = crossed_shares(
            list(own.values()), self._divisions(identity, views, found, usual), ("nucleus", "cytoplasm")
        )
        n = len(identity)
        each = [(key, variant) for variant in self.variants for key in own]
        made = [self.baselines.get(key.method, (key.method, "")) for key, _ in each]
        area = np.broadcast_to(area[:, :, None], mass.shape)
        # one row per patch, within each map, within each segmentation
        in_rows = [np.moveaxis(values, 0, 2).reshape(-1, values.shape[-1]) for values in (area, mass)]
        return pd.concat([identity] * len(each), ignore_index=True).assign(
            model=TRAINED,
            network=np.repeat([key.network for key, _ in each], n),
            method=np.repeat([method for method, _ in made], n),
            **({"baseline": np.repeat([baseline for _, baseline in made], n)} if self.baselines else {}),
            reduction=np.repeat([key.reduction for key, _ in each], n),
            segmentation=np.repeat([variant.name for _, variant in each], n),
            cytoplasm_um=np.repeat([self._reach_um(variant) for _, variant in each], n),
            **{
                f"{what}_{compartment}": values[:, at]
                for what, values in zip(("area", "mass"), in_rows, strict=True)
                for at, compartment in enumerate(("nucleus", "cytoplasm"))
            },
        )

    def _divisions(
        self, identity: pd.DataFrame, views: Sequence[View], found: Sequence[Found], usual: Sequence[Segmentation]
    ) -> Iterator[Memberships]:
        """Divide one patch after the other in every way: (V, K, H, W) each."""
        for patch_id, view, nuclei, known in zip(identity["patch_id"], views, found, usual, strict=True):
            others = iter(variations(view, nuclei, [one for one in self.variants if one != VARIANTS[0]]))
            ways = [known if variant == VARIANTS[0] else next(others) for variant in self.variants]
            names = [f"{patch_id} ({variant.name})" for variant in self.variants]
            yield checked_memberships(np.stack([way.memberships for way in ways]), names)

    def _reach_um(self, variant: Variant) -> float:
        return self.cytoplasm_um if variant.cytoplasm_um is None else variant.cytoplasm_um
