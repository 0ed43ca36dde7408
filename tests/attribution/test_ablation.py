import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, gaussian_filter

from saliency_stats.attribution.ablation import DIRECTIONS, REGIONS, ablated, curves, progressive, random_region
from saliency_stats.attribution.replacement import REPLACEMENTS, USUAL, composed, replacement
from saliency_stats.errors import AttributionError
from saliency_stats.vocabulary import COMPARTMENTS, TISSUE

seeds = st.integers(0, 2**32 - 1)
MPP = 0.5


def picture(rng, h=24, w=30):
    return rng.integers(20, 256, (h, w, 3)).astype(np.uint8)


def members(rng, h=24, w=30, softness=1.0):
    """Blobs of four compartments with soft borders, float32, summing to 1."""
    fields = gaussian_filter(rng.normal(size=(4, h, w)), (0, 3, 3))
    hard = (fields.argmax(axis=0) == np.arange(4)[:, None, None]).astype(np.float64)
    return gaussian_filter(hard, (0, softness, softness), truncate=2.0).astype(np.float32)


@settings(deadline=None)
@given(seeds, seeds)
def test_a_random_region_has_the_compartments_area_and_values(seed, draw):
    weight = members(np.random.default_rng(seed))[1].astype(np.float64)
    moved = random_region(weight, np.random.default_rng(draw))
    assert moved.sum() == pytest.approx(weight.sum(), abs=1e-6)
    np.testing.assert_array_equal(np.sort(moved, axis=None), np.sort(weight, axis=None))
    # shape: a shift or flip keeps the size of the spectrum at every pair of frequencies
    sizes = [np.sort(np.abs(np.fft.fft2(w)), axis=None) for w in (weight, moved)]
    np.testing.assert_allclose(sizes[0], sizes[1], atol=1e-9)


@settings(deadline=None)
@given(seeds, seeds)
def test_a_region_on_the_tissue_has_the_same_area_and_stays_there(seed, draw):
    w = members(np.random.default_rng(seed)).astype(np.float64)
    allowed = w[:3].sum(axis=0) > 0.01
    weight = np.where(allowed, w[0], 0)
    moved = random_region(weight, np.random.default_rng(draw), allowed)
    assert moved.sum() == pytest.approx(weight.sum(), abs=1e-6)
    assert not moved[~allowed].any()
    np.testing.assert_array_equal(np.sort(moved[allowed]), np.sort(weight[allowed]))


def test_where_everything_is_allowed_the_shape_is_kept():
    weight = members(np.random.default_rng(0))[0]
    for draw in range(5):
        one, other = (random_region(weight, np.random.default_rng(draw), where) for where in (None, np.ones((24, 30))))
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_what_is_cut_off_grows_back_at_the_regions_rim():
    weight = np.zeros((40, 40))
    weight[10:16, 10:16] = 1
    allowed = np.zeros((40, 40), dtype=bool)
    allowed[:, :20] = True
    cut = []
    for draw in range(50):
        rng = np.random.default_rng(draw)
        free = random_region(weight, np.random.default_rng(draw))
        moved = random_region(weight, rng, allowed)
        assert set(np.unique(moved)) == {0.0, 1.0}
        assert (moved[allowed] >= free[allowed]).all()
        distance = distance_transform_edt(free == 0)
        grown, left = distance[(moved > free) & allowed], distance[(moved == 0) & allowed]
        assert grown.max(initial=0) <= left.min()
        cut.append(grown.size > 0)
    assert 0.3 < np.mean(cut) < 0.9  # both happen


def test_regions_lie_everywhere_alike():
    weight = np.zeros((8, 10))
    weight[:2, :3] = 1
    rng = np.random.default_rng(0)
    mean = np.mean([random_region(weight, rng) for _ in range(4000)], axis=0)
    np.testing.assert_allclose(mean, weight.mean(), atol=0.03)


def test_no_compartment_no_region():
    assert not random_region(np.zeros((5, 6)), np.random.default_rng(0), np.zeros((5, 6))).any()


def test_a_region_needs_room():
    with pytest.raises(AttributionError, match=r"covers 30 pixels .* and 2 of"):
        random_region(np.ones((5, 6)), np.random.default_rng(0), np.arange(30).reshape(5, 6) < 2)
    with pytest.raises(AttributionError, match="allow at least"):
        random_region(np.ones((5, 6)), np.random.default_rng(0), np.ones((6, 6)))


def test_every_compartment_is_replaced_in_every_way():
    rng = np.random.default_rng(0)
    image, w = picture(rng), members(rng)
    found = ablated(image, w, MPP, np.random.default_rng(1))
    assert [one[:3] for one in found] == [
        (name, kind, region) for name in TISSUE for region in REGIONS for kind in USUAL
    ]
    plain = image / np.float32(255)
    tissue = np.minimum(w[:3].astype(np.float64).sum(axis=0), 1)
    for compartment, kind, region, altered in found:
        own = w[COMPARTMENTS.index(compartment)]
        assert altered.dtype == np.float32
        assert altered.shape == image.shape
        assert (altered != plain).any()
        if region == "compartment":
            np.testing.assert_array_equal(altered[own == 0], plain[own == 0])
            expected = composed(image, own, replacement(image, own, kind, MPP, tissue=tissue))
            np.testing.assert_array_equal(altered, expected)
        np.testing.assert_array_equal(altered[tissue == 0], plain[tissue == 0])


def probable(height=40, width=40):
    """Cells on the left, stroma in the middle, a lumen on the right, each likely and none certain; below, glass."""
    w = np.zeros((4, height, width), np.float32)
    for compartment, columns in ((1, np.s_[:10]), (2, np.s_[10:24]), (3, np.s_[24:])):
        w[1:, :, columns] = 0.05
        w[compartment, :, columns] = 0.9
    w[:, -4:] = np.array([0, 0, 0, 1])[:, None, None]
    return w


@pytest.mark.parametrize("soft", [True, False])
def test_a_random_region_keeps_off_what_is_likely_no_tissue(soft):
    rng = np.random.default_rng(0)
    image, w = picture(rng, 40, 40), probable()
    lumen, touched = w[3] > 0.5, []
    for seed in range(8):
        found = ablated(image, w, MPP, np.random.default_rng(seed), ["mean"], soft=soft)
        plain = image / np.float32(255)
        for one in found:
            moved = np.abs(one.image - plain).max(axis=-1)
            assert moved[-4:].max() == 0
            if one.region == "random":
                touched.append(np.abs(moved[lumen]).mean() / np.abs(moved[~lumen]).mean())
    # by chance it lies on the lumen as much as elsewhere; kept off, only what is next to nothing has to
    assert (np.mean(touched) < 0.15) == soft


@pytest.mark.parametrize("allowed", [0.5, 0.49])
def test_half_is_enough_to_be_allowed_first(allowed):
    weight = np.zeros((1, 8))
    weight[0, :4] = 0.9
    weight[0, 4:] = 0.1
    room = np.ones((1, 8))
    room[0, ::2] = allowed
    heavy = [random_region(weight, np.random.default_rng(seed), room) > 0.5 for seed in range(20)]
    on_half = np.mean([region[0, ::2].sum() for region in heavy])
    assert all(region.sum() == 4 for region in heavy)
    assert on_half > 1 if allowed == 0.5 else on_half == 0


def test_a_small_compartment_is_left_out():
    w = np.zeros((4, 20, 20))
    w[2] = 1
    w[:, :2, :2] = np.array([1, 0, 0, 0])[:, None, None]  # 1 %
    found = ablated(picture(np.random.default_rng(0), 20, 20), w, MPP, np.random.default_rng(0))
    assert {one.compartment for one in found} == {"stroma"}
    found = ablated(picture(np.random.default_rng(0), 20, 20), w, MPP, np.random.default_rng(0), min_area=0)
    assert {one.compartment for one in found} == {"nucleus", "stroma"}  # never one that is not there


def test_the_generator_alone_decides():
    rng = np.random.default_rng(0)
    image, w = picture(rng), members(rng)
    one, same, other = (ablated(image, w, MPP, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for first, second, third in zip(one, same, other, strict=True):
        np.testing.assert_array_equal(first.image, second.image)
        assert (first.region == "random") == (first.image != third.image).any()


def test_fewer_kinds_give_the_same_images():
    rng = np.random.default_rng(0)
    image, w = picture(rng), members(rng)
    everything = {one[:3]: one.image for one in ablated(image, w, MPP, np.random.default_rng(1))}
    some = ablated(image, w, MPP, np.random.default_rng(1), kinds=["stain"])
    assert len(some) == 6
    for one in some:
        np.testing.assert_array_equal(one.image, everything[one[:3]])


@settings(deadline=None)
@given(seeds)
def test_a_curve_goes_from_the_image_to_the_replaced_one(seed):
    rng = np.random.default_rng(seed)
    image, weight, stand_in = picture(rng), members(rng)[0], rng.random((24, 30, 3))
    found = progressive(image, weight, stand_in, 5, rng)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0], image / np.float32(255))
    np.testing.assert_array_equal(found[-1], composed(image, weight, stand_in))


def test_shares_are_exact_and_only_grow():
    rng = np.random.default_rng(0)
    weight = members(rng)[0]
    found = progressive(np.zeros((24, 30, 3)), weight, np.ones((24, 30, 3)), 11, rng)[..., 0].astype(np.float64)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), np.linspace(0, 1, 11) * weight.sum(), rtol=1e-6)
    assert (np.diff(found, axis=0) >= 0).all()
    assert (found <= weight + 1e-7).all()


def test_a_curve_takes_blobs():
    weight = np.ones((64, 64))
    half = progressive(np.zeros((64, 64, 3)), weight, np.ones((64, 64, 3)), 3, np.random.default_rng(0), 6.0)[1, ..., 0]
    borders = np.abs(np.diff(half, axis=0)).sum() + np.abs(np.diff(half, axis=1)).sum()
    assert borders < 0.2 * half.size  # single pixels would have one border each


def test_insertion_starts_from_bare_tissue():
    rng = np.random.default_rng(0)
    image, w = picture(rng), members(rng)
    found = curves(image, w, MPP, np.random.default_rng(3), steps=4)
    shares = np.linspace(0, 1, 4).tolist()
    assert [one[:3] for one in found] == [(n, d, s) for n in TISSUE for d in DIRECTIONS for s in shares]
    images = {one[:3]: one.image for one in found}
    plain, tissue = image / np.float32(255), np.minimum(w[:3].astype(np.float64).sum(axis=0), 1)
    bare = composed(image, tissue, replacement(image, tissue, "mean", MPP, tissue=tissue))
    for k, name in enumerate(TISSUE):
        np.testing.assert_array_equal(images[name, "deletion", 0.0], plain)
        np.testing.assert_array_equal(images[name, "insertion", 0.0], bare)
        whole = w[k] == 1
        np.testing.assert_array_equal(images[name, "insertion", 1.0][whole], plain[whole])
        np.testing.assert_array_equal(images[name, "insertion", 1.0][w[k] == 0], bare[w[k] == 0])
        # the same blobs are taken away and put back
        gone = (images[name, "deletion", shares[1]] != plain).any(axis=-1)
        back = (images[name, "insertion", shares[1]] != bare).any(axis=-1)
        assert (gone & whole == back & whole).mean() > 0.99
    # what is taken away in three steps is what insertion starts from
    hard = (w.argmax(axis=0) == np.arange(4)[:, None, None]).astype(np.float64)
    start = {
        one.compartment: one.image for one in curves(image, hard, MPP, rng, steps=2) if one[1:3] == ("insertion", 0)
    }
    stand_in = replacement(image, hard[0], "mean", MPP, tissue=hard[:3].sum(axis=0))
    step = plain
    for k in range(3):
        step = composed(step, hard[k], stand_in)
    np.testing.assert_array_equal(step, start["nucleus"])
    again = curves(image, w, MPP, np.random.default_rng(3), steps=4)
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_curves_leave_small_compartments_out():
    w = np.zeros((4, 20, 20))
    w[1] = 1
    found = curves(picture(np.random.default_rng(0), 20, 20), w, MPP, np.random.default_rng(0), steps=2)
    assert {one.compartment for one in found} == {"cytoplasm"}


def test_what_does_not_fit_says_why():
    rng = np.random.default_rng(0)
    image, w = picture(rng), members(rng)
    with pytest.raises(AttributionError, match=r"expected \(4, H, W\) in the order nucleus, cytoplasm"):
        ablated(image, w[:3], MPP, rng)
    with pytest.raises(AttributionError, match="expected that of the image"):
        ablated(image, w[:, :5], MPP, rng)
    with pytest.raises(AttributionError, match="'noise' is unknown"):
        ablated(image, w, MPP, rng, kinds=["noise"])
    with pytest.raises(AttributionError, match="at least 2 steps, its ends; found 1"):
        progressive(image, w[0], image, 1, rng)


def test_a_compartment_at_the_least_area_is_replaced():
    w = np.zeros((4, 20, 20))
    w[2] = 1
    w[:, :2, :4] = np.array([1, 0, 0, 0])[:, None, None]  # 2 %
    image = picture(np.random.default_rng(0), 20, 20)
    for found in (ablated(image, w, MPP, np.random.default_rng(0)), curves(image, w, MPP, np.random.default_rng(0))):
        assert {one.compartment for one in found} == {"nucleus", "stroma"}
    w[:, 0, 0] = [0, 0, 1, 0]
    for found in (ablated(image, w, MPP, np.random.default_rng(0)), curves(image, w, MPP, np.random.default_rng(0))):
        assert {one.compartment for one in found} == {"stroma"}


def test_what_is_left_out_draws_its_random_numbers_all_the_same():
    w = np.zeros((4, 20, 20))
    w[2] = 1
    w[:, :2, :2] = np.array([1, 0, 0, 0])[:, None, None]
    image = picture(np.random.default_rng(0), 20, 20)
    for make in (ablated, curves):
        some, more = (list(make(image, w, MPP, np.random.default_rng(0), min_area=least)) for least in (0.02, 0))
        assert len(more) > len(some) > 0
        for one, other in zip(some, more[-len(some) :], strict=True):
            np.testing.assert_array_equal(one.image, other.image)


def test_what_one_stand_in_draws_changes_no_other_and_no_region():
    rng = np.random.default_rng(0)
    image, w = picture(rng), members(rng)
    usual = {one[:3]: one.image for one in ablated(image, w, MPP, np.random.default_rng(5))}
    every = {one[:3]: one.image for one in ablated(image, w, MPP, np.random.default_rng(5), REPLACEMENTS)}
    assert len(every) == 2 * len(TISSUE) * len(REPLACEMENTS)
    assert set(every) > set(usual)
    for key, one in usual.items():
        np.testing.assert_array_equal(every[key], one)
    plain = image / np.float32(255)
    for compartment, own in zip(TISSUE, w, strict=False):
        altered = every[compartment, "resynthesis", "compartment"]
        np.testing.assert_array_equal(altered[own == 0], plain[own == 0])
    for seed, same in ((5, True), (6, False)):
        alone = {one[:3]: one.image for one in ablated(image, w, MPP, np.random.default_rng(seed), ["resynthesis"])}
        assert all(np.array_equal(every[key], one) == same for key, one in alone.items())
    some = curves(image, w, MPP, np.random.default_rng(5), 2, "resynthesis")
    again = curves(image, w, MPP, np.random.default_rng(5), 2, "resynthesis")
    assert all(np.array_equal(one.image, other.image) for one, other in zip(some, again, strict=True))


def test_the_random_region_is_on_the_tissue_and_replaced_by_its_own_stand_in():
    rng = np.random.default_rng(0)
    image, w = picture(rng), members(rng)
    tissue = np.minimum(w[:3].astype(np.float64).sum(axis=0), 1)
    found = {one[:3]: one.image for one in ablated(image, w, MPP, np.random.default_rng(5))}
    draws = np.random.default_rng(5)
    for k, name in enumerate(TISSUE):
        region = random_region(w[k], draws, tissue > 0)
        for kind in USUAL:
            expected = composed(image, region, replacement(image, region, kind, MPP, tissue=tissue))
            np.testing.assert_array_equal(found[name, kind, "random"], expected)


def test_a_curve_is_of_blobs_of_four_um_in_an_order_of_its_own():
    rng = np.random.default_rng(0)
    image, w = picture(rng), members(rng)
    tissue = np.minimum(w[:3].astype(np.float64).sum(axis=0), 1)
    stand_in = replacement(image, tissue, "mean", 0.8, tissue=tissue)
    found = curves(image, w, 0.8, np.random.default_rng(3))
    assert [one.share for one in found[:6]] == np.linspace(0, 1, 6).tolist()
    draws = np.random.default_rng(3)
    for k, name in enumerate(TISSUE):
        order = np.random.default_rng(int(draws.integers(2**63)))
        expected = progressive(image, w[k], stand_in, 6, order, 5.0)
        deleted = [one.image for one in found if one[:2] == (name, "deletion")]
        np.testing.assert_array_equal(np.stack(deleted), expected)


def test_blobs_have_eight_px_unless_told_otherwise_and_two_steps_are_the_ends():
    arguments = (np.zeros((24, 30, 3)), np.ones((24, 30)), np.ones((24, 30, 3)))
    one, other = (progressive(*arguments, 3, np.random.default_rng(0), *blob) for blob in ((), (8.0,)))
    np.testing.assert_array_equal(one, other)
    assert progressive(*arguments, 2, np.random.default_rng(0)).mean(axis=(1, 2, 3)).tolist() == [0, 1]


def test_a_region_may_take_all_that_is_allowed():
    weight = np.zeros((5, 6))
    weight[:2, :3] = 0.5
    allowed = np.zeros((5, 6))
    allowed[3:, 3:] = 0.01
    np.testing.assert_array_equal(
        random_region(weight, np.random.default_rng(0), allowed), np.where(allowed > 0, 0.5, 0)
    )


def test_every_flip_and_shift_occurs():
    weight = np.arange(6.0).reshape(2, 3) / 10
    expected = {
        np.roll(weight[::down, ::right], (y, x), axis=(0, 1)).tobytes()
        for down in (1, -1) for right in (1, -1) for y in range(2) for x in range(3)
    }  # fmt: skip
    rng = np.random.default_rng(0)
    assert {np.ascontiguousarray(random_region(weight, rng)).tobytes() for _ in range(400)} == expected
