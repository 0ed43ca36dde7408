"""The flow of exclusions: every step counted, every step a subset of the one before."""

import numpy as np
import pandas as pd

from saliency_stats.statistics import STEPS, primary_population, study_flow


def test_every_step_is_counted_by_patch_and_slide(make_study):
    ledger, predictions = make_study(n_slides=3, n_per_slide=2)
    predictions.loc[predictions["patch_id"] == "benign-0", "p_malignant"] = 0.4
    gone = (ledger["patch_id"] == "malignant-1") & (ledger["compartment"] == "nucleus")
    ledger.loc[gone, ["density_ratio", "status"]] = [np.nan, "missing: small"]
    patches = ledger.drop_duplicates(["patch_id", "magnification"])[
        ["patch_id", "magnification", "slide_id", "label"]
    ].assign(split="test", status="used")
    extra = patches.iloc[:2].assign(patch_id=["broken", "seen"], status=["excluded: torn", "used"], split=["", "train"])
    patches = pd.concat([patches, extra], ignore_index=True)
    population = primary_population(predictions, min_confidence=0.9)
    flow = study_flow(patches, predictions, ledger, population, evaluation_split="test")
    counted = flow.pivot_table(index="label", columns="step", values="n_patches", sort=False)[list(STEPS)]
    assert counted.loc["benign"].diff().iloc[1:].le(0).all()
    assert counted.loc["benign", "correct"] == 6
    assert counted.loc["benign", "correct and confident"] == 5
    assert counted.loc["benign", "both compartments present"] == 5
    assert counted.loc["malignant", "both compartments present"] == 5
    assert counted["listed"].sum() == 14
    assert counted["used"].sum() == 13
    assert counted["evaluation split"].sum() == 12
    assert set(flow["n_slides"]) == {3}


def test_unknown_slides_count_as_none(make_study):
    ledger, predictions = make_study(n_slides=3, n_per_slide=2)
    patches = ledger.drop_duplicates(["patch_id", "magnification"])[["patch_id", "magnification", "label"]]
    patches = patches.assign(slide_id="", split="test", status="used")
    population = primary_population(predictions, min_confidence=0.9)
    flow = study_flow(patches, predictions, ledger, population, evaluation_split="test")
    assert set(flow["n_slides"]) == {0}
