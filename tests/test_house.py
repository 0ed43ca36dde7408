"""The house's own rules: rooms import downwards only, stay small, and the pure ones need no torch and no files."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import saliency_stats

ROOT = Path(saliency_stats.__file__).parent
ROOMS = ["cohort", "classifier", "saliency", "compartments", "attribution", "statistics", "report"]
SHARED = {"vocabulary", "errors", "seeds"}
PURE = ["attribution", "statistics", "compartments"]


def imported(path: Path) -> set[str]:
    """Names of the package's rooms and modules that a file imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module == "saliency_stats":
            names = [alias.name for alias in node.names if not alias.name.startswith("__")]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("saliency_stats."):
            names = [node.module.split(".")[1]]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("saliency_stats.")]
        found.update(names)
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_comes_before_it(room):
    allowed = {*ROOMS[: ROOMS.index(room) + 1], *SHARED} | ({"execution"} if room == "report" else set())
    for path in (ROOT / room).rglob("*.py"):
        assert imported(path) <= allowed, path.name


def test_execution_knows_no_science():
    for path in (ROOT / "execution").rglob("*.py"):
        assert imported(path) <= {"execution", *SHARED}, path.name


def test_no_module_has_outgrown_one_idea():
    long = {path.name: n for path in ROOT.rglob("*.py") if (n := len(path.read_text().splitlines())) > 320}
    assert not long


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_do_not_import_torch(room):
    code = f"import sys, saliency_stats.{room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
