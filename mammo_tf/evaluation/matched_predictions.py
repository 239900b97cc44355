"""Predictions of a site with scores matched to a reference's, machine by machine, and the operating point of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.intervals import OVER_PATIENTS, Resampling
from mammo_tf.evaluation.levels import (
    DEFAULT_AGGREGATES,
    Level,
    aggregates_in_force,
    at_level,
    how_words,
    measured_levels,
    resampled_column,
    with_identity,
)
from mammo_tf.evaluation.matching_notes import ASSUMED, UNKNOWN, machine_notes, mix_note, pair_notes
from mammo_tf.evaluation.metrics import CHOSEN_HERE, given_threshold, threshold_of, with_caution
from mammo_tf.evaluation.numbers import Levels, Metrics, Number, Numbers, missing_number
from mammo_tf.evaluation.operating import G_MEAN, OperatingRule
from mammo_tf.evaluation.score_matching import ScoreTable, check_patients, check_scales, match
from mammo_tf.evaluation.split_rates import NAMES, answers_to, asked_of
from mammo_tf.study.cells import MISSING
from mammo_tf.study.manifest import UNLABELLED

BEFORE = "score_before"
WHOLE = "the whole site"
NO_MACHINE = ("label", "score", "patient_id", "image_id", "exam_id")


@dataclass(frozen=True)
class Machine:
    """A machine of the site, or all of it.

    Attributes:
        values: column -> value that tells it from the others; empty for the whole site.
        patients: whose scores the table was made of.
        table: carries its scores to the reference's.
    """

    values: Mapping[str, str]
    patients: int
    table: ScoreTable

    @property
    def name(self) -> str:
        """For a reader, such as `HOLOGIC, Selenia, 1.8`."""
        return ", ".join(self.values.values()) or WHOLE


@dataclass(frozen=True)
class Matched:
    """A site's predictions with matched scores.

    Attributes:
        reference: the rows that were matched to.
        site: its rows, `score` matched, the old one in `score_before`.
        machines: in the order in which they first stand there.
        of_row: int64 `[rows]`, the number of each row's machine.
        notes: what a reader must know, one line each.
    """

    reference: pd.DataFrame
    site: pd.DataFrame
    machines: tuple[Machine, ...]
    of_row: NDArray[np.int64]
    notes: tuple[str, ...]


def match_predictions(
    reference: pd.DataFrame, site: pd.DataFrame, by: Sequence[str] = (), names: tuple[str, str] = ("THEIRS", "OURS")
) -> Matched:
    """Carries the scores of a site over to the reference's, each machine of the site to the whole reference.

    Rows of the split `train` are neither matched to nor made a table of: a model is too sure of what it was trained on.

    Args:
        reference: where the threshold was set, as `read_predictions` gives it; labels are not looked at.
        site: of the site, in the same manner.
        by: columns of the site whose values tell its machines apart; empty cells are one value, `unknown`.
        names: what messages call the two.

    Raises:
        MammoError: `column_missing`, `option_wrong`, `patients_few`, `scales_differ`, `scores_constant`,
            `matched_already`.
    """
    if BEFORE in site:
        raise MammoError(
            "matched_already", f"{names[1]} has a column {BEFORE}", "Give its scores as the model said them"
        )
    by = list(dict.fromkeys(by))
    of_row, cells = _machines(site, by, names, reference)
    theirs, ours = (table["split"] != "train" for table in (reference, site))
    theirs, ours = (rows if rows.any() else ~rows for rows in (theirs, ours))
    check_scales(reference.loc[theirs, "score"], site.loc[ours, "score"], *names)
    notes = [
        f"{name}: {int((~rows).sum())} rows of the split 'train' are neither matched to nor measured"
        for name, rows in zip(names, (theirs, ours), strict=True)
        if not rows.all()
    ]
    notes.append(check_patients(_patients(reference[theirs]), names[0]))
    machines, scores = [], np.empty(len(site))
    for number, values in enumerate(cells):
        what = ", ".join([names[1], *values])
        member = of_row == number
        fitted = site[member & ours]
        notes += [check_patients(_patients(fitted), what), mix_note(reference[theirs], fitted, (names[0], what))]
        try:
            table = match(reference.loc[theirs, "score"], fitted["score"])
        except MammoError as error:
            raise MammoError(error.code, f"{what}: {error.sentence}", error.remedy) from error
        machines.append(Machine(dict(zip(by, values, strict=True)), _patients(fitted), table))
        scores[member] = table.apply(site.loc[member, "score"])
    matched = site.assign(score_before=site["score"], score=scores)
    known = set(_cells(reference, by).itertuples(index=False, name=None)) if set(by) <= set(reference) else None
    notes += [*machine_notes(cells, by, names, known), *pair_notes(reference[theirs], site[ours], names)]
    return Matched(
        reference[theirs], matched, tuple(machines), of_row, tuple(note for note in [ASSUMED, *notes] if note)
    )


def matching_metrics(
    matched: Matched,
    threshold: float | None = None,
    rule: OperatingRule = G_MEAN,
    aggregates: Mapping[str, str] = DEFAULT_AGGREGATES,
    resampling: Resampling = OVER_PATIENTS,
    pool_exams: bool = False,
) -> Metrics:
    """Rates at the reference's threshold, in the form of `metrics.json`, whose splits are here `reference`, `before`
    and `after`, and where there are several machines `before, <machine>` and `after, <machine>` of each.

    Sensitivity, specificity and prevalence are of labelled cases, the recall rate of all. Their intervals resample
    patients and leave the table as it is.

    Args:
        matched: as `match_predictions` gives it.
        threshold: of the reference, at every level; None chooses by the rule on its labels.
        rule, aggregates, resampling, pool_exams: as for `compute_metrics`.

    Raises:
        MammoError: `threshold_missing` where none is given and the reference has not labels of both classes;
            `threshold_wrong`; as `at_level`.
    """
    labelled = matched.reference[matched.reference["label"] != UNLABELLED]
    if threshold is None and not 0 < labelled["label"].sum() < len(labelled):
        sentence = "the reference has not labels of both classes, so no rule chooses a threshold on it"
        raise MammoError("threshold_missing", sentence, "Give the one it works with: --threshold VALUE")
    trained = (matched.site["split"] == "train").to_numpy()
    rows = np.ones(len(trained), bool) if trained.all() else ~trained
    site, numbers = matched.site[rows], matched.of_row[rows]
    parts = {"": site}
    if len(matched.machines) > 1:
        parts |= {f", {one.name}": site[numbers == number] for number, one in enumerate(matched.machines)}
    asked = []
    for level in measured_levels(site, pool_exams):
        cases = at_level(labelled, level.name, aggregates) if len(labelled) else None
        point = _chosen(cases, level, rule) if threshold is None else given_threshold(threshold)
        samples = {"reference": matched.reference}
        for name, part in parts.items():
            samples |= {f"before{name}": part.assign(score=part[BEFORE]), f"after{name}": part}
        asked += [
            asked_of(split, table, level, point, aggregates, resampling, how_words(site, level, aggregates))
            for split, table in samples.items()
        ]
    splits: dict[str, Levels] = {}
    for one, found in zip(asked, answers_to(asked), strict=True):
        if one.split == "reference" and threshold is None and one.point["value"] is not None:
            found |= with_caution(_hanging(found), CHOSEN_HERE)
        splits.setdefault(one.split, {})[one.level.name] = found
    return Metrics(splits, aggregates_in_force(site, aggregates, pool_exams), matched.notes)


def _chosen(cases: pd.DataFrame | None, level: Level, rule: OperatingRule) -> Number:
    """The threshold of the reference's cases at a level."""
    if cases is None:
        return missing_number(0, rule.words, f"nothing tells the {level.plural} of the reference")
    return threshold_of(cases, "reference", rule)


def shift_note(metrics: Metrics) -> str:
    """A line where the recall rate before is not shown to differ from the reference's; empty where it is.

    Args:
        metrics: as `matching_metrics` gives them; the finest level is looked at.
    """
    level, wanted = next(iter(metrics["reference"].items()))
    both = [one["recall_rate"] for one in (wanted, metrics["before"][level]) if "recall_rate" in one]
    values = [(one["value"], one["low"], one["high"]) for one in both]
    if len(values) < 2 or any(part is None for value in values for part in value):
        return ""
    (first, *ends), (second, *others) = np.array(values, np.float64)
    if abs(first - second) > 0.5 * float(np.hypot(np.ptp(ends), np.ptp(others))):
        return ""
    return (
        f"the recall rate before, {second:.3f}, is not shown to differ from the reference's {first:.3f}: where nothing "
        "has shifted, matching adds the chance of its sample, and scores are best left as they are"
    )


def distance_lines(metrics: Metrics) -> list[str]:
    """How far from the reference's each rate is before and after, a line a level; only rates that both have."""
    lines = []
    for level, wanted in metrics["reference"].items():
        told = []
        for rate in NAMES[:3]:
            numbers = (metrics["before"][level], metrics["after"][level], wanted)
            before, after, intended = (one[rate]["value"] if rate in one else None for one in numbers)
            if before is not None and after is not None and intended is not None:
                name = rate.replace("_", " ")
                told.append(f"{name} {before - intended:+.3f} before, {after - intended:+.3f} after")
        if told:
            lines.append(f"distance from the reference per {level}: {'; '.join(told)}")
    return lines


def _hanging(numbers: Numbers) -> Numbers:
    """Those that hang on the threshold."""
    return {name: number for name, number in numbers.items() if name not in ("threshold", "prevalence")}


def _patients(table: pd.DataFrame) -> int:
    return int(with_identity(table)[resampled_column(table)].nunique())


def _machines(
    site: pd.DataFrame, by: Sequence[str], names: tuple[str, str], reference: pd.DataFrame
) -> tuple[NDArray[np.int64], list[tuple[str, ...]]]:
    """The number of each row's machine, and what tells each from the others, in the order in which they first stand."""
    for column in by:
        if column in NO_MACHINE:
            raise MammoError("option_wrong", f"{column} tells no machines apart", "Name columns such as manufacturer")
        if column not in site:
            where = f"{names[0]} alone has it" if column in reference else f"nor has {names[0]}"
            remedy = f"Name columns that tell its machines apart, or leave --by out; it has {', '.join(map(str, site))}"
            raise MammoError("column_missing", f"{names[1]} has no column {column!r}, {where}", remedy)
    if not by:
        return np.zeros(len(site), np.int64), [()]
    cells = _cells(site, by)
    numbers = cells.groupby(list(by), sort=False).ngroup().to_numpy(np.int64)
    return np.asarray(numbers, np.int64), list(cells.drop_duplicates().itertuples(index=False, name=None))


def _cells(table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The cells that tell machines apart, `unknown` where they tell nothing."""
    cells = table[list(by)].fillna("").astype(str)
    return cells.where(~cells.isin(("", *MISSING)), UNKNOWN)
