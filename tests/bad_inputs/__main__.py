"""Make bad inputs, give them to the command line, and say how they were taken: ``python tests/bad_inputs --seed 0``."""
# ruff: noqa: S311, T201  (what is drawn is no secret; this prints)

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

# before NumPy and torch are loaded: children share the cores
os.environ.setdefault("OMP_NUM_THREADS", "1")

import annotations
import images
import lists
import runs
import values
import weights
from case import OUTCOMES, Area, Judged
from sandbox import Sandbox

AREAS: list[Area] = [*values.areas(), *lists.areas(), annotations.AREA, images.AREA, weights.AREA, runs.AREA]


def main() -> int:
    """Draw, run and judge; returns the exit status."""
    parser = argparse.ArgumentParser(prog="bad_inputs", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    parser.add_argument("--each", type=int, default=40, help="cases per area")
    parser.add_argument("--area", help="only areas whose name holds this")
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    parser.add_argument("--limit", type=float, default=90, metavar="S", help="seconds after which a case hangs")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work in this folder, and leave what failed there")
    asked = parser.parse_args()
    chosen = [area for area in AREAS if (asked.area or "") in area.name]
    with tempfile.TemporaryDirectory(prefix="bad-inputs-") as folder:
        sandbox = Sandbox(asked.keep or Path(folder), limit=asked.limit, keep=asked.keep is not None)
        found = {area.name: _area(area, asked, sandbox) for area in chosen}
    _tell(found)
    return int(any(one.outcome != "well" for judged in found.values() for one in judged))


def _area(area: Area, asked: argparse.Namespace, sandbox: Sandbox) -> list[Judged]:
    judged = []
    # areas are drawn each by itself: the cases of one are the same whichever others are asked for
    for at, bad in enumerate(area.draw(Random(f"{asked.seed} {area.name}"), asked.each)):
        if asked.only not in bad.name:
            continue
        one = sandbox.judged(bad, f"{asked.seed} {area.name} {at}", f"{area.name.strip('-')}-{at:03}")
        judged.append(one)
        print(f"{one.outcome:9} {one.ended.seconds:5.1f} s  {area.name}: {bad.name}", flush=True)
    return judged


def _tell(found: dict[str, list[Judged]]) -> None:
    lines = ["", f"{'':24}{'cases':>8}" + "".join(f"{name:>11}" for name in OUTCOMES)]
    total: Counter[str] = Counter()
    for name, judged in found.items():
        counts = Counter(one.outcome for one in judged)
        total += counts
        lines.append(f"{name:24}{len(judged):>8}" + "".join(f"{counts[outcome]:>11}" for outcome in OUTCOMES))
    n = sum(total.values())
    lines.append(f"{'all':24}{n:>8}" + "".join(f"{total[outcome]:>11}" for outcome in OUTCOMES))
    lines.append(f"taken well: {total['well']} of {n} ({total['well'] / max(n, 1):.1%})")
    for outcome in OUTCOMES[1:]:
        failed = [(name, one) for name, judged in found.items() for one in judged if one.outcome == outcome]
        if failed:
            lines += ["", f"{outcome}:"]
        for name, one in failed:
            said = next(iter(one.ended.stderr.strip().splitlines()), "")
            if "not foreseen" in one.ended.stderr:
                said = next(line for line in one.ended.stderr.splitlines() if "not foreseen" in line)
            command = " ".join(one.args)
            lines += [f"  {name}: {one.bad.name}", f"      {_cut(command, 150)}"]
            lines += [f"      {_cut(part, 220)}" for part in (one.why, said) if part]
    print("\n".join(lines))


def _cut(text: str, most: int) -> str:
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return text if len(text) <= most else f"{text[:most]}…"


if __name__ == "__main__":
    sys.exit(main())
