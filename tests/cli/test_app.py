"""The commands: what they say where, their exit status, and that help comes at once."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import saliency_stats
from saliency_stats.cli import app as cli
from saliency_stats.commands.preregister import preregister
from saliency_stats.errors import CohortError, PatchError, SaliencyStatsError, StorageError, StudyError
from saliency_stats.study.registration import Registration

COMMANDS = sorted(cli.main.commands)


def call(*arguments):
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def refused(status, *arguments):
    """Return the message of a command that must fail in an orderly way: on stderr, with nothing on stdout."""
    result = call(*arguments)
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def in_a_new_process(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


RUN_CLI = "import sys; from saliency_stats.cli.app import main; main(sys.argv[1:], prog_name='saliency-stats')"


def patch_study(folder, labels, *, size=32):
    """Write a study of pink noise."""
    rng = np.random.default_rng(0)
    lines = ["path,label,mpp"]
    for number, label in enumerate(labels):
        pixels = (np.array([200, 120, 180]) + rng.integers(-30, 30, (size, size, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{label},0.5")
    (folder / "patches.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "study.yaml").write_text("cohort: {kind: patches, table: patches.csv}", encoding="utf-8")
    return folder / "study.yaml"


# --- help and start-up ------------------------------------------------------------------------------


def test_the_commands_are_those_that_were_promised():
    assert {"run", "init", "check", "report", "explain"} <= set(COMMANDS)


@pytest.mark.parametrize("arguments", [[], *[[name] for name in COMMANDS]], ids=lambda names: " ".join(names) or "main")
def test_every_command_has_help_with_an_example(arguments):
    result = call(*arguments, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    assert f"saliency-stats {' '.join(arguments)}".rstrip() in result.stdout
    assert all(len(line) <= 100 for line in result.stdout.splitlines())
    assert call(*arguments, "-h").stdout == result.stdout


def test_help_imports_nothing_heavy():
    """Half a second is what somebody waits for help; torch alone takes seconds."""
    script = (
        "import json, sys\n"
        "from saliency_stats.cli.app import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    try: main([*arguments, '--help'], prog_name='saliency-stats')\n"
        "    except SystemExit as stopped: assert stopped.code == 0\n"
        "print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = in_a_new_process(script, json.dumps([[], *[[name] for name in COMMANDS]]))
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert "saliency_stats" in loaded
    heavy = {"torch", "torchvision", "numpy", "pandas", "scipy", "skimage", "matplotlib", "seaborn", "pydantic", "PIL"}
    assert not loaded & heavy


def test_a_wrong_study_file_is_refused_before_torch_is_loaded(tmp_path):
    (tmp_path / "study.yaml").write_text("clasifier: {}", encoding="utf-8")
    script = f"import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); {RUN_CLI}"
    done = in_a_new_process(script, "run", tmp_path / "study.yaml")
    assert done.returncode == 2
    assert "Did you mean classifier?" in done.stderr
    assert done.stdout == "False\n"


def test_the_version():
    assert saliency_stats.__version__ in call("--version").stdout


def test_the_package_offers_its_study_without_importing_it_at_once():
    script = (
        "import sys, saliency_stats\n"
        "assert 'torch' not in sys.modules\n"
        "assert not hasattr(saliency_stats, 'nothing')\n"
        "assert saliency_stats.__all__ == ['Run', 'Study']\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = in_a_new_process(script)
    assert done.returncode == 0, done.stderr
    assert callable(saliency_stats.Study.from_yaml)


# --- exit status ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "check"])
def test_there_is_no_study_file(tmp_path, command):
    message = refused(2, command, tmp_path / "study.yaml")
    assert message == (
        f"saliency-stats: there is no study file {tmp_path / 'study.yaml'}; "
        "`saliency-stats init DIR` writes one to start from\n"
    )


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("wrong", ["file", "assignment"])
def test_an_unknown_key(tmp_path, command, wrong):
    (tmp_path / "study.yaml").write_text("cohort: {singal: none}" if wrong == "file" else "", encoding="utf-8")
    assignment = [] if wrong == "file" else ["--set", "cohort.singal=none"]
    message = refused(2, command, tmp_path / "study.yaml", *assignment)
    assert "unknown key cohort.singal. Did you mean cohort.signal?" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["walk"],
        ["run", "--devise", "cpu"],
        ["run", "--device", "tpu"],
        ["run", "a.yaml", "b.yaml"],
        ["init"],
        ["init", "x", "--kind", "images"],
        ["report", "no/such/folder"],
        ["explain", "no/such/folder", "p"],
        ["export", "no/such/folder", "--qupath", "q"],
        ["explain", "."],
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments):
    assert "Usage:" in refused(2, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--out", "file"),
        ("init", "file"),
        ("report", "file"),
        ("explain", "file", "p"),
        ("explain", ".", "p", "--out", "folder"),
        ("power", "file"),
        ("power", ".", "--out", "file"),
        ("compare", "file", "."),
        ("compare", ".", ".", "--out", "file"),
        ("segment", "folder", "--out", "out"),
        ("segment", "a.png", "--out", "file"),
        ("fetch", "camelyon16", "--out", "file"),
    ],
    ids=" ".join,
)
def test_files_are_no_folders_and_folders_no_files(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    assert re.search("'(file' is a file|folder' is a directory)", refused(2, *arguments))


def test_before_torch_is_loaded_its_threads_and_cuda_are_told(monkeypatch):
    names = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "GOMP_SPINCOUNT": "3000"}
    monkeypatch.setattr("saliency_stats.commands.init.write_template", lambda *_: [])
    for name in names:
        monkeypatch.delenv(name, raising=False)
    call("init", "x")
    assert {name: os.environ.get(name) for name in names} == names
    for name in names:
        monkeypatch.setenv(name, "mine")
    call("init", "x")
    assert {os.environ[name] for name in names} == {"mine"}


def test_a_folder_is_no_study(tmp_path):
    assert "is a directory" in refused(2, "run", tmp_path)


def test_a_table_that_is_not_there_is_a_wrong_study(tmp_path):
    (tmp_path / "study.yaml").write_text("cohort: {kind: patches, table: nothing.csv}", encoding="utf-8")
    message = refused(2, "check", tmp_path / "study.yaml")
    assert f"cohort.table: there is no file {tmp_path / 'nothing.csv'}" in message


def test_a_finding_about_the_data(tmp_path):
    path = patch_study(tmp_path, ["benign"] * 6)
    result = call("check", path)
    assert result.exit_code == 1
    assert result.stdout.startswith("study phantom: 6 of 6 patches can be used\n")
    message = result.stderr
    assert "every one of the 6 usable patches is 'benign', none is 'malignant'" in message
    table = tmp_path / "patches.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("3.png,benign", "3.png,bening"), encoding="utf-8")
    message = refused(1, "check", path)
    assert "line 5: label is 'bening'" in message
    assert "Did you mean 'benign'?" in message


def test_a_run_into_somebody_elses_folder(tmp_path):
    """Also with `--fresh`, which would delete what has the name of an artefact."""
    path = patch_study(tmp_path, ["benign", "malignant"] * 6)
    out = tmp_path / "out"
    (out / "paper").mkdir(parents=True)
    (out / "paper" / "thesis.tex").write_text("mine", encoding="utf-8")
    for options in ([], ["--fresh"]):
        message = refused(1, "run", path, "--out", out, *options)
        assert f"{out} is not empty and holds no run of saliency-stats (found paper)" in message
    assert [file.name for file in out.rglob("*")] == ["paper", "thesis.tex"]


def test_no_run_in_the_folder(tmp_path):
    for command in (["report", tmp_path], ["explain", tmp_path, "p"]):
        message = refused(1, *command)
        assert message.startswith("saliency-stats: ")
        assert str(tmp_path) in message


# --- messages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SaliencyStatsError("a"), 1),
        (StudyError("a"), 2),
        (CohortError("a"), 1),
        (PatchError("a"), 1),
        (StorageError("a"), 1),
    ],
)
def test_an_error_of_the_package_is_one_message_and_a_status(monkeypatch, error, status):
    def fail(*_):
        raise error

    monkeypatch.setattr("saliency_stats.settings.load", fail)
    assert refused(status, "run") == "saliency-stats: a\n"


def test_a_fault_of_the_program_is_not_dressed_up(monkeypatch, tmp_path):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("saliency_stats.settings.load", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = call("run")
    assert isinstance(result.exception.__cause__, ZeroDivisionError)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "an error that was not foreseen: ZeroDivisionError" in result.stderr
    assert len(list(tmp_path.iterdir())) == 1


def test_interrupted(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("saliency_stats.settings.load", interrupt)
    assert "stopped; nothing finished is lost" in refused(130, "run")


def test_from_a_real_process_the_status_and_the_streams_are_the_same(tmp_path):
    done = in_a_new_process(RUN_CLI, "check", tmp_path / "study.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("saliency-stats: there is no study file")


# --- what is done -----------------------------------------------------------------------------------


def test_init_writes_a_study_and_names_its_files(tmp_path):
    result = call("init", tmp_path / "study")
    assert result.exit_code == 0
    assert sorted(result.stdout.split()) == [str(tmp_path / "study" / name) for name in ("patches.csv", "study.yaml")]
    assert "exists already and is not overwritten" in refused(1, "init", tmp_path / "study")
    # the example names images that are not there; each is excluded, so nothing is left
    result = call("check", tmp_path / "study" / "study.yaml", "--set", "classifier.weights=none")
    assert result.exit_code == 1
    assert "none of the 3 patches can be used (3 × excluded: the image file is missing)" in result.stderr


def test_the_example_of_slides_can_be_checked_at_once(tmp_path):
    call("init", tmp_path, "--kind", "slides")
    result = call("check", tmp_path / "study.yaml", "--set", "classifier.weights=none")
    assert result.exit_code == 1
    assert "none of the 2 slides can be used (normal_001: slide 'normal_001': there is no file" in result.stderr
    assert "; tumor_001: slide 'tumor_001', annotation " in result.stderr
    assert "the file cannot be read (No such file or directory)" in result.stderr
    assert "slide 'tumor_001': there is no file" in result.stderr
    assert "excluded slides, 2 of 2:\n      1  normal_001: " in result.stdout


def test_init_can_write_the_built_in_study(tmp_path):
    assert call("init", tmp_path, "--kind", "phantom").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_check_prints_what_the_preview_says_of_the_study_as_set(monkeypatch, tmp_path):
    seen = []

    def preview(settings, device, registration):
        seen.append((settings.name, settings.cohort.signal, device, registration))
        return iter(["12 patches", "", "10 min"])

    monkeypatch.setattr("saliency_stats.commands.check.preview", preview)
    (tmp_path / "study.yaml").write_text("name: mine", encoding="utf-8")
    result = call("check", tmp_path / "study.yaml", "--set", "cohort.signal=none", "--device", "cpu")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "12 patches\n\n10 min\n", "")
    assert seen == [("mine", "none", "cpu", None)]
    path = preregister(tmp_path)
    call("check", tmp_path / "study.yaml")
    assert seen[1][-1] == Registration.beside(tmp_path / "study.yaml")
    path.write_text(path.read_text(encoding="utf-8") + "mine\n", encoding="utf-8")
    result = call("check", tmp_path / "study.yaml")
    assert (result.exit_code, result.stdout, len(seen)) == (2, "", 2)
    assert "was changed after it was registered" in result.stderr


def test_export_passes_its_options_on(monkeypatch, tmp_path):
    seen = []

    def export_qupath(*arguments, **options):
        seen.append((*arguments, options))
        return [tmp_path / "a.geojson", tmp_path / "b.geojson"]

    monkeypatch.setattr("saliency_stats.commands.export.export_qupath", export_qupath)
    result = call("export", tmp_path, "--qupath", tmp_path / "q")
    assert result.stdout == f"{tmp_path / 'a.geojson'}\n{tmp_path / 'b.geojson'}\n"
    call("export", tmp_path, "--qupath", "q", "--magnification", 10, "--device", "cpu")
    assert seen == [
        (tmp_path, tmp_path / "q", {"magnification": None, "device": "auto"}),
        (tmp_path, Path("q"), {"magnification": 10.0, "device": "cpu"}),
    ]
    assert call("export", tmp_path).exit_code == 2


def test_report_and_explain_pass_their_options_on(monkeypatch, tmp_path):
    seen = []

    def explain_patch(folder, patch_id, **options):
        seen.append((folder, patch_id, options))
        return "p.png"

    monkeypatch.setattr("saliency_stats.report.write.write_report", lambda folder: folder / "report.html")
    monkeypatch.setattr("saliency_stats.commands.explain.explain_patch", explain_patch)
    result = call("report", tmp_path)
    assert (result.stdout, result.stderr) == (f"{tmp_path / 'report.html'}\n", "")
    assert call("explain", tmp_path, "p").stdout == "p.png\n"
    call(
        "explain",
        tmp_path,
        "p",
        "--model",
        "sobel",
        "--magnification",
        10,
        "--out",
        tmp_path / "q.png",
        "--device",
        "cpu",
    )
    assert seen == [
        (tmp_path, "p", {"model": "trained", "magnification": None, "out": None, "device": "auto"}),
        (tmp_path, "p", {"model": "sobel", "magnification": 10.0, "out": tmp_path / "q.png", "device": "cpu"}),
    ]


def test_a_name_that_no_registry_holds_is_refused_with_its_file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("controls: [randomized]\n", encoding="utf-8")
    for command in ("run", "check"):
        assert refused(2, command, path) == (
            f"saliency-stats: {path}: controls: there is no randomized. Did you mean randomised?\n"
        )


def test_a_terminal_that_lacks_a_letter_is_no_error(tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-c", "from saliency_stats.cli import main; main()", "init", str(tmp_path / "×–")]
    done = subprocess.run(command, check=False, capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\xd7\\u2013" in done.stdout
