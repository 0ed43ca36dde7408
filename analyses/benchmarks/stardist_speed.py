"""StarDist here against the reference on TensorFlow: patches per second, in one run, and the same instances.

    pip install tensorflow-cpu tf_keras
    TF_USE_LEGACY_KERAS=1 python analyses/benchmarks/stardist_speed.py

256 phantom patches of 256 px, the same weights in both, float32. The reference predicts patch by patch, as
its documentation shows; here patches go in batches of 32, as in a study. Both include suppression and drawing.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from stardist.geometry import polygons_to_label
from torch import nn

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import estimate_stains
from saliency_stats.compartments.finders import BUILTIN
from saliency_stats.compartments.stardist_files import StarDistModel, read_safetensors
from saliency_stats.compartments.stardist_nuclei import normalised
from saliency_stats.compartments.stardist_predict import find_polygons

_BATCH = 32


def main() -> None:
    """Measure both, twice in turn, and compare every label image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=256)
    parser.add_argument("--model", type=Path, default=BUILTIN, help="a .safetensors file; default: the built-in model")
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
    for _ in range(2):
        for name, run in runs.items():
            began = time.perf_counter()
            labels[name] = run()
            rates[name].append(len(patches) / (time.perf_counter() - began))
    best = {name: max(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name:<16} {', '.join(f'{value:.1f}' for value in values)} patches/s")
    print(f"ratio            {best['saliency-stats'] / best['reference']:.2f}")
    same = sum(np.array_equal(a, b) for a, b in zip(labels["reference"], labels["saliency-stats"], strict=True))
    print(f"same labels      {same} of {len(patches)} patches, {sum(int(a.max()) for a in labels['reference'])} nuclei")


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
            yield polygons_to_label(polygons.distances, polygons.points, patch.shape[:2], prob=polygons.probabilities)


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
