"""What finds nuclei: a StarDist model, or haematoxylin and watershed; torch is imported only for the former."""
# ruff: noqa: PLC0415  (the StarDist imports bring torch, which the rest of this room does not need)

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from saliency_stats.compartments.nuclei import classical_nuclei
from saliency_stats.compartments.view import Found, NucleusFinder, View
from saliency_stats.errors import CompartmentError, shown
from saliency_stats.vocabulary import NUCLEUS_FINDERS

#: Weights, thresholds and configuration of the model in the box; ``models/README.md`` is its card.
BUILTIN: Final = Path(__file__).parent / "models" / "builtin.safetensors"
#: Channels that can be made of an H&E image: its colours, or haematoxylin alone.
_CHANNELS: Final = (1, 3)


@lru_cache(maxsize=4)
def nucleus_finder(nuclei: str, device: str = "cpu", *, probability_offset: float = 0.0) -> NucleusFinder:
    """Make, or take from the last calls, what finds nuclei.

    Parameters
    ----------
    nuclei
        ``builtin``: the StarDist model that comes with this package; ``2D_versatile_he``: the official one, downloaded
        once; ``classical``: haematoxylin and watershed; anything else: the path of a StarDist model, as a folder of the
        stardist package or as the ``.safetensors`` file of this one.
    device
        Where a network computes, in torch's words.
    probability_offset
        Added to the StarDist model's threshold of the probability, see ``StarDistNuclei``.

    Raises
    ------
    CompartmentError
        If there is no such model, or it cannot be read or downloaded, or the offset does not suit it.
    """
    if nuclei == "classical":
        if probability_offset:
            raise CompartmentError(
                f"The classical finder of nuclei gives no probabilities, so its threshold cannot be moved by "
                f"{probability_offset:g}: choose a StarDist model, or leave the threshold as it is."
            )
        return _classical
    from saliency_stats.compartments.stardist.files import read_folder, read_safetensors
    from saliency_stats.compartments.stardist.nuclei import StarDistNuclei

    if nuclei == "builtin":
        model = read_safetensors(BUILTIN)
    elif nuclei == "2D_versatile_he":
        from saliency_stats.compartments.stardist.download import official_folder

        model = read_folder(official_folder(nuclei))
    elif _is(Path.is_dir, nuclei):
        model = read_folder(Path(nuclei))
    elif _is(Path.is_file, nuclei):
        model = read_safetensors(Path(nuclei))
    else:
        raise CompartmentError(
            f"compartments.nuclei is {shown(nuclei)}, which is neither a path nor one of {', '.join(NUCLEUS_FINDERS)}; "
            "give the path of a StarDist model folder, or one of these names."
        )
    channels = model.network.config.n_channel_in
    if channels not in _CHANNELS:
        raise CompartmentError(
            f"compartments.nuclei: {model.name} has n_channel_in {channels}; expected 3 (the colours of H&E) or 1 "
            "(haematoxylin)."
        )
    model.network.to(device)
    return StarDistNuclei(model, probability_offset)


def there_is(nuclei: str) -> bool:
    """Tell whether a name is one of the finders', or a file or folder that may hold a model."""
    return nuclei in NUCLEUS_FINDERS or _is(Path.is_file, nuclei) or _is(Path.is_dir, nuclei)


def _is(kind: Callable[[Path], bool], name: str) -> bool:
    try:
        return kind(Path(name))
    except (OSError, ValueError):  # no file can be called this
        return False


def _classical(views: Sequence[View]) -> list[Found]:
    found = []
    for view in views:
        instances = classical_nuclei(
            view.stained[0], view.tissue, view.mpp, view.stains.nuclear_od, view.parameters.nucleus
        )
        found.append(Found(instances, np.full(int(instances.max(initial=0)), np.nan)))
    return found
