"""Control networks: what saliency looks like when nothing was learned."""

from saliency_stats.classifier.densenet import PatchClassifier, initialise


def randomised(architecture: str, seed: int) -> PatchClassifier:
    """Build the same architecture, re-initialised (independent randomisation of Adebayo et al. 2018).

    Its preference for a compartment is the architecture's and the image's own, not the task's.
    """
    return initialise(architecture, seed).eval()
