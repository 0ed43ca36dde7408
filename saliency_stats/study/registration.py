"""The pre-registration of a study: a text beside its file, sealed by a hash, that a run is compared with."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import yaml

from saliency_stats import __version__
from saliency_stats.errors import StorageError, StudyError, shortened
from saliency_stats.execution.files import write_text
from saliency_stats.execution.manifest import sha256
from saliency_stats.report.queries import leaves
from saliency_stats.settings import StudySettings, parse, yaml_text

#: What a run calls its copy.
FILE: Final = "preregistration.md"
#: Keys that decide nothing: names, memory, and what is shown or kept.
_IDLE: Final[dict[str, Any]] = {
    "name": True,
    "report": True,
    "cohort": {"cache_mb"},
    "saliency": {"batch_size", "keep"},
}
#: What stands for the value of a key that one of two studies does not have.
_ABSENT: Final = "not there"
_SEAL: Final = "SHA-256 of everything above this line: "
#: When there were first results in a folder, in ``work/``; ``--fresh`` does not make that undone.
_SINCE: Final = "results_since"


@dataclass(frozen=True)
class Registration:
    """What was registered: the text, its hash, when (UTC) and by which version, the list of patches, the settings."""

    text: str
    sha256: str
    registered: str
    version: str
    list_sha256: str
    settings: StudySettings

    @classmethod
    def beside(cls, study: Path | None) -> Self | None:
        """Read what was registered of a study file; None where nothing was.

        Raises
        ------
        StudyError
            If it was changed since, or cannot be read.
        """
        if study is None or not (path := path_of(study)).exists():
            return None
        remedy = (
            f"Put back what was registered; or move it away, and `saliency-stats init --preregister {study}` registers "
            "the study as it is now"
        )
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise StudyError(f"{path} cannot be read ({error}). {remedy}") from error
        above, _, seal = text.rstrip("\n").rpartition("\n")
        found = _hash(above)
        if seal != f"{_SEAL}`{found}`":
            raise StudyError(
                f"{path} was changed after it was registered: its last line is {shortened(seal, 120)!r}, expected the "
                f"hash of what stands above it ({found}). {remedy}"
            )
        try:
            content = yaml_text.plain(above.rpartition("```yaml\n")[2].rpartition("```")[0])
            about = {name: str(content[name]) for name in ("registered", "version", "list_sha256")}
            study_content = dict(content["study"])
        except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
            raise StudyError(f"{path} holds no study ({error!r}). {remedy}") from error
        return cls(text, found, **about, settings=parse(study_content, str(path), path.parent))

    def compared(self, settings: StudySettings, since: str | None) -> dict[str, Any]:
        """Compare a run with what was registered, for the record.

        Parameters
        ----------
        settings
            Of the run.
        since
            When its folder first had results, as of :func:`results_since`.

        Returns
        -------
        dict
            ``sha256``, ``registered``, ``version``; ``results_since`` if results were there before, else None;
            ``differences``, each a list of the key, the registered value and that of the run.
        """
        before, now = (
            {**dict(leaves(decisive(one))), "contents of cohort.table": listed, "version of saliency-stats": version}
            for one, listed, version in (
                (self.settings, self.list_sha256, self.version),
                (settings, list_sha256(settings), __version__),
            )
        )
        pairs = [[key, before.get(key, _ABSENT), now.get(key, _ABSENT)] for key in before | now]
        return {
            "sha256": self.sha256,
            "registered": self.registered,
            "version": self.version,
            "results_since": since if since is not None and since < self.registered else None,
            "differences": [pair for pair in pairs if pair[1] != pair[2]],
        }


def path_of(study: Path) -> Path:
    """Say where the pre-registration of a study file lies."""
    return study.with_name(f"{study.stem}.{FILE}")


def decisive(settings: StudySettings) -> dict[str, Any]:
    """Return the settings that decide anything."""
    return settings.model_dump(mode="json", exclude=_IDLE)


def list_sha256(settings: StudySettings) -> str:
    """Hash the list of patches or slides of a study; empty where it has none.

    Raises
    ------
    StudyError
        If it cannot be read.
    """
    table = getattr(settings.cohort, "table", None)
    try:
        return "" if table is None else sha256(table)
    except OSError as error:
        raise StudyError(f"cohort.table: {table} cannot be read ({error.strerror or error})") from error


def sealed(above: str) -> str:
    """Put the hash of a text below it."""
    return f"{above}\n{_SEAL}`{_hash(above)}`\n"


def now() -> str:
    """Return the time as it is recorded: UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def carry(registration: Registration | None, folder: Path) -> None:
    """Copy what was registered into the folder of a run; one that goes on must find the same.

    Raises
    ------
    StorageError
        If the run began with another one, or the copy cannot be read.
    """
    copy = folder / FILE
    try:
        before = copy.read_text(encoding="utf-8") if copy.exists() else None
    except (OSError, ValueError) as error:
        raise StorageError(f"{copy} cannot be read ({error}). Put back what the run wrote") from error
    if before is None and registration is not None:
        write_text(copy, registration.text)
    elif before != (registration and registration.text):
        found = "there is none" if registration is None else "there is another one"
        raise StorageError(
            f"the run in {folder} began with the pre-registration {copy}, and beside the study file {found}. Put it "
            f"back as STUDY.{FILE}; or give --fresh to start again"
        )


def results_since(folder: Path) -> str | None:
    """Say when a folder first had results; None where it had none."""
    path = folder / "work" / _SINCE
    return path.read_text(encoding="utf-8") if path.is_file() else None


def note_results(folder: Path, since: str | None = None) -> None:
    """Note that a folder has results, from now on or since it had them first."""
    if results_since(folder) is None:
        write_text(folder / "work" / _SINCE, since or now())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
