"""Keys of a study file that name slides or classes must name some that are there (pure)."""

import difflib
import fnmatch
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from saliency_stats.cohort.slides.annotation import AnnotationFile
from saliency_stats.cohort.slides.outlines import EXCLUDE_GROUPS, TUMOUR_GROUPS, listed_classes, normalised
from saliency_stats.errors import StudyError, shown

_MOST = 10


def check_overrides(mpp_override: Mapping[str, float], slide_ids: Sequence[str]) -> None:
    """Refuse patterns of ``cohort.mpp_override`` that fit no slide with ``StudyError``, naming all of them."""
    idle = [pattern for pattern in mpp_override if not any(fnmatch.fnmatchcase(one, pattern) for one in slide_ids)]
    if idle:
        near = difflib.get_close_matches(idle[0], slide_ids, 1)
        raise StudyError(
            f"cohort.mpp_override names {_listed(idle)}, which fits no slide; the list has {_listed(slide_ids)}. "
            f"Correct the pattern (* stands for any text, and case matters), or delete it"
            + (f". Did you mean {shown(near[0])}?" if near else "")
        )


def check_groups(groups: Mapping[str, Sequence[str]], files: Sequence[AnnotationFile], *, complete: bool) -> None:
    """Refuse names of ``cohort.annotation_groups`` that no annotation holds with ``StudyError``, naming all of them.

    Names that are usual anyway may be there for other slides.

    Parameters
    ----------
    complete
        Whether all annotations could be read; if not, the names may be in the others.
    """
    usual = {normalised(name) for name in (*TUMOUR_GROUPS, *EXCLUDE_GROUPS)}
    there = set().union(*(file.notes.consulted for file in files))
    named = [name for names in groups.values() for name in names]
    idle = [name for name in named if normalised(name) not in there | usual]
    if not idle or not complete:
        return
    if not files:
        raise StudyError(
            f"cohort.annotation_groups names {_listed(idle)}, but no slide of the list has an annotation. Fill in its "
            f"column 'annotation', or delete the key"
        )
    counts: Counter[tuple[str, str]] = Counter()
    for file in files:
        counts.update(file.notes.counts)
    near = difflib.get_close_matches(normalised(idle[0]), sorted(there), 1)
    raise StudyError(
        f"cohort.annotation_groups names {_listed(idle)}, which is in no annotation; found are "
        f"{listed_classes(counts)} in {len(files)} file(s). Correct the name, or delete it"
        + (f". Did you mean {shown(near[0])}?" if near else "")
    )


def _listed(names: Iterable[str]) -> str:
    told = [shown(name) for name in names]
    return ", ".join(told[:_MOST]) + (f" and {len(told) - _MOST} more" if len(told) > _MOST else "")
