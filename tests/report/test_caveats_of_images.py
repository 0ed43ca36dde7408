"""Caveats about the images and the compartments stand where their reason is, and nowhere else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from saliency_stats.compartments.ways import cell_words
from saliency_stats.report.caveats_of_images import of_the_images
from saliency_stats.report.run import Run
from saliency_stats.vocabulary import CELLS

Blank = Callable[..., Run]


def said(run: Run) -> dict[str, str]:
    return {caveat.title: caveat.text for caveat in of_the_images(run)}


PATCHES = {"kind": "patches", "table": "patches.csv"}


@pytest.mark.parametrize("source", ["a.jpg", "A.JPEG", "slide.svs", "a.png"])
def test_lossy_compression(blank_run: Blank, tables: Any, source: str) -> None:
    patches = tables["patches"].assign(source=source)
    found = said(blank_run(**{**tables, "patches": patches}))
    assert ("Lossy compression" in found) == (source != "a.png")


def test_cohorts_have_their_own_caveats(blank_run: Blank, tables: Any) -> None:
    found = said(blank_run(**tables))
    assert found["The tissue is synthetic"].startswith("The patches are phantoms; the classes differ in: cytoplasm.")
    assert "The label describes the centre only" not in found
    run = blank_run({"cohort": {**PATCHES, "table": "My_PatchCamelyon.csv", "signal": None}}, **tables)
    found = said(run)
    assert "The tissue is synthetic" not in found
    assert "central 32 × 32 pixels" in found["The label describes the centre only"]


def test_phantoms_name_an_architecture_that_is_not_the_usual_one(blank_run: Blank, tables: Any) -> None:
    text = said(blank_run({"cohort": {"architecture": "lymph_node"}}, **tables))["The tissue is synthetic"]
    assert text.startswith("The patches are phantoms (architecture: lymph node); the classes differ in: cytoplasm.")


@pytest.mark.parametrize(
    ("nuclei", "words"),
    [
        ("builtin", "Nuclei were found by the StarDist model of this package"),
        ("classical", "Nuclei were found by haematoxylin density and watershed"),
        ("truth", "The compartments are the phantom's own"),
        ("weights.npz", "Nuclei were segmented by weights.npz,"),
        ("torchscript:/a/m.pt@0.5", "Nuclei were segmented by m.pt@0.5,"),
    ],
)
def test_segmentations_have_their_own_caveats(blank_run: Blank, tables: Any, nuclei: str, words: str) -> None:
    run = blank_run({"compartments": {"nuclei": nuclei, "cells": "rule", "cytoplasm_um": 7.5}}, **tables)
    text = said(run)["The compartments are measured, not given"]
    assert text.startswith(words)
    assert ("at most 7.5 µm and four nuclear radii from the border of the nearest nucleus" in text) == (
        nuclei != "truth"
    )


@pytest.mark.parametrize("cells", CELLS)
def test_the_caveat_says_what_is_cytoplasm(blank_run: Blank, tables: Any, cells: str) -> None:
    text = said(blank_run({"compartments": {"cells": cells, "cytoplasm_um": 7.5}}, **tables))[
        "The compartments are measured, not given"
    ]
    words = cell_words(cells, 7.5)
    assert f" {words[0].upper()}{words[1:]}. Cell borders" in text


@pytest.mark.parametrize(("share", "told"), [(0.2, False), (0.21, True), (np.nan, False), (None, False)])
def test_much_doubtful_tissue_is_told(blank_run: Blank, tables: Any, share: float | None, *, told: bool) -> None:
    ledger = tables["ledger"]
    if share is not None:
        # the median over patches, of which one is all doubtful
        ledger = ledger.assign(doubtful_share=[*[share] * (len(ledger) - 1), 1.0 if share > 0 else share])
    found = said(blank_run(**{**tables, "ledger": ledger}))
    title = "Much of the tissue is doubtful (benign, 20×)"
    assert (title in found) == told
    if told:
        assert found[title].startswith("In the median judged patch, 21 % of the tissue outside nuclei is neither")
        assert "a probability of at least 0.75" in found[title]
