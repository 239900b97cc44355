"""What labels buy: a rung that trains, run with fewer labelled training patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.adaptation.ladder_measure import AreaUnderCurve, cases_of
from mammo_tf.adaptation.ladder_scores import enter_measurement, every_score
from mammo_tf.adaptation.rungs.rung import Rung, Say, Site
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import bootstrap, read_predictions, write_predictions
from mammo_tf.evaluation.numbers import Number, number_of
from mammo_tf.evaluation.roc import auc
from mammo_tf.records import Records
from mammo_tf.training import Classification

DRAWS = 3
PREDICTIONS = "predictions_test.csv"


def with_fewer_labels(site: Site, patients: int, seed: int) -> Records:
    """The records with labels of so many training patients alone, as many positive ones in proportion as there are.

    Patients of a smaller number are among those of a larger one of the same seed. Other training patients stay,
    unlabelled.

    Raises:
        MammoError: `too_few_patients` where there are fewer, or a class would have nobody.
    """
    task = site.recipe.task
    assert isinstance(task, Classification)  # asked before
    rows = site.records.rows
    training = site.labelled_in_training
    truth = pd.Series(task.truth(training), training.index).groupby(training["patient_id"]).max()
    if patients > len(truth):
        sentence = f"{patients} labelled training patients are asked for, and the site has {len(truth)}"
        raise MammoError("too_few_patients", sentence, "Name fewer with --label-budget")
    generator = np.random.default_rng(seed)
    positive = round(patients * float((truth == 1).mean()))
    kept: set[str] = set()
    for value, count in ((1, positive), (0, patients - positive)):
        order = generator.permutation(sorted(truth.index[truth == value].astype(str)))
        if not count or count > len(order):
            sentence = f"{patients} labelled patients at the site's share of positives leave a class with nobody"
            raise MammoError("too_few_patients", sentence, "Name more with --label-budget")
        kept |= set(order[:count].tolist())
    blank = (rows["split"] == "train") & ~rows["patient_id"].astype(str).isin(kept)
    return site.records.with_rows(rows.assign(**{task.column: rows[task.column].where(~blank, "")}))


def check_budget(site: Site, patients: Sequence[int]) -> None:
    """Refuses numbers of labelled patients that cannot be had, before any work.

    Raises:
        MammoError: `budget_wrong` for a task of masks; those of `with_fewer_labels`.
    """
    if patients and not isinstance(site.recipe.task, Classification):
        raise MammoError("budget_wrong", "labels of masks cannot be left out one by one", "Leave --label-budget out")
    for count in patients:
        with_fewer_labels(site, count, site.settings.training.seed)


def budget(site: Site, rung: Rung, patients: Sequence[int], say: Say) -> dict[str, Any]:
    """The AUC on test against labelled training patients, and what twice the most of them are likely to bring.

    Validation keeps all its labels: it stops the training. Each number of patients is drawn three times, all once.

    Args:
        site: where.
        rung: one that trains.
        patients: how many, rising.
        say: is told in a line what happens.

    Returns:
        As `ladder.json` has it.

    Raises:
        MammoError: those of `with_fewer_labels`.
    """
    every = site.labelled_in_training["patient_id"].nunique()
    draws = {count: 1 if count == every else DRAWS for count in patients}  # all of them can be drawn in one way
    parts = {
        count: [with_fewer_labels(site, count, site.settings.training.seed + draw) for draw in range(draws[count])]
        for count in patients
    }
    tables = {
        count: [_scored(site, rung, records, count, draw, say) for draw, records in enumerate(drawn)]
        for count, drawn in parts.items()
    }
    points, scores = [], []
    for count, drawn in tables.items():
        each, number, columns = _mean_over_draws(site, drawn)
        points.append({"labelled_patients": count, "measure": number, "draws": each})
        scores.append(columns)
    return {"rung": rung.name, "points": points, "sentence": _next_labels(site, tables, patients, scores)}


def _scored(site: Site, rung: Rung, records: Records, count: int, draw: int, say: Say) -> pd.DataFrame:
    folder = site.folder / "label_budget" / f"{rung.name}_{count}_{draw + 1}"
    if not (folder / PREDICTIONS).is_file():
        say(f"{count} labelled patients, draw {draw + 1}")
        found = rung.climb(replace(site, records=records), folder, say)
        table = every_score(found.model, site.records, site.recipe, "test")
        known = table[table["label"].notna()].astype({"label": np.int64})
        enter_measurement(found.model.card.sealed(found.model.model), known, site, folder)
        write_predictions(known, folder / PREDICTIONS)
    return read_predictions(folder / PREDICTIONS)


def _mean_over_draws(site: Site, drawn: Sequence[pd.DataFrame]) -> tuple[list[float], Number, NDArray[np.float64]]:
    """The AUC of each draw, their mean with its interval over patients, and the scores `[cases, draws]`."""
    cases = [cases_of(table, site.level, site.recipe.evaluation) for table in drawn]
    labels = cases[0]["label"].to_numpy(np.int64)
    scores = np.stack([one["score"].to_numpy(np.float64) for one in cases], axis=1)
    each = [auc(labels, scores[:, draw]) for draw in range(scores.shape[1])]
    replicates = site.settings.replicates
    number = number_of(
        lambda: bootstrap(_mean_auc, labels, scores, cases[0]["patient_id"], replicates), len(labels),
        f"mean over {len(drawn)} draws of labelled patients; bootstrap over test patients, {replicates} resamples",
    )  # fmt: skip
    return each, number, scores


def _mean_auc(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    return float(np.mean([auc(labels, column) for column in scores.T]))


def _next_labels(
    site: Site,
    tables: dict[int, list[pd.DataFrame]],
    patients: Sequence[int],
    scores: Sequence[NDArray[np.float64]],
) -> str:
    """What doubling the most labelled patients is likely to bring, by a straight line over the logarithm."""
    if len(patients) < 2:
        return "one number of labelled patients tells nothing of the next"
    cases = cases_of(tables[patients[0]][0], site.level, site.recipe.evaluation)
    together = np.concatenate(scores, axis=1)
    steps = np.log2(
        np.concatenate([np.full(part.shape[1], count) for count, part in zip(patients, scores, strict=True)])
    )

    def slope(labels: NDArray[np.int64], values: NDArray[np.float64]) -> float:
        areas = [auc(labels, column) for column in values.T]
        return float(np.polyfit(steps, areas, 1)[0])

    found = bootstrap(slope, cases["label"], together, cases["patient_id"], site.settings.replicates)
    title = AreaUnderCurve(site.level).title
    labels = cases["label"].to_numpy(np.int64)
    drawn = [[auc(labels, column) for column in part.T] for part in scores if part.shape[1] > 1]
    spread = max((float(np.std(areas, ddof=1)) for areas in drawn), default=0.0)
    return (
        f"by a straight line over the logarithm, twice as many labelled patients as {patients[-1]} are likely to bring "
        f"{found.value:+.3f} of {title} ({found.low:+.3f} to {found.high:+.3f} over test patients; draws of the same "
        f"number of patients have a standard deviation of up to {spread:.3f}, which that interval does not hold)"
    )
