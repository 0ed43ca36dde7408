"""The rules for the fields of a listing: ids, words, µm per pixel. What breaks one is added to its problems."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Final

import pandas as pd

from saliency_stats.classes import Classes
from saliency_stats.cohort.listing import Listing
from saliency_stats.cohort.patch import PLAUSIBLE_MPP
from saliency_stats.errors import shortened, shown
from saliency_stats.vocabulary import LABELS

#: How tables say that something is unknown, as the letters and digits that are left of it. A text without any (``-``,
#: ``?``, ``.``) says so too. Taken for ids, they would make one slide or patient of all that are unknown.
_UNKNOWN: Final = frozenset(
    {
        *("na", "nan", "nat", "none", "null", "nil", "nodata", "missing", "empty", "blank", "undefined", "undef"),
        *("unknown", "unk", "unkn", "notknown", "notavailable", "notapplicable", "notgiven", "unspecified", "tbd"),
        # what spreadsheets write of a formula that fails
        *("ref", "value", "div0", "nullref"),
        # what is left of a name after it was taken away
        *("anonymous", "anonymized", "anonymised", "anon", "deidentified", "redacted", "removed"),
    }
)
_SPREADSHEET: Final = frozenset({"ref", "value", "div0"})
#: File names end here, and names of files are made of ids.
_LONGEST_ID: Final = 200
_DECIMAL: Final = re.compile(r"\+?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


def is_unknown(text: str) -> bool:
    """Tell whether a text is a word for "unknown" rather than a name; an empty text is neither."""
    letters = "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))
    if letters in _SPREADSHEET:  # of these the sign tells: #REF! is an error, ref a name
        return text.startswith("#")
    return text != "" and (letters == "" or letters in _UNKNOWN)


def ids(listing: Listing, column: str) -> "pd.Series[str]":
    """Give the ids of a column as typed, each in one Unicode form (NFC), so that one id does not become two.

    Words for "unknown", ids with characters that cannot be seen, and very long ones are problems.
    """
    found = one_form(listing.table[column])
    rows, what = listing.columns.rows, column.partition("_")[0]
    for text, lines in _by_text(found):
        if is_unknown(text):
            listing.problems.add(
                f"{column} is {shown(text)}; leave it empty where it is unknown: as an id it would make one {what} of "
                f"all {rows} that have none",
                lines,
            )
        elif not text.isprintable() or "\ufffd" in text:
            wrong = next(letter for letter in text if not letter.isprintable() or letter == "\ufffd")
            listing.problems.add(
                f"{column} {text[:_LONGEST_ID]!a} holds {_named(wrong)}, which cannot be seen or was lost; "
                f"write the id without it",
                lines,
            )
        elif len(text) > _LONGEST_ID:
            listing.problems.add(f"{column} is {shown(text)}; expected at most {_LONGEST_ID} characters", lines)
    return found


def one_form(texts: "pd.Series[str]") -> "pd.Series[str]":
    """Write texts in one Unicode form (NFC)."""
    return texts.map(lambda text: unicodedata.normalize("NFC", text))


def check_words(listing: Listing, column: str, allowed: tuple[str, ...]) -> None:
    """Refuse words of a column that are not allowed, each with the nearest that is; a field may be empty."""
    for text, lines in _by_text(listing.table[column]):
        if text not in {*allowed, ""}:
            expected = f"{' or '.join(allowed)}, or nothing{_meant(text, allowed)}"
            listing.problems.add(f"{column} is {shown(text)}; expected {expected}", lines)


def labels(listing: Listing, classes: Classes, *, may_be_empty: bool) -> "pd.Series[str]":
    """Give the class that each word of the column ``label`` stands for; words of neither class are problems.

    So is a class of the study file that no row has, where every row must have one.
    """
    column = listing.table["label"]
    found = column.map(classes.label)
    unknown = column[(found == "") & ~((column == "") & may_be_empty)]
    words = [word for of in classes.known_words for word in of]
    stand = " or ".join(
        shortened(", ".join(of)) + (f" ({name})" if len(of) > 1 else "")
        for name, of in zip(classes.names, classes.known_words, strict=True)
    )
    for text, lines in _by_text(unknown):
        other = f"{_meant(text, words)}. What other words stand for, cohort.classes says" if text else ""
        listing.problems.add(
            f"label is {shown(text)}; expected {stand}{', or nothing' if may_be_empty else ''}{other}", lines
        )
    if classes.are_stated and unknown.empty and not may_be_empty:
        there = ", ".join(f"{shown(text)} ({len(lines)} {listing.columns.rows})" for text, lines in _by_text(column))
        for label, name, of in zip(LABELS, classes.names, classes.known_words, strict=True):
            if not (found == label).any():
                listing.problems.add(
                    f"no {listing.columns.row} is of the class {name}: none has the label {' or '.join(of)}, found "
                    f"{shortened(there)}. Correct cohort.classes, or add {listing.columns.rows} of that class"
                )
    return found


def check_all_or_none(listing: Listing, column: str) -> None:
    """Refuse a column that is filled for some rows only."""
    filled = listing.table[column] != ""
    if filled.any() and not filled.all():
        listing.problems.add(
            f"no {column}, while other {listing.columns.rows} have one; give all of them one, or none",
            _lines(filled[~filled]),
        )


def pixel_sizes(
    listing: Listing, names: "pd.Series[str]", default: float | None, *, needed: bool
) -> "pd.Series[float]":
    """Read the column ``mpp``: µm per pixel, ``default`` where it is empty, else NaN.

    Parameters
    ----------
    names
        What the rows are called in a message.
    needed
        Whether a row without any is a problem.
    """
    text, row = listing.table["mpp"], listing.columns.row
    low, high = PLAUSIBLE_MPP
    expected = f"expected µm per pixel between {low:g} and {high:g} (0.25 at 40×, 0.5 at 20×, 1 at 10×)"
    sizes = text.map(lambda field: float(field) if _DECIMAL.fullmatch(field) else float("nan"))
    sizes = sizes.where(sizes.between(low, high))
    for field, lines in _by_text(text[sizes.isna() & (text != "")]):
        listing.problems.add(f"mpp is {shown(field)} ({row} {shown(names[lines[0]])}); {expected}{_hint(field)}", lines)
    empty = text == ""
    if default is not None:
        sizes = sizes.where(~empty, default)
        if not low <= default <= high:
            listing.problems.add(f"cohort.mpp is {default:g}; {expected}")
    elif needed and empty.any():
        lines = _lines(text[empty])
        listing.problems.add(
            f"mpp is missing ({row} {shown(names[lines[0]])}); {expected}. Fill in the column mpp, or set cohort.mpp "
            f"in the study file for all {listing.columns.rows} without one",
            lines,
        )
    return sizes


def probabilities(listing: Listing, column: str, names: "pd.Series[str]") -> "pd.Series[float]":
    """Read a column of probabilities; any other text, and an empty one, is a problem.

    ``names`` says what the rows are called in a message.
    """
    text, row = listing.table[column], listing.columns.row
    found = text.map(lambda field: float(field) if _DECIMAL.fullmatch(field) else float("nan"))
    found = found.where(found.between(0, 1))
    for field, lines in _by_text(text[found.isna()]):
        wrong = f"is {shown(field)}" if field else "is missing"
        listing.problems.add(
            f"{column} {wrong} ({row} {shown(names[lines[0]])}); expected a probability from 0 to 1"
            f"{_hint(field) if field else ''}",
            lines,
        )
    return found


def check_once(listing: Listing, table: pd.DataFrame, key: list[str], remedy: str) -> None:
    """Refuse rows that share a key of columns, of which the first is an id."""
    for values, part in table[table.duplicated(key, keep=False)].groupby(key, sort=False):
        times = "twice" if len(part) == 2 else f"{len(part)} times"  # noqa: PLR2004
        name = f"{listing.columns.row} {shown(str(values[0]))}"
        listing.problems.add(f"{name} is listed {times}; {remedy}", _lines(part))


def check_one_patient(listing: Listing, slides: "pd.Series[str]", patients: "pd.Series[str]") -> None:
    """Refuse slides that are of two patients."""
    named = pd.DataFrame({"slide": slides, "patient": patients})[(slides != "") & (patients != "")]
    for slide, part in named.groupby("slide", sort=False):
        of = part["patient"].drop_duplicates()
        if len(of) > 1:
            first, other = of.iloc[0], of.iloc[1]
            listing.problems.add(
                f"slide {shown(str(slide))} is of patient {shown(other)}, but of patient {shown(first)} on line "
                f"{of.index[0]}; no two patients share a slide id",
                _lines(of.iloc[1:]),
            )


def _by_text(column: "pd.Series[str]") -> Iterator[tuple[str, list[int]]]:
    """Give every text of a column with its lines, in the order of the table."""
    for text, part in column.groupby(column, sort=False):
        yield str(text), _lines(part)


def _lines(rows: "pd.Series[str] | pd.Series[bool] | pd.DataFrame") -> list[int]:
    return [int(str(line)) for line in rows.index]


def _meant(text: str, words: Sequence[str]) -> str:
    """Name the word that was probably meant, if any is near."""
    known = {word.casefold(): word for word in words}
    near = get_close_matches(text.casefold(), known, n=1)
    return f". Did you mean {known[near[0]]!r}?" if near else ""


def _named(letter: str) -> str:
    return f"U+{ord(letter):04X} ({unicodedata.name(letter, 'a control character').lower()})"


def _hint(field: str) -> str:
    if _DECIMAL.fullmatch(field.replace(",", ".")) and "," in field:
        return ". Write decimals with a point"
    number = re.match(_DECIMAL, field)
    if number is not None and number.end() < len(field):
        return ". Write the number alone, without its unit"
    return ". Leave it empty where it is unknown" if is_unknown(field) else ""
