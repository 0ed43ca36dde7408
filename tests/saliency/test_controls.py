"""The registry of controls: each is made in one way, and says what the tables and figures call it."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from saliency_stats.saliency.controls import CONTROLS, Control, control_of


def test_every_control_is_called_by_its_name():
    assert list(CONTROLS) == ["randomised", "cascading", "shuffled", "sobel", "haematoxylin", "eosin", "shift"]
    for name, control in CONTROLS.items():
        assert control.name == name
        assert control_of(name) is control
        assert control.words
        assert all(control.models.values())


def test_what_the_tables_call_their_rows():
    models = [model for control in CONTROLS.values() for model in control.models]
    assert models == [
        *("randomised", *(f"cascading_{depth}" for depth in range(1, 7)), "shuffled"),
        *("sobel", "haematoxylin", "eosin", "shift"),
    ]
    assert CONTROLS["cascading"].models["cascading_1"] == "cascading 1: classifier"
    assert CONTROLS["cascading"].models["cascading_6"] == "cascading 6: + stem (all)"


def test_networks_see_every_patch_and_the_others_need_none():
    counts = {name: len(control.networks) for name, control in CONTROLS.items()}
    assert counts == {"randomised": 1, "cascading": 6, "shuffled": 1} | dict.fromkeys(
        ("sobel", "haematoxylin", "eosin", "shift"), 0
    )


def test_which_need_a_network_that_can_be_run():
    needing = [name for name, control in CONTROLS.items() if control.needs_network]
    assert needing == ["randomised", "cascading", "shuffled"]


def test_who_is_shown_where():
    assert [name for name, control in CONTROLS.items() if control.shown] == ["randomised", "shuffled"]
    assert [name for name, control in CONTROLS.items() if control.every_method] == ["randomised"]
    groups = [control.group for control in CONTROLS.values()]
    assert groups == [*["networks"] * 3, *["images alone"] * 3, "spatial null"]


def test_a_control_does_not_change_and_is_made_by_names():
    control = Control(name="mine", group="networks", words="mine", models={"mine": "mine"}, map=np.mean)
    assert not control.every_method
    assert not control.shown
    with pytest.raises(FrozenInstanceError):
        control.shown = True
    with pytest.raises(TypeError, match="positional"):
        Control("mine")


@pytest.mark.parametrize("ways", [{}, {"map": np.mean, "move": np.roll}])
def test_a_control_is_made_in_exactly_one_way(ways):
    with pytest.raises(ValueError, match="control mine: expected exactly one of build, relabel, map, move"):
        Control(name="mine", group="networks", words="mine", models={"mine": "mine"}, **ways)
