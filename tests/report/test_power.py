"""From a finished run to what is collected next."""

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from saliency_stats.errors import StatisticsError, StorageError, StudyError
from saliency_stats.report import power
from saliency_stats.report.power import plan_run
from saliency_stats.report.run import Run
from saliency_stats.statistics.components import components_of_networks, over_networks_counted, variance_components
from saliency_stats.statistics.units import independent_units

FILES = ["figures/power.pdf", "figures/power.png", "power.csv"]


def _made_runs():
    """Return the module that makes runs for the tests of the report."""
    spec = importlib.util.spec_from_file_location("made_runs", Path(__file__).parent / "conftest.py")
    module = sys.modules["made_runs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = _made_runs()


@pytest.fixture(scope="module")
def make():
    return lambda folder, **options: MADE.write_run(folder, MADE.Simulation(**options))


@pytest.fixture(scope="module")
def run(make, tmp_path_factory):
    return make(tmp_path_factory.mktemp("runs") / "run", slides=5, patches=5, magnifications=(10.0, 20.0))


@pytest.fixture(scope="module")
def small_run(make, tmp_path_factory):
    return make(tmp_path_factory.mktemp("runs") / "small", slides=5, patches=5, control=False)


@pytest.fixture
def copy(small_run, tmp_path):
    return Path(shutil.copytree(small_run, tmp_path / "copy"))


@pytest.fixture
def undrawn(monkeypatch):
    """Leave the figure blank: drawing takes most of the time, and its own tests look at it."""
    monkeypatch.setattr(power, "draw_power", lambda _: Figure())


def change(folder, **keys):
    """Change keys of a section of the study."""
    study = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    for section, values in keys.items():
        study[section] = {**study[section], **values}
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    MADE.record(folder)


def change_table(folder, name, **columns):
    table = pd.read_csv(folder / f"{name}.csv", keep_default_na=False)
    table.assign(**columns).to_csv(folder / f"{name}.csv", index=False)
    MADE.record(folder)


def test_a_run_is_planned_from_its_own_ledger(run, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    planned = plan_run(run, simulations=200, out=tmp_path / "plan")
    assert sorted(str(path.relative_to(tmp_path / "plan")) for path in (tmp_path / "plan").rglob("*.*")) == FILES
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert planned.table == tmp_path / "plan" / "power.csv"
    assert planned.figure.read_bytes().startswith(b"\x89PNG")

    table = pd.read_csv(planned.table)
    assert list(table.columns[:3]) == ["label", "magnification", "purpose"]
    strata = table[["label", "magnification"]].drop_duplicates()
    assert set(strata.itertuples(index=False, name=None)) == {
        ("benign", 10),
        ("malignant", 10),
        ("benign", 20),
        ("malignant", 20),
    }
    # the same patches, taken from the ledger by hand: the judged ones, trained, both compartments present
    ledger = pd.read_csv(run / "ledger.csv")
    predictions = pd.read_csv(run / "predictions.csv").query("model == 'trained' and correct")
    sure = predictions[np.maximum(predictions["p_malignant"], 1 - predictions["p_malignant"]) >= 0.9]
    rows = ledger.query("model == 'trained'").merge(sure[["patch_id", "magnification"]])
    wide = rows.pivot_table(
        index=["label", "magnification", "slide_id", "patch_id"], columns="compartment", values="density_ratio"
    )
    value = np.log2(wide["cytoplasm"] / wide["nucleus"]).dropna().rename("value").reset_index()
    for (label, magnification), sample in value.groupby(["label", "magnification"]):
        seen = variance_components(independent_units(sample, "value"))
        found = table[(table["label"] == label) & (table["magnification"] == magnification)]
        by_estimate = found[found["variance"] == "estimate"]
        assert by_estimate["between_variance"].to_numpy() == pytest.approx(seen.between)
        assert found["within_variance"].to_numpy() == pytest.approx(seen.within)
        assert found[found["source"] == "estimate"]["effect_log2"].to_numpy() == pytest.approx(seen.estimate)
        assert set(found[found["source"] == "margin"]["effect_log2"]) == {0.0, 0.1}
    assert "optimistic" in planned.advice
    assert "one of 4 hypotheses that are corrected together" in planned.advice
    assert set(table["hypotheses"]) == {4}
    assert set(table["networks"]) == {1}
    # 8 slides are the first of which sign flips of 4 hypotheses can find anything
    assert (table.loc[table["slides"] < 8, "power"] == 0).all()
    assert (table.loc[table["slides"] == 8, "power"] > 0).any()


@pytest.mark.usefixtures("undrawn")
def test_options_choose_the_sample_and_the_effect(run, tmp_path):
    planned = plan_run(
        run, effect=0.8, label="malignant", magnification=20, power=0.8, alpha=0.01, simulations=200, out=tmp_path
    )
    table = pd.read_csv(planned.table)
    assert set(table["label"]) == {"malignant"}
    assert set(table["magnification"]) == {20}
    assert set(table["effect_log2"]) == {np.log2(0.8), 0.0}
    assert planned.advice.count("with 80 % power") == 2
    assert "find a ratio of 0.80 with" in planned.advice
    assert "optimistic" not in planned.advice
    assert "must lie below 0.01 / 4" in planned.advice
    one = plan_run(run, effect=0.8, label="malignant", magnification=20, hypotheses=1, simulations=200, out=tmp_path)
    assert "hypotheses" not in one.advice
    assert set(pd.read_csv(one.table)["hypotheses"]) == {1}
    slack = plan_run(
        run, effect=0.8, label="malignant", magnification=20, alpha=0.2, simulations=200, out=tmp_path / "slack"
    )
    assert pd.read_csv(slack.table)["power"].mean() > table["power"].mean() + 0.02


def test_the_same_command_writes_the_same_bytes_into_the_run(copy, tmp_path):
    here, there = (plan_run(copy, label="benign", simulations=200, out=out) for out in (None, tmp_path / "there"))
    assert here.table == copy / "power.csv"
    assert here.table.read_bytes() == there.table.read_bytes()
    assert here.figure.read_bytes() == there.figure.read_bytes()


@pytest.mark.usefixtures("undrawn")
def test_the_study_decides_margin_least_and_test(copy, tmp_path):
    change(copy, statistics={"equivalence_margin": 0.3, "min_slides": 8})
    planned = plan_run(copy, label="benign", simulations=200)
    table = pd.read_csv(planned.table)
    assert set(table["margin_log2"].dropna()) == {0.3}
    assert (table.loc[table["slides"] < 8, "power"] == 0).all()
    change(copy, statistics={"min_slides": 3, "primary_test": "sign_flip"})
    planned = plan_run(copy, label="benign", simulations=200, hypotheses=1)
    table = pd.read_csv(planned.table)
    # no sign flips of 5 slides can reach p = 0.05, those of 6 can
    assert (table.loc[table["slides"] == 5, "power"] == 0).all()
    assert (table.loc[table["slides"] == 6, "power"] > 0).any()
    assert "which can find nothing with fewer than 6 slides" in planned.advice
    assert set(table["test"]) == {"sign_flip"}
    change(copy, statistics={"primary_test": "t_slide_means"})
    table = pd.read_csv(plan_run(copy, label="benign", simulations=200).table)
    assert (table.loc[table["slides"] == 5, "power"] > 0).any()
    assert set(table["test"]) == {"t_slide_means"}


@pytest.mark.usefixtures("undrawn")
def test_patients_are_planned_where_they_are_the_unit(copy):
    change(copy, statistics={"unit": "patient"})
    with pytest.raises(StatisticsError, match="the patients of the patches are unknown"):
        plan_run(copy)
    slides = pd.read_csv(copy / "ledger.csv")["slide_id"]
    change_table(copy, "ledger", patient_id="p" + slides.str.extract(r"(\d+)", expand=False))
    advised = plan_run(copy, effect=1.2, label="benign", simulations=200).advice
    assert "benign, 20×: 4 patients with about 3 patches each" in advised
    assert "between slides of different patients" in advised
    assert "more patients (" in advised
    assert "can find nothing with fewer than 7 patients" in advised
    assert " slides" not in advised.replace("between slides of different patients", "").replace("flip over slides", "")


@pytest.mark.usefixtures("undrawn")
def test_a_sample_that_cannot_be_planned_is_said_and_the_others_are_planned(copy, tmp_path):
    ledger = pd.read_csv(copy / "ledger.csv")
    one = ledger["slide_id"].where(ledger["label"] == "malignant", "only")
    change_table(copy, "ledger", slide_id=one)
    planned = plan_run(copy, simulations=200)
    assert set(pd.read_csv(planned.table)["label"]) == {"malignant"}
    assert "benign, 20×: all " in planned.advice
    assert "are of one slide" in planned.advice


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learned": False}, "benign, 20× and malignant, 20×: the classifier is not shown to have learned"),
        ({"known_slides": False}, "the slides of the patches are unknown.* fill in the ids"),
        ({"nothing_correct": True}, "no patch has a value"),
        ({"slides": 1, "patches": 8}, "are of one slide"),
        ({"slides": 4, "patches": 1}, "has one patch with a value"),
    ],
    ids=str,
)
def test_runs_that_cannot_be_planned_from_say_why(make, tmp_path, options, words):
    folder = make(tmp_path / "run", **{"slides": 3, "patches": 4, "control": False, **options})
    with pytest.raises(StatisticsError, match=words):
        plan_run(folder)
    assert not (folder / "power.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"effect": 1.0}, "the effect is 1, expected a ratio above 0 other than 1"),
        ({"effect": float("nan")}, "the effect is nan"),
        ({"networks": 5}, "--networks 5: each slide of .* was judged by one network.* state it with --network-sd"),
        ({"magnification": 40}, "has nothing at 40×; it has benign, malignant, 10× and 20×"),
    ],
)
def test_wrong_options_are_refused(run, options, words):
    with pytest.raises(StudyError, match=words):
        plan_run(run, **options)


@pytest.mark.usefixtures("undrawn")
def test_networks_can_be_planned_where_their_variance_is_stated(run, tmp_path):
    how = {"effect": 1.2, "label": "benign", "magnification": 20, "simulations": 200}
    planned = plan_run(run, networks=3, network_sd=0.1, out=tmp_path, **how)
    table = pd.read_csv(planned.table)
    assert set(table["networks"]) == {1, 3, 5, 8, 12}
    assert table["network_variance"].to_numpy() == pytest.approx(0.01)
    assert set(table.loc[table["networks"] > 1, "test"]) == {"crossed"}
    assert "power and 3 networks" in planned.advice
    assert "between networks 0.01 (stated)" in planned.advice
    own = plan_run(run, network_sd=0.1, out=tmp_path, **how).advice
    assert "power and" not in own
    assert "Of slides it takes with 3 networks" in own
    # of one network nothing need be stated, as its plan is about itself
    assert "Of slides it takes" not in plan_run(run, networks=1, out=tmp_path, **how).advice


@pytest.mark.usefixtures("undrawn")
def test_the_networks_of_a_run_are_its_plan_s(run, tmp_path, monkeypatch):
    read = Run.read(run)
    rng = np.random.default_rng(0)
    parts = [read.primary_values.assign(network=str(k), value=read.primary_values["value"] + 0.1 * k) for k in range(4)]
    values = pd.concat(parts, ignore_index=True)
    values["value"] += rng.normal(0, 0.05, len(values))
    read.__dict__["primary_values"] = values
    monkeypatch.setattr(power.Run, "read", lambda _: read)
    how = {"label": "benign", "magnification": 20, "simulations": 200}
    planned = plan_run(run, out=tmp_path, **how)
    table = pd.read_csv(planned.table)
    assert set(table["networks"]) == {1, 3, 4, 5, 8, 12}
    assert "power and 4 networks" in planned.advice
    assert "; between networks 0.01" in planned.advice
    assert "(stated)" not in planned.advice
    rows = values[(values["label"] == "benign") & (values["magnification"] == 20)]
    averaged, _ = over_networks_counted(rows)
    expected = components_of_networks(rows, independent_units(averaged, "value"))
    assert table["network_variance"].iloc[0] == pytest.approx(expected.network)
    assert table["interaction_variance"].iloc[0] == pytest.approx(expected.interaction)
    other = plan_run(run, networks=6, network_sd=0.3, out=tmp_path, **how)
    assert "power and 6 networks" in other.advice
    assert "between networks 0.09 (stated)" in other.advice


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"holds no finished run \(there is no manifest\.json in it\)"):
        plan_run(tmp_path)


# --- hypotheses -------------------------------------------------------------------------------------


def test_the_primary_family_is_counted_as_the_next_study_will_correct_it(blank_run, rows_of):
    keys = [("a", "trained"), ("a", "trained"), ("a", "shuffled"), ("b", "trained")]
    rows = [{"family": family, "model": model, "test": "sign_flip"} for family, model in keys]
    rows += [
        {"family": "a", "model": "trained", "test": "wilcoxon"},
        {"family": "a", "model": "trained", "test": "sign_flip", "status": "no_inference"},
        {"family": "a", "model": "trained", "test": "sign_flip", "status": "not_interpretable"},
        {"family": "a", "model": "trained", "test": "sign_flip", "n_patches": 0},
    ]
    contrasts = rows_of(
        "contrasts",
        *({"status": "tested", "n_patches": 9, **row} for row in rows),
        method="gradient",
        reduction="l2",
        label="benign",
    )
    contrasts["contrast"] = [*["cytoplasm_vs_nucleus"] * 3, "stroma_vs_rest", *["cytoplasm_vs_nucleus"] * 4]
    run = blank_run({"statistics": {"primary_test": "sign_flip"}}, contrasts=contrasts)
    # two of the trained network, its control in the same family, and one that more slides would allow
    assert power._hypotheses(run) == 4
    assert power._hypotheses(run.changed(contrasts=contrasts.iloc[3:5])) == 1
    assert power._hypotheses(run.changed(contrasts=contrasts.iloc[:1])) == 1
