"""The primary contrast by every method: a row each, a mark for each reduction, and the counts of the caption."""

from dataclasses import replace

import numpy as np
import pytest

from saliency_stats.report.figures.methods import caption_methods, draw_methods, has_methods, method_rows
from saliency_stats.report.figures.style import CONTROL_COLOUR, TRAINED_COLOUR
from saliency_stats.report.run import Run
from saliency_stats.report.words import ratio

LABELS = ("benign", "malignant")
TRAINED_AT = {"benign": 0.3, "malignant": 0.9}
WHITE, BLACK, GREY = "#FFFFFF", TRAINED_COLOUR.upper(), CONTROL_COLOUR.upper()
#: Colour and shape of each reduction.
LOOKS = {"l2": (BLACK, "o"), "l1": ("#56B4E9", "s"), "max": ("#D55E00", "^"), "none": ("#B5568F", "D")}


@pytest.fixture
def run(made_up) -> Run:
    """One magnification with all controls and all methods."""
    return made_up.run([*made_up.controls(20.0), *made_up.methods(20.0)])


def _recorded(run: Run, **methods: dict) -> Run:
    return replace(run, record={**run.manifest, "methods": methods})


def test_methods_stand_in_the_order_of_the_record(run: Run, seen) -> None:
    axes = seen.drawn(draw_methods(run)).axes[0]
    assert list(seen.rows(axes)) == [
        *("gradient\n(this study’s own)", "shift-averaged gradient", "SmoothGrad", "guided backprop"),
        *("gradient × input *", "integrated gradients *", "DeepLIFT *", "Grad-CAM", "occlusion"),
    ]
    assert seen.bold(axes) == ["gradient\n(this study’s own)"]


def test_a_method_of_the_users_own_has_its_words_and_one_that_is_not_recorded_its_name(run: Run, seen) -> None:
    mine = {"words": "Mine", "times_input": True}
    found = _recorded(run, occlusion=mine, gradient={"words": "gradient", "times_input": False})
    names = list(seen.rows(seen.drawn(draw_methods(found)).axes[0]))
    others = sorted({*run.recorded("methods", {})} - {"occlusion", "gradient"})
    assert found.method == "occlusion"
    assert names == ["Mine *\n(this study’s own)", "gradient", *others]
    assert "* Mine multiply by 1 − x" in caption_methods(found)
    assert "the method of this study (Mine, l2)" in caption_methods(found)


def test_every_map_has_its_mark_in_its_method_s_row(run: Run, seen) -> None:
    figure = seen.drawn(draw_methods(run))
    ticks = np.array([*seen.rows(figure.axes[0]).values()])
    rows = method_rows(run)
    for label, axes in zip(LABELS, figure.axes, strict=True):
        assert axes.get_title() == f"{label}, 20×"
        assert axes.get_xlabel() == "saliency density, cytoplasm ÷ nuclei  (log axis)"
        marks = seen.marks(axes)
        table = rows[rows["label"] == label]
        assert len(marks) == len(table) == 46
        assert marks["y"].nunique() == len(marks)  # none hides another
        for mark, row in zip(marks.itertuples(), table.itertuples(), strict=True):
            colour, shape = LOOKS[row.reduction]
            trained = row.model == "trained"
            assert list(run.recorded("methods", {}))[int(np.argmin(np.abs(ticks - mark.y)))] == row.method
            assert (mark.x, mark.shape) == (row.estimate, shape)
            assert (mark.face, mark.edge) == ((colour, colour) if trained else (WHITE, GREY))
            assert mark.size == pytest.approx(21.0 if trained else 11.5)
        heights = marks["y"].to_numpy()
        assert seen.lines(axes) == set(zip(heights, table["ci_low"], table["ci_high"], strict=True))
        # the own estimate runs through all rows, and its row is shaded
        upright = {(line.get_xdata()[0], line.get_linestyle()) for line in axes.lines}
        assert upright == {(TRAINED_AT[label], "-"), (0.0, "--")}
        shaded = axes.patches[0].get_bbox()
        own = marks[(table["method"] == "gradient").to_numpy()]
        assert shaded.y0 < own["y"].min()
        assert own["y"].max() < shaded.y1 < marks.loc[(table["method"] == "smoothgrad").to_numpy(), "y"].min()


def test_marks_of_a_control_stand_below_their_own_and_nearer_to_it_than_to_the_next(run: Run, seen) -> None:
    axes = seen.drawn(draw_methods(run)).axes[0]
    rows = method_rows(run)
    marks = seen.marks(axes).assign(**{name: rows[name] for name in ("method", "reduction", "model")})
    own = marks[marks["method"] == "smoothgrad"].pivot(index="reduction", columns="model", values="y")
    own = own.loc[["l2", "l1", "max"]]  # the study's reduction first, others by name
    assert (own["trained"] < own["randomised"]).all()
    within = (own["randomised"] - own["trained"]).to_numpy()
    between = own["trained"].to_numpy()[1:] - own["randomised"].to_numpy()[:-1]
    assert within == pytest.approx(np.full(3, 0.45 * 0.15))
    assert between == pytest.approx(np.full(2, 0.55 * 0.15))
    ticks = [*seen.rows(axes).values()]
    assert np.diff(ticks) == pytest.approx([0.58] * 6 + [0.43, 0.28])  # rows are as high as their reductions need
    height = 7 * 0.58 + 2 * 0.28 + 0.5 + 0.6
    assert tuple(axes.get_figure().get_size_inches()) == (8.4, pytest.approx(height))
    assert axes.get_ylim() == pytest.approx((7 * 0.58 + 2 * 0.28 + 0.05, -0.05))


def test_each_control_that_other_methods_explain_has_a_place_of_its_own(made_up, seen) -> None:
    rows = made_up.methods(20.0)
    second = [{**row, "model": "cascading_1", "estimate": 0.5} for row in rows if row["model"] == "randomised"]
    run = made_up.run([*rows, *second])
    figure = seen.drawn(draw_methods(run))
    marks = seen.marks(figure.axes[0])
    assert marks["y"].nunique() == len(marks) == 66
    words = run.words("controls", "cascading_1")
    assert list(seen.legend(figure))[-1] == f"randomised and {words}, same shapes"


def test_the_axis_reaches_all_intervals_of_its_magnification(made_up) -> None:
    rows = made_up.methods(10.0, 20.0)
    for row in rows:
        row["ci_high"] += 1.0 if row["magnification"] == 10.0 else 0.0
    axes = draw_methods(made_up.run(rows)).axes
    table = method_rows(made_up.run(rows))
    for k, at in enumerate((10.0, 20.0)):
        own = table[table["magnification"] == at]
        low, high = own["ci_low"].min(), own["ci_high"].max()
        pad = 0.08 * (high - low)
        for one in axes[2 * k : 2 * k + 2]:
            assert one.get_xlim() == pytest.approx((low - pad, high + pad))
    assert [one.get_xlabel() == "" for one in axes] == [True, True, False, False]


def test_the_legend_names_reductions_and_controls(run: Run, made_up, seen) -> None:
    looks = {name: (colour, colour) for name, (colour, _) in LOOKS.items()}
    looks["one channel"] = looks.pop("none")
    assert seen.legend(draw_methods(run)) == {**looks, "randomised, same shapes": (GREY, WHITE)}
    alone = made_up.run([row for row in made_up.methods(20.0) if row["model"] == "trained"])
    assert list(seen.legend(draw_methods(alone)))[-1] == "one channel"
    assert "Grey and open" not in caption_methods(alone)


def test_a_reduction_of_ones_own_has_a_mark_too(made_up, seen) -> None:
    rows = made_up.methods(20.0)
    more = [{**row, "reduction": name} for row in rows if row["reduction"] == "max" for name in ("p", "q")]
    legend = seen.legend(draw_methods(made_up.run([*rows, *more])))
    assert list(legend)[:4] == ["l2", "l1", "max", "p"]
    assert legend["p"] == legend["q"]


def test_the_caption_counts_the_methods_that_agree(run: Run) -> None:
    caption = caption_methods(run)
    # of 8 others 3 multiply by the input and are opposed, and Grad-CAM agrees without being significant
    methods = "5 of 8 other methods (significant in 4; significantly the opposite in 3)"
    # of 22 others 9 are opposed
    maps = "13 of 22 other maps (significant in 12; significantly the opposite in 9)"
    for label in LABELS:
        own = ratio(TRAINED_AT[label])
        expected = f" {label.capitalize()}, 20×: {own} by the study’s own; the same sign in {methods}"
        assert f"{expected}; of all methods and reductions in {maps}." in caption
    assert "* Gradient × input, integrated gradients and DeepLIFT multiply by 1 − x" in caption
    assert "lean to nuclei by construction" in caption
    assert "the method of this study (gradient, l2)" in caption
    assert "a control (randomised: the same architecture with random weights)." in caption
    assert "95 % intervals over slides" in caption
    assert "missing" not in caption


def test_a_sign_at_zero_agrees_with_nothing(made_up) -> None:
    rows = [*made_up.controls(20.0)[:1], *made_up.methods(20.0)]
    for row in rows:
        if row["method"] == "smoothgrad":
            row["estimate"] = 0.0
    caption = caption_methods(made_up.run(rows))
    assert "in 4 of 8 other methods (significant in 3; significantly the opposite in 3)" in caption


def test_an_alpha_decides_what_is_significant(made_up, tmp_path) -> None:
    rows = [*made_up.controls(20.0), *made_up.methods(20.0)]
    caption = caption_methods(made_up.run(rows, folder=made_up.with_alpha(0.01, tmp_path)))
    assert caption.count("5 of 8 other methods (significant in 0; significantly the opposite in 0)") == 2
    assert "99 % intervals" in caption


def test_without_the_study_own_method_there_is_nothing_to_agree_with(made_up, seen) -> None:
    rows = made_up.methods(20.0)
    run = made_up.run([row for row in rows if row["method"] != "gradient"])
    assert "20×: the study’s own method has no estimate." in caption_methods(run)
    assert not seen.drawn(draw_methods(run)).axes[0].patches
    plain = [row for row in rows if row["method"] in ("gradient", "smoothgrad")]
    assert "multiply" not in caption_methods(made_up.run(plain))


def test_the_figure_is_for_more_than_one_map(run: Run, made_up) -> None:
    rows = made_up.controls(20.0)
    assert has_methods(run)
    assert not has_methods(made_up.run(rows))
    assert has_methods(made_up.run([*made_up.methods(20.0), rows[0]]))
    assert has_methods(made_up.run([rows[0], {**rows[0], "reduction": "l1"}]))
    assert has_methods(made_up.run([rows[0], {**rows[0], "method": "smoothgrad"}]))
    # differences and maps of the image are no maps of a network
    assert set(method_rows(run)["model"]) == {"trained", "randomised"}
    assert set(method_rows(made_up.run(rows))["model"]) == {"trained"}


def test_a_classifier_at_chance_is_hollow(made_up, seen) -> None:
    rows = [*made_up.controls(20.0)[:1], *made_up.methods(20.0)]
    run = made_up.run(rows, chance=True)
    assert set(seen.marks(seen.drawn(draw_methods(run)).axes[0])["face"]) == {WHITE}
    assert "not shown to have learned there" in caption_methods(run)


def test_without_tests_there_are_no_intervals(made_up, seen) -> None:
    rows = [*made_up.controls(20.0)[:1], *made_up.methods(20.0)]
    run = made_up.run(rows, tested=False)
    assert not seen.lines(seen.drawn(draw_methods(run)).axes[0])
    caption = caption_methods(run)
    assert "in 5 of 8 other methods (none tested)" in caption
    assert "Estimates without an interval: slides are unknown." in caption
    assert "95 % intervals" not in caption


def test_nothing_to_draw_says_so(run: Run, seen) -> None:
    empty = run.changed(contrasts=run.contrasts.assign(estimate=np.nan))
    assert seen.nothing(draw_methods, empty) == "no judged patch has both nuclei and cytoplasm"
    assert " 92 estimates missing, because no judged patch" in caption_methods(empty)


def test_drawn_twice_it_is_the_same_file(run: Run, equal_bytes) -> None:
    assert equal_bytes(lambda: draw_methods(run))
