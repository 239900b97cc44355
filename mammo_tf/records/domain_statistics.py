"""What the pictures of a domain are like, from its records: histograms, and the look-up from one domain to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import hypot, isnan, sqrt

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
from mammo_tf.imaging.harmonising import Machine, with_harmonising
from mammo_tf.imaging.intensity_steps import HistogramLookup, HistogramMatch
from mammo_tf.imaging.preprocessing import Preprocessing, geometry_words
from mammo_tf.progress import track
from mammo_tf.records import Records

MOST_LEVELS = 65536  # prepared pictures hold no more
PARTS = (("normal",), ("benign",), ("malignant", "high_risk"))


def records_histogram(
    records: Records,
    images: int | None = 200,
    seed: int = 0,
    pixels: str = BREAST,
    weight: str = "image",
    name: str = "",
    levels: int = LEVELS,
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
        levels: number of grey levels.

    Raises:
        MammoError: `split_empty` if there is no training picture; those of `drawn`; `modalities_mixed`;
            `breast_missing` where the breast is asked for and preparation did not look for it; `image_empty` for a
            picture none of whose pixels count; `levels_wrong`.
    """
    if not 2 <= levels <= MOST_LEVELS:
        raise MammoError("levels_wrong", f"{levels} grey levels", f"Choose 2 to {MOST_LEVELS}; 4096 for 12 bits")
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
    images_levels = _levels(records, positions, pixels, levels)
    return domain_histogram(
        track(images_levels, "histogram", total=len(positions)), levels, weight, labels=dict(sorted(counts.items())),
        pixels=pixels, geometry=geometry_words(records.preprocessing), projection=records.preprocessing.projection,
        records=records.digest, name=name,
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
    the rarest of those present has, `images` at most but one of each.

    Raises:
        MammoError: `split_empty`; `class_missing` where one of the classes is there alone.
    """
    parts = {part[0]: found for part, found in _parts(records).items() if len(found)}
    if not parts:
        raise MammoError("split_empty", f"{records.folder} has no training picture with a label", "Run mammo-tf split")
    if len(parts) == 1:
        raise MammoError(
            "class_missing", f"all labelled training pictures of {records.folder} are {next(iter(parts))}, so classes "
            "cannot be drawn in equal parts", "Take all pictures, labelled or not: leave --images out",
        )  # fmt: skip
    each = _each(parts, images)
    generator = np.random.default_rng(seed)
    return np.sort(np.concatenate([generator.permutation(part)[:each] for part in parts.values()]))


def shortage(records: Records, images: int) -> list[str]:
    """What `drawn` lacks for so many pictures in equal parts of three classes, a sentence each."""
    parts = {part[0]: found for part, found in _parts(records).items()}
    found = [f"no training picture is {name}" for name, part in parts.items() if not len(part)]
    there = {name: part for name, part in parts.items() if len(part)}
    each = _each(there, images) if there else 0
    if each < images // max(1, len(there)):
        rarest = min(there, key=lambda name: len(there[name]))
        found.append(f"{each} of each class in place of {images // len(there)}: no more are {rarest}")
    return found


def _parts(records: Records) -> dict[tuple[str, ...], NDArray[np.int64]]:
    """Labels that count as one class -> its training pictures."""
    positions = records.positions("train")
    labels = records.rows["label"].iloc[positions].to_numpy()
    return {part: positions[np.isin(labels, part)] for part in PARTS}


def _each(parts: Mapping[str, NDArray[np.int64]], images: int) -> int:
    return max(1, min(images // len(parts), min(map(len, parts.values()))))


def _levels(records: Records, positions: NDArray[np.int64], pixels: str, levels: int) -> Iterator[NDArray[np.int64]]:
    """The levels of the pixels that count, of one picture at a time."""
    for position in positions.tolist():
        counted = _counted(records, position, pixels, levels)
        if not counted.size:
            sentence = f"no pixel of the image {records.rows['image_id'].iloc[position]} counts ({pixels})"
            raise MammoError("image_empty", sentence, "Leave the image out, or count other pixels")
        yield counted


def _counted(records: Records, position: int, pixels: str, levels: int) -> NDArray[np.int64]:
    found = np.rint(records.picture(position) / 65535 * (levels - 1)).astype(np.int64)
    if pixels == ALL:
        return found
    if pixels == NOT_BLACK:
        return found[found > 0]
    mask = records.marks(position).breast_mask
    if mask is None:
        sentence = f"{records.folder} was prepared without looking for the breast"
        raise MammoError("breast_missing", sentence, "Take all pixels, or those that are not black")
    return found[mask]


def machines_of(records: Records) -> list[Machine]:
    """The machine of each picture, by the columns manufacturer, model_name and software."""
    nothing = [""] * len(records)
    columns = ("manufacturer", "model_name", "software")
    cells = [records.rows[name].fillna("").astype(str) if name in records.rows else nothing for name in columns]
    return [Machine(*(cell.strip() for cell in row)) for row in zip(*cells, strict=True)]


def prepared_spacings(records: Records) -> tuple[float, ...] | None:
    """Spacing of the prepared pixels of each picture in mm; None where one is not known.

    Stored spacing times the scale of the affine map from prepared to stored pixels; of spacings or scales that differ
    along rows and columns the geometric mean.
    """
    found = []
    for position in range(len(records)):
        row = records.rows.iloc[position]
        stored = [float(row[name]) for name in ("spacing_row_mm", "spacing_column_mm")]
        known = [value for value in stored if not isnan(value)]
        if not known:
            return None
        affine = records.marks(position).affine
        along_columns, along_rows = hypot(*affine[:, 0]), hypot(*affine[:, 1])
        found.append(sqrt(known[0] * along_rows * known[-1] * along_columns))
    return tuple(found)


def with_matching(preprocessing: Preprocessing, step: HistogramLookup | HistogramMatch) -> Preprocessing:
    """The preprocessing with the matching in front of its intensity half, in place of a look of a domain there."""
    return with_harmonising(preprocessing, (step,))
