"""The registry of steps that a `Preprocessing` is a list of: small frozen dataclasses under a name.

A step of the *geometry* half (`geometry_steps.py`) changes a `View`: picture, breast mask, affine map. One of the
*intensity* half (`intensity_steps.py`, `band_steps.py`) changes float32 values `[rows, columns]` that start in [0, 1],
1 being white; one that sets `needs_breast = True` is also given where the breast is. Parameters are JSON values, so a
step is data. To add one: write it there, and its twin in `mammo_tf/data/graph_preprocessing.py` (a test asks for it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeGuard, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError

GEOMETRY: dict[str, type[GeometryStep]] = {}
INTENSITY: dict[str, type[IntensityStep]] = {}
HANDED_ON = "Give the breast mask that the geometry half hands on with the picture"


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


class ValueStep(Protocol):
    """A step that runs on prepared values alone."""

    def intensity(self, values: NDArray[np.float32]) -> NDArray[np.float32]: ...


class BreastStep(Protocol):
    """A step that runs on prepared values and the breast mask, bool `[rows, columns]`."""

    needs_breast: ClassVar[bool]

    def intensity(self, values: NDArray[np.float32], breast: NDArray[np.bool_]) -> NDArray[np.float32]: ...


IntensityStep = ValueStep | BreastStep


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


def needs_breast(step: IntensityStep) -> TypeGuard[BreastStep]:
    """Whether a step of the intensity half asks for the breast."""
    return bool(getattr(step, "needs_breast", False))


def run_intensity(step: IntensityStep, values: NDArray[np.float32], breast: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The values behind a step, which is given the breast if it asks for it."""
    return step.intensity(values, breast) if needs_breast(step) else cast(ValueStep, step).intensity(values)


def breast_missing() -> MammoError:
    """The error where a step needs the breast and gets none."""
    return MammoError("breast_missing", "a step of the preprocessing needs the breast, and no mask is given", HANDED_ON)


def breast_misshapen(mask: Any, pictures: Any) -> MammoError:
    """The error where masks and pictures have different shapes."""
    return MammoError("breast_wrong", f"a breast mask of shape {mask} for a picture of shape {pictures}", HANDED_ON)


def checked_breast(breast: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The breast mask that belongs to pictures of this shape.

    Args:
        breast: `[..., rows, columns]`, True or 1 inside the breast, False or 0 elsewhere.
        shape: of the pictures.

    Returns:
        bool, of the same shape.

    Raises:
        MammoError: `breast_missing` without a mask; `breast_wrong` for another shape or other values.
    """
    if breast is None:
        raise breast_missing()
    mask = np.asarray(breast)
    if mask.shape != shape:
        raise breast_misshapen(mask.shape, shape)
    if mask.dtype != np.bool_ and not np.isin(mask, (0, 1)).all():
        raise MammoError("breast_wrong", "a breast mask holds other values than 0 and 1", "Give True inside the breast")
    return mask.astype(np.bool_)


def refuse_empty(masks: NDArray[np.bool_]) -> None:
    """Refuses masks of whole pictures in which nothing is breast; a piece of a picture may hold none.

    Args:
        masks: bool `[..., rows, columns]`.

    Raises:
        MammoError: `breast_wrong`.
    """
    if not masks.any(axis=(-2, -1)).all():
        raise MammoError("breast_wrong", "a breast mask is empty", "Leave the picture out, or look for the breast anew")


def check_parameter(right: bool, step: Any, rule: str) -> None:
    if not right:
        raise MammoError("step_parameter_wrong", f"preprocessing step {step.name!r}: {rule}, got {step}")
