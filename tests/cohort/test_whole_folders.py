"""Folders of patches that cannot be used as a whole, and such that can in spite of some."""

import re

import numpy as np
from PIL import Image

from saliency_stats.cohort.folder import PatchFolder
from saliency_stats.cohort.inspection import inspect
from saliency_stats.cohort.patch import USED
from saliency_stats.cohort.splits import split_obstacles, with_splits

FRACTIONS = {"train": 0.5, "valid": 0.1, "test": 0.4}


def tissue(seed=0, size=32):
    """Pink noise: dense enough to be tissue, different for every seed."""
    noise = np.random.default_rng(seed).integers(-30, 30, (size, size, 3))
    return (np.array([200, 120, 180]) + noise).astype(np.uint8)


def looked_at(made):
    return with_splits(inspect(made, 0.05), FRACTIONS, 0)


def image_cohort(tmp_path, labels):
    lines = ["path,label,mpp"]
    for number, label in enumerate(labels):
        Image.fromarray(tissue(number)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{label},0.5")
    path = tmp_path / "patches.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return PatchFolder(path)


def test_one_class_only(tmp_path):
    table = looked_at(image_cohort(tmp_path, ["benign"] * 12))
    (found,) = split_obstacles(table, "test")
    assert "every one of the 12 usable patches is 'benign', none is 'malignant'" in found


def test_three_patches_in_all(tmp_path):
    table = looked_at(image_cohort(tmp_path, ["benign", "malignant", "malignant"]))
    for found in split_obstacles(table, "test"):
        assert re.match(
            r"the \w+ split at 20× holds no usable '\w+'( and no 'malignant')? patch .* 3 in all.*Add patches", found
        )
    assert found


def test_broken_patches_are_excluded_and_the_cohort_goes_on(tmp_path):
    made = image_cohort(tmp_path, ["benign", "malignant"] * 8)
    (tmp_path / "3.png").unlink()
    (tmp_path / "4.png").write_bytes(b"no image")
    table = looked_at(made)
    assert table.loc[3, "status"] == "excluded: the image file is missing"
    assert table.loc[4, "status"] == "excluded: not a readable image; expected PNG, JPEG or TIFF"
    assert (table["status"] == USED).sum() == 14
    assert (table.loc[[3, 4], "split"] == "").all()
    assert split_obstacles(table, "test") == []


def test_nothing_usable_is_left(tmp_path):
    made = image_cohort(tmp_path, ["benign", "malignant"])
    for path in tmp_path.glob("*.png"):
        path.unlink()
    (found,) = split_obstacles(looked_at(made), "test")
    assert found.startswith("none of the 2 patches can be used (2 × excluded: the image file is missing")
