"""Synthetic H&E tissue with a planted class signal and a compartment map known to the pixel."""

from dataclasses import dataclass

import numpy as np

from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.cohort.phantom.look import SlideLook, draw_look
from saliency_stats.cohort.phantom.painting import Phenotype
from saliency_stats.cohort.phantom.scene import PhantomPatch, Scene
from saliency_stats.cohort.phantom.signals import SIGNALS, choose, phenotype
from saliency_stats.errors import StudyError
from saliency_stats.typing import UInt8Array
from saliency_stats.vocabulary import LABELS

__all__ = ["Phantom", "PhantomPatch", "Scene", "SlideLook"]

#: Tissue is painted at about this pixel size or finer; lower magnifications are averages of it.
_PAINTED_UM = 0.5
#: Side of the painted field in pixels; beyond it one patch would take gigabytes.
_MAX_PAINTED_PX = 4096


@dataclass(frozen=True)
class Phantom:
    """A maker of phantom patches.

    Every compartment has a phenotype between 0 and 1 that changes its appearance. In the compartment that
    carries the signal it depends on the label; in the others it is uniform, whatever the label. All else
    (cells, layout, stain, camera) is drawn without looking at the label.

    Parameters
    ----------
    signal
        What tells the classes apart: a key of ``SIGNALS``.
    size_px
        Side of a patch in pixels, 32 to 4096 (2048 at 1 µm per px, 1024 at 2).
    mpp
        µm per pixel, 0.2 to 2.5.
    strength
        Separation of the classes from 0 (as ``none``) to 1 (no overlap).
    stain_variation
        Factor on the standard deviations between slides, 0 to 3.
    architecture
        How the tissue is built: a key of ``ARCHITECTURES``.

    Raises
    ------
    StudyError
        If a value is outside its range.
    """

    signal: str = "cytoplasm"
    size_px: int = 128
    mpp: float = 0.5
    strength: float = 1.0
    stain_variation: float = 1.0
    architecture: str = "nests"

    def __post_init__(self) -> None:
        if self.signal not in SIGNALS:
            raise StudyError(
                f"phantom.signal is {self.signal!r}, expected one of {', '.join(SIGNALS)}. "
                "Name what shall tell the classes apart."
            )
        if self.architecture not in ARCHITECTURES:
            raise StudyError(
                f"phantom.architecture is {self.architecture!r}, expected one of {', '.join(ARCHITECTURES)}. "
                "Name how the tissue shall be built."
            )
        if isinstance(self.size_px, bool) or not isinstance(self.size_px, int):
            raise StudyError(f"phantom.size_px is {self.size_px!r}, expected a whole number of at least 32 pixels.")
        for key, low, high, unit in (
            ("size_px", 32, _MAX_PAINTED_PX, " px"),
            ("mpp", 0.2, 2.5, " µm per px"),
            ("strength", 0, 1, ""),
            ("stain_variation", 0, 3, ""),
        ):
            value = getattr(self, key)
            if not low <= value <= high:
                raise StudyError(
                    f"phantom.{key} is {value}, expected {low} to {high}{unit}. Choose a value in that range."
                )
        painted = self.size_px * self._binning
        if painted > _MAX_PAINTED_PX:
            raise StudyError(
                f"phantom.size_px is {self.size_px} at {self.mpp} µm per px, painted as {painted} px; "
                f"expected 32 to {_MAX_PAINTED_PX // self._binning} px. Choose a smaller patch."
            )

    @property
    def _binning(self) -> int:
        """Painted pixels along one side of an image pixel."""
        return max(1, round(self.mpp / _PAINTED_UM))

    def slide(self, rng: np.random.Generator) -> SlideLook:
        """Draw the random effects of one slide."""
        return draw_look(rng, self.stain_variation)

    def scene(self, rng: np.random.Generator, label: str, slide: SlideLook | None = None) -> Scene:
        """Lay out one patch, to be drawn with any class per compartment.

        The same state of ``rng`` gives the same layout for both labels.

        Parameters
        ----------
        rng
            Source of all randomness.
        label
            ``benign`` or ``malignant``.
        slide
            Look of the patch's slide; drawn from ``rng`` if left out.

        Raises
        ------
        StudyError
            If the label is neither of the two.
        """
        if label not in LABELS:
            raise StudyError(f"label is {label!r}, expected {' or '.join(LABELS)}. Correct the label.")
        look = self.slide(rng) if slide is None else slide
        # Independent streams: no part of a patch shifts the draws of another.
        layout, chosen, colour, camera = rng.integers(2**63, size=4).tolist()
        binning = self._binning
        anatomy = ARCHITECTURES[self.architecture](
            np.random.default_rng(layout), (self.size_px * binning,) * 2, self.mpp / binning, look.spacing
        )
        choices = choose(self.signal, np.random.default_rng(chosen), label, self.strength)
        return Scene(anatomy, choices, look, colour, camera, binning)

    def render(self, rng: np.random.Generator, label: str, slide: SlideLook | None = None) -> PhantomPatch:
        """Make one patch: a scene drawn as it is. See ``scene``."""
        return self.scene(rng, label, slide).render()

    def patch(
        self, rng: np.random.Generator, label: str, slide: SlideLook | None = None
    ) -> tuple[UInt8Array, UInt8Array]:
        """Make one patch: image (H, W, 3) and compartment codes (H, W), both uint8. See ``render``."""
        made = self.render(rng, label, slide)
        return made.image, made.truth

    def phenotype(self, rng: np.random.Generator, label: str) -> Phenotype:
        """Draw the appearance of the compartments; the label only changes those that carry the signal."""
        return phenotype(choose(self.signal, rng, label, self.strength))
