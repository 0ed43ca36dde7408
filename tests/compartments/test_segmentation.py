from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage.measure import label

from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.compartments import (
    CompartmentParameters,
    concentrations,
    estimate_stains,
    from_codes,
    from_truth,
    nuclei_table,
    segment,
    to_codes,
)
from saliency_stats.errors import CompartmentError
from saliency_stats.vocabulary import COMPARTMENTS, LABELS

DATA = Path(__file__).parents[2].parent / "shared" / "data"
NUCLEUS, CYTOPLASM, STROMA, BACKGROUND = range(4)


def slide(signal, seed, size_px=128, mpp=0.5):
    """Two phantom patches of each label from one slide."""
    rng = np.random.default_rng([seed, ["cytoplasm", "nucleus", "stroma", "none"].index(signal)])
    phantom = Phantom(signal=signal, size_px=size_px, mpp=mpp)
    look = phantom.slide(rng)
    return [phantom.render(rng, name, look) for name in LABELS * 2]


def f1(truth, found):
    """Nuclei matched at an intersection over union above 0.5."""
    table = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(table, (truth.ravel(), found.ravel()), 1)
    both = table[1:, 1:]
    union = table[1:].sum(axis=1)[:, None] + table[:, 1:].sum(axis=0) - both
    return 2 * np.count_nonzero(both > 0.5 * union) / (truth.max() + found.max())


@pytest.mark.parametrize("signal", ["cytoplasm", "nucleus", "stroma", "none"])
def test_phantom_truth_is_found(signal):
    right, scores = [], []
    for seed in (5, 6):  # 5 has a very pale slide
        patches = slide(signal, seed)
        stains = estimate_stains([patch.image for patch in patches])
        for patch in patches:
            found = segment(patch.image, 0.5, stains=stains)
            right.append(np.mean(to_codes(found.memberships) == patch.truth))
            scores.append(f1(patch.instances, found.instances))
    assert np.mean(right) > 0.8
    assert np.mean(scores) > 0.85


def test_pale_collagen_is_tissue():
    # absorbs green only: 0.08 of optical density there, 0.03 on average
    image = np.full((64, 64, 3), 243, np.uint8)
    image[:, :40] = (236, 202, 238)
    stains = estimate_stains([image])
    # by the mask of the tissue; a network makes of even colours what it likes
    _, memberships = segment(image, 0.5, stains=stains, parameters=CompartmentParameters(cells="rule"))
    assert memberships[BACKGROUND][:, :38].max() == 0
    assert memberships[BACKGROUND][:, 42:].min() == 1


def test_coarse_images_are_segmented_finer_and_averaged_back():
    patches = slide("none", seed=1, size_px=64, mpp=1.0)
    stains = estimate_stains([patch.image for patch in patches])
    accuracy, scores = [], []
    for patch in patches:
        instances, memberships = segment(
            patch.image, 1.0, stains=stains, parameters=CompartmentParameters(cells="rule")
        )
        assert instances.shape == (64, 64)
        assert memberships.shape == (4, 64, 64)
        soft = (memberships > 0) & (memberships < 1)
        assert soft.any()
        np.testing.assert_array_equal(memberships % 0.25, 0)  # averages of 2 x 2 hard pixels
        assert (instances[memberships[NUCLEUS] == 1] > 0).all()
        accuracy.append(np.mean(to_codes(memberships) == patch.truth))
        scores.append(f1(patch.instances, instances))
    assert np.mean(accuracy) > 0.7
    assert np.mean(scores) > 0.6


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0, 1.5])
def test_memberships_sum_to_one(mpp):
    patch = slide("cytoplasm", seed=2)[1]
    instances, memberships = segment(patch.image[:96, :80], mpp)
    assert instances.dtype == np.int32
    assert memberships.dtype == np.float32
    assert instances.shape == memberships.shape[1:] == (96, 80)
    np.testing.assert_allclose(memberships.sum(axis=0, dtype=float), 1, atol=1e-6)
    assert sorted(np.unique(instances)) == list(range(len(np.unique(instances))))


def test_the_same_image_gives_the_same_bytes():
    image = slide("stroma", seed=3)[0].image
    first, second = segment(image, 0.5), segment(image.copy(), 0.5)
    np.testing.assert_array_equal(first.instances, second.instances)
    np.testing.assert_array_equal(first.memberships, second.memberships)


def noisy(colour, seed=0):
    noise = np.random.default_rng(seed).normal(0, 4, (64, 64, 3))
    return np.clip(np.asarray(colour) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize(
    ("image", "everywhere"),
    [
        (np.full((64, 64, 3), 255, np.uint8), BACKGROUND),
        (noisy((240, 238, 241)), BACKGROUND),
        (np.full((64, 64, 3), (225, 150, 190), np.uint8), STROMA),
        (noisy((225, 150, 190)), STROMA),
        (noisy((120, 80, 160)), STROMA),
        (np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), STROMA),
        (np.zeros((64, 64, 3), np.uint8), STROMA),
    ],
    ids=["white", "glass", "flat pink", "pink", "purple", "noise", "black"],
)
def test_nothing_is_found_where_there_is_nothing(image, everywhere, mpp):
    instances, memberships = segment(image, mpp)
    assert not instances.any()
    assert memberships[everywhere].mean() > 0.99


def test_given_instances_replace_the_nuclei():
    patch = slide("none", seed=4)[0]
    instances, memberships = segment(patch.image, 0.5, instances=patch.instances)
    np.testing.assert_array_equal(instances, patch.instances)
    np.testing.assert_array_equal(memberships[NUCLEUS] == 1, patch.instances > 0)
    coarse = segment(patch.image, 1.0, instances=patch.instances)
    np.testing.assert_array_equal(coarse.instances, patch.instances)
    with pytest.raises(CompartmentError, match="must agree"):
        segment(patch.image, 0.5, instances=patch.instances[:50])


def test_from_truth():
    patch = slide("none", seed=4)[0]
    instances, memberships = from_truth(patch.truth, patch.instances)
    np.testing.assert_array_equal(instances, patch.instances)
    np.testing.assert_array_equal(memberships, from_codes(patch.truth))
    with pytest.raises(CompartmentError, match="disagree"):
        from_truth(patch.truth, np.zeros_like(patch.instances))
    with pytest.raises(CompartmentError, match="one shape"):
        from_truth(patch.truth, patch.instances[:9])


def test_an_unknown_finder_is_refused_by_name():
    image = slide("none", 0)[0].image
    with pytest.raises(CompartmentError, match=r"clasical.*classical"):
        segment(image, 0.5, parameters=CompartmentParameters(nuclei="clasical"))


@pytest.mark.skipif(not DATA.exists(), reason="the real images of ../shared/data are not here")
@pytest.mark.parametrize(("folder", "mpp"), [("camelyon16-40x", 0.243), ("pcam-10x", 0.972)])
def test_real_lymph_nodes_hold_nuclei_of_a_plausible_size(folder, mpp):
    table = pd.read_csv(DATA / folder / "patches.csv").sort_values("path")
    tables = []
    for path in table["path"].iloc[np.linspace(0, len(table) - 1, 12).astype(int)]:
        image = np.asarray(Image.open(DATA / folder / path).convert("RGB"))
        stains = estimate_stains([image])
        found = segment(image, mpp, stains=stains)
        assert found.memberships.mean(axis=(1, 2))[COMPARTMENTS.index("nucleus")] < 0.8
        tables.append(nuclei_table(found, concentrations(image, stains), mpp))
    # small lymphocytes, shrunk by fixation, measure 4 µm across, tumour nuclei up to about 15
    assert 12 < pd.concat(tables)["area_um2"].median() < 80
    assert np.median([len(t) for t in tables]) > 15


@pytest.mark.skipif(not DATA.exists(), reason="the real images of ../shared/data are not here")
def test_real_nuclei_overlap_with_human_outlines():
    folder = DATA / "nuclei" / "monuseg-evaluation-only"
    index = pd.read_csv(folder / "index.csv")
    scores = []
    for row in index[index["organ"] == "breast"].itertuples():
        image = np.asarray(Image.open(next((folder / "images").glob(f"{row.id}*"))).convert("RGB"))[:400, :400]
        truth = np.asarray(Image.open(next((folder / "labels").glob(f"{row.id}*"))))[:400, :400].astype(int)
        _, numbers = np.unique(truth, return_inverse=True)
        found = segment(image, float(row.mpp)).instances
        scores.append(f1(numbers.reshape(truth.shape), found))
    assert np.mean(scores) > 0.5


def test_instances_are_connected():
    found = segment(slide("none", seed=7)[0].image, 0.5).instances
    for number in range(1, found.max() + 1):
        assert label(found == number, connectivity=2).max() == 1
