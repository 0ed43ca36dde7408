"""What networks made by hand use is found, and nothing else."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage, stats
from torch import nn

from saliency_stats.classifier.samples import targets_of, to_tensor
from saliency_stats.cohort.phantom.cohort import PhantomCohort, PhantomCohortSize
from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.cohort.phantom.signals import other_class
from saliency_stats.execution.schema import TABLES
from saliency_stats.measurement.examination import Examination
from saliency_stats.measurement.importance import Rerendering
from saliency_stats.saliency.naming import NetworkKey
from saliency_stats.statistics import contrast_table
from saliency_stats.vocabulary import COMPARTMENT_CODES, LABELS, TISSUE

CPU = torch.device("cpu")


@cache
def cohort_of(signal, slides=3, patches=4, **look):
    return PhantomCohort(Phantom(signal=signal, size_px=64, **look), PhantomCohortSize(slides, patches), seed=4)


class Reads(nn.Module):
    """Log-odds of malignant are a statistic of the optical density of each image."""

    def __init__(self, statistic):
        super().__init__()
        self.statistic = statistic

    def forward(self, images):
        assert not torch.is_grad_enabled()
        density = -np.log10(np.maximum(images.permute(0, 2, 3, 1).numpy(), 1 / 255)).mean(axis=3)
        odds = torch.tensor([float(self.statistic(one)) for one in density], dtype=torch.float32)
        return torch.stack([1 - odds / 4, 1 + odds * 3 / 4], dim=1)


def examined(cohort, rows, network, *, replaced=True, targets=None):
    table = cohort.table.loc[rows].assign(split="test", replaced=replaced)
    patches = [cohort.read(row) for row in rows]
    with torch.no_grad():
        logits = network(to_tensor(np.stack([patch.image for patch in patches]), CPU)).double().numpy()
    target = targets_of(table) if targets is None else targets
    return Examination(table, patches, {NetworkKey("trained", "1"): logits}, targets={"1": target})


def measured(cohort, network_of, rows=None, **changes):
    """Ask of each patch the network that knows where its compartments are."""
    parts = []
    for row in cohort.table.index if rows is None else rows:
        network = Reads(network_of(cohort.read(row)))
        found = Rerendering(cohort, changes.get("min_area", 0.02)).table(
            examined(cohort, [row], network), {"1": network}, CPU
        )
        parts.append(found)
    return pd.concat(parts, ignore_index=True)


def deep(patch, name):
    """Pixels that other compartments, with their blur and their growth, hardly reach."""
    return ndimage.binary_erosion(patch.truth == COMPARTMENT_CODES[name], iterations=2)


def mean_in(patch, name):
    where = deep(patch, name)
    return lambda density: density[where].mean()


def texture_in(patch, name="cytoplasm"):
    """Pale vacuoles (malignant) against dark granules."""
    where = deep(patch, name)
    return lambda density: -stats.skew(density[where])


def sizes(table):
    return table["delta_logit"].abs().groupby(table["compartment"]).mean()


def test_what_reads_one_compartment_makes_something_of_that_one_alone():
    table = measured(cohort_of("cytoplasm"), texture_in)
    assert set(table["compartment"]) == set(TISSUE)
    size = sizes(table)
    assert size["cytoplasm"] > 10 * size["nucleus"]
    assert size["cytoplasm"] > 10 * size["stroma"]
    own = table[table["compartment"] == "cytoplasm"]
    # planted: drawn as the label, and it speaks for the label, in both directions
    assert (own["drawn"] == own["label"]).all()
    assert (own["delta_logit"] > 0).all()
    assert set(own["drawn"]) == set(LABELS)


def test_what_nobody_reads_has_no_importance():
    table = measured(cohort_of("cytoplasm"), lambda _: lambda _: 0.3)
    assert len(table) == 12 * 3
    assert (table["delta_logit"].abs() < 1e-6).all()


def test_a_network_may_use_what_was_not_planted():
    table = measured(cohort_of("cytoplasm"), lambda patch: mean_in(patch, "nucleus"))
    size = sizes(table)
    assert size["nucleus"] > 10 * max(size["cytoplasm"], size["stroma"])
    # dark nuclei are drawn as benign: which way it counts hangs on what chance drew, and on the label
    own = table[table["compartment"] == "nucleus"]
    against = (own["drawn"] == own["label"]) == (own["delta_logit"] < 0)
    assert against.all()


def test_xor_shows_both():
    def network_of(patch):
        nucleus, cytoplasm = mean_in(patch, "nucleus"), texture_in(patch)
        return lambda density: 10 * (nucleus(density) - middle) * cytoplasm(density)

    cohort = cohort_of("xor")
    middle = np.mean([mean_in(patch, "nucleus")(density_of(patch)) for patch in map(cohort.read, cohort.table.index)])
    table = measured(cohort, network_of)
    mean = table.groupby("compartment")["delta_logit"].mean()
    assert mean["nucleus"] > 10 * abs(mean["stroma"])
    assert mean["cytoplasm"] > 10 * abs(mean["stroma"])


def density_of(patch):
    return -np.log10(np.maximum(patch.image / 255, 1 / 255)).mean(axis=2)


def test_the_compartment_that_suppresses_is_important_though_it_carries_no_class():
    def network_of(patch):
        nucleus, cytoplasm = mean_in(patch, "nucleus"), mean_in(patch, "cytoplasm")
        return lambda density: np.log(cytoplasm(density) / nucleus(density))

    table = measured(cohort_of("suppressor"), network_of)
    mean = table.groupby("compartment")["delta_logit"].mean()
    assert mean["cytoplasm"] > 0.3
    assert mean["nucleus"] > 0.3
    assert abs(mean["stroma"]) < 0.05


def test_a_background_that_agrees_with_the_class_is_seen_where_it_is_read():
    table = measured(cohort_of("background"), lambda patch: mean_in(patch, "background"))
    size = sizes(table)
    assert set(size.index) == {*TISSUE, "background"}
    assert size["background"] > 5 * size.drop("background").max()


def test_of_a_network_at_chance_the_importance_is_zero_within_its_interval():
    cohort = cohort_of("none", slides=8, patches=8)
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = nn.Sequential(layers, nn.Linear(8, 2))
    rows = list(cohort.table.index)
    table = Rerendering(cohort, 0.02).table(examined(cohort, rows, network), {"1": network}, CPU)
    for name in TISSUE:
        own = table[table["compartment"] == name]
        assert own["delta_logit"].abs().min() > 0
        (found,) = contrast_table(own, "delta_logit", tests="t_slide_means").itertuples()
        assert found.n_slides == 8
        assert found.ci_low < 0 < found.ci_high


def test_among_the_patches_it_gets_right_what_is_used_in_vain_would_seem_to_count():
    cohort = cohort_of("none", slides=8, patches=12, stain_variation=0.0)  # slides do not hide it
    patches = [cohort.read(row) for row in cohort.table.index]
    darkness = np.array([mean_in(patch, "nucleus")(density_of(patch)) for patch in patches])
    table = measured(cohort, lambda patch: lambda density: 10 * mean_in(patch, "nucleus")(density))
    right = (darkness > np.median(darkness)) == (cohort.table["label"] == "malignant").to_numpy()
    fall = table.loc[table["compartment"] == "nucleus", "delta_logit"].to_numpy()
    of_all, of_right = (stats.ttest_1samp(values, 0) for values in (fall, fall[right]))
    assert of_right.pvalue < 0.01
    assert of_right.statistic > 0
    assert of_all.pvalue > 0.05


# --- the rows ---


def test_each_row_holds_the_falls_of_the_log_odds_of_the_label_and_of_the_watched_logit():
    cohort, rows = cohort_of("cytoplasm"), [1, 4]
    network = Reads(np.mean)
    asked = examined(cohort, rows, network, targets=np.array([0, 1]))
    table = Rerendering(cohort, 0.02).table(asked, {"1": network}, CPU)
    assert set(table.columns) == set(TABLES["importance"].required)
    assert list(table["patch_id"]) == [*[cohort.table["patch_id"][1]] * 3, *[cohort.table["patch_id"][4]] * 3]
    assert list(table["compartment"]) == [*TISSUE] * 2
    assert set(table["model"]) == {"trained"}
    assert set(table["network"]) == {"1"}
    for found in table.to_dict("records"):
        row = int(cohort.table.index[cohort.table["patch_id"] == found["patch_id"]][0])
        scene, patch, name = cohort.scene(row), cohort.read(row), found["compartment"]
        assert {key: found[key] for key in ("slide_id", "label", "magnification")} == cohort.table.loc[
            row, ["slide_id", "label", "magnification"]
        ].to_dict()
        assert found["drawn"] == scene.classes[name]
        assert found["area_share"] == (patch.truth == COMPARTMENT_CODES[name]).mean()
        again = scene.render({name: other_class(scene.classes[name])})
        fall = density_of(patch).mean() - density_of(again).mean()  # of malignant against benign
        assert fall != 0
        sign = 1 if found["label"] == "malignant" else -1
        assert found["delta_logit"] == pytest.approx(sign * fall, abs=1e-5)
        # the first patch is watched as benign, whatever its label
        assert found["delta_target"] == pytest.approx(-fall / 4 if row == 1 else fall * 3 / 4, abs=1e-5)
    assert list(cohort.table.loc[rows, "label"]) == ["malignant", "benign"]


def test_only_patches_that_are_drawn_are_asked_about_right_or_wrong():
    cohort, rows = cohort_of("cytoplasm"), [0, 1, 2, 3]
    for sign in (-1, 1):
        network = Reads(lambda _, sign=sign: 9 * sign)  # of half of the patches sure and wrong
        asked = examined(cohort, rows, network, replaced=[True, True, False, True])
        table = Rerendering(cohort, 0.02).table(asked, {"1": network}, CPU)
        assert list(table["patch_id"].unique()) == list(cohort.table.loc[[0, 1, 3], "patch_id"])


def test_each_network_is_asked_about_the_same_pictures():
    cohort, one, two = cohort_of("nucleus"), Reads(np.mean), Reads(lambda density: -2 * density.mean())
    asked = examined(cohort, [0, 1], one)
    second = examined(cohort, [0, 1], two)
    logits = asked.logits | {NetworkKey("trained", "2"): second.logits[NetworkKey("trained", "1")]}
    both = Examination(asked.table, asked.patches, logits, targets=dict.fromkeys("12", asked.targets["1"]))
    table = Rerendering(cohort, 0.02).table(both, {"1": one, "2": two}, CPU)
    first, other = (table[table["network"] == name].reset_index(drop=True) for name in "12")
    np.testing.assert_allclose(other["delta_logit"], -2 * first["delta_logit"], atol=1e-5)
    assert (first["compartment"] == other["compartment"]).all()
    assert (table.groupby("patch_id", sort=False)["network"].agg("".join) == "111222").all()


def test_a_small_compartment_is_missing():
    cohort, network = cohort_of("background"), Reads(np.mean)
    asked = examined(cohort, [0], network)
    shares = {name: (asked.patches[0].truth == code).mean() for name, code in COMPARTMENT_CODES.items()}
    least = shares["background"]
    assert 0 < least < min(shares[name] for name in TISSUE)
    present = Rerendering(cohort, least).table(asked, {"1": network}, CPU)
    assert set(present["compartment"]) == set(COMPARTMENT_CODES)
    missing = Rerendering(cohort, least + 1e-9).table(asked, {"1": network}, CPU)
    assert set(missing["compartment"]) == set(TISSUE)
    asked.patches[0].truth[asked.patches[0].truth == COMPARTMENT_CODES["background"]] = COMPARTMENT_CODES["stroma"]
    assert set(Rerendering(cohort, 0.0).table(asked, {"1": network}, CPU)["compartment"]) == set(TISSUE)


def test_where_nothing_is_drawn_the_columns_are_there():
    cohort, network = cohort_of("cytoplasm"), Reads(np.mean)
    table = Rerendering(cohort, 0.02).table(examined(cohort, [0], network, replaced=False), {"1": network}, CPU)
    assert table.empty
    assert set(table.columns) == set(TABLES["importance"].required)
