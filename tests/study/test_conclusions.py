"""What a run concludes, where whole runs do not look."""

from types import SimpleNamespace

import pytest

from saliency_stats.settings.study import load
from saliency_stats.study.conclusions import _own_curve


@pytest.mark.parametrize(
    ("method", "found"),
    [
        ("integrated_gradients@mean", ("integrated_gradients", "mean")),
        ("integrated_gradients", ("integrated_gradients", "white")),
        ("gradient", ("gradient", "")),
        ("deeplift@blur", ("deeplift@blur", "")),
    ],
)
def test_the_own_curve_is_that_of_the_method_as_the_study_names_it(method, found):
    crossing = ("multiverse.enabled=true", "multiverse.baselines=[white, mean]", "saliency.baseline=mean")
    settings = load(None, (*crossing, "saliency.methods=[integrated_gradients, gradient, deeplift@blur]"))
    assert _own_curve(SimpleNamespace(settings=settings, method=method)) == found
