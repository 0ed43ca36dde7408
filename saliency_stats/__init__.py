"""Quantitative analysis of where classifiers of H&E patches look: nucleus, cytoplasm, or stroma."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saliency_stats.study import Run, Study

__all__ = ["Run", "Study"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; `saliency-stats --help` and the statistics do without
    if name in __all__:
        from saliency_stats import study  # noqa: PLC0415

        return getattr(study, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
