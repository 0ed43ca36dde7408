"""Slides of several files: all that OpenSlide reads of them is known."""

import pytest

from saliency_stats.cohort.slides.companions import companions


@pytest.fixture
def folder(tmp_path):
    for name in ("s/Index.dat", "s/Data0000.dat", "s/deep/x.dat", "t/Data0000.dat", "a.dcm", "b.DCM", "c.dcm", "n.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    return tmp_path


def names(folder, name):
    return [path.relative_to(folder).as_posix() for path in companions(folder / name)]


@pytest.mark.parametrize("name", ["s.mrxs", "s.MRXS"])
def test_mirax_keeps_its_pixels_in_the_folder_of_its_name(folder, name):
    assert names(folder, name) == ["s/Data0000.dat", "s/Index.dat"]
    assert names(folder, "u.mrxs") == []


def test_dicom_is_all_instances_of_a_folder(folder):
    assert names(folder, "a.dcm") == ["b.DCM", "c.dcm"]


@pytest.mark.parametrize("name", ["a.svs", "a.tif", "s.ndpi", "s", "a.scn"])
def test_other_formats_are_one_file(folder, name):
    assert names(folder, name) == []


@pytest.mark.parametrize("ending", ["vms", "VMU"])
def test_an_index_names_its_images(folder, ending):
    images = ("s(0,1).jpg", "s.jpg", "s.opt", "s_map2.jpg")
    for name in images:
        (folder / name).write_text(name, encoding="utf-8")
    lines = [f"ImageFile{k}={name}" for k, name in enumerate(images)]
    more = [
        "NoLayers=1",
        "MacroImage=gone.jpg",
        "Empty=",
        "Up=../a.dcm",
        f"Self=s.{ending}",
        f"Again={images[1]}",
        "100%=x",
    ]
    index = folder / f"s.{ending}"
    index.write_bytes("\r\n".join(["[Virtual Microscope Specimen]", *lines, *more, "Place=Zürich"]).encode("latin-1"))
    assert names(folder, index.name) == sorted(images)


@pytest.mark.parametrize("content", [b"", b"\x00\xff no index", b"no = section", None])
def test_what_is_no_index_names_nothing(folder, content):
    """The slide itself is refused where it is opened."""
    if content is not None:
        (folder / "s.vms").write_bytes(content)
    assert names(folder, "s.vms") == []
