"""The report room: a finished run's tables become figures, tables for a paper, and one page to read."""

from saliency_stats.report.explain import explain_figure
from saliency_stats.report.read import read_run
from saliency_stats.report.run import RunTables
from saliency_stats.report.write import write_report

__all__ = ["RunTables", "explain_figure", "read_run", "write_report"]
