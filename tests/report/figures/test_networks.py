"""Networks as a sample: a row for each, one for all, and those that learned nothing below."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saliency_stats.report.figures import classifier, contrasts, density, draw, networks
from saliency_stats.report.figures.style import CONTROL_COLOUR, DIFFERENCE_COLOUR, QUIET, TRAINED_COLOUR
from saliency_stats.report.networks import averaged
from saliency_stats.report.run import Run


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, make_run: Any) -> Run:
    return Run.read(make_run(tmp_path_factory.mktemp("networks") / "run", networks=3, slides=4, patches=4))


def test_it_is_drawn_of_several_networks_only(several: Run, small_folder: Path) -> None:
    assert networks.has_networks(several)
    assert not networks.has_networks(Run.read(small_folder))


def test_each_network_has_the_mean_of_its_slides(several: Run) -> None:
    found = networks.network_estimates(several)
    assert len(found) == 2 * 2 * 3
    row = found[(found["label"] == "benign") & (found["model"] == "trained") & (found["network"] == "2")].iloc[0]
    values = several.primary_values
    values = values[(values["network"] == "2") & (values["label"] == "benign")].dropna(subset="value")
    means = values.groupby("slide_id")["value"].mean()
    np.testing.assert_allclose(row["each"], means)
    assert row["estimate"] == pytest.approx(means.mean())


def test_a_row_per_network_one_together_and_one_per_control(several: Run, seen: Any) -> None:
    figure = seen.drawn(networks.draw_networks(several))
    assert len(figure.axes) == 2
    first = figure.axes[0]
    names = [*(f"network {k}" for k in (1, 2, 3)), "together", several.words("controls", "randomised").split(":")[0]]
    assert list(seen.rows(first)) == names
    assert seen.bold(first) == ["together"]
    marks = seen.marks(first)
    trained = marks[(marks["face"] == TRAINED_COLOUR) & (marks["y"] < 3)]
    found = networks.network_estimates(several)
    own = found[(found["label"] == "benign") & (found["model"] == "trained")]
    assert sorted(trained["y"]) == [0.0, 1.0, 2.0]
    np.testing.assert_allclose(trained.sort_values("y")["x"], own.sort_values("network")["estimate"])
    assert (marks["face"] == QUIET).sum() == sum(map(len, own["each"]))
    hollow = marks[(marks["edge"] == CONTROL_COLOUR) & (marks["face"] == "#FFFFFF")]
    assert set(hollow["y"]) == {4.0}
    assert len(hollow) == 3
    pooled = marks[marks["face"] == DIFFERENCE_COLOUR]
    crossed = several.primary_contrasts.set_index(["label", "model"])["estimate"]
    expected = [crossed["benign", "trained"], crossed["benign", "randomised"]]
    np.testing.assert_allclose(pooled.sort_values("y")["x"], expected)
    assert sorted(pooled["y"]) == [3.0, 4.3]


def test_the_caption_says_how_much_lies_between_networks(several: Run) -> None:
    text = networks.caption_networks(several)
    assert "each of 3 trained networks, which differ in nothing but their seeds." in text
    assert text.count("42 % of the variance of the estimate lies between networks") == 2
    assert "the randomised control (the same architecture with random weights)." in text
    found = networks.network_estimates(several)
    each = found[(found["label"] == "benign") & (found["model"] == "trained")]["estimate"]
    low, high = 2.0 ** np.array([each.min(), each.max()])
    assert f"Benign, 20×: networks {low:.2f} to {high:.2f} (standard deviation {each.std():.2f} log2)" in text


def test_folds_are_told(several: Run) -> None:
    renamed = {
        name: table.assign(network="fold1-" + table["network"].astype("str"))
        for name, table in (("predictions", several.predictions), ("ledger", several.ledger))
    }
    assert "their seeds and folds." in networks.caption_networks(several.changed(**renamed))


def test_nothing_measured_is_nothing_to_draw(several: Run, seen: Any) -> None:
    ledger = several.ledger.assign(density_ratio=np.nan, status="missing: too small")
    assert "both nuclei and cytoplasm" in seen.nothing(networks.draw_networks, several.changed(ledger=ledger))


def test_the_forest_and_the_densities_mark_single_networks(several: Run, seen: Any) -> None:
    forest = seen.marks(seen.drawn(contrasts.draw_forest(several)).axes[0])
    found = networks.network_estimates(several)
    strokes = forest[forest["size"] == 16.0]
    np.testing.assert_allclose(np.sort(strokes["x"]), np.sort(found["estimate"]))
    assert "Small strokes: single networks." in contrasts.caption_forest(several)
    panel = seen.marks(seen.drawn(density.draw_density_ratio(several)).axes[0])
    assert (panel["size"] == 9.0).sum() == 3 * 2 * 4
    assert "Strokes beside it are single networks." in density.caption_density_ratio(several)


def test_one_network_has_no_strokes(small_folder: Path, seen: Any) -> None:
    run = Run.read(small_folder)
    assert not (seen.marks(seen.drawn(contrasts.draw_forest(run)).axes[0])["size"] == 16.0).any()
    assert "strokes" not in contrasts.caption_forest(run)
    assert "Strokes" not in density.caption_density_ratio(run)


def test_densities_are_means_over_networks(several: Run) -> None:
    judged = several.network_ledger
    assert len(judged) > 2 * len(several.judged_ledger)
    np.testing.assert_allclose(several.judged_ledger["mass_share"], averaged(judged)["mass_share"])


def test_each_network_has_its_line_where_the_classifier_is_judged(several: Run, seen: Any) -> None:
    roc, middle, counts = seen.drawn(classifier.draw_roc_reliability(several)).axes
    curves = [line for line in roc.lines if len(line.get_xdata()) > 2]
    assert len(curves) == 2 * 3
    assert {line.get_linewidth() for line in curves} == {0.7}
    assert len(middle.lines) == 1 + 1 + 3  # the diagonal, all together, each
    assert counts.get_title() == "Counts, 3 networks"
    assert "Thin lines are single networks, dots all 3 together." in classifier.caption_roc_reliability(several)
    loss = seen.drawn(classifier.draw_training(several)).axes[0]
    assert len([line for line in loss.lines if len(line.get_xdata()) == 10]) == 2 * 3
    assert "Each line is one of 3 networks." in classifier.caption_training(several)


def test_every_caption_says_of_how_many_networks_a_figure_is(several: Run, small_folder: Path) -> None:
    assert draw.networks_words(several) == " Trained: 3 networks, averaged patch by patch."
    assert draw.networks_words(Run.read(small_folder)) == " Trained: this network; another may differ."
    assert set(draw.NOT_OF_NETWORKS) < {spec.name for spec in draw.FIGURES}
