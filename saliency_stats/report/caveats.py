"""What a reader must know before believing the verdict, written from the run's own facts."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.report.caveats_of_images import Caveat, of_the_images
from saliency_stats.report.figures.rows import NOT_INTERPRETABLE
from saliency_stats.report.ladder import ladders
from saliency_stats.report.registration import registered, registration_title, registration_words
from saliency_stats.report.run import Run, records
from saliency_stats.report.words import (
    NONE,
    begun,
    count,
    interval,
    listing,
    magnification_words,
    number,
    p_sign,
    percent,
    ratio,
    ratio_interval,
    sentence,
)
from saliency_stats.statistics.learned import beats_chance
from saliency_stats.vocabulary import TRAINED

#: Fewer units than this leave a t interval wide and its assumption of normal means unchecked.
_FEW_UNITS: Final = 10
#: Verdicts that a reader takes home.
_FINDINGS: Final = ("supported", "contradicted", "equivalent")


def caveats(run: Run) -> tuple[Caveat, ...]:
    """Return the caveats of a run, those that its own facts raise before those that always hold."""
    found = (
        *_registration(run),
        *_classifier(run),
        *_slides(run),
        *_folds(run),
        *_rungs(run),
        *_splits(run),
        *_controls(run),
        *_selection(run),
        *_missing(run),
        *of_the_images(run),
        *_always(run),
    )
    return tuple(found)


def _registration(run: Run) -> Iterator[Caveat]:
    found = registered(run)
    if title := registration_title(found):
        yield Caveat(title, registration_words(found), first=True)


def _classifier(run: Run) -> Iterator[Caveat]:
    scored = run.scored
    for row in records(scored[~scored["learned"]]):
        bounds = interval(row.balanced_accuracy_low, row.balanced_accuracy_high)
        above = beats_chance(row._asdict(), run.alpha)
        least = f"{run.settings.classifier.min_balanced_accuracy:g}"
        yield Caveat(
            f"At {magnification_words(row.magnification)} the classifier is"
            + (f" below your minimum of {least}" if above else " not shown to beat chance"),
            f"Its balanced accuracy is {number(row.balanced_accuracy)}{'' if bounds == NONE else f' ({bounds})'}."
            f"{f' {sentence(row.learned_reason)}' if row.learned_reason else ''} Where such a classifier looks says"
            " nothing about tissue: its estimates are shown, and are no finding.",
            first=True,
        )


def _slides(run: Run) -> Iterator[Caveat]:
    judged = run.judged
    unknown = int((judged[run.unit_column] == "").sum())
    if unknown:
        yield Caveat(
            f"{run.unit.capitalize()}s are unknown",
            f"{count(unknown, 'judged patch')} of {len(judged):,} name no {run.unit}. Patches of one {run.unit}"
            " resemble one another. Taken as independent, they reject a true null hypothesis in about half of all"
            f" simulated studies. So estimates are given; p-values and intervals need {run.unit}s.",
            first=True,
        )
    tested = run.primary_contrasts
    tested = tested[(tested["model"] == TRAINED) & (tested["status"] == "tested")]
    least = tested["n_units"].min()
    if least < _FEW_UNITS:
        yield Caveat(
            f"Few {run.unit}s",
            f"The smallest group has {count(least, run.unit)}. The intervals allow for so few, but they are wide, and"
            f" one unusual {run.unit} can move them. More {run.unit}s help; more patches of the same {run.unit}s"
            " hardly do.",
        )


def _folds(run: Run) -> Iterator[Caveat]:
    if (run.patches["fold"] > 0).any():
        yield Caveat(
            "Folds share training slides",
            f"Each {run.unit} is judged by networks that never saw it, but the networks of two folds were trained on"
            " mostly the same slides. They resemble one another more than networks of other cohorts would.",
        )


def _rungs(run: Run) -> Iterator[Caveat]:
    """Name the questions that a finding does not survive, or was not asked."""
    for ladder in ladders(run):
        doubtful = [
            f"“{rung.question}” {rung.answer}{f' ({rung.why.rstrip(chr(46))})' if rung.why else ''}"
            for rung in ladder.rungs
            if rung.answer != "yes"
        ]
        if doubtful and ladder.status in _FINDINGS:
            yield Caveat(f"What “{ladder.words.lower()}” does not cover ({ladder.where})", f"{'; '.join(doubtful)}.")


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
            " the images and the architecture alone.",
        )
    rows = run.primary_contrasts
    rows = rows[(rows["status"] != NOT_INTERPRETABLE) & np.isfinite(rows["estimate"])]
    for control in run.controls:
        found = []
        for (magnification, label), stratum in rows.groupby(["magnification", "label"], sort=False):
            by_model = stratum.set_index("model")
            if {TRAINED, control, f"{TRAINED}-{control}"} <= set(by_model.index):
                where = begun(run.place(magnification, label))
                found += [f"{where}: {text}" for text in _same_preference(run, control, by_model)]
        if found:
            yield Caveat(f"The {run.network(control)} leans the same way", " ".join(found))


def _same_preference(run: Run, control: str, by_model: pd.DataFrame) -> Iterator[str]:
    own_rows: Any = by_model.loc
    trained, same, more = (own_rows[name] for name in (TRAINED, control, f"{TRAINED}-{control}"))
    if np.sign(trained["estimate"]) != np.sign(same["estimate"]):
        return
    # a p-value that is not there is no finding: NaN is below nothing
    beyond = more["p_adjusted"] < run.alpha
    further = beyond and np.sign(more["estimate"]) == np.sign(trained["estimate"])
    if further and not same["p_adjusted"] < run.alpha:
        return
    whose = "cytoplasm" if trained["estimate"] > 0 else "nuclei"
    numbers = f"ratio {ratio(same['estimate'])} against {ratio(trained['estimate'])} when trained"
    if further:
        text = f"Training adds to it ({_evidence(run, more)}), but part of the preference needs no training."
    elif beyond:
        text = f"Training weakens it ({_evidence(run, more)}): the preference does not come from training."
    elif np.isfinite(more["p_adjusted"]):
        text = f"Training does not significantly add to it ({_evidence(run, more)}): it may come from the images alone."
    else:
        text = f"The two networks differ by a factor of {ratio(more['estimate'])}, which is not tested here."
    yield f"the control's saliency is also denser in the {whose} ({numbers}). {text}"


def _selection(run: Run) -> Iterator[Caveat]:
    for (magnification, label), rows in run.selection.groupby(["magnification", "label"], sort=False):
        steps = rows.set_index("step")["n_patches"]
        if not {"evaluation split", "correct and confident"} <= set(steps.index):
            continue
        before, after = float(steps["evaluation split"]), float(steps["correct and confident"])
        if before and after < before / 2:
            yield Caveat(
                f"Most patches are not judged ({run.place(magnification, label)})",
                f"{count(after, 'patch').capitalize()} of {before:,.0f} ({percent(after / before, 0)}) were classified"
                f" correctly with a probability of at least {run.settings.saliency.min_confidence:g}. The verdict holds"
                " for those alone.",
            )
    left_out = run.exclusions
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
    counts = rows["compartment"].astype("str").value_counts(sort=False)
    words = [f"the {name} in {n:,}" for name, n in counts.items() if name != "background"]
    if words:
        yield Caveat(
            "Compartments too small to be measured",
            f"Too small: {listing(words)} of the judged patches. There they count as missing, not as zero.",
        )


def _always(run: Run) -> Iterator[Caveat]:
    yield Caveat(
        "Nuclear borders",
        "A nuclear border is a strong edge, and networks react to edges. A band of one pixel at the border can carry"
        " part of the saliency of nuclei or cytoplasm; see the profile around zero.",
    )
    if not run.settings.classifier.is_network:
        text = "How, and from which patches their classifier learned, is not known here; others may look elsewhere."
        yield Caveat("The maps were made elsewhere", text)
        return
    alone = (
        "Every number is of this network; how much others would differ is unknown. Networks that differ in nothing but"
        " their seeds may differ as much as slides do (classifier.networks trains several). "
    )
    several = run.n_networks > 1
    yield Caveat(
        "One architecture, one kind of map" if several else "One network, one kind of map",
        f"{'' if several else alone}Another architecture or saliency method may look elsewhere. An input gradient says"
        " to which pixels the score is sensitive, not which tissue caused the decision.",
    )


def _evidence(run: Run, row: pd.Series) -> str:
    bounds = ratio_interval(row["ci_low"], row["ci_high"])
    limits = "" if bounds == NONE else f"; {run.confidence_percent} interval {bounds}"
    return f"factor {ratio(row['estimate'])}{limits}; adjusted {p_sign(row['p_adjusted'])}"
