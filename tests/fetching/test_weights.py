"""Weights: put where the rooms look for them, and not loaded twice."""

import hashlib
import io
import zipfile
from dataclasses import replace

import pytest

from saliency_stats.classifier import building
from saliency_stats.compartments.stardist import download as stardist_download
from saliency_stats.errors import CompartmentError, DownloadError
from saliency_stats.fetching.weights import fetch_densenet201, fetch_stardist

WEIGHTS = b"weights of a network" * 1000


@pytest.fixture
def torch_cache(bucket, tmp_path, monkeypatch):
    """A file named as torchvision names it, and a network that takes it."""
    name = f"densenet201-{hashlib.sha256(WEIGHTS).hexdigest()[:8]}.pth"
    bucket.files[f"models/{name}"] = WEIGHTS
    built = []
    monkeypatch.setattr(building, "imagenet_file", lambda _: (f"{bucket.url}/models/{name}", tmp_path / "c" / name))
    monkeypatch.setattr(building, "build", lambda *a, **kw: built.append((a, kw)))
    return built


def test_weights_go_into_torchvisions_cache_and_are_tried(bucket, torch_cache, hasty):
    key = next(iter(bucket.files))
    bucket.drops[key] = [10_000]
    path = fetch_densenet201(retries=hasty)
    assert path.read_bytes() == WEIGHTS
    assert torch_cache == [(("densenet201", "imagenet"), {"seed": 0})]
    n = len(bucket.asked)
    fetch_densenet201(retries=hasty)
    assert len(bucket.asked) == n


def test_a_broken_file_in_the_cache_is_replaced(bucket, torch_cache, hasty):
    path = fetch_densenet201(retries=hasty)
    path.write_bytes(WEIGHTS[:-1])
    assert fetch_densenet201(retries=hasty).read_bytes() == WEIGHTS


def test_other_weights_are_refused(bucket, torch_cache, hasty):
    bucket.files[next(iter(bucket.files))] = WEIGHTS[::-1]
    with pytest.raises(DownloadError, match="came with the checksum sha256:"):
        fetch_densenet201(retries=hasty)
    assert not torch_cache


def test_torchvision_names_its_files_by_their_checksum():
    """What the check above relies on."""
    url, path = building.imagenet_file("densenet201")
    assert path.name == url.rsplit("/", 1)[1] == "densenet201-c1103571.pth"


@pytest.fixture
def archive(bucket, tmp_path, monkeypatch):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for file in ("config.json", "thresholds.json", "weights_best.h5"):
            made.writestr(file, file)
    bucket.files["m/python_2D_versatile_he.zip"] = content.getvalue()
    monkeypatch.setenv("SALIENCY_STATS_CACHE", str(tmp_path))
    official = stardist_download.OFFICIAL["2D_versatile_he"]
    own = replace(
        official,
        url=f"{bucket.url}/m/python_2D_versatile_he.zip",
        sha256=hashlib.sha256(content.getvalue()).hexdigest(),
    )
    monkeypatch.setitem(stardist_download.OFFICIAL, "2D_versatile_he", own)
    return bucket


def test_the_model_is_unpacked_where_the_room_looks_for_it(archive, hasty):
    folder = fetch_stardist(retries=hasty)
    assert folder == stardist_download.official_folder("2D_versatile_he")
    assert (folder / "config.json").read_text(encoding="utf-8") == "config.json"
    assert len(archive.asked) == 1


def test_another_address_of_the_same_archive_will_do(archive, hasty):
    archive.files["mirror.zip"] = archive.files["m/python_2D_versatile_he.zip"]
    fetch_stardist(url=f"{archive.url}/mirror.zip", retries=hasty)
    assert [key for key, _ in archive.asked] == ["mirror.zip"]


def test_an_archive_without_a_model_is_refused(archive, hasty, monkeypatch):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        made.writestr("readme.txt", "nothing")
    archive.files["m/python_2D_versatile_he.zip"] = content.getvalue()
    official = stardist_download.OFFICIAL["2D_versatile_he"]
    own = replace(official, sha256=hashlib.sha256(content.getvalue()).hexdigest())
    monkeypatch.setitem(stardist_download.OFFICIAL, "2D_versatile_he", own)
    with pytest.raises(CompartmentError, match=r"config\.json"):
        fetch_stardist(retries=hasty)


def test_a_bar_is_drawn_only_if_asked_for(torch_cache, hasty, capsys):
    path = fetch_densenet201(retries=hasty)
    assert capsys.readouterr().err == ""
    path.unlink()
    fetch_densenet201(retries=hasty, show=True)
    drawn = capsys.readouterr().err
    assert path.name in drawn
    assert "20.0k" in drawn  # bytes


def test_neither_archive_nor_weights_are_drawn_unless_asked_for(archive, hasty, capsys):
    fetch_stardist(retries=hasty)
    assert capsys.readouterr().err == ""
