"""The report as one page: verdict, evidence, caveats, and how to reproduce it, with everything inside."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from saliency_stats import settings as study_file
from saliency_stats.report.calibration import Calibration, error_words
from saliency_stats.report.caveats import caveats
from saliency_stats.report.figures.draw import DrawnFigure
from saliency_stats.report.folder import NOT_RECORDED
from saliency_stats.report.ladder import hypothesis_words, ladders, reading
from saliency_stats.report.page import embedded, page_template
from saliency_stats.report.queries import leaves
from saliency_stats.report.registration import registered, registration_words
from saliency_stats.report.run import Run, records
from saliency_stats.report.tables.contrasts import calibration_of
from saliency_stats.report.tables.table import Table
from saliency_stats.report.words import (
    NONE,
    STATUS_WORDS,
    architecture_words,
    count,
    flat,
    magnification_words,
    p_sign,
    percent,
    ratio,
    ratio_interval,
)
from saliency_stats.statistics import PRIMARY, headline
from saliency_stats.statistics.registry import words_of
from saliency_stats.statistics.selection import UNLEARNED
from saliency_stats.vocabulary import NO_REDUCTION, TRAINED

_NAN: Final = float("nan")
#: Figures and tables by the question they answer; what is named nowhere here would not be shown.
_SECTIONS: Final = (
    (
        "Where did the classifier look?",
        ("examples", "density_ratio", "profile", "area_vs_mass", "ternary"),
        ("composition",),
    ),
    ("Does the decision depend on it?", ("causal", "separation", "ablation_curves"), ("importance",)),
    ("Is it the network, or the method?", ("networks", "controls", "methods", "segmentations", "multiverse"), ()),
    (
        "How sure is that?",
        ("forest",),
        ("contrasts", "networks", "checks", "effects", "compartments", "differences", "tests"),
    ),
    (
        "How does it change with magnification?",
        ("magnification", "magnification_compartments"),
        ("magnification_model",),
    ),
    ("Is the classifier any good?", ("roc_reliability", "training"), ("metrics",)),
    ("Which patches were judged?", ("slides", "flow"), ("selection", "exclusions")),
)


@dataclass(frozen=True)
class _Badge:
    """One hypothesis at a glance."""

    where: str
    status: str
    words: str
    numbers: str
    sentence: str
    reasons: tuple[str, ...]


def render_html(run: Run, figures: Sequence[DrawnFigure], tables: Sequence[Table]) -> str:
    """Write the page: HTML that loads nothing from anywhere else."""
    per_unit = run.patches_per_unit
    return page_template("report.html.j2").render(
        name=run.settings.name,
        summary=_summary(run),
        headline=run.typeset(headline(list(run.verdict), run.classes)),
        ladders=ladders(run),
        reading=reading(run),
        badges=[_badge(run, verdict, per_unit) for verdict in run.verdict],
        sections=list(_sections({figure.name: figure for figure in figures}, {table.name: table for table in tables})),
        caveats=caveats(run),
        reproduction=_reproduction(run),
        study=study_file.dump(run.settings),
    )


def _sections(figures: Mapping[str, DrawnFigure], tables: Mapping[str, Table]) -> Iterator[dict[str, Any]]:
    """Yield the questions that this run has figures or tables for; figures are numbered through."""
    number = itertools.count(1)
    for title, names, shown in _SECTIONS:
        drawn = [
            {
                "number": next(number),
                "title": figures[name].title,
                "caption": figures[name].caption,
                "alt": f"{figures[name].title}. {figures[name].caption.split('. ')[0].rstrip('.')}.",
                "data": embedded(figures[name].png.read_bytes()),
                "name": name,
            }
            for name in names
            if name in figures
        ]
        listed = [tables[name] for name in shown if name in tables]
        if drawn or listed:
            yield {"title": title, "figures": drawn, "tables": listed}


def _summary(run: Run) -> str:
    """Say in one line what was studied."""
    used = run.patches[run.patches["status"] == "used"]
    slides = used.loc[used["slide_id"] != "", "slide_id"].nunique()
    where = ", ".join(magnification_words(value) for value in run.magnifications)
    reduced = "" if run.reduction == NO_REDUCTION else f" ({run.reduction} over the colour channels)"
    return (
        f"{count(used['patch_id'].nunique(), 'patch')},"
        f" {count(slides, 'slide') if slides else 'slides unknown'}, at {where}. Classifier:"
        f" {architecture_words(str(run.settings.classifier.architecture))}"
        f"{f', {run.n_networks} networks' if run.n_networks > 1 else ''}. Saliency:"
        f" {run.words('methods', run.method)}{reduced}."
    )


def _badge(run: Run, verdict: Mapping[str, Any], per_unit: Mapping[tuple[float, str], tuple[int, int]]) -> _Badge:
    estimate, low, high, p_value = (
        _number(verdict.get(key)) for key in ("estimate", "ci_low", "ci_high", "p_adjusted")
    )
    # A ratio of a classifier that may have learned nothing would be read as a finding.
    learned = bool(verdict.get("learned", True))
    measured = f"cytoplasm : nucleus {ratio(estimate)}" if math.isfinite(estimate) else "nothing measured"
    parts = [measured if learned else f"classifier {UNLEARNED}"]
    if ratio_interval(low, high) != NONE:
        parts.append(f"{run.confidence_percent} interval {ratio_interval(low, high)}")
    if p_sign(p_value):
        parts.append(f"adjusted {p_sign(p_value)}")
    errs = _calibration(run, verdict, per_unit)
    if errs:
        parts.append(f"the test rejects a true null in {percent(errs.normal)}")
    if verdict.get("n_slides"):
        parts.append(count(float(verdict["n_slides"]), "slide"))
    if verdict.get("n_patches") is not None:
        parts.append(count(float(verdict["n_patches"]), "patch"))
    status = str(verdict.get("status", ""))
    return _Badge(
        where=hypothesis_words(run, verdict),
        status=status if status in STATUS_WORDS else "not_testable",
        words=STATUS_WORDS.get(status, status),
        numbers=" · ".join(parts),
        sentence=run.typeset(str(verdict.get("sentence", ""))),
        reasons=(*(run.typeset(str(reason)) for reason in verdict.get("reasons", ())), *_trust(run, errs, verdict)),
    )


def _calibration(
    run: Run, verdict: Mapping[str, Any], per_unit: Mapping[tuple[float, str], tuple[int, int]]
) -> Calibration | None:
    """Look up how often the verdict's test errs in studies of its size."""
    rows = run.own_contrasts[(run.own_contrasts["contrast"] == PRIMARY) & (run.own_contrasts["model"] == TRAINED)]
    named = {**verdict, "test": run.primary_test}
    for column in ("label", "magnification", "method", "reduction", "test"):
        rows = rows[rows[column] == named[column]]
    return calibration_of(records(rows)[0], per_unit) if len(rows) == 1 else None


def _trust(run: Run, errs: Calibration | None, verdict: Mapping[str, Any]) -> Iterator[str]:
    if errs:
        role = "confirmatory" if errs.confirmatory else "only supporting (see the table of all tests)"
        yield (
            f"{words_of(run.primary_test)}: {role} at this number of {run.unit}s. In simulations at 5 % it rejects a"
            f" true null hypothesis in {errs.words}"
        )
    if verdict.get("learned", True) and verdict["method"] == run.method:
        own = error_words(run.calibration, verdict["label"], verdict["magnification"])
        yield from [own] if own else []


def _reproduction(run: Run) -> dict[str, Any]:
    """Collect what is needed to repeat the run; what the manifest lacks is said to be not recorded."""
    facts = [
        ("Command", str(run.recorded("command"))),
        *([("Pre-registration", said)] if (said := registration_words(registered(run))) else []),
        ("Seed", str(run.settings.seed)),
        ("Device", flat(run.recorded("device"))),
        ("Determinism", flat(run.recorded("determinism"))),
        ("Machine", flat(run.recorded("machine"))),
    ]
    # Drawing this page is left out: its time is not known until the page is written.
    timings = {name: float(value) for name, value in run.recorded("seconds", {}).items() if name != "report"}
    seconds = [(str(stage), f"{value:.1f}") for stage, value in timings.items()]
    if seconds:
        seconds.append(("all stages", f"{sum(timings.values()):.1f}"))
    hashed = {name: run.recorded(name, {}) for name in ("inputs", "weights")}
    return {
        "facts": facts,
        "versions": [(str(name), str(value)) for name, value in run.recorded("versions", {}).items()],
        "timings": seconds,
        "hashes": list(leaves(hashed, separator=" / ")),
        "not_recorded": NOT_RECORDED,
    }


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else _NAN
