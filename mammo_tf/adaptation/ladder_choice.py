"""Which rung is taken: the cheapest whose measure is not shown to be below the best rung's, on validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mammo_tf.evaluation.carried_threshold import DISTANCE
from mammo_tf.evaluation.numbers import Number

Apart = Callable[[str, str], Number]
NOT_BELOW, NOT_INFERIOR = "not_below", "not_inferior"
RULES = (NOT_BELOW, NOT_INFERIOR)


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes:
        rung: the cheapest that holds.
        best: the one of the highest measure.
        against_best: of every other rung, its measure minus the best's, with interval.
        reason: for readers.
    """

    rung: str
    best: str
    against_best: Mapping[str, Number]
    reason: str


def choose(measures: Mapping[str, Number], apart: Apart, margin: float = 0.0, rule: str = NOT_BELOW) -> Choice | None:
    """The choice among rungs in order of cost.

    By the rule `not_below` a rung holds unless the 95 % interval of its paired difference from the best lies below
    minus the margin as a whole: it is not shown to be worse. By `not_inferior` it holds where that interval lies above
    minus the margin as a whole: it is shown not to be worse by more. Where a difference has no interval the rung holds
    only if it is not lower.

    Args:
        measures: rung -> measure, the cheapest first.
        apart: gives measure of the second minus that of the first.
        margin: 0 or more.
        rule: one of `RULES`.

    Returns:
        None where no rung has a measure.
    """
    values = {name: number["value"] for name, number in measures.items() if number["value"] is not None}
    if not values:
        return None
    best = max(values, key=lambda name: values[name])  # the cheapest of equals
    against = {name: apart(best, name) for name in values if name != best}
    rung = next(name for name in values if name == best or _holds(against[name], margin, rule))
    reason = "it is the cheapest, and no other is higher" if best == next(iter(values)) else ""
    return Choice(rung, best, against, reason or _reason(rung, best, against, margin, rule))


def _holds(number: Number, margin: float, rule: str) -> bool:
    value, end = number["value"], number["high" if rule == NOT_BELOW else "low"]
    if value is None:
        return False
    return value >= 0 if end is None else end >= -margin


def _reason(rung: str, best: str, against: Mapping[str, Number], margin: float, rule: str) -> str:
    than = f" by more than {margin:g}" if margin else ""
    shown = "shown to be below" if rule == NOT_BELOW else "not shown to reach"
    if rung == best:
        return f"it is the best, and every cheaper rung is {shown} it{than if rule == NOT_BELOW else ''}"
    number = against[rung]
    ends = "" if number["low"] is None else f" ({number['low']:+.3f} to {number['high']:+.3f})"
    held = f"not shown to be below the best{than}" if rule == NOT_BELOW else f"shown not to be below the best{than}"
    return f"of the rungs that are {held} it is the cheapest: {number['value']:+.3f}{ends}"


def choose_point(points: Sequence[tuple[str, Mapping[str, Number | None] | None]], tolerance: float) -> str | None:
    """Of ways to set a threshold, the cheapest that is not shown to be further from the intended point than tolerated.

    Args:
        points: name and numbers of each, the cheapest first; None where it has no threshold.
        tolerance: of the larger of both differences.

    Returns:
        The nearest where all are shown to be further; None where no distance is known.
    """
    known = [(name, number) for name, point in points if point is not None and (number := point[DISTANCE]) is not None]
    known = [(name, number) for name, number in known if number["value"] is not None]
    if not known:
        return None
    for name, number in known:
        low = number["low"] if number["low"] is not None else number["value"]
        if low is not None and low <= tolerance:
            return name
    return min(known, key=lambda one: one[1]["value"] or 0.0)[0]
