"""How well nuclei and compartments agree with a known truth (NumPy and stardist.matching; no files)."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from skimage.segmentation import relabel_sequential
from stardist.matching import label_overlap, matching_dataset

from saliency_stats.vocabulary import COMPARTMENT_CODES

Instances = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]

#: Thresholds on the intersection over union at which a nucleus counts as found.
IOU: Final = (0.5, 0.7)


def aji(true: Instances, found: Instances) -> float:
    """Give the aggregated Jaccard index of one image.

    Kumar et al. (2017), "A dataset and a technique for generalized nuclear segmentation for computational
    pathology", IEEE TMI 36:1550, algorithm 1: every true nucleus takes the found one of the largest intersection
    over union (two may take the same); intersections and unions are summed; found nuclei that nobody took are
    added to the unions. A true nucleus that nothing overlaps adds its own area.

    Parameters
    ----------
    true, found
        (H, W) instances, 0 outside nuclei.

    Returns
    -------
    float
        In [0, 1]; NaN where neither holds a nucleus.
    """
    numbered = [relabel_sequential(labels)[0] for labels in (true, found)]
    overlap = label_overlap(*numbered, check=False).astype(float)
    area_true, area_found, both = overlap.sum(axis=1)[1:], overlap.sum(axis=0)[1:], overlap[1:, 1:]
    if not both.size:
        return 0.0 if len(area_true) + len(area_found) else float("nan")
    union = area_true[:, None] + area_found - both
    rows, best = np.arange(len(area_true)), np.argmax(both / union, axis=1)
    intersection = both[rows, best]
    touched = intersection > 0
    unused = np.ones(len(area_found), dtype=bool)
    unused[best[touched]] = False
    unions = np.where(touched, union[rows, best], area_true)
    return float(intersection.sum() / (unions.sum() + area_found[unused].sum()))


def instance_scores(true: Sequence[Instances], found: Sequence[Instances]) -> dict[str, float]:
    """Scores of the nuclei of one or several images.

    Parameters
    ----------
    true, found
        One (H, W) array of instances per image.

    Returns
    -------
    dict
        n_true, n_found; at each intersection over union of ``IOU`` the F1, precision, recall and AP, the average
        precision of the Data Science Bowl 2018 at one threshold, TP / (TP + FP + FN) (StarDist's "accuracy"); ``pq``,
        the panoptic quality of Kirillov et al. (2019), at 0.5. Nuclei are pooled over the images. ``aji`` is the mean
        over the images that hold a nucleus, true or found, as MoNuSeg ranks. All but the numbers are NaN where there
        is nothing to find and nothing was found.
    """
    pooled = dict(zip(IOU, matching_dataset(true, found, thresh=IOU, show_progress=False), strict=True))
    first = pooled[IOU[0]]
    scores: dict[str, float] = {"n_true": int(first.n_true), "n_found": int(first.n_pred)}
    for iou, match in pooled.items():
        at = f"{iou:g}"
        scores |= {
            f"f1@{at}": float(match.f1),
            f"precision@{at}": float(match.precision),
            f"recall@{at}": float(match.recall),
            f"ap@{at}": float(match.accuracy),
        }
    scores["pq"] = float(first.panoptic_quality)
    if not scores["n_true"] + scores["n_found"]:
        return {name: value if name.startswith("n_") else float("nan") for name, value in scores.items()} | {
            "aji": float("nan")
        }
    each = [aji(one, other) for one, other in zip(true, found, strict=True)]
    return scores | {"aji": float(np.nanmean(each))}


def binary_scores(true: BoolArray, found: BoolArray) -> dict[str, float]:
    """Agreement of two masks.

    Parameters
    ----------
    true, found
        Masks of one shape.

    Returns
    -------
    dict
        sensitivity, specificity, their mean ``balanced_accuracy``, and ``dice`` (2 TP / (2 TP + FP + FN)); NaN where
        a denominator is 0.
    """
    hit, miss = int(np.sum(true & found)), int(np.sum(true & ~found))
    alarm, rest = int(np.sum(~true & found)), int(np.sum(~true & ~found))
    sensitivity, specificity = _ratio(hit, hit + miss), _ratio(rest, rest + alarm)
    return {
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "dice": _ratio(2 * hit, 2 * hit + alarm + miss),
    }


def compartment_scores(true: npt.ArrayLike, found: npt.ArrayLike) -> dict[str, float]:
    """Agreement of compartment maps, pixels pooled over the images.

    Parameters
    ----------
    true, found
        One (H, W) map per image, values of ``COMPARTMENT_CODES``; all images of one size.

    Returns
    -------
    dict
        ``accuracy`` and ``worst_image`` (share of pixels of the right compartment, over all images and in the worst),
        ``dice_NAME`` of every compartment, ``nuclear_area`` (found over true).
    """
    truth, guess = np.asarray(true), np.asarray(found)
    right = (truth == guess).mean(axis=(1, 2))
    scores = {"accuracy": float(right.mean()), "worst_image": float(right.min())}
    for name, code in COMPARTMENT_CODES.items():
        scores[f"dice_{name}"] = binary_scores(truth == code, guess == code)["dice"]
    nucleus = COMPARTMENT_CODES["nucleus"]
    scores["nuclear_area"] = _ratio(int(np.sum(guess == nucleus)), int(np.sum(truth == nucleus)))
    return scores


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
