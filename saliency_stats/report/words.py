"""How numbers and names read in figures, tables and text: one spelling for each."""

import math
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final

from saliency_stats.statistics.sentences import listed
from saliency_stats.vocabulary import NO_NETWORK, TRAINED

#: Returns "a, b and c": one way to list, in the verdict and beside the figures.
listing: Final = listed

DASH: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"
TIMES: Final = "\N{MULTIPLICATION SIGN}"
NONE: Final = "—"

#: Below this a p-value is printed as an inequality.
_SMALLEST_P: Final = 0.0001
_TEN, _HUNDRED = 10.0, 100.0

#: What each status of a verdict says in two or three words.
STATUS_WORDS: Final = {
    "supported": "Supported",
    "contradicted": "Contradicted",
    "present_without_training": "Present without training",
    "explained_by_the_picture": "Explained by the picture",
    "equivalent": "No preference",
    "inconclusive": "Inconclusive",
    "not_testable": "Not testable",
}
CONTRAST_WORDS: Final = {
    "cytoplasm_vs_nucleus": "cytoplasm : nucleus",
    "nucleus_vs_rest": "nucleus : other tissue",
    "cytoplasm_vs_rest": "cytoplasm : other tissue",
    "stroma_vs_rest": "stroma : other tissue",
    "stroma_vs_nucleus": "stroma : nucleus",
    "stroma_vs_cytoplasm": "stroma : cytoplasm",
    "malignant_vs_benign": "{malignant} against {benign}",
    "confident_vs_unsure": "confident against unsure",
    "magnification_vs_reference": "against the reference magnification",
}
#: The primary contrast less its mean over all shifts of the map, and compared where a picture is alike.
CENTRED: Final = "cytoplasm_vs_nucleus_centred"
_MATCHED, _EXCESS = "matched_", "_excess"
_PICTURE_WORDS: Final = {"sobel": "edges"}
STEP_WORDS: Final = {
    "listed": "Listed",
    "used": "Readable and used",
    "evaluation split": "In the evaluation split",
    "correct": "Correctly classified",
    "correct and confident": "Correct and confident",
    "both compartments present": "Both compartments present",
}


def magnification_words(magnification: Any) -> str:
    """Return 20.0 as "20×"."""
    return f"{magnification:g}{TIMES}"


def check_words(contrast: str) -> str:
    """Say of the primary contrast asked otherwise what is done to it; "" of every other contrast."""
    if contrast == CENTRED:
        return "centred"
    if not contrast.startswith(_MATCHED):
        return ""
    picture = contrast.removeprefix(_MATCHED).removesuffix(_EXCESS)
    beyond = f", beyond {picture} itself" if contrast.endswith(_EXCESS) else ""
    return f"at equal {_PICTURE_WORDS.get(picture, picture)}{beyond}"


def model_words(model: str) -> str:
    """Return a model's name as a reader knows it."""
    if model == TRAINED:
        return "trained"
    if model.startswith(f"{TRAINED}-"):
        return f"trained {MINUS} {model.removeprefix(f'{TRAINED}-')}"
    return f"{model} control"


def control_words(control: str, what: str = "") -> str:
    """Return a control's name and what it is, as the run's record says it: "NAME: the same architecture with …"."""
    meaning = "" if what == control else what.removeprefix(f"{control}: ")
    return f"{model_words(control)} ({meaning})" if meaning else model_words(control)


def architecture_words(architecture: str) -> str:
    """Return "DenseNet-201" for "densenet201", "resnet50 (torchvision)" for "torchvision:resnet50"."""
    if architecture == NO_NETWORK:
        return "outside this study (maps and probabilities from files)"
    source, colon, name = architecture.partition(":")
    if source == "python" and colon:
        module, _, factory = name.rpartition(":")
        return f"{factory} ({PurePath(module).name})"
    if colon:
        return f"{name} ({source})"
    return re.sub(
        r"^densenet(?=\d)", "DenseNet-", re.sub(r"^efficientnet_lite(?=\d)", "EfficientNet-Lite", architecture)
    )


def number(value: float, digits: int = 2) -> str:
    """Return a number with a fixed number of decimals and a true minus sign; a dash where there is none."""
    if not math.isfinite(value):
        return NONE
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.replace("-", "")


def minus(text: str) -> str:
    """Return a text with a true minus before its negative numbers."""
    return re.sub(r"(?<![\w.-])-(?=\d)", MINUS, text)


def begun(text: str) -> str:
    """Begin a sentence: the first letter large, the others as they are."""
    return f"{text[:1].upper()}{text[1:]}"


def sentence(text: str) -> str:
    """Write a clause as a sentence: a capital letter, one full stop."""
    return f"{begun(text.strip().rstrip('.'))}."


def percent(value: float, digits: int = 1) -> str:
    """Return a share as a percentage."""
    return NONE if not math.isfinite(value) else f"{100 * value:.{digits}f} %"


def interval(low: float, high: float, digits: int = 2) -> str:
    """Return "low to high", which stays readable where a limit is negative; a dash where there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return NONE
    return f"{number(low, digits)} to {number(high, digits)}"


def ratio(log2_value: float) -> str:
    """Return a log2 ratio as a plain ratio, with about three digits."""
    if not math.isfinite(log2_value):
        return NONE
    value = 2.0**log2_value
    digits = 2 if round(value, 2) < _TEN else 1 if round(value, 1) < _HUNDRED else 0
    return f"{value:.{digits}f}"


def ratio_interval(low: float, high: float) -> str:
    """Return an interval of log2 ratios as plain ratios."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return NONE
    return f"{ratio(low)}{DASH}{ratio(high)}"


def p_words(p_value: float) -> str:
    """Return "0.012", "< 0.0001", or a dash where nothing was tested."""
    if not math.isfinite(p_value):
        return NONE
    return f"< {_SMALLEST_P:.4f}" if p_value < _SMALLEST_P else f"{p_value:.2g}"


def p_sign(p_value: float) -> str:
    """Return "p = 0.012" or "p < 0.0001"; nothing where nothing was tested."""
    if not math.isfinite(p_value):
        return ""
    words = p_words(p_value)
    return f"p {words}" if words.startswith("<") else f"p = {words}"


def count(n: float, singular: str) -> str:
    """Return "1 slide" or "12,907 patches"; "no slides" for none and "unknown slides" where unknown."""
    many = f"{singular}es" if singular.endswith("ch") else f"{singular}s"
    if not math.isfinite(n):
        return f"unknown number of {many}"
    return f"{whole(n) if n else 'no'} {singular if n == 1 else many}"


def whole(n: float) -> str:
    """Return a count with its thousands set apart."""
    return f"{int(n):,}" if math.isfinite(n) else NONE


def shorten(text: str, length: int) -> str:
    """Return a text cut to a length, the cut marked."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def flat(value: Any) -> str:
    """Return nested entries of a record as one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {flat(entry)}" for key, entry in value.items())
    return str(value)
