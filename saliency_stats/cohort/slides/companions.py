"""Slides of several files: which others OpenSlide reads beside the one that a list names."""

import configparser
from pathlib import Path


def companions(path: Path) -> list[Path]:
    """List the files that belong to a slide.

    MIRAX keeps its pixels in the folder of the same name; Hamamatsu VMS and VMU name their images in an index; a DICOM
    slide is all instances in one folder. Every other format is one file.

    Parameters
    ----------
    path
        As listed; it need not exist.
    """
    ending = path.suffix.lower()
    if ending == ".mrxs":
        return _below(path.with_suffix(""))
    if ending in {".vms", ".vmu"}:
        return _indexed(path)
    if ending == ".dcm":
        return [file for file in _below(path.parent, "*.[dD][cC][mM]") if file != path]
    return []


def _below(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(file for file in folder.glob(pattern) if file.is_file())


def _indexed(path: Path) -> list[Path]:
    index = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        index.read_string(path.read_bytes().decode("latin-1"))
    except (OSError, configparser.Error):
        # not an index: the slide itself will be refused
        return []
    # the path itself, and nothing outside its folder: an index holds plain names
    named = {value for section in index.sections() for value in index[section].values() if value}
    files = [path.parent / name for name in sorted(named) if Path(name).name == name]
    return [file for file in files if file.is_file() and file != path]
