"""The pages: short in front, links that lead somewhere, small pictures, the words of the code."""

import re
from pathlib import Path

import pytest
import yaml

from saliency_stats.report.ladder import RUNG_WORDS
from saliency_stats.report.words import STATUS_WORDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "analyses/README.md",
    ROOT / "saliency_stats/compartments/models/README.md",
    *sorted(page for page in DOCS.rglob("*.md") if "generated" not in page.parts and "_build" not in page.parts),
]


def test_the_front_page_is_short():
    assert len(README.split()) <= 700


def test_the_front_page_has_the_command_that_runs_the_tests():
    line = next(line for line in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines() if "pytest" in line)
    assert line.replace("--quiet ", "") in README


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "understanding/verdict.md"], ids=lambda page: page.name)
def test_the_ladder_has_the_rungs_of_the_code(page):
    rows = re.findall(r"^\| `?(\w+)`? \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if row in RUNG_WORDS] == list(RUNG_WORDS)


def test_every_status_is_explained():
    text = (DOCS / "understanding/verdict.md").read_text(encoding="utf-8")
    assert all(f"| `{status}` |" in text for status in STATUS_WORDS)


def anchors(page: Path) -> set[str]:
    """What a link may name in a page: its headings as GitHub and MyST spell them."""
    found: dict[str, int] = {}
    bare = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    names = set()
    for heading in re.findall(r"^#+ (.+)$", bare, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")
        names.add(slug if slug not in found else f"{slug}-{found[slug]}")
        found[slug] = found.get(slug, 0) + 1
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page, extension):
    links = extension("repository_links").LINK.finditer(page.read_text(encoding="utf-8"))
    for path, _, anchor in (link["target"].partition("#") for link in links):
        if ":" in path:
            continue
        target = (page.parent / path) if path else page
        assert target.exists(), f"there is no {path}"
        # what is generated or included has its headings elsewhere
        if anchor and "```{include}" not in target.read_text(encoding="utf-8"):
            assert anchor in anchors(target), f"{path} has no heading {anchor}"


def test_pictures_are_small():
    sizes = {picture.name: picture.stat().st_size for picture in (DOCS / "images").iterdir()}
    assert {name for name, size in sizes.items() if size >= 300_000} == set()
    assert sum(sizes.values()) < 2_000_000


def test_every_picture_is_shown():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = {first or second for first, second in re.findall(r"docs/images/([\w.]+)|\(images/([\w.]+)", text)}
    assert {picture.name for picture in (DOCS / "images").iterdir()} == shown


def test_the_citation_asks_for_the_version_and_names_none():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert "version" not in citation
    assert "saliency-stats --version" in citation["message"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
