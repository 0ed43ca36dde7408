"""Independent units by hand: which they are, their means, and what is said where they are unknown."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.units import independent_units, sample_of, unit_of

TABLE = pd.DataFrame(
    {
        "value": [6.0, 1.0, 2.0, np.nan, 3.0, 10.0],
        "slide_id": ["b", "a", "a", "c", "a", "c"],
        "patient_id": ["p", "p", "p", "q", "p", "q"],
    }
)


def test_slides_are_the_units_unless_patients_are_named():
    found = independent_units(TABLE, "value")
    assert (found.unit, found.reason, found.owners, found.others) == ("slide", "", None, None)
    assert found.means.tolist() == [2, 6, 10]
    assert found.estimate == 6
    assert (found.n, found.n_slides, found.n_patches, found.n_missing) == (3, 3, 5, 1)
    assert found.weights == (1.0,)
    assert sorted(found.sums.sizes) == [1, 1, 3]
    assert found.sums.n == 5


def test_a_patients_mean_is_that_of_its_slides():
    found = independent_units(TABLE, "value", patient="patient_id")
    assert (found.unit, found.n, found.n_slides) == ("patient", 2, 3)
    assert found.means.tolist() == [4, 10]  # (2 + 6) / 2
    assert found.estimate == 7
    slides = dict(zip(found.sums.means[:, -1], found.owners, strict=True))
    assert slides[2.0] == slides[6.0] != slides[10.0]


def test_unit_means_of_some_values_alone():
    sample = sample_of(TABLE, "value", slide="slide_id", patient="patient_id", assume_independent=False)
    assert sample.numbers.tolist() == [1, 2, 3, 6, 10]
    few = sample.unit_means(sample.numbers < 3)
    assert list(few.values()) == [1.5]
    assert sample.unit_means(sample.numbers > 99) == {}
    assert sorted(sample.unit_means().values()) == [4, 10]


@pytest.mark.parametrize(
    ("change", "options", "unit", "estimate", "reason"),
    [
        ({"slide_id": ""}, {}, "", 4.4, "the slides of the patches are unknown, and patches of one slide are not"),
        ({"slide_id": ["b", " ", "a", "c", "a", None]}, {}, "", 4.4, "the slide of 2 of 5 patches is unknown, and"),
        ({"slide_id": ""}, {"assume_independent": True}, "patch", 4.4, "patches are assumed to be independent: their"),
        (
            {"patient_id": ""},
            {"patient": "patient_id"},
            "",
            4.4,
            "the patients of the patches are unknown, and",
        ),
        (
            {"patient_id": ["p", "p", "p", "", "p", ""]},
            {"patient": "patient_id"},
            "",
            4.4,
            "the patient of 1 of 5 patches is unknown, and patches of one patient are not",
        ),
        (
            {"patient_id": ""},
            {"patient": "patient_id", "assume_independent": True},
            "slide",
            6.0,
            "slides are assumed to be independent: their patients are unknown",
        ),
        ({"slide_id": ["b", "a", "a", "", "a", "c"]}, {}, "slide", 6.0, ""),
    ],
)
def test_where_a_unit_is_unknown_it_is_said(change, options, unit, estimate, reason):
    found = independent_units(TABLE.assign(**change), "value", **options)
    assert (found.unit, found.estimate) == (unit, pytest.approx(estimate))
    assert found.reason.startswith(reason)
    assert bool(found.reason) == bool(reason)
    assert (found.sums is None) == (unit == "")
    assert found.means.size == {"": 0, "patch": 5, "slide": 3}[unit]
    assert np.isnan(found.clustering.n0) == (unit == "")


def test_no_value_is_no_unit():
    found = independent_units(TABLE.assign(value=np.nan), "value")
    assert (found.n, found.n_patches, found.n_missing, found.sums) == (0, 0, 6, None)
    assert np.isnan(found.estimate)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"value": "x"}, {}, "column value holds .*, expected numbers"),
        ({"value": [np.inf, 1, -np.inf, 2, 3, 4]}, {}, "2 of 6 values in column value are infinite"),
        ({"patient_id": ["p", "p", "q", "q", "p", "q"]}, {"patient": "patient_id"}, "slide a belongs to more than one"),
        ({}, {"patient": "person"}, "no column person"),
        ({}, {"slide": "specimen"}, "no column specimen|specimen"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(change, options, message):
    with pytest.raises((StatisticsError, KeyError), match=message):
        independent_units(TABLE.assign(**change), "value", **options)


# --- which unit a cohort has --------------------------------------------------------------------------


def listed(slides, patients, *, split="test", status="used"):
    return pd.DataFrame({"slide_id": slides, "patient_id": patients, "split": split, "status": status})


@pytest.mark.parametrize(
    ("slides", "patients", "unit"),
    [
        (["a", "a", "b"], ["P", "P", "Q"], "slide"),
        (["a", "b", "c"], ["P", "P", "Q"], "patient"),
        (["a", "b", "c"], ["", "", ""], "slide"),
        # the patient of a slide is unknown: it shares none with the others
        (["a", "b", "c"], ["P", "", ""], "slide"),
        (["a", "b", "c"], ["P", "P", ""], "patient"),
        # patches of unknown slides count as one slide of their patient
        (["", "", "a"], ["P", "P", "Q"], "slide"),
        (["", "a", "b"], ["P", "P", "Q"], "patient"),
        ([], [], "slide"),
    ],
)
def test_the_patient_is_the_unit_where_one_has_several_slides(slides, patients, unit):
    assert unit_of(listed(slides, patients), "test") == unit


@pytest.mark.parametrize("change", [{"split": "train"}, {"status": "excluded: too dark"}])
def test_only_what_is_judged_decides_on_the_unit(change):
    table = pd.concat([listed(["a", "b"], ["P", "P"], **change), listed(["a", "c"], ["P", "Q"])])
    assert unit_of(table, "test") == "slide"


# --- several networks ------------------------------------------------------------------------------

#: Three networks; the third has no value of one patch, and none of slide c.
NETWORKS = pd.DataFrame(
    [
        {"network": network, "patch_id": patch, "slide_id": slide, "patient_id": patient, "value": value}
        for network, values in {"1": [1, 3, 5, 9], "2": [2, 4, 7, 12], "3": [3, np.nan, 9, np.nan]}.items()
        for (patch, slide, patient), value in zip(
            [("p", "a", "x"), ("q", "a", "x"), ("r", "b", "x"), ("s", "c", "y")], values, strict=True
        )
    ]
)


def test_a_patch_of_several_networks_is_one_patch_with_their_mean():
    found = independent_units(NETWORKS, "value", network="network")
    assert (found.n_networks, found.n_patches, found.n_slides, found.n_missing) == (3, 4, 3, 0)
    assert found.means.tolist() == [2.75, 7.0, 10.5]  # slide a: (2 + 3.5) / 2
    assert found.estimate == pytest.approx(np.mean([2.75, 7.0, 10.5]))
    cells = found.cells
    assert (cells.n_networks, cells.n_units, cells.n_patches, cells.complete) == (3, 3, 4, False)
    assert sorted(cells.counts.ravel().tolist()) == [0, 1, 1, 1, 1, 1, 1, 2, 2]
    known = cells.means[~np.isnan(cells.means)]
    assert sorted(known.tolist()) == [2, 3, 3, 5, 7, 9, 9, 12]


def test_patients_cells_are_means_of_their_slides():
    found = independent_units(NETWORKS, "value", network="network", patient="patient_id")
    assert found.means.tolist() == [(2.75 + 7) / 2, 10.5]
    assert (found.cells.n_networks, found.cells.n_units) == (3, 2)
    known = found.cells.means[~np.isnan(found.cells.means)]
    assert sorted(known.tolist()) == [3.5, 5, 6, 9, 12]


def test_one_network_has_no_cells_and_none_told_apart_has_none_counted():
    alone = NETWORKS[NETWORKS["network"] == "1"]
    found = independent_units(alone, "value", network="network")
    assert (found.n_networks, found.cells, found.means.tolist()) == (1, None, [2, 5, 9])
    assert independent_units(alone, "value").n_networks == 0


def test_networks_without_units_have_no_cells():
    for table in (NETWORKS.assign(slide_id=""), NETWORKS.assign(value=np.nan)):
        found = independent_units(table, "value", network="network")
        assert (found.n_networks, found.cells) == (3, None)
    assumed = independent_units(NETWORKS.assign(slide_id=""), "value", network="network", assume_independent=True)
    assert (assumed.unit, assumed.n, assumed.cells.n_units) == ("patch", 4, 4)


def test_networks_need_the_names_of_patches():
    with pytest.raises(StatisticsError, match="table: no column patch_id"):
        independent_units(NETWORKS.drop(columns="patch_id"), "value", network="network")
