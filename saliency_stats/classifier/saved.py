"""The weights of a trained network in a run's folder: written so that equal networks are equal bytes."""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save

from saliency_stats.classifier.network import NetworkClassifier


def save_weights(model: NetworkClassifier, path: Path) -> None:
    """Write the network's weights with their own keys as safetensors, with its ``notes``.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    # cloned: layers that share a tensor are written each with its own
    state = {key: value.detach().cpu().contiguous().clone() for key, value in model.backbone.state_dict().items()}
    about = {"architecture": model.architecture, "labels": model.labels}
    content = save(state, metadata=about | ({"notes": "\n".join(model.notes)} if model.notes else {}))
    # written by Python, whose errors say why: the library's own say of a full disk nothing that could be told
    path.write_bytes(ordered(content))


def ordered(content: bytes) -> bytes:
    """Put the notes of a safetensors file in order: the library writes them in another one each time."""
    start = 8
    end = start + int.from_bytes(content[:start], "little")
    header = json.loads(content[start:end])
    notes = {"__metadata__": dict(sorted(header.pop("__metadata__").items()))}
    return (
        content[:start]
        + json.dumps(notes | header, separators=(",", ":"), ensure_ascii=False).encode().ljust(end - start)
        + content[end:]
    )


def weight_notes(path: Path) -> list[str]:
    """Say in what respects the file was not used as it is from which weights of a run started."""
    with safe_open(path, framework="pt") as file:
        return str((file.metadata() or {}).get("notes", "")).splitlines()
