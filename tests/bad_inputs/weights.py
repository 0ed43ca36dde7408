"""Weights of classifiers and models of nuclei: files that are none, that do not fit, and that ask for the memory."""

import json
import os
import pickle
import shutil
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import h5py
import numpy as np
import torch
from case import Area, Bad, given
from safetensors.torch import save, save_file
from torch import Tensor
from torchvision import models

from saliency_stats.compartments.stardist.files import StarDistModel, write_safetensors
from saliency_stats.compartments.stardist.network import StarDistConfig, StarDistNetwork

State = dict[Any, Any]
_NAME: Final = "brought"


def _state(classes: int = 2) -> State:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return {key: value.clone() for key, value in models.densenet121(num_classes=classes).state_dict().items()}


def _weights(name: str, ending: str, write: Callable[[Path, Random], object], *names: str) -> Callable[[Random], Bad]:
    def make(folder: Path, rng: Random) -> list[str]:
        path = folder / f"{_NAME}{ending}"
        write(path, rng)
        return ["check", "study.yaml", "--set", f"classifier.weights={path.name}", "--set", "classifier.trainable=none"]

    return given(f"weights: {name} ({ending})", make, _NAME, *names)


def _call(text: str) -> Callable[[Path, Random], list[str]]:
    return lambda _folder, _rng: ["check", "study.yaml", "--set", f"classifier.{text}"]


def _changed(change: Callable[[State, Random], object]) -> Callable[[Path, Random], object]:
    """Save a sound state with something changed, in the format of the file's name."""

    def write(path: Path, rng: Random) -> None:
        state = _state()
        made = change(state, rng)
        state = made if isinstance(made, dict | list | tuple | Tensor | int | str) else state
        save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)

    return write


def _each(number: Callable[[Tensor], Tensor]) -> Callable[[State, Random], State]:
    return lambda state, _: {
        key: number(value).contiguous() if value.is_floating_point() else value for key, value in state.items()
    }


def _one(number: Callable[[Tensor], Tensor]) -> Callable[[State, Random], None]:
    def change(state: State, rng: Random) -> None:
        key = rng.choice([key for key, value in state.items() if value.is_floating_point() and value.numel()])
        state[key] = number(state[key]).contiguous()

    return change


def _last(number: Callable[[Tensor], Tensor]) -> Callable[[State, Random], None]:
    return lambda state, _: state.update({"classifier.weight": number(state["classifier.weight"])})


def _quantised(value: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # going out of use, and in files that are there
        return torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)


def _drop(state: State, rng: Random) -> None:
    for key in rng.sample(sorted(key for key in state if "tracked" not in key), rng.choice([1, 5, 20])):
        del state[key]


def _rename(state: State, rng: Random) -> None:
    key = rng.choice(sorted(key for key in state if "tracked" not in key))
    state[key + "_old"] = state.pop(key)


def _cut(path: Path, rng: Random) -> None:
    _changed(lambda _s, _r: None)(path, rng)
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(10, len(content) - 10)])


def _bytes(content: bytes) -> Callable[[Path, Random], object]:
    return lambda path, _: path.write_bytes(content)


class _Evil:
    """What runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch hacked",))


def _header(about: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(about).encode()
    return struct.pack("<Q", len(text)) + text + data


def _compressed(path: Path, _: Random) -> None:
    shutil.make_archive(str(path.with_suffix("")), "zip", path.parent, "patches")
    path.with_suffix(".zip").rename(path)


_LIES: Final = {"classifier.weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
_BOTH: Final = (".pt", ".safetensors")
_WEIGHTS: Final = (
    *(_weights("cut", ending, _cut) for ending in (*_BOTH, ".pth")),
    *(_weights("of no byte", ending, _bytes(b"")) for ending in (*_BOTH, ".pth")),
    *(_weights("text", ending, _bytes(b"no weights here\n" * 20)) for ending in _BOTH),
    *(_weights("zeros", ending, _bytes(bytes(4096))) for ending in _BOTH),
    *(
        _weights("of another ending", ending, _changed(lambda _s, _r: None), ending)
        for ending in (".h5", ".bin", ".onnx", "")
    ),
    *(_weights("without any tensor", ending, _changed(lambda _s, _r: {})) for ending in _BOTH),
    *(_weights("some tensors are missing", ending, _changed(_drop)) for ending in _BOTH),
    *(_weights("a tensor of another name", ending, _changed(_rename)) for ending in _BOTH),
    *(_weights("of one class", ending, _changed(lambda _s, _r: _state(1))) for ending in _BOTH),
    *(_weights("of 1,000 classes", ending, _changed(lambda _s, _r: _state(1000))) for ending in _BOTH),
    *(
        _weights("of another network", ending, _changed(lambda _s, _r: models.densenet201(num_classes=2).state_dict()))
        for ending in _BOTH
    ),
    *(_weights("all NaN", ending, _changed(_each(lambda value: value * torch.nan))) for ending in _BOTH),
    *(_weights("NaN in one tensor", ending, _changed(_one(lambda value: value * torch.nan))) for ending in _BOTH),
    *(_weights("infinity in one tensor", ending, _changed(_one(lambda value: value + torch.inf))) for ending in _BOTH),
    *(
        _weights("a tensor of another shape", ending, _changed(_one(lambda value: torch.stack([value, value]))))
        for ending in _BOTH
    ),
    *(
        _weights("complex numbers", ending, _changed(_each(lambda value: value.to(torch.complex64))))
        for ending in _BOTH
    ),
    _weights("whole numbers", ".pt", _changed(_each(lambda value: value.to(torch.int32)))),
    _weights("true and false", ".pt", _changed(_each(lambda value: value > 0))),
    _weights("sparse", ".pt", _changed(lambda state, _: {k: v.to_sparse() for k, v in state.items()})),
    _weights("a sparse tensor", ".pt", _changed(_last(lambda value: value.to_sparse()))),
    _weights("quantised", ".pt", _changed(_last(_quantised))),
    _weights(
        "tensors of the meta device", ".pt", _changed(lambda state, _: {k: v.to("meta") for k, v in state.items()})
    ),
    _weights("keys that are numbers", ".pt", _changed(lambda state, _: dict(enumerate(state.values())))),
    _weights("one key that is a number", ".pt", _changed(lambda state, _: state.update({5: torch.zeros(1)})), "5"),
    _weights("a list", ".pt", _changed(lambda state, _: list(state.values()))),
    _weights("a tensor alone", ".pt", _changed(lambda state, _: state["classifier.weight"])),
    _weights("a number", ".pt", _changed(lambda _s, _r: 5)),
    _weights("tensors and numbers", ".pt", _changed(lambda state, _: state.update(epoch=5))),
    _weights(
        "a checkpoint in a checkpoint",
        ".pt",
        _changed(lambda state, _: {"state_dict": {"state_dict": {"model": state}}}),
    ),
    _weights("a checkpoint of nothing", ".pt", _changed(lambda _s, _r: {"state_dict": None, "epoch": 3})),
    _weights("a checkpoint of itself", ".pt", _changed(lambda state, _: state.update(state_dict=state) or state)),
    _weights(
        "keys of a wrapped network", ".pt", _changed(lambda state, _: {f"net.inner.{k}": v for k, v in state.items()})
    ),
    _weights("a whole network, pickled", ".pt", lambda path, _: torch.save(torch.nn.Linear(2, 2), path)),
    _weights("a pickle that runs code", ".pt", lambda path, _: path.write_bytes(pickle.dumps(_Evil()))),
    _weights("a torch file that runs code", ".pth", lambda path, _: torch.save({"state_dict": _Evil()}, path)),
    _weights("a pickle of an array", ".pth", lambda path, _: path.write_bytes(pickle.dumps(np.zeros(5)))),
    _weights("an archive of other files", ".pt", _compressed),
    _weights("a header that promises too much", ".safetensors", _bytes(_header(_LIES))),
    _weights("a header of 2^60 bytes", ".safetensors", _bytes(struct.pack("<Q", 2**60) + b"{}")),
    _weights("a header that is no JSON", ".safetensors", _bytes(struct.pack("<Q", 5) + b"hello")),
    _weights("a header of a list", ".safetensors", _bytes(struct.pack("<Q", 2) + b"[]")),
    _weights("torch under the name of safetensors", ".safetensors", lambda path, _: torch.save(_state(), path)),
    _weights("safetensors under the name of torch", ".pt", lambda path, _: path.write_bytes(save(_state()))),
    _weights("a folder", ".pt", lambda path, _: path.mkdir()),
    _weights("a pipe that nobody writes to", ".pt", lambda path, _: os.mkfifo(path)),
    _weights("a pipe that nobody writes to", ".safetensors", lambda path, _: os.mkfifo(path)),
    _weights("a link to itself", ".pt", lambda path, _: path.symlink_to(path.name)),
    _weights("a link to a device without end", ".pt", lambda path, _: path.symlink_to("/dev/zero"), "/dev/zero"),
    _weights("not there", ".pt", lambda _path, _: None),
    given("weights: imagenet without a network", _call("weights=imagenet"), "densenet121", "imagenet"),
)

_CONFIG: Final = {
    "n_dim": 2,
    "backbone": "unet",
    "n_rays": 8,
    "n_channel_in": 3,
    "grid": [2, 2],
    "axes": "YXC",
    "unet_n_depth": 1,
    "unet_kernel_size": [3, 3],
    "unet_n_filter_base": 4,
    "unet_n_conv_per_depth": 1,
    "unet_pool": [2, 2],
    "net_conv_after_unet": 8,
}


def _model(folder: Path, config: Any = None, thresholds: Any = None) -> Path:
    """Write a folder as stardist does, with weights of no layer: what fails first is what is wrong before them."""
    model = folder / _NAME
    model.mkdir()
    (model / "config.json").write_text(json.dumps(_CONFIG | (config or {})), encoding="utf-8")
    (model / "thresholds.json").write_text(
        json.dumps({"prob": 0.5, "nms": 0.4} if thresholds is None else thresholds), encoding="utf-8"
    )
    with h5py.File(model / "weights_best.h5", "w") as file:
        file.attrs["layer_names"] = np.array([], dtype="S1")
    return model


def _nuclei(
    name: str, put: Callable[[Path, Random], object], *names: str, path: str = _NAME
) -> Callable[[Random], Bad]:
    def make(folder: Path, rng: Random) -> list[str]:
        put(folder, rng)
        if rng.random() < 0.3:
            return ["segment", "patches/ward-11-0.png", "--mpp", "0.5", "--out", "out", "--nuclei", path]
        return ["check", "study.yaml", "--set", f"compartments.nuclei={path}"]

    return given(f"nuclei: {name}", make, path, *names)


def _config(**changed: Any) -> Callable[[Random], Bad]:
    ((key, value),) = changed.items()
    return _nuclei(f"{key} is {str(value)[:30]}", lambda folder, _: _model(folder, changed), key)


def _threshold(value: Any) -> Callable[[Random], Bad]:
    return _nuclei(f"thresholds are {str(value)[:40]}", lambda folder, _: _model(folder, None, value), "thresholds")


def _replaced(file: str, content: bytes | None) -> Callable[[Path, Random], object]:
    def put(folder: Path, _: Random) -> None:
        path = _model(folder) / file
        path.unlink() if content is None else path.write_bytes(content)

    return put


def _as_safetensors(about: Callable[[dict[str, Any]], object]) -> Callable[[Path, Random], object]:
    """Write a model as one file, of which what it says of itself is changed."""

    def put(folder: Path, _: Random) -> None:
        network = StarDistNetwork(StarDistConfig.from_json(_CONFIG, "here"))
        path = folder / f"{_NAME}.safetensors"
        write_safetensors(StarDistModel("here", network.eval(), 0.5, 0.4), path)
        content = path.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        said = json.loads(header["__metadata__"]["stardist"])
        made = about(said)
        header["__metadata__"]["stardist"] = made if isinstance(made, str) else json.dumps(said)
        path.write_bytes(_header(header, content[8 + length :]))

    return put


def _linked(folder: Path, _: Random) -> None:
    (folder / _NAME).symlink_to(_NAME)


def _piped(folder: Path, _: Random) -> None:
    path = _model(folder) / "weights_best.h5"
    path.unlink()
    os.mkfifo(path)


_FILE: Final = f"{_NAME}.safetensors"
_NUCLEI: Final = (
    _config(n_rays=10**9),
    _config(n_rays=2**62),
    _config(n_rays=-1),
    _config(n_rays="many"),
    _config(n_rays=None),
    _config(n_rays=3.5),
    _config(n_rays=True),
    _config(grid=[2**40, 2**40]),
    _config(grid=[3, 3]),
    _config(grid=2),
    _config(grid=[0, 0]),
    _config(unet_n_depth=60),
    _config(unet_n_depth=10**6),
    _config(unet_n_filter_base=10**8),
    _config(unet_n_filter_base=2**31),
    _config(unet_n_conv_per_depth=10**7),
    _config(unet_kernel_size=[10**5 + 1, 10**5 + 1]),
    _config(unet_kernel_size=[2, 2]),
    _config(unet_kernel_size=["a", "b"]),
    _config(unet_pool=[10**6, 10**6]),
    _config(unet_pool=[]),
    _config(unet_expansion=1e308),
    _config(unet_expansion=float("nan")),
    _config(unet_expansion=-2),
    _config(net_conv_after_unet=10**10),
    _config(n_channel_in=10**9),
    _config(n_channel_in=7),
    _config(unet_activation="swish-9"),
    _config(unet_activation=["relu"]),
    _config(n_dim=3),
    _config(backbone="resnet"),
    _config(n_classes="x"),
    *map(
        _threshold,
        (
            [],
            5,
            {},
            {"prob": 0.5},
            {"prob": "high", "nms": 0.4},
            {"prob": None, "nms": None},
            {"prob": float("nan"), "nms": 0.4},
            {"prob": 5, "nms": -1},
            {"prob": [0.5], "nms": 0.4},
        ),
    ),
    *(
        _nuclei(f"{file} is {what}", _replaced(file, content), file, _NAME)
        for file in ("config.json", "thresholds.json", "weights_best.h5")
        for what, content in (
            ("empty", b""),
            ("missing", None),
            ("noise", bytes(range(256)) * 9),
            ("cut", b'{"n_dim": 2, '),
            ("null", b"null"),
            ("UTF-16", '{"n_dim": 2}'.encode("utf-16")),
            ("nested", b"[" * 100_000),
            ("long", b'{"n_rays": ' + b"9" * 5000 + b"}"),
        )
    ),
    _nuclei("weights without a layer", lambda folder, _: _model(folder), "layer", "weights_best.h5"),
    _nuclei("a pipe for weights", _piped, "weights_best.h5"),
    _nuclei("a folder of images", lambda _f, _r: None, path="patches"),
    _nuclei("an image", lambda _f, _r: None, path="patches/ward-11-0.png"),
    _nuclei("not there", lambda _f, _r: None),
    _nuclei("a link to itself", _linked),
    _nuclei("the list", lambda _f, _r: None, path="patches.csv"),
    _nuclei("a file that says nothing of itself", lambda folder, _: save_file(_state(), folder / _FILE), path=_FILE),
    _nuclei("a file that is cut", lambda folder, _: (folder / _FILE).write_bytes(b"\x40" + bytes(20)), path=_FILE),
    _nuclei("a file of no byte", lambda folder, _: (folder / _FILE).write_bytes(b""), path=_FILE),
    _nuclei("a file of a huge model", _as_safetensors(lambda said: said["config"].update(n_rays=10**9)), path=_FILE),
    _nuclei("a file of a deep model", _as_safetensors(lambda said: said["config"].update(unet_n_depth=40)), path=_FILE),
    _nuclei("a file of another model", _as_safetensors(lambda said: said["config"].update(n_rays=16)), path=_FILE),
    _nuclei("a file without thresholds", _as_safetensors(lambda said: said.pop("prob")), path=_FILE),
    _nuclei(
        "a file of thresholds that are NaN", _as_safetensors(lambda said: said.update(prob=float("nan"))), path=_FILE
    ),
    _nuclei("a file that says no JSON", _as_safetensors(lambda _: "{"), path=_FILE),
    _nuclei("a file that says a list", _as_safetensors(lambda _: "[]"), path=_FILE),
)

AREA: Final = Area("weights and nuclei", (_WEIGHTS, _NUCLEI))
