"""Maps of other programs: what a file may hold, how another grid is brought to the patch's, and what is refused."""

import pickle
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from saliency_stats.cohort.given import GivenMaps, on_grid, read_map
from saliency_stats.errors import CohortError

MAP = np.random.default_rng(0).random((6, 8)).astype(np.float32)


def written(folder, values, ending=".npy", **options):
    path = folder / f"map{ending}"
    if ending.lower().startswith(".tif"):
        tifffile.imwrite(path, values, **options)
    elif ending == ".npz":
        np.savez(path, **{"saliency": values} if isinstance(values, np.ndarray) else values)
    else:
        with path.open("wb") as file:
            np.save(file, values, allow_pickle=True)
    return path


def refused(path, *, signed=False):
    with pytest.raises(CohortError) as caught:
        read_map(path, signed=signed)
    return str(caught.value)


@pytest.mark.parametrize("ending", [".npy", ".NPY", ".npz", ".tif", ".TIF", ".tiff"])
def test_a_map_is_read_from_any_of_the_formats(tmp_path, ending):
    found = read_map(written(tmp_path, MAP, ending), signed=False)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, MAP)


@pytest.mark.parametrize("kind", ["float16", "float64", "uint8", "int64", ">f4"])
def test_any_real_numbers_will_do(tmp_path, kind):
    found = read_map(written(tmp_path, np.arange(6).reshape(2, 3).astype(kind)), signed=False)
    np.testing.assert_array_equal(found, np.arange(6, dtype=np.float32).reshape(2, 3))


def test_of_signed_maps_the_absolute_values_are_taken(tmp_path):
    path = written(tmp_path, MAP - 0.5)
    np.testing.assert_array_equal(read_map(path, signed=True), np.abs(MAP - 0.5))
    found = refused(path)
    assert f"holds {np.count_nonzero(MAP < 0.5)} negative values of 48; expected none" in found
    assert "saliency.signed: true, and their absolute values are taken" in found


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.where(MAP[0, 0] == MAP, np.nan, MAP), "holds 1 NaN or infinite values of 48; expected finite numbers"),
        (np.where(MAP[1, 1] == MAP, np.inf, MAP), "holds 1 NaN or infinite values of 48; "),
        (np.full((2, 2), 1e300), "holds 4 NaN or infinite values of 4; "),
        (np.zeros((4, 4)), "is 0 everywhere; expected saliency somewhere"),
        (np.full((4, 4), 1e-60), "is 0 everywhere; "),
        (MAP > 0.5, "holds values of the type bool; expected real numbers"),
        (MAP + 1j, "holds values of the type complex64; expected real numbers"),
        (np.array([["a", "b"]]), "holds values of the type <U1; "),
        (np.zeros((2, 2), [("x", "f4")]), "holds values of the type [('x', '<f4')]; "),
        (np.array([[None, 1]]), "cannot be read (it holds Python objects, or is no such file); "),
        (MAP[0], "has the shape (8,); expected (H, W), one number per pixel"),
        (MAP[None], "has the shape (1, 6, 8); expected (H, W), "),
        (np.zeros((0, 4)), "has the shape (0, 4); "),
        (np.float32(1), "has the shape (); "),
    ],
)
def test_what_is_no_map_is_refused_with_what_was_found(tmp_path, values, said):
    assert said in refused(written(tmp_path, values), signed=True)


def test_all_that_is_wrong_with_a_file_is_said(tmp_path):
    found = refused(written(tmp_path, np.array([[np.nan, -1.0], [-2.0, 0.0]])))
    assert found.startswith("holds 1 NaN or infinite values of 4; expected finite numbers, and holds 2 negative values")
    assert "everywhere" not in found


@pytest.mark.parametrize(
    ("arrays", "said"),
    [({}, "holds 0 arrays; expected one"), ({"a": MAP, "b": MAP}, "holds 2 arrays (a, b); expected one, the map")],
)
def test_an_npz_holds_one_array(tmp_path, arrays, said):
    assert said in refused(written(tmp_path, arrays, ".npz"))


def test_a_tiff_holds_the_numbers_of_one_map(tmp_path):
    with tifffile.TiffWriter(tmp_path / "two.tif") as file:
        file.write(MAP)
        file.write(MAP[:4])
    assert "holds 2 images; expected one" in refused(tmp_path / "two.tif")
    assert "has the shape (2, 6, 8)" in refused(written(tmp_path, np.stack([MAP, MAP]), ".tif"))
    pixels = (MAP * 255).astype(np.uint8)
    assert "stores 0 as white; " in refused(written(tmp_path, pixels, ".tif", photometric="miniswhite"))
    colours = np.zeros((3, 256), np.uint16)
    palette = written(tmp_path, pixels, ".tif", photometric="palette", colormap=colours)
    assert "stores numbers of colours in a palette; " in refused(palette)


def test_files_that_cannot_be_read_are_said(tmp_path):
    assert refused(tmp_path / "no.npy").startswith("is missing; ")
    assert refused(tmp_path / "no.tif").startswith("is missing; ")
    assert refused(tmp_path / "map.png").startswith("ends in '.png'; expected a file .npy, .npz (with one array)")
    for ending in (".npy", ".npz", ".tif"):
        (tmp_path / f"torn{ending}").write_bytes(written(tmp_path, MAP, ending).read_bytes()[:90])
        assert refused(tmp_path / f"torn{ending}").startswith("cannot be read (")
        (tmp_path / f"empty{ending}").write_bytes(b"")
        assert refused(tmp_path / f"empty{ending}").startswith("cannot be read (")
    (tmp_path / "program.npy").write_bytes(pickle.dumps([1]))
    found = refused(tmp_path / "program.npy")
    assert "Python objects" in found
    assert "allow_pickle" not in found


# --- another grid -----------------------------------------------------------------------------------


def share(length, cells):
    """How much of every cell lies in every pixel, by the definition; a cell's shares sum to 1."""
    pixels = np.linspace(0, 1, length + 1)
    edges = np.linspace(0, 1, cells + 1)
    over = np.minimum(pixels[1:, None], edges[None, 1:]) - np.maximum(pixels[:-1, None], edges[None, :-1])
    return np.clip(over, 0, None) * cells


@pytest.mark.parametrize(
    ("grid", "shape"), [((7, 7), (96, 96)), ((6, 8), (45, 60)), ((1, 1), (32, 32)), ((130, 130), (96, 96))]
)
def test_a_map_on_another_grid_is_attributed_by_area(grid, shape):
    values = np.random.default_rng(1).random(grid).astype(np.float32)
    found = on_grid(values, shape)
    assert (found.shape, found.dtype) == (shape, np.float32)
    spread = share(shape[0], grid[0]) @ values @ share(shape[1], grid[1]).T
    np.testing.assert_allclose(found / found.sum(), spread / spread.sum(), rtol=1e-6)
    # a cell's own pixels hold its share of the whole
    if shape[0] % grid[0] == shape[1] % grid[1] == 0:
        blocks = found.reshape(grid[0], shape[0] // grid[0], grid[1], -1).sum(axis=(1, 3))
        np.testing.assert_allclose(blocks / found.sum(), values / values.sum(), rtol=1e-5)


def test_a_map_of_the_patchs_own_grid_stays_as_it_is():
    assert on_grid(MAP, (6, 8)) is MAP


@pytest.mark.parametrize("grid", [(64, 65), (65, 64), (14, 14), (1, 1), (128, 128)])
def test_proportions_agree_to_within_a_pixel(grid):
    assert on_grid(np.ones(grid, np.float32), (64, 64)).shape == (64, 64)


@pytest.mark.parametrize("grid", [(64, 66), (66, 64), (8, 7), (2, 1), (64, 32), (128, 125)])
def test_other_proportions_are_refused(grid):
    with pytest.raises(CohortError) as caught:
        on_grid(np.ones(grid, np.float32), (64, 64))
    assert f"has the shape {grid}, its patch (64, 64); expected (H, W), " in str(caught.value)
    assert "Is it the map of another patch, or turned?" in str(caught.value)


# --- the maps of a table ----------------------------------------------------------------------------


@pytest.fixture
def given(tmp_path):
    names = ("a.npy", "b.npy", "sub/c.npy")
    (tmp_path / "sub").mkdir()
    for name, sign in zip(names, (1, -1, 1), strict=True):
        np.save(tmp_path / name, sign * MAP)
    return GivenMaps(Path("t.csv"), (2, 3, 5), names, tmp_path, np.array([0.1, 0.9, 1.0]))


def test_maps_are_read_by_the_rows_of_the_cohort(given, tmp_path):
    np.testing.assert_array_equal(given.read(2, (6, 8)), MAP)
    assert given.read(0, (12, 16)).shape == (12, 16)
    np.testing.assert_array_equal(replace(given, signed=True).read(1, (6, 8)), MAP)
    assert given.files == {name: tmp_path / name for name in ("a.npy", "b.npy", "sub/c.npy")}
    with pytest.raises(FrozenInstanceError):
        given.signed = True


def test_everything_wrong_is_said_with_line_and_file(given):
    used = pd.DataFrame({"height_px": [6, 6, 9], "width_px": [8, 8, 8]}, index=[0, 1, 2])
    negative, shape = given.faults(used)
    assert negative.startswith("t.csv, line 3: map 'b.npy' holds 48 negative values of 48; ")
    assert shape.startswith("t.csv, line 5: map 'sub/c.npy' has the shape (6, 8), its patch (9, 8); ")
    # of patches that are not used no map is needed
    assert given.faults(used.iloc[:1]) == []
    assert len(replace(given, signed=True).faults(used)) == 1
