"""What goes into a paper: tables, captions and a methods section with the study's own numbers, in LaTeX."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from saliency_stats.compartments.ways import SURE, cell_words
from saliency_stats.execution.files import write_text
from saliency_stats.report.figures.draw import DrawnFigure
from saliency_stats.report.folder import NOT_RECORDED
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

#: What LaTeX reads as a command, and what its default fonts lack.
_TEX: Final = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "÷": r"$\div$",
    "\N{MINUS SIGN}": r"$-$",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "√": r"$\surd$",
    "µ": r"\textmu{}",
    "μ": r"\textmu{}",
    "δ": r"$\delta$",
    "²": r"$^2$",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "←": r"$\leftarrow$",
    "→": r"$\rightarrow$",
}
_CORRECTIONS: Final = {"holm": "holm1979", "bh": "benjamini1995"}


def escape(text: str) -> str:
    """Write a text so that LaTeX prints it as it is; line ends become spaces, so that no comment is left."""
    return "".join(_TEX.get(letter, letter) for letter in " ".join(str(text).split()))


def write_paper(run: Run, figures: Sequence[DrawnFigure], tables: Sequence[Table]) -> tuple[Path, ...]:
    """Write ``paper/`` of the run's folder: one ``.tex`` per table, captions, methods and references."""
    environment = Environment(  # noqa: S701 - LaTeX, where HTML's escapes would be wrong; the filter below escapes
        loader=PackageLoader("saliency_stats.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # LaTeX is full of "{#": a comment mark that cannot occur keeps Jinja from reading it as one.
        comment_start_string="((*",
        comment_end_string="*))",
    )
    environment.filters["tex"] = escape
    contents = {
        f"table_{table.name}.tex": (
            environment.get_template("table.tex.j2").render(
                table=table, columns="l" * table.n_text + "r" * (len(table.columns) - table.n_text)
            )
        )
        for table in tables
    }
    captions = [(_command(figure.name), f"{figure.title}. {figure.caption}") for figure in figures]
    captions += [(f"Table{_command(table.name)}", f"{table.title}. {table.note}") for table in tables]
    contents["captions.tex"] = environment.get_template("captions.tex.j2").render(captions=captions)
    contents["methods.tex"] = environment.get_template("methods.tex.j2").render(**_methods(run))
    contents["references.bib"] = environment.get_template("references.bib.j2").render()
    written = []
    for name, content in contents.items():
        path = run.folder / "paper" / name
        write_text(path, content)
        written.append(path)
    return tuple(written)


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
        "results": [str(verdict.get("sentence", "")) for verdict in run.verdict],
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
