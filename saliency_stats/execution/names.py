"""Ids become names of files here and nowhere else."""

import hashlib
import re
from typing import Final

#: A name that every file system takes, and none for another: lower case, since some do not tell letter cases apart.
_PLAIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9_-])?")
#: Devices of Windows, with or without an ending.
_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")
#: What an escaped name looks like; an id that looks so is escaped too, or two ids could share a file.
_ESCAPED: Final = re.compile(r".*-[0-9a-f]{12}")
_READABLE: Final = 60


def file_name(name: str, ending: str = "") -> str:
    """Make the name of a file of an id: never two of one, never in another folder.

    An id of lower-case letters, digits, ``.``, ``_`` and ``-`` stays as it is. Of any other what can be read stays,
    and twelve digits of its sha256 tell it from others.

    Parameters
    ----------
    name
        The id: any text.
    ending
        Ending of the file, with its dot; where the id has it already, it is not doubled.

    Examples
    --------
    >>> file_name("slide-01", ".npz")
    'slide-01.npz'
    >>> file_name("../a/b", ".npz")
    'a_b-8e7e11e418be.npz'
    """
    doubled = bool(ending) and name.lower().endswith(ending)
    safe = _PLAIN.fullmatch(name) and not _DEVICE.fullmatch(name) and not _ESCAPED.fullmatch(name)
    if safe and not doubled:
        return f"{name}{ending}"
    stem = name[: len(name) - len(ending)] if doubled else name
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[:_READABLE].strip("_-") or "id"
    return f"{readable}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}{ending}"
