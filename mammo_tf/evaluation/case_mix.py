"""Whether two sites' patients are alike as far as their predictions tell: prevalence, age, density."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.evaluation.levels import resampled_column, with_identity
from mammo_tf.evaluation.two_samples import chi_squared, fisher_exact, mann_whitney
from mammo_tf.study.manifest import UNLABELLED

LEVEL = 0.05  # of each test


def case_mix_differences(reference: pd.DataFrame, site: pd.DataFrame) -> list[str]:
    """In what two sites' patients differ significantly, such as `prevalence 0.052 and 0.035 (p 0.0004)`.

    Prevalence of labelled patients (Fisher's exact test), median age (Mann and Whitney), shares of densities (chi
    squared); each at 5 %, of patients, by their first row that tells it.

    Args:
        reference, site: as `read_predictions` gives them, labels being `UNLABELLED` where there is none.
    """
    found = [_prevalence(reference, site), _age(reference, site), _density(reference, site)]
    return [words for words in found if words]


def _of_patients(table: pd.DataFrame, column: str) -> pd.Series:
    """A column of each patient's first row."""
    patients = with_identity(table)[resampled_column(table)]
    return table.loc[~patients.duplicated().to_numpy(), column]


def _prevalence(reference: pd.DataFrame, site: pd.DataFrame) -> str:
    counts = []
    for table in (reference, site):
        labelled = table[table["label"] != UNLABELLED]
        sick = labelled["label"].groupby(with_identity(labelled)[resampled_column(labelled)]).max()
        counts.append([int(sick.sum()), int(len(sick) - sick.sum())])
    if min(map(sum, counts)) == 0:
        return ""
    p = fisher_exact(counts)
    return _words("prevalence", [f"{sick / (sick + well):.3f}" for sick, well in counts], p)


def _age(reference: pd.DataFrame, site: pd.DataFrame) -> str:
    if not all("age" in table for table in (reference, site)):
        return ""
    ages = [_years(_of_patients(table[table["age"] != ""], "age")) for table in (reference, site)]
    if min(map(len, ages)) == 0:
        return ""
    p = mann_whitney(*ages) if np.ptp(np.concatenate(ages)) > 0 else 1.0
    return _words("median age", [f"{np.median(years):.0f}" for years in ages], p)


def _years(cells: pd.Series) -> NDArray[np.float64]:
    """Ages that are told, as numbers; DICOM writes 061Y."""
    years = pd.to_numeric(cells.astype(str).str.removesuffix("Y"), errors="coerce").to_numpy(np.float64)
    return np.asarray(years[np.isfinite(years)])


def _density(reference: pd.DataFrame, site: pd.DataFrame) -> str:
    if not all("density" in table for table in (reference, site)):
        return ""
    told = [_of_patients(table[table["density"] != ""], "density") for table in (reference, site)]
    if min(map(len, told)) == 0:
        return ""
    values = sorted(set(told[0]) | set(told[1]))
    counts = np.array([[int((cells == value).sum()) for value in values] for cells in told])
    p = chi_squared(counts) if len(values) > 1 else 1.0
    shares = [
        " ".join(f"{value} {share:.2f}" for value, share in zip(values, row / row.sum(), strict=True)) for row in counts
    ]
    return _words("density", shares, p)


def _words(what: str, both: Sequence[str], p: float) -> str:
    return f"{what} {' and '.join(both)} (p {p:.2g})" if p < LEVEL else ""
