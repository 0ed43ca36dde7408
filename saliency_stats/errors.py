"""One error family: every message names the thing, what was found, what was expected, and the remedy."""


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


class ReportError(SaliencyStatsError):
    """A report cannot be drawn from what the run's folder holds."""


class DownloadError(SaliencyStatsError):
    """Weights or public data cannot be fetched, or are not what was announced."""
