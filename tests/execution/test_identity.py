"""Whose folder it is: what a damaged or another identity says."""

import json

import pytest

from saliency_stats.errors import StorageError
from saliency_stats.execution.identity import IDENTITY, check_identity, read_identity, write_identity

STUDY = {"study": {"seed": 0, "names": ["a"]}, "versions": {"numpy": "2"}}


def test_what_is_written_is_read_with_the_inputs_where_they_are_known(tmp_path):
    assert read_identity(tmp_path) is None
    write_identity(tmp_path, STUDY, None)
    assert read_identity(tmp_path) == STUDY
    write_identity(tmp_path, STUDY, "ab")
    assert read_identity(tmp_path) == {**STUDY, "inputs": "ab"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe{", b'{"seed": NaN}'])
def test_a_damaged_file_is_named_with_its_remedies(tmp_path, content):
    (tmp_path / IDENTITY).write_bytes(content)
    with pytest.raises(StorageError) as caught:
        read_identity(tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "identity.json") in message
    assert "It tells which study the folder holds. Put it back, choose another folder with --out, or give --fresh" in (
        message
    )


def test_the_same_study_whatever_its_inputs(tmp_path):
    check_identity(tmp_path, {**STUDY, "inputs": "ab"}, STUDY)
    check_identity(tmp_path, STUDY, json.loads(json.dumps(STUDY)))


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ({**STUDY, "study": {"seed": 1, "names": ["a"]}}, "study.seed was 1 and is now 0. Choose another folder"),
        ({"study": STUDY["study"]}, "versions.numpy was 'absent' and is now '2'."),
        ({**STUDY, "device": "cuda"}, "device was 'cuda' and is now 'absent'."),
        ({}, "study.seed was 'absent' and is now 0 (3 differences)."),
    ],
)
def test_another_study_is_refused_by_what_differs(tmp_path, before, message):
    with pytest.raises(StorageError) as caught:
        check_identity(tmp_path, before, STUDY)
    assert f"{tmp_path} holds another study: {message}" in str(caught.value)
    assert "or give --fresh to delete that run and start again" in str(caught.value)
