"""What finds nuclei: a StarDist model, a TorchScript file, or haematoxylin and watershed, which needs no torch."""
# ruff: noqa: PLC0415  (models bring torch, which the rest of this room does not need)

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from saliency_stats.compartments.nuclei import classical_nuclei
from saliency_stats.compartments.view import Found, NucleusFinder, View
from saliency_stats.errors import CompartmentError, shown
from saliency_stats.vocabulary import NUCLEUS_FINDERS, TORCHSCRIPT

#: Weights, thresholds and configuration of the model in the box; ``models/README.md`` is its card.
BUILTIN: Final = Path(__file__).parent / "models" / "builtin.safetensors"
#: What may stand for a finder, as messages say it.
EXPECTED: Final = f"{', '.join(NUCLEUS_FINDERS)}, the path of a StarDist model, or {TORCHSCRIPT}PATH[@UM_PER_PX]"
#: Channels that can be made of an H&E image: its colours, or haematoxylin alone.
_CHANNELS: Final = (1, 3)


@lru_cache(maxsize=4)
def nucleus_finder(nuclei: str, device: str = "cpu", *, probability_offset: float = 0.0) -> NucleusFinder:
    """Make, or take from the last calls, what finds nuclei.

    Parameters
    ----------
    nuclei
        ``builtin``: the StarDist model that comes with this package; ``2D_versatile_he``: the official one, downloaded
        once; ``classical``: haematoxylin and watershed; ``torchscript:PATH`` or ``torchscript:PATH@UM_PER_PX``: a
        TorchScript file of the user's own, see ``compartments.torchscript``; anything else: the path of a StarDist
        model, as a folder of the stardist package or as the ``.safetensors`` file of this one.
    device
        Where a network computes, in torch's words.
    probability_offset
        Added to the StarDist model's threshold of the probability, see ``StarDistNuclei``.

    Raises
    ------
    CompartmentError
        If there is no such model, or it cannot be read or downloaded, or the offset does not suit it.
    """
    if probability_offset and not gives_probabilities(nuclei):
        raise CompartmentError(
            f"The {nuclei.partition(':')[0]} finder of nuclei gives no probabilities, so its threshold cannot be moved "
            f"by {probability_offset:g}: choose a StarDist model, or leave the threshold as it is."
        )
    if nuclei == "classical":
        return _classical
    if nuclei.startswith(TORCHSCRIPT):
        from saliency_stats.compartments.torchscript import read_torchscript

        return read_torchscript(*_path_and_mpp(nuclei), device)
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
            f"expected {EXPECTED}."
        )
    channels = model.network.config.n_channel_in
    if channels not in _CHANNELS:
        raise CompartmentError(
            f"compartments.nuclei: {model.name} has n_channel_in {channels}; expected 3 (the colours of H&E) or 1 "
            "(haematoxylin)."
        )
    model.network.to(device)
    return StarDistNuclei(model, probability_offset)


def gives_probabilities(nuclei: str) -> bool:
    """Tell whether a finder knows the probability of a nucleus, so that a threshold of it can be moved."""
    return nuclei != "classical" and not nuclei.startswith(TORCHSCRIPT)


def model_path(nuclei: str) -> Path | None:
    """Return the file or folder that a finder is read from; None for those that have a name."""
    return None if nuclei in NUCLEUS_FINDERS else _path_and_mpp(nuclei)[0]


def there_is(nuclei: str) -> bool:
    """Tell whether a name is one of the finders', or a file or folder that may hold a model."""
    path = model_path(nuclei)
    kinds = (Path.is_file,) if nuclei.startswith(TORCHSCRIPT) else (Path.is_file, Path.is_dir)
    return path is None or any(_is(kind, str(path)) for kind in kinds)


def _path_and_mpp(nuclei: str) -> tuple[Path, float | None]:
    """Part the path of a model from the µm per pixel, a number after the last @ of a TorchScript file."""
    name = nuclei.removeprefix(TORCHSCRIPT)
    path, at, mpp = name.rpartition("@")
    if nuclei.startswith(TORCHSCRIPT) and at:
        with suppress(ValueError):  # what is no number belongs to the file's name
            return Path(path), float(mpp)
    return Path(name), None


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
