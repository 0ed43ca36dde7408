"""Where the picture of a patch is written."""

from pathlib import Path

import pytest

from saliency_stats.commands.explain import picture_of


@pytest.mark.parametrize(
    ("patch_id", "name"),
    [
        ("b00-01", "b00-01.png"),
        ("tumour/b00.png", "tumour_b00.png"),  # not b00.png.png
        ("b00.PNG", "b00.png"),
        ("b00.png.tif", "b00.png.tif.png"),
        ("slide 7: (3, 4)", "slide_7_3_4_.png"),
    ],
)
def test_a_picture_has_one_ending(patch_id: str, name: str) -> None:
    assert picture_of(Path("run"), patch_id) == Path("run/explain") / name
