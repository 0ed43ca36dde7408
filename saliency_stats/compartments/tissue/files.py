"""The tissue network on disk: one safetensors file in half precision, with what it was made for in its header."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import safetensors
import torch
from safetensors.torch import load_file, save_file

from saliency_stats.compartments.tissue.network import TissueNetwork
from saliency_stats.compartments.ways import TISSUES
from saliency_stats.errors import CompartmentError, shortened

#: The network that comes with the package; ``models/README.md`` is its card.
BUILTIN_TISSUE: Final = Path(__file__).parents[1] / "models" / "tissue.safetensors"


@dataclass(frozen=True, eq=False)
class TissueModel:
    """A network with the scale that it was made for.

    Parameters
    ----------
    name
        Where it came from, for messages.
    network
        In evaluation mode.
    mpp
        µm per pixel of the pictures that it takes.
    temperature
        Its logits are divided by this, so that of the pixels with a probability p a share of p is right (Guo et al.
        2017, ICML); fitted to images left out of training.
    """

    name: str
    network: TissueNetwork
    mpp: float
    temperature: float


@lru_cache(maxsize=2)
def read_tissue(path: Path = BUILTIN_TISSUE) -> TissueModel:
    """Read a model written by :func:`write_tissue`, on the CPU and in float32; the same object at every call.

    Raises
    ------
    CompartmentError
        If the file is missing or not such a model.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["tissue"])
        if tuple(about["tissues"]) != TISSUES:
            raise ValueError(f"it tells {about['tissues']} apart")
        network = TissueNetwork()
        network.load_state_dict({key: value.float() for key, value in load_file(path).items()})
        if not all(torch.isfinite(one).all() for one in network.state_dict().values()):
            raise ValueError("it holds numbers that are not finite")
        mpp, temperature = float(about["mpp"]), float(about["temperature"])
    except Exception as error:
        # a damaged header makes its readers raise anything
        raise CompartmentError(
            f"{path} is not a tissue network of this package ({shortened(repr(error))}); install the package again, or "
            "set compartments.cells to rule."
        ) from error
    return TissueModel(str(path), network.eval(), mpp, temperature)


def write_tissue(model: TissueModel, path: Path) -> None:
    """Write a model in half precision, with its scale and temperature in the file's header."""
    about = {"tissues": TISSUES, "mpp": model.mpp, "temperature": model.temperature}
    state = {key: value.detach().half().contiguous() for key, value in model.network.state_dict().items()}
    save_file(state, path, metadata={"tissue": json.dumps(about)})
