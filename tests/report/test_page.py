"""Pages are escaped, and nothing that they need may be missing."""

import pytest
from jinja2 import UndefinedError

from saliency_stats.report.ladder import ANSWERS
from saliency_stats.report.page import halved, page_template
from saliency_stats.report.tables.table import Table

SHOWN = {
    "summary": "2 runs",
    "sentences": ["a < b"],
    "data": "QUJD",
    "caption": "what it shows",
    "differences": Table("studies", "Keys", "all <the> same", ("Key",), (), 1),
}


def test_what_is_given_is_escaped():
    table = Table("t", "Title", "Note & more", ("Word", "Number"), (("<i>", "1"),), n_text=1)
    text = page_template("comparison.html.j2").render(**SHOWN, tables=[table])
    assert '<p class="headline">a &lt; b</p>' in text
    assert "<td>&lt;i&gt;</td>" in text
    assert '<td class="number">1</td>' in text
    assert '<th scope="col">Word</th>' in text
    assert '<th scope="col" class="number">Number</th>' in text
    assert '<div class="note">Note &amp; more</div>' in text
    assert "<p>all &lt;the&gt; same</p>" in text
    assert 'src="data:image/png;base64,QUJD"' in text
    assert ":root { --ink: #1c2733;" in text


def test_what_is_missing_is_refused():
    with pytest.raises(UndefinedError, match="'tables' is undefined"):
        page_template("comparison.html.j2").render(**SHOWN)


@pytest.mark.parametrize(
    ("text", "first", "rest"),
    [
        ("One. Two. Three: 0.5. Four?", "One. Two.", "Three: 0.5. Four?"),
        ("One? Two! δ is three.", "One? Two!", "δ is three."),
        ("Heller et al. (2021) say so, e.g. here. Two.", "Heller et al. (2021) say so, e.g. here. Two.", ""),
        ("One.", "One.", ""),
    ],
)
def test_two_sentences_stand_there_and_the_others_are_there_when_asked(text, first, rest):
    assert halved(text) == (first, rest)


def test_the_answers_look_on_pages_as_in_the_figure_of_the_ladder():
    text = page_template("comparison.html.j2").render(**SHOWN, tables=[])
    for answer in ANSWERS.values():
        assert f".answer.{answer.kind} {{ color: {answer.colour}; }}" in text
