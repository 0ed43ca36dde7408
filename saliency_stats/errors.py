"""One error family: every message names the thing, what was found, what was expected, and the remedy."""

from reprlib import Repr
from typing import Final


class SaliencyStatsError(Exception):
    """Anything this package refuses to do; the command line turns it into one message and an exit status."""

    exit_status = 1


class StudyError(SaliencyStatsError):
    """The study file or the command line is wrong (exit status 2)."""

    exit_status = 2


class CohortError(SaliencyStatsError):
    """The cohort as a whole cannot be used: its table, its labels, its splits."""


class SlideError(CohortError):
    """One slide cannot be opened or read, or does not know its pixel size; the other slides go on."""


class PatchError(SaliencyStatsError):
    """One patch cannot be used; the run excludes it with this reason and goes on."""


class ClassifierError(SaliencyStatsError):
    """Weights cannot be found or do not fit, or a classifier cannot be trained."""


class CompartmentError(SaliencyStatsError):
    """An image cannot be divided into compartments."""


class AttributionError(SaliencyStatsError):
    """Saliency and memberships do not fit together."""


class StatisticsError(SaliencyStatsError):
    """A table cannot be tested as asked."""


class StorageError(SaliencyStatsError):
    """A run's folder cannot be read, written, or belongs to another study."""


class WorkerError(SaliencyStatsError):
    """Workers in other processes cannot do the work, or die over it; what is finished stays."""


class ReportError(SaliencyStatsError):
    """A report cannot be drawn from what the run's folder holds."""


class DownloadError(SaliencyStatsError):
    """Weights or public data cannot be fetched, or are not what was announced."""


#: Longest text of a value in a message.
_LONGEST: Final = 120


def shown(value: object) -> str:
    """Write a value for a message as Python does, but never at length, whatever was given."""
    short = Repr()
    short.maxlevel, short.maxlist, short.maxdict, short.maxlong = 3, 6, 6, 40
    short.maxstring = short.maxother = _LONGEST
    try:
        text = short.repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        text = f"a value of the type {type(value).__name__}"
    if isinstance(value, str) and len(value) > _LONGEST:
        text = f"{text}, {len(value):,} characters"
    return shortened(text, 3 * _LONGEST)


def shortened(text: str, longest: int = 300) -> str:
    """Leave out the middle of a text that is too long for a message."""
    if len(text) <= longest:
        return text
    kept = (longest - 3) // 2
    return f"{text[:kept]}...{text[-kept:]}"


def listed(faults: list[str], at_most: int = 10) -> str:
    """Put faults into one message: one as it is; several a line each, the first ten and how many more."""
    if len(faults) == 1:
        return faults[0]
    more = [f"and {len(faults) - at_most} more"] if len(faults) > at_most else []
    return "\n  ".join([f"{len(faults)} faults:", *faults[:at_most], *more])
