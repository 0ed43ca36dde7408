"""What a run concludes from what it measured: contrasts, verdicts, causal effects, the multiverse."""

from collections.abc import Iterable

import pandas as pd

from saliency_stats.attribution import combine, over_networks
from saliency_stats.classifier.evaluation import metrics_table
from saliency_stats.execution.device import release_memory
from saliency_stats.execution.files import write_json
from saliency_stats.execution.store import Store
from saliency_stats.report.queries import of_image
from saliency_stats.report.run import Run
from saliency_stats.statistics import compositional_table, study_contrasts, study_flow, verdicts
from saliency_stats.statistics.causal import causal_table
from saliency_stats.statistics.multiverse import Specification, multiverse_summary, multiverse_table
from saliency_stats.statistics.rungs import further_rungs
from saliency_stats.statistics.selection import restrict
from saliency_stats.statistics.verdict_calibration import calibrate
from saliency_stats.study import parameters
from saliency_stats.study.elsewhere import reach_of
from saliency_stats.vocabulary import PATCH_KEY, TRAINED

_MAP = ["method", "reduction"]


def keep_metrics(run: Run, store: Store) -> None:
    """Write ``metrics.csv``: how well the networks do."""
    table = metrics_table(run.predictions, parameters.evaluation_of(run.settings, run.unit))
    run.tables["metrics"] = store.write("metrics", table)


def conclude(run: Run, store: Store, profile_rows: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Write selection, profile, contrasts, composition, verdicts, and what the study asks for beside them.

    Parameters
    ----------
    run
        The run with the tables of what was measured and its metrics; what is concluded is added to its tables.
    store
        The run's folder.
    profile_rows
        Profile rows of every patch, slides in their order, some of them at a time.

    Returns
    -------
    DataFrame
        The judged patches: patch_id, magnification, label, and ``contrasted``, whether the primary contrast of the
        trained network is defined in them.
    """

    def keep(name: str, table: pd.DataFrame) -> None:
        run.tables[name] = store.write(name, table)
        # of a study of the size of CAMELYON16 every step needs a gigabyte of its own, for a while
        release_memory()

    settings, chosen = run.settings, run.settings.statistics_parameters(run.unit)
    own, population = run.of_own_map(run.ledger), run.population
    split = run.evaluation_split
    keep("selection", study_flow(run.patches, run.predictions, own, population, evaluation_split=split))
    profiles = [combine(over_networks(restrict(rows, population.patches))) for rows in profile_rows]
    keep("profile", pd.concat(profiles, ignore_index=True))
    contrasts = study_contrasts(
        own,
        run.predictions,
        settings=chosen,
        learned=run.learned,
        shift=run.table("shift"),
        matched=run.table("matched"),
    )
    every = pd.concat([contrasts, *_further_contrasts(run, own)], ignore_index=True)
    release_memory()
    networks = own[~of_image(own) & ~own["model"].isin(parameters.plan_of(settings).moved)]
    keep("compositional", compositional_table(networks, run.predictions, settings=chosen, learned=run.learned))
    causal = curve = None
    if settings.causal.replacements:
        of_trained = networks[networks["model"] == TRAINED]
        causal = causal_table(run.ablation, of_trained, population, chosen, learned=run.learned)
        keep("causal", causal)
    if settings.multiverse.enabled:
        table = _crossed(run)
        keep("multiverse", table)
        curve = multiverse_summary(table)
        keep("multiverse_summary", curve)
        curve = curve.assign(method=curve["method"].replace(_own_curve(run)[0], run.method))
    rungs = further_rungs(every, chosen, method=run.method, reduction=run.reduction, causal=causal, curve=curve)
    untrained = parameters.untrained_of(settings)
    judged = verdicts(contrasts, run.metrics, chosen, untrained=untrained, further=rungs, reach=reach_of(settings))
    write_json(store.folder / "verdict.json", judged)
    keep("contrasts", every)
    values = run.primary_values
    keep("calibration", calibrate(values, chosen))
    defined = values.loc[values["value"].notna(), list(PATCH_KEY)].drop_duplicates()
    found = population.of_any_network.merge(
        defined, on=list(PATCH_KEY), how="left", validate="one_to_one", indicator="found"
    )
    return found.assign(contrasted=found.pop("found") == "both")


def _further_contrasts(run: Run, own: pd.DataFrame) -> list[pd.DataFrame]:
    """Ask the same of every other method and reduction, each with families of its own.

    A study reads one method, named beforehand; its hypotheses do not pay for those that stand beside it for comparison,
    and how much hangs on the choice of the judged patches is asked of its own method alone.
    """
    rest = run.ledger.drop(own.index)
    found = []
    for (method, reduction), rows in rest.groupby(_MAP, sort=True):
        contrasts = study_contrasts(
            rows,
            run.predictions,
            settings=run.settings.statistics_parameters(run.unit),
            learned=run.learned,
            all_patches=False,
        )
        found.append(contrasts.assign(family=contrasts["family"] + f" ({method}, {reduction})"))
    return found


def _own_curve(run: Run) -> tuple[str, str]:
    """Name the method of the study's own curve, and its baseline where these are crossed."""
    return parameters.crossed_baselines(run.settings).get(run.method, (run.method, ""))


def _crossed(run: Run) -> pd.DataFrame:
    method, baseline = _own_curve(run)
    return multiverse_table(
        run.crossed,
        run.predictions,
        settings=run.settings.statistics_parameters(run.unit),
        min_confidences=run.settings.multiverse.min_confidence,
        min_area=run.settings.compartments.min_area,
        usual=Specification(method, run.reduction, baseline=baseline),
        learned=run.learned,
    )
