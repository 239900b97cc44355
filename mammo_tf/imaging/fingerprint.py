"""What a picture is known by: bits of its tissue's pattern, by which the same picture in other files is found.

A picture that was resized, windowed anew, compressed or turned left to right is another file with other pixels, and the
same picture: in training and in test it spoils every number. Outlines of breasts are much alike, the two of a woman
above all, so the outline must not count, and neither may the grey scale:

1. The breast at 256 rows, found twice: above Otsu's threshold of the root of grey, and a little above the ground at
   the picture's edge. A change of the grey scale misleads one of them at most, nearly always. Its box, the chest wall
   on the left, becomes 64 x 64 cells.
2. A cell's value is how much brighter it is than what surrounds it, in units of the contrast there: the difference of
   two blurs that take in nothing from outside the breast, of the root of grey. Cells along the skin are 0.
3. 512 bits are the signs of sums of cells with fixed random signs (M. S. Charikar, "Similarity estimation techniques
   from rounding algorithms", 2002): the share that differs is the angle between two patterns, 0.5 for strangers.

The distance of two pictures is the larger of both breasts', or, as one of them may be misled, the smaller one and a
little. Measured by `benchmarks/near_duplicates.py`.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.breast import Sliced, chest_wall_side, field, reduced_unchecked
from mammo_tf.imaging.levels import check_pixels
from mammo_tf.imaging.parts import largest_part

BREASTS, BITS = 2, 512
BYTES = BITS // 8
ROWS = 256
CELLS = 64
FINE, COARSE, RIM = 0.7, 2.0, 4  # in cells: the two blurs, and what along the skin does not count
CONTRAST = 3.0  # in cells: the blur of what contrast is, next to a cell
STEEPEST = 1.5  # times that contrast: more does not count
RISE = 0.02  # of the way from the ground to the 99th percentile
BRIDGE = 9  # pixels: what is thinner is not a breast
FEWEST = 256  # cells within the breast: fewer tell nothing
FAINTEST = 1e-4  # of white: a weaker pattern is none
ALONE = 31  # bits that are added where one breast alone is near
ALIKE = 0.24  # no farther apart: the same picture; chosen by `benchmarks/near_duplicates.py`
NOT_COMPARED = -1  # the group of pictures that are left out
BLOCK = (16, 8192)  # pictures that are compared at once: what is counted stays in the processor's cache
WORDS = (5, 4)  # of 64 bits, of each breast: in so many strangers differ in more bits than near pictures in all


def fingerprint(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """The bits of a picture, by both ways to find the breast.

    Args:
        pixels: `[rows, columns]`, bright is dense; floats in [0, 1], uint16 or uint8.

    Returns:
        uint8 `[2, 64]`, packed bits; all 0 where no breast, or no pattern, is found.

    Raises:
        MammoError: `pixels_wrong`.
    """
    check_pixels(pixels)
    return fingerprint_unchecked(pixels)


def fingerprint_unchecked(pixels: Sliced) -> NDArray[np.uint8]:
    """The same of what is a picture by its maker's word, and may be looked up in slices only."""
    picture = reduced_unchecked(pixels, min(ROWS, pixels.shape[0]))
    smooth = np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0), np.float32)
    white = float(np.percentile(smooth, 99))
    found = np.zeros((BREASTS, BYTES), np.uint8)
    if white <= 0:
        return found
    top, bottom, left, right = field(smooth / np.float32(white))
    if bottom - top < BRIDGE or right - left < BRIDGE:
        return found
    inner, picture = smooth[top:bottom, left:right], np.ascontiguousarray(picture[top:bottom, left:right])
    for number, mask in enumerate((_above_otsu(inner), _above_ground(inner))):
        pattern = _pattern(picture, mask)
        if pattern is not None:
            found[number] = np.packbits(_signs() @ pattern > 0)
    return found


def _above_otsu(smooth: NDArray[np.float32]) -> NDArray[np.bool_]:
    levels = (np.sqrt(np.clip(smooth / max(float(np.percentile(smooth, 99)), 1e-6), 0, 1)) * 255).astype(np.uint8)
    threshold, _ = cv2.threshold(levels.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return _one_part(levels > threshold)


def _above_ground(smooth: NDArray[np.float32]) -> NDArray[np.bool_]:
    edge = np.concatenate([smooth[:3].ravel(), smooth[-3:].ravel(), smooth[:, :3].ravel(), smooth[:, -3:].ravel()])
    ground = float(np.percentile(edge, 25))
    return _one_part(smooth > ground + RISE * (float(np.percentile(smooth, 99)) - ground))


def _one_part(bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (BRIDGE, BRIDGE))
    return largest_part(cv2.morphologyEx(bright.astype(np.uint8), cv2.MORPH_OPEN, disc).view(np.bool_))


def _pattern(picture: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    """The cells of a breast as one vector, float32 `[cells]`; None where there is no pattern."""
    if chest_wall_side(mask) == "right":
        picture, mask = picture[:, ::-1], mask[:, ::-1]
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    if width == 0:
        return None
    place = (slice(top, top + height), slice(left, left + width))
    inside = _cells(mask[place].astype(np.float32))
    tissue = np.sqrt(np.maximum(_cells(picture[place] * mask[place]), 0)) * (inside > 0.5)
    difference = _blurred(tissue, inside, FINE) - _blurred(tissue, inside, COARSE)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM + 1, 2 * RIM + 1))
    whole = (inside > 0.95).astype(np.uint8)
    core = cv2.erode(whole, disc, borderType=cv2.BORDER_CONSTANT, borderValue=1).view(np.bool_)
    if np.count_nonzero(core) < FEWEST or float(np.abs(difference[core]).max()) < FAINTEST:
        return None
    difference *= core
    contrast = np.sqrt(_blurred(difference**2, core.astype(np.float32), CONTRAST))
    relative = np.clip(difference / np.maximum(contrast, FAINTEST), -STEEPEST, STEEPEST) * core
    return np.asarray(relative, np.float32).ravel()


def _cells(values: NDArray[Any]) -> NDArray[np.float32]:
    small = cv2.resize(np.ascontiguousarray(values, np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _blurred(values: NDArray[np.float32], weight: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """The mean around each cell of those that have weight."""
    total, share = (cv2.GaussianBlur(one, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) for one in (values, weight))
    return np.asarray(total / np.maximum(share, 1e-3), np.float32)


@lru_cache(maxsize=1)
def _signs() -> NDArray[np.float32]:
    """Fixed random signs, float32 `[bits, cells]` of -1 and 1, the same on every machine and in every version."""
    stream = hashlib.shake_256(b"mammo_tf fingerprint 1").digest(BITS * CELLS * CELLS // 8)
    bits = np.unpackbits(np.frombuffer(stream, np.uint8)).astype(np.float32)
    return bits.reshape(BITS, CELLS * CELLS) * 2 - 1


def distances(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How far pictures are apart: the share of bits that differ, 0 the same, 0.5 strangers, 1 where one has no bits.

    Args:
        first, second: uint8 `[n, 2, 64]` and `[m, 2, 64]`, fingerprints.

    Returns:
        float32 `[n, m]`.
    """
    one, other = (np.ascontiguousarray(side).view(np.uint64) for side in (first, second))
    by_breast = []
    for number in range(BREASTS):
        differ = np.zeros((len(one), len(other)), np.uint16)
        for word in range(one.shape[2]):
            differ += np.bitwise_count(one[:, None, number, word] ^ other[None, :, number, word])
        differ[~one[:, number].any(axis=1)] = BITS
        differ[:, ~other[:, number].any(axis=1)] = BITS
        by_breast.append(differ)
    return _by_both(*by_breast)


def _by_both(one: NDArray[np.uint16], other: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The distance of pictures by how many bits differ by each way to find the breast."""
    nearer, farther = np.minimum(one, other), np.maximum(one, other)
    return np.minimum(farther, np.minimum(nearer + ALONE, BITS)).astype(np.float32) / np.float32(BITS)


def near_pairs(
    fingerprints: NDArray[np.uint8], groups: NDArray[np.integer[Any]], limit: float = ALIKE
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pairs of pictures of different groups that are no farther apart than `limit`, the nearest first.

    Every pair is compared, but most by half of their bits: in these strangers differ in more than near ones do in all.
    No index does better for so wide a limit: a quarter of 512 bits. 100,000 pictures take half a minute.

    Args:
        fingerprints: uint8 `[n, 2, 64]`.
        groups: `[n]` or `[n, groupings]`, such as numbers of splits and of patients; pictures of one group, and those
            of the group `NOT_COMPARED`, are not compared. Of several groupings one that tells them apart is enough.
        limit: of the distance.

    Returns:
        int64 `[pairs, 2]`, positions, the smaller first; float32 `[pairs]`, their distances.
    """
    words, told = np.ascontiguousarray(fingerprints).view(np.uint64), groups[:, None] if groups.ndim == 1 else groups
    most = int(np.count_nonzero(np.arange(BITS + 1, dtype=np.float32) / np.float32(BITS) <= limit)) - 1
    places, apart = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    lines = np.ascontiguousarray(np.moveaxis(words, 0, 2))
    for top in range(0, len(words), BLOCK[0]):
        for left in range(top, len(words), BLOCK[1]):
            near = _may_be_near(lines[..., top : top + BLOCK[0]], lines[..., left : left + BLOCK[1]], most)
            pairs = np.column_stack(np.nonzero(near)).astype(np.int64) + (top, left)
            other = of_other_groups(told[pairs[:, 0]], told[pairs[:, 1]]).any(axis=1)
            pairs = pairs[(pairs[:, 0] < pairs[:, 1]) & other]
            far = _apart(words[pairs[:, 0]], words[pairs[:, 1]])
            places.append(pairs[far <= limit])
            apart.append(far[far <= limit])
    pairs, far = np.concatenate(places), np.concatenate(apart)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], far))
    return pairs[order], far[order]


def of_other_groups(one: NDArray[np.integer[Any]], other: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Whether pictures are of different groups, and of such that are compared."""
    return np.asarray((one != other) & (one != NOT_COMPARED) & (other != NOT_COMPARED))


def _may_be_near(one: NDArray[np.uint64], other: NDArray[np.uint64], most: int) -> NDArray[np.bool_]:
    """Which pairs a part of the bits does not tell to differ in more than `most`, bool `[n, m]`.

    By one breast they may differ in `most`, or by the other in `most` - `ALONE`. A count that does not fit into 8 bits
    begins again at 0, and its pair is looked at closer.

    Args:
        one, other: uint64 `[2, 8, n]` and `[2, 8, m]`, contiguous along the pictures.
        most: bits.
    """
    shape = (one.shape[2], other.shape[2])
    differ, count, total = np.empty(shape, np.uint64), np.empty(shape, np.uint8), np.empty((BREASTS, *shape), np.uint8)
    for breast, words in enumerate(WORDS):
        for word in range(words):
            np.bitwise_xor(one[breast, word][:, None], other[breast, word], out=differ)
            np.bitwise_count(differ, out=count if word else total[breast])
            if word:
                total[breast] += count
    return (total[0] <= most) | (total[1] <= most - ALONE)


def _apart(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.float32]:
    """The distances of pictures and those at the same place, float32 `[n]`."""
    differ = np.bitwise_count(one ^ other).sum(axis=2, dtype=np.uint16)
    differ[~(one.any(axis=2) & other.any(axis=2))] = BITS
    return _by_both(differ[:, 0], differ[:, 1])
