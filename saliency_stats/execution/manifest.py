"""What made a run: study, versions, device, hashes of everything that went in and came out, time per stage."""

import hashlib
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from saliency_stats import __version__
from saliency_stats.execution.schema import UNHASHED

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


def versions() -> dict[str, str]:
    """List the versions of Python and of the packages that results depend on."""
    # the package's own version is its own to say: it may run from a source tree that is not installed
    here = {"python": platform.python_version(), "saliency-stats": __version__}
    return here | {name: metadata.version(name) for name in _PACKAGES}


def sha256(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def artefact_hashes(folder: Path) -> dict[str, str]:
    """Hash every artefact in a run's folder, except the manifest itself and the working files."""
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.relative_to(folder).parts[0] not in UNHASHED
    }


def machine() -> dict[str, Any]:
    """Describe the machine in terms that matter for reproducing numbers."""
    return {"system": platform.system(), "machine": platform.machine(), "processor": platform.processor() or "unknown"}
