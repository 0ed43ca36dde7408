"""What is added by one class or function is run, tested, named and drawn: by the registries, and by a study file."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from saliency_stats import Study
from saliency_stats.saliency import CONTROLS, METHODS, Control
from saliency_stats.saliency.batched import Batched
from saliency_stats.saliency.gradient import logits_and_gradient
from saliency_stats.settings.study import load
from saliency_stats.statistics import TESTS, Test, register
from saliency_stats.statistics.inference import NAN, Inference

pytestmark = pytest.mark.usefixtures("small_densenets")
MINE = """
class Even:
    name = "even"
    words = "an even map"
    one_channel = True

    def attribute(self, model, images, target, seeds):
        return images[:, :1] * 0 + 1


class Dark:
    name = "dark"
    words = "darkness"

    def map(self, image, stained):
        return 255.0 - image.mean(axis=-1)
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Doubled(Batched):
    """Twice the gradient: the same shares."""

    name = "doubled"
    words = "twice the gradient"
    cost = 1.0

    def _explain(self, model, images, target):
        return 2 * logits_and_gradient(model, images, target)[1]


def signs(units, **_):
    found = stats.binomtest(int((units.means > 0).sum()), units.n)
    return Inference(found.statistic, NAN, found.pvalue, NAN, NAN)


@pytest.fixture(scope="module")
def run(study_file, small_densenets, tmp_path_factory):
    """One run with everything added, from a study file beside which the user's own classes lie."""
    folder = tmp_path_factory.mktemp("additions")
    (folder / "mine.py").write_text(MINE, encoding="utf-8")
    path = folder / "study.yaml"
    path.write_text(
        study_file.read_text(encoding="utf-8")
        + "controls: [randomised, bright, python:mine:Dark]\ncausal: {replacements: []}\n",
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(METHODS, "doubled", Doubled())
        bright = Control(
            name="bright",
            group="images alone",
            words="images alone: brightness",
            models={"bright": "brightness"},
            map=lambda image, _: image.mean(axis=-1, dtype=np.float32),
        )
        patched.setitem(CONTROLS, "bright", bright)
        register(Test("signs", "sign test over slides", signs))
        try:
            methods = "saliency.methods=[gradient, doubled, 'python:mine:Even']"
            # a method in an assignment is relative to the working directory
            patched.chdir(folder)
            yield Study(load(path, (methods,))).run(folder / "run", workers=1)
        finally:
            del TESTS["signs"]


def test_a_method_has_its_rows_and_the_shares_that_follow_from_it(run):
    ledger = run.ledger[run.ledger["model"] == "trained"].astype({"method": "str"})
    ledger = ledger.set_index(["patch_id", "compartment", "method"])
    shares = ledger["mass_share"].unstack("method")
    assert list(shares.columns) == ["doubled", "even", "gradient"]
    np.testing.assert_allclose(shares["doubled"], shares["gradient"], rtol=1e-5)
    even = run.ledger[run.ledger["method"] == "even"]
    np.testing.assert_allclose(even["mass_share"], even["area_share"], atol=1e-6)
    assert set(even["reduction"]) == {"none"}


def test_an_image_control_is_a_model_and_a_method_of_its_own(run):
    rows = run.ledger[run.ledger["model"].isin(["bright", "dark"])]
    assert (rows["model"].astype("str") == rows["method"].astype("str")).all()
    assert set(rows["model"]) == {"bright", "dark"}
    assert {"trained-bright", "trained-dark"} <= set(run.contrasts["model"])


def test_a_test_has_its_rows_in_every_contrast(run):
    rows = run.contrasts[run.contrasts["test"] == "signs"]
    assert len(rows) == (run.contrasts["test"] == "sign_flip").sum()
    asked = rows[(rows["status"] == "tested") & (rows["model"] == "trained")]
    assert asked["p_value"].between(0, 1).all()


def test_their_words_are_in_the_record_and_on_the_page(run):
    assert run.words("methods", "doubled") == "twice the gradient"
    assert run.words("methods", "even") == "an even map"
    assert run.words("controls", "bright") == "brightness"
    assert run.words("controls", "dark") == "darkness"
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "sign test over slides" in page
    for name in ("controls", "methods"):
        assert (run.folder / "figures" / f"{name}.png").is_file()


def test_the_run_is_read_again_without_the_classes(run, tmp_path, monkeypatch):
    """A report is drawn anew on a machine that has the tables alone."""
    monkeypatch.chdir(tmp_path)
    again = type(run).read(run.folder)
    assert again.method == "gradient"
    assert again.words("controls", "dark") == "darkness"
