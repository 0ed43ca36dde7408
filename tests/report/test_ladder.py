"""What verdicts survive: questions, answers, numbers, parts; on the page, in a paper."""

from collections.abc import Callable
from typing import Any

import pytest

from saliency_stats.report import ladder
from saliency_stats.report.run import Run

Blank = Callable[..., Run]
RECORD: dict[str, Any] = {
    "methods": {"gradient": {"words": "the gradient"}, "lrp": {"words": "LRP"}},
    "controls": {"randomised": {"words": "random weights", "shown": True}},
}


def _rung(rung: str, answer: str, **more: Any) -> dict[str, Any]:
    return {"rung": rung, "question": f"{rung}?", "answer": answer, "numbers": "", "why": "", "parts": []} | more


def _verdict(*rungs: dict[str, Any], **more: Any) -> dict[str, Any]:
    found = {"label": "benign", "magnification": 20.0, "method": "gradient", "reduction": "l2", "status": "supported"}
    return found | {"survives": list(rungs)} | more


PARTS = [
    {"name": "randomised", "estimate": 1.0, "ci_low": 0.5, "ci_high": 2.0, "p_value": 0.004, "answer": "yes"},
    {"name": "mean_colour", "estimate": None, "ci_low": None, "ci_high": None, "p_value": None, "answer": "not tested"},
]


def test_a_ladder_has_its_rungs_in_order_with_words_for_parts(blank_run: Blank) -> None:
    rungs = [
        _rung("training", "yes", numbers="1.4 times", parts=PARTS),
        _rung("decision", "no", why="it does not", parts=PARTS[:1]),
        _rung("method", "could not have been found", parts=[PARTS[0] | {"name": "lrp"}]),
        _rung("networks", "not tested"),
        _rung("analyses", "perhaps"),
    ]
    run = blank_run(record=RECORD, verdict=[_verdict(*rungs), _verdict()])
    (found,) = ladder.ladders(run)
    assert (found.where, found.status, found.words) == ("Benign patches, 20×", "supported", "Supported")
    assert [(rung.rung, rung.mark, rung.kind) for rung in found.rungs] == [
        ("training", "✓", "yes"),
        ("decision", "✗", "no"),
        ("method", "?", "unreachable"),
        ("networks", "—", "untested"),
        ("analyses", "—", "untested"),
    ]
    assert found.rungs[0].parts == (
        ("random weights", "2.00", "1.41–4.00", "p = 0.004", "yes"),
        ("mean colour", "—", "—", "—", "not tested"),
    )
    # a decision is a difference of logits, no ratio
    assert found.rungs[1].parts == (("random weights", "1.00", "0.50 to 2.00", "p = 0.004", "yes"),)
    assert found.rungs[2].parts[0][0] == "LRP"
    assert [ladder.said(rung) for rung in found.rungs[:3]] == ["1.4 times", "It does not", ""]


def test_numbers_come_before_words(blank_run: Blank) -> None:
    run = blank_run(record=RECORD, verdict=[_verdict(_rung("maps", "no", numbers="1.1.", why="too little."))])
    assert ladder.said(ladder.ladders(run)[0].rungs[0]) == "1.1. Too little"


def test_what_is_shown_has_a_true_minus_and_the_names_of_the_report(blank_run: Blank) -> None:
    numbers, why = "-4.9 logits by lrp (-8.1 to -1.7)", "as in the randomised networks"
    run = blank_run(record=RECORD, verdict=[_verdict(_rung("decision", "no", numbers=numbers, why=why))])
    (found,) = ladder.ladders(run)[0].rungs
    assert (found.numbers, found.why) == ("−4.9 logits by LRP (−8.1 to −1.7)", "as in the random weights networks")
    assert run.verdict[0]["survives"][0]["numbers"] == numbers


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("present_without_training", "Present without training"),
        ("explained_by_the_picture", "Explained by the picture"),
        ("new", "new"),
    ],
)
def test_the_verdict_stands_at_the_end(blank_run: Blank, status: str, words: str) -> None:
    run = blank_run(record=RECORD, verdict=[_verdict(_rung("maps", "yes"), status=status)])
    assert ladder.ladders(run)[0].words == words
    answers, numbers = ladder.ladder_tables(run)
    assert answers.rows[-1] == ("Verdict", words)
    assert numbers.rows == (("Benign patches, 20×", "maps?", "yes", "—"),)


def test_a_method_that_is_not_the_studys_own_is_named(blank_run: Blank) -> None:
    run = blank_run(record=RECORD)
    verdict = _verdict(label="malignant", magnification=2.5, method="lrp", reduction="none")
    assert ladder.hypothesis_words(run, verdict) == "Malignant patches, 2.5× (LRP, none)"


def test_a_paper_gets_a_column_per_hypothesis_and_a_row_per_answer(blank_run: Blank) -> None:
    one = _verdict(_rung("maps", "yes", numbers="1.69"), _rung("training", "no", numbers="1.1", why="as much"))
    other = _verdict(_rung("maps", "no"), _rung("training", "not tested"), label="malignant", status="inconclusive")
    answers, numbers = ladder.ladder_tables(blank_run(record=RECORD, verdict=[one, other]))
    assert answers.name == "ladder"
    assert answers.columns == ("Question", "Benign patches, 20×", "Malignant patches, 20×")
    assert answers.rows == (
        ("maps?", "yes", "no"),
        ("training?", "no", "not tested"),
        ("Verdict", "Supported", "Inconclusive"),
    )
    assert numbers.rows[:2] == (
        ("Benign patches, 20×", "maps?", "yes", "1.69"),
        ("Benign patches, 20×", "training?", "no", "1.1. As much"),
    )
    assert len(numbers.rows) == 4
    assert (answers.n_text, numbers.n_text) == (3, 4)


def test_questions_in_two_directions_both_stand_at_the_head_of_their_row(blank_run: Blank) -> None:
    one, other = _verdict(_rung("maps", "yes")), _verdict(_rung("maps", "no"), label="malignant")
    other["survives"][0]["question"] = "turned?"
    answers, _ = ladder.ladder_tables(blank_run(record=RECORD, verdict=[one, other]))
    assert answers.rows[0] == ("maps? / turned?", "yes", "no")
    assert answers.note == ladder.READING


def test_without_answers_there_is_nothing(blank_run: Blank) -> None:
    old = _verdict()
    del old["survives"]
    run = blank_run(record=RECORD, verdict=[old])
    assert ladder.ladders(run) == ()
    assert ladder.ladder_tables(run) == ()
    assert list(ladder.ladder_rows(run.verdict)) == []


def test_answers_of_a_comparison_are_in_the_order_of_the_headings() -> None:
    verdict = _verdict(_rung("training", "no"), _rung("maps", "yes"))
    ((found, answers),) = ladder.ladder_rows([verdict, _verdict()])
    assert found is verdict
    assert answers == ("yes", "no", *["—"] * 6)
    assert len(ladder.RUNG_WORDS) == 8
