"""``kill -9`` at five random moments, then a damaged batch, then the same command: the bytes of an undisturbed run."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

#: Loads everything once; then each line names a folder and an event, and a process of its own runs the study there. The
#: process ends itself, as `kill -9` would, at the event of that number: events are whatever is done to files in the
#: folder, so a moment is the same on every machine. At event 0 nobody is killed, and the number of events is told.
SERVER = """
import os, signal, sys
from pathlib import Path
from saliency_stats import Study
from saliency_stats.execution.progress import Progress
from saliency_stats.report import write
from torchvision import models

small = lambda weights=None, num_classes=2: models.DenseNet(4, (1, 1, 1, 1), 8, 2, num_classes=num_classes)
models.densenet121 = small
write.write_report = lambda run: (run.folder / "report.html").write_text("drawn")
study = sys.argv[1]


def run(out, last):
    seen = 0

    def look(event, arguments):
        nonlocal seen
        if event in {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir"} and str(arguments[0]).startswith(out):
            seen += 1
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    Study.from_yaml(study).run(out, workers=1, progress=Progress(show=False))
    print(seen, flush=True)
    os._exit(0)


print("ready", flush=True)
for line in sys.stdin:
    out, last = line.rsplit(" ", 1)
    child = os.fork()
    if child == 0:
        run(out, int(last))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
STUDY = """\
name: killed
cohort: {kind: phantom, slides: 6, patches_per_slide: 4, size_px: 64}
classifier: {architecture: densenet121, epochs: 2, batch_size: 8, min_balanced_accuracy: 0.5}
saliency: {min_confidence: 0.5, batch_size: 2}
compartments: {nuclei: truth}
causal: {replacements: []}
controls: [randomised]
statistics: {bootstrap_draws: 2000, min_slides: 2}
report: {examples: 1}
"""
SEED = 18


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Runs the study in a folder up to an event; returns the exit status, and the number of events of a whole run."""
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("NOT TESTED: kill -9; this system has no such signal and no fork")
    path = tmp_path_factory.mktemp("killed") / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER, path], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout.readline() == "ready\n"

        def run(out: Path, last: int = 0) -> tuple[int, int]:
            server.stdin.write(f"{out} {last}\n")
            server.stdin.flush()
            lines = [server.stdout.readline()]
            if last == 0 and not lines[0].startswith("-"):
                lines.append(server.stdout.readline())
            return int(lines[-1]), int(lines[0])

        yield run
        server.stdin.close()


def computed(out: Path) -> dict[str, bytes]:
    kept = [path for path in out.rglob("*") if path.suffix in {".csv", ".npz", ".safetensors"}]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in [*kept, out / "verdict.json"]}


@pytest.fixture(scope="module")
def undisturbed(command, tmp_path_factory):
    """A run that nobody disturbs, and the number of its events."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    status, events = command(out)
    assert status == 0
    assert events > 100
    return out, events


def test_killed_five_times_and_damaged_it_ends_with_the_same_bytes(command, undisturbed, tmp_path):
    whole, events = undisturbed
    out, rng = tmp_path / "killed", np.random.default_rng(SEED)
    # what is finished is not done again, so a run that goes on has fewer events
    for moment in rng.integers(1, events // 2, 5):
        assert command(out, int(moment))[0] == -signal.SIGKILL, moment
    batches = sorted(out.glob("work/batches/[0-9]*/ledger.parquet"))
    assert batches
    content = batches[0].read_bytes()
    batches[0].write_bytes(content[: rng.integers(len(content))])
    assert command(out)[0] == 0
    assert computed(out) == computed(whole)
    assert not list(out.rglob("*.partial"))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_killed_once_anywhere(command, undisturbed, tmp_path, share):
    """Where nothing is known of the study yet, while it measures, and when it has all but ended."""
    whole, events = undisturbed
    out = tmp_path / "killed"
    assert command(out, max(1, round(share * events)))[0] == -signal.SIGKILL
    assert command(out)[0] == 0
    assert computed(out) == computed(whole)
