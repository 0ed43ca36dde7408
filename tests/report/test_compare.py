"""Several runs side by side: every number is its own run's, and the page is whole."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from saliency_stats.errors import StorageError, StudyError
from saliency_stats.report.compare import (
    COMPARISON_COLUMNS,
    Compared,
    compare_runs,
    comparison_table,
    levels,
    run_names,
    study_differences,
    verdict_sentences,
)
from saliency_stats.report.figures.compare import draw_comparison
from saliency_stats.report.figures.style import house_style
from saliency_stats.report.run import Run

HOSTILE = "<b>b"


@pytest.fixture(scope="module")
def folders(
    tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path], record: Callable[[Path], Path]
) -> list[Path]:
    """Two runs of one name and another classifier, and one whose classifier learned nothing."""
    root = tmp_path_factory.mktemp("compare")
    made = [
        make_run(root / "a" / "study", seed=1, slides=6, patches=6),
        make_run(root / HOSTILE / "study", seed=2, slides=6, patches=6, magnifications=(10.0, 20.0), control=False),
        make_run(root / "chance", seed=3, slides=4, patches=5, learned=False),
    ]
    path = made[1] / "study.yaml"
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    study["classifier"] |= {"architecture": "densenet121", "patience": 9}
    study["controls"] = []
    study["statistics"]["primary_test"] = "t_slide_means"
    path.write_text(yaml.safe_dump(study), encoding="utf-8")
    record(made[1])
    return made


@pytest.fixture(scope="module")
def compared(folders: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Compared:
    return compare_runs(folders, tmp_path_factory.mktemp("out") / "comparison")


def _table(folders: list[Path]) -> pd.DataFrame:
    return comparison_table({name: Run.read(folder) for name, folder in run_names(folders).items()})


def test_runs_are_named_by_their_folders_until_they_differ(tmp_path: Path) -> None:
    paths = [tmp_path / each for each in ("x/a/run", "y/a/run", "y/b/run", "other")]
    assert list(run_names(paths)) == ["x/a/run", "y/a/run", "b/run", "other"]
    assert list(run_names(paths).values()) == paths


@pytest.mark.parametrize(
    ("given", "message"),
    [([], "no runs given"), (["a"], "1 run given, expected at least two"), (["a", "b", "b/../a"], "given twice")],
)
def test_what_cannot_be_compared_is_wrong_usage(given: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        compare_runs([tmp_path / name for name in given], tmp_path / "out")
    assert caught.value.exit_status == 2
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_run_is_named(folders: list[Path], tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    with pytest.raises(StorageError, match="photographs"):
        compare_runs([folders[0], tmp_path / "photographs"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_number_is_that_of_its_run_and_its_own_primary_test(folders: list[Path], compared: Compared) -> None:
    found = pd.read_csv(compared.table, keep_default_na=False, na_values={"estimate": [""], "ci_low": [""]})
    assert list(found.columns) == list(COMPARISON_COLUMNS)
    tests = {"a/study": "sign_flip", f"{HOSTILE}/study": "t_slide_means", "chance": "sign_flip"}
    assert set(found["run"]) == set(tests)
    for (name, test), folder in zip(tests.items(), folders, strict=True):
        own = pd.read_csv(folder / "contrasts.csv", keep_default_na=False)
        wanted = (own["test"] == test) & own["contrast"].str.contains("nucleus|rest|cytoplasm")
        wanted &= own["population"] == "judged"
        own = own[wanted].set_index(["label", "magnification", "model", "contrast"])
        rows = found[found["run"] == name].set_index(["label", "magnification", "model", "contrast"])
        assert len(rows) == len(own) > 10
        for column in ("estimate", "ci_low", "ci_high", "p_adjusted", "n_slides", "n_patches"):
            expected = pd.to_numeric(own.loc[rows.index, column])
            np.testing.assert_array_equal(pd.to_numeric(rows[column]), expected)
        metrics = pd.read_csv(folder / "metrics.csv")
        metrics = metrics[metrics["split"] == "test"].set_index(["magnification", "model"])["balanced_accuracy"]
        trained = rows.xs("trained", level="model")
        assert (pd.to_numeric(trained["balanced_accuracy"]).to_numpy() == [
            metrics[key, "trained"] for key in trained.index.get_level_values("magnification")
        ]).all()  # fmt: skip


def test_verdicts_stand_in_the_rows_they_are_about(folders: list[Path]) -> None:
    table = _table(folders)
    judged = (table["contrast"] == "cytoplasm_vs_nucleus") & (table["model"] == "trained")
    assert (table.loc[judged, "verdict"] != "").all()
    assert (table.loc[~judged, "verdict"] == "").all()
    assert set(table.loc[judged & (table["run"] == "chance"), "verdict"]) == {"not_testable"}
    difference = table["model"] == "trained-randomised"
    assert table.loc[difference, "balanced_accuracy"].isna().all()
    assert difference.any()


def test_one_sentence_per_class_counts_the_runs() -> None:
    rows = [("benign", 10.0, status) for status in ("supported", "supported", "contradicted")]
    rows += [("benign", 20.0, "equivalent"), ("malignant", 20.0, "not_testable"), ("malignant", 20.0, "inconclusive")]
    table = pd.DataFrame(rows, columns=["label", "magnification", "verdict"])
    table = table.assign(contrast="cytoplasm_vs_nucleus", model="trained")
    claim = "The claim for {} patches (saliency denser in the cytoplasm than in the nuclei):"
    benign, malignant = verdict_sentences(table)
    assert benign.startswith(claim.format("benign"))
    assert benign.endswith(
        "at 10×, 2 of 3 runs support it and 1 contradicts it; at 20×, 1 of 1 run finds no preference."
    )
    assert malignant == f"{claim.format('malignant')} at 20×, 1 of 2 runs is inconclusive and 1 cannot test it."


def test_the_keys_that_differ_are_those_and_no_others(folders: list[Path]) -> None:
    runs = {name: Run.read(folder) for name, folder in run_names(folders).items()}
    assert {row[0]: row[1:] for row in study_differences(runs)} == {
        "classifier.architecture": ("densenet201", "densenet121", "densenet201"),
        "classifier.patience": ("3", "9", "3"),
        "controls": ("randomised", "none", "randomised"),
        "statistics.primary_test": ("sign_flip", "t_slide_means", "sign_flip"),
    }
    first = runs["a/study"]
    assert study_differences({"one": first, "two": first}) == ()


def test_levels_are_named_once_where_they_agree(
    folders: list[Path], tmp_path: Path, record: Callable[[Path], Path]
) -> None:
    run = Run.read(folders[0])
    path = shutil.copytree(folders[0], tmp_path / "other") / "study.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("alpha: 0.05", "alpha: 0.01"), encoding="utf-8")
    other = Run.read(record(path.parent))
    assert levels({"a": run, "b": run}) == "95 %"
    assert levels({"a": run, "b": other}) == "95 % and 99 % (each run's own)"


def test_the_forest_has_a_mark_per_run_class_and_magnification(folders: list[Path]) -> None:
    table = _table(folders)
    with house_style():
        figure = draw_comparison(table, list(run_names(folders)), "95 %")
        figure.draw_without_rendering()
    axes, numbers = figure.axes
    rows = table[(table["contrast"] == "cytoplasm_vs_nucleus") & (table["model"] == "trained")]
    names = list(run_names(folders))
    (marks,) = axes.collections[-1:]
    assert marks.get_offsets()[:, 0].tolist() == rows["estimate"].tolist()
    hollow = [tuple(face) == (1.0, 1.0, 1.0, 1.0) for face in marks.get_facecolors()]
    assert hollow == (rows["run"] == "chance").tolist()
    assert len({tuple(edge) for edge in marks.get_edgecolors()}) == 3
    crosses = [x for line in axes.lines if line.get_marker() == "x" for x in line.get_xdata() if np.isfinite(x)]
    controls = table[(table["contrast"] == "cytoplasm_vs_nucleus") & (table["model"] == "randomised")]
    assert sorted(crosses) == sorted(controls["estimate"])
    assert [text.get_text() for text in axes.get_yticklabels()] == rows["run"].tolist()
    headings = [text.get_text() for text in axes.texts if "," in text.get_text()]
    assert headings == ["benign, 10×", "benign, 20×", "malignant, 10×", "malignant, 20×"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [*names, "hollow: not shown to have learned, no finding", "random weights"]
    boxes = [text.get_window_extent() for text in numbers.texts]
    assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


def test_long_names_keep_their_ends_apart(folders: list[Path]) -> None:
    table = _table(folders)
    table = table[table["run"] == "chance"]
    names = [f"a-long-name-of-a-study-that-goes-on-at-{magnification}" for magnification in (10, 20)]
    with house_style():
        figure = draw_comparison(pd.concat([table.assign(run=name) for name in names]), names, "95 %")
    shown = {text.get_text() for text in figure.legends[0].get_texts()[:2]}
    assert len(shown) == 2
    assert max(map(len, shown)) <= 26


def test_nothing_to_draw_is_said(folders: list[Path]) -> None:
    figure = draw_comparison(_table(folders).assign(estimate=np.nan), ["chance"], "95 %")
    assert "nothing to draw: no run has" in figure.texts[0].get_text()


def test_the_page_has_everything_inside(compared: Compared) -> None:
    text = compared.page.read_text(encoding="utf-8")
    for sentence in compared.sentences:
        assert sentence in text
    sources = re.findall(r'(?:src|href)="([^"]{5})', text)
    assert sources == ["data:"]
    assert not re.search(r"<(script|link|iframe)|@import|url\(", text)
    assert HOSTILE not in text
    assert "&lt;b&gt;b/study" in text
    assert "densenet121" in text
    assert len(compared.sentences) == 2


def test_again_is_the_same_bytes_and_files_stand_where_they_should(
    folders: list[Path], compared: Compared, tmp_path: Path
) -> None:
    again = compare_runs(folders, tmp_path)
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert written == ["comparison.csv", "comparison.html", "figures/comparison.pdf", "figures/comparison.png"]
    for path in written:
        assert (tmp_path / path).read_bytes() == (compared.page.parent / path).read_bytes()
    assert again.sentences == compared.sentences


def test_equal_studies_are_said_to_be_equal(folders: list[Path], tmp_path: Path) -> None:
    shutil.copytree(folders[0], tmp_path / "copy")
    page = compare_runs([folders[0], tmp_path / "copy"], tmp_path / "out").page
    assert "The study files are the same in every key" in page.read_text(encoding="utf-8")


# --- rows of runs that were made up -----------------------------------------------------------------


def _made(blank_run, rows_of, **verdict):
    maps = {"method": "gradient", "reduction": "l2"}
    row = {"contrast": "cytoplasm_vs_nucleus", "label": "benign", "magnification": 20.0, "model": "trained", **maps}
    rows = [
        {**row, "test": "wilcoxon", "estimate": 9.0},
        {**row, "test": "sign_flip", "estimate": 1.0},
        {**row, "test": "sign_flip", "model": "randomised", "estimate": 2.0},
        {**row, "test": "sign_flip", "contrast": "stroma_vs_rest", "estimate": 3.0},
        {**row, "test": "sign_flip", "contrast": "confident_vs_unsure", "estimate": 4.0},
        {**row, "test": "sign_flip", "method": "bark", "model": "bark", "reduction": "none", "estimate": 5.0},
        {**row, "test": "sign_flip", "label": "malignant", "estimate": 6.0},
    ]
    scores = [("trained", "test", 0.9), ("trained", "valid", 0.8), ("randomised", "test", 0.5)]
    metrics = [{"model": model, "split": split, "balanced_accuracy": value} for model, split, value in scores]
    judged = {"contrast": "cytoplasm_vs_nucleus", "label": "benign", "magnification": 20.0, "method": "gradient"}
    return blank_run(
        verdict=[{**judged, "status": "supported", **verdict}],
        contrasts=rows_of("contrasts", *rows, status="tested"),
        metrics=rows_of("metrics", *metrics, magnification=20.0),
        patches=rows_of("patches", {"label": "benign", "magnification": 20.0}),
        ledger=rows_of("ledger", {"model": "trained", **maps}),
    )


def test_the_rows_of_a_run(blank_run, rows_of):
    run = _made(blank_run, rows_of)
    table = comparison_table({"second": run, "first": run})
    assert table[["run", "contrast", "model", "estimate", "balanced_accuracy", "verdict"]].to_numpy().tolist() == [
        ["second", "cytoplasm_vs_nucleus", "trained", 1.0, 0.9, "supported"],
        ["first", "cytoplasm_vs_nucleus", "trained", 1.0, 0.9, "supported"],
        ["second", "cytoplasm_vs_nucleus", "randomised", 2.0, 0.5, ""],
        ["first", "cytoplasm_vs_nucleus", "randomised", 2.0, 0.5, ""],
        ["second", "stroma_vs_rest", "trained", 3.0, 0.9, ""],
        ["first", "stroma_vs_rest", "trained", 3.0, 0.9, ""],
    ]
    assert list(table.columns) == list(COMPARISON_COLUMNS)


@pytest.mark.parametrize("other", [{"label": "malignant"}, {"magnification": 10.0}, {"method": "grad_cam"}])
def test_a_verdict_belongs_to_its_own_hypothesis(blank_run, rows_of, other):
    assert set(comparison_table({"one": _made(blank_run, rows_of, **other)})["verdict"]) == {""}


def test_values_of_a_study_file_stand_as_written(blank_run, tmp_path):
    one = blank_run({"saliency": {"keep": True, "more_reductions": ["l1", "max"]}})
    _ = one.settings
    two = blank_run({"cohort": {"kind": "patches", "table": "a.csv", "signal": None}})
    found = {row[0]: row[1:] for row in study_differences({"one": one, "two": two})}
    assert found["saliency.keep"] == ("true", "false")
    assert found["saliency.more_reductions"] == ("l1, max", "none")
    assert found["cohort.signal"] == ("cytoplasm", "—")
    assert found["cohort.kind"] == ("phantom", "patches")
    assert "seed" not in found
