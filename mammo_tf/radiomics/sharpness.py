"""The six sharpness features of OpenBreast: gradients, Laplacian and wavelet bands, averaged inside a mask.

Formulae and answers: `tests/golden/openbreast/README.md`, rows 27 to 32. Filters see the whole picture, so the dark
outside leaks in along the edge of the breast; only the averages keep to the mask.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
import pywt
from numpy.typing import NDArray
from scipy import sparse

NAMES = ("sgra", "slap", "swas", "swav", "swar", "stev")
WAVELET = pywt.Wavelet("db6")
LEVELS = 3
MARGIN = 16 * 2**LEVELS  # pixels that reach into a reconstruction of the third level, and more
STEP = 2**LEVELS  # a part of the picture keeps the wavelet's phase if it starts at a multiple of this
TINY = 2.0**-52


def sharpness_features(pixels: NDArray[Any], mask: NDArray[np.bool_]) -> dict[str, float]:
    """Means and deviations of Sobel magnitude, modified Laplacian and Daubechies 6 bands.

    Args:
        pixels: numbers `[rows, columns]`, the whole picture.
        mask: bool `[rows, columns]`, two pixels or more.

    Returns:
        In the order of `NAMES`, in grey levels of the picture's own scale (`swav` squared).
    """
    part = _around(mask)
    pixels, mask = np.ascontiguousarray(pixels[part], np.float64), mask[part]
    sobel = gradient_magnitude(pixels)[mask]
    laplacian = _modified_laplacian(pixels)[mask]
    approximations, details = wavelet_bands(pixels)
    bands = [detail[mask] for detail in details]
    energy = sum(float((band * band).mean()) for band in bands)
    rest = sum(float(np.abs(band[mask]).mean()) for band in approximations)
    values = (
        float(sobel.mean()),
        float(laplacian.mean()),
        sum(float(np.abs(band).mean()) for band in bands),
        sum(float(np.abs(band).var(ddof=1)) for band in bands),
        (energy + TINY) / (rest + TINY),
        float(sobel.std(ddof=1)),
    )
    return dict(zip(NAMES, values, strict=True))


def _around(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Box of the mask with all that reaches into it. It ends at the picture's edge or far enough inside."""
    slices = []
    for axis, size in zip((1, 0), mask.shape, strict=True):
        places = np.flatnonzero(mask.any(axis=axis))
        first = max(0, (places[0] - MARGIN) // STEP * STEP)
        last = places[-1] + 1 + MARGIN
        slices.append(slice(int(first), int(last) if last < size else size))
    return slices[0], slices[1]


def gradient_magnitude(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sobel's, kernels [1 2 1] x [-1 0 1] not divided by 8, edges repeated: float64 `[rows, columns]`."""
    across, down = (
        cv2.Sobel(pixels, cv2.CV_64F, dx, 1 - dx, ksize=3, borderType=cv2.BORDER_REPLICATE) for dx in (1, 0)
    )
    return np.asarray(cv2.magnitude(across, down), np.float64)


def _modified_laplacian(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel: NDArray[Any] = np.array([[-1.0, 2.0, -1.0]])
    across, down = (
        cv2.filter2D(pixels, cv2.CV_64F, one, borderType=cv2.BORDER_REPLICATE) for one in (kernel, kernel.T)
    )
    return np.asarray(np.abs(across) + np.abs(down), np.float64)


def wavelet_bands(pixels: NDArray[np.float64]) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Single bands brought back to the picture's size: approximations 1 to 3, and the three details of the first level.

    Daubechies 6 (12 taps), edges mirrored about the half point, as `pywt.dwt2` and `idwt2` give them; sparse matrices
    for each axis take a quarter of their time. What the low band does not hold is the high band: the filters
    reconstruct perfectly.

    Args:
        pixels: float64 `[rows, columns]`.
    """
    down, across = _Axis.of(pixels.shape[0]), _Axis.of(pixels.shape[1])
    smooth = down.reduce @ pixels
    low = down.restore @ smooth
    approximation = (across.reduce @ smooth.T).T
    levels, approximations = [(down, across)], []
    for level in range(LEVELS):
        if level:
            levels.append((_Axis.of(approximation.shape[0]), _Axis.of(approximation.shape[1])))
            approximation = (levels[-1][1].reduce @ (levels[-1][0].reduce @ approximation).T).T
        back = approximation
        for rows, columns in reversed(levels):
            back = rows.restore @ (columns.restore @ back.T).T
        approximations.append(back)
    high = pixels - low
    high_low = (across.restore @ (across.reduce @ high.T)).T
    return approximations, [low - approximations[0], high_low, high - high_low]


class _Axis(NamedTuple):
    """The low-pass half of the transform along one axis: `[reduced, size]` and back, `[size, reduced]`."""

    reduce: sparse.csr_array
    restore: sparse.csr_array

    @classmethod
    def of(cls, size: int) -> _Axis:
        """The matrices of an axis of `size` pixels, edges mirrored."""
        taps = WAVELET.dec_len
        reduced = pywt.dwt_coeff_len(size, taps, "symmetric")
        tap = np.arange(taps)
        mirrored = np.concatenate([np.arange(size), np.arange(size)[::-1]])
        place = mirrored[(2 * np.arange(reduced)[:, None] + 1 - tap) % (2 * size)]
        output = np.broadcast_to(np.arange(reduced)[:, None], place.shape)
        low = np.broadcast_to(WAVELET.dec_lo, place.shape)
        reduce = sparse.csr_array((low.ravel(), (output.ravel(), place.ravel())), shape=(reduced, size))
        place = 2 * np.arange(reduced)[:, None] + tap - (taps - 2)
        back = np.broadcast_to(WAVELET.rec_lo, place.shape)
        kept = (place >= 0) & (place < size)
        restore = sparse.csr_array((back[kept], (place[kept], output[kept])), shape=(size, reduced))
        return cls(reduce, restore)
