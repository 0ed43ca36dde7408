"""A factory's network is tried before a study relies on it: every fault is told, each with its remedy."""

import pytest
import torch
from torch import nn

from saliency_stats.classifier import probing
from saliency_stats.classifier.outputs import Outputs
from saliency_stats.classifier.probing import Probe, kept_of, probe
from saliency_stats.errors import ClassifierError


def same(logits, _):
    return logits


class Network(nn.Module):
    """Sound, but for what a test changes."""

    def __init__(self, change=same, n=2):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv, self.fc = nn.Conv2d(3, 4, 4, 4), nn.Linear(4, n)
        self.change = change

    def forward(self, images):
        return self.change(self.fc(torch.relu(self.conv(images)).mean((2, 3))), images)


def message(network, outputs=Outputs(), size_px=32, **options):  # noqa: B008  (frozen)
    with pytest.raises(ClassifierError) as caught:
        probe(network, outputs, "python:mine:build", size_px, **options)
    found = str(caught.value)
    assert "classifier.architecture: python:mine:build " in found
    return found


def test_a_sound_network_has_its_size_and_outputs_told():
    network = Network()
    assert probe(network, Outputs(), "n", None) == Probe(224, fixed=False, n_outputs=2)
    assert probe(network, Outputs(), "n", None, 96) == Probe(96, fixed=False, n_outputs=2)
    assert probe(network, Outputs(), "n", 40) == Probe(40, fixed=True, n_outputs=2)
    assert probe(Network(n=3), Outputs((0,), (1, 2)), "n", 32).n_outputs == 3
    assert not network.training
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_network_that_takes_one_size_is_found_out():
    def of(size):
        def change(logits, images):
            if images.shape[-1] != size:
                raise ValueError(f"expected {size}")
            return logits

        return Network(change)

    assert probe(of(96), Outputs(), "n", None) == Probe(96, fixed=True, n_outputs=2)
    assert probe(of(100), Outputs(), "n", None, 100) == Probe(100, fixed=True, n_outputs=2)
    found = message(of(100), size_px=None)
    assert (
        "raises when it classifies images of any of 224, 256, 96, 384, 512, 64, 32 px (ValueError: expected 100)"
        in found
    )
    assert "Say the size it takes in classifier.preprocess.size_px" in found
    assert "images of 32 × 32 px (ValueError: expected 100)" in message(of(100))


def test_probabilities_are_noticed():
    found = message(Network(lambda logits, _: logits.softmax(dim=1)))
    assert "returns probabilities (they add up to 1); expected logits: leave out the softmax" in found
    # numbers that add up to 1 and are not all of 0 or more are logits
    probe(Network(lambda logits, _: torch.stack([logits[:, 0] - 9, 10 - logits[:, 0]], dim=1)), Outputs(), "n", 32)
    # and so are those of 0 or more that do not
    probe(Network(lambda logits, _: logits.softmax(dim=1) * 1.01), Outputs(), "n", 32)


def test_numbers_that_are_not_finite_are_counted():
    network = Network()
    with torch.no_grad():
        network.fc.bias[1] = float("nan")
    assert "returns 2 of 4 logits that are not finite" in message(network)
    assert "returns 4 of 4 logits" in message(Network(lambda logits, _: logits / 0.0))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda logits, _: (logits, logits), "returns a tuple; expected logits, a tensor (N, K)"),
        (lambda logits, _: logits[0], "returns the shape (2,) for 2 images; expected logits (2, K)"),
        (lambda logits, _: logits[:1], "returns the shape (1, 2) for 2 images"),
        (lambda logits, _: logits[:, :, None], "returns the shape (2, 2, 1) for 2 images"),
        (lambda logits, _: logits[:, :1], "returns one number per image"),
        (lambda logits, _: torch.cat([logits, logits], dim=1), "has 4 outputs; expected 2"),
        (lambda logits, _: logits.round().long(), "returns numbers of the type torch.int64; expected floating-point"),
        (lambda logits, _: logits.to("meta"), "answers on the device meta for images on the CPU"),
        (lambda logits, _: logits.detach(), "gives no gradient with respect to the pixels"),
        (lambda logits, _: torch.from_numpy(logits.detach().numpy()), "leave out no_grad, detach and NumPy"),
        (lambda logits, _: torch.rand_like(logits) + logits, "returns other logits for the same images each time"),
        (
            lambda logits, _: 100 * (logits - logits.mean(dim=0)),
            "returns other logits for an image when others are in the batch",
        ),
        (
            lambda logits, images: logits + (images - images.detach()).abs().sqrt().mean((1, 2, 3))[:, None],
            "has a gradient with respect to the pixels that is not finite",
        ),
    ],
)
def test_what_is_no_classifier_is_refused(change, fault):
    assert fault in message(Network(change))


def test_an_error_in_the_forward_of_the_gradient_alone_is_told():
    def change(logits, images):
        if images.requires_grad:
            raise RuntimeError("no training here")
        return logits

    assert "gives no gradient with respect to the pixels (RuntimeError: no training here)" in message(Network(change))


def test_a_network_that_stays_in_training_mode_is_refused():
    class Stubborn(nn.Dropout):
        def train(self, mode=True):  # noqa: ARG002, FBT002  (torch's signature)
            return super().train(mode=True)

    network = Network()
    network.drop = Stubborn()
    assert "stays in training mode after eval() (drop)" in message(network)


def test_a_network_that_switches_its_mode_is_refused():
    class Switching(Network):
        def forward(self, images):
            found = super().forward(images)
            self.train()
            return found

    assert "switches itself back to training mode when it classifies" in message(Switching())


def test_a_network_that_changes_itself_is_refused():
    class Counting(Network):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, images):
            self.seen += 1
            return super().forward(images)

    assert "changes its own weights or statistics when it classifies" in message(Counting())


def test_a_network_that_cannot_be_copied_is_refused():
    class Keeping(Network):
        """Keeps its bias with its graph until it is trained again, as LeViT does."""

        def __init__(self):
            super().__init__()
            self.kept = None

        def train(self, mode=True):  # noqa: FBT002  (torch's signature)
            self.kept = None if mode else self.kept
            return super().train(mode)

        def forward(self, images):
            self.kept = self.fc.bias * 2 if self.kept is None else self.kept
            return super().forward(images) + self.kept

    found = message(Keeping())
    assert "cannot be copied after it classified (RuntimeError: Only Tensors created explicitly" in found
    assert "let forward keep no tensor in the network, or keep it detached" in found


def test_a_network_without_values_is_refused():
    network = Network()
    network.fc = nn.Linear(4, 2, device="meta")
    assert "has 2 of 4 tensors on the device 'meta', without values (fc.weight); build it on the CPU" in message(
        network
    )


def test_all_faults_are_told_together():
    def change(logits, images):
        return (logits.detach() + torch.rand_like(logits)).softmax(dim=1)

    found = message(Network(change))
    assert found.startswith("3 faults:")
    for fault in ("returns probabilities", "other logits for the same images", "gives no gradient"):
        assert fault in found


def test_a_network_in_half_precision_computes_in_single():
    assert probe(Network().half(), Outputs(), "n", 32).n_outputs == 2


def test_long_errors_are_shortened():
    def change(logits, images):
        raise ValueError("x" * 5000)

    assert len(message(Network(change))) < 500


def test_the_noise_is_always_the_same():
    assert torch.equal(probing.noise(8), probing.noise(8))
    assert probing.noise(8, 3).shape == (3, 3, 8, 8)


def test_what_a_network_keeps_is_counted_once_and_without_its_weights():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.Flatten(), nn.Linear(2 * 8 * 8, 2))
    # the image, the output of the ReLU (which it and the next layer keep), and that of the last convolution
    images = torch.rand(1, 3, 8, 8).requires_grad_()
    made, kept = kept_of(network, lambda: network(images))
    assert kept == 4 * (3 + 4 + 2) * 8 * 8
    assert torch.equal(made, network(images))
