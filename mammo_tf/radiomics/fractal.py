"""The 33rd feature of OpenBreast, `fdim`: how the area of the grey-level surface falls as the picture is coarsened.

Formula and steps: `tests/golden/openbreast/README.md`. It is called a fractal dimension but lies between 0.2 and 0.4,
since the flat area is added once instead of once for each pixel; it is kept as it is defined there.
"""

from __future__ import annotations

from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.radiomics.resampling import bicubic

MOST_HALVINGS = 7
KEPT = 128  # of 255, below or at which a resized mask pixel is out


class Surface(NamedTuple):
    """The steps of `fdim`: sizes of a pixel in mm, sums of absolute differences, mask pixels, and areas, each `[n]`."""

    pixel_mm: NDArray[np.float64]
    differences: NDArray[np.float64]
    counts: NDArray[np.int64]
    areas: NDArray[np.float64]


def fractal_dimension(
    pixels: NDArray[Any], mask: NDArray[np.bool_], spacing_mm: float, antialias: bool = True
) -> float:
    """Minus the slope of ln area on ln pixel size; nan where fewer than two scales hold a mask pixel.

    Args:
        pixels: numbers `[rows, columns]`.
        mask: bool `[rows, columns]`.
        spacing_mm: size of a pixel; hardly matters.
        antialias: as MATLAB's `imresize`; False gives what a program without kernel widening gives.
    """
    surface = surface_areas(pixels, mask, spacing_mm, antialias)
    usable = surface.areas > 0
    if usable.sum() < 2:
        return float("nan")
    return float(-np.polyfit(np.log(surface.pixel_mm[usable]), np.log(surface.areas[usable]), 1)[0])


def surface_areas(pixels: NDArray[Any], mask: NDArray[np.bool_], spacing_mm: float, antialias: bool = True) -> Surface:
    """The area of the grey-level surface at every scale; arguments as for `fractal_dimension`."""
    inner = _eroded(mask)
    white = inner.astype(np.uint8) * 255
    halvings = min(MOST_HALVINGS, int(np.floor(np.log2(max(mask.shape)))) - 2)
    found = []
    for halving in range(max(halvings, 0) + 1):
        scale = 2.0**-halving
        shape = (ceil(mask.shape[0] * scale), ceil(mask.shape[1] * scale))
        part = _around(inner, scale, shape)
        small = pixels[part].astype(np.float64) if halving == 0 else bicubic(pixels, scale, antialias, part=part)
        cut = inner[part] if halving == 0 else bicubic(white, shape, antialias, levels=256, part=part) > KEPT
        across, down = np.abs(np.diff(small, axis=1)), np.abs(np.diff(small, axis=0))
        size = spacing_mm / scale
        total = float(across[cut[:, :-1]].sum() + down[cut[:-1]].sum())
        found.append((size, total, int(cut.sum()), size**2 + size * total))
    sizes, totals, counts, areas = zip(*found, strict=True)
    return Surface(np.array(sizes), np.array(totals), np.array(counts, np.int64), np.array(areas))


def _around(mask: NDArray[np.bool_], scale: float, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Box of the mask in a picture shrunk by `scale` to `shape`, with three pixels around it.

    They are for the differences, which look one row and one column on, and for what the kernel smears.
    """
    slices = []
    for axis, size in zip((1, 0), shape, strict=True):
        places = np.flatnonzero(mask.any(axis=axis))
        first, last = (0, 0) if not len(places) else (int(places[0] * scale) - 3, ceil((places[-1] + 1) * scale) + 3)
        slices.append(slice(max(0, first), min(size, max(last, 1))))
    return slices[0], slices[1]


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keeps (r, c) where the 2 x 2 from it on is all set; outside the picture counts as set."""
    padded = np.pad(mask, ((0, 1), (0, 1)), constant_values=True)
    return np.asarray(padded[:-1, :-1] & padded[1:, :-1] & padded[:-1, 1:] & padded[1:, 1:])
