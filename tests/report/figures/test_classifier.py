"""The classifier's figures: the ROC is the Mann-Whitney statistic, bins hold every patch, curves are the tables'."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.figure import Figure
from scipy import stats

from saliency_stats.report.figures.classifier import (
    caption_roc_reliability,
    caption_training,
    draw_roc_reliability,
    draw_training,
    reliability,
    roc_curve,
)
from saliency_stats.report.figures.style import CONTROL_COLOUR, QUIET, TRAINED_COLOUR, house_style
from saliency_stats.report.run import Run

TRAIN, VALID = "#0072B2", "#D55E00"


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Run:
    folder = tmp_path_factory.mktemp("classifier") / "run"
    return Run.read(make_run(folder, slides=3, patches=4, magnifications=(10.0, 20.0)))


def _drawn(draw: Callable[[Run], Figure], run: Run) -> Figure:
    with house_style():
        figure = draw(run)
        figure.draw_without_rendering()
    return figure


def _scored(run: Run, model: str) -> tuple[np.ndarray, np.ndarray]:
    rows = run.predictions
    rows = rows[(rows["model"] == model) & (rows["split"] == "test") & (rows["magnification"] == 20.0)]
    return (rows["label"] == "malignant").to_numpy(), rows["p_malignant"].to_numpy()


@given(
    hnp.arrays(bool, 30, elements=st.booleans()).filter(lambda values: values.any() and not values.all()),
    hnp.arrays(float, 30, elements=st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9])),
)
def test_area_under_the_roc_is_the_mann_whitney_statistic(malignant: np.ndarray, score: np.ndarray) -> None:
    false_positive, true_positive = roc_curve(malignant, score)
    assert (false_positive[0], true_positive[0]) == (0.0, 0.0)
    assert (false_positive[-1], true_positive[-1]) == (1.0, 1.0)
    area = np.trapezoid(true_positive, false_positive)
    u = stats.mannwhitneyu(score[malignant], score[~malignant]).statistic
    assert area == pytest.approx(u / (malignant.sum() * (~malignant).sum()), abs=1e-12)


@given(hnp.arrays(bool, 40, elements=st.booleans()), hnp.arrays(float, 40, elements=st.floats(0, 1)))
def test_reliability_bins_hold_every_patch_once(malignant: np.ndarray, score: np.ndarray) -> None:
    table = reliability(malignant, score)
    assert table["n"].sum() == 40
    assert (table["observed"] * table["n"]).sum() == pytest.approx(malignant.sum())
    assert (table["predicted"] * table["n"]).sum() == pytest.approx(score.sum())
    assert table["bin"].between(0, 9).all()


def test_bins_are_ten_of_equal_width() -> None:
    table = reliability(np.array([True, False, True, True]), np.array([0.05, 0.1, 0.19, 1.0]))
    assert table["bin"].tolist() == [0, 1, 9]
    assert table["n"].tolist() == [1, 2, 1]
    np.testing.assert_allclose(table["predicted"], [0.05, 0.145, 1.0])
    np.testing.assert_allclose(table["observed"], [1.0, 0.5, 1.0])


def test_the_rocs_are_those_of_the_networks(run: Run) -> None:
    axes = _drawn(draw_roc_reliability, run).axes[0]
    diagonal = next(line for line in axes.lines if line.get_color() == QUIET)
    assert (list(diagonal.get_xdata()), list(diagonal.get_ydata())) == ([0, 1], [0, 1])
    curves = {line.get_color(): line for line in axes.lines if line is not diagonal}
    for model, colour, style in (("trained", TRAINED_COLOUR, "-"), ("randomised", CONTROL_COLOUR, "--")):
        false, true = roc_curve(*_scored(run, model))
        np.testing.assert_allclose(curves[colour].get_xdata(), false)
        np.testing.assert_allclose(curves[colour].get_ydata(), true)
        assert curves[colour].get_linestyle() == style
    assert len(curves) == 2
    scores = run.metrics[run.metrics["split"] == "test"].set_index("model")["auc"]
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        f"trained, AUC {scores['trained']:.3f}",
        f"randomised control, AUC {scores['randomised']:.3f}",
    ]
    assert [handle.get_color() for handle in legend.legend_handles] == [TRAINED_COLOUR, CONTROL_COLOUR]
    assert [handle.get_linestyle() for handle in legend.legend_handles] == ["-", "--"]
    unscored = run.changed(metrics=run.metrics.assign(auc=np.nan))
    words = _drawn(draw_roc_reliability, unscored).axes[0].get_legend().get_texts()
    assert [text.get_text() for text in words] == ["trained", "randomised control"]


def test_reliability_and_counts_are_those_of_the_bins(run: Run) -> None:
    _, axes, counts = _drawn(draw_roc_reliability, run).axes
    table = reliability(*_scored(run, "trained"))
    dots = axes.collections[0]
    np.testing.assert_allclose(dots.get_offsets(), table[["predicted", "observed"]])
    np.testing.assert_allclose(dots.get_sizes(), 8 + 60 * table["n"] / table["n"].max())
    line = next(each for each in axes.lines if each.get_color() == TRAINED_COLOUR)
    np.testing.assert_allclose(line.get_xydata(), table[["predicted", "observed"]])
    bars = counts.patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], table["n"])
    np.testing.assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in bars], (table["bin"] + 0.5) / 10)
    assert {round(bar.get_width(), 9) for bar in bars} == {0.09}
    assert [text.get_text() for text in counts.texts] == [f"{n}" for n in table["n"]]
    assert counts.get_xlim() == (0.0, 1.0)


def test_the_panels_are_named_and_square(scaled: Run) -> None:
    figure = _drawn(draw_roc_reliability, scaled)
    n = ((scaled.predictions["split"] == "test") & (scaled.predictions["model"] == "trained")).sum() // 2
    assert [axes.get_title() for axes in figure.axes] == [
        *("ROC, 10×", "Reliability, 10×", f"Counts, {n} patches"),
        *("ROC, 20×", "Reliability, 20×", f"Counts, {n} patches"),
    ]
    labels = [
        ("share of benign called malignant", "share of malignant found"),
        ("probability of malignancy", "share that is malignant"),
        ("probability of malignancy", "patches"),
    ]
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes] == labels * 2
    assert {axes.get_box_aspect() for axes in figure.axes} == {1}
    for axes in (*figure.axes[:2], *figure.axes[3:5]):
        assert axes.get_xlim() == axes.get_ylim() == (-0.02, 1.02)
    assert figure.get_size_inches()[1] == pytest.approx(0.1 + 2 * 2.35)
    assert "of the evaluation split (test)" in caption_roc_reliability(scaled)


def test_one_class_has_no_roc(run: Run, seen) -> None:
    for label in ("benign", "malignant"):
        one = run.changed(predictions=run.predictions[run.predictions["label"] == label])
        axes = _drawn(draw_roc_reliability, one).axes[0]
        assert [text.get_text() for text in axes.texts] == ["one class only:\nno ROC"]
        assert axes.get_legend() is None
    nothing = run.changed(predictions=run.predictions.assign(split="train"))
    words = "there is no prediction on the evaluation split"
    assert seen.nothing(draw_roc_reliability, nothing) == words


def test_the_curves_of_training_are_those_of_the_table(scaled: Run) -> None:
    training = pd.concat([scaled.training, scaled.training.assign(model="shuffled", loss_train=9.0)])
    figure = _drawn(draw_training, scaled.changed(training=training))
    assert [axes.get_title() for axes in figure.axes] == [
        *("loss, 10×", "balanced accuracy, 10×", "loss, 20×", "balanced accuracy, 20×"),
    ]
    for axes in figure.axes:
        words, _, magnification = axes.get_title().partition(", ")
        rows = scaled.training[scaled.training["magnification"] == float(magnification[:-1])].sort_values("epoch")
        curves = {line.get_color(): line for line in axes.lines if line.get_color() in {TRAIN, VALID}}
        for part, colour in (("train", TRAIN), ("valid", VALID)):
            np.testing.assert_allclose(curves[colour].get_ydata(), rows[f"{words.replace(' ', '_')}_{part}"])
            np.testing.assert_allclose(curves[colour].get_xdata(), rows["epoch"])
        assert axes.get_legend() is None
        assert axes.get_ylabel() == ""
        others = {line.get_linestyle(): line for line in axes.lines if line.get_color() == QUIET}
        assert list(others[":"].get_xdata()) == [8.0, 8.0]
        assert ("--" in others) is (words == "balanced accuracy")
        if "--" in others:
            assert list(others["--"].get_ydata()) == [0.5, 0.5]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "epoch", "epoch"]
    assert all(float(tick).is_integer() for tick in figure.axes[-1].get_xticks())
    assert figure.get_size_inches()[1] == pytest.approx(0.5 + 2 * 1.9)


def test_the_legend_of_training(run: Run) -> None:
    handles = _drawn(draw_training, run).legends[0].legend_handles
    assert [(handle.get_label(), handle.get_color(), handle.get_linestyle()) for handle in handles] == [
        ("training patches", TRAIN, "-"),
        ("validation patches", VALID, "-"),
        ("epoch kept", QUIET, ":"),
        ("guessing", QUIET, "--"),
    ]
    assert [handle.get_linewidth() for handle in handles] == [1.4, 1.4, 1.4, 0.8]


def test_training_without_validation_and_none_at_all(run: Run, seen) -> None:
    assert "no second curve" not in caption_training(run)
    alone = run.changed(training=run.training.assign(loss_valid=np.nan, balanced_accuracy_valid=np.nan))
    assert "No validation patches were set apart, so there is no second curve." in caption_training(alone)
    assert not [line for axes in _drawn(draw_training, alone).axes for line in axes.lines if line.get_color() == VALID]
    none = run.changed(training=run.training.iloc[:0])
    words = "no training was recorded (the weights were loaded as they are)"
    assert [seen.nothing(of, none) for of in (draw_training, caption_training)] == [words] * 2
