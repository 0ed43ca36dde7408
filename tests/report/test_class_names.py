"""People see the study's names of the two classes wherever a report, a paper or a comparison speaks of them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from matplotlib.text import Text

from saliency_stats.report import html
from saliency_stats.report.compare import class_names, compare_runs
from saliency_stats.report.figures.draw import FIGURES
from saliency_stats.report.figures.style import house_style
from saliency_stats.report.html import render_html
from saliency_stats.report.ladder import ladder_tables
from saliency_stats.report.paper import write_paper
from saliency_stats.report.run import Run
from saliency_stats.report.tables.checks import check_tables
from saliency_stats.report.tables.contrasts import contrast_tables
from saliency_stats.report.tables.magnification import magnification_tables
from saliency_stats.report.tables.patches import patch_tables

MakeRun = Callable[..., Path]
NAMES = ("xanthic", "Zygotic HG")
#: A run of several magnifications and networks has most figures and tables.
SIZE = {"slides": 4, "patches": 4, "magnifications": (10.0, 20.0), "networks": 2, "chance": (10.0,)}


def said(run: Run) -> Iterator[str]:
    """Everything that a report says, figure by figure and table by table."""
    with house_style():
        for spec in FIGURES:
            if spec.wanted(run):
                yield from (text.get_text() for text in spec.draw(run).findobj(Text))
                yield spec.caption(run)
    tables = (*ladder_tables(run), *contrast_tables(run), *check_tables(run), *magnification_tables(run))
    tables = (*tables, *patch_tables(run))
    yield from map(str, tables)
    yield render_html(run, (), tables)
    write_paper(run, (), tables)
    yield from (path.read_text(encoding="utf-8") for path in sorted((run.folder / "paper").rglob("*.tex")))


def renamed(text: str) -> str:
    """Give the classes the names of the contract again."""
    text = text.replace(f"probability of {NAMES[1]}", "probability of malignancy").replace("Xanthic", "Benign")
    return text.replace(NAMES[0], "benign").replace(NAMES[1], "malignant")


def test_nothing_else_than_the_names_differs(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Takes about 20 s: every figure of two runs."""
    monkeypatch.setattr(html.study_file, "dump", lambda _: "")  # the study file is quoted as it stands
    usual = list(said(Run(make_run(tmp_path / "usual", **SIZE))))
    named = list(said(Run(make_run(tmp_path / "named", **SIZE, classes=NAMES))))
    assert sum(NAMES[0] in text for text in named) > 20
    assert not [text for text in named if "benign" in text or "Benign" in text or "malignan" in text]
    # a sentence that begins with the second name begins with a large letter anyway
    assert [renamed(text) for text in named] == [text.replace("Malignant", "malignant") for text in usual]


def test_tables_of_a_run_keep_the_names_of_the_contract(make_run: MakeRun, tmp_path: Path) -> None:
    run = Run(make_run(tmp_path, slides=3, patches=3, classes=NAMES))
    assert run.labels == ("benign", "malignant")
    assert {one["label"] for one in run.verdict} == {"benign", "malignant"}
    assert any("Zygotic HG patches" in json.dumps(one["claim"]) for one in run.verdict)
    assert run.place(20.0, "malignant") == "Zygotic HG, 20×"
    assert run.named(run.patches)["label"].drop_duplicates().tolist() == list(NAMES)


def test_runs_side_by_side_are_called_by_all_their_names(make_run: MakeRun, tmp_path: Path) -> None:
    size = {"slides": 3, "patches": 3}
    folders = [
        make_run(tmp_path / "a", **size),
        make_run(tmp_path / "b", **size, classes=NAMES),
        make_run(tmp_path / "c", **size, classes=NAMES),
    ]
    runs = {folder.name: Run(folder) for folder in folders}
    assert class_names(runs) == {"benign": "benign / xanthic", "malignant": "malignant / Zygotic HG"}
    found = compare_runs(folders, tmp_path / "out")
    assert {line.split(",")[1] for line in found.table.read_text(encoding="utf-8").splitlines()[1:]} == {
        "benign",
        "malignant",
    }
    assert any(text.startswith("The claim for malignant / Zygotic HG patches") for text in found.sentences)
    alone = compare_runs(folders[1:], tmp_path / "alone")
    assert "benign" not in " ".join(alone.sentences)
    page = alone.page.read_text(encoding="utf-8")
    assert "Zygotic HG" in page
    assert "malignant" not in page
