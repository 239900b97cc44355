"""The average cumulative histogram of a domain as a small readable file, made once and checked wherever it is used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_tf.errors import MammoError
from mammo_tf.fields import Wording, from_json, one_of, to_json
from mammo_tf.files import read_json, text_digest, write_json
from mammo_tf.imaging.histogram import average_cdf, matching_lut
from mammo_tf.imaging.intensity_steps import HistogramLookup, HistogramMatch
from mammo_tf.study import Projection

FORMAT = 1
WHAT = "average cumulative histogram of the grey levels of a domain"
SAID = ("format", "what", "levels", "sha256")  # keys of the file that are not attributes
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
        projection: which pictures volumes had become.
        records: digest of the records that the images are of; "" where there are none.
        name: of the domain, for readers.

    Raises:
        MammoError: `cdf_wrong` for a c.d.f. that is none, and for that of nothing but black.
    """

    cdf: tuple[float, ...] = field(repr=False)
    images: int
    labels: dict[str, int] = field(default_factory=dict)
    pixels: str = one_of(BREAST, NOT_BLACK, ALL, default=BREAST)
    weight: str = one_of("image", "pixel", default="image")
    geometry: tuple[str, ...] = ()
    projection: Projection = Projection()
    records: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        values = np.asarray(self.cdf, np.float64)
        rises = values.size > 1 and np.isfinite(values).all() and values[0] >= 0 and (np.diff(values) >= 0).all()
        if not rises or abs(values[-1] - 1) > 1e-9:
            raise MammoError("cdf_wrong", f"the histogram of {self.words} does not rise from 0 or more to 1", SAME)
        if values[0] == 1:
            raise MammoError("cdf_wrong", f"the histogram of {self.words} holds nothing but black", "Take other images")

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
        stored = to_json(self)
        cdf = stored.pop("cdf")
        body = {"format": FORMAT, "what": WHAT, "levels": self.levels, **stored, "cdf": cdf}
        write_json(Path(path), {**body, "sha256": _digest(body)})

    @classmethod
    def load(cls, path: str | Path) -> DomainHistogram:
        """What `save` wrote.

        Raises:
            MammoError: `file_missing`, `json_broken`, `histogram_wrong` for another file and for one that was changed,
                `cdf_wrong`.
        """
        stored = read_json(Path(path))
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise MammoError(
                "histogram_wrong", f"{path} is not a histogram of a domain", "Make one: mammo-tf histogram"
            )
        wording = Wording("the histogram", "key", f"{path}: ", *["histogram_wrong"] * 3)
        found = from_json(cls, {name: value for name, value in stored.items() if name not in SAID}, "", wording)
        if stored.get("levels") != found.levels:
            sentence = f"{path} says {stored.get('levels')} levels and holds {found.levels}"
            raise MammoError("histogram_wrong", sentence, "Make it again: mammo-tf histogram")
        if stored.get("sha256") != _digest(stored):
            raise MammoError("histogram_wrong", f"{path} is not what was written", "Make it again: mammo-tf histogram")
        return found


def _digest(stored: Mapping[str, Any]) -> str:
    """SHA-256 of the file's keys and values."""
    return text_digest(json.dumps({key: value for key, value in stored.items() if key != "sha256"}, sort_keys=True))


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
    return HistogramLookup(tuple(table.tolist()), reference.levels - 1, keep_black=reference.pixels != ALL)


def match_step(reference: DomainHistogram) -> HistogramMatch:
    """The step that carries each picture to the reference's histogram by the picture's own.

    Black counts in it where all pixels of the reference do; else it stays out, and black.
    """
    return HistogramMatch(reference.cdf, keep_black=reference.pixels != ALL)
