"""What is installed: the conda recipe, the image for Docker and continuous integration follow pyproject.toml."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from saliency_stats import __version__

PROJECT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
DECLARED = PYPROJECT["project"]
#: What conda-forge calls otherwise; its smaller packages leave out Qt, and statsmodels.
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}
#: The library, of which openslide-bin holds a copy with a fourth number in its version.
LIBRARY = {"openslide-bin>=4.0.0.6": "openslide >=4.0.0"}


def of_conda(requirement: str) -> str:
    name, bound = re.fullmatch(r"([a-z0-9-]+)(>=[0-9.]+)", requirement).groups()
    return LIBRARY.get(requirement, f"{CONDA.get(name, name)} {bound}")


def workflow(name: str) -> dict:
    return yaml.safe_load((PROJECT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def recipe():
    return yaml.safe_load((PROJECT / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))


def test_the_recipe_needs_what_the_package_needs(recipe):
    python, *others = recipe["requirements"]["run"]
    assert python == "python >=${{ python_min }}"
    assert others == sorted(map(of_conda, DECLARED["dependencies"]))
    extras = [entry for extra in ("anndata", "cluster", "timm") for entry in DECLARED["optional-dependencies"][extra]]
    assert recipe["requirements"]["run_constraints"] == sorted(map(of_conda, extras))
    assert set(map(of_conda, PYPROJECT["build-system"]["requires"])) <= set(recipe["requirements"]["host"])


def test_the_recipe_says_what_the_package_says(recipe):
    scripts = [f"{name} = {where}" for name, where in DECLARED["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts
    assert recipe["package"]["name"] == DECLARED["name"]
    fallback = PYPROJECT["tool"]["hatch"]["version"]["fallback-version"]
    assert f'default="{fallback}"' in recipe["context"]["version"]
    assert f'ARG VERSION="{fallback}"' in (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    assert f">={recipe['context']['python_min']}" == DECLARED["requires-python"]
    about = recipe["about"]
    assert [about["license"], [about["license_file"]]] == [DECLARED["license"], DECLARED["license-files"]]
    assert about["summary"] == DECLARED["description"]


def test_the_version_is_of_what_is_installed():
    assert __version__ == metadata.version("saliency-stats")
    assert DECLARED["dynamic"] == ["version"]


def test_a_source_tree_that_was_never_installed_says_so():
    code = """
from importlib import metadata
def none(name):
    raise metadata.PackageNotFoundError(name)
metadata.version = none
import saliency_stats
print(saliency_stats.__version__)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert told.stdout == "0+not.installed\n"


def test_the_image_holds_what_the_build_needs():
    dockerfile = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    copied = [line.split()[1:-1] for line in dockerfile.splitlines() if line.startswith("COPY ")]
    needed = {"pyproject.toml", DECLARED["readme"], *DECLARED["license-files"], "saliency_stats"}
    assert {name for names in copied for name in names} == needed
    ignored = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == needed


def test_every_python_that_is_declared_is_tested():
    tested = workflow("tests")["jobs"]["tests"]["strategy"]["matrix"]["python"]
    names = [entry.rpartition(" :: ")[2] for entry in DECLARED["classifiers"] if "Python :: 3." in entry]
    assert names == tested
    assert f">={tested[0]}" == DECLARED["requires-python"]


def test_the_paper_is_compiled_in_continuous_integration():
    (step,) = (step for step in workflow("tests")["jobs"]["tests"]["steps"] if "texlive" in step.get("run", ""))
    assert step["if"] == "runner.os == 'Linux'"


def test_coverage_is_asked_for_in_continuous_integration():
    commands = [step.get("run") for step in workflow("tests")["jobs"]["coverage"]["steps"]]
    assert commands[-2:] == ["pip install . --group dev", "pytest --cov"]
    assert any(entry.startswith("pytest-cov") for entry in PYPROJECT["dependency-groups"]["dev"])
    assert PYPROJECT["tool"]["coverage"]["report"]["fail_under"] == 90
