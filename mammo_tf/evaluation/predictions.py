"""`predictions.csv`: the file that every evaluation, figure and report starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.cells import label_numbers, score_numbers
from mammo_tf.evaluation.levels import SEVERAL, has_several_rows, telling
from mammo_tf.files import atomic_path
from mammo_tf.study.cells import check_identifiers
from mammo_tf.study.findings import Finding, findings_from_json
from mammo_tf.study.manifest import COLUMNS as MANIFEST_COLUMNS
from mammo_tf.study.manifest import UNLABELLED
from mammo_tf.study.table import by_full_name, read_table

COLUMNS = (
    "image_id", "patient_id", "exam_id", "pair_id", "laterality", "view", "modality", "manufacturer", "density", "age",
    "split", "label", "score",
)  # fmt: skip
ADDED = ("probability", "decision")  # behind the score, where the model has a calibration and a threshold
Probability = Callable[[NDArray[np.float64]], NDArray[np.float64]]
LESION_SOURCES = ("label", "findings", "spacing_row_mm", "spacing_column_mm")
IDENTIFIERS = ("image_id", "patient_id", "exam_id", "pair_id", "breast_id")
SCORE_DIGITS = 9  # a float32 survives


def make_predictions(rows: pd.DataFrame, labels: ArrayLike, scores: ArrayLike) -> pd.DataFrame:
    """Predictions of some manifest rows.

    Args:
        rows: of the manifest, `[n]`.
        labels: 0 or 1, `[n]`.
        scores: probabilities of the positive class, `[n]`.

    Returns:
        The columns `COLUMNS`; where rows tell findings, `finding_kind` and `finding_size_mm` of the largest as well;
        then columns that a manifest need not have (`compression_force`), and `frame` where an image has several rows.

    Raises:
        MammoError: `score_not_finite`.
    """
    if not np.isfinite(np.asarray(scores, np.float64)).all():
        raise MammoError("score_not_finite", "a score is not a finite number", "Look at the model and at its training")
    table = rows[[column for column in COLUMNS if column in rows]].reset_index(drop=True).copy()
    table["label"] = np.asarray(labels, np.int64)
    table["score"] = np.asarray(scores, np.float64)
    lesions = [_lesion(row) for row in rows[list(LESION_SOURCES)].to_dict("records")] if "findings" in rows else []
    found = table[list(COLUMNS)]
    if any(kind for kind, _ in lesions):
        found = found.assign(finding_kind=[kind for kind, _ in lesions], finding_size_mm=[size for _, size in lesions])
    further = [str(name) for name in rows if name not in (*MANIFEST_COLUMNS, *found)]
    if "frame" in rows and has_several_rows(rows):
        further.append("frame")
    return found.assign(**{name: rows[name].to_numpy() for name in further})


def with_decision(table: pd.DataFrame, threshold: float | None, probability: Probability | None = None) -> pd.DataFrame:
    """Predictions with what a model says beyond the score.

    Args:
        table: with `score`.
        threshold: of images; with one the column `decision` is 1 where the score reaches it, else 0.
        probability: calibration of scores of images; with one there is a column `probability`.
    """
    scores = table["score"].to_numpy(np.float64)
    table = table.copy()
    if probability is not None:
        table["probability"] = probability(scores)
    if threshold is not None:
        table["decision"] = (scores >= threshold).astype(np.int64)
    return table


def _lesion(row: Mapping[Any, Any]) -> tuple[str, str]:
    """Kind and size in mm, as text, of the largest finding that carries the image's label; empty for a normal one."""
    if row["label"] == "normal":
        return "", ""
    known = [finding for finding in findings_from_json(row["findings"]) if finding.label == row["label"]]
    if not known:
        return "", ""
    spacing = [pd.to_numeric(row[f"spacing_{axis}_mm"], errors="coerce") for axis in ("column", "row")]

    def size(finding: Finding) -> float:
        bounds = finding.bounds()
        if bounds is None:
            return float("nan")
        return float(max((bounds[2] - bounds[0]) * spacing[0], (bounds[3] - bounds[1]) * spacing[1]))

    largest = max(known, key=lambda finding: np.nan_to_num(size(finding), nan=-1.0))
    return largest.kind, "" if not np.isfinite(size(largest)) else f"{size(largest):.6g}"


def write_predictions(table: pd.DataFrame, path: str | Path) -> None:
    """Writes `predictions.csv`; whole or not there."""
    with atomic_path(path) as beside:
        table.to_csv(beside, index=False, float_format=f"%.{SCORE_DIGITS}g", lineterminator="\n")


def read_predictions(
    path: str | Path, columns: Mapping[str, str] | None = None, unlabelled: bool = False
) -> pd.DataFrame:
    """Reads anyone's predictions.

    Args:
        path: CSV in UTF-8 with a header.
        columns: what our columns are called in the file, such as `{"label": "cancer", "score": "p", "patient": "id"}`;
            `patient`, `image`, `exam`, `pair` stand for `patient_id` and so on.
        unlabelled: labels need not be told: where the cell is empty, or there is no such column, the label is
            `UNLABELLED`.

    Returns:
        The file's rows with our columns where it has them: `label` int64 (0 or 1), `score` float64, the rest text
        without blanks around it. A column of identifiers that is empty in all rows is left out: nothing is invented.
        Without `split` all rows are `test`. An image has one row, or several that a column `frame` or `patch_seed`
        tells apart.

    Raises:
        MammoError: `file_missing`, `csv_broken`, `column_missing`, `column_unknown`, `label_wrong`, `score_wrong`,
            `predictions_empty`, `image_id_twice`, `image_shared`, `column_twice`, `patient_missing`, `value_missing`,
            `option_wrong` where two names mean one column.
    """
    table, lines = read_table(path, f"the predictions {path} are not there")
    return predictions_of(table, lines, path, columns, unlabelled)


def predictions_of(
    stored: pd.DataFrame,
    lines: Sequence[int],
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    unlabelled: bool = False,
) -> pd.DataFrame:
    """As `read_predictions`, of a table that was read already.

    Args:
        stored, lines: as `study.table.read_table` gives them; left as they are.
        path: what messages call it.
        columns, unlabelled: as for `read_predictions`.
    """
    path = Path(path)
    if stored.empty:
        raise MammoError("predictions_empty", f"{path} has no rows")
    table = stored.copy()
    for name, theirs in by_full_name(columns or {}, "--columns").items():
        if name not in (*COLUMNS, "breast_id", *SEVERAL):
            raise MammoError("column_unknown", f"--columns names {name!r}", f"Known are {', '.join(COLUMNS)}")
        if theirs not in stored:
            remedy = f"It has {', '.join(map(str, stored))}; --columns once for each file names those of each"
            raise MammoError("column_missing", f"{path} has no column {theirs!r}", remedy)
        table[name] = stored[theirs]
    for name in ("score",) if unlabelled else ("label", "score"):
        if name not in table:
            remedy = f"Say which it is with --columns {name}=...; the file has {', '.join(table.columns)}"
            raise MammoError("column_missing", f"{path} has no column {name!r}", remedy)
    table["label"] = _labels(table, str(path), lines, unlabelled)
    table["score"] = score_numbers(table["score"], str(path), lines)
    text = [column for column in table if column not in ("label", "score")]
    for column in text:
        table[column] = table[column].str.strip()
    check_identifiers(table, IDENTIFIERS, lines, str(path))
    table = table.drop(columns=[name for name in IDENTIFIERS if name in table and not (table[name] != "").any()])
    _check_images(table, path)
    if "patient_id" in table and (table["patient_id"] == "").any():
        row = lines[int((table["patient_id"] == "").argmax())]
        sentence = f"{path}, row {row}: patient_id is empty, and not everywhere"
        raise MammoError("patient_missing", sentence, "Name every patient, or leave the column out")
    if "split" not in table or not (table["split"] != "").any():
        table["split"] = "test"
    return table


def _labels(table: pd.DataFrame, where: str, lines: Sequence[int], unlabelled: bool) -> NDArray[np.int64]:
    """0 or 1 of every row, `UNLABELLED` of one without a label where that is allowed."""
    if not unlabelled:
        return label_numbers(table["label"], where, lines)
    found = np.full(len(table), UNLABELLED, np.int64)
    if "label" in table:
        told = np.flatnonzero(table["label"].str.strip() != "")
        found[told] = label_numbers(table["label"].iloc[told], where, [lines[int(place)] for place in told])
    return found


def _check_images(table: pd.DataFrame, path: Path) -> None:
    """Refuses rows of one image that nothing tells apart, or that belong to two patients or two splits."""
    if not has_several_rows(table):
        return
    told = telling(table)
    twice = table[["image_id", *told]].duplicated()
    if twice.any():
        value = table.loc[twice, "image_id"].iloc[0]
        remedy = "No image counts twice; rows of its frames or patches need a column frame or patch_seed"
        raise MammoError("image_id_twice", f"{path}: image_id {value!r} stands there twice", remedy)
    for column in ("patient_id", "split"):
        pairs = table[["image_id", column]].drop_duplicates() if column in table else table[:0]
        if pairs["image_id"].duplicated().any():
            value = pairs.loc[pairs["image_id"].duplicated(), "image_id"].iloc[0]
            sentence = f"{path}: the rows of image_id {value!r} differ in {column}"
            raise MammoError("image_shared", sentence, "Give every row of an image the same one")
