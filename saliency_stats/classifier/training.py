"""Training: one loop for whole networks and for heads, deterministic for its seed, resumable at every epoch."""

import io
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from saliency_stats.classifier.samples import Samples
from saliency_stats.errors import ClassifierError, StudyError
from saliency_stats.execution.files import atomic
from saliency_stats.seeds import derive
from saliency_stats.vocabulary import LABELS

LOG_COLUMNS: Final = (
    "epoch",
    "learning_rate",
    "loss_train",
    "balanced_accuracy_train",
    "loss_valid",
    "balanced_accuracy_valid",
    "chosen",
)


@dataclass(frozen=True)
class TrainingParameters:
    """How a network is trained.

    Parameters
    ----------
    epochs
        Number of epochs; with ``stopping="early"`` the most that are run.
    batch_size
        Largest batch.
    learning_rate
        Highest learning rate of AdamW.
    weight_decay
        Decoupled weight decay (Loshchilov & Hutter 2019).
    label_smoothing
        Share of the target spread over both classes.
    class_weights
        ``balanced`` weighs the loss by n / (2 n_class), ``none`` does not.
    stopping
        ``one_cycle``: learning rate rises and falls once over all epochs (Smith & Topin 2018), the last weights
        are kept. ``early``: constant rate, stops ``patience`` epochs after the lowest loss on the valid split
        and keeps the weights of that epoch.
    patience
        Epochs without improvement that ``early`` waits for.
    precision
        ``float32``; ``bfloat16`` (autocast); ``auto``: bfloat16 where the processor computes in it.
    """

    epochs: int = 12
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    class_weights: Literal["balanced", "none"] = "balanced"
    stopping: Literal["one_cycle", "early"] = "one_cycle"
    patience: int = 3
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        bounds: dict[str, tuple[float, float]] = {
            "epochs": (1, 10_000),
            "batch_size": (2, 4096),
            "learning_rate": (1e-7, 1.0),
            "weight_decay": (0.0, 1.0),
            "label_smoothing": (0.0, 0.5),
            "patience": (1, 10_000),
        }
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise StudyError(f"classifier.{name} is {getattr(self, name)}; expected {low:g} to {high:g}")


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Say whether training runs in bfloat16 on this device."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu":
        return False
    # without the instructions bfloat16 is emulated, several times slower than float32
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001  (torch has no public query)


def fit(
    module: nn.Module,
    train: Samples,
    valid: Samples | None,
    parameters: TrainingParameters,
    *,
    checkpoint: Path | None = None,
    tick: Callable[[int], object] = lambda _: None,
) -> pd.DataFrame:
    """Train a module in place.

    Parameters
    ----------
    module
        Its parameters with ``requires_grad`` are trained; called with a batch's inputs, returns logits (N, 2).
    train, valid
        Samples; ``valid`` is needed for ``stopping="early"`` and otherwise only logged.
    checkpoint
        File that holds the state after the last finished epoch; training goes on from it if it exists, with
        the same result as without the interruption.
    tick
        Called with the number of samples after each training batch.

    Returns
    -------
    DataFrame
        One row per epoch (:data:`LOG_COLUMNS`); ``chosen`` marks the epoch whose weights are kept.

    Raises
    ------
    ClassifierError
        If a class is absent from the training samples, or the loss stops being finite.
    """
    weights = _class_weights(train, parameters)
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    device = trainable[0].device
    optimizer = torch.optim.AdamW(
        trainable, lr=parameters.learning_rate, weight_decay=parameters.weight_decay, fused=True
    )
    scheduler = _scheduler(optimizer, parameters, train.n_batches(parameters.batch_size))
    loss_of = nn.CrossEntropyLoss(weights.to(device), label_smoothing=parameters.label_smoothing)
    autocast = uses_bfloat16(parameters.precision, device)
    log: list[dict[str, Any]] = []
    best: dict[str, Tensor] | None = None
    state = None if checkpoint is None else _checkpoint(checkpoint, device)
    if state is not None:
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        log, best = state["log"], state["best"]
        tick(len(log) * len(train.targets))
    while len(log) < parameters.epochs and not _exhausted(log, parameters):
        epoch = len(log)
        rate = float(optimizer.param_groups[0]["lr"])
        module.train()
        losses, logits, targets = [], [], []
        with _chance(train.seed, epoch, device):
            for inputs, target in train.batches(parameters.batch_size, epoch):
                with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
                    output = module(*inputs)
                loss = loss_of(output.float(), target)
                if not torch.isfinite(loss):
                    raise ClassifierError(
                        f"training diverged in epoch {epoch + 1} (loss {loss.item()}); expected a finite loss. "
                        f"Lower classifier.learning_rate (now {parameters.learning_rate:g})"
                    )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                scheduler.step()
                losses.append(float(loss.detach()) * len(target))
                logits.append(output.detach().float().cpu())
                targets.append(target.cpu())
                tick(len(target))
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "learning_rate": rate,
            "loss_train": sum(losses) / len(train.targets),
            "balanced_accuracy_train": balanced_accuracy(torch.cat(logits), torch.cat(targets)),
            "loss_valid": float("nan"),
            "balanced_accuracy_valid": float("nan"),
        }
        if valid is not None:
            with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
                row["loss_valid"], row["balanced_accuracy_valid"] = _score(module, valid, parameters, loss_of)
        log.append(row)
        if parameters.stopping == "early" and _best_epoch(log, parameters) == epoch:
            best = {key: value.detach().cpu().clone() for key, value in module.state_dict().items()}
        if checkpoint is not None:
            _save(checkpoint, module, optimizer, scheduler, log, best)
    if best is not None:
        module.load_state_dict(best)
    module.eval()
    table = pd.DataFrame(log)
    table["chosen"] = np.arange(len(log)) == _best_epoch(log, parameters)
    return table[list(LOG_COLUMNS)]


def balanced_accuracy(logits: Tensor, targets: Tensor) -> float:
    """Mean of the per-class recalls, over the classes that are present."""
    predicted, targets = logits.argmax(dim=1).cpu(), targets.cpu()
    recalls = [(predicted[targets == label] == label).double().mean() for label in torch.unique(targets)]
    return float(torch.stack(recalls).mean())


@contextmanager
def _chance(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Let dropout and the like draw the same in an epoch, whether or not training was interrupted before it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive(seed, "chance", epoch))
        yield


def _class_weights(train: Samples, parameters: TrainingParameters) -> Tensor:
    counts = np.bincount(train.targets, minlength=len(LABELS))
    if not counts.all():
        absent = LABELS[int(np.argmin(counts))]
        raise ClassifierError(
            f"the train split holds no {absent!r} patch ({counts.sum()} patches in all); both classes are needed"
        )
    if parameters.class_weights == "none":
        return torch.ones(len(LABELS))
    return torch.tensor(counts.sum() / (len(LABELS) * counts), dtype=torch.float32)


def _scheduler(
    optimizer: torch.optim.Optimizer, parameters: TrainingParameters, n_batches: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if parameters.stopping == "early":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=parameters.learning_rate, total_steps=max(2, parameters.epochs * n_batches) + 1
    )


def _score(
    module: nn.Module, valid: Samples, parameters: TrainingParameters, loss_of: nn.Module
) -> tuple[float, float]:
    module.eval()
    with torch.no_grad():
        scored = [
            (module(*inputs).float().cpu(), target.cpu())
            for inputs, target in valid.batches(parameters.batch_size, None)
        ]
    logits, targets = (torch.cat(parts) for parts in zip(*scored, strict=True))
    return float(loss_of.cpu()(logits, targets)), balanced_accuracy(logits, targets)


def _best_epoch(log: list[dict[str, Any]], parameters: TrainingParameters) -> int:
    if parameters.stopping == "one_cycle":
        return len(log) - 1
    return int(np.argmin([row["loss_valid"] for row in log]))


def _exhausted(log: list[dict[str, Any]], parameters: TrainingParameters) -> bool:
    if parameters.stopping == "one_cycle" or not log:
        return False
    return len(log) - 1 - _best_epoch(log, parameters) >= parameters.patience


def _save(
    path: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    log: list[dict[str, Any]],
    best: dict[str, Tensor] | None,
) -> None:
    content = io.BytesIO()
    torch.save(
        {
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": {key: value for key, value in scheduler.state_dict().items() if not callable(value)},
            "log": log,
            "best": best,
        },
        content,
    )
    # written by Python, whose error says so where the disk is full
    with atomic(path) as partial:
        partial.write_bytes(content.getbuffer())


def _checkpoint(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Read the state after the last finished epoch; None where there is none, or a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            # torch does not look at the checksums of what it reads
            if archive.testzip() is not None:
                return None
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError):
        return None
    known = {"module", "optimizer", "scheduler", "log", "best"}
    return state if isinstance(state, dict) and known <= state.keys() else None
