"""The registry of steps that a `Preprocessing` is a list of: small frozen dataclasses under a name.

A step of the *geometry* half (`geometry_steps.py`) changes a `View`: picture, breast mask, affine map. One of the
*intensity* half (`intensity_steps.py`) changes float32 values `[rows, columns]` that start in [0, 1], 1 being
white. Parameters are JSON values, so a step is data. To add one: write it there, and its twin in
`mammo_tf/data/graph_preprocessing.py` (a test asks for it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError

GEOMETRY: dict[str, type[GeometryStep]] = {}
INTENSITY: dict[str, type[IntensityStep]] = {}


@dataclass(frozen=True)
class View:
    """A picture on its way through the geometry half.

    Attributes:
        picture: uint16 `[rows, columns]`, round(65535 p).
        breast_mask: bool `[rows, columns]`, or None as long as nobody looked for the breast.
        affine: float64 `[2, 3]`, maps (x, y, 1) of this picture to (x, y) of the stored one; whole numbers are
            pixel centres, (0, 0) is the centre of the top left pixel.
    """

    picture: NDArray[np.uint16]
    breast_mask: NDArray[np.bool_] | None
    affine: NDArray[np.float64]


class GeometryStep(Protocol):
    """A step that runs once per stored picture."""

    def geometry(self, view: View) -> View: ...


class IntensityStep(Protocol):
    """A step that runs on prepared values."""

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]: ...


Step = TypeVar("Step")


def geometry_step(name: str) -> Callable[[type[Step]], type[Step]]:
    """Registers a step of the geometry half under the name that JSON uses."""
    return _register(GEOMETRY, name)


def intensity_step(name: str) -> Callable[[type[Step]], type[Step]]:
    """Registers a step of the intensity half under the name that JSON uses."""
    return _register(INTENSITY, name)


def _register(registry: dict[str, Any], name: str) -> Callable[[type[Step]], type[Step]]:
    def keep(step: type[Step]) -> type[Step]:
        step.name = name  # type: ignore[attr-defined]  # a class attribute, not a field: fields are parameters
        registry[name] = step
        return step

    return keep


def check_parameter(right: bool, step: Any, rule: str) -> None:
    if not right:
        raise MammoError("step_parameter_wrong", f"preprocessing step {step.name!r}: {rule}, got {step}")
