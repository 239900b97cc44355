"""What the thesis says, and a plain sentence each on whether these runs agree and whether it outlives its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mammo_tf.evaluation.comparison import FEWEST, few_words
from mammo_tf.evaluation.number_text import DIFFERENCE, ends_text, value_text
from mammo_tf.experiments.end2end.recipes import FAMILIES
from mammo_tf.experiments.end2end.rows import PUBLISHED

ABOVE, NOTHING = "above", "nothing"


@dataclass(frozen=True)
class Claim:
    """One claim of the thesis about two rows at the target.

    Attributes:
        name: of the claim.
        kind: "above": the second row has the higher AUC; "nothing": it does not.
        first, second: keys of `PUBLISHED`; the difference is second minus first.
        differences: (words, key in the differences) of the rows here that the claim is held against.
    """

    name: str
    kind: str
    first: str
    second: str
    differences: tuple[tuple[str, str], ...]


def claims(families: tuple[str, ...]) -> tuple[Claim, ...]:
    """The thesis's claims, against the families of rates that were run."""
    words = {family: FAMILIES[family] for family in families}

    def against_baseline(number: int) -> tuple[tuple[str, str], ...]:
        as_text = [(words[family], f"config_{number}_{family}_minus_baseline") for family in families]
        return (*as_text, *((f"as run, {words[family]}", f"as_run_{family}_minus_baseline") for family in families))

    between = tuple((words[family], f"config_2_{family}_minus_config_1_{family}") for family in families)
    radiomics = (("34 features", "radiomics_34_minus_baseline"), ("32 features, as run", "radiomics_32_minus_baseline"))
    return (
        Claim("Configuration 2 is above the baseline", ABOVE, "baseline", "config_2", against_baseline(2)),
        Claim("Configuration 1 is above the baseline", ABOVE, "baseline", "config_1", against_baseline(1)),
        Claim("Radiomics add nothing to the baseline's AUC", NOTHING, "baseline", "radiomics", radiomics),
        Claim("Configuration 2 is above configuration 1", ABOVE, "config_1", "config_2", between),
    )


@dataclass(frozen=True)
class Finding:
    """How one claim fares in these runs.

    Attributes:
        claim, here: the claim, and the rows here.
        level: of the AUC.
        seeds: how many could be held against it.
        agree: in how many the difference has the thesis's direction (for "nothing": its interval holds zero).
        patients, images: in how many the 95 % interval that resamples patients, or images, lies above zero; for
            "nothing" away from zero on either side.
        mean, low, high: of the seeds' differences: mean, smallest, largest.
        sentence: all of it in words.
    """

    claim: str
    here: str
    level: str
    seeds: int
    agree: int
    patients: int
    images: int
    mean: float | None
    low: float | None
    high: float | None
    sentence: str


def findings(differences: Mapping[int, Mapping[str, Any]], families: tuple[str, ...]) -> list[dict[str, Any]]:
    """Every claim against every row it is held against.

    Args:
        differences: seed -> key -> `{level: {metric: number}}`.
        families: that were run.
    """
    found = []
    for claim in claims(families):
        for here, key in claim.differences:
            numbers = [
                (level, levels[level]["auc_difference"])
                for one in differences.values()
                if (levels := one.get(key)) is not None
                for level in (("image",) if "image" in levels else ("patient",))
            ]
            usable = [(level, number) for level, number in numbers if number["value"] is not None]
            if usable:
                found.append(asdict(_finding(claim, here, usable[0][0], [number for _, number in usable])))
    return found


def _finding(claim: Claim, here: str, level: str, numbers: list[Mapping[str, Any]]) -> Finding:
    values = [float(number["value"]) for number in numbers]
    patients, images = ([_side(number, which) for number in numbers] for which in ("patients", "images"))
    if claim.kind == ABOVE:
        agree = sum(value > 0 for value in values)
        counts = (sum(side > 0 for side in patients), sum(side > 0 for side in images))
    else:
        agree = sum(side == 0 for side in patients)
        counts = (sum(side != 0 for side in patients), sum(side != 0 for side in images))
    mean = round(sum(values) / len(values), 6)
    low, high = round(min(values), 6), round(max(values), 6)
    few = min([FEWEST, *(int(number.get("rarer_class", FEWEST)) for number in numbers)])
    if few < FEWEST:
        words = f"Here, {here}, AUC per {level}: {value_text(mean, DIFFERENCE)}. No verdict: {few_words(few)}."
        return Finding(claim.name, here, level, len(values), agree, *counts, mean, low, high, words)
    words = _words(
        claim, here, level, len(values), agree, counts, (mean, low, high), sum(side < 0 for side in patients)
    )
    return Finding(claim.name, here, level, len(values), agree, *counts, mean, low, high, words)


def _side(number: Mapping[str, Any], which: str) -> int:
    """1 where the interval lies above zero, -1 below, 0 where it holds zero or there is none."""
    ends = number if which == "patients" else number.get("cases_resampled", number)
    if ends["low"] is None or ends["high"] is None:
        return 0
    return 1 if ends["low"] > 0 else -1 if ends["high"] < 0 else 0


def _words(
    claim: Claim,
    here: str,
    level: str,
    seeds: int,
    agree: int,
    counts: tuple[int, int],
    spread: tuple[float, float, float],
    below: int,
) -> str:
    over = value_text(spread[0], DIFFERENCE)
    if seeds > 1:
        over += f" on average ({ends_text({'low': spread[1], 'high': spread[2]}, DIFFERENCE)})"
    verdict = "agrees" if agree == seeds else "agrees in part" if agree else "disagrees"
    many = "1 seed" if seeds == 1 else f"{seeds} seeds"
    said = f"Here, {here}, AUC per {level}: {over}; it {verdict} ({agree} of {many}). "
    if claim.kind == NOTHING:
        return said + (
            f"The interval over patients leaves zero out in {counts[0]} of {many}"
            + (f", below it in {below}" if below else "")
            + "; an interval that holds zero shows no difference, not that there is none."
        )
    interval = (
        f"the interval over patients lies above zero in {counts[0]} of {many} "
        f"(that over images, as the thesis resampled, in {counts[1]})"
        + (f", and below zero in {below}." if below else ".")
    )
    if not agree:
        return said + interval[0].upper() + interval[1:]
    survives = (
        "survives" if counts[0] == seeds else "does not survive" if not counts[0] else "survives in some seeds only"
    )
    return f"{said}The difference {survives}: {interval}"


def published_words(claim_name: str, families: tuple[str, ...]) -> str:
    """What the thesis has for a claim: both AUCs, and whether its own interval holds the other row's AUC."""
    (claim,) = [one for one in claims(families) if one.name == claim_name]
    first, second = PUBLISHED[claim.first], PUBLISHED[claim.second]
    holds = second["low"] <= first["auc"] <= second["high"]
    return (
        f"Thesis: {value_text(second['auc'])} against {value_text(first['auc'])}; the interval of the former, "
        f"{ends_text(second)}, {'holds' if holds else 'leaves out'} the latter, so "
        + ("its own figures do not settle it." if holds else "its own figures tell them apart.")
    )
