"""The intensity step that changes contrast scale by scale, inside the breast. Registered in `steps.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mammo_tf.imaging.bands import apply_gains
from mammo_tf.imaging.blur_plan import LARGEST, SMALLEST
from mammo_tf.imaging.steps import check_parameter, intensity_step


@intensity_step("contrast_bands")
@dataclass(frozen=True)
class ContrastBands:
    """Each band of contrast times its gain: contrast by scale matched to another domain (`imaging.bands.apply_gains`).

    Takes and gives values in [0, 1], 0 outside the breast: it comes behind a histogram look-up and before `scale`.

    Attributes:
        scales: standard deviations of the blurs between which the bands lie, in pixels of the picture that the step
            sees (of a prepared one, unless a patch is taken smaller or larger), from fine to coarse.
        gains: factor of the band below each scale; 1 leaves it as it is.
    """

    needs_breast: ClassVar[bool] = True
    scales: tuple[float, ...]
    gains: tuple[float, ...]

    def __post_init__(self) -> None:
        scales, gains = (np.asarray(numbers, np.float64) for numbers in (self.scales, self.gains))
        within = len(scales) > 0 and bool(
            ((scales >= SMALLEST) & (scales <= LARGEST)).all() and (np.diff(scales) > 0).all()
        )
        rule = f"scales are one or more numbers of pixels from {SMALLEST:g} to {LARGEST:g}, each above the one before"
        check_parameter(within, self, rule)
        check_parameter(len(gains) == len(scales), self, "there are as many gains as scales")
        check_parameter(bool(np.isfinite(gains).all() and (gains > 0).all()), self, "gains are numbers above 0")

    def intensity(self, values: NDArray[np.float32], breast: NDArray[np.bool_]) -> NDArray[np.float32]:
        return apply_gains(values, breast, self.scales, self.gains)
