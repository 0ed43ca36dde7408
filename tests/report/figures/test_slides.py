"""The slides: each picture in its own panel, places where they were taken, borders in their colours."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from saliency_stats.errors import StorageError
from saliency_stats.execution.names import file_name
from saliency_stats.report.figures.slides import (
    MOST,
    TISSUE_COLOUR,
    TUMOUR_COLOUR,
    caption_slides,
    draw_slides,
    has_slides,
)
from saliency_stats.report.figures.style import house_style
from saliency_stats.report.run import Run

MPP = (50.0, 40.0)


def _picture(folder: Path, slide_id: str, shade: int, height: int = 20) -> None:
    image = np.full((height, 30, 3), shade, np.uint8)
    tissue = np.zeros((height, 30), bool)
    tissue[5:15, 5:25] = True
    tumour = np.zeros((height, 30), bool)
    tumour[8:12, 10:20] = shade % 2 == 1
    folder.mkdir(exist_ok=True)
    np.savez(folder / file_name(slide_id, ".npz"), image=image, tissue=tissue, tumour=tumour, mpp=np.array(MPP))


@pytest.fixture
def run(small_folder: Path, tmp_path: Path) -> Run:
    """The small run with pictures of its slides, and its places spread over them; one slide has no picture."""
    folder = Path(shutil.copytree(small_folder, tmp_path / "run"))
    read = Run.read(folder)
    patches = read.patches.assign(x_um=np.arange(len(read.patches)) * 10.0, y_um=np.arange(len(read.patches)) * 5.0)
    for k, slide_id in enumerate(sorted(patches["slide_id"].unique())[:-1]):
        _picture(folder / "slide_pictures", slide_id, 100 + k)
    # as it is while the run goes on: what it has just written is read as it is
    return Run(folder, read.tables, read.manifest).changed(patches=patches)


def _drawn(run: Run) -> Figure:
    with house_style():
        figure = draw_slides(run)
        figure.draw_without_rendering()
    return figure


def test_each_slide_has_its_picture_its_places_and_its_borders(run: Run) -> None:
    names = sorted(run.patches["slide_id"].unique())[:-1]
    figure = _drawn(run)
    assert len(figure.axes) == 12
    for k, axes in enumerate(figure.axes):
        assert not axes.axison
        if k >= len(names):
            assert not axes.images
            continue
        own = run.patches[run.patches["slide_id"] == names[k]]
        assert axes.get_title() == f"{names[k]}\n{own['split'].iloc[0]}"
        assert (axes.images[0].get_array() == 100 + k).all()
        *borders, dots = axes.collections
        colours = [to_hex(border.get_edgecolor()[0]).upper() for border in borders]
        assert colours == [TISSUE_COLOUR, TUMOUR_COLOUR][: 1 + k % 2]
        tissue = borders[0].get_paths()[0].vertices
        assert tissue.min(axis=0).tolist() == [4.5, 4.5]
        assert tissue.max(axis=0).tolist() == [24.5, 14.5]
        np.testing.assert_allclose(dots.get_offsets()[:, 0], own["x_um"] / 40.0 - 0.5)
        np.testing.assert_allclose(dots.get_offsets()[:, 1], own["y_um"] / 50.0 - 0.5)
        expected = {"benign": "#1a1a1a", "malignant": "#d55e00"}[own["label"].iloc[0]]
        assert {to_hex(face) for face in dots.get_facecolors()} == {expected}
        assert axes.get_legend() is None
    assert figure.get_size_inches()[1] == pytest.approx(2 * (7.0 / 6 * 20 / 30 + 0.25) + 0.35)


def test_a_place_at_several_magnifications_is_one_place(run: Run) -> None:
    twice = run.changed(patches=run.patches.loc[np.repeat(run.patches.index, 2)])
    one, two = _drawn(run).axes[0], _drawn(twice).axes[0]
    np.testing.assert_allclose(one.collections[-1].get_offsets(), two.collections[-1].get_offsets())
    assert caption_slides(run) == caption_slides(twice)


def test_the_legend_names_borders_and_places(run: Run) -> None:
    handles = _drawn(run).legends[0].legend_handles
    assert [(handle.get_label(), handle.get_color(), handle.get_marker()) for handle in handles] == [
        ("tissue", TISSUE_COLOUR, "None"),
        ("annotated tumour", TUMOUR_COLOUR, "None"),
        ("benign place", "#1A1A1A", "o"),
        ("malignant place", "#D55E00", "o"),
    ]


def test_the_caption_counts_places_slides_and_exclusions(run: Run) -> None:
    n, slides = run.patches["patch_id"].nunique(), run.patches["slide_id"].nunique()
    text = caption_slides(run)
    assert f"{n} places on {slides} slides." in text
    assert f"The first {slides - 1} are drawn." in text
    assert "could not be used" not in text
    table = {"slide_id": ["a", "b"], "status": ["excluded: no tissue", "used"]}
    rows = run.slides.reindex(range(2)).assign(**table)
    assert text + " 1 slide could not be used: no tissue." == caption_slides(run.changed(slides=rows))
    _picture(run.folder / "slide_pictures", max(run.patches["slide_id"]), 100)
    assert "are drawn" not in caption_slides(run)


def test_at_most_so_many_are_drawn_and_high_ones_are_cut(run: Run) -> None:
    assert MOST == 24
    patches = run.patches.copy()
    patches["slide_id"] = [f"s{k % 26:02}" for k in range(len(patches))]
    for k in range(26):
        _picture(run.folder / "slide_pictures", f"s{k:02}", 100, height=90)
    figure = _drawn(run.changed(patches=patches))
    assert len([axes for axes in figure.axes if axes.images]) == 24
    assert figure.get_size_inches()[1] == pytest.approx(4 * (2.2 + 0.25) + 0.35)


def test_a_picture_that_cannot_be_read_is_named(run: Run) -> None:
    path = next((run.folder / "slide_pictures").iterdir())
    path.write_bytes(b"x")
    with pytest.raises(
        StorageError, match=r"this picture of a slide of the run: .* cannot be read .*image, tissue, tumour, mpp"
    ):
        draw_slides(run)


def test_only_slides_have_this_figure(run: Run) -> None:
    assert has_slides(run)
    for path in (run.folder / "slide_pictures").iterdir():
        path.unlink()
    assert draw_slides(run).texts[0].get_text() == "nothing to draw: no slide could be read"
    (run.folder / "slide_pictures").rmdir()
    assert not has_slides(run)
