"""Quantitative analysis of where classifiers of H&E patches look: nucleus, cytoplasm, or stroma."""

from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saliency_stats.study import Run, Study

__all__ = ["Run", "Study"]
try:
    #: Of the tag or commit that was installed; an installation with ``-e`` keeps it until it is installed again.
    __version__ = metadata.version("saliency-stats")
except metadata.PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+not.installed"


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; `saliency-stats --help` and the statistics do without
    if name in __all__:
        from saliency_stats import study  # noqa: PLC0415

        return getattr(study, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
