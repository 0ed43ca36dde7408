"""What a public S3 bucket holds: its listing, and the checksums published beside the files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote
from xml.etree.ElementTree import Element

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from saliency_stats.errors import DownloadError
from saliency_stats.fetching.transfer import Client, Remote

_MD5: Final = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
#: A line of md5sum: the sum, a space, and a space (text) or an asterisk (binary) before the name.
_MD5_LINE: Final = re.compile(r"([0-9a-f]{32})\s+\*?(?:\./)?(\S.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Listed:
    """A file as the bucket lists it: its key, its size in bytes, its ETag without quotes."""

    key: str
    size: int
    etag: str


def list_bucket(client: Client, url: str, prefix: str) -> list[Listed]:
    """List the files of a public bucket whose keys begin with ``prefix``, without an account.

    Returns
    -------
    list of Listed
        In the bucket's order; folders (keys that end in ``/``) left out.

    Raises
    ------
    DownloadError
        If the bucket cannot be reached, or answers with anything but a listing (S3's ``ListObjectsV2``).
    """
    return [file for page in _pages(client, url, prefix) for file in page if not file.key.endswith("/")]


def checksums(client: Client, url: str, file: Listed, prefix: str) -> dict[str, str]:
    """Read a list of ``md5sum`` as a mapping of keys to sums.

    Parameters
    ----------
    prefix
        Put before names that lack it: they are relative to the list.

    Raises
    ------
    DownloadError
        If not one line is a checksum.
    """
    text = client.read(address(url, file.key)).decode("utf-8", errors="replace")
    found = [match.groups() for line in text.splitlines() if (match := _MD5_LINE.fullmatch(line.strip()))]
    if not found:
        raise DownloadError(
            f"{address(url, file.key)} holds no checksum; expected lines of 32 hexadecimal digits and a name. "
            f"Is the address that of the bucket?"
        )
    return {f"{prefix}{name.removeprefix(prefix)}": md5.lower() for md5, name in found}


def remote(url: str, file: Listed, sums: Mapping[str, str]) -> Remote:
    """Say where a file is and how it is checked: by the published MD5, else by its ETag where that is one.

    The ETag of a file that was uploaded in one piece is its MD5; of one in several pieces (``…-12``) it is none, and
    only the size remains.
    """
    md5 = sums.get(file.key) or (file.etag if _MD5.fullmatch(file.etag) else None)
    return Remote(address(url, file.key), file.size, file.etag or None, md5 and f"md5:{md5}")


def address(url: str, key: str) -> str:
    """URL of a file of the bucket."""
    return f"{url.rstrip('/')}/{quote(key)}"


def _pages(client: Client, url: str, prefix: str) -> Iterator[list[Listed]]:
    query = {"list-type": "2", "prefix": prefix}
    while True:
        content = client.read(f"{url.rstrip('/')}/", query)
        files, following = _page(content, url)
        yield files
        if following is None:
            return
        if following == query.get("continuation-token"):
            raise DownloadError(f"{url}: the listing repeats itself instead of going on; try again later")
        query["continuation-token"] = following


def _page(content: bytes, url: str) -> tuple[list[Listed], str | None]:
    try:
        root = fromstring(content)
        if not root.tag.endswith("ListBucketResult"):
            raise ValueError(f"found <{root.tag}>")
        files = [
            Listed(_text(item, "Key"), int(_text(item, "Size")), item.findtext("{*}ETag", "").strip('"'))
            for item in root.iterfind("{*}Contents")
        ]
        more = _text(root, "IsTruncated") == "true"
        return files, _text(root, "NextContinuationToken") if more else None
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise DownloadError(
            f"{url} answers with something else than the listing of a bucket ({error}); expected XML with "
            f"<ListBucketResult>. Is the address that of a public S3 bucket, and no proxy in between?"
        ) from error


def _text(element: Element, name: str) -> str:
    text = element.findtext(f"{{*}}{name}")
    if not text:
        raise ValueError(f"<{name}> is missing")
    return str(text)
