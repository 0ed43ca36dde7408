"""Folds: every group is judged once, by networks that learned from none of its patches."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saliency_stats.classes import Classes
from saliency_stats.cohort.folds import Folding, assign_folds
from saliency_stats.cohort.patch import USED
from saliency_stats.cohort.splits import grouping, split_obstacles, strata
from saliency_stats.vocabulary import LABELS

FRACTIONS = {"train": 0.6, "valid": 0.2, "test": 0.2}


def table_of(groups, *, patients=True, **columns):
    """Two patches of a slide; ``groups`` has a letter per slide: Benign, Malignant or X for one of each."""
    labels = {"B": LABELS[:1] * 2, "M": LABELS[1:] * 2, "X": LABELS}
    n = 2 * len(groups)
    table = pd.DataFrame(
        {
            "patch_id": [f"p{row:03d}" for row in range(n)],
            "slide_id": [f"s{row // 2:02d}" for row in range(n)],
            "patient_id": [f"t{row // 2:02d}" if patients else "" for row in range(n)],
            "label": [label for group in groups for label in labels[group]],
            "split": "",
            "magnification": 20.0,
            "sha256": [f"{row:064x}" for row in range(n)],
            "status": USED,
        }
    )
    return table.assign(**columns)


def folding(folds, **changes):
    return Folding(**({"folds": folds, "fractions": FRACTIONS, "seed": 3} | changes))


KINDS = st.lists(st.sampled_from("BMX"), min_size=2, max_size=30)


@settings(max_examples=60, deadline=None)
@given(KINDS, st.integers(2, 8), st.integers(0, 50))
def test_folds_are_as_equal_as_can_be_in_each_stratum_and_hold_every_class_that_can_be_in_all(groups, folds, seed):
    table = table_of("".join(groups))
    fold, group = assign_folds(table, folds, seed), grouping(table)
    assert fold.groupby(group).nunique().eq(1).all()
    assert fold.between(1, folds).all()
    each = fold.groupby(group).first()
    for _, members in [(None, each), *each.groupby(strata(table, group))]:
        counts = members.value_counts().reindex(range(1, folds + 1), fill_value=0)
        assert counts.max() - counts.min() <= 1
    for label in LABELS:
        has = table["label"] == label
        if group[has].nunique() >= folds:
            assert set(fold[has]) == set(range(1, folds + 1))


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    table = table_of("BBBBXXXXMMMM")
    first = assign_folds(table, 3, 0)
    pd.testing.assert_series_equal(assign_folds(table.sample(frac=1, random_state=1), 3, 0).sort_index(), first)
    assert any((assign_folds(table, 3, seed) != first).any() for seed in (1, 2, 3))


def test_a_patients_slides_are_in_one_fold():
    table = table_of("XXXXXX", patient_id=["a"] * 6 + ["b"] * 6)
    assert assign_folds(table, 2, 0).groupby(table["patient_id"]).nunique().tolist() == [1, 1]
    slides = table.assign(patient_id="")
    assert assign_folds(slides, 6, 0).groupby(slides["slide_id"]).first().nunique() == 6


def test_usable_patches_are_judged_in_their_fold_and_others_have_none():
    table = table_of("XXXX", status=[USED] * 7 + ["excluded: torn"])
    found = folding(2).dealt(table)
    assert list(found.columns) == [*table.columns[:5], "fold", *table.columns[5:]]
    assert found["split"].tolist() == ["test"] * 7 + [""]
    assert found["fold"].notna().tolist() == [True] * 7 + [False]
    assert sorted(found["fold"].dropna().unique()) == [1, 2]
    # as a number without decimals, or nothing
    assert set(found.to_csv(columns=["fold"], index=False).split()) == {"fold", "1", "2", '""'}
    assert table["split"].eq("").all()


@pytest.mark.parametrize("folds", [0, 3])
def test_without_folds_or_with_splits_of_its_own_a_table_only_gets_an_empty_column(folds):
    table = table_of("XXXX", split="train" if folds else "")
    found = folding(folds).dealt(table)
    assert found["fold"].isna().all()
    pd.testing.assert_frame_equal(found.drop(columns="fold"), table)
    nothing = table_of("XX", status="excluded: torn")
    assert folding(3).dealt(nothing)["fold"].isna().all()


def test_in_its_fold_a_group_is_test_and_the_others_are_dealt_by_the_proportion_of_train_and_valid():
    table = folding(4).dealt(table_of("X" * 16))
    tables = folding(4).tables(table)
    assert list(tables) == [1, 2, 3, 4]
    for fold, part in tables.items():
        assert ((part["split"] == "test") == (table["fold"] == fold)).all()
        # of 12 groups outside a fold a quarter
        assert part["split"].value_counts().to_dict() == {"train": 18, "test": 8, "valid": 6}
        assert part.groupby("slide_id")["split"].nunique().eq(1).all()
        pd.testing.assert_frame_equal(part.drop(columns="split"), table.drop(columns="split"))
    valid = {fold: frozenset(part.index[part["split"] == "valid"]) for fold, part in tables.items()}
    again = folding(4).tables(table)
    assert valid == {fold: frozenset(part.index[part["split"] == "valid"]) for fold, part in again.items()}
    # each fold has a seed of its own
    twice = folding(4).tables(table.assign(fold=table["fold"].replace({2: 1})))
    assert set(twice[2]["split"]) == {"train", "valid"}
    without = folding(2, fractions={"train": 0.5, "valid": 0.0, "test": 0.5})
    assert set(without.tables(without.dealt(table_of("XXXX")))[1]["split"]) == {"train", "test"}


def test_without_folds_the_table_is_its_own():
    table = table_of("XX", split=["train", "train", "test", "test"])
    assert list(folding(0).tables(table)) == [0]
    assert folding(0).tables(table)[0] is table


# --- what is refused ---


def obstacles(table, folds=3, **changes):
    folds = folding(folds, **changes)
    return folds.obstacles(folds.dealt(table), "test")


def test_a_good_cohort_passes():
    assert obstacles(table_of("X" * 9)) == []
    assert obstacles(table_of("BBBMMMBBBMMMMMMBBB", patients=False)) == []


def test_without_folds_splits_are_looked_at():
    table = table_of("XX", split="train")
    assert folding(0).obstacles(table, "test") == split_obstacles(table, "test") != []


def test_of_one_class_alone_or_of_nothing_that_is_all_there_is_to_say():
    one = table_of("BBB")
    assert obstacles(one) == split_obstacles(one.assign(split="test"), "test")
    assert obstacles(one)[0].startswith("every one of the 6 usable patches is 'benign'")
    (found,) = obstacles(one.assign(status="excluded: torn"))
    assert found.startswith("none of the 6 patches can be used")


def test_all_that_is_wrong_is_told_at_once():
    table = table_of("BBXM", split=["train"] * 5 + ["test"] * 3)
    own, benign, malignant = obstacles(table, folds=5)
    assert own.startswith("cohort.folds is 5, which deals patients or slides out by itself, but the table names splits")
    assert "(train: 5 patches, test: 3 patches). Empty its column 'split', or set cohort.folds to 0" in own
    assert benign.startswith(
        "cohort.folds is 5, but only 3 groups (patients, else slides) hold usable 'benign' patches"
    )
    assert (
        "(patient t00, patient t01, patient t02); expected one in every fold. Set cohort.folds to at most 3," in benign
    )
    assert "only 2 groups" in malignant
    assert "Set cohort.folds to at most 2, or add some" in malignant


def test_a_class_of_one_group_can_have_no_folds():
    benign_enough = table_of("BBM")
    (found,) = obstacles(benign_enough, folds=2)
    assert "only 1 groups" in found
    assert found.endswith("Set cohort.folds to 0, or add some")
    assert obstacles(table_of("BBMM"), folds=2) == []


def test_each_fold_must_be_able_to_learn_and_judge_both_classes_at_each_magnification():
    table = table_of("XXX")
    coarse = table.assign(magnification=10.0, sha256=[f"{row:064x}" for row in range(100, 106)])
    coarse = coarse[(coarse["label"] == "benign") | (coarse["slide_id"] != "s01")]
    table = pd.concat([table, coarse], ignore_index=True)
    found = obstacles(table)
    dealt = folding(3).dealt(table)
    own = dealt.loc[dealt["slide_id"] == "s01", "fold"].iloc[0]
    (what,) = [text for text in found if text.startswith(f"fold {own} of 3: the test split at 10×")]
    assert "holds no usable 'malignant' patch (1 patches in that split, 5 in all)" in what
    assert "use fewer folds (cohort.folds)" in what


def test_copies_of_a_patch_in_two_folds_are_a_leak():
    table = table_of("XXX")
    table["sha256"] = np.where(table["patch_id"].isin(["p000", "p004"]), "same", table["sha256"])
    # a copy of one fold's patch in another fold is seen by networks that judge it
    folds = folding(3).dealt(table).set_index("patch_id").loc[["p000", "p004"], "fold"]
    found = obstacles(table)
    assert all("patches p000, p004: the same pixels in more than one split" in text for text in found)
    assert {f"fold {fold} of 3" for fold in folds} <= {text.split(": ")[0] for text in found}


def test_a_folding_does_not_change():
    with pytest.raises(FrozenInstanceError):
        folding(3).seed = 1


def test_classes_are_called_as_the_study_calls_them():
    classes = Classes.stated({"normal": ["x"], "tumor": ["y"]})
    named = replace(folding(2), classes=classes)
    (found,) = named.obstacles(named.dealt(table_of("BBM")), "test")
    assert "hold usable 'tumor' patches" in found
    (found,) = named.obstacles(named.dealt(table_of("BBB")), "test")
    assert "is 'normal', none is 'tumor'" in found


def test_nothing_learns_where_train_has_no_share():
    table = table_of("BM" * 4)
    judged = Folding(0, {"train": 0.0, "valid": 0.0, "test": 1.0}, 0)
    assert judged.obstacles(judged.dealt(table).assign(split="test"), "test") == []
    (found,) = Folding(0, {"train": 0.1, "valid": 0.0, "test": 0.9}, 0).obstacles(table.assign(split="test"), "test")
    assert found.startswith("the train split ")
