"""The plain ways to compute what `mammo_tf.imaging` computes quickly; both give the same bits.

Each is short and obvious, and was the package's own until the quick one came.
"""

from __future__ import annotations

import cv2
import numpy as np

from mammo_tf.imaging import resize as resizing
from mammo_tf.imaging.breast import STEADY


def resized(picture, rows, columns, method):
    """`resize.resize` of the whole picture at once."""
    if picture.shape == (rows, columns):
        return picture
    down = resizing._weights(picture.shape[0], rows, method) @ picture.astype(np.float64)
    both = (resizing._weights(picture.shape[1], columns, method) @ down.T).T
    settled = np.rint(both * resizing.TIE) / resizing.TIE
    return np.clip(np.rint(settled), 0, 65535).astype(np.uint16)


def lively(view, axis):
    """`breast._lively` by percentiles of every line."""
    if view.size == 0:
        return 0, 0
    low, high = np.percentile(view, (2, 98), axis=axis)
    index = np.flatnonzero(high - low > STEADY)
    return (int(index[0]), int(index[-1]) + 1) if index.size else (0, 0)


def through_the_dark(view, start, stop, threshold):
    """`breast._through_the_dark` by medians of every row."""
    dark = np.median(view, axis=1) <= threshold
    before, after = np.flatnonzero(~dark[:start]), np.flatnonzero(~dark[stop:])
    return (int(before[-1]) + 1 if before.size else 0), (stop + int(after[0]) if after.size else len(dark))


def largest_part(mask):
    """`breast.largest_part` by labels of all parts."""
    count, parts, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count == 1:
        return np.zeros(mask.shape, np.bool_)
    return np.asarray(parts == 1 + np.argmax(statistics[1:, cv2.CC_STAT_AREA]))


def opened(mask, radius):
    """`breast.opened` by OpenCV's own opening."""
    size = max(1, round(radius))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * size + 1, 2 * size + 1))
    pad = 2 * size + 1
    wide = cv2.copyMakeBorder(mask.astype(np.uint8), pad, pad, pad, pad, cv2.BORDER_REFLECT)
    return cv2.morphologyEx(wide, cv2.MORPH_OPEN, disc)[pad:-pad, pad:-pad].astype(np.bool_)
