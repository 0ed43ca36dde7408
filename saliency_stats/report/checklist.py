"""What a study of saliency maps should tell: each item answered from the run, or left to the author."""

from collections.abc import Callable, Iterable
from typing import Final

from saliency_stats.report.calibration import error_words
from saliency_stats.report.folder import NOT_RECORDED
from saliency_stats.report.registration import registered, registration_words
from saliency_stats.report.run import Run, records
from saliency_stats.report.tables.table import Table
from saliency_stats.report.words import (
    architecture_words,
    count,
    flat,
    interval,
    listing,
    magnification_words,
    number,
    ratio,
    ratio_interval,
    whole,
)
from saliency_stats.statistics.registry import words_of
from saliency_stats.statistics.sentences import CORRECTIONS
from saliency_stats.vocabulary import TRAINED

TO_FILL: Final = "to be filled by the author"
#: What the run knows that it did not do.
_NOTHING: Final = "none in this run"


def checklist_table(run: Run) -> Table:
    """Return the checklist: a row per item, with what the run knows of it."""
    rows = []
    for part, item, answer in _ITEMS:
        said = answer(run) if answer else ""
        rows.append((part, item, f"reported: {said}" if said else TO_FILL))
    return Table(
        "checklist",
        "What a study of saliency maps should tell",
        "Answers that begin with 'reported' are from the run; all others are the author's.",
        ("Part", "Item", "Answer"),
        tuple(rows),
        n_text=3,
    )


def _lines(found: Iterable[object]) -> str:
    """Put what is said of several strata one after the other, each once."""
    return "; ".join(dict.fromkeys(text for text in map(str, found) if text))


def _recorded(key: str) -> Callable[[Run], str]:
    """Answer with an entry of the manifest; with nothing where it was not recorded."""
    return lambda run: "" if run.recorded(key) == NOT_RECORDED else flat(run.recorded(key))


def _outcome(run: Run) -> str:
    return _lines(str(verdict.get("claim", "")).rstrip(".") for verdict in run.verdict)


def _cohort(run: Run) -> str:
    return f"{run.settings.cohort.kind}; classes {listing([run.classes.name(label) for label in run.labels])}"


def _pixels(run: Run) -> str:
    rows = run.patches[["magnification", "mpp"]].dropna().drop_duplicates().sort_values(["magnification", "mpp"])
    return _lines(f"{magnification_words(row.magnification)}, {row.mpp:g} µm per pixel" for row in records(rows))


def _patches(run: Run) -> str:
    used = int((run.patches["status"] == "used").sum())
    numbers = f"{whole(len(run.patches))} listed, {whole(used)} used, {whole(len(run.judged))} judged"
    return f"{numbers} (a patch counts once per magnification)" if len(run.magnifications) > 1 else numbers


def _split(run: Run) -> str:
    folds = run.settings.cohort.folds
    return f"the {run.evaluation_split} split is judged" + (f"; {folds} folds" if folds else "")


def _architecture(run: Run) -> str:
    used = run.settings.classifier
    if not used.is_network:
        return ""
    return f"{architecture_words(str(used.architecture))}; weights {used.weights}; trained part: {used.trainable}"


def _networks(run: Run) -> str:
    return count(run.n_networks, "network") if run.settings.classifier.is_network else ""


def _performance(run: Run) -> str:
    return _lines(
        f"{magnification_words(row.magnification)}: balanced accuracy {number(row.balanced_accuracy, 3)}"
        f" ({interval(row.balanced_accuracy_low, row.balanced_accuracy_high, 3)}), {row.split} split"
        for row in records(run.scored)
    )


def _maps(run: Run) -> str:
    others = [run.words("methods", name) for name in run.recorded("methods", {}) if name != run.method]
    more = f"; also {listing(others)}" if others else ""
    target = f", target: {run.settings.saliency.target} class" if run.settings.classifier.is_network else ""
    return f"{run.words('methods', run.method)}, reduction {run.reduction}{target}{more}"


def _controls(run: Run) -> str:
    names = run.recorded("controls", run.settings.controls)
    return listing([run.words("controls", name) for name in names]) if names else _NOTHING


def _nuclei(run: Run) -> str:
    return str(run.settings.compartments.nuclei)


def _units(run: Run) -> str:
    """Say the unit and how many were judged; nothing where it is not known which patch is of which."""
    known = run.judged[run.judged[run.unit_column].astype(str) != ""]
    found = known.groupby(["magnification", "label"])[[run.unit_column]].nunique().reset_index()
    return _lines(f"{count(n, run.unit)} ({run.place(at, label)})" for at, label, n in found.itertuples(index=False))


def _test(run: Run) -> str:
    return f"{words_of(run.primary_test)}, two-sided at {run.alpha:g}"


def _multiplicity(run: Run) -> str:
    families = run.contrasts.loc[run.contrasts["family"] != "", "family"].nunique()
    return f"{CORRECTIONS[run.settings.statistics.correction]} within each family of hypotheses (families: {families})"


def _estimates(run: Run) -> str:
    rows = run.primary_contrasts[run.primary_contrasts["model"] == TRAINED].dropna(subset="estimate")
    return _lines(
        f"{ratio(row.estimate)} ({run.confidence_percent} interval {ratio_interval(row.ci_low, row.ci_high)};"
        f" {run.place(row.magnification, row.label)})"
        for row in records(rows)
    )


def _margin(run: Run) -> str:
    return f"±{run.settings.statistics.equivalence_margin:g} log2"


def _errors(run: Run) -> str:
    strata = [(label, at) for at in run.magnifications for label in run.labels]
    return _lines(error_words(run.calibration, label, at) for label, at in strata) or _NOTHING


def _choices(run: Run) -> str:
    return f"{count(len(run.multiverse), 'specification')} (multiverse.csv)" if len(run.multiverse) else _NOTHING


def _seeds(run: Run) -> str:
    own = run.settings.classifier.seed
    return f"{run.settings.seed}" + (f"; of the classifier: {own}" if own is not None else "")


def _hashes(run: Run) -> str:
    """Say of what there are SHA-256 sums; nothing where there are none."""
    inputs, weights = (run.recorded(kind, {}) for kind in ("inputs", "weights"))
    listed = int((run.inputs["sha256"] != "").sum())
    found = [f"{listed:,} files of inputs.csv"] if listed else []
    found += [listing(sorted(inputs))] if inputs else []
    found += [count(len(weights), "file") + " of weights"] if weights else []
    return f"SHA-256 of {_lines(found)} (manifest.json)" if found else ""


_ITEMS: Final[tuple[tuple[str, str, Callable[[Run], str] | None], ...]] = (
    ("Study", "Clinical question and intended use", None),
    ("Study", "Primary outcome", _outcome),
    ("Study", "When outcome, margin and exclusions were fixed", lambda run: registration_words(registered(run))),
    ("Study", "Where that is registered", None),
    ("Study", "Limits of the finding", None),
    ("Study", "Funding and competing interests", None),
    ("Data", "Source and licence", None),
    ("Data", "Ethics approval and consent", None),
    ("Data", "Who labelled the patches, and by what standard", None),
    ("Data", "Kind of cohort, classes", _cohort),
    ("Data", "Magnification and size of a pixel", _pixels),
    ("Data", "Patches (the table of the flow has each step)", _patches),
    ("Data", "Split", _split),
    ("Classifier", "Architecture and training", _architecture),
    ("Classifier", "Number of networks", _networks),
    ("Classifier", "Performance", _performance),
    ("Classifier", "Performance on data of another centre", None),
    ("Maps", "Method", _maps),
    ("Maps", "Controls", _controls),
    ("Compartments", "How nuclei were found", _nuclei),
    ("Compartments", "How well they were found in this tissue", None),
    ("Statistics", "Unit of inference, and number of units", _units),
    ("Statistics", "Deciding test", _test),
    ("Statistics", "Multiplicity", _multiplicity),
    ("Statistics", "Cytoplasm against nuclei: ratios with intervals", _estimates),
    ("Statistics", "Margin of equivalence", _margin),
    ("Statistics", "How often the deciding test errs", _errors),
    ("Statistics", "Other choices of analysis", _choices),
    ("Repetition", "Versions of the code and its libraries", _recorded("versions")),
    ("Repetition", "Seed", _seeds),
    ("Repetition", "Hashes", _hashes),
    ("Repetition", "Device", _recorded("device")),
    ("Repetition", "Determinism and threads", _recorded("determinism")),
    ("Repetition", "Command", _recorded("command")),
    ("Repetition", "Where data, code and maps can be had", None),
)
