"""Steps from the prepared picture to network input: look-up, scale, mean, channels. Registered in `steps.py`."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.steps import check_parameter, intensity_step


@intensity_step("histogram_lookup")
@dataclass(frozen=True)
class HistogramLookup:
    """p -> table[round(p (len(table) - 1))] / levels: histogram matching to another domain.

    Attributes:
        table: output level for each input level, in whole or broken levels 0 to `levels`; usually 4096 entries from
            `histogram.matching_lut`.
        levels: white of the output, 4095 for 12 bits.
        keep_black: p that falls into level 0 stays 0, as background does.
    """

    table: tuple[float, ...] = field(repr=False)
    levels: int = 4095
    keep_black: bool = False

    def __post_init__(self) -> None:
        values = np.asarray(self.table, np.float64)
        if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
            raise MammoError("step_parameter_wrong", "step 'histogram_lookup': the table is not a list of numbers")
        if self.levels < 1 or values.min() < 0 or values.max() > self.levels:
            raise MammoError("step_parameter_wrong", f"step 'histogram_lookup': entries leave 0..{self.levels}")

    @property
    def outputs(self) -> NDArray[np.float32]:
        """float32 `[len(table)]` in [0, 1]: what each input level becomes."""
        outputs = (np.asarray(self.table, np.float64) / self.levels).astype(np.float32)
        if self.keep_black:
            outputs[0] = 0.0
        return outputs

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        index = np.rint(values * np.float32(len(self.table) - 1)).astype(np.int32)
        return self.outputs[np.clip(index, 0, len(self.table) - 1)]


@intensity_step("histogram_match")
@dataclass(frozen=True)
class HistogramMatch:
    """Each picture to the average histogram of a domain, by the picture's own histogram (rule `first`).

    Level round(p (len(cdf) - 1)) of a picture becomes F_R^-1(F_S(level)) / (len(cdf) - 1), F_S being the picture's own
    c.d.f.

    Attributes:
        cdf: of the reference, never decreasing, from below 1 to 1.
        keep_black: level 0 does not count in F_S and stays 0, as background does.
    """

    cdf: tuple[float, ...] = field(repr=False)
    keep_black: bool = True

    def __post_init__(self) -> None:
        values = np.asarray(self.cdf, np.float64)
        rises = values.ndim == 1 and values.size > 1 and 0 <= values[0] < 1 and (np.diff(values) >= 0).all()
        check_parameter(bool(rises and abs(values[-1] - 1) < 1e-9), self, "cdf rises from below 1 to 1")

    @property
    def knots(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distinct values of the reference's c.d.f. and the lowest level of each; float64 `[knots]`."""
        values, first = np.unique(np.asarray(self.cdf, np.float64), return_index=True)
        return values, first.astype(np.float64)

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        top = len(self.cdf) - 1
        index = np.clip(np.rint(values * np.float32(top)), 0, top).astype(np.int32)
        counts = np.bincount(index.ravel(), minlength=top + 1).astype(np.float64)
        if self.keep_black:
            counts[0] = 0.0
        total = counts.sum()
        if total == 0:
            return np.zeros_like(values)
        table = np.interp(np.cumsum(counts) / total, *self.knots) / top
        if self.keep_black:
            table[0] = 0.0
        return table.astype(np.float32)[index]


@intensity_step("scale")
@dataclass(frozen=True)
class Scale:
    """p -> p * levels * factor.

    Attributes:
        levels: white of the scale on which `factor` is meant: 255, 4095 or 65535.
        factor: 0.003891 for 16-bit pictures of the legacy models (the rounded 255/65535).
    """

    levels: int
    factor: float = 1.0

    def __post_init__(self) -> None:
        check_parameter(self.levels >= 1, self, "levels is 1 or more")
        check_parameter(np.isfinite(self.factor), self, "factor is finite")

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values * np.float32(self.levels * self.factor)


@intensity_step("maximum_scale")
@dataclass(frozen=True)
class MaximumScale:
    """Each picture's own maximum becomes `levels`; a black picture stays black."""

    levels: float

    def __post_init__(self) -> None:
        check_parameter(np.isfinite(self.levels) and self.levels > 0, self, "levels is above 0")

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        peak = values.max()
        return values * (np.float32(self.levels) / peak) if peak > 0 else values


@intensity_step("equalize")
@dataclass(frozen=True)
class Equalize:
    """Histogram equalisation of each picture over 256 levels, as OpenCV does it; fractions are cut off first.

    Takes and gives 8-bit levels, 0 to 255: a `scale` or `maximum_scale` with levels 255 comes before it.
    """

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return cv2.equalizeHist(np.clip(values, 0, 255).astype(np.uint8)).astype(np.float32)


@intensity_step("mean")
@dataclass(frozen=True)
class SubtractMean:
    """Minus one number, on the scale that the step before leaves (52.18: DDSM whole images on 0 to 255)."""

    mean: float

    def __post_init__(self) -> None:
        check_parameter(np.isfinite(self.mean), self, "mean is finite")

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values - np.float32(self.mean)


@intensity_step("channels")
@dataclass(frozen=True)
class Channels:
    """The last step: 1 channel, or 3 equal ones. Adds the axis `[rows, columns, channels]`."""

    channels: int = 3

    def __post_init__(self) -> None:
        check_parameter(self.channels in (1, 3), self, "channels is 1 or 3")

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.repeat(values[..., None], self.channels, axis=-1)
