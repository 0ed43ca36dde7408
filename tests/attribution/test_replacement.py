import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from saliency_stats.attribution.replacement import REPLACEMENTS, composed, replacement
from saliency_stats.errors import AttributionError

seeds = st.integers(0, 2**32 - 1)
MPP = 0.5


def picture(rng, h=20, w=24):
    return rng.integers(20, 256, (h, w, 3)).astype(np.uint8)


def soft(rng, h=20, w=24):
    return np.clip(rng.normal(0.3, 0.5, (h, w)), 0, 1)


def od(image):
    return -np.log10(np.asarray(image, dtype=np.float64))


@settings(deadline=None)
@given(seeds)
def test_nothing_changes_where_the_weight_is_zero_and_all_where_it_is_one(seed):
    rng = np.random.default_rng(seed)
    image, weight, other = picture(rng), soft(rng), rng.random((20, 24, 3), dtype=np.float32)
    found = composed(image, weight, other)
    plain = image / np.float32(255)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[weight == 0], plain[weight == 0])
    np.testing.assert_array_equal(found[weight == 1], other[weight == 1])
    np.testing.assert_array_equal(composed(image, np.zeros((20, 24)), other), plain)
    np.testing.assert_array_equal(composed(plain, weight, other), found)  # uint8 and float are one image
    between = (found - plain) * (found - other)
    assert between.max() <= 1e-6


@pytest.mark.parametrize("kind", REPLACEMENTS)
@pytest.mark.parametrize("colour", [(200, 120, 180), (255, 255, 255), (30, 30, 30)])
@pytest.mark.parametrize("area", [0.0, 0.2, 1.0])
def test_a_constant_image_stands_in_for_itself(kind, colour, area):
    image = np.full((20, 24, 3), colour, dtype=np.uint8)
    weight = np.zeros((20, 24))
    weight[:, : round(24 * area)] = 1
    found = replacement(image, weight, kind, MPP, rng=np.random.default_rng(0))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, image / 255, atol=1e-6)


def halves(left, right, h=40, w=200):
    image = np.empty((h, w, 3), dtype=np.uint8)
    image[:, : w // 2], image[:, w // 2 :] = left, right
    return image


def test_the_mean_is_local():
    found = replacement(halves(100, 200), np.ones((40, 200)), "mean", MPP)
    assert found[20, 5] == pytest.approx(100 / 255, abs=1e-3)
    assert found[20, 195] == pytest.approx(200 / 255, abs=1e-3)
    assert 120 / 255 < found[20, 100].mean() < 180 / 255


def test_glass_has_no_part_in_the_mean():
    image = halves((200, 100, 180), 255)
    tissue = np.zeros((40, 200))
    tissue[:, :100] = 1
    colour = np.broadcast_to(np.array([200, 100, 180]) / 255, image.shape)
    # far out on the glass too, where no tissue is near
    np.testing.assert_allclose(replacement(image, tissue, "mean", MPP, tissue=tissue), colour, atol=1e-6)
    assert replacement(image, tissue, "mean", MPP)[20, 98].min() > 0.5


@given(seeds)
@settings(deadline=None)
def test_one_colour_stands_in_for_all_compartments(seed):
    rng = np.random.default_rng(seed)
    image, tissue = picture(rng), soft(rng)
    one, other = (replacement(image, soft(rng), "mean", MPP, tissue=tissue) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_a_blur_of_everything_is_the_gaussian():
    image = picture(np.random.default_rng(0))
    found = replacement(image, np.ones((20, 24)), "blur", 0.8)
    expected = gaussian_filter(image / 255, (2.5, 2.5, 0), mode="nearest")  # 2 µm
    np.testing.assert_allclose(found, expected, atol=1e-3)  # the mean over the patch has a weight of 0.001


def test_a_blur_keeps_the_compartments_own_colour():
    rng = np.random.default_rng(1)
    image = np.full((40, 40, 3), 230, dtype=np.uint8)
    weight = np.zeros((40, 40))
    weight[15:21, 15:21] = 1  # narrower than the blur
    image[15:21, 15:21] = rng.integers(60, 100, (6, 6, 3))
    inside = weight == 1
    found = replacement(image, weight, "blur", MPP)[inside]
    before = image[inside] / 255
    np.testing.assert_allclose(found.mean(axis=0), before.mean(axis=0), atol=0.01)
    assert (found.std(axis=0) < before.std(axis=0) / 3).all()
    # the mean, in contrast, is the surroundings' almost alone
    assert replacement(image, weight, "mean", MPP)[inside].min() > 210 / 255


def stained(rng, amount):
    """An image of one stain with structure, and its compartment in another."""
    pink, blue = np.array([0.15, 0.5, 0.2]), np.array([0.55, 0.5, 0.2])
    left = np.arange(60)[None, :, None] < 30
    return 10.0 ** -(amount[..., None] * np.where(left, blue, pink)), left[..., 0] & np.ones((60, 60), dtype=bool)


def test_one_stain_replaces_the_colour_and_keeps_the_structure():
    rng = np.random.default_rng(2)
    amount = 1 + 0.2 * gaussian_filter(rng.normal(size=(60, 60)), 0.7)
    image, nucleus = stained(rng, amount)
    found = od(replacement(image, nucleus, "stain", MPP))[nucleus]
    mean = od(image).mean(axis=(0, 1))
    np.testing.assert_allclose(  # one direction of optical density
        found / np.linalg.norm(found, axis=1, keepdims=True),
        np.broadcast_to(mean / np.linalg.norm(mean), found.shape),
        atol=1e-4,
    )
    assert found.mean() == pytest.approx(mean.mean(), rel=0.01)
    own = amount - gaussian_filter(amount, 4)
    assert np.corrcoef(found.sum(axis=1), own[nucleus])[0, 1] > 0.98
    gone = od(replacement(image, nucleus, "blur", MPP))[nucleus]
    assert gone.sum(axis=1).std() < found.sum(axis=1).std() / 3


def test_what_no_stain_can_be_measured_in_stays():
    white = np.full((8, 8, 3), 255, dtype=np.uint8)
    np.testing.assert_array_equal(replacement(white, np.ones((8, 8)), "stain", MPP), 1.0)


@settings(deadline=None)
@given(seeds, st.sampled_from(REPLACEMENTS), st.floats(0.1, 4))
def test_stand_ins_are_images(seed, kind, mpp):
    rng = np.random.default_rng(seed)
    found = replacement(rng.random((12, 9, 3)), soft(rng, 12, 9), kind, mpp, tissue=soft(rng, 12, 9), rng=rng)
    assert found.shape == (12, 9, 3)
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("kind", REPLACEMENTS)
@pytest.mark.parametrize("covered", ["none", "a pixel", "a piece", "all"])
def test_beside_the_compartment_nothing_changes_and_little_is_enough(kind, covered):
    rng = np.random.default_rng(3)
    image, weight = picture(rng), np.zeros((20, 24))
    where = {"none": (), "a pixel": (slice(4, 5), slice(7, 8)), "a piece": (slice(2, 14), slice(3, 15)), "all": ...}
    if covered != "none":
        weight[where[covered]] = 1
    stand_in = replacement(image, weight, kind, MPP, rng=rng)
    assert np.isfinite(stand_in).all()
    found, plain = composed(image, weight, stand_in), image / np.float32(255)
    np.testing.assert_array_equal(found[weight == 0], plain[weight == 0])
    if covered in ("a piece", "all"):
        assert (found[weight == 1] != plain[weight == 1]).mean() > 0.5
    elif covered == "a pixel" and kind in ("blur", "inpaint", "resynthesis"):
        np.testing.assert_allclose(found, plain, atol=1e-6)  # of which nothing else tells the colour


@settings(deadline=None)
@given(seeds, st.sampled_from(REPLACEMENTS[:-1]))  # the last is drawn
def test_turning_everything_turns_the_stand_in(seed, kind):
    rng = np.random.default_rng(seed)
    image, weight, tissue = picture(rng), soft(rng), soft(rng)
    plain = replacement(image, weight, kind, MPP, tissue=tissue)
    turned = replacement(np.rot90(image), np.rot90(weight), kind, MPP, tissue=np.rot90(tissue))
    np.testing.assert_allclose(np.rot90(turned, -1), plain, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "noise"}, "'noise' is unknown, expected one of mean, blur, stain, inpaint, resynthesis"),
        ({"kind": "resynthesis"}, "'resynthesis' draws random numbers; pass the generator of the patch as rng"),
        ({"mpp": 0.0}, "mpp must be a positive"),
        ({"mpp": np.nan}, "mpp must be a positive"),
        ({"mpp": np.inf}, "mpp must be a positive"),
        ({"weight": np.ones((5, 5))}, r"\(5, 5\), expected that of the image, \(4, 5\)"),
        ({"weight": np.full((4, 5), np.nan)}, r"lies in \[0, 1\]"),
        ({"weight": np.full((4, 5), 1.5)}, r"lies in \[0, 1\]"),
        ({"image": np.full((4, 5, 3), 128.0)}, "Divide 8-bit levels by 255"),
        ({"image": np.zeros((4, 5, 3), dtype=np.int64)}, "uint8, or float"),
        ({"image": np.zeros((4, 5), dtype=np.uint8)}, r"\(H, W, 3\), found \(4, 5\)"),
        ({"image": np.zeros((4, 3), dtype=np.uint8)}, r"\(H, W, 3\), found \(4, 3\)"),
    ],
)
def test_what_cannot_be_replaced_says_why(change, message):
    arguments = {"image": np.ones((4, 5, 3)), "weight": np.ones((4, 5)), "kind": "mean", "mpp": 0.5} | change
    with pytest.raises(AttributionError, match=message):
        replacement(**arguments)
    if "mpp" not in change and "kind" not in change:
        with pytest.raises(AttributionError, match=message):
            composed(arguments["image"], arguments["weight"], arguments["image"])


def test_a_stand_in_has_the_images_shape():
    with pytest.raises(AttributionError, match=r"\(4, 5, 3\), what stands in for it \(5, 4, 3\)"):
        composed(np.ones((4, 5, 3)), np.ones((4, 5)), np.ones((5, 4, 3)))


def local_mean(values, weight, sigma_px):
    """Written out: the Gaussian average over what counts, drawn to the mean over what counts by a weight of 0.001."""
    mean = (values * weight[..., None]).sum(axis=(0, 1)) / weight.sum()
    blurred = [gaussian_filter(values[..., c] * weight, sigma_px, mode="nearest") for c in range(values.shape[-1])]
    total = gaussian_filter(weight, sigma_px, mode="nearest")
    return (np.stack(blurred, axis=-1) + 0.001 * mean) / (total[..., None] + 0.001)


def test_every_stand_in_is_its_formula_written_out():
    rng = np.random.default_rng(0)
    image, weight, tissue = rng.integers(0, 256, (20, 24, 3)).astype(np.uint8), soft(rng), soft(rng)
    image[:3] = 2  # darker than what still counts as light
    weight[:, 15:] = 0
    pixels = (image / np.float32(255)).astype(np.float64)
    expected = {"mean": local_mean(pixels, tissue, 10 / 0.4), "blur": local_mean(pixels, weight, 2 / 0.4)}
    density = od(np.maximum(pixels, 8 / 255))
    mean = (density * tissue[..., None]).sum(axis=(0, 1)) / tissue.sum()
    direction = mean / np.linalg.norm(mean)
    amount = (density @ direction)[..., None]
    left = np.maximum(np.linalg.norm(mean) + amount - local_mean(amount, weight, 2 / 0.4), 0)
    assert (left == 0).any()
    expected["stain"] = 10.0 ** -(left * direction)
    for kind, one in expected.items():
        found = replacement(image, weight, kind, 0.4, tissue=tissue)
        np.testing.assert_allclose(found, np.clip(one, 0, 1), atol=1e-6, err_msg=kind)


def test_a_weight_may_exceed_one_by_rounding_only():
    image, other = np.zeros((4, 5, 3)), np.ones((4, 5, 3))
    np.testing.assert_array_equal(composed(image, np.full((4, 5), 1 + 0.9e-6), other), 1)
    for wrong in (1 + 1.5e-6, -1e-9):
        with pytest.raises(AttributionError, match=r"lies in \[0, 1\]"):
            composed(image, np.full((4, 5), wrong), other)


def test_an_image_of_floats_uses_the_whole_range_and_no_more():
    ends = np.zeros((4, 5, 3))
    ends[0] = 1
    np.testing.assert_array_equal(composed(ends, np.zeros((4, 5)), ends), ends)
    for wrong in (1 + 1e-6, -1e-6):
        with pytest.raises(AttributionError, match=r"float in \[0, 1\]"):
            composed(ends + wrong - (wrong > 0), np.zeros((4, 5)), ends)
    with pytest.raises(AttributionError, match=r"found \(4, 5, 4\)"):
        composed(np.ones((4, 5, 4)), np.ones((4, 5)), np.ones((4, 5, 4)))
