"""Is the planted compartment found? The built-in study for each planted signal, with found and with true nuclei.

    python analyses/recovery.py --out reports/recovery --table analyses/results/phantom/recovery.csv

About 30 minutes on two cores. Runs with other nuclei reuse the classifier of the run with the built-in model, so that
they differ in the segmentation alone. Finished runs are not computed again.
"""

import argparse
from pathlib import Path

import pandas as pd

from saliency_stats import Run, Study
from saliency_stats.settings.study import load

SIGNALS = ("cytoplasm", "nucleus", "stroma", "none")
CONTRASTS = ("cytoplasm_vs_nucleus", "nucleus_vs_rest", "cytoplasm_vs_rest", "stroma_vs_rest")
MODELS = ("trained", "randomised", "trained-randomised")
COLUMNS = [
    "contrast",
    "label",
    "model",
    "ratio",
    "estimate",
    "ci_low",
    "ci_high",
    "p_adjusted",
    "status",
    "n_slides",
    "n_patches",
]


def main() -> None:
    """Run the studies and write one table of their contrasts and verdicts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--table", type=Path, required=True, help="CSV to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=list(SIGNALS))
    parser.add_argument("--nuclei", nargs="+", default=["builtin", "classical", "truth"], help="the first trains")
    arguments = parser.parse_args()
    parts = []
    for signal in arguments.signals:
        first, *others = arguments.nuclei
        trained = _run(arguments, signal, first, ())
        parts.append(_summary(trained, signal, first))
        weights = trained.folder / "weights" / "trained-20x.safetensors"
        for nuclei in others:
            again = _run(arguments, signal, nuclei, (f"classifier.weights={weights}", "classifier.trainable=none"))
            parts.append(_summary(again, signal, nuclei))
    arguments.table.parent.mkdir(parents=True, exist_ok=True)
    table = pd.concat(parts, ignore_index=True)
    table.to_csv(arguments.table, index=False)
    print(table.query("contrast == 'cytoplasm_vs_nucleus' and model == 'trained'").to_string(index=False))


def _run(arguments: argparse.Namespace, signal: str, nuclei: str, more: tuple[str, ...]) -> Run:
    chosen = (
        *(f"seed={arguments.seed}", f"cohort.signal={signal}", f"compartments.nuclei={nuclei}"),
        # methods.py has the other controls and the replaced compartments
        *("controls=[randomised]", "causal.replacements=[]"),
        *more,
    )
    return Study(load(None, chosen)).run(arguments.out / f"{signal}-{nuclei}")


def _summary(run: Run, signal: str, nuclei: str) -> pd.DataFrame:
    rows = run.contrasts
    rows = rows[(rows["test"] == "sign_flip") & rows["contrast"].isin(CONTRASTS) & rows["model"].isin(MODELS)]
    rows = rows[COLUMNS].copy()
    rows.insert(0, "signal", signal)
    rows.insert(1, "nuclei", nuclei)
    metrics = run.metrics.query("model == 'trained' and split == 'test'").iloc[0]
    rows["balanced_accuracy"] = metrics["balanced_accuracy"]
    verdict = {item["label"]: item for item in run.verdict}
    rows["verdict"] = [verdict[label]["status"] for label in rows["label"]]
    rows["densest_compartment"] = [verdict[label]["densest_compartment"] for label in rows["label"]]
    return rows


if __name__ == "__main__":
    main()
