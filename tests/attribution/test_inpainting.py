"""The fill is harmonic between rings of the compartment itself, and nothing beside it has a part in it."""

import numpy as np
import pytest

from saliency_stats.attribution.inpainting import inpainted

MPP = 0.5
#: Of 0.5 µm per pixel: a ring of the third pixel from the border.
SIDE, RING = 24, 2
MEAN = np.array([0.5, 0.3, 0.6])


def square(size=16, at=4):
    member = np.zeros((SIDE, SIDE))
    member[at : at + size, at : at + size] = 1
    return member


def ring_of(member, border=RING):
    """The pixels of a square that lie ``border`` pixels below its own border."""
    inside = np.zeros_like(member)
    rows = np.flatnonzero(member.any(axis=1))[border:-border]
    columns = np.flatnonzero(member.any(axis=0))[border:-border]
    inside[np.ix_(rows, columns)] = 1
    inside[np.ix_(rows[1:-1], columns[1:-1])] = 0
    return inside == 1


def noise(seed=0):
    return np.random.default_rng(seed).random((SIDE, SIDE, 3))


def test_the_ring_and_what_is_beside_the_compartment_stay():
    pixels, member = noise(), square()
    kept = pixels.copy()
    found = inpainted(pixels, member, MEAN, MPP)
    ring = ring_of(member)
    np.testing.assert_array_equal(found[(member == 0) | ring], pixels[(member == 0) | ring])
    assert (found[(member == 1) & ~ring] != pixels[(member == 1) & ~ring]).all()
    np.testing.assert_array_equal(pixels, kept)


def test_every_other_pixel_is_the_mean_of_its_neighbours_in_the_compartment():
    member = square()
    found, ring = inpainted(noise(), member, MEAN, MPP), ring_of(member)
    for y, x in zip(*np.nonzero((member == 1) & ~ring), strict=True):
        beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        mean = np.mean([found[at] for at in beside if member[at]], axis=0)
        np.testing.assert_allclose(found[y, x], mean, atol=1e-6)


def test_it_lies_within_the_colours_of_the_ring_and_takes_none_from_beside():
    pixels, member = noise(), square()
    pixels[member == 0] = 7.0
    found, ring = inpainted(pixels, member, MEAN, MPP)[member == 1], pixels[ring_of(member)]
    assert (found >= ring.min(axis=0) - 1e-7).all()
    assert (found <= ring.max(axis=0) + 1e-7).all()
    # nor from what is to be forgotten
    pixels[9:15, 9:15] = 0.9
    np.testing.assert_allclose(inpainted(pixels, member, MEAN, MPP)[member == 1], found, atol=1e-12)


def test_a_ramp_is_its_own_fill():
    """Inside of the ring: a harmonic function is known from its values around."""
    ramp = np.broadcast_to(np.linspace(0, 1, SIDE)[:, None, None], (SIDE, SIDE, 3))
    member = square()
    found = inpainted(ramp, member, MEAN, MPP)
    np.testing.assert_allclose(found[6:18, 6:18], ramp[6:18, 6:18], atol=1e-6)


@pytest.mark.parametrize(("mpp", "border"), [(2.0, 1), (1.0, 1), (0.5, 2), (0.25, 4)])
def test_the_ring_lies_one_um_below_the_border_and_at_least_a_pixel(mpp, border):
    pixels, member = noise(), square()
    same = (inpainted(pixels, member, MEAN, mpp) == pixels).all(axis=-1) & (member == 1)
    np.testing.assert_array_equal(same, ring_of(member, border))


def test_pieces_are_filled_each_from_its_own_ring():
    pixels, member = noise(), square(10, 1)
    member[13:23, 13:23] = 1
    pixels[:12, :12], pixels[12:, 12:] = 0.2, 0.8
    found = inpainted(pixels, member, MEAN, MPP)
    np.testing.assert_allclose(found[:12, :12][member[:12, :12] == 1], 0.2, atol=1e-6)
    np.testing.assert_allclose(found[12:, 12:][member[12:, 12:] == 1], 0.8, atol=1e-6)


@pytest.mark.parametrize("size", [1, 4])
def test_a_piece_without_a_ring_gets_the_mean_colour(size):
    pixels, member = noise(), square(size)
    found = inpainted(pixels, member, MEAN, MPP)
    np.testing.assert_allclose(found[member == 1], np.tile(MEAN, (size**2, 1)), atol=1e-6)


def test_without_a_border_there_is_the_mean_colour_and_without_a_compartment_nothing():
    pixels = noise()
    np.testing.assert_allclose(inpainted(pixels, np.ones((SIDE, SIDE)), MEAN, MPP) - MEAN, 0, atol=1e-6)
    np.testing.assert_array_equal(inpainted(pixels, np.zeros((SIDE, SIDE)), MEAN, MPP), pixels)


def test_the_edge_of_the_patch_is_no_border():
    pixels, member = noise(), np.zeros((SIDE, SIDE))
    member[:, :12] = 1
    found = inpainted(pixels, member, MEAN, MPP)
    same = (found == pixels).all(axis=-1) & (member == 1)
    assert same[:, 9].all()
    assert same.sum() == SIDE


def test_a_pixel_belongs_to_what_it_is_at_least_half():
    pixels, hard = noise(), square()
    soft = np.where(hard == 1, 0.5, 0.49)
    np.testing.assert_array_equal(inpainted(pixels, soft, MEAN, MPP), inpainted(pixels, hard, MEAN, MPP))
