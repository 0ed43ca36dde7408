"""The causal companion judged: what replacing a compartment does to the decision, and whether saliency predicts it."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from saliency_stats.statistics.averaged import ledger_over_networks
from saliency_stats.statistics.contrasts import COLUMNS, Sampled, inferred, sampled
from saliency_stats.statistics.differences import called, group_difference
from saliency_stats.statistics.drops import CARRIED, KEY, effects
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.multiplicity import adjust
from saliency_stats.statistics.parameters import StatisticsParameters
from saliency_stats.statistics.prediction import slide_correlations
from saliency_stats.statistics.selection import Population, mute, restrict, unlearned_of
from saliency_stats.statistics.simultaneous import with_simultaneous_intervals
from saliency_stats.statistics.units import independent_units
from saliency_stats.statistics.values import PAIRS
from saliency_stats.vocabulary import LABELS, TISSUE, TRAINED

#: Columns of ``causal.csv``.
CAUSAL_COLUMNS: Final = (
    *COLUMNS,
    *("replacement", "drop_per_area", "random_drop_per_area", "rho", "rho_low", "rho_high", "drop", "random_drop"),
)
_FAMILIES: Final = {
    "drop": "causal",
    "pair": "causal_pairs",
    "separation": "causal_separation",
    "separation_pair": "causal_separation_pairs",
    "prediction": "causal_prediction",
}
_BENIGN, _MALIGNANT = LABELS
_CLASSES: Final = (_MALIGNANT, _BENIGN)
#: Label of the rows that add what both classes lose.
SUM_OF_LABELS: Final = f"{_MALIGNANT}+{_BENIGN}"
#: What is corrected together. A replacement is one way to ask, and a study reads one method and one reduction, named
#: beforehand: its hypotheses do not pay for the others that stand beside it for comparison. Whoever picks the method
#: that predicts best must correct for that choice.
_TOGETHER: Final = ("family", "test", "replacement", "method", "reduction")
_MEANS: Final = ("drop_per_area", "random_drop_per_area", "drop", "random_drop")
_EFFECTS: Final = (*_MEANS, "value")


@dataclass(frozen=True, eq=False)
class _Asked:
    """One sample, what names it in the table, and how many judged and altered patches could be in it."""

    kind: str
    names: dict[str, Any]
    sample: pd.DataFrame
    n_selected: int

    @property
    def of_both(self) -> bool:
        """Whether both classes are asked about together."""
        return bool(self.names["label"] == SUM_OF_LABELS)

    @property
    def family(self) -> str:
        """The trained network's hypotheses are not corrected for those of its controls."""
        return _FAMILIES[self.kind] + ("" if self.names["model"] == TRAINED else "_reference")


def causal_table(
    ablation: pd.DataFrame,
    ledger: pd.DataFrame,
    population: Population,
    settings: StatisticsParameters,
    *,
    learned: Mapping[Hashable, bool] | None = None,
) -> pd.DataFrame:
    """Build the whole of ``causal.csv``, on the judged patches, for every label, magnification, model and replacement.

    - ``drop:nucleus`` (cytoplasm, stroma): does replacing the compartment lower the logit of the patch's class, per
      area, by more than replacing a random region of the same area and shape? Family "causal".
    - ``drop:cytoplasm_vs_nucleus`` and the two pairs with stroma: the difference of the drops per area within a patch.
      Family "causal_pairs".
    - ``separation:nucleus`` (…) and its pairs, of both classes together (label "malignant+benign"): the drop of the
      malignant plus that of the benign patches. An effect that both classes share, as of a replacement that makes any
      patch look malignant, cancels in the sum; what remains is what tells the classes apart. Families
      "causal_separation" and "causal_separation_pairs". Within slides that have both classes where most have.
    - ``prediction``: does a compartment's density of saliency predict its drop per area, over patches and
      compartments, and ``prediction:nucleus`` (…) over patches within one? The mean over slides of Fisher's z of the
      rank correlation within a slide (:func:`~saliency_stats.statistics.prediction.slide_correlations`), for each
      method and reduction of the ledger. Family "causal_prediction".

    Parameters
    ----------
    ablation : DataFrame
        As :func:`~saliency_stats.statistics.drops.effects` reads it.
    ledger : DataFrame
        As :func:`~saliency_stats.statistics.prediction.slide_correlations` reads it.
    learned : mapping, optional
        As :func:`~saliency_stats.statistics.study_contrasts` reads it.

    Returns
    -------
    DataFrame
        Columns :data:`CAUSAL_COLUMNS`, those of ``contrasts.csv`` and eight more, one row per stratum and test, in a
        fixed order. ``estimate`` is in logits per area, of the predictions in Fisher's z; ``ratio`` is empty, as
        neither is a logarithm. ``drop_per_area`` and ``random_drop_per_area`` are the means over units (of a
        separation, the sums of the two classes' means) that the estimate is the difference of, over patches that have
        both; ``drop`` and ``random_drop`` are the same in logits, not divided by the area; ``rho`` and its limits are
        the predictions' estimate and interval as correlations. Each family is corrected for itself, test by test, and
        for each replacement, method and reduction apart. Controls have families of their own, named "…_reference".
        ``n_missing`` counts judged patches of which something was replaced, but not this compartment.
        Predictions have one value per slide, so that nothing is known of clustering within slides.

    Raises
    ------
    StatisticsError
        If a table does not have the form described, or ``learned`` lacks a magnification.
    """
    found = effects(restrict(ablation, population.patches))
    ledger = ledger_over_networks(ledger)
    strata = ablation[["magnification", "model", "replacement"]].drop_duplicates()
    unlearned = unlearned_of(strata["magnification"].unique(), learned)
    asked = sorted([*_drops(found, strata), *_predictions(found, ledger, strata)], key=lambda one: _order(one.names))
    patches = found[["patch_id", "label", "magnification"]].drop_duplicates()
    sizes = patches.groupby(["label", "magnification"]).size().to_dict()
    asked = [replace(one, n_selected=_selected(sizes, one.names)) for one in asked]
    if not asked:
        return pd.DataFrame(columns=list(CAUSAL_COLUMNS))
    samples = [_sampled(one, settings) for one in asked]
    answers = (_ask(one, sample, settings) for one, sample in zip(asked, samples, strict=True))
    table = pd.concat(answers, ignore_index=True)
    muted = (table["model"] == TRAINED) & table["magnification"].isin(unlearned)
    mute(table, muted)
    table["p_adjusted"] = adjust(table, correction=settings.correction, family=_TOGETHER)
    table = with_simultaneous_intervals(table, samples, _TOGETHER, settings)
    of_slides = table["contrast"].str.startswith("prediction")
    for name, source in (("rho", "estimate"), ("rho_low", "ci_low"), ("rho_high", "ci_high")):
        table[name] = np.tanh(table[source]).where(of_slides)
    return table[list(CAUSAL_COLUMNS)]


def _drops(found: pd.DataFrame, strata: pd.DataFrame) -> Iterator[_Asked]:
    # effects are sorted and have one row for every compartment of the tissue
    each = found["drop_per_area"].to_numpy(dtype=np.float64).reshape(-1, len(TISSUE))
    patches = found.iloc[:: len(TISSUE)][[*KEY, *CARRIED]]
    samples = [("drop", f"drop:{name}", found[found["compartment"] == name]) for name in TISSUE]
    samples += [
        ("pair", f"drop:{name}", patches.assign(value=each[:, TISSUE.index(a)] - each[:, TISSUE.index(b)]))
        for name, (a, b) in PAIRS.items()
    ]
    of_maps = {"method": "", "reduction": ""}
    for kind, contrast, rows in samples:
        for names, sample in _stratified(rows, strata):
            yield _Asked(kind, {"contrast": contrast, **of_maps, **names}, sample, 0)
        together = contrast.replace("drop", "separation")
        both = "separation" if kind == "drop" else "separation_pair"
        for names, sample in _stratified(_signed(rows), strata, (SUM_OF_LABELS,)):
            yield _Asked(both, {"contrast": together, **of_maps, **names}, sample, 0)


def _signed(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn the benign patches' effects round: the difference of the classes is then the sum of their effects."""
    numbers = [name for name in _EFFECTS if name in rows]
    sign = np.where(rows["label"] == _BENIGN, -1.0, 1.0)
    signed = rows[numbers].mul(sign, axis=0)
    return rows.assign(**{name: signed[name] for name in numbers}, of_class=rows["label"], label=SUM_OF_LABELS)


def _selected(sizes: Mapping[Hashable, int], names: Mapping[str, Any]) -> int:
    """Count the patches that could be in a sample."""
    labels = LABELS if names["label"] == SUM_OF_LABELS else (names["label"],)
    return sum(int(sizes.get((label, names["magnification"]), 0)) for label in labels)


def _predictions(found: pd.DataFrame, ledger: pd.DataFrame, strata: pd.DataFrame) -> Iterator[_Asked]:
    slides = slide_correlations(found, ledger)
    looked = ledger[["model", "magnification", "method", "reduction"]].drop_duplicates()
    for contrast in ("prediction", *(f"prediction:{name}" for name in TISSUE)):
        rows = slides[slides["contrast"] == contrast]
        for names, sample in _stratified(rows, strata.merge(looked, on=["model", "magnification"])):
            yield _Asked("prediction", {"contrast": contrast, **names}, sample, 0)


def _stratified(
    rows: pd.DataFrame, strata: pd.DataFrame, labels: Sequence[str] = LABELS
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    columns = ["label", *strata.columns]
    samples: dict[Hashable, pd.DataFrame] = dict(iter(rows.groupby(columns, sort=False)))
    for label in labels:
        for stratum in strata.itertuples(index=False, name=None):
            fixed = (label, *stratum)
            yield dict(zip(columns, fixed, strict=True)), samples.get(fixed, rows.iloc[:0])


def _how(one: _Asked, settings: StatisticsParameters) -> dict[str, Any]:
    """Say whose the values of a sample are."""
    return {
        "patient": "patient_id" if settings.unit == "patient" else None,
        # a value of a slide that nobody knows cannot be independent of the others
        "assume_independent": settings.assume_independent and one.kind != "prediction",
    }


def _sampled(one: _Asked, settings: StatisticsParameters) -> Sampled:
    how = {"min_units": settings.min_slides, **_how(one, settings)}
    if not one.of_both:
        return sampled(one.sample, "value", **how)
    rows, pair = called(one.sample, "of_class", _CLASSES, settings.classes)
    return sampled(rows, "value", group="of_class", pair=pair, **how)


def _ask(one: _Asked, sample: Sampled, settings: StatisticsParameters) -> pd.DataFrame:
    table = inferred(sample, alpha=settings.alpha, seed=settings.seed, draws=settings.bootstrap_draws)
    table = table.assign(**one.names, family=one.family, ratio=NAN)
    means = dict.fromkeys(_MEANS, NAN)
    if one.kind in ("drop", "separation"):
        kept, how = one.sample[one.sample["value"].notna()], _how(one, settings)
        means = {
            name: group_difference(kept, name, "of_class", _CLASSES, **how).estimate
            if one.of_both
            else independent_units(kept, name, **how).estimate
            for name in _MEANS
        }
    if one.kind == "prediction":
        n_patches = int(one.sample.loc[one.sample["value"].notna(), "n_patches"].sum())
        table = table.assign(n_patches=n_patches, icc=NAN, design_effect=NAN, n_effective=NAN)
    return table.assign(**means, n_missing=one.n_selected - table["n_patches"])


def _order(names: dict[str, Any]) -> tuple[Any, ...]:
    """Return the sort key of rows: contrasts, malignant before benign, the trained model first, then by name."""
    contrasts = (
        *(f"{kind}:{name}" for kind in ("drop", "separation") for name in (*TISSUE, *PAIRS)),
        *("prediction", *(f"prediction:{name}" for name in TISSUE)),
    )
    return (
        contrasts.index(names["contrast"]),
        (SUM_OF_LABELS, *_CLASSES).index(names["label"]),
        names["magnification"],
        names["model"] != TRAINED,
        *(names[name] for name in ("model", "method", "reduction", "replacement")),
    )
