"""Augmentation: one warp a picture, then what is drawn for its grey values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.intensity_changes import IntensityChange
from mammo_tf.errors import MammoError
from mammo_tf.imaging.warp import INTERPOLATIONS, random_affine


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

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise MammoError("augmentation_wrong", f"interpolation {self.interpolation!r} is not one of {known}")
        if self.fill != "nearest" and not (isinstance(self.fill, float | int) and 0 <= self.fill <= 1):
            raise MammoError("augmentation_wrong", f"fill {self.fill!r} is neither 'nearest' nor a number in [0, 1]")
        if not (np.isfinite(self.shift_pixels) and self.shift_pixels >= 0):
            raise MammoError("augmentation_wrong", f"shift_pixels is {self.shift_pixels:g}, and it is 0 or more")
        if len(set(self.columns)) < len(self.columns):
            sentence = f"two changes of grey values draw a column of the same name: {', '.join(self.columns)}"
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
        """Names of the columns that the intensity half draws."""
        return tuple(name for change in self.intensity for name in change.columns)

    def draw(self, generator: np.random.Generator, count: int) -> dict[str, NDArray[np.float64]]:
        """Columns of the intensity half, each float64 `[count]`; nothing is drawn where there is no change."""
        return {name: values for change in self.intensity for name, values in change.draw(generator, count).items()}

    def change(self, picture: NDArray[np.uint16], drawn: Mapping[str, Any]) -> NDArray[np.uint16]:
        """The intensity half on one warped picture.

        Args:
            picture: uint16 `[rows, columns]`.
            drawn: value of each of `columns` for this picture.
        """
        for change in self.intensity:
            picture = change.apply(picture, **{name: drawn[name] for name in change.columns})
        return picture


NO_AUGMENTATION = Augmentation(0.0, 0.0, 0.0, 0.0, horizontal_flip=False)
