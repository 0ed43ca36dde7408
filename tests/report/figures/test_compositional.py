"""The triangle: what it shows, where, and that its words do not cover one another."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from saliency_stats.report.figures.compositional import _Cloud, _mark_as_area, caption_ternary, draw_ternary
from saliency_stats.report.figures.style import (
    COMPARTMENT_COLOURS,
    DIFFERENCE_COLOUR,
    QUIET,
    TRAINED_COLOUR,
    house_style,
    new_figure,
)
from saliency_stats.report.run import Run
from saliency_stats.report.words import p_sign
from saliency_stats.statistics import StatisticsParameters
from saliency_stats.statistics.compositional import DENSITIES, compositional_table
from saliency_stats.vocabulary import TISSUE

CORNERS = np.array([[0, 0], [0.5, np.sqrt(0.75)], [1, 0]])
CENTRE = (0.5, np.sqrt(0.75) / 3)


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


def _drawn(run: Run) -> Figure:
    with house_style():
        figure = draw_ternary(run)
        figure.draw_without_rendering()
    return figure


def _table(run: Run) -> pd.DataFrame:
    settings = StatisticsParameters(bootstrap_draws=2_000, min_confidence=0.9)
    return compositional_table(run.own_ledger, run.own_predictions, settings=settings, learned=run.learned)


def _with_table(run: Run) -> Run:
    return run.changed(compositional=_table(run))


def _clouds(figure: Figure, panel: int = 0) -> list[np.ndarray]:
    """Return the places of all marks, by class: units, controls, mean."""
    return [np.asarray(found.get_offsets()) for found in figure.axes[panel].collections]


def _regions(figure: Figure, panel: int = 0) -> list[np.ndarray]:
    """Return the borders of the filled regions."""
    polygons = [patch for patch in figure.axes[panel].patches if isinstance(patch, Polygon) and patch.get_fill()]
    return [patch.get_xy() for patch in polygons]


def _words(figure: Figure) -> list[str]:
    texts = [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title)]
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return [*texts, *legends, *(text.get_text() for text in figure.texts)]


def test_it_shows_every_slide_the_means_and_their_regions(run: Run) -> None:
    figure = _drawn(run)
    found = _table(run)
    assert len(figure.axes) == 1
    units, _, means = (_clouds(figure)[k::3] for k in range(3))
    trained = found[found["model"] == "trained"].set_index("label").loc[["benign", "malignant"]]
    assert [len(places) for places in units] == trained["n_units"].tolist()
    # the map from shares to places is linear: three known pairs give the cut, which all panels share
    cut = _cut_of(figure)
    corners = np.array([[0, 0], [0.5, np.sqrt(0.75)], [1, 0]])
    shares = found.set_index(["model", "label"])[[*DENSITIES]]
    for label, place, control in zip(trained.index, means, _clouds(figure)[1::3], strict=True):
        expected = (shares.loc[[("trained", label), ("randomised", label)]].to_numpy(float) - cut) / (1 - 3 * cut)
        np.testing.assert_allclose(np.vstack([place, control]), expected @ corners, atol=1e-9)
    assert len(_regions(figure)) == 2
    for border, mean in zip(_regions(figure), means, strict=True):
        low, high = border.min(axis=0), border.max(axis=0)
        assert (low < mean).all()
        assert (mean < high).all()


def _cut_of(figure: Figure) -> float:
    """Return the share at which the triangle is cut, from where its numbers stand along the lower side."""
    texts = [text for text in figure.axes[0].texts if text.get_text().endswith(" %") and text.get_position()[1] < 0]
    share = np.array([float(text.get_text()[:-2]) / 100 for text in texts])
    slope, start = np.polyfit([text.get_position()[0] for text in texts], share, 1)
    assert slope == pytest.approx(1 - 3 * start, abs=1e-9)  # at the stroma's corner the other two are at the cut
    return float(start)


def test_the_cross_is_at_the_centre_and_named(run: Run) -> None:
    figure = _drawn(run)
    (cross,) = (line for line in figure.axes[0].lines if line.get_marker() == "P")
    np.testing.assert_allclose(cross.get_xydata()[0], CENTRE)
    words = _words(figure)
    assert "saliency\nas area" in words
    for tissue in ("nuclei", "cytoplasm", "stroma"):
        assert f"denser in {tissue}" in words
    assert "20×: benign 7 slides, malignant 8 slides" in words


def _at(run: Run, *magnifications: float) -> Run:
    """Repeat a run's tables at other magnifications."""
    names = ("patches", "predictions", "metrics", "ledger")
    repeated = {
        name: pd.concat([getattr(run, name).assign(magnification=value) for value in magnifications]) for name in names
    }
    return run.changed(**repeated)


def _some(run: Run, name: str) -> Run:
    """Return a run of which something is missing."""
    if name == "one label":
        return run.changed(
            **{table: _where(getattr(run, table), "label", {"benign"}) for table in ("patches", "ledger")}
        )
    if name == "chance":
        return run.changed(metrics=run.own_metrics.assign(learned=False))
    if name == "few slides":
        slides = {*[f"slide_b{k:02d}$" for k in (1, 3, 7)], *[f"slide_m{k:02d}$" for k in (1, 3, 5, 7)]}
        return run.changed(ledger=_where(run.own_ledger, "slide_id", slides))
    if name == "unknown slides":
        return run.changed(ledger=run.own_ledger.assign(slide_id=""))
    if name == "no control":
        return run.changed(ledger=_where(run.own_ledger, "model", {"trained"}))
    return run


def _where(table: pd.DataFrame, column: str, values: set[str]) -> pd.DataFrame:
    return table[table[column].isin(values)]


VARIANTS: dict[str, tuple[tuple[float, ...], tuple[str, ...], int]] = {
    "complete": ((20.0,), ("benign, one slide", "malignant, mean, 95 % region"), 2),
    "complete, often": ((5.0, 10.0, 20.0, 40.0), (), 2),
    "one label": ((20.0,), ("20×: benign 7 slides",), 1),
    "chance": ((10.0, 20.0), ("benign and malignant: no region, not shown to have learned",), 0),
    "few slides": ((20.0,), ("benign: no region with fewer than 4 slides",), 1),
    "unknown slides": ((10.0, 20.0), ("benign and malignant: no region, slides unknown", "benign, one patch"), 0),
    "no control": ((20.0,), (), 2),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_no_words_cover_one_another_and_nothing_lies_outside(name: str, run: Run) -> None:
    magnifications, notes, n_regions = VARIANTS[name]
    run = _at(_some(run, name), *magnifications)
    figure = _drawn(run)
    words = _words(figure)
    for note in notes:
        assert note in words
    assert len(figure.axes) >= len(run.magnifications)
    assert len(_regions(figure)) == n_regions
    assert any("control" in word for word in words) == bool(run.controls)
    texts = [text for axes in figure.axes for text in (*axes.texts, axes.title) if text.get_text()]
    boxes = [text.get_window_extent() for text in texts] + [legend.get_window_extent() for legend in figure.legends]
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    for k, axes in enumerate(figure.axes[: len(run.magnifications)]):
        for places in (*_clouds(figure, k), *_regions(figure, k)):
            height = np.sqrt(3.0) * np.minimum(places[:, 0], 1 - places[:, 0])
            assert (places[:, 1] >= 0).all()
            assert (places[:, 1] <= height + 1e-12).all()
        (named,) = (text for text in axes.texts if text.get_text() == "saliency\nas area")
        marks = axes.transData.transform(np.concatenate(_clouds(figure, k)))
        box = named.get_window_extent()
        assert not any(box.contains(*mark) for mark in marks)


def test_the_caption_has_the_numbers_of_the_table(run: Run) -> None:
    caption = caption_ternary(_with_table(run))
    table = _table(run)
    for row in table[table["model"] == "trained"].itertuples():
        assert f"{row.n_units} slides" in caption
        assert f"T² = {row.statistic:.1f} against going with area, adjusted {p_sign(row.p_adjusted)}" in caption
        for tissue, word in zip(TISSUE, ("nuclei", "cytoplasm", "stroma"), strict=True):
            assert f"{word} {100 * getattr(row, f'density_{tissue}'):.0f} %" in caption
    left_out = int(table.loc[(table["model"] == "trained") & (table["label"] == "benign"), "n_missing"].iloc[0])
    assert left_out > 0
    assert f"left out, without all three: {left_out} patches" in caption
    assert "95 % confidence region" in caption


def test_the_caption_is_in_the_order_of_magnifications_and_classes_and_of_the_trained_network(run: Run) -> None:
    both = _at(run, 20.0, 10.0)
    caption = caption_ternary(_with_table(both))
    first, *others = ("Benign, 10×", "malignant, 10×", "benign, 20×", "malignant, 20×")
    places = [caption.index(f" {first} ("), *(caption.index(f"; {words} (") for words in others)]
    assert places == sorted(places)
    assert caption.count("T² = ") == 4
    assert caption.endswith(".")
    # a run that has no such table is drawn all the same
    assert caption_ternary(run).endswith("hollow marks those of the control networks.")
    assert "control networks" not in caption_ternary(_some(run, "no control"))


def test_marks_are_filled_but_for_controls_and_have_the_class_s_shape(run: Run, seen) -> None:
    figure = draw_ternary(run)
    marks = seen.marks(figure.axes[0])
    sizes = {9.0: "unit", 20.0: "control", 30.0: "mean"}
    for shape, colour in (("o", TRAINED_COLOUR.upper()), ("^", DIFFERENCE_COLOUR.upper())):
        own = marks[marks["shape"] == shape]
        found = {sizes[row.size]: (row.face, row.edge) for row in own.itertuples()}
        assert found["control"] == ("#FFFFFF", colour)
        assert found["mean"] == (colour, "#FFFFFF")
        assert found["unit"][0] == colour
        assert own["size"].value_counts()[[20.0, 30.0]].tolist() == [1, 1]
    region = [patch for patch in figure.axes[0].patches if patch.get_fill()]
    assert [seen.hexed(patch.get_facecolor()) for patch in region] == [
        TRAINED_COLOUR.upper(),
        DIFFERENCE_COLOUR.upper(),
    ]
    legend = seen.legend(figure)
    assert list(legend) == [
        *("benign, one slide", "malignant, one slide"),
        *("benign, mean, 95 % region", "malignant, mean, 95 % region"),
        *("benign, mean, randomised control", "malignant, mean, randomised control"),
    ]
    assert [face for _, face in legend.values()][-2:] == ["#FFFFFF"] * 2
    assert [colour for colour, _ in legend.values()] == [TRAINED_COLOUR.upper(), DIFFERENCE_COLOUR.upper()] * 3


def test_patches_are_shown_smaller_where_slides_are_unknown(run: Run, seen) -> None:
    marks = seen.marks(draw_ternary(_some(run, "unknown slides")).axes[0])
    assert set(marks["size"]) == {2.5, 20.0, 30.0}


def test_lines_of_the_grid_are_where_their_numbers_say(run: Run) -> None:
    figure = draw_ternary(run)
    cut = _cut_of(figure)
    lines = [
        line.get_xydata()
        for line in figure.axes[0].lines
        if line.get_linestyle() == "-" and len(line.get_xydata()) == 2
    ]
    texts = [text for text in figure.axes[0].texts if text.get_text().endswith(" %")]
    assert len(lines) == len(texts) > 6
    for line, text in zip(lines, texts, strict=True):
        value = (float(text.get_text()[:-2]) / 100 - cut) / (1 - 3 * cut)
        shares = np.linalg.solve(np.vstack([CORNERS.T, np.ones(3)]), np.column_stack([line, np.ones(2)]).T)
        assert np.isclose(shares, value).all(axis=1).any()
        assert np.linalg.norm(np.array(text.get_position()) - line[0]) == pytest.approx(0.02)
        assert np.linalg.norm(np.array(text.get_position()) - CENTRE) > np.linalg.norm(line[0] - CENTRE)
    dashed = [line.get_xydata() for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert len(dashed) == 3
    for line in dashed:  # from a corner through the centre
        corner, foot = np.array(line)
        assert np.linalg.norm(corner - CENTRE) == pytest.approx(2 * np.linalg.norm(foot - CENTRE))


def test_drawn_twice_it_is_the_same_file(run: Run, equal_bytes) -> None:
    assert equal_bytes(lambda: draw_ternary(run))


def test_the_caption_says_why_nothing_is_tested(run: Run) -> None:
    caption = caption_ternary(_with_table(_some(run, "chance")))
    assert caption.count("not tested: the classifier is not shown to have learned the classes") == 2
    assert "adjusted p" not in caption
    assert "region" not in caption
    caption = caption_ternary(_with_table(_some(run, "unknown slides")))
    assert "Each small mark is one patch" in caption
    assert caption.count("not tested: the slides of the patches are unknown") == 2


def test_nothing_judged_is_said(run: Run, seen) -> None:
    unsure = run.changed(predictions=run.own_predictions.assign(p_malignant=0.5))
    stroma = run.own_ledger["compartment"] == "stroma"
    status = run.own_ledger["status"].astype("str").mask(stroma, "missing: area")
    bare = run.changed(ledger=run.own_ledger.assign(status=status))
    for changed, words in (
        (unsure, "no patch of the evaluation split was classified correctly and confidently"),
        (bare, "no judged patch has saliency in nuclei, cytoplasm and stroma alike"),
    ):
        assert [seen.nothing(of, changed) for of in (draw_ternary, caption_ternary)] == [words] * 2


@pytest.mark.parametrize(
    ("magnifications", "chance", "size", "shape", "foot"),
    [
        ((20.0,), False, (7.0, 4.5), (1, 1), -0.15),
        ((10.0, 20.0), False, (7.0, 3.6), (1, 2), -0.15),
        ((10.0, 20.0), True, (7.0, 3.85), (1, 2), -0.28),
        ((5.0, 10.0, 20.0), False, (7.0, 6.7), (2, 2), -0.15),
    ],
)
def test_triangles_stand_in_two_columns_with_room_for_notes(
    run: Run,
    magnifications: tuple[float, ...],
    chance: bool,  # noqa: FBT001
    size: tuple[float, float],
    shape: tuple[int, int],
    foot: float,
) -> None:
    figure = draw_ternary(_at(_some(run, "chance" if chance else ""), *magnifications))
    assert tuple(figure.get_size_inches()) == pytest.approx(size)
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == shape
    titles = [axes.get_title().split(":")[0] for axes in figure.axes]
    assert titles[: len(magnifications)] == [f"{at:g}×" for at in magnifications]
    for axes in figure.axes:
        assert not axes.axison
    for axes in figure.axes[: len(magnifications)]:
        assert (axes.get_xlim(), axes.get_ylim(), axes.get_aspect()) == ((-0.22, 1.22), (foot, 0.95), 1.0)
        assert [text.get_text() for text in axes.texts if text.get_position() == (0.5, -0.16)] == [
            "benign and malignant: no region, not shown to have learned" if chance else ""
        ]


def test_a_region_is_pale_with_a_border_in_the_class_s_colour(run: Run) -> None:
    axes = draw_ternary(run).axes[0]
    border, *regions = (patch for patch in axes.patches if isinstance(patch, Polygon))
    np.testing.assert_allclose(border.get_xy()[:3], CORNERS)
    assert not border.get_fill()
    for region, colour in zip(regions, (TRAINED_COLOUR, DIFFERENCE_COLOUR), strict=True):
        assert region.get_facecolor() == to_rgba(colour, 0.15)
        assert (region.get_edgecolor(), region.get_linewidth()) == (to_rgba(colour), 1.0)
    orders = [found.get_zorder() for found in axes.collections[:3]]
    assert regions[0].get_zorder() < orders[0] < orders[1] < orders[2]  # units, controls, mean


def test_a_corner_is_named_outside_it_in_the_compartment_s_colour(run: Run) -> None:
    axes = draw_ternary(run).axes[0]
    for tissue, words, corner, (shift, side) in zip(
        TISSUE,
        ("nuclei", "cytoplasm", "stroma"),
        CORNERS,
        ((-0.085, "top"), (0.025, "bottom"), (-0.085, "top")),
        strict=True,
    ):
        (text,) = (text for text in axes.texts if text.get_text() == f"denser in {words}")
        assert text.get_position() == pytest.approx((corner[0], corner[1] + shift))
        assert (text.get_va(), text.get_ha(), text.get_fontweight()) == (side, "center", "bold")
        assert text.get_color() == COMPARTMENT_COLOURS[tissue]
        numbers = [one for one in axes.texts if one.get_text().endswith(" %") and one.get_color() == text.get_color()]
        assert {(one.get_ha(), one.get_va()) for one in numbers} == {
            {"nuclei": ("right", "center"), "cytoplasm": ("left", "center"), "stroma": ("center", "top")}[words]
        }
        values = [float(one.get_text()[:-2]) for one in numbers]
        assert set(np.diff(values).round(6)) == {10.0}
    (cross,) = (line for line in axes.lines if line.get_marker() == "P")
    assert (cross.get_color(), cross.get_markeredgecolor(), cross.get_markersize()) == ("white", QUIET, 5.5)


def _of_shares(run: Run, share: float) -> Run:
    """Return a run in which the smallest share of density of any patch is this, of the stroma."""
    rows = run.ledger[run.ledger["compartment"].isin(TISSUE)].copy()
    rows["density_ratio"] = rows["compartment"].map(
        {"nucleus": (1 - share) / 2, "cytoplasm": (1 - share) / 2, "stroma": share}
    )
    return run.changed(ledger=rows.assign(status="measured", area_share=0.3, mass_share=rows["density_ratio"] * 0.3))


@pytest.mark.parametrize(
    ("share", "cut", "step"),
    [(0.001, 0.0, 20), (0.024, 0.0, 20), (0.026, 0.02, 20), (0.06, 0.04, 20), (0.2, 0.18, 10), (0.32, 0.26, 5)],
)
def test_the_triangle_is_cut_just_below_the_least_share(run: Run, share: float, cut: float, step: int) -> None:
    run = _of_shares(run, share)
    assert (f"the triangle is cut at {100 * cut:.0f} %" in caption_ternary(run)) is (cut > 0)
    axes = draw_ternary(run).axes[0]
    values = sorted({float(text.get_text()[:-2]) for text in axes.texts if text.get_text().endswith(" %")})
    assert values[0] > 100 * cut
    assert values[0] == pytest.approx(step * (round(100 * cut / step) + 1))
    assert np.diff(values) == pytest.approx([step] * (len(values) - 1))
    assert values[-1] < 100 * (1 - 2 * cut)


def test_a_region_needs_as_many_slides_as_the_study_asks(run: Run) -> None:
    other = run.changed()
    statistics = run.settings.statistics.model_copy(update={"min_slides": 8})
    vars(other)["settings"] = run.settings.model_copy(update={"statistics": statistics})
    figure = _drawn(other)
    assert "benign: no region with fewer than 8 slides" in _words(figure)
    assert len(_regions(figure)) == 1


@pytest.mark.parametrize("name", ["complete", "one label", "chance", "few slides", "unknown slides", "no control"])
def test_the_cross_is_named_where_marks_are_farthest(run: Run, name: str) -> None:
    figure = draw_ternary(_some(run, name))
    (named,) = (text for text in figure.axes[0].texts if text.get_text() == "saliency\nas area")
    places = np.add(CENTRE, [(0.17, 0.0), (-0.17, 0.0), *((x, y) for y in (-0.17, 0.17) for x in (0.13, -0.13))])
    drawn = np.concatenate([*_clouds(figure), *_regions(figure)])
    room = np.linalg.norm(drawn[:, None] - places, axis=-1).min(axis=0)
    assert named.get_position() == pytest.approx(tuple(places[room.argmax()]))
    assert named.get_bbox_patch().get_facecolor() == (1.0, 1.0, 1.0, 1.0)
    assert (named.get_ha(), named.get_va(), named.get_color()) == ("center", "center", QUIET)


def test_the_name_of_the_cross_goes_to_every_side() -> None:
    found = set()
    for corner in (
        (0.1, 0.3, 0.6),
        (0.6, 0.3, 0.1),
        (0.2, 0.6, 0.2),
        (0.4, 0.2, 0.4),
        (0.1, 0.45, 0.45),
        (0.45, 0.45, 0.1),
    ):
        axes = new_figure(2.0).subplots()
        mean = np.array(corner)
        none = np.empty((0, 3))
        _mark_as_area(axes, [_Cloud(20.0, "benign", "benign", "slide", mean[None], mean, none, none, "")], 0.0)
        x, y = axes.texts[0].get_position()
        mark = (mean @ CORNERS) - CENTRE
        assert (np.array([x, y]) - CENTRE) @ mark < 0  # on the other side of the only mark
        found.add((round(x - CENTRE[0], 2), round(y - CENTRE[1], 2)))
    assert len(found) >= 4
