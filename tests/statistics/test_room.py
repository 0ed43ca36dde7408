"""The room's own rules: pure and light to import, the models below everything else, no cycle."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import saliency_stats.statistics as room

NAME = "saliency_stats.statistics"
SHARED = ("classes", "errors", "typing", "vocabulary")
LIBRARIES = {"numpy", "scipy", "pandas", "statsmodels", "formulaic"}
ROOT = Path(room.__file__).parent


def imports(path):
    """Return the modules that a file imports, in full."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def modules():
    return {".".join((NAME, *path.relative_to(ROOT).with_suffix("").parts)): path for path in ROOT.rglob("*.py")}


def test_the_room_imports_without_torch_matplotlib_or_other_rooms():
    code = (
        "import sys, saliency_stats.statistics\n"
        f"own = ('{NAME}', *('saliency_stats.' + name for name in {SHARED}))\n"
        "ours = [name for name in sys.modules if name.startswith('saliency_stats.')]\n"
        "print('torch' in sys.modules, 'matplotlib' in sys.modules, [one for one in ours if not one.startswith(own)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "[]"]


def test_the_models_stand_on_shared_words_and_libraries_alone():
    allowed = (f"{NAME}.models", *(f"saliency_stats.{name}" for name in SHARED))
    for name, path in modules().items():
        if ".models." in name:
            for module in imports(path):
                known = module.startswith(allowed) or module.split(".")[0] in LIBRARIES | sys.stdlib_module_names
                assert known, f"{name} imports {module}"


def test_no_module_imports_itself_in_a_circle():
    graph = {name: imports(path) & modules().keys() for name, path in modules().items()}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(graph)
    assert any(graph.values())


def test_every_public_name_exists_and_is_documented():
    for name in room.__all__:
        assert getattr(room, name).__doc__, name
