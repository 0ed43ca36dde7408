"""What replacing a compartment does, drawn from simulated tables."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from saliency_stats.report.figures.causal import caption_causal, draw_causal, has_ablation, shown_effects
from saliency_stats.report.figures.curves import caption_curves, draw_curves, shown_curves
from saliency_stats.report.figures.separation import caption_separation, draw_separation, has_separation
from saliency_stats.report.figures.style import house_style, save
from saliency_stats.report.run import Run
from saliency_stats.statistics import StatisticsParameters, primary_population
from saliency_stats.statistics.causal import causal_table
from saliency_stats.vocabulary import TISSUE

Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
IDENTITY = ["patch_id", "slide_id", "patient_id", "label", "split", "magnification", "model", "compartment"]


def simulated(run: Run) -> Tables:
    """Return ablation, causal and ablation_curves of a run whose decision lies in the cytoplasm."""
    rng = np.random.default_rng(0)
    rows = run.own_ledger[run.own_ledger["compartment"].isin(TISSUE) & (run.own_ledger["status"] == "measured")]
    rows = rows[rows["split"] == "test"].reset_index(drop=True)
    slide = rows["patch_id"].str[:3].map({name: rng.normal(0, 0.5) for name in sorted(set(rows["patch_id"].str[:3]))})
    own = np.where(rows["model"] == "trained", 2.0, 0.0) * (rows["compartment"] == "cytoplasm")
    does = 1.0 + slide + own + 2 * np.log2(rows["density_ratio"]) + rng.normal(0, 0.6, len(rows))
    parts = []
    for kind, factor in (("mean", 1.0), ("blur", 0.4), ("stain", -0.2)):
        for region, size in (
            ("compartment", does * factor + rng.normal(0, 0.5, len(rows))),
            ("random", 1.2 * factor + rng.normal(0, 0.4, len(rows))),
        ):
            logit = {"logit": 4.0, "logit_ablated": 4.0 - size * rows["area_share"]}
            parts.append(rows[[*IDENTITY, "area_share"]].assign(replacement=kind, region=region, **logit))
    ablation = pd.concat(parts, ignore_index=True)
    population = primary_population(run.own_predictions, min_confidence=0.9)
    causal = causal_table(ablation, run.own_ledger, population, StatisticsParameters(bootstrap_draws=2_000))
    shares = np.linspace(0, 1, 6)
    steps = rows[rows["model"] == "trained"][IDENTITY].drop(columns=["patient_id", "split"])
    curves = [
        steps.assign(direction=direction, share=share, logit=start + sign * does[steps.index] * np.sqrt(share))
        for direction, start, sign in (("deletion", 4.0, -1), ("insertion", -1.0, 1))
        for share in shares
    ]
    return ablation, causal, pd.concat(curves, ignore_index=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Run:
    return Run.read(make_run(tmp_path_factory.mktemp("causal") / "run", slides=4, patches=6))


@pytest.fixture(scope="module")
def tables(run: Run) -> Tables:
    return simulated(run)


def _texts(figure: Figure) -> str:
    parts = [text.get_text() for axes in figure.axes for text in axes.texts]
    parts += [axes.get_title(loc=side) for axes in figure.axes for side in ("left", "center", "right")]
    return "\n".join([*parts, *(text.get_text() for text in figure.texts)])


def test_the_diamonds_are_means_over_slides(run: Run, tables: Tables) -> None:
    ablation, causal, _ = tables
    with house_style():
        figure = draw_causal(run, ablation, causal)
    assert len(figure.axes) == 4  # two classes, two panels
    drops = figure.axes[0]
    assert "malignant" in drops.get_title(loc="left")
    found = shown_effects(run, ablation)
    rows = found[(found["label"] == "malignant") & (found["replacement"] == "mean")]
    rows = rows[rows["compartment"] == "cytoplasm"]
    drawn = {
        round(float(line.get_xdata()[0]), 2): float(line.get_ydata()[0])  # type: ignore[arg-type,index]
        for line in drops.lines
        if line.get_marker() == "D"
    }
    by_slide = rows.groupby("slide_id")[["drop_per_area", "random_drop_per_area"]].mean().mean()
    assert drawn[0.84] == pytest.approx(by_slide["drop_per_area"])
    assert drawn[1.26] == pytest.approx(by_slide["random_drop_per_area"])
    assert len(drawn) == 18


def test_the_correlations_are_those_of_the_table(run: Run, tables: Tables) -> None:
    ablation, causal, _ = tables
    with house_style():
        text = _texts(draw_causal(run, ablation, causal))
    rows = causal[
        (causal["contrast"] == "prediction") & (causal["model"] == "trained") & (causal["test"] == "sign_flip")
    ]
    assert len(rows) == 6
    for rho in rows["rho"]:
        assert f"ρ {abs(rho):.2f}" in text.replace("−", "")  # noqa: RUF001 - a true minus sign, and rho
    assert "within 4 slides" in text


def test_only_judged_patches_of_the_trained_network_are_shown(run: Run, tables: Tables) -> None:
    ablation, _, curves = tables
    judged = set(run.population.patches["patch_id"])
    for shown in (shown_effects(run, ablation), shown_curves(run, curves)):
        assert set(shown["patch_id"]) <= judged
        assert set(shown["model"]) == {"trained"}
    assert set(ablation["patch_id"]) - judged


def test_curves_are_means_over_slides(run: Run, tables: Tables) -> None:
    curves = tables[2]
    with house_style():
        figure = draw_curves(run, curves)
    assert [axes.get_title().split(": ")[1] for axes in figure.axes] == ["taken away", "put back alone"] * 2
    line = figure.axes[1].lines[1]  # malignant, insertion, cytoplasm
    shown = shown_curves(run, curves)
    rows = shown[(shown["label"] == "malignant") & (shown["direction"] == "insertion")]
    rows = rows[rows["compartment"] == "cytoplasm"]
    expected = rows.groupby(["share", "slide_id"])["logit"].mean().groupby("share").mean()
    np.testing.assert_allclose(np.asarray(line.get_xdata()), 100 * expected.index.to_numpy())
    np.testing.assert_allclose(np.asarray(line.get_ydata()), expected.to_numpy())


def test_captions_say_what_is_replaced_and_how_sure_it_is(run: Run, tables: Tables) -> None:
    ablation, causal, curves = tables
    text = caption_causal(run, ablation, causal)
    assert "95 % intervals" in text
    assert "local mean colour" in text
    assert "Student's t over slides" in caption_curves(run, curves)


def test_nothing_replaced_is_said(run: Run, tables: Tables) -> None:
    ablation, causal, curves = (table.iloc[:0] for table in tables)
    assert not has_ablation(ablation)
    assert has_ablation(tables[0])
    with house_style():
        for figure in (draw_causal(run, ablation, causal), draw_curves(run, curves)):
            assert "no judged patch had a compartment replaced" in _texts(figure)
    assert caption_causal(run, ablation, causal).startswith("Nothing could be drawn")
    assert caption_curves(run, curves).startswith("Nothing could be drawn")


def test_without_slides_there_are_no_intervals(tmp_path: Path, make_run: Callable[..., Path]) -> None:
    run = Run.read(make_run(tmp_path / "run", slides=2, patches=3, known_slides=False))
    ablation, causal, curves = simulated(run)
    with house_style():
        figure = draw_causal(run, ablation, causal)
        save(figure, tmp_path / "causal.png")
        save(draw_curves(run, curves), tmp_path / "curves.pdf")
    assert "slides unknown" in _texts(figure)
    assert "without intervals" in caption_causal(run, ablation, causal)
    assert "no intervals" in caption_curves(run, curves)


def test_what_tells_the_classes_apart_is_drawn_and_named(run: Run, tables: Tables, tmp_path: Path) -> None:
    _, causal, _ = tables
    assert has_separation(causal)
    with house_style():
        figure = draw_separation(run, causal)
        save(figure, tmp_path / "separation.png")
    text = _texts(figure)
    for kind in ("local mean colour", "blur"):
        assert f"{kind}: cytoplasm more than" in text
    rows = causal[(causal["label"] == "malignant+benign") & (causal["test"] == "t_slide_means")]
    rows = rows[(rows["model"] == "trained") & rows["contrast"].isin([f"separation:{name}" for name in TISSUE])]
    drops, excess = figure.axes
    for axes, column, marker in ((drops, "drop", "D"), (drops, "random_drop", "_")):
        drawn = sorted(line.get_ydata()[0] for line in axes.lines if line.get_marker() == marker)
        np.testing.assert_allclose(drawn, sorted(rows[column]))
    ends = sorted(
        line.get_ydata()[0] for line in excess.lines if len(line.get_ydata()) == 2 and line.get_linewidth() > 1
    )
    np.testing.assert_allclose(ends, sorted(rows["ci_low_simultaneous"]))
    assert "blur: most by cytoplasm" in text
    assert "Test: t over slide means, " in caption_separation(run, causal)
    one_class = causal[causal["label"] != "malignant+benign"]
    assert not has_separation(one_class)
    assert caption_separation(run, one_class).startswith("Nothing could be drawn")
    with house_style():
        assert "both classes" in _texts(draw_separation(run, one_class))
