"""The numbers behind the figures, and the picture of one patch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.figure import Figure
from PIL import Image
from scipy import stats

from saliency_stats.errors import ReportError
from saliency_stats.report.caveats import caveats
from saliency_stats.report.explain import explain_figure
from saliency_stats.report.figures.classifier import reliability, roc_curve
from saliency_stats.report.figures.contrasts import draw_forest, primary_rows
from saliency_stats.report.figures.flow import draw_flow
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, spread
from saliency_stats.report.population import exclusions, points
from saliency_stats.report.run import Run
from saliency_stats.report.words import count, number, p_words, ratio, shorten
from saliency_stats.vocabulary import COMPARTMENTS


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return Run.read(run_folder)


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@given(
    hnp.arrays(bool, 30, elements=st.booleans()).filter(lambda values: values.any() and not values.all()),
    hnp.arrays(float, 30, elements=st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9])),
)
def test_area_under_the_roc_is_the_mann_whitney_statistic(malignant: np.ndarray, score: np.ndarray) -> None:
    false_positive, true_positive = roc_curve(malignant, score)
    assert (false_positive[0], true_positive[0]) == (0.0, 0.0)
    assert (false_positive[-1], true_positive[-1]) == (1.0, 1.0)
    area = np.trapezoid(true_positive, false_positive)
    u = stats.mannwhitneyu(score[malignant], score[~malignant]).statistic
    assert area == pytest.approx(u / (malignant.sum() * (~malignant).sum()), abs=1e-12)


@given(
    hnp.arrays(bool, 40, elements=st.booleans()),
    hnp.arrays(float, 40, elements=st.floats(0, 1)),
)
def test_reliability_bins_hold_every_patch_once(malignant: np.ndarray, score: np.ndarray) -> None:
    table = reliability(malignant, score)
    assert table["n"].sum() == 40
    assert (table["observed"] * table["n"]).sum() == pytest.approx(malignant.sum())
    assert (table["predicted"] * table["n"]).sum() == pytest.approx(score.sum())
    assert table["bin"].between(0, 9).all()


def test_the_judged_patches_follow_the_rule(run: Run) -> None:
    rows = run.own_predictions[(run.own_predictions["model"] == "trained") & (run.own_predictions["split"] == "test")]
    p_true = rows["p_malignant"].where(rows["label"] == "malignant", 1 - rows["p_malignant"])
    expected = rows[rows["correct"] & (p_true >= 0.9)]
    found = run.population.patches
    assert 0 < len(found) < len(rows)
    assert set(found["patch_id"]) == set(expected["patch_id"])


def test_points_are_geometric_means_of_slides_with_a_t_interval(run: Run) -> None:
    ledger = run.judged_ledger
    rows = ledger[
        (ledger["label"] == "malignant") & (ledger["model"] == "trained") & (ledger["compartment"] == "cytoplasm")
    ]
    found = points(run, rows, "density_ratio", log2=True)
    means = np.log2(rows["density_ratio"]).groupby(rows["slide_id"]).mean()
    assert found.by_unit
    np.testing.assert_allclose(np.sort(found.each), np.sort(means), rtol=0, atol=1e-12)
    half = stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    assert (found.low, found.high) == pytest.approx((means.mean() - half, means.mean() + half))
    shuffled = points(run, rows.sample(frac=1, random_state=1), "density_ratio", log2=True)
    np.testing.assert_array_equal(found.each, shuffled.each)


def test_points_without_slides_are_patches_without_an_interval(run: Run) -> None:
    rows = run.judged_ledger
    rows = rows[(rows["compartment"] == "nucleus") & (rows["model"] == "trained")]
    some = rows.assign(slide_id=rows["slide_id"].where(rows["patch_id"] != rows["patch_id"].iloc[0], ""))
    found = points(run, some, "density_ratio", log2=True)
    assert not found.by_unit
    assert found.each.size == rows["density_ratio"].notna().sum() < len(rows)
    assert np.isnan([found.low, found.high]).all()


def test_reasons_of_exclusion_lose_the_names_of_patches(run: Run) -> None:
    table = exclusions(run)
    assert table["n_patches"].sum() == (run.patches["status"] != "used").sum()
    assert list(table["n_patches"]) == sorted(table["n_patches"], reverse=True)
    assert not table["reason"].str.contains(r"\.png|[bm]\d\d-\d\d").any()
    # one cause, one row for each class
    assert len(table) == 4


def test_the_forest_shows_every_primary_contrast_with_its_numbers(run: Run) -> None:
    rows = primary_rows(run)
    assert list(rows["model"]) == ["trained", "randomised", "trained-randomised"] * 2
    assert set(rows["test"]) == {"sign_flip"}
    words = _texts(draw_forest(run))
    for estimate in rows["estimate"]:
        assert ratio(estimate) in words


def test_the_forest_says_why_there_is_no_interval(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    folder = make_run(tmp_path / "run", slides=3, patches=5, known_slides=False)
    figure = draw_forest(Run.read(folder))
    figure.draw_without_rendering()
    box = figure.texts[0].get_window_extent()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= figure.bbox.x1
    note = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert "no interval" in note
    assert "slides of the patches are unknown" in note


def test_the_flow_shows_every_count_and_its_exclusions_add_up(run: Run) -> None:
    words = _texts(draw_flow(run))
    for row in run.selection.itertuples():
        assert any(word.startswith(f"{int(row.n_patches)} patches, ") for word in words)
    left_out = [int(word.split()[0]) for word in words if word.endswith("left out")]
    by_label = run.selection.groupby("label")["n_patches"]
    assert sum(left_out) == (by_label.first() - by_label.last()).sum()


def test_colours_are_one_per_compartment() -> None:
    assert tuple(COMPARTMENT_COLOURS) == COMPARTMENTS
    assert len(set(COMPARTMENT_COLOURS.values())) == len(COMPARTMENTS)


@given(st.integers(0, 200))
def test_spread_stays_inside_and_keeps_points_apart(n: int) -> None:
    offsets = spread(n, 0.4)
    assert (np.abs(offsets) <= 0.2).all()
    assert np.unique(offsets.round(9)).size == n


def test_wording() -> None:
    assert (ratio(1.0), ratio(float("nan")), ratio(-1.0), ratio(5.0), ratio(7.0)) == (
        "2.00",
        "—",
        "0.50",
        "32.0",
        "128",
    )
    assert (number(-0.001), number(-0.5), number(float("inf"))) == ("0.00", "−0.50", "—")
    assert (p_words(0.00001), p_words(0.012), p_words(float("nan"))) == ("< 0.0001", "0.012", "—")
    assert (count(1, "patch"), count(2000, "patch"), count(0, "slide")) == ("1 patch", "2,000 patches", "no slides")
    assert shorten("abcdef", 4) == "abc…"


@pytest.mark.parametrize(
    ("trained", "control", "difference", "p_control", "p_difference", "words"),
    [
        (1.0, 0.4, 0.6, 0.001, 0.001, "Training adds to it"),
        (0.2, 0.6, -0.4, 0.001, 0.001, "Training weakens it"),
        (0.5, 0.4, 0.1, 0.001, 0.5, "does not detectably add"),
        (0.5, 0.4, 0.1, np.nan, np.nan, "untested here"),
        (0.5, -0.4, 0.9, 0.001, 0.001, None),
        (1.0, 0.1, 0.9, 0.6, 0.001, None),
    ],
)
def test_a_control_that_leans_the_same_way_is_named(
    run: Run,
    trained: float,
    control: float,
    difference: float,
    p_control: float,
    p_difference: float,
    words: str | None,
) -> None:
    contrasts = run.own_contrasts.copy()
    values = {
        "trained": (trained, 0.001),
        "randomised": (control, p_control),
        "trained-randomised": (difference, p_difference),
    }
    primary = contrasts["contrast"] == "cytoplasm_vs_nucleus"
    for model, (estimate, p_value) in values.items():
        contrasts.loc[primary & (contrasts["model"] == model), ["estimate", "p_adjusted"]] = estimate, p_value
    changed = run.changed(contrasts=contrasts)
    found = [caveat for caveat in caveats(changed) if "leans the same way" in caveat.title]
    if words is None:
        assert not found
    else:
        assert len(found) == 2
        assert all(words in caveat.text for caveat in found)


def _patch(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    image = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
    memberships = rng.dirichlet(np.ones(4), (40, 50)).transpose(2, 0, 1)
    rows = pd.DataFrame(
        {
            "compartment": COMPARTMENTS,
            "area_share": [0.3, 0.4, 0.29, 0.01],
            "mass_share": [0.2, 0.5, 0.29, 0.01],
            "density_ratio": [0.67, 1.25, 1.0, np.nan],
            "status": ["measured"] * 3 + ["missing: too small"],
        }
    )
    return image, rng.random((40, 50)), memberships, rows


def test_one_patch_is_explained_alike_from_memberships_and_codes(tmp_path: Path) -> None:
    image, saliency, memberships, rows = _patch(np.random.default_rng(0))
    codes = np.array([1, 2, 3, 0], np.uint8)[memberships.argmax(axis=0)]  # nucleus, cytoplasm, stroma, background
    explain_figure(image, saliency, memberships, rows, "a $ patch", tmp_path / "soft.png", mpp=0.5)
    explain_figure(image, saliency, codes, rows.assign(model="trained"), "a $ patch", tmp_path / "hard.png", mpp=0.5)
    assert (tmp_path / "soft.png").read_bytes() == (tmp_path / "hard.png").read_bytes()
    with Image.open(tmp_path / "soft.png") as picture:
        assert np.unique(np.asarray(picture.convert("L"))).size > 100


def test_one_patch_as_pdf_with_its_control_and_an_empty_map(tmp_path: Path) -> None:
    image, _, _, rows = _patch(np.random.default_rng(0))
    both = pd.concat([rows.assign(model="trained"), rows.assign(model="randomised", mass_share=np.nan)])
    nothing = np.zeros((40, 50), np.uint8)
    path = explain_figure(image, np.zeros((40, 50)), nothing, both, "white", tmp_path / "white.pdf")
    assert path.read_bytes().startswith(b"%PDF")


def test_one_patch_refuses_what_does_not_fit(tmp_path: Path) -> None:
    image, saliency, memberships, rows = _patch(np.random.default_rng(0))
    path = tmp_path / "a.png"
    with pytest.raises(ReportError, match="differ in size"):
        explain_figure(image, saliency[1:], memberships, rows, "p1", path)
    with pytest.raises(ReportError, match="no column mass_share"):
        explain_figure(image, saliency, memberships, rows.drop(columns="mass_share"), "p1", path)
    with pytest.raises(ReportError, match="no rows"):
        explain_figure(image, saliency, memberships, rows.iloc[:0], "p1", path)
    with pytest.raises(ReportError, match=r"\.png or \.pdf"):
        explain_figure(image, saliency, memberships, rows, "p1", tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())
