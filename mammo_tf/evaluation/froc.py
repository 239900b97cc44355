"""Free-response curve: sensitivity by cluster against false clusters an image, over thresholds of the probability.

The counts of a picture are columns of its row in `predictions.csv` and `segmentations.csv`, so that the curve and its
numbers can be made again from either file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.clusters import ANY_OVERLAP, HitRule, label_clusters, match_labels
from mammo_tf.evaluation.intervals import OVER_PATIENTS, Interval, Resampling, bca_levels, group_numbers, resamples
from mammo_tf.evaluation.numbers import Numbers, interval_number, missing_number
from mammo_tf.evaluation.surface import bounding_box, checked_masks

THRESHOLDS = tuple(np.round(np.arange(0.05, 1.0, 0.05), 2).tolist())
RATES = (0.25, 0.5, 1.0, 2.0, 4.0)  # false clusters an image
AT = "sensitivity_at_{:g}_false_clusters"  # in `metrics.json`
TITLES = {AT.format(rate): f"Sensitivity by cluster at {rate:g} false clusters an image" for rate in RATES}
CLUSTERS = "clusters"  # the column that counts true ones
FOUND, FALSE = (tuple(f"{part}_at_{cut:.2f}" for cut in THRESHOLDS) for part in ("clusters_found", "false_clusters"))
COLUMNS = (*FOUND, *FALSE)


@dataclass(frozen=True)
class ClusterCounts:
    """What one picture has at each threshold.

    Attributes:
        clusters: how many are true.
        found, false: int64 `[thresholds]`: true ones that are hit, and calls that hit nothing.
    """

    clusters: int
    found: NDArray[np.int64]
    false: NDArray[np.int64]


@dataclass(frozen=True)
class FrocCurve:
    """The curve of some pictures.

    Attributes:
        thresholds: float64 `[t]`, falling.
        sensitivity: float64 `[t]`, share of all true clusters that is found; nan without one.
        false_per_image: float64 `[t]`, over all images, those without a finding too.
        images, clusters: how many there are.
    """

    thresholds: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    false_per_image: NDArray[np.float64]
    images: int
    clusters: int


def count_clusters(
    probability: NDArray[np.floating[Any]],
    truth: NDArray[Any],
    thresholds: Sequence[float] = THRESHOLDS,
    spacing: ArrayLike | None = None,
    rule: HitRule = ANY_OVERLAP,
    join_mm: float = 0.0,
) -> ClusterCounts:
    """Clusters of one picture at each threshold: a pixel is called where its probability reaches it.

    Args:
        probability: `[rows, columns]` in [0, 1].
        truth: mask of the same shape.
        thresholds: above 0 and up to 1; counted from the highest down. Compared in the probability's own type.
        spacing, rule, join_mm: as `match_clusters`.

    Raises:
        MammoError: `probability_wrong` for nan and for what lies outside of [0, 1]; `threshold_wrong`; as
            `match_clusters`.
    """
    values, cuts = checked_probability(probability), falling(thresholds).tolist()
    called, mask = checked_masks(values >= cuts[-1], truth)
    box = bounding_box(called | mask)
    values, true = values[box], label_clusters(mask[box], spacing, join_mm)
    found = [match_labels(label_clusters(values >= cut, spacing, join_mm), true, spacing, rule) for cut in cuts]
    sums = [(int(one.found.sum()), int(one.false.sum())) for one in found]
    counted = np.array(sums, np.int64).T
    return ClusterCounts(len(found[0].found), counted[0], counted[1])


def froc_row(counts: ClusterCounts) -> dict[str, float]:
    """The columns `COLUMNS` of a picture that was counted at `THRESHOLDS`."""
    parts = ((FOUND, counts.found), (FALSE, counts.false))
    return {name: float(count) for names, part in parts for name, count in zip(names, part[::-1], strict=True)}


def table_counts(table: pd.DataFrame) -> list[ClusterCounts] | None:
    """The counts of every row at `THRESHOLDS`; None for a table without them.

    Args:
        table: with the columns `CLUSTERS` and `COLUMNS`, as numbers or as their texts.

    Raises:
        MammoError: `count_wrong` for a value that is no count.
    """
    names = (CLUSTERS, *COLUMNS)
    if not set(names) <= set(table):
        return None
    values = table[list(names)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    wrong = ~((values >= 0) & (values % 1 == 0) & np.isfinite(values))
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        image = table["image_id"].iloc[row] if "image_id" in table else row + 1
        sentence = f"{names[column]} of image {image} is {str(table[names[column]].iloc[row])!r}, which is not a count"
        raise MammoError("count_wrong", sentence, "Score the images again, or leave the column out")
    whole = values.astype(np.int64)
    steps = len(FOUND)
    return [ClusterCounts(int(row[0]), row[steps:0:-1], row[:steps:-1]) for row in whole]


def checked_probability(probability: NDArray[Any], what: str = "the picture") -> NDArray[Any]:
    """The same array; `probability_wrong` where a value is not a number or lies outside of [0, 1]."""
    values = np.asarray(probability)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # nan compares with nothing
        wrong = int((~((values >= 0) & (values <= 1))).sum())
        sentence = f"{what}: {wrong} of {values.size} pixels have no probability between 0 and 1"
        raise MammoError("probability_wrong", sentence, "Look at the model and at its training")
    return values


def falling(thresholds: Sequence[float]) -> NDArray[np.float64]:
    """Thresholds from the highest to the lowest, each once; `threshold_wrong` outside of 0 (excluded) to 1."""
    cuts = np.unique(np.asarray(thresholds, np.float64))[::-1]
    if not len(cuts) or not ((cuts > 0) & (cuts <= 1)).all():
        raise MammoError("threshold_wrong", "thresholds of a curve lie above 0 and up to 1", "Give one or more")
    return cuts


def froc_curve(counts: Sequence[ClusterCounts], thresholds: Sequence[float] = THRESHOLDS) -> FrocCurve:
    """The curve of pictures that were counted at the same thresholds.

    Raises:
        MammoError: `nothing_counted` without a picture; `lengths_differ`.
    """
    cuts = falling(thresholds)
    clusters, found, false = _stacked(counts, len(cuts))
    total = int(clusters.sum())
    sensitivity = found.sum(axis=0) / total if total else np.full(len(cuts), np.nan)
    return FrocCurve(cuts, sensitivity, false.sum(axis=0) / len(counts), len(counts), total)


def sensitivity_at(
    sensitivity: NDArray[np.float64], false_per_image: NDArray[np.float64], rates: ArrayLike
) -> NDArray[np.float64]:
    """The largest sensitivity of the thresholds with at most so many false clusters an image; 0 where there is none.

    Nothing is drawn between thresholds, so this is a step that never falls, whatever clusters melt into one.

    Args:
        sensitivity, false_per_image: `[..., t]`.
        rates: `[r]`, false clusters an image.

    Returns:
        float64 `[..., r]`.
    """
    allowed = false_per_image[..., None, :] <= np.asarray(rates, np.float64)[:, None] + 1e-12
    return np.where(allowed, sensitivity[..., None, :], 0.0).max(axis=-1)


def froc_numbers(
    counts: Sequence[ClusterCounts],
    patients: ArrayLike,
    thresholds: Sequence[float] = THRESHOLDS,
    rates: Sequence[float] = RATES,
    resampling: Resampling = OVER_PATIENTS,
    rule: HitRule = ANY_OVERLAP,
) -> Numbers:
    """`sensitivity_at_<rate>_false_clusters` of `metrics.json` for each rate, with an interval over patients.

    Patients are drawn with all their images; each resample seeks its own threshold. n counts true clusters.

    Args:
        counts: of each image, all with the same rule.
        patients: `[images]`.
        thresholds, rule: that they were counted with.
        rates: false clusters an image.
        resampling: how intervals are made; it is not stratified.
    """
    curve = froc_curve(counts, thresholds)
    clusters, found, false = _stacked(counts, len(curve.thresholds))
    groups = np.asarray(patients)
    numbers = group_numbers(groups, len(counts))
    parts = np.column_stack([np.ones(len(counts)), clusters, found, false])
    sums = np.zeros((int(numbers.max()) + 1, parts.shape[1]))
    np.add.at(sums, numbers, parts)
    how = f"largest share of clusters found by a threshold with so many false clusters an image or fewer, {rule.words}"
    words = f"{how}; {resampling.words(groups)}"
    names = [AT.format(rate) for rate in rates]
    if not curve.clusters:
        return {name: missing_number(0, words, "no image has a cluster") for name in names}
    values = _at_rates(sums.sum(axis=0), rates)
    drawn = np.array([sums[draw].sum(axis=0) for draw in resamples(numbers, resampling.replicates, resampling.seed)])
    replicates, left_out = _at_rates(drawn, rates), _at_rates(sums.sum(axis=0) - sums, rates)
    found_numbers: Numbers = {}
    for place, name in enumerate(names):
        usable, jackknife = replicates[:, place], left_out[:, place]
        usable, jackknife = usable[np.isfinite(usable)], jackknife[np.isfinite(jackknife)]
        levels = np.array([0.025, 0.975])
        if resampling.method == "bca":
            levels = bca_levels(float(values[place]), usable, jackknife, levels)
        enough = len(usable) > 1 and np.isfinite(levels).all()
        low, high = np.quantile(usable, levels) if enough else (np.nan, np.nan)
        interval = Interval(float(values[place]), float(low), float(high), usable, len(replicates) - len(usable))
        found_numbers[name] = interval_number(interval, curve.clusters, words, "without a cluster")
    return found_numbers


def _at_rates(sums: NDArray[np.float64], rates: Sequence[float]) -> NDArray[np.float64]:
    """Sensitivity at each rate of sums `[..., 2 + 2 t]` of images, clusters, found and false; nan without a cluster."""
    steps = (sums.shape[-1] - 2) // 2
    images, clusters = sums[..., :1], sums[..., 1:2]
    with np.errstate(divide="ignore", invalid="ignore"):
        share, false = sums[..., 2 : 2 + steps] / clusters, sums[..., 2 + steps :] / images
    return np.where(clusters > 0, sensitivity_at(share, false, rates), np.nan)


def _stacked(
    counts: Sequence[ClusterCounts], steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    if not counts:
        raise MammoError("nothing_counted", "a curve needs an image at least")
    if any(len(one.found) != steps for one in counts):
        raise MammoError("lengths_differ", "images were counted at other thresholds than those that are named")
    return (
        np.array([one.clusters for one in counts], np.int64),
        np.stack([one.found for one in counts]),
        np.stack([one.false for one in counts]),
    )
