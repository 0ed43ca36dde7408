"""Commented study files to start from: one text for all kinds of cohort, its choices from the registries."""

from importlib import resources
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.cohort.phantom.signals import SIGNALS
from saliency_stats.errors import StorageError
from saliency_stats.execution.files import write_text
from saliency_stats.saliency import CONTROLS, METHODS, REDUCTIONS
from saliency_stats.saliency.baselines import AT, BASELINES
from saliency_stats.saliency.methods import cost_of
from saliency_stats.statistics import FAMILIES, primary_tests
from saliency_stats.vocabulary import CELLS, USUAL_CELLS

#: What each kind of study is, for its first line.
_WHAT: Final = {
    "phantom": "A study of synthetic tissue for saliency-stats",
    "patches": "A study of patch images for saliency-stats",
    "slides": "A study of whole-slide images for saliency-stats",
}
_OR: Final = " | "


def templates(*, trimmed: bool = False) -> Environment:
    """Return the templates of this room; ``trimmed``: lines that hold a statement alone leave nothing behind."""
    return Environment(
        loader=PackageLoader("saliency_stats.commands"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  (YAML and Markdown, of our own texts)
        keep_trailing_newline=True,
        trim_blocks=trimmed,
        lstrip_blocks=trimmed,
    )


def study_text(kind: str) -> str:
    """Write the study file of one kind of cohort: every key with its value, most with a comment."""
    environment = templates()
    return environment.get_template("study.yaml.j2").render(
        kind=kind,
        what=_WHAT[kind],
        cohort=environment.get_template(f"{kind}.cohort.yaml").render(
            architectures=_OR.join(ARCHITECTURES),
            signals=_OR.join(SIGNALS),
            mixed=_comment(_mixed()),
        ),
        pretrained=kind != "phantom",  # phantoms are learned from scratch in minutes
        methods=_comment(_methods()),
        baselines=_OR.join(BASELINES),
        reductions=_OR.join(REDUCTIONS),
        cells=USUAL_CELLS,
        all_cells=_OR.join(CELLS),
        controls=_comment(_controls()),
        tests=_OR.join(primary_tests()),
        families=FAMILIES,
    )


def write_template(folder: Path, kind: str) -> list[Path]:
    """Write the files of one kind of study into a folder; nothing that exists is overwritten.

    Raises
    ------
    StorageError
        If one of them exists already, or the folder cannot be written.
    """
    texts = {folder / "study.yaml": study_text(kind)}
    if _templates().joinpath(f"{kind}.csv").is_file():
        texts[folder / f"{kind}.csv"] = _read(f"{kind}.csv")
    for target in texts:
        if target.exists():
            raise StorageError(
                f"{target} exists already and is not overwritten; choose another folder, or move it away"
            )
    for target, text in texts.items():
        write_text(target, text)
    return list(texts)


def _methods() -> str:
    """Name the methods, each with what it costs, and once whatever its baseline."""
    named = (f"{name} ({cost_of(method):g})" for name, method in METHODS.items() if AT not in name)
    return f"{_OR.join(named)}; in brackets its time for a patch, in gradients"


def _controls() -> str:
    """Say what each control is; those that are one thing stand together."""
    groups = groupby(CONTROLS.values(), key=lambda control: control.words)
    said = []
    for words, group in groups:
        names = ", ".join(control.name for control in group)
        what = words.partition(": ")[2] or words
        said.append(f"{names}: {what}")
    return "; ".join([*said, "[] = none"])


def _mixed() -> str:
    """Say where the classes differ, where a signal's name does not."""
    mixed = (one for one in SIGNALS.values() if one.words != one.name)
    return "; ".join(["where the classes differ", *(f"{one.name}: {one.words}" for one in mixed)])


def _comment(text: str) -> str:
    return fill(
        text, 118, initial_indent="  # ", subsequent_indent="  # ", break_long_words=False, break_on_hyphens=False
    )


def _templates() -> resources.abc.Traversable:
    return resources.files("saliency_stats.commands").joinpath("templates")


def _read(name: str) -> str:
    return _templates().joinpath(name).read_text(encoding="utf-8")
