"""How well maps and replacements tell what a network uses: their scores, one per network and slide (NumPy, pandas).

What the network uses is known where a phantom is drawn again with a compartment as in the other class: ``delta_target``
of ``importance.csv``. A map only says how a patch's saliency is divided, so the importance is divided the same way: the
*share* of a compartment is the amount of its fall over the sum of these amounts in the patch, its *density* that share
over its area.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.statistics.models.checks import require_columns
from saliency_stats.statistics.ranks import rank_correlations
from saliency_stats.typing import Float64Array, IndexArray
from saliency_stats.vocabulary import NETWORK, TRAINED

#: What is scored, a column each, and between which limits it lies; NaN where it cannot be known.
SCORES: Final[Mapping[str, tuple[float, float]]] = {
    "rank_correlation": (-1.0, 1.0),
    "mass_correlation": (-1.0, 1.0),
    "densest_is_most_important": (0.0, 1.0),
    "sign_errors": (0.0, 1.0),
    "relative_error": (0.0, np.inf),
}
#: What a score is of. ``model`` is the network that is explained, or a control's name.
ITEM: Final = ("kind", "model", "method", "reduction")
#: Kinds of ``ITEM``, in the order of tables. References are what chance and the truth itself would score.
KINDS: Final = ("attribution", "control", "reference", "replacement")
ATTRIBUTION, CONTROL, REFERENCE, REPLACEMENT = KINDS
#: Of these the truth gets 1 and the other 0 in every correlation.
TRUTH, RANDOM = "truth", "random"
_CELL: Final = ("patch_id", "magnification", "compartment")
_SLIDE: Final = (NETWORK, *ITEM, "slide_id", "patient_id")
_ATTRIBUTED: Final = "attributed"


def map_scores(importance: pd.DataFrame, ledger: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Score every map of a phantom study against what its networks use.

    Parameters
    ----------
    importance, ledger : DataFrame
        As ``importance.csv`` and ``ledger.csv`` hold them, of one cohort. A map of the image alone (no ``network``) is
        compared with every network, a control's with the trained network of its name.
    seed : int
        Of the reference that is drawn by chance.

    Returns
    -------
    DataFrame
        One row per network, item (:data:`ITEM`) and slide, sorted, with n_patches and the :data:`SCORES`:

        - ``rank_correlation``: Spearman's, over the slide's patches and their compartments, of the density of the
          saliency with that of the importance; ``mass_correlation``: of the shares.
        - ``densest_is_most_important``: the share of patches in which the compartment with the densest saliency has
          the densest importance. Compartments that are equally dense share the patch.
        - ``sign_errors``: of maps whose values add up to a change of the logit (``attributed`` of the ledger), the
          share of the importance that lies where their sum over the compartment has the wrong sign.
        - ``relative_error``: NaN, as their sums start from another picture than the other class.

        Among the items are two references: ``truth``, the importance itself, and ``random``, drawn by chance.
    """
    require_columns("importance", importance.columns, (*_CELL, NETWORK, "area_share", "delta_target"))
    require_columns("ledger", ledger.columns, (*_CELL, NETWORK, *ITEM[1:], "mass_share", "density_ratio", "status"))
    true = _divided(importance)
    maps = ledger.loc[ledger["status"] == "measured", [*_CELL, NETWORK, *ITEM[1:], "mass_share", "density_ratio"]]
    maps = maps.assign(signed=ledger.get(_ATTRIBUTED, np.nan))
    # categories of different tables would not be joined as what they say
    maps = maps.astype(dict.fromkeys([*_CELL[::2], NETWORK, *ITEM[1:]], str))
    maps["kind"] = np.where(maps["model"] == TRAINED, ATTRIBUTION, CONTROL)
    of_image = maps[NETWORK] == ""
    joined = [
        true.merge(maps[~of_image], on=[*_CELL, NETWORK]),
        true.merge(maps[of_image].drop(columns=NETWORK), on=list(_CELL)),
        *_references(true, np.random.default_rng(seed)),
    ]
    points = pd.concat(joined, ignore_index=True)
    return _scored(points.assign(x=points["density_ratio"], y=points["density"], error=np.nan))


def replacement_scores(importance: pd.DataFrame, ablation: pd.DataFrame) -> pd.DataFrame:
    """Score what replacing compartments does to the logit against drawing them as the other class.

    Parameters
    ----------
    importance, ablation : DataFrame
        As ``importance.csv`` and ``ablation.csv`` hold them, of one cohort.

    Returns
    -------
    DataFrame
        As of :func:`map_scores`; ``method`` names the replacement. ``rank_correlation`` is that of the falls with
        their signs, ``mass_correlation`` that of their amounts, and ``relative_error`` the mean absolute difference of
        the falls over the mean amount of the true ones. Random regions of the same size and shape are a control
        (``model`` "random region").
    """
    require_columns("ablation", ablation.columns, (*_CELL, NETWORK, "replacement", "region", "logit", "logit_ablated"))
    fall = ablation["logit"] - ablation["logit_ablated"]
    random = ablation["region"] == "random"
    done = ablation[[*_CELL, NETWORK]].assign(
        kind=np.where(random, CONTROL, REPLACEMENT),
        model=np.where(random, "random region", TRAINED),
        method=ablation["replacement"],
        reduction="",
        signed=fall,
        mass_share=fall.abs(),
    )
    points = _divided(importance).merge(done, on=[*_CELL, NETWORK])
    given, true = points["signed"], points["delta_target"]
    densities = {"density_ratio": points["mass_share"] / points["area_share"], "share": points["amount"]}
    return _scored(points.assign(x=given, y=true, error=(given - true).abs(), **densities))


def _divided(importance: pd.DataFrame) -> pd.DataFrame:
    """Divide the importance of each patch to each network among its compartments; none is left of what counts for 0."""
    kept = importance[[*_CELL, NETWORK, "slide_id", "patient_id", "area_share", "delta_target"]]
    amount = kept["delta_target"].abs()
    total = amount.groupby([kept["patch_id"], kept["magnification"], kept[NETWORK]]).transform("sum")
    kept = kept.assign(amount=amount, share=amount / total.where(total > 0))
    return kept.assign(density=kept["share"] / kept["area_share"]).dropna(subset="share")


def _references(true: pd.DataFrame, rng: np.random.Generator) -> list[pd.DataFrame]:
    """Return the truth as if it were a map, and numbers drawn by chance."""
    chance = rng.random((2, len(true)))
    signed = true["amount"] * rng.choice([-1.0, 1.0], len(true))
    found = {
        TRUTH: {"density_ratio": true["density"], "mass_share": true["share"], "signed": true["delta_target"]},
        RANDOM: {"density_ratio": chance[0], "mass_share": chance[1], "signed": signed},
    }
    return [
        true.assign(kind=REFERENCE, model=name, method=name, reduction="", **values) for name, values in found.items()
    ]


def _scored(points: pd.DataFrame) -> pd.DataFrame:
    """Score points: ``x`` is ranked against ``y``."""
    slides = points.groupby(list(_SLIDE), sort=True)
    codes = np.asarray(slides.ngroup(), dtype=np.intp)
    rows = slides.agg(n_patches=("patch_id", "nunique")).reset_index()
    amounts, wrong = points["amount"], np.sign(points["signed"]) != np.sign(points["delta_target"])
    found: dict[str, Float64Array] = {
        "rank_correlation": rank_correlations(codes, points["x"], points["y"]),
        "mass_correlation": rank_correlations(codes, points["mass_share"], points["share"]),
        "densest_is_most_important": _top(points).reindex(rows.index).to_numpy(),
        "sign_errors": _weighted(codes, wrong.where(points["signed"].notna()) * amounts, amounts),
        "relative_error": _weighted(codes, points["error"], amounts),
    }
    return rows.assign(**found)


def _top(points: pd.DataFrame) -> pd.Series:
    """Return per slide, in the order of the groups, how often the densest compartment has the densest importance."""
    patch = [points[name] for name in (*_SLIDE, "patch_id", "magnification")]
    densest, first = (
        points[name] == points[name].groupby(patch).transform("max") for name in ("density_ratio", "density")
    )
    hits = first.where(densest).astype(np.float64).groupby(patch).mean()
    return hits.groupby(level=list(_SLIDE), sort=True).mean().reset_index(drop=True)


def _weighted(codes: IndexArray, parts: pd.Series, amounts: pd.Series) -> Float64Array:
    return np.asarray(np.bincount(codes, weights=parts) / np.bincount(codes, weights=amounts))
