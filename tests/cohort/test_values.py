"""What is handed from room to room does not change on the way, and is compared without surprises."""

import pytest

from saliency_stats.cohort.patch import Patch
from saliency_stats.cohort.phantom.anatomy import Anatomy
from saliency_stats.cohort.phantom.cells import CellKind, Cells
from saliency_stats.cohort.phantom.cohort import PhantomCohortSize
from saliency_stats.cohort.phantom.look import SlideLook
from saliency_stats.cohort.phantom.painting import Painting, Phenotype
from saliency_stats.cohort.phantom.phantom import Phantom, PhantomPatch
from saliency_stats.cohort.phantom.scene import Scene
from saliency_stats.cohort.phantom.section import Section, SectionPlan
from saliency_stats.cohort.phantom.signals import Choice, Signal
from saliency_stats.cohort.phantom.slide import PhantomSlideFiles, PhantomSlideSpec
from saliency_stats.cohort.phantom.texture import PlaneWaves
from saliency_stats.cohort.slides.annotation import Annotation
from saliency_stats.cohort.slides.geometry import SlideInfo
from saliency_stats.cohort.slides.listing import ListedSlide
from saliency_stats.cohort.slides.outlines import Groups, Outline
from saliency_stats.cohort.slides.overview import TissueMap
from saliency_stats.cohort.slides.tiling import Locations, TilingParameters

ARRAYS = (
    Anatomy,
    Cells,
    SlideLook,
    Painting,
    PhantomPatch,
    Scene,
    Section,
    SectionPlan,
    PlaneWaves,
    Annotation,
    Outline,
    Locations,
)
VALUES = (
    *(CellKind, Choice, Signal, Patch, PhantomCohortSize, Phenotype, Phantom, PhantomSlideFiles, PhantomSlideSpec),
    *(SlideInfo, ListedSlide, Groups, TissueMap, TilingParameters),
)


@pytest.mark.parametrize("kind", [*ARRAYS, *VALUES])
def test_values_cannot_be_changed(kind):
    assert kind.__dataclass_params__.frozen


@pytest.mark.parametrize("kind", ARRAYS)
def test_what_holds_arrays_is_compared_as_an_object_since_arrays_have_no_single_truth(kind):
    assert kind.__eq__ is object.__eq__
    assert kind.__hash__ is object.__hash__


@pytest.mark.parametrize("kind", VALUES)
def test_what_holds_values_is_compared_by_them(kind):
    assert kind.__eq__ is not object.__eq__
