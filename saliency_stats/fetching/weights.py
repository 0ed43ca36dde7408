"""Published weights, put where the rooms that use them look for them."""

import re
from pathlib import Path
from typing import Final

from tqdm import tqdm

from saliency_stats.fetching.transfer import Client, Remote, Retries, is_complete

#: torchvision writes the first digits of the file's SHA-256 into its name.
_HASH_IN_NAME: Final = re.compile(r"-([0-9a-f]{8,})\.pth$")
_STARDIST: Final = "2D_versatile_he"


def fetch_densenet201(*, url: str | None = None, retries: Retries | None = None, show: bool = False) -> Path:
    """Put the ImageNet weights of DenseNet-201 into torchvision's cache and load them once.

    ``url`` is another address of the same file. Returns its path.

    Raises
    ------
    DownloadError
        If the file cannot be fetched or is not the published one.
    StorageError
        If the cache cannot be written.
    ClassifierError
        If the file does not fit the network.
    """
    from saliency_stats.classifier.building import build, imagenet_file  # noqa: PLC0415  (loads torch)

    published, path = imagenet_file("densenet201")
    match = _HASH_IN_NAME.search(path.name)
    assert match, f"torchvision no longer names {path.name} by its checksum"
    _fetch(Remote(url or published, digest=f"sha256:{match[1]}"), path, retries, show=show)
    build("densenet201", "imagenet", seed=0)
    return path


def fetch_stardist(*, url: str | None = None, retries: Retries | None = None, show: bool = False) -> Path:
    """Put StarDist's own model for H&E into this package's cache and unpack it.

    Arguments are those of :func:`fetch_densenet201`. Returns the folder of the model.

    Raises
    ------
    DownloadError
        If the archive cannot be fetched or is not the registered one.
    StorageError
        If the cache cannot be written.
    CompartmentError
        If the archive does not hold a model.
    """
    from saliency_stats.compartments.stardist.download import (  # noqa: PLC0415  (pooch is slow to load)
        OFFICIAL,
        cache_folder,
        official_folder,
    )

    official = OFFICIAL[_STARDIST]
    path = cache_folder() / "stardist" / official.url.rsplit("/", 1)[1]
    _fetch(Remote(url or official.url, digest=f"sha256:{official.sha256}"), path, retries, show=show)
    return official_folder(_STARDIST)


def _fetch(remote: Remote, path: Path, retries: Retries | None, *, show: bool) -> None:
    if is_complete(path, remote, verify=True):
        return
    bar = tqdm(desc=path.name, unit="B", unit_scale=True, disable=not show, dynamic_ncols=True)
    with Client(retries) as client, bar:
        client.download(remote, path, bar.update)
