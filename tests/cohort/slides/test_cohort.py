"""A cohort of slides: the same places at every magnification, one bad slide that stops no other."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import tifffile

from saliency_stats.cohort.cache import CachedCohort
from saliency_stats.cohort.inspection import inspect
from saliency_stats.cohort.phantom.slide import PhantomSlideSpec, write_phantom_slide
from saliency_stats.cohort.slides.cohort import SLIDE_COLUMNS, SlideCohort
from saliency_stats.cohort.slides.pyramid import write_pyramid
from saliency_stats.cohort.slides.tiling import TilingParameters
from saliency_stats.errors import CohortError, StudyError

TILING = TilingParameters(size_px=64, magnifications=(5.0, 10.0, 20.0, 40.0), per_slide=6, spacing_um=30.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two slides, one with tumour; what is wrong with the others is in their names."""
    path = tmp_path_factory.mktemp("slides")
    for seed, tumour in ((1, True), (2, False)):
        spec = PhantomSlideSpec(f"slide-{seed}", width_px=1024, height_px=1024, seed=seed, tumour=tumour)
        write_phantom_slide(path, spec)
    (path / "broken.tif").write_bytes((path / "slide-1.tif").read_bytes()[:3000])
    # a file of its own: copies are refused
    (path / "far.tif").write_bytes((path / "slide-2.tif").read_bytes() + b"far")
    white = np.full((1024, 1024, 3), 244, np.uint8)
    write_pyramid(path / "empty.tif", lambda *_: white[:512, :512], (1024, 1024), 0.25)
    tifffile.imwrite(path / "unscaled.tif", white, tile=(256, 256), photometric="rgb", metadata=None)
    (path / "far.xml").write_text(
        '<ASAP_Annotations><Annotations><Annotation Name="a" Type="Polygon" PartOfGroup="_0"><Coordinates>'
        '<Coordinate Order="0" X="90000" Y="0"/><Coordinate Order="1" X="91000" Y="0"/>'
        '<Coordinate Order="2" X="91000" Y="900"/></Coordinates></Annotation></Annotations></ASAP_Annotations>',
        encoding="utf-8",
    )
    return path


def cohort(folder, *lines, tiling=TILING, **more):
    table = folder / f"{len(list(folder.iterdir()))}.csv"
    table.write_text("\n".join(["path,slide_id,patient_id,annotation", *lines]), encoding="utf-8")
    return SlideCohort(table, tiling, 0, **more)


GOOD = ("slide-1.tif,one,p1,slide-1.xml", "slide-2.tif,two,p2,")


def test_every_place_is_there_at_every_magnification(folder):
    found = cohort(folder, *GOOD)
    table = found.table
    assert set(table.groupby("patch_id")["magnification"].apply(tuple)) == {(5.0, 10.0, 20.0, 40.0)}
    assert (table.groupby("patch_id")[["x_um", "y_um", "label", "slide_id"]].nunique() == 1).all(axis=None)
    assert table["mpp"].to_numpy() == pytest.approx(10 / table["magnification"].to_numpy())
    places = table.drop_duplicates("patch_id")
    assert places[places["slide_id"] == "one"]["label"].value_counts().to_dict() == {"malignant": 3, "benign": 3}
    assert set(places[places["slide_id"] == "two"]["label"]) == {"benign"}
    assert list(found.slides.columns) == list(SLIDE_COLUMNS)
    assert (found.slides["status"] == "used").all()
    tumour = found.slides.set_index("slide_id")["tumour_mm2"]
    assert (tumour["one"] > 0, tumour["two"]) == (True, 0)


def test_coarser_patches_show_the_same_tissue_averaged(folder):
    found = cohort(folder, *GOOD)
    table = found.table
    rows = table[table["patch_id"] == table["patch_id"].iloc[0]].set_index("magnification")
    index = {
        mag: int(table.index[(table["patch_id"] == table["patch_id"].iloc[0]) & (table["magnification"] == mag)][0])
        for mag in rows.index
    }
    fine, coarse = (found.read(index[mag]).image.astype(float) for mag in (40.0, 20.0))
    blocks = fine.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(coarse[16:48, 16:48] - blocks).mean() < 1.0
    assert found.read(index[5.0]).image.shape == (64, 64, 3)
    field = found.field(index[5.0], 512, 0.25)
    np.testing.assert_allclose(field[224:288, 224:288].astype(float), fine, atol=1)


def test_the_table_depends_on_the_seed_and_the_slides_names_alone(folder):
    first, again = cohort(folder, *GOOD), cohort(folder, *reversed(GOOD))
    assert first.table.equals(again.table)
    alone = cohort(folder, GOOD[1]).table
    assert alone.equals(first.table[first.table["slide_id"] == "two"].reset_index(drop=True))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("broken.tif,bad,,", "cannot be"),
        ("absent.tif,bad,,", "bad"),
        ("far.tif,bad,,far.xml", "outside"),
        ("far.tif,bad,,absent.xml", "absent.xml"),
        ("empty.tif,bad,,", "no place with 50% tissue"),
        ("unscaled.tif,bad,,", "cohort.mpp_override"),
    ],
)
def test_a_bad_slide_is_counted_and_stops_no_other(folder, line, reason):
    found = cohort(folder, *GOOD, line)
    assert set(found.table["slide_id"]) == {"one", "two"}
    row = found.slides.set_index("slide_id").loc["bad"]
    assert row["status"].startswith("excluded: ")
    assert reason in row["status"]


def test_a_slide_without_the_finest_magnification_is_left_out_by_name(folder):
    finer = TilingParameters(size_px=64, magnifications=(20.0, 40.0, 80.0), per_slide=4)
    row = cohort(folder, GOOD[0], tiling=finer).slides.iloc[0]
    assert row["status"].startswith("excluded: ")
    assert "0.125" in row["status"]


def test_a_slide_without_room_says_what_it_lacks(folder):
    wide = TilingParameters(size_px=512, magnifications=(5.0, 40.0), per_slide=4)
    row = cohort(folder, GOOD[0], tiling=wide).slides.iloc[0]
    assert "field of 1024 µm lies inside the slide" in row["status"]


def test_an_overriding_pixel_size_is_used(folder):
    found = cohort(folder, GOOD[1], mpp_override={"t*": 0.125})
    assert found.slides["mpp"].iloc[0] == 0.125


def test_pictures_show_tissue_and_tumour(folder):
    found = cohort(folder, *GOOD)
    one = found.pictures["one"]
    assert one["image"].shape[:2] == one["tissue"].shape == one["tumour"].shape
    area = one["tumour"].sum() * one["mpp"].prod() / 1e6
    assert area == pytest.approx(found.slides.set_index("slide_id").loc["one", "tumour_mm2"], rel=0.05)
    assert not found.pictures["two"]["tumour"].any()


def test_a_cached_cohort_gives_the_same_pixels(folder):
    found = cohort(folder, *GOOD)
    cached = CachedCohort(found, 10**6)
    assert cached.inner is found
    for row in (0, 3, 0):
        np.testing.assert_array_equal(cached.read(row).image, found.read(row).image)


def test_slides_of_one_annotation_group_can_be_renamed(folder):
    text = (
        (folder / "slide-1.xml")
        .read_text(encoding="utf-8")
        .replace('"_0"', '"carcinoma"')
        .replace('"_2"', '"normal tissue"')
    )
    (folder / "renamed.xml").write_text(text, encoding="utf-8")
    unknown = cohort(folder, "slide-1.tif,one,,renamed.xml").slides.iloc[0]
    assert "annotation_groups" in unknown["status"]
    groups = {"tumour": ("carcinoma",), "exclude": ("normal tissue",)}
    renamed = cohort(folder, "slide-1.tif,one,,renamed.xml", groups=groups)
    usual = cohort(folder, "slide-1.tif,one,,slide-1.xml")
    assert renamed.slides["tumour_mm2"].iloc[0] == usual.slides["tumour_mm2"].iloc[0]


def test_a_list_that_is_wrong_stops(folder):
    with pytest.raises(CohortError, match="listed twice"):
        cohort(folder, GOOD[0], GOOD[0])


# --- in another process -----------------------------------------------------------------------------


def test_a_patch_read_in_another_process_has_the_same_bytes(folder):
    inner = cohort(folder, *GOOD)
    cached = CachedCohort(inner, 10**7)
    rows = [0, len(inner.table) - 1]
    here = [cached.read(row).image for row in rows]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        there = [pool.submit(cached.read, row).result(timeout=60).image for row in rows]
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pickled_cohort_reads_fields_too(folder):
    inner = cohort(folder, *GOOD)
    again = pickle.loads(pickle.dumps(inner))  # noqa: S301  (our own)
    np.testing.assert_array_equal(again.field(3, 48, 0.5), inner.field(3, 48, 0.5))
    assert again.slides.equals(inner.slides)
    assert again.table.equals(inner.table)


# --- lists of which nothing, or not all, can be used ------------------------------------------------


def test_without_a_usable_slide_every_table_is_there_with_its_types(folder):
    found = cohort(folder, "unscaled.tif,a,p1,", "absent.tif,b,p2,")
    assert list(found.slides["slide_id"]) == ["a", "b"]
    assert found.slides["status"].str.startswith("excluded: ").all()
    assert list(found.slides.columns) == list(SLIDE_COLUMNS)
    assert (found.pictures, len(found.table)) == ({}, 0)
    usual = cohort(folder, *GOOD)
    assert found.table.dtypes.equals(usual.table.dtypes)
    assert found.slides["tumour_mm2"].dtype == float
    # what looks at patches next gets on with none
    table = inspect(CachedCohort(found, 10**6), 0.05)
    assert len(table) == 0
    assert list(table.columns) == list(inspect(usual, 0.05).columns)


def test_keys_that_name_nothing_stop(folder):
    with pytest.raises(StudyError, match="'z\\*', which fits no slide; the list has 'one', 'two'"):
        cohort(folder, *GOOD, mpp_override={"z*": 0.25})
    with pytest.raises(StudyError, match="'carcinoma', which is in no annotation; found are '_0'"):
        cohort(folder, *GOOD, groups={"tumour": ("_0", "_1", "carcinoma")})
    # the file that cannot be read may have held it
    cohort(folder, GOOD[0], "slide-2.tif,two,p2,absent.xml", groups={"tumour": ("_0", "_1", "carcinoma")})


def test_an_annotation_without_tumour_is_no_evidence_unless_the_study_says_so(folder):
    (folder / "nothing.geojson").write_text('{"type": "FeatureCollection", "features": []}', encoding="utf-8")
    line = "slide-2.tif,two,p2,nothing.geojson"
    assert "the file holds no object" in cohort(folder, line).slides["status"].iloc[0]
    used = cohort(folder, line, without_tumour="benign")
    assert used.table.drop(columns="status").equals(cohort(folder, GOOD[1]).table.drop(columns="status"))


def test_a_groups_key_with_two_meanings_stops(folder):
    with pytest.raises(StudyError, match="two meanings"):
        cohort(folder, *GOOD, groups={"tumour": ("a",), "exclude": ("A",)})
