"""The example patches: which image stands in which panel, and which network beside the trained one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from saliency_stats.report.figures.examples import caption_examples, chosen_examples, draw_examples
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, WIDTH_IN, house_style
from saliency_stats.report.run import Run
from saliency_stats.study.parameters import described

CASCADE = [f"cascading_{depth}" for depth in range(1, 7)]


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


def _drawn(run: Run) -> Figure:
    with house_style():
        figure = draw_examples(run)
        figure.draw_without_rendering()
    return figure


def _of_controls(run: Run, names: list[str]) -> Run:
    """A run whose study has these controls, with an example through each of their networks."""
    controls = sorted({"cascading" if name.startswith("cascading") else name for name in names})
    record = described(run.settings.model_copy(update={"controls": controls}))
    kept = run.examples[run.examples["model"] == "randomised"]
    others = [kept.assign(model=name) for name in names]
    examples = pd.concat([run.examples[run.examples["model"] == "trained"], *others])
    return Run(run.folder, run.changed(examples=examples).tables, {**run.manifest, **record})


def test_every_panel_shows_its_array(run: Run) -> None:
    rows = chosen_examples(run)
    assert list(rows["label"]) == ["benign", "malignant"]
    axes = _drawn(run).axes
    assert [each.get_title() for each in axes[:5]] == [
        *("Image", "Compartments", "Saliency,\ntrained", "the same, with\nnuclear outlines"),
        "Saliency,\nrandomised control",
    ]
    nucleus, cytoplasm, background = (COMPARTMENT_COLOURS[name] for name in ("nucleus", "cytoplasm", "background"))
    for k, row in enumerate(rows.itertuples()):
        image, outlined, saliency, again, control = axes[5 * k : 5 * k + 5]
        own = run.example(row.file)
        control_file = run.examples.set_index(["model", "patch_id"]).loc[("randomised", row.patch_id), "file"]
        beside = run.example(control_file)
        for panel, expected in (
            *((image, own["image"]), (outlined, own["image"]), (saliency, own["saliency"]), (again, own["saliency"])),
            (control, beside["saliency"]),
        ):
            np.testing.assert_array_equal(panel.images[0].get_array(), expected)
        colours = [
            {to_hex(line.get_edgecolor()[0]).upper() for line in panel.collections} for panel in axes[5 * k :][:5]
        ]
        assert colours[0] == colours[2] == set()
        assert colours[1] == {nucleus, cytoplasm, background}
        assert colours[3] == colours[4] == {nucleus}
        assert [bool(panel.child_axes) for panel in (image, outlined, saliency, again, control)] == [
            *(False, False, True, False, True),
        ]
        assert [len(panel.patches) for panel in (image, outlined)] == [1, 0]  # one scale bar
        assert image.get_ylabel() == f"{row.label}, 20×\n{row.slide_id}\np(true class) > 0.999"


def test_the_legend_and_the_layout(run: Run) -> None:
    figure = _drawn(run)
    assert [(handle.get_label(), handle.get_color()) for handle in figure.legends[0].legend_handles] == [
        ("nuclear border", COMPARTMENT_COLOURS["nucleus"]),
        ("outer border of the cytoplasm", COMPARTMENT_COLOURS["cytoplasm"]),
        ("border of the background", COMPARTMENT_COLOURS["background"]),
    ]
    width, height = figure.get_size_inches()
    side = (WIDTH_IN - 0.52 - 0.06 * 5) / 5
    assert (width, height) == pytest.approx((WIDTH_IN, 0.36 + 2 * (side + 0.24) + 0.3))
    for k, axes in enumerate(figure.axes[:10]):
        box = axes.get_position(original=True)
        assert (box.width * width, box.height * height) == pytest.approx((side, side))
        assert box.x0 * width == pytest.approx(0.52 + (k % 5) * (side + 0.06))
    assert figure.axes[5].get_position(original=True).y0 * height == pytest.approx(0.3 + 0.24)
    assert figure.axes[0].get_position(original=True).y1 * height == pytest.approx(height - 0.36)


def test_examples_stand_by_magnification_class_and_rank(run: Run) -> None:
    trained = run.examples[run.examples["model"] == "trained"]
    more = [trained.assign(rank=rank, patch_id=f"p{rank}") for rank in range(21, 0, -1)]
    found = chosen_examples(run.changed(examples=pd.concat(more)))
    assert found["rank"].tolist() == [*range(1, 21), *range(1, 21)]
    assert found["label"].tolist() == ["benign"] * 20 + ["malignant"] * 20
    for n, per_class in ((2, 2), (3, 1)):
        scaled = [each.assign(magnification=10.0 * 2**k) for each in more for k in range(n)]
        found = chosen_examples(run.changed(examples=pd.concat(scaled)))
        assert len(found) == 2 * n * per_class
        assert found["magnification"].is_monotonic_increasing
    others = pd.concat([run.examples, run.examples.assign(method="grad_cam")])
    assert len(chosen_examples(run.changed(examples=others))) == 2


def test_probabilities_and_unknown_slides(run: Run) -> None:
    for p, words in ((0.999, "> 0.999"), (0.9989, "= 0.999"), (0.95, "= 0.950")):
        unsure = run.changed(examples=run.examples.assign(p_true=p, slide_id=""))
        label = draw_examples(unsure).axes[0].get_ylabel()
        assert label == f"benign, 20×\nslide unknown\np(true class) {words}"
    assert ", at most one a slide" not in caption_examples(unsure)
    named = run.changed(examples=run.examples.assign(slide_id="s" * 30))
    assert draw_examples(named).axes[0].get_ylabel().split("\n")[1] == "s" * 21 + "…"


@pytest.mark.parametrize(
    ("controls", "drawn", "words"),
    [
        ([*CASCADE, "randomised", "shuffled"], "randomised control", "cannot come from training"),
        # the first step of a cascade is the trained network but for its last layer
        ([*CASCADE, "shuffled"], "cascading 6", "cannot come from training"),
        (["shuffled"], "shuffled control", "cannot come from the labels"),
    ],
)
def test_the_control_beside_has_nothing_of_the_trained_network(
    run: Run, controls: list[str], drawn: str, words: str
) -> None:
    run = _of_controls(run, controls)
    assert draw_examples(run).axes[4].get_title().startswith(f"Saliency,\n{drawn}")
    assert f"through the {drawn}" in caption_examples(run)
    assert words in caption_examples(run)


def test_a_map_that_was_not_kept_is_said(run: Run) -> None:
    gone = run.changed(
        examples=run.examples[(run.examples["model"] == "trained") | (run.examples["label"] == "benign")]
    )
    axes = draw_examples(gone).axes
    assert [text.get_text() for text in axes[9].texts] == ["not kept"]
    assert not axes[9].axison
    assert axes[4].images


def test_without_a_control_the_network_stands_alone(run: Run) -> None:
    run = run.changed(examples=run.examples[run.examples["model"] == "trained"])
    figure = draw_examples(run)
    assert figure.axes[3].get_title() == "the same, with\nnuclear outlines"
    assert figure.axes[4].get_ylabel().startswith("malignant")
    assert "last column" not in caption_examples(run)


def test_the_caption_counts_and_says_the_rule(run: Run, seen) -> None:
    text = caption_examples(run)
    assert "in 1 benign and 1 malignant patches of the evaluation split" in text
    assert ", at most one a slide" in text
    assert "cut, at each map's 99.5th percentile" in text
    assert "through the randomised control (the same architecture with random weights)" in text
    none = run.changed(examples=run.examples.iloc[:0])
    reason = "no patch of the evaluation split was classified correctly and confidently"
    assert [seen.nothing(of, none) for of in (draw_examples, caption_examples)] == [reason] * 2
