"""From logits of altered patches to one effect per patch, compartment and replacement."""

from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.averaged import over_networks
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.values import IDENTITY
from saliency_stats.vocabulary import TISSUE

#: What an effect belongs to, besides its compartment.
KEY: Final = ("model", "patch_id", "magnification", "replacement")
#: What a row carries along.
CARRIED: Final = (*IDENTITY, "split")
_NUMBERS: Final = ("area_share", "logit", "logit_ablated")


def effects(ablation: pd.DataFrame) -> pd.DataFrame:
    """Compute what each replacement did to the logit of the target class, per unit of area.

    Parameters
    ----------
    ablation : DataFrame
        Columns patch_id, slide_id, patient_id, label, split, magnification, model, compartment, replacement, region
        ("compartment" or "random"), area_share, logit (of the intact patch) and logit_ablated; no rows for a
        compartment that is missing in a patch. Where a column network tells several apart, logits are averaged over
        them.

    Returns
    -------
    DataFrame
        One row per model, patch, magnification, replacement and compartment of the tissue, sorted, with the patch's
        identity and the columns area_share, drop (``logit - logit_ablated``: positive where the patch lost what spoke
        for its class), drop_per_area (``drop / area_share``: as if the whole patch were such), random_drop,
        random_drop_per_area (of the random region of the same area), value (``drop_per_area - random_drop_per_area``)
        and missing. What cannot be known is NaN, and ``missing`` says why; it is empty otherwise. The random region
        takes from the effect what any alteration of that size and shape does, and what follows from the size itself:
        logits saturate, so that small regions do more per area.

    Raises
    ------
    StatisticsError
        If columns are missing, a compartment or region is unknown, a row occurs twice, a patch has two identities, a
        number is missing or infinite, or an area is not in (0, 1].
    """
    require_columns("ablation", ablation.columns, (*KEY, *CARRIED, "compartment", "region", *_NUMBERS))
    ablation = over_networks(ablation, [*KEY, "compartment", "region"], _NUMBERS)
    _check(ablation)
    patches = ablation[[*KEY, *CARRIED]].drop_duplicates(ignore_index=True)
    rows = patches.merge(pd.DataFrame({"compartment": TISSUE, "place": range(len(TISSUE))}), how="cross")
    on = [*KEY, "compartment"]
    for region, prefix in (("compartment", ""), ("random", "random_")):
        part = ablation[ablation["region"] == region]
        drop = (part["logit"] - part["logit_ablated"]).to_numpy(dtype=np.float64)
        area = part["area_share"].to_numpy(dtype=np.float64)
        names = {f"{prefix}area_share": area, f"{prefix}drop": drop, f"{prefix}drop_per_area": drop / area}
        rows = rows.merge(part[on].assign(**names), on=on, how="left", validate="one_to_one")
    missing = np.where(rows["drop"].isna(), "no " + rows["compartment"], "")
    missing = np.where((missing == "") & rows["random_drop"].isna(), "no random region", missing)
    rows = rows.assign(value=rows["drop_per_area"] - rows["random_drop_per_area"], missing=missing)
    return rows.sort_values([*KEY, "place"], ignore_index=True).drop(columns=["place", "random_area_share"])


def _check(ablation: pd.DataFrame) -> None:
    for column, allowed in (("compartment", TISSUE), ("region", ("compartment", "random"))):
        unknown = sorted(set(ablation[column].astype(str)) - set(allowed))
        if unknown:
            raise StatisticsError(f"ablation: {column} {unknown[0]!r} is unknown, expected {', '.join(allowed)}")
    key = [*KEY, "compartment", "region"]
    numbers = ablation[list(_NUMBERS)].to_numpy(dtype=np.float64)
    area = ablation["area_share"].to_numpy(dtype=np.float64)
    identities = ablation[["patch_id", *CARRIED]].drop_duplicates()
    for problem, wrong in (
        ("occurs twice, expected once", ablation.duplicated(key).to_numpy()),
        ("has a missing or infinite number", ~np.isfinite(numbers).all(axis=1)),
        ("has an area share outside (0, 1]", ~((area > 0) & (area <= 1))),
        (
            "has more than one slide, patient, label or split; patch ids are unique",
            ablation["patch_id"].isin(identities.loc[identities["patch_id"].duplicated(), "patch_id"]).to_numpy(),
        ),
    ):
        if wrong.any():
            row = ablation[wrong].iloc[0]
            raise StatisticsError(f"ablation: {', '.join(f'{name} {row[name]}' for name in key)} {problem}")
