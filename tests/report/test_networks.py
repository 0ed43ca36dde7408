"""Networks by name and number, what is judged by each, means over them."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from saliency_stats.report import networks

Rows = Callable[..., pd.DataFrame]


def test_networks_are_in_the_order_of_their_numbers() -> None:
    names = ["10", "2", "2", "1", "fold10-1", "fold2-2", "fold2-1"]
    assert networks.in_order(names) == ("1", "2", "fold2-1", "fold2-2", "10", "fold10-1")
    assert networks.in_order([]) == ()


def test_the_trained_networks_are_those_of_the_predictions(rows_of: Rows) -> None:
    rows = [("trained", "2"), ("trained", "1"), ("randomised", "3")]
    table = rows_of("predictions", *({"model": model, "network": name} for model, name in rows))
    assert networks.trained_networks(table) == ("1", "2")


def test_means_are_over_networks_alone_and_ratios_are_geometric() -> None:
    table = pd.DataFrame(
        {
            "patch_id": ["a", "a", "a", "b"],
            "magnification": [20.0, 20.0, 20.0, 20.0],
            "network": ["1", "2", "3", "1"],
            "share": [0.5, 0.5, 0.5, 0.5],
            "mass_share": [0.2, 0.4, np.nan, 0.1],
            "density_ratio": [1.0, 4.0, 0.0, np.nan],
            "status": ["measured", "measured", "measured", "missing"],
        }
    )
    mean = networks.averaged(table)
    assert list(mean.columns) == ["patch_id", "magnification", "share", "mass_share", "density_ratio", "status"]
    assert mean["patch_id"].tolist() == ["a", "b"]
    assert mean["mass_share"].tolist() == [np.mean([0.2, 0.4]), 0.1]
    assert mean["density_ratio"].iloc[0] == 2.0
    assert np.isnan(mean["density_ratio"].iloc[1])
    assert mean["status"].tolist() == ["measured", "missing"]
    other = table.assign(share=[0.5, 0.7, 0.5, 0.5])
    assert networks.averaged(other)["share"].tolist() == [0.5, 0.7, 0.5]
