"""Study files and ``--set``: every key with values that it cannot have, and files that are no study file."""

import os
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import yaml
from base import PATCHES_YAML, PHANTOM_YAML, SLIDES_YAML
from case import Area, Bad, given
from pydantic import BaseModel

from saliency_stats.settings import StudySettings
from saliency_stats.settings.cohort import COHORT_KINDS

#: Study files of the sound folders, by kind of cohort: base folder, file, content.
STUDIES: Final = {
    "phantom": ("patches", "phantom.yaml", PHANTOM_YAML),
    "patches": ("patches", "study.yaml", PATCHES_YAML),
    "slides": ("slides", "slides.yaml", SLIDES_YAML),
}
#: A name that nothing has.
NOBODY: Final = "nosuchthing"
_HERE: Final = "@@value@@"
_DIGITS: Final = "9" * 5000
_LONG: Final = "x" * 5000
#: Numbers as people and programs write them where none is meant, or another one.
NUMBERS: Final = (
    *("yes", "on", "off", "true", "[1]", "{a: 1}", "word", ".nan", ".inf", "-.inf", "1e400", "-1e400", _DIGITS),
    *("-1000000000", "0123", "1:30", "2026-02-31", "2026-02-03", "2026-11-27 25:61:00", "'1,5'", "'0x'", "~", "'5 %'"),
    *("!!binary aGk=", "!!python/object/apply:os.getcwd []", "!!set {a}", "'½'", f"'{_DIGITS}'", "[[1]]", "'1 000'"),
)
_WORDS: Final = ("3", "[]", "{a: b}", "yes", "~", NOBODY, "2026-02-31", _DIGITS, f"'{_LONG}'", "1.5", '"a\\0b"', "''")
_FLAGS: Final = ("2", "maybe", "[]", "{}", "~", "-1", "0.5", "2026-02-31", ".nan", "[yes]", f"'{_LONG}'")
_LISTS: Final = (
    "5",
    "{a: b}",
    "[[[]]]",
    NOBODY,
    "[5]",
    f"[{NOBODY}]",
    "[~]",
    "yes",
    "[{a: b}]",
    "[2026-02-31]",
    "[.nan]",
)
_SECTIONS: Final = ("5", "[]", "word", "yes", "[{}]", "2026-02-31", ".nan", "''", "[a, b]")
_MAPPINGS: Final = ("5", "[]", "word", f"{{{NOBODY}: 5}}", f"{{{NOBODY}: [{NOBODY}]}}", "{1: 2}", "{~: []}", "[{}]")
_NUMBER_LISTS: Final = ("[0]", "[-1]", "[yes]", "[1:30]", "[0123]", "[word]", "[.inf]", "[]", "[[20]]", f"[{_DIGITS}]")
_PATHS: Final = ("missing.csv", ".", "patches", "loop.csv", '"a\\0b"', f"'{_LONG}'", "5", "[]", "/", "~", "''", "yes")
#: Values of single keys that pass every rule of their kind and are wrong all the same.
_OWN: Final[dict[str, tuple[str, ...]]] = {
    "name": ("a/b", "../x", "'a b'", "'.'", "..", "'x/../../y'", "'-x'", "'a\\b'"),
    "statistics.bootstrap_draws": ("1000000000000", "999999999"),
    "cohort.mpp_override": (f"{{'{NOBODY}*': 0.25}}", "{case-101: -1}", "{case-101: yes}", "{case-101: 1:30}"),
    "cohort.annotation_groups": (
        "{tumor: [Tumor]}",
        "{tumour: 5}",
        "{tumour: [A], exclude: [a]}",
        f"{{{NOBODY}: [A]}}",
    ),
    "statistics.families": (f"{{mine: [{NOBODY}]}}", "{mine: []}", "{mine: 5}", "{}"),
    "cohort.magnifications": ("[20, 20]", "[1.0e-9]", "[1.0e+9]", "[1.0e-300]", "[37]"),
    "cohort.spacing_um": ("1.0e-9", "1.0e+300"),
    "cohort.central_um": ("1.0e-300", "1.0e+300"),
    "cohort.kind": ("slide", "Phantoms", "tiles", "5", "[]", "{a: b}", "~x"),
    "cohort.fractions": ("{train: 0.5, valid: 0.5, test: 0.5}", "{train: yes, valid: 0, test: 0.5}"),
}


@dataclass(frozen=True)
class Key:
    """A key of the study file: dotted, what it holds, and whether it may hold nothing."""

    name: str
    holds: str
    optional: bool
    kind: str


def keys(model: type[BaseModel] = StudySettings, prefix: str = "", kind: str = "") -> Iterator[Key]:
    """Walk every key of every section."""
    for name, entry in model.model_fields.items():
        dotted = f"{prefix}{name}"
        if name == "cohort":
            for cohort, section in COHORT_KINDS.items():
                yield Key(dotted, "section", optional=True, kind=cohort)
                yield from keys(section, f"{dotted}.", cohort)
            continue
        holds, optional = _holds(entry.annotation)
        yield Key(dotted, holds, optional, kind or "patches")
        if holds == "section":
            yield from keys(entry.annotation, f"{dotted}.", kind)


def _holds(annotation: Any) -> tuple[str, bool]:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _holds(args[0])
    if origin in {Union, types.UnionType}:
        return _holds(next(arg for arg in args if arg is not type(None)))[0], type(None) in args
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section", True
    if origin in {list, tuple}:
        return ("numbers" if _holds(args[0])[0] == "number" else "list"), False
    plain = {bool: "flag", int: "number", float: "number", str: "text", Path: "path"}
    return "mapping" if origin is dict else "text" if origin is Literal else plain[annotation], False


_WRONG: Final[dict[str, tuple[str, ...]]] = {
    "number": NUMBERS,
    "text": _WORDS,
    "flag": _FLAGS,
    "list": _LISTS,
    "numbers": (*_LISTS, *_NUMBER_LISTS),
    "mapping": _MAPPINGS,
    "section": _SECTIONS,
    "path": _PATHS,
}


def wrong_values(key: Key) -> tuple[str, ...]:
    """List texts of YAML that the key cannot have."""
    own = _OWN.get(key.name, ())
    common = _WRONG[key.holds]
    if key.name in {"cohort.kind", "name"}:
        common = ("3", "[]", "{a: b}", "2026-02-31", f"[{NOBODY}]")
    # nothing at all is what an optional key holds by itself
    return (*[value for value in common if not (key.optional and value == "~")], *own)


def _in_file(key: Key) -> Callable[[Random], Bad]:
    def draw(rng: Random) -> Bad:
        value = rng.choice(wrong_values(key))
        base, file, content = STUDIES[key.kind]

        def make(folder: Path, _: Random) -> list[str]:
            links(folder)
            (folder / file).write_text(with_value(content, key.name, value), encoding="utf-8")
            return ["check", file]

        # what is no YAML, or of a kind that is not taken, has no key yet: it is named by its line
        line = () if _is_yaml(value) and "!!" not in value else ("line ",)
        return Bad(f"{key.kind}: {key.name}: {short(value)}", make, (*naming(key.name, value), *line), base)

    return draw


def _is_yaml(value: str) -> bool:
    try:
        yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        return False
    return True


def _in_set(key: Key) -> Callable[[Random], Bad]:
    def draw(rng: Random) -> Bad:
        value = rng.choice(wrong_values(key))
        base, file, content = STUDIES[key.kind]

        def make(folder: Path, _: Random) -> list[str]:
            links(folder)
            (folder / file).write_text(content, encoding="utf-8")
            return ["check", file, "--set", f"{key.name}={value}"]

        return Bad(f"--set {key.kind}: {key.name}={short(value)}", make, naming(key.name, value), base)

    return draw


def naming(dotted: str, value: str) -> tuple[str, ...]:
    """Words that name a key, its last part among them, or a value that nothing else has."""
    more = {"name": ("name",)}.get(dotted, ())
    last = dotted.rpartition(".")[2]
    return (dotted, f"{last} ", f"{last}:", f"{last}.", f".{last}", *more, *([NOBODY] if NOBODY in value else []))


def short(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:12]}… ({len(value)} characters)"


def with_value(content: str, dotted: str, value: str) -> str:
    """Put a text of YAML where a key of a study file has its value."""
    study = yaml.safe_load(content)
    part, (*steps, last) = study, dotted.split(".")
    for step in steps:
        if not isinstance(part.get(step), dict):
            part[step] = {}
        part = part[step]
    part[last] = _HERE
    return yaml.safe_dump(study, sort_keys=False, allow_unicode=True, width=10_000).replace(f"'{_HERE}'", value)


def links(folder: Path) -> None:
    """Make a link that leads to itself."""
    (folder / "loop.csv").symlink_to("loop.csv")


def _misspelt(word: str, rng: Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    ways = [word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:], word.replace("_", "-"), word.capitalize()]
    return rng.choice([way for way in ways if way != word])


def _unknown_key(*, by_set: bool) -> Callable[[Random], Bad]:
    def draw(rng: Random) -> Bad:
        key = rng.choice([key for key in keys() if len(key.name.rpartition(".")[2]) > 3])
        *steps, last = key.name.split(".")
        wrong = ".".join([*steps, _misspelt(last, rng)])
        base, file, content = STUDIES[key.kind]

        def make(folder: Path, _: Random) -> list[str]:
            (folder / file).write_text(content if by_set else with_value(content, wrong, "5"), encoding="utf-8")
            return ["check", file, *(["--set", f"{wrong}=5"] if by_set else [])]

        return Bad(f"{'--set ' if by_set else ''}{key.kind}: unknown key {wrong}", make, (wrong,), base)

    return draw


def _file(name: str, text: str | bytes | Callable[[Random], str | bytes], *names: str, **more: Any) -> Any:
    """Make a study file of this content."""

    def make(folder: Path, rng: Random) -> list[str]:
        content = text(rng) if callable(text) else text
        content = content.encode() if isinstance(content, str) else content
        (folder / "study.yaml").write_bytes(content)
        return ["check", "study.yaml"]

    return given(name, make, "study.yaml", *names, **more)


def _bomb(levels: int, wide: int) -> str:
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * wide)}]" for level in range(1, levels)]
    return "\n".join([*lines, f"controls: *a{levels - 1}", ""]) + PATCHES_YAML.replace("controls: []\n", "")


def _bomb_in(key: str) -> str:
    rows = ["x0: &x0 {a: 1}", *[f"x{n}: &x{n} {{a: *x{n - 1}, b: *x{n - 1}, c: *x{n - 1}}}" for n in range(1, 25)]]
    # the aliases stand in a value, so that the value itself must be refused
    inner = ", ".join(rows)
    return f"{key}: {{{inner}}}\n"


def _path(name: str, put: Callable[[Path], str], *names: str) -> Any:
    def make(folder: Path, _: Random) -> list[str]:
        return ["check", put(folder)]

    return given(name, make, *names)


def _loop(folder: Path) -> str:
    (folder / "loop.yaml").symlink_to("loop.yaml")
    return "loop.yaml"


def _cut(rng: Random) -> str:
    inner = [at for at, letter in enumerate(PATCHES_YAML) if letter in "{:," and at > 15]
    return PATCHES_YAML[
        : rng.choice([at for at in inner if PATCHES_YAML[:at].count("{") > PATCHES_YAML[:at].count("}")])
    ]


_FILES: Final = (
    _file("a key twice", PATCHES_YAML + "report: {examples: 2}\n", "report"),
    _file("a key of a section twice", PATCHES_YAML.replace("epochs: 1", "epochs: 1, epochs: 2"), "epochs"),
    _file("tabs", PATCHES_YAML.replace("report: ", "report:\n\texamples: 2\n#")),
    _file("several documents", PATCHES_YAML + "---\n" + PATCHES_YAML),
    _file("an unknown tag", PATCHES_YAML + "seed: !mine 5\n"),
    _file("a tag of Python", PATCHES_YAML + "seed: !!python/object/apply:os.system ['touch hacked']\n"),
    _file("bomb of aliases in a list", _bomb(9, 9), "controls", "a0"),
    _file("bomb of aliases, wider", _bomb(6, 40), "controls", "a0"),
    _file("bomb of aliases in a section", _bomb_in("saliency"), "saliency"),
    _file("bomb of aliases in an unknown section", _bomb_in("mysection"), "mysection"),
    _file("an alias of itself", "report: &a {examples: *a}\n", "report"),
    _file("an alias without an anchor", PATCHES_YAML + "seed: *nobody\n", "nobody"),
    _file("a merge key that merges a number", PATCHES_YAML.replace("report: {", "report: {<<: 5, ")),
    _file("2,000 lists in each other", "controls: " + "[" * 2000 + "]" * 2000 + "\n", "controls"),
    _file("2,000 sections in each other", "controls: " + "{a: " * 2000 + "1" + "}" * 2000 + "\n", "controls"),
    _file("20,000 lists in each other", "controls: " + "[" * 20_000 + "]" * 20_000 + "\n", "controls"),
    _file("UTF-16", PATCHES_YAML.encode("utf-16"), as_sound=True),
    _file("UTF-16 without a mark", PATCHES_YAML.encode("utf-16-le")),
    _file("UTF-32", PATCHES_YAML.encode("utf-32"), as_sound=True),
    _file("latin-1", ("# µm per pixel, größer\n" + PATCHES_YAML).encode("latin-1")),
    _file("a NUL in it", PATCHES_YAML.replace("tiny", "ti\0ny")),
    _file("nothing but NULs", b"\0" * 4096),
    _file("control characters", PATCHES_YAML.replace("tiny", "ti\x07ny")),
    _file("an empty list", "[]\n"),
    _file("a list of sections", "- cohort: {}\n- classifier: {}\n"),
    _file("a number", "5\n"),
    _file("a text", "cohort kind patches\n"),
    _file("a date that is none", "2026-02-31\n"),
    _file("cut in the middle", _cut),
    _file("a page of a browser", "<!DOCTYPE html><html><body>404: not found</body></html>\n"),
    _file("JSON that is cut", '{"cohort": {"kind": "patches", "table": '),
    _file("an image", b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    _file("keys that are no text", PATCHES_YAML + "5: 6\n", "5"),
    _file("keys that are lists", PATCHES_YAML + "? [a, b]\n: 6\n"),
    _file("keys that are nothing", PATCHES_YAML + "~: 6\n", "None", "null"),
    _file("keys of a section that are no text", PATCHES_YAML.replace("report: {", "report: {1: 2, "), "report"),
    _file("an unknown section", PATCHES_YAML.replace("saliency:", "saliencey:"), "saliencey"),
    _file("a section of another version", PATCHES_YAML + "model: {lr: 1}\n", "model"),
    _file("sections side by side", PATCHES_YAML.replace("report: {examples: 1}", "report: examples: 1"), "report"),
    _file("an unclosed quote", PATCHES_YAML + "# ok\nseed: 'five\n"),
    _file("indented by a space too few", PATCHES_YAML + "multiverse:\n   enabled: false\n  methods: [gradient]\n"),
    _file("merge marks", "<<<<<<< HEAD\n" + PATCHES_YAML + "=======\n" + PATCHES_YAML + ">>>>>>> other\n"),
    _file("a key of a million characters", PATCHES_YAML + "? " + "k" * 1_000_000 + "\n: 1\n", "kkkk"),
    _file("a value of a million characters", PATCHES_YAML.replace("tiny", "/" * 1_000_000), "name"),
    _file("an int key of 5,000 digits", PATCHES_YAML + f"? {_DIGITS}\n: 1\n", "999"),
    _path("there is no such file", lambda _: "missing.yaml", "missing.yaml"),
    _path("a folder", lambda _: "patches", "patches"),
    _path("a link to itself", _loop, "loop.yaml"),
    _path("a very long path", lambda _: "y" * 5000 + ".yaml", "yyyy"),
    _path("an image as the study", lambda _: "patches/ward-11-0.png", "ward-11-0.png"),
    _path("a table as the study", lambda _: "patches.csv", "patches.csv"),
)


def _set(
    name: str, *assignments: str, names: tuple[str, ...] = (), study: str = "patches", **more: Any
) -> Callable[[Random], Bad]:
    base, file, content = STUDIES[study]

    def make(folder: Path, _: Random) -> list[str]:
        (folder / file).write_text(content, encoding="utf-8")
        return ["check", file, *[part for text in assignments for part in ("--set", text)]]

    return given(
        f"--set: {name}", make, *names, *[text.partition("=")[0] for text in assignments if text], base=base, **more
    )


_SETS: Final = (
    _set("no equals sign", "seed", names=("seed",)),
    _set("no key", "=5", names=("--set",)),
    _set("nothing", "", names=("--set",)),
    _set("an empty step", "cohort..mpp=5", names=("cohort..mpp",)),
    _set("a dot at the end", "cohort.=5"),
    _set("a value and a section", "report=5", "report.examples=2", names=("report",)),
    _set("a key below a key", "seed.deep.er=5", names=("seed",)),
    _set("1,000 steps", ".".join(["report"] * 1000) + "=5", names=("report",)),
    _set("100,000 steps", ".".join(["report"] * 30_000) + "=5", names=("report",)),
    _set("broken YAML", "controls=[a", names=("controls",)),
    _set("an unknown tag", "seed=!mine 5"),
    _set("a tag of Python", "seed=!!python/name:os.getcwd"),
    _set("2,000 lists in each other", "controls=" + "[" * 2000 + "]" * 2000),
    _set("several documents", "seed=1\n---\n2"),
    _set("bomb of aliases", "controls=[" + ", ".join(_bomb_in("x")[4:-2].split("}, ")[:1]) + "}, *x0]"),
    _set("a control character", "seed=\x07"),
    _set("a lone surrogate", "name='\\ud800'", names=("name",)),
    _set("a surrogate in YAML", 'name="\\uD800"', names=("name",)),
    _set("the same key twice, in one of them wrong", "seed=1", "seed=word"),
    _set("phantoms beyond memory", "cohort.slides=100000", "cohort.patches_per_slide=100000", study="phantom",
         names=("slides", "memory")),
    _set("phantoms of huge patches", "cohort.size_px=4096", "cohort.mpp=2.5", study="phantom", names=("size_px",)),
    _set("the multiverse of what is not there", "multiverse.enabled=true", f"multiverse.segmentations=[{NOBODY}]"),
    _set("a method that is not there", f"saliency.methods=[gradient, {NOBODY}]", names=(NOBODY,)),
    _set("a class that is not there", "saliency.methods=[python:nosuch.module:Thing]", names=("nosuch",)),
    _set("a class of the library that is none", "saliency.methods=[python:os:getcwd]", names=("python:os",)),
    _set("a class without a module", "controls=['python:']", names=("python:", "controls")),
    _set("methods twice", "saliency.methods=[gradient, gradient]", names=("methods",)),
    _set("nuclei of a phantom", "compartments.nuclei=truth"),
    _set("a cohort of another kind", "cohort.kind=slides", "cohort.table=patches.csv", names=("min_", "patches.csv")),
    _set("a key of another kind", "cohort.sampling=grid"),
    _set("judged on the split that stops", "cohort.evaluation_split=valid", "classifier.stopping=early"),
    _set("judged on a split that is empty", "cohort.evaluation_split=valid", names=("valid",)),
    _set("early stopping without a valid split", "classifier.stopping=early", names=("early", "valid")),
    _set("more tissue than there is", "cohort.min_tissue=1", "cohort.min_light=1", names=("tissue", "light")),
    _set("more slides than there are", "statistics.min_slides=1000000", names=("1000000", "1,000,000"), goes_on=True),
    _set("no draw", "statistics.bootstrap_draws=0"),
)  # fmt: skip


def _option(name: str, args: list[str], *names: str, **more: Any) -> Callable[[Random], Bad]:
    return given(f"options: {name}", lambda _folder, _rng: args, *names, **more)


_OPTIONS: Final = (
    _option("an unknown option", ["check", "study.yaml", "--sett", "seed=1"], "--sett"),
    _option("an unknown command", ["chek", "study.yaml"], "chek"),
    _option("an unknown device", ["check", "study.yaml", "--device", "tpu"], "tpu"),
    _option("no workers", ["run", "study.yaml", "--workers", "0"], "workers"),
    _option("out is a file", ["run", "study.yaml", "--out", "patches.csv"], "patches.csv"),
    _option("out lies below a file", ["run", "study.yaml", "--out", "patches.csv/out"], "patches.csv"),
    _option("out holds other files", ["run", "study.yaml", "--out", "patches"], "patches"),
    _option("out is very long", ["run", "study.yaml", "--out", "z" * 5000], "zzzz"),
    _option(
        "a name too long for a folder", ["run", "study.yaml", "--set", f"name={'n' * 300}"], "nnnn", writes=("reports",)
    ),
    _option("a study of nowhere, by run", ["run", "missing.yaml"], "missing.yaml"),
    _option("two studies", ["check", "study.yaml", "study.yaml"], "study.yaml"),
)


def areas() -> list[Area]:
    """List the areas of this module."""
    walked = list(keys())
    assert {key.holds for key in walked} == set(_WRONG), "every kind of key has wrong values"
    assert os.path.sep not in NOBODY
    return [
        Area("study files", (_FILES, [*map(_in_file, walked), *[_unknown_key(by_set=False)] * 8])),
        Area("--set", ([*_SETS, *_OPTIONS], [*map(_in_set, walked), *[_unknown_key(by_set=True)] * 8])),
    ]
