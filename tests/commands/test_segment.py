"""Images in, files for Fiji and QuPath out: what is written, and what is refused before anything is."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.commands import segment as module
from saliency_stats.commands.pixel_size import pixel_size
from saliency_stats.commands.segment import parameters_of, segment_images
from saliency_stats.compartments import CompartmentParameters, estimate_stains, segment, to_codes
from saliency_stats.errors import PatchError, StorageError, StudyError
from saliency_stats.execution.progress import Progress
from saliency_stats.vocabulary import COMPARTMENT_CODES

CLASSICAL = CompartmentParameters(nuclei="classical", cells="rule")
HALVES = np.array([0.5, 0.5, 0], np.float32)[:, None, None]


def tissue(seed=0, size=(70, 91), mpp=0.5):
    """Phantom tissue of an odd size."""
    square = Phantom(size_px=max(size), mpp=mpp).render(np.random.default_rng(seed), "benign").image
    return np.ascontiguousarray(square[: size[0], : size[1]])


def saved(path, pixels=None):
    Image.fromarray(tissue() if pixels is None else pixels).save(path)
    return path


def run(images, out, **options):
    options = {"mpp": 0.5, "parameters": CLASSICAL, **options}
    return segment_images(images, out, **options)


# --- what is written --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Tissue, tissue that is coarser than segmentation, and empty glass."""
    folder = tmp_path_factory.mktemp("segmented")
    images = [saved(folder / "a.png"), saved(folder / "b.tif", tissue(1)), folder / "glass.png"]
    saved(images[2], np.full((40, 35, 3), 243, np.uint8))
    table = run(images, folder / "new" / "out")
    return images, folder / "new" / "out", table


def test_every_file_that_is_promised_and_no_other(done):
    images, out, table = done
    endings = ("_nuclei.tif", "_compartments.tif", ".geojson", "_overlay.png")
    assert table == out / "nuclei.csv"
    assert {path.name for path in out.iterdir()} == {
        "nuclei.csv",
        *(f"{image.stem}{ending}" for image in images for ending in endings),
    }


def test_the_label_images_are_the_segmentation(done):
    images, out, _ = done
    for image in images:
        pixels = np.asarray(Image.open(image))
        expected = segment(pixels, 0.5, parameters=CLASSICAL, stains=estimate_stains([pixels]))
        nuclei, compartments = (
            tifffile.imread(out / f"{image.stem}_{name}.tif") for name in ("nuclei", "compartments")
        )
        assert nuclei.dtype == np.int32
        assert compartments.dtype == np.uint8
        np.testing.assert_array_equal(nuclei, expected.instances)
        np.testing.assert_array_equal(compartments, to_codes(expected.memberships))


def test_the_label_images_open_elsewhere_with_their_scale(done):
    _, out, _ = done
    for name in ("nuclei", "compartments"):
        path = out / f"a_{name}.tif"
        assert pixel_size(path) == 0.5
        with Image.open(path) as image:  # libtiff
            np.testing.assert_array_equal(np.asarray(image), tifffile.imread(path))
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
            assert page.predictor == 1  # ImageJ undoes one for LZW only
            assert page.resolutionunit == tifffile.RESUNIT.CENTIMETER
            assert page.resolution == (20_000, 20_000)


def test_the_table_the_label_images_and_the_objects_agree(done):
    images, out, path = done
    table = pd.read_csv(path)
    assert list(table.columns[:5]) == ["image", "mpp", "nucleus_id", "y_um", "x_um"]
    promised = {"area_um2", "probability", "haematoxylin_od", "eosin_od", "cytoplasm_area_um2"}
    assert promised <= set(table.columns)
    assert (table["mpp"] == 0.5).all()
    for image in images:
        rows = table[table["image"] == image.name]
        nuclei = tifffile.imread(out / f"{image.stem}_nuclei.tif")
        compartments = tifffile.imread(out / f"{image.stem}_compartments.tif")
        numbers, counts = np.unique(nuclei[nuclei > 0], return_counts=True)
        assert rows["nucleus_id"].tolist() == numbers.tolist()
        np.testing.assert_allclose(rows["area_um2"], counts * 0.25)
        assert rows["cytoplasm_area_um2"].sum() == pytest.approx(np.count_nonzero(compartments == 2) * 0.25)
        features = json.loads((out / f"{image.stem}.geojson").read_text(encoding="utf-8"))["features"]
        assert [feature["properties"]["measurements"]["nucleus_id"] for feature in features] == numbers.tolist()
    assert set(table["image"]) == {"a.png", "b.tif"}  # there is nothing on glass


def test_the_overlay_has_the_size_of_the_image(done):
    images, out, _ = done
    for image in images:
        with Image.open(out / f"{image.stem}_overlay.png") as drawn, Image.open(image) as original:
            assert (drawn.size, drawn.mode) == (original.size, "RGB")


def test_coarse_images_are_written_at_their_own_size(tmp_path):
    run([saved(tmp_path / "a.png", tissue(mpp=1.0))], tmp_path / "out", mpp=1.0)
    assert tifffile.imread(tmp_path / "out" / "a_nuclei.tif").shape == (70, 91)
    assert pixel_size(tmp_path / "out" / "a_nuclei.tif") == 1.0


def test_only_images_without_a_nucleus(tmp_path):
    path = run([saved(tmp_path / "a.png", np.full((40, 40, 3), 243, np.uint8))], tmp_path / "out")
    table = pd.read_csv(path)
    assert len(table) == 0
    assert "nucleus_id" in table.columns


def test_the_same_images_give_the_same_bytes_over_the_old_ones(tmp_path):
    image, out = saved(tmp_path / "a.png"), tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    run([image], out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / "a.geojson").write_text("old", encoding="utf-8")
    run([image], out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert before["notes.txt"] == b"mine"


def test_the_parameters_are_used(tmp_path):
    image = saved(tmp_path / "a.png")
    areas = [
        pd.read_csv(run([image], tmp_path / "out", parameters=parameters_of(nuclei="classical", cytoplasm_um=reach)))
        for reach in (1.0, 5.0)
    ]
    assert areas[0]["cytoplasm_area_um2"].sum() < 0.7 * areas[1]["cytoplasm_area_um2"].sum()
    with pytest.raises(StudyError, match=r"cytoplasm_um is 0\.0.*--cytoplasm-um"):
        parameters_of(cytoplasm_um=0.0)


def test_cells_by_network(tmp_path, monkeypatch):
    lines, asked = [], []

    def finder_for(cells, device):
        asked.append((list(cells), device))
        return lambda views: [np.broadcast_to(HALVES, (3, *view.tissue.shape)).copy() for view in views]

    monkeypatch.setattr(module, "finder_for", finder_for)
    image = saved(tmp_path / "a.png")
    progress = SimpleNamespace(stage=Progress().stage, bars=True, say=lines.append)
    network = replace(CLASSICAL, cells="network", cytoplasm_um=50.0)
    found = pd.read_csv(run([image], tmp_path / "out", parameters=network, device="cpu", progress=progress))
    assert asked == [(["network"], "cpu")]
    assert lines[0].endswith("; 100% of the tissue outside nuclei doubtful")
    codes = tifffile.imread(tmp_path / "out" / "a_compartments.tif")
    # of equal halves the one named first
    assert set(np.unique(codes)) <= {COMPARTMENT_CODES[name] for name in ("background", "nucleus", "cytoplasm")}
    around = (codes == COMPARTMENT_CODES["cytoplasm"]).sum()
    assert found["cytoplasm_area_um2"].sum() == pytest.approx(0.5 * around * 0.25, rel=1e-6)
    run([image], tmp_path / "hard", progress=progress)
    assert "doubtful" not in lines[1]


def test_label_images_need_no_compression_library(tmp_path, monkeypatch):
    """The package asks for tifffile only, which then falls back on Python's own zlib."""
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    for name in [name for name in sys.modules if name.startswith("tifffile")]:
        monkeypatch.delitem(sys.modules, name)
    import tifffile as bare  # noqa: PLC0415  (again, without the library)

    assert bare is not tifffile
    monkeypatch.setattr("saliency_stats.commands.segment.tifffile", bare)
    run([saved(tmp_path / "a.png")], tmp_path / "out")
    assert tifffile.imread(tmp_path / "out" / "a_nuclei.tif").any()


# --- µm per pixel -----------------------------------------------------------------------------------


def tiff(path, **options):
    tifffile.imwrite(path, tissue(), photometric="rgb", **options)
    return path


@pytest.mark.parametrize(
    ("options", "mpp"),
    [
        ({"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}, 0.5),
        ({"resolution": (1e4 / 0.346, 1e4 / 0.346), "resolutionunit": 3}, 0.346),
        ({"resolution": (101_600, 101_600), "resolutionunit": "INCH"}, 0.25),
        ({"imagej": True, "resolution": (4, 4), "metadata": {"unit": "um"}}, 0.25),
        ({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "micron"}}, 0.5),
        ({"imagej": True, "resolution": (2, 2), "metadata": {"unit": "\\u00B5m"}}, 0.5),
    ],
)
def test_a_tiff_tells_its_pixel_size(tmp_path, options, mpp):
    path = tiff(tmp_path / "a.TIF", **options)
    notes = []
    table = pd.read_csv(run([path], tmp_path / "out", mpp=None, note=notes.append))
    assert notes == [f"{mpp:g} µm per pixel, as the resolution of {path} says"]
    assert (table["mpp"] == mpp).all()


def test_what_is_given_goes_before_what_a_tiff_tells(tmp_path):
    path = tiff(tmp_path / "a.tif", resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    notes = []
    table = pd.read_csv(run([path], tmp_path / "out", mpp=0.4, note=notes.append))
    assert notes == []
    assert (table["mpp"] == 0.4).all()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, "352.8 µm per pixel, which no microscope gives"),
        ({"resolution": (2, 2), "resolutionunit": "NONE"}, "no resolution in inches, centimetres or µm"),
        ({"resolution": (20_000, 10_000), "resolutionunit": "CENTIMETER"}, "not square (0.5 x 1 µm)"),
        ({"imagej": True, "resolution": (4, 4), "metadata": {"unit": "pixel"}}, "no resolution in inches"),
    ],
)
def test_a_tiff_that_does_not_tell(tmp_path, options, reason):
    path = tiff(tmp_path / "a.tif", **options)
    other = saved(tmp_path / "b.png")
    with pytest.raises(StudyError, match="unknown for 2 of 2 images; give it with --mpp") as caught:
        run([path, other], tmp_path / "out", mpp=None)
    assert f"{path}: " in str(caught.value)
    assert reason in str(caught.value)
    assert f"{other}: only a TIFF tells its µm per pixel" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_file_that_contradicts_the_scale_that_was_given_is_told(tmp_path):
    path, notes = tmp_path / "a.png", []
    Image.fromarray(tissue(size=(40, 40))).save(path, dpi=(25_400 / 0.25,) * 2)
    run([path], tmp_path / "out", mpp=0.5, note=notes.append)
    assert notes == [f"{path} says of itself 0.25 µm per pixel; it is taken for 0.5, as --mpp says"]
    run([path], tmp_path / "out", mpp=0.3, note=notes.append)
    assert len(notes) == 1


def test_several_tiffs_of_one_scale_are_one_note(tmp_path):
    size = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    paths = [tiff(tmp_path / f"{name}.tif", **size) for name in "abc"]
    notes = []
    run(paths, tmp_path / "out", mpp=None, note=notes.append)
    assert notes == [f"0.5 µm per pixel, as the resolution of {paths[0]} and 2 more says"]


@pytest.mark.parametrize("mpp", [0.0, -0.5, 0.04, 11.0, float("nan"), float("inf")])
def test_a_pixel_size_that_cannot_be(tmp_path, mpp):
    with pytest.raises(StudyError, match=r"--mpp is .*; expected µm per pixel, 0.05 to 10"):
        run([saved(tmp_path / "a.png")], tmp_path / "out", mpp=mpp)
    assert not (tmp_path / "out").exists()


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["sub/a.png", "a.tif", "sub/A.png", "a.png"])
def test_two_images_of_one_name(tmp_path, second):
    (tmp_path / "sub").mkdir()
    first, other = saved(tmp_path / "a.png"), saved(tmp_path / second)
    with pytest.raises(StudyError, match="Rename one, or segment them into different folders") as caught:
        run([first, saved(tmp_path / "b.png"), other], tmp_path / "out")
    assert f"{first} and {other}" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_image_is_never_overwritten(tmp_path):
    image = saved(tmp_path / "a.png")
    run([image], tmp_path)
    before = image.read_bytes()
    with pytest.raises(StudyError, match="would overwrite the image"):
        run([image, tmp_path / "a_overlay.png"], tmp_path)
    assert image.read_bytes() == before


def broken(folder):
    """Return images that cannot be used, and why."""
    text, cut, small = folder / "text.png", folder / "cut.png", folder / "small.png"
    text.write_text("no image", encoding="utf-8")
    cut.write_bytes(saved(cut).read_bytes()[:-900])
    saved(small, tissue()[:20])
    return {text: "not a readable image", cut: "decoded", small: "at least 32", folder / "gone.tif": "missing"}


def test_images_that_cannot_be_used_are_named_and_the_others_are_done(tmp_path):
    good = [saved(tmp_path / "a.png"), saved(tmp_path / "z.png", tissue(1))]
    bad, out = broken(tmp_path), tmp_path / "out"
    with pytest.raises(PatchError, match="4 of 6 images could not be segmented; the other 2 are in") as caught:
        run([good[0], *bad, good[1]], out)
    lines = str(caught.value).splitlines()[1:]
    for (path, reason), line in zip(bad.items(), lines, strict=True):
        assert str(path) in line
        assert reason in line
    assert set(pd.read_csv(out / "nuclei.csv")["image"]) == {"a.png", "z.png"}
    assert {path.name.split("_")[0].split(".")[0] for path in out.iterdir()} == {"a", "z", "nuclei"}


def test_broken_tiffs_do_not_pass_for_tiffs_without_a_scale(tmp_path):
    size = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    good, bad, disguised = tiff(tmp_path / "a.tif", **size), tmp_path / "b.tif", tmp_path / "c.tif"
    bad.write_bytes(b"II*\0 and nothing else")
    saved(tmp_path / "c.png").rename(disguised)
    with pytest.raises(PatchError, match="2 of 3 images") as caught:
        run([bad, good, disguised], tmp_path / "out", mpp=None)
    assert f"{bad}: not a readable image" in str(caught.value)
    assert f"{disguised}: µm per pixel cannot be read from the file, which is no sound TIFF" in str(caught.value)
    assert set(pd.read_csv(tmp_path / "out" / "nuclei.csv")["image"]) == {"a.tif"}


def test_if_none_can_be_used_an_older_table_stays(tmp_path):
    table = run([saved(tmp_path / "a.png")], tmp_path / "out")
    before = table.read_bytes()
    with pytest.raises(PatchError, match="1 of 1 images could not be segmented:\n"):
        run([tmp_path / "gone.png"], tmp_path / "out")
    assert table.read_bytes() == before


# --- several calls into one folder --------------------------------------------------------------------


def test_one_call_for_each_image_gives_the_table_of_one_call_for_all(tmp_path, done):
    images, _, table = done
    for image in images:
        last = run([image], tmp_path)
    assert last.read_bytes() == table.read_bytes()


def test_an_image_that_is_segmented_again_has_its_new_rows_alone(tmp_path):
    first, second = saved(tmp_path / "a.png"), saved(tmp_path / "b.png", tissue(1))
    table = run([first, second], tmp_path / "out")
    rows = pd.read_csv(table)
    run([first], tmp_path / "out", mpp=0.4)
    again = pd.read_csv(table)
    kept, new = again[again["image"] == "b.png"], again[again["image"] == "a.png"]
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), rows[rows["image"] == "b.png"].reset_index(drop=True))
    assert len(new)
    assert (new["mpp"] == 0.4).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"image,mpp\na,1\n", r"nuclei\.csv is there and has other columns \(image, mpp, …\).*move it away"),
        (b"", r"nuclei\.csv cannot be read as a table"),
        (b"\xff\xfe\x00", r"nuclei\.csv cannot be read as a table"),
    ],
)
def test_a_table_that_is_none_of_ours_is_not_written_over(tmp_path, content, message):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "nuclei.csv").write_bytes(content)
    with pytest.raises(StorageError, match=message):
        run([saved(tmp_path / "a.png")], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["nuclei.csv"]
    assert (tmp_path / "out" / "nuclei.csv").read_bytes() == content


def test_of_a_slide_it_is_said_what_to_do(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.tif")
    for vendor, refused in (("aperio", True), ("generic-tiff", False), (None, False)):
        monkeypatch.setattr(module.OpenSlide, "detect_format", lambda _, vendor=vendor: vendor)
        if refused:
            with pytest.raises(StudyError, match=r"a\.tif is a whole-slide image \(aperio\).*init FOLDER"):
                run([path], tmp_path / "out")
        else:
            run([path], tmp_path / "out")


def test_a_disk_that_fails_stops_and_keeps_what_is_done(tmp_path):
    images, out = [saved(tmp_path / "a.png"), saved(tmp_path / "b.png")], tmp_path / "out"
    (out / "b_overlay.png").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"b_overlay\.png cannot be written"):
        run(images, out)
    assert set(pd.read_csv(out / "nuclei.csv")["image"]) == {"a.png"}
    assert not list(out.glob(".*"))


# --- progress ---------------------------------------------------------------------------------------


def test_a_line_for_each_image_in_a_terminal_only(tmp_path, capsys):
    images = [saved(tmp_path / "a.png"), saved(tmp_path / "b.png", tissue(1))]
    run(images, tmp_path / "out")
    assert capsys.readouterr() == ("", "")
    run(images, tmp_path / "out", progress=Progress(show=True))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "2/2" in shown.err
    table = pd.read_csv(tmp_path / "out" / "nuclei.csv")
    for name, rows in table.groupby("image"):
        codes = tifffile.imread(tmp_path / "out" / f"{name[0]}_compartments.tif")
        assert f"{name}: {len(rows)} nuclei; nucleus {np.mean(codes == 1):.0%}, cytoplasm" in shown.err
