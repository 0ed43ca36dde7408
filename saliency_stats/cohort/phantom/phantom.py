"""Synthetic H&E tissue with a planted class signal and a compartment map known to the pixel."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from skimage.segmentation import relabel_sequential

from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.cohort.phantom.camera import photograph
from saliency_stats.cohort.phantom.look import SlideLook, draw_look
from saliency_stats.cohort.phantom.painting import Painting, Phenotype, paint
from saliency_stats.errors import StudyError
from saliency_stats.typing import Int32Array, UInt8Array
from saliency_stats.vocabulary import COMPARTMENT_CODES, LABELS, TISSUE

__all__ = ["Phantom", "PhantomPatch", "SlideLook"]

Signal: TypeAlias = Literal["cytoplasm", "nucleus", "stroma", "none"]

_SIGNALS = (*TISSUE, "none")
#: Tissue is painted at about this pixel size or finer; lower magnifications are averages of it.
_PAINTED_UM = 0.5
#: Side of the painted field in pixels; beyond it one patch would take gigabytes.
_MAX_PAINTED_PX = 4096
#: At strength 1 the phenotypes of the two classes lie in [0, 0.3] and [0.7, 1].
_SEPARATION = 0.7
#: Compartments that carry no signal vary in this middle part of their phenotypes, in both classes alike.
_NUISANCE = (0.25, 0.75)


@dataclass(frozen=True, eq=False)
class PhantomPatch:
    """A patch and its truth.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    truth
        (H, W) uint8, codes of ``COMPARTMENT_CODES``.
    instances
        (H, W) int32: 0 outside nuclei, one number from 1 upwards for each nucleus.
    """

    image: UInt8Array
    truth: UInt8Array
    instances: Int32Array


@dataclass(frozen=True)
class Phantom:
    """A maker of phantom patches.

    Every compartment has a phenotype between 0 and 1 that changes its appearance. In the compartment that
    carries the signal it depends on the label; in the others it is uniform, whatever the label. All else
    (cells, layout, stain, camera) is drawn without looking at the label.

    Parameters
    ----------
    signal
        Compartment that tells the classes apart, or ``none``.
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

    signal: Signal = "cytoplasm"
    size_px: int = 128
    mpp: float = 0.5
    strength: float = 1.0
    stain_variation: float = 1.0
    architecture: str = "nests"

    def __post_init__(self) -> None:
        if self.signal not in _SIGNALS:
            raise StudyError(
                f"phantom.signal is {self.signal!r}, expected one of {', '.join(_SIGNALS)}. "
                "Name the compartment that shall tell the classes apart."
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

    def render(self, rng: np.random.Generator, label: str, slide: SlideLook | None = None) -> PhantomPatch:
        """Make one patch.

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
        layout, phenotype, colour, camera = (np.random.default_rng(seed) for seed in rng.integers(2**63, size=4))
        binning = self._binning
        px_um = self.mpp / binning
        anatomy = ARCHITECTURES[self.architecture](layout, (self.size_px * binning,) * 2, px_um, look.spacing)
        painting = paint(colour, anatomy, self.phenotype(phenotype, label))
        image = photograph(camera, painting.stain, look, px_um, binning)
        truth, instances = _binned_truth(painting, binning)
        return PhantomPatch(image, truth, instances)

    def patch(
        self, rng: np.random.Generator, label: str, slide: SlideLook | None = None
    ) -> tuple[UInt8Array, UInt8Array]:
        """Make one patch: image (H, W, 3) and compartment codes (H, W), both uint8. See ``render``."""
        made = self.render(rng, label, slide)
        return made.image, made.truth

    def phenotype(self, rng: np.random.Generator, label: str) -> Phenotype:
        """Draw the appearance of the three compartments; the label only shifts the one that carries the signal."""
        drawn = dict(zip(TISSUE, rng.uniform(0, 1, len(TISSUE)).tolist(), strict=True))
        low, high = _NUISANCE
        value = {name: low + (high - low) * position for name, position in drawn.items()}
        if self.signal != "none":
            # from the common range at strength 0 to one end of the whole range at strength 1
            shift = _SEPARATION * self.strength
            apart = drawn[self.signal] * (1 - shift) + shift * LABELS.index(label)
            value[self.signal] += self.strength * (apart - value[self.signal])
        return Phenotype(**value)


def _binned_truth(painting: Painting, binning: int) -> tuple[UInt8Array, Int32Array]:
    """Give every image pixel the compartment of most of its painted pixels; number the nuclei from 1."""
    truth, instances = painting.truth, painting.instances
    if binning > 1:
        side = truth.shape[0] // binning
        blocks = (side, binning, side, binning)
        # One fixed pixel of each block breaks ties, so that no compartment gains by the order of its code.
        middle = slice(binning // 2, None, binning)
        votes = [
            (truth == code).reshape(blocks).sum(axis=(1, 3)) + 0.5 * (truth[middle, middle] == code)
            for code in sorted(COMPARTMENT_CODES.values())
        ]
        truth = np.argmax(votes, axis=0).astype(np.uint8)
        instances = np.where(truth == COMPARTMENT_CODES["nucleus"], instances.reshape(blocks).max(axis=(1, 3)), 0)
    return truth, relabel_sequential(instances)[0].astype(np.int32)  # type: ignore[no-untyped-call]
