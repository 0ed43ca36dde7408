"""A made study: a ledger and predictions with a known preference of saliency for one compartment."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from saliency_stats.statistics import PRIMARY, patch_values
from saliency_stats.vocabulary import COMPARTMENTS, LABELS

Study = tuple[pd.DataFrame, pd.DataFrame]
#: What a value of a patch belongs to, in the tables beside the ledger.
BESIDE = ["patch_id", "slide_id", "patient_id", "label", "magnification", "model", "network", "method", "reduction"]


def build_study(
    *,
    seed: int = 0,
    n_slides: int = 6,
    n_per_slide: int = 8,
    magnifications: tuple[object, ...] = (20.0,),
    models: tuple[str, ...] = ("trained", "randomised"),
    methods: tuple[str, ...] = ("gradient",),
    planted: str | None = None,
    effect: float = 1.0,
    slide_sd: float = 0.1,
    n_networks: int = 1,
    network_sd: float = 0.05,
    untrained_effect: float = 0.0,
) -> Study:
    """Return (ledger, predictions); ``effect`` (log2) raises the trained model's density in ``planted``.

    ``untrained_effect`` does so for all other models. Several networks see the same patches, and a column names them.
    """
    rng = np.random.default_rng(seed)
    n = n_slides * n_per_slide
    ledger, predictions = [], []
    for label in LABELS:
        patches = pd.DataFrame(
            {
                "patch_id": [f"{label}-{i}" for i in range(n)],
                "slide_id": np.repeat([f"{label}-slide-{i}" for i in range(n_slides)], n_per_slide),
                "patient_id": np.repeat([f"{label}-patient-{i // 2}" for i in range(n_slides)], n_per_slide),
                "label": label,
                "split": "test",
            }
        )
        for magnification in magnifications:
            area = rng.dirichlet([12, 24, 18, 6], n)
            for model in models:
                confidence = rng.uniform(0.91, 1, n)
                p_malignant = confidence if label == "malignant" else 1 - confidence
                predictions.append(
                    patches[["patch_id", "split"]].assign(
                        magnification=magnification,
                        model=model,
                        logit_benign=0.0,
                        logit_malignant=np.log(p_malignant / (1 - p_malignant)),
                        p_malignant=p_malignant,
                        predicted=label,
                        correct=True,
                    )
                )
                for method in methods:
                    log_density = np.repeat(rng.normal(0, slide_sd, (n_slides, 4)), n_per_slide, axis=0)
                    log_density += rng.normal(0, 0.2, (n, 4))
                    if planted is not None:
                        raised = effect if model == "trained" else untrained_effect
                        log_density[:, COMPARTMENTS.index(planted)] += raised
                    mass = area * np.exp2(log_density)
                    mass /= mass.sum(axis=1, keepdims=True)
                    ledger += [
                        patches.assign(
                            magnification=magnification,
                            model=model,
                            method=method,
                            reduction="l2",
                            compartment=compartment,
                            area_share=area[:, k],
                            mass_share=mass[:, k],
                            density_ratio=mass[:, k] / area[:, k],
                            status="measured",
                        )
                        for k, compartment in enumerate(COMPARTMENTS)
                    ]
    study = pd.concat(ledger, ignore_index=True), pd.concat(predictions, ignore_index=True)
    return study if n_networks == 1 else several_networks(*study, n_networks, network_sd, rng)


def several_networks(
    ledger: pd.DataFrame, predictions: pd.DataFrame, n: int, sd: float, rng: np.random.Generator
) -> Study:
    """Repeat a study for every network, which differs from the others by ``sd`` (log2) in every compartment."""
    codes = ledger["model"] + ledger["compartment"]
    maps = [ledger[name] for name in ("model", "patch_id", "magnification", "method", "reduction")]
    found = []
    for k in range(1, n + 1):
        own = codes.map({code: rng.normal(0, sd) for code in sorted(codes.unique())})
        mass = ledger["mass_share"] * np.exp2(own + rng.normal(0, sd, len(ledger)))
        mass /= mass.groupby(maps).transform("sum")
        found.append(ledger.assign(network=str(k), mass_share=mass, density_ratio=mass / ledger["area_share"]))
    names = [str(k) for k in range(1, n + 1)]
    return pd.concat(found, ignore_index=True), predictions.merge(pd.DataFrame({"network": names}), how="cross")


def build_beside(
    ledger: pd.DataFrame,
    *,
    seed: int = 0,
    explained: float = 0.0,
    explained_by: str = "sobel",
    placed: float = 0.0,
    pictures: tuple[str, ...] = ("sobel", "eosin"),
) -> dict[str, pd.DataFrame]:
    """Return the tables ``shift`` and ``matched`` of the trained networks of a ledger.

    A share ``explained`` of the primary contrast is gone at equal ``explained_by``, and a share ``placed`` is there
    wherever the map lies.
    """
    rng = np.random.default_rng(seed)
    values = patch_values(ledger)
    values = values[(values["contrast"] == PRIMARY) & (values["model"] == "trained")].reset_index(drop=True)
    delta, n = values["value"], len(values)
    status = np.where(delta.notna(), "measured", "no ratio")
    shift = values[BESIDE].assign(delta=delta, null_mean=placed * delta + rng.normal(0, 0.02, n), status=status)
    matched = [
        values[BESIDE].assign(
            picture=picture,
            matched=(1 - explained * (picture == explained_by)) * delta + rng.normal(0, 0.02, n),
            matched_of_picture=rng.normal(0, 0.02, n),
            share_compared=1.0,
            overlap=0.9,
            status=status,
        )
        for picture in pictures
    ]
    return {"shift": shift, "matched": pd.concat(matched, ignore_index=True) if matched else None}


def build_metrics(*, magnifications: tuple[object, ...] = (20.0,), learned: bool = True) -> pd.DataFrame:
    accuracy = 0.95 if learned else 0.51
    return pd.DataFrame(
        [
            {
                "magnification": magnification,
                "model": "trained",
                "split": "test",
                "balanced_accuracy": accuracy,
                "balanced_accuracy_low": accuracy - 0.05,
                "balanced_accuracy_high": accuracy + 0.04,
                "learned": learned,
                "learned_reason": "" if learned else "the interval of its balanced accuracy covers 0.5",
            }
            for magnification in magnifications
        ]
    )


@pytest.fixture
def make_study() -> Callable[..., Study]:
    return build_study


@pytest.fixture
def make_metrics() -> Callable[..., pd.DataFrame]:
    return build_metrics


@pytest.fixture
def make_beside() -> Callable[..., dict[str, pd.DataFrame]]:
    return build_beside
