"""Who is who in a table of predictions: patients who are not named, doubled by spelling, or in two splits at once."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.levels import has_several_exams, has_several_images, resampled_column
from mammo_tf.study.spelling import spelled_alike

WITHOUT = "intervals are too short where a patient has several images"
_PERSON = re.compile(
    r"(patient|subject|woman|person|participant|client|mrn|pid|pat)s?(id|no|nr|num|number|key|code|hash|name)?"
)


def check_patients_apart(table: pd.DataFrame, threshold_split: str) -> None:
    """Nobody on whom a threshold is chosen is measured with it, however the name is spelled.

    Args:
        table: as `read_predictions` gives it; images are looked at as well, if their names are no numbers.
        threshold_split: where thresholds are chosen; whom a model was trained on is not asked here.

    Raises:
        MammoError: `patient_split`.
    """
    chosen = table["split"] == threshold_split
    measured = ~chosen & (table["split"] != "train")
    for column in (name for name in ("patient_id", "image_id") if name in table):
        both = shared_names(*(table.loc[rows & (table[column] != ""), column] for rows in (chosen, measured)))
        if column == "image_id":  # numbers begin again in every file
            both = {ours: theirs for ours, theirs in both.items() if not spelled_alike([ours])[0].isdecimal()}
        if both:
            ours, theirs = min(both.items())
            word = column.removesuffix("_id")
            told = f"{word} {ours!r}" + (f" (also spelled {theirs!r})" if theirs != ours else "")
            sentence = f"{told} is in {threshold_split}, where thresholds are chosen, and in another split"
            raise MammoError("patient_split", sentence, f"Leave the {word} out of one of them")


def shared_names(first: pd.Series, second: pd.Series) -> dict[str, str]:
    """Name in the first -> name in the second, of those that are in both, however they are spelled."""
    ours, names = first.tolist(), second.tolist()
    theirs = dict(zip(spelled_alike(names), names, strict=True))
    return {str(name): str(theirs[key]) for name, key in zip(ours, spelled_alike(ours), strict=True) if key in theirs}


def patient_notes(table: pd.DataFrame, threshold_split: str = "validation", pool_exams: bool = False) -> list[str]:
    """What a reader must know of the patients of a table, one line each.

    Args:
        table: as `read_predictions` gives it.
        threshold_split: is looked at by `check_patients_apart`.
        pool_exams: as for `measured_levels`.
    """
    if "patient_id" not in table:
        return [_unnamed(table)]
    notes = []
    if not has_several_images(table):
        sentence = "every image has a patient_id of its own, so each counts as a patient and there is no level patient"
        notes.append(f"{sentence}; if that is not so, {WITHOUT}{_remedy(table)}")
    notes += _spellings(table)
    if has_several_exams(table) and not pool_exams:
        notes.append(
            "patients have several exams: each exam is a case, and there is no level patient; --pool-exams adds it"
        )
    for first, second in combinations(table["split"].unique(), 2):
        notes += _shared_exams(table, first, second)
        if threshold_split in (first, second) and "train" not in (first, second):
            continue
        one, other = (table.loc[table["split"] == split, "patient_id"] for split in (first, second))
        if both := shared_names(one.drop_duplicates(), other.drop_duplicates()):
            count = "1 patient is" if len(both) == 1 else f"{len(both)} patients are"
            notes.append(
                f"{count} both in {first!r} and in {second!r}, such as {min(both)!r}: that is no test of a model"
            )
    return notes


def _shared_exams(table: pd.DataFrame, first: str, second: str) -> list[str]:
    """A line where patients of two splits have an exam in common, unless exams are called alike for every patient."""
    if "exam_id" not in table:
        return []
    exams = table.loc[table["exam_id"] != "", ["split", "exam_id", "patient_id"]].drop_duplicates()
    if exams.duplicated(["split", "exam_id"]).any():
        return []
    one, other = (exams[exams["split"] == split] for split in (first, second))
    pairs = one.merge(other, on="exam_id", suffixes=("", "_other"))
    pairs = pairs[pairs["patient_id"] != pairs["patient_id_other"]]
    names = [name for name in pairs["exam_id"] if not spelled_alike([name])[0].isdecimal()]
    if not names:
        return []
    return [f"exam {min(names)!r} is one patient's in {first!r} and another's in {second!r}: are they the same woman?"]


def _unnamed(table: pd.DataFrame) -> str:
    unit = "exam" if resampled_column(table) == "exam_id" else "row"
    return (
        f"no patient column: every {unit} counts as a patient, and there is no level patient; {WITHOUT}{_remedy(table)}"
    )


def _remedy(table: pd.DataFrame) -> str:
    """How to name the patients; a column that looks as if it did, and does not tell every row apart, is named."""
    for column in table:
        words = re.sub(r"[^a-z]", "", str(column).casefold())
        values = table[column].astype(str).str.strip()
        if column != "patient_id" and _PERSON.fullmatch(words) and 1 < values.nunique() < len(table):
            return f". Name it with --columns patient={column}"
    return ". Name it with --columns patient=..."


def _spellings(table: pd.DataFrame) -> list[str]:
    names = pd.Series(table["patient_id"].unique(), dtype="object")
    alike = pd.Series(spelled_alike(names))
    doubled = names[alike.duplicated(keep=False)]
    if doubled.empty:
        return []
    first, second = names[alike == alike[doubled.index[0]]].iloc[:2]
    return [f"patient_id {first!r} and {second!r} differ in their spelling alone, and are taken for two patients"]


def fitted_together(table: pd.DataFrame, apart: pd.DataFrame, path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """Two files of one model as one table, and what a reader must know of it.

    Where one of them names no patients or images, each of its rows is one of its own.

    Args:
        table, apart: as `read_predictions` gives them.
        path: of the second.
    """
    notes, tables = [], [table, apart]
    if ("patient_id" in table) != ("patient_id" in apart):
        notes.append(f"patients are named in one of FILE and {path} only: whether they are others cannot be told")
    for column in ("image_id", "patient_id"):
        if (column in table) != (column in apart):
            word = column.removesuffix("_id")
            tables = [
                one
                if column in one
                else one.assign(**{column: [f"{word} {number} of {place}" for number in range(len(one))]})
                for place, one in enumerate(tables, 1)
            ]
    for column in ("laterality", "exam_id", "breast_id"):
        if (column in table) != (column in apart):
            notes.append(f"{column} is in one of FILE and {path} only: levels that it tells are left out")
    return pd.concat(tables, ignore_index=True), notes
