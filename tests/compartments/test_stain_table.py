"""Stains as a table, and back."""

import pandas as pd

from saliency_stats.compartments import Stains, stain_table, stains_from

UNIT = ((0.6, 0.8, 0.0), (0.0, 0.8, 0.6))
STAINS = {
    "slide-1": Stains(UNIT, "macenko", (240.0, 238.5, 243.0), (1.25, 0.75), 0.3, (12.0, 250.0)),
    "007": Stains(UNIT[::-1], "ruifrok_johnston: 3 stained pixels, at least 500 are needed"),
}


def test_every_number_stands_in_its_column():
    table = stain_table(STAINS)
    row = table.iloc[0].to_dict()
    assert row == {
        "stain_group": "slide-1",
        "source": "macenko",
        "haematoxylin_red": 0.6,
        "haematoxylin_green": 0.8,
        "haematoxylin_blue": 0.0,
        "eosin_red": 0.0,
        "eosin_green": 0.8,
        "eosin_blue": 0.6,
        "white_red": 240.0,
        "white_green": 238.5,
        "white_blue": 243.0,
        "haematoxylin_max": 1.25,
        "eosin_max": 0.75,
        "nuclear_od": 0.3,
        "level_low": 12.0,
        "level_high": 250.0,
    }
    assert table["stain_group"].tolist() == ["slide-1", "007"]


def test_what_is_written_is_read_back(tmp_path):
    assert stains_from(stain_table(STAINS)) == STAINS
    stain_table(STAINS).to_csv(tmp_path / "stains.csv", index=False)
    assert stains_from(pd.read_csv(tmp_path / "stains.csv", dtype={"stain_group": str})) == STAINS


def test_of_no_slide_there_is_no_row():
    assert stain_table({}).empty
    assert stains_from(stain_table({})) == {}
