"""Changes of sharpness and grey values as they are stacked to imitate other machines.

Source: Zhang et al., *Generalizing Deep Learning for Medical Image Segmentation to Unseen Domains via Deep Stacked
Transformation*, IEEE TMI 2020 (BigAug), transformations 1 to 6; answers in `tests/golden/baselines`. Pictures are
`[rows, columns]`, any float, in [0, 1]; results are float64 and may leave that range.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage


def blurred(picture: ArrayLike, deviation: float) -> NDArray[np.float64]:
    """Gaussian smoothing, cut off at four deviations; beyond the edge lies the mirrored picture, its edge repeated.

    Args:
        picture: see above.
        deviation: standard deviation in pixels.
    """
    return np.asarray(ndimage.gaussian_filter(np.asarray(picture, np.float64), deviation, mode="reflect"))


def sharpened(picture: ArrayLike, first: float, second: float, amount: float) -> NDArray[np.float64]:
    """b1 + amount (b1 - b2), b1 the blurred picture and b2 that blurred again.

    Args:
        picture: see above.
        first, second: standard deviations in pixels of the two blurs.
        amount: how much of the difference is added.
    """
    once = blurred(picture, first)
    return once + amount * (once - blurred(once, second))


def contrasted(picture: ArrayLike, gamma: float) -> NDArray[np.float64]:
    """Grey values to the power of gamma; what lies below 0 or above 1 becomes 0 or 1 first."""
    return np.clip(np.asarray(picture, np.float64), 0, 1) ** gamma


def perturbed(picture: ArrayLike, scale: float, shift: float) -> NDArray[np.float64]:
    """Grey values times `scale`, plus `shift`."""
    return np.asarray(picture, np.float64) * scale + shift
