"""What kind of tissue is around: nuclei, stains and texture over windows of several cells (pure NumPy and SciPy)."""

from typing import Final

import numpy as np

from saliency_stats.compartments.windows import averaged, blurred
from saliency_stats.typing import BoolArray, FloatArray, Instances

#: Standard deviations of the windows, in µm: about one cell to each side, and about two.
WINDOWS_UM: Final = (10.0, 20.0)
#: Standard deviation of the window that evidence is held against, in µm: some three cells to each side. 15 µm and 40 µm
#: told cytoplasm from fibre as well on slides left out, the whole image a little worse.
RELATIVE_UM: Final = 25.0
#: Nuclei larger than this (µm²) are taken to be merged ones: they say no more than one of this area.
_LARGEST_UM2: Final = 150.0


def surroundings(
    instances: Instances,
    shape: tuple[FloatArray, FloatArray],
    tissue: BoolArray,
    evidence: BoolArray,
    stained: FloatArray,
    fibrous: tuple[FloatArray, FloatArray],
    mpp: float,
) -> dict[str, FloatArray]:
    """Averages over each of ``WINDOWS_UM``.

    ``crowding`` (share of nuclei), ``nuclear_area`` (mean area in units of 50 µm², weighed by area),
    ``nuclear_elongation`` and ``nuclear_darkness`` (their eccentricity and haematoxylin), ``tissue`` (its share), and
    over the tissue away from nuclei ``blue``, ``pink``, ``directed`` and ``rough`` (haematoxylin, eosin, coherence,
    roughness). The names end in the window: ``crowding_10um``.

    Parameters
    ----------
    instances
        (H, W) int32 nuclei, 0 outside.
    shape
        Area (µm²) and eccentricity of every nucleus, by its number.
    tissue, evidence
        (H, W) masks: tissue, and tissue away from nuclei.
    stained
        (2, H, W) haematoxylin and eosin in units of the slide's maxima.
    fibrous
        (H, W) each: coherence of direction and roughness.

    Returns
    -------
    dict of ndarray
        (H, W) float32 each.
    """
    area, eccentricity = (np.minimum(values, _LARGEST_UM2).astype(np.float32) for values in shape)
    nuclear, away = (mask.astype(np.float32) for mask in (instances > 0, evidence))
    of_nuclei = {
        "nuclear_area": area[instances] / np.float32(50),
        "nuclear_elongation": eccentricity[instances],
        "nuclear_darkness": stained[0],
    }
    of_rest = {"blue": stained[0], "pink": stained[1], "directed": fibrous[0], "rough": fibrous[1]}
    found: dict[str, FloatArray] = {}
    for window_um in WINDOWS_UM:
        sigma = window_um / mpp
        crowding, rest = blurred(nuclear, sigma), blurred(away, sigma)
        means = {"crowding": crowding, "tissue": blurred(tissue.astype(np.float32), sigma)}
        means |= {name: averaged(values, nuclear, crowding, sigma) for name, values in of_nuclei.items()}
        means |= {name: averaged(values, away, rest, sigma) for name, values in of_rest.items()}
        found |= {f"{name}_{window_um:g}um": values for name, values in means.items()}
    return found


def relative(evidence: dict[str, FloatArray], where: BoolArray, mpp: float) -> dict[str, FloatArray]:
    """Take from every piece of evidence its average over the tissue around that is asked about.

    No slide is stained like the next, and what is blue or rough for the one is pale or smooth for the other: what
    differs between the cells and the fibre beside them differs less between slides.

    Parameters
    ----------
    evidence
        (H, W) each, by name.
    where
        (H, W) mask of the pixels that are asked about; others have no part in the averages.

    Returns
    -------
    dict of ndarray
        (H, W) float32 each, by the name with ``relative_`` before it; meaningful in ``where``.
    """
    sigma = RELATIVE_UM / mpp
    weight = where.astype(np.float32)
    share = blurred(weight, sigma)
    return {
        f"relative_{name}": values - averaged(values.astype(np.float32), weight, share, sigma)
        for name, values in evidence.items()
    }
