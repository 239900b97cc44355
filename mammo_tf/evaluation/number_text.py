"""A number with its interval as text: the one place that knows how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from typing import Any

STORED_DIGITS = 9  # of scores in predictions.csv: a float32 survives
MOST_DIGITS = 12  # behind the point; what is smaller is written with an exponent
ROUGHLY = 1e-6


@dataclass(frozen=True)
class Form:
    """How numbers are written in one place.

    Attributes:
        digits: behind the point.
        between: of the ends of an interval.
        signed: a sign before positive values too; without it a value that rounds to zero has none either.
        typographic: the minus is one, not a hyphen, and a value that rounds to zero never has a sign.
        end_digits: of the ends of an interval; None: as of the value.
        cases: how the interval that resamples cases is written; empty leaves it out.
        missing: of a number that does not exist; `{why}` is why.
    """

    digits: int = 3
    end_digits: int | None = None
    between: str = " to "
    signed: bool = False
    typographic: bool = False
    cases: str = ""
    missing: str = "- ({why})"


PLAIN = Form()
LINE = Form(cases="[{cases} resampled: {ends}]")
DIFFERENCE = Form(signed=True)
LEGEND = Form(between="–", missing="none")
REPORT = Form(between="–", typographic=True, missing="—")
REPORT_WIDE = Form(typographic=True, missing="—")
REPORT_DIFFERENCE = Form(signed=True, typographic=True, missing="—")
TABLE = Form(cases="[{ends}]", missing="-")
TABLE_DIFFERENCE = Form(signed=True, cases="[{ends}]", missing="-")
TABLE_PLAIN = Form(missing="-")
SIX_DIGITS = Form(digits=6, end_digits=3)


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
    if form.end_digits is not None:
        form = replace(form, digits=form.end_digits)
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


def number_line(number: Mapping[str, Any], cases: str = "images") -> str:
    """`0.812 (0.745 to 0.873), n 312`, with p and q of a test, why there is no interval, or why there is no number.

    Args:
        number: of `metrics.json` or `comparison.json`.
        cases: what its cases are; the interval that resamples patients as if they were cases is not shown twice.
    """
    form = replace(LINE, cases="" if cases == "patients" else LINE.cases.replace("{cases}", cases))
    text = number_text(number, form)
    if number.get("value") is None:
        return text
    said = "".join(f" ({number[name]})" for name in ("why", "caution") if number.get(name))
    q = f", q {number['q']:.3g}" if number.get("q") is not None else ""
    p = f", p {_p_digits(number)}" if number.get("p") is not None else ""
    return f"{text}{said}, n {number['n']}{p}{q}"


def _p_digits(number: Mapping[str, Any]) -> str:
    p, least = number["p"], number.get("p_least", 0.0)
    return f"{p:.3g}, the least that so many resamples can give" if p <= least else f"{p:.3g}"


def p_text(p: float | None, least: float = 0.0) -> str:
    """`0.034`, `< 0.001`, or a dash where there is none; `≤ 0.020` where resamples can give none below.

    Args:
        p: of a test.
        least: the smallest that it could have been; 0 where there is no such limit.
    """
    if p is None:
        return "—"
    if p < 0.001:
        return "< 0.001"
    return f"≤ {p:.3f}" if p <= least else f"{p:.3f}"


def threshold_text(threshold: float) -> str:
    """A threshold with three digits behind the point, and with more where it needs them.

    The text is never above the threshold, and below it by a millionth of what is left to 0 or 1 at most, so that it
    calls the case whose score the threshold is.
    """
    room = min(abs(threshold), abs(1 - threshold)) or abs(threshold)
    exact = Decimal(repr(float(threshold)))
    for digits in range(3, MOST_DIGITS):
        text = exact.quantize(Decimal(1).scaleb(-digits), ROUND_FLOOR)
        if abs(float(text) - float(exact)) <= ROUGHLY * room:
            return f"{text:f}"
    return f"{threshold:.{STORED_DIGITS}g}"


def threshold_line(number: Mapping[str, Any]) -> str:
    """`0.253412, n 312`, the cases it was chosen on; `0.25, given`, or why there is none."""
    if number.get("value") is None:
        return number_text(number)
    chosen_on = f"n {number['n']}" if number["n"] else "given"
    return f"{threshold_text(number['value'])}, {chosen_on}"
