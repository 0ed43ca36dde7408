"""Which compartments carry the class, and what they look like as the other one."""

import numpy as np
import pytest

from saliency_stats.cohort.phantom.painting import Phenotype
from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.cohort.phantom.signals import SIGNALS, choose, other_class, phenotype
from saliency_stats.vocabulary import LABELS, TISSUE

MIXED = ("redundant", "xor", "suppressor", "background")
#: By signal, the compartments that tell the classes apart.
CARRIERS = {
    **{name: (name,) for name in TISSUE},
    "none": (),
    "redundant": ("nucleus", "cytoplasm"),
    "xor": ("nucleus", "cytoplasm"),
    "suppressor": ("nucleus", "cytoplasm"),
    "background": ("cytoplasm", "background"),
}
SEEDS = range(400)


def rng(seed):
    return np.random.default_rng([seed, 9])


def drawn(signal, label, seed, strength=1.0):
    return choose(signal, rng(seed), label, strength)


def own(choices, name):
    return choices[name].looks[choices[name].drawn]


def other(choices, name):
    return choices[name].looks[other_class(choices[name].drawn)]


def test_the_names():
    assert list(SIGNALS) == ["cytoplasm", "nucleus", "stroma", "none", *MIXED]
    assert all(name == one.name for name, one in SIGNALS.items())
    assert [SIGNALS[name].words for name in ("cytoplasm", "none")] == ["cytoplasm", "nothing"]
    assert SIGNALS["background"].words == "cytoplasm, and the background in 80 % of the patches"
    assert other_class("benign") == "malignant"
    assert other_class("malignant") == "benign"


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("signal", [*TISSUE, "none"])
@pytest.mark.parametrize("label", LABELS)
def test_a_planted_compartment_lies_where_it_always_did(signal, label, strength):
    for seed in range(20):
        place = dict(zip(TISSUE, rng(seed).uniform(0, 1, 3).tolist(), strict=True))
        value = {name: 0.25 + 0.5 * at for name, at in place.items()}
        if signal != "none":
            shift = 0.7 * strength
            apart = place[signal] * (1 - shift) + shift * LABELS.index(label)
            value[signal] += strength * (apart - value[signal])
        assert Phantom(signal=signal, strength=strength).phenotype(rng(seed), label) == Phenotype(**value)


@pytest.mark.parametrize("signal", SIGNALS)
def test_both_labels_ask_for_the_same_numbers_and_share_what_carries_nothing(signal):
    for seed in range(20):
        generators = [rng(seed), rng(seed)]
        benign, malignant = (
            choose(signal, generator, label, 1.0) for generator, label in zip(generators, LABELS, strict=True)
        )
        assert generators[0].random() == generators[1].random()
        silent = set(TISSUE) - set(CARRIERS[signal])
        assert set(benign) == set(malignant) == silent | set(CARRIERS[signal])
        assert all(benign[name] == malignant[name] for name in silent)
        assert any(benign[name] != malignant[name] for name in CARRIERS[signal]) == bool(CARRIERS[signal])


def test_without_a_signal_the_classes_are_the_halves_of_the_range_and_chance_decides():
    values = {label: [] for label in LABELS}
    for seed in SEEDS:
        choices = drawn("none", "malignant", seed)
        for name in TISSUE:
            values[choices[name].drawn].append(own(choices, name)[name])
            assert abs(own(choices, name)[name] - other(choices, name)[name]) == pytest.approx(0.25)
            for label, (low, high) in zip(LABELS, [(0.25, 0.5), (0.5, 0.75)], strict=True):
                assert low <= choices[name].looks[label][name] <= high
    n = len(SEEDS) * len(TISSUE)
    assert abs(len(values["benign"]) / n - 0.5) < 4 * np.sqrt(0.25 / n)
    assert min(values["benign"]) < 0.27
    assert max(values["malignant"]) > 0.73


@pytest.mark.parametrize("signal", [*TISSUE, "redundant"])
def test_drawn_as_the_other_class_a_planted_compartment_is_that_of_the_other_label(signal):
    for label in LABELS:
        one, two = drawn(signal, label, 3), drawn(signal, other_class(label), 3)
        for name in CARRIERS[signal]:
            assert (one[name].drawn, two[name].drawn) == (label, other_class(label))
            assert other(one, name) == own(two, name)
    benign, malignant = (drawn(signal, label, 3)[signal if signal in TISSUE else "nucleus"] for label in LABELS)
    assert benign.looks == malignant.looks


def test_of_xor_neither_compartment_tells_the_label_alone_and_each_changes_it():
    for label, same in zip(LABELS, (True, False), strict=True):
        classes = [[drawn("xor", label, seed)[name].drawn for name in CARRIERS["xor"]] for seed in SEEDS]
        assert all((nucleus == cytoplasm) == same for nucleus, cytoplasm in classes)
        for column in zip(*classes, strict=True):
            assert abs(column.count("benign") / len(SEEDS) - 0.5) < 0.1  # four standard errors
    choices = drawn("xor", "benign", 0)
    for name in CARRIERS["xor"]:
        assert choices[name].looks["benign"][name] <= 0.3
        assert choices[name].looks["malignant"][name] >= 0.7


def darkness(choices, classes=None):
    shown = phenotype(choices, classes)
    return np.log([shown.nucleus_stain, shown.cytoplasm_stain])


def test_a_suppressor_tells_nothing_alone_and_must_be_divided_out():
    both = {label: np.array([darkness(drawn("suppressor", label, seed)) for seed in SEEDS]) for label in LABELS}
    # the same nuclei whatever the label: they carry none of it
    np.testing.assert_array_equal(both["benign"][:, 0], both["malignant"][:, 0])
    assert both["benign"][:, 0].min() < -0.75
    assert both["benign"][:, 0].max() > 0.75
    for label, sign in zip(LABELS, (-1, 1), strict=True):
        np.testing.assert_allclose(both[label][:, 1] - both[label][:, 0], 0.4 * sign)
    # the cytoplasm alone is the same in many patches of both classes
    assert (both["malignant"][:, 1] < both["benign"][:, 1].max()).mean() > 0.3


@pytest.mark.parametrize(("label", "sign"), [("benign", -1), ("malignant", 1)])
def test_either_compartment_of_a_suppressor_makes_the_other_class_of_the_rest(label, sign):
    choices = drawn("suppressor", label, 5, strength=0.5)
    as_drawn = darkness(choices)
    assert as_drawn[1] - as_drawn[0] == pytest.approx(0.2 * sign)
    for at, name in enumerate(CARRIERS["suppressor"]):
        changed = darkness(choices, {name: other_class(label)})
        assert changed[1] - changed[0] == pytest.approx(-0.2 * sign)
        assert changed[1 - at] == as_drawn[1 - at]
        # its texture is as before
        assert own(choices, name)[name] == other(choices, name)[name]


def test_the_background_agrees_with_the_label_in_most_patches():
    for label in LABELS:
        found = [drawn("background", label, seed) for seed in SEEDS]
        assert all(choices["cytoplasm"].drawn == label for choices in found)
        agree = np.mean([choices["background"].drawn == label for choices in found])
        assert abs(agree - 0.8) < 4 * np.sqrt(0.8 * 0.2 / len(SEEDS))
        values = np.array([[choices["background"].looks[of]["background"] for of in LABELS] for choices in found])
        assert (values[:, 0] <= 0.3).all()
        assert (values[:, 1] >= 0.7).all()
    assert phenotype(drawn("cytoplasm", "malignant", 0)).background == 0


@pytest.mark.parametrize("signal", SIGNALS)
def test_without_strength_a_carrier_looks_the_same_as_either_class(signal):
    choices = drawn(signal, "malignant", 2, strength=0.0)
    assert all(own(choices, name) == other(choices, name) for name in CARRIERS[signal])


def test_a_class_is_changed_by_name():
    choices = drawn("cytoplasm", "malignant", 1)
    shown = phenotype(choices, {"cytoplasm": "benign"})
    assert shown.cytoplasm == choices["cytoplasm"].looks["benign"]["cytoplasm"]
    assert (shown.nucleus, shown.stroma) == (phenotype(choices).nucleus, phenotype(choices).stroma)
    assert phenotype(choices, {"cytoplasm": "malignant"}) == phenotype(choices)
