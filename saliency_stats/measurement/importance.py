"""What networks use, known exactly: their log-odds when one compartment of a phantom is drawn as the other class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import torch

from saliency_stats.attribution.replacement import as_floats
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.cohort.phantom.cohort import PhantomCohort
from saliency_stats.cohort.phantom.signals import other_class
from saliency_stats.measurement.asking import judged_of, log_odds, scores_of
from saliency_stats.measurement.examination import Examination
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.vocabulary import COMPARTMENT_CODES, TRAINED

_CHANGE: Final = ("model", "network", "compartment", "drawn", "area_share", "delta_logit", "delta_target")


@dataclass(frozen=True)
class Rerendering:
    """Draws the compartments of phantoms as the other class, one at a time, and asks the networks again.

    Parameters
    ----------
    cohort
        Whose patches are measured.
    min_confidence, min_area
        As of :class:`~saliency_stats.measurement.ablation.Ablations`: the same patches and compartments are asked
        about, as far as the phantom's own compartments are those that are found.
    """

    cohort: PhantomCohort
    min_confidence: float
    min_area: float

    def table(self, examined: Examination, networks: Mapping[str, Classifier], device: torch.device) -> pd.DataFrame:
        """Measure the importance of every compartment to every network, in one batch.

        Parameters
        ----------
        examined
            The batch; its table says which patches are ``replaced``.
        networks
            Trained networks by their names.

        Returns
        -------
        DataFrame
            ``importance``: a row per judged patch, network and compartment that can be drawn as either class and is
            not too small, with the patch's identity, the class that it is ``drawn`` as, and its ``area_share`` (of the
            phantom's truth). ``delta_logit`` is the log-odds of the class that is watched (its logit less that of the
            other class) in the patch as it is, less those with the compartment drawn as the other class: positive where
            the compartment speaks for the class. ``delta_target`` is the same of the watched logit alone, which maps
            explain and of which replacements take away.
        """
        logits = {network: examined.logits[NetworkKey(TRAINED, network)] for network in networks}
        drawn = examined.table["replaced"].to_numpy(dtype=bool)
        judged = judged_of(drawn, logits, examined.targets, self.min_confidence)
        rows: list[dict[str, Any]] = []
        for at in np.flatnonzero(np.any(list(judged.values()), axis=0)).tolist():
            scene = self.cohort.scene(int(examined.table.index[at]))
            truth = examined.patches[at].truth
            areas = {name: float(np.mean(truth == COMPARTMENT_CODES[name])) for name in scene.choices}
            large = {name: area for name, area in areas.items() if area > 0 and area >= self.min_area}
            images = [as_floats(scene.render({name: other_class(scene.classes[name])}).image) for name in large]
            identity: dict[str, Any] = {str(name): value for name, value in examined.identity.iloc[at].items()}
            for network in (name for name in networks if judged[name][at]):
                target = np.full(len(images), examined.targets[network][at])
                before = np.broadcast_to(logits[network][at], (len(images), 2))
                after = scores_of(networks[network], device, images)
                odds = log_odds(before, target) - log_odds(after, target)
                of_target = (before - after)[np.arange(len(images)), target]
                for (name, area), *changes in zip(large.items(), odds.tolist(), of_target.tolist(), strict=True):
                    what = (TRAINED, network, name, scene.classes[name], area, *changes)
                    rows.append(identity | dict(zip(_CHANGE, what, strict=True)))
        return pd.DataFrame(rows, columns=[*examined.identity.columns, *_CHANGE])
