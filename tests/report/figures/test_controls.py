"""The claim against every control and by every method: what is drawn is what the table holds."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saliency_stats.report.figures.controls import (
    all_primary,
    caption_controls,
    control_label,
    control_rows,
    draw_controls,
    has_controls,
)
from saliency_stats.report.figures.methods import (
    METHOD_WORDS,
    caption_methods,
    draw_methods,
    has_methods,
    method_rows,
)
from saliency_stats.report.figures.style import CONTROL_COLOUR, DIFFERENCE_COLOUR, TRAINED_COLOUR, house_style, save
from saliency_stats.report.run import Run
from saliency_stats.report.words import ratio, ratio_interval

CASCADE = [f"cascading_{depth}" for depth in range(1, 7)]
IMAGES = ["sobel", "haematoxylin", "eosin"]
CONTROLS = ["randomised", *CASCADE, "shuffled", *IMAGES, "shift"]
LABELS = ("benign", "malignant")
ONE_CHANNEL = ("grad_cam", "occlusion")
REASON = "slides are unknown"
#: Where the trained network's estimate, and what it has beyond each control, lies by label.
TRAINED_AT = {"benign": 0.3, "malignant": 0.9}


def _row(
    label: str, magnification: float, model: str, method: str, reduction: str, numbers: dict[str, float]
) -> dict[str, object]:
    return {
        "contrast": "cytoplasm_vs_nucleus",
        "label": label,
        "magnification": magnification,
        "model": model,
        "method": method,
        "reduction": reduction,
        "test": "sign_flip",
        "status": "tested",
        "reason": "",
        **numbers,
    }


def _numbers(estimate: float, p_adjusted: float, half: float = 0.15) -> dict[str, float]:
    return {
        "estimate": estimate,
        "ci_low": estimate - half,
        "ci_high": estimate + half,
        "p_value": p_adjusted / 10,
        "p_adjusted": p_adjusted,
    }


def _controls(magnifications: tuple[str, ...]) -> list[dict[str, object]]:
    """Write the trained network, every control, and the differences, from which shuffled and shift stand out."""
    rng = np.random.default_rng(1)
    rows = []
    for magnification, label in product(magnifications, LABELS):
        trained = TRAINED_AT[label]
        where = (label, magnification)
        rows.append(_row(*where, "trained", "gradient", "l2", _numbers(trained, 0.001)))
        for control in CONTROLS:
            own = trained - rng.uniform(0.3, 0.6)
            if control == "shuffled":
                own = trained + 0.4
            if control == "shift":
                own = trained - 0.02
            setting = (control, "none") if control in IMAGES else ("gradient", "l2")
            rows.append(_row(*where, control, *setting, _numbers(own, 0.2)))
            p_adjusted = 0.3 if control == "shift" else 0.01
            numbers = _numbers(trained - own, p_adjusted)
            rows.append(_row(*where, f"trained-{control}", "gradient", "l2", numbers))
    return rows


def _methods(magnifications: tuple[str, ...]) -> list[dict[str, object]]:
    """Write further methods and reductions: those that multiply by the input lean to nuclei, Grad-CAM is unsure."""
    rows = []
    for magnification, label, method in product(magnifications, LABELS, METHOD_WORDS):
        reductions = ("none",) if method in ONE_CHANNEL else ("l2", "l1", "max")
        for k, reduction in enumerate(reductions):
            if (method, reduction) == ("gradient", "l2"):
                continue
            nuclear = method in ("gradient_x_input", "integrated_gradients", "deeplift")
            own = -0.4 if nuclear else TRAINED_AT[label] + 0.1 * k
            p_adjusted = 0.5 if method == "grad_cam" else 0.01
            where = (label, magnification)
            rows.append(_row(*where, "trained", method, reduction, _numbers(own, p_adjusted)))
            rows.append(_row(*where, "randomised", method, reduction, _numbers(own / 2 - 0.1, 0.3)))
            rows.append(_row(*where, "trained-randomised", method, reduction, _numbers(own / 2 + 0.1, 0.3)))
    return rows


def _run(folder: Path, rows: list[dict[str, object]], *, tested: bool = True, chance: bool = False) -> Run:
    run = Run.read(folder)
    table = pd.DataFrame(rows)
    # every row has the rows of other tests and contrasts beside it, which nothing here may show
    table = pd.concat(
        [table.assign(test="wilcoxon", estimate=9.0), table.assign(contrast="other", estimate=8.0), table]
    )
    missing = ["ci_low", "ci_high", "p_value", "p_adjusted"]
    if not tested:
        table[missing] = np.nan
        table[["status", "reason"]] = ["no_inference", REASON]
    if chance:
        of_trained = table["model"].str.startswith("trained")
        table.loc[of_trained, missing] = np.nan
        table.loc[of_trained, "status"] = "not_interpretable"
    numbers = run.contrasts.columns.difference(table.columns)
    table = table.assign(**dict.fromkeys(numbers, np.nan)).reset_index(drop=True)
    patches = [run.patches.assign(magnification=name) for name in sorted(set(table["magnification"]))]
    metrics = [run.own_metrics.assign(magnification=name) for name in sorted(set(table["magnification"]))]
    return run.changed(all_contrasts=table, patches=pd.concat(patches), metrics=pd.concat(metrics))


@pytest.fixture
def run(small_folder: Path) -> Run:
    """One magnification with all controls and all methods."""
    return _run(small_folder, [*_controls(("20",)), *_methods(("20",))])


def _drawn(figure: Figure) -> Figure:
    with house_style():
        figure.draw_without_rendering()
    return figure


def _marks(axes: Axes, colour: str | None = None) -> list[Line2D]:
    marks = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
    return [line for line in marks if colour is None or line.get_color() == colour]


def _at(line: Line2D) -> tuple[float, float]:
    return float(np.asarray(line.get_xdata())[0]), float(np.asarray(line.get_ydata())[0])


def test_controls_stand_in_order_under_their_groups(run: Run) -> None:
    figure = _drawn(draw_controls(run))
    words = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert words == [
        *("networks", "trained", "randomised", "cascading 1: classifier", "cascading 2: + dense block 4"),
        *("cascading 3: + dense block 3", "cascading 4: + dense block 2", "cascading 5: + dense block 1"),
        *("cascading 6: + stem (all)", "shuffled"),
        *("images alone", "edges (Sobel)", "haematoxylin", "eosin", "spatial null", "shifted map"),
    ]
    bold = [tick.get_text() for tick in figure.axes[0].get_yticklabels() if tick.get_fontweight() == "bold"]
    assert bold == ["networks", "images alone", "spatial null"]


@pytest.mark.parametrize("label", LABELS)
def test_every_estimate_and_difference_is_drawn_in_its_row(run: Run, label: str) -> None:
    figure = _drawn(draw_controls(run))
    estimates, differences = figure.axes[2 * LABELS.index(label) : 2 * LABELS.index(label) + 2]
    assert estimates.get_title(loc="left") == f"{label}, 20×"
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    places = dict(zip(names, figure.axes[0].get_yticks(), strict=True))
    table = run.contrasts
    table = table[
        (table["label"] == label)
        & (table["test"] == "sign_flip")
        & (table["contrast"] == "cytoplasm_vs_nucleus")
        & table["method"].isin(["gradient", *IMAGES])
        & table["reduction"].isin(["l2", "none"])
    ].set_index("model")
    expected = {(table.loc[name, "estimate"], places[control_label(name)]) for name in ("trained", *CONTROLS)}
    assert {_at(mark) for mark in _marks(estimates)} == expected
    beyond = {(table.loc[f"trained-{name}", "estimate"], places[control_label(name)]) for name in CONTROLS}
    assert {_at(mark) for mark in _marks(differences)} == beyond
    hollow = [_at(mark) for mark in _marks(differences) if mark.get_markerfacecolor() == "white"]
    assert hollow == [(table.loc["trained-shift", "estimate"], places["shifted map"])]
    (trained,) = _marks(estimates, TRAINED_COLOUR)
    band = estimates.patches[0].get_window_extent().transformed(estimates.transData.inverted())
    assert (band.x0, band.x1) == pytest.approx(tuple(table.loc["trained", ["ci_low", "ci_high"]]))
    assert _at(trained)[0] == TRAINED_AT[label]
    assert len(_marks(estimates, CONTROL_COLOUR)) == len(_marks(differences, DIFFERENCE_COLOUR)) == len(CONTROLS)
    segments = [
        segment
        for lines in differences.collections
        if isinstance(lines, LineCollection)
        for segment in np.asarray(lines.get_segments())
    ]
    ends = table.loc[[f"trained-{name}" for name in CONTROLS], ["ci_low", "ci_high"]]
    assert {(low, high) for (low, _), (high, _) in segments} == set(ends.itertuples(index=False, name=None))


def test_the_caption_counts_what_the_trained_network_exceeds(run: Run) -> None:
    caption = caption_controls(run)
    for label in LABELS:
        own = TRAINED_AT[label]
        interval = ratio_interval(own - 0.15, own + 0.15)
        assert f"{label.capitalize()}, 20×: trained {ratio(own)} ({interval}); significantly more in the" in caption
    # of 12: one is higher, one is not different
    assert caption.count("than 10 of 12 controls, significantly less than shuffled, not significantly different") == 2
    assert caption.count("from shifted map.") == 2
    for word in ("same architecture", "from the top", "permuted labels", "without any network", "random place"):
        assert word in caption
    assert "95 % intervals over slides" in caption
    assert "without an interval" not in caption


def test_an_alpha_decides_what_is_filled(run: Run) -> None:
    study = {**run.study, "statistics": {**run.study["statistics"], "alpha": 0.005}}
    strict = run.changed(study=study)
    faces = [mark.get_markerfacecolor() for mark in _marks(_drawn(draw_controls(strict)).axes[1])]
    assert set(faces) == {"white"}
    assert "than 0 of 12 controls" in caption_controls(strict)


def test_only_what_is_present_is_drawn_and_a_control_without_a_difference_is_named(small_folder: Path) -> None:
    rows = [
        row for row in _controls(("20",)) if row["model"] in ("trained", "randomised", "trained-randomised", "eosin")
    ]
    run = _run(small_folder, rows)
    figure = _drawn(draw_controls(run))
    words = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert words == ["networks", "trained", "randomised", "images alone", "eosin"]
    assert len(_marks(figure.axes[1])) == 1
    caption = caption_controls(run)
    assert "No difference: eosin (benign, 20×) and eosin (malignant, 20×)." in caption
    assert "than 1 of 1 control." in caption
    assert "cascading" not in caption
    assert "permuted" not in caption


def test_a_control_without_an_estimate_is_named(small_folder: Path) -> None:
    rows = _controls(("20",))
    for row in rows:
        if row["model"] in ("sobel", "trained-sobel") and row["label"] == "benign":
            row["estimate"] = np.nan
    run = _run(small_folder, rows)
    assert len(_marks(_drawn(draw_controls(run)).axes[0])) == len(CONTROLS)
    assert "No estimate: edges (Sobel) (benign, 20×)." in caption_controls(run)


def test_a_run_with_one_randomised_control_has_neither_figure(small_folder: Path) -> None:
    plain = Run.read(small_folder)
    assert not has_controls(plain)
    assert not has_methods(plain)
    rows = [row for row in _controls(("20",)) if row["model"] in ("trained", "shuffled")]
    assert has_controls(_run(small_folder, rows))
    assert not has_methods(_run(small_folder, _controls(("20",))))
    assert not has_controls(_run(small_folder, [*_methods(("20",)), rows[0]]))
    assert has_methods(_run(small_folder, [*_methods(("20",)), rows[0]]))


@pytest.mark.parametrize("tested", [True, False])
def test_both_figures_stack_magnifications_with_and_without_intervals(
    small_folder: Path, tmp_path: Path, *, tested: bool
) -> None:
    both = ("10", "20")
    run = _run(small_folder, [*_controls(both), *_methods(both)], tested=tested)
    with house_style():
        for name, draw, panels in (("controls", draw_controls, 8), ("methods", draw_methods, 4)):
            figure = draw(run)
            assert len(figure.axes) == panels
            titles = [axes.get_title(loc="left") for axes in figure.axes]
            assert [title for title in titles if title] == [f"{label}, {at}×" for at in both for label in LABELS]
            assert save(figure, tmp_path / f"{name}.png").stat().st_size > 10_000
    for caption in (caption_controls(run), caption_methods(run)):
        assert (f"Estimates without an interval: {REASON}." in caption) is not tested
        assert ("95 % intervals" in caption) is tested
    assert ("no difference from a control is tested" in caption_controls(run)) is not tested
    assert ("(none tested)" in caption_methods(run)) is not tested


def test_a_classifier_at_chance_is_hollow(small_folder: Path) -> None:
    run = _run(small_folder, [*_controls(("20",)), *_methods(("20",))], chance=True)
    for axes in (_drawn(draw_controls(run)).axes[0], _drawn(draw_methods(run)).axes[0]):
        assert {mark.get_markerfacecolor() for mark in _marks(axes, TRAINED_COLOUR)} == {"white"}
    assert "Hollow marks of the trained network: it learned nothing there" in caption_controls(run)


def test_methods_have_a_row_each_and_the_reductions_their_marks(run: Run) -> None:
    figure = _drawn(draw_methods(run))
    words = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert words[0] == "gradient\n(this study’s own)"
    assert words[4:7] == ["gradient × input *", "integrated gradients *", "DeepLIFT *"]
    assert words[1:4] + words[7:] == [
        "shift-averaged gradient",
        "SmoothGrad",
        "guided backprop",
        "Grad-CAM",
        "occlusion",
    ]
    rows = method_rows(run)
    markers = {"l2": "o", "l1": "s", "max": "^", "none": "D"}
    ticks = np.asarray(figure.axes[0].get_yticks())
    for label, axes in zip(LABELS, figure.axes, strict=True):
        for trained in (True, False):
            marks = [mark for mark in _marks(axes) if (mark.get_color() != CONTROL_COLOUR) is trained]
            found = {
                (int(np.argmin(np.abs(ticks - y))), mark.get_marker(), x) for mark in marks for x, y in [_at(mark)]
            }
            table = rows[(rows["label"] == label) & ((rows["model"] == "trained") == trained)]
            places = [list(METHOD_WORDS).index(name) for name in table["method"]]
            shapes = [markers[name] for name in table["reduction"]]
            assert found == set(zip(places, shapes, table["estimate"], strict=True))
            assert {mark.get_markerfacecolor() == "white" for mark in marks} == {not trained}
        assert len({_at(mark)[1] for mark in _marks(axes)}) == len(_marks(axes))  # none hides another
        (own,) = [line for line in axes.lines if line.get_linewidth() == 0.7]
        assert np.asarray(own.get_xdata()).tolist() == [TRAINED_AT[label]] * 2


def test_the_caption_counts_the_methods_that_agree(run: Run) -> None:
    caption = caption_methods(run)
    # of 8 others 3 multiply by the input and are opposed, and Grad-CAM agrees without being significant
    methods = "5 of 8 other methods (significant in 4; significantly the opposite in 3)"
    # of 22 others 9 are opposed
    maps = "13 of 22 other maps (significant in 12; significantly the opposite in 9)"
    for label in LABELS:
        own = ratio(TRAINED_AT[label])
        expected = f"{label.capitalize()}, 20×: {own} by the study’s own; the same sign in {methods}"
        assert f"{expected}; of all methods and reductions in {maps}." in caption
    assert "* Gradient × input, integrated gradients and DeepLIFT multiply by 1 − x" in caption
    assert "lean to nuclei by construction" in caption


def test_without_the_study_own_method_there_is_nothing_to_agree_with(small_folder: Path) -> None:
    run = _run(small_folder, _methods(("20",)))
    assert "20×: the study’s own method has no estimate." in caption_methods(run)
    assert "multiply" not in caption_methods(
        _run(
            small_folder,
            [row for row in _methods(("20",)) if "_" not in str(row["method"]) and row["method"] != "deeplift"],
        )
    )


def test_nothing_to_draw_says_so(run: Run) -> None:
    empty = run.changed(all_contrasts=run.contrasts.assign(estimate=np.nan))
    for draw in (draw_controls, draw_methods):
        assert "nothing to draw" in draw(empty).texts[0].get_text()
    assert "No estimate: " in caption_controls(empty)
    assert "estimates missing" in caption_methods(empty)


def test_rows_are_of_the_primary_test_and_contrast_alone(run: Run) -> None:
    assert set(all_primary(run)["test"]) == {"sign_flip"}
    rows = control_rows(run)
    assert len(rows) == 2 * (1 + len(CONTROLS))
    controls = rows[rows["model"] != "trained"]
    np.testing.assert_allclose(controls["beyond"], controls["label"].map(TRAINED_AT) - controls["estimate"])
    assert rows.loc[rows["model"] == "trained", "beyond"].isna().all()
