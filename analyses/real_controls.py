"""Controls, methods, replaced compartments and the multiverse on real patches, with a network that is already trained.

    saliency-stats run analyses/pcam.yaml
    python analyses/real_controls.py --trained reports/pcam --n 150 --out reports/pcam-controls \
        --results analyses/results/real/pcam_controls

Takes the network, the patches and the splits of a finished run, draws ``--n`` patches of each class from the split it
was judged on, and asks of them what the run did not: every control but ``shuffled`` (which trains again), four methods,
what replacing a compartment does, and how much hangs on each choice of analysis. No slide is named, so there are
estimates without p-values. Writes the study's tables and figures to ``--results``. About 12 minutes on two cores.
"""

import argparse
import shutil
from pathlib import Path

import pandas as pd
import yaml
from committed import keep

from saliency_stats import Study
from saliency_stats.settings import load

#: Training patches that the table keeps: they are not used, but a study has some.
KEPT_TRAIN = 8


def main() -> None:
    """Draw the patches, run the study, copy what is committed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trained", type=Path, required=True, help="folder of a finished run")
    parser.add_argument("--n", type=int, default=150, help="patches of each class")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new run")
    parser.add_argument("--results", type=Path, required=True, help="folder of the tables and figures")
    arguments = parser.parse_args()
    study = yaml.safe_load((arguments.trained / "study.yaml").read_text(encoding="utf-8"))
    split = study["cohort"]["evaluation_split"]
    table = _drawn(arguments.trained, split, arguments.n)
    path = _copied(
        table, Path(study["cohort"]["table"]).parent, arguments.out.with_name(f"{arguments.out.name}-patches")
    )
    (weights,) = (arguments.trained / "weights").glob("trained-*.safetensors")
    run = Study(
        load(
            None,
            (
                f"name={arguments.out.name}",
                "cohort.kind=patches",
                f"cohort.table={path}",
                f"cohort.evaluation_split={split}",
                f"classifier.weights={weights}",
                "classifier.trainable=none",
                "saliency.methods=[gradient, gradient_x_input, guided_backprop, grad_cam]",
                "saliency.batch_size=8",
                "controls=[randomised, cascading, sobel, haematoxylin, eosin, shift]",
                "multiverse.enabled=true",
                "multiverse.methods=[gradient, gradient_x_input, guided_backprop]",
            ),
        )
    ).run(arguments.out)
    keep(run, arguments.results)
    null = run.table("shift")
    print(null.assign(found=null["p_two_sided"] <= 0.05).groupby("label")["found"].mean())


def _copied(table: pd.DataFrame, source: Path, folder: Path) -> Path:
    """Put the drawn patches into a folder with their table, since a table lies above its images."""
    for name in table["path"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, folder / name)
    table.to_csv(folder / "patches.csv", index=False)
    return folder / "patches.csv"


def _drawn(trained: Path, split: str, n: int) -> pd.DataFrame:
    """Draw patches of each class from a finished run's evaluation split, and keep a few of its training split."""
    patches = pd.read_csv(trained / "patches.csv", keep_default_na=False)
    used = patches[patches["status"] == "used"]
    parts = []
    for which, size in ((split, n), ("train", KEPT_TRAIN)):
        rows = used[used["split"] == which]
        parts += [part.sample(min(size, len(part)), random_state=0) for _, part in rows.groupby("label")]
    table = pd.concat(parts, ignore_index=True).rename(columns={"source": "path"})
    return table[["path", "label", "split", "slide_id", "patient_id", "mpp"]]


if __name__ == "__main__":
    main()
