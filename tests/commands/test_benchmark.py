"""A small benchmark of a network made by hand, whole: what it uses is known, and so is what it does not."""

import shutil

import numpy as np
import pandas as pd
import pytest

from saliency_stats.commands import benchmark as command
from saliency_stats.errors import StudyError
from saliency_stats.report.benchmark import BENCHMARK_COLUMNS
from saliency_stats.saliency import METHODS
from saliency_stats.settings.study import load

MINE = """
import torch
from torch import nn


def build():
    "Malignant is what has few dark pixels: nuclei are dark in benign phantoms, where they carry the signal."
    dark, odds = nn.Conv2d(3, 1, 1), nn.Linear(1, 2)
    with torch.no_grad():
        dark.weight.fill_(-1 / 3), dark.bias.fill_(0.3)
        odds.weight.copy_(torch.tensor([[600.0], [-600.0]])), odds.bias.copy_(torch.tensor([-2.1, 2.1]))
    return nn.Sequential(dark, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), odds)


class Noise:
    name = "noise"
    words = "noise"
    one_channel = True

    def attribute(self, model, images, target, seeds):
        chances = [torch.Generator().manual_seed(seed) for seed in seeds]
        return torch.stack([torch.rand(1, *images.shape[2:], generator=chance) for chance in chances])
"""
STUDY = """
name: small
cohort: {kind: phantom, slides: 8, patches_per_slide: 4, size_px: 64, stain_variation: 0.0, fractions: FRACTIONS}
classifier: {architecture: "python:mine:build", trainable: none}
saliency: {min_confidence: 0.5, batch_size: 6, methods: [gradient, gradient_x_input]}
compartments: {nuclei: truth}
controls: [sobel]
causal: {patches_per_class: 6, replacements: [mean]}
statistics: {bootstrap_draws: 2000}
""".replace("FRACTIONS", "{train: 0.1, valid: 0.0, test: 0.9}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "mine.py").write_text(MINE, encoding="utf-8")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def run(folder, out="whole"):
    return command.benchmark(
        folder / "study.yaml", folder / out, signals=["nucleus", "cytoplasm"], magnifications=[20.0],
        methods=["python:mine:Noise"], workers=1, command="test",
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(folder):
    return run(folder)


@pytest.fixture(scope="module")
def table(whole):
    return pd.read_csv(whole.table, dtype={"network": str}, keep_default_na=False, na_values=[""])


def rows_of(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    return table


def test_what_a_network_uses_is_found_and_one_at_chance_stands_apart(table, whole):
    assert list(table.columns) == list(BENCHMARK_COLUMNS)
    assert set(table["network"]) == {"1", "all"}
    assert set(rows_of(table, network="all")["signal"]) == {"nucleus"}
    assert not rows_of(table, signal="cytoplasm")["learned"].any()
    (gradient,) = rows_of(table, network="all", method="gradient").itertuples()
    assert gradient.densest_is_most_important > 0.9
    assert gradient.rank_correlation > 0.6
    assert gradient.n_slides >= 7
    assert gradient.balanced_accuracy > 0.8
    (signed,) = rows_of(table, network="all", method="gradient_x_input").itertuples()
    assert signed.sign_errors < 0.6
    assert np.isnan(gradient.sign_errors)
    assert set(rows_of(table, kind="control")["model"]) == {"sobel", "random region"}
    assert whole.sentences[-1] == "Of 2 networks these learned nothing and are left out: cytoplasm 20×, network 1."


def test_what_the_network_uses_stands_beside(whole):
    used = pd.read_csv(whole.table.parent / "importance.csv").set_index(["signal", "label", "compartment"])
    for label in ("benign", "malignant"):
        assert used.loc[("nucleus", label, "nucleus"), "largest_in"] == 1
        assert used.loc[("nucleus", label, "nucleus"), "ci_low"] > 0


def test_the_truth_gets_one_and_what_is_random_nothing(table):
    (truth,) = rows_of(table, network="all", method="truth").itertuples()
    assert (truth.rank_correlation, truth.densest_is_most_important, truth.sign_errors) == (1, 1, 0)
    for method, kind in (("random", "reference"), ("noise", "attribution")):
        (chance,) = rows_of(table, network="all", method=method).itertuples()
        assert chance.kind == kind
        assert abs(chance.rank_correlation) < 0.3
        assert chance.rank_correlation_low < 0 < chance.rank_correlation_high
        assert chance.densest_is_most_important < 0.6


def test_methods_have_their_cost_and_nothing_else_has(table):
    own = table["kind"] == "attribution"
    assert (table.loc[own, "seconds_per_patch"] > 0).all()
    assert (rows_of(table, method="gradient")["gradients"] == 1.0).all()
    assert table.loc[~own, ["seconds_per_patch", "gradients"]].isna().all(axis=None)


def test_the_studies_are_measured_and_not_judged(folder, whole):
    study = folder / "whole" / "runs" / "small-nucleus-20x"
    written = {path.name for path in study.iterdir()}
    assert {"study.yaml", "importance.csv", "ablation.csv", "metrics.csv"} <= written
    assert not {"contrasts.csv", "verdict.json", "report.html", "examples"} & written
    assert whole.page.is_file()


def test_the_page_and_the_figures_are_there(folder, whole):
    page = whole.page.read_text(encoding="utf-8")
    assert "Which maps tell what networks use?" in page
    assert "data:image/png;base64," in page
    drawn = {path.name for path in (folder / "whole" / "figures").iterdir()}
    assert drawn == {f"benchmark_{name}.{end}" for name in ("maps", "replacements") for end in ("png", "pdf")}


def test_stopped_it_goes_on_to_the_same_bytes_and_keeps_the_time_that_was_measured(folder, whole, monkeypatch):
    stopped = folder / "stopped"
    shutil.copytree(folder / "whole", stopped)
    # as a process leaves it that is killed in the second study
    second = stopped / "runs" / "small-cytoplasm-20x"
    batches = sorted((second / "work" / "batches").iterdir())
    shutil.rmtree(batches[-1])
    for path in (second / "ledger.csv", stopped / "benchmark.csv", stopped / "benchmark.html"):
        path.unlink()
    monkeypatch.setattr(command, "seconds_per_patch", lambda *_, **__: pytest.fail("timed again"))
    again = run(folder, "stopped")
    for name in ("benchmark.csv", "importance.csv", "stability.csv", "costs.csv", "benchmark.html"):
        assert (again.page.parent / name).read_bytes() == (whole.page.parent / name).read_bytes()


# --- which studies are run ---


def studies(path=None, assignments=(), signals=("nucleus",), magnifications=(20.0,), methods=()):
    return [one.settings for one in command.studies_of(path, assignments, signals, magnifications, methods)]


def test_the_usual_study_takes_every_method_and_replacement():
    (one,) = studies()
    assert one.name == "benchmark-nucleus-20x"
    assert one.saliency.methods == list(METHODS)
    assert set(one.causal.replacements) == set(command.REPLACEMENTS)
    assert one.saliency.scores
    assert one.compartments.nuclei == "truth"
    assert one.classifier.networks == 3
    assert load(command.USUAL).cohort.fractions.test > 0


def test_a_study_of_each_signal_and_magnification_once():
    found = studies(signals=("xor", "nucleus", "xor"), magnifications=(10.0, 20.0, 10.0))
    named = [(one.name, one.cohort.signal, one.cohort.mpp) for one in found]
    assert named == [
        ("benchmark-xor-10x", "xor", 1.0), ("benchmark-xor-20x", "xor", 0.5),
        ("benchmark-nucleus-10x", "nucleus", 1.0), ("benchmark-nucleus-20x", "nucleus", 0.5),
    ]  # fmt: skip
    assert len({one.model_dump_json(exclude={"name", "cohort"}) for one in found}) == 1


def test_what_a_study_names_is_taken_and_what_is_assigned_over_it(folder):
    (one,) = studies(folder / "study.yaml", ("classifier.epochs=3",), methods=("grad_cam", "gradient"))
    assert one.name == "small-nucleus-20x"
    assert one.saliency.methods == ["gradient", "gradient_x_input", "grad_cam"]
    assert one.causal.replacements == ["mean"]
    assert one.classifier.epochs == 3


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"assignments": ("causal.replacements=[]",)}, "causal.replacements is empty.*name some of mean"),
        ({"signals": ("nuclei",)}, "cohort.signal"),
        ({"methods": ("gradeint",)}, "there is no gradeint"),
        ({"methods": ("python:nowhere:Mine",)}, "python:nowhere:Mine"),
    ],
)
def test_what_cannot_be_benchmarked_is_refused_before_anything_is_run(how, message):
    with pytest.raises(StudyError, match=message):
        studies(**how)


def test_only_of_phantoms_it_is_known_what_networks_use(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("cohort: {kind: patches, table: patches.csv}\n", encoding="utf-8")
    with pytest.raises(StudyError, match=r"study\.yaml: cohort\.kind is patches; expected phantom"):
        studies(path)
