"""The contrasts as tables: trained network, controls, their difference, and every test."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.report.calibration import Calibration, calibration
from saliency_stats.report.figures.marks import units_known
from saliency_stats.report.figures.rows import missing_reasons
from saliency_stats.report.run import Run, records
from saliency_stats.report.tables.checks import reach_words
from saliency_stats.report.tables.table import Table, of_labels, place_of
from saliency_stats.report.words import (
    CONTRAST_WORDS,
    DASH,
    MINUS,
    NONE,
    begun,
    check_words,
    interval,
    magnification_words,
    number,
    p_words,
    percent,
    ratio,
    ratio_interval,
    whole,
)
from saliency_stats.statistics import BOTH_LABELS, DIFFERENCES, PRIMARY
from saliency_stats.statistics.crossing import CROSSED
from saliency_stats.statistics.registry import words_of
from saliency_stats.vocabulary import TRAINED

_STATUS: Final = {"tested": "tested", "no_inference": "not tested", "not_interpretable": "not interpretable"}


def contrast_tables(run: Run) -> tuple[Table, ...]:
    """Return the tables of contrasts that have rows, the most important first."""
    makers = (contrasts_table, effects_table, compartments_table, differences_table, tests_table)
    return tuple(table for make in makers if (table := make(run)).rows)


def contrasts_table(run: Run) -> Table:
    """Return the primary contrast of the trained network, the controls, and their difference."""
    rows = run.by_deciding_test(run.own_contrasts[run.own_contrasts["contrast"] == PRIMARY])
    return _contrast_rows(run, "contrasts", "Saliency density in the cytoplasm against the nuclei", rows, "network")


def effects_table(run: Run) -> Table:
    """Return how large the primary contrast is, in every measure and with intervals."""
    rows = of_labels(run, run.by_deciding_test(run.own_contrasts[run.own_contrasts["contrast"] == PRIMARY]))
    rows = rows[np.isfinite(rows["effect_size"])]
    several = _several_methods(rows)
    cells = [
        (
            *_stratum(run, row, several=several),
            run.network(row.model),
            ratio(row.estimate),
            ratio_interval(row.ci_low, row.ci_high),
            ratio_interval(row.ci_low_simultaneous, row.ci_high_simultaneous),
            number(row.effect_size),
            interval(row.effect_size_low, row.effect_size_high),
            percent(row.superiority, 0),
            f"{100 * row.superiority_low:.0f}{DASH}{percent(row.superiority_high, 0)}",
            p_words(row.p_equivalence),
        )
        for row in records(rows)
    ]
    margin = float(run.settings.statistics.equivalence_margin)
    return Table(
        "effects",
        "How large the preference is",
        f"Simultaneous: intervals that hold for the whole family of hypotheses together. dz: mean ÷ standard deviation"
        f" of the {run.unit}s' means, interval by the noncentral t distribution. Denser in: share of the {run.unit}s"
        " whose ratio is above 1, interval by Clopper and Pearson. Equivalence: p of two one-sided t tests against a"
        f" ratio outside {ratio_interval(-margin, margin)}.",
        (
            *(*_stratum_heads(several), "Network", "Ratio", f"{run.confidence_percent} interval", "Simultaneous"),
            *("dz", "Interval of dz", "Denser in", "Interval", "Equivalence p"),
        ),
        tuple(cells),
        n_text=3 + 2 * several,
    )


def compartments_table(run: Run) -> Table:
    """Return the contrasts of the trained network other than the primary one."""
    other = ~run.own_contrasts["contrast"].isin([PRIMARY, *DIFFERENCES])
    own = other & (run.own_contrasts["contrast"].map(check_words) == "")
    rows = run.own_contrasts[own & (run.own_contrasts["model"] == TRAINED)]
    title = "Saliency density of the other compartments, trained network"
    return _contrast_rows(run, "compartments", title, run.by_deciding_test(rows), "contrast")


def differences_table(run: Run) -> Table:
    """Return how the primary contrast differs between classes, confidence and magnifications."""
    rows = run.by_deciding_test(run.own_contrasts[run.own_contrasts["contrast"].isin(DIFFERENCES)])
    asked = (rows["label"] != BOTH_LABELS) | (len(run.labels) > 1)
    answered = _answered(run, rows[(rows["n_patches"] > 0) & asked])
    # one question after the other, each from coarse to fine: so a magnification stands beside its neighbours
    question = [DIFFERENCES.index(name) for name in answered["contrast"]]
    answered = answered.assign(question=question).sort_values(["question", "label"], kind="stable")
    cells = [
        (
            magnification_words(row.magnification)
            + (f" against {magnification_words(float(row.versus))}" if row.versus else ""),
            _class(run, row.label),
            _difference(run, row.contrast),
            ratio(row.estimate),
            ratio_interval(row.ci_low, row.ci_high),
            p_words(row.p_value),
            p_words(row.p_adjusted),
            words_of(row.test) if np.isfinite(row.p_value) else _STATUS.get(row.status, row.status),
        )
        for row in records(answered)
    ]
    return Table(
        "differences",
        "Where the preference differs",
        f"Ratio of two ratios cytoplasm : nucleus, trained network; 1 is no difference. Unpaired {run.unit}s: a test"
        " that allows them is shown. Judged patches are correctly classified, so the classes are also those that the"
        f" network predicts, and may differ although the tissue does not.{_reasons(run, answered)}",
        (
            *("Magnification", "Class", "Difference", "Ratio", f"{run.confidence_percent} interval", "p"),
            *("Adjusted p", "Test"),
        ),
        tuple(cells),
        n_text=3,
    )


def _class(run: Run, label: str) -> str:
    return "both" if label == BOTH_LABELS else run.classes.name(label)


def _difference(run: Run, contrast: str) -> str:
    """Name a difference of the primary contrast."""
    benign, malignant = run.classes.names
    return CONTRAST_WORDS[contrast].format(benign=benign, malignant=malignant)


def _reasons(run: Run, rows: pd.DataFrame) -> str:
    """Say what is unusual about the rows, each reason once with the rows it is about."""
    text = ""
    for reason, of_reason in rows[rows["reason"] != ""].groupby("reason", sort=False):
        where = []
        for (contrast, label), found in of_reason.groupby(["contrast", "label"], sort=False):
            at = ", ".join(magnification_words(value) for value in found["magnification"])
            where.append(f"{_difference(run, str(contrast))}, {_class(run, str(label))}, {at}")
        text += f" {'All rows' if len(of_reason) == len(rows) else begun('; '.join(where))}: {reason}."
    return text


def _answered(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    """Take, where the primary test gives no p-value for a contrast, that of permutations."""
    key = ["contrast", "label", "magnification", "method", "reduction"]
    fallback = run.own_contrasts[run.own_contrasts["test"] == "permutation"].drop_duplicates(key).set_index(key)
    picked = []
    for row in records(rows):
        found = tuple(getattr(row, name) for name in key)
        use = not np.isfinite(row.p_value) and found in fallback.index
        picked.append({**dict(zip(key, found, strict=True)), **fallback.loc[found]} if use else row._asdict())
    return pd.DataFrame(picked, columns=rows.columns)


def tests_table(run: Run) -> Table:
    """Return every test of the primary hypotheses side by side, each with how often it errs at this size."""
    rows = run.own_contrasts[(run.own_contrasts["contrast"] == PRIMARY) & (run.own_contrasts["model"] == TRAINED)]
    rows = of_labels(run, rows[rows["test"] != "permutation"])  # that is of two samples
    rows = rows.assign(order=[place_of(run, at) for at in rows["magnification"]], other=rows["test"] != CROSSED)
    rows = rows.sort_values(["order", "label", "method", "reduction", "other"], kind="stable")
    several = _several_methods(rows)
    per_unit = run.patches_per_unit
    cells = []
    for row in records(rows):
        errs = calibration_of(row, per_unit)
        cells.append(
            (
                *_stratum(run, row, several=several),
                words_of(row.test),
                ratio(row.estimate),
                ratio_interval(row.ci_low, row.ci_high),
                p_words(row.p_value),
                p_words(row.p_adjusted),
                _rates(errs) if errs else NONE,
                ("confirmatory" if errs.confirmatory else "supporting") if errs else NONE,
                f"{row.n_agree:g} of {row.n_tests:g}" if row.n_agree else NONE,
            )
        )
    return Table(
        "tests",
        "The same hypotheses by every test",
        _tests_note(run, rows, per_unit),
        (
            *(*_stratum_heads(several), "Test", "Ratio", f"{run.confidence_percent} interval", "p", "Adjusted p"),
            *("Errs in", "Role", "Agree"),
        ),
        tuple(cells),
        n_text=3 + 2 * several,
    )


def calibration_of(row: Any, per_unit: Mapping[tuple[float, str], tuple[int, int]]) -> Calibration | None:
    """Look up how often the test of a contrast's row errs in studies of this size; None where there is no test."""
    sizes = per_unit.get((row.magnification, row.label))
    if sizes is None or not np.isfinite(row.p_value):
        return None
    return calibration(row.test, int(row.n_units), float(row.icc), patches_per_unit=sizes)


def _rates(errs: Calibration) -> str:
    return f"{100 * errs.normal:.1f} / {100 * errs.heavy_tailed:.1f} / {percent(errs.skewed)}"


def _tests_note(run: Run, rows: pd.DataFrame, per_unit: Mapping[tuple[float, str], tuple[int, int]]) -> str:
    text = "A finding should not depend on the choice of the test."
    decided = records(rows[rows["test"] == run.primary_test])
    designs = {errs.words.split(" with ")[1] for errs in (calibration_of(row, per_unit) for row in decided) if errs}
    if not designs:
        return text
    skews = [
        f"{run.place(row.magnification, row.label)}: {number(row.skewness, 1)}"
        for row in decided
        if np.isfinite(row.skewness)
    ]
    return (
        f"{text} Errs in: how often the test rejects a true null hypothesis at 5 %, simulated for the nearest design"
        f" ({'; '.join(sorted(designs))}), for normal / heavy-tailed / skewed effects of {run.unit}s. Agree: tests with"
        f" the same decision at {run.alpha:g}. Confirmatory: rejects a true null hypothesis in 3–6.5 % (at most 10 %"
        " with skewed effects) and has 90 % of the t test's power in every simulated design with as many slides."
        f" Supporting: the others. Skewness of the {run.unit}s' means: {'; '.join(skews)}."
    )


def _contrast_rows(run: Run, name: str, title: str, rows: pd.DataFrame, first: str) -> Table:
    rows = of_labels(run, rows)
    several = _several_methods(rows)
    cells = [
        (
            *_stratum(run, row, several=several),
            run.network(row.model) if first == "network" else CONTRAST_WORDS.get(row.contrast, row.contrast),
            ratio(row.estimate),
            ratio_interval(row.ci_low, row.ci_high),
            number(row.estimate),
            p_words(row.p_value),
            p_words(row.p_adjusted),
            p_words(row.p_attainable),
            number(row.effect_size),
            number(row.icc),
            number(row.design_effect, 1),
            number(row.n_effective, 0),
            whole(row.n_slides) if row.n_slides else NONE,
            whole(row.n_patches),
            "out of reach" if reach_words(run, row, run.contrasts) else _STATUS.get(row.status, row.status),
        )
        for row in records(rows)
    ]
    correction = {"holm": "Holm", "bh": f"Benjamini{DASH}Hochberg"}.get(str(run.settings.statistics.correction), "")
    corrected = f" Adjusted p: corrected by {correction} within the family." if correction else ""
    reasons = missing_reasons(rows)
    difference = (
        f" Trained {MINUS} control: the ratio of the two ratios." if first == "network" and run.controls else ""
    )
    missing = f" {NONE}: {'; '.join(reasons)}." if reasons else ""
    reach = sorted({words for row in records(rows) if (words := reach_words(run, row, run.contrasts))})
    unreachable = f" Least p: the smallest that could have come out. Out of reach: {'; '.join(reach)}." if reach else ""
    return Table(
        name,
        title,
        f"{_means_words(run)}{difference}{corrected}{unreachable}{missing}",
        (
            *_stratum_heads(several),
            "Network" if first == "network" else "Contrast",
            *("Ratio", f"{run.confidence_percent} interval", "log2", "p", "Adjusted p", "Least p", "dz"),
            *("ICC", "Design effect", "n eff", "Slides", "Patches", "Status"),
        ),
        tuple(cells),
        n_text=3 + 2 * several,
    )


def _means_words(run: Run) -> str:
    """Say what the numbers are means of, and what the columns on the design mean."""
    if not units_known(run):
        return f"Ratios are geometric means over patches, because their {run.unit}s are unknown."
    networks = f" Values of a patch are means over {run.n_networks} networks." if run.n_networks > 1 else ""
    return (
        f"Ratios are geometric means over {run.unit}s of the {run.unit}s' means. dz: mean ÷ standard"
        f" deviation of those means. ICC: intraclass correlation of the patches of one {run.unit}; the design"
        f" effect is how many times fewer independent patches (n eff) they are worth.{networks}"
    )


def _several_methods(rows: pd.DataFrame) -> bool:
    return len(rows[["method", "reduction"]].drop_duplicates()) > 1


def _stratum(run: Run, row: Any, *, several: bool) -> tuple[str, ...]:
    methods = (row.method, row.reduction) if several else ()
    return (magnification_words(row.magnification), run.classes.name(row.label), *methods)


def _stratum_heads(several: bool) -> tuple[str, ...]:  # noqa: FBT001 - the one thing it depends on
    return ("Magnification", "Class", *(("Method", "Reduction") if several else ()))
