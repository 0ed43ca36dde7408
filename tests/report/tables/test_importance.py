"""What the networks really use, beside saliency and replacement."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saliency_stats.report.html import render_html
from saliency_stats.report.run import Run
from saliency_stats.report.tables.importance import importance_tables

Blank = Callable[..., Run]
Rows = Callable[..., pd.DataFrame]
COMMON: dict[str, Any] = {"label": "benign", "magnification": 20.0, "model": "trained", "split": "test"}


@pytest.fixture
def phantoms(blank_run: Blank, rows_of: Rows) -> Callable[..., Run]:
    """Makes a run of eight slides: one patch each, judged, its cytoplasm important and its stroma of no account."""

    def make(networks: tuple[str, ...] = ("1",), replacements: tuple[str, ...] = ("mean", "stain")) -> Run:
        names = [{"patch_id": f"p{k}", "slide_id": f"s{k}"} for k in range(8)]
        of_networks = [{**name, "network": network} for name in names for network in networks]
        importance = [
            {**row, "compartment": compartment, "delta_logit": (2.0 if compartment == "cytoplasm" else 0.0) + by}
            for compartment in ("stroma", "cytoplasm", "background")
            for k, row in enumerate(of_networks)
            for by in [0.1 * (-1) ** k * (1 + k)]
        ]
        ledger = [
            {**row, "compartment": compartment, "density_ratio": ratio, "method": "gradient", "reduction": "l2"}
            for row in of_networks
            for compartment, ratio in (("cytoplasm", 2.0), ("stroma", 0.5), ("background", 0.25))
        ]
        drops = [
            {"contrast": f"drop:{name}", "replacement": by, "drop": drop, "test": test}
            for test in ("crossed", "sign_flip")
            for name, by, drop in [("cytoplasm", "mean", 1.5), ("cytoplasm", "stain", 3.25), ("stroma", "mean", 0.75)]
        ]
        drops += [{**row, "label": "malignant", "drop": 9.0} for row in drops]
        sure = {"predicted": "benign", "correct": True, "p_malignant": 0.0}
        return blank_run(
            {"causal": {"replacements": list(replacements)}},
            importance=rows_of("importance", *importance, **COMMON),
            ledger=rows_of("ledger", *ledger, **COMMON, status="measured"),
            causal=rows_of("causal", *[{**COMMON, "split": "", **row} for row in drops]).drop(columns="split"),
            predictions=rows_of("predictions", *of_networks, **COMMON, **sure),
            patches=rows_of("patches", *names, label="benign", magnification=20.0, split="test", status="used"),
        )

    return make


def test_importance_stands_beside_saliency_and_replacement(phantoms: Callable[..., Run]) -> None:
    (table,) = importance_tables(phantoms())
    assert (table.name, table.n_text) == ("importance", 3)
    assert table.columns == (
        *("Magnification", "Class", "Compartment", "Importance", "95 % interval", "Size", "Density ratio"),
        *("Drop (mean)", "Drop (stain)", "Slides", "Patches"),
    )
    cytoplasm, stroma, background = table.rows
    assert cytoplasm[:4] == ("20×", "benign", "cytoplasm", "1.95")
    assert cytoplasm[5:] == ("1.95", "2.00", "1.50", "3.25", "8", "8")
    low, high = (float(limit) for limit in cytoplasm[4].split(" to "))
    assert low < 1.95 < high
    assert stroma[2:4] == ("stroma", "−0.05")
    assert stroma[5:] == ("0.45", "0.50", "0.75", "—", "8", "8")
    assert background[2] == "background"
    assert background[5:9] == ("0.45", "0.25", "—", "—")
    assert "in patches that are not judged" in table.note


def test_networks_are_averaged_and_their_interval_is_that_of_more_of_them(phantoms: Callable[..., Run]) -> None:
    one, three = (importance_tables(phantoms(networks))[0].rows[0] for networks in (("1",), ("1", "2", "3")))
    assert three[-2:] == ("8", "8")
    assert three[6:9] == ("2.00", "1.50", "3.25")
    assert one[4] != three[4]


def test_unknown_slides_have_no_interval(phantoms: Callable[..., Run]) -> None:
    run = phantoms()
    run = run.changed(importance=run.importance.assign(slide_id=""))
    assert importance_tables(run)[0].rows[0][4] == "—"
    assert importance_tables(run)[0].rows[0][-2:] == ("—", "8")


def test_a_run_that_drew_nothing_again_has_no_such_table(blank_run: Blank) -> None:
    assert importance_tables(blank_run()) == ()


def test_the_page_shows_it_where_it_asks_whether_the_decision_depends_on_it(phantoms: Callable[..., Run]) -> None:
    run = phantoms()
    page = render_html(run, [], importance_tables(run))
    assert page.index("Does the decision depend on it?") < page.index("What the networks really use")
    assert np.char.count(page, "What the networks really use") == 1
