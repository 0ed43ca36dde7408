"""The reference from the code: nothing of it is missing, and links to files of the repository hold when it is built."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import click
import pytest

from saliency_stats.cli import main
from saliency_stats.cohort.phantom.signals import SIGNALS
from saliency_stats.commands.init import study_text
from saliency_stats.execution.schema import TABLES
from saliency_stats.saliency import CONTROLS, METHODS
from saliency_stats.settings import parse
from saliency_stats.settings.cohort import COHORT_KINDS
from saliency_stats.statistics import TESTS

DOCS = Path(__file__).parents[2] / "docs"


def leaves(content, prefix=""):
    for key, value in content.items():
        if isinstance(value, dict) and value and key != "families":
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_every_command_and_every_option_is_there(extension):
    generated = extension("generated")
    text = generated.commands()
    names = dict(generated.all_commands(main, "saliency-stats"))
    assert {"saliency-stats run", "saliency-stats fetch camelyon16"} <= set(names)
    for name, command in names.items():
        section = text.split(f"## `{name}`\n")[1].split("\n## ")[0]
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[0] in section


@pytest.mark.parametrize("kind", COHORT_KINDS)
def test_every_key_of_a_study_is_there_once_with_its_default_and_its_comment(extension, kind):
    generated = extension("generated")
    rows = generated.study_keys().splitlines()
    cohort = {"kind": kind} if kind == "phantom" else {"kind": kind, "table": "x.csv"}
    settings = parse({"cohort": cohort}, "test")
    comments = generated.comments(study_text(kind))
    for key in set(leaves(settings.model_dump(mode="json"))) - {"cohort.kind"}:
        found = [row for row in rows if row.startswith(f"| `{key}` |")]
        assert found, key
        if kind == "phantom" or key.startswith("cohort."):  # what all kinds have is told as for phantoms
            cell = generated.plain(comments[key]).replace("|", "\\|")
            assert any(row.endswith(f"| {cell} |") for row in found), key


def test_defaults_and_ranges_are_those_of_the_settings(extension):
    text = extension("generated").study_keys()
    assert "| `seed` | `0` | whole number from 0 to 4,294,967,295 | everything random derives from it |" in text
    assert "| `classifier.augmentation.dihedral` | `true` | true \\| false | flips and quarter turns |" in text
    assert "| `cohort.table` | needed | text |" in text
    assert "| `cohort.magnifications` | `[5.0, 10.0, 20.0, 40.0]` | list of: number above 0 to 200 |" in text
    assert "| `saliency.min_confidence` | `0.8` | number from 0.5 below 1 |" in text
    assert "| `cohort.mpp` | `null` | number from 0.05 to 20.0 or null |" in text


def test_comments_of_several_lines_and_above_a_key_are_joined(extension):
    below = 29 * " " + "# below"
    text = f"# head\n\na:\n  # above\n  b: 1                       # beside\n{below}\nc: {{d: 2}}\n"
    assert extension("generated").comments(text) == {"a": "", "a.b": "beside; above below", "c": ""}


def test_every_table_and_every_column_is_there(extension):
    text = extension("generated").tables()
    for name, table in TABLES.items():
        section = text.split(f"## `{name}.csv`")[1].split("\n## ")[0]
        assert all(f"`{column}`" in section for column in (*table.required, *table.may_have, *table.may_have_text))


def test_every_method_control_test_and_signal_is_there(extension):
    text = extension("generated").choices()
    assert all(f"| `{name}` |" in text for name in (*METHODS, *CONTROLS, *TESTS, *SIGNALS))


def test_a_page_that_has_not_changed_is_left_alone(extension, tmp_path):
    generated = extension("generated")
    generated.write(tmp_path)
    times = {page: page.stat().st_mtime_ns for page in tmp_path.iterdir()}
    assert {page.stem for page in times} == set(generated.PAGES)
    generated.write(tmp_path)
    assert {page: page.stat().st_mtime_ns for page in tmp_path.iterdir()} == times


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a](../analyses/README.md#9-real-tissue)", "[a](findings.md#9-real-tissue)"),
        ("[a [b]](../README.md)", "[a [b]](index.md)"),
        ("[a](../analyses)", "a"),
        ("[a](../pyproject.toml)", "[a](../pyproject.toml)"),
        ("![a](images/flow.png)", "![a](images/flow.png)"),
        ("[a](#b) [c](https://example.org/d.md)", "[a](#b) [c](https://example.org/d.md)"),
    ],
)
def test_links_out_of_the_documentation(extension, link, expected):
    page = DOCS / "index.md"
    assert extension("repository_links").rewritten(link, page, page) == expected


def test_links_of_an_included_file_are_those_of_the_page(extension):
    rewritten = extension("repository_links").rewritten
    included = DOCS.parent / "analyses" / "README.md"
    text = "[a](../docs/index.md) ![b](results/phantom/forest.png)"
    expected = "[a](index.md) ![b](../analyses/results/phantom/forest.png)"
    assert rewritten(text, included, DOCS / "findings.md") == expected


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sphinx", "myst_parser", "sphinx_book_theme")),
    reason="the documentation was not built: pip install '.[docs]'",
)
def test_the_documentation_builds_without_a_warning(tmp_path):
    """Twenty seconds: every page, and the docstrings of every room."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-d", str(tmp_path / "read")]
    built = subprocess.run([*command, str(DOCS), str(tmp_path / "html")], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
