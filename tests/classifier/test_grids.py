"""The places of the image in a layer's output."""

import pytest
import torch

from saliency_stats.classifier.grids import Grid, grid_of


def images(height=32, width=32):
    return torch.zeros(2, 3, height, width)


@pytest.mark.parametrize(
    ("shape", "size", "seen", "expected"),
    [
        ((2, 8, 4, 4), (32, 32), (), Grid("first", (4, 4))),
        ((2, 4, 4, 8), (32, 32), (), Grid("last", (4, 4))),
        # of few channels the exact proportions decide
        ((2, 4, 4, 3), (32, 32), (), Grid("last", (4, 4))),
        ((2, 3, 4, 4), (32, 32), (), Grid("first", (4, 4))),
        ((2, 8, 4, 6), (64, 96), (), Grid("first", (4, 6))),
        # a border more or less
        ((2, 8, 5, 7), (64, 96), (), Grid("first", (5, 7))),
        ((2, 8, 4, 9), (64, 96), (), None),
        ((2, 7, 7, 768), (224, 224), (), Grid("last", (7, 7))),
        ((2, 17, 8), (32, 32), (), Grid("tokens", (4, 4), 1)),
        ((2, 16, 8), (32, 32), (), Grid("tokens", (4, 4), 0)),
        ((2, 18, 8), (32, 32), (), None),
        ((2, 21, 8), (32, 32), [(4, 4)], Grid("tokens", (4, 4), 5)),
        ((2, 32, 8), (32, 32), [(4, 4)], Grid("tokens", (4, 4), 16)),
        ((2, 33, 8), (32, 32), [(4, 4)], None),
        ((2, 21, 8), (32, 32), [(4, 4), (2, 2)], Grid("tokens", (4, 4), 5)),
        ((2, 25, 8), (64, 96), (), Grid("tokens", (4, 6), 1)),
        ((2, 24, 8), (64, 96), (), Grid("tokens", (4, 6), 0)),
        ((2, 2), (32, 32), (), None),
        ((3, 8, 4, 4), (32, 32), (), None),
        ((2, 8, 64, 64), (32, 32), (), None),
    ],
)
def test_a_grid_has_the_proportions_of_the_image(shape, size, seen, expected):
    assert grid_of(torch.zeros(shape), images(*size), seen) == expected


def test_what_is_no_tensor_has_no_grid():
    assert grid_of((torch.zeros(2, 8, 4, 4),), images()) is None


def test_weights_of_attention_are_no_image():
    scores = torch.randn(2, 6, 16, 16, generator=torch.Generator().manual_seed(0))
    assert grid_of(scores, images()) == Grid("first", (16, 16))
    weights = scores.softmax(dim=3)
    assert grid_of(weights, images()) is None
    # shares along the channels, or of less than all, are an image; so are rows that add up to 1 with what is below 0
    assert grid_of(scores.softmax(dim=1), images()) == Grid("first", (16, 16))
    assert grid_of(weights / 2, images()) == Grid("first", (16, 16))
    assert grid_of(torch.cat([2 - weights[..., :1], -weights[..., 1:]], dim=3), images()) == Grid("first", (16, 16))
    assert grid_of(weights[:, :, :8], images(16, 32)) == Grid("first", (8, 16))


def test_places_stay_where_they_are_in_every_layout():
    picture = torch.arange(2 * 5 * 2 * 3.0).view(2, 5, 2, 3)
    tokens = torch.cat([torch.full((2, 1, 5), -1.0), picture.flatten(2).movedim(1, 2)], dim=1)
    for values, grid in (
        (picture, Grid("first", (2, 3))),
        (picture.movedim(1, 3), Grid("last", (2, 3))),
        (tokens, Grid("tokens", (2, 3), 1)),
    ):
        assert torch.equal(grid.image(values), picture)
