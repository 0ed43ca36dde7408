"""Memory and disk space are estimated from above."""

import pandas as pd

from saliency_stats.settings.study import load
from saliency_stats.study.estimates import altered_images, needed_bytes, network_bytes, training_bytes

TABLE = pd.DataFrame({"magnification": [20.0] * 600 + [10.0] * 400, "height_px": 128, "width_px": 128})
WEIGHTS = 85_000_000


def needed(*chosen):
    return needed_bytes(load(None, ("controls=[]", "saliency.keep=true", *chosen)), TABLE)


def with_controls(names):
    return needed(f"controls=[{names}]") - needed()


def test_a_cascade_is_six_networks_and_a_picture_is_none():
    one = with_controls("randomised")
    assert with_controls("cascading") == 6 * one
    assert one > 4 * 128 * 128 * len(TABLE)
    # its map is not kept, only its rows of the ledger
    assert 0 < with_controls("sobel") < one / 10
    assert with_controls("sobel, haematoxylin, eosin, shift") == 4 * with_controls("sobel")


def test_the_shuffled_network_is_kept_at_each_magnification():
    assert with_controls("shuffled") == with_controls("randomised") + 2 * WEIGHTS


def test_maps_cost_what_they_measure():
    """Of the patches as they are: those of a folder may have any size."""
    assert needed() - needed("saliency.keep=false") == 4 * 128 * 128 * len(TABLE)
    settings = load(None, ("controls=[]", "saliency.keep=true"))
    larger = TABLE.assign(height_px=[500] * 1 + [128] * (len(TABLE) - 1))
    assert needed_bytes(settings, larger) - needed_bytes(settings, TABLE) == 4 * (500 - 128) * 128


def test_the_multiverse_and_replacements_cost_their_rows():
    crossed = needed("multiverse.enabled=true", "multiverse.methods=[gradient]") - needed(
        "saliency.more_reductions=[l1, max]"
    )
    fewer = needed("multiverse.enabled=true", "multiverse.methods=[gradient]", "multiverse.segmentations=[usual]")
    assert crossed > 0
    assert (fewer - needed("saliency.more_reductions=[l1, max]")) * 14 == crossed
    assert needed("causal.replacements=[]") < needed() < needed("causal.curve_steps=5")


def test_the_altered_images_of_a_patch_are_counted():
    # three compartments and as many random regions, of three replacements; four compartments drawn as the other class
    assert altered_images(load(None)) == 6 * 3 + 4
    assert altered_images(load(None, ("causal.replacements=[mean]", "causal.curve_steps=5"))) == 6 * 6 + 4
    assert altered_images(load(None, ("causal.replacements=[]",))) == 0
    assert altered_images(load(None, ("cohort.kind=patches", "cohort.table=a.csv"))) == 6 * 3


def test_networks_cost_their_weights_and_rows_and_folds_their_weights():
    rest = needed("causal.replacements=[]") - 2 * WEIGHTS
    two = needed("causal.replacements=[]", "classifier.networks=2")
    assert two - 4 * WEIGHTS > rest + 4 * 128 * 128 * len(TABLE)
    assert needed("cohort.folds=5") == needed() + 4 * 2 * WEIGHTS
    assert needed("cohort.folds=5", "controls=[shuffled]") == needed("controls=[shuffled]") + 4 * 4 * WEIGHTS
    replaced = needed("classifier.networks=2") - two
    assert replaced == 2 * (needed() - needed("causal.replacements=[]"))


def test_a_head_is_trained_from_what_the_backbone_makes_of_all_patches_of_a_magnification():
    of_head = training_bytes(load(None, ("classifier.trainable=head",)), TABLE, bfloat16=True)
    # 128 channels of 4 × 4 in half precision, and 1920 numbers
    assert of_head == 600 * (128 * 16 * 2 + 1920 * 4)
    assert training_bytes(load(None, ("classifier.trainable=none",)), TABLE, bfloat16=True) == 0
    assert training_bytes(load(None), TABLE, bfloat16=True) == 32 * 128 * 128 * 4_000 * 0.6


def test_training_takes_what_the_network_keeps_of_the_patches_as_it_sees_them():
    enlarged = training_bytes(load(None, ("classifier.preprocess.size_px=256",)), TABLE, bfloat16=True)
    assert enlarged == 4 * training_bytes(load(None), TABLE, bfloat16=True)
    smaller = training_bytes(load(None, ("classifier.architecture=torchvision:resnet18",)), TABLE, bfloat16=True)
    assert smaller < 0.5 * training_bytes(load(None), TABLE, bfloat16=True)


def test_networks_beside_the_first_take_memory():
    settings = load(None, ("classifier.networks=2", "cohort.folds=3", "controls=[randomised, sobel]"))
    assert network_bytes(settings) == 2 * WEIGHTS
    assert network_bytes(load(None, ("controls=[cascading]",))) == 0
