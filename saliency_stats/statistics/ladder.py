"""What a finding holds against: eight rungs, each asked in the direction of the finding (pure pandas).

"Supported" is an intersection-union test (Berger 1982, *Technometrics* 24, 295-300): the contrast, its excess over
networks that learned nothing, and its excess over the picture must each be significant, so that no correction is needed
for their number. What is corrected for is the number of hypotheses, by Holm over the largest p-value of each.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.statistics.crossing import CROSSED
from saliency_stats.statistics.parameters import PRIMARY, StatisticsParameters
from saliency_stats.statistics.pictures import CENTRED, EXCESS, matched_name
from saliency_stats.statistics.sentences import interval_words, p_number, ratio_words
from saliency_stats.vocabulary import TRAINED

YES: Final = "yes"
NO: Final = "no"
NOT_TESTED: Final = "not tested"
OUT_OF_REACH: Final = "could not have been found"
#: Every rung in order, with its question, asked of the compartments in the direction of the finding.
RUNGS: Final[Mapping[str, str]] = {
    "maps": "Is saliency denser in the {more} than in the {less}?",
    "training": "More than in networks that learned nothing?",
    "picture": "More than edges and stain explain, at equal edge strength and equal stain?",
    "place": "Is it this place, and not the size of the compartments?",
    "method": "Do other saliency methods agree?",
    "decision": "Does the decision change when the compartment is replaced?",
    "networks": "Would other networks, trained alike, show it?",
    "analyses": "Do other choices of analysis show it?",
}
#: The compartments of the claim, the one that it is for first.
SIDES: Final = ("cytoplasm", "nuclei")
#: The rungs that "supported" needs; of the others it says what they found.
NEEDED: Final = ("maps", "training", "picture")
#: Why a study leaves a rung out.
NOT_ASKED: Final[Mapping[str, str]] = {
    "maps": "no test is possible",
    "training": "the study has no network that learned nothing: add randomised to its controls",
    "picture": "the study has no map of the image alone: add sobel and eosin to its controls",
    "place": "the map was not shifted",
    "method": "the study has one saliency method: name others in saliency.methods",
    "decision": "no compartment was replaced: name causal.replacements",
    "networks": "one network: how much others would differ is unknown; raise classifier.networks",
    "analyses": "the study's choices were not crossed with others: run it with --multiverse",
}
#: The same of a study without a network.
_ELSEWHERE: Final = "the maps were made elsewhere"
_NOT_ASKED_OF_MAPS: Final[Mapping[str, str]] = {
    **NOT_ASKED,
    "training": f"{_ELSEWHERE}: there is no network that learned nothing to compare with",
    "method": f"{_ELSEWHERE}, one of each patch",
    "decision": f"{_ELSEWHERE}: there is no network to ask about a patch with a compartment replaced",
    "networks": f"{_ELSEWHERE}, of one classifier: how much others would differ is unknown",
}


@dataclass(frozen=True)
class Reach:
    """How far a study can ask: the rungs that "supported" needs, and why one is left out."""

    needed: tuple[str, ...]
    not_asked: Mapping[str, str]


#: Of networks, and of maps that were made elsewhere, which no network can be set beside.
OF_NETWORKS: Final = Reach(NEEDED, NOT_ASKED)
OF_MAPS: Final = Reach(tuple(rung for rung in NEEDED if rung != "training"), _NOT_ASKED_OF_MAPS)
#: Sign flips of so few units have a smallest p-value that matters.
_FLIPPED: Final = 16


@dataclass(frozen=True, eq=False)
class Part:
    """One test of a rung: its name, its row of a table of contrasts (None where there is none), and why not."""

    name: str
    row: Mapping[Any, Any] | None
    why: str = ""

    def p_towards(self, sign: float) -> float:
        """Return the p-value, 1 where the estimate lies on the other side or nothing was tested."""
        if self.row is None or self.row["status"] != "tested" or self.row["estimate"] * sign <= 0:
            return 1.0
        return float(self.row["p_value"])

    def answer(self, sign: float, factor: float, alpha: float) -> str:
        """Say whether the part holds; ``factor`` is what its p-value is multiplied by."""
        row = self.row
        if row is None:
            return NOT_TESTED
        if row["status"] != "tested":
            # a difference of exactly nothing has no spread to be tested against, and is an answer
            return NO if np.isfinite(row["estimate"]) and abs(row["estimate"]) < 1e-9 else NOT_TESTED  # noqa: PLR2004
        if self.p_towards(sign) * factor < alpha:
            return YES
        return OUT_OF_REACH if least_p(row) * factor >= alpha else NO

    def as_dict(self, sign: float, factor: float, alpha: float) -> dict[str, Any]:
        """Return the part as it stands in ``verdict.json``."""
        row = self.row or {}
        numbers = {name: _number(row.get(name)) for name in ("estimate", "ci_low", "ci_high", "p_value")}
        why = self.why or ("" if row.get("status", "tested") == "tested" else str(row.get("reason", "")))
        return {"name": self.name, **numbers, "answer": self.answer(sign, factor, alpha), "why": why}


@dataclass(frozen=True, eq=False)
class Ladder:
    """The rungs of one hypothesis: parts by rung, and the direction in which they are asked."""

    parts: Mapping[str, Sequence[Part]]
    sign: float
    said: Mapping[str, str] = field(default_factory=dict)
    reach: Reach = OF_NETWORKS

    @property
    def p_value(self) -> float:
        """The largest p-value of the parts that "supported" needs; 1 where a rung was not tested."""
        parts = map(self._asked, self.reach.needed)
        return max(max((part.p_towards(self.sign) for part in some), default=1.0) for some in parts)

    def _asked(self, rung: str) -> list[Part]:
        """Parts that can be asked; a picture that all but defines a compartment cannot be matched on."""
        return [part for part in self.parts.get(rung, ()) if part.row is not None]

    def answer(self, rung: str, factor: float, alpha: float) -> str:
        """Answer one rung: yes where all its parts hold, none of those that "supported" needs being untested."""
        answers = [part.answer(self.sign, factor, alpha) for part in self._asked(rung)]
        last = (NOT_TESTED, YES) if rung in self.reach.needed else (YES, NOT_TESTED)
        return next((one for one in (NO, OUT_OF_REACH, *last) if one in answers), NOT_TESTED)

    def weakest(self, rung: str) -> Part | None:
        """Return the part of a rung that holds least, of those that have an answer."""
        answered = [part for part in self._asked(rung) if part.answer(self.sign, 1.0, 1.0) != NOT_TESTED]
        return max(answered, key=lambda part: part.p_towards(self.sign), default=None)

    def _against(self, rung: str, factor: float, alpha: float) -> list[Part]:
        """Return the parts of a rung that show the opposite, the clearest first."""
        found = [part for part in self._asked(rung) if part.p_towards(-self.sign) * factor < alpha]
        return sorted(found, key=lambda part: part.p_towards(-self.sign))

    def as_list(self, factor: float, settings: StatisticsParameters) -> list[dict[str, Any]]:
        """Return ``survives`` of ``verdict.json``."""
        return [self._rung(rung, factor, settings) for rung in RUNGS]

    def _rung(self, rung: str, factor: float, settings: StatisticsParameters) -> dict[str, Any]:
        parts = self.parts.get(rung, ())
        found = [part.as_dict(self.sign, factor, settings.alpha) for part in parts]
        against = self._against(rung, factor, settings.alpha) if rung in REVERSED else []
        shown, answer = [*against, self.weakest(rung)][0], self.answer(rung, factor, settings.alpha)
        sides = dict(zip(("more", "less"), SIDES if self.sign > 0 else reversed(SIDES), strict=True))
        untested = next((one["why"] for one in found if one["why"]), self.reach.not_asked[rung])
        words = (REVERSED if against else EXPLAINED).get(rung, "")
        said = words.format(**sides, names=", ".join(part.name for part in against))
        why = {NOT_TESTED: untested, NO: said}.get(answer, "")
        return {
            "rung": rung,
            "question": RUNGS[rung].format(**sides),
            "answer": answer,
            "numbers": self.said.get(rung)
            or ("" if shown is None else _numbers(rung, shown, self.sign, factor, settings)),
            "why": why,
            "parts": found,
        }


#: What "no" to a rung means beside a verdict that does not hang on it, and what where the opposite is shown.
EXPLAINED: Final[Mapping[str, str]] = {
    "decision": "the verdict is about where saliency lies, this about what the decision needs: replacing the {more} is "
    "not shown to change the decision more, per area, than replacing the {less}",
}
REVERSED: Final[Mapping[str, str]] = {
    "decision": "the verdict is about where saliency lies, this about what the decision needs: replacing the {less} "
    "(by {names}) changes the decision more, per area, than replacing the {more}",
}
_AGAINST: Final[Mapping[str, str]] = {
    "training": "{ratio} times the {name} networks",
    "picture": "{ratio} times what the {name} map explains",
    "place": "{ratio} times, minus its mean over all shifts of the map",
    "method": "{ratio} times by {name}",
}


def _numbers(rung: str, part: Part, sign: float, factor: float, settings: StatisticsParameters) -> str:
    row = part.row
    assert row is not None
    flip = sign < 0
    words = _AGAINST.get(rung, "{ratio} times").format(ratio=ratio_words(sign * row["estimate"]), name=part.name)
    if rung == "decision":
        words = f"{row['estimate']:+.2g} logits per area by {part.name}"
    if row["status"] != "tested":
        return f"{words}; not tested: {row['reason']}"
    p_words = p_number(row["p_value"])
    if row["p_value"] < settings.alpha <= row["p_value"] * factor:
        # the answer is by the product, and would seem to contradict its own number
        p_words += f", {p_number(min(1.0, row['p_value'] * factor)).removeprefix('p = ')} after Holm"
    if rung == "analyses":
        return f"{words} at the median ({p_words}; {part.name})"
    interval = f"{row['ci_low']:.2g} to {row['ci_high']:.2g}" if rung == "decision" else ""
    interval = interval or interval_words(row["ci_low"], row["ci_high"], settings.alpha, flip=flip)
    return f"{words} ({interval}; {p_words})"


def least_p(row: Mapping[Any, Any]) -> float:
    """Return the smallest p-value that the test of a row could have given, whatever the saliency."""
    few = row["test"] == "sign_flip" and row["n_units"] <= _FLIPPED
    return float(2.0 ** (1 - row["n_units"])) if few else 0.0


def climbed(
    sample: pd.DataFrame,
    row: pd.Series,
    untrained: Iterable[str],
    further: Mapping[str, Sequence[Part]],
    reach: Reach = OF_NETWORKS,
) -> Ladder:
    """Put a hypothesis' rungs together.

    Parameters
    ----------
    sample : DataFrame
        Rows of ``contrasts.csv`` of the same class, magnification, method and reduction.
    row : Series
        Its row of the primary contrast, by the test that decides.
    untrained : iterable of str
        Controls that are networks that learned nothing.
    further : mapping
        The parts of the rungs that other tables answer.
    reach
        How far the study can ask.
    """
    of_test = sample[(sample["test"] == row["test"]) & (sample["population"] == row["population"])]
    by_name = {(found["contrast"], found["model"]): found for found in of_test.to_dict("records")}
    excess = [name for name, model in by_name if model == TRAINED and name.endswith(EXCESS)]
    parts: dict[str, Sequence[Part]] = {
        "maps": [Part(PRIMARY, row.to_dict())],
        "training": [
            Part(name, by_name[PRIMARY, f"{TRAINED}-{name}"])
            for name in untrained
            if (PRIMARY, f"{TRAINED}-{name}") in by_name
        ],
        "picture": [_matched(name, by_name[name, TRAINED]) for name in excess],
        "place": [Part(CENTRED, by_name[CENTRED, TRAINED])] if (CENTRED, TRAINED) in by_name else [],
        "networks": [Part(f"{row['n_networks']:.0f} networks", row.to_dict())] if row["test"] == CROSSED else [],
        **further,
    }
    return Ladder(parts, 1.0 if not row["estimate"] < 0 else -1.0, reach=reach)


def _matched(contrast: str, row: Mapping[Any, Any]) -> Part:
    """Make the part of a picture: none where it all but defines a compartment, so that few patches can be compared."""
    picture = contrast.removeprefix(matched_name("")).removesuffix(EXCESS)
    n, missing = int(row["n_patches"]), int(row["n_missing"])
    if missing > n:
        why = f"at equal {picture} the two compartments can be compared in {n:,} of {n + missing:,} patches alone"
        return Part(picture, None, why)
    return Part(picture, row)


def holm_factors(p_values: Sequence[float], alpha: float) -> list[float]:
    """Return what Holm (1979) multiplies each p-value by; hypotheses after one that was kept have its factor.

    The product is compared with the level, and so is that of each part: none is less corrected than in its own family.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.empty(len(order))
    worst, left = 0.0, len(order)
    for place, at in enumerate(order):
        if worst < alpha:
            left = len(order) - place
        worst = max(worst, p_values[at] * left)
        factors[at] = worst / p_values[at] if p_values[at] > 0 else left
    return factors.tolist()


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
