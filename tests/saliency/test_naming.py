"""Names of networks, and the files and seeds that follow from them."""

import pandas as pd
import pytest

from saliency_stats.saliency.naming import first_networks, folds_of, network_names, network_seed, stem_of
from saliency_stats.seeds import derive
from saliency_stats.vocabulary import ONE_NETWORK


def test_without_folds_they_are_numbered_and_with_folds_named_after_theirs():
    assert network_names(3) == ("1", "2", "3")
    assert network_names(1) == (ONE_NETWORK,)
    assert network_names(2, fold=1) == ("fold1-1", "fold1-2")
    assert network_names(1, fold=12) == ("fold12-1",)


def test_folds_are_numbered_from_one():
    assert folds_of(0) == (0,)
    assert folds_of(3) == (1, 2, 3)


def test_the_network_of_a_study_of_one_has_the_names_and_seeds_of_before():
    assert stem_of("trained", "1") == "trained"
    assert network_seed(7, "classifier", 20.0, network="1") == derive(7, "classifier", 20.0)
    assert stem_of("shuffled", "2") == "shuffled-2"
    assert stem_of("trained", "fold1-1") == "trained-fold1-1"


def test_all_others_have_seeds_of_their_own():
    names = [*network_names(3), *network_names(3, 1), *network_names(3, 2)]
    seeds = [network_seed(7, "classifier", 20.0, network=name) for name in names]
    assert len(set(seeds)) == len(names)
    assert seeds[1] == derive(7, "classifier", 20.0, "2")
    assert network_seed(8, "classifier", 20.0, network="2") not in seeds


@pytest.mark.parametrize(
    ("names", "kept"),
    [(["1", "2", "", "10", "11"], [0, 2]), (["fold1-1", "fold1-2", "fold11-1", "fold1-11", ""], [0, 2, 4])],
)
def test_the_first_networks_of_all_folds(names, kept):
    assert first_networks(pd.DataFrame({"network": names})).index.tolist() == kept
