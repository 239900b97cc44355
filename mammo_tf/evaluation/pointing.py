"""Whether a map points at what it should: the pointing game, and how much of it lies where.

Source: Zhang et al., *Top-down neural attention by excitation backprop*, IJCV 126 (2018), where a map hits if its
maximum lies on the object, or no farther from it than a tolerance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError


class Pointing(NamedTuple):
    """What one map does.

    Attributes:
        hit: whether its maximum inside the breast lies on the finding, or within the tolerance.
        by_chance: share of the breast where a hit would be: what a point thrown at random has.
        peak_outside: whether the maximum over the whole picture lies outside the breast.
        in_breast, in_finding: shares of the map's positive part that lie in the breast, and on the finding; nan where
            the map has no positive part.
    """

    hit: bool
    by_chance: float
    peak_outside: bool
    in_breast: float
    in_finding: float


def pointing(
    heat: NDArray[np.floating[Any]], finding: NDArray[np.bool_], breast: NDArray[np.bool_], tolerance: float
) -> Pointing:
    """What a map says of one picture.

    Args:
        heat: `[map rows, map columns]` over the whole picture, evidence for the positive class; stretched to it by
            cubic interpolation, as it is drawn.
        finding: bool `[rows, columns]`, what should be pointed at.
        breast: bool `[rows, columns]`.
        tolerance: how far from the finding a maximum may lie, in pixels.

    Raises:
        MammoError: `finding_empty`, `mask_empty` for an empty breast, `shapes_differ`.
    """
    if finding.shape != breast.shape or heat.ndim != 2:
        raise MammoError(
            "shapes_differ", f"a finding of {finding.shape}, a breast of {breast.shape}, a map {heat.shape}"
        )
    if not finding.any():
        raise MammoError("finding_empty", "there is nothing to point at", "Leave the picture out")
    if not breast.any():
        raise MammoError("mask_empty", "the breast is empty", "Leave the picture out")
    smooth = np.asarray(
        cv2.resize(np.asarray(heat, np.float32), finding.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float64
    )
    distance = cv2.distanceTransform((~finding).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = distance <= tolerance
    peak = np.unravel_index(np.where(breast, smooth, -np.inf).argmax(), smooth.shape)
    anywhere = np.unravel_index(smooth.argmax(), smooth.shape)
    positive = np.maximum(smooth, 0)
    total = positive.sum()
    inside, on = ((positive[where].sum() / total if total else np.nan) for where in (breast, finding))
    return Pointing(bool(near[peak]), float(near[breast].mean()), not bool(breast[anywhere]), float(inside), float(on))
