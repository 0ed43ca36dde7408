"""The report needs no torch: it is drawn on machines that only hold a run's tables."""

import subprocess
import sys


def test_the_report_does_not_import_torch() -> None:
    code = "import sys, saliency_stats.report; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
