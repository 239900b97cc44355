"""Deformation of a picture and its mask: elastic displacement, rotation and scale about the middle, in one resampling.

Source: Zhang et al., *Generalizing Deep Learning for Medical Image Segmentation to Unseen Domains via Deep Stacked
Transformation*, IEEE TMI 2020 (BigAug), transformations 7 to 9; answers in `tests/golden/baselines`.
"""

from __future__ import annotations

from math import cos, radians, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mammo_tf.errors import MammoError


def elastic_displacement(uniform: NDArray[np.floating], smoothing: float, strength: float) -> NDArray[np.float64]:
    """Smooth random displacement, in pixels; float64 `[2, rows, columns]`, down and right.

    Args:
        uniform: independent numbers, uniform in -1 to 1, `[2, rows, columns]`.
        smoothing: standard deviation in pixels of the Gaussian that smooths them, with zeros beyond the edge.
        strength: what the smoothed numbers are multiplied by.
    """
    fields = np.asarray(uniform, np.float64)
    return strength * np.stack([ndimage.gaussian_filter(field, smoothing, mode="constant") for field in fields])


def deformed_places(
    size: tuple[int, int], rotation: float = 0.0, scale: float = 1.0, displacement: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Where each pixel of a deformed picture lies in the given one, float64 `[2, rows, columns]`, (row, column).

    A pixel is displaced first, then turned about the middle and divided by the scale.

    Args:
        size: rows and columns.
        rotation: degrees; above 0 turns the picture clockwise as it is looked at.
        scale: above 0; of 2 the picture shows twice as large.
        displacement: `[2, rows, columns]`, see `elastic_displacement`.

    Raises:
        MammoError: `scale_wrong`.
    """
    if not scale > 0:
        raise MammoError("scale_wrong", f"a picture is scaled by a number above 0, not by {scale:g}")
    places = np.stack(np.meshgrid(*(np.arange(side, dtype=np.float64) for side in size), indexing="ij"))
    if displacement is not None:
        places += displacement
    middle = (np.array(size) - 1.0)[:, None, None] / 2
    angle = radians(rotation)
    turned = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]]) / scale
    return np.einsum("ab,bij->aij", turned, places - middle) + middle


def sampled(
    picture: NDArray[Any], places: NDArray[np.floating], interpolation: str = "linear"
) -> NDArray[np.float64] | NDArray[Any]:
    """A picture at given places; beyond its edge is 0, towards which the rim is interpolated.

    Args:
        picture: `[rows, columns]`.
        places: (row, column) in pixels, `[2, ...]`.
        interpolation: "linear", float64; or "nearest", of the picture's type, for masks.

    Returns:
        `[...]`.

    Raises:
        MammoError: `interpolation_unknown`.
    """
    if interpolation not in ("linear", "nearest"):
        raise MammoError("interpolation_unknown", f"no interpolation {interpolation!r}", "Choose linear or nearest")
    order, kind = (1, np.float64) if interpolation == "linear" else (0, picture.dtype)
    return np.asarray(ndimage.map_coordinates(picture, places, kind, order, mode="grid-constant"))
