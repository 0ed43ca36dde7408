"""Weights from files, never by running code in them."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from saliency_stats.classifier.weights import load_state, read_state
from saliency_stats.errors import ClassifierError

STATE = {"0.weight": torch.tensor([[1.0, 2.0]]), "0.bias": torch.tensor([3.0])}


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))


def same(found, expected) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("ending", ["safetensors", "pt", "pth"])
def test_a_file_of_weights_is_read(tmp_path, ending):
    path = tmp_path / f"weights.{ending}"
    (save_file if ending == "safetensors" else torch.save)(STATE, path)
    assert same(read_state(path), STATE)


@pytest.mark.parametrize("wrapped", [{"state_dict": STATE, "epoch": 3}, {"model": STATE}])
def test_a_state_dict_inside_a_checkpoint_is_found(tmp_path, wrapped):
    torch.save(wrapped, tmp_path / "checkpoint.pt")
    assert same(read_state(tmp_path / "checkpoint.pt"), STATE)


class _Bomb:
    def __reduce__(self):
        return (open, ("/dev/null/executed", "w"))


def test_code_in_a_file_is_refused_and_not_run(tmp_path):
    path = tmp_path / "bomb.pt"
    torch.save({"weight": _Bomb()}, path, pickle_module=pickle)
    with pytest.raises(ClassifierError, match="never run"):
        read_state(path)


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"weight": 1.0}, {"weight": torch.zeros(1), "epoch": 3}])
def test_more_or_else_than_tensors_by_name_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ClassifierError, match=r"other\.pt does not hold a state_dict"):
        read_state(tmp_path / "other.pt")


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_a_broken_file_is_named(tmp_path, ending):
    path = tmp_path / f"w.{ending}"
    (save_file if ending == "safetensors" else torch.save)(STATE, path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ClassifierError, match=r"cannot be read.*Is the file complete"):
        read_state(path)


def test_another_ending_and_a_missing_file_are_refused(tmp_path):
    (tmp_path / "w.onnx").write_bytes(b"x")
    with pytest.raises(ClassifierError, match=r"ending '.onnx'; expected .safetensors, .pt or .pth"):
        read_state(tmp_path / "w.onnx")
    with pytest.raises(ClassifierError, match="there is no file"):
        read_state(tmp_path / "w.pt")
    with pytest.raises(ClassifierError, match="there is no file"):
        read_state(tmp_path)


def load(changes):
    state = {key: value for key, value in (network().state_dict() | changes).items() if value is not None}
    loaded = network()
    load_state(loaded, state, source="w.pt", architecture="a line")
    return loaded


def test_what_fits_is_loaded_with_or_without_the_counters_of_batch_normalisation():
    statistics = {"1.running_mean": torch.tensor([5.0]), "1.num_batches_tracked": None}
    state = load(STATE | statistics).state_dict()
    assert same({key: state[key] for key in STATE}, STATE)
    assert state["1.running_mean"].item() == 5
    assert state["1.num_batches_tracked"].item() == 0


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"0.bias": None}, r"1 tensors missing \(0\.bias\), 0 unknown, 0 of another shape\."),
        ({"2.bias": torch.zeros(1)}, r"0 tensors missing, 1 unknown \(2\.bias\), 0 of another shape\."),
        ({"0.weight": torch.zeros(2, 2)}, r"0 tensors missing, 0 unknown, 1 of another shape \(0\.weight\)\."),
        ({"0.weight": None, "0.bias": None, "1.bias": None}, r"3 tensors missing \(0\.weight, 0\.bias, 1\.bias\), 0"),
        (
            {"0.weight": None, "0.bias": None, "1.bias": None, "1.weight": None},
            r"4 tensors missing \(0\.weight, 0\.bias, 1\.weight, …\), 0",
        ),
    ],
)
def test_what_does_not_fit_is_counted_and_the_first_three_are_named(changes, counts):
    with pytest.raises(ClassifierError, match=rf"w\.pt does not fit a line: {counts}") as caught:
        load(changes)
    assert "classifier.architecture right?" in str(caught.value)
