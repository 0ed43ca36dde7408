"""The pictures of the documentation, from a finished run of the built-in study.

    saliency-stats run
    python docs/pictures.py reports/phantom

They are the run's own figures, made small; of the example patches one of each class; the head of its report, as
Chromium shows it; and what the scripts of the gallery draw.
"""

import re
import subprocess
import sys
from contextlib import chdir
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from PIL import Image

from saliency_stats.report.figures.examples import draw_examples
from saliency_stats.report.figures.style import house_style
from saliency_stats.report.run import Run

WIDTH_PX: Final = 1000
COLOURS: Final = 200
#: The head of the report, down to the verdict below the ladder.
HEAD_PX: Final = "900,880"
FIGURES: Final = ("flow", "density_ratio", "controls", "forest", "profile", "separation")


def small(source: Path | BytesIO, target: Path) -> None:
    """Write a picture with fewer pixels and colours."""
    with Image.open(source) as picture:
        plain = Image.new("RGB", picture.size, "white")
        plain.paste(picture, mask=picture.convert("RGBA").getchannel("A"))
    plain.thumbnail((WIDTH_PX, 2 * WIDTH_PX))
    plain.quantize(COLOURS).save(target, optimize=True)


def main(folder: Path) -> None:
    """Write the pictures of a run, and those of the gallery, into ``docs/images``."""
    docs = Path(__file__).parent.resolve()
    folder, images = folder.resolve(), docs / "images"
    images.mkdir(exist_ok=True)
    gallery = re.findall(r"^```python\n(.*?)^```", (docs / "gallery.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    with TemporaryDirectory() as scratch, chdir(scratch):
        for script in gallery:
            exec(script, {})  # noqa: S102  (our own page)
        for drawn in Path(scratch).glob("*.png"):
            small(drawn, images / drawn.name)
    for name in FIGURES:
        small(folder / "figures" / f"{name}.png", images / f"{name}.png")
    run = Run(folder)
    first = run.examples[run.examples["rank"] == run.examples["rank"].min()]
    page = BytesIO()
    with house_style():
        draw_examples(run.changed(examples=first)).savefig(page, format="png", dpi=200)
    small(page, images / "examples.png")
    with TemporaryDirectory() as scratch:
        shot = Path(scratch) / "report.png"
        report = (folder / "report.html").as_uri()
        options = (
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            f"--window-size={HEAD_PX}",
            f"--screenshot={shot}",
        )
        subprocess.run(["chromium", *options, report], check=True)  # noqa: S603, S607  (a command of ours)
        small(shot, images / "report.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
