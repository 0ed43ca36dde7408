"""The study file: its sections, and how it is read and written."""

from saliency_stats.settings.study import StudySettings, dump, load, parse

__all__ = ["StudySettings", "dump", "load", "parse"]
