"""YAML as a study file needs it: plain values only, no key twice, errors in one line."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from saliency_stats.errors import StudyError


def write(content: dict[str, Any]) -> str:
    """Write plain values as YAML, in their order."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def read(path: Path) -> dict[str, Any]:
    """Read a YAML file of sections.

    Raises
    ------
    StudyError
        If it does not exist, is not YAML (naming the line), or holds something else than sections.
    """
    try:
        content = _plain(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(
            f"there is no study file {path}; `saliency-stats init DIR` writes one to start from"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise StudyError(f"{path} is not a readable YAML file ({_reason(error)})") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise StudyError(
            f"{path} holds a {type(content).__name__}; expected sections such as 'cohort:' and 'classifier:'"
        )
    return content


def assign(content: dict[str, Any], assignment: str) -> None:
    """Put ``section.key=value``, the value in YAML, into ``content``.

    Raises
    ------
    StudyError
        If the text is not of that form, or gives a value to a section.
    """
    key, equals, text = assignment.partition("=")
    steps = key.strip().split(".")
    if not equals or not all(steps):
        raise StudyError(f"--set {assignment!r}: expected section.key=value, for example cohort.signal=nucleus")
    try:
        value = _plain(text)
    except yaml.YAMLError as error:
        raise StudyError(f"--set {assignment!r}: the value is not readable ({_reason(error)})") from error
    # YAML reads a bare `none` as text, but `null` and an empty value as nothing at all
    for step in steps[:-1]:
        content = content.setdefault(step, {})
        if not isinstance(content, dict):
            raise StudyError(f"--set {assignment!r}: {step} is set to a value and a section at once")
    content[steps[-1]] = value


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a section, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice in its section", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _plain(text: str) -> Any:
    # the loader is a SafeLoader: it makes plain values only
    return yaml.load(text, _Loader)  # noqa: S506


def _reason(error: Exception) -> str:
    """Say in one line what is wrong with a YAML text, and where."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())
