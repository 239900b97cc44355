"""An invented ladder of 14 rungs, as `ladder.json` holds one: shifted scores, harmonising helps, labels help a little.

No number here was measured anywhere.
"""

from __future__ import annotations

import math
from typing import Any

HOW = "bootstrap over patients, 2000 resamples"
INTENDED = {"sensitivity": 0.8317, "specificity": 0.8143, "where": "validation of the source"}
NOTHING, PICTURES, LABELS = "nothing", "unlabelled pictures", "labels"
WITHOUT_LABELS = ("untouched", "scores_matched", "new_threshold", "recalibrated")  # they leave the scores alone
RUNGS = (  # name, title, needs, seconds, measure, sensitivity and specificity at the carried and at its own threshold
    ("untouched", "Untouched", NOTHING, 12.34, 0.7412, (0.951, 0.402), (0.951, 0.402), "carried"),
    ("scores_matched", "Scores matched", PICTURES, 14.08, 0.7412, (0.951, 0.402), (0.732, 0.664), "matched"),
    ("new_threshold", "New threshold", LABELS, 14.61, 0.7412, (0.951, 0.402), (0.707, 0.689), "labels"),
    ("recalibrated", "Recalibrated, intercept and slope", LABELS, 15.27, 0.7412, (0.951, 0.402), (0.683, 0.731),
     "labels"),
    ("histogram", "Histogram matched", PICTURES, 41.5, 0.7809, (0.878, 0.588), (0.756, 0.722), "matched"),
    ("harmonised", "Harmonised", PICTURES, 98.7, 0.8306, (0.829, 0.773), (0.805, 0.798), "matched"),
    ("batch_statistics", "Batch statistics", PICTURES, 0.0, 0.0, (0, 0), (0, 0), ""),
    ("normalisation", "Normalisation layers", LABELS, 611.2, 0.7954, (0.902, 0.571), (0.78, 0.739), "matched"),
    ("normalisation_harmonised", "Normalisation layers, harmonised", LABELS, 655.9, 0.8321, (0.854, 0.756),
     (0.829, 0.781), "matched"),
    ("last_layer", "Last layer", LABELS, 402.8, 0.7633, (0.634, 0.815), (0.732, 0.723), "labels"),
    ("staged_1", "Staged unfreezing 1", LABELS, 1840.6, 0.8017, (0.756, 0.748), (0.781, 0.747), "labels"),
    ("everything", "Everything", LABELS, 3921.4, 0.8198, (0.683, 0.849), (0.804, 0.764), "labels"),
    ("everything_harmonised", "Everything, harmonised", LABELS, 4104.3, 0.8442, (0.78, 0.832), (0.828, 0.806),
     "labels"),
    ("spottune", "SpotTune", LABELS, 7222.9, 0.8121, (0.707, 0.807), (0.779, 0.771), "labels"),
)  # fmt: skip


def number(value: float, reach: float, n: int) -> dict[str, Any]:
    """A number with an interval that reaches about so far to either side, within 1."""
    return {"value": value, "low": value - reach, "high": min(value + reach * 0.93, 1.0), "n": n, "how": HOW}


def apart(value: float, reach: float, n: int) -> dict[str, Any]:
    """A paired difference: a number with p."""
    return {**number(value, reach, n), "p": math.erfc(abs(value) / reach * 1.96 / 2**0.5), "p_least": 0.001}


def missing(why: str) -> dict[str, Any]:
    """A number that does not exist."""
    return {"value": None, "low": None, "high": None, "n": 0, "how": HOW, "why": why}


def make_ladder(old_site: bool = True, budget: bool = True, intended: bool = True) -> dict[str, Any]:
    """The whole ladder; its old site, label budget and intended point may be missing."""
    rungs = [_rung(place, intended) for place in range(len(RUNGS))]
    return {
        "format": 1,
        "title": "model baltic at site harbour",
        "answer": "“Harmonised”, which needs pictures of 60 patients and no label, is the cheapest way that holds "
        "here: AUC of breasts 0.831 (0.761 to 0.894) against 0.741 untouched. At its threshold it has sensitivity "
        "0.805 and specificity 0.798, within 0.027 of what was intended.",
        "level": "breast",
        "measure": "auc",
        "measure_title": "AUC of breasts",
        "site": {
            "patients": {"train": 61, "validation": 33, "test": 83},
            "images": {"train": 247, "validation": 134, "test": 336},
            "positives": {"train": 29, "validation": 17, "test": 43}, "unlabelled_patients": 11,
            "machines": ["VENDOR A 1.2", "VENDOR B Nova"],
        },
        "threshold": 0.4375,
        "intended": dict(INTENDED) if intended else None,
        "choice": {
            "rung": "harmonised", "way": "matched", "best": "everything_harmonised", "split": "cross-validation",
            "folds": 3, "margin": 0.015, "tolerance": 0.055, "positives": 46,
            "reason": "of the rungs that are not shown to be below the best it is the cheapest",
        },
        "rungs": rungs,
        "old_site": _old_site(rungs) if old_site else None,
        "subgroups": _subgroups(),
        "label_budget": _budget() if budget else None,
        "warnings": ["The site has 2 machines, and every rung treats them as one."],
        "facts": {"command": "mammo-tf adapt baltic harbour -o ladder", "revision": "0123abc", "seed": "7"},
        "synthetic": True,
    }  # fmt: skip


def _rung(place: int, intended: bool) -> dict[str, Any]:
    name, title, needs, seconds, measure, carried, own, way = RUNGS[place]
    row: dict[str, Any] = {
        "name": name, "title": title, "needs": needs, "seconds": seconds, "why_not": "", "notes": [],
        "labelled_patients": 59 if needs == LABELS else 0,
        "unlabelled_patients": 60 if needs == PICTURES or name.endswith("_harmonised") else 0,
    }  # fmt: skip
    if not way:
        return row | {"why_not": "the network has no batch normalisation"}
    same = name in WITHOUT_LABELS
    below = "" if same else "untouched" if name == "histogram" else _below(place)
    difference = apart(measure - RUNGS[0][4], 0.0511, 166)
    caution = {"caution": "12 patients of the rarer class"} if name == "spottune" else {}
    if name == "harmonised":
        row["notes"] = ["the curves of VENDOR B Nova rest on 9 patients"]
    scored = "untouched" if same else name
    row["chosen_on"] = {
        "measure": number(measure - 0.0031 * (place % 4), 0.0581 + place / 1e4, 171),
        "against_best": None if name == "everything_harmonised"
        else apart(measure - 0.8442 + place / 1997, 0.0423, 171),
    }  # fmt: skip
    row["test"] = {
        "measure": number(measure, 0.0633 + place / 1e3, 166),
        "against_untouched": None if same else {**difference, "q": min(1.6 * difference["p"], 1.0), **caution},
        "against_below": None if not below else apart(measure - _measure(below), 0.0377, 166),
        "below": below,
        "at_carried": {"threshold": 0.4375, **_point(*carried, place, intended)},
        "at_own": {"way": way, "threshold": 0.4375 if way == "carried" else 0.51 + place / 101,
                   **_point(*own, place + 20, intended)},
    }  # fmt: skip
    row["predictions"] = f"rungs/{scored}/predictions_test.csv"
    return row


def _below(place: int) -> str:
    """The rung before, of those that apply."""
    return next(row[0] for row in reversed(RUNGS[:place]) if row[-1])


def _measure(name: str) -> float:
    return next(row[4] for row in RUNGS if row[0] == name)


def _point(sensitivity: float, specificity: float, salt: int, intended: bool) -> dict[str, Any]:
    distance = max(abs(sensitivity - INTENDED["sensitivity"]), abs(specificity - INTENDED["specificity"]))  # type: ignore[operator]
    return {
        "sensitivity": number(sensitivity, 0.1012 + salt / 1e3, 43),
        "specificity": number(specificity, 0.0731 + salt / 2e3, 123),
        "recall_rate": number((sensitivity * 43 + (1 - specificity) * 123) / 166, 0.0644, 166),
        "distance": number(distance, 0.7 * distance, 166) if intended else None,
    }


def _old_site(rungs: list[dict[str, Any]]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for place, row in enumerate(rungs):
        if row["why_not"] or row["name"] in WITHOUT_LABELS:
            continue
        same = row["name"] in ("histogram", "harmonised")
        lost = 0.0 if same else -0.0123 - place / 307
        rows[row["name"]] = {
            "measure": number(0.8811 + lost, 0.0407, 212),
            "retention": {"value": 0.0, "low": None, "high": None, "n": 212, "how": "the same model"} if same
            else apart(lost, 0.0246, 212),
            "learning": apart(row["test"]["measure"]["value"] - 0.7412, 0.0511, 166),
            "same_model": same,
        }  # fmt: skip
    return {"name": "baltic coast", "potential": number(0.1399, 0.0688, 378), "rungs": rows}


def _subgroups() -> list[dict[str, Any]]:
    rows = []
    for place, (column, title, value) in enumerate(
        [("density", "Density", "A"), ("density", "Density", "B"), ("density", "Density", "C"),
         ("manufacturer", "Maker", "VENDOR A"), ("manufacturer", "Maker", "VENDOR B")]
    ):  # fmt: skip
        before = 0.7222 + place / 77
        change = -0.0911 if value == "A" else 0.0817 - place / 131
        rows.append(
            {
                "column": column, "title": title, "value": value, "before": number(before, 0.0912, 121 + place),
                "after": number(before + change, 0.0833, 121 + place),
                "difference": apart(change, 0.0544, 121 + place), "images": 121 + place,
                "positives": 14 + place, "worse": value == "A",
            }
        )  # fmt: skip
    return rows


def _budget() -> dict[str, Any]:
    points = [
        {
            "labelled_patients": count, "measure": number(0.7105 + place / 29, 0.0722 - place / 99, 166),
            "draws": [0.6917 + place / 29, 0.7361 + place / 31, 0.7037 + place / 27],
        }
        for place, count in enumerate((10, 20, 40, 59))
    ]  # fmt: skip
    return {
        "rung": "everything", "points": points,
        "sentence": "twice as many labelled patients as 59 are likely to bring +0.021 of AUC of breasts "
        "(-0.004 to +0.047)",
    }  # fmt: skip
