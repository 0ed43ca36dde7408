"""A finished run: its study, its tables in their declared types, and what is asked of them again and again."""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pandas as pd

from saliency_stats import settings as study_file
from saliency_stats.classes import Classes
from saliency_stats.errors import StudyError
from saliency_stats.execution.files import json_text
from saliency_stats.execution.schema import TABLES
from saliency_stats.report import networks, queries
from saliency_stats.report.folder import RunFolder
from saliency_stats.report.observations import observations
from saliency_stats.report.words import magnification_words, minus, model_words
from saliency_stats.statistics import PRIMARY, Population, learned_flags, primary_population
from saliency_stats.statistics.crossing import CROSSED
from saliency_stats.statistics.selection import ALL_PATCHES, of_all_networks, restrict
from saliency_stats.statistics.values import values_of, wide_values
from saliency_stats.vocabulary import LABELS, NO_REDUCTION, PATCH_KEY, TRAINED


@dataclass(frozen=True, eq=False)
class Run(RunFolder):
    """A finished run.

    Every table is an attribute (``run.ledger``, ``run.contrasts``) or ``run.table(NAME)``: text is str (categories in
    ``ledger``, ``predictions``, ``shift`` and ``matched``), numbers are float64, magnification among them, flags are
    bool. A table that the study did not ask for has no rows. Tables, and what is derived from them here, are read or
    computed when first asked for, once. ``run.own_NAME`` holds the rows of a table that the figures show: of the
    study's own map, of the trained network and those it is shown beside.

    Parameters
    ----------
    folder
        The run's folder.
    tables
        Tables that were just computed, in their declared types: they are not read from the folder again.
    record
        The manifest, where it is not yet written; else it is read.

    Examples
    --------
    >>> run = Run("reports/phantom")  # doctest: +SKIP
    >>> run.contrasts[["contrast", "label", "ratio", "p_adjusted"]]  # doctest: +SKIP
    """

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name in TABLES:
            return self.table(name)
        if (of := name.removeprefix("own_")) in TABLES:
            table = self.table(of)
            found = self.shown(self.of_own_map(table) if "method" in table else table)
            object.__setattr__(self, name, found)
            return found
        raise AttributeError(f"a run has no {name!r}; its tables are {', '.join(TABLES)}")

    def to_anndata(self) -> Any:
        """Return the measured patches as an ``anndata.AnnData`` (needs the extra ``anndata``).

        An observation is a patch, magnification and network, with the columns of ``patches`` and what the network made
        of it; a variable is a number (density ratio, share of saliency, share of area) of a map in a compartment.
        ``uns`` holds the verdict as JSON and the study as YAML, so that the object can be written.

        Raises
        ------
        StudyError
            If anndata is not installed.
        """
        try:
            import anndata  # noqa: PLC0415  (an extra)
        except ModuleNotFoundError as error:
            raise StudyError(
                f"Run.to_anndata needs anndata, which is not installed ({error}): pip install 'saliency-stats[anndata]'"
            ) from error
        found = observations(self.ledger, self.patches, self.predictions, self.population.evaluated)
        about = {"verdict": json_text(self.verdict), "study": study_file.dump(self.settings)}
        return anndata.AnnData(X=found.values, obs=found.rows, var=found.columns, uns=about)

    def words(self, kind: str, name: str, key: str = "words") -> str:
        """Say what one of the study's ``methods`` or ``controls`` is called, or ``is``; its name where not recorded."""
        return str(self.recorded(kind, {}).get(name, {}).get(key, name))

    def typeset(self, text: str) -> str:
        """Write what ``verdict.json`` says as figures and tables do: methods and controls by words, a true minus."""
        named = {name: self.words(kind, name) for kind in ("methods", "controls") for name in self.recorded(kind, {})}
        return re.sub(r"\w+", lambda word: named.get(word[0], word[0]), minus(text))

    @cached_property
    def classes(self) -> Classes:
        """What people call the two classes."""
        return self.settings.cohort.two_classes

    def place(self, magnification: Any, label: Any) -> str:
        """Return "benign, 20×"; what is no class (as both together) is called as it is."""
        return f"{self.classes.name(label)}, {magnification_words(magnification)}"

    def named(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Call the classes of rows as people do."""
        return rows.assign(label=rows["label"].map(self.classes.name))

    def network(self, model: str) -> str:
        """Say whose rows these are: "trained", "randomised control", "trained − randomised"."""
        control = model.removeprefix(f"{TRAINED}-")
        return model_words(model if model == TRAINED else model.removesuffix(control) + self.words("controls", control))

    @cached_property
    def magnifications(self) -> tuple[float, ...]:
        """Every magnification of the cohort, coarse to fine."""
        return tuple(sorted(self.patches["magnification"].unique().tolist()))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes that occur in the cohort, in the vocabulary's order."""
        return tuple(label for label in LABELS if (self.patches["label"] == label).any())

    @cached_property
    def method(self) -> str:
        """The saliency method that the study judges by: its first."""
        return str(next(iter(self.recorded("methods", {})), self.settings.saliency.methods[0]))

    @cached_property
    def reduction(self) -> str:
        """How the channels of its maps were reduced."""
        own = self.ledger[(self.ledger["model"] == TRAINED) & (self.ledger["method"] == self.method)]
        return NO_REDUCTION if (own["reduction"] == NO_REDUCTION).any() else self.settings.saliency.reduction

    def of_own_map(self, table: pd.DataFrame) -> pd.DataFrame:
        """Keep the rows of the method and reduction that the study judges by, and those of maps of the image alone."""
        own = (table["method"] == self.method) & (table["reduction"] == self.reduction)
        own |= queries.of_image(table)
        # of one method that is all, often millions of rows: they are not copied
        return table.copy(deep=False) if own.all() else table[own]

    @cached_property
    def own_contrasts(self) -> pd.DataFrame:
        """The contrasts of the study's own map in the judged patches, of the models that the figures show."""
        rows = self.shown(self.of_own_map(self.contrasts))
        return rows[rows["population"] != ALL_PATCHES].reset_index(drop=True)

    @cached_property
    def scored(self) -> pd.DataFrame:
        """The accuracy on the evaluation split of the trained network, of several together: a row per magnification."""
        rows = of_all_networks(self.metrics)
        return rows[(rows["model"] == TRAINED) & (rows["split"] == self.evaluation_split)]

    @cached_property
    def controls(self) -> tuple[str, ...]:
        """The control networks that the trained one is shown beside, by name."""
        return tuple(sorted(set(self.own_ledger["model"]) - {TRAINED}))

    def shown(self, table: pd.DataFrame) -> pd.DataFrame:
        """Leave out the controls that only the figure of all controls shows: images alone, shifted maps, the like."""
        shown = {name: bool(found["shown"]) for name, found in self.recorded("controls", {}).items()}
        model = table["model"].str.removeprefix(f"{TRAINED}-")
        return table[~model.isin([name for name, found in shown.items() if not found])].reset_index(drop=True)

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """Names of the trained networks: those of the folds too, of which each judges its own patches."""
        return networks.trained_networks(self.predictions)

    @property
    def n_networks(self) -> int:
        """How many trained networks there are."""
        return len(self.networks)

    @cached_property
    def population(self) -> Population:
        """The patches that are judged: correctly and confidently classified ones of the evaluation split.

        Of several networks each has its own, told apart by the column ``network``.
        """
        return primary_population(
            self.predictions,
            min_confidence=self.settings.saliency.min_confidence,
            evaluation_split=self.evaluation_split,
        )

    @cached_property
    def judged(self) -> pd.DataFrame:
        """Rows of ``patches`` of the patches that are judged, of several networks by any of them."""
        return self.population.of_any_network.merge(self.patches, on=[*PATCH_KEY, "label"], validate="one_to_one")

    def of_judged(self, table: pd.DataFrame) -> pd.DataFrame:
        """Keep a table's rows of the judged patches; of several networks the mean over those that judge the patch."""
        return self._averaged(restrict(table, self.population.patches))

    def _averaged(self, rows: pd.DataFrame) -> pd.DataFrame:
        return networks.averaged(rows) if self.n_networks > 1 else rows

    @cached_property
    def network_ledger(self) -> pd.DataFrame:
        """Rows of :attr:`own_ledger` of the patches that each network judges."""
        return restrict(self.own_ledger, self.population.patches)

    @cached_property
    def judged_ledger(self) -> pd.DataFrame:
        """Rows of :attr:`own_ledger` of the judged patches; of several networks their mean."""
        return self._averaged(self.network_ledger)

    @cached_property
    def doubt(self) -> dict[tuple[float, str], float]:
        """By magnification and class, the share of the tissue outside nuclei that is doubtful in the median patch.

        Of the judged patches; empty where memberships are no probabilities.
        """
        return queries.doubt(self.judged_ledger)

    @cached_property
    def network_values(self) -> pd.DataFrame:
        """The primary contrast (log2) of every network, also of those that learned nothing, in its judged patches."""
        relabelled = [name for name, found in self.recorded("controls", {}).items() if found.get("relabelled")]
        rows = self.of_own_map(self.ledger)
        rows = rows[rows["model"].isin([TRAINED, *self.controls, *relabelled]) & ~queries.of_image(rows)]
        return values_of(wide_values(restrict(rows, self.population.patches)), PRIMARY)

    @cached_property
    def primary_values(self) -> pd.DataFrame:
        """The primary contrast (log2) of each trained network in every patch that it judges."""
        return self.network_values[self.network_values["model"] == TRAINED].reset_index(drop=True)

    @cached_property
    def mean_values(self) -> pd.DataFrame:
        """:attr:`primary_values`, of several networks their mean in each patch."""
        return self._averaged(self.primary_values)

    @cached_property
    def primary_contrasts(self) -> pd.DataFrame:
        """One row per class, magnification and model of the primary contrast, by the test that decides."""
        rows = self.own_contrasts
        own = (rows["method"] == self.method) & (rows["reduction"] == self.reduction)
        rows = rows[own & (rows["contrast"] == PRIMARY) & rows["label"].isin(self.labels)]
        return self.by_deciding_test(rows)

    @cached_property
    def patches_per_unit(self) -> dict[tuple[float, str], tuple[int, int]]:
        """By magnification and class, the fewest and the most judged patches of a slide (or patient)."""
        return queries.patches_per_unit(self.judged, self.unit_column)

    @cached_property
    def exclusions(self) -> pd.DataFrame:
        """The patches that could not be used, counted by magnification, class and reason."""
        return queries.exclusions(self.patches)

    @cached_property
    def learned(self) -> dict[Hashable, bool]:
        """Whether the trained network beats chance, by magnification."""
        flags = learned_flags(self.metrics, evaluation_split=self.evaluation_split)
        return {at: flags.get(at, False) for at in self.magnifications}

    @property
    def evaluation_split(self) -> str:
        """The split on which the classifier is scored and the saliency judged."""
        return self.settings.cohort.evaluation_split

    @property
    def primary_test(self) -> str:
        """The test that decides, whose rows the figures and the verdict quote: of several networks the crossed one."""
        return CROSSED if self.n_networks > 1 else self.settings.statistics.primary_test

    @property
    def tests(self) -> tuple[str, ...]:
        """The test that decides, and the one that the study names, which answers where the first does not apply."""
        return tuple(dict.fromkeys([self.primary_test, self.settings.statistics.primary_test]))

    def by_deciding_test(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Keep one row per contrast and map of the judged patches: by the first of :attr:`tests` that there is."""
        return queries.one_test(rows[rows["population"] != ALL_PATCHES], *self.tests)

    @property
    def alpha(self) -> float:
        """The significance level of the study."""
        return self.settings.statistics.alpha

    @property
    def confidence_percent(self) -> str:
        """The confidence level of the intervals, as in "95 %"."""
        return f"{100 * (1 - self.alpha):g} %"

    @cached_property
    def unit(self) -> Literal["slide", "patient"]:
        """The unit of inference, what ``auto`` stands for included."""
        return self.settings.unit_in(self.patches)

    @property
    def unit_column(self) -> str:
        """The column that names the unit of inference."""
        return f"{self.unit}_id"


def records(table: pd.DataFrame) -> list[Any]:
    """Return the rows of a table as named tuples; what a column holds was checked when it was read."""
    return list(table.itertuples(index=False))
