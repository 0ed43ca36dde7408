"""One model of all magnifications: what it is equal to, what it does not depend on, and what it says when it cannot."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.magnification import COMPONENTS, MODEL_COLUMNS, magnification_model
from saliency_stats.statistics.models.crossed import crossed_intercepts

TEST = ["estimate", "se", "df", "statistic", "p_value", "ci_low", "ci_high"]


def values(seed=0, slides=6, locations=5, magnifications=(5.0, 10.0, 20.0, 40.0), step=0.0, drop=0.0, labels=1):
    """Locations of slides at every magnification; each magnification lies ``step`` above the one before it."""
    rng = np.random.default_rng(seed)
    rows = []
    for slide in range(slides):
        of_slide, of_levels = rng.normal(0, 0.4), rng.normal(0, 0.2, len(magnifications))
        for place in range(locations):
            of_place = rng.normal(0, 0.3)
            for k, magnification in enumerate(magnifications):
                value = of_slide + of_levels[k] + of_place + step * k + rng.normal(0, 0.2)
                row = (f"p{slide}-{place}", f"s{slide}", "", ["benign", "malignant"][slide % labels], magnification)
                rows.append((*row, value))
    columns = ["patch_id", "slide_id", "patient_id", "label", "magnification", "value"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(value=table["value"].mask(rng.random(len(table)) < drop))


def test_it_is_the_crossed_model_with_the_reference_as_its_intercept():
    table = values(drop=0.2)
    found = magnification_model(table, 20.0).set_index("magnification")
    fit = crossed_intercepts(
        table, "value ~ C(magnification, contr.treatment(base=20.0))", df="kenward_roger"
    )  # another coding of the same model
    expected = fit.table().iloc[1:]
    np.testing.assert_allclose(found[TEST], expected[TEST], rtol=1e-6)
    assert [term.split("T.")[1].rstrip("]") for term in expected["term"]] == ["5.0", "10.0", "40.0"]
    for column, name in COMPONENTS.items():
        assert found[column].to_numpy() == pytest.approx([fit.variances[name]] * 3, rel=1e-6, abs=1e-9)
    assert (found[["n_slides", "n_locations"]] == [fit.n_slides, fit.n_locations]).all().all()
    assert (found["n_patches"] == table["value"].notna().sum()).all()
    assert set(found["route"]) == {"mixed"}
    assert set(found["reason"]) == {""}


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.floats(-2, 2))
def test_where_nothing_is_missing_it_is_the_mean_of_the_paired_differences(seed, step):
    table = values(seed, step=step)
    wide = table.pivot_table(index="patch_id", columns="magnification", values="value")
    for row in magnification_model(table, 10.0).itertuples():
        assert row.estimate == pytest.approx((wide[row.magnification] - wide[10.0]).mean(), abs=1e-9)
        assert row.ci_low < row.estimate < row.ci_high


def test_exchanging_the_reference_turns_the_sign():
    table = values(drop=0.1)
    there = magnification_model(table, 20.0).set_index("magnification").loc[5.0]
    back = magnification_model(table, 5.0).set_index("magnification").loc[20.0]
    assert there["estimate"] == pytest.approx(-back["estimate"], rel=1e-9)
    assert there["p_value"] == pytest.approx(back["p_value"], rel=1e-9)
    assert (there["versus"], back["versus"]) == (20.0, 5.0)


def test_neither_order_nor_names_matter():
    table = values(drop=0.1, labels=2)
    other = table.sample(frac=1, random_state=1).assign(
        slide_id=lambda rows: "x" + rows["slide_id"].str[::-1], patch_id=lambda rows: rows["patch_id"] + "!"
    )
    found = [magnification_model(each, 20.0, min_units=2) for each in (table, other)]
    pd.testing.assert_frame_equal(*found, rtol=1e-9)
    assert list(zip(found[0]["label"], found[0]["magnification"], strict=True)) == [
        (label, mag) for label in ("benign", "malignant") for mag in (5.0, 10.0, 40.0)
    ]


def test_a_planted_slope_is_recovered():
    found = magnification_model(values(3, slides=40, step=0.5), 20.0)
    assert found["estimate"].to_numpy() == pytest.approx([-1.0, -0.5, 0.5], abs=0.15)
    assert (found["p_value"] < 1e-4).all()
    assert found["var_slide_magnification"].iloc[0] == pytest.approx(0.04, abs=0.02)


def test_patients_with_several_slides_are_clusters():
    table = values(locations=4, slides=8)
    table["patient_id"] = "q" + (table["slide_id"].str[1:].astype(int) // 2).astype(str)
    found = magnification_model(table, 20.0, unit="patient_id").set_index("magnification")
    assert set(found["route"]) == {"cluster_robust"}
    assert found["reason"].str.contains("several slides").all()
    assert found[[*COMPONENTS]].isna().all().all()
    means = table.pivot_table(index="patient_id", columns="magnification", values="value")
    for magnification, row in found.iterrows():
        paired = means[magnification] - means[20.0]  # patients of one size: CR2 is the paired t test over patients
        assert row["estimate"] == pytest.approx(paired.mean(), abs=1e-9)
        assert row["se"] == pytest.approx(paired.std(ddof=1) / np.sqrt(len(paired)), rel=1e-9)
        assert row["df"] == pytest.approx(len(paired) - 1)


def test_patients_with_one_slide_each_are_that_slide():
    table = values()
    table["patient_id"] = "of " + table["slide_id"]
    pd.testing.assert_frame_equal(
        magnification_model(table, 20.0, unit="patient_id"), magnification_model(table, 20.0), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("change", "reference", "reason"),
    [
        ({"slide_id": ""}, 20.0, "the slides of the patches are unknown"),
        ({}, 2.5, "no value at the reference 2.5×"),
        ({"slide_id": "one"}, 20.0, "^1 slide, and a model takes at least 3"),
        ({"value": 1.0}, 20.0, "no spread"),
    ],
)
def test_what_cannot_be_fitted_says_why_and_has_no_numbers(change, reference, reason):
    found = magnification_model(values().assign(**change), reference)
    assert len(found) == 4 - (reference == 20.0)
    assert set(found["route"]) == {"none"}
    assert found["reason"].str.contains(reason).all()
    assert found[[*TEST, *COMPONENTS]].isna().all().all()


def of_networks(table, n_networks=4, sd=0.3, seed=9):
    """The same patches by several networks of each magnification."""
    rng = np.random.default_rng(seed)
    every = pd.concat([table.assign(network=str(k + 1)) for k in range(n_networks)], ignore_index=True)
    kind = every["network"] + "/" + every["magnification"].astype(str)
    shift = {name: rng.normal(0, sd) for name in sorted(set(kind))}
    return every.assign(value=every["value"] + kind.map(shift) + rng.normal(0, 0.1, len(every)))


def test_several_networks_of_a_magnification_are_a_sample():
    table = of_networks(values(drop=0.1))
    found = magnification_model(table, 20.0)
    fit = crossed_intercepts(
        table, "value ~ C(magnification, contr.treatment(base=20.0))", network="network", df="kenward_roger"
    )
    np.testing.assert_allclose(found[TEST], fit.table().iloc[1:][TEST], rtol=1e-6)
    assert found["var_network"].to_numpy() == pytest.approx([fit.variances["network"]] * 3, rel=1e-6)
    assert list(found.columns) == [*MODEL_COLUMNS, "var_network"]
    averaged = table.groupby(["label", "magnification", "patch_id", "slide_id", "patient_id"], as_index=False)["value"]
    narrow = magnification_model(averaged.mean(), 20.0)
    # averaged first, these networks pass for all there are
    assert (found["se"] > 1.5 * narrow["se"]).all()


def test_one_network_changes_nothing():
    table = values(drop=0.1)
    pd.testing.assert_frame_equal(
        magnification_model(table.assign(network="1"), 20.0), magnification_model(table, 20.0), check_exact=True
    )


def test_with_several_networks_the_slides_of_a_patient_are_its_locations():
    table = of_networks(values(locations=4, slides=12))
    table["patient_id"] = "q" + (table["slide_id"].str[1:].astype(int) // 3).astype(str)
    found = magnification_model(table, 20.0, unit="patient_id")
    assert set(found["route"]) == {"mixed"}
    slides = table.groupby(["patient_id", "slide_id", "magnification", "network"], as_index=False)["value"].mean()
    fit = crossed_intercepts(
        slides, "value ~ C(magnification)", "patient_id", "slide_id", network="network", df="kenward_roger"
    )
    assert found["se"].iloc[0] == pytest.approx(fit.test(np.array([0, 0, 1.0, 0])).se, rel=1e-6)


def test_several_networks_that_hide_a_variance_have_no_model():
    found = magnification_model(of_networks(values(locations=1)), 20.0)
    assert set(found["route"]) == {"none"}
    assert found["reason"].str.contains("without it nothing tells how much networks differ").all()


def test_a_network_has_one_value_of_a_location():
    table = of_networks(values(slides=3))
    with pytest.raises(StatisticsError, match="240 rows repeat the location, magnification and network of another"):
        magnification_model(pd.concat([table, table]), 20.0)


def test_one_magnification_and_no_values_have_no_rows():
    for table in (values(magnifications=(20.0,)), values().iloc[:0], values().assign(value=np.nan)):
        found = magnification_model(table, 20.0)
        assert (len(found), list(found.columns)) == (0, list(MODEL_COLUMNS))


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (values().drop(columns="value"), {}, "no column value"),
        (pd.concat([values(), values()]), {}, "120 rows repeat the location and magnification"),
        (values(), {"unit": "patch_id"}, "unit is 'patch_id'"),
        (values(), {"alpha": 0.7}, "alpha is 0.7"),
        (values(), {"min_units": 1}, "min_units is 1"),
    ],
)
def test_what_is_refused(table, options, message):
    with pytest.raises(StatisticsError, match=message):
        magnification_model(table, 20.0, **options)
