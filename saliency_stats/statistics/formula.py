"""Models of patch values written as a formula, with a random intercept per slide."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from scipy import linalg

from saliency_stats.errors import StatisticsError
from saliency_stats.statistics.models.design import (
    check_choices,
    coefficient_table,
    known_ids,
    read_design,
    term_weights,
)
from saliency_stats.statistics.models.grouped import GroupedSums
from saliency_stats.statistics.models.linear import LinearTest
from saliency_stats.statistics.models.mixed import Freedom, Method, RandomIntercept, fit_random_intercept
from saliency_stats.statistics.models.nested import NestedIntercepts, nested_intercepts
from saliency_stats.statistics.models.robust import refuse_dependent
from saliency_stats.statistics.units import sample_of
from saliency_stats.typing import Float64Array

#: Share of the groups' indicators that least squares on X may leave by rounding.
_NOTHING: Final = 1e-10


@dataclass(frozen=True, eq=False)
class FormulaFit:
    """A fitted model ``formula + (1 | slide)`` or ``formula + (1 | patient / slide)``.

    Parameters
    ----------
    terms
        (p,) names of the coefficients.
    df, alpha
        Degrees of freedom of the tests; intervals cover ``1 - alpha``.
    n_slides, n_patches, n_missing
        Slides and rows that were used; rows left out because a value is missing.
    notes
        What is unusual about the model, in plain words.
    """

    formula: str
    terms: tuple[str, ...]
    fit: RandomIntercept | NestedIntercepts
    df: Freedom
    alpha: float
    n_slides: int
    n_patches: int
    n_missing: int
    notes: tuple[str, ...]

    @property
    def between(self) -> float:
        """Variance between slides; between slides of one patient where patients are in the model."""
        return float(self.fit.variances[1]) if isinstance(self.fit, NestedIntercepts) else self.fit.between

    @property
    def patients(self) -> float | None:
        """Variance between patients, None where these are not in the model."""
        return float(self.fit.variances[0]) if isinstance(self.fit, NestedIntercepts) else None

    @property
    def within(self) -> float:
        """Variance of patches about their slide."""
        return float(self.fit.variances[2]) if isinstance(self.fit, NestedIntercepts) else self.fit.within

    @property
    def icc(self) -> float:
        """Share of the variance that the patches of one slide have in common."""
        common = self.between + (self.patients or 0.0)
        return common / (common + self.within)

    @property
    def deviance(self) -> float:
        """-2 log (restricted) likelihood, as lme4 gives it."""
        return self.fit.deviance

    @property
    def method(self) -> Method:
        """By which likelihood: "reml" or "ml"."""
        return self.fit.method

    @property
    def boundary(self) -> bool:
        """Whether a variance between slides or patients is estimated as 0."""
        return self.between == 0 or self.patients == 0

    def test(self, contrast: Float64Array | str, *, null: float = 0.0) -> LinearTest:
        """Test a combination of coefficients, (p,) weights or the name of one term, against ``null``, two-sided.

        Raises
        ------
        StatisticsError
            If there is no such term, or another number of weights than of terms.
        """
        return self.fit.test(term_weights(contrast, self.terms), null=null, alpha=self.alpha, df=self.df)

    def table(self) -> pd.DataFrame:
        """Return one row per coefficient: term, estimate, se, df, statistic, p_value, ci_low, ci_high."""
        return coefficient_table(self.terms, self.test)


def random_intercept(
    table: pd.DataFrame,
    formula: str,
    slide: str = "slide_id",
    patient: str | None = None,
    *,
    df: Freedom = "satterthwaite",
    method: Method = "reml",
    alpha: float = 0.05,
) -> FormulaFit:
    """Fit a linear model of patch values whose slides share an intercept drawn at random.

    Parameters
    ----------
    table : DataFrame
        One row per patch.
    formula : str
        Outcome and fixed part, such as ``"value ~ label + C(magnification)"``, in the grammar of formulaic; an
        intercept is included unless the formula says ``0 +``.
    slide : str
        Column with the slides' ids.
    patient : str, optional
        Column with the patients' ids; where given, patients share an intercept too. Where each has one slide, slide and
        patient are the same and the model is that of slides: ``notes`` says so.
    df : {"satterthwaite", "kenward_roger"}
        Degrees of freedom of the tests. Only where the variance between slides is estimated as 0 they differ much:
        Satterthwaite's then take patches for independent, Kenward and Roger's do not.
    method : {"reml", "ml"}
        Likelihood; Kenward and Roger's degrees of freedom are made for REML.
    alpha : float
        Intervals cover ``1 - alpha``.

    Returns
    -------
    FormulaFit
        Neither the order of the rows nor the names of slides and patients matter, beyond rounding.

    Raises
    ------
    StatisticsError
        If the formula cannot be read, a column is missing, a slide or patient is unknown, a slide belongs to two
        patients, or the model cannot be told from the data.

    Examples
    --------
    >>> rows = pd.DataFrame({"value": [1.0, 2.0, 4.0, 5.0, 3.0, 5.0], "slide_id": list("aabbcc")})
    >>> fit = random_intercept(rows, "value ~ 1")
    >>> round(fit.test("Intercept").estimate, 3), round(fit.icc, 3)
    (3.333, 0.676)
    """
    check_choices(df, method, alpha)
    design = read_design(table, formula)
    rows = pd.DataFrame({"value": design.y, "slide": known_ids(table, slide, design)})
    if patient is not None:
        rows["patient"] = known_ids(table, patient, design)
    sample = sample_of(rows, "value", slide="slide", patient=patient and "patient", assume_independent=False)
    sums, owners = sample.sums(design.x[sample.order])
    _refuse_fixed(sums, "slides")
    fit: RandomIntercept | NestedIntercepts
    if owners is not None and np.unique(owners).size < owners.size:
        _refuse_fixed(sums.regrouped(owners), "patients")
        fit = nested_intercepts(sums, owners, method=method)
    else:
        fit = fit_random_intercept(sums, method=method)
    found = FormulaFit(formula, design.terms, fit, df, alpha, len(sums.sizes), len(rows), design.n_missing, ())
    return replace(found, notes=tuple(_notes(found, one_slide_each=owners is not None and found.patients is None)))


def _refuse_fixed(sums: GroupedSums, what: str) -> None:
    """Raise if X tells the groups apart: least squares of their indicators on X leaves nothing."""
    refuse_dependent(sums.products[:, :-1, :-1].sum(axis=0))
    root = np.linalg.cholesky(sums.products[:, :-1, :-1].sum(axis=0))
    explained = linalg.solve_triangular(root, (sums.sizes[:, None] * sums.means[:, :-1]).T, lower=True)
    if sums.n - float((explained**2).sum()) <= _NOTHING * sums.n:
        raise StatisticsError(
            f"The fixed part of the formula tells all {what} apart: nothing is left of the spread between {what}; "
            f"leave the column of the {what} out"
        )


def _notes(fit: FormulaFit, *, one_slide_each: bool) -> Iterator[str]:
    if fit.n_missing:
        yield f"{fit.n_missing} rows without a value left out"
    if one_slide_each:
        yield "each patient has one slide: slide and patient are the same, and the model is that of slides"
    if fit.patients == 0:
        yield "the variance between patients is estimated as 0"
    if fit.between == 0:
        yield "the variance between slides is estimated as 0"
    if fit.boundary and not (fit.patients or fit.between) and fit.df == "satterthwaite":
        yield "degrees of freedom are those of independent patches: kenward_roger's are not"
