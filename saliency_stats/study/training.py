"""The training stage: one classifier per magnification, and the controls that are trained on other labels."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from saliency_stats.classifier.densenet import save_weights
from saliency_stats.classifier.routes import train_classifier
from saliency_stats.cohort import Cohort
from saliency_stats.execution.device import release_memory
from saliency_stats.execution.files import atomic
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.saliency.controls import Control
from saliency_stats.saliency.networks import weights_path
from saliency_stats.seeds import derive
from saliency_stats.settings import StudySettings
from saliency_stats.study import parameters
from saliency_stats.vocabulary import TRAINED


def train_networks(
    settings: StudySettings, store: Store, cohort: Cohort, device: torch.device, progress: Progress, used: pd.DataFrame
) -> pd.DataFrame:
    """Train every network of a study that is not trained yet, and keep its weights in the run's folder.

    Parameters
    ----------
    settings
        The study.
    store
        The run's folder.
    cohort
        Where the patches are read.
    device
        Where the networks are trained.
    progress
        Where progress is shown.
    used
        Rows of the inspected table that can be used.

    Returns
    -------
    DataFrame
        ``training.csv``: a row per magnification, model and epoch.
    """
    trainer = _Trainer(settings, store, cohort, device, progress)
    logs = []
    for magnification in sorted(used["magnification"].unique().tolist()):
        part = used[used["magnification"] == magnification]
        logs.append(trainer.train(magnification, part, TRAINED))
        logs += [
            trainer.train(magnification, _relabelled(settings, part, magnification, control), control.name)
            for control in parameters.trained_controls(settings)
        ]
    return pd.concat(logs, ignore_index=True)


@dataclass(frozen=True)
class _Trainer:
    settings: StudySettings
    store: Store
    cohort: Cohort
    device: torch.device
    progress: Progress

    def train(self, magnification: float, part: pd.DataFrame, model_name: str) -> pd.DataFrame:
        stem = f"training-{magnification:g}x" if model_name == TRAINED else f"training-{model_name}-{magnification:g}x"
        log_path = self.store.work / f"{stem}.parquet"
        weights = weights_path(self.store.folder / "weights", magnification, model_name)
        if self.store.is_sealed(stem):
            return _named(pd.read_parquet(log_path), magnification, model_name)
        recipe = parameters.recipe_of(self.settings, magnification)
        train, valid = part[part["split"] == "train"], part[part["split"] == "valid"]
        if self.settings.cohort.evaluation_split == "valid":
            # the split that judges the classifier must not be looked at while it is trained
            valid = valid.iloc[:0]
        checkpoint = self.store.work / f"{stem}.checkpoint"
        title = f"train at {magnification:g}×" if model_name == TRAINED else f"train {model_name} at {magnification:g}×"
        with self.progress.stage(title, recipe.training.epochs * len(train)) as bar:
            model, log = train_classifier(
                recipe,
                self.cohort,
                train,
                valid,
                self.device,
                checkpoint=checkpoint,
                tick=bar.update,
                # the controls start from the same weights
                **({"say": self.progress.say} if model_name == TRAINED else {}),
            )
        with atomic(weights) as partial:
            save_weights(model, partial)
        with atomic(log_path) as partial:
            log.to_parquet(partial, index=False)
        self.store.seal(stem, [weights, log_path])
        checkpoint.unlink(missing_ok=True)
        del model
        release_memory()
        return _named(log, magnification, model_name)


def _named(log: pd.DataFrame, magnification: float, model: str) -> pd.DataFrame:
    return pd.concat([pd.DataFrame({"magnification": magnification, "model": model}, index=log.index), log], axis=1)


def _relabelled(settings: StudySettings, part: pd.DataFrame, magnification: float, control: Control) -> pd.DataFrame:
    """Give the patches of each split that is learned from each other's labels."""
    permuted = part.copy()
    for split in ("train", "valid"):
        rows = part.index[part["split"] == split]
        seed = derive(settings.seed, control.name, split, magnification)
        assert control.relabel is not None
        order = control.relabel(np.arange(len(rows)), seed)
        permuted.loc[rows, "label"] = part.loc[rows, "label"].to_numpy()[order]
    return permuted
