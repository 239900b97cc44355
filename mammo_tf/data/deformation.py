"""Rotation, scale and elastic displacement of what a network sees, picture and mask alike, drawn for each picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.ranges import applied, check_range
from mammo_tf.errors import MammoError
from mammo_tf.imaging.deformation import deformed_places, elastic_displacement, sampled

SMALLEST = 0.01  # scale: of less nothing is left


@dataclass(frozen=True)
class Deformation:
    """What is drawn of a deformation; each of the three parts has one probability. The defaults are those of BigAug.

    It comes after all changes of grey values, and fills with black. Source: see `data.stacked`.

    Attributes:
        rotation: degrees, uniform in plus and minus this.
        scale: uniform between two numbers; of 0.4 a speck of two pixels is smaller than one.
        smoothing: of the elastic displacement, in pixels, uniform between two numbers.
        strength: of the elastic displacement, uniform between two numbers; see `imaging.deformation`.
        probability: of rotation, of scale, and of displacement.
    """

    columns: ClassVar[tuple[str, ...]] = ("turn", "scale", "elastic_smoothing", "elastic_strength", "elastic_seed")
    rotation: float = 20.0
    scale: tuple[float, float] = (0.4, 1.6)
    smoothing: tuple[float, float] = (10.0, 13.0)
    strength: tuple[float, float] = (0.0, 1000.0)
    probability: float = 0.5

    def __post_init__(self) -> None:
        check_range("rotation", (-self.rotation, self.rotation))
        for name, most in (("scale", 100.0), ("smoothing", 1000.0), ("strength", 1e6)):
            check_range(name, getattr(self, name), 0.0, most)
        if not self.scale[0] >= SMALLEST:
            sentence = f"scale runs from {self.scale[0]:g}, and it is above 0, {SMALLEST:g} or more"
            raise MammoError("augmentation_wrong", sentence)
        if not 0 <= self.probability <= 1:
            raise MammoError("augmentation_wrong", f"probability is {self.probability:g}, not from 0 to 1")

    def draw(self, generator: np.random.Generator, count: int) -> dict[str, NDArray[np.float64]]:
        """Columns of `count` draws, float64 `[count]` each."""
        turn = generator.uniform(-self.rotation, self.rotation, count)
        scale, smoothing, strength = (
            generator.uniform(*limits, count) for limits in (self.scale, self.smoothing, self.strength)
        )
        return {
            "turn": applied(generator, turn, self.probability, 0.0),
            "scale": applied(generator, scale, self.probability, 1.0),
            "elastic_smoothing": smoothing,
            "elastic_strength": applied(generator, strength, self.probability, 0.0),
            "elastic_seed": generator.integers(0, 2**53, count).astype(np.float64),
        }

    def apply(self, picture: NDArray[Any], interpolation: str = "linear", **drawn: Any) -> NDArray[Any]:
        """A picture `[rows, columns]` deformed, of the same type; a mask takes "nearest"."""
        if not drawn["turn"] and drawn["scale"] == 1 and not drawn["elastic_strength"]:
            return picture
        places = _places(picture.shape, *(float(drawn[name]) for name in self.columns))
        found = sampled(picture, places, interpolation)
        return (np.rint(found) if np.issubdtype(picture.dtype, np.integer) else found).astype(picture.dtype)


@lru_cache(maxsize=4)  # a mask comes right behind its picture
def _places(
    size: tuple[int, int], turn: float, scale: float, smoothing: float, strength: float, seed: float
) -> NDArray[np.float64]:
    displacement = None
    if strength:
        uniform = np.random.default_rng(int(seed)).uniform(-1.0, 1.0, (2, *size))
        displacement = elastic_displacement(uniform, smoothing, strength)
    return deformed_places(size, turn, scale, displacement)
