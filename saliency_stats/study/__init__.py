"""A study from its file to a finished run: the stages in order, and what they conclude."""

from saliency_stats.report.run import Run
from saliency_stats.study.study import Study

__all__ = ["Run", "Study"]
