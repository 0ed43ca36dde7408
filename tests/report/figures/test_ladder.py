"""The ladder as a figure: what a reader sees of each answer, and that nothing lies over anything else."""

from itertools import combinations, product
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from saliency_stats.report.figures import ladder
from saliency_stats.report.ladder import ANSWERS
from saliency_stats.report.run import Run

LONG = "the maps were made elsewhere: there is no network to ask about a patch with a compartment replaced by anything"
NUMBERS = "1.05 times what the edges (Sobel) map explains (95 % CI 1.02–1.08; p = 0.0058)"


def _rung(k: int, answer: str, **more: str) -> dict[str, Any]:
    question = "More than edges and stain explain, at equal edge strength and equal stain?"
    return {"rung": f"r{k}", "question": question, "answer": answer, "numbers": "", "why": "", "parts": []} | more


def _verdict(label: str = "benign", magnification: float = 20.0, **more: Any) -> dict[str, Any]:
    said = [{"numbers": NUMBERS}] * 2 + [{"why": LONG}] * 2
    rungs = [_rung(k, name, **said[k]) for k, name in enumerate(ANSWERS)]
    place = {"label": label, "magnification": magnification, "method": "gradient", "reduction": "l2"}
    return {**place, "status": "present_without_training", "survives": rungs * 2, **more}


@pytest.fixture
def make(blank_run: Any, tables: dict[str, pd.DataFrame]) -> Any:
    """A run of these verdicts, at all magnifications and of all classes that they are of."""

    def made(*verdicts: dict[str, Any]) -> Run:
        places = sorted({(one["label"], one["magnification"]) for one in verdicts})
        patches = [tables["patches"].assign(label=label, magnification=at) for label, at in places]
        metrics = [tables["metrics"].assign(magnification=at) for at in {at for _, at in places}]
        return blank_run(verdict=list(verdicts), patches=pd.concat(patches), metrics=pd.concat(metrics))

    return made


def _texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def test_an_answer_has_a_shape_a_colour_and_a_word(make: Any, seen: Any) -> None:
    (axes,) = seen.drawn(ladder.draw_ladder(make(_verdict()))).axes
    marks = [(line.get_marker(), line.get_markerfacecolor(), line.get_color()) for line in axes.lines[:4]]
    colours = [answer.colour for answer in ANSWERS.values()]
    faces = [*colours[:2], "white", colours[3]]
    assert marks == list(zip("osoD", faces, colours, strict=True))
    assert len({(shape, face == "white") for shape, face, _ in marks}) == 4  # told apart without colour
    shown = [(text.get_text(), text.get_color()) for text in axes.texts[1:12:3]]
    wrapped = ["yes", "no", "not tested", "could not\nhave been\nfound"]
    assert shown == list(zip(wrapped, colours, strict=True))
    assert [text.get_text() for text in axes.texts[:12:3]] == [answer.mark for answer in ANSWERS.values()]
    assert [line.get_ydata()[0] for line in axes.lines] == list(range(8))
    assert axes.get_ylim() == (7.5, -0.5)  # the first question is at the top


def test_beside_an_answer_stand_its_numbers_or_why_there_are_none(make: Any, seen: Any) -> None:
    one, two = seen.drawn(ladder.draw_ladder(make(_verdict(), _verdict("malignant")))).axes
    first, second, third = (text.get_text() for text in one.texts[2:9:3])
    assert first == second == "1.05 times what the edges\n(Sobel) map explains\n(95 % CI 1.02–1.08; p = 0.0058)"
    assert third == "the maps were made elsewhere:\nthere is no network to ask about\na patch with a compartment …"
    (alone,) = seen.drawn(ladder.draw_ladder(make(_verdict()))).axes
    assert alone.texts[2].get_text() == NUMBERS.replace(" (9", "\n(9")
    assert alone.texts[8].get_text().replace("\n", " ") == LONG
    assert (one.get_title(), two.get_title()) == (
        "Benign, 20×\nPresent without training",
        "Malignant, 20×\nPresent without training",
    )


def test_questions_stand_once_in_each_direction_that_they_are_asked(make: Any, seen: Any) -> None:
    turned = _verdict("malignant")
    turned["survives"] = [_rung(0, "yes", question="Denser in the nuclei?"), *turned["survives"][1:]]
    one, two = seen.drawn(ladder.draw_ladder(make(_verdict(), turned))).axes
    names = [text.replace("\n", " ") for text in seen.rows(one)]
    question = _rung(0, "yes")["question"]
    assert names == [f"1. {question} / Denser in the nuclei?", *(f"{k}. {question}" for k in range(2, 9))]
    assert not any(seen.rows(two))


def test_it_is_of_the_studys_own_method_and_of_what_was_asked(make: Any, seen: Any) -> None:
    other, nothing = _verdict(method="lrp"), _verdict("malignant", survives=[])
    assert not ladder.has_ladder(make(other, nothing))
    lacking = _verdict("benign", 10.0, survives=[])
    run = make(_verdict(), other, _verdict("malignant"), lacking, _verdict("malignant", 10.0))
    assert ladder.has_ladder(run)
    axes = seen.drawn(ladder.draw_ladder(run)).axes
    assert [one.get_title().splitlines()[1] for one in axes] == [
        *("nothing was asked", "Present without training"),
        *["Present without training"] * 2,
    ]
    assert [len(one.texts) for one in axes] == [0, 24, 24, 24]
    assert len([name for name in seen.rows(axes[0]) if name]) == 8  # the questions of the class beside it


@pytest.mark.parametrize(
    ("labels", "magnifications"), [(("benign",), (20.0,)), (("benign", "malignant"), (5.0, 10.0, 20.0, 40.0))]
)
def test_nothing_lies_over_anything_else(
    make: Any, seen: Any, labels: tuple[str, ...], magnifications: tuple[float, ...]
) -> None:
    figure = seen.drawn(ladder.draw_ladder(make(*(_verdict(*place) for place in product(labels, magnifications)))))
    assert len(figure.axes) == len(magnifications) * len(labels)
    boxes = {(k, text.get_text()): text.get_window_extent() for k, text in enumerate(_texts(figure))}
    assert len(boxes) == len(figure.axes) * 25 + 8 * len(magnifications)
    over = [(a, b) for (a, one), (b, two) in combinations(boxes.items(), 2) if one.overlaps(two)]
    assert not over
    outside = [name for name, box in boxes.items() if not (figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1)]
    assert not outside


def test_the_caption_says_it_in_two_sentences(make: Any) -> None:
    assert ladder.caption_ladder(make(_verdict())).count(". ") == 1
