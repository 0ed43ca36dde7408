"""Batches: one shape each, nearly equal sizes, every sample once, the same for the same seed."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from saliency_stats.classifier.augmentation import Augmentation, turn, vary_stain
from saliency_stats.classifier.samples import ImageSamples, equal_batches, to_tensor

SHAPES = st.lists(st.sampled_from([(32, 32), (32, 64), (96, 96)]), min_size=1, max_size=60)


@given(shapes=SHAPES, size=st.integers(1, 20), seed=st.integers(0, 5) | st.none())
def test_batches_hold_every_sample_once_and_one_shape_each(shapes, size, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    batches = equal_batches(shapes, size, rng)
    assert sorted(int(i) for batch in batches for i in batch) == list(range(len(shapes)))
    for batch in batches:
        assert 1 <= len(batch) <= size
        assert len({shapes[i] for i in batch}) == 1
    for shape in set(shapes):
        lengths = [len(batch) for batch in batches if shapes[batch[0]] == shape]
        assert max(lengths) - min(lengths) <= 1


def test_epochs_differ_and_repeat(cohort_of):
    cohort = cohort_of([(32, 32)] * 12)
    samples = ImageSamples(cohort, cohort.table, Augmentation(), 3, torch.device("cpu"))
    first, again, second = ([inputs[0] for inputs, _ in samples.batches(4, epoch)] for epoch in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert samples.n_batches(4) == len(first)


def test_targets_follow_their_images(cohort_of):
    cohort = cohort_of([(32, 32)] * 12)
    samples = ImageSamples(cohort, cohort.table, Augmentation(dihedral=True, stain=0), 3, torch.device("cpu"))
    for (images,), targets in samples.batches(5, 0):
        # the cohort's malignant patches are the darker ones
        assert torch.equal(images.mean(dim=(1, 2, 3)) < 0.4, targets == 1)


def test_tensor_is_in_the_unit_interval_with_channels_first():
    images = np.zeros((2, 32, 48, 3), np.uint8)
    images[0, 1, 2] = (255, 51, 0)
    tensor = to_tensor(images, torch.device("cpu"))
    assert tensor.shape == (2, 3, 32, 48)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(tensor[0, :, 1, 2], torch.tensor([1.0, 0.2, 0.0]))


def test_a_plain_pass_is_in_order_and_not_varied(cohort_of):
    cohort = cohort_of([(32, 32), (32, 48), (32, 32)])
    samples = ImageSamples(cohort, cohort.table, Augmentation(dihedral=True, stain=0.5), 3, torch.device("cpu"))
    found = list(samples.batches(2, None))
    assert [targets.tolist() for _, targets in found] == [[0, 0], [1]]
    for ((images,), _), members in zip(found, samples.members(2), strict=True):
        expected = np.stack([cohort.read(int(member)).image for member in members])
        assert torch.equal(images, to_tensor(expected, torch.device("cpu")))
    assert [members.tolist() for members in samples.members(2)] == [[0, 2], [1]]


def test_rows_are_read_by_their_index_in_the_cohort(cohort_of):
    cohort = cohort_of([(32, 32)] * 6)
    samples = ImageSamples(cohort, cohort.table[4:], Augmentation(), 3, torch.device("cpu"))
    (((images,), targets),) = samples.batches(2, None)
    expected = to_tensor(np.stack([cohort.read(row).image for row in (4, 5)]), torch.device("cpu"))
    assert torch.equal(images, expected)
    assert targets.tolist() == [0, 1]


def test_an_epoch_draws_order_turns_and_stains_from_the_seed_and_its_number(cohort_of):
    cohort = cohort_of([(32, 32)] * 5)
    for augmentation in [Augmentation(dihedral=turns, stain=stain) for turns in (False, True) for stain in (0, 0.3)]:
        samples = ImageSamples(cohort, cohort.table, augmentation, 3, torch.device("cpu"))
        rng = np.random.default_rng([3, 2])
        expected = []
        for members in equal_batches([(32, 32)] * 5, 2, rng):
            images = [cohort.read(int(member)).image for member in members]
            if augmentation.dihedral:
                images = [turn(image, rng) for image in images]
            batch = to_tensor(np.stack(images), torch.device("cpu"))
            expected.append(vary_stain(batch, 0.3, rng) if augmentation.stain else batch)
        for ((images,), _), batch in zip(samples.batches(2, 2), expected, strict=True):
            assert torch.equal(images, batch)


def test_batches_are_of_nearly_equal_size_in_the_order_of_the_shapes():
    shapes = [(64, 32)] * 2 + [(32, 32)] * 5
    assert [batch.tolist() for batch in equal_batches(shapes, 4)] == [[2, 3, 4], [5, 6], [0, 1]]
    assert [len(batch) for batch in equal_batches([(32, 32)] * 8, 4)] == [4, 4]
    shuffled = equal_batches([(32, 32)] * 40, 4, np.random.default_rng(0))
    assert sorted(np.concatenate(shuffled).tolist()) == list(range(40))
    assert any((np.diff(batch) != 1).any() for batch in shuffled)  # samples are mixed
    means = [
        batch.mean()
        for batch in equal_batches(
            [(size, 32) for size in range(32, 42) for _ in range(4)], 4, np.random.default_rng(0)
        )
    ]
    assert means != sorted(means)  # and so are batches
