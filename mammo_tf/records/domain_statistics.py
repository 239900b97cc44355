"""What the pictures of a domain are like, from its records: histograms, and the look-up from one domain to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.domain_histogram import (
    ALL,
    BREAST,
    LEVELS,
    NOT_BLACK,
    DomainHistogram,
    domain_histogram,
    lookup_step,
)
from mammo_tf.imaging.intensity_steps import HistogramLookup, HistogramMatch
from mammo_tf.imaging.preprocessing import Preprocessing, geometry_words
from mammo_tf.records import Records

PARTS = (("normal",), ("benign",), ("malignant", "high_risk"))


def records_histogram(
    records: Records,
    images: int | None = 200,
    seed: int = 0,
    pixels: str = BREAST,
    weight: str = "image",
    name: str = "",
) -> DomainHistogram:
    """The average histogram of the training pictures of some records; one picture is held at a time.

    Args:
        records: prepared images.
        images: at most so many, drawn in equal parts of the classes, see `drawn`; None takes every training picture,
            labelled or not.
        seed: of the drawing.
        pixels: which count: of the `breast`, `not black` (level 0 left out), or `all`.
        weight: `image` or `pixel`.
        name: of the domain.

    Raises:
        MammoError: `split_empty` if there is no training picture, or none with a label where classes are drawn;
            `modalities_mixed`; `breast_missing` where the breast is asked for and preparation did not look for it;
            `image_empty` for a picture none of whose pixels count.
    """
    if pixels not in (BREAST, NOT_BLACK, ALL):
        raise MammoError("pixels_wrong", f"no pixels {pixels!r}", f"Choose one of {BREAST}, {NOT_BLACK}, {ALL}")
    positions = records.positions("train") if images is None else drawn(records, images, seed)
    if not len(positions):
        raise MammoError("split_empty", f"{records.folder} has no training picture", "Run mammo-tf split")
    modalities = sorted(set(records.rows["modality"].iloc[positions]) - {""})
    if len(modalities) > 1:
        sentence = f"the training pictures of {records.folder} are of several modalities: {', '.join(modalities)}"
        raise MammoError("modalities_mixed", sentence, "Prepare each modality into a folder of its own")
    counts: dict[str, int] = {}
    if images is not None:
        counts = {str(label): int(n) for label, n in records.rows["label"].iloc[positions].value_counts().items()}
    return domain_histogram(
        _levels(records, positions, pixels), LEVELS, weight, labels=dict(sorted(counts.items())),
        pixels=pixels, geometry=geometry_words(records.preprocessing), name=name,
    )  # fmt: skip


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
        MammoError: `split_empty` if a domain has no training picture with a label; `preprocessing_differs`.
    """
    found = {
        name: records_histogram(records, images, seed, NOT_BLACK)
        for name, records in (("target", target), ("source", source))
    }
    for name, one in found.items():
        parts = ", ".join(f"{count} {label}" for label, count in one.labels.items())
        say(f"histograms of the {name}: {one.images} training images ({parts})")
    step = lookup_step(found["target"], found["source"])
    return replace(step, table=tuple(np.round(step.table, 4).tolist()))


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


def _levels(records: Records, positions: NDArray[np.int64], pixels: str) -> Iterator[NDArray[np.int64]]:
    """The levels (0 to 4095) of the pixels that count, of one picture at a time."""
    for position in positions.tolist():
        counted = _counted(records, position, pixels)
        if not counted.size:
            sentence = f"no pixel of the image {records.rows['image_id'].iloc[position]} counts ({pixels})"
            raise MammoError("image_empty", sentence, "Leave the image out, or count other pixels")
        yield counted


def _counted(records: Records, position: int, pixels: str) -> NDArray[np.int64]:
    levels = np.rint(records.picture(position) / 65535 * (LEVELS - 1)).astype(np.int64)
    if pixels == ALL:
        return levels
    if pixels == NOT_BLACK:
        return levels[levels > 0]
    mask = records.marks(position).breast_mask
    if mask is None:
        sentence = f"{records.folder} was prepared without looking for the breast"
        raise MammoError("breast_missing", sentence, "Take all pixels, or those that are not black")
    return levels[mask]


def with_matching(preprocessing: Preprocessing, step: HistogramLookup | HistogramMatch) -> Preprocessing:
    """The preprocessing with the matching in front of its intensity half."""
    return replace(preprocessing, intensity_steps=(step, *preprocessing.intensity_steps))
