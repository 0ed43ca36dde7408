import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.cohort.patch import USED
from saliency_stats.cohort.splits import assign_splits, check_splits, grouping, with_splits
from saliency_stats.errors import CohortError
from saliency_stats.vocabulary import LABELS, SPLITS

FRACTIONS = {"train": 0.5, "valid": 0.1, "test": 0.4}
FEW = settings(max_examples=30, deadline=None)
IDS = ("patch_id", "slide_id", "patient_id")


def table_of(slides, patients=None, labels=None, splits=""):
    n = len(slides)
    return pd.DataFrame(
        {
            "patch_id": [f"p{row}" for row in range(n)],
            "slide_id": slides,
            "patient_id": patients or [""] * n,
            "label": labels or [LABELS[row % 2] for row in range(n)],
            "split": splits,
            "magnification": 20.0,
            "status": USED,
        }
    )


@st.composite
def tables(draw):
    """Any table: slides and patients named or not, even slides of two patients and patients named half the time."""
    n = draw(st.integers(1, 40))
    rows = st.lists(st.sampled_from(["", "", "A", "B", "C", "D"]), min_size=n, max_size=n)
    labels = draw(st.lists(st.sampled_from(LABELS), min_size=n, max_size=n))
    table = table_of(draw(rows), draw(rows), labels)
    if draw(st.booleans()):  # patches seen at two magnifications
        table["patch_id"] = [f"p{row // 2}" for row in range(n)]
    return table


@st.composite
def fractions(draw):
    parts = np.array([draw(st.integers(1, 10)), draw(st.integers(0, 10)), draw(st.integers(0, 10))])
    return dict(zip(SPLITS, parts / parts.sum(), strict=True))


# --- properties -------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(tables(), fractions(), st.integers(0, 2**32 - 1))
def test_no_slide_patient_or_patch_is_ever_split(table, shares, seed):
    split = assign_splits(table, shares, seed)
    assert split.isin(SPLITS).all()
    for name in IDS:
        known = table[name] != ""
        assert split[known].groupby(table.loc[known, name]).nunique().le(1).all()


@FEW
@given(tables(), st.integers(0, 2**32 - 1), st.randoms())
def test_the_order_of_the_rows_does_not_matter(table, seed, random):
    shuffled = table.iloc[random.sample(range(len(table)), len(table))]
    pd.testing.assert_series_equal(
        assign_splits(shuffled, FRACTIONS, seed).sort_index(), assign_splits(table, FRACTIONS, seed)
    )
    pd.testing.assert_series_equal(grouping(shuffled).sort_index(), grouping(table))


@FEW
@given(tables(), st.integers(0, 2**32 - 1))
def test_more_patches_of_the_same_groups_change_nothing(table, seed):
    table = table.assign(slide_id="slide " + table["slide_id"])
    doubled = pd.concat([table, table.assign(patch_id=table["patch_id"] + "b")], ignore_index=True)
    both = assign_splits(doubled, FRACTIONS, seed)
    split = assign_splits(table, FRACTIONS, seed)
    np.testing.assert_array_equal(both, np.tile(split, 2))


@FEW
@given(st.integers(1, 60), st.integers(0, 60), st.integers(0, 60), fractions(), st.integers(0, 2**32 - 1))
def test_each_split_gets_its_fraction_of_each_kind_of_slide(mixed, benign, malignant, shares, seed):
    kinds = {"mixed": (mixed, LABELS), "benign": (benign, LABELS[:1]), "malignant": (malignant, LABELS[1:])}
    rows = [(f"{kind}-{i}", label) for kind, (n, labels) in kinds.items() for i in range(n) for label in labels]
    table = table_of([slide for slide, _ in rows], labels=[label for _, label in rows])
    split = assign_splits(table, shares, seed)
    slides = split.groupby(table["slide_id"]).first()
    for kind, (n, _) in kinds.items():
        counts = slides[slides.index.str.startswith(kind)].value_counts().reindex(list(SPLITS), fill_value=0)
        # every border between two splits is rounded to the nearest slide, so no split is off by more than one
        borders = np.cumsum(counts.to_numpy()) - np.cumsum([shares[name] for name in SPLITS]) * n
        assert np.abs(borders).max() <= 0.5 + 1e-9


def test_the_seed_decides_and_decides_alone():
    table = table_of([f"s{row // 2}" for row in range(80)])
    first = assign_splits(table, FRACTIONS, 1)
    pd.testing.assert_series_equal(first, assign_splits(table, FRACTIONS, 1))
    assert not first.equals(assign_splits(table, FRACTIONS, 2))


def test_every_slide_can_land_in_every_split():
    table = table_of([f"s{row // 2}" for row in range(20)])
    landed = pd.concat([assign_splits(table, FRACTIONS, seed) for seed in range(60)], axis=1)
    assert landed.nunique(axis=1).eq(3).all()


# --- groups -----------------------------------------------------------------------------------------


def test_a_group_is_the_patient_else_the_slide_else_the_patch():
    table = table_of(["S", "S", "T", "U", ""], ["P", "P", "P", "", ""])
    assert grouping(table).tolist() == ["patient P", "patient P", "patient P", "slide U", "patch p4"]


def test_a_slide_whose_patient_is_named_on_another_line_belongs_to_that_patient():
    table = table_of(["S", "S", "T", "T"], ["P", "", "", "P"])
    assert set(grouping(table)) == {"patient P"}


def test_a_slide_and_a_patient_of_one_name_are_two_groups():
    assert grouping(table_of(["A", ""], ["", "A"])).nunique() == 2


def test_missing_ids_are_unknown_not_one_group():
    table = table_of(["", ""]).assign(slide_id=[None, float("nan")])
    assert grouping(table).tolist() == ["patch p0", "patch p1"]


# --- splits that are given --------------------------------------------------------------------------


def test_given_splits_stay_as_they_are():
    table = table_of(["S", "T"], splits=["test", "train"])
    pd.testing.assert_frame_equal(with_splits(table, FRACTIONS, 0), table)


def test_excluded_patches_get_no_split_and_do_not_count():
    table = table_of([f"s{row // 2}" for row in range(40)])
    broken = table["slide_id"].isin(["s3", "s7"])
    table.loc[broken, "status"] = "excluded: broken"
    split = with_splits(table, FRACTIONS, 0)["split"]
    assert (split[broken] == "").all()
    pd.testing.assert_series_equal(split[~broken], assign_splits(table[~broken], FRACTIONS, 0), check_names=False)


def test_nothing_usable_is_left_alone():
    table = table_of(["S"]).assign(status="excluded: broken")
    pd.testing.assert_frame_equal(with_splits(table, FRACTIONS, 0), table)


# --- what is refused --------------------------------------------------------------------------------


def good():
    return table_of(["S", "S", "T", "T"], splits=["train", "train", "test", "test"])


def refused(table, *words, split="test"):
    with pytest.raises(CohortError) as caught:
        check_splits(table, split)
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in {caught.value!s}"


def test_a_good_cohort_passes():
    check_splits(good(), "test")
    check_splits(good().assign(split=["train", "train", "valid", "valid"]), "valid")


def test_no_usable_patch():
    refused(
        good().assign(status=["excluded: a", "excluded: b", "excluded: b", "excluded: c"]),
        "none of the 4 patches can be used (2 × excluded: b",
        "patches.csv",
    )


@pytest.mark.parametrize("label", LABELS)
def test_one_class(label):
    refused(good().assign(label=label), f"every one of the 4 usable patches is {label!r}", "Add patches")


def test_a_class_that_is_only_among_the_excluded():
    table = good()
    table.loc[table["label"] == "benign", "status"] = "excluded: broken"
    refused(table, "every one of the 2 usable patches is 'malignant', none is 'benign'")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_missing_from_a_split(split):
    table = good()
    table.loc[(table["split"] == split) & (table["label"] == "benign"), "label"] = "malignant"
    refused(table, f"the {split} split at 20× holds no usable 'benign' patch (2 patches in that split, 4 in all)")


def test_the_judged_split_is_the_one_that_is_checked():
    refused(good(), "the valid split at 20× holds no usable 'benign' patch (0 patches", split="valid")


def test_each_magnification_needs_its_own_patches():
    table = pd.concat([good(), good().assign(magnification=10.0).iloc[:2]], ignore_index=True)
    refused(table, "the test split at 10× holds no usable 'benign' patch")


def test_a_slide_in_two_splits():
    table = good().assign(slide_id=["S", "S", "T", "S"])
    refused(table, "slide S has patches in more than one split (test, train)", "1 such group(s)", "the same split")


def test_a_patient_in_two_splits():
    refused(good().assign(patient_id="P"), "patient P has patches in more than one split (test, train)")


def test_a_slide_in_two_splits_whose_patient_is_named_once():
    table = good().assign(slide_id="S", patient_id=["P", "P", "", ""])
    refused(table, "patient P has patches in more than one split")


def test_patches_without_slide_may_be_in_any_split():
    check_splits(good().assign(slide_id=""), "test")
