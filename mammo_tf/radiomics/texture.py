"""The 12 texture features of OpenBreast: grey-level co-occurrence and run lengths inside a mask.

Formulae and answers: `tests/golden/openbreast/README.md`, rows 15 to 26. Two definitions of co-occurrence are in the
public code: distance 1, both orders of a pair ("2021", before August 2020 too), and distance 10, one order ("2020").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

COOCCURRENCE_NAMES = ("cene", "ccor", "ccon", "chom", "cent")
RUN_NAMES = ("rsre", "rlre", "rgln", "rrpe", "rrln", "rlgr", "rhgr")
OFFSETS = ((0, 1), (-1, 1), (-1, 0), (-1, -1))
RUN_LEVELS = 256


@dataclass(frozen=True)
class Cooccurrence:
    """How pairs of pixels are counted.

    Attributes:
        levels: grey levels between the extremes inside the mask.
        distance: pixels between the two of a pair, along rows, columns or both.
        symmetric: count each pair in both orders.
    """

    levels: int = 128
    distance: int = 1
    symmetric: bool = True


COOCCURRENCE = {"2021": Cooccurrence(), "2020": Cooccurrence(distance=10, symmetric=False)}


def cooccurrence_features(
    pixels: NDArray[np.float64], mask: NDArray[np.bool_], how: Cooccurrence = COOCCURRENCE["2021"]
) -> dict[str, float]:
    """Energy, correlation, contrast, homogeneity and entropy, each the mean over four directions.

    Args:
        pixels: float64 `[rows, columns]`, not constant inside the mask.
        mask: bool `[rows, columns]`; a pair counts where both pixels lie inside.
        how: levels, distance and order of a pair.

    Returns:
        In the order of `COOCCURRENCE_NAMES`; `cent` in bits. A direction without a pair makes all nan.
    """
    counts = cooccurrence_counts(_levels_floor(pixels, mask, how.levels), mask, how)
    values = np.mean([_of_pairs(direction) for direction in counts], axis=0)
    return dict(zip(COOCCURRENCE_NAMES, values.tolist(), strict=True))


def _levels_floor(pixels: NDArray[np.float64], mask: NDArray[np.bool_], levels: int) -> NDArray[np.intp]:
    """Levels 0 to levels - 1, cut off at the extremes inside the mask."""
    inside = pixels[mask]
    least, most = inside.min(), inside.max()
    slope = levels / (most - least)
    placed = np.floor(slope * pixels + (1 - slope * least))
    return np.clip(placed, 1, levels).astype(np.intp) - 1


def cooccurrence_counts(levels: NDArray[np.intp], mask: NDArray[np.bool_], how: Cooccurrence) -> NDArray[np.int64]:
    """Counts of pairs, int64 `[4, levels, levels]`, directions in the order of `OFFSETS`.

    Args:
        levels: integers `[rows, columns]`, 0 to how.levels - 1.
        mask: bool `[rows, columns]`.
        how: as for `cooccurrence_features`.
    """
    size = how.levels
    # pixels outside get a level of their own, whose row and column are dropped from the table
    placed = np.where(mask, levels, size)
    found = []
    for row, column in OFFSETS:
        first, second = _shifted(placed, row * how.distance, column * how.distance)
        pair = first * (size + 1) + second
        table = np.bincount(pair.ravel(), minlength=(size + 1) ** 2).reshape(size + 1, size + 1)[:size, :size]
        found.append(table + table.T if how.symmetric else table)
    return np.stack(found)


def _shifted(array: NDArray[np.intp], row: int, column: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The part of an array that has a neighbour at (row, column) from it, and that neighbour."""
    rows, columns = array.shape
    first = array[max(0, -row) : rows - max(0, row), max(0, -column) : columns - max(0, column)]
    second = array[max(0, row) : rows + min(0, row), max(0, column) : columns + min(0, column)]
    return first, second


def _of_pairs(counts: NDArray[np.int64]) -> list[float]:
    total = counts.sum()
    if total == 0:
        return [float("nan")] * len(COOCCURRENCE_NAMES)
    share = counts / total
    level = np.arange(1, len(counts) + 1, dtype=np.float64)
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    mean_row, mean_column = level @ rows, level @ columns
    spread = (((level - mean_row) ** 2 @ rows) * ((level - mean_column) ** 2 @ columns)) ** 0.5
    apart = level[:, None] - level[None]
    together = (level - mean_row) @ share @ (level - mean_column)
    some = share[share > 0]
    return [
        float((share**2).sum()),
        float(together / spread) if spread > 0 else float("nan"),
        float((apart**2 * share).sum()),
        float((share / (1 + np.abs(apart))).sum()),
        float(-(some * np.log2(some)).sum()),
    ]


def run_length_features(
    pixels: NDArray[np.float64], mask: NDArray[np.bool_], levels: int = RUN_LEVELS, joined: bool = True
) -> dict[str, float]:
    """Short and long run emphasis, non-uniformities, run percentage, low and high grey runs: means of four directions.

    Args:
        pixels: float64 `[rows, columns]`, not constant inside the mask.
        mask: bool `[rows, columns]`.
        levels: grey levels between the extremes inside the mask.
        joined: a line's pixels outside the mask are left out before runs are found, so that equal levels on the two
            sides of a gap are one run, as the public code does; False breaks runs at gaps.

    Returns:
        In the order of `RUN_NAMES`; `rlre` in pixels squared, `rgln` and `rrln` in runs.
    """
    inside = pixels[mask]
    least, most = inside.min(), inside.max()
    slope = (levels - 1) / (most - least)
    # MATLAB rounds halves away from zero; levels are 1 or more, so half up is the same
    placed = np.clip(np.floor(slope * inside + (1 - slope * least) + 0.5), 1, levels).astype(np.uint16)
    values = np.mean([_of_runs(*runs, len(inside), levels) for runs in runs_of(placed, mask, joined)], axis=0)
    return dict(zip(RUN_NAMES, values.tolist(), strict=True))


def runs_of(
    levels: NDArray[Any], mask: NDArray[np.bool_], joined: bool = True
) -> list[tuple[NDArray[Any], NDArray[np.intp]]]:
    """Level and length of every run, for 0, 45, 90 and 135 degrees.

    Args:
        levels: integers `[n]`, of the pixels of the mask in row order.
        mask: bool `[rows, columns]`.
        joined: as for `run_length_features`.

    Returns:
        Four pairs `(levels, lengths)`, one entry a run.
    """
    row, column = (place.astype(np.int32) for place in np.nonzero(mask))
    lines = (row, row + column, column, column - row + np.int32(mask.shape[0] - 1))
    along = (column, row, row, row)
    kind = np.uint16 if sum(mask.shape) < 2**16 else np.int64  # a stable sort of 16 bits is a radix sort
    found = []
    for line, place in zip(lines, along, strict=True):
        order = slice(None) if line is row else np.argsort(line.astype(kind), kind="stable")
        ordered = levels[order]
        new = ordered[1:] != ordered[:-1]
        ends = np.cumsum(np.bincount(line))
        new[ends[(ends > 0) & (ends < len(ordered))] - 1] = True
        if not joined:
            new |= np.abs(np.diff(place[order])) != 1
        starts = np.concatenate([[0], np.flatnonzero(new) + 1])
        found.append((ordered[starts], np.diff(starts, append=len(ordered))))
    return found


def _of_runs(level: NDArray[Any], length: NDArray[np.intp], pixels: int, levels: int) -> list[float]:
    count = len(level)
    grey = np.arange(1, levels + 1, dtype=np.float64)
    by_level = np.bincount(level, minlength=levels + 1)[1:].astype(np.float64)
    by_length = np.bincount(length)[1:].astype(np.float64)
    long = np.arange(1, len(by_length) + 1, dtype=np.float64)
    return [
        float((by_length / long**2).sum() / count),
        float((by_length * long**2).sum() / count),
        float((by_level**2).sum() / count),
        count / pixels,
        float((by_length**2).sum() / count),
        float((by_level / grey**2).sum() / count),
        float((by_level * grey**2).sum() / count),
    ]
