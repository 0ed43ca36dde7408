import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import CONTRASTS, PRIMARY, model_difference, patch_values
from saliency_stats.vocabulary import COMPARTMENTS


def rows(area, mass, *, patch="p", model="trained", status=None):
    status = status or {}
    return pd.DataFrame(
        {
            "patch_id": patch,
            "slide_id": "s",
            "patient_id": "",
            "label": "malignant",
            "split": "test",
            "magnification": 20.0,
            "model": model,
            "method": "gradient",
            "reduction": "l2",
            "compartment": COMPARTMENTS,
            "area_share": area,
            "mass_share": mass,
            "density_ratio": [
                np.nan if k in status else m / a for k, a, m in zip(COMPARTMENTS, area, mass, strict=True)
            ],
            "status": [status.get(k, "measured") for k in COMPARTMENTS],
        }
    )


def by_contrast(ledger):
    return patch_values(ledger).set_index("contrast")


def test_the_contrasts_by_hand():
    found = by_contrast(rows([0.1, 0.4, 0.3, 0.2], [0.2, 0.4, 0.1, 0.3]))
    assert tuple(found.index) == CONTRASTS
    expected = {
        "cytoplasm_vs_nucleus": np.log2((0.4 / 0.4) / (0.2 / 0.1)),
        "nucleus_vs_rest": np.log2((0.2 / 0.1) / (0.5 / 0.7)),
        "cytoplasm_vs_rest": np.log2((0.4 / 0.4) / (0.3 / 0.4)),
        "stroma_vs_rest": np.log2((0.1 / 0.3) / (0.6 / 0.5)),
        "stroma_vs_nucleus": np.log2((0.1 / 0.3) / (0.2 / 0.1)),
        "stroma_vs_cytoplasm": np.log2((0.1 / 0.3) / (0.4 / 0.4)),
    }
    assert found["value"].to_dict() == pytest.approx(expected)
    assert (found["missing"] == "").all()


def test_a_constant_map_prefers_nothing():
    area = [0.15, 0.35, 0.4, 0.1]
    assert by_contrast(rows(area, area))["value"].abs().max() < 1e-12


shares = st.lists(st.floats(0.05, 1), min_size=4, max_size=4)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.floats(1e-6, 1e6))
def test_the_scale_of_the_map_does_not_matter(seed, scale):
    rng = np.random.default_rng(seed)
    saliency, memberships = rng.exponential(size=(16, 16)), rng.dirichlet(np.ones(4), (16, 16))

    def ledger(s):
        mass = np.einsum("yxk,yx->k", memberships, s) / s.sum()
        return rows(memberships.mean(axis=(0, 1)), mass)

    expected, found = (patch_values(ledger(s))["value"] for s in (saliency, scale * saliency))
    np.testing.assert_allclose(found, expected, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(shares, shares)
def test_pairs_add_up_and_the_background_does_not_matter(area, mass):
    value = by_contrast(rows(area, mass))["value"]
    assert value["stroma_vs_cytoplasm"] + value["cytoplasm_vs_nucleus"] == pytest.approx(
        value["stroma_vs_nucleus"], abs=1e-9
    )
    other = by_contrast(rows([*area[:3], 0.5], [*mass[:3], 0.01]))["value"]
    pd.testing.assert_series_equal(other, value)


def test_a_missing_compartment_is_missing_and_not_zero():
    found = by_contrast(rows([0.001, 0.4, 0.3, 0.299], [0.1, 0.4, 0.3, 0.2], status={"nucleus": "missing: small"}))
    assert found.loc[PRIMARY, "missing"] == "no nucleus"
    assert np.isnan(found.loc[PRIMARY, "value"])
    assert found.loc["stroma_vs_cytoplasm", "value"] == pytest.approx(np.log2(1.0))
    assert np.isfinite(found.loc["stroma_vs_rest", "value"])


def test_a_compartment_without_a_measured_rest_has_no_contrast_with_it():
    missing = dict.fromkeys(("nucleus", "cytoplasm"), "missing: small")
    found = by_contrast(rows([0.001, 0.002, 0.9, 0.097], [0.1, 0.1, 0.7, 0.1], status=missing))
    assert found.loc["stroma_vs_rest", "missing"] == "no rest of the tissue"
    assert found.loc[PRIMARY, "missing"] == "no cytoplasm and no nucleus"
    assert found["value"].isna().all()


def test_no_saliency_has_no_logarithm():
    found = by_contrast(rows([0.1, 0.4, 0.3, 0.2], [0.0, 0.4, 0.4, 0.2]))
    assert found.loc[PRIMARY, "missing"] == "no saliency in nucleus"
    assert np.isnan(found.loc["nucleus_vs_rest", "value"])
    assert np.isfinite(found.loc["cytoplasm_vs_rest", "value"])


def test_an_empty_map_is_missing_everywhere():
    everywhere = dict.fromkeys(COMPARTMENTS, "missing: no saliency")
    found = by_contrast(rows([0.1, 0.4, 0.3, 0.2], [np.nan] * 4, status=everywhere))
    assert found["value"].isna().all()
    assert (found["missing"] != "").all()


def test_an_empty_ledger_has_no_values():
    assert patch_values(rows([0.1, 0.4, 0.3, 0.2], [0.1, 0.4, 0.3, 0.2]).iloc[:0]).empty


def test_the_order_of_the_rows_does_not_matter(make_study):
    ledger, _ = make_study()
    shuffled = ledger.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(patch_values(shuffled), patch_values(ledger), check_exact=True)


def test_models_are_paired_by_key_and_never_by_order(make_study):
    ledger, _ = make_study(methods=("gradient", "smoothgrad"), magnifications=(10.0, 20.0))
    values = patch_values(ledger)
    expected = values[values["model"] == "trained"].copy()
    for i, row in expected.iterrows():
        same = (
            values[["contrast", "patch_id", "magnification", "method"]]
            == row[["contrast", "patch_id", "magnification", "method"]]
        ).all(axis=1)
        expected.loc[i, "value"] -= values.loc[same & (values["model"] == "randomised"), "value"].item()
        if i > 40:
            break
    found = model_difference(values.sample(frac=1, random_state=3), "randomised")
    assert set(found["model"]) == {"trained-randomised"}
    first = expected.index[expected.index <= 40]
    np.testing.assert_array_equal(found.loc[first, "value"], expected.loc[first, "value"])


def test_a_patch_missing_in_the_control_is_counted():
    area = [0.1, 0.4, 0.3, 0.2]
    trained = pd.concat([rows(area, area, patch=name) for name in "abc"])
    control = pd.concat(
        [
            rows(area, area, patch="a", model="sham"),
            rows(area, area, patch="b", model="sham", status={"nucleus": "missing: small"}),
        ]
    )
    found = model_difference(patch_values(pd.concat([trained, control], ignore_index=True)), "sham")
    primary = found[found["contrast"] == PRIMARY].set_index("patch_id")
    assert primary["missing"].to_dict() == {"a": "", "b": "sham: no nucleus", "c": "sham: no such row"}
    assert primary["value"].isna().to_dict() == {"a": False, "b": True, "c": True}


GOOD = rows([0.1, 0.4, 0.3, 0.2], [0.1, 0.4, 0.3, 0.2])


@pytest.mark.parametrize(
    ("ledger", "message"),
    [
        (pd.concat([GOOD, GOOD.iloc[[1]]]), "patch_id p.*compartment cytoplasm occurs 2 times"),
        (GOOD.iloc[1:], "patch_id p.*no row for nucleus"),
        (GOOD.drop(columns="status"), "no column status"),
        (GOOD.assign(mass_share=-0.1), "negative"),
        (GOOD.replace({"compartment": {"stroma": "fibre"}}), "unknown compartment 'fibre'"),
        (
            pd.concat([GOOD, GOOD.assign(slide_id="t", model="randomised")]),
            "patch p has more than one slide_id",
        ),
    ],
)
def test_a_wrong_ledger_is_named(ledger, message):
    with pytest.raises(StatisticsError, match=message):
        patch_values(ledger)


def test_wrong_values_are_named(make_study):
    values = patch_values(make_study()[0])
    with pytest.raises(StatisticsError, match="no row of model 'sham'"):
        model_difference(values, "sham")
    with pytest.raises(StatisticsError, match="occurs twice for model 'trained'"):
        model_difference(pd.concat([values, values]), "randomised")
