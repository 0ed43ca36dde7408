"""The forest plot: every estimate at its value, its numbers beside it, and why there is no interval."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from saliency_stats.report.figures.contrasts import caption_forest, draw_forest
from saliency_stats.report.figures.style import (
    CONTROL_COLOUR,
    DIFFERENCE_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    house_style,
)
from saliency_stats.report.queries import one_test
from saliency_stats.report.run import Run
from saliency_stats.report.words import p_words, ratio, ratio_interval


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


def _drawn(run: Run) -> Figure:
    with house_style():
        figure = draw_forest(run)
        figure.draw_without_rendering()
    return figure


def _at_chance(run: Run) -> Run:
    contrasts = run.contrasts.copy()
    contrasts.loc[contrasts["model"] == "trained", ["status", "reason"]] = "not_interpretable", "at chance"
    contrasts.loc[contrasts["model"] == "randomised", ["ci_low", "ci_high"]] = np.nan
    return run.changed(contrasts=contrasts)


def test_the_rows_are_those_of_the_primary_test_and_the_own_map(run: Run) -> None:
    rows = run.primary_contrasts
    assert list(rows["model"]) == ["trained", "randomised", "trained-randomised"] * 2
    assert list(rows["label"]) == ["benign"] * 3 + ["malignant"] * 3
    assert set(rows["test"]) == {"sign_flip"}
    assert set(rows["contrast"]) == {"cytoplasm_vs_nucleus"}
    other = run.contrasts.assign(method="grad_cam")
    further = run.changed(contrasts=pd.concat([other, run.contrasts.assign(reduction="l1"), run.contrasts]))
    pd.testing.assert_frame_equal(further.primary_contrasts, rows)
    one = run.changed(patches=run.patches[run.patches["label"] == "malignant"])
    assert set(one.primary_contrasts["label"]) == {"malignant"}


def test_without_the_primary_test_the_first_stands_for_it(run: Run) -> None:
    rows = run.contrasts[run.contrasts["contrast"] == "cytoplasm_vs_nucleus"]
    left = rows[~((rows["test"] == "sign_flip") & (rows["model"] == "trained"))]
    found = one_test(left.sample(frac=1.0, random_state=0), run.primary_test)
    assert set(found.loc[found["model"] != "trained", "test"]) == {"sign_flip"}
    assert set(found.loc[found["model"] == "trained", "test"]) == {min(left.loc[left["model"] == "trained", "test"])}
    assert list(found.columns) == list(run.contrasts.columns)
    scaled = pd.concat([rows, rows.assign(magnification=5.0)])
    assert list(one_test(scaled, run.primary_test)["magnification"]) == [5.0] * 6 + [20.0] * 6


def test_every_estimate_stands_at_its_value_with_its_numbers(run: Run, seen) -> None:
    rows = run.primary_contrasts
    figure = _drawn(run)
    axes, numbers = figure.axes
    marks = seen.marks(axes)
    places = [1.2, 2.2, 3.2, 5.4, 6.4, 7.4]
    assert marks["x"].tolist() == rows["estimate"].tolist()
    np.testing.assert_allclose(marks["y"], places)
    assert marks["shape"].tolist() == ["o", "s", "D"] * 2
    colours = [seen.hexed(colour) for colour in (TRAINED_COLOUR, CONTROL_COLOUR, DIFFERENCE_COLOUR)]
    assert marks["face"].tolist() == marks["edge"].tolist() == colours * 2
    assert set(marks["size"]) == {25.0}
    intervals = seen.intervals(axes)
    np.testing.assert_allclose(intervals["place"], places)
    assert intervals[["low", "high"]].to_numpy().tolist() == rows[["ci_low", "ci_high"]].to_numpy().tolist()
    assert intervals["colour"].tolist() == colours * 2
    assert set(intervals["opacity"]) == {1.0}
    assert set(intervals["width"]) == {1.5}
    words = {(round(text.get_position()[0], 2), round(text.get_position()[1], 2)): text for text in numbers.texts}
    for place, row in zip(places, rows.itertuples(), strict=True):
        own = [words[end, round(place, 2)].get_text() for end in (0.12, 0.42, 0.64, 0.8, 0.97)]
        interval = ratio_interval(row.ci_low, row.ci_high)
        assert own == [
            ratio(row.estimate),
            interval,
            p_words(row.p_adjusted),
            f"{row.n_slides:g}",
            f"{row.n_patches:g}",
        ]
    heads = [words[end, -0.8].get_text() for end in (0.12, 0.42, 0.64, 0.8, 0.97)]
    assert heads == ["ratio", "95 % interval", "adjusted p", "slides", "patches"]
    assert {text.get_ha() for text in numbers.texts} == {"right"}
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        *("trained", "randomised control", "trained − randomised"),
    ] * 2
    np.testing.assert_allclose(axes.get_yticks(), places)


def test_the_axis_is_symmetric_about_no_preference(run: Run) -> None:
    rows = run.primary_contrasts
    figure = _drawn(run)
    axes, numbers = figure.axes
    reach = np.abs(rows[["estimate", "ci_low", "ci_high"]].to_numpy()).max()
    assert axes.get_xlim() == pytest.approx((-1.16 * reach, 1.16 * reach))
    (zero,) = (line for line in axes.lines if line.get_color() == QUIET)
    assert list(zero.get_xdata()) == [0.0, 0.0]
    assert zero.get_linestyle() == "--"
    assert axes.get_xlabel() == "saliency density, cytoplasm ÷ nuclei  (log axis)"
    assert axes.get_ylim() == numbers.get_ylim() == pytest.approx((axes.get_yticks()[-1] + 0.7, -1.1))
    sides = {text.get_text(): text for text in axes.texts}
    assert sides["← nuclei denser"].get_ha() == "right"
    assert sides["cytoplasm denser →"].get_ha() == "left"
    assert sides["← nuclei denser"].xyann[0] < 0 < sides["cytoplasm denser →"].xyann[0]
    assert sides["← nuclei denser"].xy == sides["cytoplasm denser →"].xy == (0.0, 1.0)
    headings = {text.get_text(): text.xy[1] for text in axes.texts if "×" in text.get_text()}
    places = axes.get_yticks()
    assert headings == pytest.approx({"benign, 20×": places[0] - 0.95, "malignant, 20×": places[3] - 0.95})
    assert figure.get_size_inches()[1] == pytest.approx(1.15 + 0.23 * (places[-1] + 1.0))


def test_nothing_at_chance_looks_like_a_finding(run: Run, seen) -> None:
    axes = _drawn(_at_chance(run)).axes[0]
    marks = seen.marks(axes)
    assert (marks["face"] == "#FFFFFF").tolist() == [True, False, False] * 2
    colours = [seen.hexed(colour) for colour in (TRAINED_COLOUR, CONTROL_COLOUR, DIFFERENCE_COLOUR)]
    assert marks["edge"].tolist() == colours * 2
    intervals = seen.intervals(axes)
    assert intervals["colour"].tolist() == [colours[0], colours[2]] * 2
    assert intervals["opacity"].tolist() == [0.4, 1.0] * 2
    assert "Hollow marks are no finding: the classifier is not shown to have learned there." in caption_forest(
        _at_chance(run)
    )
    assert "Hollow" not in caption_forest(run)


def test_the_forest_says_why_there_is_no_interval(tmp_path: Path, make_run: Callable[..., Path], seen) -> None:
    unknown = Run.read(make_run(tmp_path / "run", slides=3, patches=5, known_slides=False))
    figure = _drawn(unknown)
    assert seen.intervals(figure.axes[0]).empty
    assert len(seen.marks(figure.axes[0])) == len(unknown.primary_contrasts)
    box = figure.texts[0].get_window_extent()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= figure.bbox.x1
    note = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    reason = "the slides of the patches are unknown"
    assert note.startswith(f"— no interval: {reason}")
    assert f"Estimates without an interval: {reason}" in caption_forest(unknown)
    assert "Lines are" not in caption_forest(unknown)
    assert [text.get_text() for text in figure.axes[1].texts].count("—") >= 3 * len(unknown.primary_contrasts)


def test_the_caption_names_what_is_drawn(run: Run) -> None:
    text = caption_forest(run)
    assert "Squares: the randomised control (the same architecture with random weights)." in text
    assert "Lines are 95 % intervals over slides" in text
    assert "without an interval" not in text
    bare = run.contrasts[run.contrasts["model"] == "trained"]
    assert "Squares" not in caption_forest(run.changed(contrasts=bare))


def test_nothing_to_draw_is_said(run: Run, seen) -> None:
    nothing = run.changed(contrasts=run.contrasts.assign(estimate=np.nan))
    assert seen.nothing(draw_forest, nothing) == "no judged patch has both nuclei and cytoplasm"
