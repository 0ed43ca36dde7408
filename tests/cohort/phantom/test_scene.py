"""One scene, drawn again: only what was asked for changes."""

import numpy as np
import pytest
from scipy import ndimage

from saliency_stats.cohort.phantom.architecture import ARCHITECTURES
from saliency_stats.cohort.phantom.painting import paint
from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.cohort.phantom.signals import SIGNALS, other_class, phenotype
from saliency_stats.errors import StudyError
from saliency_stats.vocabulary import COMPARTMENT_CODES, LABELS, TISSUE

#: Blur and sharpening of the camera reach less far at 0.5 µm per pixel, and the soft border of a nucleus in either
#: direction; beyond it what changes is less than this unit of stain, a fifth of a grey level.
REACH_PX, SOFT_UM, SEEN = 8, 3.0, 1e-3
FIELDS = ("image", "truth", "instances")


def scene(label="benign", seed=6, **changes):
    return Phantom(**{"size_px": 96} | changes).scene(np.random.default_rng([seed, 1]), label)


def same(first, second, fields=FIELDS):
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in fields)


@pytest.mark.parametrize("mpp", [0.5, 1.0])
@pytest.mark.parametrize("signal", SIGNALS)
def test_a_scene_drawn_again_has_the_same_bytes(signal, mpp):
    made = scene(signal=signal, mpp=mpp, size_px=48)
    first = made.render()
    assert same(first, made.render())
    assert same(first, made.render(made.classes))
    assert same(first, Phantom(signal=signal, mpp=mpp, size_px=48).render(np.random.default_rng([6, 1]), "benign"))


@pytest.mark.parametrize("label", LABELS)
def test_all_carriers_as_the_other_class_give_the_patch_of_the_other_label(label):
    for signal in (*TISSUE, "redundant"):
        made, turned = scene(label, signal=signal), scene(other_class(label), signal=signal)
        carriers = {name: other_class(label) for name in made.classes if made.classes[name] != turned.classes[name]}
        assert carriers
        assert same(made.render(carriers), turned.render())


def stain_of(made, classes):
    return paint(np.random.default_rng(made.colour), made.anatomy, phenotype(made.choices, classes)).stain


def change(made, name):
    """Where the stain changes, and the patches before and after, if one compartment is drawn as the other class."""
    turned = {name: other_class(made.classes[name])}
    return np.abs(stain_of(made, turned) - stain_of(made, {})).max(axis=0), made.render(), made.render(turned)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("signal", SIGNALS)
def test_outside_a_compartment_nothing_changes_but_by_blur(signal, architecture):
    made = scene("malignant", signal=signal, architecture=architecture)
    assert set(made.classes) == {*TISSUE, *(["background"] if signal == "background" else [])}
    # those outside of the field, too: what lies under such a border is seen through it
    soft_border = np.abs(made.anatomy.distance_um) < SOFT_UM
    for name in made.classes:
        by, before, after = change(made, name)
        inside = (before.truth == COMPARTMENT_CODES[name]) | (after.truth == COMPARTMENT_CODES[name])
        assert (by > SEEN)[inside].mean() > 0.9, name
        assert not (by > SEEN)[~inside & ~soft_border].any(), name
        changed = (before.image != after.image).any(axis=2)
        assert not changed[ndimage.distance_transform_edt(by <= 1e-6) > REACH_PX].any(), name
        assert changed[inside].mean() > 0.9, name
        # nuclei grow and shrink over what lies around them; nothing else moves
        moved = before.truth != after.truth
        touched = np.stack([before.truth, after.truth])[:, moved]
        assert (touched == COMPARTMENT_CODES["nucleus"]).any(axis=0).all()
        assert name == "nucleus" or not moved.any()


def test_a_larger_pixel_keeps_to_the_compartment_too():
    made = scene("malignant", mpp=1.0, size_px=48)
    by, before, after = change(made, "cytoplasm")
    reached = (by > 1e-6).reshape(48, 2, 48, 2).any(axis=(1, 3))
    changed = (before.image != after.image).any(axis=2)
    assert changed.any()
    assert not changed[ndimage.distance_transform_edt(~reached) > REACH_PX].any()


@pytest.mark.parametrize(
    "classes", [{"background": "benign"}, {"membrane": "benign"}, {"nucleus": "tumour"}, {"nucleus": ""}]
)
def test_what_cannot_be_drawn_is_refused(classes):
    ((name, label),) = classes.items()
    with pytest.raises(
        StudyError, match=f"{name} drawn as {label}: expected .* out of nucleus, cytoplasm, stroma, .* benign or mali"
    ):
        scene().render(classes)
