"""Panels by magnification and class: their order, their rows, the words around them."""

from pathlib import Path

import pandas as pd
import pytest

from saliency_stats.report.figures import facets as panel
from saliency_stats.report.figures.rows import name_rows
from saliency_stats.report.run import Run

LABELS = ("benign", "malignant")


@pytest.fixture(scope="module")
def run(small_folder: Path) -> Run:
    run = Run.read(small_folder)
    return run.changed(patches=pd.concat([run.patches.assign(magnification=at) for at in (20.0, 5.0, 10.0)]))


def _table(*strata: tuple[float, str]) -> pd.DataFrame:
    return pd.DataFrame(strata, columns=["magnification", "label"]).assign(value=range(len(strata)))


def test_what_is_known_comes_first_and_each_once() -> None:
    assert panel.in_order(["z", "b", "a", "z"], ["c", "a", "z", "d", "a"]) == ["z", "a", "c", "d"]
    assert panel.in_order([], []) == []


def test_strata_are_those_of_the_table_coarse_to_fine(run: Run) -> None:
    table = _table((20.0, "benign"), (5.0, "malignant"), (5.0, "benign"), (40.0, "benign"), (5.0, "benign"))
    found = panel.strata(run, table)
    assert list(found) == [(5.0, "benign"), (5.0, "malignant"), (20.0, "benign")]
    assert [rows["value"].tolist() for rows in found.values()] == [[2, 4], [1], [0]]
    assert panel.of_stratum(table, (5.0, "benign"))["value"].tolist() == [2, 4]
    assert panel.place_words(run, (5.0, "benign")) == "Benign, 5×"


def test_panels_are_a_row_per_magnification_and_columns_per_class(run: Run) -> None:
    table = _table((20.0, "benign"), (5.0, "malignant"), (20.0, "malignant"), (20.0, "benign"))
    figure, found = panel.facets(run, table, 2.0, around_in=0.5, width_in=6.0, width_ratios=[3.0, 1.0], sharey=True)
    assert tuple(figure.get_size_inches()) == (6.0, 4.5)
    assert [one.stratum for one in found] == [(at, label) for at in (5.0, 20.0) for label in LABELS]
    for one in found:
        assert len(one.axes) == 2
        for k, axes in enumerate(one.axes):
            spec = axes.get_subplotspec()
            assert spec.rowspan.start == (5.0, 20.0).index(one.stratum[0])
            assert spec.colspan.start == 2 * LABELS.index(one.stratum[1]) + k
    assert [one.rows["value"].tolist() for one in found] == [[], [1], [0, 3], [2]]
    assert [one.beside["value"].tolist() for one in found] == [[1], [1], [0, 2, 3], [0, 2, 3]]
    first, last = found[0].axes[0], found[-1].axes[-1]
    assert first.get_subplotspec().get_gridspec().get_width_ratios() == [3.0, 1.0] * 2
    assert first.get_shared_y_axes().joined(first, last)


def test_a_figure_has_the_house_s_width_and_a_part_around_its_panels(run: Run) -> None:
    figure, found = panel.facets(run, _table((20.0, "malignant")), 1.5)
    assert tuple(figure.get_size_inches()) == (7.0, pytest.approx(2.05))
    assert [one.stratum for one in found] == [(20.0, "malignant")]


def test_several_panels_may_stand_below_one_another(run: Run) -> None:
    _, found = panel.facets(run, _table((20.0, "benign"), (5.0, "benign")), 1.0, height_ratios=[2.0, 1.0])
    places = [[axes.get_subplotspec().rowspan.start for axes in one.axes] for one in found]
    assert places == [[0, 1], [2, 3]]
    assert found[0].axes[0].get_subplotspec().get_gridspec().get_height_ratios() == [2.0, 1.0] * 2


def test_words_stand_beside_the_first_column_and_below_the_last_row_alone(run: Run, seen) -> None:
    table = _table((20.0, "benign"), (20.0, "malignant"), (5.0, "benign"))
    _, found = panel.facets(run, table, 1.0, beside="share", below=("ratio",), sharey=True)
    for (axes,), *_ in found:
        name_rows(axes, [(0.0, "one"), (1.0, "two")], {"one"})
    titles = [f"{label}, 5× (not shown to have learned)" for label in LABELS] + [f"{label}, 20×" for label in LABELS]
    assert [axes.get_title() for (axes,), *_ in found] == titles
    assert [axes.get_xlabel() for (axes,), *_ in found] == ["", "", "ratio", "ratio"]
    assert [axes.get_ylabel() for (axes,), *_ in found] == ["share", "", "share", ""]
    ((first,), *_), ((second,), *_) = found[:2]
    assert seen.rows(first) == {"two": 1.0, "one": 0.0}
    assert seen.bold(first) == ["one"]
    assert not second.get_yticklabels()


def test_each_panel_of_a_stratum_has_words_of_its_own(run: Run) -> None:
    table = _table((20.0, "benign"), (20.0, "malignant"), (5.0, "benign"))
    figure, found = panel.facets(run, table, 1.0, beside="b", below=("left", "right"), width_ratios=[2.0, 1.0])
    assert [axes.get_xlabel() for axes in figure.axes] == [""] * 4 + ["left", "right"] * 2
    assert [axes.get_ylabel() for axes in figure.axes] == ["b", "", "", ""] * 2
    assert [axes.get_title() for one in found for axes in one.axes[1:]] == [""] * 4
    # of panels below one another the first has the words beside, the last those below
    figure, _ = panel.facets(run, table, 1.0, beside="b", below=("below",), height_ratios=[2.0, 1.0])
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["b", "", "b", ""]
    assert [axes.get_xlabel() for axes in figure.axes] == [""] * 6 + ["below"] * 2


def test_a_title_says_where_nothing_was_learned(run: Run) -> None:
    chance = run.changed(metrics=run.metrics.assign(learned=False))
    _, found = panel.facets(chance, _table((20.0, "benign")), 1.0)
    assert found[0].axes[0].get_title() == "benign, 20× (not shown to have learned)"
