"""The average cumulative histogram of a domain as a small readable file, made once and checked wherever it is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.fields import Wording, from_json, one_of, to_json
from mammo_tf.files import read_json, write_json
from mammo_tf.imaging.histogram import average_cdf, matching_lut
from mammo_tf.imaging.intensity_steps import HistogramLookup, HistogramMatch

FORMAT = 1
LEVELS = 4096
BREAST, NOT_BLACK, ALL = "breast", "not black", "all"
SAME = "Make both histograms with mammo-tf histogram, of records that were prepared alike"


@dataclass(frozen=True)
class DomainHistogram:
    """The average c.d.f. of the grey levels of a domain.

    Attributes:
        cdf: of levels 0 to len(cdf) - 1, never decreasing, ending in 1.
        images: how many.
        labels: label -> how many of them; empty where nobody asked for labels.
        pixels: which counted: of the `breast`, `not black` (level 0 left out), or `all`.
        weight: `image`, the mean of the images' c.d.f.s, or `pixel`, that of all pixels together.
        geometry: the steps that the pictures had gone through, sizes aside.
        name: of the domain, for readers.
    """

    cdf: tuple[float, ...] = field(repr=False)
    images: int
    labels: dict[str, int] = field(default_factory=dict)
    pixels: str = one_of(BREAST, NOT_BLACK, ALL, default=BREAST)
    weight: str = one_of("image", "pixel", default="image")
    geometry: tuple[str, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        values = np.asarray(self.cdf, np.float64)
        rises = values.size > 1 and np.isfinite(values).all() and values[0] >= 0 and (np.diff(values) >= 0).all()
        if not rises or abs(values[-1] - 1) > 1e-9:
            raise MammoError("cdf_wrong", f"the histogram of {self.words} does not rise from 0 or more to 1", SAME)

    @property
    def levels(self) -> int:
        """Number of grey levels."""
        return len(self.cdf)

    @property
    def words(self) -> str:
        """For readers: name, or number of images."""
        return self.name or f"{self.images} images"

    def save(self, path: str | Path) -> None:
        """Writes the file; whole or not there."""
        write_json(Path(path), {"format": FORMAT, **to_json(self)})

    @classmethod
    def load(cls, path: str | Path) -> DomainHistogram:
        """What `save` wrote.

        Raises:
            MammoError: `file_missing`, `json_broken`, `histogram_wrong` for another file, `cdf_wrong`.
        """
        stored = read_json(Path(path))
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise MammoError(
                "histogram_wrong", f"{path} is not a histogram of a domain", "Make one: mammo-tf histogram"
            )
        wording = Wording("the histogram", "key", f"{path}: ", *["histogram_wrong"] * 3)
        return from_json(cls, {name: value for name, value in stored.items() if name != "format"}, "", wording)


def domain_histogram(
    images: Iterable[NDArray[Any]], levels: int = LEVELS, weight: str = "image", **facts: Any
) -> DomainHistogram:
    """The histogram of a domain from its images, one of which is held at a time.

    Args:
        images: the pixels that count of each, of any shape: whole levels 0 to `levels` - 1, or floats in [0, 1].
        levels, weight: as for `histogram.average_cdf`.
        facts: further attributes of `DomainHistogram`.

    Raises:
        MammoError: those of `average_cdf`.
    """
    count = 0

    def counted() -> Iterator[NDArray[Any]]:
        nonlocal count
        for image in images:
            count += 1
            yield image

    cdf = average_cdf(counted(), levels, weight=weight)
    return DomainHistogram(tuple(cdf.tolist()), count, weight=weight, **facts)


def check_alike(source: DomainHistogram, reference: DomainHistogram) -> None:
    """Refuses two histograms that cannot be matched.

    Raises:
        MammoError: `levels_differ`, `preprocessing_differs`.
    """
    if source.levels != reference.levels:
        sentence = f"the histogram of {source.words} has {source.levels} levels, that of {reference.words}"
        raise MammoError("levels_differ", f"{sentence} {reference.levels}", SAME)
    for what in ("geometry", "pixels", "weight"):
        one, two = getattr(source, what), getattr(reference, what)
        if one != two:
            told = (", ".join(value) if isinstance(value, tuple) else value for value in (one, two))
            sentence = "the histograms of {} and {} differ in {}: {} and {}"
            raise MammoError("preprocessing_differs", sentence.format(source.words, reference.words, what, *told), SAME)


def lookup_step(source: DomainHistogram, reference: DomainHistogram, rule: str = "first") -> HistogramLookup:
    """The step that carries pictures of the source domain to the reference's histogram: one table for all pictures.

    Args:
        source: of the domain that the pictures are from.
        reference: of the domain that they shall look like.
        rule: as for `histogram.matching_lut`.

    Raises:
        MammoError: those of `check_alike` and `matching_lut`.
    """
    check_alike(source, reference)
    table = matching_lut(np.array(source.cdf), np.array(reference.cdf), rule)
    return HistogramLookup(tuple(table.tolist()), reference.levels - 1, keep_black=True)


def match_step(reference: DomainHistogram) -> HistogramMatch:
    """The step that carries each picture to the reference's histogram by the picture's own; black stays out of it."""
    return HistogramMatch(reference.cdf)
