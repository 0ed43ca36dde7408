"""Cytoplasm: tissue that belongs to a nucleus, no further than its cell can reach, and not fibre (pure NumPy)."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.measure import label

from saliency_stats.compartments.cell_rule import CellRule, fitted_rule
from saliency_stats.compartments.fibre import FibreParameters, cell_evidence, nuclear_shape
from saliency_stats.compartments.surroundings import relative
from saliency_stats.errors import CompartmentError
from saliency_stats.typing import BoolArray, FloatArray, Instances

#: Pixels up to this far from a nucleus are weighed against each other, however little of them ``cytoplasm_um`` then
#: takes: a smaller reach gives a part of the same cells.
ASKED_UM = 15.0
#: A cell reaches at most to this many radii of its nucleus: a bound on what stain and texture may decide, not the
#: usual size. The cell of a quiet lymphocyte is 1.2 to 1.5 nuclear radii wide, that of cuboidal and columnar
#: epithelium and of tumours 1.5 to 3, that of squamous epithelium 4 and more.
CELL_SCALE = 5.0

_USUAL = FibreParameters()


def _maxima(concentrations: FloatArray, tissue: BoolArray) -> tuple[float, float]:
    """99th percentiles over the tissue of this image, for want of the slide's."""
    if not tissue.any():
        return (1.0, 0.5)
    h, e = np.percentile(concentrations[:, tissue], 99.0, axis=1)
    return (max(float(h), 0.05), max(float(e), 0.05))


def asked_um(cytoplasm_um: float) -> float:
    """Distance from nuclei up to which tissue is weighed, for the longest reach asked for."""
    return max(cytoplasm_um, ASKED_UM)


def nuclear_radius_um(instances: Instances, mpp: float) -> FloatArray:
    """Radius of the disc of equal area of every nucleus, by its number; 0 for numbers not used."""
    return np.asarray(np.sqrt(nuclear_shape(instances, mpp)[0] / np.pi))


def reach_um(radius_um: FloatArray, cytoplasm_um: float, cell_scale: float) -> FloatArray:
    """How far a cell reaches from its nucleus: ``cell_scale - 1`` nuclear radii, and at most ``cytoplasm_um``."""
    return np.asarray(np.minimum((cell_scale - 1) * radius_um, cytoplasm_um))


def _attached(cells: Instances, instances: Instances) -> Instances:
    """Keep of every cell what is connected to its own nucleus through the cell itself (4 neighbours)."""
    parts = label(np.where(instances > 0, instances, cells), connectivity=1)  # type: ignore[no-untyped-call]
    rooted = np.zeros(int(parts.max()) + 1, dtype=np.bool_)
    rooted[parts[instances > 0]] = True
    return np.where(rooted[parts], cells, 0).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest nucleus of every pixel: made by ``nearest``.

    Parameters
    ----------
    owner
        (H, W) int32: its number; 0 everywhere if there is none.
    distance_um
        (H, W) distance to its border, half a pixel beyond the centre of its outermost pixel; negative within nuclei,
        infinite if there is none.
    """

    owner: Instances
    distance_um: FloatArray


def nearest(instances: Instances, mpp: float) -> Nearest:
    """Find the nearest nucleus of every pixel."""
    outside = instances == 0
    if outside.all():
        return Nearest(instances, np.full(instances.shape, np.inf, dtype=np.float32))
    steps, indices = ndimage.distance_transform_edt(outside, return_indices=True)
    return Nearest(instances[tuple(indices)], (steps - 0.5) * mpp)


@dataclass(frozen=True, eq=False)
class Weighed:
    """What is around nuclei, weighed: made by ``weighed``, once for whatever reach is then asked for.

    Parameters
    ----------
    instances
        (H, W) int32 nuclei.
    around
        The nearest of them, for every pixel.
    odds
        (H, W) log-odds of cytoplasm against fibre; minus infinity where they were not asked for.
    radius_um
        Of every nucleus, by its number: that of the disc of equal area.
    cell_scale
        See ``weighed``.
    """

    instances: Instances
    around: Nearest
    odds: FloatArray
    radius_um: FloatArray
    cell_scale: float

    def within(self, cytoplasm_um: float, threshold: float) -> Instances:
        """Give the cytoplasm of every nucleus.

        What is weighed above the threshold, and connected to its nucleus within its own cell: a gap ends the cell.

        Parameters
        ----------
        cytoplasm_um
            Cytoplasm reaches no further than this from the border of its nucleus; at most ``asked_um`` of what was
            asked for.
        threshold
            Log-odds (``FibreParameters.threshold``).

        Returns
        -------
        ndarray
            (H, W) int32: number of the nucleus whose cytoplasm this is, 0 elsewhere (nuclei included).
        """
        reach = reach_um(self.radius_um, cytoplasm_um, self.cell_scale)
        owner = self.around.owner
        cells = np.where((self.odds > threshold) & (self.around.distance_um <= reach[owner]), owner, 0)
        return _attached(cells.astype(np.int32), self.instances)


def weighed(
    instances: Instances,
    tissue: BoolArray,
    concentrations: FloatArray,
    mpp: float,
    cytoplasm_um: float = 15.0,
    parameters: FibreParameters = _USUAL,
    *,
    cell_scale: float = CELL_SCALE,
    maxima: tuple[float, float] | None = None,
    rule: CellRule | None = None,
) -> Weighed:
    """Weigh what is around nuclei, as far as any reach up to ``cytoplasm_um``, or ``ASKED_UM``, needs it.

    Cytoplasm may be tissue outside all nuclei whose nearest nucleus is at most ``cytoplasm_um`` and at most
    ``cell_scale - 1`` of its own radii away; whether stain, texture and nuclei call it fibre is weighed
    (``fibre.cell_evidence``, ``surroundings.relative``, ``cell_rule``). Distances are measured from the border, half a
    pixel beyond the centre of the nucleus' outermost pixel.

    Parameters
    ----------
    instances
        (H, W) int32 nuclei, 0 outside.
    tissue
        (H, W) mask.
    concentrations
        (2, H, W) haematoxylin and eosin.
    cytoplasm_um
        The longest reach that will be asked for.
    cell_scale
        A cell reaches no further than this many radii of its nucleus, that of the disc of equal area; above 1.
    maxima
        The slide's 99th percentile of haematoxylin and eosin (``Stains.maxima``). Taken from this image if left out.
    rule
        Weighs the evidence. The fitted one that comes with the package if left out.

    Raises
    ------
    CompartmentError
        If ``cell_scale`` is not a finite number above 1.
    """
    if not (np.isfinite(cell_scale) and cell_scale > 1):
        raise CompartmentError(f"cell_scale must be a finite number above 1, found {cell_scale!r}; the usual is 5.")
    radius_um = nuclear_radius_um(instances, mpp)
    around = nearest(instances, mpp)
    owner, distance_um = around.owner, around.distance_um
    if not instances.any():
        return Weighed(instances, around, -distance_um, radius_um, cell_scale)
    far = reach_um(radius_um, asked_um(cytoplasm_um), cell_scale)
    asked = (instances == 0) & tissue & (distance_um <= far[owner])
    away = tissue & (distance_um > parameters.nuclear_margin_um)
    maxima = maxima or _maxima(concentrations, tissue)
    found = cell_evidence(instances, owner, distance_um, tissue, away, concentrations, maxima, mpp, parameters)
    odds = (rule or fitted_rule()).log_odds(found | relative(found, asked, mpp), asked)
    return Weighed(instances, around, odds, radius_um, cell_scale)
