"""The first sentence of a ladder: what a hospital wants to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammo_tf.adaptation.ladder_choice import NOT_INFERIOR
from mammo_tf.adaptation.rungs.rung import LABELS, NOTHING
from mammo_tf.evaluation.carried_threshold import DISTANCE
from mammo_tf.evaluation.number_text import REPORT_DIFFERENCE as DIFFERENCE
from mammo_tf.evaluation.number_text import number_text

CHANCE = 0.5
NOT_SHOWN = "more cannot be told from so few patients"


def answer(content: Mapping[str, Any]) -> str:
    """The cheapest thing that makes the model work here: what it needs, what it gives, and whether it is enough.

    Args:
        content: of `ladder.json`, without the answer.
    """
    rungs = {row["name"]: row for row in content["rungs"]}
    row, choice = rungs[content["choice"]["rung"]], content["choice"]
    return " ".join([_first(row, rungs["untouched"], content), _point(row, content), _against(choice, rungs)]).strip()


def _first(row: Mapping[str, Any], untouched: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    title, test, where = content["measure_title"], row["test"], content["choice"]["split"]
    here = number_text(untouched["test"]["measure"])
    difference = test["against_untouched"]
    if content["measure"] == "auc" and not _above_chance(row):
        return _not_working(row, here, content)
    if row["name"] == "untouched":
        return f"On {where} no way to adapt the model is shown to be better than leaving it as it is: {title} {here}."
    if difference is None:
        return (
            f"On {where} no way to adapt the model is shown to rank better than it does as it is, {title} {here}; its "
            f"threshold is to be changed: {_named(row)}, which needs {_needs(row)}."
        )
    gained = f"{number_text(difference, DIFFERENCE)}: {_verdict(difference)}"
    return (
        f"{_named(row)}, which needs {_needs(row)}, is the cheapest way that holds on {where}. On test patients: "
        f"{title} {number_text(test['measure'])} against {here} untouched, {gained}."
    )


def _above_chance(row: Mapping[str, Any]) -> bool:
    """Whether a rung's AUC on test is shown to be above one half; one without an interval counts by its value."""
    number = row.get("test", {}).get("measure")
    if number is None or number["value"] is None:
        return False
    return bool((number["value"] if number["low"] is None else number["low"]) > CHANCE)


def _not_working(row: Mapping[str, Any], here: str, content: Mapping[str, Any]) -> str:
    title = content["measure_title"]
    with_it = "" if row["name"] == "untouched" else f", with {_named(row)} {number_text(row['test']['measure'])}"
    if not any(_above_chance(one) for one in content["rungs"]):
        return f"The model is not shown to work here by any way that was tried: {title} {here} untouched{with_it}."
    chosen = f"the rung that was chosen on {content['choice']['split']}, {_named(row)}"
    told = f"{title} {here} untouched{with_it}"
    return f"The model is not shown to work here by {chosen}, though others are above chance on test: {told}."


def _named(row: Mapping[str, Any]) -> str:
    return f"\u201c{row['title']}\u201d"


def _needs(row: Mapping[str, Any]) -> str:
    if row["needs"] == NOTHING:
        return "nothing"
    if row["needs"] == LABELS:
        return f"labels of {row['labelled_patients']} training patients"
    return f"pictures of {row['unlabelled_patients']} patients and no label"


def _verdict(difference: Mapping[str, Any]) -> str:
    if difference["low"] is None or difference["high"] is None or difference.get("caution"):
        return NOT_SHOWN
    if difference["low"] > 0:
        return "a gain"
    return "a loss" if difference["high"] < 0 else "a gain is not shown"


def _point(row: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """The operating point, and whether it is the intended one."""
    point, intended = row["test"]["at_own"], content["intended"]
    if point is None:
        return "It has no threshold at this level."
    told = " and ".join(f"{name} {number_text(point[name])}" for name in ("sensitivity", "specificity"))
    said = f"At its threshold it has {told}"
    if intended is None:
        return f"{said}; what was intended is not known."
    wanted = f"{intended['sensitivity']:.3f} and {intended['specificity']:.3f} were intended"
    distance = point[DISTANCE]
    if distance is None or distance["value"] is None:
        return f"{said}; {wanted}."
    tolerance = content["choice"]["tolerance"]
    off = distance["value"] > tolerance
    return f"{said}; {wanted}, {'it is' if off else 'within'} {distance['value']:.3f}{' off' if off else ''}."


def _against(choice: Mapping[str, Any], rungs: Mapping[str, Any]) -> str:
    best = choice["best"]
    if best in (choice["rung"], choice["by_measure"]):
        return ""
    below = rungs[choice["by_measure"]]["chosen_on"]["against_best"]
    if choice["rule"] == NOT_INFERIOR or below is None or below["low"] is None:
        return f"The highest on {choice['split']} is {_named(rungs[best])}; {choice['reason']}."
    return (
        f"Of {choice['positives']} positives on {choice['split']} the highest is {_named(rungs[best])}; the rung that "
        f"was chosen is not shown to be below it, and may be as much as {-below['low']:.3f} below."
    )
