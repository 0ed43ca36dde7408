"""Where patches come from: images in a folder, or phantoms with a known truth."""

from saliency_stats.cohort.folder import PatchFolder
from saliency_stats.cohort.patch import Cohort, Patch
from saliency_stats.cohort.phantom import Phantom
from saliency_stats.cohort.simulated import PhantomCohort, PhantomCohortSize

__all__ = ["Cohort", "Patch", "PatchFolder", "Phantom", "PhantomCohort", "PhantomCohortSize"]
