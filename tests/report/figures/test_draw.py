"""Every figure of a report: its name, when it is wanted, and files that are the same bytes when drawn again."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from saliency_stats.report.figures import draw, style
from saliency_stats.report.figures.style import NothingToDrawError, new_figure
from saliency_stats.report.run import Run
from saliency_stats.statistics.causal import SUM_OF_LABELS


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


def test_figures_have_names_of_their_own_and_are_described() -> None:
    names = [spec.name for spec in draw.FIGURES]
    assert len(set(names)) == len(names) == 21
    assert len({spec.title for spec in draw.FIGURES}) == len(names)
    assert all(spec.title[0].isupper() for spec in draw.FIGURES)
    assert names[:4] == ["ladder", "examples", "density_ratio", "forest"]
    assert {spec.name: (spec.draw.__name__, spec.caption.__name__) for spec in draw.FIGURES} == {
        name: (f"draw_{called}", f"caption_{called}")
        for name, called in {
            **{name: name for name in names},
            "ablation_curves": "curves",
            "segmentations": "segmentation",
            "magnification_compartments": "compartments",
        }.items()
    }


def test_what_a_run_is_not_about_is_not_drawn(run: Run) -> None:
    wanted = {spec.name for spec in draw.FIGURES if spec.wanted(run)}
    always = {"ladder", "examples", "density_ratio", "forest", "profile", "area_vs_mass", "ternary"}
    assert wanted == always | {"roc_reliability", "training", "flow"}
    patches = pd.concat([run.patches, run.patches.assign(magnification=5.0)])
    ablation = run.ablation.reindex(range(1)).assign(model="trained", magnification=20.0)
    causal = run.causal.reindex(range(1)).assign(label=SUM_OF_LABELS)
    more = run.changed(patches=patches, ablation=ablation, causal=causal)
    found = {spec.name for spec in draw.FIGURES if spec.wanted(more)}
    assert found - wanted == {"magnification", "magnification_compartments", "causal", "separation"}
    curves = run.ablation_curves.reindex(range(1)).assign(model="trained")
    crossed = run.multiverse.reindex(range(1))
    more = run.changed(ablation_curves=curves, multiverse=crossed)
    found = {spec.name for spec in draw.FIGURES if spec.wanted(more)}
    assert found - wanted == {"ablation_curves", "multiverse", "segmentations"}


def test_of_nothing_a_figure_and_its_caption_say_why(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_run: Run) -> str:
        raise NothingToDrawError("no slide")

    def sketch(_run: Run) -> Figure:
        return new_figure(2.0)

    drawn: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, path: drawn.append(figure) or path)
    specs = [
        draw.FigureSpec("a", "A", sketch, nothing, lambda _: True),
        draw.FigureSpec("b", "B", nothing, lambda _: "words", lambda _: True),
        draw.FigureSpec("c", "C", sketch, lambda _: "words", lambda _: True),
        draw.FigureSpec("flow", "D", sketch, lambda _: "words", lambda _: True),
    ]
    monkeypatch.setattr(draw, "FIGURES", specs)
    this = " Trained: this network; another may differ."
    made = draw.draw_figures(Run(tmp_path, run.tables, run.manifest))
    assert [one.caption for one in made] == [*["Nothing could be drawn: no slide."] * 2, f"words{this}", "words"]
    assert [one.get_size_inches()[1] for one in drawn[::2]] == [1.1, 1.1, 2.0, 2.0]
    assert [[text.get_text() for text in one.texts] for one in drawn[:4:2]] == [["nothing to draw: no slide"]] * 2


def test_figures_are_drawn_in_order_and_again_alike(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sketch(_run: Run) -> Figure:
        figure = new_figure(1.0)
        figure.subplots().plot([0, 1], [1, 0])
        return figure

    specs = [
        draw.FigureSpec(
            name, name.title(), sketch, lambda run: f"of {len(run.patches)} patches", lambda _run, w=wanted: w
        )
        for name, wanted in (("b", True), ("none", False), ("a", True))
    ]
    monkeypatch.setattr(draw, "FIGURES", specs)
    told: list[str] = []
    written = []
    for k, progress in ((1, told.append), (2, None)):
        made = draw.draw_figures(Run(tmp_path / str(k), run.tables, run.manifest), progress)
        assert {each.caption for each in made} == {f"of {len(run.patches)} patches{draw.networks_words(run)}"}
        assert [(each.name, each.title, each.png.name, each.pdf.name) for each in made] == [
            *(("b", "B", "b.png", "b.pdf"), ("a", "A", "a.png", "a.pdf")),
        ]
        written.append([path.read_bytes() for each in made for path in (each.png, each.pdf)])
        assert {path.name for path in (tmp_path / str(k) / "figures").iterdir()} == {"a.pdf", "a.png", "b.pdf", "b.png"}
    assert told == ["figure b", "figure a"]
    assert written[0] == written[1]
