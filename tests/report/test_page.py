"""Pages are escaped, and nothing that they need may be missing."""

import pytest
from jinja2 import UndefinedError

from saliency_stats.report.page import page_template
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
    assert '<p class="note">Note &amp; more</p>' in text
    assert "<p>all &lt;the&gt; same</p>" in text
    assert 'src="data:image/png;base64,QUJD"' in text
    assert ":root { --ink: #1c2733;" in text


def test_what_is_missing_is_refused():
    with pytest.raises(UndefinedError, match="'tables' is undefined"):
        page_template("comparison.html.j2").render(**SHOWN)
