"""Operating points: which score calls a case positive. Answers in `tests/golden/statistics`, roc_cases.

A call is positive where score >= threshold. Candidates are the scores that occur and infinity; among equally good ones
the highest threshold is taken (the higher specificity), and comparisons are exact. A threshold is chosen on validation
and only used on test: `evaluation.metrics` refuses another order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammo_tf.errors import MammoError
from mammo_tf.evaluation.roc import Curve, Threshold, curve

RULES = ("g_mean", "youden", "equal_error", "sensitivity", "specificity", "cost")


@dataclass(frozen=True)
class OperatingRule:
    """How the operating point is chosen.

    Attributes:
        name: "g_mean" (largest sqrt(sensitivity x specificity)), "youden" (largest sensitivity + specificity - 1),
            "equal_error" (sensitivity and specificity closest to each other), "sensitivity" (at least `target`, then
            the highest specificity), "specificity" (at least `target`, then the highest sensitivity), "cost" (least
            expected cost).
        target: for "sensitivity" and "specificity", above 0 up to 1.
        miss_cost: for "cost": what a missed positive costs, where a false alarm costs 1.
        prevalence: for "cost": share of positives where the model will work; None takes that of the sample.

    Raises:
        MammoError: `operating_rule_wrong`.
    """

    name: str = "g_mean"
    target: float | None = None
    miss_cost: float = 1.0
    prevalence: float | None = None

    def __post_init__(self) -> None:
        if self.name not in RULES:
            raise _wrong(f"operating point rule {self.name!r} is unknown", f"Known are {', '.join(RULES)}")
        fixed = self.name in ("sensitivity", "specificity")
        if fixed and (self.target is None or not 0 < self.target <= 1):
            raise _wrong(f"a fixed {self.name} of {self.target} is none", "Give a target above 0 and up to 1")
        if not fixed and self.target is not None:
            raise _wrong(f"rule {self.name!r} has no target", "Leave it out, or fix sensitivity or specificity")
        if self.name != "cost" and (self.miss_cost != 1 or self.prevalence is not None):
            raise _wrong(f"rule {self.name!r} has no cost and no prevalence", "Leave them out, or take the rule cost")
        if not 0 < self.miss_cost < float("inf") or (self.prevalence is not None and not 0 < self.prevalence < 1):
            raise _wrong("costs are positive and a prevalence lies between 0 and 1", "Fix them")

    @property
    def words(self) -> str:
        """The rule for a reader, tie rule included."""
        what = {
            "g_mean": "largest G-mean",
            "youden": "largest Youden index",
            "equal_error": "sensitivity and specificity closest",
            "sensitivity": f"sensitivity {self.target} or more, then highest specificity",
            "specificity": f"specificity {self.target} or more, then highest sensitivity",
            "cost": f"least cost, a miss counting {self.miss_cost:g} false alarms"
            + (f", prevalence {self.prevalence:g}" if self.prevalence is not None else ""),
        }
        return f"{what[self.name]}, highest threshold among equals"


def _wrong(sentence: str, remedy: str) -> MammoError:
    return MammoError("operating_rule_wrong", sentence, remedy)


G_MEAN = OperatingRule()


def operating_point(labels: ArrayLike, scores: ArrayLike, rule: OperatingRule | str = "g_mean") -> Threshold:
    """The threshold that a rule chooses, with the sensitivity and specificity of the same cases.

    Args:
        labels: 0 or 1, `[n]`.
        scores: `[n]`.
        rule: an `OperatingRule`, or the name of one that needs no target.

    Returns:
        The threshold is infinite where calling nothing positive is best.

    Raises:
        MammoError: as `evaluation.roc.checked`; `operating_rule_wrong`.
    """
    chosen = OperatingRule(rule) if isinstance(rule, str) else rule
    points = curve(labels, scores)
    best = _best(points, chosen)
    return Threshold(float(points.thresholds[best]), float(points.sensitivity[best]), float(points.specificity[best]))


def _best(points: Curve, rule: OperatingRule) -> int:
    """The first of the best points, thresholds falling; counts are integers, so equals are equal."""
    hits, spared = points.true_positives, points.negatives - points.false_positives
    if rule.name == "g_mean":
        return int(np.argmax(hits * spared))
    if rule.name == "youden":
        return int(np.argmax(hits * points.negatives + spared * points.positives))
    if rule.name == "equal_error":
        return int(np.argmin(np.abs(hits * points.negatives - spared * points.positives)))
    if rule.name == "cost":
        return int(np.argmin(_costs(points, rule)))
    target = rule.target or 0.0
    if rule.name == "sensitivity":
        allowed, wanted = _reached(hits, points.positives, target), spared
    else:
        allowed, wanted = _reached(spared, points.negatives, target), hits
    return int(np.argmax(np.where(allowed, wanted, -1)))


def _reached(counts: NDArray[np.int64], total: int, target: float) -> NDArray[np.bool_]:
    """Where a share reaches its target, up to the last bit of the division."""
    return np.asarray(counts / total >= target - 1e-12)


def _costs(points: Curve, rule: OperatingRule) -> NDArray[np.float64]:
    total = points.positives + points.negatives
    prevalence = points.positives / total if rule.prevalence is None else rule.prevalence
    missed = (points.positives - points.true_positives) / points.positives
    alarms = points.false_positives / points.negatives
    return np.round(prevalence * rule.miss_cost * missed + (1 - prevalence) * alarms, 12)


def sensitivity_at_specificity(labels: ArrayLike, scores: ArrayLike, specificity: float) -> float:
    """On the ROC curve with straight lines between its points (as pROC's coords); of a vertical part, the upper end.

    Raises:
        MammoError: as `evaluation.roc.checked`.
    """
    points = curve(labels, scores)
    rates = points.false_positives / points.negatives
    wanted = 1 - specificity
    on = np.abs(rates - wanted) < 1e-12  # a vertical part of the curve: its upper end
    if on.any():
        return float(points.sensitivity[on].max())
    return float(np.interp(wanted, rates, points.sensitivity))
