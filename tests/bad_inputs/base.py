"""Small sound inputs, of which every bad one is a copy with something wrong: patches, slides, and a finished run."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from torchvision import models

from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.cohort.slides.pyramid import write_pyramid

MPP: Final = 0.5
PATCH_PX: Final = 32
SLIDE_PX: Final = 400
#: Slides of the list of patches, with patients of their own, two patches each.
PATCH_SLIDES: Final = ("ward-11", "ward-12", "ward-13", "ward-14", "ward-15", "ward-16")
#: Slides of the run: so many that a test of them can find something.
RUN_SLIDES: Final = tuple(f"ward-{number}" for number in range(11, 27))
#: A patch that the run measures.
PATCH: Final = "patches/ward-26-0.png"
#: Slides of the list of slides: the first two hold tumour in their left halves.
SLIDES: Final = ("case-101", "case-102", "case-103", "case-104")
#: The annotations of the first two.
OUTLINES: Final = ("half-101.geojson", "half-102.xml")
HALF: Final = [[0, 0], [SLIDE_PX // 2, 0], [SLIDE_PX // 2, SLIDE_PX], [0, SLIDE_PX], [0, 0]]

_STUDY: Final = """\
classifier: {architecture: densenet121, epochs: 1, batch_size: 4, min_balanced_accuracy: 0.5}
saliency: {min_confidence: 0.5, batch_size: 4}
controls: []
causal: {replacements: []}
statistics: {bootstrap_draws: 2000, min_slides: 2}
report: {examples: 1}
"""
PATCHES_YAML: Final = "name: tiny\ncohort: {kind: patches, table: patches.csv, min_focus: 0}\n" + _STUDY
SLIDES_YAML: Final = (
    "name: tiny\ncohort: {kind: slides, table: slides.csv, size_px: 32, magnifications: [20], patches_per_slide: 6, "
    "spacing_um: 20, min_focus: 0}\n" + _STUDY
)
PHANTOM_YAML: Final = (
    "name: tiny\ncohort: {kind: phantom, slides: 6, patches_per_slide: 2, size_px: 32, min_focus: 0}\n" + _STUDY
)
RUN_YAML: Final = PATCHES_YAML.replace("epochs: 1,", "epochs: 40, learning_rate: 0.01, augmentation: {stain: 0},")
#: Layers of the four blocks of the networks that stand for torchvision's.
_SMALL: Final = {"densenet121": (1, 1, 1, 1), "densenet169": (1, 1, 1, 2), "densenet201": (1, 1, 2, 2)}


def small_networks() -> None:
    """Put torchvision's own code with few and narrow layers under its names, for this process and its children."""

    def builder(blocks: tuple[int, ...]) -> Callable[..., models.DenseNet]:
        def build(weights: None = None, num_classes: int = 1000) -> models.DenseNet:
            assert weights is None
            return models.DenseNet(4, blocks, num_init_features=8, bn_size=2, num_classes=num_classes)

        return build

    for name, blocks in _SMALL.items():
        setattr(models, name, builder(blocks))


def make_patches(folder: Path, slides: Sequence[str] = PATCH_SLIDES) -> None:
    """Write two patches of each slide, their list and a study of them; half of the slides are tested."""
    phantom = Phantom(size_px=PATCH_PX, mpp=MPP)
    (folder / "patches").mkdir(parents=True)
    rows = []
    for at, slide in enumerate(slides):
        label = ("benign", "malignant")[at % 2]
        for number in range(2):
            path = f"patches/{slide}-{number}.png"
            image, _ = phantom.patch(np.random.default_rng([at, number]), label)
            Image.fromarray(image).save(folder / path)
            rows.append([path, label, MPP, ("train", "test")[at >= len(slides) // 2], slide, f"person-{at}"])
    write_csv(folder / "patches.csv", [["path", "label", "mpp", "split", "slide_id", "patient_id"], *rows])
    (folder / "study.yaml").write_text(PATCHES_YAML, encoding="utf-8")


def make_run(folder: Path) -> None:
    """Write the patches again, so different by class that a small network tells them apart, for a run of them."""
    make_patches(folder, RUN_SLIDES)
    for path, label, *_ in read_csv(folder / "patches.csv")[1:]:
        with Image.open(folder / path) as image:
            pixels = np.asarray(image).copy()
        if label == "malignant":
            pixels[..., 1] //= 2
        Image.fromarray(pixels).save(folder / path)
    (folder / "study.yaml").write_text(RUN_YAML, encoding="utf-8")


def make_slides(folder: Path) -> None:
    """Write four slides, the outlines of the tumour of two of them, their list and a study of them."""
    phantom = Phantom(size_px=SLIDE_PX, mpp=MPP)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [["path", "slide_id", "patient_id", "annotation", "label", "split"]]
    for at, slide in enumerate(SLIDES):
        image, _ = phantom.patch(np.random.default_rng([7, at]), "benign")
        if at < len(OUTLINES):
            tumour, _ = phantom.patch(np.random.default_rng([8, at]), "malignant")
            image[:, : SLIDE_PX // 2] = tumour[:, : SLIDE_PX // 2]
        write_pyramid(folder / f"{slide}.tif", tiles_of(image), image.shape[:2], MPP, tile_px=256)
        outline = OUTLINES[at] if at < len(OUTLINES) else ""
        label = "malignant" if outline else "benign"
        rows.append([f"{slide}.tif", slide, f"person-{at}", outline, label, ("train", "test")[at % 2]])
    write_csv(folder / "slides.csv", rows)
    (folder / OUTLINES[0]).write_text(json.dumps(geojson([feature()])), encoding="utf-8")
    (folder / OUTLINES[1]).write_text(asap([annotation()]), encoding="utf-8")
    (folder / "slides.yaml").write_text(SLIDES_YAML, encoding="utf-8")


def tiles_of(image: np.ndarray) -> Callable[[int, int], np.ndarray]:
    return lambda row, column: image[row * 256 : (row + 1) * 256, column * 256 : (column + 1) * 256]


def write_csv(path: Path, rows: list[list[object]], **dialect: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n", **dialect).writerows(rows)


def read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def feature(coordinates: object = None, kind: str = "Polygon", name: object = "Tumor", **more: object) -> dict:
    """Make an annotation as QuPath exports it."""
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": [HALF] if coordinates is None else coordinates},
        "properties": {"objectType": "annotation", "classification": {"name": name}, **more},
    }


def geojson(features: object) -> dict:
    return {"type": "FeatureCollection", "features": features}


def annotation(points: list | None = None, group: str = "Tumor", kind: str = "Polygon") -> str:
    """Make an annotation as ASAP writes it."""
    rows = "".join(
        f'<Coordinate Order="{order}" X="{x}" Y="{y}" />'
        for order, (x, y) in enumerate(HALF[:-1] if points is None else points)
    )
    return (
        f'<Annotation Name="left half" Type="{kind}" PartOfGroup="{group}" Color="#F4FA58">'
        f"<Coordinates>{rows}</Coordinates></Annotation>"
    )


def asap(annotations: list[str], groups: str = '<Group Name="Tumor" PartOfGroup="None" Color="#64FE2E" />') -> str:
    return (
        f'<?xml version="1.0"?><ASAP_Annotations><Annotations>{"".join(annotations)}</Annotations>'
        f"<AnnotationGroups>{groups}</AnnotationGroups></ASAP_Annotations>"
    )
