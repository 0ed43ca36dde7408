"""A finished run's folder from simulated tables: the shape of a real one without a classifier."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml

from saliency_stats.cohort.phantom.phantom import Phantom
from saliency_stats.execution.manifest import artefact_hashes
from saliency_stats.execution.recorded import write_manifest
from saliency_stats.execution.schema import TABLES
from saliency_stats.report.benchmark import BENCHMARK_COLUMNS
from saliency_stats.report.networks import averaged
from saliency_stats.report.run import Run
from saliency_stats.settings import parse
from saliency_stats.statistics import (
    StatisticsParameters,
    primary_population,
    study_contrasts,
    study_flow,
    verdicts,
)
from saliency_stats.study.parameters import described
from saliency_stats.vocabulary import COMPARTMENT_CODES, COMPARTMENTS

HOSTILE = '<script>alert("x")</script>'
MIN_CONFIDENCE = 0.9
IDENTITY = ["patch_id", "slide_id", "patient_id", "label", "split", "magnification"]
JUDGED_AT = {"magnification": 20.0, "label": "benign", "split": "test"}
EXAMPLE = ["file", "model", "method", "patch_id", "slide_id", "label", "magnification", "mpp", "p_true", "rank"]


@dataclass(frozen=True)
class Simulation:
    """What kind of run to make up."""

    slides: int = 8
    patches: int = 8
    known_slides: bool = True
    labels: tuple[str, ...] = ("benign", "malignant")
    magnifications: tuple[float, ...] = (20.0,)
    control: bool = True
    learned: bool = True
    chance: tuple[float, ...] = ()  # magnifications at which the classifier learned nothing, though it did elsewhere
    nothing_correct: bool = False
    manifest: bool = True  # else it says no more than what was written
    examples: int = 1
    seed: int = 0
    networks: int = 1
    classes: tuple[str, ...] = ()  # names of the two, where the study states them

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(str(k + 1) for k in range(self.networks))

    @property
    def models(self) -> tuple[str, ...]:
        return ("trained", "randomised") if self.control else ("trained",)

    def learned_at(self, magnification: float) -> bool:
        return self.learned and magnification not in self.chance


def write_run(folder: Path, sim: Simulation) -> Path:
    """Write the folder that a run with these properties would leave."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sim.seed)
    patches = _patches(sim)
    used = patches[patches["status"] == "used"]
    predictions = pd.concat([_predictions(used, sim, rng).assign(network=name) for name in sim.names])
    metrics = pd.concat([_metrics(predictions[predictions["network"] == n], used, sim, n) for n in sim.names])
    if sim.networks > 1:
        together = metrics[metrics["network"] == "1"].assign(network="all", n_patches=0, balanced_accuracy=0.9375)
        metrics = pd.concat([metrics, together], ignore_index=True)
    areas: dict[str, np.ndarray] = {}
    measured = used[used["split"] == "test"]
    ledger = pd.concat([_ledger(measured, sim, rng, areas).assign(network=name) for name in sim.names])
    every, every_ledger, every_metrics = predictions, ledger, metrics
    if sim.networks > 1:  # the statistics see the mean of the networks; the row of the crossed test is made up
        first = predictions[predictions["network"] == "1"]
        predictions, metrics = first, metrics[metrics["network"] == "all"]
        ledger = averaged(ledger).assign(network="1")
    population = primary_population(predictions, min_confidence=MIN_CONFIDENCE)
    classes = parse(_study(sim), "a simulated study").cohort.two_classes
    settings = StatisticsParameters(bootstrap_draws=2_000, min_confidence=MIN_CONFIDENCE, classes=classes)
    learned = {value: sim.learned_at(value) for value in sim.magnifications}
    contrasts = study_contrasts(ledger, predictions, settings=settings, learned=learned)
    found = verdicts(contrasts, metrics, settings)
    if sim.networks > 1:
        contrasts = _crossed(contrasts, sim)
        of_several = f"{sim.networks} networks"
        found = [
            {**one, "survives": survives(), "sentence": one["sentence"].replace("this network", of_several)}
            for one in found
        ]
    for rung in (rung for one in found for rung in one["survives"]):
        rung["parts"] = [*rung["parts"], *rung["parts"]]  # as of two controls
    tables = {
        "patches": patches,
        "predictions": every,
        "metrics": every_metrics,
        "training": pd.concat([_training(sim, rng).assign(network=name) for name in sim.names]),
        "ledger": every_ledger,
        "profile": _profile(sim, rng).iloc[: 0 if sim.nothing_correct else None],
        "contrasts": contrasts,
        "selection": study_flow(patches, predictions, ledger, population, evaluation_split="test"),
        "examples": _examples(folder, population.patches, predictions, used, sim),
    }
    for name, table in tables.items():
        absent = dict.fromkeys(column for column in TABLES[name].required if column not in table)
        table.assign(**absent).to_csv(folder / f"{name}.csv", index=False)
    (folder / "verdict.json").write_text(json.dumps(found), encoding="utf-8")
    (folder / "study.yaml").write_text(yaml.safe_dump(_study(sim), sort_keys=False), encoding="utf-8")
    write_manifest(folder, _manifest(sim) if sim.manifest else {})
    return record(folder)


def _crossed(contrasts: pd.DataFrame, sim: Simulation) -> pd.DataFrame:
    """Give contrasts the rows of the crossed test, and of all test patches, of a study of several networks."""
    contrasts = contrasts[(contrasts["population"] == "judged") & (contrasts["test"] != "crossed")]
    flips = contrasts[contrasts["test"] == "sign_flip"]
    half = (flips["ci_high"] - flips["ci_low"]) * 0.75
    numbers = {"n_networks": sim.networks, "var_network": 0.01, "var_unit": 0.04, "var_interaction": 0.0025}
    numbers |= {"network_share": 0.42, "p_attainable": 0.0078, "n_effective_units": 6.5}
    crossed = flips.assign(test="crossed", ci_low=flips["estimate"] - half, ci_high=flips["estimate"] + half, **numbers)
    limits = {f"bound_{side}": crossed["estimate"] + by for side, by in (("low", -0.2), ("high", 0.1))}
    crossed = crossed.assign(weighted_estimate=crossed["estimate"] + 0.02, **limits)
    both = pd.concat([contrasts, crossed], ignore_index=True).assign(population="judged")
    own = both[(both["contrast"] == "cytoplasm_vs_nucleus") & (both["model"] == "trained")]
    names = ("cytoplasm_vs_nucleus_centred", "matched_sobel", "matched_sobel_excess")
    more = [own.assign(contrast=name, estimate=own["estimate"] - 0.05) for name in names]
    every = own.assign(population="all test patches", estimate=own["estimate"] - 0.1)
    return pd.concat([both, every, *more], ignore_index=True)


RUNGS = ("maps", "training", "picture", "place", "method", "decision", "networks", "analyses")


def survives(*answers: str) -> list[dict[str, object]]:
    """What a verdict survives: the answers given, then "yes"."""
    part = {"name": "randomised", "estimate": 0.49, "ci_low": 0.26, "ci_high": 0.68, "p_value": 0.004}
    rungs = []
    for k, rung in enumerate(RUNGS):
        answer = answers[k] if k < len(answers) else "yes"
        numbers = "1.40 times the untrained networks (95 % CI 1.2–1.6; p = 0.004)"
        rungs.append(
            {
                "rung": rung,
                "question": f"Question of the {rung}?",
                "answer": answer,
                "numbers": numbers if answer in {"yes", "no"} else "",
                "why": "" if answer == "yes" else f"why {rung} is so",
                "parts": [{**part, "answer": answer}] if rung == "training" else [],
            }
        )
    return rungs


def record(folder: Path) -> Path:
    """Note the files of a run in its manifest as they are now, as if the run had written them so."""
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    write_manifest(folder, {**content, "artefacts": artefact_hashes(folder)})
    return folder


def _patches(sim: Simulation) -> pd.DataFrame:
    rows = []
    counts = range(2 * sim.slides), range(sim.patches)
    for magnification, label, slide, k in product(sim.magnifications, sim.labels, *counts):
        name = f"{label[0]}{slide:02d}-{k:02d}"
        status = "used"
        if (slide, k) == (0, 0):
            name += HOSTILE
        if (slide, k) == (1, 1):
            status = f"excluded: {name}.png: the file ends too early {HOSTILE}"
        if slide < 3 and k == 2:
            status = "excluded: no tissue: 98 % of the patch is background"
        rows.append(
            {
                "patch_id": name,
                "slide_id": f"slide_{label[0]}{slide:02d}$" if sim.known_slides else "",
                "patient_id": "",
                "label": label,
                "split": "test" if slide % 2 else ("train" if slide % 4 else "valid"),
                "magnification": magnification,
                "mpp": 10.0 / magnification,
                "x_um": 0.0,
                "y_um": 0.0,
                "source": f"{name}.png",
                "status": status,
            }
        )
    return pd.DataFrame(rows)


def _predictions(used: pd.DataFrame, sim: Simulation, rng: np.random.Generator) -> pd.DataFrame:
    tables = []
    for model in sim.models:
        sign = np.where(used["label"] == "malignant", 1.0, -1.0)
        learned = used["magnification"].map(sim.learned_at)
        gain = np.where(learned, 3.5, 0.4) if model == "trained" else 0.0
        noise = rng.normal(0, 2.0 if model == "trained" else 0.3, len(used))
        margin = -sign * 5 if sim.nothing_correct and model == "trained" else gain * sign + noise
        p = 1 / (1 + np.exp(-margin))
        predicted = np.where(p >= 0.5, "malignant", "benign")
        tables.append(
            used[["patch_id", "magnification", "split", "label"]].assign(
                model=model,
                logit_benign=-margin / 2,
                logit_malignant=margin / 2,
                p_malignant=p,
                predicted=predicted,
                correct=predicted == used["label"],
            )
        )
    return pd.concat(tables, ignore_index=True)


def _metrics(predictions: pd.DataFrame, used: pd.DataFrame, sim: Simulation, network: str) -> pd.DataFrame:
    slides = used.set_index(["patch_id", "magnification"])["slide_id"]
    rows = []
    for (magnification, model, split), table in predictions.groupby(["magnification", "model", "split"]):
        keys = pd.MultiIndex.from_frame(table[["patch_id", "magnification"]])
        recall = table.groupby("label")["correct"].mean()
        balanced = float(recall.mean())
        malignant = (table["label"] == "malignant").to_numpy()
        both = malignant.any() and not malignant.all()
        p = table["p_malignant"].to_numpy()
        auc = (p[malignant][:, None] > p[~malignant]).mean() if both else np.nan
        names = slides.loc[keys]
        learned = sim.learned_at(magnification)
        rows.append(
            {
                "magnification": magnification,
                "model": model,
                "network": network,
                "split": split,
                "n_patches": len(table),
                "n_slides": names[names != ""].nunique(),
                "balanced_accuracy": balanced,
                "balanced_accuracy_low": balanced - 0.03 if learned else min(balanced - 0.03, 0.5),
                "balanced_accuracy_high": min(balanced + 0.03, 1.0),
                "sensitivity": recall.get("malignant", np.nan),
                "specificity": recall.get("benign", np.nan),
                "auc": auc,
                "brier": float(((table["p_malignant"] - (table["label"] == "malignant")) ** 2).mean()),
                "learned": learned and model == "trained",
                "learned_reason": "" if learned else "the interval of the balanced accuracy holds 0.5",
                "interval": "cluster bootstrap over slides" if sim.known_slides else "bootstrap over patches",
                "p_learned": (0.001 if learned else 0.4) if sim.known_slides else np.nan,
            }
        )
    return pd.DataFrame(rows)


def _ledger(
    rows: pd.DataFrame, sim: Simulation, rng: np.random.Generator, sampled: dict[str, np.ndarray]
) -> pd.DataFrame:
    # log2 densities before the shares are closed to 1: nucleus, cytoplasm, stroma, background
    effect = {"trained": (-0.55, 0.45, -0.1, -0.8), "randomised": (0.0, 0.12, 0.02, -0.5)}
    parts, areas, masses = [], [], []
    for model in sim.models:
        own = rng.normal(0, 0.15, 4) if sim.networks > 1 else np.zeros(4)
        for row in rows.itertuples(index=False):
            slide = sampled.setdefault(f"{row.patch_id[:3]}{row.magnification}", rng.normal(0, 0.15, 4))
            area_key = f"area {row.patch_id} {row.magnification}"
            area = sampled.setdefault(area_key, rng.dirichlet((12.0, 16.0, 14.0, 3.0)))
            if row.patch_id.startswith("b05"):
                area = sampled.setdefault(f"{area_key} few nuclei", np.array([0.005, 0.3, 0.5, 0.195]))
            mass = area * 2.0 ** (np.array(effect[model]) + own + slide + rng.normal(0, 0.2, 4))
            areas.append(area)
            masses.append(mass / mass.sum())
        parts.append(rows[IDENTITY].assign(model=model, method="gradient", reduction="l2"))
    patches = pd.concat(parts, ignore_index=True)
    area, mass = np.array(areas).reshape(-1), np.array(masses).reshape(-1)
    small = area < 0.02
    return (
        patches.loc[patches.index.repeat(len(COMPARTMENTS))]
        .assign(
            compartment=np.tile(COMPARTMENTS, len(patches)),
            area_share=area,
            mass_share=mass,
            density_ratio=np.where(small, np.nan, mass / area),
            status=np.where(small, "missing: area share below 0.02", "measured"),
        )
        .reset_index(drop=True)
    )


def _profile(sim: Simulation, rng: np.random.Generator) -> pd.DataFrame:
    distance = np.arange(-5.5, 15.5, 1.0)
    slides = range(1, 2 * sim.slides, 2) if sim.known_slides else (None,)
    tables = []
    for magnification, label, slide, model in product(sim.magnifications, sim.labels, slides, sim.models):
        strength = 0.45 if model == "trained" else 0.08
        curve = 1 + strength * (np.exp(-(((distance - 3) / 3) ** 2)) - 0.8 * (distance < 0))
        row = {
            "slide_id": "" if slide is None else f"slide_{label[0]}{slide:02d}$",
            "label": label,
            "magnification": magnification,
            "model": model,
            "method": "gradient",
            "reduction": "l2",
            "distance_um": distance,
            "mean_saliency_ratio": curve + rng.normal(0, 0.05) + rng.normal(0, 0.02, distance.size),
            "n_pixels": 2000,
            "n_patches": sim.patches,
        }
        tables.append(pd.DataFrame(row))
    return pd.concat(tables, ignore_index=True)


def _training(sim: Simulation, rng: np.random.Generator) -> pd.DataFrame:
    epoch = np.arange(1, 11)
    loss = 0.7 * np.exp(-epoch / 4) + 0.05
    accuracy = 0.97 - 0.4 * np.exp(-epoch / 3)
    row = {
        "model": "trained",
        "epoch": epoch,
        "loss_train": loss,
        "loss_valid": loss * 1.2 + rng.normal(0, 0.02, epoch.size),
        "balanced_accuracy_train": accuracy,
        "balanced_accuracy_valid": accuracy - 0.03,
        "learning_rate": 1e-3,
        "chosen": epoch == 8,
    }
    return pd.concat([pd.DataFrame({"magnification": value, **row}) for value in sim.magnifications])


def _examples(
    folder: Path, kept: pd.DataFrame, predictions: pd.DataFrame, used: pd.DataFrame, sim: Simulation
) -> pd.DataFrame:
    trained = predictions[predictions["model"] == "trained"]
    kept = kept.merge(used, on=["patch_id", "magnification", "label"]).merge(
        trained[["patch_id", "magnification", "p_malignant"]], on=["patch_id", "magnification"]
    )
    kept["p_true"] = np.where(kept["label"] == "malignant", kept["p_malignant"], 1 - kept["p_malignant"])
    kept = kept.sort_values("p_true", ascending=False)
    if sim.known_slides:
        kept = kept.drop_duplicates(["magnification", "label", "slide_id"])
    kept["rank"] = kept.groupby(["magnification", "label"]).cumcount() + 1
    kept = kept[kept["rank"] <= sim.examples]
    (folder / "examples").mkdir(exist_ok=True)
    phantom = Phantom()
    density = {"trained": (0.8, 0.6, 2.0, 1.0), "randomised": (0.9, 1.0, 1.1, 1.0)}  # by code: bg, nucleus, …
    rows = []
    for number, row in enumerate(kept.itertuples(index=False)):
        made = phantom.render(np.random.default_rng([sim.seed, number]), row.label)
        for model in sim.models:
            noise = np.random.default_rng([sim.seed, number, 1]).gamma(1.2, 1.0, made.truth.shape)
            saliency = (noise * np.array(density[model])[made.truth] * 1e-3).astype(np.float32)
            file = f"{number:03d}_{model}.npz"
            np.savez(folder / "examples" / file, image=made.image, saliency=saliency, compartments=made.truth)
            kept_too = {name: getattr(row, name) for name in EXAMPLE[3:]}
            rows.append({"file": file, "model": model, "method": "gradient"} | kept_too)
    assert COMPARTMENT_CODES["cytoplasm"] == 2
    return pd.DataFrame(rows, columns=EXAMPLE)


def _study(sim: Simulation) -> dict[str, object]:
    return {
        "name": "simulated_study.and-co",
        "seed": 7,
        "cohort": {
            "kind": "phantom",
            "signal": "cytoplasm",
            "evaluation_split": "test",
            "classes": {name: [f"word {k}"] for k, name in enumerate(sim.classes)},
        },
        "classifier": {"architecture": "densenet201", "weights": "none", "trainable": "all", "epochs": 10},
        "saliency": {
            "methods": ["gradient"],
            "reduction": "l2",
            "target": "correct",
            "min_confidence": MIN_CONFIDENCE,
        },
        "compartments": {"nuclei": "classical", "segmentation_mpp": 0.5, "cytoplasm_um": 5.0},
        "controls": ["randomised"] if sim.control else [],
        "statistics": {
            "unit": "slide",
            "alpha": 0.05,
            "correction": "holm",
            "equivalence_margin": 0.1,
            "primary_test": "sign_flip",
        },
    }


def _manifest(sim: Simulation) -> dict[str, object]:
    return {
        "seed": 7,
        "device": "cpu",
        "command": "saliency-stats run study.yaml",
        "versions": {"saliency-stats": "0.1.0", "python": "3.11.9", "torch": "2.4.0"},
        "seconds": {"cohort": 1.25, "classifier": 118.0, "saliency": 42.5, "report": 9.0},
        "inputs": {"b00.png": "ab" * 32},
        "weights": {"trained.safetensors": "cd" * 32},
        **described(parse(_study(sim), "a simulated study")),
    }


@pytest.fixture(name="record", scope="session")
def record_fixture() -> Callable[[Path], Path]:
    """Notes the files of a run in its manifest as they are now, after a test has changed one."""
    return record


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """Writes a run with the given properties of a :class:`Simulation` into a folder."""
    return lambda folder, **properties: write_run(folder, Simulation(**properties))


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run with both classes, known slides and a control."""
    return write_run(tmp_path_factory.mktemp("runs") / "complete", Simulation())


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of which tests spoil copies."""
    return write_run(tmp_path_factory.mktemp("runs") / "small", Simulation(slides=3, patches=3))


def rows_of(name: str, *rows: dict[str, object], **common: object) -> pd.DataFrame:
    """Rows of one of a run's tables: what is not said is "", NaN or False."""
    table = TABLES[name]
    default = {
        **dict.fromkeys(table.text, ""),
        **dict.fromkeys(table.numbers, np.nan),
        **dict.fromkeys(table.flags, False),
    }
    return pd.DataFrame([{**default, **common, **row} for row in rows])


@pytest.fixture(name="rows_of")
def rows_of_fixture() -> Callable[..., pd.DataFrame]:
    """Makes rows of a table of the schema from the few columns that a test is about."""
    return rows_of


@pytest.fixture(scope="session")
def benchmark_rows() -> Callable[..., pd.DataFrame]:
    """Makes rows of ``benchmark.csv``, of all networks unless told otherwise, from the columns that a test is about."""
    texts = {
        "network": "all", "signal": "nucleus", "kind": "attribution", "model": "trained", "reduction": "l2",
        "baseline": "", "learned": True,
    }  # fmt: skip
    score = {"rank_correlation": 0.3, "rank_correlation_low": 0.1, "rank_correlation_high": 0.9}
    default = dict.fromkeys(BENCHMARK_COLUMNS, np.nan) | texts | score | {"magnification": 20.0, "n_patches": 24}

    def make(*rows: dict[str, object]) -> pd.DataFrame:
        return pd.DataFrame([default | row for row in rows])

    return make


@pytest.fixture
def blank_run(tmp_path: Path) -> Callable[..., Run]:
    """Makes a run of the given tables alone; sections of the study are changed key by key."""

    def make(
        study: dict[str, dict[str, object]] | None = None,
        record: dict[str, object] | None = None,
        verdict: list[dict[str, object]] | None = None,
        **tables: pd.DataFrame,
    ) -> Run:
        content = _study(Simulation())
        for section, keys in (study or {}).items():
            before = content.get(section)
            merged = {**before, **keys} if isinstance(before, dict) else keys
            content[section] = {key: value for key, value in merged.items() if value is not None}
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        (tmp_path / "verdict.json").write_text(json.dumps(verdict or []), encoding="utf-8")
        made = {name: tables[name] if name in tables else table.empty() for name, table in TABLES.items()}
        run = Run(tmp_path, {}, _manifest(Simulation()) if record is None else record)
        return run.changed(**made)

    return make


@pytest.fixture
def tables(rows_of: Callable[..., pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables of a run of ten judged patches of ten slides that raises no caveat of its own."""
    names = [f"p{k}" for k in range(10)]
    patches = rows_of(
        "patches", *({"patch_id": name, "slide_id": name[1:]} for name in names), **JUDGED_AT, status="used"
    )
    patches["source"] = patches["patch_id"] + ".png"
    predictions = rows_of(
        "predictions",
        *({"patch_id": name} for name in names),
        **JUDGED_AT,
        model="trained",
        predicted="benign",
        correct=True,
    )
    ledger = rows_of("ledger", *({"patch_id": name} for name in names), **JUDGED_AT, model="trained", method="gradient")
    return {
        "patches": patches,
        "predictions": predictions.assign(p_malignant=0.01),
        "ledger": ledger.assign(reduction="l2", compartment="nucleus", density_ratio=1.0),
        "metrics": rows_of("metrics", {"balanced_accuracy": 0.9}, **JUDGED_AT, model="trained", learned=True),
    }


@pytest.fixture(scope="session")
def browser() -> ModuleType:
    """Opens pages in a Chromium of this machine; where there is none, the test is skipped and says so."""
    path = Path(__file__).parents[2] / "analyses" / "benchmarks" / "explore_speed.py"
    spec = importlib.util.spec_from_file_location("explore_speed", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.browser() is None:
        pytest.skip(f"the page was NOT opened in a browser: none of {', '.join(module.BROWSERS)} is installed")
    return module
