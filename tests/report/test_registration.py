"""The report says whether the run kept to what was registered, and nothing where nothing was."""

from collections.abc import Callable
from typing import Any

import pytest

from saliency_stats.report.caveats import caveats
from saliency_stats.report.checklist import TO_FILL, checklist_table
from saliency_stats.report.html import render_html
from saliency_stats.report.paper import write_paper
from saliency_stats.report.registration import registered, registration_title, registration_words
from saliency_stats.report.run import Run

KEPT = {
    "sha256": "0123456789abcdef" * 4,
    "registered": "2026-11-28T13:02:05+00:00",
    "version": "0.1.0",
    "results_since": None,
    "differences": [],
}
DIFFERENT = KEPT | {"differences": [["statistics.alpha", 0.05, 0.01], ["controls", ["sobel"], []]]}
LATE = KEPT | {"results_since": "2026-11-27T09:00:59+00:00"}
FIXED = (
    "Hypotheses, families, margins and exclusions were registered on 2026-11-28 13:02 UTC with saliency-stats 0.1.0"
    " (preregistration.md, SHA-256 0123456789ab…), "
)
PAIRS = "statistics.alpha (registered 0.05, run 0.01); controls (registered ['sobel'], run [])"
ITEM = "When outcome, margin and exclusions were fixed"


@pytest.mark.parametrize(
    ("record", "title", "words"),
    [
        ({}, "", ""),
        (KEPT, "", f"{FIXED}before there were results. The run kept to it."),
        (
            DIFFERENT,
            "The run differs from its pre-registration",
            f"{FIXED}before there were results. The run differs from it in 2 settings: {PAIRS}.",
        ),
        (
            LATE,
            "The pre-registration is younger than the first results",
            f"{FIXED}after there were results (since 2026-11-27 09:00 UTC). The run kept to it.",
        ),
    ],
)
def test_one_sentence_for_all(record: Any, title: str, words: str) -> None:
    assert (registration_title(record), registration_words(record)) == (title, words)


@pytest.mark.parametrize("record", [{}, DIFFERENT])
def test_every_place_that_tells_it(blank_run: Callable[..., Run], tables: Any, record: Any) -> None:
    title, words = registration_title(record), registration_words(record)
    run = blank_run(None, {"registration": record} if record else {}, **tables)
    assert registered(run) == record
    first = [(caveat.title, caveat.text) for caveat in caveats(run) if caveat.first]
    assert [one for one in first if "registration" in one[0]] == ([(title, words)] if title else [])
    answers = {item: answer for _, item, answer in checklist_table(run).rows}
    assert answers[ITEM] == (f"reported: {words}" if words else TO_FILL)
    assert answers["Where that is registered"] == TO_FILL
    write_paper(run, (), ())
    methods = (run.folder / "paper/methods.tex").read_text(encoding="utf-8")
    assert ("\\paragraph{Pre-registration.}" in methods) == bool(words)
    assert ("2026-11-28 13:02 UTC" in methods) == bool(words)
    page = render_html(run, (), ())
    assert ('<th scope="row">Pre-registration</th>' in page) == bool(words)
