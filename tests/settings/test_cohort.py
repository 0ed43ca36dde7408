"""A kind of cohort is a section that opens itself."""

import pytest

from saliency_stats.classes import USUAL_CLASSES, Classes
from saliency_stats.cohort import PatchFolder, PhantomCohort
from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.errors import CohortError, StudyError
from saliency_stats.settings.cohort import COHORT_KINDS, CohortBase, PatchesSection, PhantomSection, SlidesSection
from saliency_stats.settings.study import load


def test_kinds_are_called_by_their_names():
    for name, section in COHORT_KINDS.items():
        assert section.model_fields["kind"].annotation.__args__ == (name,)


def test_a_phantom_section_draws_phantoms_that_depend_on_the_seed():
    section = PhantomSection(slides=3, patches_per_slide=2, size_px=32)
    first, again, other = (section.open(seed) for seed in (0, 0, 1))
    assert isinstance(first, PhantomCohort)
    assert len(first.table) == 6
    assert (first.read(0).image == again.read(0).image).all()
    assert (first.read(0).image != other.read(0).image).any()


def test_a_phantom_section_has_its_architecture():
    section = PhantomSection(slides=3, patches_per_slide=2, size_px=32, architecture="lymph_node")
    assert section.open(0).phantom.architecture == "lymph_node"
    assert PhantomSection().architecture == PhantomSection().open(0).phantom.architecture == "nests"


def test_an_unknown_architecture_is_refused_with_the_choices():
    with pytest.raises(
        StudyError,
        match=r"cohort\.architecture: found 'lymph', expected one of nests, desmoplastic, gland, lymph_node, mixed",
    ):
        load(None, ["cohort.architecture=lymph"])
    assert PhantomSection.model_json_schema()["properties"]["architecture"]["enum"] == list(ARCHITECTURES)


def test_a_patches_section_reads_its_list(tmp_path):
    path = tmp_path / "patches.csv"
    path.write_text("path,label,mpp\na.png,benign,\nb.png,malignant,0.25\n", encoding="utf-8")
    cohort = PatchesSection(kind="patches", table=path, mpp=0.5).open(0)
    assert isinstance(cohort, PatchFolder)
    assert cohort.table["mpp"].tolist() == [0.5, 0.25]


def test_words_of_a_table_stand_for_the_study_s_classes(tmp_path):
    path = tmp_path / "patches.csv"
    path.write_text("path,label,mpp\na.png,0,0.5\nb.png,Carcinoma,0.5\n", encoding="utf-8")
    stated = {"normal": [0], "tumor": ["Carcinoma", 1]}
    section = PatchesSection(kind="patches", table=path, classes=stated)
    assert section.open(0).table["label"].tolist() == ["benign", "malignant"]
    assert section.two_classes == Classes.stated(stated)
    assert section.classes == {
        "benign": {"name": "normal", "words": ["0"], "outputs": [0]},
        "malignant": {"name": "tumor", "words": ["Carcinoma", "1"], "outputs": [1]},
    }
    turned = PatchesSection(kind="patches", table=path, classes=dict(reversed(stated.items())))
    assert turned.classes["benign"]["name"] == "tumor"
    usual = {"malignant": [2], "benign": [0, 1]}
    assert PhantomSection(classes=usual).classes == usual
    assert PhantomSection().two_classes == USUAL_CLASSES
    slides = SlidesSection(kind="slides", table=path, classes=stated)
    (tmp_path / "patches.csv").write_text("path,label\na.svs,0\nb.svs,tumor\n", encoding="utf-8")
    with pytest.raises(CohortError, match="slide 'b' is tumor and has no annotation; without one all its tissue would"):
        slides.open(0)


def test_classes_that_cannot_be_are_refused_with_the_key(tmp_path):
    (tmp_path / "study.yaml").write_text("cohort: {classes: {normal: [x], tumor: [x], other: []}}", encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        load(tmp_path / "study.yaml")
    found = str(caught.value)
    assert "study.yaml: cohort.classes: other has no word" in found
    assert "found 3 classes (normal, tumor, other)" in found
    assert "the word 'x' stands for more than one class" in found


def test_a_slides_section_says_where_patches_are_taken():
    tiling = SlidesSection(
        kind="slides", table="x.csv", magnifications=[10, 20], size_px=64, min_place_tissue=0.3
    ).tiling
    assert (tiling.size_px, tiling.magnifications, tiling.min_tissue) == (64, (10.0, 20.0), 0.3)


def test_what_is_no_kind_opens_nothing():
    with pytest.raises(NotImplementedError):
        CohortBase().open(0)


@pytest.mark.parametrize("kind", ["patches", "slides"])
def test_a_list_is_read_below_the_root_that_is_named(tmp_path, kind):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "list.csv").write_text("path,label,mpp\nx/a.tif,benign,0.5\n", encoding="utf-8")
    for root, said in ((tmp_path / "nowhere", "cohort.root: there is no folder"), (None, "")):
        section = COHORT_KINDS[kind](kind=kind, table=tmp_path / "lists" / "list.csv", root=root)
        if said:
            with pytest.raises(StudyError, match=said):
                section.open(0)
        else:
            assert section.root is None


def test_the_root_is_handed_to_both_kinds_of_lists(tmp_path):
    (tmp_path / "lists").mkdir()
    text = f"path,label,mpp\n{tmp_path}/a.png,benign,0.5\n"
    (tmp_path / "lists" / "list.csv").write_text(text, encoding="utf-8")
    table = tmp_path / "lists" / "list.csv"
    assert PatchesSection(kind="patches", table=table, root=tmp_path).open(0).table["source"].tolist() == ["a.png"]
    slides = SlidesSection(kind="slides", table=table, root=tmp_path).open(0).slides
    assert slides["source"].tolist() == ["a.png"]
    for section in (PatchesSection(kind="patches", table=table), SlidesSection(kind="slides", table=table)):
        with pytest.raises(CohortError, match="lies outside"):
            section.open(0)


def test_the_root_of_a_study_file_is_relative_to_it(tmp_path):
    (tmp_path / "study.yaml").write_text("cohort: {kind: patches, table: lists/p.csv, root: data}\n", encoding="utf-8")
    assert load(tmp_path / "study.yaml").cohort.root == tmp_path / "data"
