"""The beginning of a file on disk, and of which version of the file it is."""

from pathlib import Path


def part_of(path: Path) -> Path:
    """Where a file lies until it is complete and checked."""
    return path.with_name(f"{path.name}.part")


def bare(etag: str) -> str:
    """ETag without its quotes, which a listing may leave out."""
    return etag.strip().strip('"')


class Part:
    """The bytes of a file that came in so far (``NAME.part``), with the ETag of their version beside them.

    Parameters
    ----------
    path
        Where the complete file is to lie.
    etag
        Of the version that is wanted, where known.
    """

    def __init__(self, path: Path, etag: str | None = None) -> None:
        self.path, self._expected_etag = part_of(path), etag
        self._note = self.path.with_name(f"{self.path.name}.etag")

    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def etag(self) -> str:
        """Mark of the version they are of; empty where none is known."""
        return self._note.read_text(encoding="utf-8") if self._note.is_file() else ""

    def begin(self) -> int:
        """Drop the part of another version; return how many bytes remain."""
        if self._expected_etag is not None and bare(self.etag()) != bare(self._expected_etag):
            self.remove()
        return self.size()

    def restart(self, etag: str) -> int:
        """Begin anew with the version ``etag``; return how many bytes are lost."""
        lost = self.remove()
        # the mark first: bytes without it are never continued
        self._note.write_text(etag, encoding="utf-8", newline="\n")
        self.path.touch()
        return lost

    def remove(self) -> int:
        """Remove the part and its mark; return how many bytes are lost."""
        lost = self.size()
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        return lost
