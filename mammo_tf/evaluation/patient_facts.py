"""What is known of women beside their pictures, as numbers: age and density."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DENSITIES = ("A", "B", "C", "D")
AGE, KNOWN = "age", ("age", *DENSITIES[1:])  # years, and whether her density is this one
LEAST_OF_DENSITY = 5  # patients of the reference


def known_of(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Age and density of some rows as numbers, `[rows, KNOWN]`; nan where they are not told."""
    nothing = pd.Series("", index=rows.index)
    age = pd.to_numeric(rows.get("age", nothing), errors="coerce").to_numpy(np.float64)
    density = rows.get("density", nothing).fillna("").astype(str).to_numpy()
    told = np.where(np.isin(density, DENSITIES), 1.0, np.nan)
    return np.column_stack([age, *(told * (density == one) for one in DENSITIES[1:])])


def density_counts(known: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """How many patients are of each of `DENSITIES`; None where somebody's is not told.

    Args:
        known: of patients, `[patients, KNOWN]`.
    """
    told = known[:, 1:]
    if not np.isfinite(told).all():
        return None
    return np.append((told == 0).all(axis=1).sum(), (told == 1).sum(axis=0))


def age_told(known: NDArray[np.float64]) -> bool:
    """Whether everybody's age is.

    Args:
        known: of patients, `[patients, KNOWN]`.
    """
    return bool(np.isfinite(known[:, 0]).all())


def comparable(age: bool, densities: NDArray[np.int64] | None, site: NDArray[np.float64]) -> NDArray[np.intp]:
    """What can be accounted for between a reference and a site: places in `KNOWN`.

    Age; density, where the reference has patients enough of every one that the site has.

    Args:
        age: whether the reference tells everybody's, and they vary.
        densities: of the reference's patients, `density_counts`.
        site: what is known of its patients, `[patients, KNOWN]`.
    """
    found = [0] if age and age_told(site) else []
    here = density_counts(site)
    if densities is not None and here is not None:
        mixed = (densities < densities.sum()).all()  # else there is nothing to learn from
        if mixed and (densities[here > 0] >= LEAST_OF_DENSITY).all():
            found += (1 + np.flatnonzero(densities[1:])).tolist()
    return np.asarray(found, np.intp)
