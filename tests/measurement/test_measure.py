"""One batch: nothing is computed twice, what is shared changes no number, and rows say whose they are."""

from collections import Counter
from dataclasses import FrozenInstanceError, replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from saliency_stats.attribution import DistanceBins, Maps, Memberships, ledger, profiles, relevance, signed_distance_um
from saliency_stats.classifier.samples import targets_of, to_tensor
from saliency_stats.cohort import Phantom, PhantomCohort, PhantomCohortSize
from saliency_stats.compartments import (
    CompartmentParameters,
    estimate_stains,
    nucleus_finder,
    to_codes,
    view,
    ways,
)
from saliency_stats.compartments.variants import VARIANTS
from saliency_stats.errors import AttributionError
from saliency_stats.execution.engine import Threads
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.store import Store
from saliency_stats.measurement import measure as measuring
from saliency_stats.measurement.batch import Batch
from saliency_stats.measurement.measure import Measurement
from saliency_stats.measurement.multiverse import Multiverse
from saliency_stats.measurement.pictures import picture_tables
from saliency_stats.measurement.references import References, draw_references
from saliency_stats.saliency.maps import MapKey, MapPlan, network_maps
from saliency_stats.saliency.methods import method_of
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.study.examples import write_examples

TRAINED, RANDOMISED = NetworkKey("trained", "1"), NetworkKey("randomised", "1")
BATCH = Batch("000000", (0, 1, 2), 20.0, measured=True)
PLAN = MapPlan(
    ("gradient", "gradient_x_input"), ("l2", "l1"), ("randomised", "sobel", "haematoxylin", "eosin", "shift")
)
CHOSEN = ("usual", "nuclei+1um", "band1um", "probability-0.1", "cytoplasm3um")
CROSSING = Multiverse(tuple(variant for variant in VARIANTS if variant.name in CHOSEN), 15.0)


def network(seed):
    torch.manual_seed(seed)
    layers = nn.Conv2d(3, 4, 5, padding=2), nn.Softplus(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    return nn.Sequential(*layers).eval().requires_grad_(requires_grad=False)


def measurement(mpp=0.5, *, multiverse=None, finder=None, tissue=None, cells="rule"):
    cohort = PhantomCohort(Phantom(size_px=96, mpp=mpp), PhantomCohortSize(slides=3, patches_per_slide=2), seed=5)
    table = cohort.table.assign(stain_group=cohort.table["slide_id"], fold=np.nan)
    return Measurement(
        cohort=cohort,
        table=table,
        models={(20.0, 0): {TRAINED: network(0), RANDOMISED: network(1)}},
        stains={name: estimate_stains([cohort.read(row).image]) for row, name in enumerate(table["stain_group"])},
        device=torch.device("cpu"),
        plan=PLAN,
        target="correct",
        finder=finder or nucleus_finder("builtin"),
        compartments=CompartmentParameters(cells=cells),
        min_area=0.02,
        bins=DistanceBins(),
        scores=True,
        multiverse=multiverse,
        tissue=tissue,
    )


@pytest.fixture
def counted(monkeypatch):
    """How often each function is called, by its name."""
    calls = Counter()

    def count(module, name):
        function = getattr(module, name)

        def counting(*args, **options):
            calls[name] += 1
            return function(*args, **options)

        monkeypatch.setattr(module, name, counting)

    for module, name in (
        (measuring, "concentrations"),
        (view, "concentrations"),
        (measuring, "view_of"),
        (ways, "weighed"),
    ):
        count(module, name)
    return calls


@pytest.mark.parametrize("mpp", [0.5, 1.0])
def test_nuclei_views_stains_and_cells_are_computed_once(counted, mpp):
    usual = nucleus_finder("builtin", probability_offset=-0.1)
    asked = []

    def finder(views):
        asked.extend(views)
        return usual(views)

    tables = measurement(mpp, multiverse=CROSSING, finder=finder)(BATCH)
    assert tables["crossed"]["segmentation"].nunique() == len(CHOSEN)
    assert len(asked) == len(BATCH.rows)
    assert counted["view_of"] == len(BATCH.rows)
    # an enlarged view has stains of its own
    assert counted["concentrations"] == len(BATCH.rows) * (1 if mpp == 0.5 else 2)
    # once for the study and once for each way to have other nuclei
    others = {(variant.probability, variant.grow_um) for variant in CROSSING.variants if variant != VARIANTS[0]}
    assert counted["weighed"] == len(BATCH.rows) * (1 + len(others))


def test_each_map_and_the_memberships_are_looked_at_once(monkeypatch):
    made = Counter()
    for kind in (Maps, Memberships):

        def remembered(self, *args, usual=kind.__init__, **options):
            made[type(self)] += 1
            usual(self, *args, **options)

        monkeypatch.setattr(kind, "__init__", remembered)
    tables = measurement()(BATCH)
    maps = tables["ledger"][["model", "method", "reduction"]].drop_duplicates()
    assert made == {Maps: len(maps), Memberships: 1}
    assert len(maps) == 2 * 2 * 2 + 3 + 1


@pytest.mark.parametrize("mpp", [0.5, 1.0])
def test_a_crossing_changes_no_other_table(mpp):
    plain = measurement(mpp)(BATCH)
    finder = nucleus_finder("builtin", probability_offset=-0.1)
    crossed = measurement(mpp, multiverse=CROSSING, finder=finder)(BATCH)
    assert set(crossed) - set(plain) == {"crossed"}
    assert len(plain["nuclei"]) > 3
    for name, table in plain.items():
        pd.testing.assert_frame_equal(crossed[name], table, check_exact=True)


def test_the_usual_segmentation_has_the_shares_of_the_ledger():
    tables = measurement(multiverse=CROSSING, finder=nucleus_finder("builtin", probability_offset=-0.1))(BATCH)
    key = ["patch_id", *MapKey._fields]
    crossed = tables["crossed"]
    assert crossed.groupby(["segmentation", *MapKey._fields]).ngroups == len(CHOSEN) * 4
    usual = crossed[crossed["segmentation"] == "usual"].set_index(key).sort_index()
    ledger = tables["ledger"]
    for compartment in ("nucleus", "cytoplasm"):
        rows = ledger[ledger["compartment"] == compartment].set_index(key).loc[usual.index]
        np.testing.assert_array_equal(usual[f"area_{compartment}"], rows["area_share"])
        np.testing.assert_array_equal(usual[f"mass_{compartment}"], rows["mass_share"])
    others = crossed[crossed["segmentation"] == "nuclei+1um"].set_index(key).loc[usual.index]
    assert (others["area_nucleus"] > usual["area_nucleus"]).all()


def test_examples_are_shown_under_the_studys_own_map_alone(tmp_path, monkeypatch):
    measured = measurement()
    made = []
    examine = Measurement.examine

    def remembered(self, batch):
        found = examine(self, batch)
        made.append(found.maps)
        return found

    monkeypatch.setattr(Measurement, "examine", remembered)
    chosen = measured.table.iloc[:1].assign(row=0, rank=1, p_true=0.9)
    write_examples(Store(tmp_path), measured, chosen, Progress(show=False), Threads(1))
    (maps,) = made
    assert set(maps) == {MapKey(model, "1", "gradient", "l2") for model in ("trained", "randomised")}
    (whole,) = Threads(1).map(partial(examine, measured), [replace(BATCH, rows=(0,))])
    assert set(whole.maps) == set(PLAN.keys([TRAINED, RANDOMISED]))
    for key, one in maps.items():
        np.testing.assert_array_equal(one.raw, whole.maps[key].raw)


# --- whose rows they are ---


@pytest.fixture(scope="module")
def small():
    """Few maps, no scores, and the phantoms' own compartments, which are quick to get."""
    return replace(
        measurement(), plan=MapPlan(reductions=("l2",), controls=("randomised", "sobel")), scores=False, finder=None
    )


def read(measured):
    """Read the pixels of the batch, as networks see them."""
    return to_tensor(np.stack([measured.cohort.read(row).image for row in BATCH.rows]), torch.device("cpu"))


def test_of_a_batch_that_is_not_measured_there_are_predictions_of_the_trained_network_alone(small):
    tables = small(replace(BATCH, measured=False))
    assert list(tables) == ["predictions"]
    found = tables["predictions"]
    assert found["model"].tolist() == ["trained"] * 3
    assert found["patch_id"].tolist() == small.table["patch_id"].iloc[:3].tolist()
    logits = small.models[20.0, 0][TRAINED](read(small)).double().numpy()
    np.testing.assert_array_equal(found[["logit_benign", "logit_malignant"]], logits)


def test_of_a_measured_batch_there_are_predictions_of_every_network(small):
    tables = small(BATCH)
    assert list(tables) == ["predictions", "ledger", "profile", "nuclei", "shift", "matched"]
    found = tables["predictions"]
    assert found.index.tolist() == list(range(6))
    assert found["model"].tolist() == ["trained"] * 3 + ["randomised"] * 3
    for model, rows in found.groupby("model"):
        logits = small.models[20.0, 0][NetworkKey(model, "1")](read(small)).numpy()
        np.testing.assert_allclose(rows[["logit_benign", "logit_malignant"]], logits, rtol=1e-5)


def test_the_ledgers_rows_are_those_of_their_patch_and_map(small):
    measured = replace(small, scores=True)
    examined = measured.examine(BATCH)
    rows = measured(BATCH)["ledger"]
    identity = ["patch_id", "slide_id", "patient_id", "label", "split", "magnification"]
    assert list(rows.columns[:10]) == [*identity, "model", "network", "method", "reduction"]
    assert len(rows) == 3 * 3 * 4
    for key, maps in examined.maps.items():
        part = rows[(rows[["model", "network", "method", "reduction"]] == list(key)).all(axis=1)].reset_index(drop=True)
        expected = ledger(maps, examined.memberships, min_area=0.02)
        wanted = measured.table.set_index("patch_id", drop=False).loc[expected["patch"], identity]
        wanted = wanted.reset_index(drop=True)
        pd.testing.assert_frame_equal(part[identity], wanted, check_dtype=False)
        pd.testing.assert_frame_equal(part[list(expected.columns[1:])], expected.drop(columns="patch"))
        scored = relevance(maps, examined.memberships).drop(columns=["patch", "compartment"])
        pd.testing.assert_frame_equal(part[list(scored.columns)], scored)
    assert "relevance_rank" not in small(BATCH)["ledger"]
    assert (replace(small, min_area=0.9)(BATCH)["ledger"]["status"] != rows["status"]).any()


def test_the_ledger_holds_what_signed_methods_add_up_to_in_each_compartment(small):
    plan = replace(PLAN, methods=("gradient", "gradient_x_input"), signed=True)
    measured = replace(small, scores=True, plan=plan)
    examined, rows = measured.examine(BATCH), measured(BATCH)["ledger"]
    assert set(rows["reduction"]) == {*PLAN.reductions, "none"}
    own = (rows["method"] == "gradient_x_input") & (rows["model"] == "trained")
    signed = rows[own & (rows["reduction"] == PLAN.reductions[0])]
    target = torch.from_numpy(examined.targets["1"])
    attribution = method_of("gradient_x_input").attribute(
        measured.models[20.0, 0][TRAINED], read(small), target, [0] * 3
    )
    expected = np.einsum("nkhw,nchw->nk", examined.memberships.weights, attribution.double().numpy())
    np.testing.assert_allclose(signed["attributed"], expected.ravel(), rtol=1e-4, atol=1e-6)
    assert (signed["attributed"] < 0).any()
    assert rows.loc[rows["method"] != "gradient_x_input", "attributed"].isna().all()


def test_profiles_and_nuclei_say_whose_they_are(small):
    tables = small(BATCH)
    one = [small(replace(BATCH, rows=(row,))) for row in BATCH.rows]
    for name, keys in (("profile", ["patch_id", "model", "distance_um"]), ("nuclei", ["patch_id", "nucleus_id"])):
        alone = pd.concat([part[name] for part in one]).sort_values(keys).reset_index(drop=True)
        found = tables[name].sort_values(keys).reset_index(drop=True)
        pd.testing.assert_frame_equal(found, alone, check_exact=False, rtol=1e-5)
        assert found["patch_id"].nunique() == 3
        assert (found["magnification"] == 20.0).all()
    examined = small.examine(BATCH)
    own = [examined.maps[small.plan.own(*key)] for key in (TRAINED, RANDOMISED)]
    distances = [signed_distance_um(found.instances > 0, 0.5) for found in examined.segmentations]
    expected = profiles(own, distances, small.bins).drop(columns=["patch", "map"])
    pd.testing.assert_frame_equal(tables["profile"][list(expected.columns)], expected)
    assert set(tables["profile"]["model"]) == {"trained", "randomised"}
    assert set(tables["profile"]["method"]) == {"gradient"}
    assert list(tables["nuclei"].columns[:2]) == ["patch_id", "magnification"]
    assert tables["nuclei"].index.tolist() == list(range(len(tables["nuclei"])))


def test_the_logit_that_is_explained_is_that_of_the_label_or_the_chosen_one(small):
    labels = torch.from_numpy(targets_of(small.table.iloc[:3]))
    chosen = small.models[20.0, 0][TRAINED](read(small)).argmax(dim=1)
    assert not torch.equal(labels, chosen)
    ids = small.table["patch_id"].tolist()[:3]
    for target, wanted in (("correct", labels), ("predicted", chosen)):
        examined = replace(small, target=target).examine(BATCH)
        assert {name: one.tolist() for name, one in examined.targets.items()} == {"1": wanted.tolist()}
        _, maps = network_maps(small.models[20.0, 0], read(small), {"1": wanted}, ids, small.plan)
        for key, values in maps.items():
            np.testing.assert_array_equal(examined.maps[key].raw, values)


def test_expected_gradients_see_training_patches_and_no_other_that_is_judged(small):
    """The other slides' patches are read but for those of the test split, whose images decide nothing."""
    rows, split = small.table.index, ["test", "test", "test", "train", "train", "test"]
    drawn = draw_references({0: small.table.assign(split=split, height_px=96, width_px=96)}, 0)
    seen = []

    class Watched:
        def read(self, row):
            seen.append(row)
            return small.cohort.read(row)

    plan = MapPlan(("expected_gradients",), ("l2",))
    looking = replace(small, cohort=Watched(), plan=plan, references=References(Watched(), drawn))
    found = looking.examine(BATCH).maps[plan.own()].raw
    assert set(seen) == {*BATCH.rows, rows[3], rows[4]}
    images = to_tensor(np.stack([small.cohort.read(row).image for row in (3, 4)]), torch.device("cpu"))
    targets = {"1": torch.from_numpy(targets_of(small.table.iloc[:3]))}
    ids = small.table["patch_id"].tolist()[:3]
    _, maps = network_maps(small.models[20.0, 0], read(small), targets, ids, plan, images)
    np.testing.assert_array_equal(found, maps[plan.own()])
    with pytest.raises(AttributionError, match="draws its baselines from training patches"):
        replace(looking, references=None).examine(BATCH)


def test_what_measures_does_not_change(small):
    with pytest.raises(FrozenInstanceError):
        small.target = "predicted"


def test_maps_are_kept_where_they_are_asked_for(small):
    examined = small.examine(BATCH)
    rows = replace(small, keep=True)(BATCH)["maps"]
    assert rows["model"].tolist() == ["trained"] * 3 + ["randomised"] * 3
    assert rows["patch_id"].tolist() == small.table["patch_id"].tolist()[:3] * 2
    assert (rows[["magnification", "height_px", "width_px"]] == [20.0, 96, 96]).all(axis=None)
    own = examined.own(small.plan)
    for at, row in enumerate(rows.to_dict("records")):
        values = np.frombuffer(row["saliency"], "<f4").reshape(96, 96)
        np.testing.assert_array_equal(values, own[row["model"], row["network"]][at % 3])


def test_the_phantoms_own_compartments_may_be_taken(small):
    examined = small.examine(BATCH)
    assert (examined.views, examined.found) == ([], [])
    for row, found in zip(BATCH.rows, examined.segmentations, strict=True):
        patch = small.cohort.read(row)
        np.testing.assert_array_equal(found.instances, patch.instances)
        np.testing.assert_array_equal(to_codes(found.memberships), patch.truth)


def test_compartments_of_slides_are_segmented_elsewhere(small):
    asked = []

    class Elsewhere:
        def segmentations(self, rows):
            asked.append(rows["patch_id"].tolist())
            return ["one", "two", "three"]

    examined = replace(small, finder=nucleus_finder("builtin"), multiscale=Elsewhere()).examine(BATCH)
    assert (examined.views, examined.found, examined.segmentations) == ([], [], ["one", "two", "three"])
    assert asked == [small.table["patch_id"].tolist()[:3]]


def test_what_only_some_studies_ask_for(small):
    asked = []

    class Replacing:
        def tables(self, rows, *others):
            asked.append((rows, others))
            return {"ablation": pd.DataFrame({"asked": [1]})}

    table = small.table.assign(replaced=[False, True] * 3)
    measured = replace(small, table=table, ablations=Replacing(), plan=MapPlan(controls=("eosin",)), min_area=0.1)
    tables = measured(replace(BATCH, rows=(1, 2)))
    assert list(tables) == ["predictions", "ledger", "profile", "nuclei", "shift", "matched", "ablation"]
    expected = picture_tables(measured.examine(replace(BATCH, rows=(1, 2))), measured.plan, 0.1)
    for name in ("shift", "matched"):
        pd.testing.assert_frame_equal(tables[name], expected[name])
    ((rows, (patches, segmentations, logits, targets, networks, device)),) = asked
    assert rows["replaced"].tolist() == [True, False]
    assert rows["mpp"].tolist() == [0.5, 0.5]
    assert len(patches) == len(segmentations) == len(logits["1"]) == len(targets["1"]) == 2
    np.testing.assert_array_equal(
        logits["1"], tables["predictions"].query("model == 'trained'")[["logit_benign", "logit_malignant"]]
    )
    assert networks == {"1": small.models[20.0, 0][TRAINED]}
    assert device == torch.device("cpu")


def test_every_network_of_the_fold_explains_the_class_that_it_chose_itself(small):
    names = ("fold2-1", "fold2-2")
    models = {NetworkKey("trained", name): network(seed) for seed, name in enumerate(names, start=2)}
    models |= {NetworkKey("randomised", name): network(seed) for seed, name in enumerate(names, start=4)}
    several = replace(small, models={(20.0, 2): models}, target="predicted", keep=True)
    batch = replace(BATCH, fold=2)
    tables, examined = several(batch), several.examine(batch)
    chosen = {name: models["trained", name](read(small)).argmax(dim=1).tolist() for name in names}
    assert {name: one.tolist() for name, one in examined.targets.items()} == chosen
    for name in names:
        alone = {key: model for key, model in models.items() if key.network == name}
        one = replace(several, models={(20.0, 2): alone})(batch)
        for table in ("predictions", "ledger", "profile", "maps"):
            found = tables[table][tables[table]["network"].isin([name, ""])].reset_index(drop=True)
            pd.testing.assert_frame_equal(found, one[table])
    # maps of the image alone are there once
    images = tables["ledger"][tables["ledger"]["network"] == ""]
    assert not images.duplicated(["patch_id", "model", "compartment"]).any()
    other = several(replace(batch, measured=False))["predictions"]
    assert other["network"].unique().tolist() == list(names)
    assert set(other["model"]) == {"trained"}


class Even:
    """Stands for the tissue network: the more of it is asked for, the surer it is of cells."""

    def __init__(self):
        self.asked = []

    def __call__(self, views):
        self.asked.append(len(views))
        found = []
        for number, one in enumerate(views):
            tissues = np.zeros((3, *one.tissue.shape), np.float32)
            tissues[0], tissues[1] = 0.5 + 0.2 * number, 0.5 - 0.2 * number
            found.append(tissues)
        return found


def test_the_network_is_asked_once_and_its_doubt_stands_in_the_ledger(counted):
    tissue = Even()
    tables = measurement(tissue=tissue, cells="network")(BATCH)
    assert tissue.asked == [len(BATCH.rows)]
    # no evidence of the rule is sought where nobody asks for it
    assert counted["weighed"] == 0
    rows = tables["ledger"]
    doubtful = rows.groupby("patch_id", sort=False)["doubtful_share"].agg(["min", "max"])
    np.testing.assert_array_equal(doubtful["min"], doubtful["max"])
    # half and half, 0.7 and 0.9 of cells: beyond their reach all is stroma, and nothing in doubt
    assert (doubtful["min"] > 0.3).tolist() == [True, True, False]
    assert doubtful["min"].iloc[2] == 0
    assert list(rows)[-1] == "doubtful_share"


def test_hard_memberships_leave_the_column_of_doubt_empty():
    rows = measurement()(BATCH)["ledger"]
    assert rows["doubtful_share"].isna().all()


def test_the_multiverse_crosses_the_other_ways_to_tell_cells(counted):
    ways_to_tell = tuple(variant for variant in VARIANTS if variant.name in {"usual", "cells-rule", "cells-distance"})
    tissue = Even()
    crossing = Multiverse(ways_to_tell, 15.0)
    crossed = measurement(tissue=tissue, cells="network", multiverse=crossing)(BATCH)["crossed"]
    assert tissue.asked == [len(BATCH.rows)]
    assert counted["weighed"] == len(BATCH.rows)
    areas = crossed.groupby("segmentation")[["area_nucleus", "area_cytoplasm"]].mean()
    assert np.ptp(areas["area_nucleus"]) == 0
    assert areas["area_cytoplasm"].nunique() == 3
    by_rule = measurement()(BATCH)["ledger"]
    cytoplasm = by_rule[(by_rule["compartment"] == "cytoplasm") & (by_rule["model"] == "sobel")]["area_share"]
    assert areas.loc["cells-rule", "area_cytoplasm"] == pytest.approx(cytoplasm.mean())
