"""What goes into a paper says what the tables say."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from saliency_stats.compartments.ways import cell_words
from saliency_stats.report.checklist import checklist_table
from saliency_stats.report.figures.draw import DrawnFigure
from saliency_stats.report.paper import _methods, write_paper
from saliency_stats.report.run import Run
from saliency_stats.report.tables.contrasts import contrast_tables
from saliency_stats.report.tables.patches import patch_tables
from saliency_stats.report.tables.table import Table
from saliency_stats.vocabulary import USUAL_CELLS


@pytest.fixture(scope="module")
def paper(run_folder: Path) -> Path:
    run = Run.read(run_folder)
    figures = run_folder / "figures"
    figures.mkdir()
    Figure(figsize=(1, 1)).savefig(figures / "flow.pdf")
    drawn = DrawnFigure("flow", "A_title", "100 % & more, 中 ω", figures / "flow.png", figures / "flow.pdf")
    other = replace(drawn, name="methods")
    hostile = Table(
        "ladder",
        "[Wide] --",
        "",
        ("[Head]", "*"),
        (
            ("[a]", "x_" * 25),
            ("* 中", "ń \N{GREEK CAPITAL LETTER ALPHA}"),
            (r"_%&#$~^{}\|<>", "µ × δ ≥ ± \N{MINUS SIGN} “a” …"),
        ),
        n_text=2,
    )
    write_paper(run, [drawn, other], (hostile, *contrast_tables(run), *patch_tables(run), checklist_table(run)))
    return run_folder / "paper"


def _cells(path: Path) -> list[list[str]]:
    body = path.read_text(encoding="utf-8").split("\\midrule")[1].split("\\bottomrule")[0]
    lines = [line.strip().removesuffix("\\\\") for line in body.strip().splitlines()]
    return [[cell.strip() for cell in line.split(" & ")] for line in lines]


def _value(cell: str) -> float:
    return float(cell.replace("$-$", "-"))


def test_contrasts_equal_the_csv(paper: Path) -> None:
    rows = pd.read_csv(paper.parent / "contrasts.csv")
    rows = rows[(rows["contrast"] == "cytoplasm_vs_nucleus") & (rows["test"] == "sign_flip")]
    rows = rows[rows["population"] == "judged"]
    names = {"trained": "trained", "randomised": "randomised control", "trained-randomised": "trained $-$ randomised"}
    cells = _cells(paper / "table_contrasts.tex")
    assert len(cells) == len(rows) == 6
    for _, row in rows.iterrows():
        found = [line for line in cells if line[1] == row["label"] and line[2] == names[row["model"]]]
        assert len(found) == 1
        _, _, _, ratio, bounds, log2, p, adjusted, _, effect, icc, deff, n_eff, slides, patches, status = found[0]
        low, high = (float(text) for text in bounds.split("--"))
        assert float(ratio) == pytest.approx(2 ** row["estimate"], abs=0.005)
        assert low == pytest.approx(2 ** row["ci_low"], abs=0.005)
        assert high == pytest.approx(2 ** row["ci_high"], abs=0.005)
        assert _value(log2) == pytest.approx(row["estimate"], abs=0.005)
        for text, value in ((p, row["p_value"]), (adjusted, row["p_adjusted"])):
            if value < 0.0001:
                assert text == "\\textless{} 0.0001"
            else:
                assert float(text) == pytest.approx(value, rel=0.06)
        assert _value(effect) == pytest.approx(row["effect_size"], abs=0.005)
        assert float(icc) == pytest.approx(row["icc"], abs=0.005)
        assert float(deff) == pytest.approx(row["design_effect"], abs=0.05)
        assert float(n_eff) == pytest.approx(row["n_effective"], abs=0.5)
        reached = "out of reach" if row["p_attainable"] >= 0.05 else "tested"
        assert (int(slides), int(patches), status) == (row["n_slides"], row["n_patches"], reached)


def test_metrics_equal_the_csv(paper: Path) -> None:
    rows = pd.read_csv(paper.parent / "metrics.csv")
    cells = _cells(paper / "table_metrics.tex")
    assert len(cells) == len(rows)
    names = {"trained": "trained", "randomised": "randomised control"}
    for _, row in rows.iterrows():
        line = next(cell for cell in cells if cell[1] == names[row["model"]] and cell[2] == row["split"])
        columns = ("balanced_accuracy", "sensitivity", "specificity", "auc", "brier")
        found = [float(line[k]) for k in (3, 5, 6, 7, 8)]
        np.testing.assert_allclose(found, row[list(columns)].to_numpy(float), atol=0.0005)
        assert (int(line[9]), int(line[10])) == (row["n_slides"], row["n_patches"])


def test_composition_is_a_mean_over_slides_of_the_judged_patches(paper: Path) -> None:
    folder = paper.parent
    predictions = pd.read_csv(folder / "predictions.csv")
    trained = predictions[(predictions["model"] == "trained") & (predictions["split"] == "test")]
    p_true = trained["p_malignant"].where(trained["label"] == "malignant", 1 - trained["p_malignant"])
    judged = set(trained.loc[trained["correct"] & (p_true >= 0.9), "patch_id"])
    ledger = pd.read_csv(folder / "ledger.csv")
    rows = ledger[ledger["patch_id"].isin(judged) & (ledger["model"] == "trained")]
    for label in ("benign", "malignant"):
        stratum = rows[(rows["label"] == label) & (rows["compartment"] == "nucleus")]
        area = stratum.groupby("slide_id")["area_share"].mean().mean()
        density = np.log2(stratum["density_ratio"]).groupby(stratum["slide_id"]).mean().mean()
        cells = _cells(paper / "table_composition.tex")
        line = next(cell for cell in cells if cell[1:4] == [label, "trained", "nucleus"])
        assert float(line[4].removesuffix(" \\%")) == pytest.approx(100 * area, abs=0.05)
        assert float(line[6]) == pytest.approx(2**density, abs=0.005)
        assert int(line[8]) == stratum["density_ratio"].notna().sum()
        assert int(line[9]) == stratum["density_ratio"].isna().sum()


def test_methods_state_the_numbers_of_the_study(paper: Path) -> None:
    text = (paper / "methods.tex").read_text(encoding="utf-8")
    patches = pd.read_csv(paper.parent / "patches.csv")
    used = patches[patches["status"] == "used"]
    for label in ("benign", "malignant"):
        assert f"{(used['label'] == label).sum()} {label} patches" in text
    assert f"of {used['slide_id'].nunique()} slides" in text
    assert f"{len(patches) - len(used)} patches could not be used" in text
    metrics = pd.read_csv(paper.parent / "metrics.csv")
    tested = metrics[(metrics["model"] == "trained") & (metrics["split"] == "test")].iloc[0]
    assert f"balanced accuracy was {tested['balanced_accuracy']:.3f}" in text
    assert "DenseNet-201" in text
    assert "seed 7" in text


def test_every_citation_has_its_reference(paper: Path) -> None:
    cited = set(re.findall(r"\\cite\{(\w+)\}", (paper / "methods.tex").read_text(encoding="utf-8")))
    known = set(re.findall(r"@\w+\{(\w+),", (paper / "references.bib").read_text(encoding="utf-8")))
    assert {"heller", "huang2017densenet", "simonyan2014", "adebayo2018", "holm1979"} <= cited
    assert cited <= known


def test_rows_have_as_many_cells_as_the_heading(paper: Path) -> None:
    for path in sorted(paper.glob("table_*.tex")):
        text = path.read_text(encoding="utf-8")
        columns = re.search(r"\\begin\{tabular\}\{(.+)\}\n", text)
        assert columns is not None
        lines = [line for line in text.splitlines() if line.endswith("\\\\")]
        assert len(lines) > 1
        n_columns = len(re.sub(r">{.+?}p{.+?}", "p", columns[1]))
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {n_columns}, path.name


def test_main_puts_in_every_figure_and_table_once(paper: Path) -> None:
    def inputs(name: str, command: str) -> list[str]:
        return re.findall(rf"^\\{command}\{{(\w+)\}}$", (paper / name).read_text(encoding="utf-8"), re.MULTILINE)

    parts = inputs("main.tex", "input")
    assert parts == ["captions", "methods", "ladder", "flow", "checklist", "tables", "figures"]
    assert inputs("ladder.tex", "fitted") == ["table_ladder"]
    assert inputs("flow.tex", "fitted") == ["table_selection", "table_exclusions"]
    assert inputs("checklist.tex", "fitted") == ["table_checklist"]
    placed = [table for part in parts[2:-1] for table in inputs(f"{part}.tex", "fitted")]
    assert sorted(placed) == sorted(path.stem for path in paper.glob("table_*.tex"))
    # a figure that is called as a part of tables stands beside them
    for part, figure, height in (("flow", "flow", 0.8), ("figures", "methods", 0.55)):
        text = (paper / f"{part}.tex").read_text(encoding="utf-8")
        assert re.findall(r"height=(.+?)\\textheight", text) == [str(height)]
        assert re.findall(r"\\label\{fig:(.+)\}", text) == [figure]
    assert "{../figures/flow.pdf}\n\\caption{\\captionFlow}\\label{fig:flow}" in (paper / "flow.tex").read_text()


def test_letters_of_other_scripts_are_declared(paper: Path) -> None:
    text = (paper / "main.tex").read_text(encoding="utf-8")
    declared = re.findall(r"^\\letter\{(.)\}\{(\w+)\}$", text, re.MULTILINE)
    assert declared == [(chr(int(code, 16)), code) for code in ("0144", "0391", "4E2D")]


def test_parts_without_a_table_are_left_out(blank_run, tables) -> None:
    run = blank_run(**tables)
    write_paper(run, (), ())
    main = (run.folder / "paper" / "main.tex").read_text(encoding="utf-8")
    assert re.findall(r"\\input\{(\w+)\}", main) == ["captions", "methods", "figures"]
    assert "\\letter" not in main


def test_long_text_is_wrapped(paper: Path) -> None:
    # the first column holds short text, the second one cell of more than 40 characters
    text = (paper / "table_ladder.tex").read_text(encoding="utf-8")
    assert r"\begin{tabular}{l>{\raggedright\arraybackslash}p{0.45\linewidth}}" in text
    assert "{[}a{]} & " in text


def test_main_compiles_as_it_is(paper: Path, compiled: Callable[[Path], str]) -> None:
    pages = compiled(paper)
    # a high table stands on the page of its heading
    heading = re.search(r"Checklist\}\{(\d+)\}", pages)
    table = re.search(r"\\newlabel\{tab:checklist\}\{\{\d+\}\{(\d+)\}", pages)
    assert heading is not None
    assert table is not None
    assert heading[1] == table[1]


def test_captions_are_commands(paper: Path) -> None:
    text = (paper / "captions.tex").read_text(encoding="utf-8")
    assert "\\newcommand{\\captionFlow}{A\\_title. 100 \\% \\& more, 中 $\\omega$}" in text
    assert "\\newcommand{\\captionTableContrasts}{" in text


def _cohort(rows_of):
    rows = [
        {"patch_id": "a", "slide_id": "A", "label": "benign", "split": "train", "status": "used", "mpp": 0.5},
        {"patch_id": "b", "slide_id": "B", "label": "malignant", "split": "test", "status": "used", "mpp": 0.25},
        {"patch_id": "c", "slide_id": "B", "label": "malignant", "split": "test", "status": "excluded: x", "mpp": 0.5},
        {"patch_id": "d", "slide_id": "", "label": "benign", "split": "test", "status": "used", "mpp": 0.5},
    ]
    return rows_of("patches", *rows, magnification=20.0)


def test_the_cohort_is_counted_by_magnification(blank_run, rows_of):
    patches = _cohort(rows_of)
    assert _methods_of(blank_run, rows_of, patches=patches)["cohort"] == (
        "Kind of cohort: phantom. At 20× (0.25 and 0.5 µm per pixel) there were 2 benign patches and 1 malignant patch"
        " of 2 slides (1 in train, 2 in test). 1 patch could not be used."
    )
    unknown = patches[patches["status"] == "used"].assign(slide_id="")
    text = _methods_of(blank_run, rows_of, patches=unknown)["cohort"]
    assert text.endswith("of unknown slides (1 in train, 2 in test). No patch was excluded.")


def _methods_of(blank_run, rows_of, study=None, record=None, patches=None, training=None, ledger=None, metrics=None):
    patches = _cohort(rows_of) if patches is None else patches
    predictions = rows_of(
        "predictions",
        {"patch_id": "b", "label": "malignant", "predicted": "malignant", "p_malignant": 0.99, "correct": True},
        magnification=20.0,
        split="test",
        model="trained",
    )
    tables = {"training": training, "ledger": ledger, "metrics": metrics}
    given = {name: table for name, table in tables.items() if table is not None}
    run = blank_run(
        study, record=record, patches=patches, predictions=predictions, verdict=[{"sentence": "So."}], **given
    )
    return _methods(run)


def test_the_sentences_of_the_methods(blank_run, rows_of):
    training = rows_of("training", {"model": "trained", "epoch": 7}, {"model": "trained", "epoch": 9})
    maps = {"method": "gradient", "reduction": "l2"}
    ledger = rows_of("ledger", {"model": "trained", **maps}, {"model": "randomised", **maps})
    score = {"balanced_accuracy": 0.9, "balanced_accuracy_low": 0.8, "balanced_accuracy_high": 1.0, "n_patches": 12}
    more = {"sensitivity": 0.7, "specificity": 0.6, "auc": 0.5}
    metrics = rows_of("metrics", {**score, **more, "model": "trained", "split": "test", "magnification": 20.0})
    said = _methods_of(blank_run, rows_of, training=training, ledger=ledger, metrics=metrics)
    assert said["classifier"] == (
        "A DenseNet-201 (initial weights: none; trained part: all; 9 epochs; seed 7) was trained at each magnification"
    )
    assert said["performance"] == (
        "On 12 patches of the test split at 20× its balanced accuracy was 0.900 (interval 0.800 to 1.000), sensitivity"
        " 0.700, specificity 0.600, AUC 0.500."
    )
    assert said["saliency"] == (
        "Saliency maps explain the logit of the correct class on raw pixels in [0, 1] (method: gradient, reduced over"
        " the colour channels by l2)"
    )
    assert said["judged"] == (
        "Judged were the patches of the test split that were classified correctly with a probability of the true class"
        " of at least 0.9: 1 patch."
    )
    assert said["controls"] == (
        "The same numbers were computed for the randomised control (the same architecture with random weights) on the"
        " same patches, and the difference was tested as a contrast of its own"
    )
    assert said["statistics"].endswith(
        "The unit of inference is the slide: patch values are averaged per slide, and the means are tested two-sided at"
        " 0.05 (sign-flip over slides). Equivalence is claimed where the 90 % interval lies within ±0.1 log2."
    )
    assert said["compartments"].startswith(
        f"Nuclei were segmented (method: classical) at 0.5 µm per pixel or finer; {cell_words(USUAL_CELLS, 5.0)};"
        f" stroma is the rest of the tissue, and background what is not tissue (cells: {USUAL_CELLS}). A compartment's"
    )
    assert said["software"] == "Versions: saliency-stats 0.1.0, python 3.11.9, torch 2.4.0. Device: cpu."
    assert (said["correction"], said["segmented"], said["gradient"]) == ("holm1979", True, True)
    assert said["results"] == ["So."]


def test_other_studies_have_other_sentences(blank_run, rows_of):
    study = {
        "statistics": {"unit": "patient", "correction": "bh", "alpha": 0.01},
        "compartments": {"nuclei": "truth"},
        "controls": {},
    }
    record = {"methods": {"grad_cam": {"words": "Grad-CAM"}}}
    ledger = rows_of("ledger", {"model": "trained", "method": "grad_cam", "reduction": "none"})
    said = _methods_of(blank_run, rows_of, {k: v for k, v in study.items() if v}, record, ledger=ledger)
    assert said["saliency"].endswith("(method: Grad-CAM)")
    assert "averaged per slide, slides per patient, and the means are tested two-sided at 0.01" in said["statistics"]
    assert "where the 98 % interval" in said["statistics"]
    assert said["classifier"].count("no epochs recorded") == 1
    assert said["compartments"].startswith("The compartments are the known truth of the synthetic tissue. A compart")
    assert (said["correction"], said["segmented"], said["gradient"]) == ("benjamini1995", False, False)
    assert said["controls"] == ""
    assert said["software"] == "Versions: not recorded. Device: not recorded."


def test_doubtful_tissue_is_told(blank_run, rows_of):
    row = {"patch_id": "b", "label": "malignant", "model": "trained", "method": "gradient", "reduction": "l2"}
    ledger = rows_of("ledger", row, magnification=20.0, split="test", compartment="nucleus").assign(
        doubtful_share=0.123
    )
    study = {"compartments": {"cells": "network", "cytoplasm_um": 7.5}}
    said = _methods_of(blank_run, rows_of, study, ledger=ledger)["compartments"]
    assert f"; {cell_words('network', 7.5)}; stroma is the rest" in said
    assert (
        "(cells: network). In the median judged patch, no membership reached 0.75 in 12.3 % (malignant, 20×) of the"
        " tissue outside nuclei. A compartment's"
    ) in said


def test_simonyan_is_cited_for_the_gradient_alone(paper):
    text = (paper / "methods.tex").read_text(encoding="utf-8")
    assert "\\cite{simonyan2014}. Judged were" in text
