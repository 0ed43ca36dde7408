"""The whole report, from a run's folder into it: complete, the same again, and safe to open."""

import itertools
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from saliency_stats.errors import SaliencyStatsError, StorageError, StudyError
from saliency_stats.report.figures import draw as figures
from saliency_stats.report.figures import style
from saliency_stats.report.write import write_report
from saliency_stats.statistics import headline

HOSTILE = '<script>alert("x")</script>'
#: Figures of every run; others are drawn where a run has what they are about.
OPTIONAL = [
    *("magnification", "magnification_compartments", "networks", "slides"),
    *("causal", "separation", "ablation_curves", "controls", "methods", "segmentations", "multiverse"),
]
#: Drawn for a paper: on the page a table says the same.
FOR_PAPER = ("ladder",)
NAMES = [spec.name for spec in figures.FIGURES if spec.name not in OPTIONAL]


MakeRun = Callable[..., Path]


class Page(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def drawn(run_folder: Path) -> Path:
    return write_report(run_folder)


@pytest.fixture(scope="module")
def page(drawn: Path) -> Page:
    return Page(drawn.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_there_and_shows_something(drawn: Path, name: str) -> None:
    folder = drawn.parent / "figures"
    with Image.open(folder / f"{name}.png") as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] == 1400
    assert np.unique(pixels).size > 50
    assert (pixels < 128).mean() > 0.003
    pdf = (folder / f"{name}.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"CreationDate" not in pdf
    # Type 3 fonts cannot be edited and are refused by journals
    assert b"/Subtype /Type3" not in pdf


def test_drawing_again_gives_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    left_out = shutil.ignore_patterns("figures", "paper", "report.html", "explore.html")
    shutil.copytree(drawn.parent, again, ignore=left_out)
    write_report(again)
    written = [path for folder in ("figures", "paper") for path in sorted((drawn.parent / folder).iterdir())]
    assert len(written) > 2 * len(NAMES)
    for path in [*written, drawn, drawn.with_name("explore.html")]:
        assert path.read_bytes() == (again / path.relative_to(drawn.parent)).read_bytes(), path.name


def test_the_page_states_the_verdict_first(page: Page, drawn: Path) -> None:
    verdicts = json.loads((drawn.parent / "verdict.json").read_text(encoding="utf-8"))
    sentence = headline(verdicts)
    assert sentence in page.text
    assert page.text.index(sentence) < page.text.index("Evidence")
    assert page.text.index("Caveats", page.text.index("Evidence") + 40) < page.text.rindex("How to reproduce")
    for verdict in verdicts:
        assert verdict["sentence"] in page.text


def test_the_page_loads_nothing_from_elsewhere(page: Page) -> None:
    sources = [value for _, attributes in page.tags for key, value in attributes.items() if key in {"src", "href"}]
    assert len(sources) > len(NAMES)
    assert all(
        str(source).startswith(("data:image/png;base64,", "#")) for source in sources if source != "explore.html"
    )
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base"}
    css = page.text[: page.text.index("Saliency report")] if "url(" in page.text else ""
    assert "url(" not in css
    assert "@import" not in page.text


def test_the_page_escapes_what_the_tables_hold(page: Page, drawn: Path) -> None:
    # the hostile words of a reason of exclusion are shown as words ...
    assert HOSTILE in page.text
    assert "simulated_study.and-co" in page.text
    # ... and never as a tag
    assert HOSTILE not in drawn.read_text(encoding="utf-8")


def test_the_page_can_be_heard(page: Page) -> None:
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == len(NAMES) - len(FOR_PAPER)
    assert all(len(str(image["alt"])) > 40 for image in images)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    # no level is skipped on the way down
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert ("html", {"lang": "en"}) in page.tags


#: Opens what is closed, and finds what sticks out of the page and not into what scrolls.
WIDE = """
document.querySelectorAll("details").forEach((one) => { one.open = true; });
const edge = document.documentElement.clientWidth, wide = document.documentElement.scrollWidth - edge;
const sticks = (one) => one.getBoundingClientRect().right > edge + 1 && !one.closest(".scroll, .picture, pre");
const out = [...document.querySelectorAll("body *")].filter(sticks).map((one) => one.outerHTML.slice(0, 80));
const found = { edge, wide, out };
"""


@pytest.mark.parametrize("width_px", [375, 768, 1280])
def test_the_page_is_no_wider_than_the_window(drawn: Path, browser: Any, width_px: int) -> None:
    found = browser.asked(drawn, WIDE, width_px)
    assert width_px - 20 < found["edge"] <= width_px
    assert (found["wide"], found["out"]) == (0, [])


def test_the_page_quotes_the_manifest(page: Page) -> None:
    for words in ("torch 2.4.0", "saliency-stats run study.yaml", "classifier 118.0", "all stages 161.8", "cd" * 32):
        assert words in page.text
    assert "not recorded" in page.text  # the determinism flags, which this manifest lacks


def _sketch(figure: Figure, path: Path) -> Path:
    """Draw a figure coarsely and in one format: other runs are about what is drawn, not how finely."""
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".png":
        figure.set_layout_engine("none")
        figure.savefig(path, dpi=30)
    return path


VARIANTS: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    "unknown slides at two magnifications": (
        {"known_slides": False, "magnifications": (10.0, 20.0)},
        (
            *("Slides are unknown", "The split cannot be checked", "slides unknown", "Benign patches, 10×"),
            *("How does it change with magnification?", "One model of all magnifications"),
        ),
        ("adjusted p =", "Few slides"),
    ),
    "one label": (
        {"labels": ("benign",)},
        ("Benign patches, 20×", "nothing measured · no patches"),
        ("malignant, 20×", "How does it change with magnification?"),
    ),
    "no control and no manifest": (
        {"control": False, "manifest": False},
        ("No control network", "not recorded"),
        ("randomised control", "2.4.0"),
    ),
    "nothing selected": (
        {"nothing_correct": True},
        ("Most patches are not judged", "Nothing could be drawn"),
        ("What the judged patches consist of",),
    ),
    "several networks": (
        {"networks": 2},
        (
            "Networks as a sample",
            "What the finding survives",
            "Trained: 2 networks",
            "The same contrast, asked otherwise",
        ),
        ("this network",),
    ),
    "chance": (
        {"learned": False, "patches": 8},
        ("At 20× the classifier is not shown to beat chance", "classifier not shown to have learned ·"),
        ("adjusted p =",),
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_other_runs_are_reported_too(
    name: str, tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "save", _sketch)
    properties, present, absent = VARIANTS[name]
    told: list[str] = []
    folder = make_run(tmp_path / "run", **({"slides": 3, "patches": 4} | properties))
    report = write_report(folder, progress=told.append)
    several = len(properties.get("magnifications", ())) > 1
    more = [*(OPTIONAL[:2] if several else []), *(["networks"] if "networks" in properties else [])]
    asked = any(verdict["survives"] for verdict in json.loads((folder / "verdict.json").read_text()))
    left_out = () if asked else FOR_PAPER
    names = [spec.name for spec in figures.FIGURES if spec.name in [*NAMES, *more] and spec.name not in left_out]
    assert told == [*(f"figure {name}" for name in names), "tables for a paper", "explore.html", "report.html"]
    text = Page(report.read_text(encoding="utf-8")).text
    for words in present:
        assert words in text
    for words in absent:
        assert words not in text
    drawn = {path.stem: path.stat().st_size for path in (report.parent / "figures").glob("*.png")}
    assert sorted(drawn) == sorted(names)
    assert min(drawn.values()) > 300


@pytest.fixture
def copied(small_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_folder, tmp_path / "run"))


def _drop_column(folder: Path) -> None:
    table = pd.read_csv(folder / "ledger.csv")
    table.drop(columns="mass_share").to_csv(folder / "ledger.csv", index=False)


def _spoil_number(folder: Path) -> None:
    table = pd.read_csv(folder / "ledger.csv", dtype=str)
    table.loc[0, "mass_share"] = "much"
    table.to_csv(folder / "ledger.csv", index=False)


def _spoil_flag(folder: Path) -> None:
    table = pd.read_csv(folder / "predictions.csv", dtype=str)
    table.loc[0, "correct"] = "perhaps"
    table.to_csv(folder / "predictions.csv", index=False)


def _misspell_confidence(folder: Path) -> None:
    path = folder / "study.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("min_confidence", "other"), encoding="utf-8")


def _spoil(name: str, content: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_text(content, encoding="utf-8")


DAMAGES: dict[str, tuple[Any, type[SaliencyStatsError], str]] = {
    "file": (lambda folder: (folder / "contrasts.csv").unlink(), StorageError, r"contrasts\.csv is not among the arte"),
    "column": (_drop_column, StorageError, r"ledger\.csv: the columns mass_share are missing"),
    "number": (_spoil_number, StorageError, r"ledger\.csv: column mass_share holds something that is no number"),
    "flag": (_spoil_flag, StorageError, r"predictions\.csv: column correct holds 'perhaps'"),
    "verdict": (_spoil("verdict.json", "{}"), StorageError, r"verdict\.json holds a dict, expected a list"),
    "text": (_spoil("verdict.json", "{"), StorageError, r"verdict\.json cannot be read as JSON \(Expecting"),
    "study": (_spoil("study.yaml", "- a"), StudyError, r"study\.yaml holds a list; expected sections"),
    "key": (_misspell_confidence, StudyError, r"study\.yaml: unknown key saliency\.other"),
    "example": (
        lambda folder: next((folder / "examples").iterdir()).write_bytes(b"x"),
        StorageError,
        r"this example of the run: .*npz cannot be read .* arrays image, saliency, compartments\. Run the study again",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_refused_by_name(damage: str, copied: Path, record: Callable[[Path], Path]) -> None:
    spoil, error, message = DAMAGES[damage]
    spoil(copied)
    with pytest.raises(StorageError, match="is not as the run left it"):
        write_report(copied)
    # of a version that wrote so
    with pytest.raises(error, match=message):
        write_report(record(copied))
    assert not (copied / "report.html").exists()


def test_no_folder_and_no_place_to_write(copied: Path) -> None:
    with pytest.raises(StorageError, match="no such folder"):
        write_report(copied / "nowhere")
    shutil.rmtree(copied / "figures", ignore_errors=True)
    (copied / "figures" / "examples.png").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"examples\.png"):
        write_report(copied)
