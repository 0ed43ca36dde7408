"""Which patches are judged: those of the evaluation split that the trained model classified well."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.coded import places_among
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.typing import BoolArray, Float64Array, Int8Array
from saliency_stats.vocabulary import ALL_NETWORKS, LABELS, NETWORK, ONE_NETWORK, PATCH_KEY, TRAINED

#: How a classifier is called that was not found to beat chance: it may, in a larger study.
UNLEARNED: Final = "not shown to have learned"
#: Why such a network has no findings.
AT_CHANCE: Final = f"the classifier is {UNLEARNED} the classes here, so where it looks means nothing"
_FINDINGS: Final = [
    *("statistic", "df", "p_value", "ci_low", "ci_high", "effect_size", "effect_size_low", "effect_size_high"),
    *("superiority", "superiority_low", "superiority_high", "p_equivalence", "skewness"),
]


#: Which patches are asked about, in the column ``population``.
JUDGED: Final = "judged"
ALL_PATCHES: Final = "all test patches"
#: What became of a patch of the split: correctly and confidently classified, correctly but not confidently, or wrongly.
CHOSEN: Final = "chosen"
UNSURE: Final = "unsure"


@dataclass(frozen=True)
class Population:
    """The patches that are judged, and how many there were before.

    ``patches`` has the columns patch_id, magnification, network, label, and so have ``unsure``, the patches that are
    correctly but not confidently classified, and ``evaluated``, all patches of the split, with a column ``chosen`` that
    says whether one is "judged", "unsure" or "" (neither); ``counts`` one row per magnification and label with the
    columns magnification, label, evaluated, correct, confident (correctly *and* confidently classified), added up over
    networks.
    """

    patches: pd.DataFrame
    unsure: pd.DataFrame
    evaluated: pd.DataFrame
    counts: pd.DataFrame

    @property
    def of_any_network(self) -> pd.DataFrame:
        """The patches that at least one network judges: patch_id, magnification, label."""
        return without_network(self.patches)


def without_network(patches: pd.DataFrame) -> pd.DataFrame:
    """Return each patch once, whichever networks it was judged by."""
    return patches.drop(columns=[NETWORK, CHOSEN], errors="ignore").drop_duplicates(ignore_index=True)


def true_class_probability(p_malignant: Float64Array, is_malignant: BoolArray) -> Float64Array:
    """Return the probability that a classifier gives the true class of each patch."""
    return np.asarray(np.where(is_malignant, p_malignant, 1.0 - p_malignant))


def primary_population(
    predictions: pd.DataFrame, *, min_confidence: float, evaluation_split: str = "test", model: str = TRAINED
) -> Population:
    """Select the correctly and confidently classified patches of the evaluation split.

    Each trained network decides for itself, at each magnification, and the controls of its name are read on the same
    patches: a control that chose its own would be compared on other tissue.

    Parameters
    ----------
    predictions : DataFrame
        Columns patch_id, magnification, model, split, p_malignant, predicted, correct; ``network`` where there are
        several, else all rows are those of network "1".
    min_confidence : float
        Least probability of the true class.

    Raises
    ------
    StatisticsError
        If columns are missing, the model or the split has no predictions, a patch occurs twice, a predicted
        label is unknown, or a probability lies outside [0, 1].
    """
    needed = (*PATCH_KEY, "model", "split", "p_malignant", "predicted", "correct")
    require_columns("predictions", predictions.columns, needed)
    chosen = (predictions["model"] == model) & (predictions["split"] == evaluation_split)
    rows = with_network(predictions.loc[chosen, predictions.columns.isin([*needed, NETWORK])])
    if rows.empty:
        found = predictions[["model", "split"]].drop_duplicates().astype(str).agg("/".join, axis=1)
        raise StatisticsError(
            f"predictions: none of model {model!r} on split {evaluation_split!r} (found: "
            f"{', '.join(sorted(found)) or 'nothing'}); choose an evaluation split that has predictions"
        )
    twice = rows.duplicated([*PATCH_KEY, NETWORK])
    if twice.any():
        row = rows[twice].iloc[0]
        raise StatisticsError(
            f"predictions: patch {row['patch_id']} occurs twice at {row['magnification']} for network {row[NETWORK]}"
        )
    unknown = sorted(set(map(str, rows["predicted"].unique())) - set(LABELS))
    if unknown:
        raise StatisticsError(f"predictions: unknown label {unknown[0]!r}, expected {' or '.join(LABELS)}")
    p_malignant = rows["p_malignant"].to_numpy(dtype=np.float64)
    if not np.all((p_malignant >= 0) & (p_malignant <= 1)):
        raise StatisticsError("predictions: p_malignant holds values that are not probabilities from 0 to 1")
    correct = _booleans("predictions", rows["correct"])

    malignant = LABELS[1]
    is_malignant = (rows["predicted"] == malignant).to_numpy(dtype=bool) == correct
    p_true = true_class_probability(p_malignant, is_malignant)
    sure = correct & (p_true >= min_confidence)
    evaluated = rows[[*PATCH_KEY, NETWORK]].assign(
        label=pd.Series(LABELS, dtype="str").take(is_malignant.astype(np.intp)).array,
        chosen=pd.Categorical.from_codes(correct.astype(np.int8) + sure, categories=pd.Index(["", UNSURE, JUDGED])),
    )
    counted = evaluated[["magnification", "label"]].assign(evaluated=1, correct=correct, confident=sure)
    counts = counted.groupby(["magnification", "label"], as_index=False).sum()
    parts = [evaluated[flag].drop(columns=CHOSEN) for flag in (sure, correct & ~sure)]
    judged, unsure, evaluated = (part.reset_index(drop=True) for part in (*parts, evaluated))
    return Population(judged, unsure, evaluated, counts)


def with_network(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the column ``network``; a table without it is one of a single network, "1"."""
    return table if NETWORK in table else table.assign(**{NETWORK: ONE_NETWORK})


def restrict(ledger: pd.DataFrame, patches: pd.DataFrame) -> pd.DataFrame:
    """Return a table's rows of selected patches, of every model.

    Parameters
    ----------
    ledger : DataFrame
        Columns patch_id, magnification and label. Rows of a network are those that this network selected; rows of no
        network ("", maps of the image alone) are repeated for every network that selected the patch, and take its
        name. Without a column ``network`` any network's selection counts.
    patches : DataFrame
        One of the tables of a :class:`Population`.

    Raises
    ------
    StatisticsError
        If a patch's label differs between the ledger and the predictions.
    """
    require_columns("ledger", ledger.columns, (*PATCH_KEY, "label"))
    key = list(PATCH_KEY)
    # classes as numbers: of millions of rows their texts would take gigabytes
    judged = patches.drop(columns="label").assign(predicted_label=_numbers(patches["label"]))
    if NETWORK not in ledger:
        rows = ledger.merge(without_network(judged), on=key, how="inner", validate="many_to_one")
    else:
        of_network = ledger[NETWORK] != ""
        rows = ledger[of_network].merge(judged, on=[*key, NETWORK], how="inner", validate="many_to_one")
        if not of_network.all():
            of_image = ledger[~of_network].drop(columns=NETWORK).merge(judged, on=key, how="inner")
            rows = pd.concat([rows, of_image[rows.columns]], ignore_index=True)
    wrong = _numbers(rows["label"]) != rows["predicted_label"]
    if wrong.any():
        row = rows[wrong].iloc[0]
        raise StatisticsError(
            f"patch {row['patch_id']} is {row['label']} in the ledger but "
            f"{LABELS[row['predicted_label']]} according to the predictions; both tables must come from the same run"
        )
    return rows.drop(columns="predicted_label")


def _numbers(labels: pd.Series) -> Int8Array:
    """Return the number of each label, in the order of the classes; another is -1."""
    return places_among(pd.Index(LABELS), *pd.factorize(labels)).astype(np.int8)


def learned_flags(metrics: pd.DataFrame, *, evaluation_split: str = "test") -> dict[Hashable, bool]:
    """Return per magnification whether the trained model beats chance, as the classifier's metrics state it.

    Where there are several networks, they are judged together: by their row "all".

    Raises
    ------
    StatisticsError
        If columns are missing, or a magnification has two rows for the split.
    """
    require_columns("metrics", metrics.columns, ("magnification", "model", "split", "learned"))
    rows = of_all_networks(metrics[(metrics["model"] == TRAINED) & (metrics["split"] == evaluation_split)])
    if rows["magnification"].duplicated().any():
        raise StatisticsError(f"metrics: two rows of the trained model on split {evaluation_split!r}, expected one")
    flags = _booleans("metrics", rows["learned"])
    return {plain(mag): bool(flag) for mag, flag in zip(rows["magnification"], flags, strict=True)}


def of_all_networks(metrics: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of all networks together; of a model with one network alone, its own."""
    together = with_network(metrics)[NETWORK] == ALL_NETWORKS
    covered = together.groupby([metrics[name] for name in ("magnification", "model", "split")]).transform("any")
    return metrics[together | ~covered]


def unlearned_of(magnifications: Iterable[Hashable], learned: Mapping[Hashable, bool] | None) -> set[Hashable]:
    """Return the magnifications whose classifier is known not to beat chance.

    Raises
    ------
    StatisticsError
        If nothing is said about one of them.
    """
    if learned is None:
        return set()
    missing = [mag for mag in magnifications if mag not in learned]
    if missing:
        raise StatisticsError(
            f"learned: nothing is said about magnification {missing[0]} (found: {list(learned)}); state for "
            "each magnification whether its classifier beats chance"
        )
    return {mag for mag in magnifications if not learned[mag]}


def plain(value: Hashable) -> Hashable:
    """Return a NumPy scalar as the Python number it holds, anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def _booleans(table: str, column: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if not column.isin([True, False]).all():
        found = column[~column.isin([True, False])].iloc[0]
        raise StatisticsError(f"{table}: column {column.name} holds {found!r}, expected True or False")
    return column.to_numpy(dtype=bool)


def mute(table: pd.DataFrame, muted: pd.Series) -> None:
    """Take the findings out of the rows of classifiers that do not beat chance, in place; their estimates stay."""
    table.loc[muted, _FINDINGS] = np.nan
    table.loc[muted, ["n_tests", "n_agree"]] = 0
    table.loc[muted, ["status", "reason"]] = ["not_interpretable", AT_CHANCE]
