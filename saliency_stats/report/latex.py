"""Texts as LaTeX prints them, and the templates that write LaTeX."""

import re
import unicodedata
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

_GREEK_NAMES: Final = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda nu xi pi rho varsigma sigma tau upsilon"
    " varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_GREEK_LETTERS: Final = "αβγδεζηθικλνξπρςστυφχψωΓΔΘΛΞΠΣΥΦΨΩ"
#: What LaTeX reads as a command, what begins an option where a row begins with it, and what its fonts lack.
_TEX: Final = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "÷": r"$\div$",
    "\N{MINUS SIGN}": r"$-$",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "≠": r"$\neq$",
    "∞": r"$\infty$",
    "√": r"$\surd$",
    "µ": r"\textmu{}",
    "μ": r"\textmu{}",
    "²": r"$^2$",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "←": r"$\leftarrow$",
    "→": r"$\rightarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    **{letter: f"$\\{name}$" for letter, name in zip(_GREEK_LETTERS, _GREEK_NAMES.split(), strict=True)},
}


def escape(text: str) -> str:
    """Write a text so that LaTeX prints it as it is; line ends become spaces, so that no comment is left.

    What cannot be printed is named by its code point; letters of other scripts are left to the document.
    """
    plain = unicodedata.normalize("NFC", " ".join(str(text).split()))
    # two hyphens would be drawn as a dash
    return "{}".join("".join(map(_letter, part)) for part in re.split("(?<=-)(?=-)", plain))


def environment() -> Environment:
    """Return the templates, with :func:`escape` as the filter ``tex``."""
    made = Environment(  # noqa: S701 - LaTeX, where HTML's escapes would be wrong; the filter below escapes
        loader=PackageLoader("saliency_stats.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # LaTeX is full of "{#": a comment mark that cannot occur keeps Jinja from reading it as one.
        comment_start_string="((*",
        comment_end_string="*))",
    )
    made.filters["tex"] = escape
    return made


def _letter(letter: str) -> str:
    return _TEX.get(letter) or (letter if letter.isprintable() else f"{{[}}U+{ord(letter):04X}{{]}}")
