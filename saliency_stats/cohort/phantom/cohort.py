"""A cohort of phantoms: slides with a known truth, drawn from the seed whenever a patch is read."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from saliency_stats.cohort.patch import PATCH_COLUMNS, USED, Patch, nominal_magnification
from saliency_stats.cohort.phantom.phantom import Phantom, Scene
from saliency_stats.errors import StudyError
from saliency_stats.vocabulary import LABELS


@dataclass(frozen=True)
class PhantomCohortSize:
    """How many phantoms there are.

    Parameters
    ----------
    slides
        Number of slides, each of a patient of its own.
    patches_per_slide
        Patches per slide, half of them benign and half malignant.
    """

    slides: int = 24
    patches_per_slide: int = 12

    def __post_init__(self) -> None:
        if not 3 <= self.slides <= 100_000:  # noqa: PLR2004  (one per split)
            raise StudyError(f"cohort.slides is {self.slides}; expected 3 to 100000, at least one per split")
        if not 2 <= self.patches_per_slide <= 100_000:  # noqa: PLR2004  (one per class)
            raise StudyError(
                f"cohort.patches_per_slide is {self.patches_per_slide}; expected 2 to 100000, one per class at least"
            )


@dataclass
class PhantomCohort:
    """Synthetic patches; each is a function of the seed, its slide and its number."""

    phantom: Phantom
    size: PhantomCohortSize
    seed: int
    kind: str = "phantom"
    digests: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n_slides, n_patches = self.size.slides, self.size.patches_per_slide
        slide = np.repeat(np.arange(n_slides), n_patches)
        number = np.tile(np.arange(n_patches), n_slides)
        width = len(str(max(n_slides, 10)))
        table = pd.DataFrame(
            {
                "patch_id": [f"phantom-{s + 1:0{width}d}-{p + 1:03d}" for s, p in zip(slide, number, strict=True)],
                "slide_id": [f"slide-{s + 1:0{width}d}" for s in slide],
                "patient_id": [f"patient-{s + 1:0{width}d}" for s in slide],
                "label": np.array(LABELS)[number % 2],
                "split": "",
                "magnification": nominal_magnification(self.phantom.mpp),
                "mpp": self.phantom.mpp,
                "x_um": np.nan,
                "y_um": np.nan,
                "source": "phantom",
                "status": USED,
            }
        )
        self.table = table[list(PATCH_COLUMNS)]
        self._slide, self._number = slide, number
        self._looks = [self.phantom.slide(np.random.default_rng([self.seed, 1, s])) for s in range(n_slides)]

    @property
    def files(self) -> dict[str, Path]:
        """Nothing is read: phantoms are drawn."""
        return {}

    def scene(self, row: int) -> Scene:
        """Lay out one patch, to be drawn with any class per compartment."""
        slide = int(self._slide[row])
        rng = np.random.default_rng([self.seed, 2, slide, int(self._number[row])])
        return self.phantom.scene(rng, str(self.table["label"].iloc[row]), self._looks[slide])

    def read(self, row: int) -> Patch:
        """Draw one patch, with its compartment map and nuclei."""
        drawn = self.scene(row).render()
        return Patch(drawn.image, drawn.truth, drawn.instances)
