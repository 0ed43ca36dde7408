"""What the readers of annotation files share: outlines in level-0 pixels, what their groups mean, and notes."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Self, TypeAlias

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.errors import SlideError, StudyError, shown
from saliency_stats.typing import BoolArray, Float64Array

#: Groups (ASAP) and classes (QuPath) of tumour. CAMELYON16 writes ``_0`` and ``_1``, in its test set ``Tumor``;
#: CAMELYON17 writes ``metastases``; ``Tumor`` is QuPath's own name. Case does not matter.
TUMOUR_GROUPS: Final = ("_0", "_1", "Tumor", "Tumour", "Metastasis", "Metastases")
#: Groups and classes that are cut out of the tumour wherever they lie: ``_2`` and ``Exclusion`` in CAMELYON16,
#: ``normal`` in CAMELYON17, ``Ignore*`` (with its asterisk) in QuPath.
EXCLUDE_GROUPS: Final = ("_2", "Exclusion", "Exclude", "Normal", "Ignore*")

#: No slide has so many pixels along a side; beyond it areas lose their last digits, and then overflow.
MAX_PX: Final = 1e9
#: Characters of a name that a message shows.
_SHOWN: Final = 60

Role: TypeAlias = Literal["tumour", "exclude", "ignore"]
Ring: TypeAlias = Float64Array


def normalised(name: str) -> str:
    """Write a name as it is compared: without regard to case, to spaces, and to how accents are encoded."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


@dataclass(frozen=True)
class Groups:
    """What the names of groups and classes mean; compared as :func:`normalised`.

    Parameters
    ----------
    tumour, exclude
        Names of tumour, and of what is cut out of it.
    ignore
        Names of what is neither.

    Raises
    ------
    StudyError
        If a name has two meanings.
    """

    tumour: Sequence[str] = TUMOUR_GROUPS
    exclude: Sequence[str] = EXCLUDE_GROUPS
    ignore: Sequence[str] = ()

    def __post_init__(self) -> None:
        roles = (self.tumour, self.exclude, self.ignore)
        names = [name for meant in roles for name in {normalised(n) for n in meant}]
        for name in names:
            if names.count(name) > 1:
                raise StudyError(
                    f"cohort.annotation_groups gives the group {name!r} two meanings; expected one of tumour, exclude, "
                    f"ignore. Delete it from the others"
                )

    @classmethod
    def given(cls, names: Mapping[str, Sequence[str]], classes: Classes = USUAL_CLASSES) -> Self:
        """Complete the names of a study (key ``cohort.annotation_groups``) by the usual ones.

        A role that the study leaves out keeps its usual names, but for those to which the study gives another role.
        To the usual ones belong the words of the study's classes: what the second is called is tumour, the first is
        cut out of it.

        Raises
        ------
        StudyError
            If a class is called as annotations of the other are.
        """
        named = {normalised(name) for meant in names.values() for name in meant}
        usual = {"exclude": EXCLUDE_GROUPS, "tumour": TUMOUR_GROUPS}
        words = dict(zip(usual, classes.stated_words, strict=True))
        known = {normalised(name): role for role, meant in usual.items() if role not in names for name in meant}
        turned = [
            word
            for role, meant in words.items()
            for word in meant
            if normalised(word) not in named and known.get(normalised(word), role) != role
        ]
        if turned:
            raise StudyError(
                f"cohort.classes: {', '.join(map(shown, turned))}: annotations of this name are usually of the other "
                "class; expected the class of tumour second, and the other first. Change their order, or say in "
                "cohort.annotation_groups what the name means"
            )
        kept = {
            role: tuple({normalised(name): name for name in (*words[role], *meant)}.values())
            for role, meant in usual.items()
        }
        kept = {role: tuple(name for name in meant if normalised(name) not in named) for role, meant in kept.items()}
        return cls(**(kept | {role: tuple(meant) for role, meant in names.items()}))

    def role(self, names: Sequence[str]) -> Role | None:
        """Look up the first known name of a group and those around it, from the inside out; None if all are unknown."""
        roles: dict[str, Role] = {normalised(name): "ignore" for name in self.ignore}
        roles |= {normalised(name): "exclude" for name in self.exclude}
        roles |= {normalised(name): "tumour" for name in self.tumour}
        return next((roles[name] for name in map(normalised, names) if name in roles), None)

    def lines(self) -> tuple[str, ...]:
        """Say which names count as what, a line per role that has any."""
        roles = {
            "tumour": self.tumour,
            "excluded (cut out of the tumour)": self.exclude,
            "ignored": self.ignore,
        }
        return tuple(f"{role}: {', '.join(names)}" for role, names in roles.items() if names)


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


def checked_ring(table: Float64Array, name: str) -> Ring:
    """Refuse positions that no slide has with ``SlideError``, naming the outline and the first of them."""
    far = ~(np.abs(table) <= MAX_PX)
    if far.any():
        raise SlideError(
            f"annotation {name}: a coordinate is {table[far][0]:g}; expected level-0 pixels, finite and at most "
            f"{MAX_PX:g}. Export the outlines again, or delete this one"
        )
    return table


@dataclass
class Notes:
    """What happened to which outlines; one line per reason, since a file may hold thousands of outlines.

    ``consulted`` holds all names of groups and classes that were looked up, :func:`normalised`; ``counts`` how many
    objects are of a class (as the file spells it) with a meaning.
    """

    consulted: set[str] = field(default_factory=set)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        """Note one outline."""
        self._names.setdefault(reason, []).append(name)

    def found(self, names: Sequence[str], meaning: str) -> None:
        """Count an object by its class (the first name; the others are what it is looked up by) and its meaning."""
        self.consulted.update(map(normalised, names))
        key = (shown(names[0]) if names else "without class", meaning)
        self.counts[key] = self.counts.get(key, 0) + 1

    def lines(self) -> tuple[str, ...]:
        """Write a line per reason: how many outlines, and the first three of them."""
        return tuple(
            f"{len(names)} × {reason}: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"  # noqa: PLR2004
            for reason, names in self._names.items()
        )


def listed_classes(counts: Mapping[tuple[str, str], int], most: int = 10) -> str:
    """List classes, each with its number of objects and what it means: the ``counts`` of :class:`Notes`."""
    told = [f"{name} ({number} × {meaning})" for (name, meaning), number in counts.items()]
    more = f" and {len(told) - most} more" if len(told) > most else ""
    return f"{', '.join(told[:most])}{more}" or "none (the file holds no object)"


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
