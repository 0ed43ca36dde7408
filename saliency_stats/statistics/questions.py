"""What a study asks of its patches: every contrast, of every network and map, in every stratum (pure pandas)."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.statistics.parameters import PRIMARY
from saliency_stats.statistics.pictures import CENTRED
from saliency_stats.statistics.selection import ALL_PATCHES, CHOSEN, JUDGED, UNSURE, Population, without_network
from saliency_stats.statistics.values import CONTRASTS, paired_difference, values_of
from saliency_stats.typing import IndexArray
from saliency_stats.vocabulary import LABELS, NETWORK, TRAINED

_BENIGN, _MALIGNANT = LABELS
#: Label of the rows that compare the classes.
BOTH_LABELS: Final = f"{_MALIGNANT}-{_BENIGN}"
#: What names a sample besides its contrast.
STRATUM: Final = ("label", "magnification", "model", "method", "reduction")
_SETTING: Final = ["magnification", "method", "reduction"]


@dataclass(frozen=True, eq=False)
class Question:
    """One sample of patches, what names it in the table, and what is asked of it.

    ``hypothesis`` is its name in the families, ``n_selected`` how many patches could have been in it, ``versus`` the
    magnification that its own is compared with, ``group`` the column and the pair that are compared, if any,
    ``population`` which patches are asked about. ``take`` puts the sample together.
    """

    contrast: str
    label: str
    magnification: Any  # a number, or the name a study gives it
    model: str
    method: str
    reduction: str
    hypothesis: str
    take: Callable[[], pd.DataFrame]
    n_selected: int
    versus: float | None = None
    group: tuple[str, tuple[str, str]] | None = None
    population: str = JUDGED

    @property
    def patches(self) -> pd.DataFrame:
        """The sample, put together whenever it is asked for: those of all questions together would fill a memory."""
        return self.take()

    @property
    def together(self) -> tuple[str, ...]:
        """What it is corrected together with, of one family: the questions of its own map and population."""
        return self.method, self.reduction, self.population


@dataclass(frozen=True, eq=False)
class Samples:
    """Values of all patches of a split, and where those of each stratum stand among them.

    ``wide`` is as :func:`~saliency_stats.statistics.values.wide_values` gives it, with a column ``chosen``.
    """

    wide: pd.DataFrame

    @cached_property
    def places(self) -> dict[Hashable, IndexArray]:
        """Rows by what became of them, and stratum."""
        found = self.wide.groupby([CHOSEN, *STRATUM], sort=False, observed=True).indices
        return {stratum: np.asarray(rows, dtype=np.intp) for stratum, rows in found.items()}

    @cached_property
    def models(self) -> dict[str, set[Any]]:
        """Models with a value, of the judged patches and of all."""
        found = self.wide[[CHOSEN, "model"]].drop_duplicates()
        return {JUDGED: set(found.loc[found[CHOSEN] == JUDGED, "model"]), ALL_PATCHES: set(found["model"])}

    def take(self, contrast: str, strata: Iterable[tuple[Any, ...]], population: str = JUDGED) -> pd.DataFrame:
        """Return the values of a contrast in some strata, of the patches ``judged``, ``unsure`` or all."""
        parts = ("", UNSURE, JUDGED) if population == ALL_PATCHES else (population,)
        found = [self.places[key] for stratum in strata for part in parts if (key := (part, *stratum)) in self.places]
        places = np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.intp)
        return values_of(self.wide.take(places), contrast)


def questions(
    samples: Samples,
    beside: Mapping[str, Samples],
    strata: pd.DataFrame,
    population: Population,
    reference: float,
) -> list[Question]:
    """List every question of a study.

    Parameters
    ----------
    samples : Samples
        Values of the ledger's contrasts.
    beside : mapping
        Values of other contrasts of the judged patches, by the name of the contrast.
    strata : DataFrame
        Every magnification, model, method and reduction of the ledger.
    reference : float
        Magnification that the others are compared with.
    """
    judged = population.of_any_network
    return [
        *_own(samples, beside, strata, judged),
        *_controls(samples, strata, judged, JUDGED),
        *_classes(samples, strata, judged),
        *_confidence(samples, strata, judged, without_network(population.unsure)),
        *_magnifications(samples, strata, judged, reference),
        *_all_patches(samples, strata, without_network(population.evaluated)),
    ]


def _own(
    samples: Samples, beside: Mapping[str, Samples], strata: pd.DataFrame, judged: pd.DataFrame
) -> Iterable[Question]:
    for mag, model, method, reduction in strata.itertuples(index=False, name=None):
        for contrast in (*CONTRASTS, *sorted(beside)):
            hypothesis = _hypothesis(contrast) if model == TRAINED else "control_contrasts"
            for label in LABELS:
                fixed = (contrast, label, mag, model, method, reduction)
                take = partial(beside.get(contrast, samples).take, contrast, [fixed[1:]])
                yield Question(*fixed, hypothesis, take, _count(judged, mag, label))


def _all_patches(samples: Samples, strata: pd.DataFrame, evaluated: pd.DataFrame) -> Iterable[Question]:
    """Ask about all patches of the split: how much hangs on the choice of the judged ones."""
    for mag, method, reduction in _of_trained(strata):
        for label in LABELS:
            stratum = (label, mag, TRAINED, method, reduction)
            take = partial(samples.take, PRIMARY, [stratum], ALL_PATCHES)
            n = _count(evaluated, mag, label)
            yield Question(PRIMARY, *stratum, "all_test_patches", take, n, population=ALL_PATCHES)
    for question in _controls(samples, strata, evaluated, ALL_PATCHES):
        yield replace(question, hypothesis="all_test_patches")


def _controls(samples: Samples, strata: pd.DataFrame, judged: pd.DataFrame, population: str) -> Iterable[Question]:
    trained = list(_of_trained(strata))
    maps = list(dict.fromkeys(setting[1:] for setting in trained))
    for control, found in strata[strata["model"] != TRAINED].groupby("model"):
        # a map of the image alone has no method of its own: it is compared with the trained model's only one
        alone = set(found["method"]) == {control} and len(maps) == 1
        comparable = {TRAINED, control} <= samples.models[population]
        for mag, *of_map in found[_SETTING].itertuples(index=False, name=None):
            method, reduction = maps[0] if alone else of_map
            for label in LABELS if (mag, method, reduction) in trained else ():
                stratum = (label, mag, TRAINED, method, reduction)
                take = partial(samples.take, PRIMARY, [])
                if comparable:
                    take = partial(_less_control, samples, stratum, (label, mag, str(control), *of_map), population)
                fixed = (PRIMARY, label, mag, f"{TRAINED}-{control}", method, reduction)
                n = _count(judged, mag, label)
                yield Question(*fixed, "trained_vs_control", take, n, population=population)


def _less_control(
    samples: Samples, stratum: tuple[Any, ...], of_control: tuple[Any, ...], population: str
) -> pd.DataFrame:
    """Subtract a control's values from the trained model's, patch by patch; its map may bear another name."""
    first, second = (samples.take(PRIMARY, [one], population) for one in (stratum, of_control))
    control = of_control[2]
    paired = paired_difference(first, second, ["patch_id", "magnification", NETWORK], control)
    return paired.assign(model=f"{TRAINED}-{control}")


def _classes(samples: Samples, strata: pd.DataFrame, judged: pd.DataFrame) -> Iterable[Question]:
    contrast = "malignant_vs_benign"
    for mag, method, reduction in _of_trained(strata):
        fixed = (contrast, BOTH_LABELS, mag, TRAINED, method, reduction, contrast)
        take = partial(samples.take, PRIMARY, [(label, mag, TRAINED, method, reduction) for label in LABELS])
        yield Question(*fixed, take, _count(judged, mag), group=("label", (_MALIGNANT, _BENIGN)))


def _confidence(
    samples: Samples, strata: pd.DataFrame, judged: pd.DataFrame, unsure: pd.DataFrame
) -> Iterable[Question]:
    contrast = "confident_vs_unsure"
    for mag, method, reduction in _of_trained(strata):
        for label in LABELS:
            n = _count(judged, mag, label) + _count(unsure, mag, label)
            stratum = (label, mag, TRAINED, method, reduction)
            group = ("confidence", ("confident", "unsure"))
            yield Question(contrast, *stratum, contrast, partial(_by_confidence, samples, stratum), n, group=group)


def _by_confidence(samples: Samples, stratum: tuple[Any, ...]) -> pd.DataFrame:
    parts = {"confident": JUDGED, "unsure": UNSURE}
    return pd.concat(samples.take(PRIMARY, [stratum], part).assign(confidence=name) for name, part in parts.items())


def _magnifications(
    samples: Samples, strata: pd.DataFrame, judged: pd.DataFrame, reference: float
) -> Iterable[Question]:
    contrast = "magnification_vs_reference"
    settings = list(_of_trained(strata))
    if len({mag for mag, *_ in settings}) == 1:
        return
    for mag, method, reduction in settings:
        for label in LABELS if mag != reference else ():
            stratum = (label, mag, TRAINED, method, reduction)
            take = partial(_less_reference, samples, stratum, reference)
            yield Question(contrast, *stratum, contrast, take, _count(judged, mag, label), versus=reference)


def _less_reference(samples: Samples, stratum: tuple[Any, ...], reference: float) -> pd.DataFrame:
    label, _, *of_map = stratum
    first, second = (samples.take(PRIMARY, [one]) for one in (stratum, (label, reference, *of_map)))
    return paired_difference(first, second, ["patch_id", NETWORK], f"{reference:g}×")


def _of_trained(strata: pd.DataFrame) -> Iterable[tuple[Any, str, str]]:
    """Yield every magnification, method and reduction of the trained model."""
    yield from strata.loc[strata["model"] == TRAINED, _SETTING].itertuples(index=False, name=None)


def _count(patches: pd.DataFrame, magnification: Any, label: str | None = None) -> int:
    chosen = patches["magnification"] == magnification
    return int((chosen if label is None else chosen & (patches["label"] == label)).sum())


def _hypothesis(contrast: str) -> str:
    """Name the hypothesis that families know a contrast of the trained network by."""
    return contrast if contrast in (*CONTRASTS, CENTRED) else "matched"
