"""Histogram matching alone: what it gets back of a model's loss at another site, without any training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.histogram import average_cdf, matching_lut
from mammo_tf.imaging.intensity_steps import HistogramLookup
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.records import Records

LEVELS = 4096


def matching_step(target: Records, source: Records, images: int = 200, seed: int = 0) -> HistogramLookup:
    """The look-up table that makes target pictures look like the source's, from training pictures of both.

    METHODS A, "Histogram matching", rule `first` of `golden/histogram`; black background stays out of the histograms
    and stays black.

    Args:
        target, source: prepared in the same way.
        images: at most so many drawn from each training split.
        seed: of the drawing.
    """
    cdf = {}
    for name, records in (("target", target), ("source", source)):
        positions = np.random.default_rng(seed).permutation(records.positions("train"))[:images]
        cdf[name] = average_cdf(_levels(records, positions), LEVELS, background=0)
    table = matching_lut(cdf["target"], cdf["source"])
    return HistogramLookup(tuple(np.round(table, 4).tolist()), LEVELS - 1, keep_black=True)


def _levels(records: Records, positions: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for position in positions:
        yield np.rint(records.picture(int(position)) / 65535 * (LEVELS - 1)).astype(np.int64)


def with_matching(preprocessing: Preprocessing, step: HistogramLookup) -> Preprocessing:
    """The preprocessing with the look-up in front of its intensity half."""
    return Preprocessing(preprocessing.geometry_steps, (step, *preprocessing.intensity_steps))
