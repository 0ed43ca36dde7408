"""StarDist here against the reference on TensorFlow: patches per second, in one run, and the same instances.

    pip install tensorflow-cpu tf_keras
    TF_USE_LEGACY_KERAS=1 python analyses/benchmarks/stardist_speed.py

256 phantom patches of 256 px, the same weights in both, float32. The reference predicts patch by patch, as
its documentation shows; here patches go in batches of 32, as in a study. Both include suppression and drawing.
``--labels-only`` compares without timing.

Label images may differ where the two networks round differently: both number nuclei by their probability, and the
sums of float32 in another order change its last digits. That this alone is the cause is computed, not assumed: what
the reference's network gives, put through this package's suppression, must give the reference's label images. How
much such rounding matters to the reference itself is told by its own label images after its probabilities have been
changed at random by no more than the two networks differ.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
from stardist.geometry import polygons_to_label
from torch import nn

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import estimate_stains
from saliency_stats.compartments.finders import BUILTIN
from saliency_stats.compartments.stardist import predict as stardist_predict
from saliency_stats.compartments.stardist.files import StarDistModel, read_safetensors
from saliency_stats.compartments.stardist.nuclei import normalised
from saliency_stats.compartments.stardist.predict import Polygons, _Dense, find_polygons, predict

_BATCH = 32


def main() -> None:
    """Measure both, twice in turn, compare every label image, and find out why any differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=256)
    parser.add_argument("--model", type=Path, default=BUILTIN, help="a .safetensors file; default: the built-in model")
    parser.add_argument("--labels-only", action="store_true", help="do not measure the time")
    arguments = parser.parse_args()
    patches, model = images(arguments.patches), read_safetensors(arguments.model)
    reference = reference_of(model)
    runs: dict[str, Callable[[], list[npt.NDArray[Any]]]] = {
        "reference": lambda: [reference.predict_instances(patch, show_tile_progress=False)[0] for patch in patches],
        "saliency-stats": lambda: list(found_here(model, patches)),
    }
    # what is compiled or allocated at the first call is not measured
    reference.predict_instances(patches[0], show_tile_progress=False)
    list(found_here(model, patches[:_BATCH]))
    rates: dict[str, list[float]] = {name: [] for name in runs}
    labels: dict[str, list[npt.NDArray[Any]]] = {}
    for _ in range(1 if arguments.labels_only else 2):
        for name, run in runs.items():
            began = time.perf_counter()
            labels[name] = run()
            rates[name].append(len(patches) / (time.perf_counter() - began))
    if not arguments.labels_only:
        best = {name: max(values) for name, values in rates.items()}
        for name, values in rates.items():
            print(f"{name:<16} {', '.join(f'{value:.1f}' for value in values)} patches/s")
        print(f"ratio            {best['saliency-stats'] / best['reference']:.2f}")
    theirs, ours = labels["reference"], labels["saliency-stats"]
    nuclei = sum(int(image.max()) for image in theirs)
    print(f"same labels      {same(theirs, ours)} of {len(patches)} patches, {nuclei} nuclei")
    explain(model, reference, patches, theirs, ours)


def explain(
    model: StarDistModel,
    reference: Any,
    patches: list[npt.NDArray[np.float32]],
    theirs: list[npt.NDArray[Any]],
    ours: list[npt.NDArray[Any]],
) -> None:
    """Say how far the networks differ, whether anything else does, and what is near in each patch that differs."""
    dense = [_Dense(*reference.predict(patch, show_tile_progress=False)) for patch in patches]
    here = [predict(model, patch) for patch in patches]
    apart = max(float(np.abs(a.prob - b.prob).max()) for a, b in zip(dense, here, strict=True))
    distance = max(float(np.abs(a.dist - b.dist).max()) for a, b in zip(dense, here, strict=True))
    print(f"networks differ  by up to {apart:.1e} in probability, {distance:.1e} px in distance")
    found = [polygons_of(model, one, patch) for one, patch in zip(dense, patches, strict=True)]
    again = same(theirs, [drawn(polygons, patch) for polygons, patch in zip(found, patches, strict=True)])
    print(f"same labels      {again} of {len(patches)} with the reference's network and the suppression here")
    rng = np.random.default_rng(0)
    changed = [
        one._replace(prob=(one.prob + rng.uniform(-apart, apart, one.prob.shape)).astype(np.float32)) for one in dense
    ]
    others = [drawn(polygons_of(model, one, patch), patch) for one, patch in zip(changed, patches, strict=True)]
    print(f"same labels      {same(theirs, others)} of {len(patches)} after changes of the reference by {apart:.1e}")
    for number, (a, b) in enumerate(zip(theirs, ours, strict=True)):
        if not np.array_equal(a, b):
            mine = find_polygons(model, [patches[number]])[0]
            print(f"patch {number:<10} {difference(a, b, found[number], mine, model, dense[number])}")


def difference(
    a: npt.NDArray[Any], b: npt.NDArray[Any], theirs: Polygons, ours: Polygons, model: StarDistModel, dense: _Dense
) -> str:
    """Describe two label images that differ, and the probabilities (the reference's) that are near each other."""
    differ = a != b
    in_a, in_b = (np.setdiff1d(image[differ], 0) for image in (a, b))
    size = f"{np.count_nonzero(differ)} pixels of {len(in_a)} nuclei"
    pairs = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1)
    if pairs.shape[1] == len(np.unique(a)) == len(np.unique(b)):
        # the label is the place in the order of the probabilities
        near = [nearest(polygons.probabilities[ids - 1]) for polygons, ids in ((theirs, in_a), (ours, in_b))]
        return f"{size}: the same masks in another order, probabilities {near[0]:.1e} apart there, {near[1]:.1e} here"
    grid = model.network.config.grid
    around = (np.isin(a, in_a) | np.isin(b, in_b))[:: grid[0], :: grid[1]]
    prob = dense.prob[around]
    to_threshold = np.abs(prob - model.prob_threshold).min()
    return (
        f"{size}: OTHER MASKS, there a probability {to_threshold:.1e} from the threshold and two "
        f"candidates {nearest(prob[prob > model.prob_threshold]):.1e} apart"
    )


def nearest(values: npt.NDArray[np.float32]) -> float:
    """Smallest difference of two of the values; infinite for fewer than two."""
    return float(np.diff(np.sort(values)).min(initial=np.inf))


def same(first: list[npt.NDArray[Any]], second: list[npt.NDArray[Any]]) -> int:
    """Count the pairs of equal label images."""
    return sum(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def polygons_of(model: StarDistModel, dense: _Dense, patch: npt.NDArray[np.float32]) -> Polygons:
    """Polygons that this package finds where a network gives ``dense``."""
    given = _Dense(dense.prob[None], dense.dist[None])
    with mock.patch.object(stardist_predict, "_forward", return_value=given) as network:
        polygons = find_polygons(model, [patch])[0]
    network.assert_called_once()
    return polygons


def images(n: int) -> list[npt.NDArray[np.float32]]:
    """Normalised phantom patches of 256 px."""
    made = []
    for number in range(n):
        drawn = Phantom(size_px=256, mpp=0.5).render(np.random.default_rng(number), "benign").image
        made.append(normalised(drawn, estimate_stains([drawn]).levels))
    return made


def found_here(model: StarDistModel, patches: list[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[Any]]:
    """Label images of this package."""
    for start in range(0, len(patches), _BATCH):
        batch = patches[start : start + _BATCH]
        for patch, polygons in zip(batch, find_polygons(model, batch), strict=True):
            yield drawn(polygons, patch)


def drawn(polygons: Polygons, patch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Label image of the polygons, numbered by their place, as the reference numbers them."""
    image: npt.NDArray[Any] = polygons_to_label(
        polygons.distances, polygons.points, patch.shape[:2], prob=polygons.probabilities
    )
    return image


def reference_of(model: StarDistModel) -> Any:
    """Give the reference's model of the same configuration the same weights."""
    from stardist.models import Config2D, StarDist2D  # noqa: PLC0415 - needs TensorFlow, which only this script does

    config = model.network.config
    reference = StarDist2D(
        Config2D(grid=config.grid, n_channel_in=config.n_channel_in, n_rays=config.n_rays),
        name="reference",
        basedir=tempfile.mkdtemp(),
    )
    reference.thresholds = {"prob": model.prob_threshold, "nms": model.nms_threshold}
    # both list their convolutions in order of execution
    ours = [module for module in model.network.modules() if isinstance(module, nn.Conv2d)]
    theirs = [layer for layer in reference.keras_model.layers if layer.get_weights()]
    for conv, layer in zip(ours, theirs, strict=True):
        assert conv.bias is not None
        layer.set_weights([conv.weight.detach().numpy().transpose(2, 3, 1, 0), conv.bias.detach().numpy()])
    return reference


if __name__ == "__main__":
    main()
