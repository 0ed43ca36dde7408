"""The claim against every control: what is drawn is what the table holds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saliency_stats.report.figures.controls import (
    all_primary,
    caption_controls,
    control_rows,
    draw_controls,
    has_controls,
)
from saliency_stats.report.figures.style import CONTROL_COLOUR, DIFFERENCE_COLOUR, TRAINED_COLOUR
from saliency_stats.report.run import Run
from saliency_stats.report.words import ratio, ratio_interval
from saliency_stats.saliency.controls import CONTROLS as REGISTRY

IMAGES = ["sobel", "haematoxylin", "eosin"]
CONTROLS = ["randomised", *[f"cascading_{depth}" for depth in range(1, 7)], "shuffled", *IMAGES, "shift"]
CASCADE = [*REGISTRY["cascading"].models.values()]
NETWORKS = ["trained", "randomised", *CASCADE, "shuffled"]
LABELS = ("benign", "malignant")
TRAINED_AT = {"benign": 0.3, "malignant": 0.9}
WHITE = "#FFFFFF"


@pytest.fixture
def run(made_up) -> Run:
    """One magnification with all controls and all methods."""
    return made_up.run([*made_up.controls(20.0), *made_up.methods(20.0)])


def _table(run: Run, label: str) -> pd.DataFrame:
    """Return the rows that the figure should show of a class, by model, with their difference's beside."""
    table = run.contrasts
    table = table[(table["label"] == label) & (table["test"] == "sign_flip") & (table["contrast"] != "other")]
    own = (table["method"] == "gradient") & (table["reduction"] == "l2")
    return table[own | table["method"].isin(IMAGES)].set_index("model")


def test_controls_stand_in_order_under_their_groups(run: Run, seen) -> None:
    axes = seen.drawn(draw_controls(run)).axes[0]
    names = seen.rows(axes)
    images = ["edges (Sobel)", "haematoxylin", "eosin"]
    assert list(names) == ["networks", *NETWORKS, "images alone", *images, "spatial null", "shifted map"]
    assert seen.bold(axes) == ["networks", "images alone", "spatial null"]
    # a row apart within a group, a little more before the next heading
    assert list(np.diff(list(names.values())).round(9)) == [1.0] * 9 + [1.15] + [1.0] * 3 + [1.15] + [1.0]
    low, high = axes.get_ylim()
    assert (high, low) == pytest.approx((-0.7, names["shifted map"] + 0.7))


def test_order_and_groups_are_those_of_the_record(run: Run, seen) -> None:
    recorded = run.manifest["controls"]
    mine = {**recorded["sobel"], "words": "Leica: my own", "group": "of my own", "is": "of my own: what I made"}
    turned = {"sobel": mine, **{name: recorded[name] for name in reversed(recorded) if name != "sobel"}}
    del turned["eosin"], turned["shuffled"]
    found = replace(run, record={**run.manifest, "controls": turned})
    names = list(seen.rows(seen.drawn(draw_controls(found)).axes[0]))
    # what was not recorded is drawn too, under its own name, and last
    assert names[:5] == ["networks", "trained", CASCADE[-1], *names[3:5]]
    assert names[7:10] == [CASCADE[0], "randomised", "shuffled"]
    assert names[10:] == ["of my own", "Leica: my own", "spatial null", "shifted map", "images alone", *names[15:]]
    assert names[15:] == ["haematoxylin", "eosin"]
    assert "Of my own: what I made; shifted map: the trained network’s own map" in caption_controls(found)


@pytest.mark.parametrize("label", LABELS)
def test_every_estimate_and_difference_is_drawn_in_its_row(run: Run, label: str, seen) -> None:
    figure = seen.drawn(draw_controls(run))
    estimates, differences = figure.axes[2 * LABELS.index(label) : 2 * LABELS.index(label) + 2]
    assert estimates.get_title() == f"{label}, 20×"
    assert (estimates.get_xlabel(), differences.get_xlabel()) == ("cytoplasm ÷ nuclei", "trained ÷ control")
    assert estimates.xaxis.label.get_visible()
    places = {name: seen.rows(figure.axes[0])[run.words("controls", name)] for name in ("trained", *CONTROLS)}
    table = _table(run, label)
    marks = seen.marks(estimates).set_index("y")
    assert len(marks) == len(places)
    for name, place in places.items():
        colour, shape = (TRAINED_COLOUR, "o") if name == "trained" else (CONTROL_COLOUR, "s")
        assert marks.loc[place, ["x", "face", "edge", "shape"]].tolist() == [
            table.loc[name, "estimate"],
            *[colour.upper()] * 2,
            shape,
        ]
    limits = {(places[name], *table.loc[name, ["ci_low", "ci_high"]]) for name in places}
    assert seen.lines(estimates) == limits
    beyond = {name: table.loc[f"trained-{name}"] for name in CONTROLS}
    marks = seen.marks(differences).set_index("y")
    assert marks["x"].to_dict() == {places[n]: row["estimate"] for n, row in beyond.items()}
    assert set(marks["edge"]) == {DIFFERENCE_COLOUR.upper()}
    assert set(marks["shape"]) == {"D"}
    assert list(marks.index[marks["face"] == WHITE]) == [places["shift"]]
    assert set(marks["face"]) == {WHITE, DIFFERENCE_COLOUR.upper()}
    assert seen.lines(differences) == {(places[n], row["ci_low"], row["ci_high"]) for n, row in beyond.items()}
    # the trained network's estimate and interval run through all rows
    band = estimates.patches[0].get_window_extent().transformed(estimates.transData.inverted())
    assert (band.x0, band.x1) == pytest.approx(tuple(table.loc["trained", ["ci_low", "ci_high"]]))
    upright = [line for line in estimates.lines if len(set(line.get_xdata())) == 1]
    assert {(line.get_xdata()[0], line.get_linestyle()) for line in upright} == {(TRAINED_AT[label], "-"), (0.0, "--")}
    for axes in (estimates, differences):
        level = sorted(line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1)
        assert level == sorted(places.values())


def test_axes_reach_all_intervals_of_their_magnification_and_no_preference(made_up, seen) -> None:
    rows = made_up.controls(10.0, 20.0)
    for row in rows:
        if row["magnification"] == 10.0:
            row.update({name: row[name] + 1.0 for name in ("estimate", "ci_low", "ci_high")})
    run = made_up.run(rows)
    table = control_rows(run)
    figure = seen.drawn(draw_controls(run))
    for k, magnification in enumerate((10.0, 20.0)):
        at = table[table["magnification"] == magnification]
        for j, columns in enumerate((["ci_low", "ci_high"], ["beyond_low", "beyond_high"])):
            low, high = min(0.0, at[columns[0]].min()), max(0.1, at[columns[1]].max())
            low = min(low, -0.1)
            pad = 0.08 * max(high - low, 0.5)
            for axes in figure.axes[4 * k + j : 4 * k + 4 : 2]:
                assert axes.get_xlim() == pytest.approx((low - pad, high + pad))
                assert 2 <= len(axes.get_xticks()) <= 7
                assert 0.0 in axes.get_xticks()
    assert [axes.get_xlabel() for axes in figure.axes] == [""] * 4 + ["cytoplasm ÷ nuclei", "trained ÷ control"] * 2


def test_the_legend_shows_what_is_filled_and_what_is_open(run: Run, made_up, seen) -> None:
    difference = DIFFERENCE_COLOUR.upper()
    assert seen.legend(draw_controls(run)) == {
        "trained": (TRAINED_COLOUR.upper(),) * 2,
        "its interval": (TRAINED_COLOUR.upper(),) * 2,
        "control": (CONTROL_COLOUR.upper(),) * 2,
        "difference, adjusted p < 0.05": (difference, difference),
        "difference, not significant or not tested": (difference, WHITE),
    }
    untested = seen.legend(draw_controls(made_up.run(made_up.controls(20.0), tested=False)))
    assert list(untested) == ["trained", "control", "difference, not significant or not tested"]


def test_the_caption_counts_what_the_trained_network_exceeds(run: Run) -> None:
    caption = caption_controls(run)
    for label in LABELS:
        own = TRAINED_AT[label]
        interval = ratio_interval(own - 0.15, own + 0.3)
        assert f" {label.capitalize()}, 20×: trained {ratio(own)} ({interval}); significantly more in the" in caption
    # of 12: one is higher, one is not different
    assert caption.count("than 10 of 12 controls, significantly less than shuffled, not significantly different") == 2
    assert caption.count("from shifted map.") == 2
    for word in ("Randomised: the same architecture", "from the top", "permuted labels", "without any network"):
        assert caption.count(word) == 1
    assert "95 % intervals over slides" in caption
    assert "without an interval" not in caption
    assert "learned nothing" not in caption
    assert "No " not in caption


def test_an_alpha_decides_what_is_filled(made_up, tmp_path: Path, seen) -> None:
    folder = made_up.with_alpha(0.005, tmp_path)
    strict = made_up.run(made_up.controls(20.0), folder=folder)
    figure = seen.drawn(draw_controls(strict))
    assert set(seen.marks(figure.axes[1])["face"]) == {WHITE}
    assert "than 0 of 12 controls" in caption_controls(strict)
    assert "adjusted p below 0.005" in caption_controls(strict)
    assert "difference, adjusted p < 0.005" not in seen.legend(figure)
    # a p-value at the level itself is not below it
    at_level = made_up.run(made_up.controls(20.0), folder=made_up.with_alpha(0.01, tmp_path))
    assert set(seen.marks(seen.drawn(draw_controls(at_level)).axes[1])["face"]) == {WHITE}
    assert "than 0 of 12 controls" in caption_controls(at_level)


def test_only_what_is_present_is_drawn_and_a_control_without_a_difference_is_named(made_up, seen) -> None:
    kept = ("trained", "randomised", "trained-randomised", "eosin")
    run = made_up.run([row for row in made_up.controls(20.0) if row["model"] in kept])
    figure = seen.drawn(draw_controls(run))
    assert list(seen.rows(figure.axes[0])) == ["networks", "trained", "randomised", "images alone", "eosin"]
    assert len(seen.marks(figure.axes[1])) == 1
    caption = caption_controls(run)
    assert "No difference: eosin (benign, 20×) and eosin (malignant, 20×)." in caption
    assert "No estimate" not in caption
    assert "than 1 of 1 control." in caption
    assert "cascading" not in caption
    assert "permuted" not in caption


def test_a_control_without_an_estimate_is_named(made_up, seen) -> None:
    rows = made_up.controls(20.0)
    for row in rows:
        if row["model"] in ("sobel", "trained-sobel") and row["label"] == "benign":
            row["estimate"] = np.nan
    run = made_up.run(rows)
    figure = seen.drawn(draw_controls(run))
    assert [len(seen.marks(axes)) for axes in figure.axes] == [12, 11, 13, 12]
    assert "No estimate: edges (Sobel) (benign, 20×)." in caption_controls(run)
    assert "No difference" not in caption_controls(run)


def test_the_figure_is_for_more_than_what_the_forest_shows(made_up, small_folder: Path) -> None:
    assert not has_controls(Run.read(small_folder))
    rows = made_up.controls(20.0)

    def of(*models: str) -> Run:
        return made_up.run([row for row in rows if row["model"] in models])

    assert not has_controls(of("trained", "randomised"))
    assert has_controls(of("trained", "randomised", "shuffled"))
    assert has_controls(of("trained", "sobel"))
    assert not has_controls(made_up.run([*made_up.methods(20.0), rows[0]]))


@pytest.mark.parametrize("tested", [True, False])
def test_magnifications_are_stacked_with_and_without_intervals(made_up, tested: bool) -> None:  # noqa: FBT001
    run = made_up.run(made_up.controls(10.0, 20.0), tested=tested)
    figure = draw_controls(run)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[::2] == [f"{label}, {at}×" for at in (10, 20) for label in LABELS]
    assert titles[1::2] == [""] * 4
    caption = caption_controls(run)
    assert ("Estimates without an interval: slides are unknown." in caption) is not tested
    assert ("95 % intervals" in caption) is tested
    assert ("20×: trained 1.23 (no interval); no difference from a control is tested." in caption) is not tested
    assert bool(figure.axes[0].patches) is tested


def test_a_classifier_at_chance_is_hollow(made_up, seen) -> None:
    run = made_up.run(made_up.controls(20.0), chance=True)
    marks = seen.marks(seen.drawn(draw_controls(run)).axes[0])
    assert list(marks["face"] == WHITE) == list(marks["edge"] == TRAINED_COLOUR.upper())
    assert (marks["face"] == WHITE).sum() == 1
    assert "Hollow marks of the trained network: it is not shown to have learned there" in caption_controls(run)


def test_nothing_to_draw_says_so(run: Run, seen) -> None:
    empty = run.changed(contrasts=run.contrasts.assign(estimate=np.nan))
    assert seen.nothing(draw_controls, empty) == "no judged patch has both nuclei and cytoplasm"
    assert "No estimate: trained (benign, 20×), " in caption_controls(empty)


def test_rows_are_of_the_primary_test_and_contrast_alone(run: Run) -> None:
    assert set(all_primary(run)["test"]) == {"sign_flip"}
    rows = control_rows(run)
    assert len(rows) == 2 * (1 + len(CONTROLS))
    controls = rows[rows["model"] != "trained"]
    np.testing.assert_allclose(controls["beyond"], controls["label"].map(TRAINED_AT) - controls["estimate"])
    assert rows.loc[rows["model"] == "trained", "beyond"].isna().all()


def test_drawn_twice_it_is_the_same_file(run: Run, equal_bytes) -> None:
    assert equal_bytes(lambda: draw_controls(run))


def test_lines_lead_from_names_to_the_last_panel_behind_the_marks(run: Run, seen) -> None:
    figure = draw_controls(run)
    assert figure.get_size_inches()[0] == 8.4
    assert figure.axes[0].get_subplotspec().get_gridspec().get_width_ratios() == [1.5, 1.0] * 2
    for estimates, differences in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        for axes in (estimates, differences):
            level = [line for line in axes.lines if len(set(line.get_ydata())) == 1]
            assert {
                (line.get_color(), line.get_alpha(), line.get_linewidth(), line.get_zorder()) for line in level
            } == {(CONTROL_COLOUR, 0.25, 0.5, -1)}
        (upright,) = (line for line in estimates.lines if line.get_color() == TRAINED_COLOUR)
        assert (upright.get_linewidth(), upright.get_zorder()) == (0.7, 0)
        (band,) = estimates.patches
        assert (seen.hexed(band.get_facecolor()), band.get_alpha(), band.get_zorder()) == (TRAINED_COLOUR, 0.1, 0)
        assert not differences.patches
        assert set(seen.intervals(estimates)["width"]) == {1.4}
        assert set(seen.intervals(differences)["width"]) == {1.2}
        assert set(seen.intervals(differences)["colour"]) == {DIFFERENCE_COLOUR.upper()}
        assert (set(seen.marks(estimates)["size"]), set(seen.marks(differences)["size"])) == ({21.0}, {16.0})
    low, high = figure.axes[0].get_ylim()[::-1]
    assert figure.get_size_inches()[1] == pytest.approx(0.235 * (high - low) + 0.5 + 0.55)


def test_the_entry_of_the_interval_is_as_pale_as_the_band(run: Run) -> None:
    handles = draw_controls(run).legends[0].legend_handles
    assert [handle.get_label() for handle in handles][:3] == ["trained", "its interval", "control"]
    assert handles[1].get_alpha() == 0.1
    assert [handles[k].get_marker() for k in (0, 2, 3, 4)] == ["o", "s", "D", "D"]


def test_a_difference_below_no_preference_is_less(made_up) -> None:
    rows = made_up.controls(20.0)
    for row in rows:
        if row["model"] == "trained-sobel":
            row["estimate"] = 0.0
    assert "than 9 of 12 controls, significantly less than shuffled," in caption_controls(made_up.run(rows))
