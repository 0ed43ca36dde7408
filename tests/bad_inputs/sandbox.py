"""Where a bad input is made and a command is run on it: a child process in a folder of its own, watched."""
# ruff: noqa: S311  (what is drawn is no secret)

import importlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import base
from case import Bad, Ended, Judged, judge

from saliency_stats.cli import main

#: Loaded once here, so that no child has to.
_LOADED: Final = (
    "saliency_stats.commands.check",
    "saliency_stats.commands.explain",
    "saliency_stats.commands.segment",
    "saliency_stats.report.compare",
    "saliency_stats.report.power",
    "saliency_stats.report.write",
    "saliency_stats.report.explain",
    "saliency_stats.study.study",
    "matplotlib.pyplot",
    "pyarrow.parquet",
    "h5py",
    "tifffile",
)
#: Memory that a command may take beyond what it starts with: a bomb is seen, an import is not.
_MEMORY: Final = 6 << 30
_LARGEST_FILE: Final = 2 << 30
#: What of `check`'s output differs from one call to the next stands behind this.
_TIMED: Final = "estimated on this machine"
#: The commands that must work on a sound folder, else nothing is shown by their failing.
_SOUND: Final[dict[str, dict[str, Sequence[str]]]] = {
    "patches": {
        "check": ["check", "study.yaml"],
        "segment": ["segment", "patches/ward-11-0.png", "--mpp", "0.5", "--out", "out"],
    },
    "slides": {"check": ["check", "slides.yaml"]},
    "run": {
        "explain": ["explain", "out", base.PATCH],
        "power": ["power", "out", "--out", "planned"],
        "compare": ["compare", "out", "sound", "--out", "compared"],
    },
}
_COUNTS: Final = re.compile(r"study \w+: \d+ of|\s*[\d.]+\s+(train|valid|test)\s|\s*magnification\s+split")
_MAKERS: Final = {"patches": base.make_patches, "slides": base.make_slides, "run": base.make_run}


class Sandbox:
    """A folder for sound inputs and for cases.

    Parameters
    ----------
    limit
        Seconds after which a command is killed.
    keep
        Whether the folders of cases that failed stay.
    """

    def __init__(self, folder: Path, *, limit: float, keep: bool) -> None:
        self._folder, self._limit, self._keep = folder.resolve(), limit, keep
        self._case = self._folder / "case"
        self._tried: set[tuple[str, str]] = set()
        self._found: dict[str, str] = {}
        for name in _LOADED:
            importlib.import_module(name)
        base.small_networks()

    def judged(self, bad: Bad, start: str, name: str) -> Judged:
        """Make a bad input, run the command and judge it."""
        sound = self._sound(bad.base)
        work = self._fresh(sound)
        args = list(bad.make(work, Random(start)))
        before = _state(self._case)
        ended = self._run(args, work)
        ended.news = ended.stderr + self._news(bad, ended.stdout)
        ended.same = self._same(bad, args, work, ended)
        ended.outside = self._outside(work, before, ("out", *bad.writes))
        judged = judge(bad, args, ended)
        if self._keep and judged.outcome != "well":
            kept = self._folder / "failed" / name.replace(" ", "-").replace("/", "-")
            shutil.rmtree(kept, ignore_errors=True)
            shutil.move(self._case, kept)
        self._try(bad.base, args[0])
        return judged

    def _fresh(self, sound: Path | None = None) -> Path:
        """Copy a sound folder to where every case lies: a run knows the paths of its inputs.

        Paths that lead two folders up stay in the case's own folder, which is watched.
        """
        shutil.rmtree(self._case, ignore_errors=True)
        work = self._case / "some" / "where" / "work"
        work.parent.mkdir(parents=True)
        if sound is not None:
            shutil.copytree(sound, work, symlinks=True)
        for extra in ("elsewhere", "tmp", "home"):
            (self._case / extra).mkdir()
        (self._case / "elsewhere" / "bait.csv").write_text("path,label,mpp\n", encoding="utf-8")
        return work

    def _sound(self, name: str) -> Path:
        """Make a sound folder when it is first asked for, and try that it is sound."""
        folder = self._folder / "sound" / name
        if name not in self._found:
            shutil.rmtree(folder, ignore_errors=True)
            work = self._fresh()
            _MAKERS[name](work)
            if name == "run":
                self._demand(["run", "study.yaml", "--out", "out"], work)
                shutil.copytree(work / "out", work / "sound")
            shutil.copytree(work, folder)
            self._found[name] = ""
            if "check" in _SOUND[name]:
                self._found[name] = self._try(name, "check").split(_TIMED)[0]
        return folder

    def _try(self, name: str, command: str) -> str:
        """Run a command on a sound folder, once: one that fails there too would show nothing by failing."""
        if command not in _SOUND[name] or (name, command) in self._tried:
            return ""
        self._tried.add((name, command))
        return self._demand(_SOUND[name][command], self._fresh(self._folder / "sound" / name)).stdout

    def _demand(self, args: Sequence[str], work: Path) -> Ended:
        ended = self._run(args, work)
        if ended.status != 0:
            raise AssertionError(f"{' '.join(args)} fails on sound input, status {ended.status}:\n{ended.stderr}")
        return ended

    def _run(self, args: Sequence[str], work: Path) -> Ended:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=self._folder) as heard:
            streams = [Path(heard) / "stdout", Path(heard) / "stderr"]
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                try:
                    _command(args, work, streams)
                finally:
                    os._exit(70)
            status = _waited(child, self._limit)
            out, err = (path.read_text(encoding="utf-8", errors="backslashreplace") for path in streams)
        return Ended(status, out, err, time.monotonic() - began)

    def _same(self, bad: Bad, args: Sequence[str], work: Path, ended: Ended) -> bool:
        if args[0] == "check":
            return ended.stdout.split(_TIMED)[0] == self._found[bad.base]
        if args[0] == "run" and bad.base == "run":
            return _results(work / "out") == _results(self._folder / "sound" / "run" / "out")
        return False

    def _news(self, bad: Bad, stdout: str) -> str:
        """Leave out what is said of any input: words of the table of counts name nothing."""
        usual = set(self._found[bad.base].splitlines())
        lines = [line for line in stdout.splitlines() if line not in usual and not _COUNTS.match(line)]
        return "\n".join(lines)

    def _outside(self, work: Path, before: dict[Path, object], own: tuple[str, ...]) -> list[str]:
        after = _state(self._case)
        changed = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
        allowed = [work / name for name in own]
        return sorted(
            str(path.relative_to(self._case))
            for path in changed
            if not any(path == one or one in path.parents for one in allowed)
        )


def _state(case: Path) -> dict[Path, object]:
    """Say what lies in a folder, without following links; what a program keeps for itself is left out."""
    state: dict[Path, object] = {}
    for where, folders, files in os.walk(case):
        if Path(where) == case:
            folders[:] = [name for name in folders if name not in {"tmp", "home"}]
        for name in (*folders, *files):
            path = Path(where, name)
            about = path.lstat()
            # a folder's own time changes with what lies in it, which is listed itself
            state[path] = about.st_mode if path.is_dir() else (about.st_mode, about.st_size, about.st_mtime_ns)
    return state


def _results(run: Path) -> dict[str, object]:
    """Read what a finished run says; its record by its keys, since it holds times."""
    names = sorted([*run.glob("*.csv"), *run.glob("weights/*"), *run.glob("examples/*"), run / "verdict.json"])
    found: dict[str, object] = {str(path.relative_to(run)): path.read_bytes() for path in names if path.is_file()}
    try:
        found["manifest.json"] = sorted(json.loads((run / "manifest.json").read_bytes()))
    except (OSError, ValueError):
        found["manifest.json"] = None
    return found


def _waited(child: int, limit: float) -> int | None:
    """Wait for a process; None if it had to be killed, with all that it had started."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _command(args: Sequence[str], work: Path, streams: Sequence[Path]) -> None:
    """Be the command line: in the child, which ends here."""
    os.setsid()
    os.chdir(work)
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode, encoding="utf-8", errors="backslashreplace", closefd=False)
                                         for n, mode in ((0, "r"), (1, "w"), (2, "w")))  # fmt: skip
    home = work.parents[2]
    os.environ |= {"TMPDIR": str(home / "tmp"), "HOME": str(home / "home"), "XDG_CACHE_HOME": str(home / "home")}
    os.environ |= {
        "TORCH_HOME": str(home / "home"),
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    tempfile.tempdir = None
    taken = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY, taken + _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.argv = ["saliency-stats", *args]
    status = 0
    try:
        main(args=list(args), prog_name="saliency-stats")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  (what Python itself does with it)
        traceback.print_exc()
        status = 1
    threading._shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
