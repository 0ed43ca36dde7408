"""Measure how good the nuclei and the compartments are, on images with a known truth.

    python analyses/nuclei/evaluate.py --nuclei builtin classical MODEL --out reports/evaluation.csv

Writes FILE.csv (nuclei, one row per set, µm per pixel and route), FILE_images.csv (the same for every image),
FILE_epithelium.csv (nucleus and cytoplasm against hand-drawn epithelium), FILE_phantoms.csv (all four compartments) and
FILE_blank.csv (nuclei found where there are none), and prints all but the second.

A set is measured at its own pixel size and, where its pixels are finer, at 0.5 µm: colours averaged over the area of
the coarser pixel, nuclei by majority. The images of dsb2018 state no µm per pixel; each is given the scale at which its
median labelled nucleus is 8 µm wide, so its rows do not test how other scales are handled. Stains are estimated
from all images of a slide, or from the image where no slide is named.
"""

import argparse
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from scores import binary_scores, compartment_scores, instance_scores
from sets import (
    GUESSED_DIAMETER_UM,
    LABELLED,
    REGIONS,
    Case,
    at_mpp,
    blank_images,
    median_diameter_px,
    phantoms,
    read_set,
)
from tqdm import tqdm

from saliency_stats.compartments import (
    CompartmentParameters,
    Segmentation,
    estimate_stains,
    segment,
    to_codes,
)
from saliency_stats.errors import SaliencyStatsError
from saliency_stats.vocabulary import COMPARTMENTS

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SETS: Final = (*LABELLED, REGIONS, "phantoms", "blank")
PHANTOM_MPP: Final = (0.25, 0.5, 1.0)
BLANK_PX: Final = (96, 128, 256)
BLANK_MPP: Final = (0.25, 0.5, 1.0)
#: True nuclei of fewer pixels are counted as tiny: one pixel more or less decides about them.
TINY_PX: Final = 10
#: A nucleus, cytoplasm, stroma, background membership above this is the larger part of the pixel.
HALF: Final = 0.5
NUCLEUS, CYTOPLASM, STROMA, BACKGROUND = (
    COMPARTMENTS.index(name) for name in ("nucleus", "cytoplasm", "stroma", "background")
)


class Tables(NamedTuple):
    """Rows of the five tables."""

    nuclei: list[dict[str, object]]
    images: list[dict[str, object]]
    epithelium: list[dict[str, object]]
    phantoms: list[dict[str, object]]
    blank: list[dict[str, object]]


def main() -> None:
    """Measure, write the tables and print them."""
    arguments = _arguments()
    began = time.perf_counter()
    try:
        tables = measured(arguments)
    except SaliencyStatsError as error:
        raise SystemExit(str(error)) from error
    _write(tables, arguments.out, arguments.slides)
    print(f"{time.perf_counter() - began:.0f} s in all")


def measured(arguments: argparse.Namespace) -> Tables:
    """Measure every route asked for on every set."""
    routes = {name: CompartmentParameters(nuclei=name) for name in arguments.nuclei}
    tables = Tables([], [], [], [], [])
    # read before anything is measured, so that a missing folder costs no time
    read = {name: read_set(arguments.data, name, arguments.slides) for name in _files(arguments.sets)}
    for name, cases in read.items():
        for mpp in (None,) if name == REGIONS else arguments.mpp:
            scaled = cases if mpp is None else [at_mpp(case, mpp) for case in cases]
            if mpp is not None and all(new is old for new, old in zip(scaled, cases, strict=True)):
                tqdm.write(f"{name}: no image has finer pixels than {mpp:g} µm, not measured at that scale.")
                continue
            for route, parameters in routes.items():
                key: dict[str, object] = {"set": name, "mpp": "native" if mpp is None else f"{mpp:g}", "nuclei": route}
                found, seconds = segmented(scaled, parameters, f"{name} {key['mpp']} {route}")
                if name == REGIONS:
                    tables.epithelium.append(key | _epithelium(scaled, found))
                else:
                    _add_nuclei(tables, key, scaled, found, seconds)
    if "phantoms" in arguments.sets:
        for mpp in PHANTOM_MPP:
            _add_phantoms(tables, mpp, routes)
    if "blank" in arguments.sets:
        tables.blank.extend(_blank(routes))
    return tables


def segmented(cases: Sequence[Case], parameters: CompartmentParameters, title: str) -> tuple[list[Segmentation], float]:
    """Segment every image with the stains of its group; also the seconds it took, stains included."""
    began = time.perf_counter()
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    stains = {name: estimate_stains([case.image for case in group]) for name, group in groups.items()}
    found = [
        segment(case.image, case.mpp, parameters=parameters, stains=stains[case.group])
        for case in tqdm(cases, desc=f"{title:<40}", unit="image", leave=False, disable=None)
    ]
    return found, time.perf_counter() - began


def _add_nuclei(
    tables: Tables, key: dict[str, object], cases: Sequence[Case], found: Sequence[Segmentation], seconds: float
) -> None:
    """Add the row of a set and those of its images."""
    true = [case.labels for case in cases if case.labels is not None]
    sizes = [np.bincount(labels.ravel())[1:] for labels in true]
    tiny = [int(np.sum((size > 0) & (size < TINY_PX))) for size in sizes]
    instances = [one.instances for one in found]
    tables.nuclei.append(
        key
        | {
            "mpp_mean": float(np.mean([case.mpp for case in cases])),
            "mpp_source": "guessed" if key["set"] == "dsb2018" else "stated",
            "images": len(cases),
            "n_lost": sum(case.n_lost for case in cases),
            "n_tiny": sum(tiny),
        }
        | instance_scores(true, instances)
        | {"seconds": round(seconds, 2)}
    )
    for case, labels, few, one in zip(cases, true, tiny, instances, strict=True):
        about = {
            "image": case.name,
            "group": case.group,
            "mpp_image": case.mpp,
            # nuclei of 2 or 3 µm would point to a wrong µm per pixel
            "true_diameter_um": median_diameter_px(labels) * case.mpp,
            "n_lost": case.n_lost,
            "n_tiny": few,
        }
        tables.images.append(key | about | instance_scores([labels], [one]))


def _epithelium(cases: Sequence[Case], found: Sequence[Segmentation]) -> dict[str, object]:
    """Score nucleus and cytoplasm against epithelium, among the pixels that are more tissue than background.

    Epithelium is outlined by gland, often with its lumen: what of it is no tissue is left out, and its share told.
    Outside the outlines lie the nuclei of fibroblasts, vessels and lymphocytes, which are nuclei and no epithelium:
    right and yet counted as wrong. So the same is measured once more against the stroma between them (``..._proper``),
    without those that the software of the set's authors had outlined.
    """
    true, guess, proper, tissue_share, kept = [], [], [], [], []
    for case, (_, memberships) in zip(cases, found, strict=True):
        tissue = memberships[BACKGROUND] < HALF
        cells = memberships[NUCLEUS] + memberships[CYTOPLASM] > memberships[STROMA]
        assert case.epithelium is not None
        assert case.machine is not None
        proper.append((case.epithelium | (case.machine == 0))[tissue])
        true.append(case.epithelium[tissue])
        guess.append(cells[tissue])
        tissue_share.append(tissue.mean())
        kept.append(tissue[case.epithelium].mean())
    each = [binary_scores(*pair)["balanced_accuracy"] for pair in zip(true, guess, strict=True)]
    between = np.concatenate(proper)
    stroma_proper = binary_scores(np.concatenate(true)[between], np.concatenate(guess)[between])
    return {
        "images": len(cases),
        "tissue": float(np.mean(tissue_share)),
        "epithelium_in_tissue": float(np.mean(kept)),
        **binary_scores(np.concatenate(true), np.concatenate(guess)),
        "balanced_accuracy_proper": stroma_proper["balanced_accuracy"],
        "specificity_proper": stroma_proper["specificity"],
        "balanced_accuracy_image_mean": float(np.nanmean(each)),
        "balanced_accuracy_image_worst": float(np.nanmin(each)),
    }


def _add_phantoms(tables: Tables, mpp: float, routes: dict[str, CompartmentParameters]) -> None:
    """Add the nuclei of all phantoms at a scale as one set, and the compartments of each planted signal."""
    drawn = phantoms(mpp)
    cases = [case for part in drawn.values() for case in part]
    for route, parameters in routes.items():
        key: dict[str, object] = {"set": "phantoms", "mpp": f"{mpp:g}", "nuclei": route}
        found, seconds = segmented(cases, parameters, f"phantoms {mpp:g} {route}")
        _add_nuclei(tables, key, cases, found, seconds)
        true = np.stack([case.codes for case in cases if case.codes is not None])
        guess = np.stack([to_codes(one.memberships) for one in found])
        signal = np.repeat(list(drawn), [len(part) for part in drawn.values()])
        for name in (*drawn, "all"):
            chosen = (signal == name) | (name == "all")
            row = {"mpp": key["mpp"], "nuclei": route, "signal": name, "images": int(chosen.sum())}
            tables.phantoms.append(row | compartment_scores(true[chosen], guess[chosen]))


def _blank(routes: dict[str, CompartmentParameters]) -> Iterable[dict[str, object]]:
    """Count the nuclei found in glass, flat eosin and noise."""
    for route, parameters in routes.items():
        for side in tqdm(BLANK_PX, desc=f"{f'blank {route}':<40}", unit="size", leave=False, disable=None):
            for kind, images in blank_images(side).items():
                for mpp in BLANK_MPP:
                    number = [segment(one, mpp, parameters=parameters).instances.max() for one in images]
                    yield {
                        "image": kind,
                        "side_px": side,
                        "mpp": mpp,
                        "nuclei": route,
                        "images": len(images),
                        "n_found": int(np.sum(number)),
                    }


def _files(sets: Sequence[str]) -> list[str]:
    return [name for name in (*LABELLED, REGIONS) if name in sets]


def _write(tables: Tables, out: Path, slides: Sequence[str]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    headings = {
        "nuclei": "Nuclei (pooled over the images of a set; aji: mean over its images)",
        "images": "",
        "epithelium": "Nucleus and cytoplasm against epithelium, among tissue",
        "phantoms": "Compartments of phantoms",
        "blank": "Nuclei found where there are none (must be 0)",
    }
    for name, rows in tables._asdict().items():
        if not rows:
            continue
        table = pd.DataFrame(rows)
        path = out if name == "nuclei" else out.with_name(f"{out.stem}_{name}{out.suffix}")
        table.to_csv(path, index=False, float_format="%.5g")
        if name == "blank":
            table = table.pivot_table(
                index=["image", "nuclei"], columns=["side_px", "mpp"], values="n_found", aggfunc="sum"
            )
        if headings[name]:
            text = table.to_string(index=name == "blank", float_format=lambda value: f"{value:.3f}")
            print(f"\n{headings[name]}\n{text}")
        print(f"-> {path}")
    which = f"slides {', '.join(slides)}" if slides else "all slides (--slides leaves out those of a model's training)"
    print(f"\nscc-breast and scc-regions: {which}. dsb2018: scale guessed, median nucleus {GUESSED_DIAMETER_UM:g} µm.")


def _mpp(text: str) -> float | None:
    if text == "native":
        return None
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of µm above 0")
    return value


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=REPOSITORY / "../shared/data/nuclei", help="folder of the sets with labels"
    )
    parser.add_argument(
        "--nuclei", nargs="+", default=["builtin", "classical"], metavar="ROUTE", help="routes or model folders"
    )
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS, metavar="SET", help=", ".join(SETS))
    parser.add_argument(
        "--mpp", nargs="+", type=_mpp, default=[None, 0.5], help="'native' or µm per pixel; default: native 0.5"
    )
    parser.add_argument(
        "--slides", nargs="+", default=[], help="slides of scc-breast and scc-regions to keep: those not trained on"
    )
    parser.add_argument("--out", type=Path, required=True, help="CSV to write; the others go beside it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
