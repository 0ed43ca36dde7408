"""Which compartment of the tissue holds saliency most densely, judged from the direct contrasts of each two."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from saliency_stats.statistics.values import PAIRS
from saliency_stats.vocabulary import TISSUE

_NUMBERS = ["estimate", "ci_low", "ci_high"]


@dataclass(frozen=True, eq=False)
class Densest:
    """The densest compartment, or those that cannot be told apart from it.

    Parameters
    ----------
    compartment
        The one that is denser than *each* other, by a significant test against each; None where there is none. Where no
        test is possible (``tested`` is False) the densest by its estimate, in these patches.
    candidates
        The densest by its estimate and, after it, all that are not significantly less dense: with a ``compartment``
        there is one. None is first where each is exceeded by another one; then all are candidates. Empty where no two
        compartments can be compared.
    tested
        Whether two compartments have been tested against each other.
    rows
        The contrasts of the first candidate with each other compartment, ``other``: ``estimate`` (log2, above 0 where
        the candidate is denser), ``ci_low``, ``ci_high``, ``p_value`` and ``status``. Empty without a first one.
    """

    compartment: str | None
    candidates: tuple[str, ...]
    tested: bool
    rows: pd.DataFrame


def densest_compartment(rows: pd.DataFrame, *, alpha: float) -> Densest:
    """Find the densest compartment of one label, magnification, method and reduction.

    An intersection-union test (Berger 1982, *Technometrics* 24, 295-300): to be named, a compartment must be denser
    than each other one, and its ``p_value`` against each at most ``alpha``. That needs no correction for the two tests,
    as both must reject; nor for the candidates: where two tie at the top the one is named wrongly only if their own
    two-sided test rejects, and where all tie only if two tests do. The ratio to the rest of the tissue would not do:
    with densities of 2 on 10 % of the tissue, 1.9 on 50 % and 0.1 on the rest, the second has the larger ratio to its
    rest (4.0 against 1.8).

    Parameters
    ----------
    rows
        Of ``contrasts.csv``, of one model and one test. A compartment that cannot be tested against the first candidate
        cannot be told apart from it; one without any estimate is not there.
    """
    pairs = _oriented(rows)
    there = [name for name in TISSUE if name in set(pairs["compartment"])]
    tested = bool((pairs["status"] == "tested").any())
    exceeded = set(pairs.loc[pairs["estimate"] < 0, "compartment"])
    unbeaten = [name for name in there if name not in exceeded]
    if not unbeaten:
        return Densest(None, tuple(there), tested, pairs.iloc[:0])
    means = pairs.groupby("compartment")["estimate"].mean()
    first = max(unbeaten, key=lambda name: float(means[name]))
    own = pairs[pairs["compartment"] == first].reset_index(drop=True)
    if not tested:
        level = own.loc[own["estimate"] <= 0, "other"]
        return Densest(None if len(level) else first, (first, *level), tested, own)
    apart = (own["status"] == "tested") & (own["estimate"] > 0) & (own["p_value"] <= alpha)
    rivals = own.loc[~apart, "other"]
    return Densest(None if len(rivals) else first, (first, *rivals), tested, own)


def _oriented(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each direct contrast twice, once from the side of each of its compartments."""
    known = rows[rows["contrast"].isin(PAIRS) & np.isfinite(rows["estimate"].astype(float))]
    sides = []
    for sign, (own, other) in ((1, (0, 1)), (-1, (1, 0))):
        names = {"compartment": own, "other": other}
        side = known.assign(**{name: [PAIRS[c][place] for c in known["contrast"]] for name, place in names.items()})
        limits = _NUMBERS if sign > 0 else ["estimate", "ci_high", "ci_low"]
        side[_NUMBERS] = sign * known[limits].to_numpy(dtype=np.float64)
        sides.append(side)
    found = pd.concat(sides, ignore_index=True)
    order = found["other"].map(TISSUE.index)
    return found.assign(order=order).sort_values("order", kind="stable")[
        ["compartment", "other", *_NUMBERS, "p_value", "status"]
    ]
