"""The house's own rules: rooms import downwards only and in no circle, stay small, and the pure ones need no torch."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import saliency_stats

ROOT = Path(saliency_stats.__file__).parent
PROJECT = Path(__file__).parents[1]  # the package under test may be an installed one
#: From the bottom up: a room imports from rooms of lower floors, and from the modules at the root.
FLOORS = (
    ("vocabulary", "errors", "seeds", "typing"),
    ("classes", "imaging"),
    ("cohort", "compartments", "execution", "statistics"),
    ("attribution", "classifier", "settings"),
    ("fetching", "report", "saliency"),
    ("measurement",),
    ("study",),
    ("commands",),
    ("cli",),
)
#: Inside a room: what may not know what. A name stands for a module or for all of a sub-room.
STRANGERS = {
    "cohort.slides": ("cohort.phantom",),
    **{
        f"cohort.{name}": ("cohort.slides", "cohort.phantom")
        for name in (
            *(
                "cache",
                "csv_text",
                "depth",
                "fields",
                "folder",
                "identity",
                "image",
                "inspection",
                "listing",
                "location",
            ),
            *("patch", "problems", "quality", "splits"),
        )
    },
    "statistics.models": ("statistics",),
    **{f"report.{name}": ("report.figures", "report.tables") for name in ("run", "words", "population", "calibration")},
    "report.figures": ("report.tables", "report.html", "report.paper", "report.caveats", "report.write"),
    "report.tables": ("report.html", "report.paper", "report.caveats", "report.write"),
}
#: Endings of packed files: what is in them is no text, and can be made or fetched again.
PACKED = {".whl", ".egg", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".jar"}
PURE = ("attribution", "classes", "statistics", "compartments", "imaging")
MODULES = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path for path in ROOT.rglob("*.py")}


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, at any depth, without the package's name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "saliency_stats":
            base = (node.module or "").removeprefix("saliency_stats").lstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                found.add(inner if inner in MODULES or f"{inner}.__init__" in MODULES else base)
        elif isinstance(node, ast.Import):
            found.update(
                alias.name.removeprefix("saliency_stats.")
                for alias in node.names
                if alias.name.startswith("saliency_stats.")
            )
    return found - {""}


def room_of(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def floor_of(room: str) -> int:
    return next(at for at, rooms in enumerate(FLOORS) if room in rooms)


def test_every_room_has_its_floor():
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    roots = {path.stem for path in ROOT.glob("*.py")} - {"__init__"}
    assert rooms | roots == {room for rooms in FLOORS for room in rooms}


def test_few_modules_stand_at_the_root():
    assert {path.name for path in ROOT.glob("*.py")} == {
        *("__init__.py", "classes.py", "vocabulary.py", "errors.py", "seeds.py", "typing.py")
    }
    assert (ROOT / "py.typed").is_file()


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"__init__"}))
def test_a_module_imports_only_what_lies_below(module):
    room = room_of(module)
    for other in {room_of(name) for name in imported(MODULES[module])} - {room, "__init__"}:
        assert floor_of(other) < floor_of(room), f"{module} imports {other}"


def test_an_upward_import_would_be_noticed(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "def late():\n    from saliency_stats.report.run import Run\n    from saliency_stats import study\n",
        encoding="utf-8",
    )
    assert {room_of(name) for name in imported(wrong)} == {"report", "study"}
    assert floor_of("study") > floor_of("saliency")


def test_modules_import_each_other_in_no_circle():
    graph = {name: {other for other in imported(path) if other in MODULES} for name, path in MODULES.items()}
    # a package stands for what it gives away
    for name, path in MODULES.items():
        graph[name] |= {f"{other}.__init__" for other in imported(path) if f"{other}.__init__" in MODULES}
        graph[name].discard(name)
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError and names the circle
    assert set(order) >= set(MODULES)


def within(module: str, room: str) -> bool:
    return f"{module}.".startswith(f"{room}.")


@pytest.mark.parametrize(("room", "strangers"), STRANGERS.items())
def test_inside_a_room_things_flow_one_way_too(room, strangers):
    inside = {module: path for module, path in MODULES.items() if within(module, room)}
    assert inside, f"there is no {room}"
    for module, path in inside.items():
        for other in imported(path):
            known = any(within(other, stranger) for stranger in strangers) and not within(other, room)
            assert not known, f"{module} imports {other}"


def test_no_module_has_outgrown_one_idea():
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert not {name: n for name, n in lines.items() if n > 320}
    usual = sorted(n for name, n in lines.items() if not name.endswith("__init__"))
    assert usual[len(usual) // 2] <= 150


@pytest.mark.parametrize("room", [*PURE, "settings", "report.run"])
def test_pure_rooms_do_not_import_torch(room):
    code = f"import sys, saliency_stats.{room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pure_rooms_know_no_files_and_no_settings():
    for module, path in MODULES.items():
        if room_of(module) in {"attribution", "statistics"}:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"^(from|import) (pathlib|os|shutil|yaml|pydantic)\b", text, re.MULTILINE), module


def test_every_declared_dependency_is_imported():
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[<>=\[]", entry)[0].strip() for entry in declared}
    modules = {
        **{name: name.replace("-", "_") for name in names},
        "pillow": "PIL",
        "pyyaml": "yaml",
        "scikit-image": "skimage",
        "openslide-python": "openslide",
        # libraries that another one loads: OpenSlide's binaries, pandas' Parquet engine
        "openslide-bin": "openslide",
        "pyarrow": "pyarrow|to_parquet",
    }
    code = "\n".join(path.read_text(encoding="utf-8") for path in MODULES.values())
    for name in names:
        used = rf"^\s*(from|import) ({modules[name]})\b" if "|" not in modules[name] else modules[name]
        dynamic = rf"import_module\(\"{modules[name]}\b"
        assert re.search(used, code, re.MULTILINE) or re.search(dynamic, code), f"{name} is declared and not imported"


def unwelcome(files: Iterable[Path]) -> set[str]:
    """Names of files that do not belong into a history of texts: packed ones, and ones of more than 3.5 MB."""
    # the largest that do are the networks of the package and pictures of the findings, of 2 to 3 MB
    return {path.name for path in files if path.suffix.lower() in PACKED or path.stat().st_size > 3_500_000}


def test_no_archive_and_no_large_file_is_committed():
    if not (PROJECT / ".git").exists():
        pytest.skip(f"{PROJECT} is no clone: which files are committed cannot be told")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    files = [path for name in listed.split("\0") if name and (path := PROJECT / name).is_file()]
    assert PROJECT / "pyproject.toml" in files
    assert not unwelcome(files)


@pytest.mark.parametrize(
    ("name", "size", "welcome"),
    [
        ("network.safetensors", 3_500_000, True),
        ("network.safetensors", 3_500_001, False),
        ("saliency_stats-1-py3-none-any.whl", 1, False),
        ("runs.tar.GZ", 1, False),
    ],
)
def test_what_does_not_belong_there_would_be_noticed(tmp_path, name, size, welcome):
    path = tmp_path / name
    path.touch()
    os.truncate(path, size)
    assert unwelcome([path]) == (set() if welcome else {name})


def test_texts_are_read_and_written_alike_on_every_system():
    """Without being told, Windows writes other line ends and another encoding."""
    written = {"encoding", "newline"}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                needed = {"write_text": written, "read_text": {"encoding"}}.get(node.func.attr, set())
                told = {keyword.arg for keyword in node.keywords}
                assert needed <= told, f"{name}, line {node.lineno}: {node.func.attr} without {needed - told}"


def test_what_windows_lacks_is_skipped_there_and_says_why(request, monkeypatch):
    conftest = str(PROJECT / "tests" / "conftest.py")
    hooks = next(one for one in request.config.pluginmanager.get_plugins() if getattr(one, "__file__", "") == conftest)
    request.node.add_marker(pytest.mark.posix("named pipes"))
    hooks.pytest_runtest_setup(request.node)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(pytest.skip.Exception, match="NOT TESTED: needs named pipes, and this is Windows"):
        hooks.pytest_runtest_setup(request.node)


def test_a_module_worth_testing_has_a_test_of_its_name():
    tests = {path.relative_to(PROJECT / "tests").as_posix() for path in (PROJECT / "tests").rglob("test_*.py")}
    lacking = set()
    for name, path in MODULES.items():
        *folders, stem = name.split(".")
        if stem != "__init__" and "/".join([*folders, f"test_{stem}.py"]) not in tests:
            lacking.add(path.relative_to(ROOT).as_posix())
    assert lacking <= UNTESTED, sorted(lacking - UNTESTED)


#: Modules whose behaviour the test of another one shows, as these say of themselves.
UNTESTED = {
    *("errors.py", "typing.py", "vocabulary.py"),
    # tests/saliency/test_methods.py holds every method to the same rules
    *(f"saliency/{name}.py" for name in ("batched", "captum_methods", "gradient_methods", "unfolded")),
    # tests/study/test_run.py and test_controls_run.py: whole runs
    *("study/study.py", "study/training.py", "study/conclusions.py"),
    # tests/settings/test_study.py
    "settings/maps.py",
    # tests/commands/test_explain.py
    "commands/again.py",
    # tests/cli/test_app.py: what every command has
    "cli/options.py",
    # a record; and what tests/classifier/test_frozen.py and test_unfolding.py cut and rewrite
    *("classifier/architecture.py", "classifier/graphs.py"),
}
