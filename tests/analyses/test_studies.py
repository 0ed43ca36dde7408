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
    assert f"saliency-stats run analyses/{name}.yaml" in (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def test_the_controls_of_pcam_are_of_the_network_of_pcam():
    plain, controls = (settings.load(FOLDER / f"{name}.yaml") for name in ("pcam", "pcam_controls"))
    for section in ("seed", "cohort", "classifier", "compartments", "statistics"):
        assert getattr(plain, section) == getattr(controls, section)
    assert plain.saliency.methods[0] == controls.saliency.methods[0]
    assert set(plain.controls) < set(controls.controls)
