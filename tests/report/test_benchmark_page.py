"""Cells of the page of a benchmark."""

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest

from saliency_stats.report.benchmark_page import Words, render_benchmark

WORDS = Words({"gradient": "the gradient", "sobel": "edges (Sobel)", "randomised": "random weights"}, "95 %")
STABLE = {
    "signal": "nucleus",
    "magnification": 20.0,
    "n_networks": 5,
    "n_methods": 9,
    "rank_correlation": 0.9,
    "lowest": 0.75,
}


USED = {
    "signal": "nucleus", "magnification": 20.0, "label": "benign", "compartment": "stroma", "estimate": -0.123,
    "ci_low": -0.3, "ci_high": 0.1, "size": 0.5, "largest_in": 2, "n_networks": 5,
}  # fmt: skip


@pytest.fixture
def page(blank_run, benchmark_rows, tmp_path):
    (tmp_path / "picture.png").write_bytes(b"ABC")
    runs = [blank_run(study={"classifier": {"networks": 5, "architecture": "torchvision:resnet18"}}, record={})] * 2

    def rendered(*rows, stable=(STABLE,)):
        pictures = {"maps": tmp_path / "picture.png", "replacements": tmp_path / "picture.png"}
        tables = (benchmark_rows(*rows), pd.DataFrame([USED]), pd.DataFrame(stable))
        return render_benchmark(runs, *tables, ("<One> is best.",), pictures, WORDS)

    return rendered


def cells(text, name):
    table = text[text.index(f'id="table-{name}"') :]
    table = table[: table.index("</table>")]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)]
    return [[unescape(cell) for cell in row] for row in rows][1:]


def test_it_says_what_was_benchmarked_and_loads_nothing(page):
    text = page({"method": "gradient"})
    assert "2 cohorts of phantoms, each with 5 networks (resnet18 (torchvision))." in text
    assert "&lt;One&gt; is best." in text
    assert text.count("data:image/png;base64,QUJD") == 2
    assert 'src="http' not in text


def test_maps_are_ordered_within_their_kind_with_every_score(page):
    text = page(
        {"method": "occlusion", "rank_correlation": 0.2},
        {
            "method": "gradient", "rank_correlation": 0.6, "beyond_edges": 0.11, "beyond_edges_low": -0.01,
            "beyond_edges_high": 0.22, "densest_is_most_important": 0.71, "densest_is_most_important_low": 0.6,
            "densest_is_most_important_high": 0.8, "mass_correlation": 0.5, "sign_errors": 0.25, "gradients": 4.5,
            "seconds_per_patch": 0.0123,
        },
        {"kind": "reference", "model": "truth", "method": "truth", "rank_correlation": 1.0},
        {"kind": "reference", "model": "random", "method": "random", "rank_correlation": 0.0},
        {"kind": "control", "model": "sobel", "method": "sobel", "rank_correlation": 0.9},
        {"kind": "control", "model": "randomised", "method": "gradient", "rank_correlation": 0.1},
        {"kind": "replacement", "method": "mean", "relative_error": 1.0},
        {"kind": "control", "model": "random region", "method": "mean", "relative_error": 1.0},
        {"method": "gradient", "network": "1"},
    )  # fmt: skip
    maps = cells(text, "maps")
    assert [row[0] for row in maps] == [
        "the gradient", "occlusion", "edges (Sobel)", "the gradient (random weights)", "the importance itself",
        "drawn by chance",
    ]  # fmt: skip
    assert maps[0][1:] == [
        "attribution", "0.60", "0.10 to 0.90", "0.11", "−0.01 to 0.22", "0.71", "0.60 to 0.80", "0.50", "0.25", "4.5",
        "12.3",
    ]  # fmt: skip


def test_replacements_and_random_regions_have_a_table_of_their_own(page):
    error = {"relative_error": 0.8, "relative_error_low": 0.7, "relative_error_high": 0.95, "sign_errors": 0.2}
    text = page(
        {"method": "gradient"},
        {"kind": "control", "model": "random region", "method": "blur", "rank_correlation": 0.9, **error},
        {"kind": "replacement", "method": "blur", "rank_correlation": 0.5, **error},
        {"kind": "replacement", "method": "mean", "rank_correlation": 0.7, **error},
    )
    found = cells(text, "replacements")
    assert [row[0] for row in found] == ["mean", "blur", "blur (random region)"]
    assert found[0][1:] == ["0.70", "0.10 to 0.90", "0.20", "—", "0.80", "0.70 to 0.95", "24"]
    assert [row[0] for row in cells(text, "maps")] == ["the gradient"]


def test_cohorts_stand_side_by_side_where_there_are_several(page):
    rows = [
        {"method": "gradient", "signal": signal, "magnification": at, "rank_correlation": value}
        for signal, at, value in (("nucleus", 10.0, 0.1), ("xor", 20.0, 0.2), ("all", np.nan, 0.15))
    ]
    text = page(*rows)
    assert cells(text, "cohorts") == [["the gradient", "attribution", "0.10", "0.20"]]
    assert re.findall(r"<th[^>]*>(nucleus 10×|xor 20×)</th>", text) == ["nucleus 10×", "xor 20×"]
    assert 'id="table-cohorts"' not in page(rows[0])


def test_what_networks_use_has_its_numbers(page):
    assert cells(page({"method": "gradient"}), "importance") == [
        ["nucleus", "20×", "benign", "stroma", "−0.12", "−0.30 to 0.10", "0.50", "2 of 5"]
    ]


def test_networks_at_chance_are_named(page):
    rows = [
        {"method": method, "network": network, "learned": learned, "balanced_accuracy": accuracy}
        for method in ("gradient", "occlusion")
        for network, learned, accuracy in (("1", True, 0.912), ("2", False, 0.5), ("all", True, 0.912))
    ]
    assert cells(page(*rows), "networks") == [
        ["nucleus", "20×", "1", "yes", "0.91"],
        ["nucleus", "20×", "2", "no: left out above", "0.50"],
    ]


def test_stability_has_its_numbers(page):
    over = STABLE | {"signal": "all", "magnification": np.nan, "rank_correlation": np.nan}
    assert cells(page({"method": "gradient"}, stable=(STABLE, over)), "stability") == [
        ["nucleus", "20×", "0.90", "0.75", "5", "9"],
        ["all", "all", "—", "0.75", "5", "9"],
    ]


def test_words_come_from_the_record_of_a_run(blank_run):
    record = {"methods": {"gradient": {"words": "slope"}}, "controls": {"sobel": {"words": "edges"}}}
    assert Words.of_run(blank_run(record=record)) == Words({"sobel": "edges", "gradient": "slope"}, "95 %")
