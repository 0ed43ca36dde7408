"""Variants of the segmentation: each moves what it names and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import (
    CompartmentParameters,
    Found,
    estimate_stains,
    nucleus_finder,
    segmentation,
    variants,
    view_of,
)
from saliency_stats.compartments.segmentation import divided
from saliency_stats.compartments.variants import VARIANTS, Variant, variations, varied
from saliency_stats.errors import CompartmentError

NUCLEUS, CYTOPLASM, STROMA, BACKGROUND = range(4)
OFFSET = -0.1


def seen(mpp=0.5, size_px=128, noise=0.0):
    rng = np.random.default_rng(0)
    image = Phantom(size_px=size_px, mpp=mpp).render(rng, "malignant").image
    image = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
    view = view_of(image, mpp, CompartmentParameters(), estimate_stains([image]))
    tissues = rng.dirichlet((1, 1, 1), view.tissue.shape).transpose(2, 0, 1).astype(np.float32)
    return view._replace(tissues=tissues)


def found_in(view, offset=0.0):
    return nucleus_finder("builtin", probability_offset=offset)([view])[0]


@pytest.fixture(scope="module")
def phantom():
    """A view so noisy that nuclei are doubtful, with those at a lower threshold than usual."""
    view = seen(noise=60.0)
    return view, found_in(view, OFFSET)


def drawn(shapes, size=40):
    """Nuclei drawn by hand in a view that is tissue all over."""
    view = seen(size_px=size)._replace(tissue=np.ones((size, size), bool))
    instances = np.zeros((size, size), np.int32)
    for number, where in enumerate(shapes, 1):
        instances[where] = number
    return view, Found(instances, np.linspace(0.9, 0.5, len(shapes)))


def assert_same(first, second):
    np.testing.assert_array_equal(first.instances, second.instances)
    np.testing.assert_array_equal(first.memberships, second.memberships)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)


def test_many_variants_are_each_what_they_are_alone(phantom, monkeypatch):
    view, found = phantom
    weighed = []
    monkeypatch.setattr(
        variants, "weighed_around", lambda *args: weighed.append(args) or segmentation.weighed_around(*args)
    )
    far = (Variant("wide", cytoplasm_um=20.0), Variant("wider", grow_um=0.5, cytoplasm_um=25.0))
    together = variations(view, found, (*VARIANTS, *far))
    # seven sets of nuclei, the two that look further than usual, and the two other ways to tell cells
    assert len(weighed) == 11
    for variant, made in zip((*VARIANTS, *far), together, strict=True):
        assert_same(made, varied(view, found, variant))
    wide = replace(view.parameters, cytoplasm_um=20.0)
    assert_same(together[-2], varied(view._replace(parameters=wide), found, VARIANTS[0]))


@pytest.mark.parametrize("mpp", [0.5, 1.0])
def test_the_neutral_variant_is_the_segmentation(mpp):
    view = seen(mpp=mpp)
    found = found_in(view)
    assert found.instances.max() > 5
    assert_same(varied(view, found, VARIANTS[0]), divided(view, found))
    assert_same(varied(view, found, Variant("same", cytoplasm_um=view.parameters.cytoplasm_um)), divided(view, found))


@pytest.mark.parametrize("offset", [OFFSET, 0.0, 0.1, 0.15])
def test_dropping_nuclei_is_finding_them_at_the_higher_threshold(phantom, offset):
    view, found = phantom
    assert_same(varied(view, found, Variant("moved", probability=offset)), divided(view, found_in(view, offset)))


def test_thresholds_do_change_the_nuclei(phantom):
    view, found = phantom
    counts = [varied(view, found, Variant("moved", probability=p)).instances.max() for p in (OFFSET, 0.0, 0.15)]
    assert counts[0] > counts[1] > counts[2] > 0


def test_nuclei_not_sought_far_enough_down_are_refused():
    view = seen(size_px=64)
    with pytest.raises(CompartmentError, match=r"probability-0\.1.*probability_offset=-0\.1"):
        varied(view, found_in(view), Variant("probability-0.1", probability=-0.1))


def test_nuclei_without_probabilities_have_no_threshold_to_move():
    view = seen()
    found = nucleus_finder("classical")([view])[0]
    assert_same(varied(view, found, VARIANTS[0]), divided(view, found))
    with pytest.raises(CompartmentError, match=r"Variant more .* no probabilities"):
        varied(view, found, Variant("more", probability=0.1))


def test_finders_say_what_offset_they_cannot_use():
    with pytest.raises(CompartmentError, match="classical finder"):
        nucleus_finder("classical", probability_offset=0.1)
    with pytest.raises(CompartmentError, match="between 0 and 1"):
        nucleus_finder("builtin", probability_offset=-0.9)


def test_one_pixel_grown_is_a_cross_around_every_pixel():
    view, found = drawn([np.s_[10:16, 10:16], np.s_[20:23, 30:31]])
    cross = ndimage.generate_binary_structure(2, 1)
    for step, sign in ((0.5, ndimage.binary_dilation), (-0.5, ndimage.binary_erosion)):
        instances, memberships = varied(view, found, Variant("moved", grow_um=step))
        expected = sign(found.instances == 1, cross) | sign(found.instances == 2, cross)
        np.testing.assert_array_equal(instances > 0, expected)
        np.testing.assert_array_equal(memberships[NUCLEUS] == 1, expected)


def test_nuclei_grow_over_tissue_only_and_keep_what_they_had():
    view, found = drawn([np.s_[10:16, 10:16]])
    tissue = view.tissue.copy()
    tissue[:, 15:] = False
    instances = varied(view._replace(tissue=tissue), found, Variant("moved", grow_um=1.0)).instances
    assert (instances[10:16, 15] == 1).all()
    assert not instances[:, 16:].any()
    assert (instances[10:16, 8] == 1).all()


def test_nuclei_that_vanish_take_their_probabilities_along():
    view, found = drawn([np.s_[5:7, 5:7], np.s_[10:20, 10:20], np.s_[30:31, 2:9], np.s_[30:38, 20:30]])
    small = varied(view, found, Variant("moved", grow_um=-0.5))
    assert np.unique(small.instances).tolist() == [0, 1, 2]
    assert small.probabilities.tolist() == found.probabilities[[1, 3]].tolist()
    assert (small.instances[11:19, 11:19] == 1).all()
    none = varied(view, found, Variant("moved", grow_um=-5.0))
    assert not none.instances.any()
    assert none.memberships[CYTOPLASM].max() == none.memberships[NUCLEUS].max() == 0


def test_touching_nuclei_part_and_the_edge_of_the_image_is_no_border():
    view, found = drawn([np.s_[0:10, 10:20], np.s_[0:10, 20:30]])
    instances = varied(view, found, Variant("moved", grow_um=-0.5)).instances
    expected = np.zeros_like(instances)
    expected[0:9, 11:19], expected[0:9, 21:29] = 1, 2
    np.testing.assert_array_equal(instances, expected)


def test_a_band_leaves_out_the_same_pixels_on_either_side_and_moves_no_other():
    view, found = drawn([np.s_[10:20, 10:20]])
    usual, without = (varied(view, found, variant) for variant in (VARIANTS[0], Variant("band", band_um=0.5)))
    cross = ndimage.generate_binary_structure(2, 1)
    nucleus = found.instances > 0
    band = ndimage.binary_dilation(nucleus, cross) & ~ndimage.binary_erosion(nucleus, cross)
    assert (without.memberships[BACKGROUND][band] == 1).all()
    np.testing.assert_array_equal(without.memberships[:, ~band], usual.memberships[:, ~band])
    np.testing.assert_array_equal(without.instances, usual.instances)


def test_cells_reach_as_far_as_the_variant_says(phantom):
    view, found = phantom
    near, usual = (varied(view, found, Variant("cells", cytoplasm_um=um)) for um in (2.0, None))
    assert near.memberships[CYTOPLASM].sum() < usual.memberships[CYTOPLASM].sum()
    np.testing.assert_array_equal(near.memberships[NUCLEUS], usual.memberships[NUCLEUS])
    other = replace(view.parameters, cytoplasm_um=2.0)
    assert_same(near, varied(view._replace(parameters=other), found, VARIANTS[0]))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_of_the_list_is_a_segmentation_of_its_own(phantom, variant):
    view, found = phantom
    made, usual = varied(view, found, variant), varied(view, found, VARIANTS[0])
    np.testing.assert_allclose(made.memberships.sum(axis=0), 1.0, atol=1e-6)
    numbers = np.unique(made.instances[made.instances > 0])
    assert numbers.tolist() == list(range(1, len(made.probabilities) + 1))
    changed = (made.memberships != usual.memberships).any()
    assert changed == (variant.name not in {"usual", f"cells-{view.parameters.cells}"})


@settings(deadline=None, max_examples=25)
@given(st.floats(0.1, 0.5), st.floats(0.5, 3.0), st.integers(0, 2**31))
def test_larger_steps_change_more(mpp, length_um, seed):
    rng = np.random.default_rng(seed)
    instances = np.kron(rng.integers(0, 3, (4, 4)), np.ones((8, 8))).astype(np.int32)
    image = np.full((32, 32, 3), 200, np.uint8)
    view = view_of(image, mpp, CompartmentParameters(cells="rule"), estimate_stains([image]))
    view = view._replace(tissue=np.ones((32, 32), bool))
    found = Found(instances, np.full(2, np.nan))
    areas = [
        np.count_nonzero(varied(view, found, Variant("moved", grow_um=step)).instances)
        for step in (-length_um - 0.5, -length_um, 0.0, length_um, length_um + 0.5)
    ]
    assert areas == sorted(areas)


def test_a_step_below_one_pixel_is_refused_and_a_scanners_half_micrometre_is_one_pixel():
    view, found = drawn([np.s_[10:16, 10:16]])
    variant = Variant("nuclei+0.5um", grow_um=0.5)
    at_052 = varied(view._replace(mpp=0.52), found, variant)
    assert np.count_nonzero(at_052.instances) == 36 + 24
    with pytest.raises(CompartmentError, match=r"nuclei\+0\.5um: grow_um is 0\.5 µm, less than a pixel of 1 µm"):
        varied(view._replace(mpp=1.0), found, variant)


@pytest.mark.parametrize(
    "values",
    [
        *({"grow_um": 6.0}, {"band_um": -0.5}, {"probability": 1.5}, {"cytoplasm_um": 0.1}, {"grow_um": np.nan}),
        {"cells": "netwrok"},
    ],
)
def test_values_out_of_range_are_named(values):
    with pytest.raises(CompartmentError, match=next(iter(values))):
        Variant("wrong", **values)
    with pytest.raises(CompartmentError, match="no name"):
        Variant("")


def test_names_are_unique_and_the_usual_comes_first():
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
    assert Variant("usual") == VARIANTS[0]


def test_a_nucleus_of_exactly_the_threshold_is_dropped_as_the_finder_drops_it(phantom):
    view, _ = phantom
    instances = np.zeros(view.image.shape[:2], np.int32)
    instances[10:20, 10:20], instances[30:40, 30:40] = 1, 2
    at = float(np.float32(0.6))
    found = Found(instances, np.array([at, 0.7]), 0.5, 0.5)
    kept = varied(view, found._replace(threshold=at), Variant("same"))
    assert sorted(np.unique(kept.instances)) == [0, 1]
    assert kept.instances[35, 35] == 1


def test_the_ends_of_the_ranges_are_allowed():
    for key, low, high in (("grow_um", -5, 5), ("band_um", 0, 5), ("probability", -1, 1), ("cytoplasm_um", 0.5, 50)):
        for value in (low, high):
            assert getattr(Variant("v", **{key: value}), key) == value
        for value in (np.nextafter(low, -99), np.nextafter(high, 99)):
            with pytest.raises(CompartmentError, match=f"{key} is"):
                Variant("v", **{key: value})


def test_the_list_moves_each_choice_by_the_stated_steps():
    moved = {v.name: (v.grow_um, v.band_um, v.probability, v.cytoplasm_um) for v in VARIANTS if v.cells is None}
    assert moved == {
        "usual": (0, 0, 0, None),
        "nuclei-1um": (-1, 0, 0, None),
        "nuclei-0.5um": (-0.5, 0, 0, None),
        "nuclei+0.5um": (0.5, 0, 0, None),
        "nuclei+1um": (1, 0, 0, None),
        "band0.5um": (0, 0.5, 0, None),
        "band1um": (0, 1, 0, None),
        "probability-0.1": (0, 0, -0.1, None),
        "probability+0.1": (0, 0, 0.1, None),
        "cytoplasm2um": (0, 0, 0, 2),
        "cytoplasm3um": (0, 0, 0, 3),
        "cytoplasm8um": (0, 0, 0, 8),
    }
    others = [variant for variant in VARIANTS if variant.cells is not None]
    assert others == [Variant(f"cells-{cells}", cells=cells) for cells in ("network", "rule", "distance")]


@pytest.mark.parametrize("cells", ["network", "rule", "distance"])
def test_other_cells_are_those_of_the_same_nuclei(phantom, cells):
    view, found = phantom
    made, usual = varied(view, found, Variant("other", cells=cells)), varied(view, found, VARIANTS[0])
    np.testing.assert_array_equal(made.instances, usual.instances)
    assert_same(made, varied(view._replace(parameters=replace(view.parameters, cells=cells)), found, VARIANTS[0]))
    with pytest.raises(CompartmentError, match="the network was not asked"):
        varied(view._replace(tissues=None), found, Variant("unseen", cells="network"))
