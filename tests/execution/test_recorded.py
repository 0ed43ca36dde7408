"""A finished run is read only as its manifest records it."""

import json
import os

import pytest

from saliency_stats.errors import StorageError
from saliency_stats.execution import recorded as module
from saliency_stats.execution.manifest import artefact_hashes
from saliency_stats.execution.recorded import Recorded, write_manifest

FILES = ("ledger.csv", "patches.csv", "report.html", "figures/a.png", "weights/w.safetensors", "maps/m.npz")
REMEDY = "Put back what the run wrote; or delete these files and give the command of the run again"


@pytest.fixture
def run(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"a,b\n{name},1\n", encoding="utf-8")
    write_manifest(tmp_path, {"seed": 7, "share": 0.1 + 0.2, "artefacts": artefact_hashes(tmp_path)})
    return tmp_path


def refused(check):
    with pytest.raises(StorageError) as caught:
        check()
    return str(caught.value)


def test_a_run_as_it_was_left(run):
    recorded = Recorded(run)
    assert recorded.exists
    assert recorded.finished
    assert recorded.manifest["seed"] == 7
    assert recorded.hashes == artefact_hashes(run)
    assert recorded.file("ledger.csv") == run / "ledger.csv"
    recorded.check(FILES)
    recorded.check_readable()
    assert recorded.missing() == []


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (
            lambda path: path.write_text(path.read_text(encoding="utf-8")[:-2], encoding="utf-8"),
            "ends in the middle of a line (",
        ),
        (
            lambda path: path.write_text(path.read_text(encoding="utf-8").replace("1", "2"), encoding="utf-8"),
            "has changed (its hash is not the one in",
        ),
        (
            lambda path: path.write_text(path.read_text(encoding="utf-8").replace(",", ";"), encoding="utf-8"),
            "has its columns separated by ';', and had",
        ),
        (
            lambda path: path.write_text(path.read_text(encoding="utf-8").replace(",", "\t"), encoding="utf-8"),
            "has its columns separated by '\\t', and",
        ),
        (lambda path: path.write_text("a;b,c\n", encoding="utf-8"), "has changed ("),
        (
            lambda path: path.write_text(path.read_text(encoding="utf-8"), encoding="utf-16-le"),
            "ends in the middle of a line (",
        ),
        (
            lambda path: path.write_text(path.read_text(encoding="utf-8"), encoding="utf-16"),
            "is UTF-16 text, and was UTF-8 (",
        ),
        (lambda path: path.write_bytes(b"\xfe\xff\x00a\x00\n"), "is UTF-16 text, and was UTF-8 ("),
        (lambda path: path.write_bytes(b""), "is empty ("),
        (lambda path: path.write_bytes(b"\xff"), "ends in the middle of a line ("),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.rename(path.with_name("ledger2.csv")), "is missing"),
        (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
        pytest.param(
            lambda path: (path.unlink(), path.symlink_to(path)),
            "cannot be read (Too many levels of symbolic links)",
            marks=pytest.mark.posix("symbolic links"),
        ),
    ],
)
def test_what_is_wrong_with_a_table(run, damage, found):
    damage(run / "ledger.csv")
    message = refused(lambda: Recorded(run).file("ledger.csv"))
    assert message.startswith(f"{run} is not as the run left it: ledger.csv {found}")
    assert REMEDY in message
    assert message.endswith("--fresh it computes everything anew")


def test_a_picture_that_is_cut_has_no_lines(run):
    (run / "weights/w.safetensors").write_bytes(b"a;b")
    assert "weights/w.safetensors has changed (" in refused(lambda: Recorded(run).file("weights/w.safetensors"))


def test_a_file_of_others_is_not_the_runs(run):
    (run / "notes.csv").write_text("mine\n", encoding="utf-8")
    assert "notes.csv is not among the artefacts of manifest.json" in refused(lambda: Recorded(run).file("notes.csv"))


def test_all_is_said_and_of_many_the_first_ten(run):
    for n in range(13):
        (run / "figures" / f"{n:02d}.png").write_text("x", encoding="utf-8")
    write_manifest(run, {"artefacts": artefact_hashes(run)})
    names = sorted(f"figures/{n:02d}.png" for n in range(13))
    for name in names:
        (run / name).unlink()
    message = refused(lambda: Recorded(run).check(names))
    assert message.count(".png is missing") == 10
    assert "figures/09.png is missing and 3 more. Put" in message
    assert "more" not in refused(lambda: Recorded(run).check(names[:10]))


def test_what_was_found_intact_is_not_hashed_again(run, monkeypatch):
    recorded = Recorded(run)
    recorded.file("ledger.csv")
    hashed = []
    monkeypatch.setattr(module, "sha256", lambda path: hashed.append(path.name) or "other")
    recorded.file("ledger.csv")
    assert hashed == []
    assert recorded.problem("patches.csv").startswith("has changed")
    assert recorded.problem("patches.csv")  # what is damaged stays so
    assert hashed == ["patches.csv", "patches.csv"]


def test_a_report_reads_neither_weights_nor_maps_nor_what_was_drawn(run):
    for name in ("weights/w.safetensors", "maps/m.npz", "figures/a.png", "report.html"):
        (run / name).unlink()
    Recorded(run).check_readable()
    (run / "patches.csv").unlink()
    assert "patches.csv is missing." in refused(Recorded(run).check_readable)


@pytest.mark.posix("symbolic links")
def test_a_report_writes_through_no_link(run, tmp_path):
    (run / "paper").symlink_to(tmp_path.parent, target_is_directory=True)
    assert "paper is a link to" in refused(Recorded(run).check_readable)


def test_what_is_missing_may_be_computed_again_and_what_has_changed_may_not(run):
    (run / "ledger.csv").unlink()
    (run / "figures/a.png").unlink()
    (run / "report.html").write_text("drawn again", encoding="utf-8")
    assert Recorded(run).missing() == ["figures/a.png", "ledger.csv"]
    (run / "maps/m.npz").write_text("x", encoding="utf-8")
    (run / "patches.csv").write_text("x\n", encoding="utf-8")
    message = refused(Recorded(run).missing)
    assert "maps/m.npz has changed" in message
    assert "patches.csv has changed" in message
    assert "ledger.csv" not in message


# --- the manifest itself ----------------------------------------------------------------------------


def test_a_run_whose_report_is_not_written_is_not_finished(run):
    hashes = artefact_hashes(run, drawn=False)
    assert set(hashes) == {"ledger.csv", "patches.csv", "weights/w.safetensors", "maps/m.npz"}
    write_manifest(run, {"artefacts": hashes})
    assert not Recorded(run).finished
    Recorded(run).check_readable()


def test_no_folder_and_no_run(tmp_path):
    assert not Recorded(tmp_path).exists
    message = refused(lambda: Recorded(tmp_path / "nowhere").manifest)
    assert message == f"{tmp_path / 'nowhere'}: no such folder; give the folder that `saliency-stats run` wrote"
    message = refused(lambda: Recorded(tmp_path).manifest)
    assert f"{tmp_path} holds no finished run (there is no manifest.json in it)" in message
    assert "If a run was stopped there, give its command again to finish it" in message


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (
            lambda path: path.write_text(path.read_text(encoding="utf-8")[:-9], encoding="utf-8"),
            "cannot be read as JSON (",
        ),
        (lambda path: path.write_bytes(os.urandom(8) + b"\xff"), "cannot be read as JSON ("),
        (lambda path: path.write_text("[", encoding="utf-8"), "cannot be read as JSON ("),
        (lambda path: path.write_text("[" * 100_000, encoding="utf-8"), "cannot be read as JSON ("),
        (
            lambda path: path.write_text('{"seed": Infinity}', encoding="utf-8"),
            "cannot be read as JSON (Infinity is no number of JSON",
        ),
        (lambda path: path.write_text("[]", encoding="utf-8"), "holds a list, expected an object."),
        (lambda path: path.write_text("{}", encoding="utf-8"), "does not say what the run wrote (artefacts)."),
        (
            lambda path: path.write_text('{"artefacts": ["a.csv"]}', encoding="utf-8"),
            "does not say what the run wrote (artefacts).",
        ),
        (
            lambda path: path.write_text('{"artefacts": {"a.csv": 7}}', encoding="utf-8"),
            "does not say what the run wrote (artefacts).",
        ),
        (
            lambda path: path.write_text(
                path.read_text(encoding="utf-8").replace('"seed": 7', '"seed": 8'), encoding="utf-8"
            ),
            "is not as the run wrote it",
        ),
        (
            lambda path: path.write_text(path.read_text(encoding="utf-8").replace('"seed": 7,', ""), encoding="utf-8"),
            "is not as the run wrote it",
        ),
    ],
)
def test_a_manifest_that_is_damaged_or_was_changed(run, damage, found):
    damage(run / "manifest.json")
    for read in (lambda: Recorded(run).file("ledger.csv"), lambda: Recorded(run).finished, Recorded(run).missing):
        message = refused(read)
        assert message.startswith(f"{run / 'manifest.json'} {found}")
        assert "or delete it and give the command of the run again, which computes the tables anew" in message


def test_the_hash_of_a_manifest_is_not_of_how_it_is_laid_out(run):
    content = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    (run / "manifest.json").write_text(json.dumps(dict(reversed(content.items()))), encoding="utf-8")
    assert Recorded(run).manifest["share"] == 0.1 + 0.2
