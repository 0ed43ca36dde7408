"""From values per colour channel to one map: each formula on numbers that can be checked by hand."""

from types import SimpleNamespace

import pytest
import torch

from saliency_stats.errors import AttributionError
from saliency_stats.saliency import METHODS, REDUCTIONS, reduce_channels
from saliency_stats.saliency.reductions import SIGNED, adds_up

VALUES = torch.tensor([[[[3.0]], [[-4.0]], [[12.0]]]])


@pytest.mark.parametrize(("name", "expected"), [("l2", 13.0), ("l1", 19.0), ("max", 12.0)])
def test_reductions(name, expected):
    assert reduce_channels(VALUES, name).tolist() == [[[expected]]]


def test_a_sign_is_lost_and_the_largest_may_be_negative():
    assert reduce_channels(-VALUES, "max").item() == 12.0
    assert list(REDUCTIONS) == ["l2", "l1", "max"]


def test_the_signed_sum_keeps_the_sign_and_is_not_for_a_study_to_choose():
    assert reduce_channels(VALUES, SIGNED).tolist() == [[[11.0]]]
    assert reduce_channels(-VALUES, SIGNED).item() == -11.0
    assert SIGNED not in REDUCTIONS


def test_another_reduction_is_refused():
    with pytest.raises(AttributionError, match=r"saliency\.reduction is 'mean'; expected one of l2, l1, max"):
        reduce_channels(VALUES, "mean")


def test_a_sign_has_a_meaning_where_values_add_up():
    signed = {name for name, method in METHODS.items() if adds_up(method)}
    assert {"gradient_x_input", "integrated_gradients", "deeplift"} <= signed
    assert not signed & {"gradient", "smoothgrad", "grad_cam", "occlusion", "guided_backprop"}
    assert adds_up(SimpleNamespace(name="mine", baseline="mean"))
    assert adds_up(SimpleNamespace(name="mine", with_references=len))
    assert not adds_up(SimpleNamespace(name="mine", baseline="", times_input=False))
