"""Phantom slides: what the files say is what was painted, where it was painted."""

import dataclasses

import numpy as np
import pytest
import shapely
import tifffile
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from saliency_stats.cohort.phantom.slide import PhantomSlideSpec, read_truth, write_phantom_slide
from saliency_stats.cohort.slides.annotation import read_annotation
from saliency_stats.cohort.slides.outlines import rasterise
from saliency_stats.cohort.slides.slide import Slide
from saliency_stats.errors import SlideError, StudyError
from saliency_stats.vocabulary import COMPARTMENT_CODES

BACKGROUND, NUCLEUS = COMPARTMENT_CODES["background"], COMPARTMENT_CODES["nucleus"]
#: Tissue is painted at 0.5 µm/px: two blocks, whose seam lies in the tissue, and two tiles.
SMALL = PhantomSlideSpec("small", 1024, 768, mpp=0.5, seed=7, signal="nucleus")
FINE = PhantomSlideSpec("fine", 1024, 1024, mpp=0.25, seed=8, compression="jpeg")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_phantom_slide(tmp_path_factory.mktemp("small"), SMALL)


@pytest.fixture(scope="module")
def fine(tmp_path_factory):
    return write_phantom_slide(tmp_path_factory.mktemp("fine"), FINE)


def whole(files, spec):
    height, width = spec.height_px * spec.mpp, spec.width_px * spec.mpp
    with Slide(files.slide, spec.slide_id) as slide:
        return slide.read((height / 2, width / 2), (spec.height_px, spec.width_px), spec.mpp)


def pages(files):
    with tifffile.TiffFile(files.truth) as tiff:
        return [page.asarray() for page in tiff.pages]


def annotation(path, spec):
    return read_annotation(
        path, spec.mpp, spec.mpp, slide_id=spec.slide_id, width_px=spec.width_px, height_px=spec.height_px
    )


@pytest.mark.parametrize(("name", "spec"), [("small", SMALL), ("fine", FINE)])
def test_the_slide_knows_its_pixel_size_and_has_levels(name, spec, request):
    with Slide(request.getfixturevalue(name).slide, name) as slide:
        assert slide.info.vendor == "generic-tiff"
        assert slide.info.mpp == pytest.approx(spec.mpp)
        assert (slide.info.height_px, slide.info.width_px) == (spec.height_px, spec.width_px)
        assert slide.info.downsamples == (1, 2, 4)
        for mpp in (0.5, 1.0, 2.0):
            assert slide.read((100.0, 100.0), 32, mpp).shape == (32, 32, 3)


@pytest.mark.parametrize("kind", ["xml", "geojson"])
@pytest.mark.parametrize(("name", "spec"), [("small", SMALL), ("fine", FINE)])
def test_the_annotation_is_what_was_drawn_malignant(name, spec, kind, request):
    files = request.getfixturevalue(name)
    _, malignant = pages(files)
    found = annotation(getattr(files, kind), spec)
    assert found.notes == ()
    assert malignant.sum() * 0.5**2 == pytest.approx(found.tumour.area, rel=0.01)
    drawn = rasterise(found.tumour, malignant.shape, (0.5, 0.5))
    assert (drawn != malignant.astype(bool)).mean() < 1e-4


@pytest.mark.parametrize("kind", ["xml", "geojson"])
def test_the_island_of_benign_tissue_is_excluded(small, kind):
    found = annotation(getattr(small, kind), SMALL)
    (hole,) = [ring for part in shapely.get_parts(found.tumour) for ring in part.interiors]
    x, y = shapely.Polygon(hole).centroid.coords[0]
    assert found.shares([(y, x)], 10.0)[0] == 0
    assert not pages(small)[1][int(y / 0.5), int(x / 0.5)]
    assert found.shares([(y, x)], 1.5 * np.sqrt(shapely.Polygon(hole).area))[0] > 0.1


def test_class_shows_inside_the_annotation_and_nowhere_else(small, tmp_path):
    normal = write_phantom_slide(tmp_path, dataclasses.replace(SMALL, tumour=False))
    assert normal.xml is None
    assert normal.geojson is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.tif", "small_truth.tif"]
    assert not pages(normal)[1].any()
    changed = (whole(small, SMALL) != whole(normal, SMALL)).any(axis=-1)
    tumour = rasterise(annotation(small.xml, SMALL).tumour, changed.shape, (0.5, 0.5))
    # the camera's blur and sharpening reach a few pixels far
    assert not changed[~ndimage.binary_dilation(tumour, iterations=12)].any()
    nucleus = pages(small)[0] == NUCLEUS
    assert changed[nucleus & ndimage.binary_erosion(tumour, iterations=12)].mean() > 0.9


def test_without_a_signal_tumour_and_normal_tissue_are_the_same(tmp_path):
    spec = dataclasses.replace(SMALL, width_px=512, height_px=512, signal="none")
    tumour = write_phantom_slide(tmp_path / "tumour", spec)
    normal = write_phantom_slide(tmp_path / "normal", dataclasses.replace(spec, tumour=False))
    assert tumour.slide.read_bytes() == normal.slide.read_bytes()
    assert pages(tumour)[1].any()


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_slide(tmp_path):
    spec = dataclasses.replace(SMALL, width_px=512, height_px=512, compression="jpeg")
    first, again, other = (
        write_phantom_slide(tmp_path / name, dataclasses.replace(spec, seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    for kind in ("slide", "xml", "geojson", "truth"):
        assert getattr(first, kind).read_bytes() == getattr(again, kind).read_bytes()
        assert getattr(first, kind).read_bytes() != getattr(other, kind).read_bytes()


def test_compression_changes_the_picture_a_little_and_the_truth_not_at_all(small, tmp_path):
    spec = dataclasses.replace(SMALL, compression="jpeg")
    jpeg = write_phantom_slide(tmp_path, spec)
    difference = whole(jpeg, spec).astype(float) - whole(small, SMALL)
    assert 0 < np.abs(difference).mean() < 6
    assert jpeg.truth.read_bytes() == small.truth.read_bytes()
    assert jpeg.slide.stat().st_size < 0.4 * small.slide.stat().st_size


@pytest.mark.parametrize(("name", "spec"), [("small", SMALL), ("fine", FINE)])
def test_tissue_lies_on_white_glass(name, spec, request):
    files = request.getfixturevalue(name)
    compartments, _ = pages(files)
    image = whole(files, spec)
    assert set(np.unique(compartments)) == set(COMPARTMENT_CODES.values())
    # gaps and lumina are glass too
    assert 0.5 < (compartments != BACKGROUND).mean() < 0.72
    corner = image[:16, :16].astype(float)
    assert 225 < corner.mean() < 252
    assert 0.5 < corner.std(axis=(0, 1)).mean() < 8
    assert not compartments[:8, :8].any()


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0, 1.3])
@pytest.mark.parametrize("centre_um", [(128.0, 128.0), (120.3, 131.9)])
def test_truth_and_picture_show_the_same_place(fine, mpp, centre_um):
    size = int(100 / mpp)
    with Slide(fine.slide, "fine") as slide:
        image = slide.read(centre_um, size, mpp)
    nucleus = read_truth(fine.truth, centre_um, size, mpp) == NUCLEUS
    # nuclei are the darkest in red, which eosin hardly absorbs
    dark = 255.0 - image[..., 0]
    assert dark[nucleus].mean() > 1.5 * dark[~nucleus].mean()
    shift, _, _ = phase_cross_correlation(nucleus.astype(float), dark, upsample_factor=20, normalization=None)
    assert np.abs(shift).max() * mpp < 0.2


def test_truth_is_read_as_it_was_written(small):
    compartments, _ = pages(small)
    np.testing.assert_array_equal(read_truth(small.truth, (200.0, 300.0), 64, 0.5), compartments[368:432, 568:632])
    twice = np.kron(compartments[384:416, 584:616], np.ones((2, 2), np.uint8))
    np.testing.assert_array_equal(read_truth(small.truth, (200.0, 300.0), 64, 0.25), twice)


def test_a_coarse_pixel_is_what_covers_most_of_it(small):
    compartments, _ = pages(small)
    found = read_truth(small.truth, (200.0, 300.0), 64, 1.0)
    blocks = compartments[336:464, 536:664].reshape(64, 2, 64, 2)
    counts = np.stack([(blocks == code).sum(axis=(1, 3)) for code in sorted(COMPARTMENT_CODES.values())])
    most = counts.max(axis=0)
    np.testing.assert_array_equal(np.take_along_axis(counts, found[None].astype(int), axis=0)[0], most)
    # a draw goes to the pixel below and to the right of the middle
    tied = (counts == most).sum(axis=0) == 2
    lower = blocks[:, 1, :, 1]
    wins = np.take_along_axis(counts, lower[None].astype(int), axis=0)[0] == most
    np.testing.assert_array_equal(found[tied & wins], lower[tied & wins])


def test_truth_is_background_outside_the_slide(small):
    assert not read_truth(small.truth, (-500.0, 100.0), 32, 0.5).any()
    assert not read_truth(small.truth, (2000.0, 100.0), 32, 0.5).any()


@pytest.mark.parametrize("content", [None, b"no TIFF"])
def test_a_truth_that_cannot_be_read_is_refused_by_name(tmp_path, content):
    path = tmp_path / "other_truth.tif"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SlideError, match=r"other_truth\.tif.*Write the slide again"):
        read_truth(path, (0.0, 0.0), 32, 0.5)


def test_tiles_meet_without_a_seam(small):
    image = whole(small, SMALL).astype(float)
    step = np.abs(np.diff(image, axis=1)).mean(axis=(0, 2))
    assert step[511] < 1.15 * np.median(step[462:562])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"slide_id": "a/b"}, "file's name"),
        ({"slide_id": ""}, "file's name"),
        ({"width_px": 1000}, "width_px is 1000"),
        ({"height_px": 256}, "height_px is 256"),
        ({"width_px": 32768}, "512 to 16384"),
        ({"mpp": 1.0}, "mpp is 1.0"),
        ({"compression": "lzw"}, "expected jpeg or deflate"),
        ({"seed": -1}, "seed is -1"),
        ({"signal": "nuclei"}, "phantom.signal"),
        ({"strength": 2.0}, "phantom.strength"),
        ({"stain_variation": 9.0}, "phantom.stain_variation"),
    ],
)
def test_impossible_slides_are_refused(changed, message):
    with pytest.raises(StudyError, match=message):
        dataclasses.replace(SMALL, **changed)


def test_the_usual_slide():
    usual = PhantomSlideSpec("s", 8192, 8192, 0.25, "deflate", 0, "cytoplasm", 1.0, 1.0, tumour=True)
    assert PhantomSlideSpec("s") == usual


@pytest.mark.parametrize(("mpp", "enlargement"), [(0.2, 2), (0.25, 2), (0.33, 2), (0.34, 1), (0.5, 1), (0.6, 1)])
def test_finer_slides_are_enlarged_from_painted_tissue(mpp, enlargement):
    assert PhantomSlideSpec("s", mpp=mpp).enlargement == enlargement


@pytest.mark.parametrize(
    ("key", "allowed", "refused"),
    [
        ("width_px", (512, 16384), (256, 16640, 1000)),
        ("height_px", (512, 16384), (256, 16640, 1000)),
        ("mpp", (0.2, 0.6), (0.199, 0.601)),
        ("seed", (0,), (-1,)),
        ("slide_id", ("a",), ("", "a/b")),
    ],
)
def test_the_ends_of_the_ranges_are_allowed_and_nothing_beyond(key, allowed, refused):
    for value in allowed:
        assert getattr(PhantomSlideSpec(**{"slide_id": "s", key: value}), key) == value
    for value in refused:
        with pytest.raises(StudyError, match="phantom slide"):
            PhantomSlideSpec(**{"slide_id": "s", key: value})
