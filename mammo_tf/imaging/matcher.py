"""Histogram matching as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mammo_tf.errors import MammoError
from mammo_tf.imaging.histogram import average_cdf, match, matching_lut

SOURCES = ("domain", "image")


class HistogramMatcher(TransformerMixin, BaseEstimator):
    """Carries images of one domain to the average cumulative histogram of another.

    Args:
        levels: number of grey levels; integers are levels, floats in [0, 1] become round(x (levels - 1)).
        rule: as for `histogram.matching_lut`.
        source: which c.d.f. an image is carried from: the average one of its `domain`, so that one table serves all
            images, or that of the `image` itself.
        background: pixels of this value's level are left out, and stay as they are; in the images' unit.
        weight: as for `histogram.average_cdf`.

    Attributes:
        reference_cdf_, source_cdf_: float64 `[levels]`; the latter None where `source` is `image`.
        lut_: float64 `[levels]`, the table; None where `source` is `image`.
    """

    def __init__(
        self,
        levels: int = 4096,
        rule: str = "first",
        source: str = "domain",
        background: float | None = None,
        weight: str = "image",
    ) -> None:
        self.levels = levels
        self.rule = rule
        self.source = source
        self.background = background
        self.weight = weight

    def fit(self, images: Iterable[NDArray[Any]], reference: Iterable[NDArray[Any]] | None = None) -> Self:
        """Learns the average c.d.f.s; generators will do, one image is held at a time.

        Args:
            images: of the domain that is to be carried over; not looked at where `source` is `image`.
            reference: images of the domain that they shall look like.

        Raises:
            MammoError: `source_unknown`, `reference_missing`; those of `average_cdf` and `matching_lut`.
        """
        if self.source not in SOURCES:
            raise MammoError("source_unknown", f"no source {self.source!r}", f"Choose one of {', '.join(SOURCES)}")
        if reference is None:
            raise MammoError("reference_missing", "there are no images of the reference", "Give them behind the others")
        self.reference_cdf_ = self._average(reference)
        self.source_cdf_ = self._average(images) if self.source == "domain" else None
        self.lut_ = None if self.source_cdf_ is None else self._table(self.source_cdf_)
        return self

    def transform(self, images: Iterable[NDArray[Any]]) -> list[NDArray[Any]]:
        """The images with the reference's histogram, each of its own type; see `histogram.match`."""
        check_is_fitted(self, "reference_cdf_")
        return [self._matched(np.asarray(image)) for image in images]

    def _matched(self, image: NDArray[Any]) -> NDArray[Any]:
        table = self._table(self._average([image])) if self.lut_ is None else self.lut_
        return match(image, table, self.background)

    def _average(self, images: Iterable[NDArray[Any]]) -> NDArray[np.float64]:
        return average_cdf(images, self.levels, self.background, self.weight)

    def _table(self, source: NDArray[np.float64]) -> NDArray[np.float64]:
        return matching_lut(source, self.reference_cdf_, self.rule)
