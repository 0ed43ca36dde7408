"""What tells the classes apart: both classes' drops added, by compartment and replacement."""

import numpy as np
import pytest

from saliency_stats.report.figures.separation import caption_separation, draw_separation, has_separation
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, CONTROL_COLOUR
from saliency_stats.report.run import Run
from saliency_stats.report.words import p_sign
from saliency_stats.statistics.largest import largest
from saliency_stats.vocabulary import TISSUE

KINDS = {"mean": "local mean colour", "blur": "blur", "stain": "constant stain"}
BOTH = "malignant+benign"
NOTHING = "no magnification has judged patches of both classes with a compartment replaced"


@pytest.fixture(scope="module")
def run(replaced) -> Run:
    return replaced(slides=4, patches=6)


def _rows(run: Run):
    rows = run.causal[(run.causal["label"] == BOTH) & (run.causal["test"] == "t_slide_means")]
    return rows[(rows["model"] == "trained")].set_index(["replacement", "contrast"])


def test_every_drop_and_excess_is_drawn_in_its_place(run: Run, seen) -> None:
    figure = draw_separation(run)
    assert tuple(figure.get_size_inches()) == (7.0, pytest.approx(0.7 + 2.5))
    drops, excess = figure.axes
    rows = _rows(run)
    places = {
        (kind, f"separation:{name}"): k + 0.24 * (j - 1)
        for k, kind in enumerate(KINDS)
        for j, name in enumerate(TISSUE)
    }
    for axes, column in ((drops, "drop"), (excess, "estimate")):
        marks = seen.marks(axes)
        assert len(marks) == 9
        assert set(marks["shape"]) == {"D"}
        assert set(marks["edge"]) == {"#FFFFFF"}
        assert set(marks["size"]) == {42.0}
        for key, place in places.items():
            (one,) = marks[np.isclose(marks["x"], place)].itertuples()
            colour = COMPARTMENT_COLOURS[key[1].split(":")[1]].upper()
            assert (one.y, one.face) == (pytest.approx(rows.loc[key, column]), colour)
        assert [tick.get_text() for tick in axes.get_xticklabels()] == list(KINDS.values())
        assert list(axes.get_xticks()) == [0, 1, 2]
        assert axes.get_xlim() == pytest.approx((-0.6, 2.6))
        assert [line.get_ydata()[0] for line in axes.lines] == [0.0]
    assert drops.get_ylabel() == "drop of the logits of both classes"
    assert excess.get_ylabel() == "÷ area, more than a random region"
    level = sorted((line[0][1], line[0][0], line[1][0]) for line in seen.segments(drops))
    expected = sorted((rows.loc[key, "random_drop"], at - 0.07, at + 0.07) for key, at in places.items())
    np.testing.assert_allclose(level, expected)
    upright = sorted((line[0][0], line[0][1], line[1][1]) for line in seen.segments(excess))
    columns = ["ci_low_simultaneous", "ci_high_simultaneous"]
    expected = sorted((at, *rows.loc[key, columns]) for key, at in places.items())
    np.testing.assert_allclose(upright, expected)


def test_the_titles_name_the_largest(run: Run) -> None:
    drops, excess = draw_separation(run).axes
    own = run.causal[(run.causal["label"] == BOTH) & (run.causal["model"] == "trained")]
    named = largest(own, test="t_slide_means", alpha=0.05).set_index("replacement")
    by_drop, by_area = (axes.get_title(loc="left").split("\n") for axes in (drops, excess))
    assert drops.get_title(loc="right") == "20×"
    for kind, words in KINDS.items():
        row = named.loc[kind]
        assert f"{words}: most by {row['largest_drop']}" in by_drop
        sign = p_sign(row["p_adjusted"])
        assert f"{words}: {row['compartment']} more than {row['second']}" + (f", {sign}" if sign else "") in by_area
    assert "blur: most by cytoplasm" in by_drop


def test_a_classifier_at_chance_is_said(run: Run) -> None:
    chance = run.changed(metrics=run.metrics.assign(learned=False))
    assert draw_separation(chance).axes[0].get_title(loc="right") == "20× (not shown to have learned)"


def test_the_study_s_own_test_is_shown_where_it_is_possible(run: Run, seen) -> None:
    both = run.causal["label"] == BOTH
    own = run.causal[both & (run.causal["test"] == "t_slide_means")]
    tested = own.assign(test="sign_flip", status="tested", drop=own["drop"] + 5)
    paired = run.changed(causal=tested)
    assert "Test: sign-flip over slides, " in caption_separation(paired)
    assert "Unpaired" not in caption_separation(paired)
    rows = tested[(tested["model"] == "trained") & tested["contrast"].isin([f"separation:{name}" for name in TISSUE])]
    assert sorted(seen.marks(draw_separation(paired).axes[0])["y"]) == pytest.approx(sorted(rows["drop"]))


def test_the_legend_names_compartments_and_the_random_region(run: Run, seen) -> None:
    assert seen.legend(draw_separation(run)) == {
        **{name: (COMPARTMENT_COLOURS[name].upper(),) * 2 for name in TISSUE},
        "random region of the same area": (CONTROL_COLOUR.upper(),) * 2,
    }


def test_the_caption_says_by_which_test_and_over_how_many(run: Run) -> None:
    caption = caption_separation(run)
    n = int(_rows(run)["n_units"].max())
    assert "Lines are 95 % intervals, simultaneous for the family of compartments." in caption
    assert caption.endswith(f"Unpaired slides: a test that allows them is shown. Test: t over slide means, {n} slides.")
    untested = run.changed(causal=run.causal.assign(status="not_interpretable"))
    assert "Unpaired" not in caption_separation(untested)
    bare = run.changed(causal=run.causal.assign(ci_low_simultaneous=np.nan))
    assert caption_separation(bare).endswith("No intervals here: they are simultaneous, see causal.csv.")


def test_without_both_classes_there_is_no_such_figure(run: Run, seen) -> None:
    assert has_separation(run)
    one_class = run.changed(causal=run.causal[run.causal["label"] != BOTH])
    assert not has_separation(one_class)
    assert [seen.nothing(of, one_class) for of in (draw_separation, caption_separation)] == [NOTHING] * 2
    unjudged = run.changed(causal=run.causal.assign(n_patches=0.0))
    assert seen.nothing(caption_separation, unjudged) == NOTHING


def test_drawn_twice_it_is_the_same_file(run: Run, equal_bytes) -> None:
    assert equal_bytes(lambda: draw_separation(run))
