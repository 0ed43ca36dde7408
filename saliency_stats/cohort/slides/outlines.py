"""What the readers of annotation files share: outlines in level-0 pixels, what their groups mean, and notes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from saliency_stats.errors import SlideError
from saliency_stats.typing import BoolArray, Float64Array

#: Groups (ASAP) and classes (QuPath) of tumour. CAMELYON16 writes ``_0`` and ``_1``, in its test set ``Tumor``;
#: CAMELYON17 writes ``metastases``; ``Tumor`` is QuPath's own name. Case does not matter.
TUMOUR_GROUPS: Final = ("_0", "_1", "Tumor", "Tumour", "Metastasis", "Metastases")
#: Groups and classes that are cut out of the tumour wherever they lie: ``_2`` and ``Exclusion`` in CAMELYON16,
#: ``normal`` in CAMELYON17, ``Ignore*`` (with its asterisk) in QuPath.
EXCLUDE_GROUPS: Final = ("_2", "Exclusion", "Exclude", "Normal", "Ignore*")

Role: TypeAlias = Literal["tumour", "exclude", "ignore"]
Ring: TypeAlias = Float64Array


@dataclass(frozen=True)
class Groups:
    """What the names of groups and classes mean; compared without regard to case.

    Parameters
    ----------
    tumour, exclude
        Names of tumour, and of what is cut out of it.
    ignore
        Names of what is neither.

    Raises
    ------
    SlideError
        If a name has two meanings.
    """

    tumour: Sequence[str] = TUMOUR_GROUPS
    exclude: Sequence[str] = EXCLUDE_GROUPS
    ignore: Sequence[str] = ()

    def __post_init__(self) -> None:
        names = [name for meant in (self.tumour, self.exclude, self.ignore) for name in {n.casefold() for n in meant}]
        for name in names:
            if names.count(name) > 1:
                raise SlideError(
                    f"cohort.annotation_groups gives the group {name!r} two meanings; expected one of tumour, exclude, "
                    f"ignore. Delete it from the others"
                )

    def role(self, names: Sequence[str]) -> Role | None:
        """Look up the first known name of a group and those around it, from the inside out; None if all are unknown."""
        roles: dict[str, Role] = {name.casefold(): "ignore" for name in self.ignore}
        roles |= {name.casefold(): "exclude" for name in self.exclude}
        roles |= {name.casefold(): "tumour" for name in self.tumour}
        return next((roles[name.casefold()] for name in names if name.casefold() in roles), None)


@dataclass(frozen=True, eq=False)
class Outline:
    """One polygon of a file.

    Parameters
    ----------
    name
        How the file calls it.
    exclude
        Whether it is cut out of the tumour instead of being part of it.
    rings
        The outer ring, then the holes: (N, 2) as (x, y) in level-0 pixels from the slide's upper left corner, as
        both programs write them.
    """

    name: str
    exclude: bool
    rings: tuple[Ring, ...]


@dataclass
class Notes:
    """What happened to which outlines; one line per reason, since a file may hold thousands of outlines."""

    _names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        """Note one outline."""
        self._names.setdefault(reason, []).append(name)

    def lines(self) -> tuple[str, ...]:
        """Write a line per reason: how many outlines, and the first three of them."""
        return tuple(
            f"{len(names)} × {reason}: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"  # noqa: PLR2004
            for reason, names in self._names.items()
        )


def to_pixels(area: BaseGeometry | None, mpp_y: float, mpp_x: float) -> BaseGeometry:
    """Turn a geometry in µm into one in level-0 pixels; None is an empty one."""
    mpp = np.array([mpp_x, mpp_y])
    return shapely.transform(Polygon() if area is None else area, lambda xy: xy / mpp)


def rasterise(
    area: BaseGeometry, shape: tuple[int, int], pixel_um: tuple[float, float], origin_um: tuple[float, float] = (0, 0)
) -> BoolArray:
    """Find the pixels whose centres lie inside an area.

    Parameters
    ----------
    area
        (Multi)polygon in µm, (x, y) inside of shapely.
    shape
        (H, W) of the mask.
    pixel_um
        (height, width) of a pixel.
    origin_um
        (y, x) of the upper left corner of the mask.
    """
    (height, width), (top, left) = (np.multiply(shape, pixel_um), origin_um)
    # few corners are left once the area is cut to the window, and the search takes pixels times corners
    cut = area.intersection(shapely.box(left, top, left + width, top + height))
    shapely.prepare(cut)
    y, x = (
        start + (np.arange(length) + 0.5) * px for start, length, px in zip(origin_um, shape, pixel_um, strict=True)
    )
    # row by row: a slide's worth of coordinates would not fit into memory
    return np.array([shapely.contains_xy(cut, x, row) for row in y], dtype=np.bool_).reshape(shape)
