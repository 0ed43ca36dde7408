import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.classes import Classes
from saliency_stats.cohort.patch import USED
from saliency_stats.cohort.splits import assign_splits, grouping, split_obstacles, with_splits
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
            "sha256": [f"{row:064x}" for row in range(n)],
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
    (found,) = split_obstacles(table, split)
    for word in words:
        assert word in found, f"{word!r} is not in {found}"


def test_a_good_cohort_passes():
    assert split_obstacles(good(), "test") == []
    assert split_obstacles(good().assign(split=["train", "train", "valid", "valid"]), "valid") == []


def test_no_usable_patch():
    refused(
        good().assign(status=["excluded: a", "excluded: b", "excluded: b", "excluded: c"]),
        "none of the 4 patches can be used (2 × excluded: b; 1 × excluded: a; 1 × excluded: c)",
    )


def test_every_reason_is_told_up_to_ten():
    table = pd.concat([good()] * 3, ignore_index=True).assign(status=[f"excluded: {n:02d}" for n in range(12)])
    (found,) = split_obstacles(table, "test")
    assert "1 × excluded: 09; and 2 other reasons)" in found
    (found,) = split_obstacles(table.iloc[:10], "test")
    assert found.endswith("1 × excluded: 09)")


def test_an_empty_cohort_has_nothing_to_be_trained_on():
    assert split_obstacles(good().iloc[:0], "test") == ["the cohort holds no patch; expected patches of both classes"]


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
    refused(good(), "the valid split at 20× holds no usable 'benign' and no 'malignant' patch (0 pa", split="valid")


def test_each_magnification_needs_its_own_patches():
    table = pd.concat([good(), good().assign(magnification=10.0).iloc[:2]], ignore_index=True)
    # all that is wrong, the coarser magnification first, whose train split holds both classes
    (found,) = split_obstacles(table, "test")
    assert found.startswith("the test split at 10× holds no usable 'benign' and no 'malignant' patch (0 patches in")


def test_all_that_is_wrong_is_told_at_once():
    table = good().assign(split="train", slide_id=["S", "S", "T", "U"])
    table.loc[table.index[0], "split"] = "valid"
    found = split_obstacles(table, "test")
    assert [text.split(" holds")[0].split(":")[0] for text in found] == ["the test split at 20×", "slide S"]
    table["label"] = table["label"].where(table["split"] == "valid", "malignant")
    found = split_obstacles(table, "test")
    assert [text.split(" holds")[0] for text in found[:2]] == ["the train split at 20×", "the test split at 20×"]
    one_class = table.assign(label="benign")
    assert [text.split(" ")[0] for text in split_obstacles(one_class, "test")] == ["every", "slide"]


def test_of_many_groups_in_two_splits_ten_are_named():
    names = [f"{n:02d}" for n in range(12) for _ in range(4)]
    table = pd.concat([good()] * 12, ignore_index=True).assign(slide_id=names)
    table = table.assign(patch_id=[f"p{row}" for row in table.index], sha256=[f"{row:064x}" for row in table.index])
    (found,) = split_obstacles(table, "test")
    assert "slide 08, slide 09 and 2 more: patches in more than one split (test, train)" in found
    (found,) = split_obstacles(table[table["slide_id"] < "10"], "test")
    assert "slide 08, slide 09: patches" in found


def test_a_slide_in_two_splits():
    table = good().assign(slide_id=["S", "S", "T", "S"])
    refused(table, "slide S: patches in more than one split (test, train)", "the same split")


def test_a_patient_in_two_splits():
    refused(good().assign(patient_id="P"), "patient P: patches in more than one split (test, train)")


def test_a_slide_in_two_splits_whose_patient_is_named_once():
    table = good().assign(slide_id="S", patient_id=["P", "P", "", ""])
    refused(table, "patient P: patches in more than one split")


def test_patches_without_slide_may_be_in_any_split():
    assert split_obstacles(good().assign(slide_id=""), "test") == []


def test_the_same_pixels_in_two_splits():
    table = good().assign(sha256=["a", "b", "a", "c"])
    refused(table, "patches p0, p2: the same pixels in more than one split (test, train)", "Leave all but one")
    assert (
        split_obstacles(table.assign(split=["train", "train", "train", "test"], slide_id=list("STUV")), "train") == []
    )
    # networks of another magnification did not see it
    other = pd.concat([good(), good().assign(magnification=10.0, split=["test", "test", "train", "train"])])
    other = other.assign(patch_id=[f"p{row}" for row in range(8)], slide_id="")
    assert split_obstacles(other.reset_index(drop=True), "test") == []


def test_what_helps_where_a_class_is_missing_depends_on_who_gives_the_splits():
    table = good().assign(label=["benign", "benign", "benign", "malignant"])
    (found,) = split_obstacles(table, "test")
    assert found.endswith(
        "Add patches (or slides), name the splits in the table's column 'split', or change cohort.fractions"
    )
    (found,) = split_obstacles(table, "test", "pray")
    assert found.endswith("Add patches (or slides), pray, or change cohort.fractions")


def test_classes_are_called_as_the_study_calls_them():
    classes = Classes.stated({"normal": ["x"], "tumor": ["y"]})
    (found,) = split_obstacles(good().assign(label="malignant"), "test", classes=classes)
    assert "usable patches is 'tumor', none is 'normal'; both classes are needed" in found
    found = split_obstacles(good().assign(split="train"), "test", classes=classes)[0]
    assert "holds no usable 'normal' and no 'tumor' patch" in found


def test_where_nothing_learns_no_patch_is_needed_to_train_on():
    table = good().assign(split="test")
    assert split_obstacles(table, "test", learned=False) == []
    (found,) = split_obstacles(table, "test")
    assert found.startswith("the train split ")
