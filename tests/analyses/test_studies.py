"""The study files that are committed."""

from pathlib import Path

import pytest

from saliency_stats import settings

FOLDER = Path(__file__).parents[2] / "analyses"
STUDIES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_valid_and_its_command_stands_above_it(name):
    loaded = settings.load(FOLDER / f"{name}.yaml")
    assert loaded.name.replace("-", "_") == name
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert any(f"saliency-stats {command} analyses/{name}.yaml" in text for command in ("run", "benchmark"))
