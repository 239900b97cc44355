"""Distances between the borders of two masks, in mm: Hausdorff, its 95th percentile, and mean surface distances.

The border of a mask is the mask without its erosion by the cross (4 neighbours in 2-D, 6 in 3-D); outside of the array
is background, so a pixel of the mask on the array's edge is border. Distances join the centres of border pixels, border
to border. `tests/golden/surface` has the answers of other packages and where they differ.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.overlap import overlap

DISTANCES = ("hd", "hd95", "asd", "asd_reverse", "assd")
TITLES = {
    "hd": "Hausdorff distance, mm",
    "hd95": "Hausdorff distance, 95th percentile, mm",
    "asd": "Surface distance, call to truth, mm",
    "asd_reverse": "Surface distance, truth to call, mm",
    "assd": "Surface distance, both ways, mm",
}
BORDERS = "border pixel centres (4 neighbours, the edge of the picture is border)"
DEFINITIONS = {
    "hd": "largest distance of a border pixel to the other border, both ways",
    "hd95": "95th linear percentile of the distances, the larger of both ways",
    "asd": "mean distance from the border of the call to that of the truth",
    "asd_reverse": "mean distance from the border of the truth to that of the call",
    "assd": "mean of the distances of both ways, pooled",
}
PERCENTILE = 95
DENSE = 0.1  # share of the box that is border, from which on a distance transform is quicker than a tree


class BorderDistances(NamedTuple):
    """Distances in mm from each border pixel of one mask to the nearest of the other; both empty where a mask is.

    Attributes:
        forward: float64 `[border pixels of the prediction]`.
        back: float64 `[border pixels of the truth]`.
    """

    forward: NDArray[np.float64]
    back: NDArray[np.float64]


def surface_metrics(
    prediction: NDArray[Any], truth: NDArray[Any], spacing: ArrayLike, pooled: bool = False
) -> dict[str, float]:
    """`tpr`, `precision`, `dsc` in [0, 1], and `hd`, `hd95`, `asd`, `asd_reverse`, `assd` in mm.

    `asd` runs from the prediction to the truth (eq. 24 of the MLN-net paper divides by both counts; read plainly it is
    the mean), `asd_reverse` back, `assd` is the mean over both lists together. Percentiles are NumPy's linear ones.
    Where a mask is empty no distance exists: they are nan, and so are `tpr` for an empty truth, `precision` for an
    empty prediction, `dsc` where both are; `tpr` and `dsc` of an empty prediction are 0, that is a miss.

    Args:
        prediction, truth: masks of one shape, bool `[rows, columns]` or `[slices, rows, columns]`; numbers that are 0
            and one other value are masks too.
        spacing: mm from pixel to pixel, one an axis.
        pooled: `hd95` as MedPy has it, the percentile of both lists together, in place of the larger of the two
            (MONAI's).

    Raises:
        MammoError: `masks_differ` for other shapes, `mask_wrong` for what is not a mask, `spacing_unknown`,
            `spacing_wrong`.

    Source: `tests/golden/surface` (MedPy 0.5.2, MONAI 1.6.1, brute force in float64).
    """
    found, true = checked_masks(prediction, truth)
    steps = checked_spacing(spacing, found.ndim)
    return {**overlap(found, true), **distance_metrics(border_distances(found, true, steps), pooled)}


def distance_metrics(distances: BorderDistances, pooled: bool = False) -> dict[str, float]:
    """The five of `DISTANCES`; nan where there is no distance. Arguments as `surface_metrics`."""
    forward, back = distances
    if not len(forward):
        return dict.fromkeys(DISTANCES, float("nan"))
    both = np.concatenate(distances)
    directed = [both] if pooled else [forward, back]
    return {
        "hd": float(both.max()),
        "hd95": max(float(np.percentile(one, PERCENTILE)) for one in directed),
        "asd": float(forward.mean()),
        "asd_reverse": float(back.mean()),
        "assd": float(both.mean()),
    }


def border_distances(
    prediction: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: NDArray[np.float64]
) -> BorderDistances:
    """Both directed lists of distances, exact in float64; arguments as `checked_masks` and `checked_spacing` give them.

    A k-d tree of one border answers the border pixels of the other; where a tenth of the box is border, as in noise,
    the distance transform of the box is quicker.
    """
    box = bounding_box(prediction | truth)
    edges = border(prediction[box]), border(truth[box])
    counts = [np.count_nonzero(edge) for edge in edges]
    if not all(counts):
        return BorderDistances(np.zeros(0), np.zeros(0))
    if max(counts) > DENSE * edges[0].size:
        first, second = (distance_transform_edt(~edge, spacing) for edge in edges)
        return BorderDistances(second[edges[0]], first[edges[1]])
    points = [np.stack(np.unravel_index(np.flatnonzero(edge), edge.shape), axis=1) * spacing for edge in edges]
    trees = [cKDTree(one, compact_nodes=False, balanced_tree=False) for one in points]  # quicker for few questions
    return BorderDistances(trees[1].query(points[0], workers=1)[0], trees[0].query(points[1], workers=1)[0])


def border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask with a neighbour outside of it, along an axis; outside of the array is background. Bool."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        rows = np.moveaxis(inner, axis, 0)
        given = np.moveaxis(mask, axis, 0)
        rows[0] = rows[-1] = False
        rows[1:] &= given[:-1]
        rows[:-1] &= given[1:]
    return np.asarray(mask & ~inner)


def checked_masks(prediction: NDArray[Any], truth: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two masks as bool arrays.

    Raises:
        MammoError: `masks_differ` where their shapes do, `mask_wrong` as `as_mask`.
    """
    found, true = as_mask(prediction, "the prediction"), as_mask(truth, "the truth")
    if found.shape != true.shape:
        sizes = [" x ".join(map(str, mask.shape)) for mask in (found, true)]
        sentence = f"the prediction has {sizes[0]} pixels, the truth {sizes[1]}"
        raise MammoError("masks_differ", sentence, "Give both in the geometry of the same picture")
    return found, true


def as_mask(mask: NDArray[Any], what: str = "the mask") -> NDArray[np.bool_]:
    """A mask of 2 or 3 axes as bool; one of numbers holds 0 and at most one other value (1, 255).

    Raises:
        MammoError: `mask_wrong` for another number of axes, for no pixels, for other values: probabilities, labels of
            several findings, values that are not finite.
    """
    mask = np.asarray(mask)
    if mask.ndim not in (2, 3) or not mask.size:
        shape = " x ".join(map(str, mask.shape)) or "a number"
        raise MammoError("mask_wrong", f"{what} is {shape}, not an array of 2 or 3 axes", "Give one picture or volume")
    if mask.dtype == np.bool_:
        return mask
    if mask.dtype.kind not in "iuf":
        raise MammoError("mask_wrong", f"{what} holds {mask.dtype}, not 0 and one other value", "Give a mask of bool")
    set_ = mask != 0
    highest = mask.max()
    if not np.isfinite(highest) or ((mask != highest) & set_).any() or highest < 0:
        values = ", ".join(f"{value:g}" for value in np.unique(mask[set_])[:4])
        sentence = f"{what} holds {values} besides 0; a mask holds one value besides 0"
        raise MammoError("mask_wrong", sentence, "Cut probabilities at a threshold, and name one kind of finding")
    return np.asarray(set_)


def checked_spacing(spacing: ArrayLike | None, axes: int) -> NDArray[np.float64]:
    """The spacing in mm, float64 `[axes]`.

    Raises:
        MammoError: `spacing_unknown` for None or nan, `spacing_wrong` for another length, for 0, negative and infinite
            values and for what is not a number.
    """
    try:
        steps = np.asarray(np.nan if spacing is None else spacing, np.float64)
    except (TypeError, ValueError) as error:
        sentence = f"the spacing {spacing!r} is not a row of numbers"
        raise MammoError("spacing_wrong", sentence, "Give mm from pixel to pixel, one an axis") from error
    if np.isnan(steps).any():
        sentence = "the pixel spacing is not known, so there are no distances in mm"
        raise MammoError("spacing_unknown", sentence, "Fill spacing_row_mm and spacing_column_mm of the manifest")
    shown = ", ".join(f"{step:g}" for step in np.ravel(steps))
    if steps.shape != (axes,):
        sentence = f"the spacing {shown} has {steps.size} numbers, the masks {axes} axes"
        raise MammoError("spacing_wrong", sentence, "Give mm from pixel to pixel, one an axis")
    if not (np.isfinite(steps) & (steps > 0)).all():
        raise MammoError("spacing_wrong", f"the spacing {shown} is not above 0 mm", "Give mm from pixel to pixel")
    return steps


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box around a mask; the first pixel for an empty mask."""
    box: list[slice] = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        seen = np.flatnonzero(mask[tuple(box)].any(axis=others))
        if not len(seen):
            return (slice(0, 1),) * mask.ndim
        box.append(slice(int(seen[0]), int(seen[-1]) + 1))
    return tuple(box)
