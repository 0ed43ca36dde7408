"""The text of a pre-registration, from the study's settings and the code that runs them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from saliency_stats import __version__
from saliency_stats.commands.init import templates
from saliency_stats.compartments.ways import cell_words
from saliency_stats.errors import StorageError
from saliency_stats.execution.files import write_text
from saliency_stats.report.registration import time_words
from saliency_stats.report.words import (
    CONTRAST_WORDS,
    architecture_words,
    check_words,
    count,
    magnification_words,
    model_words,
    ratio_interval,
)
from saliency_stats.saliency.controls import control_of
from saliency_stats.saliency.methods import method_of, words_of
from saliency_stats.settings import parse, yaml_text
from saliency_stats.settings.cohort import SlidesSection
from saliency_stats.settings.study import StudySettings
from saliency_stats.statistics import registry
from saliency_stats.statistics.ladder import RUNGS, SIDES
from saliency_stats.statistics.questions import Question
from saliency_stats.statistics.selection import ALL_PATCHES
from saliency_stats.statistics.sentences import CORRECTIONS, claim_words
from saliency_stats.study import Study, parameters
from saliency_stats.study.elsewhere import reach_of, resolved
from saliency_stats.study.look import least_units, limits
from saliency_stats.study.planned import planned, primary
from saliency_stats.study.registration import decisive, list_sha256, now, path_of, sealed
from saliency_stats.vocabulary import TRAINED

_UNITS: Final = {
    "auto": "the patient, where a patient has several slides, else the slide",
    "slide": "the slide",
    "patient": "the patient",
}


def preregister(study: Path) -> Path:
    """Write the pre-registration of a study file beside it.

    Raises
    ------
    StorageError
        If there is one.
    SaliencyStatsError
        If the study cannot be run as it stands, or its list of patches or slides cannot be read.
    """
    study = study / "study.yaml" if study.is_dir() else study
    settings, target = Study.from_yaml(study).settings, path_of(study)
    if target.exists():
        raise StorageError(
            f"{target} exists already and is not overwritten: a registration is made once. Move it away to register "
            "anew; reports tell its date"
        )
    # as they are typed: what is registered holds wherever the folder is moved
    written = resolved(parse(yaml_text.read(study), str(study)))
    about = {"registered": now(), "version": __version__, "list_sha256": list_sha256(settings)}
    text = (
        templates(trimmed=True)
        .get_template("preregistration.md.j2")
        .render(
            **_facts(settings),
            **about,
            settings=written,
            date=time_words(about["registered"]),
            study=study.name,
            kept=target.name,
            block=yaml_text.write({**about, "study": decisive(written)}),
        )
    )
    write_text(target, sealed(text))
    return target


def _facts(settings: StudySettings) -> dict[str, Any]:
    listed, magnifications = _listed(settings)
    asked = planned(settings, magnifications)
    hypotheses, plan, classes = primary(asked), parameters.plan_of(settings), settings.cohort.two_classes
    judged = settings.statistics
    margin = judged.equivalence_margin
    sides = dict(zip(("more", "less"), SIDES, strict=True))
    reach = reach_of(settings)
    return {
        "claims": [claim_words(one.label, one.magnification, classes) for one in hypotheses],
        "needed": [RUNGS[rung].format(**sides) for rung in reach.needed],
        "reported": [question.format(**sides) for rung, question in RUNGS.items() if rung not in reach.needed],
        "limits": list(limits(settings)),
        "margin": ratio_interval(-margin, margin),
        "listed": listed,
        "split": parameters.split_fractions(settings)["fractions"],
        "classifier": architecture_words(settings.classifier.architecture),
        "networks": len(parameters.all_networks(settings)),
        "own": plan.own(),
        "methods": [words_of(method_of(name)) for name in plan.methods],
        "controls": _controls(settings.controls),
        "cells": cell_words(settings.compartments.cells, settings.compartments.cytoplasm_um),
        "unit": _UNITS[judged.unit],
        "deciding": registry.words_of(parameters.deciding_test(settings)),
        "correction": CORRECTIONS[judged.correction],
        "least": least_units(settings, len(hypotheses)),
        "families": list(_families(settings, asked)),
    }


def _controls(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of the controls under what they are: several maps of the image alone are of one kind."""
    found: dict[str, list[str]] = {}
    for one in map(control_of, names):
        found.setdefault(one.words, []).append(one.name)
    return found


def _listed(settings: StudySettings) -> tuple[str, Sequence[float]]:
    """Say what is listed, and at which magnifications; slides are not opened."""
    section = settings.cohort
    if isinstance(section, SlidesSection):
        at = ", ".join(map(magnification_words, section.magnifications))
        most = f"at most {count(section.patches_per_slide, 'place')} of a slide, {section.size_px} px wide, at {at}"
        return most, section.magnifications
    table = parameters.cohort_of(settings).table
    called = section.two_classes.name
    counts = ", ".join(
        f"{count(len(rows), 'patch')} ({called(str(label))}, {magnification_words(at)}) of {_slides(rows)}"
        for (at, label), rows in table.groupby(["magnification", "label"])
    )
    return counts, sorted(table["magnification"].unique())


def _slides(rows: pd.DataFrame) -> str:
    known = rows.loc[rows["slide_id"] != "", "slide_id"].nunique()
    return count(known, "slide") if known else "unknown slides"


def _families(settings: StudySettings, asked: Sequence[Question]) -> Iterator[tuple[str, str, str, int]]:
    """Yield each family: its name, its contrasts, whose they are, and how many hypotheses it has at most."""
    chosen = settings.statistics_parameters("slide")
    benign, malignant = chosen.classes.names
    for family in chosen.family_order:
        members = [one for one in asked if chosen.family_of(one.hypothesis) == family]
        contrasts = dict.fromkeys(
            (
                CONTRAST_WORDS.get(one.contrast, "").format(benign=benign, malignant=malignant)
                or check_words(one.contrast)
            )
            + (f", {ALL_PATCHES}" if one.population == ALL_PATCHES else "")
            for one in members
        )
        whose = dict.fromkeys("trained network" if one.model == TRAINED else model_words(one.model) for one in members)
        if members:
            yield family, "; ".join(contrasts), "; ".join(whose), len(members)
