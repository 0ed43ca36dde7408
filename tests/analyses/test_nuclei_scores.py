"""Scores of nuclei and compartments by hand-made cases, and the scaling of truth."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

FOLDER = Path(__file__).parents[2] / "analyses" / "nuclei"


def load(name):
    spec = importlib.util.spec_from_file_location(f"analyses_nuclei_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


scores, sets = load("scores"), load("sets")

#: One nucleus of 5 x 2 pixels, found in two parts of 3 x 2 and 2 x 2.
WHOLE = np.zeros((6, 8), dtype=np.int32)
WHOLE[1:3, 1:6] = 1
SPLIT = WHOLE.copy()
SPLIT[1:3, 4:6] = 2
NOTHING = np.zeros_like(WHOLE)


def test_aji_of_identical_nuclei_is_1_whatever_their_numbers():
    assert scores.aji(SPLIT, SPLIT) == 1
    assert scores.aji(SPLIT, np.array([0, 900, 7])[SPLIT]) == 1


def test_aji_of_a_split_nucleus():
    # the larger part is taken: 6 of 10; the other 4 pixels join the union
    assert scores.aji(WHOLE, SPLIT) == pytest.approx(6 / (10 + 4))


def test_aji_of_merged_nuclei_takes_the_same_one_twice():
    # both true nuclei, of 6 and of 4 pixels, take the one found: (6 + 4) / (10 + 10)
    assert scores.aji(SPLIT, WHOLE) == pytest.approx(10 / 20)


def test_aji_of_a_missed_and_an_invented_nucleus():
    true, found = WHOLE.copy(), WHOLE.copy()
    true[5, :3] = 2
    found[4, 6:] = 2
    assert scores.aji(true, found) == pytest.approx(10 / (10 + 3 + 2))


def test_aji_where_there_is_nothing():
    assert scores.aji(WHOLE, NOTHING) == 0
    assert scores.aji(NOTHING, WHOLE) == 0
    assert np.isnan(scores.aji(NOTHING, NOTHING))


def slow_aji(true, found):
    """Kumar et al. (2017), algorithm 1, step by step."""
    inner, outer, used = 0, 0, set()
    for i in np.unique(true[true > 0]):
        nucleus = true == i
        iou = {j: np.sum(nucleus & (found == j)) / np.sum(nucleus | (found == j)) for j in np.unique(found[found > 0])}
        best = max(iou, key=iou.get, default=None)
        if best is None or not iou[best]:
            outer += nucleus.sum()
            continue
        inner, outer = inner + np.sum(nucleus & (found == best)), outer + np.sum(nucleus | (found == best))
        used.add(best)
    outer += sum(np.sum(found == j) for j in np.unique(found[found > 0]) if j not in used)
    return inner / outer if outer else np.nan


LABELS = arrays(np.int32, (6, 7), elements=st.integers(0, 5))


@settings(deadline=None)  # the first call compiles
@given(true=LABELS, found=LABELS)
def test_aji_equals_the_algorithm_written_out(true, found):
    assert scores.aji(true, found) == pytest.approx(slow_aji(true, found), nan_ok=True)


def test_nuclei_are_pooled_and_aji_is_the_mean_over_images():
    # two found, one as its larger part (IoU 0.6), one missed: at 0.5 TP 2 FP 1 FN 1, at 0.7 TP 1 FP 2 FN 2
    alone = np.zeros_like(WHOLE)
    alone[4:, :2], alone[4:, 5:] = 3, 4
    found = scores.instance_scores([WHOLE, alone], [SPLIT, np.where(alone == 3, 1, 0)])
    assert (found["n_true"], found["n_found"]) == (3, 3)
    assert found["f1@0.5"] == pytest.approx(4 / 6)
    assert found["precision@0.5"] == found["recall@0.5"] == pytest.approx(2 / 3)
    assert found["ap@0.5"] == pytest.approx(2 / 4)
    assert found["f1@0.7"] == pytest.approx(2 / 6)
    assert found["pq"] == pytest.approx((0.6 + 1) / 3)
    assert found["aji"] == pytest.approx((6 / 14 + 4 / 10) / 2)


def test_scores_without_nuclei_are_undefined_or_0():
    nothing = scores.instance_scores([NOTHING], [NOTHING])
    assert nothing["n_true"] == nothing["n_found"] == 0
    assert all(np.isnan(value) for name, value in nothing.items() if not name.startswith("n_"))
    invented = scores.instance_scores([NOTHING], [WHOLE])
    assert invented["n_found"] == 1
    assert all(value == 0 for name, value in invented.items() if name != "n_found")
    # an image without nuclei in which none were found says nothing, and is not counted as perfect
    assert scores.instance_scores([NOTHING, WHOLE], [NOTHING, SPLIT])["aji"] == pytest.approx(6 / 14)


def test_balanced_accuracy_and_dice():
    true = np.array([1, 1, 1, 1, 0, 0], dtype=bool)
    found = np.array([1, 1, 1, 0, 1, 0], dtype=bool)
    expected = {"balanced_accuracy": (3 / 4 + 1 / 2) / 2, "sensitivity": 3 / 4, "specificity": 1 / 2, "dice": 6 / 8}
    assert scores.binary_scores(true, found) == pytest.approx(expected)
    assert np.isnan(scores.binary_scores(~true & true, found)["balanced_accuracy"])


def test_compartments():
    true = np.array([[[0, 1], [1, 2]], [[3, 3], [3, 3]]])
    found = np.array([[[0, 1], [1, 1]], [[3, 3], [0, 3]]])
    got = scores.compartment_scores(true, found)
    assert got["accuracy"] == pytest.approx(6 / 8)
    assert got["worst_image"] == pytest.approx(3 / 4)
    assert got["dice_nucleus"] == pytest.approx(4 / 5)
    assert got["dice_cytoplasm"] == 0
    assert got["dice_stroma"] == pytest.approx(6 / 7)
    assert got["dice_background"] == pytest.approx(2 / 3)
    assert got["nuclear_area"] == pytest.approx(3 / 2)


@given(arrays(np.int32, (4, 6), elements=st.integers(0, 9)), st.integers(1, 4))
def test_majority_undoes_a_whole_enlargement(labels, factor):
    large = labels.repeat(factor, axis=0).repeat(factor, axis=1)
    assert np.array_equal(sets.majority(large, labels.shape), labels)


def test_majority_takes_the_larger_part():
    # pixels of 2.5: the first holds 2 of label 4 and half of label 9
    assert sets.majority(np.array([[4, 4, 9, 9, 9]]), (1, 2)).tolist() == [[4, 9]]


def test_coarser_pixels_keep_the_field_and_count_what_is_lost():
    labels = np.zeros((40, 60), dtype=np.int32)
    labels[4:12, 4:12] = 1
    labels[20, 20] = 2
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    image[:, ::2] = 200
    case = sets.Case("one", "one", image, 0.25, labels)
    coarse = sets.at_mpp(case, 0.5)
    assert coarse.mpp == 0.5
    assert coarse.image.shape == (20, 30, 3)
    assert np.all(coarse.image == 100)
    assert (np.unique(coarse.labels).tolist(), coarse.n_lost) == ([0, 1], 1)
    assert np.sum(coarse.labels == 1) == 16
    assert sets.at_mpp(case, 0.25) is case
    assert sets.at_mpp(case, 0.2) is case


def test_no_pixel_is_coarser_than_asked_for():
    image = np.zeros((320, 321, 3), dtype=np.uint8)
    coarse = sets.at_mpp(sets.Case("one", "one", image, 0.346), 0.5)
    assert coarse.image.shape == (222, 223, 3)
    assert 0.497 < coarse.mpp <= 0.5


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"dsb2018 holds no index\.csv"):
        sets.read_set(tmp_path, "dsb2018")


@pytest.fixture
def small_set(tmp_path):
    """One set of two drawn slides, as the folders of labelled nuclei are laid out."""
    folder = tmp_path / "data" / "scc-breast"
    rows = ["id,height,width,mpp,n,slide"]
    for slide, cases in enumerate(list(sets.phantoms(0.25, slides=3, patches_per_slide=2).values())[:2]):
        for kind, pixels in (("images", cases[0].image), ("labels", cases[0].labels.astype(np.uint16))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            sets.Image.fromarray(pixels).save(folder / kind / f"image_{slide}.png")
        rows.append(f"image_{slide},256,256,0.25,{cases[0].labels.max()},slide-{slide}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


def test_the_median_diameter_is_that_of_a_circle():
    labels = np.zeros((30, 30), dtype=np.int32)
    labels[:10, :10], labels[20, 20] = 5, 9
    assert sets.median_diameter_px(np.where(labels == 5, 5, 0)) == pytest.approx(2 * np.sqrt(100 / np.pi))
    assert sets.median_diameter_px(labels) == pytest.approx((np.sqrt(100) + 1) / np.sqrt(np.pi))
    assert np.isnan(sets.median_diameter_px(NOTHING))


def evaluate(folder, *more):
    script, repository = FOLDER / "evaluate.py", str(FOLDER.parents[1])
    command = [sys.executable, script, "--data", folder / "data", "--out", folder / "e.csv", *more]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": repository}
    )


def test_the_command_writes_a_row_per_scale_and_image(small_set):
    done = evaluate(small_set, "--nuclei", "classical", "--sets", "scc-breast", "--slides", "slide-1")
    assert done.returncode == 0, done.stderr
    table = sets.pd.read_csv(small_set / "e.csv")
    assert table["mpp"].tolist() == ["native", "0.5"]
    assert table["images"].tolist() == [1, 1]
    assert (table["f1@0.5"] > 0.8).all()
    assert sets.pd.read_csv(small_set / "e_images.csv")["image"].tolist() == ["image_1", "image_1"]


def test_the_command_names_the_slides_there_are(small_set):
    done = evaluate(small_set, "--sets", "scc-breast", "--slides", "slide-7")
    assert done.returncode == 1
    assert "its slides are slide-0, slide-1" in done.stderr


def test_the_command_refuses_a_route_that_is_not_there(small_set):
    done = evaluate(small_set, "--sets", "scc-breast", "--nuclei", "nonsense")
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (small_set / "e.csv").exists()
