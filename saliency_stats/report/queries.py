"""Questions that are asked of a run's tables again and again, as functions of the tables (pure pandas)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd

from saliency_stats.vocabulary import PATCH_KEY, TRAINED

_EXCLUDED: Final = "excluded"


def of_image(table: pd.DataFrame) -> "pd.Series[bool]":
    """Tell which rows are of maps of the image alone: their model and their method have one name."""
    found = pd.Series(data=False, index=table.index)
    for name in set(table["model"].unique()) & set(table["method"].unique()):
        found |= (table["model"] == name) & (table["method"] == name)
    return found


def one_test(rows: pd.DataFrame, *tests: str) -> pd.DataFrame:
    """Keep, of the rows of one contrast, those of the first of `tests` that there is (else of the first by name)."""
    key = ["magnification", "label", "contrast", "model", "method", "reduction"]
    ranked = rows.assign(
        depth=[0 if model == TRAINED else 1 + model.startswith(f"{TRAINED}-") for model in rows["model"]],
        other=[tests.index(test) if test in tests else len(tests) for test in rows["test"]],
    )
    order = ["magnification", "label", "contrast", "depth", "model", "other", "test"]
    ranked = ranked.sort_values(order, kind="stable").groupby(key, sort=False).head(1)
    return ranked.drop(columns=["other", "depth"]).reset_index(drop=True)


def patches_per_unit(judged: pd.DataFrame, unit_column: str) -> dict[tuple[float, str], tuple[int, int]]:
    """Return, by magnification and class, the fewest and the most judged patches of a slide (or patient)."""
    sizes = judged.groupby(["magnification", "label", unit_column]).size()
    limits = sizes.groupby(["magnification", "label"]).agg(["min", "max"])
    return {(float(mag), str(label)): (int(low), int(high)) for (mag, label), low, high in limits.itertuples()}


def doubt(ledger: pd.DataFrame) -> dict[tuple[float, str], float]:
    """Return, by magnification and class, the doubtful share of the tissue outside nuclei in the median patch.

    Empty where no doubt is known: runs of earlier versions did not measure it.
    """
    if "doubtful_share" not in ledger:
        ledger = ledger.assign(doubtful_share=float("nan"))
    # it is the same in all rows of a patch
    patches = ledger.dropna(subset="doubtful_share").drop_duplicates([*PATCH_KEY])
    medians = patches.groupby(["magnification", "label"], as_index=False)["doubtful_share"].median()
    return {(float(mag), str(label)): float(share) for mag, label, share in medians.itertuples(index=False)}


def exclusions(patches: pd.DataFrame) -> pd.DataFrame:
    """Count the patches that could not be used, by reason.

    A reason often names its patch or file; those names are taken out, so that one cause is one row.

    Returns
    -------
    pandas.DataFrame
        Columns ``magnification``, ``label``, ``reason``, ``n_patches``, most frequent first.
    """
    rows = patches[patches["status"].str.startswith(_EXCLUDED)]
    reasons = [
        _without_names(str(status), (str(patch_id), str(source)))
        for status, patch_id, source in zip(rows["status"], rows["patch_id"], rows["source"], strict=True)
    ]
    counted = (
        rows.assign(reason=pd.Series(reasons, index=rows.index, dtype=str))
        .groupby(["magnification", "label", "reason"])
        .size()
        .rename("n_patches")
        .reset_index()
    )
    return counted.sort_values(
        ["n_patches", "magnification", "label", "reason"], ascending=[False, True, True, True]
    ).reset_index(drop=True)


def _without_names(status: str, names: tuple[str, ...]) -> str:
    reason = status.removeprefix(_EXCLUDED).lstrip(": ") or "no reason recorded"
    for name in sorted(filter(None, names), key=len, reverse=True):
        # as a word of its own: patch "9" is no part of "98 %"
        reason = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", reason)
    return reason.replace("… …", "…").removeprefix("…").lstrip(": ,") or "no reason recorded"


def leaves(content: Any, prefix: str = "", separator: str = ".") -> Iterator[tuple[str, Any]]:
    """Yield every value of nested mappings with its path."""
    if isinstance(content, Mapping) and content:
        for key, value in content.items():
            yield from leaves(value, f"{prefix}{separator}{key}" if prefix else str(key), separator)
    else:
        yield prefix, content
