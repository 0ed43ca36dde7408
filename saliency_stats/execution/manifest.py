"""What made a run: study, versions, device, hashes of everything that went in and came out, time per stage."""

import hashlib
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from saliency_stats import __version__
from saliency_stats.execution.schema import DRAWN, UNHASHED, artefacts

_PACKAGES: Final = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pandas",
    "scikit-image",
    "statsmodels",
    "matplotlib",
    "pillow",
)

#: Those on which the last digits of results depend.
DECISIVE: Final = ("saliency-stats", "torch", "numpy")


def versions() -> dict[str, str]:
    """List the versions of Python and of the packages that results depend on."""
    # the package's own version is its own to say: it may run from a source tree that is not installed
    here = {"python": platform.python_version(), "saliency-stats": __version__}
    return here | {name: metadata.version(name) for name in _PACKAGES}


def sha256(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def artefact_hashes(folder: Path, *, drawn: bool | None = None) -> dict[str, str]:
    """Hash the artefacts in a run's folder, except the manifest itself, the working files, and files of others.

    Parameters
    ----------
    drawn
        Only what is drawn from the tables (figures, page), or only the rest; by default both.
    """
    ours = set(artefacts()) - set(UNHASHED)
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {
        name: sha256(path)
        for name, path in found.items()
        if path.is_file()
        and not path.name.startswith(".")
        and name.split("/")[0] in ours
        and drawn in {None, is_drawn(name)}
    }


def is_drawn(name: str) -> bool:
    """Say whether an artefact is drawn from the tables, which may be done again at any time."""
    return name.split("/", maxsplit=1)[0] in DRAWN


def machine() -> dict[str, Any]:
    """Describe the machine in terms that matter for reproducing numbers."""
    return {"system": platform.system(), "machine": platform.machine(), "processor": platform.processor() or "unknown"}
