"""A study small enough to run whole in a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from saliency_stats.settings.study import StudySettings, load

STUDY_YAML = """\
name: tiny
cohort: {kind: phantom, slides: 8, patches_per_slide: 6, size_px: 64}
classifier: {architecture: densenet121, epochs: 2, batch_size: 8, min_balanced_accuracy: 0.5}
saliency: {min_confidence: 0.5, batch_size: 4}
statistics: {bootstrap_draws: 2000}
"""


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Without a report, which takes most of a small study's time: what it shows is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saliency_stats.report.write.write_report", lambda _: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def sketched() -> Iterator[None]:
    """Draw coarsely and put letters into PDFs the quick way: a third of a report's time is the choice of its fonts."""
    from saliency_stats.report.figures import style  # noqa: PLC0415  (matplotlib, which a run needs at its end alone)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(style._RC, "pdf.fonttype", 3)
        patch.setattr(style, "DPI", {"png": 100, "pdf": 100})
        yield


@pytest.fixture(scope="session")
def study_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tiny.yaml"
    path.write_text(STUDY_YAML, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny(study_file) -> StudySettings:
    return load(study_file)
