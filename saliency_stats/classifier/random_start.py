"""Random weights for a network whose own code loads learned ones: nothing of what it learned is left."""

import torch
from torch import nn


def reinitialise(network: nn.Module) -> None:
    """Draw all weights of a network anew, from torch's generator, in place.

    Layers that know how they start (``reset_parameters``) start so. Tensors that belong to no such layer (class tokens,
    positions, scales) are drawn from a normal distribution with their own mean and standard deviation, so that only
    their
    pattern is lost; running statistics start anew with their layers.
    """
    for module in network.modules():
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if callable(reset):
            reset()
            continue
        with torch.no_grad():
            for parameter in module.parameters(recurse=False):
                if parameter.numel() > 1:
                    parameter.copy_(parameter.mean() + parameter.std() * torch.randn_like(parameter))
