"""Intervals of a share, two methods called on the same cases, and how many patients an interval takes.

Answers in `tests/golden/statistics`, proportions and mcnemar.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import betainc, betaincinv, ndtri

from mammo_tf.errors import MammoError

ROUNDING = 1e-9  # 3 / 0.3 is ten, not a little more
NARROWEST, RAREST = 1e-4, 1e-6  # what a study may be asked for


class Ends(NamedTuple):
    """Of an interval, in [0, 1]."""

    low: float
    high: float


def wilson(hits: int, cases: int, alpha: float = 0.05) -> Ends:
    """Wilson's score interval of a share; `no_cases` where there are none."""
    share = _share(hits, cases)
    z = float(ndtri(1 - alpha / 2))
    wide = 1 + z * z / cases
    centre = (share + z * z / (2 * cases)) / wide
    half = z * (share * (1 - share) / cases + z * z / (4 * cases * cases)) ** 0.5 / wide
    return Ends(0.0 if hits == 0 else centre - half, 1.0 if hits == cases else centre + half)


def clopper_pearson(hits: int, cases: int, alpha: float = 0.05) -> Ends:
    """The exact interval of a share, never too short; `no_cases` where there are none."""
    _share(hits, cases)
    low = 0.0 if hits == 0 else float(betaincinv(hits, cases - hits + 1, alpha / 2))
    high = 1.0 if hits == cases else float(betaincinv(hits + 1, cases - hits, 1 - alpha / 2))
    return Ends(low, high)


def _share(hits: int, cases: int) -> float:
    if cases < 1 or not 0 <= hits <= cases:
        raise MammoError("no_cases", f"{hits} of {cases} cases is not a share")
    return hits / cases


def separated_auc_low(positives: int, negatives: int, alpha: float = 0.05) -> float:
    """The lower end of the interval of an AUC of 1, which the bootstrap and DeLong's variance do not have.

    It is the A with 1 - A = z sqrt(variance of Hanley and McNeil at A), as Wilson's interval is made of a share
    (Newcombe, Statistics in Medicine 25, 2006, 559-573). The upper end for an AUC of 0 is 1 minus it.

    Args:
        positives, negatives: independent cases of each class, one or more.
        alpha: 1 - coverage.
    """
    from scipy.optimize import brentq  # takes a tenth of a second to load

    z = float(ndtri(1 - alpha / 2))
    return float(brentq(lambda area: 1 - area - z * auc_variance(area, positives, negatives) ** 0.5, 0.0, 1 - ROUNDING))


class McNemar(NamedTuple):
    """Two methods on the same cases: exact two-sided p, chi squared with and without continuity correction."""

    p: float
    corrected: float
    plain: float


def mcnemar(only_first: int, only_second: int) -> McNemar:
    """Compares two methods by the cases that only one of them gets right.

    Args:
        only_first, only_second: numbers of cases; where both are 0 there is no difference to test, and p is 1.
    """
    total = only_first + only_second
    if total == 0:
        return McNemar(1.0, 0.0, 0.0)
    fewer = min(only_first, only_second)
    p = min(1.0, 2 * float(betainc(total - fewer, fewer + 1, 0.5)))  # of no more than these, by a fair coin
    apart = abs(only_first - only_second)
    return McNemar(p, (apart - 1) ** 2 / total, apart**2 / total)


class Sample(NamedTuple):
    """Patients that an interval of a wanted width takes.

    Attributes:
        patients, positives, negatives: numbers; positives are rounded to the nearest.
        width: of the 95 % interval that they give.
    """

    patients: int
    positives: int
    negatives: int
    width: float


def auc_variance(auc: float, positives: int, negatives: int) -> float:
    """Hanley and McNeil's (1982) variance of an AUC, one independent case a patient."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    rest = (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return float((auc * (1 - auc) + rest) / (positives * negatives))


def sample_for_auc(auc: float, width: float, prevalence: float = 0.5, alpha: float = 0.05) -> Sample:
    """The fewest patients whose interval of the AUC is no wider than wanted (Hanley and McNeil 1982).

    Args:
        auc: expected, above 0.5 and below 1.
        width: of the interval, high minus low, above 0 and below 1.
        prevalence: share of positive patients.
        alpha: 1 - coverage.

    Raises:
        MammoError: `sample_wrong`.
    """
    if not (0.5 <= auc < 1 and NARROWEST <= width < 1 and RAREST <= prevalence <= 1 - RAREST):
        raise MammoError(
            "sample_wrong",
            f"AUC {auc}, width {width} and prevalence {prevalence} do not make a study",
            f"Give an AUC from 0.5, a width from {NARROWEST:g} and a prevalence from {RAREST:g}, all below 1",
        )
    return _fewest(partial(auc_variance, auc), width, prevalence, alpha)


def sample_for_share(share: float, width: float, alpha: float = 0.05) -> int:
    """The fewest positives (for sensitivity; negatives for specificity) whose Wilson interval is no wider than wanted.

    Raises:
        MammoError: `sample_wrong`.
    """
    if not (0 <= share <= 1 and NARROWEST <= width < 1):
        raise MammoError("sample_wrong", f"a share of {share} within {width} does not make a study")

    def wide(cases: int) -> float:
        z = float(ndtri(1 - alpha / 2))
        half = z * (share * (1 - share) / cases + z * z / (4 * cases * cases)) ** 0.5 / (1 + z * z / cases)
        return 2 * half

    return _least(lambda cases: wide(cases) <= width, 1)


def patients_in_all(needed: int, part: float) -> int:
    """How many patients hold `needed` of a kind that makes up `part` of them.

    Raises:
        MammoError: `sample_wrong` where the part does not lie between 0 and 1.
    """
    if not RAREST <= part <= 1 - RAREST:
        raise MammoError("sample_wrong", "the prevalence does not lie between 0 and 1", "Give --prevalence 0.3, say")
    return math.ceil(needed / part - ROUNDING)


def _fewest(variance: Callable[[int, int], float], width: float, prevalence: float, alpha: float) -> Sample:
    z = float(ndtri(1 - alpha / 2))

    def parts(patients: int) -> tuple[int, int]:
        positives = int(np.floor(patients * prevalence + 0.5))
        return positives, patients - positives

    def wide(patients: int) -> float:
        positives, negatives = parts(patients)
        if min(positives, negatives) < 2:
            return float("inf")
        return float(2 * z * variance(positives, negatives) ** 0.5)

    patients = _least(lambda number: wide(number) <= width, 4)
    return Sample(patients, *parts(patients), wide(patients))


def _least(enough: Callable[[int], bool], start: int) -> int:
    """The least number from `start` on that is enough, by doubling and halving."""
    high = start
    while not enough(high):
        high *= 2
    low = max(start, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
