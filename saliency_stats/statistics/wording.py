"""Numbers and names as they are read in a sentence."""

from numbers import Real
from typing import Any

import numpy as np

from saliency_stats.statistics.parameters import StatisticsParameters

TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"
#: A compartment as the object of a sentence, and with its verb.
NOUNS = {"nucleus": "the nuclei", "cytoplasm": "the cytoplasm", "stroma": "the stroma"}
WERE = {"nucleus": "the nuclei were", "cytoplasm": "the cytoplasm was", "stroma": "the stroma was"}
_SPLITS = {"train": "training", "valid": "validation", "test": "test"}
_CORRECTIONS = {"holm": "Holm", "bh": "Benjamini\N{EN DASH}Hochberg"}


def magnification_words(magnification: Any) -> str:
    """Return 20, 20.0 and "20x" with the sign of multiplication, another name as it is."""
    if isinstance(magnification, Real) and not isinstance(magnification, bool):
        return f"{float(magnification):g}{TIMES}"
    text = str(magnification)
    return f"{text[:-1]}{TIMES}" if text[-1:] in {"x", "X"} and text[:-1].replace(".", "", 1).isdigit() else text


def ratio_words(log2_ratio: float) -> str:
    """Return a log2 ratio as a plain ratio of three digits."""
    return np.format_float_positional(2.0**log2_ratio, precision=3, unique=False, fractional=False, trim="-")


def interval_words(low: float, high: float, alpha: float, *, flip: bool = False) -> str:
    """Return a log2 interval as an interval of ratios, of the inverse ratio if ``flip``."""
    if flip:
        low, high = -high, -low
    ends = [ratio_words(end) if np.isfinite(end) else "no limit" for end in (low, high)]
    return f"{100 * (1 - alpha):g} % CI {ends[0]}{DASH}{ends[1]}"


def p_words(p_adjusted: float, settings: StatisticsParameters) -> str:
    """Return an adjusted p-value with the name of its correction."""
    least = 0.0001
    number = f"p < {least:.4f}" if p_adjusted < least else f"p = {p_adjusted:.2g}"
    return f"{number} after {_CORRECTIONS[settings.correction]}"


def counted(number: int, noun: str) -> str:
    """Return "1 slide", "63 patches"."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def sizes_words(row: Any) -> str:
    """Return the sizes of a sample, the unit of inference first."""
    parts = [counted(int(row["n_units"]), "patient")] if row["unit"] == "patient" else []
    if row["n_slides"]:
        parts.append(counted(int(row["n_slides"]), "slide"))
    parts.append(counted(int(row["n_patches"]), "patch"))
    return ", ".join(parts) + (" taken as independent" if row["unit"] == "patch" else "")


def patches_words(label: str, magnification: Any, settings: StatisticsParameters, *, number: str = "patches") -> str:
    """Return the name of a sample: class, split and magnification."""
    where = f"{split_words(settings)} {number} at {magnification_words(magnification)}"
    return f"correctly and confidently classified {label} {where}"


def split_words(settings: StatisticsParameters) -> str:
    """Return the evaluation split as an adjective."""
    return _SPLITS[settings.evaluation_split]


def listed(items: list[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
