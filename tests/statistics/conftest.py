"""A made study: a ledger and predictions with a known preference of saliency for one compartment."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from saliency_stats.vocabulary import COMPARTMENTS, LABELS

Study = tuple[pd.DataFrame, pd.DataFrame]


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
) -> Study:
    """Return (ledger, predictions); ``effect`` (log2) raises the trained model's density in ``planted``."""
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
                    if planted is not None and model == "trained":
                        log_density[:, COMPARTMENTS.index(planted)] += effect
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
    return pd.concat(ledger, ignore_index=True), pd.concat(predictions, ignore_index=True)


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
