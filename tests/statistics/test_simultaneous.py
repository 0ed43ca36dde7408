"""Simultaneous intervals: each at the level that its family leaves to one hypothesis."""

import numpy as np
import pandas as pd

from saliency_stats.statistics import TESTS, StatisticsParameters, contrast_table
from saliency_stats.statistics.contrasts import inferred, sampled
from saliency_stats.statistics.simultaneous import with_simultaneous_intervals

#: Tests of a table that does not tell networks apart.
UNCROSSED = [name for name, test in TESTS.items() if test.one_sample and not test.of_networks]
SETTINGS = StatisticsParameters(bootstrap_draws=2_000)
CI = ["ci_low", "ci_high"]
SIMULTANEOUS = ["ci_low_simultaneous", "ci_high_simultaneous"]


def patches(seed, slides=8):
    rng = np.random.default_rng(seed)
    means = rng.standard_normal(slides)
    return pd.DataFrame({"slide_id": np.repeat([f"s{n}" for n in range(slides)], 3), "value": np.repeat(means, 3) + 1})


def asked(tables, families):
    samples = [sampled(table, "value", min_units=SETTINGS.min_slides) for table in tables]
    rows = [
        inferred(sample, alpha=0.05, seed=0, draws=2_000, margin=None).assign(family=family)
        for sample, family in zip(samples, families, strict=True)
    ]
    return pd.concat(rows, ignore_index=True), samples


def test_two_of_a_family_share_the_level_and_one_alone_keeps_it():
    tables = [patches(1), patches(2), patches(3)]
    table, samples = asked(tables, ["a", "b", "a"])
    found = with_simultaneous_intervals(table, samples, ("family", "test"), SETTINGS)
    for place, (own, alpha) in enumerate(zip(tables, (0.025, 0.05, 0.025), strict=True)):
        expected = contrast_table(own, "value", alpha=alpha, bootstrap_draws=2_000)
        rows = found.iloc[place * len(UNCROSSED) : (place + 1) * len(UNCROSSED)]
        assert list(rows["test"]) == UNCROSSED
        np.testing.assert_array_equal(rows[SIMULTANEOUS], expected[CI])
    pd.testing.assert_frame_equal(found.drop(columns=SIMULTANEOUS), table.drop(columns=SIMULTANEOUS))


def test_what_is_not_tested_has_no_interval_and_costs_the_others_nothing():
    # the second has too few slides, the third is not interpreted
    table, samples = asked([patches(1), patches(2, slides=2), patches(3)], ["a", "a", "a"])
    table.loc[2 * len(UNCROSSED) :, "status"] = "not_interpretable"
    found = with_simultaneous_intervals(table, samples, ("family", "test"), SETTINGS)
    assert found.loc[len(UNCROSSED) :, SIMULTANEOUS].isna().all(axis=None)
    np.testing.assert_array_equal(found.loc[: len(UNCROSSED) - 1, SIMULTANEOUS], table.loc[: len(UNCROSSED) - 1, CI])
