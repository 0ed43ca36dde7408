"""The registry of controls: what saliency looks like where nothing was learned, or where there is no network at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from saliency_stats.classifier.densenet import PARTS
from saliency_stats.classifier.protocol import Classifier
from saliency_stats.errors import StudyError
from saliency_stats.execution import custom
from saliency_stats.saliency.control_networks import cascading, permuted_labels, randomised
from saliency_stats.saliency.image_maps import eosin, haematoxylin, sobel
from saliency_stats.saliency.shifts import shifted
from saliency_stats.typing import Float32Array, IndexArray

Group = Literal["networks", "images alone", "spatial null"]
_WAYS: Final = ("build", "relabel", "map", "move")


@dataclass(frozen=True, kw_only=True)
class Control:
    """A control: what stands beside the trained network, and how it is made. Exactly one of the four ways is given.

    Parameters
    ----------
    name
        What a study file calls it.
    group
        Where the figure of all controls puts it.
    words
        What it is, for a reader.
    models
        What the tables call its rows, and what a row of the figure is called.
    build
        Makes control networks from the trained one and a seed: ``(network, seed) -> {model: network}``.
    relabel
        Permutes the labels that a network of its own is trained on: ``(labels (N,), seed) -> labels (N,)``.
    map
        Makes a map from the image alone: ``(image (H, W, 3) uint8, stains (2, H, W)) -> (H, W)``.
    move
        Moves the trained network's map: ``(map (H, W), generator) -> (H, W)``.
    by_part
        Names the models of a network with other parts than DenseNet's.
    every_method
        Whether every attribution method explains its networks, not the study's own alone.
    learned_nothing
        Whether its networks learned nothing of the classes: what the trained one must surpass to be supported.
    shown
        Whether the main figures show it beside the trained network; else the figure of all controls alone does.

    Raises
    ------
    ValueError
        Unless it is made in exactly one way.
    """

    name: str
    group: Group
    words: str
    models: dict[str, str]
    build: Callable[[Classifier, int], dict[str, Classifier]] | None = None
    relabel: Callable[[IndexArray, int], IndexArray] | None = None
    map: Callable[[Any, Any], Float32Array] | None = None
    move: Callable[[Any, np.random.Generator], Any] | None = None
    by_part: Callable[[Sequence[str]], dict[str, str]] | None = None
    every_method: bool = False
    shown: bool = False
    learned_nothing: bool = False

    def __post_init__(self) -> None:
        if sum(getattr(self, way) is not None for way in _WAYS) != 1:
            raise ValueError(f"control {self.name}: expected exactly one of {', '.join(_WAYS)}")

    def on(self, parts: Sequence[str]) -> "Control":
        """Return the control of a network with these parts, from the top."""
        return self if self.by_part is None else replace(self, models=self.by_part(parts))

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of its networks; each sees every measured patch."""
        return tuple(self.models) if self.needs_network else ()

    @property
    def needs_network(self) -> bool:
        """Whether it is made of a network that can be run or trained."""
        return self.build is not None or self.relabel is not None


def _image(name: str, words: str, function: Callable[[Any, Any], Float32Array]) -> Control:
    return Control(
        name=name,
        group="images alone",
        words="images alone: edges or stain, without any network",
        models={name: words},
        map=function,
    )


def _cascade(trained: Classifier, seed: int) -> dict[str, Classifier]:
    return {f"cascading_{depth}": cascading(trained, depth, seed) for depth in range(1, len(trained.parts) + 1)}


def _cascade_words(parts: Sequence[str]) -> dict[str, str]:
    words = [part if at == 1 else f"+ {part}{' (all)' * (at == len(parts))}" for at, part in enumerate(parts, start=1)]
    return {f"cascading_{at}": f"cascading {at}: {what}" for at, what in enumerate(words, start=1)}


_USUAL: Final = (
    Control(
        name="randomised",
        group="networks",
        words="randomised: the same architecture with random weights",
        models={"randomised": "randomised"},
        build=lambda trained, seed: {"randomised": randomised(trained, seed)},
        every_method=True,
        shown=True,
        learned_nothing=True,
    ),
    Control(
        name="cascading",
        group="networks",
        words="cascading: the trained network with ever more of it re-initialised from the top",
        models=_cascade_words(tuple(PARTS)),
        build=_cascade,
        by_part=_cascade_words,
    ),
    Control(
        name="shuffled",
        group="networks",
        words="shuffled: trained on permuted labels",
        models={"shuffled": "shuffled"},
        relabel=permuted_labels,
        shown=True,
        learned_nothing=True,
    ),
    _image("sobel", "edges (Sobel)", sobel),
    _image("haematoxylin", "haematoxylin", haematoxylin),
    _image("eosin", "eosin", eosin),
    Control(
        name="shift",
        group="spatial null",
        words="shifted map: the trained network’s own map, moved to a random place of the patch",
        models={"shift": "shifted map"},
        move=shifted,
    ),
)
#: Control by name, in the order of figures. To add one, put a :class:`Control` here: settings, words and costs follow.
CONTROLS: Final[dict[str, Control]] = {control.name: control for control in _USUAL}


def control_of(name: str) -> Control:
    """Return a control by its name in a study file; ``python:package.module:Class`` is a map of the image alone.

    Raises
    ------
    StudyError
        If it is a class of the user's own that cannot be loaded or lacks what an image control needs.
    KeyError
        If there is no such control.
    """
    if not custom.is_custom(name):
        return CONTROLS[name]
    made = custom.load(name)
    custom.require(name, made, ("name", "map"), "map(image (H, W, 3), stains (2, H, W)) -> array (H, W)")
    if made.name in CONTROLS:
        raise StudyError(f"{name}: its name {made.name!r} is that of another control; choose another name")
    return _image(made.name, str(getattr(made, "words", made.name)), made.map)
