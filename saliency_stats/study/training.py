"""The training stage: classifiers per magnification and fold, and the controls that are trained on other labels."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from saliency_stats.classifier.head import Activations
from saliency_stats.classifier.routes import Recipe, train_classifier
from saliency_stats.classifier.saved import save_weights
from saliency_stats.classifier.training import LOG_COLUMNS
from saliency_stats.cohort import Cohort
from saliency_stats.execution.device import reused_memory
from saliency_stats.execution.engine import Engine
from saliency_stats.execution.files import atomic
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.saliency.controls import Control
from saliency_stats.saliency.naming import NetworkKey, network_names, network_seed, stem_of
from saliency_stats.saliency.networks import weights_path
from saliency_stats.settings import StudySettings
from saliency_stats.study import parameters
from saliency_stats.vocabulary import TRAINED

#: Of a study without folds and of one with them.
_FIRST = tuple(NetworkKey(TRAINED, network_names(1, fold)[0]) for fold in (0, 1))


def train_networks(
    settings: StudySettings,
    store: Store,
    cohort: Cohort,
    device: torch.device,
    progress: Progress,
    used: pd.DataFrame,
    engine: Engine | None = None,
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
    engine
        Trains several at a time if its workers can; else one is trained after the other in this process.

    Returns
    -------
    DataFrame
        ``training.csv``: a row per magnification, model, network and epoch; none where there is no network.
    """
    if not settings.classifier.is_network:
        return pd.DataFrame(columns=["magnification", *NetworkKey._fields, *LOG_COLUMNS])
    tables = parameters.folding_of(settings).tables(used)
    models = (TRAINED, *(control.name for control in parameters.trained_controls(settings)))
    asked = [
        _Asked(magnification, fold, NetworkKey(model, network))
        for magnification in sorted(used["magnification"].unique().tolist())
        for fold in tables
        for network in network_names(settings.classifier.networks, fold)
        for model in models
    ]
    trainer = _Trainer(settings, store, cohort, device, tables, torch.get_num_threads())
    if engine is None or not engine.trains:
        return pd.concat([trainer.train(one, progress, progress.say) for one in asked], ignore_index=True)
    logs = []
    with progress.stage("train", len(asked), "network") as bar, closing(engine.map(trainer, asked)) as results:
        for log, said in results:
            for line in said:
                progress.say(line)
            logs.append(log)
            bar.update(1)
    return pd.concat(logs, ignore_index=True)


class _Asked(NamedTuple):
    """A network that is to be trained: one of the study's, or a control beside it."""

    magnification: float
    fold: int
    key: NetworkKey


@dataclass(frozen=True)
class _Trainer:
    settings: StudySettings
    store: Store
    cohort: Cohort
    device: torch.device
    #: Per fold, what is learned from.
    tables: Mapping[int, pd.DataFrame]
    #: Of torch, on which the last digits of the weights depend.
    threads: int
    #: Those of the last backbone, under what it follows from.
    activations: dict[tuple[float, int | None], Activations] = field(default_factory=dict)

    def __call__(self, asked: _Asked) -> tuple[pd.DataFrame, list[str]]:
        """Train one in a process of its own, as this one would; returns its log and what is to be said of it."""
        torch.set_num_threads(self.threads)
        said: list[str] = []
        return self.train(asked, Progress(show=False), said.append), said

    def train(self, asked: _Asked, progress: Progress, say: Callable[[str], object]) -> pd.DataFrame:
        magnification, key = asked.magnification, asked.key
        part = self._part(asked)
        stem = f"training-{stem_of(*key)}-{magnification:g}x".replace(f"-{TRAINED}", "")
        log_path = self.store.work / f"{stem}.parquet"
        weights = weights_path(self.store.folder / "weights", magnification, *key)
        if self.store.is_sealed(stem):
            return _named(pd.read_parquet(log_path), magnification, key)
        recipe = parameters.recipe_of(self.settings, magnification, key.network)
        train, valid = part[part["split"] == "train"], part[part["split"] == "valid"]
        if self.settings.cohort.evaluation_split == "valid":
            # the split that judges the classifier must not be looked at while it is trained
            valid = valid.iloc[:0]
        checkpoint = self.store.work / f"{stem}.checkpoint"
        activations = self._activations(recipe, magnification, part, [train, valid])
        total = recipe.training.epochs * len(train) + activations.n_waiting * (recipe.trainable == "head")
        with progress.stage(self._title(key, magnification), total) as bar, reused_memory():
            model, log = train_classifier(
                recipe,
                self.cohort,
                train,
                valid,
                self.device,
                activations=activations,
                checkpoint=checkpoint,
                tick=bar.update,
                # all others start from the same weights
                **({"say": say} if key in _FIRST else {}),
            )
        with atomic(weights) as partial:
            save_weights(model, partial)
        with atomic(log_path) as partial:
            log.to_parquet(partial, index=False)
        self.store.seal(stem, [weights, log_path])
        checkpoint.unlink(missing_ok=True)
        return _named(log, magnification, key)

    def _part(self, asked: _Asked) -> pd.DataFrame:
        table = self.tables[asked.fold]
        part = table[table["magnification"] == asked.magnification]
        controls = [one for one in parameters.trained_controls(self.settings) if one.name == asked.key.model]
        for control in controls:
            part = _relabelled(self.settings, part, asked.magnification, control, asked.key.network)
        return part

    def _activations(
        self, recipe: Recipe, magnification: float, part: pd.DataFrame, learned: list[pd.DataFrame]
    ) -> Activations:
        """Return what the backbone makes of the patches: the same for all networks that start from one file."""
        # a factory may return other weights for another seed
        random = recipe.weights in {"none", "own"}
        backbone = (magnification, recipe.seed if random else None)
        if backbone not in self.activations:
            self.activations.clear()
            # what one fold is judged by, the others learn from
            together = [part] if self.settings.cohort.folds and not random else learned
            self.activations[backbone] = Activations(together)
        return self.activations[backbone]

    def _title(self, key: NetworkKey, magnification: float) -> str:
        model = "" if key.model == TRAINED else f" {key.model}"
        names = parameters.all_networks(self.settings)
        which = f" network {names.index(key.network) + 1} of {len(names)}" if len(names) > 1 else ""
        return f"train{model}{which} at {magnification:g}×"


def _named(log: pd.DataFrame, magnification: float, key: NetworkKey) -> pd.DataFrame:
    names = pd.DataFrame({"magnification": magnification, **key._asdict()}, index=log.index)
    return pd.concat([names, log], axis=1)


def _relabelled(
    settings: StudySettings, part: pd.DataFrame, magnification: float, control: Control, network: str
) -> pd.DataFrame:
    """Give the patches of each split that is learned from each other's labels."""
    permuted = part.copy()
    for split in ("train", "valid"):
        rows = part.index[part["split"] == split]
        seed = network_seed(settings.network_seed, control.name, split, magnification, network=network)
        assert control.relabel is not None
        order = control.relabel(np.arange(len(rows)), seed)
        permuted.loc[rows, "label"] = part.loc[rows, "label"].to_numpy()[order]
    return permuted
