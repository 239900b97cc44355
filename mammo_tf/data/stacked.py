"""Deep stacked transformations (BigAug): one source made to look like many, by nine transformations in a fixed order.

Source: Zhang et al., *Generalizing Deep Learning for Medical Image Segmentation to Unseen Domains via Deep Stacked
Transformation*, IEEE TMI 2020; answers in `tests/golden/baselines`. The first six change sharpness and grey values
(`StackedTransformations`, one of `Augmentation.intensity`), the last three deform picture and mask
(`data.deformation.Deformation`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mammo_tf.data.augmentation import Augmentation
from mammo_tf.data.deformation import Deformation
from mammo_tf.data.intensity_changes import CHANGES
from mammo_tf.data.ranges import applied, check_range
from mammo_tf.errors import MammoError
from mammo_tf.imaging.levels import WHITE
from mammo_tf.imaging.stacking import blurred, contrasted, perturbed, sharpened

Range = tuple[float, float]


@CHANGES.register
@dataclass(frozen=True)
class StackedTransformations:
    """Sharpness, blur, noise, brightness, contrast and perturbation, in this order, each with one probability.

    Every number is drawn uniformly from a range. Grey values are cut off at black and white before the contrast and at
    the end.

    Attributes:
        sharpness_deviation: in pixels, of both blurs of sharpening.
        sharpness: how much sharpening adds.
        blur: standard deviation in pixels.
        noise: standard deviation where white is 1. Published for pictures of unit variance as 0.1 to 1, which would
            leave nothing of a calcification.
        brightness: added.
        contrast: exponent of grey values in [0, 1].
        perturbation: of one number c that grey values are multiplied by as 1 + c, and of another that is added.
        probability: of each.
    """

    kind: ClassVar[str] = "stacked_transformations"
    columns: ClassVar[tuple[str, ...]] = (
        "sharpness_first", "sharpness_second", "sharpness", "blur", "noise", "stacked_noise_seed", "brightness",
        "contrast", "perturbation_scale", "perturbation_shift",
    )  # fmt: skip
    sharpness_deviation: Range = (0.25, 1.5)
    sharpness: Range = (10.0, 30.0)
    blur: Range = (0.25, 1.5)
    noise: Range = (0.01, 0.1)
    brightness: Range = (-0.1, 0.1)
    contrast: Range = (0.5, 4.5)
    perturbation: Range = (-0.1, 0.1)
    probability: float = 0.5

    def __post_init__(self) -> None:
        signed = ("brightness", "perturbation")
        for field in fields(self)[:-1]:
            check_range(field.name, getattr(self, field.name), None if field.name in signed else 0.0)
        if not 0 <= self.probability <= 1:
            raise MammoError("augmentation_wrong", f"probability is {self.probability:g}, not from 0 to 1")

    def draw(self, generator: np.random.Generator, count: int) -> dict[str, NDArray[np.float64]]:
        """Columns of `count` draws, float64 `[count]` each; what is not applied has the value that changes nothing."""

        def drawn(limits: Range) -> NDArray[np.float64]:
            return generator.uniform(*limits, count)

        def maybe(limits: Range, neutral: float = 0.0) -> NDArray[np.float64]:
            return applied(generator, drawn(limits), self.probability, neutral)

        first, second = drawn(self.sharpness_deviation), drawn(self.sharpness_deviation)
        columns = {
            "sharpness_first": first, "sharpness_second": second, "sharpness": maybe(self.sharpness),
            "blur": maybe(self.blur), "noise": maybe(self.noise),
            "stacked_noise_seed": generator.integers(0, 2**53, count).astype(np.float64),
            "brightness": maybe(self.brightness), "contrast": maybe(self.contrast, 1.0),
        }  # fmt: skip
        scale, shift = 1.0 + drawn(self.perturbation), drawn(self.perturbation)
        perturbing = applied(generator, np.ones(count), self.probability, 0.0) > 0
        return columns | {
            "perturbation_scale": np.where(perturbing, scale, 1.0),
            "perturbation_shift": np.where(perturbing, shift, 0.0),
        }

    def apply(self, picture: NDArray[np.uint16], **drawn: Any) -> NDArray[np.uint16]:
        """The six on one picture, uint16 `[rows, columns]`."""
        values: NDArray[Any] = picture / np.float64(WHITE)
        if drawn["sharpness"]:
            values = sharpened(values, drawn["sharpness_first"], drawn["sharpness_second"], drawn["sharpness"])
        if drawn["blur"]:
            values = blurred(values, drawn["blur"])
        if drawn["noise"]:
            generator = np.random.default_rng(int(drawn["stacked_noise_seed"]))
            values = values + drawn["noise"] * generator.standard_normal(values.shape)
        values = contrasted(values + drawn["brightness"], drawn["contrast"])
        values = perturbed(values, drawn["perturbation_scale"], drawn["perturbation_shift"])
        return np.rint(np.clip(values, 0, 1) * WHITE).astype(np.uint16)


def big_aug() -> Augmentation:
    """The nine transformations with the published ranges, and nothing else."""
    return Augmentation(
        rotation=0.0, shift=0.0, zoom=0.0, horizontal_flip=False, intensity=(StackedTransformations(),),
        deformation=Deformation(),
    )  # fmt: skip
