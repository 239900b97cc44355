"""Whether two samples differ, by three classical tests of SciPy's, without the second that loading `scipy.stats` takes.

Two-sided p values as `scipy.stats` gives them: `fisher_exact`, `mannwhitneyu(method="asymptotic")`,
`chi2_contingency`. `tests/evaluation/test_two_samples.py` holds them equal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, chdtrc, ndtr

from mammo_tf.evaluation.roc import average_ranks

AS_LIKELY = 1e-7  # of a logarithm: tables that differ by rounding alone are as likely as each other


def fisher_exact(counts: ArrayLike) -> float:
    """Fisher's exact test of a table of two by two: the chance of a table no likelier than it, its sums being given.

    Args:
        counts: whole numbers, `[2, 2]`.
    """
    table = np.asarray(counts, np.int64)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    if not (rows.all() and columns.all()):
        return 1.0
    first = np.arange(max(0, rows[0] - columns[1]), min(rows[0], columns[0]) + 1)  # what its corner may be
    chances = _log_choose(columns[0], first) + _log_choose(columns[1], rows[0] - first)
    chances = chances - _log_choose(table.sum(), rows[0])
    here = chances[table[0, 0] - first[0]]
    return min(1.0, float(np.exp(chances[chances <= here + AS_LIKELY]).sum()))


def _log_choose(whole: NDArray[np.int64], part: NDArray[np.int64]) -> NDArray[np.float64]:
    """Logarithms of binomial coefficients."""
    return np.asarray(-np.log1p(whole) - betaln(whole - part + 1, part + 1))


def mann_whitney(first: ArrayLike, second: ArrayLike) -> float:
    """Mann and Whitney's test by the normal distribution, corrected for ties and for continuity.

    Args:
        first, second: finite numbers, `[n]` and `[m]`, not all equal.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    together = np.concatenate([one, other])
    n, m, both = len(one), len(other), len(together)
    u = average_ranks(together)[:n].sum() - n * (n + 1) / 2
    ties = np.unique(together, return_counts=True)[1].astype(np.float64)
    variance = n * m / 12 * (both + 1 - (ties**3 - ties).sum() / (both * (both - 1)))
    z = (max(u, n * m - u) - n * m / 2 - 0.5) / variance**0.5
    return min(1.0, 2 * float(ndtr(-z)))


def chi_squared(counts: ArrayLike) -> float:
    """Pearson's test of independence; a table of two by two is corrected for continuity (Yates).

    Args:
        counts: `[rows, columns]`, two or more of each, none with a sum of 0.
    """
    observed = np.asarray(counts, np.float64)
    expected = observed.sum(axis=1, keepdims=True) * observed.sum(axis=0) / observed.sum()
    apart = np.abs(observed - expected)
    freedom = (observed.shape[0] - 1) * (observed.shape[1] - 1)
    if freedom == 1:
        apart -= np.minimum(0.5, apart)
    return float(chdtrc(freedom, (apart**2 / expected).sum()))
