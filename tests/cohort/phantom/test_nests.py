"""Nests of epithelioid cells in fibrous stroma: the numbers of two fixed layouts."""

import numpy as np
import pytest

from saliency_stats.cohort.phantom.nests import build

#: ``numbers`` of two layouts, as the first version that planted signals drew them; a change here changes every phantom.
GOLDEN = {
    (0, (128, 128), 0.5, 1.25): [
        *(42, 12, 4.41675, 3.22442, 3.27539, 0.11189, 0.20978),
        *(1.79721, 2.20558, 0.21564, 0.36475, 0.05157, 0.32977, 2.55496),
    ],
    (1, (96, 160), 0.4, 1.1): [
        *(38, 7, 3.84231, 2.9655, 3.28587, 0.11227, 0.17253),
        *(1.26343, 1.95522, 0.2599, 0.34714, 0.10599, 0.30885, 0.97965),
    ],
}


def numbers(drawn):
    """Counts, sizes and angles of the cells; the distances; shares of stroma and gap; direction of the fibres."""
    c = drawn.cells
    outside = drawn.distance_um > 0
    return [
        *(len(c.angle), c.spindle.sum(), *c.axes_um.mean(axis=0), c.axes_um[c.spindle].mean(), c.skew.std()),
        *(c.angle[c.spindle].std(), drawn.distance_um.mean(), drawn.distance_um.std(), (~outside).mean()),
        *(drawn.stroma.mean(), drawn.gap.mean(), (drawn.stroma & outside).mean(), drawn.fibre_angle),
    ]


@pytest.mark.parametrize("case", GOLDEN)
def test_layouts_are_those_that_every_study_has_seen(case):
    seed, shape, px_um, spacing = case
    drawn = build(np.random.default_rng(seed), shape, px_um, spacing)
    assert numbers(drawn) == pytest.approx(GOLDEN[case], rel=2e-4, abs=2e-4)
    assert not (drawn.gap & (drawn.stroma | (drawn.distance_um <= 0))).any()
    assert drawn.px_um == px_um
