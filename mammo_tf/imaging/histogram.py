"""Histogram matching to the average cumulative histogram of a domain (METHODS A; answers in `golden/histogram`).

With F_S the source's cumulative histogram and F_R the reference's, level k becomes F_R^-1(F_S(k)), the inverse by
linear interpolation: one look-up table for a pair of domains, monotone and in range.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError


def __getattr__(name: str) -> Any:
    """`HistogramMatcher`, which needs scikit-learn, is imported where it is asked for."""
    if name == "HistogramMatcher":
        from mammo_tf.imaging.matcher import HistogramMatcher

        return HistogramMatcher
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


RULES = ("first", "last", "mid", "support", "exact")
QUICK = (np.dtype(np.uint8), np.dtype(np.uint16))
WEIGHTS = ("image", "pixel")


def average_cdf(
    images: Iterable[NDArray[Any]],
    levels: int = 4096,
    background: float | None = None,
    weight: str = "image",
) -> NDArray[np.float64]:
    """The average of normalised cumulative histograms; one image at a time is held.

    Args:
        images: arrays of any shape. Integers are levels; floats in [0, 1] become round(x (levels - 1)).
        levels: number of grey levels, 4096 for 12 bits.
        background: pixels of this value's level are left out; in the images' own unit. None: all count.
        weight: `image`: each image weighs 1 (`mean` in the golden file); `pixel`: each pixel (`pooled`).

    Returns:
        float64 `[levels]`, never decreasing, the last entry 1.

    Raises:
        MammoError: `levels_wrong` for a value outside the levels, `image_empty` for an image of nothing but
            background, `images_missing`, `weight_unknown`.
    """
    if weight not in WEIGHTS:
        raise MammoError("weight_unknown", f"no weight {weight!r}", f"Choose one of {', '.join(WEIGHTS)}")
    total = np.zeros(levels, np.float64)
    count = 0
    for image in images:
        index = _levels(np.asarray(image), levels)
        histogram = np.bincount(index.ravel(), minlength=levels).astype(np.float64)
        if background is not None:
            histogram[int(_levels(np.asarray(background, np.asarray(image).dtype), levels))] = 0.0
        pixels = histogram.sum()
        if pixels == 0:
            raise MammoError("image_empty", f"image {count} holds nothing but background", "Leave it out")
        total += np.cumsum(histogram) / (pixels if weight == "image" else 1.0)
        count += 1
    if count == 0:
        raise MammoError("images_missing", "there is no image to average the histogram of")
    return total / total[-1]


def matching_lut(
    source_cdf: NDArray[np.floating[Any]], reference_cdf: NDArray[np.floating[Any]], rule: str = "first"
) -> NDArray[np.float64]:
    """The table that carries the source's histogram to the reference's (Algorithm 1).

    Levels without reference pixels make plateaus in the reference's cumulative histogram. The rule says which level
    of a plateau its value stands for: `first` the lowest (stable, top stays at the highest level in use), `last` the
    highest, `mid` their mean, `support` as `first` but only levels that have pixels (scikit-image's answer), `exact`
    both ends of a plateau, so the inverse of the broken line itself.

    Args:
        source_cdf: `[K]`, never decreasing, ending in 1.
        reference_cdf: `[L]`, the same.
        rule: one of `RULES`.

    Returns:
        float64 `[K]`, never decreasing, in 0..L-1; not rounded.

    Raises:
        MammoError: `rule_unknown`, `cdf_wrong`.
    """
    if rule not in RULES:
        raise MammoError("rule_unknown", f"no rule {rule!r}", f"Choose one of {', '.join(RULES)}")
    source, reference = _cdf(source_cdf, "source"), _cdf(reference_cdf, "reference")
    values, first = np.unique(reference, return_index=True)
    last = np.append(first[1:], reference.size) - 1
    if rule == "exact":
        return _broken_line_inverse(source, values, first, last)
    if rule == "support":
        used = values > 0
        return np.interp(source, values[used], first[used].astype(np.float64))
    knots = {"first": first, "last": last, "mid": (first + last) / 2}[rule]
    return np.interp(source, values, knots.astype(np.float64))


def match(
    image: NDArray[Any], lut: NDArray[np.floating[Any]], background: float | None = None, levels: int | None = None
) -> NDArray[Any]:
    """Applies a table to an image.

    Args:
        image: any shape; integers are levels 0..K-1, floats lie in [0, 1].
        lut: `[K]`, from `matching_lut`, in levels 0..L-1.
        background: pixels of this value's level stay as they are; in the image's unit.
        levels: L, where the reference has another number of levels than the source (K).

    Returns:
        Integers in, rounded integers (half to even) out, of the same type where it can hold them; floats in, floats
        out, divided by L - 1.

    Raises:
        MammoError: `levels_wrong` for a value outside the table, of the image or the background.
    """
    image = np.asarray(image)
    table = np.asarray(lut, np.float64)
    if image.dtype in QUICK:
        return _looked_up(image, table, background)
    index = _levels(image, table.size)
    if np.issubdtype(image.dtype, np.floating):
        matched = (table / ((levels or table.size) - 1))[index].astype(image.dtype)
    else:
        rounded = np.rint(table)
        smallest = np.min_scalar_type(int(rounded.max()))
        matched = rounded.astype(np.result_type(image.dtype, smallest))[index]
    if background is None:
        return matched
    return np.where(index == _levels(np.asarray(background, image.dtype), table.size), image, matched)


def _looked_up(image: NDArray[Any], table: NDArray[np.float64], background: float | None) -> NDArray[Any]:
    """A table on unsigned levels of 8 or 16 bits, by OpenCV: one pass, without an index of eight bytes a pixel."""
    _check_levels(image, table.size)
    rounded = np.rint(table)
    if background is not None:
        _check_levels(np.asarray(background), table.size)
        rounded[int(background)] = background
    kind = np.result_type(image.dtype, np.min_scalar_type(int(rounded.max())))
    entries = np.zeros(np.iinfo(image.dtype).max + 1, kind)
    entries[: table.size] = rounded[: entries.size]
    if not image.size:
        return image.astype(kind)
    return np.asarray(cv2.LUT(np.ascontiguousarray(image), entries)).reshape(image.shape)


def _levels(image: NDArray[Any], levels: int) -> NDArray[np.intp]:
    """Levels 0..levels-1 of integers (as they are) or of floats in [0, 1]."""
    if np.issubdtype(image.dtype, np.floating):
        image = np.rint(image * (levels - 1))
    elif not np.issubdtype(image.dtype, np.integer):
        raise MammoError("levels_wrong", f"an image of type {image.dtype} has no grey levels")
    _check_levels(image, levels)
    return image.astype(np.intp)


def _check_levels(image: NDArray[Any], levels: int) -> None:
    unsigned = np.issubdtype(image.dtype, np.unsignedinteger)
    if image.size and not (image.max() <= levels - 1 and (unsigned or image.min() >= 0)):
        raise MammoError(
            "levels_wrong",
            f"grey levels run from {image.min():g} to {image.max():g}, not within 0..{levels - 1}",
            "Give integers below the number of levels, or floats in [0, 1]",
        )


def _cdf(values: NDArray[np.floating[Any]], which: str) -> NDArray[np.float64]:
    cdf = np.asarray(values, np.float64)
    if cdf.ndim != 1 or cdf.size < 2 or not (cdf[0] >= 0 and abs(cdf[-1] - 1) < 1e-9 and (np.diff(cdf) >= 0).all()):
        raise MammoError("cdf_wrong", f"the {which}'s cumulative histogram does not rise from 0 or more to 1")
    return cdf


def _broken_line_inverse(
    source: NDArray[np.float64], values: NDArray[np.float64], first: NDArray[np.intp], last: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Between two distinct values the line runs from the lower plateau's end to the upper plateau's start."""
    upper = np.searchsorted(values, source, side="left")
    inside = np.clip(upper, 1, values.size - 1) if values.size > 1 else np.zeros_like(upper)
    lower = np.maximum(inside - 1, 0)
    width = np.where(inside > lower, values[inside] - values[lower], 1.0)
    between = last[lower] + (source - values[lower]) / width * (first[inside] - last[lower])
    clipped = np.clip(upper, 0, values.size - 1)
    on_knot = (upper >= values.size) | (source == values[clipped]) | (source <= values[0])
    return np.where(on_knot, first[clipped], between).astype(np.float64)
