"""Which contrasts of a study lie within the margin: equivalence, corrected inside each family (NumPy, pandas)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from saliency_stats.statistics.contrasts import Sampled
from saliency_stats.statistics.crossing import CROSSED
from saliency_stats.statistics.equivalence import Estimate, equivalences
from saliency_stats.statistics.inference import NAN
from saliency_stats.statistics.parameters import StatisticsParameters
from saliency_stats.statistics.simultaneous import rows_of


def with_equivalence(
    table: pd.DataFrame, samples: Sequence[Sampled], together: Sequence[str], settings: StatisticsParameters
) -> pd.DataFrame:
    """Test for each sample whether its mean lies within the study's margin, by the counterpart of the deciding test.

    Parameters
    ----------
    table : DataFrame
        For every sample, in order, one row per test of :func:`tests_of`; only what is ``tested`` belongs to a family.
    together : sequence of str
        Columns that together name a family.

    Returns
    -------
    DataFrame
        With the columns p_equivalence, p_equivalence_adjusted and least_margin, alike in all rows of a sample and empty
        where the deciding test was not possible; see :func:`~saliency_stats.statistics.equivalence.equivalences`.
    """
    found = np.full((len(table), 3), NAN)
    families: dict[tuple[object, ...], list[tuple[slice, Any, float]]] = {}
    for sample, names, rows in rows_of(samples):
        deciding = settings.deciding_test(sample.units.n_networks)
        row = table.iloc[rows.start + names.index(deciding)] if deciding in names else None
        if row is not None and row["status"] == "tested":
            question: Any = sample.units.means
            if deciding == CROSSED:
                question = Estimate(row["estimate"], row["se"], row["df"], row["skewness"], int(row["n_units"]))
            key = tuple(row[name] for name in together)
            families.setdefault(key, []).append((rows, question, float(row["p_attainable"])))
    for members in families.values():
        answers = equivalences(
            [question for _, question, _ in members],
            [attainable for _, _, attainable in members],
            margin=settings.equivalence_margin,
            alpha=settings.alpha,
            draws=settings.bootstrap_draws,
            seed=settings.seed,
        )
        for (rows, _, _), answer in zip(members, answers, strict=True):
            found[rows] = answer.p_value, answer.p_adjusted, answer.least_margin
    columns = ("p_equivalence", "p_equivalence_adjusted", "least_margin")
    return table.assign(**dict(zip(columns, found.T, strict=True)))
