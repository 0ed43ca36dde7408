"""From a finished run to what is collected next."""

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from saliency_stats.errors import StatisticsError, StorageError, StudyError
from saliency_stats.report import power
from saliency_stats.report.power import advice, plan_run
from saliency_stats.statistics.components import Components, variance_components
from saliency_stats.statistics.power import Aim, plan_study
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


def change(folder, **keys):
    """Change keys of a section of the study."""
    study = yaml.safe_load((folder / "study.yaml").read_text())
    for section, values in keys.items():
        study[section] = {**study[section], **values}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
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
    assert "corrects for 4 hypotheses: with --alpha 0.0125" in planned.advice


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
    assert "hypotheses" not in planned.advice
    slack = plan_run(run, effect=0.8, label="malignant", magnification=20, alpha=0.2, out=tmp_path / "slack")
    assert pd.read_csv(slack.table)["power"].mean() > table["power"].mean() + 0.02


def test_the_same_command_writes_the_same_bytes_into_the_run(copy, tmp_path):
    here, there = (plan_run(copy, label="benign", simulations=200, out=out) for out in (None, tmp_path / "there"))
    assert here.table == copy / "power.csv"
    assert here.table.read_bytes() == there.table.read_bytes()
    assert here.figure.read_bytes() == there.figure.read_bytes()


def test_the_study_decides_margin_least_and_test(copy, tmp_path):
    change(copy, statistics={"equivalence_margin": 0.3, "min_slides": 8})
    planned = plan_run(copy, label="benign", simulations=200)
    table = pd.read_csv(planned.table)
    assert set(table["margin_log2"].dropna()) == {0.3}
    assert (table.loc[table["slides"] < 8, "power"] == 0).all()
    change(copy, statistics={"min_slides": 3, "primary_test": "sign_flip"})
    planned = plan_run(copy, label="benign", simulations=200)
    table = pd.read_csv(planned.table)
    # no sign flips of 5 slides can reach p = 0.05, those of 6 can
    assert (table.loc[table["slides"] == 5, "power"] == 0).all()
    assert (table.loc[table["slides"] == 6, "power"] > 0).any()
    assert "primary test is the sign-flip test" in planned.advice


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
    assert " slides" not in advised.replace("between slides of different patients", "")


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
        ({"learned": False}, "benign, 20× and malignant, 20×: the classifier did not beat chance"),
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
        ({"magnification": 40}, "has nothing at 40×; it has benign, malignant, 10× and 20×"),
    ],
)
def test_wrong_options_are_refused(run, options, words):
    with pytest.raises(StudyError, match=words):
        plan_run(run, **options)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"holds no finished run \(there is no manifest\.json in it\)"):
        plan_run(tmp_path)


# --- words ------------------------------------------------------------------------------------------


def lines(*aims, unit="slide", **values):
    seen = {"between": 0.006, "between_high": 0.012, "within": 0.03, **values}
    plan = plan_study(Components(unit, 10, 11, 0.39, **seen), aims, simulations=100)
    return list(advice("malignant, 20×", plan)), plan.needs


def test_advice_says_what_to_collect():
    (first, line), (need,) = lines(Aim("superiority", 0.1, source="margin"))
    assert first == (
        "malignant, 20×: 10 slides with about 11 patches each, a ratio of 1.31. Variance (log2) between slides 0.006"
        " (upper 80 % limit 0.012), between patches of a slide 0.03."
    )
    assert (need.slides, need.slides_high, need.enough_patches, need.slides_enough) == (12, 18, 16, 11)
    assert line == (
        "  To find a ratio of 1.07 (the limit of no preference) with 90 % power: collect 2 more slides (12 in all) with"
        " about 11 patches each; by the upper limit, which is safer to plan on, 18 in all. From 16 patches per slide on"
        " (with 16 it takes 11 slides), twice as many save less than one slide."
    )


def test_advice_says_when_there_are_enough():
    (_, line), _ = lines(Aim("superiority", 0.39))
    assert ": the 10 slides of this run suffice (3 would), also by the upper limit." in line
    (_, line), _ = lines(Aim("superiority", 0.12), unit="patient")
    assert ": the 10 patients of this run suffice (9 would); by the upper limit" in line


def test_advice_says_when_nothing_will_do():
    (_, line), _ = lines(Aim("superiority", 0.02), between=0.1, between_high=0.2)
    assert "no realistic study will do: it takes more than 1,000 slides with about 11 patches each." in line
    assert "  To show no preference (a ratio within 0.93–1.07) where there is none, with 90 % power: " in "".join(
        lines(Aim("equivalence", 0.1))[0]
    )


def test_advice_says_when_patches_keep_paying():
    (_, line), _ = lines(Aim("superiority", 0.1), between=0.0, between_high=20.0, within=5.0)
    assert "collect 470 more slides (480 in all)" in line
    assert "by the upper limit, which is safer to plan on, more than 1,000 in all." in line
    assert line.endswith(" Up to 400 patches per slide (with 400 it takes 16 slides), doubling them saves slides.")
    (_, line), _ = lines(Aim("superiority", 0.1), between=0.0, between_high=20.0, within=60.0)
    assert ": it takes more than 1,000 slides with about 11 patches each. Up to 400 patches" in line
    assert "no realistic" not in line


# --- cautions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("test", "flipped"), [("sign_flip", True), ("t_slide_means", False)])
def test_cautions_say_what_the_numbers_leave_out(blank_run, rows_of, test, flipped):
    keys = [("a", "trained", test), ("a", "trained", test), ("a", "shuffled", test), ("b", "trained", test)]
    rows = [{"family": family, "model": model, "test": name} for family, model, name in keys]
    rows += [{"family": "a", "model": "trained", "test": "wilcoxon"}]
    rows += [{"family": "a", "model": "trained", "test": test, "status": "no_inference"}]
    contrasts = rows_of(
        "contrasts", *({"status": "tested", **row} for row in rows), method="gradient", reduction="l2", label="benign"
    )
    contrasts["contrast"] = ["cytoplasm_vs_nucleus"] * 3 + ["stroma_vs_rest"] + ["cytoplasm_vs_nucleus"] * 2
    run = blank_run({"statistics": {"unit": "patient", "primary_test": test}}, contrasts=contrasts)
    said = list(power._cautions(run, {}, None))
    assert said[0] == (
        "These are plans for one test at level 0.05. The study corrects for 3 hypotheses: with --alpha 0.0167 a plan"
        " holds whatever the others show."
    )
    words = (
        "These are plans for the t test over patient means. The study's primary test is the sign-flip test: its power"
        " is about the same with eight patients or more, a fifth less with six, and zero with fewer."
    )
    assert said[1:] == [words] * flipped
    assert len(list(power._cautions(run, {}, 0.05))) == flipped
    one = run.changed(contrasts=contrasts.iloc[:1])
    assert len(list(power._cautions(one, {}, None))) == flipped


@pytest.mark.parametrize(("alpha", "fewest"), [(0.05, 6), (0.0625, 5), (0.5, 2), (0.01, 8)])
def test_the_fewest_units_of_which_sign_flips_can_reject(alpha, fewest):
    assert power._least_flipped(alpha) == fewest
    assert 2.0 ** (1 - fewest) <= alpha < 2.0 ** (2 - fewest)
