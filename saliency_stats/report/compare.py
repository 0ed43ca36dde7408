"""Several finished runs side by side: their contrasts in one table, one figure, one page."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from saliency_stats.errors import StudyError
from saliency_stats.execution.files import write_table, write_text
from saliency_stats.report.compare_page import render_comparison
from saliency_stats.report.figures.compare import draw_comparison
from saliency_stats.report.figures.style import house_style, save_both
from saliency_stats.report.queries import leaves
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import check_words, count, listing, magnification_words
from saliency_stats.statistics import CONTRASTS, PRIMARY
from saliency_stats.statistics.selection import of_all_networks
from saliency_stats.vocabulary import LABELS, TRAINED

#: Columns of ``comparison.csv``; new ones are only ever added at the end.
COMPARISON_COLUMNS: Final = (
    *("run", "label", "magnification", "model", "contrast", "estimate", "ci_low", "ci_high", "ratio", "p_value"),
    *("p_adjusted", "n_slides", "n_patches", "balanced_accuracy", "status", "verdict"),
    *("method", "reduction", "test", "reason"),
)
_FEWEST: Final = 2
#: What the runs say of the claim, as verb for one run and for several, in the order of the sentence.
_VERBS: Final = {
    "supported": ("supports it", "support it"),
    "contradicted": ("contradicts it", "contradict it"),
    "present_without_training": ("finds it without training too", "find it without training too"),
    "explained_by_the_picture": ("finds the picture to explain it", "find the picture to explain it"),
    "equivalent": ("finds no preference", "find no preference"),
    "inconclusive": ("is inconclusive", "are inconclusive"),
    "not_testable": ("cannot test it", "cannot test it"),
}


class Compared(NamedTuple):
    """What was written, and what a person is to read."""

    page: Path
    table: Path
    figure: Path
    sentences: tuple[str, ...]


def compare_runs(folders: Sequence[Path], out: Path) -> Compared:
    """Compare finished runs: write ``comparison.csv``, ``comparison.html`` and ``figures/comparison.png`` and ``.pdf``.

    Parameters
    ----------
    folders
        Folders of finished runs, at least two, each once.
    out
        Folder to write into; an earlier comparison in it is replaced.

    Returns
    -------
    Compared
        The files, and a sentence per class on how many runs support or contradict the claim.

    Raises
    ------
    StudyError
        If there are fewer than two runs, or one is given twice.
    ReportError
        If a folder holds no finished run; it is named.
    StorageError
        If ``out`` cannot be written.
    """
    named = run_names(folders)
    runs = {name: Run.read(folder) for name, folder in named.items()}
    table = comparison_table(runs)
    path = out / "comparison.csv"
    write_table(path, table)
    names = class_names(runs)
    table = table.assign(label=table["label"].map(names))
    with house_style():
        figure = draw_comparison(table, list(runs), levels(runs))
        png, _ = save_both(figure, out / "figures" / "comparison")
    sentences = tuple(verdict_sentences(table))
    page = out / "comparison.html"
    write_text(page, render_comparison(runs, table, sentences, study_differences(runs), png, levels(runs)))
    return Compared(page, path, png, sentences)


def run_names(folders: Sequence[Path]) -> dict[str, Path]:
    """Name runs by their folders, with as many parent folders as make the names unique.

    Raises
    ------
    StudyError
        If there are fewer than two folders, or one is given twice.
    """
    if len(folders) < _FEWEST:
        raise StudyError(
            f"{count(len(folders), 'run')} given, expected at least two to compare; give the folders of several"
            " finished runs"
        )
    resolved = [Path(os.path.realpath(folder)) for folder in folders]
    for k, folder in enumerate(resolved):
        if folder in resolved[:k]:
            raise StudyError(f"{folders[k]} is given twice; a run compared with itself says nothing. Give it once")
    depths = [1] * len(resolved)
    while True:
        names = ["/".join(folder.parts[-depth:]) for folder, depth in zip(resolved, depths, strict=True)]
        longer = [depth + (names.count(name) > 1) for name, depth in zip(names, depths, strict=True)]
        if longer == depths:
            return dict(zip(names, map(Path, folders), strict=True))
        depths = longer


def comparison_table(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Put the contrasts of several runs below each other, each by its run's own primary test.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COMPARISON_COLUMNS`: the primary contrast of every network and the other contrasts of the
        compartments, for the method and reduction that each run's own figures show. ``balanced_accuracy`` is that of
        the row's network on the evaluation split, NaN for a difference of networks; ``verdict`` the status of the run's
        hypothesis, empty where the row is none. Sorted by contrast, class, magnification from coarse to fine, network;
        then by the order of the runs.
    """
    tables = [_of_run(name, run).assign(place=k) for k, (name, run) in enumerate(runs.items())]
    table = pd.concat(tables, ignore_index=True)
    order = pd.DataFrame(
        {
            "contrast": [CONTRASTS.index(name) for name in table["contrast"]],
            "label": [LABELS.index(name) for name in table["label"]],
            "magnification": table["magnification"],
            "control": table["model"] != TRAINED,
            "model": table["model"],
            "place": table["place"],
        }
    ).sort_values(["contrast", "label", "magnification", "control", "model", "place"], kind="stable")
    return table.loc[order.index, list(COMPARISON_COLUMNS)].reset_index(drop=True)


def study_differences(runs: Mapping[str, Run]) -> tuple[tuple[str, ...], ...]:
    """Return the keys of the study files whose values differ, each with its value in every run.

    Returns
    -------
    tuple of tuple of str
        The dotted key, then one text per run; a dash where a study does not have the key.
    """
    flat = [
        {key: _words(value) for key, value in leaves(run.settings.model_dump(mode="json"))} for run in runs.values()
    ]
    keys = dict.fromkeys(key for study in flat for key in study)
    values = [(key, *(study.get(key, "—") for study in flat)) for key in keys]
    return tuple(row for row in values if len(set(row[1:])) > 1)


def class_names(runs: Mapping[str, Run]) -> dict[str, str]:
    """Say what people call each class: every name that the runs have for it."""
    return {label: " / ".join(dict.fromkeys(run.classes.name(label) for run in runs.values())) for label in LABELS}


def verdict_sentences(table: pd.DataFrame) -> Iterator[str]:
    """Say, per class, how many runs support and contradict the claim at each magnification."""
    judged = table[(table["contrast"] == PRIMARY) & (table["model"] == TRAINED) & (table["verdict"] != "")]
    for label, of_label in judged.groupby("label", sort=False):
        parts = []
        for magnification, rows in of_label.groupby("magnification", sort=False):
            found = rows["verdict"].tolist()
            counts = [(found.count(status), words) for status, words in _VERBS.items() if status in found]
            said = [f"{n} {words[n > 1]}" for n, words in counts]
            n, words = counts[0]
            said[0] = f"{n} of {count(len(found), 'run')} {words[n > 1]}"
            parts.append(f"at {magnification_words(magnification)}, {listing(said)}")
        claim = f"The claim for {label} patches (saliency denser in the cytoplasm than in the nuclei)"
        yield f"{claim}: {'; '.join(parts)}."


def levels(runs: Mapping[str, Run]) -> str:
    """Name the confidence level of the intervals: one where the runs agree, else each run's own."""
    found = list(dict.fromkeys(run.confidence_percent for run in runs.values()))
    return found[0] if len(found) == 1 else f"{listing(found)} (each run's own)"


def _of_run(name: str, run: Run) -> pd.DataFrame:
    rows = run.own_contrasts[
        run.own_contrasts["contrast"].isin(CONTRASTS)
        & (run.own_contrasts["contrast"].map(check_words) == "")
        & run.own_contrasts["label"].isin(run.labels)
        & (run.own_contrasts["method"] == run.method)
        & (run.own_contrasts["reduction"] == run.reduction)
    ]
    rows = run.by_deciding_test(rows)
    scored = of_all_networks(run.own_metrics[run.own_metrics["split"] == run.evaluation_split])
    accuracy = {(row.magnification, row.model): row.balanced_accuracy for row in records(scored)}
    found = {_hypothesis(verdict): str(verdict.get("status", "")) for verdict in run.verdict}
    return rows.assign(
        run=name,
        balanced_accuracy=[accuracy.get((row.magnification, row.model), float("nan")) for row in records(rows)],
        verdict=[
            found.get((row.contrast, row.label, row.magnification, row.method), "") if row.model == TRAINED else ""
            for row in records(rows)
        ],
    )


def _hypothesis(verdict: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(verdict[name] for name in ("contrast", "label", "magnification", "method"))


def _words(value: Any) -> str:
    """Write a value of a study file as it stands there, None and nothing as a dash."""
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "none"
    return "none" if value is None or value == {} else str(value).lower() if isinstance(value, bool) else str(value)
