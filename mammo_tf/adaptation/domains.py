"""Domains between which pictures are carried: what is found of unlabelled pictures, or what a model's card tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import tee
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mammo_tf.adaptation.site_pictures import (
    Pair,
    Pictures,
    PreparedPictures,
    check_masks,
    listed,
    patients_of,
    training_part,
)
from mammo_tf.errors import MammoError
from mammo_tf.imaging.bands import SCALES, BandStatistics, checked, statistics
from mammo_tf.imaging.domain_histogram import BREAST, LEVELS, DomainHistogram, domain_histogram
from mammo_tf.imaging.geometry_steps import Patch
from mammo_tf.imaging.harmonising import DomainStatistics, Machine
from mammo_tf.imaging.intensity_steps import HistogramLookup
from mammo_tf.imaging.periphery import SCALES as WINDOWS
from mammo_tf.imaging.periphery import levels_of
from mammo_tf.imaging.preprocessing import geometry_words
from mammo_tf.imaging.steps import IntensityStep, run_intensity
from mammo_tf.progress import track
from mammo_tf.records import Records
from mammo_tf.records.domain_statistics import machines_of, prepared_spacings, records_histogram
from mammo_tf.training import ModelCard

FEWEST, RECOMMENDED = 5, 25  # patients
MOST = 200  # patients of a domain that are looked at, where nothing else is said
MACHINE_COLUMNS = ("manufacturer", "model_name", "software")


class Source(Protocol):
    """The domain that a model knows.

    Attributes:
        histogram: of its prepared pictures, inside the breast.
        spacing: of the prepared pixels in mm, the median over pictures; None where it is not known.
        scales: in its pixels, that are taken where a spacing is not known.
        scales_mm: the only ones at which its contrast is known; None where it can be found at any.
        windows: of brightness along the skin, in its pixels, that are taken where a spacing is not known.
        windows_mm: the only ones at which that is known; None where it can be found at any.
        records: that it was found of; None where there are none.
    """

    histogram: DomainHistogram
    spacing: float | None
    scales: tuple[float, ...]
    scales_mm: tuple[float, ...] | None
    windows: tuple[float, ...]
    windows_mm: tuple[float, ...] | None
    records: Records | None

    def statistics(self, scales: tuple[float, ...]) -> DomainStatistics:
        """What its pictures are like, at scales in pixels; without the periphery."""

    def along_skin(self, window: float) -> tuple[float, ...] | None:
        """Brightness along the skin, the window in pixels; None where it is not known."""


class PicturedSource:
    """The domain of pictures that are here; what is found of it is kept."""

    scales: tuple[float, ...] = SCALES
    scales_mm: tuple[float, ...] | None = None
    windows: tuple[float, ...] = WINDOWS
    windows_mm: tuple[float, ...] | None = None

    def __init__(self, pictures: Records | Sequence[Pair], spacing: float | None) -> None:
        domain = domain_of("source", pictures, spacing)
        self.histogram, self.spacing = domain.histogram, domain.spacing
        self.records = pictures if isinstance(pictures, Records) else None
        self.statistics = cache(partial(domain.statistics, "source"))
        self.along_skin = cache(partial(domain.along_skin, "source"))


class CardSource:
    """The training domain that a model's card tells: no picture of the old site is wanted.

    Raises:
        MammoError: `domain_missing` where the card does not tell grey values and contrast inside the breast;
            `too_few_patients` where they are of fewer than 5 patients; `preprocessing_missing`.
    """

    records: Records | None = None

    def __init__(self, card: ModelCard) -> None:
        domain = card.training_domain
        self.histogram = histogram_of_card(card)
        if domain.bands is None or self.histogram.pixels != BREAST:
            raise _domain_missing("contrast inside the breast")
        self._patients = None if domain.pictures is None else domain.pictures.spread.patients
        if (self._patients or domain.bands.images) < FEWEST:
            raise too_few(f"the model's card tells of {self._patients or domain.bands.images} training patients")
        self._card, self._bands = card, domain.bands
        self.spacing, self.scales = domain.bands.spacing_mm, domain.bands.scales
        self.windows = WINDOWS if domain.periphery is None else domain.periphery.scales
        self.scales_mm, self.windows_mm = (
            None if self.spacing is None else tuple(one * self.spacing for one in each)
            for each in (self.scales, self.windows)
        )

    def statistics(self, scales: tuple[float, ...]) -> DomainStatistics:
        """Of the card, at those of its scales that are asked for."""
        at = _places(scales, self.scales)
        robust, plain = (tuple(row[number] for number in at) for row in zip(*self._bands.values, strict=True))
        bands = BandStatistics(
            tuple(self._bands.scales[number] for number in at), self.spacing, robust, plain, self._bands.images
        )
        steps = self._card.preprocessing
        size = None if steps is None or steps.keeps_pixels else steps.size
        return DomainStatistics(self.histogram, bands, self._patients, _machines_of(self._card), size)

    def along_skin(self, window: float) -> tuple[float, ...] | None:
        """Of the card, at one of its windows."""
        found = self._card.training_domain.periphery
        return None if found is None else found.levels[_places((window,), found.scales)[0]]


def _places(scales: Sequence[float], known: Sequence[float]) -> list[int]:
    """Where scales stand among those that are known; there are no others."""
    at = [int(np.argmin(np.abs(np.asarray(known) - scale))) for scale in scales]
    assert np.allclose(np.asarray(known)[at], scales, 1e-6, 0)
    return at


def histogram_of_card(card: ModelCard) -> DomainHistogram:
    """The grey values of a model's training pictures, at the levels of a histogram, straight between the card's own.

    Raises:
        MammoError: `domain_missing`, `preprocessing_missing`.
    """
    steps, found = card.preprocessing, card.training_domain.distribution
    if steps is None:
        raise MammoError("preprocessing_missing", "the model's card does not say how pictures are prepared")
    if found is None:
        raise _domain_missing("grey values")
    cdf = np.interp(np.linspace(0, 1, LEVELS), np.linspace(0, 1, len(found.values)), found.values)
    cdf = np.minimum(np.maximum.accumulate(cdf), 1.0)
    cdf[-1] = 1.0
    whole = replace(steps, geometry_steps=tuple(one for one in steps.geometry_steps if not isinstance(one, Patch)))
    return DomainHistogram(
        tuple(cdf.tolist()), found.images, pixels=found.pixels, geometry=geometry_words(whole),
        projection=steps.projection, name="the model's training pictures",
    )  # fmt: skip


def _domain_missing(what: str) -> MammoError:
    sentence = f"the model's card does not tell the {what} of its training pictures"
    return MammoError("domain_missing", sentence, "Give records of the site that it was trained at")


def _machines_of(card: ModelCard) -> tuple[Machine, ...]:
    """The machine of the training pictures; none where the card tells several: which of them have what is not told."""
    told = [list(card.training_domain.counts.get(name, {"": 0})) for name in MACHINE_COLUMNS]
    return (Machine(*(one[0] for one in told)),) if all(len(one) == 1 for one in told) and any(map(any, told)) else ()


def source_of(pictures: Pictures | ModelCard, patients: int | None, seed: int, spacing: float | None = None) -> Source:
    """The source of one harmonising or of several.

    Args:
        pictures: records, pairs of picture and breast, or the card of the model.
        patients, seed: as for `looked_at`.
        spacing: of the pixels of pairs.
    """
    if isinstance(pictures, ModelCard):
        return CardSource(pictures)
    return PicturedSource(looked_at("source", pictures, patients, seed), spacing)


def check_alike(source: Pictures | ModelCard, target: Pictures) -> None:
    """Refuses records that were prepared in two ways before anything is computed; a canvas may be of any size.

    Raises:
        MammoError: `preprocessing_differs`.
    """
    if not isinstance(source, Records) or not isinstance(target, Records):
        return  # what is found of them tells
    canvas = source.preprocessing.keeps_pixels
    for what, one, other in (
        ("prepared by", *(", ".join(geometry_words(part.preprocessing)) for part in (source, target))),
        ("of the size", *(f"{part.size[0]}x{part.size[1]}" for part in (source, target))),
    ):
        if one != other and not (canvas and what == "of the size"):
            sentence = f"pictures of {source.folder} are {what} {one}, those of {target.folder} {what} {other}"
            raise MammoError("preprocessing_differs", sentence, "Prepare both by the same preset, to the same size")


def looked_at(name: str, pictures: Pictures, patients: int | None, seed: int) -> Records | Sequence[Pair]:
    """The pictures that count, if they are enough: fewer pictures than patients are too few patients too.

    Args:
        name: of the domain, for messages.
        pictures: records, of which training pictures count, or pairs.
        patients: at most so many are drawn from records; None takes all.
        seed: of the drawing.

    Raises:
        MammoError: `too_few_patients`; those of `training_part` and `check_masks`.
    """
    if isinstance(pictures, Records):
        part = training_part(pictures, patients, seed)
        if (count := len(patients_of(part))) < FEWEST:
            raise too_few(f"the {name} {part.folder} has {count} training patients")
        check_masks(part)
        return part
    pairs = listed(pictures)
    if len(pairs) < FEWEST:
        raise too_few(f"the {name} has {len(pairs)} pictures")
    return pairs


def too_few(sentence: str) -> MammoError:
    """The refusal of a domain of too few patients."""
    remedy = f"Take {RECOMMENDED} consecutive patients, {FEWEST} at least, labelled or not"
    return MammoError("too_few_patients", sentence, remedy)


@dataclass(frozen=True)
class Domain:
    """Pictures of a domain, and what is known of them; `spacings` of the prepared pixels, one a picture."""

    pictures: PreparedPictures | Sequence[Pair]
    histogram: DomainHistogram
    spacings: tuple[float, ...] | None
    facts: dict[str, Any]

    @property
    def spacing(self) -> float | None:
        """The median of the spacings."""
        return None if self.spacings is None else float(np.median(self.spacings))

    def statistics(self, name: str, scales: Sequence[float], curve: HistogramLookup | None = None) -> DomainStatistics:
        """Bands of the pictures, behind a curve where one is given, and all the rest."""
        images, masks = tee(_looked_up(track(self.pictures, f"bands of the {name}"), curve))
        bands = statistics((one for one, _ in images), (mask for _, mask in masks), scales, self.spacing)
        ends = None if self.spacings is None else (min(self.spacings), max(self.spacings))
        return DomainStatistics(self.histogram, bands, spacings_mm=ends, **self.facts)

    def along_skin(self, name: str, window: float, ahead: Sequence[IntensityStep] = ()) -> tuple[float, ...] | None:
        """Brightness of the pictures along the skin, behind steps where some are given.

        Args:
            name: of the domain.
            window: in pixels.
            ahead: steps that the pictures go through.

        Returns:
            None where no breast is wide enough.
        """
        images, masks = tee(_behind(track(self.pictures, f"skin of the {name}"), ahead))
        return levels_of((one for one, _ in images), (mask for _, mask in masks), window)


def _behind(pictures: Any, steps: Sequence[IntensityStep]) -> Iterator[Pair]:
    for picture, breast in pictures:
        values = np.asarray(picture, np.float32)
        for step in steps:
            values = run_intensity(step, values, breast)
        yield values, breast


def _looked_up(pictures: Any, curve: HistogramLookup | None) -> Iterator[Pair]:
    for picture, breast in pictures:
        yield picture if curve is None else curve.intensity(np.asarray(picture, np.float32)), breast


def domain_of(name: str, pictures: Records | Sequence[Pair], spacing: float | None) -> Domain:
    """The domain of pictures; `spacing` of the pixels of pairs."""
    if isinstance(pictures, Records):
        facts = {
            "patients": len(patients_of(pictures)), "machines": tuple(sorted(set(machines_of(pictures)))),
            "size": None if pictures.preprocessing.keeps_pixels else pictures.size,
        }  # fmt: skip
        histogram = records_histogram(pictures, None, name=name)
        return Domain(PreparedPictures(pictures), histogram, prepared_spacings(pictures), facts)
    histogram = domain_histogram((_inside(number, *pair) for number, pair in enumerate(pictures)), name=name)
    shapes = {np.shape(picture) for picture, _ in pictures}
    size = shapes.pop() if len(shapes) == 1 else None
    return Domain(pictures, histogram, None if spacing is None else (spacing,), {"size": size})


def _inside(number: int, picture: NDArray[Any], breast: NDArray[Any]) -> NDArray[np.float32]:
    """The pixels inside the breast of a plain picture."""
    try:
        pixels, mask = checked(picture, breast)
        if not mask.any():
            raise MammoError("mask_empty", "the mask is empty", "Leave the image out")
    except MammoError as error:
        raise MammoError(error.code, f"image {number}, counted from 0: {error.sentence}", error.remedy) from None
    return pixels[mask]
