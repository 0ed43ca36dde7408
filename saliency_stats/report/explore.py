"""The page on which every measured patch can be looked at: its pictures, and what was measured in it."""

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd

from saliency_stats.execution.files import plain, write_text
from saliency_stats.imaging.thumbnail import CODE_STEP, DISPLAY_PERCENTILE
from saliency_stats.report.figures.style import COMPARTMENT_COLOURS, SALIENCY_MAP
from saliency_stats.report.overlay import NUCLEUS_OUTLINE, TINTS
from saliency_stats.report.page import embedded, page_template
from saliency_stats.report.run import Run
from saliency_stats.report.words import count, listing, percent, whole
from saliency_stats.statistics import PRIMARY
from saliency_stats.statistics.selection import JUDGED, UNSURE, true_class_probability
from saliency_stats.statistics.values import values_of, wide_values
from saliency_stats.vocabulary import COMPARTMENT_CODES, COMPARTMENTS, LABELS, NETWORK, PATCH_KEY, TRAINED

#: The pictures of a page, as text, take at most so many bytes: the whole page stays below 60 MB.
MOST_BYTES: Final = 57_000_000
PICTURES: Final = ("image", "compartments", "saliency", "control_saliency")
_KEY: Final = list(PATCH_KEY)
_SHARES: Final = ("area_share", "mass_share", "density_ratio")
#: Digits after the point: more would not be read, and take space.
_DIGITS: Final = 4


def write_explore(run: Run) -> Path:
    """Write ``explore.html`` into a run's folder."""
    path = run.folder / "explore.html"
    write_text(path, render_explore(run))
    return path


def render_explore(run: Run, most_bytes: int = MOST_BYTES) -> str:
    """Write the page: HTML that loads nothing from anywhere else, with the pictures inside.

    Patches come in the order in which they were drawn, as many as fit into ``most_bytes``. A run that kept no pictures
    gets a page that says so.
    """
    kept = run.thumbnails
    shown = None if kept is None else _fitting(kept, most_bytes)
    return page_template("explore.html.j2").render(
        name=run.settings.name,
        chosen="No pictures were kept." if shown is None else _chosen(run, shown),
        percentile=f"{DISPLAY_PERCENTILE:g}",
        data=None if shown is None else plain(_data(run, shown)),
    )


def _fitting(kept: pd.DataFrame, most_bytes: int) -> pd.DataFrame:
    """Return the patches that fit, with pictures as base64; all rows of a patch or none."""
    shown = kept.assign(**{name: kept[name].map(embedded) for name in PICTURES})
    taken = shown[list(PICTURES)].map(len).sum(axis=1)
    up_to = taken.groupby(shown["rank"]).sum().cumsum()
    return shown[shown["rank"].map(up_to) <= most_bytes].reset_index(drop=True)


def _chosen(run: Run, shown: pd.DataFrame) -> str:
    """Say which patches are shown, and of several networks which one."""
    measured = run.patches[(run.patches["status"] == "used") & (run.patches["split"] == run.evaluation_split)]
    patches = f"{count(measured['patch_id'].nunique(), 'patch')} of the {run.evaluation_split} split are shown"
    several = " at every magnification" if len(run.magnifications) > 1 else ""
    networks = run.settings.classifier.networks
    fold = " of its fold" if run.settings.cohort.folds else ""
    whose = f" Maps, numbers and decisions are those of the first of the {networks} networks{fold}."
    if len(shown) == len(measured):
        said = f"All {patches}{several}."
    else:
        said = (
            f"{whole(shown['patch_id'].nunique())} of {patches}, as many as such a page can hold. They were drawn at "
            f"random with the study's seed: each had the same chance{', and is shown' * bool(several)}{several}."
        )
    return f"{said}{whose if networks > 1 else ''}"


def _data(run: Run, shown: pd.DataFrame) -> dict[str, Any]:
    """Collect what the page's script reads: texts, colours, and a list per column of the patches."""
    controls = [name for name in shown["control"].unique() if name]
    least = percent(run.settings.saliency.min_confidence, 0)
    return {
        "classes": [run.classes.name(label) for label in LABELS],
        "method": run.words("methods", run.method),
        "control": listing([run.network(name) for name in controls]),
        "compartments": list(COMPARTMENTS),
        "codes": [COMPARTMENT_CODES[name] for name in COMPARTMENTS],
        "step": CODE_STEP,
        "colours": [COMPARTMENT_COLOURS[name] for name in COMPARTMENTS],
        "tints": [TINTS.get(name, 0.0) for name in COMPARTMENTS],
        "outline": list(NUCLEUS_OUTLINE),
        "scale": _colour_scale(),
        "judged": [
            (JUDGED, f"judged: right, probability at least {least}"),
            (UNSURE, f"not judged: right, probability below {least}"),
            ("", "not judged: wrong"),
        ],
        "patches": _columns(run, shown),
    }


def _colour_scale() -> list[list[int]]:
    """Return the 256 colours of a map from dark to bright."""
    return [[int(part) for part in colour[:3]] for colour in mpl.colormaps[SALIENCY_MAP](np.arange(256), bytes=True)]


def _columns(run: Run, shown: pd.DataFrame) -> dict[str, list[Any]]:
    """Return what is known of every shown patch, column by column."""
    keys = shown[[*_KEY, NETWORK]]
    known = keys.merge(run.patches, on=_KEY, how="left", validate="one_to_one")
    decided = _row_each(keys, run.predictions[run.predictions["model"] == TRAINED])
    chosen = _row_each(keys, run.population.evaluated)
    maps = run.of_own_map(run.ledger)
    # of the shown patches alone: as text, the names of all would take a gigabyte
    maps = maps[maps["patch_id"].isin(keys["patch_id"])].astype({"patch_id": "str", "model": "str", NETWORK: "str"})
    maps = keys.merge(maps, on=_KEY, suffixes=("_shown", ""))
    # a map of the image alone is of no network
    maps = maps[(maps[NETWORK] == maps[f"{NETWORK}_shown"]) | (maps[NETWORK] == "")]
    own, beside = maps[maps["model"] == TRAINED], maps[maps["model"].isin(shown["control"])]
    values = _row_each(keys, values_of(wide_values(own), PRIMARY))
    malignant = (known["label"] == LABELS[1]).to_numpy()
    p_true = true_class_probability(decided["p_malignant"].to_numpy(), malignant)
    return {
        **{name: known[name].tolist() for name in ("patch_id", "slide_id", "patient_id", "source")},
        **{name: known[name].round(_DIGITS).tolist() for name in ("magnification", "mpp", "x_um", "y_um")},
        "label": malignant.astype(int).tolist(),
        "network": shown["network"].tolist(),
        "p_true": p_true.round(_DIGITS).tolist(),
        "correct": decided["correct"].astype(int).tolist(),
        "judged": chosen["chosen"].astype(str).tolist(),
        "delta": values["value"].round(_DIGITS).tolist(),
        "missing": values["missing"].astype(str).tolist(),
        **{name: _by_compartment(keys, own, name) for name in _SHARES},
        "control_density_ratio": _by_compartment(keys, beside, "density_ratio"),
        **{name: shown[name].tolist() for name in PICTURES},
    }


def _row_each(keys: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the row of every shown patch of the network that is shown of it."""
    return keys.merge(
        rows.astype({"patch_id": "str", NETWORK: "str"}), on=list(keys), how="left", validate="one_to_one"
    )


def _by_compartment(keys: pd.DataFrame, rows: pd.DataFrame, column: str) -> list[list[float]]:
    """Return a number per compartment of every patch; NaN where there is none."""
    wide = rows.set_index([*_KEY, "compartment"])[column].unstack("compartment").reindex(columns=list(COMPARTMENTS))  # noqa: PD010
    numbers: list[list[float]] = wide.reindex(pd.MultiIndex.from_frame(keys[_KEY])).round(_DIGITS).to_numpy().tolist()
    return numbers
