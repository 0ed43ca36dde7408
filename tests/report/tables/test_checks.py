"""The primary contrast asked otherwise, the share of networks, and what was out of reach."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saliency_stats.report.run import Run
from saliency_stats.report.tables import checks, contrasts

Blank = Callable[..., Run]
Rows = Callable[..., pd.DataFrame]
ROW: dict[str, Any] = {
    "contrast": "cytoplasm_vs_nucleus",
    "label": "benign",
    "magnification": 20.0,
    "model": "trained",
    "method": "gradient",
    "reduction": "l2",
    "test": "crossed",
    "status": "tested",
    "family": "f",
    "unit": "slide",
    "estimate": 1.0,
    "ci_low": 0.5,
    "ci_high": 2.0,
    "p_value": 0.01,
    "p_adjusted": 0.02,
    "n_units": 10.0,
    "n_patches": 1200.0,
    "n_slides": 10.0,
    "n_networks": 4.0,
    "df": 8.0,
    "n_missing": 0.0,
}
NETWORKS = {"var_network": 0.01, "var_unit": 0.04, "var_interaction": 0.0025, "network_share": 0.426}


@pytest.fixture
def of_rows(blank_run: Blank, rows_of: Rows) -> Callable[..., Run]:
    """Makes a run of two networks whose contrasts are the given ones."""

    def make(*rows: dict[str, Any]) -> Run:
        judged = {"patch_id": "a", "label": "benign", "predicted": "benign", "correct": True, "p_malignant": 0.0}
        common: dict[str, Any] = {"model": "trained", "split": "test", "magnification": 20.0}
        predictions = rows_of("predictions", {"network": "1"}, {"network": "2"}, **judged, **common)
        patches = rows_of("patches", {"patch_id": "a", "magnification": 20.0, "label": "benign"})
        found = [{**ROW, **row} for row in rows]
        return blank_run(contrasts=rows_of("contrasts", *found), predictions=predictions, patches=patches)

    return make


def test_the_share_of_the_networks_is_told(of_rows: Callable[..., Run]) -> None:
    run = of_rows(NETWORKS, {"model": "randomised", "n_networks": 1.0}, {"test": "t_slide_means", "estimate": 5.0})
    table = checks.networks_table(run)
    assert table.rows == (
        (*("20×", "benign", "trained", "4", "2.00", "1.41–4.00", "0.100", "0.200", "0.050", "43 %", "0.02", "8.0"),),
    )
    assert len(table.columns) == len(table.rows[0])
    assert checks.networks_table(of_rows({"n_networks": 1.0})).rows == ()


def test_the_contrast_stands_beside_what_it_becomes_when_asked_otherwise(of_rows: Callable[..., Run]) -> None:
    run = of_rows(
        {"weighted_estimate": 1.5, "n_effective_units": 6.54, "n_missing": 3.0, "bound_low": 0.0, "bound_high": 2.0},
        {"population": "all test patches", "estimate": 0.5},
        {"contrast": "cytoplasm_vs_nucleus_centred", "estimate": 0.0},
        {"contrast": "matched_sobel", "estimate": 2.0, "n_units": 0.0},
        {"contrast": "matched_eosin_excess", "estimate": 3.0},
        {"contrast": "stroma_vs_rest", "estimate": 9.0},
        {"contrast": "matched_sobel", "population": "all test patches", "estimate": 9.0},
        {"model": "randomised", "estimate": 9.0},
        {"method": "lrp", "estimate": 9.0},
        {"reduction": "l1", "estimate": 9.0},
        {"label": "malignant", "estimate": 9.0},
    )
    rest, patches = ("1.41–4.00", "0.01", "0.02", "10", "1,200"), "1,200"
    table = checks.checks_table(run)
    assert [row[:2] for row in table.rows] == [("20×", "benign")] * 7
    assert [row[2:] for row in table.rows] == [
        ("judged patches", "2.00", *rest),
        ("all test patches", "1.41", *rest),
        ("centred", "1.00", *rest),
        ("at equal eosin, beyond eosin itself", "8.00", *rest),
        ("at equal edges", "4.00", *rest[:3], "—", patches),
        ("weighted by what a slide tells", "2.83", "—", "—", "—", "6.5 effective", patches),
        ("with the missing patches, at most", "—", "1.00–4.00", "—", "—", "—", "3 missing"),
    ]
    assert len(table.columns) == len(table.rows[0])


@pytest.mark.parametrize("bounds", [{"n_missing": 0.0}, {"n_missing": 2.0, "bound_low": np.nan}])
def test_nothing_missing_has_no_bounds_and_a_row_alone_no_table(of_rows: Callable[..., Run], bounds: Any) -> None:
    assert checks.checks_table(of_rows({"bound_low": 0.0, "bound_high": 1.0, **bounds})).rows == ()


@pytest.mark.parametrize(
    ("attainable", "family", "words"),
    [
        (0.05, 1, "could not have been found with 10 slides and 2 hypotheses"),
        (0.08, 0, "could not have been found with 10 slides and 1 hypothesis"),
        (0.049, 1, ""),
        (np.nan, 1, ""),
    ],
)
def test_what_was_out_of_reach_is_said_with_its_reason(
    of_rows: Callable[..., Run], attainable: float, family: int, words: str
) -> None:
    run = of_rows(
        {"p_attainable": attainable},
        *[{"contrast": "cytoplasm_vs_rest"}] * family,
        {"contrast": "stroma_vs_rest", "family": "g"},
        {"contrast": "stroma_vs_rest", "test": "wilcoxon"},
        {"population": "all test patches"},
    )
    row = next(run.contrasts.itertuples(index=False))
    assert checks.reach_words(run, row, run.contrasts) == words
    table = contrasts.contrasts_table(run)
    assert table.rows[0][table.columns.index("Status")] == ("out of reach" if words else "tested")
    assert (f"Out of reach: {words}." in table.note) == bool(words)


def test_the_crossed_test_comes_first_of_several(of_rows: Callable[..., Run]) -> None:
    rows = contrasts.tests_table(of_rows({"test": "wilcoxon"}, {"test": "crossed"}, {"test": "t_slide_means"})).rows
    assert rows[0][2].startswith("networks crossed")
    assert len(rows) == 3


def test_a_run_of_several_networks_has_both_tables_and_one_has_neither(make_run: Any, tmp_path: Path) -> None:
    run = Run.read(make_run(tmp_path / "run", networks=2, slides=3, patches=3))
    assert [table.name for table in checks.check_tables(run)] == ["networks", "checks"]
    means = "Values of a patch are means over 2 networks."
    assert [means in table.note for table in contrasts.contrast_tables(run)][:1] == [True]


def test_a_run_of_one_network_has_no_table_of_networks(small_folder: Path) -> None:
    assert "networks" not in [table.name for table in checks.check_tables(Run.read(small_folder))]
