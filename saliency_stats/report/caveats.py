"""What a reader must know before believing the verdict, written from the run's own facts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.report.figures.contrasts import NOT_INTERPRETABLE, primary_rows
from saliency_stats.report.population import exclusions
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import (
    NONE,
    TIMES,
    count,
    listing,
    magnification_words,
    model_words,
    number,
    p_sign,
    percent,
    ratio,
    ratio_interval,
)
from saliency_stats.settings.cohort import PhantomSection
from saliency_stats.vocabulary import TRAINED

#: Fewer units than this leave a t interval wide and its assumption of normal means unchecked.
_FEW_UNITS: Final = 10
_LOSSY: Final = (".jpg", ".jpeg", ".svs")
_PCAM: Final = ("pcam", "patchcamelyon", "patch_camelyon")


@dataclass(frozen=True)
class Caveat:
    """One limit of the run: a heading and a text."""

    title: str
    text: str


def caveats(run: Run) -> tuple[Caveat, ...]:
    """Return the caveats of a run, those that its own facts raise before those that always hold."""
    found = (
        *_classifier(run),
        *_slides(run),
        *_splits(run),
        *_controls(run),
        *_selection(run),
        *_missing(run),
        *_cohort(run),
        *_segmentation(run),
        *_always(),
    )
    return tuple(found)


def _classifier(run: Run) -> Iterator[Caveat]:
    rows = run.own_metrics[(run.own_metrics["model"] == TRAINED) & (run.own_metrics["split"] == run.evaluation_split)]
    for row in records(rows[~rows["learned"]]):
        low, high = row.balanced_accuracy_low, row.balanced_accuracy_high
        bounds = f" ({number(low)} to {number(high)})" if np.isfinite(low) and np.isfinite(high) else ""
        reason = f" {_sentence(row.learned_reason)}" if row.learned_reason else ""
        yield Caveat(
            f"At {magnification_words(row.magnification)} the classifier is at chance",
            f"Its balanced accuracy is {number(row.balanced_accuracy)}{bounds}.{reason} Where a classifier"
            " looks that has learned nothing says nothing about tissue: its estimates are shown but are no"
            " finding.",
        )


def _slides(run: Run) -> Iterator[Caveat]:
    judged = run.judged_ledger.drop_duplicates(["patch_id", "magnification"])
    unknown = int((judged[run.unit_column] == "").sum())
    if unknown:
        yield Caveat(
            f"{run.unit.capitalize()}s are unknown",
            f"{count(unknown, 'judged patch')} of {len(judged):,} name no {run.unit}. Patches of one"
            f" {run.unit} resemble one another, so treating them as independent would make chance look like"
            " evidence (in simulations every second null result became “significant”). Estimates are given;"
            f" p-values and intervals need {run.unit}s.",
        )
    tested = primary_rows(run)
    tested = tested[(tested["model"] == TRAINED) & (tested["status"] == "tested")]
    least = tested["n_slides"].min() if len(tested) else np.nan
    if np.isfinite(least) and least < _FEW_UNITS:
        yield Caveat(
            "Few slides",
            f"The smallest group rests on {count(least, 'slide')}. The intervals allow for so few, but they"
            " are wide, and one unusual slide can move them; more slides help, more patches of the same"
            " slides hardly do.",
        )


def _splits(run: Run) -> Iterator[Caveat]:
    used = run.patches[run.patches["status"] == "used"]
    trained = used[used["split"] == "train"]
    scored = used[used["split"] == run.evaluation_split]
    if trained.empty:
        return
    for name in ("slide", "patient"):
        column = f"{name}_id"
        shared = (set(trained[column]) & set(scored[column])) - {""}
        if shared:
            yield Caveat(
                f"Training and evaluation share {name}s",
                f"{count(len(shared), name)} gave patches to both, so the accuracy is optimistic.",
            )
    if (used["slide_id"] == "").any():
        yield Caveat(
            "The split cannot be checked",
            "Without slides it is unknown whether training and evaluation patches come from the same slides;"
            " if they do, the accuracy is optimistic.",
        )


def _controls(run: Run) -> Iterator[Caveat]:
    if not run.controls:
        yield Caveat(
            "No control network",
            "Without a network that has not learned the classes, it is unknown how much of the preference comes from"
            " the images and the architecture alone rather than from training.",
        )
    rows = primary_rows(run)
    rows = rows[(rows["status"] != NOT_INTERPRETABLE) & np.isfinite(rows["estimate"])]
    for (magnification, label), stratum in rows.groupby(["magnification", "label"], sort=False):
        by_model = stratum.set_index("model")
        for control in run.controls:
            difference = f"{TRAINED}-{control}"
            if {TRAINED, control, difference} <= set(by_model.index):
                yield from _same_preference(run, f"{label}, {magnification_words(magnification)}", control, by_model)


def _same_preference(run: Run, where: str, control: str, by_model: pd.DataFrame) -> Iterator[Caveat]:
    own_rows: Any = by_model.loc
    trained, same, more = (own_rows[name] for name in (TRAINED, control, f"{TRAINED}-{control}"))
    if np.sign(trained["estimate"]) != np.sign(same["estimate"]):
        return
    own = np.isfinite(same["p_adjusted"]) and same["p_adjusted"] < run.alpha
    beyond = np.isfinite(more["p_adjusted"]) and more["p_adjusted"] < run.alpha
    further = beyond and np.sign(more["estimate"]) == np.sign(trained["estimate"])
    if further and not own:
        return
    whose = "cytoplasm" if trained["estimate"] > 0 else "nuclei"
    numbers = f"ratio {ratio(same['estimate'])} against {ratio(trained['estimate'])} when trained"
    if further:
        text = f"Training adds to it ({_evidence(run, more)}), but part of the preference needs no training."
    elif beyond:
        text = f"Training weakens it ({_evidence(run, more)}): the preference does not come from training."
    elif np.isfinite(more["p_adjusted"]):
        text = f"Training does not detectably add to it ({_evidence(run, more)}): it may come from the images alone."
    else:
        text = (
            f"The two networks differ by a factor of {ratio(more['estimate'])}, untested here, so training"
            " may or may not be the cause."
        )
    yield Caveat(
        f"The {model_words(control)} leans the same way ({where})",
        f"The control's saliency is also denser in the {whose} ({numbers}). {text}",
    )


def _selection(run: Run) -> Iterator[Caveat]:
    for (magnification, label), rows in run.selection.groupby(["magnification", "label"], sort=False):
        steps = rows.set_index("step")["n_patches"]
        if not {"evaluation split", "correct and confident"} <= set(steps.index):
            continue
        before, after = float(steps["evaluation split"]), float(steps["correct and confident"])
        if before and after < before / 2:
            yield Caveat(
                f"Most patches are not judged ({label}, {magnification_words(magnification)})",
                f"Only {count(after, 'patch')} of {before:,.0f} ({percent(after / before, 0)}) were"
                f" classified correctly with a probability of at least {run.settings.saliency.min_confidence:g}. The"
                " verdict holds for those, not for the rest.",
            )
    left_out = exclusions(run)
    if len(left_out):
        by_reason = left_out.groupby("reason")["n_patches"].sum().sort_values(ascending=False, kind="stable")
        reasons = "; ".join(f"{reason} ({n:,})" for reason, n in by_reason.head(5).items())
        more = f"; and {count(len(by_reason) - 5, 'other reason')}" if len(by_reason) > 5 else ""  # noqa: PLR2004 - as many as are listed
        yield Caveat(
            f"{count(left_out['n_patches'].sum(), 'patch').capitalize()} could not be used",
            f"Reasons: {reasons}{more}. The run went on without them.",
        )


def _missing(run: Run) -> Iterator[Caveat]:
    rows = run.judged_ledger
    rows = rows[(rows["model"] == TRAINED) & ~np.isfinite(rows["density_ratio"])]
    counts = rows["compartment"].value_counts(sort=False)
    words = [f"{name} in {count(n, 'patch')}" for name, n in counts.items() if name != "background"]
    if words:
        yield Caveat(
            "Compartments too small to be measured",
            f"Missing: {listing(words)} of the judged patches. There they are counted as missing, not as zero.",
        )


def _cohort(run: Run) -> Iterator[Caveat]:
    if isinstance(run.settings.cohort, PhantomSection):
        yield Caveat(
            "The tissue is synthetic",
            f"The patches are phantoms with a class signal planted in: {run.settings.cohort.signal}. They"
            " show whether the method finds what was planted; they say nothing about real tumours.",
        )
    names = " ".join((run.settings.name, str(getattr(run.settings.cohort, "table", "")))).lower()
    if any(word in names for word in _PCAM):
        yield Caveat(
            "The label describes the centre only",
            f"In PatchCamelyon a patch is malignant if the central 32 {TIMES} 32 pixels hold tumour;"
            " the saliency is judged over the whole patch, and benign patches may hold tumour at their rim.",
        )
    sources = run.patches["source"].str.lower()
    if sources.str.endswith(_LOSSY).any():
        yield Caveat(
            "Lossy compression",
            f"The images were compressed as JPEG, whose 8 {TIMES} 8 blocks and rings around edges a"
            " network can see. Saliency at such artefacts counts for the compartment in which they lie.",
        )


def _segmentation(run: Run) -> Iterator[Caveat]:
    nuclei = str(run.settings.compartments.nuclei)
    how = {
        "builtin": (
            "Nuclei were found by the StarDist model of this package, trained on little real tissue: its outlines are"
            " loose, and pale or crowded nuclei are partly missed."
        ),
        "classical": (
            "Nuclei were found by haematoxylin density and watershed, which misses pale nuclei and merges crowded ones."
        ),
        "truth": (
            "The compartments are the phantom's own, without any segmentation error; on real tissue there is one."
        ),
    }.get(nuclei, f"Nuclei were segmented by {nuclei}, which makes mistakes of its own.")
    reach = run.settings.compartments.cytoplasm_um
    yield Caveat(
        "The compartments are measured, not given",
        f"{how} Cytoplasm is tissue at most {reach} µm from a nucleus that stain, texture and the nuclei"
        " around do not call fibre; cell borders are not seen. The distance profile does without that choice.",
    )


def _always() -> Iterator[Caveat]:
    yield Caveat(
        "Nuclear borders",
        "A nuclear border is a strong edge, and networks react to edges. A band of one pixel at the border"
        " can carry part of either compartment's saliency; look at the profile around zero.",
    )
    yield Caveat(
        "One training, one kind of map",
        "Another seed, architecture or saliency method may look elsewhere. An input gradient says to which"
        " pixels the score is sensitive, not which tissue caused the decision.",
    )


def _evidence(run: Run, row: pd.Series) -> str:
    bounds = ratio_interval(row["ci_low"], row["ci_high"])
    interval = "" if bounds == NONE else f"; {run.confidence_percent} interval {bounds}"
    return f"factor {ratio(row['estimate'])}{interval}; {p_sign(row['p_adjusted'])} adjusted"


def _sentence(text: str) -> str:
    stripped = text.strip().rstrip(".")
    return f"{stripped[:1].upper()}{stripped[1:]}."
