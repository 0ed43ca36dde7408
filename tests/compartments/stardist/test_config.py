"""The configuration of a StarDist network: what is refused before a network is made of it."""

import json
from pathlib import Path

import pytest

from saliency_stats.compartments.stardist.config import MAX_DIVISOR, MAX_FILTERS, StarDistConfig
from saliency_stats.errors import CompartmentError

GOLDEN = Path(__file__).parents[1] / "golden"
WRITTEN = json.loads((GOLDEN / "stardist" / "grid2_colour" / "config.json").read_text(encoding="utf-8"))
LIMITS = [
    ("n_rays", 3, 512),
    ("n_channel_in", 1, 16),
    ("n_classes", 1, 1000),
    ("unet_n_depth", 1, 8),
    ("unet_n_conv_per_depth", 1, 8),
    ("unet_n_filter_base", 1, 1024),
    ("net_conv_after_unet", 0, 4096),
]


def refused(**changes):
    with pytest.raises(CompartmentError) as caught:
        StarDistConfig.from_json(WRITTEN | changes, "config.json")
    message = str(caught.value)
    assert message.startswith("config.json: ")
    assert len(message) < 1_500
    return message


@pytest.mark.parametrize(("name", "least", "most"), LIMITS)
def test_whole_numbers_have_a_range(name, least, most):
    for value in (least, most, float(most)):
        # one filter a level and no pooling keep the rest small
        small = {"unet_n_filter_base": 1, "unet_expansion": 1, "unet_pool": (1, 1)}
        assert getattr(StarDistConfig(**(small | {name: value})), name) == value
    assert isinstance(getattr(StarDistConfig(**(small | {name: float(most)})), name), int)
    for value in (least - 1, most + 1, 10**9, 10**400, 2.5, float("nan"), float("inf"), True, "32", [1], {}):
        assert f"{name} must be a whole number from {least} to {most}, found" in refused(**{name: value})


@pytest.mark.parametrize(("name", "most"), [("grid", 32), ("unet_kernel_size", 15), ("unet_pool", 8)])
def test_pairs_have_a_range(name, most):
    small = {"unet_n_depth": 1, "unet_pool": (1, 1)}
    assert getattr(StarDistConfig(**(small | {name: [1, float(most)]})), name) == (1, most)
    for value in ([0, 1], [1, most + 1], [1], [1, 1, 1], 2, "22", [True, True], [2.5, 2], ["2", "2"], [None, 1]):
        assert f"{name} must be two whole numbers (y, x) from 1 to {most}, found" in refused(**{name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": [1, 3]}, "grid must be powers of 2, found (1, 3)"),
        ({"unet_kernel_size": [3, 4]}, "unet_kernel_size must be odd, found (3, 4)"),
        ({"unet_activation": ["relu"]}, "unet_activation ['relu'] is not known, expected one of relu, elu, tanh"),
        ({"unet_last_activation": 3}, "unet_last_activation 3 is not known"),
        ({"unet_batch_norm": "yes"}, "unet_batch_norm must be true or false, found 'yes'"),
        ({"unet_prefix": 3}, "unet_prefix must be a short text, found 3"),
        ({"unet_prefix": "x" * 101}, "unet_prefix must be a short text"),
        ({"unet_expansion": 0.5}, "unet_expansion must be a number from 1 to 4, found 0.5"),
        ({"unet_expansion": 4.1}, "unet_expansion must be a number from 1 to 4"),
        ({"unet_expansion": "2"}, "unet_expansion must be a number"),
        ({"unet_expansion": True}, "unet_expansion must be a number"),
        ({"unet_expansion": float("nan")}, "unet_expansion must be a number"),
        ({"n_dim": 3}, "n_dim is 3, expected 2"),
        ({"backbone": ["x" * 10_000]}, "expected 'unet'"),
        ({"n_rays": None}, "no n_rays; expected the configuration"),
    ],
)
def test_what_no_network_has_is_refused_by_its_key(changes, message):
    assert message in refused(**changes)


def test_all_that_is_wrong_is_said():
    message = refused(n_rays=10**9, grid=0, unet_n_depth=50, unet_n_filter_base=10**6)
    assert all(name in message for name in ("n_rays", "grid", "unet_n_depth", "unet_n_filter_base"))


def test_together_they_must_fit_a_machine():
    deep = {"unet_n_depth": 4, "unet_expansion": 2}
    assert StarDistConfig(unet_n_filter_base=MAX_FILTERS // 16, **deep).unet_n_filter_base == 512
    assert "is 8,208 filters, at most 8192 fit" in refused(unet_n_filter_base=513, **deep)
    assert StarDistConfig(unet_n_depth=7, unet_n_filter_base=1, grid=(8, 1)).divisor == (MAX_DIVISOR, 128)
    assert "px, at most 1024 fit" in refused(unet_n_depth=7, unet_n_filter_base=1, grid=[1, 16])


def test_without_what_stardist_writes_there_is_no_network():
    with pytest.raises(CompartmentError, match=r"c\.json: no n_rays, n_channel_in, grid; expected"):
        StarDistConfig.from_json({}, "c.json")


def test_what_stardist_writes_is_read():
    config = StarDistConfig.from_json(WRITTEN, "config.json")
    assert (config.n_rays, config.grid, config.n_channel_in) == (WRITTEN["n_rays"], (2, 2), 3)


@pytest.mark.parametrize(
    ("changes", "margin"),
    [
        # three levels down and up, the deepest of 8 px: 4 (1 + 2 + 4), 2 · 8, 1 and 2 · 8
        ({"grid": (1, 1)}, (61, 61)),
        # pooled once before: 2, and all the rest twice as far
        ({"grid": (2, 1)}, (124, 61)),
        ({"grid": (1, 1), "unet_kernel_size": (5, 3)}, (106, 61)),
        ({"grid": (1, 1), "unet_n_conv_per_depth": 3}, (83, 83)),
    ],
)
def test_the_margin_is_what_convolutions_and_pooling_see(changes, margin):
    assert StarDistConfig(**({"unet_n_depth": 3, "unet_n_conv_per_depth": 2} | changes)).margin == margin
