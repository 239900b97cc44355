"""What a patient model is made from: one table with a split, three tables, or features and predictions of images."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import read_predictions
from mammo_tf.patients.doubles import check_patients_once
from mammo_tf.patients.table import (
    VIEWS,
    PatientTable,
    assemble,
    patient_table,
    read_patient_table,
)
from mammo_tf.radiomics.radiomic_features import IDENTITY, Extraction, stored_extraction
from mammo_tf.study import SPLITS
from mammo_tf.study.spelling import spelled_alike
from mammo_tf.study.table import read_table

DIFFER = {  # what either table may tell of an image -> the code and the word where they contradict each other
    "patient_id": ("patients_differ", "patients"),
    "pair_id": ("pairs_differ", "pairs"),
    "laterality": ("sides_differ", "sides"),
    "view": ("views_differ", "views"),
    "split": ("splits_differ", "splits"),
    "age": ("ages_differ", "ages"),
}
YEARS_APART = 1.0  # that two ages of one patient may be, by rounding or a birthday
USUAL = ("malignant", "high_risk")  # labels that count as 1 unless someone chose otherwise


@dataclass(frozen=True)
class PatientInputs:
    """Patients of all splits.

    Attributes:
        table: in the order of the files, `splits` train, validation or test.
        extraction: how the features were made; None for a table made elsewhere.
        frame: the table as it can be written, where it was assembled here; else None.
        notes: what a reader should know, one line each.
    """

    table: PatientTable
    extraction: Extraction | None = None
    frame: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    def split(self, name: str) -> PatientTable:
        """The patients of one split."""
        return self.table.part(self.table.splits == name)


def one_table(path: str | Path, columns: Mapping[str, str] | None = None) -> PatientInputs:
    """A table with a column split, as `read_patient_table` reads it.

    Raises:
        MammoError: as there; `split_unknown`, `split_missing`.
    """
    return _checked(PatientInputs(read_patient_table(path, columns)), str(path))


def three_tables(
    train: str | Path,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    columns: Sequence[Mapping[str, str]] = ({},),
) -> PatientInputs:
    """A file for each split; what a column split in them says does not count.

    Args:
        train, validation, test: the files, of which the first must be there.
        columns: as for `read_patient_table`, once for all files or once for each that is given.

    Raises:
        MammoError: as `read_patient_table`; `column_missing` where a file lacks a column of the first;
            `patient_split` where a patient with the same numbers stands in two files, whatever she is called.
    """
    given = {"train": train, "validation": validation, "test": test}
    files = [(name, path) for name, path in given.items() if path is not None]
    each = list(columns) * len(files) if len(columns) == 1 else columns
    tables = {name: read_patient_table(path, one) for (name, path), one in zip(files, each, strict=True)}
    names = tables["train"].names
    parts = []
    for split, table in tables.items():
        missing = sorted(set(names) ^ set(table.names))
        if missing:
            sentence = f"column {missing[0]!r} is in one of {train} and {given[split]}, and not in the other"
            raise MammoError("column_missing", sentence, "Give all files the same columns")
        places = [table.names.index(name) for name in names]
        values, told = table.values[:, places], table.told[:, places]
        parts.append(replace(table, names=names, values=values, told=told, splits=np.full(len(table.labels), split)))
    whole = PatientTable(
        names=names,
        values=np.concatenate([part.values for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        patients=np.concatenate([part.patients for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
        pairs=np.concatenate([part.pairs for part in parts]),
        splits=np.concatenate([part.splits for part in parts]),
        filled=sum(part.filled for part in parts),
        told=np.concatenate([part.told for part in parts]),
    )
    return _checked(PatientInputs(whole, notes=_same_identifiers(whole)), "the three files")


def _same_identifiers(table: PatientTable) -> tuple[str, ...]:
    """A note where files share identifiers, as numbers that begin again do."""
    shared = pd.Series(spelled_alike(table.patients)).duplicated().sum()
    if not shared:
        return ()
    words = "patient identifier stands" if shared == 1 else "patient identifiers stand"
    return (f"{shared} {words} in more than one file, with other numbers: taken for other patients",)


def features_and_predictions(features: str | Path, predictions: Sequence[str | Path]) -> PatientInputs:
    """Features as `mammo-tf features` writes them, and predictions of the same images (`predict`, or a run's).

    The split is that of the features (of the manifest) where it is known there, else that of the predictions.

    Raises:
        MammoError: as `read_predictions`, `assemble`, `patient_table`; `image_id_twice` where an image stands in two
            files of predictions; `split_unknown`, `split_missing`, `labels_differ`; `patients_differ`, `pairs_differ`,
            `sides_differ`, `views_differ`, `splits_differ`, `ages_differ` where both tell them of an image.
    """
    table = _features(Path(features))
    scores = pd.concat([_scores(path) for path in predictions], ignore_index=True)
    for name, where in (("image_id", [scores]), ("patient_id", [scores, table])):
        if not any(name in one for one in where):
            raise MammoError(
                "column_missing", f"the predictions have no column {name!r}", "Score with mammo-tf predict"
            )
    twice = scores["image_id"].duplicated()
    if twice.any():
        value = scores.loc[twice, "image_id"].iloc[0]
        raise MammoError("image_id_twice", f"image {value!r} stands in two files of predictions")
    counted = _labels(scores, table.set_index("image_id"))
    scores = _told(scores, table.set_index("image_id"))
    numbers = [name for name in table if name not in IDENTITY]
    frame = assemble(scores, table[["image_id", *numbers]])
    frame["split"] = _one_split(scores)[frame["patient_id"]].to_numpy()
    extraction = stored_extraction(features)
    found = patient_table(frame, None, f"the patients of {features}")
    notes = (*counted, *_left_out(scores["image_id"], table["image_id"]))
    if extraction is None:
        notes = (*notes, f"nothing next to {features} says how its features were made: the model cannot score pictures")
    elif set(extraction.columns) != set(numbers):
        sentence = f"{features} has other features than the file next to it says"
        raise MammoError("features_differ", sentence, "Extract them again with mammo-tf features")
    return _checked(PatientInputs(found, extraction, frame, notes), str(features))


def _features(path: Path) -> pd.DataFrame:
    table, lines = read_table(path, f"the features {path} are not there", "Make them with mammo-tf features")
    if "image_id" not in table:
        raise MammoError("column_missing", f"{path} has no column 'image_id'", "Make it with mammo-tf features")
    if table["image_id"].duplicated().any():
        value = table.loc[table["image_id"].duplicated(), "image_id"].iloc[0]
        raise MammoError("image_id_twice", f"{path}: image {value!r} stands there twice", "One row an image")
    for name in (name for name in table if name not in IDENTITY):
        numbers = pd.to_numeric(table[name], errors="coerce").astype("float64")
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if len(wrong):
            sentence = f"{path}, row {lines[wrong[0]]}: {name} {table[name].iloc[wrong[0]]!r} is not a finite number"
            raise MammoError("feature_not_finite", sentence, "Fix the row, or leave the image out")
        table[name] = numbers
    return table


def _scores(path: str | Path) -> pd.DataFrame:
    """Predictions; `split_told` is set where the split is the file's own, which else is taken to be test."""
    scores = read_predictions(path)
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        told = any((row.get("split") or "").strip() for row in csv.DictReader(file))
    return scores.assign(split_told=told)


def _labels(scores: pd.DataFrame, features: pd.DataFrame) -> tuple[str, ...]:
    """Refuses labels 0 and 1 that no choice of positive words explains; notes one that is not the usual one."""
    if "label" not in features:
        return ()
    words = scores["image_id"].map(features["label"]).fillna("").str.strip()
    known = pd.DataFrame({"word": words, "label": scores["label"], "image": scores["image_id"]})[words != ""]
    counts = {str(word): sorted(set(rows)) for word, rows in known.groupby("word")["label"]}
    wrong = [word for word, found in counts.items() if len(found) > 1]
    wrong += [word for word, label in (("normal", 1), ("0", 1), ("1", 0)) if label in counts.get(word, ())]
    if counts.get("malignant") == [0] and counts.get("benign") == [1]:
        wrong.append("malignant")
    if wrong:
        usual = int(wrong[0] in (*USUAL, "1"))
        row = known[(known["word"] == wrong[0]) & (known["label"] != usual)].iloc[0]
        sentence = f"image {row['image']!r} is {wrong[0]} in the features and {row['label']} in the predictions"
        if len(counts[wrong[0]]) > 1:
            sentence += f", where other {wrong[0]} images are {1 - row['label']}"
        raise MammoError("labels_differ", sentence, "Find out which is right, and make both from one manifest")
    positives = [word for word, found in counts.items() if found == [1]]
    otherwise = [word for word in counts if (word in positives) != (word in (*USUAL, "1"))]
    if not otherwise or not positives:
        return ()
    return (f"by the predictions {' and '.join(positives)} count as positive, the other labels do not",)


def _told(scores: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """Predictions with what the features' table knows of the images; refused where the two contradict each other."""
    scores = scores.copy()
    for name, (code, word) in DIFFER.items():
        if name not in features:
            continue
        ours = scores["image_id"].map(features[name]).fillna("").str.strip()
        theirs = scores[name].fillna("") if name in scores else pd.Series("", index=scores.index)
        apart = _apart(name, ours, theirs) & (ours != "") & (theirs.str.strip() != "")
        if name == "split":
            apart &= scores["split_told"]
        if apart.any():
            value = scores.loc[apart, "image_id"].iloc[0]
            sentence = f"predictions and features give image {value!r} different {word}"
            raise MammoError(code, sentence, "Make both from one manifest")
        scores[name] = ours.where(ours != "", theirs)
    return scores.drop(columns="split_told")


def _apart(name: str, ours: pd.Series[str], theirs: pd.Series[str]) -> pd.Series[bool]:
    """Where two columns say different things, empty or not."""
    theirs = theirs.str.strip()
    if name == "age":
        first, second = (pd.to_numeric(column, errors="coerce").astype("float64") for column in (ours, theirs))
        return (first - second).abs() > YEARS_APART
    if name == "laterality":
        return ours.str[:1].str.upper() != theirs.str[:1].str.upper()
    return ours.str.upper() != theirs.str.upper() if name == "view" else ours != theirs


def _one_split(scores: pd.DataFrame) -> pd.Series[str]:
    """Patient -> split; `patient_split` where images of one are in two."""
    splits = scores.groupby("patient_id")["split"].agg(lambda values: sorted(set(values) - {""}))
    for patient, found in splits.items():
        if len(found) > 1:
            sentence = f"patient {str(patient)!r} is in {found[0]} and in {found[1]}"
            raise MammoError("patient_split", sentence, "Split by patient, as mammo-tf split does")
    return splits.map(lambda found: found[0] if found else "")


def _left_out(scores: pd.Series[str], features: pd.Series[str]) -> tuple[str, ...]:
    notes = []
    for these, others, what in (
        (scores, features, "a score and no features"),
        (features, scores, "features and no score"),
    ):
        alone = int((~these.isin(others)).sum())
        if alone:
            notes.append(f"{alone} of {len(these)} images have {what}, and are left out")
    return tuple(notes)


def _checked(inputs: PatientInputs, where: str) -> PatientInputs:
    """Every split is a known one, there is something to train on, nobody is in two of them, and no pair is torn."""
    table = inputs.table
    unknown = sorted(set(table.splits.tolist()) - {*SPLITS, ""})
    if unknown:
        raise MammoError("split_unknown", f"{where} has the split {unknown[0]!r}", f"Known are {', '.join(SPLITS)}")
    if not (table.splits == "train").any():
        remedy = "Give a column split (mammo-tf split), or one file a split"
        raise MammoError("split_missing", f"{where} has no patient in the split train", remedy)
    check_patients_once(table)
    notes = list(inputs.notes)
    if table.filled:
        notes.append(
            f"{table.filled} of {len(VIEWS) * len(table.labels)} views are missing, each filled by the mean of the "
            "patient's other views"
        )
    aside = int((table.splits == "").sum())
    if aside:
        notes.append(f"{aside} patients have no split, and are left out")
    paired = table.part((table.pairs != "") & (table.splits != ""))
    torn = pd.Series(paired.splits).groupby(paired.pairs).nunique()
    pairs = [str(pair) for pair in torn.index[torn > 1]]
    if pairs:
        notes.append(f"{len(pairs)} pairs are in two splits, such as {pairs[0]!r}: keep them together (split --pairs)")
    return replace(inputs, table=table.part(table.splits != ""), notes=tuple(notes))
