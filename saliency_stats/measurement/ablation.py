"""Ablation of a batch: the trained networks' logits when one compartment of a patch is replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import torch

from saliency_stats.attribution.ablation import CurveImage, ablated, curves
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.together import Together
from saliency_stats.cohort.patch import Patch
from saliency_stats.compartments import Segmentation
from saliency_stats.seeds import derive
from saliency_stats.typing import BoolArray, Float32Array, Float64Array, Int64Array
from saliency_stats.vocabulary import COMPARTMENTS, TRAINED

#: Altered images that the network sees at once.
_IN_FLIGHT: Final = 32
_EFFECT: Final = ("replacement", "region", "area_share", "logit", "logit_ablated")
_STEP: Final = ("direction", "share", "logit")


@dataclass(frozen=True)
class Ablations:
    """Replaces compartments of patches and asks the networks again.

    Parameters
    ----------
    replacements
        What stands in, of ``attribution.replacement.REPLACEMENTS``.
    curve_steps
        Images of each deletion and insertion curve; 0 draws none.
    min_confidence
        A network is not asked about patches to whose class it gives a lower probability: it does not judge them.
    min_area
        Area share below which a compartment is missing from a patch.
    seed
        Of the random regions.
    """

    replacements: tuple[str, ...]
    curve_steps: int
    min_confidence: float
    min_area: float
    seed: int

    def tables(
        self,
        rows: pd.DataFrame,
        patches: Sequence[Patch],
        segmentations: Sequence[Segmentation],
        logits: Mapping[str, Float64Array],
        targets: Mapping[str, Int64Array],
        networks: Mapping[str, Classifier],
        device: torch.device,
    ) -> dict[str, pd.DataFrame]:
        """Measure the effects on one batch.

        Parameters
        ----------
        rows
            N rows of identity, with their ``mpp`` and whether they are ``replaced`` (:func:`draw_replaced`).
        patches, segmentations
            N patches and their compartments.
        logits, targets, networks
            Of the trained networks by their names: (N, 2) logits of the intact patches, (N,) classes whose logits are
            watched, and the networks themselves. All are shown the same altered images.

        Returns
        -------
        dict of DataFrame
            ``ablation`` (a row per patch, network, compartment, replacement and region) and, where curves are asked
            for, ``ablation_curves`` (per patch, network, compartment, direction and share).
        """
        replaced = rows["replaced"].to_numpy(dtype=bool)
        judged = {network: replaced & self._judged(logits[network], targets[network]) for network in networks}
        together = Together.of(networks)
        rows, asked = rows.drop(columns="replaced"), np.flatnonzero(np.any(list(judged.values()), axis=0))
        ablations: list[dict[str, Any]] = []
        curve_rows: list[dict[str, Any]] = []
        for at in asked.tolist():
            identity: dict[str, Any] = {str(name): value for name, value in rows.iloc[at].items()}
            image, members, mpp = patches[at].image, segmentations[at].memberships, float(identity.pop("mpp"))
            named = (str(identity["patch_id"]), float(identity["magnification"]))
            soft, rng = segmentations[at].doubt is not None, _rng(self.seed, "ablation", named)
            altered = ablated(image, members, mpp, rng, self.replacements, self.min_area, soft=soft)
            area = dict(zip(COMPARTMENTS, members.mean(axis=(1, 2)).tolist(), strict=True))
            drawn: list[CurveImage] = []
            if self.curve_steps:
                rng = _rng(self.seed, "curves", named)
                drawn = curves(image, members, mpp, rng, self.curve_steps, self.replacements[0], self.min_area)
            judges = together.only(name for name in networks if judged[name][at])
            of_altered = scores_of(judges, device, [one.image for one in altered])
            of_drawn = scores_of(judges, device, [step.image for step in drawn])
            for network in judges:
                target = int(targets[network][at])
                identity |= {"model": TRAINED, "network": network}
                known = identity | {"logit": float(logits[network][at, target])}
                for one, logit in zip(altered, of_altered[network][:, target].tolist(), strict=True):
                    what = {"compartment": one.compartment, "replacement": one.kind, "region": one.region}
                    ablations.append(known | what | {"area_share": area[one.compartment], "logit_ablated": logit})
                for step, logit in zip(drawn, of_drawn[network][:, target].tolist(), strict=True):
                    what = {"compartment": step.compartment, "direction": step.direction}
                    curve_rows.append(identity | what | {"share": step.share, "logit": logit})
        # with their columns also where nothing was judged
        keys = [*(str(name) for name in rows.columns if name != "mpp"), "model", "network", "compartment"]
        tables = {"ablation": pd.DataFrame(ablations, columns=[*keys, *_EFFECT])}
        if self.curve_steps:
            tables["ablation_curves"] = pd.DataFrame(curve_rows, columns=[*keys, *_STEP])
        return tables

    def _judged(self, logits: Float64Array, target: Int64Array) -> BoolArray:
        each = np.arange(len(target))
        margin = logits[each, target] - logits[each, 1 - target]
        return np.asarray(margin >= np.log(self.min_confidence / (1 - self.min_confidence)))


def draw_replaced(table: pd.DataFrame, most: int, seed: int) -> "pd.Series[bool]":
    """Draw the patches whose compartments are replaced.

    A replaced patch costs many passes of the network, and tests compare slides: from a few patches on, more of one
    slide add little. Before it is known which of them are judged, so that the draw depends on the table alone.

    Parameters
    ----------
    table
        Columns patch_id, slide_id, label and magnification.
    most
        Patches of each slide and class; 0 takes all. Where slides are not known, all patches are taken.
    seed
        From which the order is derived: the same at every magnification, so that the same places are drawn, as far as
        they can be used at all of them.
    """
    if not most:
        return pd.Series(data=True, index=table.index)
    order = table["patch_id"].map(lambda patch_id: derive(seed, "drawn", patch_id))
    place = order.groupby([table[key] for key in ("magnification", "slide_id", "label")]).rank(method="first")
    return (place <= most) | (table["slide_id"] == "")


def _rng(seed: int, use: str, name: tuple[str, float]) -> np.random.Generator:
    return np.random.default_rng(derive(seed, use, *name))


def scores_of(networks: Together[str], device: torch.device, images: Sequence[Float32Array]) -> dict[str, Float64Array]:
    """Return each network's logits (N, 2) of altered images (H, W, 3) in [0, 1], few at a time."""
    found: dict[str, list[Float64Array]] = {network: [np.empty((0, 2))] for network in networks}
    for start in range(0, len(images), _IN_FLIGHT):
        batch = torch.from_numpy(np.stack(images[start : start + _IN_FLIGHT])).to(device).permute(0, 3, 1, 2)
        scores = networks.logits(batch.contiguous(memory_format=torch.channels_last))
        for network, logits in scores.items():
            found[network].append(logits.double().cpu().numpy())
    return {network: np.concatenate(parts) for network, parts in found.items()}
