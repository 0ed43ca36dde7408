"""Batches: one shape each, nearly equal sizes, every sample once, the same for the same seed."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from saliency_stats.classifier.augmentation import Augmentation
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
