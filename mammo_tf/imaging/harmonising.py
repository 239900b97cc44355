"""Harmonising as a file: what two domains are like, and the steps that carry pictures of one to the look of the other.

First the curve: the target's average histogram to the source's. Then, behind it, contrast by scale: the source's
statistic of each band by the target's. Last, behind both, brightness along the skin: what the target lacks there is
added. `adaptation.harmonising` takes all three from unlabelled pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mammo_tf.errors import MammoError
from mammo_tf.imaging.band_steps import ContrastBands
from mammo_tf.imaging.bands import BandStatistics, gains
from mammo_tf.imaging.domain_histogram import DomainHistogram, check_alike, lookup_step
from mammo_tf.imaging.intensity_steps import HistogramLookup, HistogramMatch
from mammo_tf.imaging.periphery import PeripheryStatistics
from mammo_tf.imaging.periphery_steps import Periphery
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.imaging.sealed_json import Seal
from mammo_tf.imaging.steps import IntensityStep

AGAIN = "Make it again: mammo-tf harmonise"
SEAL = Seal(
    "harmonising: the curve and the contrast by scale that carry pictures of one domain to the look of another",
    "a harmonising", "harmonising_wrong", "Make one: mammo-tf harmonise", AGAIN,
)  # fmt: skip
OF_A_DOMAIN = (HistogramLookup, HistogramMatch, ContrastBands, Periphery)  # steps that carry to the look of a domain


@dataclass(frozen=True, order=True)
class Machine:
    """What pictures come from; "" for what is not known."""

    manufacturer: str = ""
    model_name: str = ""
    software: str = ""

    @property
    def words(self) -> str:
        """For readers."""
        return ", ".join(filter(None, (self.manufacturer, self.model_name, self.software))) or "a machine without name"


@dataclass(frozen=True)
class DomainStatistics:
    """What the pictures of a domain are like.

    Attributes:
        histogram: of the prepared pictures, inside the breast.
        bands: their contrast by scale; of a target's pictures behind the curve. Its `spacing_mm` is the median over
            pictures, see `spacings_mm`.
        patients: how many; None where nothing tells.
        machines: all that the pictures come from.
        size: rows and columns of the prepared pictures; None where they differ, and where it is that of a canvas on
            which pixels are as stored.
        spacings_mm: the smallest and the largest of the prepared pictures; None where one is not known.
        periphery: their brightness along the skin; of a target's pictures behind curve and contrast, and for each
            window behind the wider ones; None where it is not told.

    Raises:
        MammoError: `statistics_wrong` where histogram, bands and periphery are of different numbers of images.
    """

    histogram: DomainHistogram
    bands: BandStatistics
    patients: int | None = None
    machines: tuple[Machine, ...] = ()
    size: tuple[int, int] | None = None
    spacings_mm: tuple[float, float] | None = None
    periphery: PeripheryStatistics | None = None

    def __post_init__(self) -> None:
        if self.histogram.images != self.bands.images:
            sentence = f"the histogram is of {self.histogram.images} images, the bands are of {self.bands.images}"
            raise MammoError("statistics_wrong", sentence, AGAIN)
        if self.periphery is not None and self.periphery.images != self.bands.images:
            sentence = f"the bands are of {self.bands.images} images, the periphery is of {self.periphery.images}"
            raise MammoError("statistics_wrong", sentence, AGAIN)

    @property
    def words(self) -> str:
        """For readers: images, patients, machines."""
        whom = "" if self.patients is None else f" of {self.patients} patients"
        where = f" ({'; '.join(machine.words for machine in self.machines)})" if self.machines else ""
        return f"{self.histogram.images} images{whom}{where}"


@dataclass(frozen=True)
class Harmonising:
    """What carries pictures of the target to the look of the source; iterating gives its steps.

    Attributes:
        source: of the domain that the model knows.
        target: of the machine that it goes to.
        patients_in_both: identifiers of patients that occur in both.

    Raises:
        MammoError: `preprocessing_differs`, `levels_differ` where the two were prepared in different ways;
            `scales_differ`, `statistic_zero`.
    """

    source: DomainStatistics
    target: DomainStatistics
    patients_in_both: int = 0

    def __post_init__(self) -> None:
        check_alike(self.target.histogram, self.source.histogram)
        sizes = [domain.size for domain in (self.source, self.target)]
        if None not in sizes and sizes[0] != sizes[1]:
            told = " and ".join(f"{size[0]}x{size[1]}" for size in sizes if size is not None)
            raise MammoError("preprocessing_differs", f"pictures of source and target differ in size: {told}", AGAIN)
        gains(self.source.bands, self.target.bands)
        windows = [len(one.periphery.scales) for one in (self.source, self.target) if one.periphery is not None]
        if len(set(windows)) > 1:
            sentence = f"brightness along the skin has {' and '.join(map(str, windows))} windows in source and target"
            raise MammoError("scales_differ", sentence, AGAIN)

    def __iter__(self) -> Iterator[IntensityStep]:
        return iter(self.steps)

    @property
    def steps(self) -> tuple[IntensityStep, ...]:
        """Two or three steps, to stand in front of an intensity half in this order."""
        return (self.curve, self.contrast, *(() if self.periphery is None else (self.periphery,)))

    @property
    def contrast(self) -> ContrastBands:
        """The second step: a gain a band."""
        return ContrastBands(self.target.bands.scales, gains(self.source.bands, self.target.bands))

    @property
    def periphery(self) -> Periphery | None:
        """The third step: what is added along the skin; None where one of the domains does not tell it."""
        known, found = self.source.periphery, self.target.periphery
        return None if known is None or found is None else periphery_step(known, found)

    @property
    def curve(self) -> HistogramLookup:
        """The first step: one look-up table for all pictures."""
        return lookup_step(self.target.histogram, self.source.histogram)

    @property
    def curve_shift(self) -> float:
        """How far the curve moves a pixel of the target's breasts on average, up or down, of a range of 0 to 1."""
        share = np.diff(np.asarray(self.target.histogram.cdf), prepend=0.0)
        levels = np.linspace(0, 1, self.target.histogram.levels)
        return float(np.sum(share * np.abs(self.curve.outputs - levels)))

    @property
    def most_added(self) -> float:
        """What the third step adds along the skin at most, up or down, windows together; 0 without that step."""
        step = self.periphery
        return 0.0 if step is None else float(np.abs(np.asarray(step.added)).sum(axis=0).max())

    @property
    def robust_ratios(self) -> tuple[float, ...]:
        """Source by target, a number a band: the gains."""
        return gains(self.source.bands, self.target.bands)

    @property
    def plain_ratios(self) -> tuple[float, ...]:
        """The same of the plain statistic, to compare."""
        pairs = zip(self.source.bands.plain, self.target.bands.plain, strict=True)
        return tuple(one / other for one, other in pairs)

    @property
    def in_mm(self) -> bool:
        """Whether scales are equal in millimetres; else in pixels."""
        return self.source.bands.spacing_mm is not None and self.target.bands.spacing_mm is not None

    @property
    def scale_words(self) -> tuple[str, ...]:
        """The scale of each band for readers, in millimetres where `in_mm`."""
        scales_mm = self.target.bands.scales_mm
        if self.in_mm and scales_mm is not None:
            return tuple(f"{scale:.3g} mm" for scale in scales_mm)
        return tuple(f"{scale:.3g} pixels" for scale in self.target.bands.scales)

    @property
    def window_words(self) -> tuple[str, ...]:
        """The window of the third step for readers, in millimetres where `in_mm`; empty without that step."""
        known, spacing = self.target.periphery, self.target.bands.spacing_mm
        scales = () if known is None else known.scales
        if self.in_mm and spacing is not None:
            return tuple(f"{scale * spacing:.3g} mm" for scale in scales)
        return tuple(f"{scale:.3g} pixels" for scale in scales)

    def save(self, path: str | Path) -> None:
        """Writes the file; whole or not there."""
        SEAL.save(path, self)

    @classmethod
    def load(cls, path: str | Path) -> Harmonising:
        """What `save` wrote.

        Raises:
            MammoError: `file_missing`, `json_broken`; `harmonising_wrong` for another file and for one that was
                changed; those of the parts.
        """
        return SEAL.load(path, cls)


def periphery_step(source: PeripheryStatistics, target: PeripheryStatistics) -> Periphery:
    """What the target lacks along the skin against the source."""
    apart = np.asarray(source.levels) - np.asarray(target.levels)
    return Periphery(target.scales, tuple(map(tuple, apart.tolist())))


def with_harmonising(preprocessing: Preprocessing, steps: Sequence[IntensityStep] | Harmonising) -> Preprocessing:
    """The preprocessing with steps in front of its intensity half, in place of a look of a domain that stands there.

    Args:
        preprocessing: of a model.
        steps: of a `Harmonising`, or one of matching.

    Raises:
        MammoError: `breast_missing` where no geometry step looks for the breast.
    """
    rest = [step for step in preprocessing.intensity_steps if not isinstance(step, OF_A_DOMAIN)]
    return replace(preprocessing, intensity_steps=(*steps, *rest))


def look_steps(preprocessing: Preprocessing) -> tuple[IntensityStep, ...]:
    """The steps that carry pictures to the look of a domain."""
    return tuple(step for step in preprocessing.intensity_steps if isinstance(step, OF_A_DOMAIN))
