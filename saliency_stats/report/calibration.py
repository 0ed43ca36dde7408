"""How often a test errs: by the calibration study that ships with the package, and in the run's own design."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import pandas as pd

from saliency_stats.report.words import DASH, percent, whole
from saliency_stats.statistics.registry import words_of

#: A confirmatory test is wrong at least and at most this often at 5 %, wherever effects of slides are symmetric …
SYMMETRIC: Final = (0.03, 0.065)
#: … at most this often where they are skewed, and its intervals cover at least this often where they are symmetric.
SKEWED: Final = 0.10
COVERAGE: Final = 0.93
#: Its power is at least this share of the t test's, where effects are normal and slides equally large.
POWER: Final = 0.9
#: Power of the t test there, by the choice of the simulated effect.
POWER_OF_T: Final = 0.8
#: Fewer simulations do not tell 6 % from 7 %: a test with so few is not judged, and supporting.
MIN_SIMULATIONS: Final = 20_000
#: With fewer slides than this no test is confirmatory.
MIN_SLIDES: Final = 6
#: A design is called unbalanced where a slide has this many times the patches of another.
UNBALANCED: Final = 10.0


@dataclass(frozen=True)
class Calibration:
    """Type-I errors of one test at 5 %, from simulations of the nearest design.

    Parameters
    ----------
    slides, icc, balance
        Of the simulated design: the largest number of slides that is not above the run's, the nearest intraclass
        correlation.
    normal, heavy_tailed, skewed
        Type-I errors by the distribution of the slides' effects.
    confirmatory
        Whether the test holds its level in *every* simulated design with that number of slides.
    """

    slides: int
    icc: float
    balance: str
    normal: float
    heavy_tailed: float
    skewed: float
    confirmatory: bool

    @property
    def words(self) -> str:
        """Say it in a line."""
        shapes = {"normal": self.normal, "heavy-tailed": self.heavy_tailed, "skewed": self.skewed}
        rates = ", ".join(f"{percent(rate)} ({name})" for name, rate in shapes.items())
        return f"{rates} with {self.slides} slides, ICC {self.icc:g}, {self.balance}"


@cache
def _table() -> pd.DataFrame:
    with (files("saliency_stats.report") / "calibration.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file)


def calibration(test: str, n_units: int, icc: float, *, patches_per_unit: tuple[int, int]) -> Calibration | None:
    """Look up how often a test finds something where there is nothing.

    Parameters
    ----------
    n_units
        Independent units of the run.
    icc
        Intraclass correlation of the contrast; NaN where it could not be estimated (then 0 is looked up).
    patches_per_unit
        The fewest and the most.

    Returns
    -------
    Calibration or None
        None where the test, or so few units, were not simulated.
    """
    table = _table()
    rows = table[(table["test"] == test) & (table["slides"] <= n_units)]
    if rows.empty:
        return None
    rows = rows[rows["slides"] == rows["slides"].max()]
    confirmatory = is_confirmatory(rows)
    fewest, most = patches_per_unit
    balance = "unbalanced" if most > UNBALANCED * max(fewest, 1) else "balanced"
    rows = rows[rows["balance"] == balance]
    wanted = icc if np.isfinite(icc) else 0.0
    nearest = rows["icc"].iloc[int(np.argmin(np.abs(rows["icc"].to_numpy() - wanted)))]
    found = rows[rows["icc"] == nearest].set_index("effects")["type_1_error"]
    # without variance between slides the form of their effects does not matter, and only one was simulated
    normal, heavy, skewed = (
        float(found.get(name, found.loc["normal"])) for name in ("normal", "heavy-tailed", "skewed")
    )
    return Calibration(int(rows["slides"].iloc[0]), float(nearest), balance, normal, heavy, skewed, confirmatory)


def is_confirmatory(rows: pd.DataFrame) -> bool:
    """Judge the rows of one test and number of slides; a rate is out of bounds where its whole 95 % interval is.

    Parameters
    ----------
    rows
        Of ``calibration.csv``: ``slides``, ``balance``, ``effects``, ``type_1_low``, ``type_1_high``, ``coverage``,
        ``simulations``, ``power``, ``power_simulations``.
    """
    if int(rows["slides"].iloc[0]) < MIN_SLIDES or int(rows["simulations"].min()) < MIN_SIMULATIONS:
        return False
    symmetric, skewed = rows[rows["effects"] != "skewed"], rows[rows["effects"] == "skewed"]
    low, high = SYMMETRIC
    holds = (symmetric["type_1_high"] >= low) & (symmetric["type_1_low"] <= high)
    error = 1.96 * np.sqrt(COVERAGE * (1 - COVERAGE) / symmetric["simulations"])
    covers = symmetric["coverage"] + error >= COVERAGE
    plain = rows[(rows["effects"] == "normal") & (rows["balance"] == "balanced")]
    wanted = POWER * POWER_OF_T
    finds = plain["power"] + 1.96 * np.sqrt(wanted * (1 - wanted) / plain["power_simulations"]) >= wanted
    return bool(holds.all() and covers.all() and finds.all() and (skewed["type_1_low"] <= SKEWED).all())


def error_words(table: pd.DataFrame, label: str, magnification: float) -> str:
    """Say how often the verdict on a sample errs in studies of the run's own design; "" where that is not known.

    ``table`` is the run's ``calibration.csv``, made by
    :func:`~saliency_stats.statistics.verdict_calibration.calibrate`.
    """
    rows = table[(table["label"] == label) & (table["magnification"] == magnification)]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    if row["reason"]:
        return f"how often the verdict errs in studies like this one was not simulated: {row['reason']}"
    limits = f"{100 * row['low']:.1f}{DASH}{percent(row['high'])}"
    return (
        f"in studies like this one ({row['design']}) in which there is nothing to find, {words_of(row['test'])} finds"
        f" something in {percent(row['type_1_error'])} ({limits}; {whole(row['simulations'])} simulated); what else a"
        " verdict asks can only lower that"
    )
