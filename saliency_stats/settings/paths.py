"""Paths in a study file: relative to it, whatever the working directory."""

import os
from pathlib import Path
from typing import Any, Final

from saliency_stats.errors import shortened, shown
from saliency_stats.settings.faults import Fault
from saliency_stats.vocabulary import NUCLEUS_FINDERS, TORCHSCRIPT

_PATHS: Final = (("cohort", "table"), ("cohort", "root"), ("classifier", "weights"), ("compartments", "nuclei"))
#: Values of keys that otherwise hold a path.
_NOT_PATHS: Final = frozenset({"", "imagenet", "own", "none", "truth", *NUCLEUS_FINDERS})


def anchored(content: dict[str, Any], folder: Path) -> list[Fault]:
    """Make the paths in the content of a study file independent of the working directory.

    Parameters
    ----------
    content
        Changed in place.
    folder
        What relative paths are relative to.

    Returns
    -------
    list
        Faults of what can be no path at all.
    """
    faults = []
    for section, key in _PATHS:
        part = content.get(section)
        if not isinstance(part, dict):
            continue
        value = part.get(key)
        if (section, value) == ("cohort", ""):
            faults.append(Fault((section, key), f"{section}.{key}: is empty; expected the path of a file"))
        if isinstance(value, str) and value not in _NOT_PATHS:
            prefix = TORCHSCRIPT if key == "nuclei" and value.startswith(TORCHSCRIPT) else ""
            try:
                # not resolved: a message names the link that the user knows, and not what it leads to
                path = Path(os.path.abspath(folder / value.removeprefix(prefix)))  # noqa: PTH100
                path.resolve().exists()  # raises for what can be no path
                part[key] = f"{prefix}{path}"
            except (OSError, RuntimeError, ValueError) as error:
                reason = getattr(error, "strerror", None) or shortened(str(error), 100)
                faults.append(Fault((section, key), f"{section}.{key}: {shown(value)} cannot be a path ({reason})"))
                part.pop(key)
    classifier = content.get("classifier")
    if isinstance(classifier, dict) and "architecture" in classifier:
        classifier["architecture"] = _beside(classifier["architecture"], folder)
    for section, key in (("saliency", "methods"), ("multiverse", "methods"), ("", "controls")):
        part = content.get(section) if section else content
        if isinstance(part, dict) and isinstance(part.get(key), list):
            part[key] = [_beside(name, folder) for name in part[key]]
    return faults


def _beside(name: Any, folder: Path) -> Any:
    """Say where the file of a user's own class is, if it lies beside the study file."""
    if not isinstance(name, str) or not name.startswith("python:"):
        return name
    module, _, kind = name.removeprefix("python:").rpartition(":")
    try:
        file = (folder / (module if module.endswith(".py") else f"{module.replace('.', '/')}.py")).resolve()
        return f"python:{file}:{kind}" if file.is_file() else name
    except (OSError, RuntimeError, ValueError):
        return name  # no file can be called this: it is refused by name where the class is loaded
