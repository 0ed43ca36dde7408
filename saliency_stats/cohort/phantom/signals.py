"""What tells the classes of a phantom apart: every signal by its name, and each compartment's looks as either class."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from saliency_stats.cohort.phantom.painting import Phenotype
from saliency_stats.vocabulary import LABELS, TISSUE

#: At strength 1 the phenotypes of the two classes lie in [0, 0.3] and [0.7, 1].
_SEPARATION: Final = 0.7
#: Compartments that carry no signal vary in this middle part of their phenotypes, in both classes alike.
_NUISANCE: Final = (0.25, 0.75)
#: The share of patches whose background looks like their class, where it is correlated with the class.
_CORRELATED: Final = 0.8
#: Suppressor, as natural logarithms of stain: half the range over which it varies from patch to patch, and how much
#: darker (malignant) or paler (benign) the cytoplasm is stained than the nuclei.
_STAINING, _DARKER = 0.8, 0.4
_BENIGN, _MALIGNANT = LABELS


@dataclass(frozen=True)
class Choice:
    """One compartment of a scene: how it looks as either class, and which of them it is drawn as.

    Parameters
    ----------
    drawn
        A class of ``LABELS``.
    looks
        By class, values of fields of ``Phenotype``.
    """

    drawn: str
    looks: Mapping[str, Mapping[str, float]]


#: What is chosen of a scene, by compartment.
Choices: TypeAlias = dict[str, Choice]
#: Of a generator, the label, the strength, and where in [0, 1] each compartment of the tissue lies: the compartments
#: that tell the classes apart. What it asks the generator for does not depend on the label.
Plant: TypeAlias = Callable[[np.random.Generator, str, float, Mapping[str, float]], Choices]


@dataclass(frozen=True)
class Signal:
    """A way in which the classes differ: its name, what differs (after "differ in:"), and how it is planted."""

    name: str
    words: str
    plant: Plant


def other_class(label: str) -> str:
    """Return the class that ``label`` is not."""
    return LABELS[1 - LABELS.index(label)]


def choose(signal: str, rng: np.random.Generator, label: str, strength: float) -> Choices:
    """Draw how every compartment of a scene looks, as either class.

    In a compartment that carries no signal the two classes are the lower and the upper half of the range over which it
    varies, and chance decides which it is drawn as, whatever the label.
    """
    place = dict(zip(TISSUE, rng.uniform(0, 1, len(TISSUE)).tolist(), strict=True))
    by_chance = {name: _by_chance(name, at) for name, at in place.items()}
    return by_chance | SIGNALS[signal].plant(rng, label, strength, place)


def phenotype(choices: Choices, classes: Mapping[str, str] | None = None) -> Phenotype:
    """Return the appearance of a scene, some compartments drawn as these ``classes`` and not as their own."""
    drawn = {name: choice.drawn for name, choice in choices.items()} | dict(classes or {})
    return Phenotype(**{field: value for name, of in drawn.items() for field, value in choices[name].looks[of].items()})


def _between(place: float) -> float:
    low, high = _NUISANCE
    return low + (high - low) * place


def _by_chance(name: str, place: float) -> Choice:
    upper = place >= 0.5  # noqa: PLR2004  (half of the range)
    drawn = LABELS[upper]
    across = place - 0.5 if upper else place + 0.5
    return Choice(drawn, {drawn: {name: _between(place)}, other_class(drawn): {name: _between(across)}})


def _carries(name: str, place: float, strength: float, drawn: str) -> Choice:
    """Look from the common range at strength 0 to one end of the whole range at strength 1."""
    shift = _SEPARATION * strength
    looks = {}
    for index, label in enumerate(LABELS):
        value = _between(place)
        apart = place * (1 - shift) + shift * index
        looks[label] = {name: value + strength * (apart - value)}
    return Choice(drawn, looks)


def _each(
    names: tuple[str, ...], _rng: np.random.Generator, label: str, strength: float, place: Mapping[str, float]
) -> Choices:
    """Draw each of these compartments as the label."""
    return {name: _carries(name, place[name], strength, label) for name in names}


def _xor(rng: np.random.Generator, label: str, strength: float, place: Mapping[str, float]) -> Choices:
    """Draw two compartments as different classes where the label is malignant, as the same where it is benign."""
    nucleus = LABELS[rng.uniform() < 0.5]  # noqa: PLR2004  (a fair coin)
    cytoplasm = nucleus if label == _BENIGN else other_class(nucleus)
    drawn = {"nucleus": nucleus, "cytoplasm": cytoplasm}
    return {name: _carries(name, place[name], strength, of) for name, of in drawn.items()}


def _suppressor(rng: np.random.Generator, label: str, strength: float, place: Mapping[str, float]) -> Choices:
    """Let the cytoplasm's darkness tell the label beside that of the nuclei, which is independent of it.

    Drawn as the other class, either is stained so that the two together are as in the other class. Nuclei are then up
    to 2.2 times paler or darker than the range of the cohort's (at strength 1).
    """
    staining = rng.uniform(-_STAINING, _STAINING)
    step = _DARKER * strength * (1 if label == _MALIGNANT else -1)
    looks = {"nucleus": (staining, staining + 2 * step), "cytoplasm": (staining + step, staining - step)}
    return {
        name: Choice(
            label,
            {
                of: {name: _between(place[name]), f"{name}_stain": float(np.exp(darkness))}
                for of, darkness in zip((label, other_class(label)), both, strict=True)
            },
        )
        for name, both in looks.items()
    }


def _background(rng: np.random.Generator, label: str, strength: float, place: Mapping[str, float]) -> Choices:
    """Draw the cytoplasm as the label, and in most patches the background too."""
    of = label if rng.uniform() < _CORRELATED else other_class(label)
    background = _carries("background", float(rng.uniform()), strength, of)
    return {"cytoplasm": _carries("cytoplasm", place["cytoplasm"], strength, label), "background": background}


#: To add one, name it here: the study file, its template, its messages and the report follow.
SIGNALS: Final[dict[str, Signal]] = {
    one.name: one
    for one in (
        *(Signal(name, name, partial(_each, (name,))) for name in ("cytoplasm", "nucleus", "stroma")),
        Signal("none", "nothing", partial(_each, ())),
        Signal(
            "redundant", "nucleus and cytoplasm, either of which is enough", partial(_each, ("nucleus", "cytoplasm"))
        ),
        Signal("xor", "nucleus and cytoplasm together, neither of which tells it alone", _xor),
        Signal("suppressor", "how dark the cytoplasm is beside the nuclei, which alone tell nothing", _suppressor),
        Signal("background", f"cytoplasm, and the background in {100 * _CORRELATED:g} % of the patches", _background),
    )
}
