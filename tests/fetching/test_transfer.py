"""One file: resumed, started again, refused; never half of it under its name."""

import errno
import hashlib
from pathlib import Path

import numpy as np
import pytest
import requests

from saliency_stats.errors import DownloadError, StorageError
from saliency_stats.fetching.part import part_of
from saliency_stats.fetching.transfer import Client, FileRefusedError, Remote, Retries, is_complete

KEY = "data/slide.tif"
CONTENT = np.random.default_rng(0).bytes(3_000_000)
CHUNK = 2**16
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "images" / "slide.tif"


@pytest.fixture
def server(bucket):
    bucket.files[KEY] = CONTENT
    return bucket


def remote(server, **changes):
    known = {"size": len(CONTENT), "etag": server.etag(KEY), "digest": f"sha256:{SHA}"}
    return Remote(f"{server.url}/{KEY}", **(known | changes))


def download(source, path, retries):
    ticks = []
    with Client(retries) as client:
        client.download(source, path, ticks.append)
    return sum(ticks)


def left(path):
    return sorted(file.name for file in path.parent.iterdir()) if path.parent.exists() else []


def begun(path, content, etag):
    path.parent.mkdir(parents=True)
    part_of(path).write_bytes(content)
    path.with_name("slide.tif.part.etag").write_text(etag, encoding="utf-8")


def test_a_file_arrives_as_it_is_and_leaves_nothing_beside(server, path, hasty):
    assert download(remote(server), path, hasty) == len(CONTENT)
    assert path.read_bytes() == CONTENT
    assert left(path) == ["slide.tif"]


def test_a_dropped_connection_goes_on_where_it_ended(server, path, hasty):
    server.drops[KEY] = [1_200_000, 900_000]
    assert download(remote(server), path, hasty) == len(CONTENT)
    assert path.read_bytes() == CONTENT
    ranges = [asked for _, asked in server.asked]
    assert ranges[0] is None
    first, second = (int(asked[6:-1]) for asked in ranges[1:])
    # of what was received, less than one chunk is asked for again
    assert 1_200_000 - CHUNK < first <= 1_200_000
    assert first + 900_000 - CHUNK < second <= first + 900_000


def test_a_later_command_goes_on_where_an_earlier_one_ended(server, path):
    server.drops[KEY] = [1_500_000]
    with pytest.raises(DownloadError, match="What was received is kept"):
        download(remote(server), path, Retries(tries=1, wait_s=0))
    assert left(path) == ["slide.tif.part", "slide.tif.part.etag"]
    kept = part_of(path).stat().st_size
    assert 1_500_000 - CHUNK < kept <= 1_500_000
    # the earlier bytes count as loaded: the bar begins where it stopped
    assert download(remote(server), path, Retries(tries=1, wait_s=0)) == len(CONTENT)
    assert server.asked[-1] == (KEY, f"bytes={kept}-")
    assert path.read_bytes() == CONTENT


def test_a_server_that_refuses_ranges_sends_it_all_again(server, path, hasty):
    server.ranges = False
    server.drops[KEY] = [1_000_000, 2_000_000]
    assert download(remote(server), path, hasty) == len(CONTENT)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("known", ["listed", "unlisted"])
def test_a_server_that_heeds_no_conditions_does_not_join_two_versions(server, path, hasty, known):
    server.conditions = False
    begun(path, CONTENT[::-1][:1_000_000], '"old"')
    source = remote(server, digest=None) if known == "listed" else remote(server, size=None, etag=None, digest=None)
    assert download(source, path, hasty) == len(CONTENT)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("tries", [1, 4])
def test_a_connection_that_brings_nothing_new_is_given_up(server, path, tries):
    server.drops[KEY] = [0] * 100
    with pytest.raises(DownloadError, match=rf"keeps dropping \({tries} tries.*same command again"):
        download(remote(server), path, Retries(tries=tries, wait_s=0))
    assert len(server.asked) == tries


def test_a_connection_that_brings_something_is_not_given_up(server, path, hasty):
    server.drops[KEY] = [2 * CHUNK] * 12
    download(remote(server), path, hasty)
    assert len(server.asked) == 13
    assert path.read_bytes() == CONTENT


def test_waits_are_doubled_up_to_the_longest(server, path, monkeypatch):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    server.failures[KEY] = [503, 500, 429, 503, 503]
    download(remote(server), path, Retries(tries=6, wait_s=1, longest_s=5))
    assert waits == [1, 2, 4, 5, 5]


def test_an_unreachable_server_is_named(path, hasty):
    source = Remote("http://127.0.0.1:9/slide.tif", 10)
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/slide\.tif cannot be reached"):
        download(source, path, hasty)


def test_a_file_that_changed_between_commands_starts_again(server, path, hasty):
    begun(path, b"old" * 1000, '"old"')
    assert download(remote(server), path, hasty) == len(CONTENT)
    assert path.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None]


def test_a_file_that_changes_while_it_is_loaded_is_refused(server, path, hasty):
    source = remote(server)
    server.drops[KEY] = [1_000_000]

    def change(_):
        if len(server.asked) == 2:
            server.files[KEY] = CONTENT[::-1]

    server.before = change
    with pytest.raises(FileRefusedError, match="changed on the server"):
        download(source, path, hasty)
    assert left(path) == []
    # the next command lists anew and finds it
    source = Remote(source.url, len(CONTENT), server.etag(KEY), f"md5:{server.etag(KEY)}")
    download(source, path, hasty)
    assert path.read_bytes() == CONTENT[::-1]


def test_a_changed_file_starts_again_where_no_listing_says_what_it_is(server, path, hasty):
    """Weights are not listed: the ETag of the first answer is the version that a part is of."""
    server.drops[KEY] = [1_000_000]
    old, new = CONTENT[::-1], CONTENT
    server.files[KEY] = old

    def change(_):
        if len(server.asked) == 2:
            server.files[KEY] = new

    server.before = change
    assert download(remote(server, size=None, etag=None), path, hasty) == len(CONTENT)
    assert path.read_bytes() == new


def test_a_server_without_marks_is_never_resumed(server, path, hasty):
    server.marks = False
    server.drops[KEY] = [1_000_000]
    download(remote(server, etag=None), path, hasty)
    assert [asked for _, asked in server.asked] == [None, None]
    assert path.read_bytes() == CONTENT


def test_a_part_without_a_mark_is_not_trusted(server, path, hasty):
    begun(path, CONTENT[::-1][:1000], "")
    download(remote(server, digest=None), path, hasty)
    assert path.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_starts_again(server, path, hasty):
    begun(path, CONTENT + b"more", f'"{server.etag(KEY)}"')
    download(remote(server), path, hasty)
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_the_whole_file_only_needs_its_name(server, path, hasty):
    begun(path, CONTENT, f'"{server.etag(KEY)}"')
    assert download(remote(server), path, hasty) == len(CONTENT)
    assert not server.asked
    assert left(path) == ["slide.tif"]


def test_a_part_beyond_the_end_of_an_unlisted_file_starts_again(server, path, hasty):
    begun(path, CONTENT, f'"{server.etag(KEY)}"')
    assert download(remote(server, size=None, etag=None), path, hasty) == len(CONTENT)
    assert path.read_bytes() == CONTENT


def test_wrong_bytes_are_removed(server, path, hasty):
    wrong = "0" * 64
    with pytest.raises(FileRefusedError, match=rf"sha256:{SHA}, expected sha256:{wrong}.*removed"):
        download(remote(server, digest=f"sha256:{wrong}"), path, hasty)
    assert left(path) == []


def test_wrong_bytes_leave_the_file_that_was_there(server, path, hasty):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"as before")
    with pytest.raises(FileRefusedError):
        download(remote(server, digest="md5:" + "0" * 32), path, hasty)
    assert path.read_bytes() == b"as before"


def test_wrong_bytes_of_an_earlier_part_are_found_out(server, path, hasty):
    begun(path, CONTENT[::-1][:1000], f'"{server.etag(KEY)}"')
    with pytest.raises(FileRefusedError, match="checksum"):
        download(remote(server), path, hasty)
    assert left(path) == []


def test_another_size_than_listed_is_refused_before_it_is_loaded(server, path, hasty):
    server.marks = False
    with pytest.raises(FileRefusedError, match=r"found 3000000 bytes.*expected 5 bytes"):
        download(remote(server, size=5, etag=None), path, hasty)
    assert left(path) == []


def test_an_answer_of_unknown_length_is_checked_by_what_came(server, path, hasty):
    server.lengths = False
    server.drops[KEY] = [1_000_000]
    download(remote(server), path, hasty)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_more_bytes_than_listed_are_refused(server, path, hasty):
    server.lengths = False
    with pytest.raises(FileRefusedError, match=r"3000000 bytes came.*2000000"):
        download(remote(server, size=2_000_000, etag=None, digest=None), path, hasty)
    assert left(path) == []


@pytest.mark.parametrize(("status", "remedy"), [(404, "moved"), (403, "proxy"), (400, "check the address")])
def test_a_refusal_names_the_address_and_a_remedy(server, path, hasty, status, remedy):
    server.refused[KEY] = status
    with pytest.raises(FileRefusedError, match=rf"{server.url}/{KEY}: the server answers {status} .*{remedy}"):
        download(remote(server), path, hasty)
    assert len(server.asked) == 1


def test_an_address_that_is_none_is_refused(path, hasty):
    with pytest.raises(DownloadError, match="expected a web address"):
        download(Remote("slide.tif"), path, hasty)


def test_a_full_disk_keeps_what_came(server, path, hasty, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, mode="r", **kw: Full() if mode == "ab" else real(self, mode, **kw))
    with pytest.raises(StorageError, match="no disk space left"):
        download(remote(server), path, hasty)
    assert not path.exists()


def test_completeness_is_size_and_where_asked_checksum(tmp_path):
    path = tmp_path / "file"
    assert not is_complete(path, Remote("", 3), verify=False)
    path.write_bytes(b"abc")
    md5 = "md5:900150983cd24fb0d6963f7d28e17f72"  # RFC 1321, A.5
    assert is_complete(path, Remote("", 3, digest=md5), verify=True)
    assert is_complete(path, Remote("", 3, digest="md5:900150"), verify=True)
    assert is_complete(path, Remote("", 3), verify=True)
    assert not is_complete(path, Remote("", 4, digest=md5), verify=False)
    path.write_bytes(b"abd")
    assert is_complete(path, Remote("", 3, digest=md5), verify=False)
    assert not is_complete(path, Remote("", 3, digest=md5), verify=True)
    assert not is_complete(path, Remote("", digest=md5), verify=False)


def test_bytes_are_asked_for_as_they_are_stored():
    with Client() as client:
        prepared = client._session.prepare_request(requests.Request("GET", "http://localhost/"))
    assert prepared.headers["Accept-Encoding"] == "identity"


@pytest.fixture
def waits(monkeypatch):
    """Seconds that would have been waited."""
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


def test_tries_are_counted_in_a_row_without_a_new_byte(server, path, waits):
    server.drops[KEY] = [0, 500_000, 0, 0, 0]
    with pytest.raises(DownloadError, match=r"3 tries in a row; ChunkedEncodingError: .* 2\d{6} more expected"):
        download(remote(server), path, Retries(tries=3, wait_s=1.0, timeout_s=5.0))
    # the second try brought something and starts the count again
    assert len(server.asked) == 4
    assert waits == [1, 1, 2]


def test_the_usual_patience_is_a_minute():
    assert Retries() == Retries(tries=6, wait_s=1.0, longest_s=30.0, timeout_s=60.0)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, path, hasty, status):
    server.failures[KEY] = [status, status]
    download(remote(server), path, hasty)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [302, 428, 430, 499])
def test_any_other_answer_is_a_refusal(server, path, hasty, status):
    server.refused[KEY] = status
    with pytest.raises(FileRefusedError, match=f"answers {status} .*, expected the file; check the address"):
        download(remote(server), path, hasty)
    assert len(server.asked) == 1


def test_a_small_file_is_read_with_its_query_and_patience(server, hasty, waits):
    server.files["A/1"] = b"x"
    server.failures[""] = [500]
    with Client(hasty) as client:
        assert b"<Key>A/1</Key>" in client.read(f"{server.url}/", {"prefix": "A/"})
        assert client.read(f"{server.url}/A/1") == b"x"
        server.failures["A/1"] = [500] * 3
        with pytest.raises(DownloadError, match="3 tries in a row"):
            client.read(f"{server.url}/A/1")
        with pytest.raises(FileRefusedError, match="404"):
            client.read(f"{server.url}/A/2")
    assert waits == [0, 0, 0]


def test_a_silent_server_counts_as_dropped(server, path, monkeypatch):
    seen = []
    real = requests.Session.get
    monkeypatch.setattr(requests.Session, "get", lambda *a, **kw: seen.append(kw["timeout"]) or real(*a, **kw))
    download(remote(server), path, Retries(timeout_s=7.0))
    with Client(Retries(timeout_s=8.0)) as client:
        client.read(f"{server.url}/{KEY}")
    assert seen == [7.0, 8.0]


def test_a_range_of_other_bytes_is_not_taken(server, path, hasty, monkeypatch):
    """A server that answers with a part from another place: what is here is dropped, and loaded whole."""
    begun(path, CONTENT[::-1][:1000], f'"{server.etag(KEY)}"')

    class Other(dict):
        def get(self, key, default=None):
            found = super().get(key, default)
            return "bytes 7-2999999/3000000" if key == "Content-Range" and found else found

    def send(self, *args, **kwargs):
        response = real_get(self, *args, **kwargs)
        response.headers = Other(response.headers)
        return response

    real_get = requests.Session.get
    monkeypatch.setattr(requests.Session, "get", send)
    assert download(remote(server), path, hasty) == len(CONTENT)
    assert path.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ["bytes=1000-", None]


def test_bytes_are_told_as_they_come(server, path, hasty):
    begun(path, CONTENT[:1000], f'"{server.etag(KEY)}"')
    ticks = []
    with Client(hasty) as client:
        client.download(remote(server), path, ticks.append)
    assert ticks[0] == 1000
    assert ticks[1:-1] == [CHUNK] * (len(ticks) - 2)
    assert sum(ticks) == len(CONTENT)
    assert server.asked == [(KEY, "bytes=1000-")]


def test_a_file_of_unknown_size_is_complete_if_its_checksum_is_right(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert is_complete(path, Remote("", digest="md5:900150983cd24fb0d6963f7d28e17f72"), verify=False)
    assert is_complete(path, Remote(""), verify=False)
    assert not is_complete(tmp_path, Remote(""), verify=False)
    assert is_complete(path, Remote("", digest="md5:900150983CD24FB0"), verify=False)
