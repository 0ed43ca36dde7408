"""Fitting and normalisation inside the network."""

import pytest
import torch
from torchvision import models

from saliency_stats.classifier.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Fit, Normalisation, Preprocessing
from saliency_stats.errors import ClassifierError, StudyError


def test_what_is_stated_goes_before_what_a_library_knows_but_for_the_size():
    known = Preprocessing((0.5, 0.5, 0.5), (0.1, 0.2, 0.3), 224)
    assert Preprocessing().otherwise(known) == Preprocessing((0.5, 0.5, 0.5), (0.1, 0.2, 0.3), None)
    stated = Preprocessing((0.0, 0.1, 0.2), None, 96)
    assert stated.otherwise(known) == Preprocessing((0.0, 0.1, 0.2), (0.1, 0.2, 0.3), 96)


@pytest.mark.parametrize("wrong", [{"std": (0.1, 0.0, 0.1)}, {"std": (1.0, 1.0, -1.0)}, {"size_px": 0}])
def test_what_cannot_be_divided_by_or_looked_at_is_refused(wrong):
    with pytest.raises(StudyError, match=r"classifier\.preprocess\.(std|size_px) is"):
        Preprocessing(**wrong)


def test_channels_are_normalised_each_by_its_own():
    images = torch.rand(2, 3, 4, 5)
    found = Normalisation((0.1, 0.2, 0.3), (1.0, 2.0, 4.0))(images)
    for channel, (mean, std) in enumerate(zip((0.1, 0.2, 0.3), (1.0, 2.0, 4.0), strict=True)):
        torch.testing.assert_close(found[:, channel], (images[:, channel] - mean) / std)
    assert not Normalisation((0.0,) * 3, (1.0,) * 3).state_dict()


def test_images_of_the_size_pass_untouched_and_others_are_resized():
    images = torch.rand(2, 3, 8, 8)
    assert Fit(None)(images) is images
    assert Fit(8)(images) is images
    assert Fit(None)(images[..., :5]).shape == (2, 3, 8, 5)
    small = Fit(4)(images)
    assert small.shape == (2, 3, 4, 4)
    torch.testing.assert_close(small.mean(), images.mean(), rtol=0.05, atol=0.01)
    # antialiased: the mean of what a pixel covers, and not one of every other
    stripes = torch.tensor([0.0, 1.0]).repeat(1, 3, 8, 4)
    torch.testing.assert_close(Fit(4)(stripes)[..., 1:3], torch.full((1, 3, 4, 2), 0.5), rtol=0, atol=0.01)


def test_resizing_has_a_gradient_at_every_pixel():
    images = torch.rand(1, 3, 8, 8, requires_grad=True)
    (found,) = torch.autograd.grad(Fit(4)(images).sum(), images)
    assert (found > 0).all()


def test_patches_that_are_not_square_would_be_distorted():
    with pytest.raises(ClassifierError, match="takes images of 4 × 4 px; patches of 8 × 6 px would be distorted"):
        Fit(4)(torch.rand(1, 3, 8, 6))


def test_imagenets_channels_are_those_that_torchvision_publishes():
    published = models.MobileNet_V3_Small_Weights.IMAGENET1K_V1.transforms()
    assert list(IMAGENET_MEAN) == published.mean
    assert list(IMAGENET_STD) == published.std
