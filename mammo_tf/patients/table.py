"""One row a patient: age, four view scores, features of four views; from anyone's table or from our own files.

Columns are `age`, `<side>_<view>_pred` (the network's score of the view) and `<feature>_<side>_<view>`, side L or R,
view CC or MLO. A missing view has all its columns empty; `filled` says what stands there instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.cells import label_numbers, number_remedy
from mammo_tf.study.cells import check_identifiers, number_of
from mammo_tf.study.spelling import spelled_alike
from mammo_tf.study.table import read_table

VIEWS = ("L_CC", "L_MLO", "R_CC", "R_MLO")
SCORES = tuple(f"{view}_pred" for view in VIEWS)
_FEATURE = re.compile(r"(?P<feature>[A-Za-z]\w*?)_(?P<view>[LR]_(?:CC|MLO))")
NAMES_OF = {
    "label": ("label", "true_label"),
    "patient": ("patient_id", "id"),
    "pair": ("pair_id",),
    "split": ("split",),
}


@dataclass(frozen=True)
class PatientTable:
    """Patients of a study.

    Attributes:
        names: of the columns: age (where it is known), the four scores, features by view.
        values: float64 `[patients, columns]`, missing ages nan, missing views filled.
        labels: int64 `[patients]`, 0 or 1.
        patients: identifiers, `[patients]`.
        groups: what folds keep together, `[patients]`: the pair where there is one, else the patient; a patient who is
            called as a pair of others is not a member of it.
        pairs: identifiers of pairs, `[patients]`, empty where there is none.
        splits: train, validation, test or empty, `[patients]`.
        filled: how many views were missing.
        told: bool `[patients, columns]`, which values the table has and nobody filled in.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    labels: NDArray[np.int64]
    patients: NDArray[np.str_]
    groups: NDArray[np.str_]
    pairs: NDArray[np.str_]
    splits: NDArray[np.str_]
    filled: int
    told: NDArray[np.bool_]

    def part(self, chosen: NDArray[np.bool_]) -> PatientTable:
        """Only the patients where `chosen`, bool `[patients]`, is set."""
        return replace(
            self,
            values=self.values[chosen],
            labels=self.labels[chosen],
            patients=self.patients[chosen],
            groups=self.groups[chosen],
            pairs=self.pairs[chosen],
            splits=self.splits[chosen],
            told=self.told[chosen],
        )

    def column(self, name: str) -> NDArray[np.float64]:
        """One column, float64 `[patients]`; `column_missing` where there is none of that name."""
        if name not in self.names:
            raise MammoError("column_missing", f"the patient table has no column {name!r}")
        return self.values[:, self.names.index(name)]

    @property
    def view_scores(self) -> NDArray[np.float64]:
        """The network's scores, float64 `[patients, 4]`, in the order of `VIEWS`; missing views filled."""
        return np.stack([self.column(name) for name in SCORES], axis=1)


def read_patient_table(path: str | Path, columns: Mapping[str, str] | None = None) -> PatientTable:
    """Reads a table made anywhere.

    Args:
        path: CSV in UTF-8 with a header. Columns of other names than the above are left alone.
        columns: what `label`, `patient`, `pair`, `split` are called in the file, where they are not called `label` or
            `true_label`, `patient_id` or `id`, `pair_id`, `split`.

    Raises:
        MammoError: `file_missing`, `csv_broken`, `column_missing`, `column_twice`, `column_unknown`, `label_wrong`,
            `patient_twice`, `patient_missing`, `value_missing`, `feature_not_finite`, `age_wrong`, `score_outside`,
            `no_view`.
    """
    frame, lines = read_table(path, f"the patient table {path} is not there")
    return patient_table(frame, columns, str(path), lines)


def patient_table(
    frame: pd.DataFrame,
    columns: Mapping[str, str] | None = None,
    where: str = "the patient table",
    lines: Sequence[int] | None = None,
) -> PatientTable:
    """The same from a table at hand, text or numbers; errors as `read_patient_table`.

    Args:
        frame: a row a patient.
        columns: as for `read_patient_table`.
        where: what messages call the table.
        lines: number of each row in its file; by default from 2 on, without gaps.
    """
    if not len(frame):
        raise MammoError("csv_broken", f"{where} has no rows")
    lines = range(2, len(frame) + 2) if lines is None else lines
    given = _given(frame, dict(columns or {}), where)
    names = _column_names([str(name) for name in frame.columns], where)
    values = np.stack([_numbers(frame, name, where, lines) for name in names], axis=1)
    label = label_numbers(frame[given["label"]], where, lines)
    patients, pairs = _who(frame, given, where, lines)
    splits = _text(frame[given["split"]]) if "split" in given else np.full(len(frame), "")
    told = ~np.isnan(values)
    filled = _fill_missing_views(values, names, patients, where, lines)
    return PatientTable(tuple(names), values, label, patients, _groups(patients, pairs), pairs, splits, filled, told)


def _given(frame: pd.DataFrame, columns: dict[str, str], where: str) -> dict[str, str]:
    found = {}
    for name, choices in NAMES_OF.items():
        theirs = columns.pop(name, None)
        if theirs is not None and theirs not in frame:
            raise MammoError("column_missing", f"{where} has no column {theirs!r}", "Fix --columns")
        chosen = theirs or next((choice for choice in choices if choice in frame), None)
        if chosen is not None:
            found[name] = chosen
    if columns:
        raise MammoError(
            "column_unknown", f"--columns names {next(iter(columns))!r}", f"Known are {', '.join(NAMES_OF)}"
        )
    if "label" not in found:
        remedy = "Say which it is with --columns label=..."
        raise MammoError("column_missing", f"{where} has no column 'label'", remedy)
    return found


def _who(
    frame: pd.DataFrame, given: Mapping[str, str], where: str, lines: Sequence[int]
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Patients, and their pairs, empty where there is none.

    Where `id` stands there twice and a column `group` tells its rows apart, it names the pair, not the patient.
    """
    rows = np.array([str(number) for number in range(len(frame))])
    patients = _text(frame[given["patient"]]) if "patient" in given else rows
    pairs = _text(frame[given["pair"]]) if "pair" in given else np.full(len(frame), "")
    who = {given.get("patient", "id"): patients, given.get("pair", "pair_id"): pairs}
    check_identifiers(pd.DataFrame(who), list(who), lines, where)
    if (patients == "").any():
        sentence = f"{where}, row {lines[int((patients == '').argmax())]}: {given['patient']} is empty"
        raise MammoError("patient_missing", sentence, "Name every patient, or leave the column out")
    spelled = pd.Series(spelled_alike(patients))
    twice = spelled.duplicated()
    if twice.any():
        if given["patient"] == "id" and "group" in frame:
            group = _text(frame["group"])
            if not pd.DataFrame({"who": spelled, "which": spelled_alike(group)}).duplicated().any():
                members = np.char.add(np.char.add(patients, " "), group)
                return members, pairs if "pair" in given else patients
        row = int(twice.argmax())
        first, value = str(patients[int((spelled == spelled[row]).argmax())]), str(patients[row])
        also = "" if first == value else f" (also spelled {value!r})"
        remedy = (
            "One row a patient; the members of a matched pair with one id need a column group that tells them apart"
        )
        raise MammoError(
            "patient_twice", f"{where}, row {lines[row]}: patient {first!r}{also} stands there twice", remedy
        )
    return patients, pairs


def _text(cells: pd.Series[Any]) -> NDArray[np.str_]:
    return cells.where(cells.notna(), "").astype(str).str.strip().to_numpy(str)


def _groups(patients: NDArray[np.str_], pairs: NDArray[np.str_]) -> NDArray[np.str_]:
    """The pair, else the patient; strangers who share a number, one as a pair and one as a patient, are kept apart."""
    taken, everyone = set(pairs.tolist()), set(patients.tolist())
    names = []
    for patient, pair in zip(patients.tolist(), pairs.tolist(), strict=True):
        name = pair or patient
        while not pair and (name in taken or (name != patient and name in everyone)):
            name = f"patient {name}"
        names.append(name)
    return np.array(names, str)


def _column_names(header: list[str], where: str) -> list[str]:
    """The columns that are used, in order; every feature has all four views."""
    missing = [name for name in SCORES if name not in header]
    if missing:
        raise MammoError("column_missing", f"{where} has no column {missing[0]!r}", "The network's score of that view")
    matches = {name: match for name in header if name not in SCORES and (match := _FEATURE.fullmatch(name))}
    features = list(dict.fromkeys(match["feature"] for match in matches.values()))
    names = [f"{feature}_{view}" for view in VIEWS for feature in features]
    missing = [name for name in names if name not in matches]
    if missing:
        feature = missing[0].rsplit("_", 2)[0]
        sentence = f"{where} has no column {missing[0]!r}, but {feature} of other views"
        raise MammoError("column_missing", sentence, "Give every feature of all four views")
    return [*(["age"] if "age" in header else []), *SCORES, *names]


def _numbers(frame: pd.DataFrame, name: str, where: str, lines: Sequence[int]) -> NDArray[np.float64]:
    if name == "age":
        return np.array([_years(cell, where, line) for cell, line in zip(frame[name], lines, strict=True)], np.float64)
    text = frame[name].astype(object).map(str).str.strip()
    empty = text.isin(("", "nan", "NaN"))
    numbers = pd.to_numeric(text.where(~empty, "nan"), errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers) & ~empty.to_numpy())
    if len(wrong):
        sentence = f"{where}, row {lines[wrong[0]]}: {name} {text.iloc[wrong[0]]!r} is not a finite number"
        remedy = number_remedy(text.iloc[wrong[0]]) or "Fix the row, or leave its whole view empty"
        raise MammoError("feature_not_finite", sentence, remedy)
    outside = np.flatnonzero((numbers < 0) | (numbers > 1))
    if len(outside) and name in SCORES:
        told = f"{where}, row {lines[outside[0]]}: {name} {text.iloc[outside[0]]!r}"
        raise MammoError("score_outside", f"{told} lies outside 0 to 1", "Give the network's scores as probabilities")
    return numbers


def _years(cell: Any, where: str, line: int) -> float:
    """An age by the measure of every table (`study.cells`); nan where the cell is empty."""
    if not isinstance(cell, str):
        cell = "" if cell is None or pd.isna(cell) else repr(float(cell))
    try:
        return number_of("age", cell) if cell.strip() else float("nan")
    except MammoError as error:
        raise MammoError("age_wrong", f"{where}, row {line}: {error.sentence}", error.remedy) from error


def _fill_missing_views(
    values: NDArray[np.float64], names: Sequence[str], patients: NDArray[np.str_], where: str, lines: Sequence[int]
) -> int:
    """A missing view's score and features become the mean of the patient's other views, in place; how many there were.

    A view that lacks some numbers and has others is an error.
    """
    of_view = [[number for number, name in enumerate(names) if _view_of(name) == view] for view in VIEWS]
    stacked = np.stack([values[:, numbers] for numbers in of_view])  # [views, patients, columns of a view]
    empty = np.isnan(stacked)
    missing: NDArray[np.bool_] = np.asarray(empty.all(axis=2))
    partly: NDArray[np.bool_] = np.asarray(empty.any(axis=2)) & ~missing
    if partly.any():
        view, patient = np.argwhere(partly)[0]
        column = of_view[view][int(np.argmax(empty[view, patient]))]
        sentence = f"{where}, row {lines[patient]}: {names[column]} is empty, but other numbers of the view are not"
        raise MammoError("feature_not_finite", sentence, "Fix it, or leave the whole view empty")
    if missing.all(axis=0).any():
        row = int(np.argmax(missing.all(axis=0)))
        raise MammoError("no_view", f"{where}, row {lines[row]}: patient {str(patients[row])!r} has no view at all")
    present = ~missing[:, :, None]
    mean = np.where(present, stacked, 0.0).sum(axis=0) / present.sum(axis=0)
    for numbers, part, without in zip(of_view, stacked, missing, strict=True):
        values[:, numbers] = np.where(without[:, None], mean, part)
    return int(missing.sum())


def _view_of(name: str) -> str | None:
    if name in SCORES:
        return name.removesuffix("_pred")
    match = _FEATURE.fullmatch(name)
    return match["view"] if match else None


def assemble(predictions: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """A row a patient from a row an image: what `patient_table` reads.

    Several pictures of one view of a patient are averaged. Views other than CC and MLO are left out.

    Args:
        predictions: `image_id, patient_id, laterality, view, label, score`, and `age, pair_id, split` where known.
        features: `image_id` and one column a feature.

    Raises:
        MammoError: `column_missing`, `column_twice` (also for a column of the predictions called as a feature),
            `nothing_in_common`; `feature_not_finite` for text in a feature.
    """
    for table, needed in ((predictions, ("image_id", "patient_id", "laterality", "view")), (features, ("image_id",))):
        lacking = [name for name in needed if name not in table]
        if lacking:
            raise MammoError("column_missing", f"a table has no column {lacking[0]!r}", "Make it with mammo-tf")
    names = [name for name in features if name != "image_id"]
    doubled = [name for name in names if name in predictions]
    if doubled:
        sentence = f"the column {doubled[0]!r} is in the features and in the predictions"
        raise MammoError("column_twice", sentence, "Leave it out of the predictions")
    if features["image_id"].duplicated().any():
        raise MammoError("column_twice", "an image stands in the features twice", "One row an image")
    both = predictions.merge(features[["image_id", *names]], on="image_id")
    both["place"] = both["laterality"] + "_" + both["view"]
    both = both[both["place"].isin(VIEWS)]
    if both.empty:
        raise MammoError("nothing_in_common", "predictions and features have no CC or MLO image in common")
    try:
        numbers = both[["score", *names]].apply(pd.to_numeric)
    except ValueError as error:
        raise MammoError("feature_not_finite", f"a score or feature of an image is not a number: {error}") from error
    numbers = numbers.assign(patient_id=both["patient_id"], place=both["place"])
    means = numbers.pivot_table(index="patient_id", columns="place", aggfunc="mean", sort=False)
    wide = {f"{view}_pred": means["score"].get(view) for view in VIEWS}
    wide |= {f"{name}_{view}": means[name].get(view) for view in VIEWS for name in names}
    present = {key: value for key, value in wide.items() if value is not None}
    frame = pd.DataFrame(present, index=means.index).reindex(columns=list(wide))
    facts = both.groupby("patient_id", sort=False)
    known = {name: _first_known(both, name) for name in ("age", "pair_id", "split") if name in both}
    facts_known = pd.DataFrame({"label": facts["label"].max()} | known)
    return pd.concat([frame, facts_known], axis=1).rename_axis("patient_id").reset_index()


def _first_known(images: pd.DataFrame, name: str) -> pd.Series[Any]:
    """What the first image of a patient that tells says, by patient; empty where none does."""
    told = images[name].astype(object)
    told = told.where(told.notna() & (told.astype(str).str.strip() != ""), None)
    return told.groupby(images["patient_id"], sort=False).first().astype(object).fillna("")
