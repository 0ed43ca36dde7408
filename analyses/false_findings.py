"""False and missed findings of whole studies, by drawing many cohorts from one run's tables.

    saliency-stats run --out reports/memorised --set cohort.signal=none --set classifier.epochs=40 \\
        --set classifier.learning_rate=0.001 --set classifier.weight_decay=0 --set "controls=[]" \\
        --set classifier.augmentation.dihedral=false --set classifier.augmentation.stain=0
    python analyses/false_findings.py reports/memorised
    python analyses/false_findings.py reports/recovery/cytoplasm-builtin

A cohort has as many slides as the run judged, drawn from them with replacement, and as many patches of each slide as
it has, drawn with replacement. What is drawn twice counts as different. Accuracy, contrasts and verdicts are computed
as in a run.

Where no signal was planted, the labels of a slide's patches are drawn anew as well, so that the null is true. Two
rates are given there. "verdict" is the rate of cohorts with a verdict for or against the claim; a classifier at chance
has none. "between the classes" is the rate of cohorts in which the primary contrast differs significantly between the
classes, over all patches of the split, however they were classified; the check that the classifier learned does not
enter here. (Among correctly classified patches the classes do differ, because there the label is the prediction.)
Where a signal was planted, only the right verdict counts.
"""

from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint
from tqdm import tqdm

from saliency_stats.classifier.evaluation import metrics_table
from saliency_stats.execution.store import Store
from saliency_stats.settings.study import load
from saliency_stats.statistics import PRIMARY, contrast_table, learned_flags, patch_values, study_contrasts, verdicts
from saliency_stats.study.parameters import evaluation_of
from saliency_stats.vocabulary import LABELS


def cohort(
    predictions: pd.DataFrame, ledger: pd.DataFrame, rng: np.random.Generator, *, relabel: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw slides and their patches, and return the predictions and the ledger of the cohort."""
    by_slide = dict(iter(predictions.groupby("slide_id")["patch_id"]))
    slides = sorted(by_slide)
    parts = []
    for place, slide in enumerate(rng.choice(slides, len(slides))):
        patches = rng.choice(by_slide[slide].to_numpy(), len(by_slide[slide]))
        names = [f"{place:03d}-{k:04d}" for k in range(len(patches))]
        parts.append(pd.DataFrame({"patch_id": patches, "name": names, "slide": f"{place:03d}"}))
    drawn = pd.concat(parts, ignore_index=True)
    judged = drawn.merge(predictions, on="patch_id", validate="many_to_one")
    if relabel:
        judged["label"] = judged.groupby("slide")["label"].transform(lambda labels: rng.permutation(labels.to_numpy()))
        judged["correct"] = judged["predicted"] == judged["label"]
    rows = drawn.merge(ledger, on="patch_id").drop(columns="label").merge(judged[["name", "label"]], on="name")
    tables = []
    for table in (judged, rows):
        named = table.assign(patch_id=table["name"], slide_id=table["slide"], patient_id=table["slide"])
        tables.append(named.drop(columns=["name", "slide"]))
    return tables[0], tables[1]


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--cohorts", default=200, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--table", type=click.Path(path_type=Path, dir_okay=False), help="CSV to add the rates to.")
def main(folder: Path, cohorts: int, seed: int, table: Path | None) -> None:
    """Draw the cohorts, judge each, and count."""
    study = load(folder / "study.yaml")
    settings = study.statistics_parameters
    nothing = study.cohort.kind == "phantom" and study.cohort.signal == "none"
    store = Store(folder)
    own = [store.table(name) for name in ("predictions", "ledger")]
    predictions, ledger = (part[(part["model"] == "trained") & (part["split"] == "test")] for part in own)
    counts: dict[str, int] = dict.fromkeys(["learned", *(f"verdict {label}" for label in LABELS), "any verdict"], 0)
    counts |= {"between the classes": 0} if nothing else {}
    rng = np.random.default_rng(seed)
    for _ in tqdm(range(cohorts), unit="cohort"):
        judged, rows = cohort(predictions, ledger, rng, relabel=nothing)
        metrics = metrics_table(judged, evaluation_of(study))
        learned = learned_flags(metrics)
        found = verdicts(study_contrasts(rows, judged, settings=settings, learned=learned), metrics, settings)
        wanted = {"nucleus": {"contradicted"}, "cytoplasm": {"supported"}}
        statuses = wanted.get(getattr(study.cohort, "signal", ""), {"supported", "contradicted"})
        hits = [verdict["label"] for verdict in found if verdict["status"] in statuses]
        counts["learned"] += any(learned.values())
        counts["any verdict"] += bool(hits)
        for label in hits:
            counts[f"verdict {label}"] += 1
        if nothing:
            values = patch_values(rows)
            values = values[values["contrast"] == PRIMARY]
            pair = (LABELS[1], LABELS[0])
            row = contrast_table(values, "value", tests=settings.primary_test, group="label", pair=pair)
            counts["between the classes"] += bool((row["p_value"] <= settings.alpha).any())
    found_rows: list[dict[str, Any]] = []
    for what, n in counts.items():
        low, high = proportion_confint(n, cohorts, method="wilson")
        named = {"run": folder.name, "what": what, "cohorts": cohorts, "slides": predictions["slide_id"].nunique()}
        found_rows.append({**named, "n": n, "rate": n / cohorts, "rate_low": low, "rate_high": high})
    made = pd.DataFrame(found_rows)
    click.echo(made.round(3).to_string(index=False))
    if table is not None:
        before = [pd.read_csv(table)] if table.is_file() else []
        table.parent.mkdir(parents=True, exist_ok=True)
        pd.concat([*before, made.round(5)], ignore_index=True).to_csv(table, index=False)


if __name__ == "__main__":
    main()
