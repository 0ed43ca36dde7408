"""Write a cohort of phantom slides: pyramidal TIFF, ASAP XML, GeoJSON, truth, and the list that a study reads.

    python analyses/phantom_slides.py --out phantom_slides --slides 20 --tumour all --jobs 2
    saliency-stats run analyses/phantom_slides.yaml

About half a minute and 0.5 GB of memory for a slide of 8192 px, and 20 MB (JPEG) or 180 MB (deflate) on disk.
"""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import numpy as np
import pandas as pd
from tqdm import tqdm

from saliency_stats.cohort.phantom.slide import PhantomSlideSpec, write_phantom_slide

SIGNALS = ("cytoplasm", "nucleus", "stroma", "none")


def write(out: Path, spec: PhantomSlideSpec) -> dict[str, str]:
    """Write one slide and return its line of the list."""
    files = write_phantom_slide(out, spec)
    return {
        "path": files.slide.name,
        "slide_id": spec.slide_id,
        "patient_id": spec.slide_id.replace("slide", "patient"),
        "annotation": files.xml.name if files.xml else "",
        "mpp": "",
        "split": "",
    }


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--slides", default=14, show_default=True, type=click.IntRange(2), help="Number of slides.")
@click.option("--tumour", default="half", show_default=True, type=click.Choice(["half", "all"]), help="Slides with it.")
@click.option("--signal", default="cytoplasm", show_default=True, type=click.Choice(SIGNALS))
@click.option("--strength", default=1.0, show_default=True, help="Separation of the classes, 0 to 1.")
@click.option("--side", default=8192, show_default=True, help="Side of the slides in pixels, a multiple of 256.")
@click.option("--mpp", default=0.25, show_default=True, help="µm per pixel.")
@click.option("--seed", default=0, show_default=True)
@click.option("--jobs", default=1, show_default=True, help="Slides written at the same time.")
def main(
    out: Path, slides: int, tumour: str, signal: str, strength: float, side: int, mpp: float, seed: int, jobs: int
) -> None:
    """Write the slides and ``slides.csv``."""
    specs = [
        PhantomSlideSpec(
            slide_id=f"slide-{index + 1:02d}",
            width_px=side,
            height_px=side,
            mpp=mpp,
            # two of four: compression is not told apart from tumour, patient from patient
            compression="jpeg" if index % 4 < 2 else "deflate",
            seed=int(np.random.default_rng([seed, index]).integers(2**31)),
            signal=signal,
            strength=strength,
            tumour=tumour == "all" or index % 2 == 0,
        )
        for index in range(slides)
    ]
    out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs) as pool:
        rows = list(tqdm(pool.map(write, [out] * slides, specs), total=slides, unit="slide"))
    pd.DataFrame(rows).to_csv(out / "slides.csv", index=False)
    print(f"{slides} slides: {out / 'slides.csv'}")


if __name__ == "__main__":
    main()
