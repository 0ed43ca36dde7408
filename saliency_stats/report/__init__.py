"""A finished run, and what it becomes: figures, tables for a paper, and one page to read."""

from saliency_stats.report.run import Run

__all__ = ["Run"]
