"""From views to probabilities: whatever the scale, the size, the batch and the order."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from saliency_stats.compartments.tissue import predict
from saliency_stats.compartments.tissue.network import STRIDE
from saliency_stats.compartments.tissue.predict import Tissues


def plain(model, image):
    """Softmax of one picture (H, W, 3) whose sides are multiples of the stride."""
    with torch.inference_mode():
        seen = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        return (model.network(seen) / model.temperature).softmax(dim=1)[0].numpy()


@pytest.mark.parametrize(("mpp", "height", "width"), [(0.5, 64, 48), (0.25, 70, 50), (1.0, 33, 40), (0.1, 32, 40)])
def test_probabilities_sum_to_one_at_the_size_of_the_view(model, view_at, mpp, height, width):
    view = view_at(mpp, height, width)
    (found,) = Tissues(model)([view])
    assert found.shape == (3, *view.image.shape[:2])
    assert found.dtype == np.float32
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=5e-7)


def test_a_picture_of_the_models_scale_is_seen_as_it_is(model, view_at):
    view = view_at()
    (found,) = Tissues(model)([view])
    np.testing.assert_allclose(found, plain(model, view.image), atol=1e-6)
    assert found.std(axis=(1, 2)).min() > 0.01


@pytest.mark.parametrize(("mpp", "same"), [(0.524, True), (0.476, True), (0.53, False), (0.47, False)])
def test_scanners_own_ideas_of_20x_are_not_scaled(model, view_at, mpp, same):
    view = view_at()._replace(mpp=mpp)
    found, own = (Tissues(model)([one])[0] for one in (view, view._replace(mpp=0.5)))
    assert np.array_equal(found, own) == same


def test_a_finer_picture_is_averaged_over_area_and_its_answer_enlarged(model, view_at):
    view = view_at()
    coarse = view.image
    fine = view._replace(image=np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1), mpp=0.25)
    (found,) = Tissues(model)([fine])
    asked = plain(model, coarse)
    # away from the edge an enlarged pixel lies a quarter from its own centre: 9, 3, 3 and 1 sixteenths of four
    inner = asked[:, 1:-1, 1:-1] * 9 + asked[:, :-2, 1:-1] * 3 + asked[:, 1:-1, :-2] * 3 + asked[:, :-2, :-2]
    np.testing.assert_allclose(found[:, 2:-2:2, 2:-2:2], inner / 16, atol=1e-5)


def test_a_coarser_picture_is_enlarged_and_its_answer_averaged(model, view_at):
    view = view_at()
    flat = view._replace(image=np.full_like(view.image[:32, :32], 200), mpp=1.0)
    (found,) = Tissues(model)([flat])
    asked = plain(model, np.full((64, 64, 3), 200, np.uint8)).astype(float)
    # a triangle as wide as two pixels to each side: an eighth, three, three and one of each four
    weights = np.array([1, 3, 3, 1]) / 8
    for axis in (1, 2):
        asked = np.apply_along_axis(lambda line: np.convolve(line, weights, mode="valid")[1::2], axis, asked)
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], asked, atol=1e-5)
    assert np.ptp(asked) > 0.01


@pytest.mark.parametrize("size", [(63, 48), (64, 33), (50, 50)])
def test_what_lacks_to_a_multiple_is_mirrored(model, view_at, size):
    view = view_at(width=64)
    image = view.image[: size[0], : size[1]]
    (found,) = Tissues(model)([view._replace(image=image)])
    pads = [(0, -side % STRIDE) for side in size]
    mirrored = np.pad(image, [*pads, (0, 0)], mode="reflect")
    np.testing.assert_allclose(found, plain(model, mirrored)[:, : size[0], : size[1]], atol=1e-6)


@pytest.mark.parametrize(("side", "mode"), [(9, "reflect"), (8, "edge"), (3, "edge"), (1, "edge")])
def test_of_a_tiny_picture_the_edge_is_repeated(model, view_at, side, mode):
    view = view_at()
    image = view.image[:side, :16]
    (found,) = Tissues(model)([view._replace(image=image)])
    padded = np.pad(image, [(0, 16 - side), (0, 0), (0, 0)], mode=mode)
    np.testing.assert_allclose(found, plain(model, padded)[:, :side], atol=1e-6)


def test_neither_company_nor_order_changes_an_answer(model, view_at):
    views = [view_at(seed=1), view_at(0.25, 70, 50, 2), view_at(seed=3), view_at(1.0, 33, 40, 4), view_at(seed=5)]
    tissues = Tissues(model)
    together, backwards = tissues(views), tissues(views[::-1])[::-1]
    for view, one, other in zip(views, together, backwards, strict=True):
        np.testing.assert_array_equal(one, tissues([view])[0])
        np.testing.assert_array_equal(one, other)
    assert tissues([]) == []


def test_a_device_looks_at_many_images_together(model, view_at, monkeypatch):
    assert [predict._together("cpu", pixels) for pixels in (1, 256**2, 4096**2)] == [1, 1, 1]
    assert [predict._together("cuda", pixels) for pixels in (128**2, 256**2, 1449**2, 4096**2)] == [128, 32, 1, 1]
    views = [view_at(seed=seed) for seed in range(5)]
    alone, tissues, sizes = Tissues(model)(views), Tissues(model), []
    monkeypatch.setattr(predict, "_together", lambda device, pixels: 2 if (device, pixels) == ("cpu", 64 * 48) else 0)
    tissues._network.register_forward_pre_hook(lambda _, seen: sizes.append(len(seen[0])))
    for one, other in zip(alone, tissues(views), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert sizes == [2, 2, 1]


def test_a_large_picture_in_blocks_is_as_it_is_in_one(model, view_at, monkeypatch):
    image = np.tile(view_at(height=64, width=64).image, (14, 2, 1))[:881, :120]
    view = view_at()._replace(image=image)
    (whole,) = Tissues(model)([view])
    sizes = []
    monkeypatch.setattr(predict, "BLOCK_PX", 320)
    tissues = Tissues(model)
    tissues._network.register_forward_pre_hook(lambda _, seen: sizes.append(tuple(seen[0].shape[2:])))
    (in_blocks,) = tissues([view])
    assert sizes == [(592, 128), (848, 128), (528, 128)]
    np.testing.assert_allclose(in_blocks, whole, atol=1e-5)


def test_the_temperature_divides_the_logits(model, view_at):
    view = view_at()
    (found,) = Tissues(replace(model, temperature=2.5))([view])
    np.testing.assert_allclose(found, plain(replace(model, temperature=2.5), view.image), atol=1e-6)
    assert np.abs(found - Tissues(model)([view])[0]).max() > 0.01


def test_the_model_stays_where_it_is(model):
    tissues = Tissues(model)
    tissues._network.to("meta")
    assert next(model.network.parameters()).device.type == "cpu"


def test_a_pickled_finder_gives_the_same(model, view_at):
    view, tissues = view_at(), Tissues(model)
    again = pickle.loads(pickle.dumps(tissues))  # noqa: S301  (our own)
    np.testing.assert_array_equal(again([view])[0], tissues([view])[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_device_gives_what_the_processor_gives(model, view_at):
    views = [view_at(seed=1), view_at(seed=2)]
    for there, here in zip(Tissues(model, "cuda")(views), Tissues(model)(views), strict=True):
        np.testing.assert_allclose(there, here, atol=2e-3)
