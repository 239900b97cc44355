"""Verdicts on a site, whole and by machine: which rows are whose; as lines, `shift.json` and a figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.adaptation.shift import LEAST_PATIENTS
from mammo_tf.adaptation.shift_verdict import ACQUISITION, BOTH, Verdict
from mammo_tf.errors import MammoError
from mammo_tf.evaluation.levels import resampled_column, with_identity
from mammo_tf.files import write_json
from mammo_tf.reporting.palette import save_figure
from mammo_tf.reporting.shift_figure import shift_figure

NUMBERS, FIGURE = "shift.json", "shift"


class Told(NamedTuple):
    """A verdict, and what a reader must know of it; `machine` is empty for the whole site."""

    verdict: Verdict
    notes: list[str]
    machine: str = ""


class Machines(NamedTuple):
    """Which rows of a table are of which machine, by its words, and a note on those with too few patients."""

    rows: dict[str, NDArray[np.bool_]]
    notes: list[str]


def machines_of_table(table: pd.DataFrame, by: Sequence[str], name: str) -> Machines:
    """The machines of a site that have enough patients.

    Args:
        table: predictions.
        by: columns that tell machines apart; none for no machines.
        name: of the site, for messages.

    Raises:
        MammoError: `column_missing`.
    """
    if not by:
        return Machines({}, [])
    check_by(by, table, name)
    cells = table[list(by)].fillna("").astype(str)
    words = cells.apply(lambda row: ", ".join(filter(None, row)) or "a machine without name", axis=1).to_numpy()
    patients = with_identity(table)[resampled_column(table)].to_numpy()
    rows, few = {}, []
    for machine in sorted(set(words)):
        chosen = words == machine
        count = len(set(patients[chosen]))
        if count < LEAST_PATIENTS:
            few.append(f"{machine} ({count})")
        else:
            rows[str(machine)] = chosen
    notes = [f"machines of fewer than {LEAST_PATIENTS} patients have no verdict: {'; '.join(few)}"] if few else []
    return Machines(rows, notes)


def check_by(by: Sequence[str], columns: Iterable[object], name: str) -> None:
    """Refuses columns that are not there.

    Raises:
        MammoError: `column_missing`.
    """
    there = [str(column) for column in columns]
    if missing := [column for column in by if column not in there]:
        remedy = f"Name others with --by, or leave it out; it has {', '.join(there)}"
        raise MammoError("column_missing", f"{name} has no column {missing[0]!r}", remedy)


def reported(whole: Told, machines: Sequence[Told], folder: str | Path | None) -> list[str]:
    """Lines for a reader: the verdict, what follows, the numbers, notes; then the machines.

    Args:
        whole: of the site.
        machines: of each of its machines.
        folder: where `shift.json` and `shift.svg` and `.png` go; None writes nothing.
    """
    found = whole.verdict
    if folder is not None:
        drawn = found.distributions
        curves = drawn.score, drawn.reference, drawn.site, drawn.mixture
        figure = shift_figure(*curves, found.names, found.prevalence)
        apart: dict[str, Any] = {}
        if machines:
            apart["machines"] = [
                {"machine": one.machine, **one.verdict.to_json(), "notes": one.notes} for one in machines
            ]
        write_json(Path(folder) / NUMBERS, found.to_json() | {"notes": whole.notes} | apart)
        save_figure(figure, Path(folder) / FIGURE, f"Distributions of scores: {found.sentence}")
    lines = _lines(whole)
    for one in machines:
        lines += ["", f"{one.machine}:", *(f"  {line}" for line in _lines(one))]
    return lines


def _lines(told: Told) -> list[str]:
    found = told.verdict
    return [
        f"{found.sentence}.", *(f"{one}." for one in found.follows), *number_lines(found),
        *(f"note: {note}" for note in told.notes),
    ]  # fmt: skip


def number_lines(found: Verdict) -> list[str]:
    """The numbers of a verdict for a reader."""
    reference, site = found.names
    lines = [f"{reference}: {found.reference_patients} patients", f"{site}: {found.site_patients} patients"]
    if found.reference_prevalence is not None:
        lines[0] += f", {found.positive_patients} positive, a share of {found.reference_prevalence:.3f}"
    lines.append(f"one distribution of scores: p {found.p_shift:.3g}")
    if found.p_mixture is not None:
        lines.append(f"a mixture of positive and negative patients of {reference}: p {found.p_mixture:.3g}")
    if found.prevalence is not None and found.kind not in (ACQUISITION, BOTH):
        lines.append(
            f"prevalence of {site} if nothing else differs: {found.prevalence:.3f} "
            f"({found.prevalence_low:.3f} to {found.prevalence_high:.3f})"
        )
    if found.p_known is not None:
        lines.append(f"such a mixture at the known prevalence {found.known_prevalence:.3g}: p {found.p_known:.3g}")
    for one in found.evidence:
        lines.append(
            f"{one.what} of {one.reference_patients} and {one.site_patients} patients: {one.distance:.2g} standard "
            f"deviations apart, p {one.p:.3g}, beyond what prevalence explains p {one.p_beyond:.3g} ({one.how})"
        )
    return lines
