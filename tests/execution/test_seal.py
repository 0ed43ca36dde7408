"""Seals: a file that was cut, changed or lost after it was finished is found, whatever else is wrong."""

import json

import pytest

from saliency_stats.execution.manifest import sha256
from saliency_stats.execution.seal import is_sealed, write_seal


@pytest.fixture
def sealed(tmp_path):
    for name in ("a.csv", "weights/b.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{name} is finished", encoding="utf-8")
    write_seal(tmp_path / "seals" / "s.json", tmp_path, [tmp_path / "a.csv", tmp_path / "weights" / "b.bin"])
    return tmp_path


def whole(folder):
    return is_sealed(folder / "seals" / "s.json", folder)


def test_what_was_sealed_is_whole_wherever_the_folder_is(sealed):
    assert json.loads((sealed / "seals" / "s.json").read_text(encoding="utf-8")) == {
        name: sha256(sealed / name) for name in ("a.csv", "weights/b.bin")
    }
    assert whole(sealed)
    assert whole(sealed.rename(sealed.with_name("moved")))


@pytest.mark.parametrize("name", ["a.csv", "weights/b.bin"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b"A" + path.read_bytes()[1:]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_a_file_that_is_not_as_it_was_breaks_the_seal(sealed, name, damage):
    damage(sealed / name)
    assert not whole(sealed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text("", encoding="utf-8"),
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
        lambda path: path.write_text("[]", encoding="utf-8"),
        lambda path: path.write_text("7", encoding="utf-8"),
        lambda path: path.write_text("[" * 100_000, encoding="utf-8"),
        lambda path: (path.unlink(), path.mkdir()),
    ],
)
def test_a_seal_that_cannot_be_read_holds_nothing(sealed, damage):
    damage(sealed / "seals" / "s.json")
    assert not whole(sealed)
