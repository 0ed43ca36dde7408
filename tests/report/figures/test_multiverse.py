"""The specification curve shows the numbers of its table, in order, and marks the study's own."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from saliency_stats.compartments.variants import VARIANTS
from saliency_stats.errors import StorageError
from saliency_stats.execution.schema import TABLES
from saliency_stats.report.figures.multiverse import (
    caption_multiverse,
    caption_segmentation,
    draw_multiverse,
    draw_segmentation,
    has_multiverse,
)
from saliency_stats.report.figures.style import TRAINED_COLOUR, house_style, save
from saliency_stats.report.run import Run
from saliency_stats.report.words import ratio_interval
from saliency_stats.statistics.multiverse import DIMENSIONS, MULTIVERSE_COLUMNS

#: Levels of each dimension by name, the study's own first; a dimension without one here has a single level.
LEVELS = {
    "method": ("gradient", "occlusion"),
    "reduction": ("l2",),
    "segmentation": tuple(variant.name for variant in VARIANTS),
    "min_confidence": (0.9, 0.99),
}
USUAL = {name: LEVELS.get(name, ("same",))[0] for name in DIMENSIONS}


def _table(*, tested: bool = True, magnifications: tuple[float, ...] = (20.0,)) -> pd.DataFrame:
    """Every variant, two methods and two confidences, in random order; two of them without an estimate."""
    rng = np.random.default_rng(0)
    rows = []
    levels = (LEVELS.get(name, ("same",)) for name in DIMENSIONS)
    for values in product(("benign", "malignant"), magnifications, *levels):
        row = dict(
            zip(("label", "magnification", *USUAL), values, strict=True),
            cytoplasm_um=5.0,
            estimate=rng.normal(0.1, 0.3),
            test="sign_flip",
            n_slides=8,
            n_patches=60,
            n_missing=1,
            status="tested" if tested else "no_inference",
            reason="",
        )
        p_value = rng.uniform(0, 0.1) if tested else np.nan
        half = 0.2 if tested else np.nan
        row |= {"ci_low": row["estimate"] - half, "ci_high": row["estimate"] + half, "p_value": p_value}
        row |= {"significant": bool(p_value <= 0.05), "sample": len(rows)}
        rows.append(row | {"usual": all(row[name] == level for name, level in USUAL.items())})
    table = pd.DataFrame(rows)[list(MULTIVERSE_COLUMNS)]
    table.loc[~table["usual"] & (table["segmentation"] == "band1um") & (table["method"] == "occlusion"), "estimate"] = (
        np.nan
    )
    return table.sample(frac=1, random_state=0)


def _run(run_folder: Path, tmp_path: Path, table: pd.DataFrame) -> Run:
    missing = [name for name in TABLES["multiverse"].required if name not in table]
    return Run.read(run_folder).changed(multiverse=table.assign(**dict.fromkeys(missing, "")))


def _drawn(figure: Figure) -> Figure:
    with house_style():
        figure.draw_without_rendering()
    return figure


def test_the_curve_is_sorted_and_the_study_is_marked(run_folder: Path, tmp_path: Path) -> None:
    table = _table()
    figure = _drawn(draw_multiverse(_run(run_folder, tmp_path, table)))
    for label, curve, dashboard in zip(("benign", "malignant"), figure.axes[:2], figure.axes[2:], strict=True):
        own = table[(table["label"] == label) & table["estimate"].notna()].sort_values("estimate")
        points, usual = (
            np.asarray(of.get_offsets()) for of in curve.collections if type(of).__name__ == "PathCollection"
        )
        np.testing.assert_allclose(points[:, 1], own["estimate"])
        place = int(np.flatnonzero(own["usual"])[0])
        assert usual.tolist() == [[place, own["estimate"].iloc[place]]]
        mark = next(line for line in dashboard.lines if line.get_color() == TRAINED_COLOUR)
        assert list(mark.get_xdata()) == [place, place]
        # every specification has one level of each of the three dimensions that vary
        assert sum(len(of.get_segments()) for of in dashboard.collections) == 3 * len(own)
        assert curve.get_title().startswith(label)
    words = [text.get_text() for text in figure.axes[2].get_yticklabels()]
    assert words[:4] == ["method", "gradient", "occlusion", "segmentation"]
    assert words[4:7] == ["usual", "nuclei \N{MINUS SIGN}1 µm", "nuclei \N{MINUS SIGN}0.5 µm"]
    assert words[-3:] == ["least confidence", "0.9", "0.99"]


def test_the_caption_counts_what_agrees(run_folder: Path, tmp_path: Path) -> None:
    table = _table()
    caption = caption_multiverse(_run(run_folder, tmp_path, table))
    for label in ("benign", "malignant"):
        own = table[(table["label"] == label) & table["estimate"].notna()]
        above = f"{100 * (own['estimate'] > 0).mean():.0f} %"
        sure = f"{100 * ((own['estimate'] > 0) & own['significant']).mean():.0f} %"
        assert f"{label.capitalize()}, 20×: 46 specifications (46 with values of their own)" in caption
        assert f"denser in the cytoplasm in {above}, significantly so in {sure}" in caption
    assert "The same in all: reduction of colours l2" in caption
    assert "4 specifications without an estimate left out" in caption


def test_segmentations_are_those_of_the_study_and_the_band_is_their_range(run_folder: Path, tmp_path: Path) -> None:
    table = _table(magnifications=(20.0,))
    run = _run(run_folder, tmp_path, table)
    figure = _drawn(draw_segmentation(run))
    for label, axes in zip(("benign", "malignant"), figure.axes, strict=True):
        own = table[(table["label"] == label) & (table["method"] == "gradient") & (table["min_confidence"] == 0.9)]
        assert len(own) == len(VARIANTS)
        band = axes.patches[0].get_window_extent().transformed(axes.transData.inverted())
        assert (band.x0, band.x1) == pytest.approx((own["estimate"].min(), own["estimate"].max()))
        places = {variant.name: place for place, variant in enumerate(VARIANTS)}
        points = np.asarray(axes.collections[1].get_offsets())
        expected = {places[name]: value for name, value in zip(own["segmentation"], own["estimate"], strict=True)}
        assert {int(y): x for x, y in points} == pytest.approx(expected)
        span = ratio_interval(own["estimate"].min(), own["estimate"].max())
        assert span in axes.get_title()
        assert f"over 12 segmentations {span}" in caption_segmentation(run)


def test_without_intervals_and_at_several_magnifications_it_is_drawn_too(run_folder: Path, tmp_path: Path) -> None:
    run = _run(run_folder, tmp_path, _table(tested=False, magnifications=(10.0, 20.0)))
    run = run.changed(patches=pd.concat([run.patches, run.patches.assign(magnification=10.0)]))
    with house_style():
        for name, draw in (("curve", draw_multiverse), ("segmentation", draw_segmentation)):
            figure = draw(run)
            assert len(figure.axes) == {"curve": 8, "segmentation": 4}[name]
            assert save(figure, tmp_path / f"{name}.png").stat().st_size > 10_000
    assert "significantly" not in caption_multiverse(run)


def test_nothing_to_draw_says_so(run_folder: Path, tmp_path: Path) -> None:
    run = _run(run_folder, tmp_path, _table().assign(estimate=np.nan))
    for figure in (draw_multiverse(run), draw_segmentation(run)):
        assert "nothing to draw" in figure.texts[0].get_text()
    assert "without an estimate left out" in caption_multiverse(run)
    assert caption_segmentation(run).startswith("The primary contrast")


def test_a_run_without_a_multiverse_has_no_such_figures(run_folder: Path, tmp_path: Path) -> None:
    run = Run.read(run_folder)
    assert not has_multiverse(run)
    _table().drop(columns="usual").to_csv(tmp_path / "multiverse.csv", index=False)
    with pytest.raises(StorageError, match="the columns usual are missing"):
        has_multiverse(Run(tmp_path))
    _table().assign(estimate="much").to_csv(tmp_path / "multiverse.csv", index=False)
    with pytest.raises(StorageError, match="no number"):
        has_multiverse(Run(tmp_path))
