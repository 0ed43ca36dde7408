"""Weights that Keras wrote: every layer is used, and nothing outside the file is followed."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from saliency_stats.compartments.stardist.files import read_folder
from saliency_stats.errors import CompartmentError

GOLDEN = Path(__file__).parents[1] / "golden" / "stardist"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(GOLDEN / "grid2_colour", tmp_path / "model"))


@pytest.fixture
def weights(folder):
    with h5py.File(folder / "weights_best.h5", "r+") as file:
        yield file


def where(file):
    return file.get("model_weights", file)


def datasets(file, layer="prob"):
    """Group and name of the kernel of a layer."""
    group = where(file)[layer]
    path = group.attrs["weight_names"][0]
    path = path.decode() if isinstance(path, bytes) else path
    parent, _, name = path.rpartition("/")
    return (group[parent] if parent else group), name


def refused(folder, file):
    file.close()
    with pytest.raises(CompartmentError) as caught:
        read_folder(folder)
    message = str(caught.value)
    assert "weights_best.h5" in message
    assert len(message) < 1_000
    return message


def replaced(file, **made):
    """Put another dataset in the place of a kernel."""
    group, name = datasets(file)
    shape = group[name].shape
    del group[name]
    group.create_dataset(name, **({"shape": shape, "dtype": "f4"} | made))


def test_links_to_other_files_are_not_followed(folder, weights, tmp_path):
    group, name = datasets(weights)
    shutil.copy(folder / "weights_best.h5", tmp_path / "other.h5")
    path = group[name].name
    del group[name]
    group[name] = h5py.ExternalLink(str(tmp_path / "other.h5"), path)
    assert "is a link to another place; the weights of a model lie in its own file" in refused(folder, weights)


@pytest.mark.parametrize("to", ["/loop", "/nowhere", "/model_weights"])
def test_soft_links_are_not_followed(folder, weights, to):
    weights["loop"] = h5py.SoftLink("/loop")
    group = where(weights)
    del group["prob"]
    group["prob"] = h5py.SoftLink(to)
    assert "prob is a link to another place" in refused(folder, weights)


def test_numbers_in_other_files_are_not_read(folder, weights, tmp_path):
    (tmp_path / "raw").write_bytes(bytes(10_000))
    replaced(weights, external=[(str(tmp_path / "raw"), 0, 10_000)])
    assert "layer prob holds something else than floating-point numbers of its own" in refused(folder, weights)


def test_numbers_that_another_file_lends_are_not_read(folder, weights, tmp_path):
    group, name = datasets(weights)
    layout = h5py.VirtualLayout(group[name].shape, "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", shape=group[name].shape)
    del group[name]
    group.create_virtual_dataset(name, layout)
    assert "something else than floating-point numbers of its own" in refused(folder, weights)


@pytest.mark.parametrize("kind", ["i4", "S3", h5py.string_dtype(), "c8", "?"])
def test_other_types_are_refused(folder, weights, kind):
    replaced(weights, dtype=kind)
    assert "layer prob holds something else than floating-point numbers" in refused(folder, weights)


def test_an_announced_size_is_compared_before_it_is_read(folder, weights):
    replaced(weights, shape=(1, 1, 10**6, 10**9), chunks=(1, 1, 1, 1))
    assert "layer prob has weights of the shape (1000000000, 1000000, 1, 1), expected (1, 16, 1, 1)" in refused(
        folder, weights
    )


def test_a_block_larger_than_its_numbers_is_not_read(folder, weights):
    replaced(weights, chunks=(1, 1, 1, 10_000_001), maxshape=(None,) * 4)
    assert "is stored in blocks of (1, 1, 1, 10000001) numbers" in refused(folder, weights)


def test_a_block_of_the_allowed_size_is_read(folder, weights):
    replaced(weights, chunks=(1, 1, 1, 10_000_000), maxshape=(None,) * 4)
    weights.flush()
    assert read_folder(folder).network.prob.weight.eq(0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_weights_are_finite(folder, weights, value):
    replaced(weights, dtype="f8", data=np.full((1, 1, 16, 1), value))
    assert "layer prob has weights that are not finite" in refused(folder, weights)


def test_half_and_double_precision_are_read(folder, weights):
    for kind in ("f2", "f8"):
        replaced(weights, dtype=kind, data=np.full((1, 1, 16, 1), 0.5))
        weights.flush()
        assert read_folder(folder).network.prob.weight.eq(0.5).all()


def test_a_layer_too_many_is_refused(folder, weights):
    group = where(weights)
    group.copy("prob", "spare")
    group.attrs["layer_names"] = [*group.attrs["layer_names"], "spare"]
    assert "has 1 layers that config.json does not ask for (spare)" in refused(folder, weights)


def test_the_head_of_classes_is_left_aside(folder, weights):
    group = where(weights)
    group.copy("prob", "prob_class")
    group.attrs["layer_names"] = [*group.attrs["layer_names"], "prob_class"]
    weights.flush()
    assert read_folder(folder).network.prob is not None


@pytest.mark.parametrize("names", [3, [b"absent"], [b"/"], [b""]])
def test_a_table_of_contents_that_is_none(folder, weights, names):
    where(weights).attrs["layer_names"] = names
    assert "cannot be read as Keras weights" in refused(folder, weights)


def test_a_layer_with_one_tensor(folder, weights):
    layer = where(weights)["prob"]
    layer.attrs["weight_names"] = layer.attrs["weight_names"][:1]
    assert "cannot be read as Keras weights" in refused(folder, weights)


def test_a_group_in_the_place_of_numbers(folder, weights):
    group, name = datasets(weights)
    del group[name]
    group.create_group(name)
    assert "something else than floating-point numbers" in refused(folder, weights)


def test_a_cut_file(folder):
    path = folder / "weights_best.h5"
    path.write_bytes(path.read_bytes()[:3_000])
    with pytest.raises(CompartmentError, match="cannot be read as Keras weights"):
        read_folder(folder)


def test_variances_are_not_negative(tmp_path):
    case = next(
        path
        for path in GOLDEN.iterdir()
        if json.loads((path / "config.json").read_text(encoding="utf-8"))["unet_batch_norm"]
    )
    folder = Path(shutil.copytree(case, tmp_path / "model"))
    with h5py.File(folder / "weights_best.h5", "r+") as file:
        group = where(file)
        layer = next(name for name in group if len(group[name].attrs["weight_names"]) == 4)
        group[layer][group[layer].attrs["weight_names"][3]][...] = -1.0
    with pytest.raises(CompartmentError, match=f"layer {layer} has a negative variance"):
        read_folder(folder)
