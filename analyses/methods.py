"""Which methods find the planted compartment? Phantoms of every planted signal.

    python analyses/recovery.py --out reports/recovery --table reports/recovery.csv --nuclei builtin
    python analyses/methods.py --trained reports/recovery --out reports/methods --results analyses/results/phantom

Takes the first classifier of each run of ``recovery.py`` and explains a third of the patches of its slides. SmoothGrad,
integrated gradients and occlusion take the time of 15, 25 and 90 gradients a patch. ``--methods`` chooses; occlusion is
computed only if named.

Writes ``methods.csv`` (contrasts of every method and reduction) and ``methods_summary.csv`` (whether each finds what
was planted, with the power of a t test over as many slides if the effect were as estimated, which says no more than the
p-value). Finished runs are not computed again.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from saliency_stats import Run, Study
from saliency_stats.settings.study import load

SIGNALS = ("cytoplasm", "nucleus", "stroma", "none")
#: By planted signal: the contrast that should find it, and the sign it should have.
PLANTED = {
    "cytoplasm": ("cytoplasm_vs_nucleus", 1),
    "nucleus": ("cytoplasm_vs_nucleus", -1),
    "stroma": ("stroma_vs_rest", 1),
    "none": ("cytoplasm_vs_nucleus", 0),
}
ALPHA = 0.05
METHODS = (
    *("gradient", "shifted_gradient", "smoothgrad", "integrated_gradients", "gradient_x_input"),
    *("guided_backprop", "deeplift", "grad_cam"),
)
COLUMNS = [
    *("contrast", "label", "model", "method", "reduction", "ratio", "estimate", "ci_low", "ci_high"),
    *("p_value", "p_adjusted", "effect_size", "status", "n_slides", "n_patches"),
]


def main() -> None:
    """Run the four studies and write two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trained", type=Path, required=True, help="folder of recovery.py's runs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--signals", nargs="+", choices=SIGNALS, default=list(SIGNALS))
    arguments = parser.parse_args()
    methods = []
    for signal in arguments.signals:
        run = _run(arguments, signal)
        contrasts = run.contrasts.query("test == 'sign_flip' and population == 'judged'")
        methods.append(contrasts[COLUMNS].assign(signal=signal))
    arguments.results.mkdir(parents=True, exist_ok=True)
    table = pd.concat(methods, ignore_index=True)
    table.to_csv(arguments.results / "methods.csv", index=False)
    summary(table).to_csv(arguments.results / "methods_summary.csv", index=False)


def summary(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Say for every signal, method and class whether the planted compartment was found."""
    parts = []
    for signal, (contrast, sign) in PLANTED.items():
        rows = contrasts[(contrasts["signal"] == signal) & (contrasts["contrast"] == contrast)]
        rows = rows[(rows["model"] == "trained") & rows["reduction"].isin(["l2", "none"])]
        found = (rows["p_adjusted"] <= ALPHA) & ((rows["estimate"] * sign > 0) | (sign == 0))
        noncentral = rows["effect_size"].abs() * np.sqrt(rows["n_slides"])
        degrees = rows["n_slides"] - 1
        limit = stats.t.ppf(1 - ALPHA / 2, degrees)
        # the other tail of a large effect is zero to machine precision, and overflows
        power = stats.nct.sf(limit, degrees, noncentral) + np.nan_to_num(stats.nct.cdf(-limit, degrees, noncentral))
        parts.append(rows.assign(found=found, power=power))
    shown = ["signal", "method", "label", "contrast", "ratio", "p_adjusted", "found", "power", "status", "n_slides"]
    return pd.concat(parts, ignore_index=True)[shown]


def _run(arguments: argparse.Namespace, signal: str) -> Run:
    weights = arguments.trained / f"{signal}-builtin" / "weights" / "trained-20x.safetensors"
    chosen = (
        f"cohort.signal={signal}",
        "cohort.patches_per_slide=8",
        f"classifier.weights={weights}",
        "classifier.trainable=none",
        f"saliency.methods=[{','.join(arguments.methods)}]",
        "causal.replacements=[]",
        "saliency.more_reductions=[l1, max]",
        "controls=[sobel, haematoxylin, eosin, shift]",
    )
    return Study(load(None, chosen)).run(arguments.out / signal)


if __name__ == "__main__":
    main()
