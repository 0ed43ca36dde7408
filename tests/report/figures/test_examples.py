"""The example patches: which network stands beside the trained one."""

import pandas as pd
import pytest

from saliency_stats.report.figures.examples import caption_examples, draw_examples
from saliency_stats.report.run import Run

CASCADE = [f"cascading_{depth}" for depth in range(1, 7)]


@pytest.mark.parametrize(
    ("controls", "drawn", "words"),
    [
        ([*CASCADE, "randomised", "shuffled"], "randomised control", "cannot come from training"),
        # the first step of a cascade is the trained network but for its last layer
        ([*CASCADE, "shuffled"], "cascading_6 control", "cannot come from training"),
        (["shuffled"], "shuffled control", "cannot come from the labels"),
    ],
)
def test_the_control_beside_has_nothing_of_the_trained_network(run_folder, controls, drawn, words):
    run = Run.read(run_folder)
    kept = run.examples[run.examples["model"] == "randomised"]
    others = [kept.assign(model=control) for control in controls]
    run = run.changed(examples=pd.concat([run.examples[run.examples["model"] == "trained"], *others]))
    assert draw_examples(run).axes[4].get_title() == f"Saliency,\n{drawn}"
    assert f"through the {drawn}" in caption_examples(run)
    assert words in caption_examples(run)


def test_without_a_control_the_network_stands_alone(run_folder):
    run = Run.read(run_folder)
    run = run.changed(examples=run.examples[run.examples["model"] == "trained"])
    assert draw_examples(run).axes[3].get_title() == "the same, with\nnuclear outlines"
    assert "last column" not in caption_examples(run)
