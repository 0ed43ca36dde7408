"""Whether a run kept to its pre-registration, in words."""

from collections.abc import Mapping
from typing import Any

from saliency_stats.report.run import Run
from saliency_stats.report.words import count


def registered(run: Run) -> Mapping[str, Any]:
    """Return what the run recorded of its pre-registration; nothing where there was none."""
    found: Mapping[str, Any] = run.recorded("registration", {})
    return found


def registration_title(found: Mapping[str, Any]) -> str:
    """Say in a few words what is wrong with a registration, or how the run left it; nothing where it was kept."""
    if found.get("results_since"):
        return "The pre-registration is younger than the first results"
    return "The run differs from its pre-registration" if found.get("differences") else ""


def registration_words(found: Mapping[str, Any]) -> str:
    """Say when and where all was fixed, and whether the run kept to it; nothing where there was no registration."""
    if not found:
        return ""
    since = found["results_since"]
    when = f"after there were results (since {time_words(since)})" if since else "before there were results"
    kept = kept_words(found, "The run kept", "The run differs")
    return (
        f"Hypotheses, families, margins and exclusions were registered on {time_words(found['registered'])} with"
        f" saliency-stats {found['version']} (preregistration.md, SHA-256 {found['sha256'][:12]}…), {when}. {kept}."
    )


def kept_words(found: Mapping[str, Any], kept: str, differs: str) -> str:
    """Say with the verbs given whether the settings are those that were registered, and which are not."""
    differences = found["differences"]
    if not differences:
        return f"{kept} to it"
    listed = "; ".join(f"{key} (registered {before}, run {now})" for key, before, now in differences)
    return f"{differs} from it in {count(len(differences), 'setting')}: {listed}"


def time_words(recorded: str) -> str:
    """Return 2026-11-28T13:02:05+00:00 as "2026-11-28 13:02 UTC"."""
    return f"{recorded[:16].replace('T', ' ')} UTC"
