"""Weights from files, never by running code in them."""

import pickle

import pytest
import torch
import torchvision
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
    found = read_state(path)
    assert same(found.tensors, STATE)
    assert (found.notes, found.labels) == ((), None)


@pytest.mark.parametrize(
    ("wrapped", "where"),
    [
        ({"state_dict": STATE, "epoch": 3, "model": "densenet"}, ["state_dict"]),
        ({"model_state_dict": STATE}, ["model_state_dict"]),
        ({"model": {"net": STATE}}, ["model", "net"]),
        ({"network": STATE}, ["network"]),
    ],
)
def test_a_state_dict_inside_a_checkpoint_is_found_and_said(tmp_path, wrapped, where):
    torch.save(wrapped, tmp_path / "checkpoint.pt")
    found = read_state(tmp_path / "checkpoint.pt")
    assert same(found.tensors, STATE)
    assert found.notes == tuple(f"the state_dict is that under {name!r} in the file" for name in where)


def test_of_several_networks_none_is_guessed(tmp_path):
    torch.save({"model": STATE, "net": STATE}, tmp_path / "w.pt")
    with pytest.raises(ClassifierError, match=r"holds several networks \(model, net\); save the one"):
        read_state(tmp_path / "w.pt")


def test_what_stands_before_every_name_is_left_out_and_said(tmp_path):
    torch.save({f"module.model.{key}": value for key, value in STATE.items()}, tmp_path / "w.pt")
    found = read_state(tmp_path / "w.pt")
    assert same(found.tensors, STATE)
    assert found.notes == ("'module.model.' before every name is left out",)
    some = {"module.0.weight": STATE["0.weight"], "0.bias": STATE["0.bias"]}
    torch.save(some, tmp_path / "w.pt")
    assert same(read_state(tmp_path / "w.pt").tensors, some)


class _Bomb:
    """Writes a file where it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, zipped):
    path, marker = tmp_path / "bomb.pt", tmp_path / "executed"
    bomb = {"weight": _Bomb(marker)}
    torch.save(bomb, path, pickle_module=pickle, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ClassifierError, match="never run"):
        read_state(path)
    path.write_bytes(pickle.dumps(bomb))
    with pytest.raises(ClassifierError, match=r"bomb\.pt"):
        read_state(path)
    assert not marker.exists()
    with pickle.loads(pickle.dumps(bomb))["weight"]:  # noqa: S301  (the bomb is one)
        assert marker.exists()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ([torch.zeros(1)], "it holds a list."),
        ({}, "it holds nothing."),
        ({"model": {}}, "it holds nothing."),
        ({"weight": 1.0}, "1 other entries ('weight': float)"),
        ({"weight": torch.zeros(1), "epoch": 3}, "1 other entries ('epoch': int)"),
        ({0: torch.zeros(1)}, "1 other entries (0: Tensor)"),
        ({"a": {}, "b": None, "c": "x", "d": 1}, "4 other entries ('a': dict, 'b': NoneType, 'c': str, …)"),
    ],
)
def test_more_or_else_than_tensors_by_name_is_refused(tmp_path, content, found):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ClassifierError, match=r"other\.pt does not hold a state_dict") as caught:
        read_state(tmp_path / "other.pt")
    assert found in str(caught.value)


def test_the_labels_of_a_file_are_read(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors", metadata={"labels": "benign,malignant"})
    assert read_state(tmp_path / "w.safetensors").labels == "benign,malignant"


def test_nothing_that_a_file_announces_is_believed(tmp_path):
    """A tensor of 10**10 numbers that share one stays what it is; it does not fit, before anything is made of it."""
    torch.save({"0.weight": torch.zeros(1).expand(10**10)}, tmp_path / "w.pt")
    found = read_state(tmp_path / "w.pt").tensors
    with pytest.raises(ClassifierError, match=r"1 of another shape \(0\.weight\)"):
        load_state(network(), network().state_dict() | found, source="w.pt", architecture="a line")
    # the same storage, announced as larger than the file
    torch.save({"a": torch.arange(4.0)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    raw = (tmp_path / "old.pt").read_bytes()
    at = raw.index(b"K\x04", raw.index(b"cpu"))
    (tmp_path / "old.pt").write_bytes(raw[:at] + pickle.dumps(10**13, 2)[2:-1] + raw[at + 2 :])
    with pytest.raises(ClassifierError, match=r"old\.pt cannot be read"):
        read_state(tmp_path / "old.pt")


def test_no_message_advises_to_load_without_protection(tmp_path):
    torch.save(nn.Linear(1, 1), tmp_path / "module.pt")
    torch.save({"a": torch.zeros(1)}, tmp_path / "cut.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:-9])
    for name in ("module.pt", "cut.pt"):
        with pytest.raises(ClassifierError) as caught:
            read_state(tmp_path / name)
        assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_a_broken_file_is_named(tmp_path, ending):
    path = tmp_path / f"w.{ending}"
    (save_file if ending == "safetensors" else torch.save)(STATE, path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ClassifierError, match=r"cannot be read.*Is the file complete"):
        read_state(path)


def load(changes):
    state = {key: value for key, value in (network().state_dict() | changes).items() if value is not None}
    loaded = network()
    load_state(loaded, state, source="w.pt", architecture="a line")
    return loaded


def test_a_network_that_counts_its_versions_is_loaded_again_as_it_was(tmp_path):
    network = torchvision.models.mnasnet0_5()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    again = torchvision.models.mnasnet0_5()
    load_state(again, read_state(tmp_path / "w.safetensors").tensors, source="w", architecture="mnasnet0_5")
    assert same(again.state_dict(), network.state_dict())


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


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"0.bias": torch.tensor([torch.nan])}, "1 of 7 tensors (0.bias has 1 of 1 values that are not finite)"),
        ({"0.weight": torch.tensor([[torch.inf, 0]])}, "0.weight has 1 of 2 values that are not finite"),
        ({"0.weight": torch.tensor([[torch.nan, -torch.inf]])}, "0.weight has 2 of 2 values that are not finite"),
        ({"0.weight": torch.tensor([[1e300, 0]], dtype=torch.float64)}, "0.weight has 1 of 2 values"),
        ({"0.weight": torch.zeros(1, 2, dtype=torch.complex64)}, "0.weight is of the type torch.complex64"),
        ({"0.weight": torch.zeros(1, 2, dtype=torch.int64)}, "0.weight is of the type torch.int64"),
        ({"0.weight": torch.zeros(1, 2, dtype=torch.bool)}, "0.weight is of the type torch.bool"),
        ({"0.weight": torch.zeros(1, 2).to_sparse()}, "0.weight is sparse"),
        ({"0.weight": torch.zeros(1, 2, device="meta")}, "0.weight is without values"),
        ({"1.running_var": torch.tensor([-1.0])}, "1.running_var has a negative variance"),
        ({"1.num_batches_tracked": torch.tensor(0.5)}, "1.num_batches_tracked is of the type torch.float32"),
        ({key: torch.tensor([torch.nan]) for key in ("0.bias", "1.bias", "1.weight", "1.running_mean")}, "4 of 7"),
    ],
)
def test_what_no_network_computes_with_is_refused(changes, reason):
    with pytest.raises(ClassifierError, match=r"w\.pt cannot be used: .* Expected finite floating-point") as caught:
        load(changes)
    assert reason in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*quantize")
@pytest.mark.skipif(not hasattr(torch, "quantize_per_tensor"), reason="this torch knows no quantised tensors")
def test_quantised_tensors_are_refused():
    with pytest.raises(ClassifierError, match=r"0\.weight is quantised"):
        load({"0.weight": torch.quantize_per_tensor(torch.zeros(1, 2), 0.1, 0, torch.qint8)})


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_and_shared_memory_are_used(kind):
    shared = torch.ones(3, dtype=kind)
    state = load({"0.weight": shared[:2][None], "0.bias": shared[1:2], "1.running_var": torch.zeros(1)}).state_dict()
    assert state["0.weight"].tolist() == [[1.0, 1.0]]
    assert state["0.bias"].tolist() == [1.0]
    assert state["0.bias"].dtype == torch.float32
