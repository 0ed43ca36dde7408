"""How often the rules behind a verdict err: the densest compartment, equivalence, and models of a difference.

    python analyses/calibration_rules.py --out analyses/results/calibration

Writes ``rules.csv``, one row per rule, design and way of judging. ``errs`` is the share of simulated studies with a
wrong statement (with its 95 % Wilson interval), ``finds`` the share with the right one where there is one.

- densest: of three compartments two tie at the top, all tie, or one is denser by 4 standard errors; judged by its tests
  against both others, or, as before, by its test against the rest of the tissue (Holm over three).
- equivalent: all means of a family lie at one end of the margin, towards which units are skewed, or at 0; the margin is
  5 standard errors wide on either side; judged by sign flips and Hall's t, by sign flips alone, and by t.
- difference: no difference of two classes within slides; the slides' differences vary as their means do, with 8 patches
  a slide and class or from 2 to 40.

Units are normal, heavy-tailed (Student's t, 3 degrees of freedom) or skewed (exponential, skewness 2).
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import GroupedSums, sign_flip_p
from saliency_stats.statistics.densest import densest_compartment
from saliency_stats.statistics.equivalence import Estimate, flip_equivalence_p, hall_equivalence_p
from saliency_stats.statistics.models.mixed import fit_random_intercept
from saliency_stats.statistics.models.robust import cluster_robust
from saliency_stats.statistics.models.slopes import slopes_by_slide
from saliency_stats.statistics.multiplicity import holm
from saliency_stats.statistics.resampling import least_flip_p
from saliency_stats.statistics.values import PAIRS
from saliency_stats.vocabulary import TISSUE

ALPHA = 0.05
DRAWS = 1_999
EFFECTS = ("normal", "heavy-tailed", "skewed")
TIES = {"two tie": (0.0, 0.0, -8.0), "all tie": (0.0, 0.0, 0.0), "one is denser": (4.0, 0.0, 0.0)}
Array = NDArray[Any]


def units(effects: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw effects of units with mean 0 and variance 1."""
    if effects == "skewed":
        return rng.exponential(size=shape) - 1
    return rng.normal(size=shape) if effects == "normal" else rng.standard_t(3, size=shape) / np.sqrt(3)


def named(logs: Array) -> tuple[Array, Array]:
    """Return which compartment is called the densest (-1: none) in studies (n, slides, 3), by pairs and by the rest."""
    pairs = {name: logs[..., TISSUE.index(a)] - logs[..., TISSUE.index(b)] for name, (a, b) in PAIRS.items()}
    tables = [
        pd.DataFrame({"contrast": name, "estimate": values.mean(axis=1), "p_value": sign_flips(values)})
        for name, values in pairs.items()
    ]
    rows = pd.concat(tables).assign(status="tested", ci_low=np.nan, ci_high=np.nan)
    found = [densest_compartment(study, alpha=ALPHA).compartment for _, study in rows.groupby(level=0)]
    density = 2.0**logs
    rest = np.log2(2 * density / (density.sum(axis=2, keepdims=True) - density))
    adjusted = np.array([holm(row) for row in np.transpose([sign_flips(rest[..., k]) for k in range(3)])])
    first = logs.mean(axis=1).argmax(axis=1)
    each = np.arange(len(logs))
    stands = (rest.mean(axis=1)[each, first] > 0) & (adjusted[each, first] < ALPHA)
    return np.array([-1 if name is None else TISSUE.index(name) for name in found]), np.where(stands, first, -1)


def sign_flips(samples: Array) -> Array:
    """Return the p-values of sign flips over (n, slides) differences."""
    return sign_flip_p(samples, draws=DRAWS, seed=0)


def densest_rows(n: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yield how often a compartment is wrongly called the densest."""
    for slides in (10, 20):
        for effects in EFFECTS:
            for tie, means in TIES.items():
                logs = units(effects, (n, slides, 3), rng) + np.array(means) * np.sqrt(2 / slides)
                right = 0 if tie == "one is denser" else -2
                for way, found in zip(("both pairs", "ratio to the rest"), named(logs), strict=True):
                    finds = found == right if right == 0 else None
                    yield row("densest", way, slides, effects, tie, (found >= 0) & (found != right), finds)


def equivalence_p(samples: Array, margin: float) -> dict[str, Array]:
    """Return the p-values of equivalence of samples (S, slides), by every way of judging."""
    slides = samples.shape[1]
    means, se = samples.mean(axis=1), samples.std(axis=1, ddof=1) / np.sqrt(slides)
    skewness = stats.skew(samples, axis=1, bias=False)
    each = zip(means, se, skewness, strict=True)
    found = [Estimate(mean, error, slides - 1, skew, slides) for mean, error, skew in each]
    hall = np.array([hall_equivalence_p(one, margin) for one in found])
    flips = flip_equivalence_p(samples, margin, draws=DRAWS, seed=0)
    t = np.array([hall_equivalence_p(Estimate(one.estimate, one.se, one.df), margin) for one in found])
    return {"flips and Hall": np.maximum(flips, hall), "flips alone": flips, "t": t}


def equivalent_rows(n: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yield how often a family holds a wrong statement of equivalence, and how often its first one is found."""
    for slides in (8, 10, 20):
        margin = 5 / np.sqrt(slides)
        for effects in EFFECTS:
            effect = units(effects, (8 * n, slides), rng)
            at_end, at_0 = (equivalence_p(effect + mean, margin) for mean in (margin, 0.0))
            for size in (1, 2, 8):
                reachable = size * least_flip_p(slides, DRAWS) <= ALPHA
                for way in at_end:
                    wrong, right = (
                        np.array([holm(family[:size]) <= ALPHA for family in p[way].reshape(n, 8)]) & reachable
                        for p in (at_end, at_0)
                    )
                    yield row(
                        "equivalent", way, slides, effects, f"family of {size}", np.any(wrong, axis=1), right[:, 0]
                    )


def difference_rows(n: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yield type I errors of tests of a difference within slides, at the level of patches."""
    weights, slopes = np.array([0.0, 1.0]), cache(slopes_by_slide)
    ways = {
        "(1 | slide)": lambda sums: fit_random_intercept(sums).test(weights),
        "(0 + class | slide), Satterthwaite": lambda sums: slopes(sums).test(weights),
        "(0 + class | slide), Kenward-Roger": lambda sums: slopes(sums).test(weights, df="kenward_roger"),
        "CR2": lambda sums: cluster_robust(sums).test(weights),
        "CR3": lambda sums: cluster_robust(sums, jackknife=True).test(weights),
    }
    for slides in (8, 10, 20):
        for effects in EFFECTS:
            for sizes, name in ((np.full(slides, 8), "8 patches"), (np.geomspace(2, 40, slides), "2 to 40 patches")):
                studies = [difference(effects, sizes.astype(int), rng) for _ in range(n)]
                for way, test in ways.items():
                    p_values = np.array([p_of(test, sums) for sums in studies])
                    yield row("difference", way, slides, effects, name, p_values <= ALPHA, None, np.isnan(p_values))


def difference(effects: str, sizes: Array, rng: np.random.Generator) -> GroupedSums:
    """Draw patches of two classes of every slide; means and differences of slides vary, the difference is 0."""
    per_class = np.concatenate([rng.permutation(sizes), rng.permutation(sizes)])
    slide = np.repeat(np.tile(np.arange(len(sizes)), 2), per_class)
    malignant = np.repeat(np.repeat([0.0, 1.0], len(sizes)), per_class)
    shared, own = units(effects, (2, len(sizes)), rng) / 2
    y = shared[slide] + own[slide] * malignant + rng.normal(size=len(slide))
    return GroupedSums.from_rows(y, np.column_stack([np.ones(len(slide)), malignant]), slide.astype("U3"))


def p_of(test: Any, sums: GroupedSums) -> float:
    """Return the p-value of a test, NaN where it gives none."""
    try:
        return float(test(sums).p_value)
    except StatisticsError:
        return float("nan")


def row(
    rule: str, way: str, slides: int, effects: str, case: str, wrong: Array, right: Array | None, none: Any = 0
) -> dict[str, Any]:
    """Return a row of the table."""
    low, high = proportion_confint(int(wrong.sum()), len(wrong), method="wilson")
    names = {"rule": rule, "way": way, "slides": slides, "effects": effects, "case": case, "simulations": len(wrong)}
    errs = {"errs": wrong.mean(), "errs_low": low, "errs_high": high}
    return {**names, **errs, "finds": None if right is None else right.mean(), "unanswered": int(np.sum(none))}


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("analyses/results/calibration"))
@click.option("--simulations", default=500, show_default=True, help="Of the rules.")
@click.option("--slow", default=100, show_default=True, help="Of the models of a difference.")
@click.option("--seed", default=0, show_default=True)
def main(out: Path, simulations: int, slow: int, seed: int) -> None:
    """Simulate every design and write the table."""
    rows = [
        *densest_rows(simulations, np.random.default_rng([seed, 1])),
        *equivalent_rows(simulations, np.random.default_rng([seed, 2])),
        *difference_rows(slow, np.random.default_rng([seed, 3])),
    ]
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).round(5).to_csv(out / "rules.csv", index=False)
    click.echo(out / "rules.csv")


if __name__ == "__main__":
    main()
