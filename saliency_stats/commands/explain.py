"""One patch of a finished run, computed again and drawn."""

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from saliency_stats import settings as study_file
from saliency_stats.commands.again import check_image, check_listed, check_map
from saliency_stats.errors import CohortError
from saliency_stats.execution.device import choose, make_deterministic
from saliency_stats.execution.engine import Threads
from saliency_stats.execution.layout import check_layout
from saliency_stats.execution.names import file_name
from saliency_stats.execution.progress import Progress
from saliency_stats.execution.recorded import Recorded
from saliency_stats.execution.store import Store
from saliency_stats.measurement.batch import Batch
from saliency_stats.saliency.maps import MapKey
from saliency_stats.saliency.naming import NetworkKey, network_names
from saliency_stats.study.stages import Stages
from saliency_stats.vocabulary import TRAINED


def explain_patch(
    folder: Path,
    patch_id: str,
    *,
    model: str = "trained",
    magnification: float | None = None,
    out: Path | None = None,
    device: str = "auto",
) -> Path:
    """Draw a patch's image, saliency, compartments and ledger rows.

    Parameters
    ----------
    patch_id, magnification
        The patch; without a magnification the finest at which it exists.
    model
        ``trained`` or the name of a control.
    out
        The picture, by default ``explain/<patch_id>.png`` in the run's folder (see :func:`file_name`).
    device
        ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises
    ------
    StorageError
        If the folder holds no finished run, or what is read of it is not as the run left it.
    CohortError
        If the run knows no such patch, or excluded it, or its image has changed since.
    """
    from saliency_stats.report.explain import explain_figure  # noqa: PLC0415  (matplotlib)

    recorded, store = Recorded(folder), Store(folder)
    recorded.check(["study.yaml", "patches.csv", "stains.csv"])
    check_layout(folder)
    settings = study_file.load(folder / "study.yaml")
    table = store.table("patches")
    found = table[table["patch_id"] == patch_id].sort_values("mpp")
    if magnification is not None:
        found = found[found["magnification"] == magnification]
    if found.empty:
        near = get_close_matches(patch_id, table["patch_id"].tolist(), n=3)
        hint = (
            f"Did you mean {' or '.join(near)}?"
            if near
            else f"patches.csv lists them, for example {', '.join(table['patch_id'].head(1)) or 'none'}"
        )
        raise CohortError(
            f"{folder} has no patch {patch_id!r}{'' if magnification is None else f' at {magnification:g}×'}. {hint}"
        )
    row = found.iloc[0]
    if row["status"] != "used":
        raise CohortError(f"patch {patch_id!r} was not used in {folder}: {row['status']}")
    ending = f"-{row['magnification']:g}x.safetensors"
    recorded.check(name for name in recorded.hashes if name.startswith("weights/") and name.endswith(ending))
    chosen = choose(device)
    make_deterministic(chosen)
    stages = Stages(settings, store, chosen, Progress(show=False))
    check_listed(stages.table, int(found.index[0]), row)
    measurement = stages.measurement_of(table, int(found.index[0]))
    if measurement.given is not None:
        check_map(measurement.given, int(found.index[0]), row, store.table("inputs"))
    fold = 0 if pd.isna(row["fold"]) else int(row["fold"])
    batch = Batch("explain", (int(found.index[0]),), float(row["magnification"]), measured=True, fold=fold)
    network = network_names(1, fold)[0]
    models = {key: made for key, made in measurement.models[batch.place].items() if key.network == network}
    key = NetworkKey(model, network)
    own = NetworkKey(TRAINED, network)  # of maps made elsewhere, there is no network that made them
    if key not in {own, *models}:
        known = dict.fromkeys([TRAINED, *(one.model for one in models)])
        raise CohortError(f"there is no model {model!r} in {folder}; it has {', '.join(known)}")
    # the trained network may choose which logit is explained
    models = {one: models[one] for one in (own, key) if one in models}
    plan = measurement.plan.alone()
    measurement = replace(measurement, plan=plan, models={batch.place: models})
    (examined,) = Threads(1).map(measurement.examine, [batch])
    check_image(examined.patches[0].image, row)
    ledger = measurement.ledger_rows(examined)
    path = out or picture_of(folder, patch_id)
    explain_figure(
        examined.patches[0].image,
        examined.own(plan)[key][0],
        examined.segmentations[0].memberships,
        ledger[(ledger[list(MapKey._fields)] == list(plan.own(*key))).all(axis=1)],
        title=f"{patch_id} · {settings.cohort.two_classes.name(row['label'])} · {row['magnification']:g}× · {model}",
        path=path,
        mpp=float(row["mpp"]),
    )
    return path


def picture_of(folder: Path, patch_id: str) -> Path:
    """Return where the picture of a patch goes."""
    return folder / "explain" / file_name(patch_id, ".png")
