"""How a pyramid takes Gaussian blurs: at which level, with which kernel. The definition, for NumPy and for the graph.

- Level 0 is the picture times the mask, and the mask, with zeros beyond the edge. Each further level is Burt and
  Adelson's reduction of the one before (*The Laplacian Pyramid as a Compact Image Code*, IEEE Transactions on
  Communications 1983): 1 4 6 4 1 sixteenths along rows and columns, then every second pixel from the first on
  (`cv2.pyrDown`). A level goes up again by the same weights, doubled (`cv2.pyrUp`). Each way adds (4^l - 1) / 3 to
  the variance of level l.
- A blur is taken at the deepest level that leaves it `ROOM`: a variance of so many pixels of that level for a kernel of
  its own. A scale below `CLOSE` times the one before stays at the level of that one.
- At level 0 the kernel is the sampled Gaussian. Deeper its spread is such that the whole way, down, kernel and up, has
  at the frequency `MATCHED` / scale the response of the Gaussian.
- At its level, the blurred picture is divided by the blurred mask. On the way up from a level the quotients are weighed
  by the mask of that level, so that what lies outside the mask has no part in them.

`docs/harmonising.md` says how far this is from exact Gaussians.
"""

from __future__ import annotations

from functools import lru_cache
from math import cos, exp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError

ROOM = 0.1  # of variance at least, in pixels of a level, that a level leaves to the kernel
CLOSE = 1.35  # times a scale: the next one is at the same level
MATCHED = 1.3  # over the scale: the angular frequency at which the response is that of the Gaussian
TRUNCATED = (4.0, 3.5)  # standard deviations at which a kernel ends: of level 0, of the others
SMALLEST, LARGEST = 0.4, 500.0  # scales in pixels
TINY = 1e-20  # the least weight of the mask at the levels above 0, so that nothing is divided by 0


class Blur(NamedTuple):
    """How one blur is taken.

    Attributes:
        level: of the pyramid, 0 the picture.
        kernel: an odd number of weights of sum 1, along rows and columns.
    """

    level: int
    kernel: tuple[float, ...]

    @property
    def weights(self) -> NDArray[np.float32]:
        """The kernel as an array."""
        return np.asarray(self.kernel, np.float32)


@lru_cache
def plan(scales: tuple[float, ...]) -> tuple[Blur, ...]:
    """How each blur is taken.

    Args:
        scales: standard deviations in pixels, rising, `SMALLEST` to `LARGEST`.

    Raises:
        MammoError: `scales_wrong`.
    """
    rising = all(one < two for one, two in zip(scales, scales[1:], strict=False))
    if not scales or not rising or not all(SMALLEST <= scale <= LARGEST for scale in scales):
        told = ", ".join(f"{scale:g}" for scale in scales) or "none"
        remedy = f"Give standard deviations in pixels, each above the one before, {SMALLEST:g} to {LARGEST:g}"
        raise MammoError("scales_wrong", f"the scales are {told}", remedy)
    blurs: list[Blur] = []
    for number, scale in enumerate(scales):
        level = 0
        while _variance_left(scale, level + 1) >= ROOM:
            level += 1
        if number and scale < CLOSE * scales[number - 1]:
            level = blurs[-1].level
        blurs.append(Blur(level, _gaussian(scale, TRUNCATED[0]) if level == 0 else _matched(scale, level)))
    return tuple(blurs)


def _variance_left(scale: float, level: int) -> float:
    """What the ways down to a level and up again leave of a scale's variance, in pixels of the level."""
    return float((scale**2 - 2 * (4**level - 1) / 3) / 4**level)


def _gaussian(spread: float, truncated: float = TRUNCATED[1]) -> tuple[float, ...]:
    radius = max(1, int(truncated * spread + 0.5))
    weights = [exp(-(place**2) / (2 * spread**2)) for place in range(-radius, radius + 1)]
    return tuple(weight / sum(weights) for weight in weights)


def _matched(scale: float, level: int) -> tuple[float, ...]:
    """The sampled Gaussian at a level with which the whole way responds as one of the scale; found by halving."""
    asked = exp(-(MATCHED**2) / 2)
    for step in range(level):
        asked /= ((1 + cos(2**step * MATCHED / scale)) / 2) ** 4
    low, high = 0.05, scale
    for _ in range(50):
        kernel = _gaussian((low + high) / 2)
        middle = len(kernel) // 2
        turned = (weight * cos((place - middle) * 2**level * MATCHED / scale) for place, weight in enumerate(kernel))
        if sum(turned) > asked:
            low = (low + high) / 2
        else:
            high = (low + high) / 2
    return _gaussian(low)
