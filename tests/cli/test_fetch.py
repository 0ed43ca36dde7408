"""The command `fetch`: its streams, its options and its exit status."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from saliency_stats import settings
from saliency_stats.cli.app import main
from saliency_stats.fetching import weights


def call(*arguments):
    return CliRunner().invoke(main, ["fetch", *map(str, arguments)])


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)


def test_the_table_is_for_a_program_and_the_rest_for_a_person(camelyon, tmp_path):
    result = call("camelyon16", "--out", tmp_path, "--slides", 4, "--url", camelyon.url)
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'slides.csv'}\n")
    assert result.stderr == "4 slides: 2 with tumour, 2 without; 0.0 GB in 6 files to load\n"
    assert len(list((tmp_path / "images").iterdir())) == 4


def test_a_list_is_printed_and_nothing_is_loaded(camelyon, tmp_path):
    result = call("camelyon16", "--list", "--out", tmp_path / "new", "--url", camelyon.url)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0].split() == ["slide", "class", "split", "GB", "state"]
    assert not (tmp_path / "new").exists()


def test_options_reach_the_download(camelyon, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        "saliency_stats.fetching.camelyon16_download.fetch", lambda out, **options: seen.update(options, out=out) or out
    )
    assert call("camelyon16", "--out", tmp_path, "--verify", "--no-annotations").exit_code == 0
    del seen["note"]
    bucket = "https://camelyon-dataset.s3.us-west-2.amazonaws.com"
    assert seen == {
        "out": tmp_path,
        "slides": None,
        "annotations": False,
        "verify": True,
        "url": bucket,
        "show": False,
    }


def test_a_dropping_connection_is_taken_up_again(camelyon, tmp_path):
    camelyon.drops["CAMELYON16/images/tumor_001.tif"] = [300_000, 300_000]
    assert call("camelyon16", "--out", tmp_path, "--slides", 1, "--url", camelyon.url).exit_code == 0
    assert len(camelyon.loads("CAMELYON16/images/tumor_001.tif")) == 3


def test_what_the_server_refuses_is_a_message(camelyon, tmp_path):
    camelyon.refused["CAMELYON16/images/tumor_001.tif"] = 404
    result = call("camelyon16", "--out", tmp_path, "--slides", 1, "--url", camelyon.url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "tumor_001.tif: the server answers 404" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("arguments", [["camelyon16", "--slides", "0"], ["camelyon17"], ["stardist", "--slides", "1"]])
def test_wrong_options_are_wrong_usage(arguments):
    assert call(*arguments).exit_code == 2


def test_too_many_slides_are_wrong_usage(camelyon, tmp_path):
    result = call("camelyon16", "--out", tmp_path, "--slides", 99, "--url", camelyon.url)
    assert (result.exit_code, "8 usable slides" in result.stderr) == (2, True)


@pytest.mark.parametrize("what", ["densenet201", "stardist"])
def test_weights_are_named_by_their_path(monkeypatch, tmp_path, what):
    monkeypatch.setattr(weights, f"fetch_{what}", lambda **_: tmp_path / what)
    result = call(what)
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / what}\n")


def test_every_thing_to_fetch_has_help():
    listed = call("--help").stdout
    for what in ("camelyon16", "densenet201", "stardist"):
        assert f"  {what}" in listed
        assert "--url" not in call(what, "--help").stdout


STUDY = Path(__file__).parents[2] / "analyses" / "camelyon16.yaml"


def test_the_study_of_the_data_reads_the_table_that_is_written():
    study = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    options = {option.name: option for option in main.commands["fetch"].commands["camelyon16"].params}
    written = STUDY.parents[1] / options["out"].default / "slides.csv"
    assert (STUDY.parent / study["cohort"]["table"]).resolve() == written.resolve()


def test_the_study_of_the_data_is_valid():
    loaded = settings.load(STUDY)
    assert (loaded.cohort.kind, loaded.cohort.size_px, loaded.cohort.magnifications) == ("slides", 256, [5, 10, 20, 40])
    assert (loaded.classifier.trainable, loaded.classifier.weights) == ("head", "imagenet")


@pytest.mark.parametrize(
    ("options", "numbers"), [((), "012"), (("--lite", "1"), "1"), (("--lite", "2", "--lite", "0"), "20")]
)
def test_the_lites_are_loaded_one_after_the_other(monkeypatch, options, numbers):
    monkeypatch.setattr("saliency_stats.fetching.imagenet_lite.fetch_lite", lambda name: Path("cache") / name)
    result = call("imagenet-lite", *options)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"cache/efficientnet_lite{number}" for number in numbers]


def test_there_is_no_other_lite():
    assert call("imagenet-lite", "--lite", "3").exit_code == 2
