"""The 14 grey-level features of OpenBreast: moments, percentiles, balances and entropy of the pixels in a mask.

Formulae and answers: `tests/golden/openbreast/README.md`, rows 1 to 14.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NAMES = (
    "imin", "imax", "iavg", "ient", "istd", "ip05", "ip95", "iba1", "iba2", "ip30", "ip70", "iske", "ikur", "iran",
)  # fmt: skip
BINS = 256
TINY = 2.0**-52  # keeps the balances finite


def intensity_features(ordered: NDArray[np.float64]) -> dict[str, float]:
    """Grey-level features, in the order of `NAMES`.

    Args:
        ordered: float64 `[n]`, the pixels of the mask in rising order, two or more; where all are equal, skewness and
            kurtosis are nan.

    Returns:
        Grey levels of the picture's own scale; `ient` in bits, `iba1`, `iba2`, `iske`, `ikur` without unit.
    """
    count = len(ordered)
    mean = float(ordered.mean())
    apart = ordered - mean
    squares = apart * apart
    second = float(squares.mean())
    third = float((squares * apart).mean())
    fourth = float((squares * squares).mean())
    low, lower, upper, high = (hazen(ordered, share) for share in (0.05, 0.30, 0.70, 0.95))
    least, most = float(ordered[0]), float(ordered[-1])
    values = (
        least,
        most,
        mean,
        entropy(histogram(ordered)),
        (second * count / (count - 1)) ** 0.5,
        low,
        high,
        (high - mean + TINY) / (mean - low + TINY),
        (upper - mean + TINY) / (mean - lower + TINY),
        lower,
        upper,
        third / second**1.5 if second else float("nan"),
        fourth / second**2 if second else float("nan"),
        most - least,
    )
    return dict(zip(NAMES, values, strict=True))


def hazen(ordered: NDArray[np.float64], share: float) -> float:
    """A quantile, the k-th of n values standing for the share (k - 0.5) / n, linear between."""
    place = min(max(share * len(ordered) - 0.5, 0.0), len(ordered) - 1.0)
    before = int(place)
    after = min(before + 1, len(ordered) - 1)
    return float(ordered[before] + (place - before) * (ordered[after] - ordered[before]))


def histogram(ordered: NDArray[np.float64]) -> NDArray[np.int64]:
    """Counts of 256 equal bins between the extremes, `(a, b]`, the first with its lower edge."""
    inner = ordered[0] + (ordered[-1] - ordered[0]) * np.arange(1, BINS) / BINS
    below = np.searchsorted(ordered, inner, side="right")
    return np.diff(np.concatenate([[0], below, [len(ordered)]]))


def entropy(counts: NDArray[np.int64]) -> float:
    """Shannon's, in bits."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())
