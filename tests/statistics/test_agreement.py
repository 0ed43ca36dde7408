"""Maps made from the importance score as they must: the truth 1, chance 0, the wrong sign all errors."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.agreement import ITEM, KINDS, SCORES, map_scores, replacement_scores
from saliency_stats.vocabulary import TISSUE

CELL = ["patch_id", "slide_id", "patient_id", "magnification", "network", "compartment"]


def importance_of(slides=4, patches=6, networks=("1", "2"), seed=0):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        [
            (f"s{slide}-p{patch}", f"s{slide}", f"q{slide}", 20.0, network, name)
            for slide in range(slides)
            for patch in range(patches)
            for network in networks
            for name in TISSUE
        ],
        columns=CELL,
    )
    area = rng.dirichlet([4.0, 8.0, 6.0], len(rows) // 3).ravel()
    return rows.assign(model="trained", area_share=area, delta_target=rng.normal(0, 1, len(rows)))


def ledger_of(importance, density, method="mine", model="trained", **more):
    return importance[CELL].assign(
        model=model,
        method=method,
        reduction="l2",
        density_ratio=density,
        mass_share=density * importance["area_share"],
        status="measured",
        **more,
    )


def share_of(importance):
    amount = importance["delta_target"].abs()
    return amount / amount.groupby([importance["patch_id"], importance["network"]]).transform("sum")


def true_density(importance):
    return share_of(importance) / importance["area_share"]


def of(scores, method, model="trained"):
    return scores[(scores["method"] == method) & (scores["model"] == model)]


@pytest.fixture(scope="module")
def importance():
    return importance_of()


def test_a_map_that_is_the_importance_gets_one_and_its_opposite_minus_one(importance):
    density = true_density(importance)
    ledger = pd.concat(
        [
            ledger_of(importance, density, attributed=importance["delta_target"]),
            ledger_of(importance, 1 / density, "opposite", attributed=-importance["delta_target"]),
        ]
    )
    scores = map_scores(importance, ledger, 0)
    for name, method in (("trained", "mine"), ("truth", "truth")):
        own = of(scores, method, name)
        assert len(own) == 8
        np.testing.assert_allclose(own[list(SCORES)[:3]], 1.0)
        assert (own["sign_errors"] == 0).all()
        assert own["relative_error"].isna().all()
        assert (own["n_patches"] == 6).all()
    opposite = of(scores, "opposite")
    np.testing.assert_allclose(opposite["rank_correlation"], -1.0)
    np.testing.assert_allclose(opposite["sign_errors"], 1.0)
    assert (opposite["densest_is_most_important"] == 0).all()


def test_what_is_drawn_by_chance_gets_nothing():
    importance = importance_of(slides=30, patches=30, networks=("1",))
    scores = map_scores(importance, ledger_of(importance, 1.0), 3)
    chance = of(scores, "random", "random")
    assert set(chance["kind"]) == {"reference"}
    mean, error = (chance[list(SCORES)[:4]].agg(how) for how in ("mean", "sem"))
    expected = pd.Series({"rank_correlation": 0, "mass_correlation": 0, "densest_is_most_important": 1 / 3})
    away = (mean - expected.reindex(mean.index, fill_value=0.5)) / error
    assert (away.abs() < 4).all()
    assert (error < 0.03).all()
    other = of(map_scores(importance, ledger_of(importance, 1.0), 4), "random", "random")
    assert not other["rank_correlation"].equals(chance["rank_correlation"])


def test_the_ranks_are_over_patches_and_compartments_of_a_slide_within_a_network(importance):
    density = pd.Series(np.random.default_rng(5).random(len(importance)), importance.index)
    scores = map_scores(importance, ledger_of(importance, density), 0)
    row = of(scores, "mine").query("network == '2' and slide_id == 's3'").iloc[0]
    own = (importance["network"] == "2") & (importance["slide_id"] == "s3")
    expected = stats.spearmanr(density[own], true_density(importance)[own]).statistic
    assert row["rank_correlation"] == pytest.approx(expected)
    mass = (density * importance["area_share"])[own]
    assert row["mass_correlation"] == pytest.approx(stats.spearmanr(mass, share_of(importance)[own]).statistic)
    assert row["patient_id"] == "q3"


def test_equally_dense_compartments_share_the_patch(importance):
    scores = map_scores(importance, ledger_of(importance, 1.0), 0)
    own = of(scores, "mine")
    np.testing.assert_allclose(own["densest_is_most_important"], 1 / 3)
    assert own["rank_correlation"].isna().all()


def test_the_wrong_sign_counts_by_how_much_lies_there():
    importance = importance_of(slides=1, patches=2, networks=("1",))
    importance["delta_target"] = [1.0, -2.0, 3.0, 4.0, -5.0, 6.0]
    attributed = pd.Series([9.0, -9.0, -9.0, 9.0, 9.0, 9.0])
    scores = map_scores(importance, ledger_of(importance, 1.0, attributed=attributed), 0)
    assert of(scores, "mine")["sign_errors"].tolist() == [pytest.approx((3 + 5) / 21)]
    unsigned = map_scores(importance, ledger_of(importance, 1.0), 0)
    assert of(unsigned, "mine")["sign_errors"].isna().all()


def test_maps_of_the_picture_are_compared_with_every_network_and_controls_with_their_own(importance):
    first = importance[importance["network"] == "1"]
    picture = ledger_of(first, true_density(first), "sobel", "sobel").assign(network="")
    untrained = ledger_of(importance, true_density(importance), "mine", "randomised")
    scores = map_scores(importance, pd.concat([picture, untrained]), 0)
    assert set(scores.loc[scores["kind"] == "control", "model"]) == {"sobel", "randomised"}
    edges = of(scores, "sobel", "sobel").set_index("network")["rank_correlation"]
    np.testing.assert_allclose(edges["1"], 1.0)
    assert (edges["2"] < 0.9).all()
    np.testing.assert_allclose(of(scores, "mine", "randomised")["rank_correlation"], 1.0)


def test_what_is_missing_or_counts_for_nothing_is_left_out(importance):
    silent = importance.assign(delta_target=importance["delta_target"].where(importance["patch_id"] != "s0-p0", 0.0))
    ledger = ledger_of(importance, true_density(importance))
    ledger.loc[ledger["patch_id"] == "s1-p1", "status"] = "missing: area share 0.01 below 0.02"
    patches = of(map_scores(silent, ledger, 0), "mine").groupby("slide_id")["n_patches"].first()
    assert patches.to_dict() == {"s0": 5, "s1": 5, "s2": 6, "s3": 6}


def test_the_order_of_rows_changes_nothing_and_categories_are_read_as_texts(importance):
    ledger = ledger_of(importance, true_density(importance) ** 0.5)
    usual = map_scores(importance, ledger, 0)
    texts = ["patch_id", "compartment", "model", "method", "reduction", "network"]
    shuffled = ledger.sample(frac=1, random_state=1).astype(dict.fromkeys(texts, "category"))
    pd.testing.assert_frame_equal(map_scores(importance, shuffled, 0), usual)
    assert list(usual.columns) == ["network", *ITEM, "slide_id", "patient_id", "n_patches", *SCORES]


def test_a_table_that_lacks_a_column_is_refused(importance):
    ledger = ledger_of(importance, 1.0)
    with pytest.raises(StatisticsError, match="importance: no column delta_target"):
        map_scores(importance.drop(columns="delta_target"), ledger, 0)
    with pytest.raises(StatisticsError, match="ledger: no column status"):
        map_scores(importance, ledger.drop(columns="status"), 0)
    with pytest.raises(StatisticsError, match="ablation: no column region"):
        replacement_scores(importance, ablation_of(importance, 1.0).drop(columns="region"))


# --- replacements ---


def ablation_of(importance, fall, replacement="blur", region="compartment"):
    return importance[CELL].assign(
        model="trained", replacement=replacement, region=region, logit=3.0, logit_ablated=3.0 - fall
    )


def test_a_replacement_that_does_what_rerendering_does_has_no_error(importance):
    true = importance["delta_target"]
    ablation = pd.concat(
        [
            ablation_of(importance, true),
            ablation_of(importance, 2 * true, "double"),
            ablation_of(importance, -true, "turned"),
            ablation_of(importance, 0.0, region="random"),
        ]
    )
    scores = replacement_scores(importance, ablation)
    assert set(scores["kind"]) == {"replacement", "control"} <= set(KINDS)
    means = of(scores, "blur")[list(SCORES)].mean()
    np.testing.assert_allclose(means, [1, 1, 1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(of(scores, "double")[list(SCORES)].mean(), [1, 1, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(of(scores, "turned")[list(SCORES)].mean(), [-1, 1, 1, 1, 2], atol=1e-12)
    random = of(scores, "blur", "random region")
    np.testing.assert_allclose(random["relative_error"], 1.0)


def test_replacements_are_judged_where_they_were_done(importance):
    judged = importance[importance["patch_id"] != "s2-p0"]
    scores = replacement_scores(importance, ablation_of(judged, judged["delta_target"]))
    assert scores.groupby("slide_id")["n_patches"].first().to_dict() == {"s0": 6, "s1": 6, "s2": 5, "s3": 6}
    assert len(replacement_scores(importance, ablation_of(judged[:0], 0.0))) == 0
