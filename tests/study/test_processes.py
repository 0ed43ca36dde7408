"""A batch is a pure, picklable function: in other processes it gives the same bytes as on threads."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from saliency_stats import Study
from saliency_stats.execution.engine import Futures, Threads, one_thread
from saliency_stats.settings.study import load

pytestmark = pytest.mark.usefixtures("undrawn")
# what is left out would only make the test longer: these tables come from batches
CHOSEN = (
    "classifier.architecture=torchvision:squeezenet1_1",
    "controls=[randomised, sobel, shift]",
    "causal.patches_per_class=1",
    "cohort.patches_per_slide=4",
)


@pytest.fixture(scope="module")
def study(study_file):
    return Study(load(study_file, CHOSEN))


def test_other_processes_give_the_same_bytes(study, tmp_path):
    """Two trainings and ten batches in spawned processes, each of which loads torch: the test takes its time."""
    on_threads = study.run(tmp_path / "threads", engine=Threads(2))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawn, one_thread) as pool:
        elsewhere = study.run(tmp_path / "processes", engine=Futures(pool))
    names = sorted(path.name for path in on_threads.folder.glob("*.csv"))
    assert {"ledger.csv", "ablation.csv", "importance.csv", "contrasts.csv", "shift.csv"} <= set(names)
    for name in names:
        assert (elsewhere.folder / name).read_bytes() == (on_threads.folder / name).read_bytes(), name
