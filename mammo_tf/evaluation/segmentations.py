"""`segmentations.csv`: what is measured of each picture's mask, and the means of it with intervals over patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import overlap as overlaps
from mammo_tf.evaluation.clusters import ANY_OVERLAP, HitRule, match_clusters, specks_found
from mammo_tf.evaluation.froc import froc_numbers, table_counts
from mammo_tf.evaluation.intervals import Resampling, share_interval
from mammo_tf.evaluation.numbers import Levels, Number, Numbers, missing_number, number_of
from mammo_tf.evaluation.overlap import OVERLAP
from mammo_tf.evaluation.surface import (
    BORDERS,
    DEFINITIONS,
    DISTANCES,
    checked_masks,
    checked_spacing,
    surface_metrics,
)
from mammo_tf.evaluation.surface import TITLES as OF_DISTANCES

AREAS = ("false_area_mm2", "area_mm2")
CLUSTERS = ("clusters", "clusters_found", "false_clusters")
SPECKS = ("specks", "specks_found")
HIT_RULE = "hit_rule"  # column that tells the rule where it is not that of a pixel in common
COLUMNS = (*OVERLAP, *DISTANCES, *AREAS, *CLUSTERS, *SPECKS)
SIZES_MM2 = (0.0, 25.0, 100.0, 400.0, np.inf)  # discs of 5.6, 11 and 23 mm across
UNKNOWN = "spacing_unknown"
SPACING = "fill spacing_row_mm and spacing_column_mm of the manifest"

Column = NDArray[np.float64]
Share = tuple[Column, Column]  # parts and wholes, one an image; their sums are divided


def segmentation_row(
    prediction: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    spacing: ArrayLike,
    specks: NDArray[np.bool_] | None = None,
    rule: HitRule = ANY_OVERLAP,
) -> dict[str, float]:
    """The columns `COLUMNS` of one picture.

    `false_area_mm2` is the area that is called where the truth is empty, and nan elsewhere; `area_mm2` the area of the
    truth. Without a known spacing everything in mm is nan: never in pixels instead. Clusters are connected components;
    one is found by `rule`, and a call is false that finds none.

    Args:
        prediction, truth: masks of one shape, bool `[rows, columns]`, in the geometry of the stored picture.
        spacing: mm between rows and between columns; nan where it is not known.
        specks: single calcifications, bool of the same shape; None where none is told. See `specks_found`.
        rule: which clusters count as found.

    Raises:
        MammoError: `masks_differ`, `mask_wrong`, `spacing_wrong`; `spacing_unknown` where the rule asks for mm.
    """
    found, true = checked_masks(prediction, truth)
    matched = match_clusters(found, true, spacing if rule.kind == "centre" else None, rule)
    row: dict[str, float] = dict.fromkeys(COLUMNS, float("nan"))
    try:
        steps = checked_spacing(spacing, found.ndim)
    except MammoError as error:
        if error.code != UNKNOWN:
            raise
        row |= overlaps.overlap(found, true)
    else:
        pixel = float(np.prod(steps))
        row |= surface_metrics(found, true, steps)
        row["area_mm2"] = pixel * np.count_nonzero(true)
        if not row["area_mm2"]:
            row["false_area_mm2"] = pixel * np.count_nonzero(found)
    touched, singles = (0, 0) if specks is None else specks_found(found, specks)
    counts = (len(matched.found), matched.found.sum(), matched.false.sum(), singles, touched)
    return row | {name: float(count) for name, count in zip((*CLUSTERS, *SPECKS), counts, strict=True)}


@dataclass(frozen=True)
class Measure:
    """A number over the pictures of a split.

    Attributes:
        name: in `metrics.json`.
        title: for a reader.
        of: parts and wholes of a table, one an image, whose sums are divided; images with a whole of 0 or nan are left
            out.
        how: how it was made.
        without: why there is none, where no image counts.
        in_mm: whether it needs the pixel spacing.
    """

    name: str
    title: str
    of: Callable[[pd.DataFrame], Share]
    how: str
    without: str
    in_mm: bool = False


def _mean_of(name: str) -> Callable[[pd.DataFrame], Share]:
    def of(table: pd.DataFrame) -> Share:
        values = table[name].to_numpy(np.float64)
        known = np.isfinite(values)
        return np.where(known, values, 0.0), known.astype(np.float64)

    return of


def _missed(table: pd.DataFrame) -> Share:
    """A finding, and nothing is called: its precision does not exist."""
    finding = table["tpr"].notna().to_numpy().astype(np.float64)
    return finding * table["precision"].isna().to_numpy().astype(np.float64), finding


def _found_of(found: str, true: str) -> Callable[[pd.DataFrame], Share]:
    def of(table: pd.DataFrame) -> Share:
        return table[found].to_numpy(np.float64), table[true].to_numpy(np.float64)

    return of


def _dice_of_size(low: float, high: float) -> Callable[[pd.DataFrame], Share]:
    def of(table: pd.DataFrame) -> Share:
        area = table["area_mm2"].to_numpy(np.float64)
        known = (area > low) & (area <= high)  # nan is in no bin
        return np.where(known, table["dsc"].to_numpy(np.float64), 0.0), known.astype(np.float64)

    return of


def _size_words(low: float, high: float) -> tuple[str, str]:
    """A bin in a name, and for a reader."""
    if np.isinf(high):
        return f"above_{low:g}_mm2", f"of more than {low:g} mm²"
    return (
        (f"up_to_{high:g}_mm2", f"of up to {high:g} mm²")
        if not low
        else (f"{low:g}_to_{high:g}_mm2", f"of {low:g} to {high:g} mm²")
    )


def _of_size(low: float, high: float) -> Measure:
    name, words = _size_words(low, high)
    how = f"mean over images whose findings cover an area {words}, misses count 0"
    return Measure(
        f"dsc_{name}", f"Dice, findings {words}", _dice_of_size(low, high), how, f"no finding is {words}", True
    )


NOT_BOTH = "in no image are both a finding and a call"
MEASURES = (
    *(
        Measure(name, overlaps.TITLES[name], _mean_of(name), overlaps.HOW[name], overlaps.WITHOUT[name])
        for name in OVERLAP
    ),
    *(
        Measure(
            name, OF_DISTANCES[name], _mean_of(name),
            f"mean over images with a finding and a call of the {DEFINITIONS[name]}, in mm between {BORDERS}",
            NOT_BOTH, True,
        )
        for name in DISTANCES
    ),
    Measure(
        "missed", "Images missed", _missed, "share of images with a finding in which nothing is called",
        overlaps.WITHOUT["tpr"],
    ),
    Measure(
        "false_area_mm2", "False area, mm²", _mean_of("false_area_mm2"),
        "mean area that is called in images without a finding", "every image has a finding", True,
    ),
    *(_of_size(low, high) for low, high in zip(SIZES_MM2[:-1], SIZES_MM2[1:], strict=True)),
    Measure(
        "cluster_sensitivity", "Sensitivity by cluster", _found_of("clusters_found", "clusters"),
        f"share of connected components of the findings, {ANY_OVERLAP.words}", overlaps.WITHOUT["tpr"],
    ),
    Measure(
        "false_clusters_per_image", "False clusters an image", _mean_of("false_clusters"),
        "connected components of the calls that meet no finding, over all images", "no image was measured",
    ),
    Measure(
        "speck_recall", "Recall by speck", _found_of("specks_found", "specks"),
        "share of single calcifications (findings of kind speck) that a call touches, looked for or not",
        "no finding with a place is of kind speck",
    ),
)  # fmt: skip
TITLES = {measure.name: measure.title for measure in MEASURES}


def segmentation_metrics(table: pd.DataFrame, resampling: Resampling) -> dict[str, Levels]:
    """Split -> level `image` -> the numbers of `MEASURES`, for `metrics.json`.

    n is over how many images (clusters of `cluster_sensitivity`, specks of `speck_recall`) a number is made; those of
    `froc_numbers` follow where the table has their counts. `how` says how many
    are left out of a distance, and how many of these were missed. Where the pixel spacing of an image is unknown, what
    is in mm leaves it out and says so (`spacing_unknown`).

    Args:
        table: predictions with the columns `COLUMNS`, or with `OVERLAP` alone, of earlier versions; `HIT_RULE` where
            another rule than a pixel in common told which clusters were found.
        resampling: how intervals are made; patients are drawn with all their images.
    """
    known = [measure for measure in MEASURES if measure.name in OVERLAP or set(COLUMNS) <= set(table)]
    rule = _rule_of(table)
    known = [replace(measure, how=measure.how.replace(ANY_OVERLAP.words, rule.words)) for measure in known]
    return {
        str(split): {
            "image": {measure.name: _number(measure, part, resampling) for measure in known}
            | _of_curve(part, resampling, rule)
        }
        for split, part in table.groupby("split", sort=False)
    }


def _of_curve(table: pd.DataFrame, resampling: Resampling, rule: HitRule) -> Numbers:
    counts, patients = table_counts(table), table["patient_id"].to_numpy()
    return {} if counts is None else froc_numbers(counts, patients, resampling=resampling, rule=rule)


def _rule_of(table: pd.DataFrame) -> HitRule:
    """By which rule clusters of a table were found; `rule_wrong` for several."""
    told = sorted(set(table[HIT_RULE].astype(str))) if HIT_RULE in table else [ANY_OVERLAP.text]
    if len(told) > 1:
        raise MammoError("rule_wrong", f"clusters were found by several rules: {', '.join(told)}", "Score all by one")
    return HitRule.of_text(told[0]) if told else ANY_OVERLAP


def _number(measure: Measure, table: pd.DataFrame, resampling: Resampling) -> Number:
    parts, wholes = measure.of(table)
    counted = wholes > 0
    how = f"{measure.how}{_left_out(table) if measure.name in DISTANCES else ''}"
    unknown = int(table["area_mm2"].isna().sum()) if measure.in_mm else 0
    if not counted.any():
        all_of_them = f"{UNKNOWN}: no image tells its pixel spacing; {SPACING}"
        return missing_number(0, how, all_of_them if unknown == len(table) else measure.without)
    labels, patients = table["label"].to_numpy(np.int64)[counted], table["patient_id"].to_numpy()[counted]
    interval = partial(
        share_interval, parts[counted] / wholes[counted], wholes[counted], patients, resampling.replicates,
        resampling.seed, method=resampling.method, strata=resampling.strata(labels, patients),
    )  # fmt: skip
    number = number_of(interval, round(float(wholes.sum())), f"{how}; {resampling.words(patients)}")
    if unknown:
        number["caution"] = f"{UNKNOWN}: {unknown} of {len(table)} images do not tell their pixel spacing; {SPACING}"
    return number


def _left_out(table: pd.DataFrame) -> str:
    """`; 3 of 12 images left out: 1 missed, 2 with a call and no finding`, of a distance."""
    finding, call = table["tpr"].notna(), table["precision"].notna()
    kinds = {
        "missed": finding & ~call,
        "with a call and no finding": ~finding & call,
        "with neither": ~finding & ~call,
        "of unknown spacing": finding & call & table["area_mm2"].isna(),
    }
    counts = [(int(which.sum()), words) for words, which in kinds.items()]
    left = sum(count for count, _ in counts)
    said = ", ".join(f"{count} {words}" for count, words in counts if count)
    return f"; {left} of {len(table)} images left out: {said}" if left else f"; none of {len(table)} images left out"
