"""The flow of patches from the list to the primary contrast, for the diagram of exclusions."""

from typing import Final

import pandas as pd

from saliency_stats.statistics.selection import Population, restrict, with_network
from saliency_stats.vocabulary import PATCH_KEY, TRAINED

#: Steps in order; each is a subset of the one before.
STEPS: Final = ("listed", "used", "evaluation split", "correct", "correct and confident", "both compartments present")


def study_flow(
    patches: pd.DataFrame,
    predictions: pd.DataFrame,
    ledger: pd.DataFrame,
    population: Population,
    *,
    evaluation_split: str,
) -> pd.DataFrame:
    """Count patches and slides at every step.

    ``population`` holds the judged patches, which are of the ``evaluation_split``.

    Where there are several networks, a patch counts that any of them classified so.

    Returns
    -------
    DataFrame
        magnification, label, step (in the order of :data:`STEPS`), n_patches, n_slides (0 where unknown).
    """
    judged = population.of_any_network
    keys = list(PATCH_KEY)
    used = patches[patches["status"] == "used"]
    evaluated = used[used["split"] == evaluation_split]
    trained = predictions[(predictions["model"] == TRAINED) & predictions["correct"].astype(bool)]
    measured = restrict(with_network(ledger), population.patches)
    measured = measured[
        (measured["model"] == TRAINED)
        & (measured["status"] == "measured")
        & measured["compartment"].isin(["nucleus", "cytoplasm"])
    ]
    n_present = measured.groupby(keys)["compartment"].nunique()
    both = n_present[n_present == 2].reset_index()[keys]  # noqa: PLR2004  (nucleus and cytoplasm)
    correct = evaluated.merge(trained[keys].drop_duplicates(), on=keys)
    confident = evaluated.merge(judged[keys], on=keys)
    steps = (patches, used, evaluated, correct, confident, confident.merge(both, on=keys))
    parts = []
    groups = patches[["magnification", "label"]].drop_duplicates().sort_values(["magnification", "label"])
    for magnification, label in groups.itertuples(index=False):
        for step, table in zip(STEPS, steps, strict=True):
            rows = table[(table["magnification"] == magnification) & (table["label"] == label)]
            slides = rows["slide_id"].astype(str)
            parts.append((magnification, label, step, len(rows), int(slides[slides != ""].nunique())))
    return pd.DataFrame(parts, columns=["magnification", "label", "step", "n_patches", "n_slides"])
