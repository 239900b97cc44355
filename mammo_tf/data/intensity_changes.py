"""The intensity half of augmentation: what happens to grey values, drawn for each picture.

A change is a frozen description with a `kind`. It draws its parameters as named columns of a plan's `Draws`, so that
they are a pure function of seed, stage and epoch, and applies them to a warped picture. One whose class says
`needs_breast = True` is handed the breast too, as `breast`, bool `[rows, columns]`; one with `needs_maximum = True` the
maximum of the whole picture, as `maximum`, None where it sees the whole. To add one, write its class and register it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.fields import Kinds
from mammo_tf.imaging.levels import WHITE

CHANGES = Kinds()


class Change(Protocol):
    """What every change can do.

    Attributes:
        kind: tells it from others in JSON.
        columns: names of what it draws.
    """

    kind: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]

    def draw(self, generator: np.random.Generator, count: int) -> dict[str, NDArray[np.float64]]:
        """Columns of `count` draws, each float64 `[count]`."""

    def apply(self, picture: NDArray[np.uint16], **drawn: Any) -> NDArray[np.uint16]:
        """The change on one picture, uint16 `[rows, columns]`, round(65535 p); `drawn` has its columns by name."""


IntensityChange = Annotated[Change, CHANGES]


@CHANGES.register
@dataclass(frozen=True)
class Gamma:
    """Grey values in [0, 1] to the power of gamma, drawn log-uniformly from 1 / (1 + spread) to 1 + spread.

    Attributes:
        spread: above 0; 0.5 gives exponents from 0.67 to 1.5. Black and white stay what they are.
    """

    kind: ClassVar[str] = "gamma"
    columns: ClassVar[tuple[str, ...]] = ("gamma",)
    spread: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.spread <= 1000:
            raise MammoError("augmentation_wrong", f"the spread of gamma is {self.spread:g}, not above 0, up to 1000")

    def draw(self, generator: np.random.Generator, count: int) -> dict[str, NDArray[np.float64]]:
        """Columns of `count` draws: `gamma`, float64 `[count]`."""
        edge = np.log1p(self.spread)
        return {"gamma": np.exp(generator.uniform(-edge, edge, count))}

    def apply(self, picture: NDArray[np.uint16], **drawn: Any) -> NDArray[np.uint16]:
        """A picture with p raised to the power of `drawn["gamma"]`."""
        levels = np.arange(WHITE + 1, dtype=np.float64) / WHITE
        return np.rint(levels ** drawn["gamma"] * WHITE).astype(np.uint16)[picture]


@CHANGES.register
@dataclass(frozen=True)
class GaussianNoise:
    """Independent Gaussian noise on every pixel, cut off at black and white.

    Attributes:
        deviation: standard deviation on the scale on which white is 1; 1/4095 is one of 4,096 levels.
    """

    kind: ClassVar[str] = "gaussian_noise"
    columns: ClassVar[tuple[str, ...]] = ("noise_seed",)
    deviation: float = 1 / 4095

    def __post_init__(self) -> None:
        if not 0 < self.deviation < 1:
            raise MammoError("augmentation_wrong", f"the deviation of noise is {self.deviation:g}, not within 0 to 1")

    def draw(self, generator: np.random.Generator, count: int) -> dict[str, NDArray[np.float64]]:
        """Columns of `count` draws: `noise_seed`, whole numbers, float64 `[count]`."""
        return {"noise_seed": generator.integers(0, 2**53, count).astype(np.float64)}

    def apply(self, picture: NDArray[np.uint16], **drawn: Any) -> NDArray[np.uint16]:
        """A picture with the noise that belongs to `drawn["noise_seed"]`."""
        noise = np.random.default_rng(int(drawn["noise_seed"])).standard_normal(picture.shape, dtype=np.float32)
        noise *= np.float32(self.deviation * WHITE)
        noise += picture
        return np.clip(np.rint(noise), 0, WHITE).astype(np.uint16)
