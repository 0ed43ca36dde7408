"""The command `segment`: its streams, its exit status, and that its help says what the package does."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from click.testing import CliRunner
from PIL import Image

from saliency_stats.cli.app import main
from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.compartments import CompartmentParameters
from saliency_stats.vocabulary import CELLS


def call(*arguments):
    return CliRunner().invoke(main, ["segment", *map(str, arguments)])


def tissue(path, **options):
    Image.fromarray(Phantom(size_px=64).render(np.random.default_rng(0), "benign").image).save(path, **options)
    return path


def test_two_images(tmp_path):
    images = [tissue(tmp_path / "a.png"), tissue(tmp_path / "b.jpg")]
    result = call(*images, "--mpp", 0.5, "--out", tmp_path / "out", "--nuclei", "classical")
    # the path is for a program; without a terminal there is nothing to say to a person
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{tmp_path / 'out' / 'nuclei.csv'}\n", "")
    assert set(pd.read_csv(tmp_path / "out" / "nuclei.csv")["image"]) == {"a.png", "b.jpg"}


class Block(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        labels = torch.zeros_like(x[:, :1])
        labels[:, :, 8:16, 8:24] = 3.0
        return labels


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_nuclei_by_a_torchscript_file(tmp_path):
    torch.jit.script(Block()).save(tmp_path / "m.pt")
    image, out = tissue(tmp_path / "a.png"), tmp_path / "out"
    result = call(
        image, "--mpp", 0.5, "--out", out, "--nuclei", f"torchscript:{tmp_path / 'm.pt'}@0.5", "--device", "cpu"
    )
    assert result.exit_code == 0, result.output
    expected = np.zeros((64, 64), dtype=np.int32)
    expected[8:16, 8:24] = 1
    np.testing.assert_array_equal(tifffile.imread(out / "a_nuclei.tif"), expected)
    unstated = call(image, "--mpp", 0.5, "--out", out, "--nuclei", f"torchscript:{tmp_path / 'm.pt'}")
    assert unstated.exit_code == 1
    assert "--nuclei: " in unstated.stderr
    assert "m.pt does not say at how many µm per pixel it works" in unstated.stderr


def test_a_pixel_size_that_nobody_gave_is_said(tmp_path):
    image = tissue(tmp_path / "a.tif", resolution=20_000, resolution_unit=3)
    result = call(image, "--out", tmp_path / "out", "--nuclei", "classical")
    assert result.exit_code == 0, result.output
    assert result.stderr == f"0.5 µm per pixel, as the resolution of {image} says\n"


def test_options_reach_the_segmentation(tmp_path, monkeypatch):
    seen = {}

    def segment_images(images, out, **options):
        seen.update(options, images=images, out=out)
        return out / "nuclei.csv"

    monkeypatch.setattr("saliency_stats.commands.segment.segment_images", segment_images)
    options = [
        "--nuclei",
        "classical",
        "--cells",
        "distance",
        "--cytoplasm-um",
        3,
        "--segmentation-mpp",
        0.25,
        "--mpp",
        0.4,
        "--device",
        "cpu",
    ]
    assert call("x.png", "y.png", "--out", tmp_path, *options).exit_code == 0
    assert seen["parameters"] == CompartmentParameters(
        nuclei="classical", cells="distance", cytoplasm_um=3.0, segmentation_mpp=0.25
    )
    assert seen["device"] == "cpu"
    assert (seen["mpp"], seen["out"], [path.name for path in seen["images"]]) == (0.4, tmp_path, ["x.png", "y.png"])
    assert call("x.png", "--out", tmp_path).exit_code == 0
    assert seen["parameters"] == CompartmentParameters()  # what studies use, whatever that is
    assert (seen["mpp"], seen["device"]) == (None, "auto")


def test_the_defaults_in_the_help_are_those_of_the_package():
    words = " ".join(call("--help").stdout.split())
    defaults = inspect.signature(CompartmentParameters).parameters
    for option, key in (("--cytoplasm-um", "cytoplasm_um"), ("--segmentation-mpp", "segmentation_mpp")):
        (shown,) = re.findall(rf"{option} FLOAT [^\[]*\[default: ([\d.]+)\]", words)
        assert float(shown) == defaults[key].default
    assert (
        f"--cells [{'|'.join(CELLS)}] What tells cytoplasm from stroma. [default: {defaults['cells'].default}]" in words
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "Missing argument 'IMAGE...'"),
        (["a.png"], 2, "Missing option '--out'"),
        (["a.png", "--out", "out", "--mpp", "small"], 2, "'small' is not a valid float"),
        (["a.png", "--out", "out"], 2, "a.png: only a TIFF tells its µm per pixel"),
        (["a.png", "--out", "out", "--mpp", "0"], 2, "--mpp is 0; expected µm per pixel"),
        (
            ["a.png", "--out", "out", "--mpp", "0.5", "--nuclei", "magic"],
            2,
            "--nuclei is 'magic', and there is no such model",
        ),
        (["a.png", "--out", "out", "--mpp", "0.5", "--nuclei", "torchscript:m"], 2, "or torchscript:PATH[@UM_PER_PX]"),
        (
            ["a.png", "--out", "out", "--mpp", "0.5", "--nuclei", "torchscript:a.png"],
            1,
            "a.png is no TorchScript archive",
        ),
        (["a.png", "--out", "out", "--mpp", "0.5", "--nuclei", "."], 1, "model"),
        (["a.png", "--out", "out", "--mpp", "0.5", "--segmentation-mpp", "9"], 2, "segmentation_mpp is 9.0"),
        (["a.png", "./a.png", "--out", "out", "--mpp", "0.5"], 2, "would both be written as out/a"),
        (["gone.png", "--out", "out", "--mpp", "0.5"], 1, "gone.png: the image file is missing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_refused(tmp_path, monkeypatch, arguments, status, message):
    monkeypatch.chdir(tmp_path)
    tissue(tmp_path / "a.png")
    result = call(*arguments)
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    assert message in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()


def test_one_broken_image_costs_the_others_nothing(tmp_path):
    (tmp_path / "b.png").write_text("no image", encoding="utf-8")
    images = [tissue(tmp_path / "a.png"), tmp_path / "b.png", tissue(tmp_path / "c.png")]
    result = call(*images, "--mpp", 0.5, "--out", tmp_path / "out", "--nuclei", "classical")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "1 of 3 images could not be segmented; the other 2 are in" in result.stderr
    assert f"{tmp_path / 'b.png'}: not a readable image" in result.stderr
    assert set(pd.read_csv(tmp_path / "out" / "nuclei.csv")["image"]) == {"a.png", "c.png"}
