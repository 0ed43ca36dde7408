"""Is the planted compartment found? The built-in study for each planted signal, with several networks.

    python analyses/recovery.py --out reports/recovery --table analyses/results/phantom/recovery.csv

The run with the built-in model of nuclei has several networks, judged as a sample. Runs with other nuclei reuse its
first one, so that they differ in the segmentation alone; their verdicts are about this network. About two hours on two
cores. Finished runs are not computed again.

Writes the contrasts and verdicts, and beside them ``causal.csv``: which compartment's replacement lowers the logits of
the several networks most.
"""

import argparse
from pathlib import Path

import pandas as pd

from saliency_stats import Run, Study
from saliency_stats.settings.study import load
from saliency_stats.statistics.largest import largest
from saliency_stats.vocabulary import CELLS, USUAL_CELLS

SIGNALS = ("cytoplasm", "nucleus", "stroma", "none")
#: More than those of the built-in study, whose first result is not waited for long: patches of a slide, and those of
#: each class of which compartments are replaced.
LARGER = ("cohort.patches_per_slide=24", "causal.patches_per_class=6")
CONTRASTS = (
    *("cytoplasm_vs_nucleus", "cytoplasm_vs_nucleus_centred", "matched_sobel", "matched_eosin"),
    *("nucleus_vs_rest", "cytoplasm_vs_rest", "stroma_vs_rest"),
)
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
    "n_networks",
    "var_network",
    "network_share",
    "n_slides",
    "n_patches",
]


def main() -> None:
    """Run the studies and write two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--table", type=Path, required=True, help="CSV to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=list(SIGNALS))
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--cells", default=USUAL_CELLS, choices=CELLS)
    parser.add_argument("--nuclei", nargs="+", default=["builtin", "classical", "truth"], help="the first trains")
    arguments = parser.parse_args()
    parts, causal = [], []
    for signal in arguments.signals:
        first, *others = arguments.nuclei
        trained = _run(arguments, signal, first, (f"classifier.networks={arguments.networks}",))
        parts.append(_summary(trained, signal, first))
        causal.append(largest(trained.table("causal")).assign(signal=signal))
        weights = trained.folder / "weights" / "trained-20x.safetensors"
        for nuclei in others:
            again = _run(arguments, signal, nuclei, (f"classifier.weights={weights}", "classifier.trainable=none"))
            parts.append(_summary(again, signal, nuclei))
    arguments.table.parent.mkdir(parents=True, exist_ok=True)
    table = pd.concat(parts, ignore_index=True)
    table.to_csv(arguments.table, index=False)
    pd.concat(causal, ignore_index=True).to_csv(arguments.table.with_name("causal.csv"), index=False)
    print(table.query("contrast == 'cytoplasm_vs_nucleus' and model == 'trained'").to_string(index=False))


def _run(arguments: argparse.Namespace, signal: str, nuclei: str, more: tuple[str, ...]) -> Run:
    chosen = (
        *(f"seed={arguments.seed}", f"cohort.signal={signal}", f"compartments.nuclei={nuclei}"),
        f"compartments.cells={arguments.cells}",
        *LARGER,
        *more,
    )
    return Study(load(None, chosen)).run(arguments.out / f"{signal}-{nuclei}")


def _summary(run: Run, signal: str, nuclei: str) -> pd.DataFrame:
    rows = run.contrasts
    own = (rows["test"] == run.primary_test) & (rows["population"] == "judged")
    rows = rows[own & rows["contrast"].isin(CONTRASTS) & rows["model"].isin(MODELS)]
    rows = rows[COLUMNS].copy()
    rows.insert(0, "signal", signal)
    rows.insert(1, "nuclei", nuclei)
    rows["balanced_accuracy"] = run.scored["balanced_accuracy"].iloc[0]
    verdict = {item["label"]: item for item in run.verdict}
    for name in ("status", "explained_by", "p_supported", "densest_compartment"):
        rows[f"verdict_{name}"] = [verdict[label][name] for label in rows["label"]]
    answers = {label: {rung["rung"]: rung["answer"] for rung in item["survives"]} for label, item in verdict.items()}
    for rung in ("maps", "training", "picture", "place", "decision", "networks"):
        rows[f"survives_{rung}"] = [answers[label].get(rung, "") for label in rows["label"]]
    return rows


if __name__ == "__main__":
    main()
