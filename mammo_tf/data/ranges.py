"""Ranges that numbers of an augmentation are drawn from, and whether they are applied."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError


def check_range(name: str, limits: tuple[float, float], least: float | None = None, most: float = 1000.0) -> None:
    """Refuses a range whose ends are not in order, not finite, below `least`, or further from 0 than `most`.

    Raises:
        MammoError: `augmentation_wrong`.
    """
    low, high = limits
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise MammoError("augmentation_wrong", f"{name} runs from {low:g} to {high:g}, which is no range")
    if least is not None and low < least:
        raise MammoError("augmentation_wrong", f"{name} runs from {low:g}, below {least:g}")
    if max(abs(low), abs(high)) > most:
        raise MammoError("augmentation_wrong", f"{name} runs from {low:g} to {high:g}, beyond {most:g}")


def applied(
    generator: np.random.Generator, values: NDArray[np.float64], probability: float, neutral: float
) -> NDArray[np.float64]:
    """Each value with the given probability, else the one that changes nothing; float64 of the same shape."""
    return np.where(generator.uniform(size=values.shape) < probability, values, neutral)
