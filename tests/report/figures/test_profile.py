"""The distance profile: thin lines are slides, the thick one their mean, the tints inside and outside of nuclei."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from saliency_stats.report.figures.profile import caption_profile, draw_profile, shown_profile
from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    CONTROL_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    house_style,
)
from saliency_stats.report.run import Run


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


def _drawn(run: Run) -> Figure:
    with house_style():
        figure = draw_profile(run)
        figure.draw_without_rendering()
    return figure


def _of(run: Run, label: str, model: str) -> pd.DataFrame:
    rows = shown_profile(run)
    rows = rows[(rows["label"] == label) & (rows["model"] == model)]
    return rows.pivot_table(index="distance_um", columns="slide_id", values="mean_saliency_ratio")


@pytest.mark.parametrize("label", ["benign", "malignant"])
def test_thin_lines_are_slides_and_thick_ones_their_means(run: Run, label: str) -> None:
    axes = _drawn(run).axes[label == "malignant"]
    thin = [line for line in axes.lines if line.get_linewidth() == 0.4]
    trained, control = _of(run, label, "trained"), _of(run, label, "randomised")
    np.testing.assert_allclose([line.get_ydata() for line in thin], trained.to_numpy().T)
    assert {line.get_color() for line in thin} == {TRAINED_COLOUR}
    thick = {line.get_color(): line for line in axes.lines if line.get_linewidth() == 1.7}
    for colour, wide, style in ((TRAINED_COLOUR, trained, "-"), (CONTROL_COLOUR, control, "--")):
        np.testing.assert_allclose(thick[colour].get_ydata(), wide.mean(axis=1))
        np.testing.assert_allclose(thick[colour].get_xdata(), wide.index)
        assert thick[colour].get_linestyle() == style


def test_a_mean_is_drawn_where_half_of_the_slides_reach(run: Run) -> None:
    # 8 slides of a class: at 10.5 µm four are left, at 12.5 µm three
    order = {name: k for k, name in enumerate(sorted(run.profile["slide_id"].unique()))}
    rank = run.profile["slide_id"].map(order) % 8
    far = ((run.profile["distance_um"] == 10.5) & (rank >= 4)) | ((run.profile["distance_um"] == 12.5) & (rank >= 3))
    few = run.changed(profile=run.profile[~far])
    axes = _drawn(few).axes[0]
    wide = _of(few, "benign", "trained")
    thick = [line for line in axes.lines if line.get_linewidth() == 1.7 and line.get_color() == TRAINED_COLOUR]
    # no line leads over the gap
    assert [(line.get_xdata()[0], line.get_xdata()[-1]) for line in thick] == [(-5.5, 11.5), (13.5, 14.5)]
    assert thick[0].get_ydata()[-2] == pytest.approx(wide.loc[10.5].mean())


def test_the_background_names_what_lies_where(run: Run) -> None:
    figure = _drawn(run)
    for axes in figure.axes:
        inside, outside = axes.patches
        assert (inside.get_x(), inside.get_x() + inside.get_width()) == (-5.5, 0.0)
        assert (outside.get_x(), outside.get_width()) == (0.0, 5.0)
        assert inside.get_facecolor() == to_rgba(COMPARTMENT_COLOURS["nucleus"], 0.1)
        assert outside.get_facecolor() == to_rgba(COMPARTMENT_COLOURS["cytoplasm"], 0.12)
        level, border = (line for line in axes.lines if line.get_color() == QUIET)
        assert (list(level.get_ydata()), level.get_linestyle()) == ([1.0, 1.0], "--")
        assert (list(border.get_xdata()), border.get_linestyle()) == ([0.0, 0.0], "-")
        assert axes.get_xlim() == (-5.5, 14.5)
        assert [tick for tick in axes.get_xticks() if -5.5 <= tick <= 14.5] == [-5.0, 0.0, 5.0, 10.0]
        assert [text.get_text() for text in axes.texts] == ["inside nuclei"]
        assert axes.get_xlabel() == "distance to the nearest nuclear border (µm)"
    assert [axes.get_ylabel() for axes in figure.axes] == ["saliency (1 = patch mean)", ""]
    assert [axes.get_title() for axes in figure.axes] == ["benign, 20×: 8 slides", "malignant, 20×: 8 slides"]
    assert figure.get_size_inches()[1] == pytest.approx(2.8)
    near = run.changed(profile=run.profile[run.profile["distance_um"].between(0.0, 3.0)])
    (outside,) = _drawn(near).axes[0].patches  # nothing lies inside; the band ends where the distances do
    assert (outside.get_x(), outside.get_width()) == (0.0, 2.5)
    shifted = run.profile.assign(distance_um=run.profile["distance_um"] + 0.5)
    at_border = run.changed(profile=shifted[shifted["distance_um"] >= 0.0])
    assert len(_drawn(at_border).axes[0].patches) == 1
    assert not _drawn(at_border).axes[0].texts


def test_the_legend_and_the_caption_say_what_is_drawn(run: Run) -> None:
    handles = _drawn(run).legends[0].legend_handles
    assert [(handle.get_label(), handle.get_linewidth(), handle.get_linestyle()) for handle in handles] == [
        ("trained, mean", 1.7, "-"),
        ("trained, one slide", 0.4, "-"),
        ("randomised control, mean", 1.7, "--"),
    ]
    text = caption_profile(run)
    assert "drawn where at least 50 % of the slides have pixels" in text
    assert "as far as cytoplasm can be counted (5 µm)" in text
    assert "Grey, broken: the randomised control." in text
    bare = run.changed(profile=run.profile[run.profile["model"] == "trained"])
    assert "Grey" not in caption_profile(bare)


def test_unknown_slides_and_other_magnifications(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    properties = {"known_slides": False, "slides": 3, "patches": 4, "magnifications": (10.0, 20.0)}
    unknown = Run.read(make_run(tmp_path / "run", **properties))
    figure = _drawn(unknown)
    assert len(figure.axes) == 4
    assert [bool(axes.get_xlabel()) for axes in figure.axes] == [False, False, True, True]
    assert [bool(axes.get_ylabel()) for axes in figure.axes] == [True, False, True, False]
    assert figure.axes[0].get_title() == "benign, 10×: 4 patches, slides unknown"
    assert not [line for axes in figure.axes for line in axes.lines if line.get_linewidth() == 0.4]
    assert "The slides are unknown, so there is one line over all patches" in caption_profile(unknown)
    assert "trained, one slide" not in [text.get_text() for text in figure.legends[0].get_texts()]


def test_only_the_own_map_is_shown_and_nothing_is_said(run: Run, seen) -> None:
    other = pd.concat([run.profile.assign(method="grad_cam"), run.profile.assign(reduction="l1"), run.profile])
    assert len(shown_profile(run.changed(profile=other))) == len(shown_profile(run)) == len(run.profile)
    missing = run.changed(profile=run.profile.assign(mean_saliency_ratio=np.nan))
    for nothing in (draw_profile, caption_profile):
        assert seen.nothing(nothing, missing) == "no judged patch holds a nucleus"
