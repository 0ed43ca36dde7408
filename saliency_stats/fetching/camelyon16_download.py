"""Download of CAMELYON16: what is missing, whether the disk holds it, the files, and last the table of a study."""

import csv
import io
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import filelock
from tqdm import tqdm

from saliency_stats.errors import DownloadError, StorageError
from saliency_stats.execution.files import write_text
from saliency_stats.fetching.camelyon16 import BUCKET, Slide, choose, find_slides
from saliency_stats.fetching.part import Part
from saliency_stats.fetching.transfer import Client, FileRefusedError, Remote, Retries, is_complete

COLUMNS: Final = ("path", "slide_id", "patient_id", "annotation", "mpp", "split")
#: Left free on the disk: a study needs room for its results.
_SPARE_BYTES: Final = 2 * 10**9
_GB: Final = 10**9


def overview(folder: Path, *, slides: int | None = None, url: str = BUCKET, retries: Retries | None = None) -> str:
    """Say, slide by slide, what :func:`fetch` would load; loads nothing.

    Returns
    -------
    str
        A table: slide, class, split, size, whether it is here or why it is left out.
    """
    with Client(retries) as client:
        found = find_slides(client, url)
    chosen = choose(found, slides)
    lines = [f"{'slide':<12} {'class':<7} {'split':<6} {'GB':>7}  state"]
    for slide in (*chosen, *(slide for slide in found if slide.left_out)):
        kind, size = "tumour" if slide.tumour else "normal", slide.image.size or 0
        state = f"left out: {slide.left_out}" if slide.left_out else _state(*slide.files(folder, annotations=False)[0])
        lines.append(f"{slide.slide_id:<12} {kind:<7} {slide.split:<6} {size / _GB:7.2f}  {state}")
    missing = [pair for slide in chosen for pair in slide.files(folder, annotations=True) if not _here(*pair)]
    lines.append(
        f"{_counted(chosen)}; {_missing_bytes(missing) / _GB:.1f} GB to load, {_free(folder) / _GB:.1f} GB free"
    )
    return "\n".join(lines)


def fetch(
    folder: Path,
    *,
    slides: int | None = None,
    annotations: bool = True,
    verify: bool = False,
    url: str = BUCKET,
    retries: Retries | None = None,
    note: Callable[[str], object] = lambda _: None,
    show: bool = False,
) -> Path:
    """Load slides and annotations that are not here yet, then write the table of a study.

    Parameters
    ----------
    folder
        Gets ``images/``, ``annotations/`` and, once all is here, ``slides.csv``, which is written anew each time.
    slides
        How many slides, half of them with tumour; without it all.
    annotations
        Load outlines too. Without them no ``slides.csv`` is written: patches of tumour would be labelled benign.
    verify
        Check what is here by its checksum, not by its size alone; what differs is loaded again.
    note
        Called with messages for the user.

    Returns
    -------
    Path
        ``slides.csv``, or the folder if none is written.

    Raises
    ------
    StudyError
        If there are fewer slides than asked for.
    DownloadError
        If a file cannot be fetched; the others are loaded first unless the server cannot be reached at all.
    StorageError
        If the disk is too small, or another process loads into the folder.
    """
    with Client(retries) as client, ExitStack() as stack:
        chosen = choose(find_slides(client, url), slides)
        _lock(folder, stack)
        files = [pair for slide in chosen for pair in slide.files(folder, annotations=annotations)]
        checked = tqdm(files, desc="checking", unit=" file", disable=not (show and verify), dynamic_ncols=True)
        missing = [(source, path) for source, path in checked if not is_complete(path, source, verify=verify)]
        _check_space(folder, chosen, missing)
        note(f"{_counted(chosen)}; {_missing_bytes(missing) / _GB:.1f} GB in {len(missing)} files to load")
        _load(client, missing, show=show)
    unsummed = sum(source.digest is None for source, _ in missing)
    if unsummed:
        note(f"{unsummed} of {len(missing)} files have no published checksum: their size alone was checked")
    if not annotations:
        note("no slides.csv: without outlines, patches of tumour would be labelled benign")
        return folder
    table = folder / "slides.csv"
    write_text(table, _table(chosen))
    return table


def _load(client: Client, missing: Sequence[tuple[Remote, Path]], *, show: bool) -> None:
    total = sum(source.size or 0 for source, _ in missing)
    refused: list[FileRefusedError] = []
    with tqdm(total=total, unit="B", unit_scale=True, disable=not show, dynamic_ncols=True, smoothing=0.1) as bar:
        for source, path in missing:
            bar.set_description(path.stem)
            try:
                client.download(source, path, bar.update)
            except FileRefusedError as error:
                refused.append(error)
    if refused:
        raise DownloadError(
            f"{len(refused)} of {len(missing)} files cannot be fetched, the others are here; slides.csv is not "
            f"written. The first: {refused[0]}"
        )


def _lock(folder: Path, stack: ExitStack) -> None:
    lock = filelock.FileLock(folder / ".fetch.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(lock.acquire(timeout=0))
    except filelock.Timeout as error:
        raise StorageError(f"{folder}: another process loads into it; wait for it, or choose another --out") from error
    except OSError as error:
        raise StorageError(f"{folder} cannot be written ({error.strerror or error}); choose another --out") from error


def _check_space(folder: Path, chosen: Sequence[Slide], missing: Sequence[tuple[Remote, Path]]) -> None:
    needed, room = _missing_bytes(missing), _free(folder) - _SPARE_BYTES
    if not missing or needed <= room:
        return
    waiting = {path: source for source, path in missing}
    fitting, left = 0, room
    for slide in chosen:
        left -= _missing_bytes([(waiting[p], p) for _, p in slide.files(folder, annotations=True) if p in waiting])
        if left < 0:
            break
        fitting += 1
    raise StorageError(
        f"{folder}: {needed / _GB:.1f} GB are to be loaded and {_SPARE_BYTES / _GB:.0f} GB must stay free, but only "
        f"{_free(folder) / _GB:.1f} GB are free. "
        + (f"Take fewer with --slides N (at most {fitting} fit), or" if fitting else "Free some space, or")
        + " choose a folder on a larger disk with --out"
    )


def _missing_bytes(missing: Iterable[tuple[Remote, Path]]) -> int:
    """Bytes still to come; a file that is replaced stays until the new one is complete."""
    return sum(max((source.size or 0) - Part(path).size(), 0) for source, path in missing)


def _free(folder: Path) -> int:
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def _here(source: Remote, path: Path) -> bool:
    return is_complete(path, source, verify=False)


def _state(source: Remote, path: Path) -> str:
    if _here(source, path):
        return "here"
    part = Part(path)
    return f"{part.size() / (source.size or 1):.0%} here" if part.path.is_file() else "to load"


def _counted(chosen: Sequence[Slide]) -> str:
    with_tumour = sum(slide.tumour for slide in chosen)
    return f"{len(chosen)} slides: {with_tumour} with tumour, {len(chosen) - with_tumour} without"


def _table(chosen: Iterable[Slide]) -> str:
    """Write the table of ``cohort.kind: slides``, paths relative to it."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for slide in chosen:
        outlines = f"annotations/{slide.slide_id}.xml" if slide.annotation is not None else ""
        # CAMELYON16 names no patient: a patient per slide is an assumption, not knowledge. The slides know their own
        # pixel size.
        rows.writerow((f"images/{slide.slide_id}.tif", slide.slide_id, slide.slide_id, outlines, "", slide.split))
    return text.getvalue()
