"""The page of all patches: what it holds, what it leaves out and says so, and how fast a browser is with it."""

import base64
import json
import re
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.errors import StorageError
from saliency_stats.imaging.thumbnail import code_thumbnail, image_thumbnail, map_thumbnail
from saliency_stats.report.explore import PICTURES, render_explore, write_explore
from saliency_stats.vocabulary import COMPARTMENTS

LABELS = ("benign", "malignant")
SHARES = {
    "area_share": (0.2, 0.3, 0.4, 0.1),
    "mass_share": (0.1, 0.3, 0.5, 0.1),
    "density_ratio": (0.5, 1.0, 1.25, 1.0),
}


@pytest.fixture(scope="module")
def pictures():
    """Pictures of phantoms as a run keeps them, with noise for maps."""
    made = []
    for k in range(4):
        rng = np.random.default_rng(k)
        drawn = Phantom().render(rng, LABELS[k % 2])
        maps = [map_thumbnail(rng.gamma(1.2, 1.0, drawn.truth.shape), 128) for _ in range(2)]
        shown = (image_thumbnail(drawn.image, 128), code_thumbnail(drawn.truth, 128), *maps)
        made.append(dict(zip(PICTURES, shown, strict=True)))
    return made


@pytest.fixture
def explored(blank_run, rows_of, pictures):
    """A run of patches p0, p1, … that alternate in class, of which p2 is decided wrongly and p4 unsurely."""

    def make(n, study=None, *, network="1", control="randomised", kept=None, **columns):
        names = [f"p{k}" for k in range(n)]
        common = {"magnification": 20.0, "split": "test"}
        each = [{"patch_id": name, "slide_id": f"s{k % 5}", "label": LABELS[k % 2]} for k, name in enumerate(names)]
        patches = rows_of("patches", *each, **common, status="used", mpp=0.5, **columns)
        p_true = [{2: 0.03, 4: 0.6}.get(k, 0.97) for k in range(n)]
        decided = [
            row | {"p_malignant": p if k % 2 else 1 - p, "correct": p > 0.5, "predicted": LABELS[(k + (p < 0.5)) % 2]}
            for k, (row, p) in enumerate(zip(each, p_true, strict=True))
        ]
        maps = [("trained", network, "gradient", "l2")]
        maps += (
            [("randomised", network, "gradient", "l2")] if control == "randomised" else [(control, "", control, "none")]
        )
        ledger = [
            {**row, "model": model, "network": of, "method": method, "reduction": reduction, "compartment": compartment}
            | {name: values[at] for name, values in SHARES.items()}
            for row in each
            for model, of, method, reduction in maps
            for at, compartment in enumerate(COMPARTMENTS)
        ]
        run = blank_run(
            study,
            patches=patches,
            predictions=rows_of("predictions", *decided, **common, model="trained", network=network),
            ledger=rows_of("ledger", *ledger, **common, status="measured"),
        )
        rows = [
            {"patch_id": names[k], "magnification": 20.0, "rank": at, "network": network, "control": control}
            | pictures[k % len(pictures)]
            for at, k in enumerate(range(n) if kept is None else kept)
        ]
        pd.DataFrame(rows).to_parquet(run.folder / "thumbnails.parquet")
        return run

    return make


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_every_patch_with_its_pictures_and_numbers(explored):
    page = render_explore(explored(6, {"cohort": {"classes": {"normal": [0], "tumor": [1]}}}, x_um=12.3456789))
    assert "All 6 patches of the test split are shown. " not in page  # one network: nothing to say of it
    assert "All 6 patches of the test split are shown.</p>" in page
    data = data_of(page)
    patches = data["patches"]
    assert {len(column) for column in patches.values()} == {6}
    assert data["classes"] == ["normal", "tumor"]
    assert data["control"] == "randomised control"
    assert patches["patch_id"] == [f"p{k}" for k in range(6)]
    assert patches["label"] == [0, 1] * 3
    assert patches["p_true"] == [0.97, 0.97, 0.03, 0.97, 0.6, 0.97]
    assert patches["correct"] == [1, 1, 0, 1, 1, 1]
    assert patches["judged"] == ["judged", "judged", "", "judged", "unsure", "judged"]
    assert patches["delta"] == [1.0] * 6
    assert patches["x_um"] == [12.3457] * 6
    assert patches["y_um"] == [None] * 6
    assert patches["area_share"][0] == [0.2, 0.3, 0.4, 0.1]
    assert patches["control_density_ratio"][5] == [0.5, 1.0, 1.25, 1.0]
    assert [words for _, words in data["judged"]] == [
        "judged: right, probability at least 90 %",
        "not judged: right, probability below 90 %",
        "not judged: wrong",
    ]
    image = Image.open(BytesIO(base64.b64decode(patches["image"][3])))
    assert image.size == (128, 128)
    assert len(data["scale"]) == 256
    assert data["scale"][0] < data["scale"][-1]


def test_what_does_not_fit_is_left_out_and_counted(explored):
    run = explored(8, kept=[5, 1, 7, 0], study={"cohort": {"classes": {}}})
    page = render_explore(run)
    assert "4 of 8 patches of the test split are shown, as many as such a page can hold." in page
    assert "drawn at random with the study&#39;s seed: each had the same chance." in page
    assert data_of(page)["patches"]["patch_id"] == ["p5", "p1", "p7", "p0"]
    sizes = run.thumbnails[list(PICTURES)].map(lambda content: len(base64.b64encode(content))).sum(axis=1)
    just = int(sizes[:2].sum())
    assert data_of(render_explore(run, just))["patches"]["patch_id"] == ["p5", "p1"]
    assert data_of(render_explore(run, just - 1))["patches"]["patch_id"] == ["p5"]


def test_the_control_may_be_of_the_image_and_the_network_one_of_several(explored):
    run = explored(4, {"classifier": {"networks": 2}, "cohort": {"folds": 2}}, network="fold2-1", control="sobel")
    other = run.predictions.assign(network="fold2-2", p_malignant=0.5)
    run = run.changed(predictions=pd.concat([run.predictions, other]))
    page = render_explore(run)
    data = data_of(page)
    assert "Maps, numbers and decisions are those of the first of the 2 networks of its fold." in page
    assert data["patches"]["network"] == ["fold2-1"] * 4
    assert data["patches"]["p_true"][0] == 0.97
    assert data["patches"]["control_density_ratio"][0] == [0.5, 1.0, 1.25, 1.0]


def test_all_magnifications_of_a_patch_fit_or_none(explored):
    run = explored(3)
    again = [table.assign(magnification=10.0) for table in (run.patches, run.predictions, run.ledger)]
    both = (pd.concat(pair) for pair in zip((run.patches, run.predictions, run.ledger), again, strict=True))
    run = run.changed(**dict(zip(("patches", "predictions", "ledger"), both, strict=True)))
    kept = pd.read_parquet(run.folder / "thumbnails.parquet")
    pd.concat([kept, kept.assign(magnification=10.0)]).to_parquet(run.folder / "thumbnails.parquet")
    page = render_explore(run)
    assert "All 3 patches of the test split are shown at every magnification." in page
    sizes = kept[list(PICTURES)].map(lambda content: len(base64.b64encode(content))).sum(axis=1)
    found = render_explore(run, int(2 * sizes[:2].sum()) - 1)
    assert data_of(found)["patches"]["patch_id"] == ["p0", "p0"]
    assert "1 of 3 patches" in found
    assert "each had the same chance, and is shown at every magnification." in found


def test_a_run_without_pictures_says_so(blank_run):
    run = blank_run()
    page = render_explore(run)
    assert "there is no <code>thumbnails.parquet</code> in its folder" in page
    assert "--fresh" in page
    assert "<script" not in page
    run = blank_run()
    (run.folder / "thumbnails.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(StorageError, match=r"thumbnails\.parquet cannot be read .*--fresh"):
        render_explore(run)


def test_names_are_escaped_and_nothing_is_loaded_from_elsewhere(explored):
    hostile = '</script><img src="https://example.org/x">'
    page = render_explore(explored(2, source=hostile))
    assert hostile not in page
    assert data_of(page)["patches"]["source"] == [hostile] * 2
    without = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)
    assert not re.search(r"https?://|<link|src=\"(?!data:)|@import|url\(", without)


def test_the_same_run_gives_the_same_bytes(explored):
    run = explored(3)
    assert write_explore(run).read_bytes() == write_explore(run).read_bytes()


# --- in a real browser ---


def test_two_thousand_patches_open_and_filter_at_once(browser, explored):
    page = write_explore(explored(2_000))
    found = browser.measured(page)
    assert found["patches"] == 2_000
    assert found["tiles"] == 60
    assert found["choices"] > 20
    assert found["bytes"] < 60_000_000
    assert found["opened_ms"] < 3_000
    assert found["filter_ms"] < 100, found["slowest"]


#: Goes through the page as its reader does.
READ = """
const until = async (test) => {
  for (let k = 0; k < 500 && !test(); k++) await new Promise((resolve) => setTimeout(resolve, 10));
};
const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const wide = () => document.documentElement.scrollWidth > innerWidth || dialog.scrollWidth > dialog.clientWidth;
const said = () => document.getElementById("found").textContent;
const ids = () => [...list.querySelectorAll("button")].map((tile) => of.patch_id[tile.dataset.patch]);
const choose = (name, value) => {
  form.elements[name].value = value;
  form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
  const got = [said(), ids()];
  form.reset(); // which applies a moment later
  return got;
};
const found = { wide: [wide()], said: said(), alt: [...document.images].slice(0, 2).map((image) => image.alt) };
found.choices = {};
for (const [name, value] of [
  ["label", "1"], ["correct", "0"], ["judged", "=unsure"], ["magnification", "20"], ["slide", "=s1"],
  ["delta_low", "0.5"], ["delta_high", "-0.5"], ["p_low", "0.7"], ["p_high", "0.1"],
  ["order", "δ, largest first"], ["order", "δ, smallest first"], ["order", "slide"],
  ["order", "probability of the true class, smallest first"],
]) {
  found.choices[`${name} ${value}`] = choose(name, value);
  await until(() => said() === found.said && form.elements.order.selectedIndex === 0);
}
found.order = [...form.elements.order.options].map((option) => option.value);
found.drawn = {};
for (const input of document.querySelectorAll("#views input")) {
  input.click();
  await until(() => !!list.querySelector("canvas") === (input.value !== "image") && list.querySelector("img").src);
  const over = list.querySelector("canvas");
  found.drawn[input.value] = over && [over.width, over.height];
  found.legend ??= {};
  found.legend[input.value] = document.getElementById("legend").textContent;
}
const tiles = list.querySelectorAll("button");
tiles[0].focus();
press(tiles[0], "ArrowRight");
found.moved = document.activeElement === tiles[1];
press(tiles[1], "End");
found.end = document.activeElement === tiles[tiles.length - 1];
tiles[2].click();
await until(() => dialog.querySelectorAll(".panels figure").length === 4);
found.opened = dialog.open;
found.patch = dialog.innerText;
found.panels = [...dialog.querySelectorAll(".panels figure")].map((figure) => figure.innerText);
found.wide.push(wide());
const zoom = dialog.querySelector(".panels button"), side = () => zoom.getBoundingClientRect().width;
const small = side();
zoom.click();
found.larger = side() > 1.9 * small;
zoom.click();
found.larger &&= side() === small;
const over = dialog.querySelectorAll("canvas")[0];
const pixels = over.getContext("2d").getImageData(0, 0, over.width, over.height).data;
found.outlined = pixels.some((part, k) => k % 4 === 0 && part === data.outline[0] && pixels[k + 1] === data.outline[1]);
press(dialog, "ArrowRight");
found.next = dialog.querySelector("h2").textContent;
press(dialog, "ArrowLeft");
press(dialog, "ArrowLeft");
press(dialog, "ArrowLeft");
found.first = [dialog.querySelector("h2").textContent, dialog.querySelector("[data-step]").disabled];
press(dialog, "ArrowLeft");
found.stays = dialog.querySelector("h2").textContent;
dialog.querySelector("[data-close]").click();
found.back = [dialog.open, document.activeElement === tiles[0]];
"""


@pytest.fixture
def varied(explored):
    """Six patches of other δ, of which one has none."""
    run = explored(6, x_um=10.0, y_um=20.0)
    delta = dict(zip(run.patches["patch_id"], (0.5, -1.0, 2.0, 0.25, -0.5, None), strict=True))
    cytoplasm = (run.ledger["model"] == "trained") & (run.ledger["compartment"] == "cytoplasm")
    density = 0.5 * 2.0 ** run.ledger["patch_id"].astype(str).map(delta)
    ledger = run.ledger.assign(density_ratio=run.ledger["density_ratio"].where(~cytoplasm, density))
    ledger["status"] = np.where(ledger["density_ratio"].isna(), "missing", "measured")
    return write_explore(run.changed(ledger=ledger))


@pytest.mark.parametrize("width_px", [1280, 375])
def test_a_reader_filters_sorts_and_looks(browser, varied, width_px):
    found = browser.asked(varied, READ, width_px)
    assert found["wide"] == [False, False]
    assert found["said"] == "6 of 6 patches · 83 % right · median δ +0.25"
    assert found["alt"][0] == "Patch p0, benign, 20×, right, δ +0.50"
    assert found["choices"] == {
        "label 1": ["3 of 6 patches · 100 % right · median δ −0.38", ["p1", "p3", "p5"]],
        "correct 0": ["1 of 6 patches · 0 % right · median δ +2.00", ["p2"]],
        "judged =unsure": ["1 of 6 patches · 100 % right · median δ −0.50", ["p4"]],
        "magnification 20": ["6 of 6 patches · 83 % right · median δ +0.25", [f"p{k}" for k in range(6)]],
        "slide =s1": ["1 of 6 patches · 100 % right · median δ −1.00", ["p1"]],
        "delta_low 0.5": ["2 of 6 patches · 50 % right · median δ +1.25", ["p0", "p2"]],
        "delta_high -0.5": ["2 of 6 patches · 100 % right · median δ −0.75", ["p1", "p4"]],
        "p_low 0.7": ["4 of 6 patches · 100 % right · median δ +0.25", ["p0", "p1", "p3", "p5"]],
        "p_high 0.1": ["1 of 6 patches · 0 % right · median δ +2.00", ["p2"]],
        "order δ, largest first": [found["said"], ["p2", "p0", "p3", "p4", "p1", "p5"]],
        "order δ, smallest first": [found["said"], ["p1", "p4", "p3", "p0", "p2", "p5"]],
        "order slide": [found["said"], ["p0", "p5", "p1", "p2", "p3", "p4"]],
        "order probability of the true class, smallest first": [found["said"], ["p2", "p4", "p0", "p1", "p3", "p5"]],
    }
    assert found["drawn"] == {"image": None} | {key: [128, 128] for key in PICTURES[1:]}
    assert found["legend"]["image"] == ""
    assert "outline of a nucleus" in found["legend"]["compartments"]
    assert "much saliency (gradient)" in found["legend"]["saliency"]
    assert [found[name] for name in ("moved", "end", "opened", "outlined", "larger")] == [True] * 5
    assert found["panels"] == ["Image", "Compartments", "Saliency", "Saliency, randomised control"]
    numbers = ("+2.00, that is 4.00 times", "x 10 µm, y 20 µm", "30 %")
    for words in ("p2", "taken for malignant", "not judged: wrong", *numbers):
        assert words in found["patch"], words
    assert found["next"] == "p3"
    assert found["first"] == ["p0", True]
    assert found["stays"] == "p0"
    assert found["back"] == [False, True]
