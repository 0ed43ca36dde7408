"""What check and run find before anything is computed: all of it is told, causes before consequences."""

import numpy as np
import pandas as pd
import pytest
import torch
from torchvision import models

from saliency_stats.classifier.architecture import Architecture
from saliency_stats.cohort.patch import USED
from saliency_stats.cohort.slides.cohort import SLIDE_COLUMNS
from saliency_stats.errors import ClassifierError, CohortError, CompartmentError
from saliency_stats.execution.progress import Progress
from saliency_stats.settings import load
from saliency_stats.study import look as module
from saliency_stats.study import parameters
from saliency_stats.study.elsewhere import resolved
from saliency_stats.study.look import found_lines, refuse, remarks


def obstacles(settings, table, slides=None, device="cpu"):
    return module.obstacles(settings, table, slides, torch.device(device))


def patches(slides=7, per_slide=2):
    """Give judged and trained-on patches, one of each class of every slide of either split."""
    rows = [
        (f"{split}{slide}-{n}", f"{split}{slide}", ("benign", "malignant")[n % 2], split)
        for split in ("test", "train")
        for slide in range(slides)
        for n in range(per_slide)
    ]
    table = pd.DataFrame(rows, columns=["patch_id", "slide_id", "label", "split"])
    return table.assign(
        patient_id="", magnification=20.0, status=USED, height_px=64, width_px=64, sha256=table["patch_id"], fold=np.nan
    )


def slides_of(statuses, notes=""):
    table = pd.DataFrame({"slide_id": [f"S{n}" for n in range(len(statuses))], "status": statuses, "notes": notes})
    return table.reindex(columns=list(SLIDE_COLUMNS))


# --- what was found -----------------------------------------------------------------------------------


def test_of_a_cohort_that_can_all_be_used_nothing_is_said():
    assert found_lines(patches(), slides_of([USED, USED])) == []
    assert found_lines(patches(), None) == []


def test_excluded_slides_notes_and_excluded_patches_are_named_with_their_reasons():
    table = patches(6)
    table.loc[:10, "status"] = "excluded: too dark"
    table.loc[11, "status"] = "excluded: out of focus"
    slides = slides_of(
        [USED, "excluded: no file", "excluded: no µm per pixel", "excluded: no file"], ["offset", *"   "]
    )
    slides["notes"] = ["outlines moved", "", None, ""]
    ten = ", ".join(f"test{slide}-{n}" for slide in range(5) for n in range(2))
    assert found_lines(table, slides) == [
        "excluded slides, 3 of 4:",
        "      2  S1, S3: no file",
        "      1  S2: no µm per pixel",
        "notes of slides:",
        "      1  S0: outlines moved",
        "excluded patches, 12 of 24:",
        f"     11  {ten}, and 1 more: too dark",
        "      1  test5-1: out of focus",
    ]


def test_a_patch_at_several_magnifications_is_named_once():
    table = pd.concat([patches(1), patches(1).assign(magnification=10.0)], ignore_index=True)
    table["status"] = "excluded: too dark"
    assert found_lines(table, None)[1] == "      8  test0-0, test0-1, train0-0, train0-1: too dark"


def test_what_names_in_annotations_mean_is_told_where_there_are_any():
    names = ("tumour: Tumor, _0", "ignored: Stroma")
    noted = slides_of([USED], "classes: 'Tumor' (3 × tumour)")
    assert found_lines(patches(), noted, names) == [
        "names in annotations:",
        "  tumour: Tumor, _0",
        "  ignored: Stroma",
        "notes of slides:",
        "      1  S0: classes: 'Tumor' (3 × tumour)",
    ]
    assert found_lines(patches(), slides_of([USED]), names) == []


@pytest.mark.parametrize("n", [40, 41])
def test_forty_reasons_are_told_and_the_rest_is_counted(n):
    slides = slides_of([f"excluded: slide 'S{slide}': no file" for slide in range(n)])
    found = found_lines(patches(0), slides)
    assert found[40].endswith("S39: slide 'S39': no file")
    assert found[41:] == (["         and 1 more, which slides.csv of a run lists"] if n > 40 else [])


# --- what stands in the way ---------------------------------------------------------------------------


def test_one_obstacle_is_one_sentence_and_several_are_listed():
    refuse([])
    with pytest.raises(CohortError, match=r"^no class$"):
        refuse(["no class"])
    with pytest.raises(CohortError, match=r"^2 faults:\n  no class\n  no weights$"):
        refuse(["no class", "no weights"])


def test_excluded_slides_are_the_cause_of_what_is_missing():
    table = patches()
    table.loc[table["label"] == "malignant", "status"] = "excluded: too dark"
    cause, consequence = obstacles(load(None), table, slides_of([USED, "excluded: no file", "excluded: no file"]))
    assert cause == "1 of the 3 slides can be used (S1, S2: no file)"
    assert consequence.startswith("every one of the 14 usable patches is 'benign', none is 'malignant'")


def test_of_slides_that_can_all_be_used_nothing_is_the_cause():
    table = patches().assign(label="benign")
    (found,) = obstacles(load(None), table, slides_of([USED]))
    assert found.startswith("every one of the 28")
    assert obstacles(load(None), patches(), slides_of([USED, "excluded: no file"])) == []


def test_where_no_slide_can_be_used_every_reason_is_told_and_nothing_else():
    found = obstacles(load(None), patches(0), slides_of(["excluded: no file", "excluded: no µm per pixel"]))
    assert found == ["none of the 2 slides can be used (S0: no file; S1: no µm per pixel)"]


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        (("classifier.stopping=early",), True),
        (("classifier.stopping=early", "classifier.trainable=head"), True),
        ((), False),
    ],
)
def test_early_stopping_without_a_valid_split_is_an_obstacle(assignments, told):
    found = obstacles(load(None, assignments), patches())
    assert [text.split(":")[0] for text in found] == ["classifier.stopping"] * told
    valid = pd.concat(
        [patches(), patches(1).assign(split="valid", slide_id="other", patch_id=list("abcd"), sha256=list("abcd"))]
    )
    assert obstacles(load(None, assignments), valid) == []


def test_without_training_patches_expected_gradients_have_no_baseline():
    settings = load(None, ("saliency.methods=[gradient, expected_gradients]",))
    assert obstacles(settings, patches()) == []
    coarse = pd.concat([patches(), patches().assign(magnification=10.0, split="test")], ignore_index=True)
    (found,) = [text for text in obstacles(settings, coarse) if text.startswith("saliency.methods")]
    none = "expected_gradients: there is no training patch of 64 × 64 px at 10×, of which baselines could be drawn for"
    assert found == f"saliency.methods: {none} {len(patches())} judged ones; add some, or choose other methods"
    assert not [text for text in obstacles(load(None), coarse) if text.startswith("saliency.methods")]


@pytest.mark.parametrize("unit", ["slide", "patient"])
def test_a_cohort_that_names_a_part_of_its_units_is_refused_in_one_sentence(unit):
    settings = load(None, (f"statistics.unit={unit}",))
    table = patches().assign(patient_id=lambda one: "P" + one["slide_id"])
    table.loc[3:7, f"{unit}_id"] = ""
    (found,) = obstacles(settings, table)
    assert found.startswith(
        f"5 of 14 patches of the test split name no {unit} (test1-1, test2-0, test2-1, …), the others do; expected the "
        f"{unit} of all, or of none. Fill in {unit}_id, or leave those patches out"
    )
    assert found.endswith("(or set statistics.unit: slide)") == (unit == "patient")
    # of none, or of patches that are not judged
    assert obstacles(settings, table.assign(**{f"{unit}_id": ""})) == []
    table = patches().assign(patient_id=lambda one: "P" + one["slide_id"])
    table.loc[table["split"] == "train", f"{unit}_id"] = ""
    table.loc[0, "status"], table.loc[0, f"{unit}_id"] = "excluded: too dark", ""
    assert obstacles(settings, table) == []


def test_patches_may_be_assumed_to_be_independent():
    table = patches()
    table.loc[0, "slide_id"] = ""
    assert len(obstacles(load(None), table)) == 1
    assert obstacles(load(None, ("statistics.assume_independent=true",)), table) == []


def test_models_that_cannot_be_had_are_told_beside_the_rest(monkeypatch):
    def build(*given, trained, say):
        assert (*given, trained) == (Architecture("densenet121"), "imagenet", 0, True)
        raise ClassifierError("fetch the weights")

    def finder_of(settings, device):
        assert (settings.name, device.type) == ("phantom", "cpu")
        raise CompartmentError("fetch the model")

    monkeypatch.setattr(module, "build", build)

    def tissue_of(settings, device):
        assert (settings.name, device.type) == ("phantom", "cpu")
        raise CompartmentError("install it again")

    monkeypatch.setattr(parameters, "finder_of", finder_of)
    monkeypatch.setattr(parameters, "tissue_of", tissue_of)
    settings = load(None, with_weights("imagenet", "head"))
    table = patches().assign(label="benign")
    assert obstacles(settings, table)[1:] == ["fetch the weights", "fetch the model", "install it again"]
    # without weights none are sought
    assert obstacles(load(None), table)[1:] == ["fetch the model", "install it again"]


class Third(torch.nn.Module):
    """Gives labels of the first magnification's size only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2] != 64:
            raise RuntimeError("64 px, please")
        return torch.zeros_like(x[:, :1])


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_a_torchscript_file_is_tried_on_every_magnification(tmp_path):
    torch.jit.script(Third()).save(tmp_path / "m.pt")
    settings = load(None, (f"compartments.nuclei=torchscript:{tmp_path / 'm.pt'}@0.5",))
    assert settings.compartments.nuclei.endswith("m.pt@0.5")
    table = patches().assign(height_px=64, width_px=96, mpp=0.5)
    assert obstacles(settings, table) == []
    coarse = table.assign(magnification=10.0, mpp=1.0)
    (message,) = obstacles(settings, pd.concat([table, coarse], ignore_index=True))
    assert "m.pt: the model stopped at an image of the shape (1, 3, 128, 192): builtins.RuntimeError: 64 px" in message
    # what is excluded is not measured
    assert obstacles(settings, pd.concat([table, coarse.assign(status="excluded: blank")], ignore_index=True)) == []


@pytest.fixture
def one_class(tmp_path, small_densenets):
    """Weights of a network with one class, as in a case that was reported."""
    path = tmp_path / "one.pt"
    torch.save(models.densenet121(num_classes=1).state_dict(), path)
    return path


def with_weights(path, trainable):
    return "classifier.architecture=densenet121", f"classifier.weights={path}", f"classifier.trainable={trainable}"


def test_weights_of_another_head_are_an_obstacle_only_where_nothing_is_trained(one_class):
    (found,) = obstacles(load(None, with_weights(one_class, "none")), patches())
    assert "trainable: none needs a file with two classes (found 1)" in found
    for trainable in ("head", "all"):
        assert obstacles(load(None, with_weights(one_class, trainable)), patches()) == []


def test_weights_that_are_not_used_as_they_are_are_told(one_class):
    said = []
    settings = load(None, with_weights(one_class, "head"))
    assert module.obstacles(settings, patches(), None, torch.device("cpu"), said.append) == []
    assert len(said) == 1
    assert "its layer of 1 class is left out" in said[0]


def test_files_that_cannot_be_used_are_told_together(one_class, tmp_path):
    (tmp_path / "model").write_bytes(b"nonsense")
    assignments = (*with_weights(one_class, "none"), f"compartments.nuclei={tmp_path / 'model'}")
    weights, nuclei = obstacles(load(None, assignments), patches())
    assert "found 1" in weights
    assert "model is not a StarDist model" in nuclei


def test_a_batch_that_no_machine_holds_is_told_beside_the_rest():
    table = patches(8).assign(label="benign", height_px=10**6, width_px=10**6)
    found = obstacles(load(None), table)
    assert [text.split(" ")[0] for text in found] == ["every", "classifier.batch_size:", "saliency.batch_size:"]
    # patches that are excluded are in no batch
    assert len(obstacles(load(None), table.assign(status="excluded: too large"))) == 1


# --- what a reader should know beforehand ---------------------------------------------------------------

#: What is told of the built-in study, which has every control that a verdict needs, and one network.
ONE_NETWORK = (
    "The verdict will be about this network alone: how much others would differ stays unknown "
    "(classifier.networks is 1)."
)


def too_few(settings, table):
    """Give what is remarked beside the number of networks."""
    return [text for text in remarks(settings, table) if text != ONE_NETWORK]


@pytest.mark.parametrize(
    ("slides", "assignments", "needed"),
    [
        (7, (), None),
        (6, (), 7),
        (6, ("statistics.alpha=0.1",), None),
        (5, ("statistics.alpha=0.1",), 6),
        # another test has no smallest p-value, and needs no more than the least number
        (3, ("statistics.primary_test=t_slide_means",), None),
        (2, ("statistics.primary_test=t_slide_means",), 3),
        (7, ("statistics.min_slides=8",), 8),
    ],
)
def test_too_few_units_for_any_finding_are_told(slides, assignments, needed):
    settings = load(None, assignments)
    found = too_few(settings, patches(slides))
    where = f"{slides} slides (benign, 20×), {slides} slides (malignant, 20×)"
    text = (
        f"Nothing could be found, whatever the saliency, with {where}: the test {settings.statistics.primary_test} "
        f"needs at least {needed} for 2 hypotheses."
    )
    assert found == ([] if needed is None else [text])


def test_more_hypotheses_need_more_slides():
    table = pd.concat([patches(7), patches(7).assign(magnification=10.0)])
    assert too_few(load(None), patches(7)) == []
    (found,) = too_few(load(None), table)
    assert "needs at least 8 for 4 hypotheses" in found


def test_a_group_with_enough_slides_is_not_named():
    table = patches(8)
    table = table[(table["label"] == "benign") | (table["slide_id"] != "test3") & (table["slide_id"] != "test4")]
    (found,) = too_few(load(None), table)
    assert "with 6 slides (malignant, 20×): the" in found


@pytest.mark.parametrize("unit", ["slide", "patient"])
def test_unknown_units_are_told(unit):
    table = patches().assign(slide_id="")
    found = remarks(load(None, (f"statistics.unit={unit}",)), table)
    assert found == [f"The {unit}s are unknown: the tables will hold estimates without p-values."]


@pytest.mark.parametrize(
    ("assignments", "told"),
    [
        (("multiverse.enabled=true", "compartments.nuclei=classical"), True),
        (("multiverse.enabled=true",), False),
        (("compartments.nuclei=classical",), False),
        (("multiverse.enabled=true", "compartments.nuclei=classical", "multiverse.segmentations=[band1um]"), False),
    ],
)
def test_choices_that_a_finder_takes_from_the_multiverse_are_told(assignments, told):
    text = (
        "The multiverse goes without probability-0.1 and probability+0.1: the finder of nuclei, classical, gives no "
        "probabilities, so it has no threshold to move."
    )
    settings = load(None, assignments)
    assert remarks(settings, patches()) == [ONE_NETWORK, *[text] * told]
    unnamed = patches().assign(slide_id="")
    assert remarks(settings, unnamed)[1:] == [text] * told


def test_of_nothing_judged_nothing_is_remarked():
    assert remarks(load(None), patches().assign(split="train")) == []
    assert remarks(load(None), patches(0)) == []


def test_the_unit_is_the_studys_or_what_auto_stands_for():
    table = patches().assign(patient_id="P")
    assert load(None).unit_in(table) == "patient"
    assert load(None, ("statistics.unit=slide",)).unit_in(table) == "slide"
    assert load(None).unit_in(patches()) == "slide"
    (found,) = too_few(load(None), table)
    assert "with 1 patient (benign, 20×), 1 patient (malignant, 20×)" in found


@pytest.mark.parametrize("networks", ["classifier.networks=2", "cohort.folds=2"])
def test_a_verdict_on_one_network_is_said_to_be_of_that_network(networks):
    table = patches(7).assign(fold=1.0)
    assert remarks(load(None), table) == [ONE_NETWORK]
    assert remarks(load(None, (networks,)), table) == []


@pytest.mark.parametrize(
    ("controls", "lacking"),
    [
        ("randomised, sobel", []),
        ("shuffled, eosin", []),
        ("cascading, sobel, shift", ["network that learned nothing: add randomised"]),
        ("randomised, cascading, shift", ["map of the image alone: add sobel and eosin"]),
        ("", ["network that learned nothing: add randomised", "map of the image alone: add sobel and eosin"]),
    ],
)
def test_controls_that_supported_needs_are_named_where_they_lack(controls, lacking):
    settings = load(None, (f"controls=[{controls}]", "classifier.networks=2"))
    told = [f'No verdict can be "supported": the study has no {text} to its controls.' for text in lacking]
    assert remarks(settings, patches()) == told
    # beside what else there is to remark
    (few, *rest) = remarks(settings, patches(2))
    assert few.startswith("Nothing could be found")
    assert rest == told


def test_columns_that_nothing_reads_are_told(capsys, cohort_of):
    cohort = cohort_of([(64, 64)] * 4)
    cohort.table = cohort.table.drop(columns=["height_px", "width_px"])
    module.look_at(cohort, load(None), Progress(show=True))
    assert "columns" not in capsys.readouterr().err
    cohort.unread = ("stage", "my notes")
    module.look_at(cohort, load(None), Progress(show=True))
    assert "columns of the table that nothing reads: 'stage', 'my notes'\n" in capsys.readouterr().err
    cohort.unread = ("map",)
    module.look_at(cohort, load(None), Progress(show=True))
    hint = "nothing reads: 'map' (classifier.architecture: none reads map and p_malignant)\n"
    assert hint in capsys.readouterr().err


def test_of_maps_made_elsewhere_it_is_said_what_cannot_be_asked():
    of_maps = ("cohort.kind=patches", "cohort.table=t.csv", "classifier.architecture=none", "saliency.signed=true")
    settings = resolved(load(None, of_maps))
    reach, signed = remarks(settings, patches())
    assert reach.startswith("The maps were made elsewhere: whether training made them so, ")
    assert signed == "The maps have a sign (saliency.signed): their absolute values are measured."
    assert len(remarks(resolved(load(None, of_maps[:3])), patches())) == 1
    (picture, *_) = remarks(resolved(load(None, (*of_maps, "controls=[shift]"))), patches())
    assert picture.startswith('No verdict can be "supported": the study has no map of the image alone')


# --- folds ---


def study_of_folds(*assignments):
    return load(None, ("cohort.folds=3", "classifier.architecture=densenet121", *assignments))


def test_folds_are_assigned_when_the_patches_are_looked_at(cohort_of):
    cohort, any_patch = cohort_of([(64, 64)] * 24), ("cohort.min_focus=0", "cohort.min_tissue=0", "cohort.min_light=0")
    cohort.table = cohort.table.assign(split="").drop(columns=["height_px", "width_px"])
    settings = study_of_folds(*any_patch)
    table = module.look_at(cohort, settings, Progress(show=False))
    bare = table.drop(columns="fold").assign(split="")
    pd.testing.assert_frame_equal(table, parameters.folding_of(settings).dealt(bare))
    assert sorted(table["fold"].unique()) == [1, 2, 3]
    without = module.look_at(cohort, load(None, any_patch), Progress(show=False))
    assert list(without.columns) == list(table.columns)
    assert without["fold"].isna().all()
    assert set(without["split"]) == {"train", "valid", "test"}


def test_what_stands_in_the_way_of_folds_is_told_beside_the_rest():
    found = obstacles(study_of_folds("classifier.weights=none.pt", "classifier.stopping=early"), patches())
    assert found[0].startswith("cohort.folds is 3, which deals patients or slides out by itself, but the table names")
    assert "none.pt" in found[1]
    assert len(found) == 2


def test_early_stopping_needs_a_valid_split_in_every_fold():
    bare = patches().assign(split="").drop(columns="fold")
    settings = study_of_folds("classifier.stopping=early", "cohort.fractions={train: 0.9, valid: 0.01, test: 0.09}")
    (found,) = obstacles(settings, parameters.folding_of(settings).dealt(bare))
    assert found.startswith("fold 1, 2, 3 of 3: classifier.stopping: early chooses the epoch on the valid split")
    settings = study_of_folds("classifier.stopping=early")
    assert obstacles(settings, parameters.folding_of(settings).dealt(bare)) == []


FACTORY = """\
import torch
from torch import nn


class OneSize(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 4, 4), nn.Linear(4, 2)

    def forward(self, images):
        if images.shape[-1] % 48 == 0:
            raise ValueError("not of these")
        return self.fc(self.conv(images).tanh().mean((2, 3)))


def build():
    torch.manual_seed(0)
    return OneSize()


class Overflowing(OneSize):
    def forward(self, images):
        logits = self.fc(self.conv(images).tanh().mean((2, 3)))
        return logits / 0.0 if images.shape[-1] == 48 else logits


def overflowing():
    torch.manual_seed(0)
    return Overflowing()
"""


def of_a_factory(tmp_path, cohort_of, factory, *assignments, shape=(48, 48)):
    (tmp_path / "mine.py").write_text(FACTORY, encoding="utf-8")
    settings = load(None, (f"classifier.architecture=python:{tmp_path / 'mine.py'}:{factory}", *assignments))
    said = []
    used = cohort_of([shape, shape, (64, 64)]).table
    return list(module._network(settings, used, said.append)), said


def test_a_size_that_a_network_does_not_take_is_told_with_the_remedy(tmp_path, cohort_of):
    (found,), said = of_a_factory(tmp_path, cohort_of, "build")
    assert "mine.py:build does not take patches of 48 × 48 px (ValueError: not of these)" in found
    assert "Set classifier.preprocess.size_px, to which square patches are resized" in found
    assert any("its head (trainable: head) is conv and fc" in line for line in said)
    assert of_a_factory(tmp_path, cohort_of, "build", "classifier.preprocess.size_px=64")[0] == []
    (oblong,), _ = of_a_factory(tmp_path, cohort_of, "build", "classifier.preprocess.size_px=64", shape=(32, 40))
    assert "does not take patches of 32 × 40 px" in oblong
    assert "would be distorted" in oblong


def test_logits_that_are_not_finite_for_a_size_are_told(tmp_path, cohort_of):
    (found,), _ = of_a_factory(tmp_path, cohort_of, "overflowing")
    assert "mine.py:overflowing returns logits that are not finite for patches of 48 × 48 px" in found


def test_methods_that_cannot_explain_a_network_are_each_told(tmp_path, cohort_of):
    found, _ = of_a_factory(
        tmp_path, cohort_of, "overflowing", "saliency.methods=[gradient, guided_backprop, grad_cam]", shape=(64, 64)
    )
    (reason,) = found
    assert reason.startswith("saliency.methods: guided_backprop cannot explain this network: ")
    assert "cannot be taken apart into layers" in reason


def test_a_densenet_is_known_and_is_not_built(monkeypatch, cohort_of):
    monkeypatch.setattr(module, "build", lambda *_a, **_k: pytest.fail("built"))
    assert list(module._network(load(None), cohort_of([(32, 32)]).table, print)) == []


def test_a_densenet_of_other_layers_or_outputs_is_looked_at(cohort_of, small_densenets):
    wrong = load(None, ("classifier.architecture=densenet121", "classifier.layers.head=[fc]"))
    (found,) = module._network(wrong, cohort_of([(32, 32)]).table, print)
    assert "classifier.layers.head: the network has no layer 'fc'" in found
