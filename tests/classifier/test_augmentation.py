"""Augmentation keeps what must be kept."""

import numpy as np
import pytest
import torch

from saliency_stats.classifier.augmentation import Augmentation, turn, vary_stain
from saliency_stats.errors import StudyError


def test_turn_draws_all_eight_symmetries_of_a_square():
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    rng = np.random.default_rng(0)
    drawn = {turn(image, rng).tobytes() for _ in range(200)}
    expected = {np.ascontiguousarray(np.rot90(flip, k)).tobytes() for flip in (image, image[:, ::-1]) for k in range(4)}
    assert drawn == expected


def test_turn_keeps_the_shape_of_an_oblong():
    image = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
    rng = np.random.default_rng(0)
    drawn = [turn(image, rng) for _ in range(100)]
    assert {d.shape for d in drawn} == {(2, 5, 3)}
    assert len({d.tobytes() for d in drawn}) == 4


def test_stain_variation_of_nothing_changes_nothing():
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(min=0.01)
    torch.testing.assert_close(vary_stain(images, 0.0, np.random.default_rng(0)), images, rtol=1e-4, atol=1e-5)


def test_stain_variation_is_the_formula_written_out():
    image = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(1)).clamp(min=0.05)
    found = vary_stain(image, 0.2, np.random.default_rng(4))
    rng = np.random.default_rng(4)
    factor, shift = 1 + rng.uniform(-0.2, 0.2, (1, 3))[0], rng.uniform(-0.2, 0.2, (1, 3))[0] / 5
    vectors = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for y, x in np.ndindex(2, 2):
        concentration = -np.log(image[0, :, y, x].numpy().astype(float)) @ np.linalg.inv(vectors)
        expected = np.exp(-(concentration * factor + shift) @ vectors).clip(0, 1)
        np.testing.assert_allclose(found[0, :, y, x].numpy(), expected, atol=1e-5)


def test_range_is_checked():
    with pytest.raises(StudyError, match="stain is 2"):
        Augmentation(stain=2)


def test_a_black_pixel_counts_as_half_a_grey_level():
    black, half = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5 / 255)
    one, other = (vary_stain(image, 0.3, np.random.default_rng(2)) for image in (black, half))
    assert torch.equal(one, other)
    assert torch.isfinite(one).all()
    bright = vary_stain(torch.full((20, 3, 1, 1), 0.999), 1.0, np.random.default_rng(0))
    assert bright.max() == 1  # clipped: a shift of concentrations would make light of nothing


def test_images_are_varied_each_by_its_own_factors():
    images = torch.full((3, 3, 2, 2), 0.5)
    found = vary_stain(images, 0.3, np.random.default_rng(0))
    assert not torch.allclose(found[0], found[1])
    assert torch.allclose(found[0], found[0, :, :1, :1].expand(3, 2, 2))


def test_every_turn_of_an_oblong_is_by_half():
    image = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)
    rng = np.random.default_rng(0)
    drawn = {turn(image, rng).tobytes() for _ in range(100)}
    assert drawn == {np.ascontiguousarray(image[::y, ::x]).tobytes() for y in (1, -1) for x in (1, -1)}


def test_the_ends_of_the_range_are_inside_and_the_defaults_moderate():
    assert [Augmentation(stain=end).stain for end in (0, 1)] == [0, 1]
    assert Augmentation() == Augmentation(dihedral=True, stain=0.15)
    for wrong in (-0.01, 1.01):
        with pytest.raises(StudyError, match="expected 0"):
            Augmentation(stain=wrong)


def test_half_of_the_images_are_mirrored():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    turned = [np.rot90(image, quarters) for quarters in range(4)]
    mirrored = 0
    for seed in range(1000):
        found = turn(image, np.random.default_rng(seed))
        mirrored += not any(np.array_equal(found, one) for one in turned)
    assert 430 < mirrored < 570
