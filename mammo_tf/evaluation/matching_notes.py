"""What a reader must know of scores that were matched: what matching takes for granted, and what is odd about it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mammo_tf.evaluation.case_mix import case_mix_differences
from mammo_tf.evaluation.copies import COPY, copied_rows
from mammo_tf.evaluation.identities import patient_notes, shared_names
from mammo_tf.study.spelling import spelled_alike

UNKNOWN = "unknown"  # of a cell that does not tell its machine
ASSUMED = (
    "matching takes prevalence and case mix for the same at both sites; where they differ it moves the operating "
    "point, and a threshold from labelled cases of the site is the way"
)


def machine_notes(
    machines: Sequence[tuple[str, ...]],
    by: Sequence[str],
    names: tuple[str, str],
    known: set[tuple[str, ...]] | None,
) -> list[str]:
    """Lines on machines that do not say who they are, that are spelled in two ways, or that the reference has not.

    Args:
        machines: the values of each in the columns `by`.
        by: the columns.
        names: of the reference and of the site.
        known: the values that the reference has in these columns; None where it has no such columns.
    """
    notes = []
    joined = [", ".join(values) for values in machines]
    unnamed = [name for name, values in zip(joined, machines, strict=True) if UNKNOWN in values]
    if unnamed:
        notes.append(
            f"{names[1]} has rows that do not tell {', '.join(by)} throughout: a machine of its own is taken for each "
            f"of {'; '.join(unnamed)}"
        )
    keys = spelled_alike(joined)
    doubled = [name for name, key in zip(joined, keys, strict=True) if keys.count(key) > 1]
    if doubled:
        two = " and ".join(map(repr, doubled[:2]))
        notes.append(f"machines {two} differ in their spelling alone, and are taken for two")
    new = [] if known is None else [name for name, values in zip(joined, machines, strict=True) if values not in known]
    if new:
        notes.append(
            f"not in {names[0]}: {'; '.join(new)}. Every machine of {names[1]} is matched to all of {names[0]}, this "
            "one too"
        )
    return notes


def pair_notes(reference: pd.DataFrame, site: pd.DataFrame, names: tuple[str, str]) -> list[str]:
    """Lines on two samples that are one, on who is in both, and on the patients of each.

    Args:
        reference, site: as `read_predictions` gives them.
        names: of the two.
    """
    notes = []
    if copied_rows(reference, site) >= COPY * min(len(reference), len(site)):
        notes.append(
            f"{names[1]} has the scores and labels of {names[0]}: where they are one, there is nothing to match"
        )
    if "patient_id" in reference and "patient_id" in site:
        both = shared_names(*(table["patient_id"].drop_duplicates() for table in (reference, site)))
        if both:
            count = "1 patient is" if len(both) == 1 else f"{len(both)} patients are"
            notes.append(
                f"{count} in both files, such as {min(both)!r}: a threshold chosen on {names[0]} looks too good on them"
            )
    for table, name in ((reference, names[0]), (site, names[1])):
        notes += [f"{name}: {note}" for note in patient_notes(table)]
    return notes


def mix_note(reference: pd.DataFrame, machine: pd.DataFrame, names: tuple[str, str]) -> str:
    """A line where the patients of a machine differ from the reference's; empty where nothing tells that they do.

    Args:
        reference, machine: rows as `read_predictions` gives them.
        names: of the two.
    """
    differences = case_mix_differences(reference, machine)
    if not differences:
        return ""
    return (
        f"{names[0]} and {names[1]} differ in {'; '.join(differences)}: matching takes that for the machine's doing, "
        "so the operating point after it is off"
    )
