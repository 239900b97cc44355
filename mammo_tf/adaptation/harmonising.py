"""Harmonising fitted on unlabelled pictures: of the domain that a model knows, and of a machine that it goes to.

The curve comes first, then contrast by scale behind it (`docs/harmonising.md`). A row's label is never looked at, and
of records the training pictures alone are taken. One table serves a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import tee
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.adaptation.site_pictures import (
    Pair,
    Pictures,
    PreparedPictures,
    by_machine,
    check_masks,
    dark_and_bright,
    listed,
    patients_of,
    training_part,
)
from mammo_tf.errors import MammoError
from mammo_tf.imaging.bands import SCALES, SCALES_MM, checked, statistics
from mammo_tf.imaging.blur_plan import SMALLEST
from mammo_tf.imaging.domain_histogram import DomainHistogram, domain_histogram, lookup_step
from mammo_tf.imaging.harmonising import DomainStatistics, Harmonising, Machine
from mammo_tf.imaging.intensity_steps import HistogramLookup
from mammo_tf.imaging.preprocessing import geometry_words
from mammo_tf.progress import track
from mammo_tf.records import Records
from mammo_tf.records.domain_statistics import machines_of, prepared_spacings, records_histogram

FEWEST, RECOMMENDED = 5, 25  # patients
MOST = 200  # patients of a domain that are looked at, where nothing else is said
Say = Callable[[str], None]


def fit(
    source: Pictures,
    target: Pictures,
    scales_mm: Sequence[float] = SCALES_MM,
    spacings_mm: tuple[float | None, float | None] = (None, None),
    patients: int | None = MOST,
    seed: int = 0,
) -> Harmonising:
    """What carries pictures of the target to the look of the source.

    Where the spacing of all pictures is known, scales are `scales_mm` at both domains: by the median spacing of each in
    pixels, those left out that are below what a pixel shows. Else they are `imaging.bands.SCALES` pixels at both.

    Args:
        source: of the domain that the model knows: records, or pairs of a prepared picture, floats in [0, 1]
            `[rows, columns]`, and its breast, bool of the same shape.
        target: of a machine that the model goes to, prepared in the same way.
        scales_mm: standard deviations of the blurs in millimetres, rising.
        spacings_mm: of the pixels of pairs, source and target; records tell theirs.
        patients: at most so many of each are drawn from records; None takes all.
        seed: of the drawing.

    Raises:
        MammoError: `too_few_patients` below 5 patients, or pairs, of one of them; `split_empty`, `breast_missing`,
            `breast_wrong`, `mask_empty`, `mask_wrong`, `pixels_wrong`, `image_empty`, `modalities_mixed`; those of
            `Harmonising`.
    """
    _check_alike(source, target)
    known = _Source(_looked_at("source", source, patients, seed), spacings_mm[0])
    return _fitted(known, _looked_at("target", target, patients, seed), scales_mm, spacings_mm[1])


def fit_by_machine(
    source: Records,
    target: Records,
    scales_mm: Sequence[float] = SCALES_MM,
    patients: int | None = MOST,
    seed: int = 0,
    say: Say = lambda line: None,
) -> dict[Machine, Harmonising]:
    """One harmonising for each machine of the target, each to the whole source.

    Args:
        source, target, scales_mm, patients, seed: as for `fit`; `patients` of each machine.
        say: is told of machines that are left out, having fewer than 5 patients.

    Raises:
        MammoError: those of `fit`; `too_few_patients` where no machine has 5.
    """
    machines = by_machine(training_part(target))
    counts = {machine: len(patients_of(part)) for machine, part in machines.items()}
    kept = {machine: part for machine, part in machines.items() if counts[machine] >= FEWEST}
    if not kept:
        told = "; ".join(f"{count} of {machine.words}" for machine, count in counts.items())
        raise _too_few(f"no machine of the target has {FEWEST} patients: {told}")
    for machine, count in counts.items():
        if machine not in kept:
            say(f"{machine.words}: left out, {count} of {FEWEST} patients at least ({RECOMMENDED} are recommended)")
    _check_alike(source, target)
    known = _Source(_looked_at("source", source, patients, seed), None)
    return {
        machine: _fitted(known, _looked_at("target", part, patients, seed), scales_mm, None)
        for machine, part in kept.items()
    }


def fit_halves(
    source: Pictures,
    target: Pictures,
    scales_mm: Sequence[float] = SCALES_MM,
    spacings_mm: tuple[float | None, float | None] = (None, None),
    patients: int | None = MOST,
    seed: int = 0,
) -> tuple[Harmonising, Harmonising]:
    """What `fit` gives from the darker half of the target's pictures alone, and from the brighter half.

    Where a model's scores behind the two rank pictures differently, case mix is in the statistics.

    Args:
        source, target, scales_mm, spacings_mm, patients, seed: as for `fit`.

    Raises:
        MammoError: those of `fit`.
    """
    _check_alike(source, target)
    known = _Source(_looked_at("source", source, patients, seed), spacings_mm[0])
    halves = dark_and_bright(_looked_at("target", target, patients, seed))
    dark, bright = (_fitted(known, half, scales_mm, spacings_mm[1]) for half in halves)
    return dark, bright


def _check_alike(source: Pictures, target: Pictures) -> None:
    """Refuses records that were prepared in two ways before anything is computed; a canvas may be of any size."""
    if not isinstance(source, Records) or not isinstance(target, Records):
        return
    canvas = source.preprocessing.keeps_pixels
    for what, one, other in (
        ("prepared by", *(", ".join(geometry_words(part.preprocessing)) for part in (source, target))),
        ("of the size", *(f"{part.size[0]}x{part.size[1]}" for part in (source, target))),
    ):
        if one != other and not (canvas and what == "of the size"):
            sentence = f"pictures of {source.folder} are {what} {one}, those of {target.folder} {what} {other}"
            raise MammoError("preprocessing_differs", sentence, "Prepare both by the same preset, to the same size")


def _looked_at(name: str, pictures: Pictures, patients: int | None, seed: int) -> Records | Sequence[Pair]:
    """The pictures that count, if they are enough: fewer pictures than patients are too few patients too."""
    if isinstance(pictures, Records):
        part = training_part(pictures, patients, seed)
        if (count := len(patients_of(part))) < FEWEST:
            raise _too_few(f"the {name} {part.folder} has {count} training patients")
        check_masks(part)
        return part
    pairs = listed(pictures)
    if len(pairs) < FEWEST:
        raise _too_few(f"the {name} has {len(pairs)} pictures")
    return pairs


def _too_few(sentence: str) -> MammoError:
    remedy = f"Take {RECOMMENDED} consecutive patients, {FEWEST} at least, labelled or not"
    return MammoError("too_few_patients", sentence, remedy)


@dataclass(frozen=True)
class _Domain:
    """Pictures of a domain, and what is known of them; `spacings` of the prepared pixels, one a picture."""

    pictures: PreparedPictures | Sequence[Pair]
    histogram: DomainHistogram
    spacings: tuple[float, ...] | None
    facts: dict[str, Any]

    @property
    def spacing(self) -> float | None:
        return None if self.spacings is None else float(np.median(self.spacings))

    def statistics(self, name: str, scales: Sequence[float], curve: HistogramLookup | None = None) -> DomainStatistics:
        """Bands of the pictures, behind a curve where one is given, and all the rest."""
        images, masks = tee(_looked_up(track(self.pictures, f"bands of the {name}"), curve))
        bands = statistics((one for one, _ in images), (mask for _, mask in masks), scales, self.spacing)
        ends = None if self.spacings is None else (min(self.spacings), max(self.spacings))
        return DomainStatistics(self.histogram, bands, spacings_mm=ends, **self.facts)


def _looked_up(pictures: Any, curve: HistogramLookup | None) -> Iterator[Pair]:
    for picture, breast in pictures:
        yield picture if curve is None else curve.intensity(np.asarray(picture, np.float32)), breast


def _domain(name: str, pictures: Records | Sequence[Pair], spacing: float | None) -> _Domain:
    if isinstance(pictures, Records):
        facts = {
            "patients": len(patients_of(pictures)), "machines": tuple(sorted(set(machines_of(pictures)))),
            "size": None if pictures.preprocessing.keeps_pixels else pictures.size,
        }  # fmt: skip
        histogram = records_histogram(pictures, None, name=name)
        return _Domain(PreparedPictures(pictures), histogram, prepared_spacings(pictures), facts)
    histogram = domain_histogram((_inside(number, *pair) for number, pair in enumerate(pictures)), name=name)
    shapes = {np.shape(picture) for picture, _ in pictures}
    size = shapes.pop() if len(shapes) == 1 else None
    return _Domain(pictures, histogram, None if spacing is None else (spacing,), {"size": size})


def _inside(number: int, picture: NDArray[Any], breast: NDArray[Any]) -> NDArray[np.float32]:
    """The pixels inside the breast of a plain picture."""
    try:
        pixels, mask = checked(picture, breast)
        if not mask.any():
            raise MammoError("mask_empty", "the mask is empty", "Leave the image out")
    except MammoError as error:
        raise MammoError(error.code, f"image {number}, counted from 0: {error.sentence}", error.remedy) from None
    return pixels[mask]


class _Source:
    """The source of one harmonising or of several; what is found of it is kept."""

    def __init__(self, pictures: Records | Sequence[Pair], spacing: float | None) -> None:
        self.domain = _domain("source", pictures, spacing)
        self.records = pictures if isinstance(pictures, Records) else None
        self.statistics = cache(partial(self.domain.statistics, "source"))


def _fitted(
    source: _Source, target: Records | Sequence[Pair], scales_mm: Sequence[float], spacing: float | None
) -> Harmonising:
    """What `fit` gives; `spacing` of the target's plain pictures."""
    domain = _domain("target", target, spacing)
    curve = lookup_step(domain.histogram, source.domain.histogram)
    scales = _scales(source.domain.spacing, domain.spacing, scales_mm)
    both = 0
    if isinstance(target, Records) and source.records is not None and source.records.digest != target.digest:
        both = len(patients_of(source.records) & patients_of(target))
    return Harmonising(source.statistics(scales[0]), domain.statistics("target", scales[1], curve), both)


def _scales(
    source: float | None, target: float | None, scales_mm: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scales in pixels of source and target, given their spacings."""
    if source is None or target is None:
        return SCALES, SCALES
    finest = SMALLEST * max(source, target)
    shown = [scale for scale in scales_mm if scale >= finest]
    if not shown:
        told = ", ".join(f"{scale:g}" for scale in scales_mm)
        sentence = f"the scales are {told} mm, and pixels of {max(source, target):.3g} mm show {finest:.3g} mm or more"
        raise MammoError("scales_wrong", sentence, "Give larger ones, or prepare larger pictures")
    return tuple(scale / source for scale in shown), tuple(scale / target for scale in shown)
