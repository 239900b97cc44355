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
    title, test = content["measure_title"], row["test"]
    here = number_text(untouched["test"]["measure"])
    difference = test["against_untouched"]
    least = test["measure"]["value"] if test["measure"]["low"] is None else test["measure"]["low"]
    if content["measure"] == "auc" and (least is None or least <= CHANCE):
        tried = "" if row["name"] == "untouched" else f", with {_named(row)} {number_text(test['measure'])}"
        return f"The model is not shown to work here by any way that was tried: {title} {here} untouched{tried}."
    if row["name"] == "untouched":
        return f"No way to adapt the model is shown to be better here than leaving it as it is: {title} {here}."
    if difference is None:
        return (
            f"The model can stay as it is, {title} {here}, with another threshold: {_named(row)}, "
            f"which needs {_needs(row)}."
        )
    told = _verdict(difference)
    return (
        f"{_named(row)}, which needs {_needs(row)}, is the cheapest way that holds here: {title} "
        f"{number_text(test['measure'])} against {here} untouched, {number_text(difference, DIFFERENCE)}: {told}."
    )


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
        return "a gain on test patients"
    return "a loss on test patients" if difference["high"] < 0 else "on test patients the gain is not shown"


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
