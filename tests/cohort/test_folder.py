"""The table of patch images: what is accepted, and the message for everything else."""

import pickle
import re

import numpy as np
import pytest
from PIL import Image

from saliency_stats.cohort.folder import PatchFolder
from saliency_stats.cohort.patch import PATCH_COLUMNS, USED
from saliency_stats.errors import CohortError, StudyError


def tissue(seed=0, size=32):
    """Pink noise: dense enough to be tissue, different for every seed."""
    noise = np.random.default_rng(seed).integers(-30, 30, (size, size, 3))
    return (np.array([200, 120, 180]) + noise).astype(np.uint8)


def table_file(folder, text, name="patches.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def cohort(tmp_path, text, **kwargs):
    return PatchFolder(table_file(tmp_path, text), **kwargs)


def refused(tmp_path, text, *words, error=CohortError, **kwargs):
    with pytest.raises(error) as caught:
        cohort(tmp_path, text, **kwargs)
    message = str(caught.value)
    assert "patches.csv" in message
    for word in words:
        assert word in message, f"{word!r} is not in {message!r}"
    return message


# --- what is accepted -------------------------------------------------------------------------------


def test_the_table_has_the_columns_of_every_cohort_and_keeps_ids_as_text(tmp_path):
    table = cohort(
        tmp_path,
        "path,label,split,slide_id,patient_id,mpp\na/007.png,benign,train,007,0012,0.25\nb.png,malignant,test,,,0.5\n",
    ).table
    assert tuple(table.columns) == PATCH_COLUMNS
    assert PatchFolder.kind == "patches"
    assert list(table.index) == [0, 1]
    assert table["slide_id"].tolist() == ["007", ""]
    assert table["patient_id"].tolist() == ["0012", ""]
    assert (table[["patch_id", "slide_id", "label", "split", "source", "status"]].dtypes == "str").all()
    assert table["patch_id"].tolist() == table["source"].tolist() == ["a/007.png", "b.png"]
    assert table["magnification"].tolist() == [40.0, 20.0]
    assert (table["status"] == USED).all()
    assert table[["x_um", "y_um"]].isna().all(axis=None)


def test_a_pickled_cohort_reads_the_same(tmp_path):
    Image.fromarray(tissue()).save(tmp_path / "a.png")
    found = cohort(tmp_path, "path,label,mpp\na.png,benign,0.5\n")
    again = pickle.loads(pickle.dumps(found))  # noqa: S301  (our own)
    assert again.table.equals(found.table)
    assert again.digests == found.digests
    np.testing.assert_array_equal(again.read(0).image, tissue())


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffpath,label,mpp\na.png,benign,0.5\n",
        "path,label,mpp\r\na.png,benign,0.5\r\n",
        "path,label,mpp\n\na.png,benign,0.5\n\n",
        "path, label , mpp\n a.png, benign ,0.5 \n",
        '"path","label","mpp"\n"a.png","benign","0.5"',
        'mpp,comment,label,path\n0.5,"round, dark",benign,./a.png\n',
        "path,label,mpp\nsub\\..\\a.png,benign,0.5\n",
    ],
    ids=["BOM", "CRLF", "blank lines", "spaces", "quotes", "own columns", "backslash"],
)
def test_ways_of_writing_the_same_table(tmp_path, text):
    table = cohort(tmp_path, text).table
    assert list(table.index) == [0]
    assert table[["source", "label", "mpp"]].to_dict("records") == [{"source": "a.png", "label": "benign", "mpp": 0.5}]


def test_the_default_pixel_size_fills_gaps_only(tmp_path):
    table = cohort(tmp_path, "path,label,mpp\na.png,benign,0.25\nb.png,benign,\n", mpp=1.0).table
    assert table["mpp"].tolist() == [0.25, 1.0]
    assert cohort(tmp_path, "path,label\na.png,benign\n", mpp=0.5).table["mpp"].tolist() == [0.5]


def test_one_id_at_two_magnifications_is_one_patch_seen_twice(tmp_path):
    text = "path,label,mpp,patch_id\nfine.png,benign,0.25,A\ncoarse.png,benign,1,A\n"
    table = cohort(tmp_path, text).table
    assert table["patch_id"].tolist() == ["A", "A"]
    assert table["magnification"].tolist() == [40.0, 10.0]


def test_the_digest_is_that_of_the_table(tmp_path):
    before = cohort(tmp_path, "path,label,mpp\na.png,benign,0.5\n").digests
    after = cohort(tmp_path, "path,label,mpp\na.png,malignant,0.5\n").digests
    assert before.keys() == after.keys() == {"patches.csv"}
    assert before != after


def test_an_image_is_read_from_beside_the_table_whatever_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    Image.fromarray(tissue()).save(tmp_path / "images" / "a.png")
    made = cohort(tmp_path, "path,label,mpp\nimages/a.png,benign,0.5\n")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(made.read(0).image, tissue())


# --- what is refused --------------------------------------------------------------------------------


def test_there_is_no_table(tmp_path):
    with pytest.raises(StudyError, match=r"cohort\.table: there is no file .*nothing\.csv; expected a CSV"):
        PatchFolder(tmp_path / "nothing.csv")
    with pytest.raises(StudyError, match=rf"cohort\.table: {re.escape(str(tmp_path))} is a folder"):
        PatchFolder(tmp_path)


@pytest.mark.parametrize("text", ["", "\n", " \n\n"])
def test_an_empty_table(tmp_path, text):
    refused(tmp_path, text)


@pytest.mark.parametrize("text", ["path,label,mpp\n", "path,label,mpp", "path,label,mpp\n\n,,\n"])
def test_a_header_without_patches(tmp_path, text):
    refused(tmp_path, text, "lists no patch", "one line per patch")


def test_a_column_is_missing(tmp_path):
    refused(tmp_path, "path,grade,mpp\na.png,benign,0.5\n", "'label' is missing", "found path, grade, mpp")


@pytest.mark.parametrize(("separator", "shown"), [(";", "';'"), ("\t", r"'\t'")])
def test_other_separators_are_named(tmp_path, separator, shown):
    text = "path,label,mpp\na.png,benign,0.5\n".replace(",", separator)
    refused(tmp_path, text, "'path' is missing", f"separated by {shown}", "commas")


def test_decimal_commas_in_a_table_of_semicolons(tmp_path):
    refused(tmp_path, "path;label;mpp\na.png;benign;0,5\n", "separated by ';'")


@pytest.mark.parametrize(("encoding", "word"), [("latin-1", "UTF-8"), ("utf-16", "UTF-8")])
def test_other_encodings(tmp_path, encoding, word):
    path = table_file(tmp_path, "path,label,mpp\nkörper.png,benign,0.5\n", encoding=encoding)
    with pytest.raises(CohortError, match=f"patches.csv is not {word}.*save it as CSV UTF-8"):
        PatchFolder(path)


def test_a_file_that_is_no_table_at_all(tmp_path):
    path = tmp_path / "patches.csv"
    Image.fromarray(tissue()).save(path, format="png")
    with pytest.raises(CohortError, match=r"patches\.csv"):
        PatchFolder(path)


def test_more_fields_than_columns(tmp_path):
    refused(
        tmp_path,
        "path,label\na.png,benign,0.5\nb.png,benign,0.5\n",
        "line 2",
        "more fields (3) than the header has columns (2)",
        mpp=0.5,
    )
    refused(tmp_path, "path,label,mpp\na.png,benign,0.5\nb,c.png,benign,0.5\n", "line 3")


def test_a_column_twice(tmp_path):
    refused(tmp_path, "path,label,mpp,label\na.png,benign,0.5,malignant\n", "'label' stands twice")
    refused(tmp_path, "path,label,mpp, label\na.png,benign,0.5,malignant\n", "'label' stands twice")


@pytest.mark.parametrize(
    ("found", "meant"),
    [("slide", "slide_id"), ("Slide_ID", "slide_id"), ("patient", "patient_id"), ("MPP", "mpp"), ("splits", "split")],
)
def test_a_misnamed_column_does_not_pass_for_an_absent_one(tmp_path, found, meant):
    text = f"path,label,{found},mpp\n" if meant != "mpp" else f"path,label,{found},other\n"
    refused(tmp_path, f"{text}a.png,benign,train,0.5\n", repr(found), f"did you mean {meant!r}", mpp=0.5)


@pytest.mark.parametrize(
    ("label", "hint"),
    [("benigne", "Did you mean 'benign'?"), ("Malignant", "Did you mean 'malignant'?"), ("", "is ''"), ("1", "is '1'")],
)
def test_a_misspelt_label_names_its_line(tmp_path, label, hint):
    text = f"path,label,mpp\na.png,benign,0.5\n\nb.png,{label},0.5\nc.png,{label},0.5\n"
    refused(tmp_path, text, "line 4", "(and 5)", "expected benign or malignant", hint)


def test_a_misspelt_split(tmp_path):
    text = "path,label,mpp,split\na.png,benign,0.5,train\nb.png,benign,0.5,val\n"
    refused(tmp_path, text, "line 3", "split is 'val'", "train or valid or test", "Did you mean 'valid'?")


def test_half_a_split(tmp_path):
    text = "path,label,mpp,split\na.png,benign,0.5,train\nb.png,benign,0.5,\n"
    refused(tmp_path, text, "line 3", "no split", "all of them one, or none")


def test_no_pixel_size(tmp_path):
    refused(
        tmp_path,
        "path,label,slide_id\na.png,benign,S1\nb.png,benign,S2\n",
        "line 2",
        "(and 3)",
        "mpp is missing (patch 'a.png')",
        "cohort.mpp in the study file for all patches without one",
    )


@pytest.mark.parametrize(
    ("mpp", "found"),
    [("", "is missing"), ("half", "is 'half'"), ("500", "is '500'"), ("0", "is '0'"), ("nan", "is 'nan'")],
)
def test_one_pixel_size_is_wrong(tmp_path, mpp, found):
    text = f"path,label,mpp\na.png,benign,0.5\nb.png,benign,{mpp}\n"
    refused(tmp_path, text, "line 3", f"mpp {found} (patch 'b.png')", "between 0.05 and 20")


def test_a_default_does_not_mend_a_wrong_pixel_size(tmp_path):
    refused(tmp_path, "path,label,mpp\na.png,benign,half\n", "is 'half'", mpp=0.5)
    refused(tmp_path, "path,label,mpp\na.png,benign,\n", "cohort.mpp is 500", mpp=500.0)


@pytest.mark.parametrize("again", ["a.png", "./a.png", "b/../a.png", "b//..//a.png", ".\\a.png"])
def test_the_same_path_twice(tmp_path, again):
    text = f"path,label,mpp\na.png,benign,0.5\n\nb.png,benign,0.5\n{again},malignant,1\n"
    refused(tmp_path, text, "line 2 (and 5)", "the file 'a.png' is listed twice; every patch", "Delete one")


def test_the_same_path_under_two_ids(tmp_path):
    text = "path,label,mpp,patch_id\na.png,benign,0.5,A\na.png,benign,0.5,B\n"
    refused(tmp_path, text, "line 2 (and 3)", "'a.png' is listed twice, as patch 'A' and as 'B'")


def test_the_same_id_twice_at_one_magnification(tmp_path):
    text = "path,label,mpp,patch_id\na.png,benign,0.25,A\nb.png,benign,1,A\nc.png,benign,1.01,A\n"
    refused(tmp_path, text, "line 3 (and 4)", "patch 'A' is listed twice")


@pytest.mark.parametrize(
    "path",
    [
        "../x.png",
        "..",
        "a/../../x.png",
        "..\\x.png",
        "/data/x.png",
        "C:/x.png",
        "C:\\x.png",
        "c:x.png",
        "\\\\server\\share\\x.png",
        "//server/share/x.png",
    ],
)
def test_a_path_outside_the_folder(tmp_path, path):
    text = f"path,label,mpp\na.png,benign,0.5\n{path},benign,0.5\n"
    message = refused(tmp_path, text, "line 3", f"lies outside {tmp_path}", "Move the files", "cohort.root")
    assert repr(path) in message


def test_dots_inside_a_path_are_no_escape(tmp_path):
    table = cohort(tmp_path, "path,label,mpp\na/../b/..c.png,benign,0.5\n").table
    assert table["source"].tolist() == ["b/..c.png"]


def test_an_empty_path(tmp_path):
    refused(tmp_path, "path,label,mpp\n,benign,0.5\n", "line 2", "the path is empty")


@pytest.mark.parametrize("word", ["NA", "nan", "None", "null", "unknown"])
@pytest.mark.parametrize("column", ["slide_id", "patient_id"])
def test_a_word_for_unknown_is_no_id(tmp_path, column, word):
    text = f"path,label,mpp,{column}\na.png,benign,0.5,{word}\nb.png,benign,0.5,{word}\n"
    refused(
        tmp_path,
        text,
        "line 2",
        f"{column} is {word!r}",
        "(and 3)",
        "leave it empty",
        f"one {column.partition('_')[0]}",
    )


def test_a_slide_of_two_patients(tmp_path):
    text = "path,label,mpp,slide_id,patient_id\na.png,benign,1,S,P\nb.png,benign,1,S,\nc.png,benign,1,S,Q\n"
    refused(tmp_path, text, "line 4", "slide 'S' is of patient 'Q', but of patient 'P' on line 2")


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    text = (
        "path,label,mpp,split,slide_id,patient_id\na.png,bening,0.5,train,S,P\n../b.png,benign,0.5,Train,S,Q\n"
        "c.png,benign,0.5,,NA,\n,benign,0,5,test,,\nd.png,benign,0.5,test,,\nd.png,benign,0.5,test,T,P\n"
    )
    message = refused(tmp_path, text, "8 things are wrong")
    for said in (
        "line 2: label is 'bening'",
        "line 3: path '../b.png' lies outside",
        "line 3: split is 'Train'",
        "line 3: slide 'S' is of patient 'Q'",
        "line 4: no split",
        "line 4: slide_id is 'NA'",
        "line 5: more fields (7)",
        "line 6 (and 7): the file 'd.png' is listed twice",
    ):
        assert said in message, said


def test_of_a_file_that_is_listed_twice_that_is_said_once(tmp_path):
    message = refused(tmp_path, "path,label,mpp\na.png,benign,0.5\na.png,benign,0.5\n")
    assert "\n" not in message


def test_an_id_that_is_the_path_of_another_patch(tmp_path):
    text = "path,label,mpp,patch_id\na.png,benign,0.5,\nb.png,benign,0.5,a.png\n"
    refused(tmp_path, text, "line 2 (and 3)", "patch 'a.png' is listed twice; every patch counts once. Delete")


def test_paths_outside_are_not_said_to_be_one_another(tmp_path):
    message = refused(tmp_path, "path,label,mpp\n../a.png,benign,0.5\n../b.png,benign,0.5\n", "line 2 (and 3)")
    assert "twice" not in message


@pytest.mark.posix("symbolic links")
def test_a_link_to_a_listed_image_is_that_image(tmp_path):
    Image.fromarray(tissue()).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "c.png").hardlink_to(tmp_path / "a.png")
    for link in ("b.png", "c.png"):
        refused(tmp_path, f"path,label,mpp\na.png,benign,0.5\n{link},malignant,0.5\n", f"(also called '{link}')")


def test_the_root_may_be_above_the_table(tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "images").mkdir()
    Image.fromarray(tissue()).save(tmp_path / "images" / "a.png")
    listed = table_file(tmp_path / "lists", "path,label,mpp\nimages/a.png,benign,0.5\n")
    found = PatchFolder(listed, root=tmp_path)
    assert found.table.loc[0, ["patch_id", "source"]].tolist() == ["images/a.png", "images/a.png"]
    np.testing.assert_array_equal(found.read(0).image, tissue())
    table_file(tmp_path / "lists", f"path,label,mpp\n{tmp_path}/images/a.png,benign,0.5\n")
    assert PatchFolder(listed, root=tmp_path).table.equals(found.table)
    refused(tmp_path / "lists", f"path,label,mpp\n{tmp_path}/images/a.png,benign,0.5\n", "lies outside", "cohort.root")
    with pytest.raises(StudyError, match=r"cohort\.root: there is no folder"):
        PatchFolder(listed, root=tmp_path / "nowhere")


def test_another_letter_case_names_the_image_that_is_there(tmp_path):
    Image.fromarray(tissue()).save(tmp_path / "a.png")
    text = "path,label,mpp\nA.PNG,benign,0.5\nabsent.png,malignant,0.5\n"
    message = refused(tmp_path, text, "line 2: there is no file 'A.PNG', but 'a.png', which differs in letter case")
    assert "absent" not in message


def test_one_patient_in_two_unicode_forms_is_one(tmp_path):
    text = "path,label,mpp,slide_id,patient_id\na.png,benign,1,S,\u00e9\nb.png,benign,1,S,e\u0301\n"
    assert cohort(tmp_path, text).table["patient_id"].nunique() == 1


def test_a_patch_says_what_its_file_states_of_its_scale(tmp_path):
    Image.fromarray(tissue()).save(tmp_path / "a.tif", resolution=40_000, resolution_unit="cm")
    Image.fromarray(tissue(1)).save(tmp_path / "b.tif")
    made = cohort(tmp_path, "path,label,mpp\na.tif,benign,0.5\nb.tif,benign,0.5\n")
    assert made.read(0).stated_mpp == pytest.approx(0.25)
    assert made.read(1).stated_mpp is None


def test_columns_that_nothing_reads_are_known(tmp_path):
    (tmp_path / "patches.csv").write_text("stage,path,label,mpp,,my notes\n3,a.png,benign,0.5,,\n", encoding="utf-8")
    assert PatchFolder(tmp_path / "patches.csv").unread == ("stage", "my notes")
    (tmp_path / "patches.csv").write_text("path,label,mpp\na.png,benign,0.5\n", encoding="utf-8")
    assert PatchFolder(tmp_path / "patches.csv").unread == ()


# --- maps made elsewhere ----------------------------------------------------------------------------

MAPS = "path,label,mpp,map,p_malignant\na.png,benign,0.5,maps/a.npy,0.25\nb.png,malignant,0.5,maps\\b.tif,1\n"


def test_maps_and_probabilities_are_given_where_they_are_asked_for(tmp_path):
    found = cohort(tmp_path, MAPS, maps=True)
    assert tuple(found.table.columns) == PATCH_COLUMNS
    assert (found.given.names, found.given.lines) == (("maps/a.npy", "maps/b.tif"), (2, 3))
    assert found.given.p_malignant.tolist() == [0.25, 1.0]
    assert found.given.table == tmp_path / "patches.csv"
    assert not found.given.signed
    assert found.files == {
        "patches.csv": tmp_path / "patches.csv",
        **{name: tmp_path / name for name in ("a.png", "b.png", "maps/a.npy", "maps/b.tif")},
    }
    assert found.unread == ()
    again = pickle.loads(pickle.dumps(found))  # noqa: S301  (our own)
    assert again.given.files == found.given.files


def test_else_nothing_reads_them(tmp_path):
    found = cohort(tmp_path, MAPS)
    assert found.given is None
    assert found.unread == ("map", "p_malignant")
    assert set(found.files) == {"patches.csv", "a.png", "b.png"}


def test_a_table_without_maps_is_refused_where_they_are_asked_for(tmp_path):
    refused(
        tmp_path,
        "path,label,mpp\na.png,benign,0.5\n",
        "2 things are wrong",
        "column 'map' is missing; found path, label, mpp; expected path, label, map, p_malignant",
        "column 'p_malignant' is missing; ",
        maps=True,
    )


def test_everything_wrong_with_maps_in_the_table_is_said_with_the_rest(tmp_path):
    rows = ["a.png,x,0.5,a.npy,0.5", "b.png,benign,0.5,../b.npy,2", "c.png,benign,0.5,,", "d.png,benign,0.5,a.npy,0"]
    refused(
        tmp_path,
        "\n".join(["path,label,mpp,map,p_malignant", *rows]),
        "6 things are wrong",
        "line 2: label is 'x'",
        "line 3: map '../b.npy' lies outside",
        "line 3: p_malignant is '2' (patch 'b.png'); expected a probability from 0 to 1",
        "line 4: the map is empty; expected the file of a saliency map, relative to",
        "line 4: p_malignant is missing (patch 'c.png')",
        "the file 'a.npy' is listed twice, as patch 'a.png' and as 'd.png'; every patch has a map of its own. "
        "Correct one of the lines",
        maps=True,
    )
