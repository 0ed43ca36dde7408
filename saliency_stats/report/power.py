"""What to collect next: a finished run read, its variances taken, the sizes of the next study written and drawn."""

from dataclasses import dataclass, replace
from math import isfinite, log2
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from saliency_stats.errors import StatisticsError, StudyError
from saliency_stats.execution.files import write_table
from saliency_stats.report.advice import advice, cautions
from saliency_stats.report.figures.power import draw_power
from saliency_stats.report.figures.style import house_style, save_both
from saliency_stats.report.run import Run
from saliency_stats.report.words import listing, magnification_words
from saliency_stats.statistics import PRIMARY
from saliency_stats.statistics.components import (
    Components,
    components_of_networks,
    over_networks_counted,
    variance_components,
)
from saliency_stats.statistics.power import Aim, Plan, Simulator, plan_study
from saliency_stats.statistics.selection import UNLEARNED
from saliency_stats.statistics.units import independent_units
from saliency_stats.vocabulary import TRAINED


class Planned(NamedTuple):
    """What was written, and what a person is to read."""

    table: Path
    figure: Path
    advice: str


@dataclass(frozen=True)
class Wish:
    """What is asked of a plan beyond the run itself; None stands for the run's own."""

    effect: float | None = None
    power: float = 0.9
    alpha: float | None = None
    hypotheses: int = 1
    networks: int | None = None
    network_sd: float | None = None
    simulations: int = 2_000
    seed: int = 0


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
    hypotheses: int | None = None,
    networks: int | None = None,
    network_sd: float | None = None,
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
        Level of the family of hypotheses; the study's own if not given.
    label, magnification
        Plan for this class (by its name in the study or in the tables), this magnification alone.
    simulations, seed
        Studies simulated per size, and the seed of the simulation.
    out
        Folder to write into, by default the run's.
    hypotheses
        How many hypotheses are corrected together, by default those of the run's primary family.
    networks
        Networks of the planned study, by default as many as judged a slide of the run.
    network_sd
        Standard deviation (log2) between networks, known from elsewhere.

    Raises
    ------
    StudyError
        If the effect is no ratio, the run has no such magnification or class, or several networks are planned from a
        run of one and nothing is said of how much they differ.
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
        if label in {None, name, run.classes.name(name)} and (magnification is None or at == magnification)
    }
    if not samples:
        asked = [text for text in (label, magnification and magnification_words(magnification)) if text]
        has = [*map(run.classes.name, run.labels), *map(magnification_words, run.magnifications)]
        raise StudyError(f"{folder} has nothing at {', '.join(asked)}; it has {listing(has)}")

    judged_by = max(over_networks_counted(rows)[1] for rows in samples.values())
    if networks is not None and networks > 1 and judged_by == 1 and network_sd is None:
        raise StudyError(
            f"--networks {networks}: each slide of {folder} was judged by one network, so how much networks differ is"
            " unknown; state it with --network-sd (log2), or run the study with several (classifier.networks)"
        )
    wish = Wish(effect, power, alpha, hypotheses or _hypotheses(run), networks, network_sd, simulations, seed)
    plans: dict[tuple[str, float], Plan] = {}
    refused: dict[str, list[str]] = {}
    for (name, at), rows in samples.items():
        try:
            plans[name, at] = _plan(run, at, rows, wish)
        except StatisticsError as error:
            refused.setdefault(str(error), []).append(run.place(at, name))
    reasons = [f"{listing(titles)}: {reason}" for reason, titles in refused.items()]
    if not plans:
        raise StatisticsError(f"{folder}: nothing to plan from. {'. '.join(reasons)}")

    folder = folder if out is None else out
    tables = [plan.table.assign(label=name, magnification=at) for (name, at), plan in plans.items()]
    table = pd.concat(tables, ignore_index=True)
    first = ["label", "magnification"]
    write_table(folder / "power.csv", table[[*first, *table.columns.drop(first)]])
    titled = {run.place(at, name): plan for (name, at), plan in plans.items()}
    with house_style():
        png, _ = save_both(draw_power(titled), folder / "figures" / "power")
    lines = [line for title, plan in titled.items() for line in advice(title, plan)]
    lines += [f"{reason}." for reason in reasons]
    lines += cautions(titled.values())
    return Planned(folder / "power.csv", png, "\n".join(lines))


def _samples(run: Run) -> dict[tuple[str, float], pd.DataFrame]:
    """Return the primary values of the trained model by class and magnification; empty tables where there are none."""
    values = run.primary_values
    return {
        (label, at): values[(values["label"] == label) & (values["magnification"] == at)]
        for at in run.magnifications
        for label in run.labels
    }


def _plan(run: Run, at: float, rows: pd.DataFrame, wish: Wish) -> Plan:
    if not run.learned[at]:
        raise StatisticsError(f"the classifier is {UNLEARNED}, so where it looks means nothing to plan from")
    components = _components(run, rows)
    if wish.network_sd is not None:
        components = components.with_networks_that_vary(wish.network_sd)
    level = run.alpha if wish.alpha is None else wish.alpha
    margin = run.settings.statistics.equivalence_margin
    finding = (
        [Aim("superiority", components.estimate, level, "estimate"), Aim("superiority", margin, level, "margin")]
        if wish.effect is None
        else [Aim("superiority", log2(wish.effect), level)]
    )
    aims = [*finding, Aim("equivalence", margin, level, "margin")]
    simulator = Simulator(components, run.primary_test, run.settings.statistics.min_slides, wish.simulations, wish.seed)
    return plan_study(
        simulator,
        tuple(replace(aim, hypotheses=wish.hypotheses) for aim in aims),
        networks=wish.networks or components.networks,
        power=wish.power,
    )


def _components(run: Run, rows: pd.DataFrame) -> Components:
    """Estimate the variances of patches' values, or of their means over the networks that judged them."""
    patches, networks = over_networks_counted(rows)
    units = independent_units(
        patches,
        "value",
        patient="patient_id" if run.unit == "patient" else None,
        assume_independent=run.settings.statistics.assume_independent,
    )
    return components_of_networks(rows, units) if networks > 1 else variance_components(units)


def _hypotheses(run: Run) -> int:
    """Count what the next study will correct together: the primary family, less what a run could not have told."""
    own = run.own_contrasts[run.own_contrasts["test"] == run.primary_test]
    family = own.loc[(own["contrast"] == PRIMARY) & (own["model"] == TRAINED), "family"]
    asked = own["family"].isin(family) & (own["status"] != "not_interpretable") & (own["n_patches"] > 0)
    return max(1, int(asked.sum()))
