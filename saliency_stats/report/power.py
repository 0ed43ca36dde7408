"""What to collect next: a finished run read, its variances taken, the sizes of the next study written and drawn."""

from collections.abc import Iterator, Mapping
from math import ceil, isfinite, log2
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from saliency_stats.errors import StatisticsError, StudyError
from saliency_stats.execution.files import write_table
from saliency_stats.report.figures.power import draw_power
from saliency_stats.report.figures.style import house_style, save
from saliency_stats.report.run import Run
from saliency_stats.report.words import DASH, count, listing, magnification_words, ratio, whole
from saliency_stats.statistics import PRIMARY
from saliency_stats.statistics.components import variance_components
from saliency_stats.statistics.power import MOST_SLIDES, PATCHES, Aim, Need, Plan, plan_study
from saliency_stats.statistics.units import independent_units
from saliency_stats.vocabulary import TRAINED


class Planned(NamedTuple):
    """What was written, and what a person is to read."""

    table: Path
    figure: Path
    advice: str


def plan_run(
    folder: Path,
    *,
    effect: float | None = None,
    power: float = 0.9,
    alpha: float | None = None,
    label: str | None = None,
    magnification: float | None = None,
    simulations: int = 2_000,
    seed: int = 0,
    out: Path | None = None,
) -> Planned:
    """Plan the study after a run: write ``power.csv`` and ``figures/power.png`` and ``.pdf``, and say what they mean.

    Parameters
    ----------
    folder
        A finished run's folder.
    effect
        Ratio of the densities in cytoplasm and nuclei that is to be found; without it the run's own and the limit of
        what the study calls no preference.
    power
        Wanted probability of a finding.
    alpha
        Level of the test; the study's own if not given.
    label, magnification
        Plan for this class, this magnification alone.
    simulations, seed
        Studies simulated per size, and the seed of the simulation.
    out
        Folder to write into, by default the run's.

    Raises
    ------
    StudyError
        If the effect is no ratio, or the run has no such magnification or class.
    StatisticsError
        If no sample of the run can be planned from; the message says why.
    ReportError
        If the folder holds no finished run.
    """
    if effect is not None and not (isfinite(effect) and effect > 0 and effect != 1):
        raise StudyError(f"the effect is {effect:g}, expected a ratio above 0 other than 1, for example 1.25")
    run = Run.read(folder)
    samples = {
        (name, at): rows
        for (name, at), rows in _samples(run).items()
        if label in {None, name} and (magnification is None or at == magnification)
    }
    if not samples:
        asked = [text for text in (label, magnification and magnification_words(magnification)) if text]
        has = [*run.labels, *map(magnification_words, run.magnifications)]
        raise StudyError(f"{folder} has nothing at {', '.join(asked)}; it has {listing(has)}")

    plans: dict[tuple[str, float], Plan] = {}
    refused: dict[str, list[str]] = {}
    for (name, at), rows in samples.items():
        try:
            plans[name, at] = _plan(run, at, rows, effect, alpha, power=power, simulations=simulations, seed=seed)
        except StatisticsError as error:
            refused.setdefault(str(error), []).append(_title(name, at))
    reasons = [f"{listing(titles)}: {reason}" for reason, titles in refused.items()]
    if not plans:
        raise StatisticsError(f"{folder}: nothing to plan from. {'. '.join(reasons)}")

    folder = folder if out is None else out
    tables = [plan.table.assign(label=name, magnification=at) for (name, at), plan in plans.items()]
    table = pd.concat(tables, ignore_index=True)
    first = ["label", "magnification"]
    write_table(folder / "power.csv", table[[*first, *table.columns.drop(first)]])
    titled = {_title(*key): plan for key, plan in plans.items()}
    with house_style():
        drawn = draw_power(titled)
        png = save(drawn, folder / "figures" / "power.png")
        drawn.set_layout_engine("none")
        save(drawn, folder / "figures" / "power.pdf")
    lines = [line for title, plan in titled.items() for line in advice(title, plan)]
    lines += [f"{reason}." for reason in reasons]
    lines += _cautions(run, titled, alpha)
    return Planned(folder / "power.csv", png, "\n".join(lines))


def advice(title: str, plan: Plan) -> Iterator[str]:
    """Say in plain words what the sample is, and for each aim what to collect next."""
    seen = plan.components
    slides = "slides" if seen.unit == "slide" else "slides of different patients"
    yield (
        f"{title}: {count(seen.n_units, seen.unit)} with about {count(seen.patches_per_slide, 'patch')} each, a ratio"
        f" of {ratio(seen.estimate)}. Variance (log2) between {slides} {seen.between:.2g} (upper 80 % limit"
        f" {seen.between_high:.2g}), between patches of a slide {seen.within:.2g}."
    )
    for need in plan.needs:
        yield f"  {_aim_sentence(need.aim, plan.power)}: {_collect_sentence(need, plan)}{_patches_sentence(need, plan)}"


def _aim_sentence(aim: Aim, power: float) -> str:
    size = abs(aim.size)
    chance = f"with {100 * power:g} % power"
    if aim.purpose == "equivalence":
        return f"To show no preference (a ratio within {ratio(-size)}{DASH}{ratio(size)}) where there is none, {chance}"
    source = {"estimate": " (this run's own)", "margin": " (the limit of no preference)"}.get(aim.source, "")
    return f"To find a ratio of {ratio(aim.size)}{source} {chance}"


def _collect_sentence(need: Need, plan: Plan) -> str:
    seen = plan.components
    with_patches = f"with about {count(seen.patches_per_slide, 'patch')} each"
    if not isfinite(need.slides):
        many = f"it takes more than {whole(MOST_SLIDES)} {seen.unit}s {with_patches}."
        return many if isfinite(need.slides_enough) else f"no realistic study will do: {many}"
    more = int(need.slides) - seen.n_units
    if more > 0:
        text = f"collect {count(more, f'more {seen.unit}')} ({whole(need.slides)} in all) {with_patches}"
    else:
        text = f"the {count(seen.n_units, seen.unit)} of this run suffice ({whole(need.slides)} would)"
    if need.slides_high <= max(need.slides, seen.n_units):
        return f"{text}, also by the upper limit."
    high = whole(need.slides_high) if isfinite(need.slides_high) else f"more than {whole(MOST_SLIDES)}"
    return f"{text}; by the upper limit, which is safer to plan on, {high} in all."


def _patches_sentence(need: Need, plan: Plan) -> str:
    """Weigh patches against slides."""
    if not isfinite(need.slides_enough):
        return ""
    own, unit, most = plan.components.patches_per_slide, plan.components.unit, PATCHES[-1]
    enough = need.enough_patches or most
    better = enough > own and need.slides_enough < need.slides
    instead = f" (with {enough} it takes {whole(need.slides_enough)} {unit}s)" if better else ""
    if need.enough_patches is None:
        return f" Up to {most} patches per slide{instead}, doubling them saves {unit}s."
    return f" From {count(enough, 'patch')} per slide on{instead}, twice as many save less than one {unit}."


def _samples(run: Run) -> dict[tuple[str, float], pd.DataFrame]:
    """Return the primary values of the trained model by class and magnification; empty tables where there are none."""
    values = run.primary_values
    return {
        (label, at): values[(values["label"] == label) & (values["magnification"] == at)]
        for at in run.magnifications
        for label in run.labels
    }


def _plan(
    run: Run,
    at: float,
    rows: pd.DataFrame,
    effect: float | None,
    alpha: float | None,
    *,
    power: float,
    simulations: int,
    seed: int,
) -> Plan:
    if not run.learned[at]:
        raise StatisticsError("the classifier did not beat chance, so where it looks means nothing to plan from")
    units = independent_units(
        rows,
        "value",
        patient="patient_id" if run.unit == "patient" else None,
        assume_independent=run.settings.statistics.assume_independent,
    )
    components = variance_components(units)
    level = run.alpha if alpha is None else alpha
    margin = run.settings.statistics.equivalence_margin
    finding = (
        [Aim("superiority", components.estimate, level, "estimate"), Aim("superiority", margin, level, "margin")]
        if effect is None
        else [Aim("superiority", log2(effect), level)]
    )
    aims = (*finding, Aim("equivalence", margin, level, "margin"))
    least = run.settings.statistics.min_slides
    if run.primary_test == "sign_flip":
        least = max(least, _least_flipped(level))
    return plan_study(components, aims, power=power, simulations=simulations, seed=seed, least=least)


def _least_flipped(alpha: float) -> int:
    """Return the fewest slides of which a sign-flip test can reject: its smallest p-value is ``2^(1 - n)``."""
    return 1 + ceil(-log2(alpha))


def _cautions(run: Run, plans: Mapping[str, Plan], alpha: float | None) -> Iterator[str]:
    """Say what the numbers leave out."""
    if any(need.aim.source == "estimate" for plan in plans.values() for need in plan.needs):
        yield (
            "Power at a run's own estimate is optimistic: an estimate that drew attention tends to exceed the truth,"
            " and such power says no more than the p-value (Hoenig and Heisey 2001, The American Statistician 55,"
            " 19-24). Name the smallest ratio that matters with --effect instead."
        )
    own = run.own_contrasts[run.own_contrasts["test"] == run.primary_test]
    family = own.loc[(own["contrast"] == PRIMARY) & (own["model"] == TRAINED), "family"]
    hypotheses = int((own["family"].isin(family) & (own["status"] == "tested")).sum())
    if alpha is None and hypotheses > 1:
        yield (
            f"These are plans for one test at level {run.alpha:g}. The study corrects for {hypotheses} hypotheses:"
            f" with --alpha {run.alpha / hypotheses:.3g} a plan holds whatever the others show."
        )
    if run.primary_test == "sign_flip":
        yield (
            f"These are plans for the t test over {run.unit} means. The study's primary test is the sign-flip test: its"
            f" power is about the same with eight {run.unit}s or more, a fifth less with six, and zero with fewer."
        )


def _title(label: str, magnification: float) -> str:
    return f"{label}, {magnification_words(magnification)}"
