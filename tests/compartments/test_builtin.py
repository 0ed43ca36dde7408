"""The model in the box: what it must find, what it must not, and that it travels with the package."""

import numpy as np
import pytest
from safetensors import safe_open
from stardist.matching import matching

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import CompartmentParameters, segment
from saliency_stats.compartments.finders import BUILTIN

SIDE = 128
MPP = 0.5


def blank(kind):
    rng = np.random.default_rng(3)
    if kind == "glass":
        return np.full((SIDE, SIDE, 3), 243, np.uint8)
    if kind == "pink":
        pink = np.array([226, 150, 190]) + rng.normal(0, 3, (SIDE, SIDE, 3))
        return np.clip(pink, 0, 255).astype(np.uint8)
    return rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def test_it_fits_the_box_and_has_its_card():
    assert BUILTIN.stat().st_size <= 8 * 1024**2
    with safe_open(BUILTIN, "np") as file:
        assert "stardist" in file.metadata()
    card = (BUILTIN.parent / "README.md").read_text(encoding="utf-8")
    for part in ("licence", "train.py", "evaluate.py", "F1"):
        assert part in card


def test_it_is_the_default():
    assert CompartmentParameters().nuclei == "builtin"


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["glass", "pink", "noise"])
def test_nothing_is_found_where_there_is_nothing(kind, mpp):
    assert segment(blank(kind), mpp).instances.max() == 0


@pytest.mark.parametrize("mpp", [0.3, 0.5])
def test_the_nuclei_of_phantoms_are_found(mpp):
    # of other slides than those of the training: its generator was given two numbers, this one three
    rng = np.random.default_rng([9, 9, 9])
    scores = []
    for _ in range(4):
        drawn = Phantom(signal="none", size_px=192, mpp=mpp).render(rng, "malignant")
        scores.append(matching(drawn.instances, segment(drawn.image, mpp).instances, thresh=0.5).f1)
    assert np.mean(scores) > 0.85


def test_nuclei_that_the_border_cuts_are_found():
    # without the mirror image around the patch a third of these are missed
    hits = total = 0
    rng = np.random.default_rng([9, 9, 10])
    for _ in range(6):
        drawn = Phantom(signal="none", size_px=128, mpp=MPP).render(rng, "benign")
        rim = np.concatenate([drawn.instances[[0, -1]].ravel(), drawn.instances[:, [0, -1]].ravel()])
        found = segment(drawn.image, MPP).instances
        matched = matching(drawn.instances, found, thresh=0.5, report_matches=True)
        pairs = zip(matched.matched_pairs, matched.matched_scores, strict=True)
        good = {true for (true, _), score in pairs if score >= 0.5}
        whole = [number for number in np.unique(rim[rim > 0]) if (drawn.instances == number).sum() > 24]
        total += len(whole)
        hits += len(good & set(whole))
    assert hits / total > 0.8
