"""Every block of code in the pages is what it seems: commands and options exist, studies are valid, Python runs.

A block that is not run or not checked says so in a comment above it: ``<!-- not run: why -->``.
"""

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from saliency_stats import settings as study_file
from saliency_stats.cli import main
from saliency_stats.commands.init import write_template
from saliency_stats.errors import StudyError
from saliency_stats.settings.cohort import COHORT_KINDS

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "analyses/README.md")),
    ROOT / "saliency_stats/compartments/models/README.md",
    *sorted(
        page for page in (ROOT / "docs").rglob("*.md") if "generated" not in page.parts and "_build" not in page.parts
    ),
)
#: Programs whose options are not ours to check.
OTHERS = ("pytest", "ruff", "mypy", "pre-commit", "towncrier", "sphinx-build", "docker", "git", "cp", "dask")
_BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^\n]+) -->\n)?^```(?P<language>[\w{}-]*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    where: str
    language: str
    text: str
    why: str | None


def blocks_of(text: str, name: str = "page") -> Iterator[Block]:
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("text"))
        yield Block(f"{name}:{line}", found["language"], found["text"], found["why"])


BLOCKS = [
    block for page in PAGES for block in blocks_of(page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix())
]


def of(language: str) -> list[object]:
    return [pytest.param(block, id=block.where) for block in BLOCKS if block.language == language and block.why is None]


def commands(text: str) -> list[list[str]]:
    """Every command of a shell block, its variables put in, those of its environment left out."""
    variables, found = {}, []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if len(words) == 1 and re.fullmatch(r"[A-Z]+=.*", words[0]):
            name, _, value = words[0].partition("=")
            variables[f"${name}"] = shlex.split(value)
            continue
        words = [part for word in words for part in variables.get(word, [word])]
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            while command and re.match(r"[A-Z_0-9]+=", command[0]):
                command = command[1:]
            found.append(command)
    return found


def check(argv: list[str], folder: Path) -> None:
    """Fail where a command, a script, an option, a choice or an assignment is not there."""
    program, *rest = argv
    if program == "saliency-stats":
        check_ours(rest, folder)
    elif program == "python":
        script, *options = rest
        text = (ROOT / script).read_text(encoding="utf-8")
        for option in options:
            name = option.partition("=")[0]
            assert not name.startswith("--") or f'"{name}"' in text, f"{script} has no {name}"
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
            "optional-dependencies"
        ]
        assert rest[0] == "install"
        for extra in re.findall(r"\[(.*?)\]", " ".join(rest)):
            assert set(extra.split(",")) <= set(extras), extra
    else:
        assert program in OTHERS, f"{program}: is this a command?"


def check_ours(words: list[str], folder: Path) -> None:
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    given = command.make_context(command.name, words, click.Context(main, **main.context_settings)).params
    study = given.get("study") or ""
    assert not study.startswith("analyses/") or (ROOT / study).is_file(), study
    check_assignments(given.get("assignments", ()), folder)


def check_assignments(assignments: tuple[str, ...], folder: Path) -> None:
    """Fail unless a study of some kind takes them."""
    refusals = []
    for kind in COHORT_KINDS if assignments else ():
        if not (folder / kind).is_dir():
            write_template(folder / kind, kind)
        try:
            study_file.load(folder / kind / "study.yaml", assignments)
        except StudyError as error:
            refusals.append(str(error))
    assert len(refusals) < len(COHORT_KINDS), refusals[0]


@pytest.fixture(autouse=True)
def any_path(monkeypatch):
    """A block may be typed where its files are not."""
    monkeypatch.setattr(click.Path, "convert", lambda _self, value, _parameter, _context: value)


@pytest.mark.parametrize("block", of("sh"))
def test_commands_and_options_exist(block, tmp_path):
    found = commands(block.text)
    assert found
    for argv in found:
        check(argv, tmp_path)


@pytest.mark.parametrize("block", of("yaml"))
def test_studies_are_valid(block, tmp_path):
    (tmp_path / "study.yaml").write_text(block.text, encoding="utf-8")
    study_file.load(tmp_path / "study.yaml")


@pytest.mark.parametrize("block", of("python"))
def test_python_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, block.where, "exec"), {"__name__": "page"})  # noqa: S102  (our own pages)


def test_a_block_that_is_not_run_compiles_and_says_why():
    silent = [block for block in BLOCKS if block.why is not None]
    assert silent
    for block in silent:
        assert block.language == "python", f"{block.where}: only Python is run"
        compile(block.text, block.where, "exec")


def test_there_is_no_block_of_another_language():
    assert {block.language for block in BLOCKS} <= {
        "sh",
        "yaml",
        "python",
        "text",
        "{include}",
        "{toctree}",
        "{eval-rst}",
    }


@pytest.mark.parametrize(
    "text",
    [
        "saliency-stats rum",
        "saliency-stats run --fast",
        "saliency-stats run study.yaml other.yaml",
        "saliency-stats run --set cohort.colour=red",
        "saliency-stats explain reports/phantom",
        "saliency-stats init study --kind mice",
        "saliency-stats fetch mice",
        "saliency-stats run analyses/mice.yaml",
        "python analyses/mice.py",
        "python analyses/calibration.py --mice",
        "pip install '.[mice]'",
        "mice",
        "pytest && mice",
    ],
)
def test_what_does_not_exist_is_noticed(text, tmp_path):
    *_, wrong = commands(text)
    with pytest.raises((AssertionError, click.UsageError, FileNotFoundError)):
        check(wrong, tmp_path)


def test_blocks_are_found_with_their_line_and_their_excuse():
    text = "# A\n\n```sh\nls\n```\n\n<!-- not run: slow -->\n```python\n1 / 0\n```\n"
    assert list(blocks_of(text)) == [
        Block("page:3", "sh", "ls\n", None),
        Block("page:8", "python", "1 / 0\n", "slow"),
    ]
    assert commands("A=1 B=2 x y && z # w\nT='p q'\n$T --r \\\n  s") == [["x", "y"], ["z"], ["p", "q", "--r", "s"]]
