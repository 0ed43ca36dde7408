"""CAMELYON16 loaded: resumed, checked, and a table only of what is here."""

import re
import shutil
from types import SimpleNamespace

import filelock
import pandas as pd
import pytest

from saliency_stats.errors import DownloadError, StorageError, StudyError
from saliency_stats.fetching import camelyon16_download
from saliency_stats.fetching.camelyon16_download import COLUMNS, fetch, overview
from saliency_stats.fetching.part import part_of

#: The slides of the bucket in the order in which they are chosen.
BALANCED = ["tumor_001", "normal_001", "test_002", "test_001", "tumor_002", "normal_002", "test_003", "normal_003"]


def image(name):
    return f"CAMELYON16/images/{name}.tif"


def rows(folder):
    return pd.read_csv(folder / "slides.csv", dtype="str", keep_default_na=False)


@pytest.fixture
def load(camelyon, tmp_path, hasty):
    def load(**options):
        return fetch(tmp_path, url=camelyon.url, retries=hasty, **options)

    return load


def free(monkeypatch, n_bytes):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=n_bytes))


def test_more_slides_than_there_are_is_wrong_usage(load):
    with pytest.raises(StudyError, match="--slides 9: the bucket has 8 usable slides"):
        load(slides=9)


def test_everything_lies_where_the_table_says(camelyon, load, tmp_path):
    assert load() == tmp_path / "slides.csv"
    table = rows(tmp_path)
    assert tuple(table.columns) == COLUMNS
    assert table["slide_id"].tolist() == BALANCED
    assert (table["patient_id"] == table["slide_id"]).all()
    assert (table["mpp"] == "").all()
    assert (table["split"] == "test").equals(table["slide_id"].str.startswith("test_"))
    for row in table.itertuples():
        assert (tmp_path / row.path).read_bytes() == camelyon.files[image(row.slide_id)]
    outlined = table[table["annotation"] != ""]
    assert sorted(outlined["slide_id"]) == ["test_002", "tumor_001", "tumor_002"]
    for row in outlined.itertuples():
        assert (tmp_path / row.annotation).read_bytes() == camelyon.files[f"CAMELYON16/{row.annotation}"]
    assert not list(tmp_path.rglob("*.part*"))


def test_what_is_here_is_not_loaded_again(camelyon, load, tmp_path):
    load(slides=2)
    load(slides=4)
    assert len(camelyon.loads(image("tumor_001"))) == 1
    assert rows(tmp_path)["slide_id"].tolist() == BALANCED[:4]


def test_a_file_of_another_size_is_replaced(camelyon, load, tmp_path):
    load(slides=1)
    path = tmp_path / "images" / "tumor_001.tif"
    path.write_bytes(path.read_bytes()[:-1])
    load(slides=1)
    assert path.read_bytes() == camelyon.files[image("tumor_001")]


def test_a_file_that_is_broken_inside_is_found_by_its_checksum(camelyon, load, tmp_path):
    load(slides=1)
    path = tmp_path / "images" / "tumor_001.tif"
    broken = bytes([255]) + path.read_bytes()[1:]
    path.write_bytes(broken)
    load(slides=1)
    assert path.read_bytes() == broken
    load(slides=1, verify=True)
    assert path.read_bytes() == camelyon.files[image("tumor_001")]


def test_a_stopped_command_goes_on_with_the_part(camelyon, load, tmp_path):
    camelyon.drops[image("normal_001")] = [500_000, 0, 0, 0]
    with pytest.raises(DownloadError, match="normal_001"):
        load(slides=2)
    assert not (tmp_path / "slides.csv").exists()
    assert not (tmp_path / "images" / "normal_001.tif").exists()
    load(slides=2)
    assert (tmp_path / "images" / "normal_001.tif").read_bytes() == camelyon.files[image("normal_001")]
    begun_at = int(camelyon.asked[-1][1][6:-1])
    assert 400_000 < begun_at <= 500_000


def test_a_slide_that_cannot_be_had_does_not_stop_the_others_and_no_table_is_written(camelyon, load, tmp_path):
    camelyon.refused[image("tumor_001")] = 403
    with pytest.raises(
        DownloadError, match=r"1 of 11 files cannot be fetched.*slides\.csv is not written.*tumor_001.*403"
    ):
        load()
    assert not (tmp_path / "slides.csv").exists()
    assert len(list((tmp_path / "images").iterdir())) == 7


def test_an_unreachable_server_stops_at_once(camelyon, load, monkeypatch):
    camelyon.failures[image("tumor_001")] = [503] * 100
    with pytest.raises(DownloadError, match="cannot be reached"):
        load()
    assert not camelyon.loads(image("normal_001"))


def test_a_slide_that_differs_from_its_checksum_is_removed(camelyon, load, tmp_path):
    camelyon.files[image("tumor_001")] = b"other bytes"
    with pytest.raises(DownloadError, match=r"tumor_001.*came with the checksum md5:.*expected md5:"):
        load(slides=2)
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["normal_001.tif"]


def test_files_without_a_checksum_are_counted(camelyon, load):
    said = []
    del camelyon.files["CAMELYON16/checksums.md5"]
    camelyon.etags[image("tumor_001")] = f"{'0' * 32}-9"  # uploaded in nine pieces
    load(slides=2, note=said.append)
    assert said[1] == "1 of 3 files have no published checksum: their size alone was checked"


def test_without_outlines_there_is_no_table(load, tmp_path):
    said = []
    assert load(slides=2, annotations=False, note=said.append) == tmp_path
    assert "labelled benign" in said[-1]
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["images"]


def test_a_small_disk_is_refused_with_numbers_before_anything_is_loaded(camelyon, load, monkeypatch):
    free(monkeypatch, 2 * 10**9 + 4_000_000)
    with pytest.raises(
        StorageError, match=r"2 GB must stay free, but only 2\.0 GB are free.*--slides N \(at most 3 fit"
    ):
        load()
    assert not any(key.endswith(".tif") for key, _ in camelyon.asked)
    load(slides=3)


def test_what_came_in_of_a_slide_needs_no_more_space(camelyon, load, monkeypatch):
    camelyon.drops[image("tumor_001")] = [900_000, 0, 0, 0]
    with pytest.raises(DownloadError):
        load(slides=1)
    free(monkeypatch, 2 * 10**9 + 500_000)
    with pytest.raises(StorageError, match="choose a folder"):
        load(slides=2)
    load(slides=1)


def test_a_full_disk_offers_no_number(load, monkeypatch):
    free(monkeypatch, 0)
    with pytest.raises(StorageError, match="Free some space, or choose"):
        load()


def test_what_is_here_needs_no_space(camelyon, load, monkeypatch):
    load(slides=3)
    free(monkeypatch, 0)
    load(slides=3)


def test_two_commands_do_not_write_into_one_folder(load, tmp_path):
    with filelock.FileLock(tmp_path / ".fetch.lock"), pytest.raises(StorageError, match="another process"):
        load()


def test_a_folder_that_cannot_be_made_is_refused(camelyon, tmp_path, hasty):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="choose another --out"):
        fetch(tmp_path / "file" / "below", url=camelyon.url, retries=hasty)


def test_a_bucket_of_something_else_is_refused(bucket, tmp_path, hasty):
    bucket.files = {"CAMELYON16/README.md": b""}
    with pytest.raises(DownloadError, match="lists 1 files below CAMELYON16/, none of them a slide"):
        fetch(tmp_path, url=bucket.url, retries=hasty)


def test_keys_cannot_lead_out_of_the_folder(camelyon, load, tmp_path):
    camelyon.files["CAMELYON16/images/../../../normal_666.tif"] = b"x"
    camelyon.files["CAMELYON16/images/normal_666/../../x.tif"] = b"x"
    load()
    assert not any("666" in name for name in rows(tmp_path)["slide_id"])


def test_the_overview_says_what_is_here_and_loads_nothing(camelyon, load, tmp_path, hasty, monkeypatch):
    load(slides=1)
    camelyon.drops[image("normal_001")] = [500_000, 0, 0, 0]
    with pytest.raises(DownloadError):
        load(slides=2)
    free(monkeypatch, 5 * 10**9)
    camelyon.asked.clear()
    lines = overview(tmp_path, slides=3, url=camelyon.url, retries=hasty).splitlines()
    assert [line.split()[:3] for line in lines[1:-1]] == [
        ["tumor_001", "tumour", "train"],
        ["normal_001", "normal", "train"],
        ["test_002", "tumour", "test"],
        ["tumor_010", "tumour", "train"],
    ]
    assert lines[1].endswith("here")
    assert re.search(r"4\d% here$", lines[2])
    assert lines[3].endswith("to load")
    assert "left out" in lines[4]
    assert lines[-1] == "3 slides: 2 with tumour, 1 without; 0.0 GB to load, 5.0 GB free"
    assert {key for key, _ in camelyon.asked} == {"", "CAMELYON16/checksums.md5"}


GB = 10**9


def test_a_disk_that_is_just_large_enough_will_do(camelyon, load, tmp_path, monkeypatch):
    sizes = [len(camelyon.files[image(name)]) for name in BALANCED[:2]]
    outlines = len(camelyon.files["CAMELYON16/annotations/tumor_001.xml"])
    needed = sum(sizes) + outlines
    free(monkeypatch, 2 * GB + needed - 1)
    with pytest.raises(StorageError, match=r"\(at most 1 fit\), or choose a folder on a larger disk"):
        load(slides=2)
    free(monkeypatch, 2 * GB + needed)
    load(slides=2)
    assert rows(tmp_path)["slide_id"].tolist() == BALANCED[:2]


@pytest.mark.parametrize(("short", "fit"), [(0, 1), (1, 0)])
def test_slides_fit_with_their_outlines_to_the_last_byte(camelyon, load, monkeypatch, short, fit):
    keys = (image("tumor_001"), "CAMELYON16/annotations/tumor_001.xml")
    free(monkeypatch, 2 * GB + sum(len(camelyon.files[key]) for key in keys) - short)
    with pytest.raises(StorageError, match=r"at most 1 fit" if fit else "Free some space"):
        load(slides=2)


def test_what_is_to_be_loaded_is_said_in_gigabytes(camelyon, load, monkeypatch):
    said = []
    load(slides=2, note=said.append)
    assert said == ["2 slides: 1 with tumour, 1 without; 0.0 GB in 3 files to load"]
    said.clear()
    load(slides=2, note=said.append)
    assert said == ["2 slides: 1 with tumour, 1 without; 0.0 GB in 0 files to load"]


def test_sizes_are_those_of_the_listing(camelyon, tmp_path, hasty, monkeypatch):
    large = camelyon.files[image("tumor_001")] = bytes(30_000_000)
    free(monkeypatch, 7_250_000_000)
    lines = overview(tmp_path / "new", url=camelyon.url, retries=hasty).splitlines()
    assert lines[0] == "slide        class   split       GB  state"
    assert lines[1] == f"tumor_001    tumour  train     {len(large) / GB:.2f}  to load"
    assert lines[2] == "normal_001   normal  train     0.00  to load"
    assert lines[-2] == "tumor_010    tumour  train     0.00  left out: tumour not outlined everywhere, or a copy"
    assert lines[-1] == "8 slides: 3 with tumour, 5 without; 0.0 GB to load, 7.2 GB free"


def test_the_overview_counts_only_what_is_missing(camelyon, load, tmp_path, hasty, monkeypatch):
    monkeypatch.setattr(camelyon16_download, "_GB", 10**6)
    free(monkeypatch, 9_000_000_000)

    def last():
        return overview(tmp_path, slides=2, url=camelyon.url, retries=hasty).splitlines()[-1]

    assert "; 2.1 GB to load, 9000.0 GB free" in last()
    load(slides=1)
    assert "; 1.0 GB to load, 9000.0 GB free" in last()
    path = tmp_path / "images" / "tumor_001.tif"
    path.rename(part_of(path))
    assert "; 1.0 GB to load, 9000.0 GB free" in last()  # a whole part only waits for its name


def test_nothing_is_drawn_unless_asked_for(load, capsys, monkeypatch):
    load(slides=1)
    assert capsys.readouterr().err == ""
    load(slides=2, show=True, verify=True)
    drawn = capsys.readouterr().err
    assert "checking" in drawn
    assert "normal_001" in drawn
    load(slides=3, show=True)
    assert "checking" not in capsys.readouterr().err
    load(slides=4, verify=True)
    assert capsys.readouterr().err == ""


def test_the_bar_counts_the_bytes_that_are_missing(load, capsys, camelyon):
    load(slides=1)
    load(slides=2, show=True)
    drawn = capsys.readouterr().err
    assert f"{len(camelyon.files[image('normal_001')]) / 2**20:.2f}"[:3] in drawn
    assert "100%" in drawn


def test_a_folder_is_free_where_it_will_be_made(tmp_path, camelyon, hasty, monkeypatch):
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or SimpleNamespace(free=5 * GB))
    overview(tmp_path / "a" / "b", slides=1, url=camelyon.url, retries=hasty)
    assert asked == [tmp_path]
