"""The same tissue locations at several magnifications: where on a slide patches are taken (pure)."""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from saliency_stats.cohort.slides.geometry import MPP_OF_1X
from saliency_stats.errors import StudyError
from saliency_stats.typing import Float64Array, IndexArray
from saliency_stats.vocabulary import LABELS

#: Float64Array that are considered for each that would fit on a grid of the spacing, and at most.
_DARTS: Final = 8
_MOST_PLACES: Final = 400_000
_ROUNDING: Final = 1e-9
_BENIGN, _MALIGNANT = LABELS


class Shares(Protocol):
    """Tells which share of squares is tissue, or annotated tumour."""

    def shares(self, centres_um: Float64Array, side_um: float) -> Float64Array:
        """Return shares (N,) of squares of one side around (N, 2) points (y, x)."""
        ...


@dataclass(frozen=True)
class TilingParameters:
    """Where patches are taken, and what they are called.

    Parameters
    ----------
    size_px
        Side of a patch at every magnification.
    magnifications
        At which each location is read; 10 / magnification µm per pixel.
    per_slide
        Locations of a slide at most, half of them of each class where both occur.
    min_tissue
        Least share of tissue in the field of the finest magnification.
    central_um
        Side of the central region that decides the label; None takes the field of the finest magnification.
    min_tumour, max_tumour
        Share of annotated tumour in the central region from which on a location is malignant, up to which it is
        benign. What lies between is ambiguous and not taken.
    sampling
        "poisson": blue noise, no two locations nearer than ``spacing_um``; "grid": a grid of that spacing.
    spacing_um
        None takes the field of the finest magnification: there patches do not overlap.

    Raises
    ------
    StudyError
        If the magnifications are not multiples of each other, or a number is out of range.
    """

    size_px: int = 256
    magnifications: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0)
    per_slide: int = 50
    min_tissue: float = 0.5
    central_um: float | None = None
    min_tumour: float = 0.75
    max_tumour: float = 0.0
    sampling: Literal["poisson", "grid"] = "poisson"
    spacing_um: float | None = None

    def __post_init__(self) -> None:
        if not self.magnifications or len(set(self.magnifications)) < len(self.magnifications):
            raise StudyError(f"cohort.magnifications is {list(self.magnifications)}; expected at least one, each once")
        finest = max(self.magnifications)
        for one in self.magnifications:
            if one <= 0 or abs(finest / one - round(finest / one)) > 1e-9:  # noqa: PLR2004 - rounding
                raise StudyError(
                    f"cohort.magnifications: {finest:g}× is no whole multiple of {one:g}×; compartments are carried "
                    f"down by averaging whole pixels. Choose for example 5, 10, 20 and 40"
                )
        if self.max_tumour >= self.min_tumour:
            raise StudyError(
                f"cohort.max_tumour is {self.max_tumour:g} and cohort.min_tumour {self.min_tumour:g}; expected the "
                f"share of tumour in benign patches below that in malignant ones"
            )

    @property
    def mpps(self) -> tuple[float, ...]:
        """µm per pixel of the magnifications, in their order."""
        return tuple(MPP_OF_1X / one for one in self.magnifications)

    @property
    def finest_um(self) -> float:
        """Side of the field of the finest magnification."""
        return self.size_px * min(self.mpps)

    @property
    def spacing(self) -> float:
        """Least distance of two locations, in µm."""
        return self.spacing_um or self.finest_um

    @property
    def widest_um(self) -> float:
        """Side of the field of the coarsest magnification."""
        return self.size_px * max(self.mpps)


@dataclass(frozen=True, eq=False)
class Locations:
    """Where a slide is looked at.

    ``centres_um`` (N, 2) are middles (y, x), ``labels`` (N,) their classes. Of the places considered ``n_tissue`` are
    tissue, of which ``n_ambiguous`` have an ambiguous share of tumour.
    """

    centres_um: Float64Array
    labels: NDArray[np.str_]
    n_tissue: int
    n_ambiguous: int


def sample_locations(
    height_um: float,
    width_um: float,
    tissue: Shares,
    tumour: Shares | None,
    parameters: TilingParameters,
    rng: np.random.Generator,
) -> Locations:
    """Choose the locations of one slide.

    Parameters
    ----------
    height_um, width_um
        Of the slide. The field of the coarsest magnification lies inside it.
    tumour
        Its annotated tumour; None on a slide without any, where all tissue is benign.

    Returns
    -------
    Locations
        Sorted by position; none where the slide is too small or empty.
    """
    places = _places(height_um, width_um, parameters, rng)
    places = places[tissue.shares(places, parameters.finest_um) >= parameters.min_tissue] if len(places) else places
    central = parameters.central_um or parameters.finest_um
    share = np.zeros(len(places)) if tumour is None or not len(places) else tumour.shares(places, central)
    labels = np.where(share >= parameters.min_tumour, _MALIGNANT, np.where(share <= parameters.max_tumour, _BENIGN, ""))
    chosen = _balanced(_apart(places, labels, parameters), parameters.per_slide)
    chosen = chosen[np.lexsort(places[chosen].T[::-1])]
    return Locations(places[chosen], labels[chosen], len(places), int((labels == "").sum()))


def _places(height_um: float, width_um: float, parameters: TilingParameters, rng: np.random.Generator) -> Float64Array:
    """Consider the part of the slide in which the coarsest field fits: a grid, or points anywhere, in random order."""
    margin, spacing = parameters.widest_um / 2, parameters.spacing
    extent = np.array([height_um, width_um]) - 2 * margin
    if (extent < 0).any():
        return np.empty((0, 2))
    counts = np.floor(extent / spacing).astype(int) + 1
    if parameters.sampling == "poisson":
        return np.asarray(margin + extent * rng.random((min(_MOST_PLACES, _DARTS * int(counts.prod())), 2)))
    # a grid that starts anywhere: one at the corner would always cut the tissue alike
    offset = rng.random(2) * (extent - (counts - 1) * spacing)
    axes = [start + spacing * np.arange(n) for start, n in zip(offset, counts, strict=True)]
    return np.asarray(margin + rng.permutation(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)))


def _apart(places: Float64Array, labels: NDArray[np.str_], parameters: TilingParameters) -> list[IndexArray]:
    """Take, malignant first, places that are no nearer than the spacing to one taken before.

    Dart throwing (Cook 1986, *ACM Transactions on Graphics* 5, 51-72): blue noise, without the work of filling a slide.
    """
    taken = np.empty((0, 2))
    nearest = (parameters.spacing * (1 - _ROUNDING)) ** 2
    pools = []
    for label in (_MALIGNANT, _BENIGN):
        pool: list[int] = []
        for place in np.flatnonzero(labels == label):
            if len(pool) == parameters.per_slide:
                break
            if (((taken - places[place]) ** 2).sum(axis=1) >= nearest).all():
                pool.append(int(place))
                taken = np.vstack([taken, places[place]])
        pools.append(np.array(pool, dtype=np.intp))
    return pools


def _balanced(pools: list[IndexArray], n: int) -> IndexArray:
    """Take at most n places, half of each class where there are enough, and fill up with the other."""
    first = min(len(pools[0]), n - min(len(pools[1]), n // 2))
    return np.concatenate([pools[0][:first], pools[1][: n - first]])
