"""The whole report of a run, from its folder into its folder."""

from collections.abc import Callable
from pathlib import Path

from saliency_stats.execution.files import write_text
from saliency_stats.report.checklist import checklist_table
from saliency_stats.report.explore import write_explore
from saliency_stats.report.figures.draw import draw_figures
from saliency_stats.report.html import render_html
from saliency_stats.report.ladder import ladder_tables
from saliency_stats.report.paper import write_paper
from saliency_stats.report.run import Run
from saliency_stats.report.tables.checks import check_tables
from saliency_stats.report.tables.contrasts import contrast_tables
from saliency_stats.report.tables.importance import importance_tables
from saliency_stats.report.tables.magnification import magnification_tables
from saliency_stats.report.tables.patches import patch_tables


def write_report(run: Run | Path, *, progress: Callable[[str], None] | None = None) -> Path:
    """Draw a finished run's figures, write its ``paper/``, ``explore.html`` and ``report.html``.

    Parameters
    ----------
    run
        The run, or its folder, as ``saliency-stats run`` leaves it.
    progress
        Told, in a few words, what is being done.

    Raises
    ------
    ReportError
        If a table is missing, cannot be read, or lacks a column.
    StorageError
        If the folder cannot be written.
    """
    run = run if isinstance(run, Run) else Run.read(run)
    figures = draw_figures(run, progress)
    tables = (
        *ladder_tables(run),
        *contrast_tables(run),
        *importance_tables(run),
        *check_tables(run),
        *magnification_tables(run),
        *patch_tables(run),
    )
    if progress is not None:
        progress("tables for a paper")
    write_paper(run, figures, (*tables, checklist_table(run)))
    if progress is not None:
        progress("explore.html")
    write_explore(run)
    if progress is not None:
        progress("report.html")
    page = run.folder / "report.html"
    write_text(page, render_html(run, figures, tables))
    return page
