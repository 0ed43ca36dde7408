"""Finished and half-finished runs with something damaged, and every command that reads a run."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from base import PATCH, read_csv, write_csv
from case import Area, Bad, given
from PIL import Image

Damage = Callable[[Path, Random], object]

_COMMANDS: Final[dict[str, Sequence[str]]] = {
    "report": ["report", "out"],
    "power": ["power", "out", "--out", "planned"],
    "compare": ["compare", "out", "sound", "--out", "compared"],
    "explain": ["explain", "out", PATCH],
    "run": ["run", "study.yaml", "--out", "out"],
}
#: Tables by the commands that must read them; `run` finds a finished run and has to see that it still is one.
_TABLES: Final = {
    "report": (
        "ledger",
        "contrasts",
        "metrics",
        "predictions",
        "patches",
        "profile",
        "training",
        "selection",
        "examples",
    ),
    "power": ("ledger", "predictions", "patches", "metrics"),
    "compare": ("ledger", "contrasts", "metrics", "predictions"),
    "explain": ("patches", "stains"),
    "run": ("ledger", "contrasts", "metrics", "predictions", "nuclei", "patches", "compositional"),
}
_RESERVED: Final = ("compared", "planned")


def _text(change: Callable[[str, Random], str | bytes]) -> Damage:
    def damage(path: Path, rng: Random) -> None:
        content = change(path.read_text(encoding="utf-8"), rng)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return damage


def _numbers(value: str, *, every: bool = False) -> Damage:
    """Put something into a column of numbers: one cell, or all."""

    def damage(path: Path, rng: Random) -> None:
        rows = read_csv(path)
        numeric = [at for at, cell in enumerate(rows[1]) if _is_number(cell) and rows[0][at] != "magnification"]
        at = rng.choice(numeric)
        for row in rows[1:] if every else [rng.choice(rows[1:])]:
            row[at] = value
        write_csv(path, rows)

    return damage


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _renamed_column(path: Path, rng: Random) -> None:
    rows = read_csv(path)
    rows[0][rng.randrange(len(rows[0]))] = "renamed"
    write_csv(path, rows)


def _lost_column(path: Path, rng: Random) -> None:
    rows = read_csv(path)
    at = rng.randrange(len(rows[0]))
    write_csv(path, [row[:at] + row[at + 1 :] for row in rows])


def _repeated(path: Path, rng: Random) -> None:
    rows = read_csv(path)
    write_csv(path, [*rows, rng.choice(rows[1:])])


def _edited(path: Path, rng: Random) -> None:
    rows = read_csv(path)
    row = rng.choice(rows[1:])
    at = rng.choice([at for at, cell in enumerate(row) if _is_number(cell)])
    row[at] = str(float(row[at]) + 1)
    write_csv(path, rows)


def _folder(path: Path, _: Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside.txt").write_text("x", encoding="utf-8")


def _pipe(path: Path, _: Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _looped(path: Path, _: Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _removed(path: Path, _: Random) -> None:
    path.unlink()


_ANY: Final[dict[str, Damage]] = {
    "cut": _text(lambda text, rng: text[: rng.randrange(len(text) // 5, len(text) - 2)]),
    "empty": _text(lambda _text, _: ""),
    "noise": _text(lambda _text, rng: rng.randbytes(2000)),
    "zeros": _text(lambda text, _: bytes(len(text))),
    "UTF-16": _text(lambda text, _: text.encode("utf-16")),
    "latin-1": _text(lambda text, _: ("ü" + text).encode("latin-1", "replace")),
    "gone": _removed,
    "a folder": _folder,
    "a pipe": _pipe,
    "a link to itself": _looped,
}
_OF_TABLES: Final[dict[str, Damage]] = {
    **{
        name: _ANY[name]
        for name in ("cut", "empty", "noise", "UTF-16", "gone", "a folder", "a pipe", "a link to itself")
    },
    "cut after a line": _text(lambda text, _: "".join(text.splitlines(keepends=True)[: text.count("\n") // 2])),
    "its header alone": _text(lambda text, _: text.splitlines()[0] + "\n"),
    "semicolons": _text(lambda text, _: text.replace(",", ";")),
    "a byte order mark": _text(lambda text, _: "\ufeff" + text),
    "a column renamed": _renamed_column,
    "a column lost": _lost_column,
    "a row twice": _repeated,
    "a number changed": _edited,
    "infinite": _numbers("inf"),
    "minus infinity": _numbers("-inf"),
    "beyond a double": _numbers("1e999"),
    "huge": _numbers("1e300"),
    "infinite all over": _numbers("inf", every=True),
    "words for numbers": _numbers("high"),
    "decimal commas": _numbers("0,5"),
    "5,000 digits": _numbers("9" * 5000),
    "nothing for numbers": _numbers("", every=True),
    "merge marks": _text(lambda text, _: "<<<<<<< HEAD\n" + text + "=======\n>>>>>>> x\n"),
}
_OF_JSON: Final[dict[str, Damage]] = {
    **_ANY,
    "null": _text(lambda _text, _: "null"),
    "an empty list": _text(lambda text, _: "[]" if text.startswith("{") else "{}"),
    "a list of numbers": _text(lambda _text, _: "[1, 2]"),
    "nested 100,000 deep": _text(lambda _text, _: "[" * 100_000),
    "a number of 5,000 digits": _text(lambda _text, _: '{"study": ' + "9" * 5000 + "}"),
    "another object": _text(lambda text, _: '{"a": 1}' if text.startswith("{") else '[{"a": 1}]'),
    "NaN all over": _text(lambda text, _: text.replace(": 0.", ': NaN, "x": 0.')),
}


def _case(what: str, command: str, damage: Callable[[Path, Random], object], *names: str, **more: Any) -> Bad:
    """Damage something in the folder and give it to a command: refused by name, or (`run`) computed again."""

    def make(folder: Path, rng: Random) -> list[str]:
        damage(folder, rng)
        return list(_COMMANDS.get(command, command.split()))

    settings = {"base": "run", "goes_on": True, "as_sound": True, "writes": _RESERVED} | more
    return Bad(f"{command.split(maxsplit=1)[0]}: {what}", make, tuple(names), **settings)


def _at(path: str, damage: Damage) -> Callable[[Path, Random], object]:
    return lambda folder, rng: damage(folder / path, rng)


def _tables(rng: Random) -> Bad:
    command = rng.choice(sorted(_TABLES))
    name, how = rng.choice(_TABLES[command]), rng.choice(sorted(_OF_TABLES))
    # a byte order mark changes no value
    same = how == "a byte order mark"
    damage = _at(f"out/{name}.csv", _OF_TABLES[how])
    return _case(f"{name}.csv: {how}", command, damage, f"{name}.csv", untouched=same)


def _records(rng: Random) -> Bad:
    file, commands = rng.choice(
        [
            ("verdict.json", ("report", "compare", "run")),
            ("manifest.json", ("report", "compare", "run")),
            ("work/identity.json", ("run",)),
        ]
    )
    command, how = rng.choice(commands), rng.choice(sorted(_OF_JSON))
    if file == "manifest.json" and how == "gone":
        command = "run"  # a run that was stopped has none, and its report may be drawn
    return _case(f"{file}: {how}", command, _at(f"out/{file}", _OF_JSON[how]), file, "--fresh")


_IMPOSSIBLE: Final = {
    "epochs: 40": ("epochs: -3", "epochs: many", "epochs: .nan", "epochs: 2026-02-31", "epochs: 41"),
    "architecture: densenet121": ("architecture: resnet", "architecture: []", "architecture: densenet201"),
    "alpha: 0.05": ("alpha: 5", "alpha: .inf", "alpha: yes", "alpha: 0.01"),
    "primary_test: sign_flip": ("primary_test: nosuch", "primary_test: 5", "primary_test: t_slide_means"),
    "kind: patches": ("kind: tiles", "kind: slides", "kind: 5", "kind: phantom"),
    "reduction: l2": ("reduction: l9", "reduction: []", "reduction: max"),
    "nuclei: builtin": ("nuclei: truth", "nuclei: ../nosuch", "nuclei: 5", "nuclei: classical"),
    "seed: 0": ("seed: -1", f"seed: {'9' * 5000}", "seed: 1:30", "seed: 7"),
}


def _studies(rng: Random) -> Bad:
    command = rng.choice(("report", "power", "compare", "explain"))
    if rng.random() < 0.5:
        how = rng.choice(sorted(_ANY))
        return _case(f"study.yaml: {how}", command, _at("out/study.yaml", _ANY[how]), "study.yaml")
    before = rng.choice(sorted(_IMPOSSIBLE))
    after = rng.choice(_IMPOSSIBLE[before])

    def damage(folder: Path, _: Random) -> None:
        path = folder / "out" / "study.yaml"
        text = path.read_text(encoding="utf-8")
        assert before in text, before
        path.write_text(text.replace(before, after, 1), encoding="utf-8")

    return _case(f"study.yaml: {after[:40]}", command, damage, "study.yaml", before.split(":")[0])


def _binaries(rng: Random) -> Bad:
    kind = rng.choice(("weights", "examples"))
    command = rng.choice(("explain", "run") if kind == "weights" else ("report", "run"))

    def damage(folder: Path, rng: Random) -> None:
        path = min((folder / "out" / kind).iterdir())
        content = path.read_bytes()
        ways: dict[str, bytes | None] = {
            "cut": content[: len(content) // 2],
            "empty": b"",
            "noise": rng.randbytes(2000),
            "zeros": bytes(len(content)),
            "overwritten": content[:-200] + rng.randbytes(200),
            "code": b"\x80\x04cos\nsystem\n(S'touch hacked'\ntR.",
            "gone": None,
        }
        path.unlink()
        if ways[how] is not None:
            path.write_bytes(ways[how] or b"")

    how = rng.choice(["cut", "empty", "noise", "zeros", "overwritten", "code", "gone"])
    names = (".safetensors",) if kind == "weights" else (".npz",)
    return _case(f"{kind}: {how}", command, damage, *names)


def _folders(rng: Random) -> Bad:
    """Replace a whole folder of the run: by a file, by nothing, or by a link that leads out."""
    name, commands = rng.choice(
        [
            ("weights", ("explain", "run")),
            ("examples", ("report", "run")),
            ("figures", ("report",)),
            ("work", ("run",)),
            ("paper", ("report",)),
            ("explain", ("explain",)),
        ]
    )
    command, how = (
        rng.choice(commands),
        rng.choice(["a file", "a link that leads out", "a link to nothing", "a link to itself"]),
    )

    def damage(folder: Path, _: Random) -> None:
        path, out = folder / "out" / name, folder.parents[2] / "elsewhere" / name
        if path.is_dir():
            shutil.move(path, out)
        else:
            out.mkdir()
        if how == "a file":
            path.write_text("not a folder", encoding="utf-8")
        else:
            target = {"a link that leads out": out, "a link to nothing": "nothing", "a link to itself": name}[how]
            path.symlink_to(target)

    return _case(f"{name}/ is {how}", command, damage, name, "holds no run", untouched=how == "a link that leads out")


def _links(rng: Random) -> Bad:
    """Link single files out: what is written must not land there."""
    file = rng.choice(["ledger.csv", "report.html", "verdict.json", "manifest.json", "patches.csv", "study.yaml"])
    command = rng.choice(["report", "run", "explain"])

    def damage(folder: Path, _: Random) -> None:
        path, out = folder / "out" / file, folder.parents[2] / "elsewhere" / file
        shutil.move(path, out)
        path.symlink_to(out)

    return _case(f"{file} is linked out", command, damage, file, untouched=True)


def _inputs(rng: Random) -> Bad:
    """Change what a finished run was computed from: the run says which, and how to start again."""
    how = rng.choice(
        ["flipped", "swapped", "relabelled", "another split", "a line less", "gone", "cut", "another pixel"]
    )

    def damage(folder: Path, rng: Random) -> None:
        table = folder / "patches.csv"
        rows = read_csv(table)
        row = rng.choice(rows[1:])
        path = folder / row[0]
        before = path.stat()
        if how in {"flipped", "another pixel"}:
            pixels = np.asarray(Image.open(path)).copy()
            if how == "flipped":
                pixels = pixels[:, ::-1]
            else:
                pixels[5, 5] ^= 1
            Image.fromarray(pixels).save(path)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif how == "swapped":
            other = folder / next(one for one in rows[1:] if one[1] != row[1])[0]
            first, second = path.read_bytes(), other.read_bytes()
            path.write_bytes(second)
            other.write_bytes(first)
        elif how == "gone":
            path.unlink()
        elif how == "cut":
            path.write_bytes(path.read_bytes()[:300])
        else:
            if how == "relabelled":
                row[1] = "benign" if row[1] == "malignant" else "malignant"
            elif how == "another split":
                row[3] = "train" if row[3] == "test" else "test"
            else:
                rows.remove(row)
            write_csv(table, rows)

    return _case(f"an input is {how}", "run", damage, "--fresh", goes_on=False, as_sound=False)


def _unfinished(rng: Random) -> Bad:
    """Leave what a killed run may leave, a cut unit, checkpoint or network: computed again, or refused by name."""
    how = rng.choice(
        ["a unit", "an empty unit", "a checkpoint", "an empty checkpoint", "a network", "half a table", "half a record"]
    )

    def damage(folder: Path, rng: Random) -> None:
        out = folder / "out"
        (out / "manifest.json").unlink()
        network = min((out / "weights").iterdir())
        if how in {"a unit", "an empty unit"}:
            unit = out / "work" / "batches" / "000000"
            unit.mkdir(parents=True)
            if how == "a unit":
                for name in ("predictions", "ledger", "nuclei", "profile"):
                    (unit / f"{name}.parquet").write_bytes(b"PAR1" + rng.randbytes(500))
        elif how in {"a checkpoint", "an empty checkpoint"}:
            network.unlink()
            for stem in (network.stem, "trained-20", "20x-trained", "trained"):
                (out / "work" / f"{stem}.checkpoint").write_bytes(rng.randbytes(500) if how == "a checkpoint" else b"")
        elif how == "a network":
            network.write_bytes(network.read_bytes()[:1000])
        elif how == "half a table":
            path = out / "ledger.csv"
            path.write_bytes(path.read_bytes()[:500])
        else:
            (out / "manifest.json").write_text('{"command": "saliency-st', encoding="utf-8")

    return _case(f"killed: {how}", "run", damage, "--fresh", "checkpoint", "batches", "weights", "manifest.json")


def _not_a_run(name: str, put: Callable[[Path], object], *names: str) -> Callable[[Random], Bad]:
    def draw(rng: Random) -> Bad:
        command = rng.choice(["report nowhere", "power nowhere", "compare nowhere sound", f"explain nowhere {PATCH}"])
        return _case(
            f"of {name}", command, lambda folder, _: put(folder), "nowhere", *names, goes_on=False, as_sound=False
        )

    return draw


def _pretends(folder: Path) -> None:
    (folder / "nowhere").mkdir()
    for name in ("study.yaml", "patches.csv"):
        shutil.copy(folder / name, folder / "nowhere")


_ELSEWHERE: Final = (
    _not_a_run("nothing", lambda _: None),
    _not_a_run("an empty folder", lambda folder: (folder / "nowhere").mkdir()),
    _not_a_run("a file", lambda folder: (folder / "nowhere").write_text("x", encoding="utf-8")),
    _not_a_run("a folder of a study", _pretends),
    _not_a_run("a link to itself", lambda folder: (folder / "nowhere").symlink_to("nowhere")),
    _not_a_run(
        "a folder with a manifest alone",
        lambda folder: [
            (folder / "nowhere").mkdir(),
            (folder / "nowhere" / "manifest.json").write_text(json.dumps({"artefacts": {}}), encoding="utf-8"),
        ],
    ),
)


def _asked(name: str, args: Sequence[str], *names: str, **more: Any) -> Callable[[Random], Bad]:
    return given(name, lambda _folder, _rng: args, *names, base="run", writes=_RESERVED, **more)


_ASKED: Final = (
    _asked("explain: a patch that is not there", ["explain", "out", "nosuch-patch"], "nosuch-patch"),
    _asked("explain: no patch", ["explain", "out", ""], "patch"),
    _asked("explain: a model that is not there", ["explain", "out", PATCH, "--model", "sobel9"], "sobel9"),
    _asked("explain: another magnification", ["explain", "out", PATCH, "--magnification", "7"], "7"),
    _asked("explain: no magnification", ["explain", "out", PATCH, "--magnification", "nan"], "nan", "magnification"),
    _asked("explain: out below a file", ["explain", "out", PATCH, "--out", "study.yaml/x.png"], "study.yaml"),
    _asked("explain: out is a folder", ["explain", "out", PATCH, "--out", "patches"], "patches"),
    _asked("explain: out of another format", ["explain", "out", PATCH, "--out", "planned/x.docx"], "docx"),
    _asked("explain: out is very long", ["explain", "out", PATCH, "--out", "w" * 300 + ".png"], "wwww"),
    _asked("power: out below a file", ["power", "out", "--out", "study.yaml/x"], "study.yaml"),
    _asked("power: an effect of nothing", ["power", "out", "--effect", "1", "--out", "planned"], "effect", "1"),
    _asked(
        "power: an effect that is no number", ["power", "out", "--effect", "nan", "--out", "planned"], "effect", "nan"
    ),
    _asked("power: an endless effect", ["power", "out", "--effect", "inf", "--out", "planned"], "effect", "inf"),
    _asked(
        "power: a magnification that is not there", ["power", "out", "--magnification", "3", "--out", "planned"], "3"
    ),
    _asked("power: alpha that is no number", ["power", "out", "--alpha", "nan", "--out", "planned"], "alpha", "nan"),
    _asked("compare: one run", ["compare", "out", "--out", "compared"], "one", "two", "out"),
    _asked("compare: none", ["compare", "--out", "compared"], "two", "RUN"),
    _asked("compare: a run with itself", ["compare", "out", "./out", "--out", "compared"], "twice", "out"),
    _asked("compare: out below a file", ["compare", "out", "sound", "--out", "study.yaml/x"], "study.yaml"),
)

AREA: Final = Area(
    "runs",
    (
        [_tables],
        [_records],
        [_tables],
        [_studies, _binaries],
        [_folders, _links],
        [_inputs, _unfinished],
        [*_ELSEWHERE, *_ASKED, *_ASKED],
    ),
)
