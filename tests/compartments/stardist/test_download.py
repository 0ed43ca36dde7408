"""The official model's archive: fetched from a server of this test, verified, unpacked with care."""

import hashlib
import http.server
import shutil
import threading
import zipfile
from pathlib import Path

import pytest
import stardist

from saliency_stats.compartments import nucleus_finder
from saliency_stats.compartments.stardist import download as stardist_download
from saliency_stats.compartments.stardist.download import OFFICIAL, OfficialModel, official_folder, unpack
from saliency_stats.errors import CompartmentError

MODEL = Path(__file__).parents[1] / "golden" / "stardist" / "grid2_colour"
FILES = ("config.json", "thresholds.json", "weights_best.h5")


def archive_of(path, prefix="python_2D_versatile_he/", extra=()):
    with zipfile.ZipFile(path, "w") as content:
        for name in FILES:
            content.write(MODEL / name, prefix + name)
        for name, data in extra:
            content.writestr(name, data)
    return path


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server with the archive, a registry that points to it, an empty cache; the list of what was asked for."""
    site = tmp_path / "site"
    site.mkdir()
    archive = archive_of(site / "python_2D_versatile_he.zip")
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(site))

        def log_message(self, *_):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/{archive.name}"
    registered = OfficialModel(url, hashlib.sha256(archive.read_bytes()).hexdigest())
    monkeypatch.setitem(stardist_download.OFFICIAL, "2D_versatile_he", registered)
    monkeypatch.setenv("SALIENCY_STATS_CACHE", str(tmp_path / "cache"))
    nucleus_finder.cache_clear()
    yield asked
    server.shutdown()
    server.server_close()
    nucleus_finder.cache_clear()


def test_it_is_fetched_once_and_used(served):
    finder = nucleus_finder("2D_versatile_he")
    assert finder.model.network.config.n_channel_in == 3
    official_folder("2D_versatile_he")
    assert len(served) == 1


def test_an_archive_put_into_the_cache_by_hand_is_used_without_a_connection(served, tmp_path, monkeypatch):
    monkeypatch.setitem(
        OFFICIAL, "2D_versatile_he", OfficialModel("http://127.0.0.1:1/m.zip", OFFICIAL["2D_versatile_he"].sha256)
    )
    target = tmp_path / "cache" / "stardist" / "m.zip"
    with pytest.raises(CompartmentError) as refused:
        official_folder("2D_versatile_he")
    assert str(target) in str(refused.value)
    assert "http://127.0.0.1:1/m.zip" in str(refused.value)
    shutil.copy(tmp_path / "site" / "python_2D_versatile_he.zip", target)
    assert (official_folder("2D_versatile_he") / "config.json").is_file()
    assert not served


def test_another_file_than_the_registered_one_is_refused(served, monkeypatch):
    monkeypatch.setitem(OFFICIAL, "2D_versatile_he", OfficialModel(OFFICIAL["2D_versatile_he"].url, "0" * 64))
    with pytest.raises(CompartmentError, match="could not be downloaded"):
        official_folder("2D_versatile_he")
    assert served


def test_members_cannot_leave_the_folder(tmp_path):
    evil = archive_of(tmp_path / "a.zip", prefix="../../", extra=[("../evil.txt", "x"), ("/etc/evil.txt", "x")])
    unpack(evil, tmp_path / "deep" / "model")
    assert sorted(path.name for path in (tmp_path / "deep" / "model").iterdir()) == sorted(FILES)
    assert not list(tmp_path.rglob("evil.txt"))


@pytest.mark.parametrize("extra", [[("other/config.json", "{}")]])
def test_a_file_twice_is_refused(tmp_path, extra):
    with pytest.raises(CompartmentError, match=r"2 files config\.json"):
        unpack(archive_of(tmp_path / "a.zip", extra=extra), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_broken_archive_is_named(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"nonsense")
    with pytest.raises(CompartmentError, match=r"a\.zip cannot be unpacked"):
        unpack(tmp_path / "a.zip", tmp_path / "model")


def test_the_registered_hash_is_that_of_the_stardist_package():
    source = (Path(stardist.__file__).parent / "models" / "__init__.py").read_text(encoding="utf-8")
    assert OFFICIAL["2D_versatile_he"].url in source
    assert OFFICIAL["2D_versatile_he"].sha256 in source
