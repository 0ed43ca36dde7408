"""How numbers and names read."""

import math

import pytest

from saliency_stats.report import words
from saliency_stats.statistics import CONTRASTS, DIFFERENCES, STEPS

NAN = math.nan


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (words.magnification_words, (20.0,), "20×"),
        (words.magnification_words, (2.5,), "2.5×"),
        (words.check_words, ("cytoplasm_vs_nucleus_centred",), "centred"),
        (words.check_words, ("matched_sobel",), "at equal edges"),
        (words.check_words, ("matched_eosin_excess",), "at equal eosin, beyond eosin itself"),
        (words.check_words, ("cytoplasm_vs_nucleus",), ""),
        (words.flat, ({"threads": 1, "of": {"a": True}},), "threads 1, of a True"),
        (words.flat, ("cpu",), "cpu"),
        (words.number, (1.005, 1), "1.0"),
        (words.number, (-0.126,), "−0.13"),
        (words.number, (-0.001,), "0.00"),
        (words.number, (NAN,), "—"),
        (words.percent, (0.1234,), "12.3 %"),
        (words.percent, (0.1234, 0), "12 %"),
        (words.percent, (NAN,), "—"),
        (words.interval, (-0.5, 1.0), "−0.50 to 1.00"),
        (words.interval, (0.1234, 0.5, 3), "0.123 to 0.500"),
        (words.interval, (NAN, 1.0), "—"),
        (words.interval, (1.0, math.inf), "—"),
        (words.ratio, (1.0,), "2.00"),
        (words.ratio, (-1.0,), "0.50"),
        (words.ratio, (math.log2(9.994),), "9.99"),
        (words.ratio, (math.log2(9.996),), "10.0"),
        (words.ratio, (math.log2(10.0),), "10.0"),
        (words.ratio, (math.log2(99.94),), "99.9"),
        (words.ratio, (math.log2(100.0),), "100"),
        (words.ratio, (NAN,), "—"),
        (words.ratio_interval, (0.0, 1.0), "1.00–2.00"),
        (words.ratio_interval, (-math.inf, 1.0), "—"),
        (words.ratio_interval, (0.0, NAN), "—"),
        (words.minus, ("-1 to -0.5 (-2), 10-20, 1e-05, a-1, --1",), "−1 to −0.5 (−2), 10-20, 1e-05, a-1, --1"),
        (words.p_words, (0.0123,), "0.012"),
        (words.p_words, (0.0001,), "0.0001"),
        (words.p_words, (0.00009,), "< 0.0001"),
        (words.p_words, (NAN,), "—"),
        (words.p_sign, (0.5,), "p = 0.5"),
        (words.p_sign, (1e-9,), "p < 0.0001"),
        (words.p_sign, (NAN,), ""),
        (words.count, (1, "slide"), "1 slide"),
        (words.count, (0, "slide"), "no slides"),
        (words.count, (12907, "patch"), "12,907 patches"),
        (words.count, (NAN, "slide"), "unknown number of slides"),
        (words.whole, (1234.0,), "1,234"),
        (words.whole, (NAN,), "—"),
        (words.listing, ([],), "none"),
        (words.listing, (["a"],), "a"),
        (words.listing, (["a", "b", "c"],), "a, b and c"),
        (words.shorten, ("abcd", 4), "abcd"),
        (words.shorten, ("ab de", 4), "ab…"),
        (words.model_words, ("trained",), "trained"),
        (words.model_words, ("shuffled",), "shuffled control"),
        (words.model_words, ("trained-shuffled",), "trained − shuffled"),
        (words.control_words, ("shuffled",), "shuffled control"),
        (words.control_words, ("shuffled", "shuffled"), "shuffled control"),
        (words.control_words, ("shuffled", "shuffled: other labels"), "shuffled control (other labels)"),
        (words.control_words, ("shift", "shifted map: elsewhere"), "shift control (shifted map: elsewhere)"),
        (words.architecture_words, ("densenet201",), "DenseNet-201"),
        (words.architecture_words, ("my_densenet201",), "my_densenet201"),
        (words.architecture_words, ("none",), "outside this study (maps and probabilities from files)"),
        (words.architecture_words, ("efficientnet_lite0",), "EfficientNet-Lite0"),
        (words.architecture_words, ("torchvision:resnet50",), "resnet50 (torchvision)"),
        (words.architecture_words, ("python:/studies/mine.py:build",), "build (mine.py)"),
        (words.architecture_words, ("python:package.networks:build",), "build (package.networks)"),
    ],
)
def test_words(function, arguments, expected):
    assert function(*arguments) == expected


def test_everything_that_the_tables_name_has_words():
    assert {*CONTRASTS, *DIFFERENCES} <= set(words.CONTRAST_WORDS)
    assert tuple(words.STEP_WORDS) == STEPS
    assert words.CONTRAST_WORDS["stroma_vs_nucleus"] == "stroma : nucleus"
    assert words.STATUS_WORDS["equivalent"] == "No preference"
    assert words.STEP_WORDS["used"] == "Readable and used"
