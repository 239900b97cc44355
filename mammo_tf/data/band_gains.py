"""Random contrast by scale as augmentation: other vendors' processing, drawn for each picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.intensity_changes import CHANGES
from mammo_tf.errors import MammoError
from mammo_tf.imaging.bands import SCALES, apply_gains
from mammo_tf.imaging.blur_plan import plan
from mammo_tf.imaging.levels import WHITE


@CHANGES.register
@dataclass(frozen=True)
class BandGains:
    """Every band of contrast (`imaging.bands`) times a gain of its own, drawn log-uniformly.

    It stands for the edge and tissue enhancement of machines that are not in the training set: no picture of a target
    is needed. Outside the breast a picture becomes black, as behind the step `contrast_bands`.

    Attributes:
        spread: above 0; 1 gives gains from a half to two.
        scales: standard deviations of the blurs in pixels of the picture that the network sees, rising.

    Raises:
        MammoError: `augmentation_wrong`, `scales_wrong`.
    """

    kind: ClassVar[str] = "band_gains"
    columns: ClassVar[tuple[str, ...]] = ("band_gains_seed",)
    needs_breast: ClassVar[bool] = True
    spread: float = 1.0
    scales: tuple[float, ...] = SCALES

    def __post_init__(self) -> None:
        if not 0 < self.spread <= 1000:
            sentence = f"the spread of band_gains is {self.spread:g}, not above 0, up to 1000"
            raise MammoError("augmentation_wrong", sentence)
        plan(self.scales)

    def draw(self, generator: np.random.Generator, count: int) -> dict[str, NDArray[np.float64]]:
        """Columns of `count` draws: `band_gains_seed`, whole numbers, float64 `[count]`."""
        return {"band_gains_seed": generator.integers(0, 2**53, count).astype(np.float64)}

    def gains(self, seed: float) -> NDArray[np.float64]:
        """The gains that belong to a drawn seed, float64 `[scales]`."""
        edge = np.log1p(self.spread)
        return np.exp(np.random.default_rng(int(seed)).uniform(-edge, edge, len(self.scales)))

    def apply(self, picture: NDArray[np.uint16], breast: NDArray[np.bool_], **drawn: Any) -> NDArray[np.uint16]:
        """A picture with the gains of `drawn["band_gains_seed"]`; one without a breast stays as it is."""
        if not breast.any():
            return picture
        gains = self.gains(drawn["band_gains_seed"])
        changed = apply_gains(picture / np.float32(WHITE), breast, self.scales, gains.tolist())
        return np.rint(changed * WHITE).astype(np.uint16)
