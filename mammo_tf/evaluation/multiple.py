"""Several comparisons at once: p-values adjusted for their number, after Benjamini and Hochberg."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.numbers import Levels, Metrics, Number


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values, "q": calling those up to q real is wrong in a share of q of the calls, on average.

    The i-th smallest of m becomes the least of p(j) m / j over j >= i, at most 1 (Benjamini and Hochberg, Controlling
    the false discovery rate, 1995). It is exact for independent tests and safe for those that go up and down together
    (Benjamini and Yekutieli 2001), as those of models on the same patients mostly do.

    Args:
        p: `[m]` in [0, 1]; nan is not a test: it stays nan and is not counted.

    Raises:
        MammoError: `p_wrong`.
    """
    given = np.asarray(p, np.float64)
    known = np.isfinite(given)
    if given.ndim != 1 or ((given[known] < 0) | (given[known] > 1)).any():
        raise MammoError("p_wrong", "p-values are a row of numbers from 0 to 1")
    tests = given[known]
    order = np.argsort(tests, kind="stable")
    scaled = tests[order] * (len(tests) / np.arange(1, len(tests) + 1))
    adjusted_in_order = np.minimum.accumulate(scaled[::-1])[::-1]
    found = np.full(given.shape, np.nan)
    places = np.flatnonzero(known)[order]
    found[places] = np.clip(adjusted_in_order, tests[order], 1.0)
    return found


def adjusted(comparisons: Mapping[str, Metrics]) -> dict[str, Metrics]:
    """Comparisons that belong together, each p with its `q` next to it, at every split and level by itself.

    Args:
        comparisons: name -> as `compare` gives it; a single one is given back as it is.

    Raises:
        MammoError: `p_wrong`.
    """
    if len(comparisons) < 2:
        return dict(comparisons)
    tests: dict[tuple[str, str, str], dict[str, float]] = {}
    for name, splits in comparisons.items():
        for split, levels in splits.items():
            for level, numbers in levels.items():
                for metric, number in numbers.items():
                    p = number.get("p")
                    if p is not None:
                        tests.setdefault((split, level, metric), {})[name] = p
    found = {
        place: dict(zip(ps, benjamini_hochberg(list(ps.values())).tolist(), strict=True)) for place, ps in tests.items()
    }

    def with_q(name: str, place: tuple[str, str, str], number: Number) -> Number:
        q = found.get(place, {}).get(name)
        return number if q is None else {**number, "q": q}

    def one(name: str, splits: Metrics) -> dict[str, Levels]:
        return {
            split: {
                level: {metric: with_q(name, (split, level, metric), number) for metric, number in numbers.items()}
                for level, numbers in levels.items()
            }
            for split, levels in splits.items()
        }

    return {name: Metrics(one(name, splits), splits.aggregates) for name, splits in comparisons.items()}
