"""The beginning of a file, and the mark of the version that it is of."""

import pytest

from saliency_stats.fetching.part import Part, bare, part_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "slide.tif"


def begun(path, content, etag=None):
    part_of(path).write_bytes(content)
    if etag is not None:
        path.with_name("slide.tif.part.etag").write_text(etag, encoding="utf-8")


def left(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_a_part_lies_beside_the_file(path):
    assert part_of(path) == path.with_name("slide.tif.part")
    assert Part(path).path == part_of(path)


def test_bytes_are_counted_and_none_where_there_is_no_part(path):
    assert Part(path).size() == 0
    path.write_bytes(b"the whole file is no part")
    assert Part(path).size() == 0
    begun(path, b"12345")
    assert Part(path).size() == 5


@pytest.mark.parametrize("etag", ['"abc"', "abc", ' "abc" '])
def test_a_mark_is_compared_without_its_quotes(etag):
    assert bare(etag) == "abc"


def test_a_part_of_the_wanted_version_goes_on(path):
    begun(path, b"12345", '"abc"')
    assert Part(path, "abc").begin() == 5
    assert Part(path, '"abc"').begin() == 5
    assert Part(path, "abc").etag() == '"abc"'  # as the server gave it, since it is sent back


def test_a_part_of_any_version_goes_on_where_none_is_wanted(path):
    begun(path, b"12345", '"abc"')
    assert Part(path).begin() == 5


@pytest.mark.parametrize("etag", ['"other"', "", None])
def test_a_part_of_another_or_an_unknown_version_is_dropped(path, etag):
    begun(path, b"12345", etag)
    assert Part(path, "abc").begin() == 0
    assert left(path) == []


def test_a_new_beginning_is_empty_and_marked(path):
    begun(path, b"12345", '"old"')
    part = Part(path)
    assert part.restart('"new"') == 5
    assert (part.size(), part.etag()) == (0, '"new"')
    assert left(path) == ["slide.tif.part", "slide.tif.part.etag"]
    assert part.restart('"newer"') == 0


def test_removed_is_removed_with_its_mark(path):
    begun(path, b"12345", '"abc"')
    path.write_bytes(b"whole")
    part = Part(path)
    assert part.remove() == 5
    assert left(path) == ["slide.tif"]
    assert part.remove() == 0
    assert part.etag() == ""
