"""Lists of patches and of slides: columns, separators, encodings, lines, ids, paths, words, numbers, contradictions."""

import csv
import io
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from base import SLIDES as SLIDES_THERE
from base import read_csv, write_csv
from case import Area, Bad, given

Rows = list[list[str]]
Draw = Callable[[Random], Bad]

#: How programs and people write that they do not know.
_UNKNOWN: Final = ("NA", "n/a", "NaN", "-", "?", "None", "NULL", "unknown", "#N/A", ".", "nan", "--", "missing", "nil")
#: Ids that are no name of a file, or of one elsewhere.
_IDS: Final = (
    *(
        "../../../x",
        "../x",
        "/abs/x",
        "C:\\x",
        "..\\..\\x",
        "con",
        "a/b",
        "x" * 300,
        "..",
        ".",
        "a\nb",
        "-rf",
        "NUL.png",
    ),
    *("a\tb", "~/x", "$HOME", "%TEMP%", "a\x7fb", "a:b", "é" * 200, "x\0y", "work", ".hidden", "\u202egnp"),
)
_MPP: Final = (
    "0",
    "-0.5",
    "250",
    "nan",
    "inf",
    "-inf",
    "1e-9",
    "0,5",
    "0.5 µm",
    "abc",
    "9" * 5000,
    "0.5;",
    "1e400",
    "yes",
)
_LABELS: Final = (
    "tumor",
    "malignat",
    "2",
    "",
    "benign malignant",
    "NA",
    "1.0",
    "benign;",
    "cancer",
    "[malignant]",
    "x" * 300,
)
_SPLITS: Final = ("training", "tset", "", "0", "all", "holdout", "NA", "train test", "fold1")
_TYPOS: Final = {
    "path": ("pth", "file_path", "filename"),
    "label": ("lable", "labels", "class"),
    "mpp": ("mmp", "mpp_x", "um_per_px"),
    "split": ("splits", "spilt", "set"),
    "slide_id": ("slideid", "slide_ID_", "slide"),
    "patient_id": ("patientid", "pateint_id", "patient"),
    "annotation": ("anotation", "annotations", "annot"),
}


@dataclass(frozen=True)
class List:
    """A list of the sound folders: its file, its study, its columns, and what its lines name."""

    base: str
    file: str
    study: str
    columns: tuple[str, ...]
    #: Columns that may not be missing.
    needed: tuple[str, ...]
    #: Ids by which a line may be named as well.
    ids: tuple[str, ...] = ()

    def case(self, name: str, edit: Callable[[Rows, Random], Sequence[str]], *names: str, **more: Any) -> Bad:
        """Make a case of which ``edit`` changes the rows; it returns further words that may be named."""
        said: list[str] = []  # filled when the case is made, before it is judged

        def make(folder: Path, rng: Random) -> list[str]:
            rows = read_csv(folder / self.file)
            said.extend(edit(rows, rng))
            write_csv(folder / self.file, rows)
            return ["check", self.study]

        return Bad(f"{self.file}: {name}", make, _Words(names, said), self.base, **more)

    def content(self, name: str, write: Callable[[str, Random], bytes | str], *names: str, **more: Any) -> Draw:
        """Make a case of which ``write`` makes the file's content from the sound text."""

        def make(folder: Path, rng: Random) -> list[str]:
            content = write((folder / self.file).read_text(encoding="utf-8"), rng)
            (folder / self.file).write_bytes(content.encode() if isinstance(content, str) else content)
            return ["check", self.study]

        return given(f"{self.file}: {name}", make, self.file, *names, base=self.base, **more)


class _Words(tuple):  # noqa: SLOT001
    """Words that may be named, of which some are known when the case is made."""

    def __new__(cls, known: Sequence[str], said: list[str]):
        self = super().__new__(cls, known)
        self.said = said
        return self

    def __iter__(self):
        yield from super().__iter__()
        yield from self.said


PATCHES: Final = List(
    "patches",
    "patches.csv",
    "study.yaml",
    ("path", "label", "mpp", "split", "slide_id", "patient_id"),
    ("path", "label", "mpp"),
)
SLIDES: Final = List(
    "slides",
    "slides.csv",
    "slides.yaml",
    ("path", "slide_id", "patient_id", "annotation", "label", "split"),
    ("path",),
    SLIDES_THERE,
)


def _columns(of: List) -> list[Draw]:
    """Faults of the header, each column in turn."""
    found: list[Draw] = []
    for column in of.columns:
        found += [_twice(of, column), _misnamed(of, column), _other_case(of, column)]
    found += [_missing(of, column) for column in of.needed]
    found += [
        lambda _: of.case("an unknown column", _append("stainer", "HE"), "stainer", goes_on=of.file == "patches.csv")
    ]
    found += [lambda _: of.case("a column without a name", _append("", "x"), of.file, as_sound=True)]
    return found


def _append(name: str, value: str) -> Callable[[Rows, Random], Sequence[str]]:
    def edit(rows: Rows, _: Random) -> Sequence[str]:
        for at, row in enumerate(rows):
            row.append(value if at else name)
        return ()

    return edit


def _twice(of: List, column: str) -> Draw:
    def edit(rows: Rows, rng: Random) -> Sequence[str]:
        at = rows[0].index(column)
        other = rng.random() < 0.5  # the second one holds something else
        for number, row in enumerate(rows):
            row.append(f"{row[at]}x" if other and number else row[at])
        return ()

    return lambda _: of.case(f"column {column} twice", edit, column)


def _missing(of: List, column: str) -> Draw:
    def edit(rows: Rows, _: Random) -> Sequence[str]:
        at = rows[0].index(column)
        for row in rows:
            del row[at]
        return ()

    return lambda _: of.case(f"column {column} missing", edit, f"{column}", repr(column))


def _misnamed(of: List, column: str) -> Draw:
    def draw(rng: Random) -> Bad:
        wrong = rng.choice(_TYPOS[column])

        def edit(rows: Rows, _: Random) -> Sequence[str]:
            rows[0][rows[0].index(column)] = wrong
            return ()

        return of.case(f"column {column} as {wrong}", edit, wrong)

    return draw


def _other_case(of: List, column: str) -> Draw:
    def draw(rng: Random) -> Bad:
        wrong = rng.choice([column.upper(), column.title(), column.replace("_", " ") + " "])

        def edit(rows: Rows, _: Random) -> Sequence[str]:
            rows[0][rows[0].index(column)] = wrong
            return ()

        return of.case(f"column {column} as {wrong!r}", edit, wrong.strip(), as_sound=True)

    return draw


def _separated(by: str) -> Callable[[str, Random], str]:
    def write(text: str, _: Random) -> str:
        out = io.StringIO()
        csv.writer(out, delimiter=by, lineterminator="\n").writerows(csv.reader(io.StringIO(text)))
        return out.getvalue()

    return write


def _line(change: Callable[[str], str], at: int | None = None) -> Callable[[str, Random], str]:
    """Change one line of the text, a drawn one below the header where none is named."""

    def write(text: str, rng: Random) -> str:
        lines = text.splitlines()
        number = rng.randrange(1, len(lines)) if at is None else at
        lines[number] = change(lines[number])
        return "\n".join(lines) + "\n"

    return write


def _contents(of: List) -> list[Draw]:
    """Faults of the file: separators, encodings, lines."""
    body = of.content
    return [
        *(body(f"separated by {by!r}", _separated(by), as_sound=True) for by in (";", "\t", "|", " ", ":")),
        body("sep= in the first line", lambda text, _: "sep=;\n" + _separated(";")(text, _), as_sound=True),
        body("UTF-16", lambda text, _: text.encode("utf-16"), as_sound=True),
        body("UTF-16 without a mark", lambda text, _: text.encode("utf-16-le")),
        body("UTF-32", lambda text, _: text.encode("utf-32"), as_sound=True),
        body("latin-1", lambda text, _: text.replace("person-1", "Müller").encode("latin-1"), "line"),
        body("a NUL in a field", lambda text, _: text.replace("person-1", "per\0son")),
        body("NULs at its end", lambda text, _: text + "\0" * 512),
        body("cut in a letter", lambda text, _: (text + "ü").encode()[:-1]),
        body("one field more on a line", _line(lambda line: f"{line},extra"), "line"),
        body("two fields less on a line", _line(lambda line: line.rsplit(",", 2)[0]), "line"),
        body("a comma within a field", _line(lambda line: line.replace("person", "per,son")), "line"),
        body("a comma at the end of every line", lambda text, _: text.replace("\n", ",x\n").replace(",x", ",", 1)),
        body("an unclosed quote", _line(lambda line: '"' + line), "line"),
        body("a quote within a field", _line(lambda line: line.replace("person", 'per"son"')), "line", as_sound=True),
        body("a new line within a field", _line(lambda line: line.replace("person", '"per\nson') + '"'), "line"),
        body("empty", lambda _text, _: ""),
        body("one byte", lambda _text, _: "\n"),
        body("nothing but its header", lambda text, _: text.splitlines()[0] + "\n"),
        body("nothing but empty fields", lambda text, _: text.splitlines()[0] + "\n,,,,,\n,,,,,\n"),
        body("no header", lambda text, _: text.split("\n", 1)[1], *of.columns),
        body("the header again", lambda text, _: text + text.splitlines()[0] + "\n", "line"),
        body("a line of totals", lambda text, _: text + "total,12,,,,\n", "line"),
        body("a comment first", lambda text, _: "# exported 2026\n" + text),
        body("a title and an empty line first", lambda text, _: "My cohort,,,,,\n,,,,,\n" + text),
        body("a page of a browser", lambda _text, _: "<!DOCTYPE html><html><body>404</body></html>"),
        body("JSON", lambda _text, _: '[{"path": "a.png", "label": "benign"}]'),
        body("a workbook of Excel", lambda _text, _: b"PK\x03\x04" + bytes(range(256)) * 20),
        body("a workbook of old Excel", lambda _text, _: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2048)),
        body("a line of a million letters", lambda text, _: text + "q" * 1_000_000 + "\n", "line"),
        body("a cell of a million letters", lambda text, _: text.replace("person-1", "q" * 1_000_000), "line"),
        body("a thousand columns", lambda text, _: text.replace("\n", "," * 1000 + "\n")),
        body("every line in quotes", lambda text, _: "".join(f'"{line}"\n' for line in text.splitlines())),
        body("lines of old Macs in part", _line(lambda line: line + "\r" + line), "line"),
        _no_file(of, "a folder", lambda path: path.mkdir()),
        _no_file(of, "a pipe that nobody writes to", os.mkfifo),
        _no_file(of, "a link to itself", lambda path: path.symlink_to(path.name)),
        _no_file(of, "a link to nothing", lambda path: path.symlink_to("nothing.csv")),
        _no_file(of, "not there", lambda _: None),
    ]


def _no_file(of: List, name: str, put: Callable[[Path], object]) -> Draw:
    def make(folder: Path, _: Random) -> list[str]:
        (folder / of.file).unlink()
        put(folder / of.file)
        return ["check", of.study]

    return given(f"{of.file} is {name}", make, of.file, base=of.base)


def _field(of: List, column: str, value: str, name: str, *names: str, every: bool = False, **more: Any) -> Bad:
    """Put a value into a column: into one line that is drawn, or into every one."""

    def edit(rows: Rows, rng: Random) -> Sequence[str]:
        if column not in rows[0]:
            for number, row in enumerate(rows):
                row.append("" if number else column)
        at = rows[0].index(column)
        chosen = range(1, len(rows)) if every else [rng.randrange(1, len(rows))]
        for number in chosen:
            rows[number][at] = value
        # a line is named by its number, or by what is listed on it
        paths = [rows[number][rows[0].index("path")] for number in chosen]
        return (*(f"line {number + 1}" for number in chosen), *([] if column == "path" else [p for p in paths if p]))

    return of.case(name, edit, *names, *([value] if 3 < len(value) < 200 else []), **more)


def _words(of: List, column: str, values: Sequence[str], **more: Any) -> Draw:
    def draw(rng: Random) -> Bad:
        value = rng.choice(values)
        return _field(of, column, value, f"{column} is {value[:30]!r}", **more)

    return draw


def _unknown_ids(of: List, column: str) -> Draw:
    def draw(rng: Random) -> Bad:
        value, every = rng.choice(_UNKNOWN), rng.random() < 0.5
        return _field(of, column, value, f"{column} is {value!r}{' everywhere' if every else ''}", column, every=every)

    return draw


def _ids_in_files(of: List, column: str) -> Draw:
    """Ids that lead out of the run's folder: refused, or made a safe name of; the run stops for want of a split."""

    def draw(rng: Random) -> Bad:
        value = rng.choice(_IDS)
        bad = _field(of, column, value, f"{column} is {value[:30]!r}", column, "valid", value[:40])

        def make(folder: Path, rng: Random) -> list[str]:
            bad.make(folder, rng)
            return ["run", of.study, "--out", "out", "--set", "cohort.evaluation_split=valid"]

        return Bad(bad.name, make, bad.names, of.base)

    return draw


def _path_cases(of: List, ending: str) -> list[Draw]:
    """Paths that lead to nothing, to something else, or out of the list's folder."""

    def to(name: str, value: Callable[[Path, str], str], *names: str, **more: Any) -> Draw:
        def make(folder: Path, rng: Random) -> list[str]:
            rows = read_csv(folder / of.file)
            row = rows[rng.randrange(1, len(rows))]
            row[rows[0].index("path")] = value(folder, row[rows[0].index("path")])
            write_csv(folder / of.file, rows)
            return ["check", of.study]

        return given(f"{of.file}: path {name}", make, *names, *of.ids, base=of.base, **more)

    def moved(folder: Path, path: str) -> str:
        (folder.parents[2] / "elsewhere" / f"moved{ending}").write_bytes((folder / path).read_bytes())
        return os.path.relpath(folder.parents[2] / "elsewhere" / f"moved{ending}", folder)

    def other_case(_: Path, path: str) -> str:
        return path.upper()

    def linked(folder: Path, path: str) -> str:
        moved(folder, path)
        (folder / f"linked{ending}").symlink_to(folder.parents[2] / "elsewhere" / f"moved{ending}")
        return f"linked{ending}"

    def pipe(folder: Path, _: str) -> str:
        os.mkfifo(folder / f"pipe{ending}")
        return f"pipe{ending}"

    def looped(folder: Path, _: str) -> str:
        (folder / f"loop{ending}").symlink_to(f"loop{ending}")
        return f"loop{ending}"

    def decomposed(folder: Path, path: str) -> str:
        (folder / path).rename(folder / f"Gr\u00fcn{ending}")
        return f"Gru\u0308n{ending}"

    known: dict[str, Any] = {"goes_on": True}
    return [
        to("missing", lambda _f, _p: f"gone{ending}", "gone", **known),
        to("empty", lambda _f, _p: "", "line", "path"),
        to("in other letters", other_case, of.file, "CASE-1", "PATCHES", "WARD", **known),
        to("of other Unicode", decomposed, "Gru", "Grün", "Gr\\u", **known),
        to("outside of the folder", moved, "moved", "elsewhere"),
        to("of another machine", lambda _f, p: f"/data/of/somebody/{p}", "/data/of/somebody", **known),
        to("of Windows", lambda _f, p: f"C:\\data\\{p}", "C:\\\\data", "C:\\data", "C:/data", **known),
        to("that is a folder", lambda _f, _p: ".", "line", "'.'", **known),
        to("that is the list", lambda _f, _p: of.file, of.file, **known),
        to("with a star", lambda _f, _p: f"*{ending}", f"*{ending}", **known),
        to("of the web", lambda _f, _p: f"https://example.org/x{ending}", "example.org", **known),
        to("of 300 letters", lambda _f, _p: "x" * 300 + ending, "xxxx", **known),
        to("of 5,000 letters", lambda _f, _p: "x/" * 2500 + ending, "x/x", **known),
        to("of a pipe", pipe, "pipe", **known),
        to("of a link to itself", looped, "loop", **known),
        to("of a link that leads out", linked, "linked", as_sound=True, **known),
        to("above the root", lambda _f, _p: "../" * 60 + f"x{ending}", "line", "../..", **known),
    ]


def _twice_listed(of: List, name: str, put: Callable[[Path, str], str], **more: Any) -> Draw:
    """Put the file of one line on another one too, which names another slide (and split)."""

    def make(folder: Path, _: Random) -> list[str]:
        rows = read_csv(folder / of.file)
        at = rows[0].index("path")
        rows[-1][at] = put(folder, rows[1][at])
        write_csv(folder / of.file, rows)
        return ["check", of.study]

    names = ("twice", "same", "copy.", "again", "ward-11-0", "case-101.tif")
    return given(f"{of.file}: {name}", make, *names, base=of.base, **more)


def _copy(folder: Path, path: str) -> str:
    new = f"copy{Path(path).suffix}"
    shutil.copy(folder / path, folder / new)
    return new


def _hard(folder: Path, path: str) -> str:
    os.link(folder / path, folder / f"copy{Path(path).suffix}")
    return f"copy{Path(path).suffix}"


def _soft(folder: Path, path: str) -> str:
    (folder / f"copy{Path(path).suffix}").symlink_to(path)
    return f"copy{Path(path).suffix}"


def _copies(of: List) -> list[Draw]:
    return [
        _twice_listed(of, "one file under two ids", lambda _f, path: path),
        _twice_listed(of, "one file by another path", lambda _f, path: f"./x/../{path}"),
        _twice_listed(of, "a copy of a file", _copy),
        _twice_listed(of, "a hard link to a file", _hard),
        _twice_listed(of, "a link to a file", _soft),
    ]


def _contradiction(of: List, name: str, changes: dict[tuple[int, str], str], *names: str, **more: Any) -> Draw:
    """Change single fields, by line and column, so that two lines cannot both be true."""

    def edit(rows: Rows, _: Random) -> Sequence[str]:
        for (line, column), value in changes.items():
            if column not in rows[0]:
                for number, row in enumerate(rows):
                    row.append("" if number else column)
            rows[line][rows[0].index(column)] = value
        return ()

    return lambda _: of.case(name, edit, *names, **more)


_PATCH_CONTRADICTIONS: Final = (
    _contradiction(PATCHES, "a slide of two patients", {(2, "patient_id"): "other"}, "ward-11"),
    _contradiction(PATCHES, "a slide in two splits", {(2, "split"): "test"}, "ward-11", "person-0"),
    _contradiction(
        PATCHES, "a patient in two splits", {(7, "patient_id"): "person-0", (8, "patient_id"): "person-0"}, "person-0"
    ),
    _contradiction(PATCHES, "no split on one line", {(4, "split"): ""}, "line 5", "ward-12"),
    _contradiction(
        PATCHES, "a patch without a slide", {(11, "slide_id"): "", (11, "patient_id"): ""}, "ward-16", "slide"
    ),
    _contradiction(PATCHES, "one patch_id twice", {(1, "patch_id"): "p", (2, "patch_id"): "p"}, "'p'", "patch_id"),
    _contradiction(PATCHES, "only one class", {(n, "label"): "benign" for n in range(1, 13)}, "malignant"),
    _contradiction(
        PATCHES, "one class in the test split", {(n, "label"): "benign" for n in (7, 8, 11, 12)}, "malignant"
    ),
    _contradiction(PATCHES, "no test split", {(n, "split"): "train" for n in range(1, 13)}, "test"),
    _contradiction(PATCHES, "no train split", {(n, "split"): "test" for n in range(1, 13)}, "train"),
)
_SLIDE_CONTRADICTIONS: Final = (
    _contradiction(SLIDES, "a patient in two splits", {(2, "patient_id"): "person-0"}, "person-0"),
    _contradiction(SLIDES, "one slide_id twice", {(2, "slide_id"): "case-101"}, "case-101"),
    _contradiction(SLIDES, "no split on one line", {(4, "split"): ""}, "split"),
    _contradiction(SLIDES, "malignant and not annotated", {(1, "annotation"): ""}, "case-101"),
    _contradiction(SLIDES, "benign and annotated", {(1, "label"): "benign"}, "case-101"),
    _contradiction(
        SLIDES,
        "an annotation that is not there",
        {(1, "annotation"): "half-101.GEOJSON"},
        "half-101.GEOJSON",
        goes_on=True,
    ),
    _contradiction(SLIDES, "an annotation that is a slide", {(1, "annotation"): "case-103.tif"}, "case-103.tif"),
    _contradiction(SLIDES, "an annotation that is a folder", {(1, "annotation"): "."}, "line 2"),
    _contradiction(
        SLIDES, "an annotation that leads out", {(1, "annotation"): "../../../elsewhere/bait.csv"}, "bait.csv"
    ),
    _contradiction(SLIDES, "slides that are annotations", {(1, "path"): "half-101.geojson"}, "half-101.geojson"),
    _contradiction(
        SLIDES,
        "only normal slides",
        {(n, c): v for n in (1, 2) for c, v in (("annotation", ""), ("label", "benign"))},
        "malignant",
    ),
)


def _fields(of: List) -> list[Draw]:
    ids = [_unknown_ids(of, column) for column in ("slide_id", "patient_id") for _ in range(2)]
    return [
        *ids,
        *[_words(of, "mpp", _MPP)] * 3,
        *[_words(of, "split", _SPLITS)] * 2,
        _words(of, "label", _LABELS if of is PATCHES else [word for word in _LABELS if word]),
        *[_ids_in_files(of, "slide_id" if of is SLIDES else "patch_id")] * 4,
    ]


def areas() -> list[Area]:
    """List the areas of this module."""
    return [
        Area(
            of.file,
            (_columns(of), _contents(of), _fields(of), [*_path_cases(of, ending), *_copies(of)], contradictions),
        )
        for of, ending, contradictions in (
            (PATCHES, ".png", _PATCH_CONTRADICTIONS),
            (SLIDES, ".tif", _SLIDE_CONTRADICTIONS),
        )
    ]
