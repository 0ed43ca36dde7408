"""Bytes to records: UTF-8, commas, quotes, and the line on which a record begins."""

import csv
import errno
import os
from pathlib import Path

import pytest

from saliency_stats.cohort.csv_text import read_bytes, records
from saliency_stats.errors import CohortError


def table(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder, content):
    path = table(folder, content)
    return list(records(path, read_bytes(path)))


def refused(folder, content):
    with pytest.raises(CohortError) as caught:
        read(folder, content)
    assert str(folder / "t.csv") in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_three_ways_and_are_counted_alike(tmp_path, end):
    assert read(tmp_path, f"a,b{end}{end}1,2{end}") == [(1, ["a", "b"]), (2, []), (3, ["1", "2"])]


def test_a_byte_order_mark_is_no_text(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfa,b\n") == read(tmp_path, b"a,b\n") == [(1, ["a", "b"])]


def test_blanks_around_fields_are_dropped_and_those_inside_kept(tmp_path):
    assert read(tmp_path, ' a ,"b, c",\u00a0d e\u00a0,"\n f\n"\n') == [(1, ["a", "b, c", "d e", "f"])]


def test_what_cannot_be_seen_is_no_blank(tmp_path):
    assert read(tmp_path, "\u200ba,\x1fb\n") == [(1, ["\u200ba", "\x1fb"])]


def test_a_line_break_in_quotes_shifts_no_line_number(tmp_path):
    text = 'a,"two\nlines"\n\nb,"x\r\n\r\ny"\nc,d\n'
    assert [line for line, _ in read(tmp_path, text)] == [1, 3, 4, 7]


def test_two_quotes_are_one(tmp_path):
    assert read(tmp_path, '"a ""b"" c",d\n') == [(1, ['a "b" c', "d"])]


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-16", "UTF-16"), ("utf-16-le", "zero byte in line 1"), ("utf-16-be", "zero byte in line 1")],
)
def test_utf_16_is_named(tmp_path, encoding, said):
    message = refused(tmp_path, "path,label\na.png,benign\n".encode(encoding))
    assert said in message
    assert "not UTF-8" in message
    assert "save it as CSV UTF-8" in message


def test_utf_16_of_either_order_and_utf_32_are_told_apart(tmp_path):
    assert "but UTF-16;" in refused(tmp_path, b"\xfe\xff\0a")
    assert "but UTF-16;" in refused(tmp_path, b"\xff\xfea\0")
    assert "but UTF-32;" in refused(tmp_path, b"\xff\xfe\0\0a\0\0\0")
    assert "but UTF-32;" in refused(tmp_path, b"\0\0\xfe\xff\0\0\0a")


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (b"PK\x03\x04", "an Excel or zip file"),
        (b"\xd0\xcf\x11\xe0", "an Excel file"),
        (b"PAR1", "a Parquet file"),
        (b"\x1f\x8b", "compressed by gzip"),
    ],
)
def test_other_kinds_of_files_are_named(tmp_path, beginning, kind):
    expected = f"{tmp_path / 't.csv'} is not UTF-8 text but {kind}; save it as CSV UTF-8"
    assert refused(tmp_path, beginning + b"more") == expected


def test_latin_1_is_named_with_its_line_and_letter(tmp_path):
    message = refused(tmp_path, "path\r\na\r\nkörper.png\r\n".encode("latin-1"))
    found = "(line 3: byte 0xF6, which is 'ö' in Latin-1); save it as CSV UTF-8"
    assert message == f"{tmp_path / 't.csv'} is not UTF-8 {found}"


def test_a_zero_byte_far_below_is_found_too(tmp_path):
    message = refused(tmp_path, b"path\n" + b"a.png\n" * 20_000 + b"b\0.png\n")
    expected = "line 20002: a zero byte; the file is damaged. Save it again as CSV UTF-8"
    assert message == f"{tmp_path / 't.csv'}, {expected}"


def test_a_zero_byte_near_the_top_names_its_line(tmp_path):
    said = "(a zero byte in line 2): UTF-16, or no table at all; save it as CSV UTF-8"
    assert refused(tmp_path, b"path\na\0.png\n") == f"{tmp_path / 't.csv'} is not UTF-8 text {said}"


def test_of_a_big_file_that_is_no_text_only_the_beginning_is_read(tmp_path):
    path = tmp_path / "t.csv"
    with path.open("wb") as file:
        file.write(b"II*\0")
        file.truncate(2**40)  # a hole, not a byte on the disk
    with pytest.raises(CohortError, match="no table at all"):
        read_bytes(path)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('a,b\nc,"d\ne,f\n', 2, "a quote that begins here is never closed"),
        ('a,b\n\nc,"d"e\n', 3, "text after a closing quote"),
        (f"a\n{'x' * (csv.field_size_limit() + 1)}\n", 2, "a field of more than 131,072 characters"),
    ],
)
def test_what_is_no_csv_is_named_with_its_line(tmp_path, text, line, said):
    message = refused(tmp_path, text)
    assert message == (
        f"{tmp_path / 't.csv'}, line {line}: {said}, so that the file is no readable CSV; a quote in a text is written "
        f"twice, inside quotes"
    )


def test_a_table_that_may_not_be_read(tmp_path, monkeypatch):
    path = table(tmp_path, "a\n")

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", denied)  # root may read everything
    with pytest.raises(CohortError, match=r"t\.csv cannot be read \(Permission denied\); expected a CSV in UTF-8"):
        read_bytes(path)
