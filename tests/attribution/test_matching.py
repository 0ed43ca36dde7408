"""Matched contrasts: what a loop over bins gives, blind to the scale of map and picture, and zero for the picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from saliency_stats.attribution import checked_memberships, checked_saliency, ledger, matched
from saliency_stats.attribution.matching import FEWEST_PIXELS, MIN_OVERLAP
from saliency_stats.errors import AttributionError
from saliency_stats.vocabulary import COMPARTMENTS

seeds = st.integers(0, 2**32 - 1)
COLUMNS = ["patch", "map", "picture", "matched", "matched_of_picture", "share_compared", "overlap", "status"]
VALUES = COLUMNS[3:7]


def soft(rng, size=24):
    return rng.dirichlet(np.ones(4), (size, size)).transpose(2, 0, 1)


def hard(rng, size=24):
    return (rng.integers(4, size=(size, size)) == np.arange(4)[:, None, None]).astype(np.float64)


def of_codes(codes):
    """Hard memberships (4, H, W) of a map of names of compartments."""
    return np.stack([np.asarray(codes) == name for name in COMPARTMENTS]).astype(np.float64)


def one(saliency, picture, memberships, **options):
    """The row of one map and picture (H, W) of one patch."""
    table = matched([checked_saliency(saliency[None])], [checked_saliency(picture[None])], memberships[None], **options)
    assert list(table) == COLUMNS
    assert len(table) == 1
    return table.iloc[0]


def by_hand(saliency, picture, memberships, bins):
    """The same, bin after bin and pixel after pixel: of every pixel the weight below it, and half of its equals'."""
    n, c = memberships[0].ravel(), memberships[1].ravel()
    values, seen = picture.ravel(), saliency.ravel()
    both, whole = n + c, (n + c).sum()
    twice = np.array([2 * both[values < v].sum() + both[values == v].sum() for v in values])
    place = bins * twice / (2 * whole)
    top = bottom = kept = left = 0.0
    for b in range(bins):
        inside = (place >= b) & (place < b + 1) & (both > 0)
        n_c, n_n = c[inside].sum(), n[inside].sum()
        if min(n_c, n_n) < FEWEST_PIXELS:
            continue
        weight = n_c * n_n / (n_c + n_n)
        top += weight * (c * seen)[inside].sum() / n_c
        bottom += weight * (n * seen)[inside].sum() / n_n
        kept += n_c + n_n
        left += weight
    return np.log2(top / bottom), kept / whole, left * whole / (n.sum() * c.sum())


@settings(deadline=None, max_examples=60)
@given(seeds, st.booleans(), st.integers(1, 12), st.booleans())
def test_it_is_what_a_loop_over_bins_gives(seed, masks, bins, ties):
    rng = np.random.default_rng(seed)
    memberships = (hard if masks else soft)(rng)
    saliency, picture = rng.exponential(size=(2, 24, 24))
    picture = np.floor(3 * picture) if ties else picture
    found = one(saliency, picture, memberships, bins=bins)
    value, share, overlap = by_hand(saliency, picture, memberships, bins)
    assert found["status"] == "measured"
    assert found["matched"] == pytest.approx(value, abs=1e-9)
    assert found["matched_of_picture"] == pytest.approx(by_hand(picture, picture, memberships, bins)[0], abs=1e-9)
    assert found["share_compared"] == pytest.approx(share)
    assert found["overlap"] == pytest.approx(overlap)
    assert 0 < found["overlap"] <= 1 + 1e-12


@settings(deadline=None, max_examples=30)
@given(seeds, st.floats(1e-30, 1e30), st.floats(-200, 200))
def test_neither_the_scale_of_the_map_nor_that_of_the_picture_matters(seed, value, exponent):
    rng = np.random.default_rng(seed)
    memberships = soft(rng)
    saliency, picture = rng.exponential(size=(2, 24, 24))
    assert one(np.full((24, 24), value), picture, memberships)["matched"] == pytest.approx(0, abs=1e-12)
    usual = one(saliency, picture, memberships)
    scaled = one(saliency * 10.0**exponent, picture, memberships)
    assert scaled["matched"] == pytest.approx(usual["matched"], abs=1e-9)
    # another picture of the same order of pixels gives the same bins
    for other in (np.exp(picture), picture**2 * 1e-20, np.argsort(np.argsort(picture, axis=None)).reshape(24, 24)):
        bent = one(saliency, other, memberships)
        assert bent[["matched", "share_compared", "overlap"]].equals(usual[["matched", "share_compared", "overlap"]])


@settings(deadline=None, max_examples=30)
@given(seeds, st.booleans())
def test_exchanging_the_compartments_turns_the_sign(seed, masks):
    rng = np.random.default_rng(seed)
    memberships = (hard if masks else soft)(rng)
    saliency, picture = rng.exponential(size=(2, 24, 24))
    usual, turned = (one(saliency, picture, memberships[order]) for order in ([0, 1, 2, 3], [1, 0, 2, 3]))
    for name in ("matched", "matched_of_picture"):
        assert turned[name] == pytest.approx(-usual[name], abs=1e-9)
    for name in ("share_compared", "overlap"):
        assert turned[name] == pytest.approx(usual[name])


def test_a_picture_that_says_nothing_leaves_the_contrast_as_it_is():
    rng = np.random.default_rng(0)
    memberships, saliency = soft(rng), rng.exponential(size=(24, 24))
    found = one(saliency, np.ones((24, 24)), memberships)
    density = ledger(saliency[None], memberships[None]).set_index("compartment")["density_ratio"]
    assert found["matched"] == pytest.approx(np.log2(density["cytoplasm"] / density["nucleus"]), abs=1e-12)
    assert found["matched_of_picture"] == pytest.approx(0, abs=1e-12)
    assert (found["share_compared"], found["overlap"]) == (1, pytest.approx(1))


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_a_map_that_follows_the_picture_is_explained_by_it_and_what_is_added_is_not(power):
    """The cytoplasm has twice the edges: any function of them prefers it, until compared at equal edges."""
    rng = np.random.default_rng(0)
    nucleus = gaussian_filter(rng.normal(size=(128, 128)), 4, mode="wrap") > 0.05
    memberships = of_codes(np.where(nucleus, "nucleus", "cytoplasm"))
    picture = rng.gamma(2, size=(128, 128)) * np.where(nucleus, 1, 2)
    density = ledger((picture**power)[None], memberships[None]).set_index("compartment")["density_ratio"]
    assert density["cytoplasm"] / density["nucleus"] == pytest.approx(2**power, rel=0.05)
    found = one(picture**power, picture, memberships)
    assert abs(found["matched"]) < 0.05 * power
    assert abs(found["matched_of_picture"]) < 0.05
    # a factor that edges do not explain is left
    beyond = one(picture**power * np.where(nucleus, 1, 1.5), picture, memberships)
    assert beyond["matched"] - found["matched"] == pytest.approx(np.log2(1.5), abs=1e-9)


def test_equal_pixels_are_never_divided():
    """Two thirds of the picture are zero, as where a stain is clipped: these are one bin, whatever their order."""
    memberships = of_codes([["nucleus"] * 6, ["cytoplasm"] * 6, ["nucleus", "cytoplasm"] * 3] * 2)
    picture = np.zeros((6, 6))
    picture[2::3] = np.arange(1, 13).reshape(2, 6)
    saliency = np.where(picture > 0, 1.0, np.where(memberships[0] > 0, 3.0, 2.0))
    # of 36 pixels 24 are zero, 12 of each compartment; the others have bins of their own, with too few of either
    found = one(saliency, picture, memberships, bins=10)
    assert found["matched"] == pytest.approx(np.log2(2 / 3))
    assert found["share_compared"] == pytest.approx(24 / 36)
    assert found["overlap"] == pytest.approx(6 / 9)
    assert np.isnan(found["matched_of_picture"])
    assert found["status"] == "no saliency: the picture is zero in cytoplasm and nucleus"


@pytest.mark.parametrize(("weight", "compared"), [(1.0, True), (0.999, False)])
def test_a_bin_needs_five_pixels_of_both(weight, compared):
    memberships = np.zeros((4, 2, 10))
    memberships[0], memberships[1] = 0.5, 0.5
    memberships[0, 0, :5], memberships[1, 0, :5] = weight, 1 - weight
    memberships[0, 0, 5:], memberships[1, 0, 5:] = 0, 1
    picture = np.ones((2, 10))
    picture[1] = 2
    found = one(np.ones((2, 10)), picture, memberships, bins=2)
    assert found["share_compared"] == pytest.approx(1 if compared else 0.5)


def test_compartments_that_never_look_alike_are_not_compared():
    """Haematoxylin all but defines the nucleus."""
    rng = np.random.default_rng(0)
    nucleus = rng.random((32, 32)) < 0.4
    memberships = of_codes(np.where(nucleus, "nucleus", "cytoplasm"))
    apart = one(rng.exponential(size=(32, 32)), rng.random((32, 32)) + nucleus, memberships)
    assert apart["status"].startswith("no overlap: 0")
    assert apart["overlap"] < MIN_OVERLAP
    assert apart["share_compared"] < 0.15
    assert np.isnan(apart[["matched", "matched_of_picture"]].astype(float)).all()
    never = one(rng.exponential(size=(32, 32)), 1 + nucleus, memberships)
    assert (never["share_compared"], never["overlap"]) == (0, 0)
    assert never["status"] == "no overlap: 0 of the precision is left, at least 0.33 counts"


@pytest.mark.parametrize(("alike", "status"), [(21, "measured"), (19, "no overlap")])
def test_a_third_of_the_precision_is_enough(alike, status):
    """One bin holds all 100 pixels of the nucleus and some of the 100 of the cytoplasm, the other one the rest."""
    codes = np.array(["nucleus"] * 100 + ["cytoplasm"] * 100).reshape(10, 20)
    picture = np.array([1.0] * (100 + alike) + [2.0] * (100 - alike)).reshape(10, 20)
    found = one(np.ones((10, 20)), picture, of_codes(codes))
    assert found["overlap"] == pytest.approx(alike * 100 / (alike + 100) / 50)
    assert found["status"].startswith(status)
    assert np.isnan(found["matched"]) == (status != "measured")


def test_where_there_is_nothing_to_compare():
    rng = np.random.default_rng(0)
    memberships, (saliency, picture) = hard(rng), rng.exponential(size=(2, 24, 24))
    without = memberships.copy()
    without[2] += without[0]
    without[0] = 0
    row = one(saliency, picture, without)
    assert row["status"] == "missing: area share 0 of nucleus"
    assert row[VALUES].isna().all()
    area = memberships[0].mean()
    assert one(saliency, picture, memberships, min_area=area)["status"] == "measured"
    row = one(saliency, picture, memberships, min_area=area + 1e-6)
    assert row["status"].startswith("missing: area share ")
    assert row[VALUES].isna().all()
    for dark, status in (
        (saliency * 0, "no saliency: the map is zero everywhere"),
        (saliency * (1 - memberships[0]), "no saliency: the map is zero in nucleus"),
    ):
        row = one(dark, picture, memberships)
        assert row["status"] == status
        assert np.isnan(row["matched"])
        assert row[VALUES[1:]].notna().all()
    row = one(saliency, picture * 0, memberships)
    assert row["status"] == "no saliency: the picture is zero everywhere"
    assert row["matched"] == pytest.approx(by_hand(saliency, picture * 0, memberships, 10)[0])
    assert np.isnan(row["matched_of_picture"])


def test_every_map_on_every_picture_of_every_patch():
    rng = np.random.default_rng(0)
    maps = rng.exponential(size=(2, 2, 24, 24)).astype(np.float32)
    pictures = rng.exponential(size=(3, 2, 24, 24)).astype(np.float32)
    memberships = np.stack([soft(rng), soft(rng)])
    table = matched(
        [checked_saliency(one) for one in maps],
        [checked_saliency(one) for one in pictures],
        checked_memberships(memberships),
    )
    places = [(p, m, q) for p in range(2) for m in range(2) for q in range(3)]
    assert [tuple(row) for row in table[COLUMNS[:3]].to_numpy()] == places
    for p, m, q in places:
        alone = one(maps[m, p], pictures[q, p], memberships[p])
        row = table[(table["patch"] == p) & (table["map"] == m) & (table["picture"] == q)].iloc[0]
        assert row[COLUMNS[3:]].tolist() == alone[COLUMNS[3:]].tolist()


def test_a_missing_compartment_says_so_for_every_map_and_picture():
    rng = np.random.default_rng(0)
    maps = [checked_saliency(one) for one in rng.exponential(size=(2, 2, 24, 24))]
    memberships = np.stack([soft(rng), of_codes(np.full((24, 24), "nucleus"))])
    table = matched(maps, maps, memberships)
    assert table["status"].tolist() == ["measured"] * 4 + ["missing: area share 0 of cytoplasm"] * 4
    assert [tuple(row) for row in table[COLUMNS[:3]].to_numpy()] == [
        (p, m, q) for p in range(2) for m in range(2) for q in range(2)
    ]


def test_impossible_input_is_refused():
    rng = np.random.default_rng(0)
    memberships, maps = soft(rng)[None], [checked_saliency(rng.exponential(size=(1, 24, 24)))]
    with pytest.raises(AttributionError, match="at least 1 bin, found 0"):
        matched(maps, maps, memberships, bins=0)
    with pytest.raises(AttributionError, match=r"\(1, 24, 25\)"):
        matched(maps, [checked_saliency(np.ones((1, 24, 25)))], memberships)
    with pytest.raises(AttributionError, match="sum to 1"):
        matched(maps, maps, memberships / 2)
