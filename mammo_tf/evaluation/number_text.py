"""A number with its interval as text: the one place that knows how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Form:
    """How numbers are written in one place.

    Attributes:
        digits: behind the point.
        between: of the ends of an interval.
        signed: a sign before positive values too; without it a value that rounds to zero has none either.
        typographic: the minus is one, not a hyphen, and a value that rounds to zero never has a sign.
        cases: how the interval that resamples cases is written; empty leaves it out.
        missing: of a number that does not exist; `{why}` is why.
    """

    digits: int = 3
    between: str = " to "
    signed: bool = False
    typographic: bool = False
    cases: str = ""
    missing: str = "- ({why})"


PLAIN = Form()
LINE = Form(cases="[images resampled: {ends}]")
DIFFERENCE = Form(signed=True)
LEGEND = Form(between="–", missing="none")
REPORT = Form(between="–", typographic=True, missing="—")
REPORT_WIDE = Form(typographic=True, missing="—")
REPORT_DIFFERENCE = Form(signed=True, typographic=True, missing="—")
TABLE = Form(cases="[{ends}]", missing="-")
TABLE_DIFFERENCE = Form(signed=True, cases="[{ends}]", missing="-")
TABLE_PLAIN = Form(missing="-")
SIX_DIGITS = Form(digits=6)


def value_text(value: float, form: Form = PLAIN) -> str:
    """A value by itself, such as `0.812`, `+0.072`, `−0.031`."""
    if not form.typographic:
        return f"{value:{'+' if form.signed else 'z'}.{form.digits}f}"
    text = f"{abs(value):.{form.digits}f}"
    if float(text) == 0:
        return text
    return ("−" if value < 0 else "+" if form.signed else "") + text


def ends_text(ends: Mapping[str, Any], form: Form = PLAIN) -> str:
    """The interval by itself, `0.745 to 0.873`; empty where there is none.

    Args:
        ends: with `low` and `high`; both missing or None where there is no interval.
        form: how.
    """
    low, high = ends.get("low"), ends.get("high")
    return "" if low is None or high is None else f"{value_text(low, form)}{form.between}{value_text(high, form)}"


def number_text(number: Mapping[str, Any] | None, form: Form = PLAIN) -> str:
    """`0.812 (0.745 to 0.873)`, or what stands for a number that does not exist; empty for None.

    Args:
        number: of `metrics.json` or `comparison.json`.
        form: how.
    """
    if number is None:
        return ""
    if number.get("value") is None:
        return form.missing.replace("{why}", str(number.get("why", "not known")))
    text = value_text(number["value"], form)
    if ends := ends_text(number, form):
        text += f" ({ends})"
    cases = ends_text(number.get("cases_resampled", {}), form)
    return f"{text} {form.cases.replace('{ends}', cases)}" if form.cases and cases else text


def number_line(number: Mapping[str, Any]) -> str:
    """`0.812 (0.745 to 0.873), n 312`, with p and q of a test, why there is no interval, or why there is no number."""
    text = number_text(number, LINE)
    if number.get("value") is None:
        return text
    why = f" ({number['why']})" if number.get("why") else ""
    tests = "".join(f", {name} {number[name]:.3g}" for name in ("p", "q") if number.get(name) is not None)
    return f"{text}{why}, n {number['n']}{tests}"


def p_text(p: float | None) -> str:
    """`0.034`, `< 0.001`, or a dash where there is none."""
    if p is None:
        return "—"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def threshold_text(threshold: float) -> str:
    """A threshold with three digits behind the point, three digits in all where it is tiny."""
    return f"{threshold:.3f}" if abs(threshold) >= 0.01 or threshold == 0 else f"{threshold:.3g}"
