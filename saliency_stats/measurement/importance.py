"""What networks use, known exactly: their log-odds when one compartment of a phantom is drawn as the other class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import torch

from saliency_stats.attribution.replacement import as_floats
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.classifier.together import Together
from saliency_stats.cohort.phantom.cohort import PhantomCohort
from saliency_stats.cohort.phantom.signals import other_class
from saliency_stats.measurement.ablation import scores_of
from saliency_stats.measurement.examination import Examination
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.vocabulary import COMPARTMENT_CODES, LABELS, TRAINED

_CHANGE: Final = ("model", "network", "compartment", "drawn", "area_share", "delta_logit", "delta_target")


@dataclass(frozen=True)
class Rerendering:
    """Draws the compartments of phantoms as the other class, one at a time, and asks the networks again.

    Of all patches that are drawn for replacement, whatever the networks make of them: among those that a network gets
    right, a compartment that it uses but that tells nothing was more often drawn in favour of their class, by chance,
    and would seem to speak for it.

    Parameters
    ----------
    cohort
        Whose patches are measured.
    min_area
        Share of a patch below which a compartment is missing from it.
    """

    cohort: PhantomCohort
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
            ``importance``: a row per replaced patch, network and compartment that can be drawn as either class and is
            not missing, with the patch's identity, the class that the compartment is ``drawn`` as, and its
            ``area_share`` (of the phantom's truth). ``delta_logit`` is the log-odds of the patch's label (its logit
            less that of the other class) in the patch as it is, less those with the compartment drawn as the other
            class: positive where the compartment speaks for the label. ``delta_target`` is the fall of that one logit
            which maps explain and replacements take away from.
        """
        rows: list[dict[str, Any]] = []
        together = Together.of(networks)
        for at in np.flatnonzero(examined.table["replaced"]).tolist():
            identity: dict[str, Any] = {str(name): value for name, value in examined.identity.iloc[at].items()}
            label = LABELS.index(identity["label"])
            scene, truth = self.cohort.scene(int(examined.table.index[at])), examined.patches[at].truth
            areas = {name: float(np.mean(truth == COMPARTMENT_CODES[name])) for name in scene.choices}
            present = {name: area for name, area in areas.items() if area and area >= self.min_area}
            images = [as_floats(scene.render({name: other_class(scene.classes[name])}).image) for name in present]
            for network, after in scores_of(together, device, images).items():
                falls = examined.logits[NetworkKey(TRAINED, network)][at] - after
                target = examined.targets[network][at]
                for (name, area), fall in zip(present.items(), falls, strict=True):
                    changes = float(fall[label] - fall[1 - label]), float(fall[target])
                    what = (TRAINED, network, name, scene.classes[name], area, *changes)
                    rows.append(identity | dict(zip(_CHANGE, what, strict=True)))
        return pd.DataFrame(rows, columns=[*examined.identity.columns, *_CHANGE])
