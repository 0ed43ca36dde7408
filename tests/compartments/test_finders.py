"""What finds nuclei: chosen by name or path, made once, and able to travel to another process."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from saliency_stats.cohort import Phantom
from saliency_stats.compartments import CompartmentParameters, estimate_stains, nucleus_finder, torchscript, view_of
from saliency_stats.compartments.finders import BUILTIN, gives_probabilities, model_path, there_is
from saliency_stats.compartments.stardist.config import StarDistConfig
from saliency_stats.compartments.stardist.files import StarDistModel, write_safetensors
from saliency_stats.compartments.stardist.network import StarDistNetwork
from saliency_stats.errors import CompartmentError


@pytest.fixture(scope="module")
def view():
    image = Phantom(size_px=64).render(np.random.default_rng(3), "benign").image
    return view_of(image, 0.5, CompartmentParameters(), estimate_stains([image]))


def test_a_finder_is_made_once():
    assert nucleus_finder("builtin") is nucleus_finder("builtin")


def test_the_models_file_is_the_builtin_finder(view):
    (by_name,), (by_path,) = nucleus_finder("builtin")([view]), nucleus_finder(str(BUILTIN))([view])
    np.testing.assert_array_equal(by_name.instances, by_path.instances)
    assert by_name.instances.max() > 3


@pytest.mark.parametrize("nuclei", ["builtin", "classical"])
def test_a_pickled_finder_and_a_pickled_view_give_the_same_nuclei(view, nuclei):
    finder = nucleus_finder(nuclei)
    there, looked_at = pickle.loads(pickle.dumps((finder, view)))  # noqa: S301  (our own)
    (here,), (again,) = finder([view]), there([looked_at])
    assert here.instances.max() > 3
    np.testing.assert_array_equal(again.instances, here.instances)
    np.testing.assert_array_equal(again.probabilities, here.probabilities)
    assert looked_at.parameters == view.parameters
    assert looked_at.stains == view.stains


def test_the_classical_finder_knows_no_probabilities(view):
    (found,) = nucleus_finder("classical")([view])
    assert len(found.probabilities) == found.instances.max()
    assert np.isnan([*found.probabilities, found.threshold, found.lowest]).all()


def test_the_classical_finder_has_no_threshold_to_move():
    with pytest.raises(CompartmentError, match=r"no probabilities.*moved by 0\.1"):
        nucleus_finder("classical", probability_offset=0.1)


def test_the_offset_reaches_the_model(view):
    (usual,), (more,) = nucleus_finder("builtin")([view]), nucleus_finder("builtin", probability_offset=-0.1)([view])
    assert more.threshold == usual.threshold == usual.lowest
    assert more.lowest == pytest.approx(usual.threshold - 0.1)


def test_another_name_is_refused_with_those_that_are_known():
    with pytest.raises(CompartmentError, match=r"'stardust'.*builtin, 2D_versatile_he, classical"):
        nucleus_finder("stardust")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(CompartmentError, match="not a StarDist model folder"):
        nucleus_finder(str(tmp_path))


@pytest.mark.parametrize("name", ["x" * 5_000, "a\0b"])
def test_what_no_file_can_be_called_is_refused_shortly(name):
    with pytest.raises(CompartmentError, match="neither a path nor one of") as caught:
        nucleus_finder(name)
    assert len(str(caught.value)) < 1_000


@pytest.mark.posix("named pipes")
def test_what_may_hold_a_model(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert all(map(there_is, ["builtin", "classical", str(tmp_path), str(BUILTIN)]))
    assert not any(map(there_is, ["truth", str(tmp_path / "absent"), str(tmp_path / "pipe"), "x" * 5_000, "a\0b"]))
    with pytest.raises(CompartmentError, match="neither a path nor one of"):
        nucleus_finder(str(tmp_path / "pipe"))


def test_images_have_one_channel_or_three(tmp_path):
    config = StarDistConfig(n_channel_in=2, unet_n_depth=1, unet_n_filter_base=1, net_conv_after_unet=0)
    path = tmp_path / "two.safetensors"
    write_safetensors(StarDistModel("two", StarDistNetwork(config), 0.5, 0.3), path)
    with pytest.raises(CompartmentError, match=r"two\.safetensors has n_channel_in 2; expected 3 .* or 1"):
        nucleus_finder(str(path))


@pytest.mark.parametrize(
    ("nuclei", "path", "mpp"),
    [
        ("torchscript:a/m.pt", "a/m.pt", None),
        ("torchscript:a/m.pt@0.25", "a/m.pt", 0.25),
        ("torchscript:a@2/m.pt", "a@2/m.pt", None),
        ("torchscript:a@2/m.pt@1", "a@2/m.pt", 1.0),
        ("torchscript:m.pt@", "m.pt@", None),
        ("torchscript:m.pt@0.5um", "m.pt@0.5um", None),
        ("torchscript:5", "5", None),
        ("a/m@0.5", "a/m@0.5", None),
    ],
)
def test_a_torchscript_file_may_have_its_scale_behind_it(monkeypatch, nuclei, path, mpp):
    assert model_path(nuclei) == Path(path)
    if nuclei.startswith("torchscript:"):
        monkeypatch.setattr(torchscript, "read_torchscript", lambda *given: given)
        assert nucleus_finder.__wrapped__(nuclei, "cuda") == (Path(path), mpp, "cuda")


def test_finders_with_a_name_have_no_file():
    assert [model_path(name) for name in ("builtin", "2D_versatile_he", "classical")] == [None] * 3


def test_a_torchscript_finder_has_no_threshold_to_move():
    with pytest.raises(CompartmentError, match=r"The torchscript finder .*no probabilities.*moved by -0\.1"):
        nucleus_finder("torchscript:m.pt", probability_offset=-0.1)
    known = {name: gives_probabilities(name) for name in ("builtin", "a/model", "classical", "torchscript:m.pt")}
    assert known == {"builtin": True, "a/model": True, "classical": False, "torchscript:m.pt": False}


def test_a_torchscript_model_is_a_file_and_no_folder(tmp_path):
    (tmp_path / "m.pt").write_text("", encoding="utf-8")
    assert there_is(f"torchscript:{tmp_path / 'm.pt'}")
    assert there_is(f"torchscript:{tmp_path / 'm.pt'}@0.5")
    assert not there_is(f"torchscript:{tmp_path}")
    assert not any(
        map(there_is, ["torchscript:", "torchscript:builtin", "torchscript:" + "x" * 5_000, "torchscript:a\0b"])
    )
