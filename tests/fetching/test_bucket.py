"""Listings in pages, checksums in lines, and answers that are neither."""

from dataclasses import FrozenInstanceError

import pytest

from saliency_stats.errors import DownloadError
from saliency_stats.fetching.bucket import Listed, address, checksums, list_bucket, remote
from saliency_stats.fetching.camelyon16 import Slide
from saliency_stats.fetching.transfer import Client, Remote, Retries

MD5 = "900150983cd24fb0d6963f7d28e17f72"
OTHER = "d41d8cd98f00b204e9800998ecf8427e"


@pytest.fixture
def client(hasty):
    with Client(hasty) as client:
        yield client


@pytest.mark.parametrize("page_size", [1, 3, 7, 1000])
def test_a_listing_is_whole_whatever_the_size_of_its_pages(bucket, client, page_size):
    bucket.files = {f"A/{number:02d} & more.tif": b"x" * number for number in range(7)} | {"A/": b"", "B/1": b""}
    bucket.page_size = page_size
    listed = list_bucket(client, bucket.url, "A/")
    expected = [Listed(key, len(bucket.files[key]), bucket.etag(key)) for key in sorted(bucket.files)[1:8]]
    assert listed == expected


def test_a_slash_at_the_end_of_the_address_makes_no_difference(bucket, client):
    bucket.files = {"A/1": b"x"}
    assert list_bucket(client, f"{bucket.url}/", "A/") == list_bucket(client, bucket.url, "A/")


def test_an_empty_bucket_lists_nothing(bucket, client):
    assert list_bucket(client, bucket.url, "A/") == []


def test_a_listing_survives_a_busy_server(bucket, client):
    bucket.files = {"A/1": b"x"}
    bucket.failures[""] = [503, 500]
    assert len(list_bucket(client, bucket.url, "A/")) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"<html><body>Please log in</body></html>",
        b"not XML",
        b"",
        b"<ListBucketResult/>",
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>0</IsTruncated><Contents><Key>a</Key><Size>b</Size></Contents></ListBucketResult>",
        b'<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><ListBucketResult>&c;</ListBucketResult>',
    ],
    ids=["html", "text", "nothing", "bare", "no token", "no size", "size", "entities"],
)
def test_what_is_no_listing_is_refused(bucket, client, monkeypatch, answer):
    monkeypatch.setattr(bucket, "listing", lambda *_: answer)
    with pytest.raises(DownloadError, match=rf"{bucket.url} answers with something else than the listing"):
        list_bucket(client, bucket.url, "A/")


def test_a_listing_that_repeats_itself_ends(bucket, client, monkeypatch):
    page = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>1</NextContinuationToken></{}>"
    monkeypatch.setattr(bucket, "listing", lambda *_: page.format("ListBucketResult").encode())
    with pytest.raises(DownloadError, match="repeats itself"):
        list_bucket(client, bucket.url, "A/")


def test_checksums_are_read_in_every_form_of_md5sum(bucket, client):
    lines = [f"{MD5}  images/a.tif", f"{MD5.upper()} *images/b.tif", f"{OTHER}  ./images/c d.tif", f"{OTHER} *A/e.tif"]
    bucket.files["A/checksums.md5"] = "\r\n".join([*lines, "", "# comment"]).encode()
    found = checksums(client, bucket.url, Listed("A/checksums.md5", 0, ""), "A/")
    assert found == {"A/images/a.tif": MD5, "A/images/b.tif": MD5, "A/images/c d.tif": OTHER, "A/e.tif": OTHER}


@pytest.mark.parametrize("text", [b"", b"<html>", b"\xff\xfe\x00"])
def test_a_list_without_checksums_is_refused(bucket, client, text):
    bucket.files["A/checksums.md5"] = text
    with pytest.raises(DownloadError, match="holds no checksum"):
        checksums(client, bucket.url, Listed("A/checksums.md5", 0, ""), "A/")


def test_the_published_sum_comes_before_the_mark_and_a_mark_of_pieces_is_none():
    def digest(etag, sums):
        return remote("http://x", Listed("A/1 2", 3, etag), sums).digest

    assert digest(OTHER, {"A/1 2": MD5}) == f"md5:{MD5}"
    assert digest(OTHER, {}) == f"md5:{OTHER}"
    assert digest(f"{OTHER}-12", {}) is None
    assert digest("", {}) is None


def test_addresses_are_quoted():
    assert address("http://x/", "A/1 2&3.tif") == "http://x/A/1%202%263.tif"


def test_a_file_says_all_that_is_known_of_it():
    found = remote("http://x", Listed("A/1", 3, OTHER), {"A/1": MD5})
    assert (found.url, found.size, found.etag, found.digest) == ("http://x/A/1", 3, OTHER, f"md5:{MD5}")
    assert remote("http://x", Listed("A/1", 3, ""), {}).etag is None
    assert remote("http://x", Listed("A/1", 3, OTHER.upper()), {}).digest == f"md5:{OTHER.upper()}"
    assert remote("http://x", Listed("A/1", 3, OTHER[:-1]), {}).digest is None


def test_a_listing_goes_on_from_the_mark_of_the_page_before(bucket, client):
    bucket.files = {f"A/{number}": b"x" for number in range(5)}
    bucket.page_size = 2
    assert len(list_bucket(client, bucket.url, "A/")) == 5
    assert len(bucket.asked) == 3


@pytest.mark.parametrize("known", [Listed("A/1", 3, MD5), Remote("http://x"), Retries(), Slide("a", Remote(""), None)])
def test_what_is_known_beforehand_cannot_be_changed(known):
    with pytest.raises(FrozenInstanceError):
        setattr(known, next(iter(vars(known))), None)
