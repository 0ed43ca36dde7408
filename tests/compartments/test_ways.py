"""What around nuclei is cytoplasm: by network, by rule, by distance; and what is doubtful."""

from dataclasses import replace

import numpy as np
import pytest

from saliency_stats.attribution import ledger
from saliency_stats.cohort import Phantom
from saliency_stats.compartments import CompartmentParameters, Found, estimate_stains, view_of
from saliency_stats.compartments.cells import CELL_SCALE, nuclear_radius_um, weighed
from saliency_stats.compartments.segmentation import divided, weighed_around, with_tissues
from saliency_stats.compartments.tissue import network
from saliency_stats.compartments.ways import SURE, TISSUES, WAYS, cell_words
from saliency_stats.errors import CompartmentError
from saliency_stats.vocabulary import CELLS, COMPARTMENTS, USUAL_CELLS

NUCLEUS, CYTOPLASM, STROMA, BACKGROUND = range(4)
SIZE = 64
NETWORK = CompartmentParameters(cells="network", cytoplasm_um=5.0)


def constant(cell, stroma, background):
    """A finder that sees the same everywhere."""

    def finder(views):
        values = np.array([cell, stroma, background], np.float32)[:, None, None]
        return [np.broadcast_to(values, (3, *view.tissue.shape)).copy() for view in views]

    return finder


def scene(parameters=NETWORK, mpp=0.5, *, nuclei=True, tissues=(0.7, 0.2, 0.1)):
    """A disc in the middle of tissue, whose last eight columns are glass."""
    image = Phantom(size_px=SIZE, mpp=mpp).render(np.random.default_rng(0), "malignant").image
    view = view_of(image, mpp, parameters, estimate_stains([image]))
    y, x = np.indices(view.tissue.shape)
    middle = view.tissue.shape[0] / 2
    tissue = x < view.tissue.shape[1] - 8
    view = view._replace(tissue=tissue, tissues=constant(*tissues)([view._replace(tissue=tissue)])[0])
    instances = ((np.hypot(y - middle, x - middle) <= 6) & nuclei).astype(np.int32)
    return view, Found(instances, np.full(int(instances.max()), 0.9))


def away_um(view, found):
    """Distance from the border of the disc, without a distance transform."""
    inner = np.argwhere(found.instances > 0)
    pixels = np.argwhere(np.ones_like(found.instances))
    steps = np.hypot(*(pixels[:, None] - inner[None]).transpose(2, 0, 1)).min(axis=1)
    return (steps.reshape(found.instances.shape) - 0.5) * view.mpp


def test_the_ways_are_those_of_the_vocabulary():
    assert tuple(WAYS) == CELLS
    assert all(name == way.name for name, way in WAYS.items())
    assert USUAL_CELLS in WAYS
    assert CompartmentParameters().cells == USUAL_CELLS
    assert [name for name, way in WAYS.items() if way.soft] == ["network"]


def test_the_tissues_are_those_of_the_network():
    assert TISSUES == network.TISSUES


@pytest.mark.parametrize("cells", CELLS)
def test_the_words_say_how_far_cytoplasm_reaches(cells):
    assert "cytoplasm is " in cell_words(cells, 7.5)
    assert "at most 7.5 µm" in cell_words(cells, 7.5)
    assert len({cell_words(name, 1.0) for name in CELLS}) == 3


def test_an_unknown_way_is_refused_by_name():
    with pytest.raises(CompartmentError, match="cells is 'netwrok', expected one of network, rule, distance"):
        CompartmentParameters(cells="netwrok")


def test_the_network_decides_within_reach_and_cells_beyond_are_stroma():
    view, found = scene()
    made = divided(view, found).memberships
    distance, nucleus = away_um(view, found), found.instances > 0
    near, tissue = (distance <= 5.0) & ~nucleus, view.tissue & ~nucleus
    assert (near & tissue).sum() > 100
    assert (~near & tissue).sum() > 100
    expected = np.zeros((4, SIZE, SIZE), np.float32)
    expected[NUCLEUS][nucleus] = 1
    expected[CYTOPLASM][near & tissue] = 0.7
    expected[STROMA][near & tissue], expected[STROMA][~near & tissue] = 0.2, np.float32(0.2) + np.float32(0.7)
    expected[BACKGROUND][tissue], expected[BACKGROUND][~view.tissue & ~nucleus] = 0.1, 1
    np.testing.assert_array_equal(made, expected)
    assert made.dtype == np.float32


def test_the_network_asks_for_no_connection_and_no_size_of_the_nucleus():
    view, found = scene(replace(NETWORK, cytoplasm_um=12.0))
    tissues = view.tissues.copy()
    distance = away_um(view, found)
    tissues[:, (distance > 1) & (distance < 3)] = np.array([0, 1, 0], np.float32)[:, None]
    island = (distance > 3.5) & (distance <= 12.0) & view.tissue
    # further than any rule lets a nucleus of this size reach
    y, x = np.indices((SIZE, SIZE))
    small = found._replace(instances=(np.hypot(y - SIZE / 2, x - SIZE / 2) <= 3).astype(np.int32))
    assert (CELL_SCALE - 1) * nuclear_radius_um(small.instances, 0.5)[1] < 8
    assert (divided(view._replace(tissues=tissues), found).memberships[CYTOPLASM][island] == np.float32(0.7)).all()
    far = (away_um(view, small) > 9) & (away_um(view, small) <= 12) & view.tissue
    assert (divided(view, small).memberships[CYTOPLASM][far] == np.float32(0.7)).all()
    assert far.any()


@pytest.mark.parametrize("cells", ["network", "distance"])
def test_a_pixel_exactly_at_the_reach_is_cytoplasm(cells):
    view, found = scene(replace(NETWORK, cells=cells), tissues=(1, 0, 0))
    edge = 2.25  # four pixels and a half from the centre of the outermost one
    row, inner = SIZE // 2, int(np.flatnonzero(found.instances[SIZE // 2])[-1])
    for reach, n in ((edge, 5), (np.nextafter(edge, 0), 4), (np.nextafter(edge, 9), 5)):
        made = divided(view, found, replace(view.parameters, cytoplasm_um=reach)).memberships
        assert made[CYTOPLASM][row, inner + 1 :].sum() == n


def test_without_nuclei_there_is_no_cytoplasm():
    for cells in CELLS:
        view, found = scene(replace(NETWORK, cells=cells), nuclei=False)
        made = divided(view, found).memberships
        assert not made[[NUCLEUS, CYTOPLASM]].any()
        assert made[STROMA][view.tissue].min() > 0.85
        assert (made[BACKGROUND][~view.tissue] == 1).all()


def test_a_nucleus_on_glass_is_a_nucleus():
    view, found = scene()
    view = view._replace(tissue=np.zeros_like(view.tissue))
    for cells in CELLS:
        made = divided(view, found, replace(NETWORK, cells=cells)).memberships
        np.testing.assert_array_equal(made[NUCLEUS], found.instances > 0)
        np.testing.assert_array_equal(made[BACKGROUND], found.instances == 0)


def test_distance_takes_all_tissue_up_to_the_reach_or_so_many_radii():
    parameters = replace(NETWORK, cells="distance")
    view, found = scene(parameters)
    distance = away_um(view, found)
    radius = np.sqrt((found.instances > 0).sum() / np.pi) * 0.5
    for reach in (3.0, 50.0):
        expected = (found.instances == 0) & view.tissue & (distance <= min(reach, 4 * radius))
        made = divided(view, found, replace(parameters, cytoplasm_um=reach)).memberships
        np.testing.assert_array_equal(made[CYTOPLASM], expected)
    assert 4 * radius < 50


def test_the_rule_gives_what_it_always_gave():
    patch = Phantom(size_px=96).render(np.random.default_rng(1), "benign")
    stains = estimate_stains([patch.image])
    view = view_of(patch.image, 0.5, CompartmentParameters(cells="rule"), stains)
    found = Found(patch.instances, np.zeros(0))
    around = weighed(patch.instances, view.tissue, view.stained, 0.5, maxima=stains.maxima)
    made = divided(view, found).memberships
    assert set(np.unique(made)) == {0, 1}
    np.testing.assert_array_equal(made[CYTOPLASM], around.within(15.0, 0.0) > 0)
    other = divided(view, found, replace(view.parameters, cells="distance")).memberships
    assert (made[CYTOPLASM] <= other[CYTOPLASM]).all()
    assert (made[CYTOPLASM] != other[CYTOPLASM]).any()


def test_the_threshold_of_the_rule_is_that_of_the_parameters():
    view, found = scene(CompartmentParameters(cells="rule"))
    strict = replace(view.parameters, fibre=replace(view.parameters.fibre, threshold=1e6))
    assert divided(view, found).memberships[CYTOPLASM].any()
    assert not divided(view, found, strict).memberships[CYTOPLASM].any()


def test_a_view_that_the_network_never_saw_is_refused():
    view, found = scene()
    with pytest.raises(CompartmentError, match=r"cells is network, but .*with_tissues.*network, rule, distance"):
        weighed_around(view._replace(tissues=None), found)


def test_half_a_probability_is_half_a_weight_in_the_ledger():
    view, found = scene(replace(NETWORK, cytoplasm_um=50.0), tissues=(0.5, 0.5, 0))
    made = divided(view, found)
    saliency = np.random.default_rng(0).random((1, SIZE, SIZE))
    rows = ledger(saliency, made.memberships[None]).set_index("compartment")
    around = view.tissue & (found.instances == 0)
    for name in ("cytoplasm", "stroma"):
        assert rows.loc[name, "area_share"] == pytest.approx(0.5 * around.mean(), rel=1e-9)
        assert rows.loc[name, "mass_share"] == pytest.approx(0.5 * saliency[0][around].sum() / saliency.sum(), rel=1e-9)
    assert rows.loc["cytoplasm", "density_ratio"] == pytest.approx(rows.loc["stroma", "density_ratio"], rel=1e-9)


@pytest.mark.parametrize(
    ("tissues", "share"),
    [((SURE, 1 - SURE, 0), 0), ((SURE - 0.01, 0.26, 0), 1), ((0.4, 0.4, 0.2), 1), ((0.1, 0.1, 0.8), 0)],
)
def test_tissue_is_doubtful_where_no_membership_is_large(tissues, share):
    view, found = scene(replace(NETWORK, cytoplasm_um=50.0), tissues=tissues)
    made = divided(view, found)
    assert made.doubtful_share == share
    asked = view.tissue & (found.instances == 0)
    np.testing.assert_array_equal(made.doubt, np.stack([asked, asked & bool(share)]))


def test_doubt_between_cell_and_stroma_is_none_where_both_are_stroma():
    view, found = scene(tissues=(0.5, 0.5, 0))
    around = view.tissue & (found.instances == 0)
    near = around & (away_um(view, found) <= 5.0)
    assert divided(view, found).doubtful_share == pytest.approx(near.sum() / around.sum())


@pytest.mark.parametrize("cells", ["rule", "distance"])
def test_hard_memberships_know_no_doubt(cells):
    view, found = scene(replace(NETWORK, cells=cells))
    made = divided(view, found)
    assert made.doubt is None
    assert np.isnan(made.doubtful_share)


def test_without_tissue_outside_nuclei_there_is_nothing_to_doubt():
    view, found = scene()
    made = divided(view._replace(tissue=np.zeros_like(view.tissue)), found)
    assert made.doubt is not None
    assert np.isnan(made.doubtful_share)


def test_doubt_is_that_of_the_enlarged_pixels():
    view, found = scene(mpp=1.0, tissues=(1, 0, 0))
    assert view.factor == 2
    made = divided(view, found)
    # pixels on a border are divided between two compartments, and none of it is doubtful
    assert ((made.memberships > 0) & (made.memberships < 1)).any()
    assert made.doubtful_share == 0
    assert made.doubt.shape == (2, SIZE, SIZE)
    asked = view.tissue & (found.instances == 0)
    assert made.doubt[0].sum() == pytest.approx(asked.sum() / 4)
    np.testing.assert_allclose(made.memberships.sum(axis=0), 1, atol=1e-6)


def test_what_is_left_out_is_background():
    view, found = scene(tissues=(0.5, 0.5, 0))
    band = np.zeros((SIZE, SIZE), bool)
    band[20:40] = True
    made = divided(view, found, left_out=band).memberships
    np.testing.assert_array_equal(made[:, band], np.eye(4)[[BACKGROUND] * band.sum()].T)
    np.testing.assert_array_equal(made[:, ~band], divided(view, found).memberships[:, ~band])


def test_the_network_is_asked_once_and_not_about_glass():
    view, found = scene()
    glass = view._replace(tissue=np.zeros_like(view.tissue), structure=False, tissues=None)
    asked = []

    def finder(views):
        asked.append(len(views))
        return constant(0.2, 0.3, 0.5)(views)

    seen = with_tissues([glass, view, glass, view], finder)
    assert asked == [2]
    assert [one.tissues[:, 0, 0].tolist() for one in seen] == [
        *([0, 1, 0], pytest.approx([0.2, 0.3, 0.5]), [0, 1, 0], pytest.approx([0.2, 0.3, 0.5]))
    ]
    assert seen[0].tissues.shape == (3, SIZE, SIZE)
    (made,) = (divided(seen[0], found._replace(instances=np.zeros_like(found.instances))).memberships,)
    assert (made[COMPARTMENTS.index("background")] == 1).all()
    assert with_tissues([glass], None)[0] is glass


def test_one_pixel_of_tissue_may_be_doubtful():
    view, found = scene(tissues=(0.4, 0.4, 0.2))
    tissue = np.zeros_like(view.tissue)
    tissue[SIZE // 2, SIZE // 2 + 8] = True
    assert divided(view._replace(tissue=tissue), found).doubtful_share == 1


def test_the_rule_is_asked_as_far_as_cytoplasm_may_reach():
    anywhere = CompartmentParameters(cells="rule", cytoplasm_um=20.0)
    anywhere = replace(anywhere, fibre=replace(anywhere.fibre, threshold=-1e6))
    view, found = scene(anywhere)
    y, x = np.indices((SIZE, SIZE))
    corner = found._replace(instances=(np.hypot(y, x) <= 16).astype(np.int32))
    distance = away_um(view, corner)
    expected = (corner.instances == 0) & view.tissue & (distance <= 4 * nuclear_radius_um(corner.instances, 0.5)[1])
    expected &= distance <= 20.0
    np.testing.assert_array_equal(divided(view, corner).memberships[CYTOPLASM], expected)
    assert (expected & (distance > 15.0)).any()
