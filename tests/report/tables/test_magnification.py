"""The model of all magnifications as a table: its rows are the model's."""

import shutil

import pandas as pd
import pytest

from saliency_stats.report.run import Run
from saliency_stats.report.tables.magnification import magnification_tables, model_rows, model_table


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_run):
    folder = tmp_path_factory.mktemp("magnification") / "run"
    return Run.read(make_run(folder, slides=5, patches=5, magnifications=(5.0, 10.0, 20.0), control=False))


def test_cells_are_the_models_numbers(run):
    rows = model_rows(run)
    (table,) = magnification_tables(run)
    assert len(table.rows) == len(rows) == 4
    for cells, row in zip(table.rows, rows.itertuples(index=False), strict=True):
        assert cells[:3] == (f"{row.magnification:g}× against 20×", row.label, "mixed model")
        assert cells[3] == f"{2**row.estimate:.2f}"
        assert cells[4] == f"{2**row.ci_low:.2f}–{2**row.ci_high:.2f}"
        assert cells[5] == f"{row.estimate:.2f}".replace("-", "−")
        assert cells[6:8] == (f"{row.se:.3f}", f"{row.df:.1f}")
        assert cells[-2:] == (f"{row.n_slides:.0f}", f"{row.n_patches:.0f}")
    assert table.columns == (
        *("Magnification", "Class", "Route", "Ratio", "95 % interval", "log2", "SE", "df", "p", "Var slides"),
        *("Var locations", "Var slides × magn.", "Var rest", "Slides", "Patches"),
    )
    assert table.n_text == 3
    assert "(probability of the true class at least 0.9)" in table.note
    assert "Left out" not in table.note


def test_a_magnification_at_chance_is_left_out(run):
    metrics = run.metrics.assign(learned=run.metrics["magnification"] > 5)
    table = model_table(run.changed(metrics=metrics))
    assert [cells[0] for cells in table.rows] == ["10× against 20×"] * 2
    assert "Left out, because the classifier is not shown to have learned there: 5×." in table.note


def test_another_reference_and_one_magnification(run, tmp_path, record):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    (folder / "study.yaml").write_text((folder / "study.yaml").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    one = pd.read_csv(folder / "patches.csv", keep_default_na=False)
    one[one["magnification"] == 10].to_csv(folder / "patches.csv", index=False)
    assert magnification_tables(Run.read(record(folder))) == ()


def test_why_there_is_no_model(run):
    patches = run.patches.assign(slide_id="")
    ledger = run.ledger.assign(slide_id="")
    (table,) = magnification_tables(run.changed(patches=patches, ledger=ledger))
    assert {cells[2] for cells in table.rows} == {"no model"}
    assert {cells[3] for cells in table.rows} == {"—"}
    assert {cells[-2] for cells in table.rows} == {"—"}
    assert "Benign and malignant, no model: " in table.note


def test_several_networks_show_the_variance_between_them(tmp_path, make_run):
    sim = {"slides": 5, "patches": 4, "magnifications": (10.0, 20.0), "control": False, "networks": 3}
    run = Run.read(make_run(tmp_path / "run", **sim))
    rows, table = model_rows(run), model_table(run)
    judged = run.mean_values.dropna(subset="value")  # a patch that several networks judge is one patch
    assert dict(zip(rows["label"], rows["n_patches"], strict=True)) == judged["label"].value_counts().to_dict()
    place = table.columns.index("Var networks")
    assert table.columns[place - 1 : place + 2] == ("Var rest", "Var networks", "Slides")
    assert [cells[place] for cells in table.rows] == [f"{row:.3f}" for row in rows["var_network"]]
    assert all(len(cells) == len(table.columns) for cells in table.rows)
    assert "of slides at each magnification, and of the networks of each magnification (REML" in table.note
