"""The flow diagram: every count in a box, every exclusion beside its arm, arrows from box to box."""

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from saliency_stats.report.figures.flow import caption_flow, draw_flow
from saliency_stats.report.figures.style import WIDTH_IN, house_style
from saliency_stats.report.run import Run


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


def _drawn(run: Run) -> Figure:
    with house_style():
        figure = draw_flow(run)
        figure.draw_without_rendering()
    return figure


def _boxes(figure: Figure) -> list[tuple[FancyBboxPatch, list[str]]]:
    """Every box with the lines that lie in it, from above."""
    axes = figure.axes[0]
    found = []
    for box in axes.patches:
        if isinstance(box, FancyBboxPatch):
            x0, y0, x1, y1 = box.get_x(), box.get_y(), box.get_x() + box.get_width(), box.get_y() + box.get_height()
            inside = [
                text for text in axes.texts if x0 <= text.get_position()[0] <= x1 and y0 <= text.get_position()[1] <= y1
            ]
            found.append((box, [text.get_text() for text in inside]))
    return found


def _middle(box: FancyBboxPatch) -> float:
    return box.get_x() + box.get_width() / 2


def test_every_count_of_the_table_is_in_a_box_of_its_arm(run: Run) -> None:
    boxes = _boxes(_drawn(run))
    listed = len(run.patches)
    assert boxes[0][1] == ["Patches listed at 20×", f"{listed} patches, 32 slides"]
    assert _middle(boxes[0][0]) == pytest.approx(WIDTH_IN / 2)
    titles = {
        "used": "Readable and used",
        "evaluation split": "In the evaluation split",
        "correct": "Correctly classified",
        "correct and confident": "Correct and confident",
        "both compartments present": "Both compartments present",
    }
    for row in run.selection.itertuples():
        title = titles.get(row.step, row.label.capitalize())
        words = [title, f"{row.n_patches:g} patches, {row.n_slides:g} slides"]
        sides = {_middle(box) < WIDTH_IN / 2 for box, lines in boxes if lines == words}
        assert (row.label == "benign") in sides


def test_exclusions_stand_outside_of_their_arm_with_their_reasons(run: Run) -> None:
    boxes = _boxes(_drawn(run))
    asides = [(box, lines) for box, lines in boxes if lines[0].endswith("left out")]
    by_label = run.selection.set_index("step").groupby("label")["n_patches"]
    for label, side in (("benign", -1), ("malignant", 1)):
        own = [lines for box, lines in asides if side * (_middle(box) - WIDTH_IN / 2) > 0]
        counts = by_label.get_group(label)
        drops = (counts.shift() - counts).dropna()
        assert [int(lines[0].split()[0]) for lines in own] == [int(n) for n in drops if n > 0]
        texts = {lines[0]: " ".join(lines[1:]) for lines in own}
        unused = run.patches[(run.patches["label"] == label) & (run.patches["status"] != "used")]
        first = own[0]
        assert first[0] == f"{len(unused)} patches left out"
        assert " ".join(first[1:]).startswith(
            "3: no tissue: 98 % of the patch is background 1: the file ends too early"
        )
        used = run.patches[(run.patches["label"] == label) & (run.patches["status"] == "used")]
        n = used["split"].value_counts()
        assert own[1][1:] == [f"{n['train']}: train split", f"{n['valid']}: valid split"]
        assert "classified wrongly" in texts.values()
        assert "probability of the true class below 0.9" in texts.values()
    assert asides[-1][1][1:] == ["too little nucleus or", "cytoplasm to measure"]
    assert all(max(map(len, lines)) <= 30 for _, lines in asides)


def test_boxes_stand_clear_of_one_another_and_inside(run: Run) -> None:
    figure = _drawn(run)
    boxes = [box for box, _ in _boxes(figure)]
    spans = [(box.get_x(), box.get_x() + box.get_width(), box.get_y(), box.get_y() + box.get_height()) for box in boxes]
    width, height = figure.get_size_inches()
    assert width == WIDTH_IN
    for k, (left, right, top, bottom) in enumerate(spans):
        assert left >= 0
        assert right <= width
        assert top >= 0.1 - 1e-9
        assert bottom <= height
        for other in spans[:k]:
            assert right <= other[0] or other[1] <= left or bottom + 0.1 <= other[2] or other[3] + 0.1 <= top
    # a line takes 0.125 in, and 0.07 in above and below are left
    for box, lines in _boxes(figure):
        assert box.get_height() == pytest.approx(0.14 + 0.125 * len(lines))
    assert figure.axes[0].get_ylim() == (pytest.approx(height), 0.0)
    assert {round(box.get_width(), 6) for box in boxes} == {2.3, 1.62, 1.5}
    assert max(bottom for *_, bottom in spans) == pytest.approx(height - 0.16)
    # the arms leave room for two arrows' heads; steps follow one another at half of that
    assert spans[1][2] - spans[0][3] == pytest.approx(0.32)
    assert spans[-1][2] - spans[-3][3] == pytest.approx(0.16)


def test_words_fit_into_their_boxes(run: Run) -> None:
    figure = _drawn(run)
    outlines = [box.get_window_extent() for box, _ in _boxes(figure)]
    for text in figure.axes[0].texts:
        words = text.get_window_extent()
        assert any(
            box.x0 <= words.x0 and words.x1 <= box.x1 and box.y0 <= words.y0 and words.y1 <= box.y1 for box in outlines
        )


def test_steps_are_filled_and_exclusions_are_not(run: Run) -> None:
    figure = _drawn(run)
    for box, lines in _boxes(figure):
        aside = lines[0].endswith("left out")
        assert (box.get_facecolor()[:3] == (1.0, 1.0, 1.0)) is aside
        assert box.get_linewidth() == (0.6 if aside else 0.8)
    for text in figure.axes[0].texts:
        first = text.get_text() in {lines[0] for _, lines in _boxes(figure)}
        assert (text.get_fontweight() == "bold") is first
    sides = {text.get_ha() for text in figure.axes[0].texts if text.get_text().endswith("left out")}
    assert sides == {"left"}


def test_arrows_lead_down_the_arms_and_out_to_the_exclusions(run: Run) -> None:
    figure = _drawn(run)
    boxes = _boxes(figure)
    ends = [
        (box.get_x(), box.get_x() + box.get_width(), box.get_y(), box.get_y() + box.get_height()) for box, _ in boxes
    ]
    arrows = [patch._posA_posB for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == len(boxes) - 1
    for (x0, y0), (x1, y1) in arrows:
        if x0 == x1:  # from the foot of a box to the head of the next
            assert y0 < y1
            assert any(y0 == pytest.approx(bottom) and left <= x0 <= right for left, right, _, bottom in ends)
            assert any(y1 == pytest.approx(top) and left <= x1 <= right for left, right, top, _ in ends)
        else:
            assert y0 == y1
            inner = [right if x1 < x0 else left for left, right, top, bottom in ends if top < y1 < bottom]
            assert any(x1 == pytest.approx(edge) for edge in inner)


def test_the_same_step_stands_at_one_height(run: Run) -> None:
    tops: dict[str, set[float]] = {}
    for box, lines in _boxes(_drawn(run)):
        tops.setdefault(lines[0], set()).add(round(box.get_y(), 9))
    for title in ("Readable and used", "In the evaluation split", "Correctly classified", "Both compartments present"):
        assert len(tops[title]) == 1


def test_many_reasons_are_counted_together(run: Run) -> None:
    patches = run.patches.copy()
    wrong = patches.index[(patches["label"] == "benign") & (patches["status"] == "used")][:3]
    for k, row in enumerate(wrong):
        patches.loc[row, "status"] = f"excluded: reason {'x' * 70 if k == 0 else k}"
    words = [lines for _, lines in _boxes(_drawn(run.changed(patches=patches))) if lines[0].endswith("left out")]
    text = " ".join(words[0])
    assert text.endswith("and 2 other reasons")
    assert text.count(": ") == 4  # three reasons; the tissue's own has a colon
    three = patches.copy()
    three.loc[wrong[1:], "status"] = "used"
    text = " ".join(next(lines for _, lines in _boxes(_drawn(run.changed(patches=three))) if "left out" in lines[0]))
    assert "other reason" not in text
    assert "x" * 20 in text
    assert "…" in text
    assert "x" * 60 not in text


def test_one_class_stands_in_the_middle_and_unknown_slides_are_said(
    tmp_path: Path, make_run: Callable[..., Path]
) -> None:
    properties = {"labels": ("benign",), "known_slides": False, "slides": 3, "patches": 4}
    run = Run.read(make_run(tmp_path / "run", magnifications=(10.0, 20.0), **properties))
    figure = _drawn(run)
    boxes = _boxes(figure)
    assert boxes[0][1] == ["Patches listed at 10×", "24 patches, slides unknown"]
    arms = [box for box, lines in boxes if lines[0] == "Benign"]
    assert [_middle(box) for box in arms] == pytest.approx([WIDTH_IN / 2] * 2)
    asides = [box for box, lines in boxes if lines[0].endswith("left out")]
    assert all(box.get_x() > WIDTH_IN / 2 for box in asides)
    below = next(box for box, lines in boxes if lines[0] == "Patches listed at 20×")
    assert below.get_y() > max(box.get_y() for box, _ in boxes[: len(boxes) // 2])
    nothing = run.changed(selection=run.selection.assign(n_patches=0.0, n_slides=0.0))
    assert "no patches, no slides" in [lines[-1] for _, lines in _boxes(_drawn(nothing))]


def test_the_caption_and_an_empty_table(run: Run, seen) -> None:
    text = caption_flow(run)
    assert "of the test split" in text
    assert "of at least 0.9;" in text
    assert seen.nothing(draw_flow, run.changed(selection=run.selection.iloc[:0])) == "selection.csv holds no counts"
