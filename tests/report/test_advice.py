"""A plan in words: what to collect, and what the numbers rest on."""

from dataclasses import replace

import numpy as np
import pytest

from saliency_stats.report.advice import advice, cautions
from saliency_stats.statistics.components import Components
from saliency_stats.statistics.power import Aim, Simulator, plan_study

SEVERAL = {"networks": 5, "network": 0.0064, "network_high": 0.0064 * 2, "interaction": 0.002, "noise": 0.01}


def planned(*aims, unit="slide", test="t_slide_means", simulations=2_000, **values):
    seen = Components(unit, 10, 11, 0.39, **{"between": 0.006, "between_high": 0.012, "within": 0.03, **values})
    return plan_study(Simulator(seen, test, simulations=simulations), aims, networks=seen.networks)


def lines(*aims, **options):
    plan = planned(*aims, **options)
    return list(advice("malignant, 20×", plan)), plan.needs


def test_advice_says_what_to_collect():
    (first, line), (need,) = lines(Aim("superiority", 0.1, source="margin"))
    assert first == (
        "malignant, 20×: 10 slides with about 11 patches each, a ratio of 1.31. Variance (log2) between slides 0.006"
        " (upper 80 % limit 0.012), between patches of a slide 0.03."
    )
    assert 10 < need.slides_double < need.slides < need.slides_high < 25
    assert line == (
        "  To find a ratio of 1.07 (the limit of no preference) with 90 % power: collect"
        f" {need.slides - 10:.0f} more slides ({need.slides:.0f} in all) with about 11 patches each; by the upper"
        f" limit, which is safer to plan on, {need.slides_high:.0f} in all. With twice as many patches per slide it"
        f" takes {need.slides_double:.0f} slides."
    )


def test_advice_says_when_there_are_enough():
    (_, line), _ = lines(Aim("superiority", 0.39))
    assert ": the 10 slides of this run suffice (3 would), also by the upper limit. More patches per slide save" in line
    (_, line), _ = lines(Aim("superiority", 0.12), unit="patient")
    assert ": the 10 patients of this run suffice (9 would); by the upper limit" in line
    (_, line), (need,) = lines(Aim("superiority", 0.39), test="sign_flip", simulations=200)
    assert "(6 would), also by the upper limit. More patches per slide save none." in line
    assert need.slides == 6


def test_advice_says_when_nothing_will_do():
    (_, line), _ = lines(Aim("superiority", 0.02), between=0.1, between_high=0.2, simulations=200)
    assert line.endswith("no realistic study will do: it takes more than 1,000 slides with about 11 patches each.")
    assert "  To show no preference (a ratio within 0.93–1.07) where there is none, with 90 % power: " in "".join(
        lines(Aim("equivalence", 0.1), simulations=200)[0]
    )


def test_advice_says_when_patches_keep_paying():
    (_, line), (need,) = lines(Aim("superiority", 0.1), between=0.0, between_high=20.0, within=5.0)
    assert 400 < need.slides < 550
    assert f"collect {need.slides - 10:.0f} more slides ({need.slides:.0f} in all)" in line
    assert "by the upper limit, which is safer to plan on, more than 1,000 in all." in line
    assert line.endswith(f" With twice as many patches per slide it takes {need.slides_double:.0f} slides.")
    (_, line), (need,) = lines(Aim("superiority", 0.1), between=0.0, between_high=20.0, within=60.0)
    assert ": it takes more than 1,000 slides with about 11 patches each. With 400 patches per slide it takes" in line
    assert line.endswith(f" {need.slides_most:.0f} slides.")
    assert "no realistic" not in line


def test_advice_on_several_networks_weighs_them_against_slides():
    (first, line), (need,) = lines(Aim("superiority", 0.15, source="estimate"), **SEVERAL)
    assert first.endswith(
        "between patches of a slide 0.03; of a slide in one network 0.002, of a patch in one network 0.01; between"
        " networks 0.0064 (upper 80 % limit 0.013)."
    )
    assert line.startswith("  To find a ratio of 1.11 (this run's own) with 90 % power and 5 networks: ")
    slides = dict(need.by_networks)
    many = [f"{k} networks {f'{slides[k]:.0f}' if np.isfinite(slides[k]) else 'more than 1,000'}" for k in (3, 8, 12)]
    assert f" Of slides it takes with {many[0]}, {many[1]} and {many[2]}." in line
    assert f" The 10 slides of this run would do with {need.networks:g} networks." in line
    assert line.endswith(" Cheaper to raise, by the slides times networks to be judged: networks.")
    assert need.networks * 10 < 5 * need.slides
    # where networks hardly differ slides are what is lacking
    alike = {**SEVERAL, "network": 0.0001, "network_high": 0.0002, "between": 0.02}
    (_, line), (need,) = lines(Aim("superiority", 0.17), **alike)
    if np.isfinite(need.networks):
        assert line.endswith("networks to be judged: slides.")
    else:
        assert line.endswith(
            " More networks alone will not do: of 50 too few studies show it. Cheaper to raise: slides."
        )


def test_advice_on_networks_ends_where_the_run_has_enough_or_nothing_helps():
    (_, line), _ = lines(Aim("superiority", 0.6), **SEVERAL)
    assert "Cheaper" not in line
    assert "would do with" not in line
    (_, line), _ = lines(Aim("superiority", 0.03), **{**SEVERAL, "network": 0.05}, simulations=200)
    assert ": no realistic study will do: it takes more than 1,000 slides" in line
    assert line.endswith(" More networks alone will not do: of 50 too few studies show it.")


def test_what_more_networks_allow_is_not_called_impossible():
    (_, line), (need,) = lines(Aim("superiority", 0.1), **{**SEVERAL, "between": 0.004})
    assert not np.isfinite(need.slides)
    assert np.isfinite(dict(need.by_networks)[12])
    assert ": it takes more than 1,000 slides with about 11 patches each." in line
    assert "no realistic" not in line


def test_a_stated_variance_between_networks_is_named_so():
    stated = {"network": 0.01, "network_high": 0.01}
    (first, line), _ = lines(Aim("superiority", 0.2), **stated)
    assert first.endswith("between patches of a slide 0.03; between networks 0.01 (stated).")
    assert line.endswith(" Several networks speak for all of their kind, one for itself.")
    assert "would do with" not in line
    (first, line), _ = lines(Aim("superiority", 0.2))
    assert "network" not in first + line


# --- cautions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["slide", "patient"])
def test_cautions_say_what_the_numbers_rest_on(unit):
    plan = planned(Aim("superiority", 0.39, hypotheses=3), test="sign_flip", simulations=200, unit=unit)
    assert list(cautions([plan])) == [
        (
            "Each plan is for one of 3 hypotheses that are corrected together, and takes the others for null: its"
            " p-value must lie below 0.05 / 3. For another number: --hypotheses."
        ),
        (
            f"Simulated is the study's own test, sign-flip over slides, which can find nothing with fewer than 7"
            f" {unit}s. Beyond 16 {unit}s the t test stands for it; there the two have the same power."
        ),
        (
            "What one network shows holds for this network. A plan for networks trained alike needs the variance"
            " between them, which is unknown with one network: judge several (classifier.networks), or state"
            " --network-sd and --networks."
        ),
    ]


def test_cautions_of_the_t_test_and_of_one_hypothesis_are_shorter():
    plan = planned(Aim("superiority", 0.39), simulations=200, network=0.01, network_high=0.01)
    said = list(cautions([plan]))
    assert said[0] == "Simulated is the study's own test, t over slide means."
    assert len(said) == 2
    assert "the variance between them: judge several" in said[1]


def test_power_at_a_run_s_own_estimate_is_called_optimistic_wherever_it_stands():
    own, other = (planned(Aim("superiority", 0.39, source=source), simulations=200) for source in ("estimate", "given"))
    assert not any("optimistic" in text for text in cautions([other]))
    for plans in ([own], [other, own]):
        first = next(cautions(plans))
        assert first.startswith("Power at a run's own estimate is optimistic")
        assert "--effect" in first


def test_several_networks_have_the_crossed_test():
    plan = planned(Aim("superiority", 0.39), simulations=200, **SEVERAL)
    assert list(cautions([replace(plan, networks=8)])) == [
        (
            "Simulated is the crossed test, of 8 networks and of slides as two samples: what it finds holds for"
            " networks trained alike."
        )
    ]
