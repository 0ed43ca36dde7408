"""The report needs no torch: it is drawn on machines that only hold a run's tables."""

import re
import subprocess
import sys
from pathlib import Path

import saliency_stats.report


def test_the_report_does_not_import_torch() -> None:
    code = "import sys, saliency_stats.report; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_the_runs_folder_reads_its_files() -> None:
    """Everyone else asks it; the calibration study ships with the package and is no part of a run."""
    report = Path(saliency_stats.report.__file__).parent
    reading = re.compile(r"^\s*import (json|yaml)|read_csv|read_parquet|read_json|read_arrays", re.MULTILINE)
    found = {path.name for path in report.rglob("*.py") if reading.search(path.read_text(encoding="utf-8"))}
    assert found == {"folder.py", "calibration.py"}
