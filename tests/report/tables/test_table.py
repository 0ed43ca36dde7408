"""What all tables share."""

import pandas as pd

from saliency_stats.report.tables.table import of_labels, place_of


def test_rows_and_places_of_the_cohort(blank_run, rows_of):
    patches = rows_of("patches", {"magnification": 20.0}, {"magnification": 5.0}, label="benign")
    run = blank_run(patches=patches)
    assert of_labels(run, pd.DataFrame({"label": ["malignant", "benign", "both"]})).index.tolist() == [1]
    assert [place_of(run, at) for at in (5.0, 20.0, 10.0)] == [0, 1, 2]
