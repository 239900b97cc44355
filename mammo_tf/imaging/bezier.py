"""Monotone cubic Bezier curves as remaps of grey values: other looks of the same picture.

A curve runs from (0, 0) to (1, 1) with two control points in between. Source: Wang et al., *MLN-net: A multi-source
medical image segmentation method for clustered microcalcifications using multiple layer normalization*, section 3.1;
answers in `tests/golden/bezier`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError

Points = tuple[tuple[float, float], tuple[float, float]]
STEPS = 60  # halvings of [0, 1]: below the last digit of float64


def symmetric_points(a: float) -> Points:
    """The control points (a, 1 - a) and (1 - a, a) of the paper's family; a = 0.5 leaves grey values as they are.

    Below 0.5 dark greys become brighter and bright ones darker, above it the reverse; 1 - a is the inverse of a.

    Args:
        a: in [0, 1].
    """
    return (a, 1.0 - a), (1.0 - a, a)


def mean_choice(count: int) -> tuple[float, ...]:
    """a_n = 0.5 n / N for n = 1 to N, the choice *Mean* of the paper's Figure 8; each a stands for a pair, a and 1 - a.

    Args:
        count: N, 1 or more.
    """
    if count < 1:
        raise MammoError("curve_wrong", f"{count} pairs of Bezier curves were asked for", "Ask for 1 or more")
    return tuple(0.5 * number / count for number in range(1, count + 1))


def remap(values: ArrayLike, points: Points, samples: int | None = None) -> NDArray[np.float64]:
    """Grey values along a curve, float64 of the shape of `values`.

    Args:
        values: in [0, 1]; what lies below or above becomes 0 or 1.
        points: the two control points, (x, y) in [0, 1] each.
        samples: None solves the curve for each value, to the last digits of float64; a number takes so many points of
            the curve and goes straight between them, as the published code does with 100,000.

    Raises:
        MammoError: `curve_wrong` for control points outside [0, 1], where the curve need not be monotone.
    """
    (a1, b1), (a2, b2) = _checked(points)
    values = np.asarray(values, np.float64)
    if samples is not None:
        t = np.linspace(0.0, 1.0, samples)
        return np.interp(values, np.sort(_along(t, a1, a2)), np.sort(_along(t, b1, b2)))
    low, high = np.zeros_like(values), np.ones_like(values)
    for _ in range(STEPS):
        middle = (low + high) / 2
        below = _along(middle, a1, a2) < values
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    found = _along((low + high) / 2, b1, b2)
    return np.where(values <= 0, 0.0, np.where(values >= 1, 1.0, found))


def lut(points: Points, levels: int = 4096) -> NDArray[np.float64]:
    """The remap of `levels` grey values from 0 to 1 in equal steps, float64 `[levels]` in [0, 1], never falling.

    Args:
        points: as for `remap`.
        levels: 2 or more.

    Raises:
        MammoError: `curve_wrong`.
    """
    if levels < 2:
        raise MammoError("curve_wrong", f"a look-up table of {levels} levels", "Ask for 2 levels or more")
    return np.maximum.accumulate(remap(np.arange(levels) / (levels - 1), points))


def _along(t: NDArray[np.float64], first: float, second: float) -> NDArray[np.float64]:
    """One coordinate of the curve with ends 0 and 1."""
    left = 1.0 - t
    return np.asarray(3 * first * t * left**2 + 3 * second * t**2 * left + t**3)


def _checked(points: Points) -> Points:
    flat = np.asarray(points, np.float64)
    if flat.shape != (2, 2) or not ((flat >= 0) & (flat <= 1)).all():
        raise MammoError("curve_wrong", f"control points {points} are not two pairs of numbers in [0, 1]")
    return points
