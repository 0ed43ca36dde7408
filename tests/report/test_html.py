"""The page: what each badge says, which reason stands under which verdict, and what is where."""

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from saliency_stats.report.calibration import calibration
from saliency_stats.report.figures.draw import FIGURES, DrawnFigure
from saliency_stats.report.html import _SECTIONS, render_html
from saliency_stats.report.run import Run
from saliency_stats.report.tables.table import Table

Blank = Callable[..., Run]
Rows = Callable[..., pd.DataFrame]

VERDICT: dict[str, Any] = {
    "contrast": "cytoplasm_vs_nucleus",
    "label": "malignant",
    "magnification": 20.0,
    "method": "gradient",
    "reduction": "l2",
    "status": "supported",
    "sentence": "It holds.",
    "reasons": ["first reason"],
    "learned": True,
    "estimate": 1.0,
    "ci_low": 0.0,
    "ci_high": 2.0,
    "p_adjusted": 0.012,
    "n_slides": 7,
    "n_patches": 1234,
    "claim": "it is so",
    "obstacle": "",
    "p_words": "p = 0.012",
}


class Badge:
    """One badge, and what stands under its heading."""

    def __init__(self, page: str, number: int) -> None:
        badge = re.findall(r'<li class="badge (\w+)">(.*?)</li>', page, re.DOTALL)[number]
        self.colour = badge[0]
        self.where, self.words, self.numbers = (unescape(text) for text in re.findall(r"<p[^>]*>(.*?)</p>", badge[1]))
        details = page[page.index("Each hypothesis in words") : page.index('<nav class="contents"')]
        heading, rest = re.split("<h3>", details)[number + 1].split("</h3>")
        self.heading = unescape(heading)
        self.sentence = unescape(re.findall(r"<p>(.*?)</p>", rest)[0])
        self.reasons = [unescape(text) for text in re.findall(r"<li>(.*?)</li>", rest)]


def page_of(run: Run, figures: Any = (), tables: Any = ()) -> str:
    return render_html(run, figures, tables)


@pytest.fixture
def make(blank_run: Blank, rows_of: Rows, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """A run of two judged patches a slide and ten slides, with the given verdicts."""
    # the sentence itself is that of the statistics, and tested there
    monkeypatch.setattr(
        "saliency_stats.report.html.headline", lambda verdicts, _: f"{len(verdicts)} verdicts in a line"
    )

    def made(*verdicts: dict[str, Any], contrasts: Any = None, **options: Any) -> Run:
        keys = [
            (label, str(slide), f"{label}{slide}{k}")
            for label in ("malignant", "benign")
            for slide in range(10)
            for k in (0, 1)
        ]
        rows = [{"label": label, "slide_id": slide, "patch_id": name} for label, slide, name in keys]
        at: dict[str, Any] = {"magnification": 20.0, "split": "test"}
        predictions = rows_of("predictions", *rows, **at, model="trained", correct=True)
        predictions["predicted"] = predictions["label"]
        predictions["p_malignant"] = (predictions["label"] == "malignant").astype(float)
        tested = {"contrast": "cytoplasm_vs_nucleus", "model": "trained", "method": "gradient", "reduction": "l2"}
        default = rows_of(
            "contrasts",
            {"label": "malignant", "test": "sign_flip", "n_units": 10, "icc": 0.2, "p_value": 0.01},
            {"label": "malignant", "test": "t_slide_means", "n_units": 50, "icc": 0.2, "p_value": 0.01},
            **tested,
            magnification=20.0,
        )
        ledger = rows_of("ledger", *rows, **at, model="trained", method="gradient", reduction="l2")
        return blank_run(
            patches=rows_of("patches", *rows, **at, status="used"),
            predictions=predictions,
            ledger=ledger,
            contrasts=default if contrasts is None else contrasts,
            metrics=rows_of("metrics", {**at, "model": "trained", "learned": True, "balanced_accuracy": 0.9}),
            verdict=list(verdicts),
            **options,
        )

    return made


def test_each_verdict_has_its_badge_and_its_reasons(make: Callable[..., Run]) -> None:
    untested = {"estimate": None, "ci_low": None, "p_adjusted": None, "n_slides": 0, "n_patches": None}
    run = make(
        VERDICT,
        {**VERDICT, **untested, "label": "benign", "status": "not_testable", "sentence": "No.", "reasons": ["b", "c"]},
    )
    page = page_of(run)
    errs = calibration("sign_flip", 10, 0.2, patches_per_unit=(2, 2))
    assert errs is not None
    assert '<p class="headline">2 verdicts in a line</p>' in page
    first, second = Badge(page, 0), Badge(page, 1)
    assert (first.where, first.colour, first.words) == ("Malignant patches, 20×", "supported", "Supported")
    assert first.numbers == (
        "cytoplasm : nucleus 2.00 · 95 % interval 1.00–4.00 · adjusted p = 0.012 · the test rejects a true null in"
        f" {100 * errs.normal:.1f} % · 7 slides · 1,234 patches"
    )
    assert first.heading == "Malignant patches, 20×: Supported"
    assert first.sentence == "It holds."
    simulated = "In simulations at 5 % it rejects a true null hypothesis"
    assert first.reasons == [
        "first reason",
        f"sign-flip over slides: confirmatory at this number of slides. {simulated} in {errs.words}",
    ]
    assert (second.where, second.colour, second.words) == ("Benign patches, 20×", "not_testable", "Not testable")
    assert second.numbers == "nothing measured"
    assert (second.sentence, second.reasons) == ("No.", ["b", "c"])


def test_few_slides_make_the_test_supporting(make: Callable[..., Run], rows_of: Rows) -> None:
    run = make(VERDICT)
    few = run.changed(contrasts=run.contrasts.assign(n_units=6))
    few.__dict__["verdict"] = run.verdict
    assert "only supporting (see the table of all tests) at this number of slides" in Badge(page_of(few), 0).reasons[1]
    twice = make(VERDICT, contrasts=pd.concat([run.contrasts, run.contrasts]))
    assert Badge(page_of(twice), 0).reasons == ["first reason"]


def test_the_error_in_the_run_s_own_design_stands_under_the_verdict_it_is_of(
    make: Callable[..., Run], rows_of: Rows
) -> None:
    own = {"label": "malignant", "magnification": 20.0, "test": "sign_flip", "design": "7 slides of 9 patches"}
    own |= {"type_1_error": 0.051, "low": 0.042, "high": 0.061, "simulations": 2_000.0}
    at_chance = {**VERDICT, "learned": False, "status": "not_testable"}
    made = make(VERDICT, {**VERDICT, "label": "benign"}, at_chance, {**VERDICT, "method": "lrp"})
    run = made.changed(calibration=rows_of("calibration", own))
    run.__dict__["verdict"] = made.verdict
    said = "in studies like this one (7 slides of 9 patches) in which there is nothing to find, sign-flip over slides"
    assert Badge(page_of(run), 0).reasons[-1].startswith(said)
    for other in (1, 2, 3):
        assert not any("like this one" in reason for reason in Badge(page_of(run), other).reasons)
    assert not any("like this one" in reason for reason in Badge(page_of(make(VERDICT)), 0).reasons)


def test_a_classifier_at_chance_has_no_ratio(make: Callable[..., Run]) -> None:
    badge = Badge(page_of(make({**VERDICT, "learned": False, "n_patches": 0, "p_adjusted": None})), 0)
    assert badge.numbers.startswith("classifier not shown to have learned · 95 % interval 1.00–4.00 · the test rejects")
    assert badge.numbers.endswith("7 slides · no patches")


def test_another_method_is_named_in_its_words(make: Callable[..., Run]) -> None:
    record = {"methods": {"gradient": {"words": "gradient"}, "grad_cam": {"words": "Grad-CAM"}}}
    other = {**VERDICT, "method": "grad_cam", "reduction": "none", "status": "my_status"}
    badge = Badge(page_of(make(other, record=record)), 0)
    assert badge.where == "Malignant patches, 20× (Grad-CAM, none)"
    assert (badge.colour, badge.words) == ("not_testable", "my_status")
    assert "rejects a true null" not in badge.numbers


def test_the_summary_says_what_was_studied(make: Callable[..., Run]) -> None:
    run = make(VERDICT, study={"saliency": {"reduction": "max"}})
    assert (
        "40 patches, 10 slides, at 20×. Classifier: DenseNet-201. Saliency: gradient (max over the colour channels)."
        in page_of(run)
    )
    patches = run.patches.assign(slide_id="", status=["excluded"] + ["used"] * 39)
    other = run.changed(patches=patches, ledger=run.ledger.assign(reduction="none"))
    other.__dict__["verdict"] = []
    page = page_of(other)
    assert "39 patches, slides unknown, at 20×. Classifier: DenseNet-201. Saliency: gradient." in page
    assert "Each hypothesis in words" not in page


def test_what_must_be_known_first_stands_above_the_badges(make: Callable[..., Run]) -> None:
    run = make(VERDICT)
    page = page_of(run)
    assert 'class="first"' not in page
    unknown = run.changed(patches=run.patches.assign(slide_id=""))
    unknown.__dict__["verdict"] = run.verdict
    page = page_of(unknown)
    assert page.count("Slides are unknown") == 1
    assert page.index('<p class="headline">') < page.index("Slides are unknown") < page.index('<ul class="badges">')
    assert page.index("<dt>No control network</dt>") > page.index('<h2 id="caveats">')


def test_figures_are_numbered_through_their_questions(make: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"ABC")
    drawn = [
        DrawnFigure(
            name, f"Title of {name}", f"First of {name}. Second. Third.", tmp_path / "a.png", tmp_path / "a.pdf"
        )
        for name in ("flow", "forest", "profile", "examples")
    ]
    tables = [Table(name, f"Table {name}", "", ("A",), (("x",),), 1) for name in ("exclusions", "contrasts", "metrics")]
    page = page_of(make(VERDICT), drawn, tables)
    captions = re.findall(r"<strong>Figure (\d+)\. Title of (\w+)\.</strong> (.*?)</figcaption>", page)
    order = ["examples", "profile", "forest", "flow"]
    more = '<details class="printed"><summary>More on figure {}</summary>Third.</details>'
    assert captions == [
        (str(k), name, f"First of {name}. Second.{more.format(k)}") for k, name in enumerate(order, start=1)
    ]
    images = re.findall(r'<figure id="figure-(\w+)">.*?src="data:image/png;base64,(\w+)" alt="(.*?)"', page, re.DOTALL)
    assert images == [(name, "QUJD", f"Title of {name}. First of {name}.") for name in order]
    shown = re.findall(r'<h3>([^<]*\?)</h3>|<div class="table" id="table-(\w+)">', page)
    assert [title or table for title, table in shown] == [
        *("Where did the classifier look?", "How sure is that?", "contrasts", "Is the classifier any good?", "metrics"),
        *("Which patches were judged?", "exclusions"),
    ]


def _facts(page: str) -> dict[str, str]:
    return {key: unescape(text) for key, text in re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', page)}


def test_how_it_was_made_is_quoted_from_the_record(make: Callable[..., Run]) -> None:
    record = {
        "command": "saliency-stats run 'my study.yaml' --set seed=3",
        "device": "cpu",
        "determinism": {"algorithms": True, "threads": {"torch": 1}},
        "seconds": {"cohort": 1.25, "train": 2.0, "report": 9.0},
        "versions": {"torch": "2.4.0"},
        "inputs": {"a.png": "ab"},
        "weights": {"w": "cd"},
    }
    facts = _facts(page_of(make(VERDICT, record=record)))
    assert facts["Command"] == "saliency-stats run 'my study.yaml' --set seed=3"
    assert (facts["Seed"], facts["Device"], facts["Machine"]) == ("7", "cpu", "not recorded")
    assert facts["Determinism"] == "algorithms True, threads torch 1"
    assert (facts["cohort"], facts["train"], facts["all stages"]) == ("1.2", "2.0", "3.2")
    assert "report" not in facts
    assert (facts["torch"], facts["inputs / a.png"], facts["weights / w"]) == ("2.4.0", "ab", "cd")


def test_what_is_not_recorded_is_said(make: Callable[..., Run]) -> None:
    page = page_of(make(VERDICT, record={}))
    facts = _facts(page)
    assert {facts[name] for name in ("Command", "Device", "Determinism", "Machine")} == {"not recorded"}
    assert "all stages" not in facts
    assert page.count("<p>not recorded</p>") == 2  # versions and seconds
    assert "cohort:\n  fractions:" in unescape(page)


# --- the ladder -------------------------------------------------------------------------------------


def _rung(rung: str, answer: str, **more: Any) -> dict[str, Any]:
    return {"rung": rung, "question": f"{rung}?", "answer": answer, "numbers": "", "why": "", "parts": []} | more


def _text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def test_every_figure_has_its_place_on_the_page_but_the_ladder_which_stands_there_as_a_table() -> None:
    placed = [name for _, names, _ in _SECTIONS for name in names]
    assert sorted([*placed, "ladder"]) == sorted(spec.name for spec in FIGURES)


PART = {"name": "a_part", "estimate": 1.0, "ci_low": 0.0, "ci_high": 2.0, "p_value": 0.5, "answer": "no"}
RUNGS = [
    _rung("maps", "yes", numbers="1.69 <times>", parts=[PART]),
    _rung("training", "no", why="as much", parts=[PART, PART]),
]


def test_the_ladder_is_the_first_thing_under_the_headline(make: Callable[..., Run]) -> None:
    page = page_of(make({**VERDICT, "survives": RUNGS}))
    order = ('class="claim"', 'class="headline"', 'id="ladder"', 'class="badges"', 'id="evidence"')
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    ladder = page[places[2] : places[3]]
    assert 'class="matrix"' not in ladder  # of one hypothesis the list says all
    assert _text(re.findall(r"<summary>(.*?)</summary>", ladder)[0]) == "Malignant patches, 20×: Supported"
    first, second = re.findall(r'<li class="(\w+)">(.*?)</li>', ladder, re.DOTALL)
    assert (first[0], second[0]) == ("yes", "no")
    assert _text(first[1]) == "maps? ✓ yes 1.69 <times>"  # the numbers say all of a single part
    heads = "Its parts (2) Compared with Estimate Interval p Answer"
    part = "a part 2.00 1.00–4.00 p = 0.5 no"
    assert _text(second[1]) == f"training? ✗ no As much {heads} {part} {part}"
    assert '<details class="rungs printed" open>' in ladder


def test_several_hypotheses_stand_side_by_side(make: Callable[..., Run]) -> None:
    doubtful = [_rung("maps", "could not have been found"), _rung("training", "not tested")]
    verdicts = [
        {**VERDICT, "survives": RUNGS},
        {**VERDICT, "label": "benign", "status": "present_without_training", "survives": doubtful},
    ]
    page = page_of(make(*verdicts))
    matrix = page[page.index('class="matrix"') :]
    rows = [_text(row) for row in re.findall(r"<tr.*?>(.*?)</tr>", matrix[: matrix.index("</table>")], re.DOTALL)]
    assert rows == [
        "Question Malignant patches, 20× Benign patches, 20×",
        "1. maps? ✓ yes ? could not have been found",
        "2. training? ✗ no — not tested",
        "The verdict Supported Present without training",
    ]
    # the table says it at a glance: the numbers are there when asked for
    assert page.count('<details class="rungs printed">') == 2
    assert 'class="badge present_without_training"' in page


def test_a_verdict_that_was_asked_nothing_has_no_ladder(make: Callable[..., Run]) -> None:
    assert 'id="ladder"' not in page_of(make(VERDICT))
