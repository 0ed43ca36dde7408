"""Fixtures shared by several rooms."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest

from saliency_stats.cohort.patch import Patch


class ArrayCohort:
    """Patches held in memory, alternately benign and malignant, the malignant ones darker."""

    kind = "patches"

    def __init__(self, shapes: list[tuple[int, int]], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        n = len(shapes)
        self.digests: dict[str, str] = {}
        self.table = pd.DataFrame(
            {
                "patch_id": [f"p{index}" for index in range(n)],
                "slide_id": [f"s{index // 4}" for index in range(n)],
                "patient_id": "",
                "label": ["benign", "malignant"] * (n // 2) + ["benign"] * (n % 2),
                "split": "train",
                "magnification": 20.0,
                "mpp": 0.5,
                "x_um": np.nan,
                "y_um": np.nan,
                "source": "memory",
                "status": "used",
                "height_px": [shape[0] for shape in shapes],
                "width_px": [shape[1] for shape in shapes],
            }
        )
        self._images = [
            rng.integers(0, 255 - 120 * (index % 2), (*shape, 3), dtype=np.uint8) for index, shape in enumerate(shapes)
        ]

    def read(self, row: int) -> Patch:
        return Patch(self._images[row])


@pytest.fixture
def cohort_of() -> Callable[[list[tuple[int, int]]], ArrayCohort]:
    return ArrayCohort


#: Layers of the four blocks, of other depths so that weights of one do not fit another.
SMALL = {"densenet121": (1, 1, 1, 1), "densenet169": (1, 1, 1, 2), "densenet201": (1, 1, 2, 2)}


@pytest.fixture(scope="module")
def small_densenets() -> Iterator[None]:
    """Under torchvision's names, its own code with few and narrow layers: quick to build and to run."""
    from torchvision import models  # noqa: PLC0415  (most tests need no torch)

    def builder(blocks: tuple[int, ...]) -> Callable[..., models.DenseNet]:
        def build(weights: None = None, num_classes: int = 1000) -> models.DenseNet:
            assert weights is None
            return models.DenseNet(4, blocks, num_init_features=8, bn_size=2, num_classes=num_classes)

        return build

    with pytest.MonkeyPatch.context() as patch:
        for name, blocks in SMALL.items():
            patch.setattr(models, name, builder(blocks))
        yield
