"""Where patches are taken: inside, on tissue, apart from each other, balanced, and the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from saliency_stats.cohort.slides.overview import TissueMap
from saliency_stats.cohort.slides.tiling import TilingParameters, sample_locations
from saliency_stats.errors import StudyError

PARAMETERS = TilingParameters(size_px=128, magnifications=(5.0, 10.0, 20.0, 40.0), per_slide=20)


class Half:
    """Everything to the left of a line, as tissue or as tumour."""

    def __init__(self, line_um):
        self.line_um = line_um

    def shares(self, centres_um, side_um):
        return np.clip((self.line_um - centres_um[:, 1]) / side_um + 0.5, 0, 1)


ALL = Half(np.inf)


def sample(tissue=ALL, tumour=None, size=(3_000.0, 4_000.0), seed=0, **changes):
    parameters = TilingParameters(**{**vars(PARAMETERS), **changes})
    return sample_locations(*size, tissue, tumour, parameters, np.random.default_rng(seed))


def test_the_fields_follow_from_the_magnifications():
    assert PARAMETERS.mpps == (2.0, 1.0, 0.5, 0.25)
    assert (PARAMETERS.finest_um, PARAMETERS.widest_um) == (32.0, 256.0)


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(["poisson", "grid"]),
    st.floats(300, 5_000),
    st.floats(300, 5_000),
    st.integers(1, 60),
    st.integers(0, 99),
)
def test_locations_lie_inside_and_apart(sampling, height, width, n, seed):
    found = sample(size=(height, width), seed=seed, sampling=sampling, per_slide=n, spacing_um=90.0)
    assert 1 <= len(found.centres_um) <= n
    half = PARAMETERS.widest_um / 2
    assert (found.centres_um >= half - 1e-9).all()
    assert (found.centres_um <= np.array([height, width]) - half + 1e-9).all()
    assert len(found.centres_um) == 1 or pdist(found.centres_um).min() >= 90 * (1 - 1e-6)
    assert (found.labels == "benign").all()


@pytest.mark.parametrize("sampling", ["poisson", "grid"])
def test_both_classes_get_half_and_the_rest_fills_up(sampling):
    found = sample(tumour=Half(2_000.0), sampling=sampling)
    assert dict(zip(*np.unique(found.labels, return_counts=True), strict=True)) == {"benign": 10, "malignant": 10}
    malignant = found.centres_um[found.labels == "malignant"]
    assert (malignant[:, 1] <= 2_000 - 8).all()  # at least three quarters of 32 µm
    assert (found.centres_um[found.labels == "benign"][:, 1] >= 2_016).all()
    little = sample(tumour=Half(180.0), sampling=sampling, spacing_um=50.0, per_slide=60, size=(800.0, 2_000.0))
    assert 0 < (little.labels == "malignant").sum() < 30
    assert len(little.labels) == 60


def test_what_is_neither_nor_is_not_taken_but_counted():
    found = sample(tumour=Half(1_000.0), central_um=400.0, per_slide=2_000, sampling="grid", size=(900.0, 2_000.0))
    assert found.n_ambiguous > 0
    share = Half(1_000.0).shares(found.centres_um, 400.0)
    assert ((share >= 0.75) == (found.labels == "malignant")).all()
    assert ((share <= 0.0) == (found.labels == "benign")).all()
    assert found.n_tissue == len(found.labels) + found.n_ambiguous


def test_only_tissue_is_taken():
    found = sample(tissue=Half(1_000.0), per_slide=500)
    assert (found.centres_um[:, 1] <= 1_000).all()
    assert len(sample(tissue=Half(-500.0)).labels) == 0


def test_a_slide_smaller_than_the_coarsest_field_has_no_place():
    assert len(sample(size=(250.0, 4_000.0)).labels) == 0
    assert len(sample(size=(257.0, 257.0)).labels) == 1


def test_the_seed_decides_and_nothing_else():
    first, again, other = sample(seed=1), sample(seed=1), sample(seed=2)
    np.testing.assert_array_equal(first.centres_um, again.centres_um)
    assert not np.array_equal(first.centres_um, other.centres_um)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"magnifications": (20.0, 30.0)}, "30× is no whole multiple of 20×"),
        ({"magnifications": ()}, "expected at least one"),
        ({"magnifications": (20.0, 20.0)}, "each once"),
        ({"min_tumour": 0.2, "max_tumour": 0.2}, "share of tumour in benign patches below"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(StudyError, match=message):
        TilingParameters(**changes)


#: Places of tissue and ambiguous ones, first three centres and the sum of all, as the first version drew them.
GOLDEN = {
    ("poisson", None): (5820, 964, [[198.320, 723.655], [210.578, 554.465], [359.541, 286.204]], 12037.405),
    ("grid", 60.0): (195, 39, [[245.950, 420.634], [305.950, 240.634], [365.950, 300.634]], 11179.012),
}


@pytest.mark.parametrize(("sampling", "spacing"), GOLDEN)
def test_locations_are_those_that_every_study_has_seen(sampling, spacing):
    tissue, tumour = np.zeros((2, 100, 120), bool)
    tissue[10:90, 10:100] = True
    tumour[20:60, 20:70] = True
    parameters = TilingParameters(
        size_px=64, magnifications=(10.0, 20.0), per_slide=12, sampling=sampling, spacing_um=spacing
    )
    maps = (TissueMap(mask, 10.0, 10.0) for mask in (tissue, tumour))
    found = sample_locations(1000.0, 1200.0, *maps, parameters, np.random.default_rng(4))
    n_tissue, n_ambiguous, first, total = GOLDEN[sampling, spacing]
    assert (found.n_tissue, found.n_ambiguous) == (n_tissue, n_ambiguous)
    assert (found.labels == "malignant").sum() == 6
    np.testing.assert_allclose(found.centres_um[:3], first, atol=0.001)
    assert found.centres_um.sum() == pytest.approx(total, abs=0.01)


def test_the_usual_tiling():
    assert TilingParameters() == TilingParameters(
        256, (5.0, 10.0, 20.0, 40.0), 50, 0.5, None, 0.75, 0.0, "poisson", None
    )


def test_shares_at_the_limits_decide_as_stated():
    class Shares:
        def __init__(self, value):
            self.value = value

        def shares(self, centres_um, _):
            return np.full(len(centres_um), self.value)

    parameters = TilingParameters(
        size_px=64, magnifications=(20.0,), per_slide=4, min_tissue=0.5, min_tumour=0.75, max_tumour=0.25
    )

    def labels(tissue, tumour):
        found = sample_locations(400.0, 400.0, Shares(tissue), Shares(tumour), parameters, np.random.default_rng(0))
        return set(found.labels.tolist()), found.n_ambiguous

    assert labels(0.5, 0.75) == ({"malignant"}, 0)
    assert labels(0.5, 0.25) == ({"benign"}, 0)
    for tumour in (np.nextafter(0.75, 0), np.nextafter(0.25, 1)):
        kinds, ambiguous = labels(0.5, tumour)
        assert kinds == set()
        assert ambiguous > 0
    assert labels(np.nextafter(0.5, 0), 0.75) == (set(), 0)
