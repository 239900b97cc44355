"""Contrast by scale: the bands of a picture, their statistics in a domain, and the transform from domain to domain.

Vendors' processing differs in contrast at each scale, which no curve can undo. Inside the breast's mask a picture is
split by normalised Gaussian blurs (`blur_plan`): band k = blur (k - 1) - blur k, blur 0 being the picture, and the last
blur the residue. The statistic of a domain is found on unlabelled pictures; a picture of the target is carried to the
source by residue + sum of (source's statistic / target's) x band. One table for a machine, never one for a picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.imaging.blur_plan import plan
from mammo_tf.imaging.blurs import combined
from mammo_tf.imaging.sealed_json import Seal

SCALES = (0.8, 1.6, 3.2, 6.4, 12.8)  # in pixels, where their spacing is not known
SCALES_MM = (0.48, 0.96, 1.92, 3.84, 7.68)
EROSION = 7  # pixels: radius of the disc that the mask is eroded by for the robust statistic
PERCENTILES = (16, 84)  # one standard deviation on each side, of a normal distribution
AGAIN = "Make both of pictures that were prepared alike, with the same scales"
SEAL = Seal(
    "contrast by scale of a domain: statistics of the bands of its pictures", "statistics of bands", "statistics_wrong",
    "Name a file that BandStatistics.save wrote", "Make the statistics again",
)  # fmt: skip


@dataclass(frozen=True)
class BandStatistics:
    """Contrast by scale of a domain.

    Attributes:
        scales: standard deviations of the blurs in pixels of the pictures, rising.
        spacing_mm: of those pixels; None where it is not known.
        robust: for each band the median over pictures of half the range from the 16th to the 84th percentile inside the
            mask, eroded by a disc of radius `EROSION`; what is beyond the picture's edge is outside.
        plain: for each band the mean over pictures of the standard deviation in the whole mask.
        images: how many.

    Raises:
        MammoError: `scales_wrong`; `statistics_wrong` for numbers that no pictures can have.
    """

    scales: tuple[float, ...]
    spacing_mm: float | None
    robust: tuple[float, ...]
    plain: tuple[float, ...]
    images: int

    def __post_init__(self) -> None:
        plan(self.scales)
        for name in ("robust", "plain"):
            values = np.asarray(getattr(self, name), np.float64)
            if values.shape != (len(self.scales),) or not (np.isfinite(values) & (values >= 0)).all():
                sentence = f"{name} is {_listed(getattr(self, name))}, not {len(self.scales)} numbers from 0 up"
                raise MammoError("statistics_wrong", sentence, "Give one for each scale")
        if self.images < 1 or (self.spacing_mm is not None and not 0 < self.spacing_mm < np.inf):
            sentence = f"statistics of {self.images} images with a spacing of {self.spacing_mm} mm"
            raise MammoError("statistics_wrong", sentence, "Both are above 0")

    @property
    def scales_mm(self) -> tuple[float, ...] | None:
        """The scales in millimetres; None where the spacing is not known."""
        return None if self.spacing_mm is None else tuple(scale * self.spacing_mm for scale in self.scales)

    def save(self, path: str | Path) -> None:
        """Writes the file; whole or not there."""
        SEAL.save(path, self)

    @classmethod
    def load(cls, path: str | Path) -> BandStatistics:
        """What `save` wrote.

        Raises:
            MammoError: `file_missing`, `json_broken`; `statistics_wrong` for another file and for one that was changed;
                `scales_wrong`.
        """
        return SEAL.load(path, cls)


def statistics(
    images: Iterable[NDArray[np.floating[Any]]],
    masks: Iterable[NDArray[np.bool_]],
    scales: Sequence[float] = SCALES,
    spacing_mm: float | None = None,
) -> BandStatistics:
    """Contrast by scale of a domain, from its pictures; one at a time is held.

    Args:
        images: floats in [0, 1] `[rows, columns]`, of any sizes.
        masks: the breast in each, bool of its size.
        scales: standard deviations in pixels, rising.
        spacing_mm: of a pixel, if known.

    Raises:
        MammoError: `scales_wrong`, `images_missing`, `masks_differ` for another number of masks; with the image's
            number `mask_empty`, also where the eroded mask is, `mask_wrong`, `pixels_wrong`.
    """
    scales = tuple(float(scale) for scale in scales)
    plan(scales)
    robust, plain = [], []
    missing: Any = object()
    for number, (image, mask) in enumerate(zip_longest(images, masks, fillvalue=missing)):
        if image is missing or mask is missing:
            fewer = "images" if image is missing else "masks"
            raise MammoError("masks_differ", f"there are only {number} {fewer}", "Give a mask for each image")
        try:
            one, other = spreads(image, mask, scales)
        except MammoError as error:
            sentence = f"image {number}, counted from 0: {error.sentence}"
            raise MammoError(error.code, sentence, error.remedy) from error
        robust.append(one)
        plain.append(other)
    if not robust:
        raise MammoError("images_missing", "there is no image to take statistics of bands of")
    middle, mean = np.median(robust, axis=0), np.mean(plain, axis=0)
    return BandStatistics(scales, spacing_mm, tuple(middle.tolist()), tuple(mean.tolist()), len(robust))


def spreads(image: NDArray[Any], mask: NDArray[Any], scales: Sequence[float]) -> tuple[list[float], list[float]]:
    """For each band of one picture half the range of percentiles in the eroded mask, and the standard deviation.

    Args:
        image, mask, scales: as for `apply_gains`.

    Raises:
        MammoError: `mask_empty`, also where the eroded mask is; `scales_wrong`, `mask_wrong`, `pixels_wrong`.
    """
    values, inside = checked(image, mask)
    if not inside.any():
        raise MammoError("mask_empty", "the mask is empty", "Leave the image out")
    within = eroded(inside)
    if not within.any():
        raise MammoError("mask_empty", f"nothing is left of the mask eroded by {EROSION} pixels", "Leave the image out")
    robust, plain = [], []
    for band in bands(values, inside, scales)[:-1]:
        low, high = np.percentile(band[within], PERCENTILES)
        robust.append(float(high - low) / 2)
        plain.append(float(band[inside].std(dtype=np.float64)))
    return robust, plain


def eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the robust statistic is taken: bool `[rows, columns]`, the mask eroded by a disc of radius `EROSION`."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * EROSION + 1, 2 * EROSION + 1))
    return cv2.erode(mask.view(np.uint8), disc, borderType=cv2.BORDER_CONSTANT, borderValue=0).view(np.bool_)


def bands(
    image: NDArray[np.floating[Any]], mask: NDArray[np.bool_], scales: Sequence[float] = SCALES
) -> list[NDArray[np.float32]]:
    """The bands of a picture from fine to coarse, then the residue; their sum is the picture.

    Args:
        image, mask, scales: as for `apply_gains`.

    Returns:
        float32 `[rows, columns]`, one for each scale and one more, 0 outside the mask.

    Raises:
        MammoError: those of `apply_gains`.
    """
    values, inside = checked(image, mask)
    count = len(scales)
    blurs = [combined(values, inside, scales, np.eye(count + 1)[number].tolist()) for number in range(count + 1)]
    return [*(finer - coarser for finer, coarser in zip(blurs, blurs[1:], strict=False)), blurs[-1]]


def gains(source: BandStatistics, target: BandStatistics) -> tuple[float, ...]:
    """What each band of the target's pictures is multiplied by: the source's robust statistic by the target's.

    Args:
        source: of the domain that the pictures shall look like.
        target: of the domain that they are from.

    Raises:
        MammoError: `scales_differ` for other scales, in millimetres where both spacings are known, else in pixels;
            `statistic_zero` where a band has no contrast.
    """
    one, other, unit = source.scales, target.scales, "pixels"
    if source.scales_mm is not None and target.scales_mm is not None:
        one, other, unit = source.scales_mm, target.scales_mm, "mm"
    if len(one) != len(other) or not np.allclose(one, other, 1e-6, 0):
        sentence = f"the scales of source and target differ: {_listed(one)} and {_listed(other)} {unit}"
        raise MammoError("scales_differ", sentence, AGAIN)
    for name, statistic in (("source", source), ("target", target)):
        for scale, value in zip(statistic.scales, statistic.robust, strict=True):
            if value == 0:
                sentence = f"the {name}'s statistic of the band of scale {scale:g} is 0"
                raise MammoError("statistic_zero", sentence, "Take pictures that have contrast at this scale")
    return tuple(one / other for one, other in zip(source.robust, target.robust, strict=True))


def transform(
    image: NDArray[np.floating[Any]], mask: NDArray[np.bool_], source: BandStatistics, target: BandStatistics
) -> NDArray[np.float32]:
    """A picture of the target domain with the source domain's contrast by scale.

    Args:
        image, mask: as for `apply_gains`.
        source: of the domain that the picture shall look like.
        target: of the domain that it is from.

    Returns:
        float32 `[rows, columns]` in [0, 1], 0 outside the mask.

    Raises:
        MammoError: those of `gains` and `apply_gains`; `mask_empty`.
    """
    factors = gains(source, target)
    if not np.any(mask):
        raise MammoError("mask_empty", "the mask is empty", "Leave the image out")
    return apply_gains(image, mask, target.scales, factors)


def apply_gains(
    image: NDArray[np.floating[Any]], mask: NDArray[np.bool_], scales: Sequence[float], gains: Sequence[float]
) -> NDArray[np.float32]:
    """Residue + sum of gain x band, clipped to [0, 1].

    Args:
        image: floats in [0, 1] `[rows, columns]`; what lies outside the mask does not matter.
        mask: bool `[rows, columns]`, of any shape.
        scales: standard deviations of the blurs in pixels, rising.
        gains: from 0 up, one for each scale.

    Returns:
        float32 `[rows, columns]`, 0 outside the mask.

    Raises:
        MammoError: `scales_wrong`; `gains_wrong`; `pixels_wrong` for integers, another shape, and values inside the
            mask that are not within [0, 1]; `mask_wrong` for a mask of another type or shape.
    """
    values, inside = checked(image, mask)
    return combined(values, inside, scales, blur_weights(scales, gains), clip=True)


def blur_weights(scales: Sequence[float], gains: Sequence[float]) -> tuple[float, ...]:
    """The sum of gain x band and residue as weights: of the picture, then of each blur.

    Raises:
        MammoError: `gains_wrong`.
    """
    if len(gains) != len(scales) or not all(0 <= gain < np.inf for gain in gains):
        sentence = f"the gains are {_listed(gains)}, not {len(scales)} numbers from 0 up"
        raise MammoError("gains_wrong", sentence, "Give one for each scale")
    steps = [*(float(gain) for gain in gains), 1.0]
    return (steps[0], *(following - gain for gain, following in zip(steps, steps[1:], strict=False)))


def checked(image: Any, mask: Any) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A picture and its mask, once their types and shapes are right; `pixels_wrong`, `mask_wrong`."""
    image, mask = np.asarray(image), np.asarray(mask)
    if image.ndim != 2 or image.size == 0:
        raise MammoError("pixels_wrong", f"a picture has shape {image.shape}, not [rows, columns]")
    if not np.issubdtype(image.dtype, np.floating):
        raise MammoError("pixels_wrong", f"a picture is of type {image.dtype}", "Give floats in [0, 1]")
    if mask.dtype != np.bool_ or mask.shape != image.shape:
        sentence = f"the mask is {mask.dtype} of shape {mask.shape}, not bool of the picture's shape {image.shape}"
        raise MammoError("mask_wrong", sentence, "Give True inside the breast, False outside")
    return np.ascontiguousarray(image, np.float32), np.ascontiguousarray(mask)


def _listed(values: Any) -> str:
    return ", ".join(f"{value:g}" for value in np.atleast_1d(values))
