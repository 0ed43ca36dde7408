"""Cells of the page that compares runs."""

import re
from html import unescape

import pandas as pd
import pytest

from saliency_stats.report.compare import COMPARISON_COLUMNS
from saliency_stats.report.compare_page import render_comparison

ROW = {
    "run": "one",
    "label": "benign",
    "magnification": 20.0,
    "model": "trained",
    "contrast": "cytoplasm_vs_nucleus",
    "estimate": 1.0,
    "ci_low": 0.0,
    "ci_high": 2.0,
    "ratio": 2.0,
    "p_value": 0.012,
    "p_adjusted": 0.024,
    "n_slides": 7.0,
    "n_patches": 1234.0,
    "balanced_accuracy": 0.91234,
    "status": "tested",
    "verdict": "supported",
    "method": "gradient",
    "reduction": "l2",
    "test": "sign_flip",
    "reason": "",
}
NUMBERS = ["2.00", "1.00–4.00", "0.012", "0.024", "7", "1,234"]


@pytest.fixture
def page(blank_run, tmp_path):
    """Render rows of two runs, of which one calls its control by words of its own."""
    (tmp_path / "picture.png").write_bytes(b"ABC")
    runs = {
        "one": blank_run(record={"controls": {"randomised": {"words": "random weights"}}}),
        "two": blank_run(record={}),
    }

    def rendered(*rows, sentences=("It holds.",), differences=(("seed", "1", "2"),), level="95 %"):
        table = pd.DataFrame([{**ROW, **row} for row in rows], columns=list(COMPARISON_COLUMNS))
        return render_comparison(runs, table, sentences, differences, tmp_path / "picture.png", level)

    return rendered


def cells(text, name):
    table = text[text.index(f'id="table-{name}"') :]
    table = table[: table.index("</table>")]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)]
    return [[unescape(cell) for cell in row] for row in rows]


def note(text, name):
    after = text[text.index(f'id="table-{name}"') :].split("</table>")[1].split('class="table"')[0]
    found = re.search(r'<div class="note">(.*?)</div>', after)
    return unescape(found[1]) if found else ""


def test_the_primary_contrast_of_every_run(page):
    untested = {"verdict": "", "test": "my_test", "n_slides": 0.0, "balanced_accuracy": float("nan")}
    text = page(
        {},
        {"run": "two", "label": "malignant", "magnification": 2.5, **untested, "reason": "slides are few"},
        {"run": "two", "label": "benign", "reason": "slides are few"},
    )
    assert cells(text, "primary") == [
        [
            *("Class", "Magnification", "Run", "Verdict", "Test", "Ratio", "Interval", "p", "Adjusted p", "Slides"),
            *("Patches", "Balanced accuracy"),
        ],
        ["benign", "20×", "one", "Supported", "sign-flip over slides", *NUMBERS, "0.912"],
        ["malignant", "2.5×", "two", "—", "my test", *NUMBERS[:4], "—", "1,234", "—"],
        ["benign", "20×", "two", "Supported", "sign-flip over slides", *NUMBERS, "0.912"],
    ]
    assert note(text, "primary") == "Intervals: 95 %. two, malignant 2.5× and benign 20×: slides are few."


def test_networks_and_compartments_stand_in_their_own_tables(page):
    text = page(
        {},
        {"model": "randomised"},
        {"model": "trained-randomised", "run": "two"},
        {"contrast": "stroma_vs_rest", "estimate": -1.0},
        {"contrast": "stroma_vs_rest", "model": "randomised"},
    )
    assert [row[3] for row in cells(text, "networks")] == ["Network", "random weights control", "trained − randomised"]
    assert cells(text, "networks")[1][4:] == NUMBERS
    assert note(text, "networks") == "Trained − control: the ratio of the two ratios."
    assert [row[3:5] for row in cells(text, "compartments")] == [
        ["Contrast", "Ratio"],
        ["stroma : other tissue", "0.50"],
    ]
    assert len(cells(text, "primary")) == 2


def test_tables_without_rows_are_left_out(page):
    text = page({})
    assert 'id="table-networks"' not in text
    assert 'id="table-compartments"' not in text
    assert note(text, "primary") == "Intervals: 95 %."


def test_the_head_of_the_page(page):
    text = page({}, sentences=("It holds.", "Or not."), level="90 %")
    assert "2 runs: one, two." in text
    assert re.findall(r'<p class="headline">(.*?)</p>', text) == ["It holds.", "Or not."]
    assert "data:image/png;base64,QUJD" in text
    assert "90 %" in re.findall(r"<figcaption>(.*?)</figcaption>", text, re.DOTALL)[0]


def test_the_keys_that_differ(page):
    assert cells(page({}), "studies") == [["Key", "one", "two"], ["seed", "1", "2"]]
    text = page({}, differences=())
    assert "<p>The study files are the same in every key.</p>" in text
    assert 'id="table-studies"' not in text


def test_what_each_verdict_survives_stands_side_by_side(blank_run, tmp_path):
    (tmp_path / "picture.png").write_bytes(b"ABC")
    rung = {"question": "?", "numbers": "", "why": "", "parts": []}
    about = {"label": "malignant", "magnification": 20.0, "method": "gradient", "reduction": "l2"}
    rungs = [{**rung, "rung": "maps", "answer": "yes"}, {**rung, "rung": "picture", "answer": "no"}]
    one = {**about, "status": "explained_by_the_picture", "survives": rungs}
    other = {**about, "magnification": 5.0, "status": "supported", "survives": rungs[:1]}
    runs = {}
    for name, verdict in (("one", [one, other]), ("two", [one])):
        runs[name] = blank_run(verdict=verdict)
        assert runs[name].verdict == verdict
    table = pd.DataFrame([ROW], columns=list(COMPARISON_COLUMNS))
    text = render_comparison(runs, table, (), (), tmp_path / "picture.png", "95 %")
    heads, *rows = cells(text, "ladder")
    assert heads[:6] == ["Patches", "Run", "Verdict", "The maps", "Training", "The picture"]
    assert len(heads) == 3 + 8
    rest = ["—"] * 5
    assert rows == [
        ["Malignant patches, 5×", "one", "Supported", "yes", "—", "—", *rest],
        ["Malignant patches, 20×", "one", "Explained by the picture", "yes", "—", "no", *rest],
        ["Malignant patches, 20×", "two", "Explained by the picture", "yes", "—", "no", *rest],
    ]
