"""Contrasts that the image alone, or the place of the map, cannot explain: matched on the image, and centred."""

import pandas as pd

from saliency_stats.attribution import matched, shift_table
from saliency_stats.measurement.examination import Examination
from saliency_stats.saliency.controls import control_of
from saliency_stats.saliency.maps import MapKey, MapPlan


def picture_tables(examined: Examination, plan: MapPlan, min_area: float) -> dict[str, pd.DataFrame]:
    """Match and shift the study's own map of every network, and every map of the image alone.

    A compartment whose area share is below ``min_area`` is missing from a patch.

    Returns
    -------
    dict of DataFrame
        ``shift``, one row per patch and map, as from ``attribution.shift_table``; and where the study has maps of the
        image alone, ``matched``, one row per patch, map and ``picture``, as from ``attribution.matched``.
    """
    names = {control.name for control in map(control_of, plan.controls) if control.map is not None}
    own = plan.own()
    keys = [
        key for key in examined.maps if key.model in names or (key.method, key.reduction) == (own.method, own.reduction)
    ]
    maps = [examined.maps[key] for key in keys]
    tables = {"shift": _named(shift_table(maps, examined.memberships, min_area), keys, examined)}
    pictures = [key for key in keys if key.model in names]
    if pictures:
        behind = [examined.maps[key] for key in pictures]
        rows = matched(maps, behind, examined.memberships, min_area=min_area)
        rows["picture"] = [pictures[at].model for at in rows["picture"]]
        tables["matched"] = _named(rows, keys, examined)
    return tables


def _named(rows: pd.DataFrame, keys: list[MapKey], examined: Examination) -> pd.DataFrame:
    """Say of which patch and map each row is."""
    identity = examined.identity.loc[rows["patch"]].reset_index(drop=True)
    named = pd.DataFrame(keys, columns=list(MapKey._fields)).loc[rows["map"]].reset_index(drop=True)
    return pd.concat([identity, named, rows.drop(columns=["patch", "map"])], axis=1)
