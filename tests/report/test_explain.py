"""One patch as a picture: which panel shows what, and which bar says which number."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from saliency_stats.errors import ReportError
from saliency_stats.report import explain
from saliency_stats.report.explain import explain_figure
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS
from saliency_stats.vocabulary import COMPARTMENT_CODES, COMPARTMENTS

RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 255, (12, 16, 3)).astype(np.uint8)
SALIENCY = RNG.gamma(1.0, 1.0, (12, 16))
CODES = np.full((12, 16), COMPARTMENT_CODES["stroma"], dtype=np.uint8)
CODES[3:8, 3:8] = COMPARTMENT_CODES["nucleus"]
ROWS = pd.DataFrame(
    {
        "compartment": COMPARTMENTS,
        "area_share": [0.125, 0.25, 0.5, 0.125],
        "mass_share": [0.25, 0.125, 0.625, np.nan],
        "density_ratio": [2.0, 0.5, 1.25, np.nan],
        "status": "measured",
    }
)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Return the figure's axes by their titles instead of saving it."""
    kept = []
    monkeypatch.setattr(explain, "save", lambda figure, path: kept.append(figure) or path)

    def draw(rows=ROWS, compartments=CODES, **options):
        explain_figure(IMAGE, SALIENCY, compartments, rows, "a patch", tmp_path / "a.png", **options)
        kept[0].draw_without_rendering()
        return {axes.get_title(): axes for axes in kept[0].axes}, kept[0]

    return draw


def texts(axes):
    return [text.get_text().strip() for text in axes.texts]


def test_each_panel_shows_its_own(drawn):
    panels, figure = drawn(mpp=0.5)
    assert figure.get_suptitle() == "a patch"
    titles = ["Image", "Compartments", "Saliency", "with nuclear outlines"]
    assert [title for title in panels if title][:4] == titles
    for name in titles[:2]:
        np.testing.assert_array_equal(panels[name].images[0].get_array(), IMAGE)
    for name in titles[2:]:
        np.testing.assert_array_equal(panels[name].images[0].get_array(), SALIENCY)
    assert [len(panels[name].collections) > 0 for name in titles] == [False, True, False, True]
    assert [len(panels[name].images) for name in titles] == [1, 2, 1, 1]  # the tint lies on the second
    assert any("µm" in text for text in texts(panels["Image"]))
    (words,) = [half.get_supxlabel() for half in figure.subfigs if half.get_supxlabel()]
    assert words == "saliency in raw units; the display (no number) is cut at its 99.5th percentile"
    (legend,) = figure.subfigs[1].legends
    assert [text.get_text() for text in legend.get_texts()] == list(COMPARTMENTS)


def test_memberships_show_the_largest(drawn):
    memberships = np.zeros((4, 12, 16))
    memberships[COMPARTMENTS.index("nucleus")] = np.where(COMPARTMENT_CODES["nucleus"] == CODES, 0.6, 0.1)
    memberships[COMPARTMENTS.index("stroma")] = 0.4
    by_code, _ = drawn()
    tint = by_code["Compartments"].images[1].get_array()
    assert to_hex(tint[5, 5, :3]) == to_hex(COMPARTMENT_COLOURS["nucleus"])
    again = explain._codes(memberships)
    np.testing.assert_array_equal(again, CODES)


def test_bars_are_the_ledgers_shares(drawn):
    panels, _ = drawn()
    shares = panels["Share of the area and of the saliency"]
    bars = [(round(bar.get_y() + bar.get_height() / 2, 3), bar.get_width()) for bar in shares.patches]
    expected = [(0, 0.125, 0.25), (1, 0.25, 0.125), (2, 0.5, 0.625), (3, 0.125, np.nan)]
    assert bars == [
        (round(place + shift, 3), value)
        for place, *values in expected
        for shift, value in zip((-0.2, 0.2), values, strict=True)
        if np.isfinite(value)
    ]
    assert texts(shares) == [
        *("12 % of the area", "25 % of the saliency", "25 % of the area", "12 % of the saliency", "50 % of the area"),
        *("62 % of the saliency", "12 % of the area", "no share of the saliency"),
    ]
    assert [label.get_text() for label in shares.get_yticklabels()] == list(COMPARTMENTS)
    assert shares.get_ylim() == (3.5, -0.5)
    assert shares.get_xlim() == (0.0, 1.0)
    # the words of a group stand clear of its longest bar
    assert [text.get_position()[0] for text in shares.texts] == [0.25, 0.25, 0.25, 0.25, 0.625, 0.625, 0.125, 0.0]
    assert to_hex(shares.patches[1].get_facecolor()) == to_hex(COMPARTMENT_COLOURS["nucleus"])
    assert to_hex(shares.patches[0].get_facecolor()) == "#d5dadf"


def test_bars_are_the_ledgers_density_ratios(drawn):
    panels, _ = drawn()
    density = panels["Density ratio (1 = like the whole patch)"]
    assert [bar.get_width() for bar in density.patches] == [1.0, -1.0, np.log2(1.25)]
    assert [round(bar.get_y() + bar.get_height() / 2, 6) for bar in density.patches] == [0, 1, 2]
    assert texts(density) == ["2.00", "0.50", "1.25", "not measured"]
    assert [text.get_ha() for text in density.texts[:3]] == ["left", "right", "left"]
    assert [text.get_position()[0] for text in density.texts] == [1.0, -1.0, np.log2(1.25), 0.0]
    low, high = density.get_xlim()
    assert low == pytest.approx(-1.3 - 0.08 * 2.6)
    assert high == pytest.approx(1.3 + 0.08 * 2.6)
    assert density.lines[0].get_xdata() == [0.0, 0.0]
    assert density.get_ylim() == (3.5, -0.5)  # each bar beside its shares


def test_weak_preferences_do_not_fill_the_axis(drawn):
    panels, _ = drawn(ROWS.assign(density_ratio=[1.1, 0.0, 1.0, 1.0]))
    density = panels["Density ratio (1 = like the whole patch)"]
    assert density.get_xlim() == pytest.approx((-0.8 - 0.08 * 1.6, 0.8 + 0.08 * 1.6))
    assert texts(density)[1] == "not measured"


def test_a_control_stands_beside_the_trained_network_in_white(drawn):
    both = pd.concat([ROWS.assign(model="trained"), ROWS.assign(model="shuffled", density_ratio=4.0)])
    panels, _ = drawn(both)
    density = panels["Density ratio (1 = like the whole patch)"]
    first = density.patches[:2]
    assert [bar.get_width() for bar in first] == [1.0, 2.0]
    assert [round(bar.get_y() + bar.get_height() / 2, 6) for bar in first] == [-0.175, 0.175]
    assert [bar.get_height() for bar in first] == pytest.approx([0.85 * 0.35] * 2)
    assert [to_hex(bar.get_facecolor()) for bar in first] == [to_hex(COMPARTMENT_COLOURS["nucleus"]), "#ffffff"]
    shares = panels["Share of the area and of the saliency"]
    assert texts(shares)[:3] == [
        "12 % of the area",
        "25 % of the saliency, trained",
        "25 % of the saliency, shuffled control",
    ]
    heights = [bar.get_y() + bar.get_height() / 2 for bar in shares.patches[:3]]
    assert heights == pytest.approx([-0.4 + 0.8 / 3 * k for k in (0.5, 1.5, 2.5)])


def test_a_compartment_without_rows_has_no_bars(drawn):
    panels, _ = drawn(ROWS.iloc[1:])
    assert [bar.get_width() for bar in panels["Density ratio (1 = like the whole patch)"].patches] == [
        -1.0,
        np.log2(1.25),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"saliency": SALIENCY[1:]}, r"p1: image \(12, 16\), saliency \(11, 16\) and compartments \(12, 16\) differ"),
        ({"compartments": CODES[:, 1:]}, r"compartments \(12, 15\) differ in size"),
        ({"image": IMAGE[:, 1:]}, r"image \(12, 15\), saliency"),
        ({"rows": ROWS.drop(columns=["mass_share", "status"])}, "has no column mass_share, status; expected one row"),
        ({"rows": ROWS.iloc[:0]}, "the ledger of this patch has no rows"),
        ({"path": "a.gif"}, r"a\.gif: a picture is written as \.png or \.pdf"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes, message, tmp_path):
    given = {"image": IMAGE, "saliency": SALIENCY, "compartments": CODES, "rows": ROWS, "title": "p1", "path": "a.png"}
    given |= changes
    with pytest.raises(ReportError, match=message):
        explain_figure(**{**given, "path": tmp_path / given["path"]})


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_it_is_written_where_it_was_asked_for(ending, tmp_path):
    path = explain_figure(IMAGE, SALIENCY, CODES, ROWS, "a $ patch", tmp_path / f"a.{ending}")
    assert path == tmp_path / f"a.{ending}"
    assert path.read_bytes().startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[ending])


@pytest.mark.parametrize(("share", "words"), [(0.254, "25 % of the tissue outside nuclei is doubtful"), (np.nan, "")])
def test_doubtful_tissue_is_told_where_there_may_be_some(drawn, share, words):
    _, figure = drawn(rows=ROWS.assign(doubtful_share=share))
    (note,) = [text for part in figure.subfigs for text in part.texts if text.get_text().startswith("saliency in raw")]
    assert (words or "99.5th percentile") == note.get_text().split("; ")[-1].removeprefix(
        "the display (no number) is cut at its "
    )
