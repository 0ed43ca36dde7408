"""Exchanging the classes of whole units: against every way written out, and how often it errs."""

from itertools import product

import numpy as np
import pytest

from saliency_stats.statistics.learned import EXACT_WAYS, Exchange, beats_chance, exchange_test, learned_words


def patches(*units):
    """Unit, class and correctness of patches; a unit is (right malignant, of, right benign, of)."""
    rows = [
        (number, malignant, place < right)
        for number, (*of_malignant, right_benign, benign) in enumerate(units)
        for malignant, right, n in ((True, *of_malignant), (False, right_benign, benign))
        for place in range(n)
    ]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def exchanged(*units, draws=999, seed=0):
    return exchange_test(*patches(*units), draws=draws, seed=seed)


def studentised(units, labels):
    """Sensitivity + specificity - 1 over its standard error; each block of a unit has a label."""
    blocks = [
        (number, label, called, n)
        for number, (blocks, swap) in enumerate(zip(units, labels, strict=True))
        for label, (called, n) in zip(swap, blocks, strict=True)
        if n
    ]
    sizes = [sum(n for _, label, _, n in blocks if label == of) for of in (0, 1)]
    rates = [sum(called for _, label, called, _ in blocks if label == of) / sizes[of] for of in (0, 1)]
    shares = np.zeros(len(units))
    for number, label, called, n in blocks:
        shares[number] += (1 if label else -1) * (called - rates[label] * n) / sizes[label]
    return (rates[1] - rates[0]) / np.sqrt(np.sum(shares**2))


def by_hand(*units):
    """Visit every assignment of labels that keeps the number of units with one class malignant."""
    # called malignant, of: the malignant block, then the benign one
    blocks = [((a, n), (m - b, m)) for a, n, b, m in units]
    single = [not (n and m) for _, n, _, m in units]
    ways = [
        labels
        for labels in product(((1, 0), (0, 1)), repeat=len(units))
        if sum(
            label[0] if block[0][1] else label[1]
            for label, block, one in zip(labels, blocks, single, strict=True)
            if one
        )
        == sum(block[0][1] > 0 for block, one in zip(blocks, single, strict=True) if one)
    ]
    found = [studentised(blocks, labels) for labels in ways]
    observed = studentised(blocks, [(1, 0)] * len(units))
    return np.mean(np.array(found) >= observed - 1e-9), 1 / len(ways)


ONE_CLASS = [(4, 5, 0, 0), (7, 9, 0, 0), (2, 4, 0, 0), (0, 0, 3, 6), (0, 0, 8, 9), (0, 0, 1, 4)]
BOTH = [(3, 5, 4, 6), (2, 4, 5, 9), (6, 8, 1, 3), (1, 4, 3, 4)]


@pytest.mark.parametrize("units", [ONE_CLASS, BOTH, [*ONE_CLASS, *BOTH[:2]], [*ONE_CLASS[1:], *BOTH[2:]]])
def test_all_ways_are_those_written_out(units):
    found = exchanged(*units)
    assert (found.p_value, found.attainable) == pytest.approx(by_hand(*units), abs=1e-12)
    assert 0 < found.p_value < 1
    assert found.n_units == len(units)
    assert found.n_both == sum(n > 0 and m > 0 for _, n, _, m in units)


def test_labels_of_single_classes_move_between_units_and_two_classes_change_places():
    perfect = [(5, 5, 0, 0)] * 3 + [(0, 0, 5, 5)] * 3
    assert exchanged(*perfect) == Exchange(1 / 20, 1 / 20, 6, 0)
    assert exchanged(*[(5, 5, 5, 5)] * 5) == Exchange(1 / 32, 1 / 32, 5, 5)
    assert exchanged(*perfect, *[(2, 2, 9, 9)] * 2) == Exchange(1 / 80, 1 / 80, 8, 2)
    # malignant units alone have nothing to exchange their labels with
    assert exchanged(*[(5, 5, 0, 0)] * 4, *[(5, 5, 5, 5)] * 3) == Exchange(1 / 8, 1 / 8, 7, 3)
    assert exchanged((5, 5, 5, 5)) == Exchange(1 / 2, 1 / 2, 1, 1)
    worst = [(0, n, 0, m) for _, n, _, m in perfect]
    assert exchanged(*worst).p_value == 1


def test_a_classifier_that_calls_everything_malignant_shows_nothing():
    assert exchanged(*[(5, 5, 0, 5)] * 5).p_value == 1
    assert exchanged(*[(5, 5, 0, 0)] * 3, *[(0, 0, 0, 5)] * 3).p_value == 1


def test_patches_of_a_unit_keep_their_labels_together():
    # 400 patches, but two slides alike and two not: as few ways as slides, whatever their patches
    assert exchanged(*[(95, 100, 95, 100)] * 4).p_value == 1 / 16
    assert exchanged(*[(1, 1, 1, 1)] * 4).p_value == 1 / 16


def test_more_ways_are_drawn_and_the_observed_one_counts():
    units = [(8, 10, 0, 0)] * 9 + [(0, 0, 9, 10)] * 9
    found = exchanged(*units, draws=500)
    assert found == Exchange(1 / 501, 1 / 501, 18, 0)
    assert exchanged(*[(5, 5, 5, 5)] * 14, draws=500).attainable == 1 / 501
    assert 2**13 <= EXACT_WAYS < 2**14
    assert exchanged(*[(5, 5, 5, 5)] * 13).attainable == 1 / 2**13


def test_random_ways_come_near_all_of_them(monkeypatch):
    units = [*ONE_CLASS, *BOTH]
    exact = exchanged(*units)
    monkeypatch.setattr("saliency_stats.statistics.learned.EXACT_WAYS", 0)
    drawn = exchanged(*units, draws=4000)
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.02)
    assert drawn.p_value != exchanged(*units, draws=4000, seed=1).p_value
    assert drawn == exchanged(*units, draws=4000)
    monkeypatch.setattr("saliency_stats.statistics.learned.BLOCK", 70)  # in pieces of seven ways
    assert exchanged(*units, draws=4000).p_value == pytest.approx(exact.p_value, abs=0.02)
    monkeypatch.setattr("saliency_stats.statistics.learned.EXACT_WAYS", 10_000)
    assert exchanged(*units) == exact


def test_random_labels_of_single_classes_are_a_permutation(monkeypatch):
    units = [(6, 10, 0, 0)] * 2 + [(8, 10, 0, 0), (0, 0, 7, 10), (0, 0, 5, 10), (0, 0, 4, 10), (0, 0, 2, 10)]
    exact = exchanged(*units)
    assert 0.1 < exact.p_value < 0.4
    monkeypatch.setattr("saliency_stats.statistics.learned.EXACT_WAYS", 0)
    assert exchanged(*units, draws=4000).p_value == pytest.approx(exact.p_value, abs=0.025)
    monkeypatch.setattr("saliency_stats.statistics.learned.BLOCK", 70)  # in pieces of ten ways, the last of four
    assert exchanged(*[(5, 5, 0, 0)] * 3, *[(0, 0, 0, 5)] * 4, draws=24).p_value == 1


def test_networks_of_a_patch_move_together():
    units, malignant, correct = patches(*ONE_CLASS, *BOTH)
    other = np.random.default_rng(0).permutation(correct)
    stacked = exchange_test(
        *(np.concatenate(pair) for pair in ((units, units), (malignant, malignant), (correct, other))), draws=9, seed=0
    )
    mean = exchange_test(units, malignant, (correct + 1.0 * other) / 2, draws=9, seed=0)
    assert stacked.p_value == pytest.approx(mean.p_value, abs=1e-12)
    assert stacked.attainable == mean.attainable
    twice = exchange_test(*(np.concatenate([x, x]) for x in (units, malignant, correct)), draws=9, seed=0)
    assert twice == exchange_test(units, malignant, correct, draws=9, seed=0)


def false_findings(sizes, *, icc, shift, of_class, studies=400):
    """How often a classifier that knows nothing of the class is said to beat chance at 5 %.

    A patch is called malignant where a normal score is above 0: its slide's share ``icc``, one of the slide's tissue of
    one class (SD ``of_class``: the block of the class is a place, and places differ), its own, and ``shift``.
    """
    rng = np.random.default_rng(7)
    errors = 0
    for _ in range(studies):
        sampled = sizes(rng)
        slides = rng.normal(0, np.sqrt(icc), len(sampled))
        units = []
        for centre, counts in zip(slides, sampled, strict=True):
            called = [
                (rng.normal(centre + shift + rng.normal(0, of_class), np.sqrt(1 - icc), n) > 0).sum() for n in counts
            ]
            units.append((called[0], counts[0], counts[1] - called[1], counts[1]))
        errors += exchanged(*units, draws=199).p_value <= 0.05
    return errors / studies


def equal(rng):
    return [(20, 0)] * 6 + [(0, 20)] * 6


def uneven(rng):
    n = np.maximum(1, rng.lognormal(2.5, 1.0, 18)).astype(int)
    return [*((k, 0) for k in n[:5]), *((0, k) for k in n[5:10]), *zip(n[10:14], n[14:], strict=True)]


def both(rng):
    return [(8, 30)] * 10


def few_malignant(rng):
    return [(2, 0)] * 10 + [(0, 40)] * 30


@pytest.mark.parametrize(
    ("sizes", "icc", "shift", "of_class"),
    [
        (equal, 0.3, 0.0, 0.0),
        (equal, 0.1, 1.0, 0.0),
        (uneven, 0.3, -0.5, 0.3),
        (both, 0.3, -1.0, 0.0),
        (both, 0.3, 0.0, 0.5),
        (few_malignant, 0.1, -1.2, 0.0),
    ],
)
def test_a_classifier_that_knows_nothing_is_found_out(sizes, icc, shift, of_class):
    # 400 studies: 5.5 % and two standard errors; by the bare difference the last errs in 24 %
    assert false_findings(sizes, icc=icc, shift=shift, of_class=of_class) <= 0.055 + 2 * np.sqrt(0.055 * 0.945 / 400)


def words(accuracy=0.9, low=0.8, exchange=None, minimum=0.65, alpha=0.05, unit="slide"):
    return learned_words(accuracy, low, exchange, minimum=minimum, alpha=alpha, unit=unit)


def test_learned_is_an_accuracy_and_a_test():
    found = Exchange(0.05, 0.001, 10, 10)
    assert words(exchange=found, minimum=0.9) == (
        True,
        "balanced accuracy 0.900 is above chance (0.5): p = 0.05 by exchanging the classes of 10 slides",
    )
    assert words(exchange=Exchange(0.0501, 0.001, 10, 10), unit="patient") == (
        False,
        (
            "balanced accuracy 0.900 is not shown to beat chance (0.5): p = 0.0501 by exchanging the classes of 10 "
            "patients, and alpha is 0.05"
        ),
    )
    assert words(0.649, exchange=found) == (
        False,
        "balanced accuracy 0.649 is below classifier.min_balanced_accuracy 0.65 (chance is 0.5)",
    )
    # the interval decides nothing where there is a test
    assert words(low=0.4, exchange=found)[0]
    assert not words(exchange=found, alpha=0.01)[0]


def test_too_few_units_are_said_to_be_so():
    learned, reason = words(exchange=Exchange(1 / 16, 1 / 16, 4, 4))
    assert not learned
    assert reason == (
        "balanced accuracy 0.900 could not have been told from chance (0.5): with 4 slides no p-value lies below "
        "0.0625, and alpha is 0.05; judge more slides of each class"
    )
    assert words(exchange=Exchange(1 / 20, 1 / 20, 6, 0))[0]
    assert ": with 1 patient no " in words(exchange=Exchange(0.5, 0.5, 1, 1), unit="patient")[1]


def test_all_that_speaks_against_it_is_said():
    _, reason = words(0.6, exchange=Exchange(0.2, 0.01, 10, 0))
    assert reason.split("; ") == [
        "balanced accuracy 0.600 is below classifier.min_balanced_accuracy 0.65 (chance is 0.5)",
        (
            "balanced accuracy 0.600 is not shown to beat chance (0.5): p = 0.2 by exchanging the classes of 10 "
            "slides, and alpha is 0.05"
        ),
    ]


def test_without_units_the_interval_decides():
    assert words(low=0.501) == (
        True,
        "balanced accuracy 0.900 is above chance (0.5): interval from 0.501; no test, because slides are unknown",
    )
    assert words(low=0.5, unit="patient") == (
        False,
        (
            "the interval of balanced accuracy 0.900 begins at 0.500 and includes chance (0.5); no test, because "
            "patients are unknown"
        ),
    )
    assert words(np.nan) == (
        False,
        "one of the classes has no patch in this split, so accuracy cannot be judged",
    )


def test_a_row_of_metrics_beats_chance_by_its_test_or_else_by_its_interval():
    row = {"balanced_accuracy_low": 0.6}
    assert beats_chance(row, 0.05)
    assert not beats_chance({"balanced_accuracy_low": 0.5}, 0.05)
    assert not beats_chance({"balanced_accuracy_low": np.nan}, 0.05)
    for p_value, expected in ((0.05, True), (0.051, False), (np.nan, True)):
        assert beats_chance(row | {"p_learned": p_value}, 0.05) is expected
    assert beats_chance({"balanced_accuracy_low": 0.4, "p_learned": 0.01}, 0.05)
