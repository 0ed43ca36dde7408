"""Scores by rank: those of Quantus where it defines them, and defined where it does not."""

import time
import warnings

import numpy as np
import pytest
import quantus
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.attribution.ledger import shares
from saliency_stats.attribution.relevance import relevance
from saliency_stats.errors import AttributionError
from saliency_stats.vocabulary import COMPARTMENTS

seeds = st.integers(0, 2**32 - 1)
SCORES = ["relevance_rank", "top_k", "pointing", "auc"]
PLAIN = {"abs": False, "normalise": False, "disable_warnings": True}


def soft(rng, n=3, k=4, h=6, w=7):
    return rng.dirichlet(np.ones(k), (n, h, w)).transpose(0, 3, 1, 2)


def hard(rng, n=3, k=4, h=6, w=7):
    labels = np.stack([rng.permutation(np.arange(h * w) % k).reshape(h, w) for _ in range(n)])
    return (labels[:, None] == np.arange(k)[:, None, None]).astype(np.float64)


def distinct(rng, n=3, h=6, w=7):
    return np.stack([rng.permutation(h * w).reshape(h, w) + rng.random() for _ in range(n)])


def two(mask):
    """Memberships (1, 2, H, W) of a mask and its complement."""
    inside = np.asarray(mask, dtype=np.float64)
    return np.stack([inside, 1 - inside])[None]


def scores(maps, memberships, **options):
    """Scores (N, K, 4)."""
    names = COMPARTMENTS if memberships.shape[1] == 4 else ("in", "out")
    table = relevance(maps, memberships, compartments=names, **options)
    return table[SCORES].to_numpy().reshape(*memberships.shape[:2], 4)


def by_quantus(metric, maps, masks):
    """One of its metrics, for maps (N, H, W) and masks (N, H, W); images and labels are asked for and not used."""
    images = np.zeros((len(maps), 1, *maps.shape[1:]))
    found = metric(
        model=None,
        x_batch=images,
        y_batch=np.zeros(len(maps), dtype=int),
        a_batch=maps[:, None],
        s_batch=masks[:, None].astype(bool),
        channel_first=True,
    )
    return np.array(found, dtype=float)


def all_by_quantus(maps, masks, k):
    return np.stack(
        [
            by_quantus(metric, maps, masks)
            for metric in (
                quantus.RelevanceRankAccuracy(**PLAIN),
                quantus.TopKIntersection(k=k, **PLAIN),
                quantus.PointingGame(**PLAIN),
                quantus.AUC(**PLAIN),
            )
        ],
        axis=-1,
    )


@pytest.mark.parametrize("seed", range(4))
def test_masks_and_distinct_values_score_as_in_quantus(seed):
    rng = np.random.default_rng(seed)
    maps, memberships = distinct(rng, 5, 20, 17), hard(rng, 5, 4, 20, 17)
    memberships[:, :2] = np.stack([np.where(rng.random((20, 17)) < 0.2, 0, one) for one in memberships[:, :2]])
    memberships[:, 3] = 1 - memberships[:, :3].sum(axis=1)  # areas of different sizes
    found, mass = scores(maps, memberships), shares(maps, memberships).mass
    for k in range(4):
        theirs = all_by_quantus(maps, memberships[:, k], 17)  # 5 % of 340 pixels
        np.testing.assert_array_equal(found[:, k, :3], theirs[:, :3])
        np.testing.assert_allclose(found[:, k, 3], theirs[:, 3], rtol=0, atol=1e-12)
        theirs = by_quantus(quantus.RelevanceMassAccuracy(**PLAIN), maps, memberships[:, k])
        np.testing.assert_allclose(mass[:, k], theirs, rtol=0, atol=1e-12)


def test_random_continuous_maps_score_as_in_quantus():
    rng = np.random.default_rng(0)
    maps, memberships = rng.exponential(size=(3, 64, 64)) ** 2, hard(rng, 3, 4, 64, 64)
    found = scores(maps, memberships)
    for k in range(4):
        theirs = all_by_quantus(maps, memberships[:, k], 205)
        np.testing.assert_array_equal(found[:, k, :3], theirs[:, :3])
        np.testing.assert_allclose(found[:, k, 3], theirs[:, 3], rtol=0, atol=1e-12)


def brute(saliency, weights, top_share=0.05):
    """Every score from its definition: sums over groups of tied pixels and over pairs of pixels."""
    values, w = saliency.ravel(), weights.ravel()
    levels = np.unique(values)[::-1]

    def first(k):
        total, left = 0.0, k
        for level in levels:
            group = w[values == level]
            taken = min(left, len(group))
            total, left = total + taken * group.mean(), left - taken
        return total / k

    brighter = (values[:, None] > values) + 0.5 * (values[:, None] == values)
    return [
        first(int(np.floor(w.sum() + 0.5))),
        first(max(1, int(np.floor(top_share * len(w) + 0.5)))),
        first(1),
        (w[:, None] * (1 - w) * brighter).sum() / (w.sum() * (1 - w).sum()),
    ]


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(1, 40), st.booleans(), st.floats(0.01, 1))
def test_ties_and_soft_memberships_follow_the_definitions(seed, levels, masks, top_share):
    rng = np.random.default_rng(seed)
    maps, memberships = rng.integers(1, levels + 1, (3, 6, 7)), (hard if masks else soft)(rng)
    found = scores(maps, memberships, top_share=top_share)
    for n in range(3):
        for k in range(4):
            np.testing.assert_allclose(found[n, k], brute(maps[n], memberships[n, k], top_share), atol=1e-12)


@settings(deadline=None, max_examples=4)
@given(seeds)
def test_ties_are_the_average_over_their_random_orders(seed):
    rng = np.random.default_rng(seed)
    coarse, mask = rng.integers(1, 4, (4, 5)), hard(rng, 1, 2, 4, 5)
    # a third of a step at most: pixels of different levels keep their order, tied ones get a random one
    broken = coarse + rng.random((1000, 4, 5)) / 3
    average = scores(broken, np.broadcast_to(mask, (1000, 2, 4, 5)), top_share=0.2).mean(axis=0)
    np.testing.assert_allclose(scores(coarse[None], mask, top_share=0.2)[0], average, atol=0.08)


@settings(deadline=None, max_examples=25)
@given(seeds, st.integers(1, 10))
def test_the_order_of_the_pixels_does_not_matter(seed, levels):
    rng = np.random.default_rng(seed)
    maps, memberships = rng.integers(1, levels + 1, (3, 6, 7)), soft(rng)
    order = rng.permutation(42)
    mixed = scores(
        maps.reshape(3, 42)[:, order].reshape(3, 6, 7), memberships.reshape(3, 4, 42)[..., order].reshape(3, 4, 6, 7)
    )
    np.testing.assert_allclose(mixed, scores(maps, memberships), atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(seeds, st.floats(0.2, 5), st.floats(-30, 30))
def test_only_the_order_of_the_values_matters(seed, power, exponent):
    rng = np.random.default_rng(seed)
    maps, memberships = distinct(rng), soft(rng)
    np.testing.assert_array_equal(scores(maps**power * 10.0**exponent, memberships), scores(maps, memberships))


@settings(deadline=None, max_examples=25)
@given(seeds)
def test_compartments_share_the_top_pixels_and_sides_share_the_auc(seed):
    rng = np.random.default_rng(seed)
    maps, memberships = distinct(rng), soft(rng)
    found = scores(maps, memberships)
    np.testing.assert_allclose(found[..., 1:3].sum(axis=1), 1, atol=1e-12)
    sides = np.stack([memberships[:, 0], 1 - memberships[:, 0]], axis=1)
    np.testing.assert_allclose(scores(maps, sides)[..., 3].sum(axis=1), 1, atol=1e-12)


def test_perfect_and_reversed_maps():
    mask = np.zeros((10, 10))
    mask[2:5, 3:8] = 1
    np.testing.assert_array_equal(scores((1 + mask)[None], two(mask))[0, 0], [1, 1, 1, 1])
    np.testing.assert_array_equal(scores((2 - mask)[None], two(mask))[0, 0], [0, 0, 0, 0])


def test_a_constant_map_scores_the_area_share():
    """Quantus refuses it alone; in a batch its maximum is in every compartment, and pixels come as they lie."""
    mask = np.zeros((10, 10))
    mask[:3] = 1
    maps = np.stack([np.full((10, 10), 2.0), distinct(np.random.default_rng(0), 1, 10, 10)[0]])
    for where in (mask, mask[::-1]):
        found = scores(maps[:1], two(where))[0]
        np.testing.assert_allclose(found, [[0.3, 0.3, 0.3, 0.5], [0.7, 0.7, 0.7, 0.5]], atol=1e-12)
    top, bottom, rest = (all_by_quantus(maps, np.stack([where, where]), 5)[0] for where in (mask, mask[::-1], 1 - mask))
    assert top[0] != bottom[0]  # the rank accuracy of a constant map depends on where the mask lies
    assert top[2] == rest[2] == 1  # the maximum lies inside, and outside
    assert top[3] == bottom[3] == 0.5  # AUC alone treats ties as here
    with pytest.raises(AssertionError, match="uniformly distributed"):
        all_by_quantus(maps[:1], mask[None], 5)


def test_tied_maxima_are_a_share_and_not_a_hit():
    mask = np.zeros((4, 4))
    mask[0] = 1
    maps = np.linspace(0.1, 0.2, 16).reshape(1, 4, 4)
    maps[0, 0, 0] = maps[0, 1, :3] = 1.0  # four equal maxima, one of them inside
    assert scores(maps, two(mask))[0, 0, 2] == 0.25
    assert by_quantus(quantus.PointingGame(**PLAIN), maps, mask[None])[0] == 1


def test_an_empty_mask_has_no_score():
    """Quantus: NaN too, but for the pointing game, which says True (NaN put into an array of bool)."""
    maps = distinct(np.random.default_rng(0), 1, 6, 7)
    table = relevance(maps, two(np.zeros((6, 7))), compartments=("in", "out"))
    assert table[SCORES].isna().all(axis=None)
    assert list(table["relevance_status"]) == [
        "missing: less than half a pixel of the compartment",
        "full: less than half a pixel outside the compartment",
    ]
    empty = np.zeros((1, 6, 7))
    assert by_quantus(quantus.PointingGame(**PLAIN), maps, empty)[0] == 1
    assert np.isnan(by_quantus(quantus.TopKIntersection(k=2, **PLAIN), maps, empty)[0])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert np.isnan(by_quantus(quantus.RelevanceRankAccuracy(**PLAIN), maps, empty)[0])
        assert np.isnan(by_quantus(quantus.AUC(**PLAIN), maps, empty)[0])
    assert any("segmentation map is empty" in str(one.message) for one in said)


def test_a_full_mask_has_no_score():
    """Quantus: 1 whatever the map."""
    maps = distinct(np.random.default_rng(0), 1, 6, 7)
    full = np.ones((1, 6, 7))
    assert np.isnan(scores(maps, two(full[0]))).all()
    for metric in (
        quantus.RelevanceRankAccuracy(**PLAIN),
        quantus.TopKIntersection(k=2, **PLAIN),
        quantus.PointingGame(**PLAIN),
    ):
        assert by_quantus(metric, maps, full)[0] == 1


def test_a_map_of_zeros_has_no_score():
    """Quantus refuses it alone; in a batch with others it is scored: a hit, and pixels in the order of memory."""
    mask = np.zeros((6, 7))
    mask[:2] = 1
    maps = distinct(np.random.default_rng(0), 2, 6, 7)
    maps[0] = 0
    table = relevance(maps, np.concatenate([two(mask)] * 2), ["dark", "bright"], compartments=("in", "out"))
    dark = table["patch"] == "dark"
    assert table.loc[dark, SCORES].isna().all(axis=None)
    assert table.loc[dark, "relevance_status"].eq("no saliency: the map is zero everywhere").all()
    assert table.loc[~dark, SCORES].notna().all(axis=None)
    theirs = all_by_quantus(maps, np.stack([mask, mask]), 2)[0]
    assert np.isfinite(theirs).all()
    assert list(theirs[2:]) == [1, 0.5]
    with pytest.raises(AssertionError, match="all equal to zero"):
        all_by_quantus(maps[:1], mask[None], 2)


def test_slivers_of_soft_memberships():
    weights = np.zeros((6, 7))
    weights[0, 0] = 0.49
    maps = distinct(np.random.default_rng(0), 1, 6, 7)
    assert np.isnan(scores(maps, two(weights))).all()
    weights[0, 1] = 0.01  # half a pixel: rounded up, to one
    found = relevance(maps, two(weights), compartments=("in", "out"))
    assert list(found["relevance_status"]) == ["measured", "measured"]
    maps[0, 0, 0] = maps.max() + 1
    np.testing.assert_allclose(scores(maps, two(weights))[0, 0, :3], [0.49, 0.245, 0.49])


def test_rows_are_in_the_order_of_the_ledger():
    rng = np.random.default_rng(0)
    table = relevance(distinct(rng), soft(rng), ["x", "y", "z"])
    assert list(table) == ["patch", "compartment", *SCORES, "relevance_status"]
    assert list(table["patch"]) == [name for name in "xyz" for _ in range(4)]
    assert list(table["compartment"]) == list(COMPARTMENTS) * 3
    assert list(relevance(distinct(rng), soft(rng))["patch"].unique()) == [0, 1, 2]


def test_impossible_input_is_refused():
    rng = np.random.default_rng(0)
    maps, memberships = distinct(rng), soft(rng)
    with pytest.raises(AttributionError, match="negative"):
        relevance(-maps, memberships)
    with pytest.raises(AttributionError, match="sum to 1"):
        relevance(maps, memberships / 2)
    with pytest.raises(AttributionError, match="4 names"):
        relevance(maps, soft(rng, k=3))
    with pytest.raises(AttributionError, match="2 patch ids for 3"):
        relevance(maps, memberships, ["a", "b"])
    for share in (0, -0.1, 1.1, np.nan):
        with pytest.raises(AttributionError, match="top_share"):
            relevance(maps, memberships, top_share=share)


def test_a_hundred_patches_take_less_than_a_second():
    rng = np.random.default_rng(0)
    maps, memberships = rng.random((100, 128, 128), dtype=np.float32), hard(rng, 1, 4, 128, 128).astype(np.float32)
    start = time.process_time()
    relevance(maps, np.broadcast_to(memberships, (100, 4, 128, 128)))
    assert time.process_time() - start < 1.5  # a third of that on a slow core


@pytest.mark.parametrize(
    ("others", "one", "status"), [(0, 0.499, "missing"), (0, 0.5, "measured"), (1, 0.5, "measured"), (1, 0.501, "full")]
)
def test_half_a_pixel_is_enough_inside_and_outside(others, one, status):
    weights = np.full((6, 7), float(others))
    weights[2, 3] = one
    found = relevance(distinct(np.random.default_rng(0), 1), two(weights), compartments=("in", "out"))
    assert found["relevance_status"][0].startswith(status)


def test_all_pixels_are_the_largest_top_and_one_pixel_the_smallest():
    rng = np.random.default_rng(0)
    maps, memberships = distinct(rng), soft(rng)
    area = memberships.mean(axis=(2, 3))
    np.testing.assert_allclose(scores(maps, memberships, top_share=1)[..., 1], area, atol=1e-12)
    found = scores(maps, memberships, top_share=1e-6)
    np.testing.assert_array_equal(found[..., 1], found[..., 2])
    # 2.5 of 42 pixels are rounded up
    np.testing.assert_array_equal(
        scores(maps, memberships, top_share=2.5 / 42), scores(maps, memberships, top_share=3 / 42)
    )
