"""The intensity step that changes brightness along the skin. Registered in `steps.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.periphery import ENDS, add_levels, check_scales
from mammo_tf.imaging.steps import check_parameter, intensity_step


@intensity_step("periphery")
@dataclass(frozen=True)
class Periphery:
    """So much added along the skin: brightness there matched to another domain (`imaging.periphery.add_levels`).

    Takes and gives values in [0, 1], 0 outside the breast; it comes behind curve and contrast by scale.

    Attributes:
        scales: standard deviations of the windows in pixels of the picture that the step sees, the widest first.
        added: for each window what is added in each part of depth, `[windows, parts]`.
    """

    needs_breast: ClassVar[bool] = True
    scales: tuple[float, ...]
    added: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        try:
            check_scales(self.scales)
        except MammoError as error:
            check_parameter(False, self, error.sentence)
        right = [len(levels) == len(ENDS) and bool((np.abs(levels) <= 1).all()) for levels in self.added]
        check_parameter(len(right) == len(self.scales) and all(right), self, f"added is {len(ENDS)} numbers a window")

    def intensity(self, values: NDArray[np.float32], breast: NDArray[np.bool_]) -> NDArray[np.float32]:
        return add_levels(values, breast, self.scales, self.added)
