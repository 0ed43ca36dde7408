"""CAMELYON16 in its public bucket: which slides there are, and which of them to take."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final, TypeVar

from saliency_stats.errors import DownloadError, StudyError
from saliency_stats.fetching.bucket import Listed, checksums, list_bucket, remote
from saliency_stats.fetching.transfer import Client, Remote

#: AWS Open Data, https://registry.opendata.aws/camelyon (CC0).
BUCKET: Final = "https://camelyon-dataset.s3.us-west-2.amazonaws.com"
#: Slides whose tumour is not outlined everywhere (and one that is a copy): as benign patches their unmarked tumour
#: would be labelled wrongly. The longest of the lists in use by those who work with the data.
PARTLY_ANNOTATED: Final = frozenset(
    f"tumor_{number:03d}"
    for number in (10, 15, 18, 20, 25, 29, 33, 34, 44, 46, 51, 54, 55, 56, 67, 79, 85, 92, 95, 110)
) | {"test_049", "test_114"}

_PREFIX: Final = "CAMELYON16/"
_SUMS: Final = f"{_PREFIX}checksums.md5"
_IMAGE: Final = re.compile(rf"{_PREFIX}images/((normal|tumor|test)_\d+)\.tif")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Slide:
    """A slide of the bucket.

    Parameters
    ----------
    slide_id
        ``normal_…`` and ``tumor_…`` are of the challenge's training set, ``test_…`` of its test set.
    image
        The pyramidal TIFF.
    annotation
        ASAP XML with the outlines of tumour; none where there is no tumour.
    """

    slide_id: str
    image: Remote
    annotation: Remote | None

    @property
    def split(self) -> str:
        """The challenge's own split."""
        return "test" if self.slide_id.startswith("test_") else "train"

    @property
    def tumour(self) -> bool:
        """Whether the slide has tumour: training slides say so by name, test slides by having outlines."""
        return self.slide_id.startswith("tumor_") or (self.split == "test" and self.annotation is not None)

    @property
    def left_out(self) -> str:
        """Why the slide is not used; empty if it is."""
        if self.slide_id in PARTLY_ANNOTATED:
            return "tumour not outlined everywhere, or a copy"
        return "tumour without outlines" if self.tumour and self.annotation is None else ""

    def files(self, folder: Path, *, annotations: bool) -> list[tuple[Remote, Path]]:
        """Where the slide's files come from, and where they go below ``folder``."""
        files = [(self.image, folder / "images" / f"{self.slide_id}.tif")]
        if annotations and self.annotation is not None:
            files.append((self.annotation, folder / "annotations" / f"{self.slide_id}.xml"))
        return files


def find_slides(client: Client, url: str = BUCKET) -> list[Slide]:
    """List the slides of the bucket.

    Raises
    ------
    DownloadError
        If the bucket cannot be reached or holds no slide.
    """
    listed = {file.key: file for file in list_bucket(client, url, _PREFIX)}
    sums = checksums(client, url, listed[_SUMS], _PREFIX) if _SUMS in listed else {}

    def of(file: Listed | None) -> Remote | None:
        return None if file is None else remote(url, file, sums)

    slides = [
        Slide(match[1], remote(url, file, sums), of(listed.get(f"{_PREFIX}annotations/{match[1]}.xml")))
        for key, file in listed.items()
        if (match := _IMAGE.fullmatch(key))
    ]
    if not slides:
        raise DownloadError(
            f"{url} lists {len(listed)} files below {_PREFIX}, none of them a slide; expected "
            f"{_PREFIX}images/normal_001.tif and the like. Is the address that of the bucket?"
        )
    return slides


def choose(slides: Sequence[Slide], n: int | None = None) -> list[Slide]:
    """Choose slides so that any number of them is balanced.

    Slides with and without tumour alternate, and in each class slides of the training and the test split, in the
    order of the listing; so ``n`` slides are the first ``n`` of any larger choice. When one kind is used up, the other
    continues.

    Parameters
    ----------
    slides
        All slides; those with a reason in ``left_out`` are skipped.
    n
        How many; without it all.

    Raises
    ------
    StudyError
        If there are fewer than ``n``.
    """
    usable = [slide for slide in slides if not slide.left_out]
    classes = [
        _take_turns(*([s for s in usable if s.tumour == tumour and s.split == split] for split in ("train", "test")))
        for tumour in (True, False)
    ]
    ordered = _take_turns(*classes)
    if n is not None and n > len(ordered):
        raise StudyError(f"--slides {n}: the bucket has {len(ordered)} usable slides; leave --slides out to take all")
    return ordered[:n]


def _take_turns(*sequences: Sequence[Item]) -> list[Item]:
    turns = chain.from_iterable(zip_longest(*sequences))
    return [item for item in turns if item is not None]
