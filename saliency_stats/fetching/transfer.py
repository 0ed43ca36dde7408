"""One file over HTTP: resumed after a dropped connection, and named only after it is checked."""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import requests

from saliency_stats.errors import DownloadError
from saliency_stats.execution.files import storage_error
from saliency_stats.fetching.part import Part, bare

Result = TypeVar("Result")
#: Called with the number of bytes received (negative where a file starts again).
Tick = Callable[[int], object]

#: What was received of a chunk is lost when the connection drops.
_CHUNK: Final = 2**16
_OK, _PARTIAL, _RANGE_REFUSED, _TOO_MANY, _SERVER_ERRORS = 200, 206, 416, 429, 500
_LIKELY: Final = {
    403: "the server refuses access, or a proxy is in between. Check the address in a browser",
    404: "it is not there. It may have moved: is there a newer version of saliency-stats?",
}


class FileRefusedError(DownloadError):
    """One file cannot be fetched; other files of the same server can still be tried."""


class _DroppedError(Exception):
    """The connection ended early; the next try goes on from there."""


_PASSING: Final = (
    _DroppedError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    ConnectionError,
    TimeoutError,
)


@dataclass(frozen=True)
class Remote:
    """A file on a server, and what is known of it beforehand.

    Parameters
    ----------
    url
        Where it is.
    size
        In bytes.
    etag
        The server's mark of this version of the file.
    digest
        ``md5:…`` or ``sha256:…``, hexadecimal; fewer digits than the whole are compared with the first ones.
    """

    url: str
    size: int | None = None
    etag: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Retries:
    """How often a dropped connection is tried again.

    Parameters
    ----------
    tries
        Most tries in a row without a new byte; a connection that brings a byte starts the count again.
    wait_s
        Before the second try; doubled each time, up to ``longest_s``.
    longest_s
        Longest wait.
    timeout_s
        Silence after which a connection counts as dropped.
    """

    tries: int = 6
    wait_s: float = 1.0
    longest_s: float = 30.0
    timeout_s: float = 60.0


def is_complete(path: Path, remote: Remote, *, verify: bool) -> bool:
    """Whether a file is here: by its size, and with ``verify`` (or where no size is known) by its checksum."""
    if not path.is_file() or remote.size not in {None, path.stat().st_size}:
        return False
    return _differs(path, remote.digest) is None if verify or remote.size is None else True


class Client:
    """Fetches from HTTP servers with retries; close it, or use it in a ``with`` block."""

    def __init__(self, retries: Retries | None = None) -> None:
        self._retries = retries or Retries()
        self._session = requests.Session()
        # bytes as they are stored, so that sizes and ranges mean the file
        self._session.headers["Accept-Encoding"] = "identity"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def read(self, url: str, query: Mapping[str, str] | None = None) -> bytes:
        """Read a small file, such as a listing, into memory.

        Raises
        ------
        DownloadError
            If the server cannot be reached.
        FileRefusedError
            If it answers with anything but the file.
        """

        def attempt() -> bytes:
            response = self._session.get(url, params=query, timeout=self._retries.timeout_s)
            _check_status(response, url)
            return response.content

        return self._retrying(url, attempt, lambda: 0)

    def download(self, remote: Remote, path: Path, tick: Tick = lambda _: None) -> None:
        """Load a file into ``path.part``, going on where an earlier try ended, and rename it when it is checked.

        A part goes on only if the server says that the file is still the one the part is of (``If-Range`` with its
        ETag, RFC 9110, section 13.1.5); otherwise it starts again.

        Parameters
        ----------
        path
            Where it is to lie; what lies there is replaced when, and only when, the new file is complete.
        tick
            Called with the number of bytes received, those of earlier tries first.

        Raises
        ------
        DownloadError
            If the connection drops too often; what was received is kept.
        FileRefusedError
            If the server has no such file, or sends another one than announced; what was received is removed.
        StorageError
            If the disk is full or the folder cannot be written.
        """
        part = Part(path, remote.etag)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            tick(part.begin())
            self._retrying(remote.url, lambda: self._receive(remote, part, tick), part.size)
            found = _differs(part.path, remote.digest)
            if found is not None:
                part.remove()
                raise FileRefusedError(
                    f"{remote.url} came with the checksum {found}, expected {remote.digest}. It was removed; run the "
                    f"same command again. If this repeats, the file on the server is not the published one"
                )
            os.replace(part.path, path)  # noqa: PTH105  (the atomic call, by its name)
            part.remove()
        except OSError as error:
            raise storage_error(path, error) from error

    def _receive(self, remote: Remote, part: Part, tick: Tick) -> None:
        # without the mark of its version, a part may be of another one
        have = part.size() if part.etag() else 0
        if have and have == remote.size:
            return
        headers = {"Range": f"bytes={have}-", "If-Range": part.etag()} if have else {}
        with self._session.get(remote.url, headers=headers, stream=True, timeout=self._retries.timeout_s) as response:
            if response.status_code == _RANGE_REFUSED:
                tick(-part.remove())
                raise _DroppedError(f"the server has no bytes from {have} on")
            _check_status(response, remote.url)
            etag = response.headers.get("ETag", "")
            if response.status_code != _PARTIAL:
                tick(-part.restart(etag))
                have = 0
            elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-") or etag != part.etag():
                tick(-part.remove())
                raise _DroppedError("the server sent another range than asked for")
            length = response.headers.get("Content-Length")
            size = remote.size if length is None else have + int(length)
            self._check_announced(remote, part, etag, size)
            with part.path.open("ab") as file:
                for chunk in response.iter_content(_CHUNK):
                    file.write(chunk)
                    tick(len(chunk))
        if size is not None and part.size() < size:
            raise _DroppedError(f"{part.size()} of {size} bytes came")
        if size is not None and part.size() > size:
            raise FileRefusedError(
                f"{remote.url}: {part.remove()} bytes came, expected {size}; they were removed. Is a proxy in between?"
            )

    def _check_announced(self, remote: Remote, part: Part, etag: str, size: int | None) -> None:
        changed = etag and remote.etag and bare(etag) != bare(remote.etag)
        if changed or remote.size not in {None, size}:
            part.remove()
            raise FileRefusedError(
                f"{remote.url} is not the file that was listed: found {size} bytes, ETag {bare(etag) or 'none'}, "
                f"expected {remote.size} bytes, ETag {bare(remote.etag or '') or 'any'}. It changed on the server "
                f"meanwhile: run the same command again"
            )

    def _retrying(self, url: str, attempt: Callable[[], Result], reached: Callable[[], int]) -> Result:
        """Try until it works, the server refuses, or several tries in a row brought no new byte."""
        failures, furthest = 0, reached()
        while True:
            try:
                return attempt()
            except _PASSING as error:
                failures = 1 if reached() > furthest else failures + 1
                furthest = max(furthest, reached())
                if failures >= self._retries.tries:
                    raise DownloadError(
                        f"{url} cannot be reached, or the connection keeps dropping ({failures} tries in a row; "
                        f"{type(error).__name__}: {error}). What was received is kept: check the connection and run "
                        f"the same command again"
                    ) from error
                time.sleep(min(self._retries.wait_s * 2 ** (failures - 1), self._retries.longest_s))
            except requests.RequestException as error:
                raise DownloadError(
                    f"{url} cannot be fetched ({type(error).__name__}: {error}); expected a web address of a file"
                ) from error


def _check_status(response: requests.Response, url: str) -> None:
    status = response.status_code
    if status in {_OK, _PARTIAL}:
        return
    if status == _TOO_MANY or status >= _SERVER_ERRORS:
        raise _DroppedError(f"the server answers {status} {response.reason}")
    remedy = _LIKELY.get(status, "check the address and the connection")
    raise FileRefusedError(f"{url}: the server answers {status} {response.reason}, expected the file; {remedy}")


def _differs(path: Path, digest: str | None) -> str | None:
    """Checksum of a file where it is not the expected one."""
    if digest is None:
        return None
    algorithm, _, expected = digest.partition(":")
    with path.open("rb") as file:
        # a check against accidents, not against forgery: MD5 is what the publisher gives
        found = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    return None if found.startswith(expected.lower()) else f"{algorithm}:{found}"
