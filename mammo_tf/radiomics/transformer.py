"""OpenBreast's features as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from mammo_tf.errors import MammoError
from mammo_tf.radiomics.openbreast import feature_names, features

View = tuple[ArrayLike, ArrayLike, float | None]


class OpenBreastFeatures(TransformerMixin, BaseEstimator):
    """One row of features for each view; nothing is learned.

    Args:
        names: "34", "32" or names of features, as for `features`.
        cooccurrence, joined_runs, antialias: as for `features`.
    """

    def __init__(
        self,
        names: str | tuple[str, ...] = "34",
        cooccurrence: str = "2021",
        joined_runs: bool = True,
        antialias: bool = True,
    ) -> None:
        self.names = names
        self.cooccurrence = cooccurrence
        self.joined_runs = joined_runs
        self.antialias = antialias

    def fit(self, views: Any = None, labels: Any = None) -> Self:
        """Does nothing; here for pipelines."""
        return self

    def transform(self, views: Iterable[View]) -> NDArray[np.float64]:
        """Features of views.

        Args:
            views: of (picture `[rows, columns]`, mask `[rows, columns]`, spacing in mm or None); may be a generator,
                one view is held at a time.

        Returns:
            float64 `[views, features]`, columns as `get_feature_names_out`.

        Raises:
            MammoError: as `features`, with the view's number, counted from 0.
        """
        rows = []
        for number, (image, mask, spacing_mm) in enumerate(views):
            try:
                found = features(
                    image, mask, spacing_mm, self.names, self.cooccurrence, self.joined_runs, self.antialias
                )
            except MammoError as error:
                raise MammoError(error.code, f"view {number}: {error.sentence}", error.remedy) from error
            rows.append(list(found.values()))
        return np.array(rows, np.float64).reshape(len(rows), len(self.get_feature_names_out()))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the columns."""
        return np.asarray(feature_names(self.names, 1.0), object)

    def __sklearn_is_fitted__(self) -> bool:
        return True
