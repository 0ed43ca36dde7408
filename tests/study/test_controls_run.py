"""A whole run with every control, several methods, replaced compartments and the multiverse."""

import numpy as np
import pandas as pd
import pytest

from saliency_stats import Study
from saliency_stats.commands.explain import explain_patch
from saliency_stats.measurement.measure import Measurement
from saliency_stats.saliency.maps import MapKey
from saliency_stats.settings.study import load
from saliency_stats.study.estimates import needed_bytes
from saliency_stats.study.parameters import networks_of, plan_of
from saliency_stats.vocabulary import TISSUE

pytestmark = pytest.mark.usefixtures("small_densenets")
KEY = ["patch_id", "magnification", "model", "method", "reduction"]
IMAGES = ("sobel", "haematoxylin", "eosin")
CASCADE = [f"cascading_{depth}" for depth in range(1, 7)]


@pytest.fixture(scope="module")
def run(study_file, small_densenets, tmp_path_factory):
    chosen = (
        "classifier.min_balanced_accuracy=0.5",
        f"controls=[randomised, cascading, shuffled, shift, {', '.join(IMAGES)}]",
        "saliency.methods=[gradient, grad_cam]",
        "saliency.more_reductions=[l1]",
        "saliency.scores=true",
        "saliency.min_confidence=0.5",
        "causal.curve_steps=3",
        "causal.patches_per_class=2",
        "multiverse.enabled=true",
        "multiverse.methods=[gradient]",
        "multiverse.segmentations=[nuclei+1um, cytoplasm3um, probability-0.1]",
    )
    return Study(load(study_file, chosen)).run(tmp_path_factory.mktemp("controls") / "run", workers=2)


def test_every_control_has_its_rows_and_they_add_up(run):
    ledger = run.ledger
    found = set(ledger[["model", "method", "reduction"]].drop_duplicates().itertuples(index=False, name=None))
    networks = ["trained", "randomised", "shuffled", *CASCADE]
    expected = {(name, "gradient", reduction) for name in networks for reduction in ("l2", "l1", "max")}
    expected |= {(name, "grad_cam", "none") for name in ("trained", "randomised")}
    expected |= {(name, name, "none") for name in IMAGES} | {("shift", "gradient", "l2")}
    assert found == expected
    measured = ledger[~ledger["status"].str.startswith("no saliency")]
    sums = measured.groupby(KEY)[["area_share", "mass_share"]].sum()
    np.testing.assert_allclose(sums, 1.0, atol=1e-9)
    # the compartments do not depend on whose map is laid over them
    areas = ledger.groupby(["patch_id", "compartment"])["area_share"]
    assert (areas.max() - areas.min()).max() < 1e-12
    assert ledger.loc[ledger["relevance_status"] == "measured", "auc"].between(0, 1).all()


def test_controls_are_not_the_trained_network(run):
    logits = run.predictions.pivot_table(index="patch_id", columns="model", values="logit_malignant").dropna()
    for name in ("randomised", "shuffled", *CASCADE):
        assert not np.allclose(logits[name], logits["trained"]), name
    pairs = run.predictions.merge(run.patches[["patch_id", "split"]], on="patch_id")
    assert set(pairs.loc[pairs["model"] == "shuffled", "split_x"]) == {"test"}


def test_every_control_is_compared_with_the_trained_network(run):
    contrasts = run.contrasts
    names = {f"trained-{name}" for name in ("randomised", "shuffled", "shift", *CASCADE, *IMAGES)}
    assert names <= set(contrasts["model"])
    rows = contrasts[(contrasts["test"] == "sign_flip") & (contrasts["contrast"] == "cytoplasm_vs_nucleus")]
    rows = rows[rows["population"] == "judged"]
    rows = rows[rows["reduction"].isin(["l2", "none"]) & (rows["method"] != "grad_cam")]
    rows = rows.set_index(["label", "model"])
    compared = 0
    for label in ("benign", "malignant"):
        for name in ("sobel", "randomised"):
            difference = rows.loc[(label, f"trained-{name}")]
            # paired on the same patches, so the means differ as the differences do, where none is missing
            if difference["n_missing"] == 0 and np.isfinite(difference["estimate"]):
                apart = rows.loc[(label, "trained"), "estimate"] - rows.loc[(label, name), "estimate"]
                assert difference["estimate"] == pytest.approx(apart)
                compared += 1
    assert compared


def test_further_methods_have_families_of_their_own(run):
    contrasts = run.contrasts
    own = contrasts[(contrasts["method"] == "gradient") & (contrasts["reduction"] == "l2")]
    other = contrasts[contrasts["method"] == "grad_cam"]
    assert not set(own["family"]) & set(other["family"])
    assert len(run.verdict) == 2


def test_contrasts_centred_and_matched_are_of_every_map_that_is_judged(run):
    """The study's own map of every network, and those of the image alone, in the patches where the ledger has both."""
    shift, matched = run.table("shift"), run.table("matched")
    own = run.ledger[run.ledger["reduction"].isin(["l2", "none"]) & (run.ledger["method"] != "grad_cam")]
    density = own.pivot_table(index=KEY, columns="compartment", values="density_ratio")
    delta = np.log2(density["cytoplasm"] / density["nucleus"]).replace([np.inf, -np.inf], np.nan).dropna()
    found = shift.set_index(KEY)
    assert set(found["delta"].dropna().index) == set(delta.index)
    np.testing.assert_allclose(found.loc[delta.index, "delta"], delta, atol=1e-9)
    np.testing.assert_allclose(found["centred"], found["delta"] - found["null_mean"])
    assert found["p_two_sided"].dropna().between(0, 1).all()
    assert set(shift["model"]) == {"trained", "randomised", "shuffled", "shift", *CASCADE, *IMAGES}
    rows = matched.set_index([*KEY, "picture"])
    assert len(rows) == len(found) * len(IMAGES)
    assert set(matched["picture"]) == set(IMAGES)
    itself = matched[matched["model"].astype("str") == matched["picture"].astype("str")]
    np.testing.assert_array_equal(itself["matched"], itself["matched_of_picture"])
    assert (itself["status"] == "measured").any()
    edges = itself.loc[itself["model"] == "sobel", "matched"].dropna()
    assert edges.abs().max() < delta.xs("sobel", level="model").abs().mean()


def test_replaced_compartments_start_from_the_intact_logit(run):
    ablation, curves = run.table("ablation"), run.table("ablation_curves")
    assert set(ablation["compartment"]) <= set(TISSUE)
    assert set(ablation["region"]) == {"compartment", "random"}
    predictions = run.predictions[run.predictions["model"] == "trained"].set_index("patch_id")
    for table, column in (
        (ablation, "logit"),
        (curves[(curves["direction"] == "deletion") & (curves["share"] == 0)], "logit"),
    ):
        rows = predictions.loc[table["patch_id"]]
        own = np.where(table["label"] == "malignant", rows["logit_malignant"], rows["logit_benign"])
        np.testing.assert_allclose(table[column], own, atol=1e-3)
    assert not np.allclose(ablation["logit"], ablation["logit_ablated"])
    for table in (ablation, curves):
        assert table.groupby(["slide_id", "label"])["patch_id"].nunique().max() == 2  # of three
    assert {"drop:cytoplasm", "prediction"} <= set(run.table("causal")["contrast"])


def test_the_usual_specification_is_the_studys_own_contrast(run):
    table = run.table("multiverse")
    # labels, maps (gradient in three reductions, Grad-CAM), segmentations, confidences
    assert len(table) == 2 * 4 * 4 * 4
    usual = table[table["usual"]].set_index("label")
    own = run.contrasts[run.contrasts["population"] == "judged"]
    own = own[(own["contrast"] == "cytoplasm_vs_nucleus") & (own["model"] == "trained") & (own["test"] == "sign_flip")]
    own = own[(own["method"] == "gradient") & (own["reduction"] == "l2")].set_index("label")
    assert len(usual) == len(own) == 2
    for label in usual.index:
        assert usual.loc[label, "n_patches"] == own.loc[label, "n_patches"]
        assert usual.loc[label, "estimate"] == pytest.approx(own.loc[label, "estimate"], rel=1e-9, nan_ok=True)
    assert isinstance(run.table("multiverse_summary"), pd.DataFrame)


def test_the_report_shows_them(run):
    for name in ("controls", "methods", "causal", "ablation_curves", "multiverse", "segmentations"):
        assert (run.folder / "figures" / f"{name}.png").stat().st_size > 5000, name
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Is it the network, or the method?" in page
    assert "Does the decision depend on it?" in page


def test_explaining_a_patch_makes_one_map_alone(run, tmp_path, monkeypatch):
    made = []
    examine = Measurement.examine

    def remembered(self, unit):
        found = examine(self, unit)
        made.append(found.maps)
        return found

    monkeypatch.setattr(Measurement, "examine", remembered)
    patch = run.ledger["patch_id"].iloc[0]
    for model in ("trained", "cascading_2"):
        path = explain_patch(run.folder, patch, model=model, out=tmp_path / f"{model}.png", device="cpu")
        assert path.stat().st_size > 10_000
    assert [set(maps) for maps in made] == [
        {MapKey(name, "1", "gradient", "l2") for name in names} for names in (["trained"], ["trained", "cascading_2"])
    ]


def test_a_run_takes_no_more_room_than_it_asked_for(run):
    settings = load(run.folder / "study.yaml")
    assert set(networks_of(settings)) == set(run.predictions[["model", "network"]].itertuples(index=False, name=None))
    assert set(plan_of(settings).keys(networks_of(settings))) == set(
        run.ledger[list(MapKey._fields)].itertuples(index=False, name=None)
    )
    tables = sum(
        run.folder.joinpath(f"{name}.csv").stat().st_size
        for name in ("ledger", "nuclei", "crossed", "profile", "shift", "matched")
    )
    fixed = needed_bytes(settings, run.patches.iloc[:0])
    assert needed_bytes(settings, run.patches) - fixed > tables
