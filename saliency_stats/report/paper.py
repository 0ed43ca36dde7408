"""What goes into a paper: tables, captions and a methods section with the study's own numbers, in LaTeX."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from saliency_stats.compartments.ways import SURE, cell_words
from saliency_stats.execution.files import write_text
from saliency_stats.report.figures.draw import DrawnFigure
from saliency_stats.report.folder import NOT_RECORDED
from saliency_stats.report.latex import environment
from saliency_stats.report.registration import registered, registration_words
from saliency_stats.report.run import Run, records
from saliency_stats.report.tables.table import Table
from saliency_stats.report.words import (
    architecture_words,
    begun,
    control_words,
    count,
    interval,
    listing,
    magnification_words,
    number,
    percent,
)
from saliency_stats.statistics.registry import words_of
from saliency_stats.vocabulary import NO_REDUCTION, SPLITS, TRAINED

#: The parts of the paper that are made of tables: the file, its heading, the tables; the last takes all others. A
#: figure that is called as a part stands in it.
_PARTS: Final = (
    ("ladder", "What the finding survives", ("ladder", "ladder_numbers")),
    ("flow", "The patches", ("selection", "exclusions")),
    ("checklist", "Checklist", ("checklist",)),
    ("tables", "All other tables", None),
)
#: Columns of text with longer cells than this are wrapped, each to at most this share of the line.
_LONG, _WIDEST = 40, 0.45
_CORRECTIONS: Final = {"holm": "holm1979", "bh": "benjamini1995"}


def write_paper(run: Run, figures: Sequence[DrawnFigure], tables: Sequence[Table]) -> tuple[Path, ...]:
    """Write ``paper/`` of the run's folder: ``main.tex``, which LaTeX reads as it is, and all that it puts in."""
    templates = environment()
    templates.filters["command"] = _command

    def render(template: str, **values: Any) -> str:
        return templates.get_template(template).render(**values)

    contents = {
        f"table_{table.name}.tex": render("table.tex.j2", table=table, columns=_columns(table)) for table in tables
    }
    captions = [(_command(figure.name), f"{figure.title}. {figure.caption}") for figure in figures]
    captions += [(f"Table{_command(table.name)}", f"{table.title}. {table.note}") for table in tables]
    contents["captions.tex"] = render("captions.tex.j2", captions=captions)
    contents["methods.tex"] = render("methods.tex.j2", **_methods(run))
    contents["references.bib"] = render("references.bib.j2")
    parts = [("methods", "Methods and results")]
    placed = {name for *_, names in _PARTS for name in names or ()}
    for part, heading, names in _PARTS:
        own = [table for table in tables if (table.name in names if names else table.name not in placed)]
        beside = [figure for figure in figures if figure.name == part]
        if own or beside:
            contents[f"{part}.tex"] = render("floats.tex.j2", figures=beside, tables=own, height=0.8)
            parts.append((part, heading))
    others = [figure for figure in figures if figure.name not in {part for part, *_ in _PARTS}]
    contents["figures.tex"] = render("floats.tex.j2", figures=others, tables=(), height=0.55)
    parts.append(("figures", "Figures"))
    foreign = sorted({letter for content in contents.values() for letter in content if not letter.isascii()})
    letters = [(letter, f"{ord(letter):04X}") for letter in foreign]
    contents["main.tex"] = render("main.tex.j2", title=run.settings.name, parts=parts, letters=letters)
    written = []
    for name, content in contents.items():
        path = run.folder / "paper" / name
        write_text(path, content)
        written.append(path)
    return tuple(written)


def _columns(table: Table) -> str:
    """Return the columns of a table as LaTeX is told them: text to the left, wrapped where it is long."""
    long = [any(len(row[k]) > _LONG for row in table.rows) for k in range(table.n_text)]
    share = min(_WIDEST, 0.8 / max(sum(long), 1))
    wrapped = rf">{{\raggedright\arraybackslash}}p{{{share:.2f}\linewidth}}"
    return "".join(wrapped if is_long else "l" for is_long in long) + "r" * (len(table.columns) - table.n_text)


def _command(name: str) -> str:
    """Return a name as a LaTeX command may have it: letters only."""
    return "".join(part.capitalize() for part in name.split("_"))


def _methods(run: Run) -> dict[str, Any]:
    controls = [control_words(name, run.words("controls", name, "is")) for name in run.controls]
    of_patients = ", slides per patient" if run.unit == "patient" else ""
    return {
        "cohort": _cohort(run),
        "classifier": _classifier(run),
        "is_densenet": "densenet" in str(run.settings.classifier.architecture),
        "performance": _performance(run),
        "saliency": _saliency(run),
        "gradient": run.method == "gradient",
        "judged": _judged(run),
        "compartments": _compartments(run),
        "segmented": run.settings.compartments.nuclei != "truth",
        "statistics": (
            "The primary contrast of a patch is log2 of the cytoplasm's density ratio over the nuclei's. The unit of"
            f" inference is the {run.unit}: patch values are averaged per slide{of_patients}, and the means are tested"
            f" two-sided at {run.alpha:g} ({words_of(run.primary_test)}{_sampled(run)})."
            f" Equivalence is claimed where the {100 * (1 - 2 * run.alpha):g} % interval lies within"
            f" ±{run.settings.statistics.equivalence_margin} log2."
        ),
        "correction": _CORRECTIONS.get(str(run.settings.statistics.correction), ""),
        "controls": (
            f"The same numbers were computed for the {listing(controls)} on the same patches, and the"
            " difference was tested as a contrast of its own"
            if controls
            else ""
        ),
        "results": [run.typeset(str(verdict.get("sentence", ""))) for verdict in run.verdict],
        "registration": registration_words(registered(run)),
        "software": _software(run),
    }


def _sampled(run: Run) -> str:
    return f", with {run.n_networks} networks and the {run.unit}s as samples" if run.n_networks > 1 else ""


def _cohort(run: Run) -> str:
    used = run.patches[run.patches["status"] == "used"]
    excluded = len(run.patches) - len(used)
    parts = []
    for magnification in run.magnifications:
        rows = used[used["magnification"] == magnification]
        mpp = sorted({f"{value:g}" for value in rows["mpp"]})
        classes = [
            count(int((rows["label"] == label).sum()), f"{run.classes.name(label)} patch") for label in run.labels
        ]
        slides = rows.loc[rows["slide_id"] != "", "slide_id"].nunique()
        splits = [
            f"{int((rows['split'] == split).sum()):,} in {split}" for split in SPLITS if (rows["split"] == split).any()
        ]
        parts.append(
            f"At {magnification_words(magnification)} ({listing(mpp)} µm per pixel) there were"
            f" {listing(classes)} of {count(slides, 'slide') if slides else 'unknown slides'}"
            f" ({', '.join(splits)})."
        )
    left_out = f"{count(excluded, 'patch')} could not be used." if excluded else "No patch was excluded."
    return f"Kind of cohort: {run.settings.cohort.kind}. {' '.join(parts)} {begun(left_out)}"


def _classifier(run: Run) -> str:
    if not run.settings.classifier.is_network:
        return (
            "The patches were classified, and the maps made, outside this study; both were read from files, and nothing"
            " was trained"
        )
    trained = run.own_training[run.own_training["model"] == TRAINED]
    epochs = f"{trained['epoch'].max():.0f} epochs" if len(trained) else "no epochs recorded"
    return (
        f"A {architecture_words(str(run.settings.classifier.architecture))} (initial weights:"
        f" {run.settings.classifier.weights}; trained part: {run.settings.classifier.trainable};"
        f" {epochs}; seed {run.settings.seed}) was trained at each magnification"
        + (f", {run.n_networks} times with other seeds" if run.n_networks > 1 else "")
    )


def _saliency(run: Run) -> str:
    method = run.words("methods", run.method)
    if not run.settings.classifier.is_network:
        return (
            f"There is one map of each patch (method: {method}). Maps in another grid than the patch's were attributed"
            " by area"
        )
    reduced = "" if run.reduction == NO_REDUCTION else f", reduced over the colour channels by {run.reduction}"
    return (
        f"Saliency maps explain the logit of the {run.settings.saliency.target} class on raw pixels in [0, 1]"
        f" (method: {method}{reduced})"
    )


def _compartments(run: Run) -> str:
    density = "A compartment's density ratio is its share of the saliency divided by its share of the area."
    if run.settings.compartments.nuclei == "truth":
        return f"The compartments are the known truth of the synthetic tissue. {density}"
    return (
        f"Nuclei were segmented (method: {Path(run.settings.compartments.nuclei).name}) at"
        f" {run.settings.compartments.segmentation_mpp} µm per pixel or finer;"
        f" {cell_words(run.settings.compartments.cells, run.settings.compartments.cytoplasm_um)}; stroma is the rest of"
        f" the tissue, and background what is not tissue (cells: {run.settings.compartments.cells}).{_doubt(run)}"
        f" {density}"
    )


def _doubt(run: Run) -> str:
    """Say how much of the tissue is doubtful; nothing where memberships are no probabilities."""
    shares = [f"{percent(share)} ({run.place(at, label)})" for (at, label), share in run.doubt.items()]
    if not shares:
        return ""
    said = listing(shares)
    return f" In the median judged patch, no membership reached {SURE:g} in {said} of the tissue outside nuclei."


def _performance(run: Run) -> str:
    sentences = []
    for row in records(run.scored):
        bounds = interval(row.balanced_accuracy_low, row.balanced_accuracy_high, 3)
        sentences.append(
            f"On {count(row.n_patches, 'patch')} of the {row.split} split at"
            f" {magnification_words(row.magnification)} its balanced accuracy was"
            f" {number(row.balanced_accuracy, 3)} (interval {bounds}), sensitivity"
            f" {number(row.sensitivity, 3)}, specificity {number(row.specificity, 3)}, AUC"
            f" {number(row.auc, 3)}."
        )
    return " ".join(sentences)


def _judged(run: Run) -> str:
    return (
        f"Judged were the patches of the {run.evaluation_split} split that were classified correctly"
        f"{f' by any of {run.n_networks} networks, each of which judges its own,' if run.n_networks > 1 else ''} with a"
        f" probability of the true class of at least {run.settings.saliency.min_confidence:g}:"
        f" {count(len(run.judged), 'patch')}."
    )


def _software(run: Run) -> str:
    versions = run.recorded("versions", {})
    named = [f"{name} {version}" for name, version in versions.items()]
    return f"Versions: {', '.join(named) or NOT_RECORDED}. Device: {run.recorded('device')}."
