"""Two files of predictions to matched scores, tables, numbers before and after, and a figure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.intervals import OVER_PATIENTS, Resampling
from mammo_tf.evaluation.levels import DEFAULT_AGGREGATES
from mammo_tf.evaluation.matched_predictions import (
    BEFORE,
    NO_MACHINE,
    WHOLE,
    Matched,
    distance_lines,
    match_predictions,
    matching_metrics,
    shift_note,
)
from mammo_tf.evaluation.numbers import Metrics
from mammo_tf.evaluation.operating import G_MEAN, OperatingRule
from mammo_tf.evaluation.predictions import predictions_of, read_predictions
from mammo_tf.files import atomic_path, digest, write_json, write_text
from mammo_tf.reporting.distributions import distributions_figure
from mammo_tf.reporting.lines import number_lines
from mammo_tf.reporting.palette import save_figure
from mammo_tf.study.table import by_full_name, read_table

SCORES, TABLES, NUMBERS, TEXT = "scores_matched.csv", "score_tables.json", "metrics.json", "summary.txt"
FIGURE = "distributions"
OF_THE_OLD_SCORE = ("probability", "decision")
MOST_PANELS = 8
Judge = Callable[[pd.DataFrame, pd.DataFrame, tuple[str, str]], str]


def match_files(
    theirs: str | Path,
    ours: str | Path,
    folder: str | Path | None = None,
    by: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    our_columns: Mapping[str, str] | None = None,
    threshold: float | None = None,
    rule: OperatingRule = G_MEAN,
    aggregates: Mapping[str, str] = DEFAULT_AGGREGATES,
    resampling: Resampling = OVER_PATIENTS,
    pool_exams: bool = False,
    judge: Judge | None = None,
) -> list[str]:
    """Matches the scores of OURS to those of THEIRS, and says what that does at the threshold.

    Args:
        theirs, ours: predictions of the site where the threshold was set, and of the new one; labels may be missing.
        folder: where `scores_matched.csv` (OURS with the score replaced and the old one in `score_before`),
            `score_tables.json` (a table a machine), `metrics.json`, `summary.txt` and `distributions.svg` and `.png`
            go; None writes nothing.
        by: columns of OURS that tell its machines apart.
        columns, our_columns: what the columns of THEIRS and of OURS are called.
        threshold, rule, aggregates, resampling, pool_exams: as for `matching_metrics`.
        judge: says of THEIRS, OURS as they were, and their names, whether matching is right, in a line or none.

    Returns:
        Lines for a reader: what was matched, the numbers, and notes.

    Raises:
        MammoError: as `read_predictions`, `match_predictions` and `matching_metrics`; `not_a_file` where an output
            would replace an input. Nothing is written then.
    """
    written = [] if folder is None else [Path(folder) / name for name in (SCORES, TABLES, NUMBERS, TEXT)]
    for path in (theirs, ours):
        if Path(path).resolve() in [one.resolve() for one in written]:
            raise MammoError(
                "not_a_file", f"{path} would be replaced by what is written", "Name another folder with -o"
            )
    named = by_full_name(our_columns or {}, "--columns")
    meant = [name for name in by if name in (named.get(column) for column in NO_MACHINE)]
    if meant:
        raise MammoError("option_wrong", f"{meant[0]} tells no machines apart", "Name columns such as manufacturer")
    reference = read_predictions(theirs, columns, unlabelled=True)
    stored, rows = read_table(ours, f"the predictions {ours} are not there")
    site = predictions_of(stored, rows, ours, our_columns, unlabelled=True)
    matched = match_predictions(reference, site, by, _names(theirs, ours))
    metrics = matching_metrics(matched, threshold, rule, aggregates, resampling, pool_exams)
    judged = judge(reference, site, _names(theirs, ours)) if judge is not None else ""
    notes = [judged, *_file_notes((theirs, ours), matched, metrics), *matched.notes]
    lines = [
        *_what(matched, *_names(theirs, ours)),
        *number_lines(metrics),
        *distance_lines(metrics),
        *(f"note: {note}" for note in notes if note),
    ]
    if folder is not None:
        score = named.get("score", "score")
        table = stored.assign(**{score: matched.site["score"].to_numpy(), BEFORE: stored[score]})  # type: ignore[arg-type]
        _write(Path(folder), table, matched, metrics, lines, _names(theirs, ours))
    return lines


def _names(theirs: str | Path, ours: str | Path) -> tuple[str, str]:
    """What messages call the files: their names, or their paths where they are called alike."""
    names = Path(theirs).name, Path(ours).name
    return names if names[0] != names[1] else (str(theirs), str(ours))


def _what(matched: Matched, theirs: str, ours: str) -> list[str]:
    counts = f"{len(matched.reference)} scores of {theirs}"
    return [
        f"{ours}, {one.name}: {one.table.n_site} scores of {one.patients} patients matched to {counts}"
        for one in matched.machines
    ]


def _file_notes(paths: tuple[str | Path, str | Path], matched: Matched, metrics: Metrics) -> list[str]:
    names = _names(*paths)
    notes = []
    if digest(paths[0]) == digest(paths[1]):
        notes.append(f"{' and '.join(names)} are the same file: matching changes nothing")
    without = [
        name
        for split, name in zip(("reference", "after"), names, strict=True)
        if all("sensitivity" not in one or one["sensitivity"]["value"] is None for one in metrics[split].values())
    ]
    if without:
        which = " and ".join(without)
        notes.append(f"without labels of both classes in {which} the recall rate is all that can be told there")
    if unshifted := shift_note(metrics):
        notes.append(unshifted)
    stale = [name for name in OF_THE_OLD_SCORE if name in matched.site]
    if stale:
        notes.append(f"{' and '.join(stale)} of {names[1]} {'is' if len(stale) == 1 else 'are'} of the score before")
    return notes


def _write(
    folder: Path,
    table: pd.DataFrame,
    matched: Matched,
    metrics: Metrics,
    lines: Sequence[str],
    names: tuple[str, str],
) -> None:
    threshold = next(iter(metrics["reference"].values()))["threshold"]["value"]
    figure = distributions_figure(_panels(matched), threshold)
    with atomic_path(folder / SCORES) as beside:
        table.to_csv(beside, index=False, lineterminator="\n")
    write_text(folder / TABLES, json.dumps(_tables(matched, names), allow_nan=False) + "\n")  # many knots: no line each
    write_json(folder / NUMBERS, metrics.to_json())
    write_text(folder / TEXT, "\n".join(lines) + "\n")
    save_figure(figure, folder / FIGURE, f"Distributions of scores: {names[0]}, {names[1]} before and after matching")


def _tables(matched: Matched, names: tuple[str, str]) -> dict[str, Any]:
    return {
        "reference": names[0],
        "site": names[1],
        "machines": [
            {"machine": dict(one.values), "patients": one.patients, "table": one.table.to_json()}
            for one in matched.machines
        ],
    }


def _panels(matched: Matched) -> dict[str, dict[str, np.ndarray]]:
    """What is drawn of each machine, the largest first where there are many."""
    numbers = np.argsort([-one.table.n_site for one in matched.machines], kind="stable")[:MOST_PANELS]
    panels = {}
    for number in numbers:
        one, rows = matched.machines[number], matched.site[matched.of_row == number]
        title = "All scores" if one.name == WHOLE else one.name
        panels[f"{title}, {one.patients} patients"] = {
            "reference": matched.reference["score"].to_numpy(),
            "site, before": rows[BEFORE].to_numpy(),
            "site, matched": rows["score"].to_numpy(),
        }
    return panels
