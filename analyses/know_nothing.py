"""Maps that know nothing, judged as if they were the network's: none of them may be supported.

    python analyses/know_nothing.py reports/networks/cytoplasm reports/networks/nucleus \\
        --table analyses/results/phantom/know_nothing.csv

Of finished runs with several networks: the maps of the image alone and those of untrained and shuffled networks take
the trained network's place, patches and classes staying those that the trained network judged. Untrained networks are
judged against other untrained ones: the first half of them against the second.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from saliency_stats import Run
from saliency_stats.statistics import study_contrasts, verdicts
from saliency_stats.vocabulary import NETWORK, TRAINED

NETWORKS = ("randomised", "shuffled")
PICTURES = ("sobel", "haematoxylin", "eosin")
COLUMNS = ["label", "status", "explained_by", "estimate", "ci_low", "ci_high", "p_adjusted", "p_supported"]


def main() -> None:
    """Judge every map of every run, and write one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs")
    parser.add_argument("--table", type=Path, required=True, help="CSV to write")
    arguments = parser.parse_args()
    found = pd.concat([judged(Run(folder)).assign(run=folder.name) for folder in arguments.runs], ignore_index=True)
    arguments.table.parent.mkdir(parents=True, exist_ok=True)
    survives = found.filter(regex="^survives_").columns
    found[["run", "map", *COLUMNS, *survives]].to_csv(arguments.table, index=False)
    print(found[["run", "map", *COLUMNS]].to_string(index=False))


def judged(run: Run) -> pd.DataFrame:
    """Judge the network of a run, and in its place every map that knows nothing."""
    there = [name for name in (TRAINED, *PICTURES, *NETWORKS) if name in set(run.ledger["model"])]
    return pd.concat([_judged(run, name) for name in there], ignore_index=True)


def _judged(run: Run, name: str) -> pd.DataFrame:
    settings = run.settings.statistics_parameters(run.unit)
    # one network at chance in one magnification says nothing of maps that never were to learn
    learned = run.learned if name == TRAINED else None
    tables = {key: as_trained(run.of_own_map(run.table(key)), name, run) for key in ("ledger", "shift", "matched")}
    predictions = run.predictions
    if name in NETWORKS:
        names = sorted(tables["ledger"].loc[tables["ledger"]["model"] == TRAINED, NETWORK].unique())
        predictions = predictions[predictions[NETWORK].isin(names)]
    contrasts = study_contrasts(
        tables["ledger"],
        predictions,
        settings=settings,
        learned=learned,
        shift=tables["shift"],
        matched=tables["matched"],
    )
    metrics = run.metrics if name == TRAINED else run.metrics.assign(learned=True)
    found = verdicts(contrasts, metrics, settings, untrained=NETWORKS)
    rows = [
        {key: one[key] for key in COLUMNS}
        | {f"survives_{rung['rung']}": f"{rung['answer']}: {rung['numbers']}" for rung in one["survives"]}
        for one in found
    ]
    return pd.DataFrame(rows).assign(map=name)


def as_trained(table: pd.DataFrame, name: str, run: Run) -> pd.DataFrame:
    """Put the rows of another map in the trained network's place.

    A map of the image alone stays a control as well. Networks of which the first half takes the place are the control
    of the other half, by their names.
    """
    if name == TRAINED:
        return table
    own, others = table[table["model"] == name], table[~table["model"].isin([TRAINED, name])]
    moved = own.assign(model=TRAINED, method=run.method, reduction=run.reduction)
    if name in PICTURES:
        return pd.concat([moved, others], ignore_index=True)
    names = np.array(sorted(own[NETWORK].unique()))
    half = len(names) // 2
    renamed = dict(zip(names[half : 2 * half], names[:half], strict=True))
    control = own[own[NETWORK].isin(renamed)]
    control = control.assign(**{NETWORK: control[NETWORK].map(renamed)})
    others = others[others[NETWORK].isin([*names[:half], ""])]
    return pd.concat([moved[moved[NETWORK].isin(names[:half])], control, others], ignore_index=True)


if __name__ == "__main__":
    main()
