"""What is called weights and is something else is named before any of it is loaded."""

import os
import struct
import tarfile
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from saliency_stats.classifier import weight_files
from saliency_stats.classifier.weight_files import refuse_others
from saliency_stats.errors import ClassifierError

STATE = {"a": torch.zeros(3)}


def refused(path):
    with pytest.raises(ClassifierError) as caught:
        refuse_others(path)
    message = str(caught.value)
    assert message.startswith("classifier.weights: ")
    assert len(message) < 1_000
    return message


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_weights_pass(tmp_path, zipped):
    save_file(STATE, tmp_path / "w.safetensors")
    torch.save(STATE, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    refuse_others(tmp_path / "w.safetensors")
    refuse_others(tmp_path / "w.pth")


@pytest.mark.posix("named pipes")
def test_a_path_that_is_no_file(tmp_path):
    assert f"there is no file {tmp_path / 'w.pt'}; expected 'imagenet', 'none' or a" in refused(tmp_path / "w.pt")
    assert f"{tmp_path} is a folder" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe.pt")
    assert "pipe.pt is a pipe or a device" in refused(tmp_path / "pipe.pt")
    assert "cannot be a path (File name too long)" in refused(tmp_path / ("x" * 5_000 + ".pt"))
    (tmp_path / "w.onnx").write_bytes(b"x")
    assert "w.onnx has the ending '.onnx'; expected .safetensors, .pt or .pth" in refused(tmp_path / "w.onnx")


@pytest.mark.parametrize("ending", ["pt", "pth", "safetensors"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty (0 bytes)"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (b"<!DOCTYPE html>", "is a web page or XML"),
        (b"\x1f\x8b\x08", "is a gzip archive"),
    ],
)
def test_other_files_are_known_by_their_first_bytes(tmp_path, ending, content, what):
    path = tmp_path / f"w.{ending}"
    path.write_bytes(content)
    assert f"{path} {what}" in refused(path)


def test_one_kind_under_the_others_name(tmp_path):
    save_file(STATE, tmp_path / "w.pt")
    assert "is a safetensors file: call it .safetensors" in refused(tmp_path / "w.pt")
    torch.save(STATE, tmp_path / "w.safetensors")
    assert "is a zip archive, as torch.save writes it: call it .pt" in refused(tmp_path / "w.safetensors")


def test_a_header_that_would_fill_the_memory(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", weight_files.MAX_HEADER + 1) + b"{}")
    assert "announces a header of 26,214,401 bytes" in refused(path)
    path.write_bytes(struct.pack("<Q", weight_files.MAX_HEADER) + b"{}")
    refuse_others(path)  # too short, as its reader says


def test_a_file_larger_than_any_network(tmp_path, monkeypatch):
    path = tmp_path / "w.pt"
    torch.save(STATE, path)
    monkeypatch.setattr(weight_files, "MAX_BYTES", path.stat().st_size - 1)
    assert "bytes, more than any classifier" in refused(path)
    monkeypatch.setattr(weight_files, "MAX_BYTES", path.stat().st_size)
    refuse_others(path)


def test_archives_that_torch_save_does_not_write(tmp_path):
    path = tmp_path / "w.pt"
    for member in ("w/constants.pkl", "w/code/__torch__/net.py"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, b"")
        assert "is a TorchScript archive, a program" in refused(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", bytes(10**6))
    assert "is a compressed or damaged archive" in refused(path)
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    assert "is a tar archive" in refused(path)
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:-30])
    assert "cannot be read" in refused(path)
    assert "Is the file complete?" in refused(path)


def test_members_that_lie_over_each_other(tmp_path):
    """Two entries of the table of contents for the same bytes: together more than the file has."""
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", bytes(1_000))
        twin = zipfile.ZipInfo("w/data.twin")
        first = archive.infolist()[0]
        for name in ("header_offset", "file_size", "compress_size", "CRC"):
            setattr(twin, name, getattr(first, name))
        archive.filelist.append(twin)
    assert "is a compressed or damaged archive" in refused(path)
