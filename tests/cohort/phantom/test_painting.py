"""Stain and truth of a patch: what each phenotype changes, and the numbers of a fixed patch at three phenotypes."""

from dataclasses import replace

import numpy as np
import pytest

from saliency_stats.cohort.phantom.cells import CELL_KINDS
from saliency_stats.cohort.phantom.nests import build
from saliency_stats.cohort.phantom.painting import Phenotype, paint
from saliency_stats.vocabulary import COMPARTMENT_CODES

ORDER = ("nucleus", "cytoplasm", "stroma", "background")
#: ``numbers`` of one layout, as the first version that planted signals painted it; a change here changes every phantom.
GOLDEN = {
    (0.0, 0.0, 0.0): [
        *(0.8628, 0.242, 0.2137, 0.0325, 0.1511, 0.2151, 0.1031, 0.1238),
        *(0.0584, 0.1731, 0.0605, 0.0489, 0, 0, 0, 0, 0.0531, 0.0369),
        *(1320, 5099, 10512, 8669, 35),
    ],
    (1.0, 1.0, 1.0): [
        *(0.5037, 0.1836, 0.2059, 0.0331, 0.1412, 0.2104, 0.0753, 0.0954),
        *(0.1116, 0.405, 0.0587, 0.1809, 0, 0, 0, 0, 0.0621, 0.0388),
        *(1320, 7201, 8865, 8214, 35),
    ],
    (0.3, 0.6, 0.2): [
        *(0.7695, 0.2244, 0.1892, 0.0272, 0.1491, 0.213, 0.0848, 0.0838),
        *(0.0683, 0.2182, 0.0553, 0.065, 0, 0, 0, 0, 0.0495, 0.0291),
        *(1320, 5627, 10098, 8555, 35),
    ],
}


@pytest.fixture(scope="module")
def anatomy():
    return build(np.random.default_rng(0), (160, 160), 0.5, 1.25)


def painted(anatomy, nucleus=0.5, cytoplasm=0.5, stroma=0.5):
    return paint(np.random.default_rng(5), anatomy, Phenotype(nucleus, cytoplasm, stroma))


def numbers(painting):
    """Mean and deviation of both stains in every compartment, their mean steps between pixels, areas and nuclei."""
    stains = [painting.stain[:, painting.truth == COMPARTMENT_CODES[name]] for name in ORDER]
    return [
        *(value for stain in stains for value in (*stain.mean(axis=1), *stain.std(axis=1))),
        *np.abs(np.diff(painting.stain, axis=2)).mean(axis=(1, 2)),
        *np.bincount(painting.truth.ravel(), minlength=4),
        len(np.unique(painting.instances)),
    ]


@pytest.mark.parametrize("phenotype", GOLDEN)
def test_patches_are_those_that_every_study_has_seen(anatomy, phenotype):
    assert numbers(painted(anatomy, *phenotype)) == pytest.approx(GOLDEN[phenotype], rel=1e-3, abs=1e-4)


def test_nuclei_lie_above_all_and_gaps_hold_no_stain(anatomy):
    painting = painted(anatomy)
    nucleus = painting.truth == COMPARTMENT_CODES["nucleus"]
    np.testing.assert_array_equal(painting.instances > 0, nucleus)
    np.testing.assert_array_equal(painting.instances[nucleus], anatomy.nearest[nucleus] + 1)
    glass = painting.truth == COMPARTMENT_CODES["background"]
    np.testing.assert_array_equal(glass, anatomy.gap & ~nucleus)
    assert painting.stain.min() >= 0
    far = glass & (anatomy.distance_um > 2)
    assert painting.stain[:, far].max() < 0.01


@pytest.mark.parametrize("changed", ["cytoplasm", "stroma"])
def test_a_phenotype_changes_its_own_compartment_alone(anatomy, changed):
    low, high = (painted(anatomy, **{changed: value}) for value in (0.1, 0.9))
    np.testing.assert_array_equal(low.truth, high.truth)
    differs = (low.stain != high.stain).any(axis=0)
    own = low.truth == COMPARTMENT_CODES[changed]
    assert differs[own].mean() > 0.99
    # soft borders of nuclei show what lies below
    elsewhere = ~own & (low.truth != COMPARTMENT_CODES["nucleus"])
    assert not differs[elsewhere].any()
    assert np.abs(low.stain - high.stain)[:, (anatomy.distance_um < -2.5)].max() < 0.01


def middle(anatomy, mask):
    """Pixels of a mask far from nuclei, whatever their size."""
    return mask & (anatomy.distance_um > 1.5)


def test_a_body_lies_on_stroma_and_gaps_and_below_nuclei(anatomy):
    body = anatomy.distance_um < 5.0
    plain, painting = (
        painted(anatomy),
        paint(np.random.default_rng(5), replace(anatomy, body=body), Phenotype(0.5, 0.5, 0.5)),
    )
    nucleus = plain.truth == COMPARTMENT_CODES["nucleus"]
    np.testing.assert_array_equal(painting.truth == COMPARTMENT_CODES["nucleus"], nucleus)
    assert (painting.truth[body & ~nucleus] == COMPARTMENT_CODES["cytoplasm"]).all()
    np.testing.assert_array_equal(painting.truth[~body], plain.truth[~body])
    on_glass = middle(anatomy, body & anatomy.gap)
    assert on_glass.sum() > 5
    assert painting.stain[1][on_glass].mean() > 0.05


def test_matter_fills_gaps_alone(anatomy):
    shape = anatomy.gap.shape
    matter = np.stack([np.full(shape, 0.1), np.full(shape, 0.5)]).astype(np.float32)
    plain, filled = (
        painted(anatomy),
        paint(np.random.default_rng(5), replace(anatomy, matter=matter), Phenotype(0.5, 0.5, 0.5)),
    )
    np.testing.assert_array_equal(filled.truth, plain.truth)
    far = middle(anatomy, anatomy.gap)
    assert filled.stain[:, far].mean(axis=1) == pytest.approx([0.1, 0.5], rel=0.15)
    tissue = middle(anatomy, ~anatomy.gap)
    np.testing.assert_allclose(filled.stain[:, tissue], plain.stain[:, tissue], atol=1e-6)


def test_the_tint_of_stroma_multiplies_its_stain_alone(anatomy):
    tint = np.array([2.0, 0.5], dtype=np.float32)[:, None, None]
    plain, tinted = (
        painted(anatomy),
        paint(np.random.default_rng(5), replace(anatomy, stroma_tint=tint), Phenotype(0.5, 0.5, 0.5)),
    )
    stroma = anatomy.stroma & (anatomy.distance_um > 4)
    np.testing.assert_allclose(tinted.stain[:, stroma], plain.stain[:, stroma] * tint[:, 0], rtol=1e-3)
    other = anatomy.distance_um > 4
    np.testing.assert_array_equal(tinted.stain[:, other & ~anatomy.stroma], plain.stain[:, other & ~anatomy.stroma])


def test_bent_fibres_are_other_fibres_of_the_same_density(anatomy):
    bend = np.broadcast_to(np.linspace(0, 30, 160, dtype=np.float32), (160, 160))
    plain, bent = (
        painted(anatomy),
        paint(np.random.default_rng(5), replace(anatomy, bend_um=bend), Phenotype(0.5, 0.5, 0.5)),
    )
    stroma = anatomy.stroma & (anatomy.distance_um > 4)
    assert (bent.stain[1] != plain.stain[1])[stroma].mean() > 0.9
    assert bent.stain[1][stroma].mean() == pytest.approx(plain.stain[1][stroma].mean(), rel=0.1)
    # shifted as a whole by nothing, they are the same
    none = paint(np.random.default_rng(5), replace(anatomy, bend_um=0 * bend), Phenotype(0.5, 0.5, 0.5))
    np.testing.assert_array_equal(none.stain, plain.stain)


@pytest.mark.parametrize("name", ["plasma", "lymphocyte", "histiocyte", "centroblast"])
def test_cells_have_the_stain_of_their_kind(anatomy, name):
    kind, number = CELL_KINDS[name], list(CELL_KINDS).index(name)
    cells = replace(anatomy.cells, kind=np.full(len(anatomy.cells.kind), number))
    # no gap nor membrane: cytoplasm as such
    plain, other = (
        paint(np.random.default_rng(5), replace(anatomy, cells=each), Phenotype(0.5, 0.5, 0.5))
        for each in (replace(cells, kind=0 * cells.kind), cells)
    )
    away = (plain.truth == COMPARTMENT_CODES["cytoplasm"]) & (anatomy.distance_um > 3)
    ratio = np.median(other.stain[:, away] / plain.stain[:, away], axis=1)
    assert ratio == pytest.approx([kind.blue, kind.pink], rel=0.1)
    inner = anatomy.distance_um < -1.5
    assert np.median(other.stain[0][inner] / plain.stain[0][inner]) == pytest.approx(kind.ink, rel=0.02)
