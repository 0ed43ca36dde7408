"""Tests for saliency_stats.compartments.tissue.files."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from saliency_stats.compartments.tissue.files import BUILTIN_TISSUE, TissueModel, read_tissue, write_tissue
from saliency_stats.compartments.tissue.network import TissueNetwork
from saliency_stats.errors import CompartmentError


@pytest.fixture
def written(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    path = tmp_path / "tissue.safetensors"
    write_tissue(TissueModel("drawn", TissueNetwork(), 0.4, 1.7), path)
    return path


def test_a_model_is_read_as_it_was_written(written: Path) -> None:
    torch.manual_seed(3)
    expected, model = TissueNetwork().state_dict(), read_tissue(written)
    assert (model.name, model.mpp, model.temperature) == (str(written), 0.4, 1.7)
    assert not model.network.training
    for key, value in model.network.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, expected[key], rtol=1e-3, atol=1e-4)
    assert read_tissue(written) is model


def _changed(path: Path, about: dict[str, object] | None = None, **tensors: torch.Tensor) -> None:
    state = load_file(path) | tensors
    header = {"tissues": ["cell", "stroma", "background"], "mpp": 0.5, "temperature": 1.0} | (about or {})
    save_file({key: value.contiguous() for key, value in state.items()}, path, {"tissue": json.dumps(header)})


@pytest.mark.parametrize(
    ("about", "tensors", "words"),
    [
        ({"tissues": ["stroma", "cell", "background"]}, {}, "it tells"),
        ({"mpp": None}, {}, "NoneType"),
        ({}, {"last.bias": torch.full((12,), torch.nan)}, "not finite"),
        ({}, {"last.bias": torch.zeros(11)}, "last.bias"),
        ({}, {"more": torch.zeros(1)}, "more"),
    ],
)
def test_what_is_no_tissue_network_is_refused(
    written: Path, about: dict[str, object], tensors: dict[str, torch.Tensor], words: str
) -> None:
    _changed(written, about, **tensors)
    with pytest.raises(CompartmentError, match="is not a tissue network of this package") as caught:
        read_tissue(written)
    assert words in str(caught.value)
    assert "set compartments.cells to rule" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no safetensors file"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(CompartmentError, match=r"x\.safetensors is not a tissue network"):
        read_tissue(path)


def test_the_network_of_the_package_is_small_and_works_at_20x() -> None:
    assert BUILTIN_TISSUE.stat().st_size < 8 * 2**20
    model = read_tissue()
    assert model.mpp == 0.5
    assert 0.5 < model.temperature < 3
