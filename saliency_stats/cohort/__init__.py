"""Where patches come from: images in a folder, or phantoms with a known truth."""

from saliency_stats.cohort.folder import PatchFolder
from saliency_stats.cohort.patch import Cohort, Patch
from saliency_stats.cohort.phantom.cohort import PhantomCohort, PhantomCohortSize
from saliency_stats.cohort.phantom.phantom import Phantom

__all__ = ["Cohort", "Patch", "PatchFolder", "Phantom", "PhantomCohort", "PhantomCohortSize"]
