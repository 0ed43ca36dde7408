"""What slides bring to their patches: the mean slide exactly, and how far slides lie around it."""

import numpy as np
import pytest

from saliency_stats.cohort.phantom.look import STAIN_VECTORS, SlideLook, draw_look
from saliency_stats.errors import CohortError


def looks(variation, n=3000):
    return [draw_look(np.random.default_rng([7, seed]), variation) for seed in range(n)]


def test_the_mean_slide():
    look = draw_look(np.random.default_rng(0), 0.0)
    np.testing.assert_allclose(look.stain_vectors, STAIN_VECTORS / np.linalg.norm(STAIN_VECTORS, axis=1)[:, None])
    np.testing.assert_allclose(look.white, [0.945, 0.935, 0.95])
    assert look.concentration.tolist() == [1, 1]
    assert (look.spacing, look.blur_um, look.sharpening, look.photons) == (1.25, 0.30, 0.5, 5000.0)


def test_the_stain_vectors_are_within_the_spread_of_published_ones():
    np.testing.assert_allclose(STAIN_VECTORS, [[0.59, 0.73, 0.35], [0.21, 0.88, 0.42]])


@pytest.mark.parametrize("variation", [0.5, 1.0])
def test_slides_differ_by_the_stated_deviations(variation):
    drawn = looks(variation)
    log = np.log(np.array([[*look.concentration, look.spacing, look.blur_um, look.sharpening] for look in drawn]))
    thick = np.sqrt(0.17**2 + 0.12**2)
    expected = np.array([thick, thick, 0.04, 0.18, 0.3]) * variation
    assert log.std(axis=0) == pytest.approx(expected, rel=0.05)
    assert log.mean(axis=0) == pytest.approx(np.log([1, 1, 1.25, 0.30, 0.5]), abs=0.02)
    # thickness is shared by both stains
    assert np.corrcoef(log[:, 0], log[:, 1])[0, 1] == pytest.approx(0.17**2 / thick**2, abs=0.05)
    white = np.array([look.white for look in drawn])
    assert white.std(axis=0) == pytest.approx([0.012 * variation] * 3, rel=0.06)
    vectors = np.array([look.stain_vectors for look in drawn])
    # of a unit vector only what lies across it varies
    unit = STAIN_VECTORS / np.linalg.norm(STAIN_VECTORS, axis=1)[:, None]
    across = vectors - unit
    length = np.linalg.norm(STAIN_VECTORS, axis=1)
    spread = np.sqrt((across**2).sum(axis=2).mean(axis=0))
    assert spread == pytest.approx(np.sqrt(2) * 0.05 * variation / length, rel=0.06)


def test_looks_stay_possible_at_any_variation():
    for look in looks(30.0, 50):
        assert np.linalg.norm(look.stain_vectors, axis=1) == pytest.approx([1, 1])
        assert look.stain_vectors.min() > 0
        assert ((look.white >= 0.85) & (look.white <= 0.99)).all()
    whites = np.array([look.white for look in looks(30.0, 50)])
    assert (whites.min(), whites.max()) == (0.85, 0.99)


USUAL = draw_look(np.random.default_rng(0), 0.0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("white", np.array([0.9, 0.0, 0.9])),
        ("white", np.ones(2)),
        ("concentration", np.array([1.0, -1.0])),
        ("stain_vectors", np.ones((3, 2))),
        ("spacing", 0.0),
        ("blur_um", -0.1),
        ("photons", float("nan")),
    ],
)
def test_an_impossible_look_is_refused_by_name(key, value):
    fields = {name: getattr(USUAL, name) for name in SlideLook.__dataclass_fields__}
    with pytest.raises(CohortError, match=f"{key} of a slide look"):
        SlideLook(**fields | {key: value})
    SlideLook(**fields | {"sharpening": 0.0})
