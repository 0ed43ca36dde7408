"""One look for every figure: colours for colour-blind readers, sizes of a paper's column, fixed bytes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch as ColourPatch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from saliency_stats.errors import SaliencyStatsError
from saliency_stats.execution.files import atomic
from saliency_stats.typing import Float64Array
from saliency_stats.vocabulary import COMPARTMENTS

#: Okabe and Ito's palette (2008), which readers with any colour vision tell apart.
COMPARTMENT_COLOURS: Final = {
    "nucleus": "#0072B2",
    "cytoplasm": "#E69F00",
    "stroma": "#009E73",
    "background": "#8C8C8C",
}
TRAINED_COLOUR: Final = "#1A1A1A"
CONTROL_COLOUR: Final = "#8A8A8A"
DIFFERENCE_COLOUR: Final = "#B5568F"
QUIET: Final = "#5F6B76"
#: Saliency is shown in a map of even lightness steps, dark for little.
SALIENCY_MAP: Final = "inferno"
#: A double-column figure of most journals is 170 to 180 mm wide.
WIDTH_IN: Final = 7.0
DPI: Final = {"png": 200, "pdf": 300}

#: The house's changes to seaborn's theme for papers.
_RC: Final[Any] = {
    "axes.titlesize": 8.0,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    **{f"{axis}tick.major.{what}": value for axis in "xy" for what, value in (("width", 0.7), ("size", 3.0))},
    "lines.solid_capstyle": "butt",  # an interval ends where it ends
    "legend.frameon": False,
    "pdf.fonttype": 42,  # TrueType, so that journals find embedded and editable text
    "text.parse_math": False,  # a dollar sign in the name of a slide is a dollar sign
}
#: Of seaborn's letters: 7.5 points in labels, less in ticks.
_SCALE: Final = 7.5 / 9.6


@contextmanager
def house_style() -> Iterator[None]:
    """Draw inside this: seaborn's theme for papers with the house's changes, whatever the user's own settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        # DejaVu Sans comes with matplotlib, so a figure is the same everywhere; colour codes ("k") would outlive this
        sns.set_theme("paper", "ticks", font="DejaVu Sans", font_scale=_SCALE, color_codes=False, rc=_RC)
        yield


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """Return an empty figure of the house's width, laid out by constraints."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


class NothingToDrawError(SaliencyStatsError):
    """A figure has nothing to show; the message says why."""


def some(table: pd.DataFrame, reason: str) -> pd.DataFrame:
    """Return a table that a figure shows; where it has no rows, there is nothing to draw for this reason."""
    if table.empty:
        raise NothingToDrawError(reason)
    return table


def empty_figure(reason: str) -> Figure:
    """Return a figure that says why there is nothing to draw."""
    figure = new_figure(1.1)
    figure.text(0.5, 0.5, f"nothing to draw: {reason}", ha="center", va="center", color=QUIET, wrap=True)
    return figure


def with_legend(figure: Figure, handles: Sequence[Any], columns: int, where: str = "lower") -> Figure:
    """Give a figure its legend, outside the panels at the ``"lower"`` or ``"upper"`` edge, and return the figure."""
    place: Any = f"outside {where} center"
    figure.legend(handles=handles, loc=place, ncols=columns)
    return figure


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PDF or PNG, atomically and without dates, so that equal figures are equal bytes."""
    kind = path.suffix[1:]
    dated = {"pdf": ("CreationDate", "ModDate", "Producer", "Creator"), "png": ("Software",)}[kind]
    with atomic(path) as partial:
        figure.savefig(partial, format=kind, dpi=DPI[kind], metadata=dict.fromkeys(dated))
    return path


def save_both(figure: Figure, path: Path) -> tuple[Path, Path]:
    """Write a figure as PNG and, with the same layout, as PDF beside it; ``path`` has no ending."""
    png = save(figure, path.with_name(f"{path.name}.png"))
    # solved once: quicker, and the two are alike
    figure.set_layout_engine("none")
    return png, save(figure, path.with_name(f"{path.name}.pdf"))


def spread(n: int, width: float) -> Float64Array:
    """Return `n` offsets within ±width/2 that keep neighbours apart: multiples of the golden ratio."""
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    return np.asarray((np.mod(np.arange(1, n + 1) * golden, 1.0) - 0.5) * width)


def ratio_axis(axes: Axes, which: str, low: float, high: float) -> None:
    """Label a log2 axis (``"x"`` or ``"y"``) with plain ratios, at ticks that suit its range."""
    pad = 0.08 * max(high - low, 0.5)
    low, high = low - pad, high + pad
    fine = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0)
    middle = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
    span = high - low
    ratios = fine if span <= 1.3 else middle if span <= 3.4 else tuple(2.0**k for k in range(-12, 13))  # noqa: PLR2004 - spans at which ticks crowd
    ticks = [float(np.log2(value)) for value in ratios if low <= np.log2(value) <= high]
    getattr(axes, f"set_{which}lim")(low, high)
    axis: Any = getattr(axes, f"{which}axis")
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _position: f"{2.0**value:.4g}"))


def compartment_handles(names: tuple[str, ...] = COMPARTMENTS) -> list[ColourPatch]:
    """Return legend entries for the compartments."""
    return [ColourPatch(facecolor=COMPARTMENT_COLOURS[name], label=name) for name in names]


def line_handle(label: str, colour: str, style: Any = "-", width: float = 1.4) -> Line2D:
    """Return one legend entry for a line."""
    return Line2D([], [], color=colour, linestyle=style, linewidth=width, label=label)
