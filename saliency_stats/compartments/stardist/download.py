"""The official StarDist models: fetched once, checked, unpacked with care, kept in a cache."""

import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import pooch
import requests

from saliency_stats.errors import CompartmentError


@dataclass(frozen=True)
class OfficialModel:
    """Where a model is published and what its archive must be.

    Both are of the zip file, ``sha256`` as the stardist package registers it.
    """

    url: str
    sha256: str


#: As registered in ``stardist/models/__init__.py`` (stardist 0.9.2).
OFFICIAL: Final = {
    "2D_versatile_he": OfficialModel(
        "https://github.com/stardist/stardist-models/releases/download/v0.1/python_2D_versatile_he.zip",
        "f1696ef0631bd7e1c0e5c0d3017e2b4c6a95e284c6aab9c22fc2f08317817b28",
    )
}
_FILES: Final = ("config.json", "thresholds.json", "weights_best.h5")
#: Of a file in the archive: the largest published model has 6 MB.
_LARGEST_BYTES: Final = 200 * 2**20


def cache_folder() -> Path:
    """Where models are kept: ``SALIENCY_STATS_CACHE`` if it is set, else the user's cache folder."""
    chosen = os.environ.get("SALIENCY_STATS_CACHE")
    return Path(chosen) if chosen else Path(pooch.os_cache("saliency-stats"))


def official_folder(name: str) -> Path:
    """Folder of an official model; downloaded and unpacked if it is not in the cache.

    It holds ``config.json``, ``thresholds.json`` and ``weights_best.h5``.

    Raises
    ------
    CompartmentError
        If the archive cannot be fetched or is not the registered one: what to download, and where to put it.
    """
    archive = _fetched(name, OFFICIAL[name])
    folder = archive.with_suffix("")
    if not all((folder / file).is_file() for file in _FILES):
        unpack(archive, folder)
    return folder


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the three files of a model, and nothing else, wherever the archive would have them.

    Parameters
    ----------
    archive
        A zip file. Only the last part of a member's name counts, so no member can leave ``folder``.
    folder
        Takes its place in one step; what was there is replaced.

    Raises
    ------
    CompartmentError
        If the archive is broken, lacks a file, holds it twice, or one is too large.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        partial = Path(made) / "model"
        partial.mkdir()
        try:
            with zipfile.ZipFile(archive) as content:
                for file in _FILES:
                    members = [m for m in content.infolist() if PurePosixPath(m.filename).name == file]
                    if len(members) != 1 or members[0].file_size > _LARGEST_BYTES:
                        raise CompartmentError(
                            f"{archive} holds {len(members)} files {file}, expected one of at most "
                            f"{_LARGEST_BYTES // 2**20} MB; download it again."
                        )
                    with content.open(members[0]) as source, (partial / file).open("wb") as target:
                        shutil.copyfileobj(source, target)
        except (zipfile.BadZipFile, OSError) as error:
            raise CompartmentError(f"{archive} cannot be unpacked ({error}); download it again.") from error
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)


def _fetched(name: str, model: OfficialModel) -> Path:
    """Path of the archive, downloaded if what the cache holds is not the registered file."""
    folder = cache_folder() / "stardist"
    file = model.url.rsplit("/", 1)[1]
    pooch.get_logger().setLevel("WARNING")  # the progress bar says it
    try:
        path = pooch.retrieve(model.url, f"sha256:{model.sha256}", fname=file, path=folder, progressbar=True)
    except (OSError, ValueError, requests.RequestException) as error:
        # ValueError: what came has another hash
        raise CompartmentError(
            f"compartments.nuclei: {name} is not in the cache and could not be downloaded ({error}). Download "
            f"{model.url} (SHA-256 {model.sha256}) and put it, without unpacking it, at {folder / file}."
        ) from error
    return Path(path)
