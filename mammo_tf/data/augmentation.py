"""Augmentation: one warp a picture, then what is drawn for its grey values, then a deformation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.deformation import Deformation
from mammo_tf.data.intensity_changes import IntensityChange
from mammo_tf.errors import MammoError
from mammo_tf.imaging.warp import INTERPOLATIONS, random_affine

# Beyond these nothing of a picture is left, or it is turned inside out.
MOST = {"rotation": 360.0, "shift": 1.0, "zoom": 0.99, "shear": 1.5, "shift_pixels": 1e5}


@dataclass(frozen=True)
class Augmentation:
    """Ranges of an image's one warp, and changes of its grey values; the defaults are Table 7 of the thesis.

    Attributes:
        rotation: degrees, uniform in plus and minus this.
        shift: fraction of height and of width, uniform in plus and minus this.
        shift_pixels: standard deviation of a further shift, in pixels of the network's picture, along each axis.
        zoom: uniform in 1 plus and minus this, each axis for itself.
        shear: radians.
        horizontal_flip, vertical_flip: with probability one half.
        interpolation: "linear", or "nearest" as the public code had it; linear interpolation can halve the contrast of
            specks one pixel wide, nearest keeps it.
        fill: what lies beyond a picture's edge, "nearest" (the edge's pixel) or a number in [0, 1].
        intensity: changes of grey values, in order, after the warp.
        deformation: after them, of the picture as the network sees it and of its mask; None for none.
    """

    rotation: float = 10.0
    shift: float = 0.05
    zoom: float = 0.1
    shear: float = 0.0
    horizontal_flip: bool = True
    vertical_flip: bool = False
    interpolation: str = "linear"
    fill: str | float = 0.0
    intensity: tuple[IntensityChange, ...] = ()
    shift_pixels: float = 0.0
    deformation: Deformation | None = None

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise MammoError("augmentation_wrong", f"interpolation {self.interpolation!r} is not one of {known}")
        if self.fill != "nearest" and not (isinstance(self.fill, float | int) and 0 <= self.fill <= 1):
            raise MammoError("augmentation_wrong", f"fill {self.fill!r} is neither 'nearest' nor a number in [0, 1]")
        for name, most in MOST.items():
            if not 0 <= getattr(self, name) <= most:
                sentence = f"{name} is {getattr(self, name):g}, not from 0 to {most:g}"
                raise MammoError("augmentation_wrong", sentence)
        if len(set(self.columns)) < len(self.columns):
            sentence = f"two parts of an augmentation draw a column of the same name: {', '.join(self.columns)}"
            raise MammoError("augmentation_wrong", sentence)

    def matrix(self, generator: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float64]:
        """A drawn map of pictures of this size, float64 `[2, 3]`."""
        draw = random_affine(
            generator, self.rotation, self.shift, self.zoom, self.shear, self.horizontal_flip, self.vertical_flip
        )
        if self.shift_pixels:
            down, right = generator.normal(0.0, self.shift_pixels, 2)
            draw = replace(
                draw,
                shift_rows=draw.shift_rows + down / size[0],
                shift_columns=draw.shift_columns + right / size[1],
            )
        return draw.matrix(*size)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that changes of grey values and the deformation draw."""
        return tuple(name for part in self._drawn for name in part.columns)

    def draw(self, generator: np.random.Generator, count: int) -> dict[str, NDArray[np.float64]]:
        """The columns, each float64 `[count]`; nothing is drawn where nothing is changed."""
        return {name: values for part in self._drawn for name, values in part.draw(generator, count).items()}

    @property
    def needs_breast(self) -> bool:
        """Whether a change of grey values asks where the breast is."""
        return any(map(_needs_breast, self.intensity))

    @property
    def needs_maximum(self) -> bool:
        """Whether a change of grey values asks for the maximum of the whole picture that a piece was cut from."""
        return any(map(_needs_maximum, self.intensity))

    def change(
        self,
        picture: NDArray[np.uint16],
        drawn: Mapping[str, Any],
        breast: NDArray[np.bool_] | None = None,
        maximum: int | None = None,
    ) -> NDArray[np.uint16]:
        """Changes of grey values and the deformation on one warped picture.

        Args:
            picture: uint16 `[rows, columns]`.
            drawn: value of each of `columns` for this picture.
            breast: of the warped picture, bool `[rows, columns]`, where a change asks for it (`needs_breast`).
            maximum: of the whole picture, where this is a piece of it and a change asks for it (`needs_maximum`); None
                where this is the whole.

        Raises:
            MammoError: `breast_missing`.
        """
        if breast is None and self.needs_breast:
            raise MammoError("breast_missing", "a change of grey values asks for the breast, and none was given")
        for change in self.intensity:
            asked: dict[str, Any] = {"breast": breast} if _needs_breast(change) else {}
            if _needs_maximum(change):
                asked["maximum"] = maximum
            named = {name: drawn[name] for name in change.columns}
            picture = change.apply(picture, **asked, **named)
            if maximum is not None and not asked:  # a change that asks for nothing makes of it what it makes of a pixel
                maximum = int(change.apply(np.full((1, 1), maximum, np.uint16), **named)[0, 0])
        return self.deform(picture, drawn)

    def deform(self, picture: NDArray[Any], drawn: Mapping[str, Any], interpolation: str | None = None) -> NDArray[Any]:
        """The deformation on a warped picture or mask `[rows, columns]`, of the same type.

        Args:
            picture: what is deformed.
            drawn: as for `change`.
            interpolation: "nearest" for a mask; None takes that of the warp.
        """
        if self.deformation is None:
            return picture
        named = {name: drawn[name] for name in self.deformation.columns}
        return self.deformation.apply(picture, interpolation or self.interpolation, **named)

    @property
    def _drawn(self) -> tuple[IntensityChange | Deformation, ...]:
        return (*self.intensity, *(() if self.deformation is None else (self.deformation,)))


def _needs_breast(change: IntensityChange) -> bool:
    return bool(getattr(change, "needs_breast", False))


def _needs_maximum(change: IntensityChange) -> bool:
    return bool(getattr(change, "needs_maximum", False))


NO_AUGMENTATION = Augmentation(0.0, 0.0, 0.0, 0.0, horizontal_flip=False)
