"""What the tissue network learns from says what it should, and nothing where nothing is known."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from saliency_stats.compartments.view import Found

FOLDER = Path(__file__).parents[2] / "analyses" / "nuclei"


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    pytest.importorskip("stardist")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        names = "tissue_sets", "train_tissue", "calibrate_tissue", "mixstyle"
        return {name: importlib.import_module(name) for name in names}


def test_phantoms_of_every_architecture_keep_their_truth(modules):
    sets = modules["tissue_sets"]
    made = sets.phantoms(0, 5)
    assert [one.name.partition("-")[0] for one in made] == list(sets.ARCHITECTURES)
    for one in made:
        assert 0.3 <= one.mpp <= 0.6
        assert set(np.unique(one.classes)) <= {sets.CELL, sets.STROMA, sets.BACKGROUND, sets.UNKNOWN}
        assert 0.03 < (one.classes == sets.UNKNOWN).mean() < 0.6  # the nuclei


def test_an_example_has_one_size_and_its_classes_lie_on_the_picture(modules):
    sets = modules["tissue_sets"]
    image = np.full((300, 280, 3), 250, dtype=np.uint8)
    classes = np.full((300, 280), sets.BACKGROUND, dtype=np.uint8)
    image[:, 140:], classes[:, 140:] = (150, 60, 120), sets.STROMA
    vectors = np.array([[[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]]], dtype=np.float32)
    for seed in range(6):
        shown, told = sets.sample(sets.Painted("x", image, classes, 0.4), vectors, np.random.default_rng(seed))
        assert shown.shape == (sets.SIDE, sets.SIDE, 3)
        assert told.shape == (sets.SIDE, sets.SIDE)
        dark = shown.mean(axis=-1)
        means = [dark[told == which].mean() for which in (sets.BACKGROUND, sets.STROMA) if (told == which).any()]
        assert means == sorted(means, reverse=True)


def test_lymphocytes_are_small_round_and_many(modules):
    sets = modules["tissue_sets"]
    y, x = np.mgrid[:200, :200]
    instances = np.zeros((200, 200), dtype=np.int32)
    centres = [(40 + 14 * i, 40 + 14 * j) for i in range(3) for j in range(3)]
    for number, (cy, cx) in enumerate([*centres, (150, 150)], start=1):
        instances[(y - cy) ** 2 + (x - cx) ** 2 <= 36] = number
    found = sets.lymphocytes(instances)
    assert found[54, 54]
    assert not found[150, 150]  # alone
    long = instances.copy()
    long[long == 5] = 0
    long[((y - 54) / 3) ** 2 + ((x - 54) / 12) ** 2 <= 1] = 5
    assert not sets.lymphocytes(long)[54, 54]
    large = np.where((y - 54) ** 2 + (x - 54) ** 2 <= 81, 5, instances).astype(np.int32)
    assert not sets.lymphocytes(large)[54, 54]
    assert not sets.lymphocytes(np.zeros((20, 20), dtype=np.int32)).any()


def test_outlines_teach_nothing_near_the_line_or_around_nuclei_outside(modules, monkeypatch):
    sets = modules["tissue_sets"]
    image = np.full((120, 120, 3), (190, 110, 160), dtype=np.uint8)
    image[:10] = 245
    inside = np.zeros((120, 120), dtype=bool)
    inside[:, :60] = True
    nuclei = np.zeros((120, 120), dtype=np.int32)
    nuclei[50:60, 90:100], nuclei[50:60, 20:30] = 1, 2

    def finder(views):
        return [Found(nuclei, np.zeros(2))]

    monkeypatch.setattr(sets, "nucleus_finder", lambda _: finder)
    source = sets.Outlined("x", "scc-pdx", 0, image, inside, 0.5)
    classes = sets.from_outlines(source).classes
    assert classes[55, 40] == sets.CELL
    assert classes[55, 25] == sets.CELL  # its nuclei are cells
    assert classes[55, 110] == sets.STROMA
    assert (classes[55, 57:63] == sets.UNKNOWN).all()
    assert classes[55, 65] == sets.STROMA
    assert classes[55, 95] == classes[55, 89] == classes[55, 101] == sets.UNKNOWN
    assert classes[55, 86] == sets.STROMA
    assert classes[110, 25] == sets.UNKNOWN  # epithelium far from every nucleus: perhaps the content of a lumen
    assert (classes[:8] == sets.BACKGROUND).all()
    wider = sets.from_outlines(source, rim_um=2.0).classes
    assert wider[55, 86] == sets.UNKNOWN
    assert wider[55, 85] == sets.STROMA


def test_unknown_pixels_teach_nothing_and_classes_weigh_alike(modules):
    sets, train = modules["tissue_sets"], modules["train_tissue"]
    logits = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    classes = torch.full((1, 8, 8), sets.CELL, dtype=torch.uint8)
    classes[0, :4] = sets.STROMA
    hidden = classes.clone()
    hidden[0, :, :2] = sets.UNKNOWN
    changed = logits.clone()
    changed[:, 0, :, :2] += 5
    assert train.loss_of(logits, hidden) == train.loss_of(changed, hidden)
    assert train.loss_of(logits, classes) != train.loss_of(changed, classes)
    # a class of few pixels weighs as much as one of many
    few = torch.full((1, 8, 8), sets.CELL, dtype=torch.uint8)
    few[0, :2] = sets.STROMA
    good, bad = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    good[:, sets.CELL] = bad[:, sets.STROMA] = 3.0
    assert train.loss_of(good, few).item() == pytest.approx(
        train.loss_of(bad, few).item(), rel=0.05
    )  # the smoothing of labels is not weighed


def test_an_image_borrows_the_look_of_another_and_keeps_what_it_shows(modules):
    mixed = modules["mixstyle"].mixed
    torch.manual_seed(0)
    images = torch.randn(2, 3, 16, 16) * torch.tensor([1.0, 4.0])[:, None, None, None]
    images[1] += 10
    torch.testing.assert_close(mixed(images, 0.0), images)
    moved = mixed(images, 1.0)
    for number in range(2):
        # each channel is itself, brighter or darker, with more or less contrast
        for own, other in zip(images[number], moved[number], strict=True):
            assert np.corrcoef(own.ravel(), other.ravel())[0, 1] == pytest.approx(1, abs=1e-5)
        means = moved[number].mean(dim=(1, 2))
        assert (means > -0.5).all()
        assert (means < 10.5).all()
    alone = images[:1]
    torch.testing.assert_close(mixed(alone, 1.0), alone)


def test_looks_are_mixed_in_training_alone(modules):
    network = modules["train_tissue"].TissueNetwork()
    images, names = torch.rand(4, 3, 32, 32), list(network.state_dict())
    before = network.eval()(images)
    modules["mixstyle"].mix_looks(network, 1.0)
    assert torch.equal(network(images), before)
    assert list(network.state_dict()) == names
    network.train()
    torch.manual_seed(1)
    assert not torch.allclose(network(images), before)


def test_the_fit_finds_the_scale_and_offset_of_the_odds(modules):
    calibrate = modules["calibrate_tissue"]
    rng = np.random.default_rng(1)
    true = rng.normal(0, 2, 200_000)
    cell = rng.random(200_000) < 1 / (1 + np.exp(-true))
    # the network is half as sure as it should be, and takes all for cells by 0.7
    odds = (true / 2 + 0.7).astype(np.float32)
    scale, offset = calibrate.fitted([{"x": (odds, cell, np.zeros(len(cell), dtype=bool))}])
    assert scale == pytest.approx(2, rel=0.05)
    assert offset == pytest.approx(1.4, abs=0.06)
