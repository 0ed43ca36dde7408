"""Which outputs of a network stand for which of the two classes, and how several become one logit."""

from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn

from saliency_stats.classes import Classes
from saliency_stats.errors import StudyError
from saliency_stats.vocabulary import LABELS

#: Outputs from which on a list of all is not read.
_READABLE: Final = 10


@dataclass(frozen=True)
class Outputs:
    """Numbers of the outputs, from 0, that stand for each class.

    Parameters
    ----------
    benign, malignant
        At least one each, none twice. Outputs that neither names are left out: probabilities are then those of the
        named classes alone.
    names
        What people call the two classes.

    Raises
    ------
    StudyError
        If a class has no output, or an output stands for both.
    """

    benign: tuple[int, ...] = (0,)
    malignant: tuple[int, ...] = (1,)
    names: tuple[str, str] = field(default=LABELS, compare=False)

    def __post_init__(self) -> None:
        named = [*self.benign, *self.malignant]
        if not self.benign or not self.malignant or len(set(named)) < len(named) or min(named) < 0:
            raise StudyError(
                f"cohort.classes: benign has the outputs {list(self.benign)}, malignant {list(self.malignant)}; "
                "expected at least one each, from 0, and none twice"
            )

    @classmethod
    def of(cls, classes: Classes, *, own: bool = True) -> "Outputs":
        """Return those a study file names for a network that brings its own; else, and of none, they are 0 and 1."""
        stated = classes.outputs if own and all(classes.outputs) else (cls.benign, cls.malignant)
        return cls(*stated, classes.names)

    @property
    def least(self) -> int:
        """How many outputs a network must have."""
        return 1 + max(*self.benign, *self.malignant)

    @property
    def stated(self) -> bool:
        """Whether a study file names other outputs than 0 and 1."""
        return self != Outputs()

    def labels(self, n_outputs: int) -> str:
        """Name the class of each output, as files of weights do: "benign,malignant"; nothing for one left out."""
        of = dict.fromkeys(self.benign, LABELS[0]) | dict.fromkeys(self.malignant, LABELS[1])
        return ",".join(of.get(number, "") for number in range(n_outputs))

    def words(self, n_outputs: int) -> str:
        """List the classes of outputs for people: "benign, benign and malignant"."""
        names = dict(zip(LABELS, self.names, strict=True))
        *first, last = [names.get(label, "neither") for label in self.labels(n_outputs).split(",")]
        return f"{', '.join(first)} and {last}"

    def fault(self, n_outputs: int) -> str:
        """Say why a network with so many outputs does not fit; empty where it does."""
        if n_outputs == 1:
            return (
                "returns one number per image; expected a logit for each class. Of one logit z of the class "
                f"{self.names[1]} return (0, z)"
            )
        if n_outputs < self.least:
            return f"has {n_outputs} outputs, numbered from 0; cohort.classes names output {self.least - 1}"
        if n_outputs > len(LABELS) and not self.stated:
            first, second = self.names
            example = f", for example {{{first}: [0], {second}: {list(range(1, n_outputs))}}}"
            return (
                f"has {n_outputs} outputs; expected 2, {' and '.join(self.names)}. Say in cohort.classes which outputs "
                f"stand for which class{example if n_outputs < _READABLE else ''}"
            )
        return ""

    def left_out(self, n_outputs: int) -> list[int]:
        """Name the outputs that stand for no class."""
        return [number for number in range(n_outputs) if number not in {*self.benign, *self.malignant}]


class Grouping(nn.Module):
    """From logits (N, K) of outputs to logits (N, 2) of classes: the log of the summed exponentials.

    So the softmax of the two is the sum of the members' softmax probabilities, among the outputs that are named.
    """

    def __init__(self, outputs: Outputs, n_outputs: int) -> None:
        super().__init__()
        self.members = (list(outputs.benign), list(outputs.malignant))
        self.as_they_are = n_outputs == len(LABELS) and not outputs.stated

    def forward(self, logits: Tensor) -> Tensor:
        """Group the outputs of N images."""
        if self.as_they_are:
            return logits
        # the log-sum-exp of one output is that output, but for rounding
        return torch.stack(
            [
                logits[:, numbers[0]] if len(numbers) == 1 else torch.logsumexp(logits[:, numbers], dim=1)
                for numbers in self.members
            ],
            dim=1,
        )
