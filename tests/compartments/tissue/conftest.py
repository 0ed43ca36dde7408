"""A tissue network of random weights, whose answers vary within every patch."""

import numpy as np
import pytest
import torch

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import CompartmentParameters, estimate_stains, view_of
from saliency_stats.compartments.tissue.files import TissueModel
from saliency_stats.compartments.tissue.network import TissueNetwork


@pytest.fixture(scope="session")
def model():
    torch.manual_seed(0)
    network = TissueNetwork().eval()
    with torch.no_grad():
        network.last.weight *= 40
    return TissueModel("random weights", network, 0.5, 1.0)


@pytest.fixture
def view_at():
    def made(mpp=0.5, height=64, width=48, seed=0):
        image = Phantom(size_px=max(height, width), mpp=0.5).render(np.random.default_rng(seed), "malignant").image
        image = image[:height, :width]
        return view_of(image, mpp, CompartmentParameters(cells="network"), estimate_stains([image]))

    return made
