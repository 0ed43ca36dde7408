"""The header of a table and the shape of its lines: what is accepted, and the message for everything else."""

import hashlib

import pytest

from saliency_stats.cohort.listing import Columns, by_line, read_listing
from saliency_stats.errors import CohortError, StudyError

OPEN = Columns("patch", ("path", "label"), ("mpp", "slide_id", "patient_id"), closed=False)
CLOSED = Columns("slide", ("path",), ("slide_id", "annotation"), closed=True)


def listing(folder, text, columns=OPEN):
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return read_listing(path, columns)


def refused(folder, text, columns=OPEN):
    with pytest.raises(CohortError) as caught:
        listing(folder, text, columns).problems.stop()
    return str(caught.value)


def test_all_columns_are_text_and_rows_are_known_by_their_lines(tmp_path):
    found = listing(tmp_path, "note,label,path,slide_id\n\nx,benign,a.png,007\n,,,\ny,malignant,1e5,1.0\n")
    assert list(found.table.columns) == ["path", "label", "mpp", "slide_id", "patient_id"]
    assert by_line(found.table["slide_id"]) == {3: "007", 5: "1.0"}
    assert found.table["path"].tolist() == ["a.png", "1e5"]
    assert found.table["mpp"].tolist() == ["", ""]
    assert found.columns is OPEN
    assert found.problems.stop() is None


def test_a_line_break_in_quotes_and_blank_lines_count(tmp_path):
    found = listing(tmp_path, 'path,label,note\r\na.png,benign,"two\r\nlines"\r\n\r\nb.png,benign,\r\n')
    assert list(found.table.index) == [2, 5]


def test_the_header_may_stand_below_blank_lines(tmp_path):
    assert list(listing(tmp_path, "\n \npath,label\na,benign\n").table.index) == [4]


def test_the_digest_is_that_of_the_bytes(tmp_path):
    found = listing(tmp_path, "\ufeffpath,label\na,benign\n")
    assert found.digest == hashlib.sha256((tmp_path / "t.csv").read_bytes()).hexdigest()


@pytest.mark.parametrize("columns", [OPEN, CLOSED])
def test_there_is_no_table(tmp_path, columns):
    with pytest.raises(
        StudyError, match=rf"cohort\.table: there is no file .*no\.csv; expected a CSV of {columns.rows}"
    ):
        read_listing(tmp_path / "no.csv", columns)
    with pytest.raises(StudyError, match=r"cohort\.table: .* is a folder; expected a CSV"):
        read_listing(tmp_path, columns)
    with pytest.raises(StudyError, match="there is no file"):
        read_listing(tmp_path / ("x" * 5000), columns)


def test_several_of_a_kind_are_named():
    assert (OPEN.rows, CLOSED.rows) == ("patches", "slides")
    assert CLOSED.known == ("path", "slide_id", "annotation")


@pytest.mark.parametrize("text", ["", "\ufeff", "\n \n", ",,\n"])
def test_an_empty_table(tmp_path, text):
    assert "is empty; expected a header line and one line per patch" in refused(tmp_path, text)


def test_a_header_alone(tmp_path):
    assert "lists no slide; expected one line per slide below the header" in refused(tmp_path, "path\n\n,\n", CLOSED)


# --- the header -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("separator", "shown"), [(";", "';'"), ("\t", r"'\t'"), ("|", "'|'")])
@pytest.mark.parametrize("columns", [OPEN, CLOSED])
def test_other_separators_are_named_once(tmp_path, separator, shown, columns):
    message = refused(tmp_path, "path,label,mpp\na.png,benign,x\n".replace(",", separator), columns)
    assert f"column 'path' is missing; found path{shown[1:-1]}label" in message
    assert f"separated by {shown}: save the table with commas" in message
    assert "\n" not in message


def test_a_semicolon_in_one_name_is_no_separator(tmp_path):
    message = refused(tmp_path, "path,class;note,a,b\nx,y,z,u\n")
    assert "separated" not in message
    assert "column 'label' is missing; found path, class;note, a, b; expected path, label, and where known" in message


def test_a_table_with_commas_may_name_a_column_with_semicolons(tmp_path):
    assert len(listing(tmp_path, "path,label,a;b;c;d\nx,benign,\n").table) == 1


@pytest.mark.parametrize("second", ["label", " label", "Label", "LABEL "])
def test_a_column_twice(tmp_path, second):
    message = refused(tmp_path, f"path,label,{second}\na,benign,malignant\n")
    assert f"column 'label' stands twice (as 'label' and {second.strip()!r}); delete one" in message
    assert "\n" not in message


def test_other_columns_may_stand_twice(tmp_path):
    assert len(listing(tmp_path, "path,label,note,note\na,benign,x,y\n").table) == 1


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        *(("Label", "label"), (" LABEL", "label"), ("labels", "label"), ("Path", "path")),
        *(("slide", "slide_id"), ("slideid", "slide_id"), ("Slide ID", "slide_id"), ("slide-id", "slide_id")),
        *(("patient", "patient_id"), ("PatientID", "patient_id"), ("patientid", "patient_id"), ("MPP", "mpp")),
        *(("patinet_id", "patient_id"), ("Case ID", "patient_id"), ("class", "label"), ("file_name", "path")),
        *(("um per px", "mpp"), ("WSI", "slide_id")),
    ],
)
def test_a_misnamed_column_does_not_pass_for_an_absent_one(tmp_path, found, meant):
    others = [name for name in ("path", "label") if name != meant]
    message = refused(tmp_path, f"{','.join(others)},{found}\n{'x,' * len(others)}y\n")
    assert f"column {found.strip()!r} is unknown; did you mean {meant!r}? Rename it" in message
    assert "missing" not in message


def test_a_column_of_another_meaning_may_stand_beside_the_one_that_it_could_be_called(tmp_path):
    found = listing(tmp_path, "path,label,patient_id,case,class\na.png,benign,P,3,x\n")
    assert found.unread == ("case", "class")


def test_what_is_there_is_not_what_another_column_means(tmp_path):
    assert len(listing(tmp_path, "path,label,slide_id,slide,slides\na,benign,s,t,u\n").table) == 1


@pytest.mark.parametrize("name", ["comment", "magnification", "id", "class", "stain"])
def test_other_columns_are_no_misnamed_ones(tmp_path, name):
    assert len(listing(tmp_path, f"path,label,{name}\na,benign,x\n").table) == 1


def test_where_no_other_column_is_allowed_each_is_named(tmp_path):
    message = refused(tmp_path, "path,anotation,stain\na,,\n", CLOSED)
    assert "2 things are wrong" in message
    assert "column 'anotation' is unknown; did you mean 'annotation'? Rename it" in message
    assert "column 'stain' is unknown; expected path, slide_id, annotation. Delete it, or rename it" in message


def test_all_that_is_wrong_with_a_header_is_told_and_nothing_of_the_lines(tmp_path):
    message = refused(tmp_path, "grade,MPP,slide_id,slide_id\na,b\n")
    assert message.splitlines()[0].endswith("t.csv: 4 things are wrong")
    for said in ("'slide_id' stands twice", "mean 'mpp'", "'path' is missing", "'label' is missing"):
        assert said in message
    assert "fields" not in message


def test_what_is_expected_without_optional_columns(tmp_path):
    bare = Columns("slide", ("path",), (), closed=False)
    assert refused(tmp_path, "x\ny\n", bare).endswith("column 'path' is missing; found x; expected path")


def test_a_long_header_is_cut(tmp_path):
    message = refused(tmp_path, f"{','.join(f'c{n}' for n in range(5000))}\n{',' * 4999}\nx{',' * 4999}\n")
    assert len(message) < 1000


def test_characters_that_cannot_be_seen_are_shown(tmp_path):
    message = refused(tmp_path, "x\x1b[31m,label\na,benign\n")
    assert "found x\\x1b[31m, label" in message
    assert message.isprintable()


def test_text_below_no_name_would_be_lost(tmp_path):
    message = refused(tmp_path, "path,label,\na,benign,\nb,benign,x\nc,benign,y\n")
    assert "column 3 has no name in the header, but text on 2 line(s), the first of them line 3" in message
    assert "index=False" in refused(tmp_path, ",path,label\n0,a,benign\n")


def test_an_empty_column_is_nothing(tmp_path):
    assert len(listing(tmp_path, "path,label,,\na,benign,,\nb,benign, ,\n").table) == 2


# --- the lines --------------------------------------------------------------------------------------


def test_lines_of_other_lengths_are_named_and_the_others_kept(tmp_path):
    text = "path,label,mpp\na,benign,0,5\nb,benign\n\nc,benign,1\nd\ne,benign,,\n"
    found = listing(tmp_path, text)
    assert list(found.table.index) == [5]
    with pytest.raises(CohortError) as caught:
        found.problems.stop()
    message = str(caught.value)
    assert "line 2 (and 7): more fields (4) than the header has columns (3); put text with commas in quotes" in message
    assert "line 3 (and 6): fewer fields (2) than the header has columns (3); write a comma for every column" in message
