"""False and missed findings of whole studies, by drawing many cohorts from one run's tables.

    saliency-stats run --out reports/memorised --set cohort.signal=none --set classifier.epochs=40 \\
        --set classifier.learning_rate=0.001 --set classifier.weight_decay=0 \\
        --set classifier.augmentation.dihedral=false --set classifier.augmentation.stain=0
    python analyses/false_findings.py reports/memorised
    python analyses/false_findings.py reports/recovery/cytoplasm-builtin

A cohort has as many slides as the run judged, drawn from them with replacement, as many patches of each slide as it
has, and as many networks, trained and untrained, all drawn with replacement. What is drawn twice counts as different.
Accuracy, contrasts and verdicts, with their controls, are computed as in a run.

Where no signal was planted, the labels of a slide's patches are drawn anew as well, so that the null is true. Two
rates are given there. "verdict" is the rate of cohorts with a verdict for or against the claim; a classifier at chance
has none. "between the classes" is the rate of cohorts in which the primary contrast differs significantly between the
classes, over all patches of the split, however they were classified; the check that the classifier learned does not
enter here. (Among correctly classified patches the classes do differ, because there the label is the prediction.)
Where a signal was planted, only the right verdict counts.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint
from tqdm import tqdm

from saliency_stats import Run
from saliency_stats.classifier.evaluation import metrics_table
from saliency_stats.statistics import PRIMARY, contrast_table, learned_flags, patch_values, study_contrasts, verdicts
from saliency_stats.study.parameters import evaluation_of, untrained_of
from saliency_stats.vocabulary import LABELS, NETWORK, TRAINED

#: The control that moves a network's own map: it is drawn with its network.
SHIFT = "shift"


def drawn(
    predictions: pd.DataFrame, rng: np.random.Generator, *, relabel: bool
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Draw slides, their patches and networks; return what makes a table of the run one of the cohort.

    Parameters
    ----------
    predictions
        Of the judged split, of every network.
    relabel
        Whether the labels of each slide's patches are drawn anew.
    """
    patches = predictions.drop_duplicates("patch_id")
    parts = []
    for place, slide in enumerate(rng.choice(np.sort(patches["slide_id"].unique()), patches["slide_id"].nunique())):
        part = patches[patches["slide_id"] == slide].sample(frac=1, replace=True, random_state=rng)
        label = rng.permutation(part["label"].to_numpy()) if relabel else part["label"].to_numpy()
        name = [f"{place:03d}-{k:04d}" for k in range(len(part))]
        parts.append(
            pd.DataFrame({"old": part["patch_id"], "patch_id": name, "slide_id": f"{place:03d}", "label": label})
        )
    of_patch = pd.concat(parts, ignore_index=True)
    of_network = pd.concat([_networks(rows, rng) for _, rows in predictions.groupby("model")], ignore_index=True)
    moved = of_network[of_network["model"] == TRAINED].assign(model=SHIFT)
    of_network = pd.concat([of_network, moved], ignore_index=True)

    def of_cohort(table: pd.DataFrame) -> pd.DataFrame:
        named = table.drop(columns=["slide_id", "patient_id", "label"]).rename(columns={"patch_id": "old"})
        rows = of_patch.assign(patient_id=of_patch["slide_id"]).merge(named, on="old").drop(columns="old")
        rows = rows.astype({"model": str, NETWORK: str})
        picture = rows[rows[NETWORK] == ""]
        networks = of_network.merge(rows.rename(columns={NETWORK: "old"}), on=["model", "old"]).drop(columns="old")
        return pd.concat([networks, picture], ignore_index=True)

    return of_cohort


def _networks(predictions: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    names = np.sort(predictions[NETWORK].astype(str).unique())
    return pd.DataFrame(
        {"model": str(predictions["model"].iloc[0]), "old": rng.choice(names, len(names)), NETWORK: names}
    )


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--cohorts", default=200, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--table", type=click.Path(path_type=Path, dir_okay=False), help="CSV to add the rates to.")
def main(folder: Path, cohorts: int, seed: int, table: Path | None) -> None:
    """Draw the cohorts, judge each, and count."""
    run = Run(folder)
    study = run.settings
    settings = study.statistics_parameters(run.unit)
    nothing = study.cohort.kind == "phantom" and study.cohort.signal == "none"
    predictions = run.predictions[run.predictions["split"] == run.evaluation_split]
    own = {name: run.of_own_map(run.table(name)) for name in ("ledger", "shift", "matched")}
    counts: dict[str, int] = dict.fromkeys(["learned", *(f"verdict {label}" for label in LABELS), "any verdict"], 0)
    counts |= {"between the classes": 0} if nothing else {}
    rng = np.random.default_rng(seed)
    for _ in tqdm(range(cohorts), unit="cohort"):
        of_cohort = drawn(predictions, rng, relabel=nothing)
        judged, tables = of_cohort(predictions), {name: of_cohort(rows) for name, rows in own.items()}
        judged["correct"] = judged["predicted"] == judged["label"]
        metrics = metrics_table(judged, evaluation_of(study, run.unit))
        learned = learned_flags(metrics)
        contrasts = study_contrasts(
            tables["ledger"],
            judged,
            settings=settings,
            learned=learned,
            shift=tables["shift"],
            matched=tables["matched"],
        )
        found = verdicts(contrasts, metrics, settings, untrained=untrained_of(study))
        wanted = {"nucleus": {"contradicted"}, "cytoplasm": {"supported"}}
        statuses = wanted.get(getattr(study.cohort, "signal", ""), {"supported", "contradicted"})
        hits = [verdict["label"] for verdict in found if verdict["status"] in statuses]
        counts["learned"] += any(learned.values())
        counts["any verdict"] += bool(hits)
        for label in hits:
            counts[f"verdict {label}"] += 1
        if nothing:
            values = patch_values(tables["ledger"])
            values = values[(values["contrast"] == PRIMARY) & (values["model"] == TRAINED)]
            pair = (LABELS[1], LABELS[0])
            row = contrast_table(values, "value", tests=settings.primary_test, group="label", pair=pair)
            counts["between the classes"] += bool((row["p_value"] <= settings.alpha).any())
    found_rows: list[dict[str, Any]] = []
    sample = {"slides": predictions["slide_id"].nunique(), "networks": study.classifier.networks}
    for what, n in counts.items():
        low, high = proportion_confint(n, cohorts, method="wilson")
        named = {"run": folder.name, "what": what, "cohorts": cohorts, **sample}
        found_rows.append({**named, "n": n, "rate": n / cohorts, "rate_low": low, "rate_high": high})
    made = pd.DataFrame(found_rows)
    click.echo(made.round(3).to_string(index=False))
    if table is not None:
        before = [pd.read_csv(table)] if table.is_file() else []
        table.parent.mkdir(parents=True, exist_ok=True)
        pd.concat([*before, made.round(5)], ignore_index=True).to_csv(table, index=False)


if __name__ == "__main__":
    main()
