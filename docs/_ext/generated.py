"""The reference from the code: commands, study keys, tables, methods, controls and tests, as Markdown.

Sphinx writes them to ``reference/generated/`` before it reads the pages.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

import click

from saliency_stats.cli import main
from saliency_stats.cohort.phantom.signals import SIGNALS
from saliency_stats.commands.init import study_text
from saliency_stats.execution.schema import TABLES
from saliency_stats.report.words import CONTRAST_WORDS
from saliency_stats.saliency import CONTROLS, METHODS
from saliency_stats.saliency.baselines import BASELINES
from saliency_stats.saliency.batched import Referring
from saliency_stats.saliency.methods import baseline_of, cost_of, words_of
from saliency_stats.settings import StudySettings
from saliency_stats.settings.cohort import COHORT_KINDS, CohortBase
from saliency_stats.statistics import TESTS

PROGRAM: Final = "saliency-stats"
FOLDER: Final = Path(__file__).parents[1] / "reference" / "generated"
_KEY: Final = re.compile(r"(?P<indent> *)(?P<key>\w+):(?P<rest>.*)")
#: A comment that begins further right than any key goes on with the comment of the line above it.
_CONTINUED: Final = 20


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def plain(text: str) -> str:
    """Return a text whose angle brackets are not taken for HTML."""
    return text.replace("<", "&lt;").replace(">", "&gt;")


def commands() -> str:
    """Return every command with its help, its arguments and its options."""
    return "\n\n".join(_command(name, command) for name, command in all_commands(main, PROGRAM))


def all_commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every command below a group by its full name."""
    for word, command in group.commands.items():
        yield f"{name} {word}", command
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{name} {word}")


def _command(name: str, command: click.Command) -> str:
    # within the program, whose settings each command takes over and keeps
    context = click.Context(command, click.Context(main, **main.context_settings), info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    options = [
        (f"`{record[0]}`", plain(record[1]))
        for parameter in command.get_params(context)
        if (record := parameter.get_help_record(context)) and "--help" not in parameter.opts
    ]
    parts = [f"## `{name}`", f"```text\n{usage}\n```", *map(_paragraph, cleandoc(command.help or "").split("\n\n"))]
    return "\n\n".join([*parts, table(("option", "what it does"), options)] if options else parts)


def _paragraph(text: str) -> str:
    verbatim = text.removeprefix("\b\n")
    return plain(text) if verbatim == text else f"```text\n{verbatim}\n```"


def study_keys() -> str:
    """Return every key of the study file: default, what it may be, what it means."""
    schema = StudySettings.model_json_schema()
    meanings = {kind: comments(study_text(kind)) for kind in COHORT_KINDS}
    common = set(CohortBase.model_fields) | {"kind"}
    sections = []
    for kind, section in COHORT_KINDS.items():
        keys = _keys(schema["$defs"][section.__name__], schema, "cohort")
        own = [row for row in keys if row[0].split(".")[1] not in common]
        sections.append((f"`cohort`, `kind: {kind}`", own, meanings[kind]))
    shared = [row for row in keys if row[0].split(".")[1] in common - {"kind"}]
    sections.append(("`cohort`, every kind", shared, meanings["phantom"]))
    top = [row for row in _keys(schema, schema, "") if not row[0].startswith("cohort")]
    for name in dict.fromkeys(row[0].split(".")[0] for row in top):
        rows = [row for row in top if row[0].split(".")[0] == name]
        sections.append((f"`{name}`", rows, meanings["phantom"]))
    return "\n\n".join(
        f"## {title}\n\n"
        + table(
            ("key", "default", "may be", "meaning"),
            ((f"`{key}`", default, plain(allowed), plain(said.get(key, ""))) for key, default, allowed in rows),
        )
        for title, rows, said in sections
    )


def comments(text: str) -> dict[str, str]:
    """Return what the comments of a commented study file say of each key, by its dotted name."""
    found: dict[str, str] = {}
    path: list[str] = []
    above: list[str] = []
    for line in text.splitlines():
        bare = line.lstrip()
        if bare.startswith("#"):
            words = bare.lstrip("# ")
            if len(line) - len(bare) >= _CONTINUED:
                found[".".join(path)] += f" {words}"
            else:
                above.append(words)
        elif match := _KEY.match(line):
            path[len(match["indent"]) // 2 :] = [match["key"]]
            said = re.split(r"\s#\s", match["rest"], maxsplit=1)[1:]
            found[".".join(path)] = "; ".join(filter(None, [*said, " ".join(above)]))
            above = []
        else:
            above = []
    return found


def _keys(section: Mapping[str, Any], schema: Mapping[str, Any], prefix: str) -> list[tuple[str, str, str]]:
    rows = []
    for name, field in section["properties"].items():
        dotted = f"{prefix}.{name}".lstrip(".")
        if "$ref" in field:
            rows += _keys(schema["$defs"][field["$ref"].rpartition("/")[2]], schema, dotted)
        elif "oneOf" not in field:
            default = "needed" if name in section.get("required", ()) else "see `saliency-stats init`"
            default = f"`{_yaml(field['default'])}`" if "default" in field else default
            rows.append((dotted, default, _allowed(field)))
    return rows


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _allowed(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_allowed(part) for part in field["anyOf"])
    if "enum" in field or "const" in field:
        return " | ".join(map(str, field.get("enum", [field.get("const")])))
    kind = field["type"]
    if kind in ("number", "integer"):
        return " ".join(filter(None, ("whole number" if kind == "integer" else "number", _range(field))))
    if kind == "array":
        return f"list of: {_allowed(field['items'])}" if "items" in field else "list of three numbers"
    return {"boolean": "true | false", "object": "mapping", "string": "text", "null": "null"}[kind]


def _range(field: Mapping[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return " ".join(f"{word} {field[key]:,}" for key, word in words.items() if key in field)


def tables() -> str:
    """Return every table of a run with its columns by what they hold."""
    return "\n\n".join(_table_of(name) for name in TABLES)


def _table_of(name: str) -> str:
    of = TABLES[name]
    figures = f" Figures: {', '.join(of.readers)}." if of.readers else ""
    optional = " Only where the study asks for it." if of.optional else ""
    kinds = {
        "text": of.text,
        "numbers": of.numbers,
        "true or false": of.flags,
        "numbers, in some studies": of.may_have,
        "text, in some studies": of.may_have_text,
    }
    rows = [(kind, ", ".join(f"`{column}`" for column in columns)) for kind, columns in kinds.items() if columns]
    head = f"## `{name}.csv`\n\nA row per {of.rows}. Written by the stage “{of.writer}”.{figures}{optional}"
    return f"{head}\n\n{table(('columns', 'names'), rows)}"


def _start_of(name: str) -> str:
    """Say what a method compares a patch with; nothing where it compares it with nothing."""
    if isinstance(METHODS[name], Referring):
        return "training patches"
    baseline = baseline_of(name)
    return BASELINES[baseline].words if baseline else ""


def choices() -> str:
    """Return what a study file may name: methods, controls, tests, contrasts, signals."""
    methods = [
        (f"`{name}`", words_of(method), _start_of(name), f"{cost_of(method):g}") for name, method in METHODS.items()
    ]
    controls = [(f"`{name}`", control.words, control.group) for name, control in CONTROLS.items()]
    tests = [
        (f"`{name}`", test.words, test.estimand, "yes" if test.may_be_primary else "") for name, test in TESTS.items()
    ]
    contrasts = [(f"`{name}`", words) for name, words in CONTRAST_WORDS.items()]
    signals = [(f"`{name}`", signal.words) for name, signal in SIGNALS.items()]
    return "\n\n".join(
        (
            "## Saliency methods",
            table(("name", "in words", "starts from", "time, in gradients"), methods),
            "## Controls",
            table(("name", "what it is", "group"), controls),
            "## Tests",
            table(("name", "in words", "is about the", "may decide the verdict"), tests),
            "## Contrasts",
            table(("name", "in words"), contrasts),
            "## Signals of phantoms",
            table(("name", "the classes differ in"), signals),
        )
    )


#: Every page that is generated, by the stem of its file.
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "commands": commands,
    "study": study_keys,
    "tables": tables,
    "choices": choices,
}


def write(folder: Path = FOLDER) -> None:
    """Write the pages; one that has not changed keeps its time, so that Sphinx reads it once."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, page in PAGES.items():
        target, text = folder / f"{stem}.md", page() + "\n"
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Generate the pages before Sphinx looks for documents."""
    app.connect("builder-inited", lambda _: write())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
