"""The patches that are shown: chosen by rule, examined once more, kept as pictures for the report."""

from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.cohort.patch import USED
from saliency_stats.compartments import to_codes
from saliency_stats.execution.engine import Engine
from saliency_stats.execution.files import atomic
from saliency_stats.execution.names import file_name
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.measurement.batch import Batch
from saliency_stats.measurement.measure import Measurement
from saliency_stats.statistics.selection import true_class_probability
from saliency_stats.vocabulary import PATCH_KEY

_COLUMNS: Final = (
    "file",
    "patch_id",
    "slide_id",
    "label",
    "magnification",
    "mpp",
    "model",
    "method",
    "p_true",
    "rank",
)


def choose_examples(table: pd.DataFrame, judged: pd.DataFrame, predictions: pd.DataFrame, n: int) -> pd.DataFrame:
    """Choose the patches that are shown, by rule: per magnification and label the most confident ones.

    Patches in which the primary contrast is not defined (bare glass, say) come after all others, however confident the
    network is of them: they are no part of what the study concludes.

    Parameters
    ----------
    table
        The inspected patch table.
    judged
        The judged patches (correctly and confidently classified), with the column ``contrasted``.
    predictions
        Rows of the trained model.
    n
        How many per magnification and label, at most one of a slide where slides are known.

    Returns
    -------
    DataFrame
        Columns of ``judged`` with ``p_true``, ``rank`` (from 1) and ``row`` (of the cohort's table).
    """
    keys = list(PATCH_KEY)
    rows = table[table["status"] == USED].reset_index(names="row")
    chosen = (
        judged[[*keys, "contrasted"]]
        .merge(rows, on=keys, validate="one_to_one")
        .merge(
            predictions[[*keys, "p_malignant", "logit_malignant", "logit_benign"]],
            on=keys,
            validate="one_to_one",
        )
    )
    malignant = chosen["label"] == "malignant"
    chosen["p_true"] = true_class_probability(chosen["p_malignant"].to_numpy(), malignant.to_numpy())
    # probabilities tie at 1; the margin between the logits does not
    margin = chosen["logit_malignant"] - chosen["logit_benign"]
    chosen["margin"] = margin.where(malignant, -margin)
    order = {"magnification": True, "label": True, "contrasted": False, "margin": False, "patch_id": True}
    chosen = chosen.sort_values(list(order), ascending=list(order.values()))
    known = chosen["slide_id"] != ""
    chosen = chosen[~(known & chosen.duplicated(["magnification", "label", "slide_id"]))]
    chosen["rank"] = chosen.groupby(["magnification", "label"]).cumcount() + 1
    return chosen[chosen["rank"] <= n].reset_index(drop=True)


def write_examples(
    store: Store, measurement: Measurement, chosen: pd.DataFrame, progress: Progress, engine: Engine
) -> pd.DataFrame:
    """Write, per example and model, a file with image, raw saliency and compartment codes; returns their table."""
    rows = []
    measurement = replace(measurement, plan=measurement.plan.alone())
    with progress.stage("example patches", len(chosen)) as bar:
        examples, folds = chosen.to_dict("records"), measurement.table["fold"].fillna(0)
        batches = [
            Batch("example", (row,), float(example["magnification"]), measured=True, fold=int(folds[row]))
            for row, example in zip(chosen["row"].astype(int), examples, strict=True)
        ]
        for example, examined in zip(examples, engine.map(measurement.examine, batches), strict=True):
            for (model, _), maps in examined.own(measurement.plan).items():
                plain = f"{example['magnification']:g}x-{example['label']}-{example['rank']}-{model}"
                name = file_name(plain, ".npz")
                with atomic(store.folder / "examples" / name) as partial, partial.open("wb") as file:
                    np.savez_compressed(
                        file,
                        image=examined.patches[0].image,
                        saliency=maps[0],
                        compartments=to_codes(examined.segmentations[0].memberships),
                    )
                rows.append(
                    example | {"file": f"examples/{name}", "model": model, "method": measurement.plan.methods[0]}
                )
            bar.update(1)
    return pd.DataFrame(rows, columns=list(_COLUMNS))
