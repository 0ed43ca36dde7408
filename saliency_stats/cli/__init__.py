"""The command line: click only, no science."""

from saliency_stats.cli.app import main

__all__ = ["main"]
