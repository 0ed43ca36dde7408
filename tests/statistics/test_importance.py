"""The mean importance of each compartment, and the interval that slides and networks give it."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import StatisticsParameters, contrast_table
from saliency_stats.statistics.importance import importance_table

SETTINGS = StatisticsParameters(bootstrap_draws=2_000, seed=3)


def rows(networks=("1",), slides=8, seed=0, **effects):
    """Two patches of each class on every slide, seen by every network; ``effects`` are the compartments' means."""
    rng = np.random.default_rng(seed)
    found = [
        (f"{slide}-{label}-{patch}", f"S{slide}", f"P{slide // 2}", label, 20.0, network, name, effect + noise)
        for slide in range(slides)
        for label in ("benign", "malignant")
        for patch in range(2)
        for network in networks
        for name, effect in effects.items()
        for noise in [0.3 * rng.standard_normal()]
    ]
    columns = ["patch_id", "slide_id", "patient_id", "label", "magnification", "network", "compartment", "delta_logit"]
    return pd.DataFrame(found, columns=columns)


def test_each_stratum_is_the_contrast_of_its_own_rows():
    table = rows(stroma=0.0, cytoplasm=2.0, background=0.5)
    found = importance_table(table, SETTINGS, ["sign_flip"])
    assert list(found["label"]) == ["malignant"] * 3 + ["benign"] * 3
    assert list(found["compartment"]) == ["cytoplasm", "stroma", "background"] * 2
    for row in found.itertuples():
        own = table[(table["label"] == row.label) & (table["compartment"] == row.compartment)]
        expected = contrast_table(own, "delta_logit", tests="sign_flip", seed=3, bootstrap_draws=2_000).iloc[0]
        for name in ("estimate", "ci_low", "ci_high", "test", "status", "n_units", "n_patches"):
            assert getattr(row, name) == expected[name], name
        assert row.n_networks == 1
        assert row.size == pytest.approx(own["delta_logit"].abs().groupby(own["slide_id"]).mean().mean())
    assert found["size"].iloc[1] > 3 * abs(found["estimate"].iloc[1])  # what cancels still has a size


def test_several_networks_are_a_sample_too():
    table = rows(networks=("1", "2", "3"), nucleus=1.0)
    (row, _) = importance_table(table, SETTINGS, ["crossed", "sign_flip"]).itertuples()
    own = table[table["label"] == "malignant"]
    expected = contrast_table(own, "delta_logit", network="network", tests="crossed", seed=3).iloc[0]
    assert (row.test, row.n_networks) == ("crossed", 3)
    assert (row.estimate, row.ci_low, row.ci_high) == tuple(expected[["estimate", "ci_low", "ci_high"]])


def test_networks_are_counted_in_which_no_other_compartment_has_a_larger_size():
    table = rows(networks=("1", "2", "3"), stroma=0.0, cytoplasm=2.0, nucleus=1.0)
    other = (table["network"] == "3") & (table["label"] == "benign") & (table["compartment"] == "nucleus")
    table.loc[other, "delta_logit"] = -5.0  # whatever its sign
    found = importance_table(table, SETTINGS, ["crossed"]).set_index(["label", "compartment"])["largest_in"]
    assert found["malignant"].to_dict() == {"nucleus": 0, "cytoplasm": 3, "stroma": 0}
    assert found["benign"].to_dict() == {"nucleus": 1, "cytoplasm": 2, "stroma": 0}


def test_where_the_first_test_cannot_be_had_the_next_one_answers():
    found = importance_table(rows(nucleus=1.0), SETTINGS, ["crossed", "t_slide_means"])
    assert list(found["test"]) == ["t_slide_means"] * 2
    assert (found["status"] == "tested").all()


def test_few_slides_have_an_estimate_and_no_interval():
    found = importance_table(rows(slides=2, nucleus=1.0), SETTINGS, ["sign_flip"])
    assert found["estimate"].notna().all()
    assert found["ci_low"].isna().all()
    assert found["reason"].str.contains("there are only 2 slides").all()


def test_the_patient_is_the_unit_where_it_is_asked_for():
    patients = StatisticsParameters(bootstrap_draws=2_000, unit="patient")
    assert (importance_table(rows(nucleus=1.0), patients, ["sign_flip"])["n_units"] == 4).all()
    unknown = rows(nucleus=1.0).assign(slide_id="")
    alone = StatisticsParameters(bootstrap_draws=2_000, assume_independent=True)
    assert (importance_table(unknown, alone, ["sign_flip"])["n_units"] == 16).all()
    assert (importance_table(unknown, SETTINGS, ["sign_flip"])["n_units"] == 0).all()


def test_magnifications_are_apart_in_their_order():
    table = pd.concat([rows(nucleus=1.0), rows(nucleus=0.0).assign(magnification=5.0)])
    found = importance_table(table, SETTINGS, ["sign_flip"])
    assert list(found["magnification"]) == [5.0, 5.0, 20.0, 20.0]


def test_nothing_gives_no_rows_and_what_is_no_importance_is_refused():
    assert importance_table(rows(nucleus=1.0).iloc[:0], SETTINGS, ["sign_flip"]).empty
    with pytest.raises(StatisticsError, match="delta_logit"):
        importance_table(rows(nucleus=1.0).drop(columns="delta_logit"), SETTINGS, ["sign_flip"])
