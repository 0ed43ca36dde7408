"""YAML as a study file needs it: plain values as they are typed, no key twice, errors in one line.

What YAML 1.1 takes for something else (``yes``, ``0123``, ``1:30``, ``1_000``, ``2026-02-31``) is the text that was
typed, and a key that holds a number refuses it. Numbers, ``true``, ``false`` and ``null`` are those of YAML 1.2.
"""

import re
import stat
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

from saliency_stats.errors import StudyError, shortened, shown

#: A study file with the pixel sizes of 10,000 slides has a third of it.
MAX_BYTES: Final = 1_000_000
#: Sections of a study file are at most three deep.
MAX_DEPTH: Final = 20
#: Values after every alias is replaced by what it stands for.
MAX_VALUES: Final = 100_000
#: A key is at most four steps deep; the rest is room for mistakes that are said by name.
MAX_STEPS: Final = 10
#: No key holds a number of more digits; such a number stays the text that it is.
_MAX_DIGITS: Final = 300
_TAG: Final = "tag:yaml.org,2002:"
#: Plain words that are not text: kind, pattern, and the characters that they begin with.
_WORDS: Final = (
    ("null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), list("tTfF")),
    ("int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z"), list("-+0123456789")),
    (
        "float",
        re.compile(
            r"(?:[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
        list("-+.0123456789"),
    ),
)
_KINDS: Final = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
_ENCODINGS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def write(content: dict[str, Any]) -> str:
    """Write plain values as YAML, in their order."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read(path: Path) -> dict[str, Any]:
    """Read a YAML file of sections.

    Raises
    ------
    StudyError
        If it does not exist, is no file, is not YAML (naming the line), or holds something else than sections.
    """
    name = shortened(str(path))
    try:
        content = plain(_text(path))
    except FileNotFoundError as error:
        raise StudyError(
            f"there is no study file {name}; `saliency-stats init DIR` writes one to start from"
        ) from error
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        raise StudyError(f"{name} is not a readable YAML file ({_reason(error)})") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise StudyError(
            f"{name} holds a {type(content).__name__}; expected sections such as 'cohort:' and 'classifier:'"
        )
    return content


def assign(content: dict[str, Any], assignment: str) -> tuple[list[str], Any]:
    """Put ``section.key=value``, the value in YAML, into ``content``; returns the steps of the key, and the value.

    Raises
    ------
    StudyError
        If the text is not of that form, or gives a value to a section.
    """
    key, equals, text = assignment.partition("=")
    steps = key.strip().split(".")
    if not equals or not all(steps) or len(steps) > MAX_STEPS:
        raise StudyError(f"--set {shown(assignment)}: expected section.key=value, for example cohort.signal=nucleus")
    try:
        value = plain(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StudyError(f"--set {shown(assignment)}: the value is not readable ({_reason(error)})") from error
    # YAML reads a bare `none` as text, but `null` and an empty value as nothing at all
    for step in steps[:-1]:
        content = content.setdefault(step, {})
        if not isinstance(content, dict):
            raise StudyError(
                f"--set {shown(assignment)}: {shortened(step, 60)} is set to a value and a section at once"
            )
    content[steps[-1]] = value
    return steps, value


def _text(path: Path) -> str:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        # a pipe would be waited for, and a device has no end
        what = next((words for is_kind, words in _KINDS.items() if is_kind(mode)), "something else")
        raise ValueError(f"it is {what}, expected a file")
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes, which no study file has")
    if raw[:2] in _ENCODINGS:
        raise ValueError(f"it is {_ENCODINGS[raw[:2]]}; save it as UTF-8")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: byte {raw[error.start]:#04x} is not utf-8; save the file as UTF-8") from error


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would not read as text."""


class _Loader(yaml.SafeLoader):
    """Plain values alone, of a bounded depth and number; a key is the text that was typed, and stands once."""

    # of the base class, whose words and tags are not these
    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012  (the base class has no ClassVar)
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._values = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        # aliases are counted as what they stand for before anything is made of them
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        before = self._values
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _refused(f"more than {MAX_DEPTH} levels inside each other", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._sizes:
                raise _refused(f"the alias *{event.anchor} stands inside of what it repeats", event)
            self._values += self._sizes[id(node)]
        else:
            self._values += 1
            self._sizes[id(node)] = self._values - before
        if self._values > MAX_VALUES:
            raise _refused(f"more than {MAX_VALUES:,} values, aliases counted as what they stand for", event)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # here, and not where values are made: merging changes what is compared
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or not key.value:
                found = "an empty one" if isinstance(key, yaml.ScalarNode) else f"a {key.id}"
                raise _refused(f"found unhashable key: expected a word, found {found}", key)
            if key.tag not in {f"{_TAG}merge", *self.yaml_constructors}:
                raise _refused(f"could not determine a constructor for the tag {key.tag!r}", key)
            if key.value in seen:
                raise _refused(f"the key {key.value!r} stands twice in its section", key)
            seen.add(key.value)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        if not isinstance(node, yaml.MappingNode):
            raise _refused(f"expected keys and values, found a {node.id}", node)
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}


def _refused(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, at.start_mark)


def _maker(kind: str, pattern: re.Pattern[str], make: Callable[[str], Any]) -> Callable[[_Loader, yaml.Node], Any]:
    def construct(loader: _Loader, node: yaml.Node) -> Any:
        text = loader.construct_scalar(node)  # type: ignore[arg-type]  # refuses what is none
        if not pattern.match(text):  # `!!int many`
            raise _refused(f"expected {kind}, found {text!r}", node)
        return make(text)

    return construct


def _integer(text: str) -> int | str:
    return text if len(text) > _MAX_DIGITS else int(text)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_MAKE: Final[dict[str, Callable[[str], Any]]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": _float,
}
for _kind, _pattern, _first in _WORDS:
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", _pattern, _first)
    _Loader.add_constructor(f"{_TAG}{_kind}", _maker(_kind, _pattern, _MAKE[_kind]))
    _Dumper.add_implicit_resolver(f"{_TAG}{_kind}", _pattern, _first)
_Loader.add_implicit_resolver(f"{_TAG}merge", re.compile(r"<<\Z"), ["<"])
for _kind in ("str", "seq", "map"):
    _Loader.yaml_constructors[f"{_TAG}{_kind}"] = yaml.SafeLoader.yaml_constructors[f"{_TAG}{_kind}"]
_Loader.yaml_constructors[None] = yaml.SafeLoader.yaml_constructors[None]


def plain(text: str) -> Any:
    """Read YAML; raises what its reader raises, or ``ValueError``."""
    control = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if control is not None:
        line = text.count("\n", 0, control.start()) + 1
        raise ValueError(f"line {line}: the character {ord(control.group()):#06x} is no text; delete it")
    # the loader is a SafeLoader: it makes plain values only
    return yaml.load(text, _Loader)  # noqa: S506


def _reason(error: Exception) -> str:
    """Say in one line what is wrong with a YAML text, and where."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return shortened(f"line {error.problem_mark.line + 1}: {' '.join(str(error.problem).split())}")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return shortened(" ".join(str(error).split()))
