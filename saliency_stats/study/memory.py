"""Batches that no machine of this size can hold are refused before the first of them is made."""

from collections.abc import Iterator

import pandas as pd
import psutil
import torch

from saliency_stats.classifier.building import kept_bytes
from saliency_stats.errors import ClassifierError, StudyError
from saliency_stats.settings import StudySettings
from saliency_stats.study import parameters

#: What a batch takes from below: of what the network keeps in training a quarter, and half of what maps and
#: compartments take of a pixel while it is measured, in bytes.
TRAINED_SHARE = 0.25
MEASURED_BYTES = 50


def too_large_batches(settings: StudySettings, used: pd.DataFrame, device: torch.device) -> Iterator[str]:
    """Name batches whose least size exceeds the memory of the device.

    Parameters
    ----------
    settings
        The study.
    used
        Rows of the inspected table that can be used.
    device
        Where the networks compute.

    Yields
    ------
    str
        With the size that a batch may have.
    """
    if device.type == "cuda":
        memory, where = torch.cuda.get_device_properties(device).total_memory, "the GPU"
    else:
        memory, where = psutil.virtual_memory().total, "this machine"
    judged = settings.cohort.evaluation_split
    batches = [("saliency", settings.saliency.batch_size, used[used["split"] == judged], "while measured")]
    if settings.classifier.trainable == "all":
        # with folds every patch is learned from in all folds but its own
        train = used if settings.cohort.folds else used[used["split"] == "train"]
        batches.insert(0, ("classifier", settings.classifier.batch_size, train, "in training"))
    for section, size, rows, when in batches:
        if rows.empty:
            continue
        largest = (rows["height_px"] * rows["width_px"]).to_numpy().argmax()
        height, width = float(rows["height_px"].iloc[largest]), float(rows["width_px"].iloc[largest])
        of_one = height * width * MEASURED_BYTES
        if section == "classifier":
            try:
                of_one = TRAINED_SHARE * kept_bytes(parameters.architecture_of(settings), height * width)
            except (ClassifierError, StudyError):  # of a network that cannot be used more is told elsewhere
                continue
        n = min(size, len(rows))
        if n * of_one > memory:
            yield (
                f"{section}.batch_size: {n} patches of {height:.0f} × {width:.0f} px take at least "
                f"{n * of_one / 1e9:,.1f} GB {when}; {where} has {memory / 1e9:,.1f} GB. Set it to "
                f"{max(1, int(memory / of_one / 4))} or less, or use smaller patches"
            )
