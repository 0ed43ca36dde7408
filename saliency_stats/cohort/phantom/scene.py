"""A phantom before it is drawn: everything random is fixed, and each compartment waits for its class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from skimage.segmentation import relabel_sequential

from saliency_stats.cohort.phantom.anatomy import Anatomy
from saliency_stats.cohort.phantom.camera import photograph
from saliency_stats.cohort.phantom.look import SlideLook
from saliency_stats.cohort.phantom.painting import Painting, paint
from saliency_stats.cohort.phantom.signals import Choices, phenotype
from saliency_stats.errors import StudyError
from saliency_stats.typing import Int32Array, UInt8Array
from saliency_stats.vocabulary import COMPARTMENT_CODES, LABELS


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


@dataclass(frozen=True, eq=False)
class Scene:
    """One patch, to be drawn as often as wanted: the same tissue, stain and noise each time.

    Parameters
    ----------
    anatomy
        Where cells, fibres and gaps lie.
    choices
        By compartment, how it looks as either class and which it is drawn as. The background is among them where the
        signal gives it looks; elsewhere it is glass in both classes.
    look
        Of the patch's slide.
    colour, camera
        Seeds of what painting and taking the picture draw.
    binning
        Painted pixels along one side of a pixel of the image.
    """

    anatomy: Anatomy
    choices: Choices
    look: SlideLook
    colour: int
    camera: int
    binning: int

    @property
    def classes(self) -> dict[str, str]:
        """The class that each compartment is drawn as."""
        return {name: choice.drawn for name, choice in self.choices.items()}

    def render(self, classes: Mapping[str, str] | None = None) -> PhantomPatch:
        """Draw the scene.

        Parameters
        ----------
        classes
            Compartments that are drawn as these classes and not as their own. Pixels outside them change as far as the
            camera's blur and the soft borders of nuclei reach.

        Raises
        ------
        StudyError
            If the scene has no such compartment, or there is no such class.
        """
        for name, label in (classes or {}).items():
            if name not in self.choices or label not in LABELS:
                raise StudyError(
                    f"{name} drawn as {label}: expected a compartment out of {', '.join(self.choices)}, drawn as "
                    f"{' or '.join(LABELS)}. Name those"
                )
        painting = paint(np.random.default_rng(self.colour), self.anatomy, phenotype(self.choices, classes))
        camera = np.random.default_rng(self.camera)
        image = photograph(camera, painting.stain, self.look, self.anatomy.px_um, self.binning)
        return PhantomPatch(image, *_binned_truth(painting, self.binning))


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
