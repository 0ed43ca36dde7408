"""The figures of a report, each drawn from a finished run."""
