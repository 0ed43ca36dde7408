"""Runs whose contrasts are made up, and what a reader sees of a figure: marks, lines, names of rows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from saliency_stats.execution.schema import TABLES
from saliency_stats.report.figures.style import NothingToDrawError, house_style, save
from saliency_stats.report.run import Run
from saliency_stats.saliency.controls import CONTROLS
from saliency_stats.saliency.methods import METHODS
from saliency_stats.settings import parse
from saliency_stats.statistics import StatisticsParameters
from saliency_stats.statistics.causal import causal_table
from saliency_stats.study.parameters import described
from saliency_stats.vocabulary import TISSUE

IDENTITY = ["patch_id", "slide_id", "patient_id", "label", "split", "magnification", "model", "network", "compartment"]
IMAGES = ("sobel", "haematoxylin", "eosin")
LABELS = ("benign", "malignant")
#: A method of each kind: one from another baseline is drawn as any other is.
SHOWN = (
    *("gradient", "shifted_gradient", "smoothgrad", "guided_backprop", "gradient_x_input", "integrated_gradients"),
    *("deeplift", "grad_cam", "occlusion"),
)
REASON = "slides are unknown"
#: Where the trained network's estimate lies by label.
TRAINED_AT = {"benign": 0.3, "malignant": 0.9}


def _row(at: tuple[str, float], model: str, method: str, reduction: str, *numbers: float) -> dict[str, Any]:
    estimate, p_adjusted, half = numbers
    return {
        "contrast": "cytoplasm_vs_nucleus",
        "label": at[0],
        "magnification": at[1],
        "model": model,
        "method": method,
        "reduction": reduction,
        "test": "sign_flip",
        "status": "tested",
        "reason": "",
        "estimate": estimate,
        "ci_low": estimate - half,
        "ci_high": estimate + 2 * half,
        "p_value": p_adjusted / 10,
        "p_adjusted": p_adjusted,
    }


@dataclass(frozen=True)
class MadeUp:
    """Rows of contrasts, and the runs that hold them."""

    folder: Path
    record: Callable[[Path], Path]

    def controls(self, *magnifications: float) -> list[dict[str, Any]]:
        """Write the trained network, every control and the differences: shuffled is higher, shift hardly lower."""
        rng = np.random.default_rng(1)
        models = [model for control in CONTROLS.values() for model in control.models]
        rows = []
        for magnification, label in product(magnifications, LABELS):
            trained, at = TRAINED_AT[label], (label, magnification)
            rows.append(_row(at, "trained", "gradient", "l2", trained, 0.001, 0.15))
            for model in models:
                below = {"shuffled": -0.4, "shift": 0.02}.get(model, rng.uniform(0.3, 0.6))
                own = (model, "none") if model in IMAGES else ("gradient", "l2")
                rows.append(_row(at, model, *own, trained - below, 0.2, 0.1))
                p_adjusted = 0.3 if model == "shift" else 0.01
                rows.append(_row(at, f"trained-{model}", "gradient", "l2", below, p_adjusted, 0.05))
        return rows

    def methods(self, *magnifications: float) -> list[dict[str, Any]]:
        """Write further maps: those that multiply by the input lean to nuclei, Grad-CAM is unsure."""
        rows = []
        for magnification, label, method in product(magnifications, LABELS, map(METHODS.__getitem__, SHOWN)):
            reductions = ("none",) if method.name in ("grad_cam", "occlusion") else ("l2", "l1", "max")
            for k, reduction in enumerate(reductions):
                if (method.name, reduction) == ("gradient", "l2"):
                    continue
                own = -0.4 if getattr(method, "times_input", False) else TRAINED_AT[label] + 0.1 * k
                p_adjusted = 0.5 if method.name == "grad_cam" else 0.01
                at = (label, magnification)
                rows.append(_row(at, "trained", method.name, reduction, own, p_adjusted, 0.15))
                rows.append(_row(at, "randomised", method.name, reduction, own / 2 - 0.1, 0.3, 0.1))
                rows.append(_row(at, "trained-randomised", method.name, reduction, own / 2 + 0.1, 0.3, 0.1))
        return rows

    def run(
        self, rows: list[dict[str, Any]], *, tested: bool = True, chance: bool = False, folder: Path | None = None
    ) -> Run:
        """Return a run that holds these contrasts, among those of other tests, and recorded all that there is."""
        run = Run.read(folder or self.folder)
        table = pd.DataFrame(rows)
        # every row has the rows of other tests and contrasts beside it, which nothing may show
        others = [table.assign(test="wilcoxon", estimate=9.0), table.assign(contrast="other", estimate=8.0)]
        table = pd.concat([*others, table], ignore_index=True)
        missing = ["ci_low", "ci_high", "p_value", "p_adjusted"]
        if not tested:
            table[missing] = np.nan
            table[["status", "reason"]] = ["no_inference", REASON]
        if chance:
            of_trained = table["model"].str.startswith("trained")
            table.loc[of_trained, missing] = np.nan
            table.loc[of_trained, "status"] = "not_interpretable"
        absent = dict.fromkeys(set(TABLES["contrasts"].required) - set(table.columns), np.nan)
        at = sorted(set(table["magnification"]))
        repeated = {
            name: pd.concat([getattr(run, name).assign(magnification=value) for value in at])
            for name in ("patches", "metrics")
        }
        asked = {"saliency": {"methods": list(SHOWN)}, "controls": list(CONTROLS)}
        recorded = {**run.manifest, **described(parse(asked, "a study of everything"))}
        return Run(run.folder, {}, recorded).changed(contrasts=table.assign(**absent), **repeated)

    def with_alpha(self, alpha: float, folder: Path) -> Path:
        """Copy the run's files to another folder, with another level of significance."""
        for path in self.folder.glob("*.*"):
            (folder / path.name).write_bytes(path.read_bytes())
        study = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
        study["statistics"]["alpha"] = alpha
        (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
        return self.record(folder)


@pytest.fixture
def made_up(small_folder: Path, record: Callable[[Path], Path]) -> MadeUp:
    """Made-up contrasts in a small run's folder."""
    return MadeUp(small_folder, record)


@dataclass(frozen=True)
class Seen:
    """What a reader sees of a figure."""

    def drawn(self, figure: Figure) -> Figure:
        """Lay a figure out."""
        with house_style():
            figure.draw_without_rendering()
        return figure

    def marks(self, axes: Axes) -> pd.DataFrame:
        """Return the marks of a panel: place, colour of face and edge, size (points²), corners of the shape."""
        rows = []
        for found in axes.collections:
            if type(found).__name__ != "PathCollection":
                continue
            offsets = np.asarray(found.get_offsets())
            looks = [found.get_facecolors(), found.get_edgecolors(), found.get_sizes(), found.get_paths()]
            for k, (x, y) in enumerate(offsets):
                face, edge, size, path = (look[k % len(look)] for look in looks)
                rows.append((x, y, to_hex(face).upper(), to_hex(edge).upper(), float(size), shape(path)))
        return pd.DataFrame(rows, columns=["x", "y", "face", "edge", "size", "shape"])

    def segments(self, axes: Axes) -> list[np.ndarray]:
        """Return the lines of intervals of a panel, each as its two ends."""
        found = [line for of in axes.collections if type(of).__name__ == "LineCollection" for line in of.get_segments()]
        return [line for line in map(np.asarray, found) if line.size]

    def intervals(self, axes: Axes) -> pd.DataFrame:
        """Return the lines of intervals of a panel: their place, ends, colour, width and opacity."""
        rows = []
        for found in axes.collections:
            if type(found).__name__ != "LineCollection":
                continue
            lines, colours, widths = found.get_segments(), found.get_colors(), found.get_linewidths()
            for k, line in enumerate(lines):
                (place, low), (other, high) = line if line[0][0] == line[1][0] else line[:, ::-1]
                assert place == other
                *_, opacity = colour = colours[k % len(colours)]
                rows.append((place, low, high, self.hexed(colour), widths[k % len(widths)], opacity))
        return pd.DataFrame(rows, columns=["place", "low", "high", "colour", "width", "opacity"])

    def nothing(self, draw: Callable[..., object], *of: Any) -> str:
        """Return why there is nothing to draw or to say."""
        with pytest.raises(NothingToDrawError) as found:
            draw(*of)
        return str(found.value)

    def lines(self, axes: Axes) -> set[tuple[float, float, float]]:
        """Return the horizontal intervals of a panel: height, low and high end."""
        return {(line[0][1], line[0][0], line[1][0]) for line in self.segments(axes)}

    def hexed(self, colour: Any) -> str:
        """Name a colour."""
        return to_hex(colour).upper()

    def rows(self, axes: Axes) -> dict[str, float]:
        """Return the names of a panel's rows, from above, and their heights."""
        names = [tick.get_text() for tick in axes.get_yticklabels()]
        found = dict(zip(names, axes.get_yticks(), strict=True))
        low, high = axes.get_ylim()
        return dict(sorted(found.items(), key=lambda item: item[1], reverse=bool(low < high)))

    def bold(self, axes: Axes) -> list[str]:
        """Return the names of a panel's rows that are bold."""
        return [tick.get_text() for tick in axes.get_yticklabels() if tick.get_fontweight() == "bold"]

    def legend(self, figure: Figure) -> dict[str, tuple[str, str]]:
        """Return the words of a legend with colour and face of what stands beside each."""
        (legend,) = figure.legends
        handles = []
        for one in legend.legend_handles:
            colour = one.get_color() if hasattr(one, "get_color") else one.get_facecolor()
            face = one.get_markerfacecolor() if hasattr(one, "get_markerfacecolor") else colour
            handles.append((to_hex(colour).upper(), to_hex(face).upper()))
        return dict(zip([text.get_text() for text in legend.get_texts()], handles, strict=True))


def shape(path: Any) -> str:
    """Name the shape of a mark."""
    corners = np.unique(path.vertices.round(6), axis=0)
    upright = {3: "^" if path.vertices[:, 1].argmax() in (0, 3) else "v"}
    tilted = len(corners) == 4 and np.isclose(corners[:, 0], 0).any()
    return upright.get(len(corners), "D" if tilted else "s" if len(corners) == 4 else "o")


def _replaced(run: Run) -> Run:
    """Give a run an ablation, its causal table and its curves, of a decision that lies in the cytoplasm."""
    rng = np.random.default_rng(0)
    rows = run.own_ledger[run.own_ledger["compartment"].isin(TISSUE) & (run.own_ledger["status"] == "measured")]
    rows = rows[rows["split"] == "test"].reset_index(drop=True)
    slide = rows["patch_id"].str[:3].map({name: rng.normal(0, 0.5) for name in sorted(set(rows["patch_id"].str[:3]))})
    own = np.where(rows["model"] == "trained", 2.0, 0.0) * (rows["compartment"] == "cytoplasm")
    does = 1.0 + slide + own + 2 * np.log2(rows["density_ratio"]) + rng.normal(0, 0.6, len(rows))
    parts = []
    for kind, factor in (("mean", 1.0), ("blur", 0.4), ("stain", -0.2)):
        for region, size in (
            ("compartment", does * factor + rng.normal(0, 0.5, len(rows))),
            ("random", 1.2 * factor + rng.normal(0, 0.4, len(rows))),
        ):
            logit = {"logit": 4.0, "logit_ablated": 4.0 - size * rows["area_share"]}
            parts.append(rows[[*IDENTITY, "area_share"]].assign(replacement=kind, region=region, **logit))
    ablation = pd.concat(parts, ignore_index=True)
    causal = causal_table(ablation, run.own_ledger, run.population, StatisticsParameters(bootstrap_draws=2_000))
    curves = [
        rows[IDENTITY].assign(direction=direction, share=share, logit=start + sign * does * np.sqrt(share))
        for direction, start, sign in (("deletion", 4.0, -1), ("insertion", -1.0, 1))
        for share in np.linspace(0, 1, 6)
    ]
    return run.changed(ablation=ablation, causal=causal, ablation_curves=pd.concat(curves, ignore_index=True))


@pytest.fixture(scope="session")
def replaced(tmp_path_factory: pytest.TempPathFactory, make_run: Callable[..., Path]) -> Callable[..., Run]:
    """Makes runs in which compartments were replaced; those of equal properties are one."""

    @cache
    def make(**properties: Any) -> Run:
        return _replaced(Run.read(make_run(tmp_path_factory.mktemp("replaced") / "run", **properties)))

    return make


@pytest.fixture(scope="session")
def seen() -> Seen:
    """Looks at figures as a reader does."""
    return Seen()


@pytest.fixture(scope="session")
def equal_bytes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[], Figure]], bool]:
    """Tells whether a figure drawn twice is the same file."""

    def equal(draw: Callable[[], Figure]) -> bool:
        folder = tmp_path_factory.mktemp("twice")
        with house_style():
            one, other = (save(draw(), folder / f"{name}.png").read_bytes() for name in "ab")
        return one == other and len(one) > 10_000

    return equal
