"""What is handed from room to room does not change on the way, and is compared without surprises."""

import pytest

from saliency_stats.compartments.cell_rule import CellRule
from saliency_stats.compartments.cells import Nearest, Weighed
from saliency_stats.compartments.fibre import FibreParameters
from saliency_stats.compartments.nuclei import NucleusParameters
from saliency_stats.compartments.stain import Stains
from saliency_stats.compartments.stardist.download import OfficialModel
from saliency_stats.compartments.stardist.files import StarDistModel
from saliency_stats.compartments.stardist.network import StarDistConfig
from saliency_stats.compartments.variants import Variant
from saliency_stats.compartments.view import CompartmentParameters
from saliency_stats.compartments.ways import Way

ARRAYS = (CellRule, Nearest, Weighed)
VALUES = (
    *(FibreParameters, NucleusParameters, Stains, OfficialModel, StarDistModel, StarDistConfig),
    *(Variant, CompartmentParameters, Way),
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
