"""From ledger rows to one value per patch and contrast: log2 ratios of saliency densities."""

from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.coded import row_numbers
from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.parameters import PRIMARY
from saliency_stats.statistics.selection import with_network
from saliency_stats.typing import BoolArray, Float64Array, IndexArray
from saliency_stats.vocabulary import COMPARTMENTS, NETWORK, TISSUE, TRAINED

#: What a value belongs to; two models are compared patch by patch on all but the first.
VALUE_KEY: Final = ("model", "patch_id", "magnification", "method", "reduction", NETWORK)
#: What a value carries along.
IDENTITY: Final = ("slide_id", "patient_id", "label")
#: Contrasts of one compartment with another.
PAIRS: Final = {
    PRIMARY: ("cytoplasm", "nucleus"),
    "stroma_vs_nucleus": ("stroma", "nucleus"),
    "stroma_vs_cytoplasm": ("stroma", "cytoplasm"),
}
#: Contrasts of one compartment with the rest of the tissue.
RESTS: Final = {f"{compartment}_vs_rest": compartment for compartment in TISSUE}
CONTRASTS: Final = (PRIMARY, *RESTS, *(name for name in PAIRS if name != PRIMARY))


def patch_values(ledger: pd.DataFrame) -> pd.DataFrame:
    """Compute every contrast for every patch of a ledger.

    Parameters
    ----------
    ledger : DataFrame
        one row per patch, magnification, model, method, reduction and compartment with the columns patch_id,
        slide_id, patient_id, label, magnification, model, method, reduction, compartment, area_share,
        mass_share, density_ratio and status ("measured", or why not); ``network`` where there are several.

    Returns
    -------
    DataFrame
        One row per contrast and key, sorted, with the columns model, patch_id, magnification, method,
        reduction, network, slide_id, patient_id, label, contrast, value and missing. ``value`` is ``log2(d_a / d_b)``
        for two compartments, and ``log2((m_k / a_k) / (m_r / a_r))`` for a compartment k and the rest r of
        the tissue, with m and a the shares of saliency and of area. It is NaN where a compartment (or the
        whole rest) is missing in the patch or holds no saliency; ``missing`` then says which, and is empty
        otherwise.

    Raises
    ------
    StatisticsError
        If columns are missing, a share is negative, a compartment is unknown, a patch has two rows or none
        for a compartment of the tissue, or a patch carries two slides, patients or labels.
    """
    wide = wide_values(ledger)
    return pd.concat([values_of(wide, contrast) for contrast in CONTRASTS], ignore_index=True)


def wide_values(ledger: pd.DataFrame) -> pd.DataFrame:
    """Compute every contrast for every patch; parameters and errors as of :func:`patch_values`.

    Returns
    -------
    DataFrame
        One row per key, sorted, with the columns of a key, and two of each contrast that :func:`values_of` reads: what
        a value belongs to stands there once, and not for every contrast again.
    """
    ledger = with_network(ledger)
    require_columns(
        "ledger",
        ledger.columns,
        (*VALUE_KEY, *IDENTITY, "compartment", "area_share", "mass_share", "density_ratio", "status"),
    )
    unknown = sorted(set(ledger["compartment"].dropna().unique()) - set(COMPARTMENTS))
    if unknown:
        raise StatisticsError(f"ledger: unknown compartment {unknown[0]!r}, expected {', '.join(COMPARTMENTS)}")
    keys, cells, of_tissue = _placed(ledger)
    n = len(keys)

    def shares(column: str) -> Float64Array:
        matrix = np.empty(n * len(TISSUE))
        matrix[cells] = ledger[column].to_numpy(dtype=np.float64)[of_tissue]
        return matrix.reshape(n, len(TISSUE))

    area, mass, density = shares("area_share"), shares("mass_share"), shares("density_ratio")
    if np.any(area < 0) or np.any(mass < 0) or np.any(density < 0):
        raise StatisticsError(
            "ledger: a share of area or of saliency is negative, expected zero or more; reduce channels "
            "to an unsigned saliency"
        )
    measured = np.zeros(n * len(TISSUE), dtype=bool)
    measured[cells] = (ledger["status"] == "measured").to_numpy(dtype=bool)[of_tissue]
    present = measured.reshape(n, len(TISSUE)) & np.isfinite(density)
    _require_one_identity(keys)
    found: dict[str, Any] = {}
    for contrast in CONTRASTS:
        found[contrast], found[why_missing(contrast)] = _ratio(contrast, area, mass, density, present)
    return keys.assign(**found)


def _placed(ledger: pd.DataFrame) -> tuple[pd.DataFrame, IndexArray, BoolArray]:
    """Return the keys of a ledger, in which cell (key and compartment) each row of tissue belongs, and which these are.

    Every key has one row for each compartment of the tissue, or the ledger is refused.
    """
    compartment = pd.Index(TISSUE).get_indexer(pd.Index(ledger["compartment"]))
    of_tissue = compartment >= 0
    rows = ledger.loc[of_tissue, [*VALUE_KEY, *IDENTITY, "compartment"]]
    codes = row_numbers(rows, VALUE_KEY)
    n = int(codes.max()) + 1 if codes.size else 0
    cells = codes * len(TISSUE) + compartment[of_tissue]
    _require_one_row_each(cells, n, rows)
    first = np.empty(n, dtype=np.intp)
    first[codes[::-1]] = np.arange(codes.size)[::-1]
    return rows[[*VALUE_KEY, *IDENTITY]].take(first).reset_index(drop=True), cells, of_tissue


def values_of(wide: pd.DataFrame, contrast: str) -> pd.DataFrame:
    """Return one contrast in the form of :func:`patch_values`."""
    key = wide[[*VALUE_KEY, *IDENTITY]]
    return key.assign(contrast=contrast, value=wide[contrast], missing=wide[why_missing(contrast)].astype("str"))


def why_missing(contrast: str) -> str:
    """Name the column that says why a contrast has no value."""
    return f"missing {contrast}"


def model_difference(values: pd.DataFrame, control: str) -> pd.DataFrame:
    """Subtract a control's values from the trained model's, patch by patch.

    Rows are paired by contrast, patch, magnification, method, reduction and network, never by their order. Trained and
    control networks of one name have nothing else in common: any pairing of two samples of networks is as good.

    Returns
    -------
    DataFrame
        The trained model's rows with ``model`` "trained-control" and ``value`` the difference, NaN where
        either value is missing; ``missing`` says in which model.

    Raises
    ------
    StatisticsError
        If a key occurs twice, or a model has no rows.
    """
    require_columns("values", values.columns, (*VALUE_KEY, *IDENTITY, "contrast", "value", "missing"))
    first, second = (values[values["model"] == name] for name in (TRAINED, control))
    for name, side in ((TRAINED, first), (control, second)):
        if side.empty:
            raise StatisticsError(f"values: no row of model {name!r}; found {', '.join(map(str, _models(values)))}")
    return paired_difference(first, second, ["contrast", *VALUE_KEY[1:]], control).assign(model=f"{TRAINED}-{control}")


def paired_difference(first: pd.DataFrame, second: pd.DataFrame, key: list[str], name: str) -> pd.DataFrame:
    """Subtract the values of one table from those of another, paired by a key.

    ``key`` names the columns that identify a row, ``name`` the second table in the reasons.

    Returns
    -------
    DataFrame
        The first table with ``value`` the difference, NaN where either value is missing; ``missing`` says in which.

    Raises
    ------
    StatisticsError
        If a key occurs twice in a table.
    """
    for side in (first, second):
        twice = side.duplicated(key)
        if twice.any():
            row = side[twice].iloc[0]
            raise StatisticsError(f"values: {_name(row, key)} occurs twice for model {row['model']!r}")
    right = second.set_index(key)[["value", "missing"]].add_suffix("_of_second")
    paired = first.join(right, on=key)
    absent = paired["missing_of_second"].isna()
    reason = paired["missing_of_second"].mask(absent, "no such row")
    missing = paired["missing"].mask((paired["missing"] == "") & (reason != ""), f"{name}: " + reason.astype(str))
    return paired.assign(value=paired["value"] - paired["value_of_second"], missing=missing).drop(
        columns=["value_of_second", "missing_of_second"]
    )


def _ratio(
    contrast: str, area: Float64Array, mass: Float64Array, density: Float64Array, present: BoolArray
) -> tuple[Float64Array, "pd.Categorical[str]"]:
    """Return a contrast's value in every patch, and why it has none ("" where it has one)."""
    if contrast in PAIRS:
        names = PAIRS[contrast]
        top, bottom = (TISSUE.index(name) for name in names)
        d_top, d_bottom = density[:, top], density[:, bottom]
        has_top, has_bottom = present[:, top], present[:, bottom]
    else:
        names = (RESTS[contrast], "rest of the tissue")
        top = TISSUE.index(names[0])
        others = [k for k in range(len(TISSUE)) if k != top]
        # The others are summed, not subtracted from the whole: a difference of shares would lose digits.
        with np.errstate(divide="ignore", invalid="ignore"):
            d_bottom = mass[:, others].sum(axis=1) / area[:, others].sum(axis=1)
            d_top = mass[:, top] / area[:, top]
        has_top, has_bottom = present[:, top], present[:, others].any(axis=1) & np.isfinite(d_bottom)
    reasons = {
        f"no {names[0]} and no {names[1]}": ~has_top & ~has_bottom,
        f"no {names[0]}": ~has_top,
        f"no {names[1]}": ~has_bottom,
        f"no saliency in {names[0]}": has_top & (d_top == 0),
        f"no saliency in {names[1]}": has_bottom & (d_bottom == 0),
    }
    codes = np.select(
        [*reasons.values()], [np.int8(number) for number in range(1, 1 + len(reasons))], default=np.int8(0)
    )
    usable = codes == 0
    value = np.full(codes.size, np.nan)
    value[usable] = np.log2(d_top[usable] / d_bottom[usable])
    return value, pd.Categorical.from_codes(codes, categories=pd.Index(["", *reasons]))


def _require_one_row_each(cells: IndexArray, n: int, rows: pd.DataFrame) -> None:
    counts = np.bincount(cells, minlength=n * len(TISSUE))
    key = [*VALUE_KEY, "compartment"]
    if np.any(counts > 1):
        where = int(np.flatnonzero(counts[cells] > 1)[0])
        raise StatisticsError(
            f"ledger: {_name(rows.iloc[where], key)} occurs {counts[cells[where]]} times, expected once; "
            "remove the duplicates"
        )
    if np.any(counts == 0):
        empty = int(np.flatnonzero(counts == 0)[0])
        where = int(np.flatnonzero(cells // len(TISSUE) == empty // len(TISSUE))[0])
        raise StatisticsError(
            f"ledger: {_name(rows.iloc[where], list(VALUE_KEY))} has no row for "
            f"{TISSUE[empty % len(TISSUE)]}; a compartment missing in a patch has a "
            "row that says so in the column status"
        )


def _require_one_identity(keys: pd.DataFrame) -> None:
    for column in IDENTITY:
        pairs = keys[["patch_id", column]].drop_duplicates()
        twice = pairs.duplicated("patch_id")
        if twice.any():
            patch = pairs.loc[twice, "patch_id"].iloc[0]
            found = pairs.loc[pairs["patch_id"] == patch, column].tolist()
            raise StatisticsError(f"ledger: patch {patch} has more than one {column}: {found}; patch ids are unique")


def _models(values: pd.DataFrame) -> list[object]:
    return sorted(values["model"].unique())


def _name(row: pd.Series, key: list[str]) -> str:
    return ", ".join(f"{column} {row[column]}" for column in key)
