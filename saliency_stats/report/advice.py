"""A plan in plain words: what to collect next, and what the numbers rest on."""

from collections.abc import Iterable, Iterator
from math import isfinite

from saliency_stats.report.words import DASH, count, listing, ratio, whole
from saliency_stats.statistics.power import MOST_NETWORKS, MOST_SLIDES, PATCHES, Aim, Need, Plan
from saliency_stats.statistics.registry import words_of
from saliency_stats.statistics.resampling import EXACT_UNITS, units_needed


def advice(title: str, plan: Plan) -> Iterator[str]:
    """Say in plain words what the sample is, and for each aim what to collect next."""
    seen = plan.components
    slides = "slides" if seen.unit == "slide" else "slides of different patients"
    text = (
        f"{title}: {count(seen.n_units, seen.unit)} with about {count(seen.patches_per_slide, 'patch')} each, a ratio"
        f" of {ratio(seen.estimate)}. Variance (log2) between {slides} {seen.between:.2g} (upper 80 % limit"
        f" {seen.between_high:.2g}), between patches of a slide {seen.within:.2g}"
    )
    if seen.networks > 1:
        text += f"; of a slide in one network {seen.interaction:.2g}, of a patch in one network {seen.noise:.2g}"
    if isfinite(seen.network):
        own = seen.network != seen.network_high
        limit = f"(upper 80 % limit {seen.network_high:.2g})" if own else "(stated)"
        text += f"; between networks {seen.network:.2g} {limit}"
    yield f"{text}."
    for need in plan.needs:
        yield (
            f"  {_aim_sentence(need.aim, plan)}: {_collect_sentence(need, plan)}{_patches_sentence(need, plan)}"
            f"{_networks_sentence(need, plan)}"
        )


def _aim_sentence(aim: Aim, plan: Plan) -> str:
    size = abs(aim.size)
    chance = f"with {100 * plan.power:g} % power" + (f" and {plan.networks} networks" if plan.networks > 1 else "")
    if aim.purpose == "equivalence":
        return f"To show no preference (a ratio within {ratio(-size)}{DASH}{ratio(size)}) where there is none, {chance}"
    source = {"estimate": " (this run's own)", "margin": " (the limit of no preference)"}.get(aim.source, "")
    return f"To find a ratio of {ratio(aim.size)}{source} {chance}"


def _collect_sentence(need: Need, plan: Plan) -> str:
    seen = plan.components
    with_patches = f"with about {count(seen.patches_per_slide, 'patch')} each"
    if not isfinite(need.slides):
        many = f"it takes more than {whole(MOST_SLIDES)} {seen.unit}s {with_patches}."
        possible = isfinite(need.slides_most) or any(isfinite(slides) for _, slides in need.by_networks)
        return many if possible else f"no realistic study will do: {many}"
    more = int(need.slides) - seen.n_units
    if more > 0:
        text = f"collect {count(more, f'more {seen.unit}')} ({whole(need.slides)} in all) {with_patches}"
    else:
        text = f"the {count(seen.n_units, seen.unit)} of this run suffice ({whole(need.slides)} would)"
    if need.slides_high <= max(need.slides, seen.n_units):
        return f"{text}, also by the upper limit."
    return f"{text}; by the upper limit, which is safer to plan on, {_many(need.slides_high)} in all."


def _many(slides: float) -> str:
    return whole(slides) if isfinite(slides) else f"more than {whole(MOST_SLIDES)}"


def _patches_sentence(need: Need, plan: Plan) -> str:
    """Weigh patches against slides."""
    unit, most = plan.components.unit, PATCHES[-1]
    if need.slides_double < need.slides:
        return f" With twice as many patches per slide it takes {whole(need.slides_double)} {unit}s."
    if need.slides_most < need.slides:
        return f" With {most} patches per slide it takes {whole(need.slides_most)} {unit}s."
    return " More patches per slide save none." if isfinite(need.slides) else ""


def _networks_sentence(need: Need, plan: Plan) -> str:
    """Weigh networks against slides."""
    if not need.by_networks:
        return ""
    seen = plan.components
    other = listing([f"{networks} networks {_many(slides)}" for networks, slides in need.by_networks])
    text = f" Of {seen.unit}s it takes with {other}."
    if plan.networks == 1:
        return f"{text} Several networks speak for all of their kind, one for itself."
    if need.power >= plan.power:
        return text
    if not isfinite(need.networks):
        more = f"{text} More networks alone will not do: of {MOST_NETWORKS} too few studies show it."
        return f"{more} Cheaper to raise: {seen.unit}s." if isfinite(need.slides) else more
    alone = f"{text} The {seen.n_units} {seen.unit}s of this run would do with {need.networks:g} networks."
    by_slides, by_networks = plan.networks * need.slides, need.networks * seen.n_units
    cheaper = "networks" if by_networks < by_slides else f"{seen.unit}s"
    return f"{alone} Cheaper to raise, by the {seen.unit}s times networks to be judged: {cheaper}."


def cautions(plans: Iterable[Plan]) -> Iterator[str]:
    """Say what the numbers rest on and leave out."""
    every = list(plans)
    plan = every[0]
    aim, unit = plan.needs[0].aim, plan.components.unit
    if any(need.aim.source == "estimate" for each in every for need in each.needs):
        yield (
            "Power at a run's own estimate is optimistic: an estimate that drew attention tends to exceed the truth,"
            " and such power says no more than the p-value (Hoenig and Heisey 2001, The American Statistician 55,"
            " 19-24). Name the smallest ratio that matters with --effect instead."
        )
    if aim.hypotheses > 1:
        yield (
            f"Each plan is for one of {aim.hypotheses} hypotheses that are corrected together, and takes the others"
            f" for null: its p-value must lie below {aim.alpha:g} / {aim.hypotheses}. For another number:"
            " --hypotheses."
        )
    if plan.networks > 1:
        yield (
            f"Simulated is the crossed test, of {plan.networks} networks and of {unit}s as two samples: what it finds"
            " holds for networks trained alike."
        )
        return
    test = plan.simulator.test
    flips = test == "sign_flip"
    least = f", which can find nothing with fewer than {units_needed(aim.hypotheses, aim.alpha)} {unit}s" * flips
    more = f" Beyond {EXACT_UNITS} {unit}s the t test stands for it; there the two have the same power." * flips
    yield f"Simulated is the study's own test, {words_of(test)}{least}.{more}"
    unknown = "" if isfinite(plan.components.network) else ", which is unknown with one network"
    yield (
        f"What one network shows holds for this network. A plan for networks trained alike needs the variance between"
        f" them{unknown}: judge several (classifier.networks), or state --network-sd and --networks."
    )
