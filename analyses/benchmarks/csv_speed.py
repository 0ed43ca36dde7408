"""How fast tables are written as CSV: by Arrow, as the store does, against pandas' ``to_csv``. The bytes must be equal.

    OMP_NUM_THREADS=1 python analyses/benchmarks/csv_speed.py reports/RUN

Takes the largest tables of a finished run. Seconds are of the processor, so that what else runs does not count.
"""

import argparse
import time
from pathlib import Path

from saliency_stats.execution.csv_text import csv_pieces
from saliency_stats.execution.store import Store

TABLES = ("ledger", "predictions", "nuclei", "shift", "ablation")


def main() -> None:
    """Write each table both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    for name in TABLES:
        table = Store(run).table(name)
        began = time.process_time()
        ours = b"".join(csv_pieces(table))
        between = time.process_time()
        theirs = table.to_csv(index=False, lineterminator="\n").encode()
        taken = between - began, time.process_time() - between
        assert ours == theirs, name
        print(
            f"{name}: {len(table):,} rows, {len(ours) / 1e6:.0f} MB; pandas {taken[1]:.1f} s, ours {taken[0]:.1f} s, "
            f"{taken[1] / taken[0]:.1f} times as fast"
        )


if __name__ == "__main__":
    main()
