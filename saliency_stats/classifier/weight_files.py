"""What a file that is named as weights is, looked at before any of it is loaded."""

import zipfile
from pathlib import Path
from typing import Final

from saliency_stats.errors import ClassifierError, shortened, shown

#: How a message about weights ends.
EXPECTED: Final = "expected a state_dict saved as safetensors or by torch.save"
_ENDINGS: Final = (".safetensors", ".pt", ".pth")
#: Of a file: ten times the largest classifier of images with its optimiser's state.
MAX_BYTES: Final = 64 * 2**30
#: Of the header of a safetensors file: names and shapes of a network with 10,000 layers take less.
MAX_HEADER: Final = 25 * 2**20
#: First bytes of what is often called weights, and is something else.
_OTHERS: Final = (
    (b"\x89HDF\r\n\x1a\n", "is an HDF5 file, as Keras writes it"),
    (b"version https://git-lfs", "is a pointer of Git LFS and not the file itself; `git lfs pull` fetches it"),
    (b"<", "is a web page or XML"),
    (b"\x1f\x8b", "is a gzip archive"),
)


def refuse_others(path: Path) -> None:
    """Refuse what is no file of weights.

    Raises
    ------
    ClassifierError
        Saying what it is instead, as far as its first bytes or its table of contents show.
    """
    try:
        is_file, is_folder, is_there = path.is_file(), path.is_dir(), path.exists()
        size = path.stat().st_size if is_file else 0
    except (OSError, ValueError) as error:
        reason = shortened(str(getattr(error, "strerror", None) or error))
        raise ClassifierError(f"classifier.weights: {shown(str(path))} cannot be a path ({reason})") from error
    if not is_file:
        what = "a folder" if is_folder else "a pipe or a device"
        found = f"{path} is {what}" if is_there else f"there is no file {path}"
        raise ClassifierError(
            f"classifier.weights: {found}; expected 'imagenet', 'none' or a .safetensors, .pt or .pth file"
        )
    if path.suffix not in _ENDINGS:
        raise ClassifierError(
            f"classifier.weights: {path} has the ending {path.suffix!r}; expected .safetensors, .pt or .pth"
        )
    for look in (_at_the_size, _at_the_start, _as_safetensors if path.suffix == ".safetensors" else _as_torch):
        other = look(path, size)
        if other:
            raise ClassifierError(f"classifier.weights: {path} {other}; {EXPECTED}")


def _at_the_size(_: Path, size: int) -> str:
    if size == 0:
        return "is empty (0 bytes); was it copied completely?"
    return f"has {size:,} bytes, more than any classifier" if size > MAX_BYTES else ""


def _at_the_start(path: Path, _: int) -> str:
    start = _start(path)
    return next((what for magic, what in _OTHERS if start.startswith(magic)), "")


def _as_safetensors(path: Path, _: int) -> str:
    start = _start(path)
    if start.startswith(b"PK"):
        return "is a zip archive, as torch.save writes it: call it .pt"
    header = _header(start)
    return f"announces a header of {header:,} bytes, more than any network's" if header > MAX_HEADER else ""


def _as_torch(path: Path, size: int) -> str:
    start = _start(path)
    if start[8:9] == b"{" and _header(start) < size:
        return "is a safetensors file: call it .safetensors"
    if start[257:262] == b"ustar":
        return "is a tar archive, as old versions of torch wrote it: load it there and save the state_dict anew"
    return _archive(path, size) if start.startswith(b"PK") else ""


def _archive(path: Path, size: int) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        return f"cannot be read ({shortened(str(error), 100)}). Is the file complete?"
    if any(member.filename.endswith("/constants.pkl") or "/code/" in member.filename for member in members):
        return "is a TorchScript archive, a program: save its state_dict() instead"
    # torch stores what it writes as it is; what would unpack to more than the file has was made by something else
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if packed or sum(member.file_size for member in members) > size:
        return "is a compressed or damaged archive, which torch.save does not write"
    return ""


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def _header(start: bytes) -> int:
    return int.from_bytes(start[:8], "little")
