"""Planted effects of replacing a compartment, and what is said of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics import StatisticsParameters, contrast_table
from saliency_stats.statistics.causal import CAUSAL_COLUMNS, causal_table
from saliency_stats.statistics.drops import effects
from saliency_stats.statistics.largest import largest
from saliency_stats.statistics.prediction import slide_correlations
from saliency_stats.statistics.selection import Population
from saliency_stats.vocabulary import LABELS, TISSUE

SETTINGS = StatisticsParameters(bootstrap_draws=2_000)
ONE = ("malignant",)


def build(
    *,
    seed=0,
    planted="cytoplasm",
    effect=4.0,
    follows=1.0,
    n_slides=7,
    n_per_slide=6,
    kinds=("mean",),
    models=("trained",),
    labels=LABELS,
):
    """Return (ablation, ledger, population): per area the planted compartment does ``effect`` more than the rest.

    Saliency is ``follows`` times what a compartment really does, plus noise.
    """
    rng = np.random.default_rng(seed)
    ablation, ledger, judged = [], [], []
    for label in labels:
        for slide in range(n_slides):
            of_slide = rng.normal(0, 0.3)
            for k in range(n_per_slide):
                patch = f"{label}-{slide}-{k}"
                area = rng.dirichlet([12, 24, 18])
                judged.append({"patch_id": patch, "magnification": 20.0, "label": label})
                who = {"patch_id": patch, "slide_id": f"{label}-{slide}", "patient_id": f"{label}-p{slide // 2}"}
                who |= {"label": label, "split": "test", "magnification": 20.0}
                for model in models:
                    for place, compartment in enumerate(TISSUE):
                        does = 1 + of_slide + effect * (compartment == planted) * (model == "trained")
                        does += rng.normal(0, 0.3)
                        density = np.exp(0.4 * follows * does + rng.normal(0, 0.3))
                        looked = {
                            "method": "gradient",
                            "reduction": "l2",
                            "density_ratio": density,
                            "status": "measured",
                        }
                        ledger.append({**who, "model": model, "compartment": compartment, **looked})
                        share = {"area_share": area[place], "logit": 5.0}
                        for kind in kinds:
                            at_random = 1 + of_slide + effect * area[TISSUE.index(planted)] * (model == "trained")
                            for region, size in (("compartment", does), ("random", at_random + rng.normal(0, 0.3))):
                                row = {**who, "model": model, "compartment": compartment, "replacement": kind}
                                row |= {**share, "region": region, "logit_ablated": 5.0 - size * area[place]}
                                ablation.append(row)
    patches = pd.DataFrame(judged)
    return (
        pd.DataFrame(ablation),
        pd.DataFrame(ledger),
        Population(patches, patches.iloc[:0], patches, patches.iloc[:0]),
    )


def row(table, contrast, label="malignant", test="sign_flip", **others):
    chosen = (table["contrast"] == contrast) & (table["label"] == label) & (table["test"] == test)
    for name, value in others.items():
        chosen &= table[name] == value
    return table[chosen].squeeze()


@pytest.fixture(scope="module")
def study():
    return build()


@pytest.fixture(scope="module")
def causal(study):
    return causal_table(*study, SETTINGS)


def test_the_planted_compartment_drops_more_than_chance(causal):
    assert list(causal) == list(CAUSAL_COLUMNS)
    planted = row(causal, "drop:cytoplasm")
    assert planted["ci_low"] > 0
    assert planted["p_adjusted"] == pytest.approx(2 * 3 * 2 / 2**7)  # exact sign flips of 7 slides, Holm over 6
    assert planted["ci_low"] < planted["drop_per_area"] - planted["random_drop_per_area"] < planted["ci_high"]
    assert planted["estimate"] == pytest.approx(planted["drop_per_area"] - planted["random_drop_per_area"])
    assert planted["drop_per_area"] == pytest.approx(5, abs=0.5)
    assert planted["ci_low_simultaneous"] <= planted["ci_low"] or np.isnan(planted["ci_low_simultaneous"])
    for other in ("nucleus", "stroma"):  # random regions hit the planted compartment
        assert row(causal, f"drop:{other}")["ci_high"] < 0
    pair = row(causal, "drop:cytoplasm_vs_nucleus")
    assert pair["estimate"] == pytest.approx(4, abs=0.3)
    assert pair["ci_low"] > 0
    assert pair["family"] == "causal_pairs"
    assert causal["ratio"].isna().all()


def test_a_row_is_that_of_contrast_table(study, causal):
    ablation, ledger, _ = study
    found = effects(ablation)
    for contrast, sample in (
        ("drop:stroma", found[found["compartment"] == "stroma"]),
        ("prediction", slide_correlations(found, ledger).query("contrast == 'prediction'")),
    ):
        expected = contrast_table(sample[sample["label"] == "benign"], "value", bootstrap_draws=2_000)
        own = causal[(causal["contrast"] == contrast) & (causal["label"] == "benign")].reset_index(drop=True)
        columns = ["test", "estimate", "ci_low", "ci_high", "p_value", "status", "n_units"]
        pd.testing.assert_frame_equal(own[columns], expected[columns], check_exact=True)


def test_saliency_that_follows_the_effect_predicts_it(study, causal):
    over_all = row(causal, "prediction")
    assert over_all["rho_low"] > 0.4
    assert over_all["rho"] == pytest.approx(np.tanh(over_all["estimate"]))
    assert over_all["n_patches"] == 42
    assert over_all["n_slides"] == over_all["n_units"] == 7
    assert over_all["n_missing"] == 0
    assert (over_all["method"], over_all["reduction"]) == ("gradient", "l2")
    assert row(causal, "prediction:nucleus")["rho"] < over_all["rho"]
    away = causal_table(*build(follows=-1.0, labels=ONE), SETTINGS)
    assert row(away, "prediction")["rho_high"] < -0.4
    drops = ~causal["contrast"].str.startswith("prediction")
    assert causal.loc[drops, ["rho", "rho_low", "rho_high"]].isna().all(axis=None)
    assert causal.loc[~drops, ["drop_per_area", "drop", "icc"]].isna().all(axis=None)


def test_rank_correlations_are_scipys(study):
    ablation, ledger, _ = study
    found = slide_correlations(effects(ablation), ledger)
    both = effects(ablation).merge(ledger[["patch_id", "compartment", "density_ratio"]], on=["patch_id", "compartment"])
    slide = both[both["slide_id"] == "benign-3"]
    own = found[found["slide_id"] == "benign-3"].set_index("contrast")
    expected = stats.spearmanr(np.log2(slide["density_ratio"]), slide["drop_per_area"]).statistic
    assert own.loc["prediction", "rho"] == pytest.approx(expected, abs=1e-12)
    assert own.loc["prediction", "value"] == pytest.approx(np.arctanh(expected), abs=1e-12)
    assert own.loc["prediction", ["n_points", "n_patches"]].tolist() == [18, 6]
    stroma = slide[slide["compartment"] == "stroma"]
    assert own.loc["prediction:stroma", "rho"] == pytest.approx(
        stats.spearmanr(stroma["density_ratio"], stroma["drop_per_area"]).statistic, abs=1e-12
    )


def test_what_was_not_measured_predicts_nothing(study):
    ablation, ledger, _ = study
    gone = (ledger["slide_id"] == "benign-3") & (ledger["compartment"] == "stroma")
    status = np.where(gone, "missing: area share 0.01 below 0.02", "measured")
    found = slide_correlations(effects(ablation), ledger.assign(status=status)).set_index(["contrast", "slide_id"])
    assert found.loc[("prediction", "benign-3"), "n_points"] == 12
    assert ("prediction:stroma", "benign-3") not in found.index


def test_nothing_planted_nothing_found():
    p = {"drop": [], "prediction": []}
    for seed in range(25):
        ablation, ledger, _ = build(effect=0.0, follows=0.0, seed=seed, labels=ONE, n_per_slide=4)
        found = effects(ablation)
        slides = slide_correlations(found, ledger)
        samples = found[found["compartment"] == "nucleus"], slides[slides["contrast"] == "prediction"]
        for name, sample in zip(p, samples, strict=True):
            p[name] += contrast_table(sample, "value", tests="t_slide_means")["p_value"].tolist()
    for name, values in p.items():
        assert stats.binomtest(int(np.sum(np.array(values) <= 0.05)), 25, 0.05).pvalue > 0.01, name
        assert np.min(values) < 0.2 < np.median(values), name  # they are p-values of something


def test_the_order_of_rows_changes_no_bit(study, causal):
    ablation, ledger, population = study
    mixed = [table.sample(frac=1, random_state=1) for table in (ablation, ledger)]
    pd.testing.assert_frame_equal(causal_table(*mixed, population, SETTINGS), causal, check_exact=True)


def test_a_missing_compartment_is_counted(study):
    ablation, ledger, population = study
    gone = (ablation["compartment"] == "nucleus") & ablation["patch_id"].str.endswith("-0")
    unpaired = (ablation["compartment"] == "stroma") & (ablation["region"] == "random")
    unpaired &= ablation["patch_id"] == "malignant-1-1"
    table = causal_table(ablation[~(gone | unpaired)], ledger, population, SETTINGS)
    assert row(table, "drop:nucleus")[["n_patches", "n_missing"]].tolist() == [35, 7]
    assert row(table, "drop:cytoplasm_vs_nucleus")["n_missing"] == 7
    assert row(table, "drop:cytoplasm")["n_missing"] == 0
    assert row(table, "drop:stroma")["n_missing"] == 1
    assert row(table, "drop:stroma_vs_cytoplasm")["n_missing"] == 0  # needs no random region
    only = causal_table(ablation[ablation["compartment"] == "stroma"], ledger, population, SETTINGS)
    nothing = row(only, "drop:nucleus")
    assert (nothing["status"], nothing["n_patches"], nothing["n_missing"]) == ("no_inference", 0, 42)
    assert largest(only)["reason"].eq("fewer than two compartments were replaced").all()


def test_a_patch_that_was_not_asked_is_not_missing(study):
    ablation, ledger, population = study
    table = causal_table(ablation[~ablation["patch_id"].str.endswith("-0")], ledger, population, SETTINGS)
    assert row(table, "drop:nucleus")[["n_patches", "n_missing"]].tolist() == [35, 0]
    assert row(table, "prediction")[["n_patches", "n_missing"]].tolist() == [35, 0]


def test_only_judged_patches_count(study):
    ablation, ledger, population = study
    few = population.patches[population.patches["patch_id"].str.endswith(("-0", "-1"))]
    table = causal_table(ablation, ledger, Population(few, few.iloc[:0], few, few.iloc[:0]), SETTINGS)
    assert set(table.loc[table["contrast"].str.startswith("drop"), "n_patches"]) == {14}
    assert row(table, "prediction")["n_patches"] == 14  # 6 points a slide; within a compartment 2 are too few
    assert row(table, "prediction:nucleus")["n_patches"] == 0
    nobody = causal_table(ablation, ledger, Population(few.iloc[:0], few.iloc[:0], few, few.iloc[:0]), SETTINGS)
    key = ["contrast", "label", "test"]
    lacking = table.merge(nobody[key].drop_duplicates(), on=key, how="left", indicator=True)
    assert set(lacking.loc[lacking["_merge"] == "left_only", "test"]) == {"permutation"}  # there are no two samples
    assert (nobody["status"] == "no_inference").all()


def test_one_slide_or_none_gives_estimates_without_p_values():
    ablation, ledger, population = build(n_slides=1, n_per_slide=10, labels=ONE)
    table = causal_table(ablation, ledger, population, SETTINGS)
    assert (table["status"] == "no_inference").all()
    assert row(table, "drop:cytoplasm")["estimate"] > 1
    assert row(table, "drop:cytoplasm")["reason"] == "there is only 1 slide, and a test needs at least 3"
    assert row(table, "prediction")["rho"] > 0.3
    assert table[["p_value", "p_adjusted", "ci_low", "rho_low", "ci_low_simultaneous"]].isna().all(axis=None)
    # a class without patches has its row, and nothing is said of both together
    assert largest(table)["label"].tolist() == ["malignant", "benign", "malignant+benign"]
    assert largest(table).iloc[2]["compartment"] == ""
    first = largest(table).iloc[0]
    assert first["compartment"] == "cytoplasm"
    assert not first["significant"]
    assert first["status"] == "no_inference"
    for independent in (False, True):
        settings = StatisticsParameters(bootstrap_draws=2_000, assume_independent=independent)
        unknown = [one.assign(slide_id="") for one in (ablation, ledger)]
        table = causal_table(*unknown, population, settings)
        assert (row(table, "drop:cytoplasm")["status"] == "tested") == independent
        found = row(table, "prediction")
        assert (found["status"], found["unit"]) == ("no_inference", "")
        assert "slides of the patches are unknown" in found["reason"]
        assert found["rho"] > 0.3


def test_patients_may_be_the_unit(study):
    ablation, ledger, population = study
    settings = StatisticsParameters(bootstrap_draws=2_000, unit="patient")
    table = causal_table(ablation, ledger, population, settings)
    assert set(table["unit"]) == {"patient"}
    assert row(table, "drop:cytoplasm")["n_units"] == row(table, "prediction")["n_units"] == 4


def test_a_network_that_learned_nothing_has_no_finding(study, causal):
    table = causal_table(*study, SETTINGS, learned={20.0: False})
    assert (table["status"] == "not_interpretable").all()
    assert table[["p_value", "p_adjusted", "ci_low", "rho_low"]].isna().all(axis=None)
    np.testing.assert_array_equal(table["estimate"], causal["estimate"])


def test_families_are_corrected_apart():
    ablation, ledger, population = build(
        kinds=("blur", "mean"), models=("trained", "randomised"), n_slides=6, labels=ONE
    )
    methods = pd.concat([ledger, ledger.assign(method="occlusion")])
    table = causal_table(ablation, methods, population, SETTINGS)
    assert set(table["family"]) == {
        f"causal{name}{end}"
        for name in ("", "_pairs", "_separation", "_separation_pairs", "_prediction")
        for end in ("", "_reference")
    }
    sizes = table.groupby(["family", "test", "replacement", "method", "reduction"]).size()
    for (family, *_), size in sizes.items():
        assert size == (8 if "prediction" in family else 3 if "separation" in family else 6)
    mean = row(table, "drop:cytoplasm", replacement="mean", model="trained")
    alone = causal_table(
        ablation[(ablation["replacement"] == "mean") & (ablation["model"] == "trained")], ledger, population, SETTINGS
    )
    assert row(alone, "drop:cytoplasm")["p_adjusted"] == mean["p_adjusted"]
    assert row(table, "drop:cytoplasm", replacement="mean", model="randomised")["ci_high"] < 1


@pytest.mark.parametrize("planted", TISSUE)
def test_the_largest_is_the_planted_compartment(planted):
    found = largest(causal_table(*build(planted=planted, n_slides=8, labels=ONE), SETTINGS)).iloc[:1]
    assert found["label"].tolist() == ["malignant"]
    assert (found["compartment"] == planted).all()
    assert (found["largest_excess"] == planted).all()
    assert (found["largest_drop_excess"] == planted).all()
    assert found["significant"].all()
    assert found["above_random"].all()
    assert (found["ci_low"] > 0).all()
    assert (found["ci_low"] <= found["difference"]).all()
    assert (found["difference"] <= found["ci_high"]).all()
    np.testing.assert_allclose(found["difference"], found["drop_per_area"] - found["drop_per_area_second"], atol=1e-9)


def test_what_shifts_both_classes_alike_does_not_separate_them():
    ablation, ledger, population = build(planted="cytoplasm", effect=4.0, n_slides=8)
    ablation, ledger = (one.assign(slide_id=one["slide_id"].str.split("-").str[1]) for one in (ablation, ledger))
    # whatever it is, a patch without its nuclei looks malignant
    shift = np.where(ablation["label"] == "malignant", 9.0, -9.0) * ablation["area_share"]
    without = (ablation["compartment"] == "nucleus") & (ablation["region"] == "compartment")
    shifted = ablation.assign(logit_ablated=ablation["logit_ablated"] + shift.where(without, 0.0))
    table = causal_table(shifted, ledger, population, SETTINGS)
    found = largest(table).set_index("label")
    assert found["compartment"].to_dict() == {
        "malignant": "cytoplasm",
        "benign": "nucleus",
        "malignant+benign": "cytoplasm",
    }
    both = found.loc["malignant+benign"]
    assert both["largest_excess"] == "cytoplasm"
    assert both["significant"]
    assert both["above_random"]
    before = causal_table(ablation, ledger, population, SETTINGS)
    for contrast in ("separation:nucleus", "separation:cytoplasm_vs_nucleus"):
        now, then = (row(one, contrast, "malignant+benign") for one in (table, before))
        assert now["estimate"] == pytest.approx(then["estimate"], abs=1e-9)
        assert now["n_patches"] == 96
        assert now["n_missing"] == 0


def test_the_separation_is_the_sum_of_what_the_classes_lose(causal):
    for name in TISSUE:
        both = row(causal, f"separation:{name}", "malignant+benign")
        for column in ("estimate", "drop_per_area", "random_drop_per_area", "drop", "random_drop"):
            own = sum(row(causal, f"drop:{name}", label, "t_slide_means")[column] for label in LABELS)
            assert row(causal, f"separation:{name}", "malignant+benign", "t_slide_means")[column] == pytest.approx(own)
        # each class has slides of its own here: no signs to flip
        assert both["status"] == "no_inference"
        assert both["drop_per_area"] - both["random_drop_per_area"] == pytest.approx(both["estimate"])


def test_nothing_planted_is_no_significant_largest():
    found = largest(causal_table(*build(effect=0.0, follows=0.0, labels=ONE), SETTINGS))
    assert not found["significant"].any()
    with pytest.raises(StatisticsError, match="no rows of test 'z'"):
        largest(causal_table(*build(n_slides=2, n_per_slide=1), SETTINGS), test="z")


def test_tables_of_another_run_are_refused(study):
    ablation, ledger, population = study
    with pytest.raises(StatisticsError, match="no rows of model 'trained'"):
        causal_table(ablation, ledger.assign(model="other"), population, SETTINGS)
    with pytest.raises(StatisticsError, match=r"compartment nucleus.* occurs twice"):
        causal_table(ablation, pd.concat([ledger, ledger]), population, SETTINGS)
    with pytest.raises(StatisticsError, match="in the ledger but"):
        causal_table(ablation.assign(label="benign"), ledger, population, SETTINGS)
