"""Classes and factories of the user's own, named in a study file as ``python:package.module:Class``."""

import importlib
import importlib.util
import sys
import zlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, Final

from saliency_stats.errors import StudyError, shortened, shown

PREFIX: Final = "python:"


def is_custom(name: str) -> bool:
    """Tell whether a study file names a class of the user's own."""
    return name.startswith(PREFIX)


@cache
def load(spec: str) -> Any:
    """Make an instance of the class that a study file names, once; see :func:`make`."""
    return make(spec)


def make(spec: str, kind: str = "Class") -> Any:
    """Call what a study file names, see :func:`find`, without arguments.

    Raises
    ------
    StudyError
        If there is no such module or class, or it cannot be made without arguments.
    """
    made, name = find(spec, kind), spec.rpartition(":")[2]
    try:
        return made()
    except (Exception, SystemExit) as error:
        raise StudyError(f"{spec}: {name}() fails ({_reason(error)})") from error


def find(spec: str, kind: str = "Class") -> Any:
    """Return what a study file names, a class or a function of a module.

    Parameters
    ----------
    spec
        ``python:package.module:Class``, the module on Python's path, or ``python:/folder/module.py:Class``. A study
        file may leave out the folder of a file beside it.
    kind
        What is called, for messages.

    Raises
    ------
    StudyError
        If there is no such module, or it has nothing of that name.
    """
    module_name, _, name = spec.removeprefix(PREFIX).rpartition(":")
    if not module_name or not name:
        example = "my_maps:Entropy" if kind == "Class" else "my_network:build"
        raise StudyError(f"{shortened(spec)}: expected python:package.module:{kind}, for example python:{example}")
    try:
        module = _from_file(Path(module_name)) if module_name.endswith(".py") else importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        # whatever a user's module raises while it is imported, the study file named it
        raise StudyError(
            f"{shortened(spec)}: the module cannot be imported ({_reason(error)}). Expected a module on Python's path, "
            "or a file beside the study file"
        ) from error
    made = getattr(module, name, None)
    if made is None:
        has = _public(module, functions=kind != "Class")
        raise StudyError(f"{spec}: {module_name} has no {name}; it has {shortened(', '.join(has)) or 'nothing'}")
    return made


def require(spec: str, made: object, needed: Iterable[str], usual: str) -> None:
    """Refuse an instance that lacks what is needed of it.

    ``spec`` is the name in the study file, ``needed`` the attributes it must have, ``usual`` says how such a class
    looks.

    Raises
    ------
    StudyError
        Naming what is missing.
    """
    missing = [name for name in needed if not hasattr(made, name)]
    if missing:
        raise StudyError(f"{spec}: {type(made).__name__} has no {' and no '.join(missing)}; expected {usual}")
    if not isinstance(made.name, str) or not made.name:  # type: ignore[attr-defined]
        raise StudyError(f"{spec}: its name is {shown(made.name)}; expected the text that the tables call it by")  # type: ignore[attr-defined]


def _reason(error: BaseException) -> str:
    return shortened(f"{type(error).__name__}: {error}")


def module_of(spec: str) -> str:
    """Return the name under which Python keeps the module of a class that was loaded."""
    module_name = spec.removeprefix(PREFIX).rpartition(":")[0]
    return _own_name(Path(module_name)) if module_name.endswith(".py") else module_name


def _own_name(path: Path) -> str:
    # the same file is the same module in every process, whatever the order
    return f"saliency_stats_custom_{path.stem}_{zlib.crc32(str(path).encode()):08x}"


def _from_file(path: Path) -> Any:
    name = _own_name(path)
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise FileNotFoundError(f"no file {path}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _public(module: object, *, functions: bool) -> list[str]:
    kinds = (type, FunctionType) if functions else (type,)
    return sorted(name for name, value in vars(module).items() if isinstance(value, kinds) and not name.startswith("_"))
