"""The tissue network is asked where a way to tell cells needs it, and read only then."""

import subprocess
import sys

import numpy as np
import pytest

from saliency_stats.compartments.tissue import files, finder
from saliency_stats.compartments.tissue.finder import finder_for
from saliency_stats.compartments.tissue.predict import Tissues
from saliency_stats.errors import CompartmentError


@pytest.fixture
def box(model, monkeypatch):
    """A model in the box, how often it was read, and a cache of this test alone."""
    reads = []
    monkeypatch.setattr(files, "read_tissue", lambda: reads.append(1) or model)
    finder._finder.cache_clear()
    yield reads
    finder._finder.cache_clear()


@pytest.mark.parametrize("cells", [(), ("rule",), ("rule", "distance")])
def test_nothing_is_read_where_nobody_asks(box, cells):
    assert finder_for(cells) is None
    assert box == []


@pytest.mark.parametrize("cells", [("network",), ("rule", "network"), iter(["network", "rule"])])
def test_the_network_is_made_once(box, cells):
    made = finder_for(cells)
    assert isinstance(made, Tissues)
    assert finder_for(["network"], "cpu") is made
    assert len(box) == 1


def test_it_is_on_the_device_that_is_asked_for(box):
    made = finder_for(["network"], "meta")
    assert next(made._network.parameters()).device.type == "meta"


def test_it_answers_as_its_model_does(box, model, view_at):
    view = view_at()
    np.testing.assert_array_equal(finder_for(["network"])([view])[0], Tissues(model)([view])[0])


def test_a_lacking_file_is_named(monkeypatch, tmp_path):
    files.read_tissue.cache_clear()
    monkeypatch.setattr(files.read_tissue.__wrapped__, "__defaults__", (tmp_path / "tissue.safetensors",))
    finder._finder.cache_clear()
    with pytest.raises(CompartmentError, match=r"tissue\.safetensors.*compartments\.cells to rule"):
        finder_for(["network"])


def test_importing_it_imports_no_torch():
    code = "import sys, saliency_stats.compartments.tissue.finder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
