"""Histogram matching alone: what it gets back of a model's loss at another site, without any training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.histogram import average_cdf, matching_lut
from mammo_tf.imaging.intensity_steps import HistogramLookup
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.records import Records

LEVELS = 4096
PARTS = (("normal",), ("benign",), ("malignant", "high_risk"))


def matching_step(
    target: Records,
    source: Records,
    images: int = 200,
    seed: int = 0,
    say: Callable[[str], None] = lambda line: None,
) -> HistogramLookup:
    """The look-up table that makes target pictures look like the source's, from training pictures of both.

    METHODS A, "Histogram matching", rule `first` of `golden/histogram`; black background stays out of the histograms
    and stays black.

    Args:
        target, source: prepared in the same way.
        images: at most so many drawn from each training split, see `drawn`.
        seed: of the drawing.
        say: is told what was drawn.

    Raises:
        MammoError: `split_empty` if a domain has no training picture with a label.
    """
    cdf = {}
    for name, records in (("target", target), ("source", source)):
        positions = drawn(records, images, seed)
        counts = records.rows["label"].iloc[positions].value_counts().sort_index()
        parts = ", ".join(f"{count} {label}" for label, count in counts.items())
        say(f"histograms of the {name}: {len(positions)} training images ({parts})")
        cdf[name] = average_cdf(_levels(records, positions), LEVELS, background=0)
    table = matching_lut(cdf["target"], cdf["source"])
    return HistogramLookup(tuple(np.round(table, 4).tolist()), LEVELS - 1, keep_black=True)


def drawn(records: Records, images: int, seed: int = 0) -> NDArray[np.int64]:
    """Training pictures in equal parts of normal, benign and malignant (high risk among the last), as many of each as
    the rarest of those present has, `images` at most.

    Raises:
        MammoError: `split_empty`.
    """
    positions = records.positions("train")
    labels = records.rows["label"].iloc[positions].to_numpy()
    parts = [positions[np.isin(labels, part)] for part in PARTS]
    parts = [part for part in parts if len(part)]
    if not parts:
        raise MammoError("split_empty", f"{records.folder} has no training picture with a label", "Run mammo-tf split")
    each = max(1, min(images // len(parts), min(map(len, parts))))
    generator = np.random.default_rng(seed)
    return np.sort(np.concatenate([generator.permutation(part)[:each] for part in parts]))


def _levels(records: Records, positions: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for position in positions:
        yield np.rint(records.picture(int(position)) / 65535 * (LEVELS - 1)).astype(np.int64)


def breast_levels(records: Records, positions: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Grey levels (0 to 4095) of the breast's pixels of each picture, one picture at a time.

    Args:
        records: whose preparation looked for the breast; where it did not, every pixel counts.
        positions: which pictures.
    """
    for position in positions:
        picture, mask = records.picture(int(position)), records.marks(int(position)).breast_mask
        values = picture if mask is None else picture[mask]
        yield np.rint(values / 65535 * (LEVELS - 1)).astype(np.int64)


def with_matching(preprocessing: Preprocessing, step: HistogramLookup) -> Preprocessing:
    """The preprocessing with the look-up in front of its intensity half."""
    return replace(preprocessing, intensity_steps=(step, *preprocessing.intensity_steps))
