import hashlib
import json
import re
import subprocess
import sys

import numpy as np

import saliency_stats
from saliency_stats.execution.manifest import artefact_hashes, is_drawn, machine, sha256, versions


def test_a_file_is_hashed(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_every_artefact_is_hashed_and_no_working_file(tmp_path):
    inside = ["ledger.csv", "figures/a.png", "paper/work/b.tex", "weights/w.safetensors", "report.html"]
    outside = ["manifest.json", "work/identity.json", "work/batches/a/ledger.parquet", "explain/p.png"]
    for name in inside + outside:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    hashes = artefact_hashes(tmp_path)
    assert hashes == {name: hashlib.sha256(name.encode()).hexdigest() for name in sorted(inside)}
    assert json.loads(json.dumps(hashes)) == hashes


def test_what_is_left_half_written_is_no_artefact(tmp_path):
    (tmp_path / ".ledger.csv.partial").write_text("half", encoding="utf-8")
    assert artefact_hashes(tmp_path) == {}


def test_versions_are_those_in_use():
    found = versions()
    assert found["numpy"] == np.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["saliency-stats"] == saliency_stats.__version__
    assert {"torch", "torchvision", "scipy", "pandas", "scikit-image", "statsmodels"} <= found.keys()
    assert all(re.match(r"\d+\.\d+", version) for version in found.values())


def test_versions_need_no_import_of_what_they_name():
    script = (
        "import sys; from saliency_stats.execution.manifest import versions; versions(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_the_machine_is_described_without_its_name():
    described = machine()
    assert described.keys() == {"system", "machine", "processor"}
    assert all(described.values())


def test_what_is_drawn_is_hashed_apart(tmp_path):
    for name in ("ledger.csv", "power.csv", "figures/a.png", "paper/b.tex", "report.html", "examples/figures.npz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    drawn, rest = artefact_hashes(tmp_path, drawn=True), artefact_hashes(tmp_path, drawn=False)
    assert sorted(drawn) == ["figures/a.png", "paper/b.tex", "power.csv", "report.html"]
    assert sorted(rest) == ["examples/figures.npz", "ledger.csv"]
    assert artefact_hashes(tmp_path) == {**rest, **drawn}
    assert all(map(is_drawn, drawn))
    assert not any(map(is_drawn, rest))


def test_files_of_the_users_own_are_no_artefacts(tmp_path):
    for name in ("notes.txt", "mine/ledger.csv", "figures.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine", encoding="utf-8")
    assert artefact_hashes(tmp_path) == {}
