"""The chain of levels, from a patch to a patient: which cases a table of predictions has at each of them.

A level is put together of the nearest finer one that the table tells: a patient of her breasts, of her images where
nobody says which breast they show. A level that is not here is a line in `LEVELS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from mammo_tf.errors import MammoError

AGGREGATES = ("mean", "maximum", "noisy_or")
ALMOST_ONE = 1 - 2.0**-53  # a score of exactly 1 would end the order among those that hold one


class Parts(NamedTuple):
    """What a level may be put together of.

    Attributes:
        level: name of the finer level.
        aggregate: how its scores are put together where nobody says how.
        words: for the reader of a number, behind the aggregate.
    """

    level: str
    aggregate: str
    words: str


@dataclass(frozen=True)
class Level:
    """One level.

    Attributes:
        name, plural: for files and readers.
        told_by: columns of which one, filled in in every row (where `several`, in every row of an image that has more
            than one), tells the level's cases apart; none: always there.
        within: columns that tell the coarser units apart in which the cases lie.
        parts: finer levels, the nearest first; the first that a table tells is taken.
        several: the level exists only where an image has several rows.
        partly: one row that is filled in tells the level; empty cells are then one unit of the coarser one.
    """

    name: str
    plural: str
    told_by: tuple[str, ...]
    within: tuple[str, ...] = ()
    parts: tuple[Parts, ...] = ()
    several: bool = False
    partly: bool = False


LEVELS = (
    Level("patch", "patches", ("patch_seed",), ("patient_id", "image_id", "frame"), several=True),
    Level(
        "frame", "frames", ("frame",), ("patient_id", "image_id"), (Parts("patch", "mean", "of a frame's patches"),),
        several=True,
    ),
    Level(
        "image", "images", (), ("patient_id", "image_id"),
        (Parts("frame", "maximum", "of an image's frames"), Parts("patch", "mean", "of an image's patches")),
    ),
    Level(
        "breast", "breasts", ("breast_id", "laterality"), ("patient_id", "exam_id"),
        (Parts("image", "mean", "of a breast's views"),),
    ),
    Level(
        "exam", "exams", ("exam_id",), ("patient_id",),
        (Parts("breast", "maximum", "of the exam's breasts"), Parts("image", "maximum", "of the exam's images")),
        partly=True,
    ),
    Level(
        "patient", "patients", ("patient_id",), ("patient_id",),
        (Parts("breast", "maximum", "of the breasts"), Parts("image", "maximum", "of the images")),
    ),
)  # fmt: skip
BY_NAME = {level.name: level for level in LEVELS}
SEVERAL = tuple(column for level in LEVELS if level.several for column in level.told_by)
DEFAULT_AGGREGATES: Mapping[str, str] = {"breast": "mean", "patient": "maximum"}  # of files that do not say theirs


def level_named(name: str) -> Level:
    """The level of that name; `level_unknown` where there is none."""
    if name not in BY_NAME:
        raise MammoError("level_unknown", f"level {name!r} is unknown", f"Known are {', '.join(BY_NAME)}")
    return BY_NAME[name]


def check_aggregates(aggregates: Mapping[str, str]) -> None:
    """Raises `level_unknown` for a level that is none, `aggregate_unknown` for an aggregate that is none."""
    for level, aggregate in aggregates.items():
        level_named(level)
        if aggregate not in AGGREGATES:
            raise MammoError("aggregate_unknown", f"{aggregate!r} is unknown", f"Known are {', '.join(AGGREGATES)}")


def measured_levels(table: pd.DataFrame, pool_exams: bool = False) -> tuple[Level, ...]:
    """The levels that are measured, finest first: those that a table tells.

    The level patient is left out where each patient has one image, which makes it the level image, and where a patient
    has several exams: an old false alarm would speak for a cancer of today.

    Args:
        table: as `read_predictions` gives it.
        pool_exams: measure patients although some have several exams, over all of them.
    """
    return tuple(
        level
        for level in LEVELS
        if _is_told(table, level)
        and (level.name != "patient" or (has_several_images(table) and (pool_exams or not has_several_exams(table))))
    )


def has_several_images(table: pd.DataFrame) -> bool:
    """Whether a patient who is named has more than one image; False where no patient is named."""
    if not _is_filled(table, "patient_id"):
        return False
    images = table.drop_duplicates("image_id") if "image_id" in table else table
    return bool(images["patient_id"].duplicated().any())


def has_several_exams(table: pd.DataFrame) -> bool:
    """Whether a patient has more than one exam within a split."""
    if "patient_id" not in table or "exam_id" not in table:
        return False
    exams = with_identity(table)[["split", "patient_id", "exam_id"]].drop_duplicates()
    return bool(exams.duplicated(["split", "patient_id"]).any())


def aggregates_in_force(
    table: pd.DataFrame, aggregates: Mapping[str, str] = DEFAULT_AGGREGATES, pool_exams: bool = False
) -> dict[str, str]:
    """Level -> aggregate of the measured levels that are put together of finer ones, defaults filled in."""
    check_aggregates(aggregates)
    found = {}
    for level in measured_levels(table, pool_exams):
        parts = parts_of(table, level)
        if parts is not None:
            found[level.name] = _aggregate(level, parts, aggregates)
    return found


def _aggregate(level: Level, parts: Parts, aggregates: Mapping[str, str]) -> str:
    """How a level's parts are put together; of an exam, if nothing is said, as of a patient."""
    named = aggregates.get("patient", parts.aggregate) if level.name == "exam" else parts.aggregate
    return aggregates.get(level.name, named)


def parts_of(table: pd.DataFrame, level: Level) -> Parts | None:
    """What a level of this table is put together of; None where its cases are the rows."""
    return next((parts for parts in level.parts if _is_told(table, BY_NAME[parts.level])), None)


def how_words(table: pd.DataFrame, level: Level, aggregates: Mapping[str, str]) -> str:
    """`, mean of a breast's views`, for the reader of a number; empty where the cases are the rows."""
    parts = parts_of(table, level)
    return "" if parts is None else f", {_aggregate(level, parts, aggregates)} {parts.words}"


def at_level(
    table: pd.DataFrame, level: str, aggregates: Mapping[str, str] = DEFAULT_AGGREGATES
) -> pd.DataFrame | None:
    """Cases of one level, with `label`, `score`, `patient_id`, `case_id` and `split`; missing views are no obstacle.

    A case is positive if one of its parts is: a breast if one of its views is, a patient if one of the breasts is. Its
    score is the aggregate of the parts' scores. A patient's is taken over her breasts (over the images, where the
    laterality is not known), those of all exams.

    Args:
        table: as `read_predictions` gives it. Several rows of an image are its patches or frames where a column
            `patch_seed` or `frame` tells them apart; an image of one row counts as one patch, one frame.
        level: "patch", "frame", "image", "breast", "exam" or "patient".
        aggregates: level -> "mean", "maximum", or "noisy_or" (1 - product of 1 - p: one suspicious view is enough, two
            are more; for probabilities); a level that is not named takes its own default, an exam that of the patient.

    Returns:
        One row a case, with the columns that tell it apart (`case_columns`) as well; None where the table does not tell
        the level.

    Raises:
        MammoError: `level_unknown`, `aggregate_unknown`, `score_outside`, `score_not_finite`.
    """
    check_aggregates(aggregates)
    wanted = level_named(level)
    if not _is_told(table, wanted):
        return None
    finite = np.isfinite(table["score"].to_numpy(np.float64))
    if not finite.all():  # a mean or a maximum would pass it over
        sentence = f"{int((~finite).sum())} of {len(table)} scores are not finite numbers"
        raise MammoError("score_not_finite", sentence, "Score these images again, or leave them out")
    cases = _cases(with_identity(table), wanted, aggregates)
    columns = case_columns(table, wanted)
    shown = columns[-1:] if wanted.name == "image" else columns
    case_id = cases[shown[0]]
    for column in shown[1:]:
        case_id = case_id.astype(str) + " " + cases[column].astype(str)
    return cases[[*columns, "split", "label", "score"]].assign(case_id=case_id)


def case_columns(table: pd.DataFrame, level: Level) -> tuple[str, ...]:
    """The columns that, with the split, tell the cases of a level apart; of `with_identity(table)`."""
    present = with_identity(table.iloc[:0])
    within = [column for column in level.within if column in present]
    told = [column for column in level.told_by if column in (telling(table) if level.several else table)]
    told = [column for column in told if level.several or level.partly or _is_filled(table, column)][:1]
    return tuple(dict.fromkeys([*within, *told]))


def with_identity(table: pd.DataFrame) -> pd.DataFrame:
    """A table with an `image_id` (its place, where it has none), and "" for an exam that is not known.

    Where no patient is named, every exam is a patient of its own, or every image where exams are not named either.
    """
    found = table
    if "image_id" not in found:
        found = found.assign(image_id=np.arange(len(found)))
    if "patient_id" not in found:
        found = found.assign(patient_id=found[resampled_column(found)])
    return found.assign(exam_id=found["exam_id"].fillna("")) if "exam_id" in found else found


def resampled_column(table: pd.DataFrame) -> str:
    """The column whose units are resampled: `patient_id`, else `exam_id` where every row has one, else `image_id`."""
    if "patient_id" in table:
        return "patient_id"
    return "exam_id" if _is_filled(table, "exam_id") else "image_id"


def _cases(table: pd.DataFrame, level: Level, aggregates: Mapping[str, str]) -> pd.DataFrame:
    """As `at_level`, with every column that a coarser level is told by."""
    parts = parts_of(table, level)
    if parts is None:
        return table
    finer = _cases(table, BY_NAME[parts.level], aggregates)
    return _grouped(finer, case_columns(table, level), _aggregate(level, parts, aggregates))


def _grouped(cases: pd.DataFrame, columns: tuple[str, ...], aggregate: str) -> pd.DataFrame:
    if aggregate == "noisy_or" and not cases["score"].between(0, 1).all():
        raise MammoError("score_outside", "noisy-or needs scores that are probabilities, from 0 to 1", "Use maximum")
    if aggregate == "noisy_or":
        cases = cases.assign(score=np.log1p(-np.minimum(cases["score"], ALMOST_ONE)))
    how = {"mean": "mean", "maximum": "max", "noisy_or": "sum"}[aggregate]
    keys = ["split", *columns]
    told = {column for level in LEVELS for column in (*level.told_by, *level.within)} - set(keys)
    carried = {column: (column, "first") for column in cases if column in told}
    grouped = cases.groupby(keys, sort=False, dropna=False)
    found = grouped.agg(**carried, label=("label", "max"), score=("score", how)).reset_index()
    return found.assign(score=-np.expm1(found["score"])) if aggregate == "noisy_or" else found


def _is_told(table: pd.DataFrame, level: Level) -> bool:
    if level.several:
        return any(column in telling(table) for column in level.told_by)
    if not level.told_by:
        return True
    if resampled_column(table) == "image_id":
        return False  # nobody says which images go together
    if level.partly:
        return any(column in table and (table[column].fillna("") != "").any() for column in level.told_by)
    return any(_is_filled(table, column) for column in level.told_by)


def has_several_rows(table: pd.DataFrame) -> bool:
    """Whether an image has more than one row."""
    return "image_id" in table and bool(table["image_id"].duplicated().any())


def telling(table: pd.DataFrame) -> tuple[str, ...]:
    """Which columns tell the rows of an image apart: those filled in wherever an image has several."""
    if not has_several_rows(table):
        return ()
    several = table[table["image_id"].duplicated(keep=False)]
    return tuple(column for column in SEVERAL if _is_filled(several, column))


def _is_filled(table: pd.DataFrame, column: str) -> bool:
    return column in table and bool((table[column].notna() & (table[column] != "")).all())
